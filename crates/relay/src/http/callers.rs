//! `/api/callers`: the programs that were let in by OAuth, for who administers the relay.

use axum::{
    Json,
    extract::{Path, State as Extract},
    http::StatusCode,
    response::Response,
};
use deskhand_protocol::{caller::CallerView, relay_request::Scope};
use serde::Serialize;
use utoipa::ToSchema;

use super::{auth::Caller, respond};
use crate::State;

/// The programs that were let in, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Callers)]
pub(super) struct Callers {
    callers: Vec<CallerView>,
}

/// `GET /api/callers`.
pub(super) async fn list(caller: Caller, Extract(state): Extract<State>) -> Response {
    let listed = caller.needs(Scope::Admin).map(|()| {
        Json(Callers {
            callers: state.callers(),
        })
    });
    respond(listed)
}

/// `DELETE /api/callers/{caller}`: lets a program in no more.
pub(super) async fn revoke(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(revoked): Path<String>,
) -> Response {
    let revoked = async {
        caller.needs(Scope::Admin)?;
        state.revoke_caller(&revoked).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    respond(revoked.await)
}
