//! What an assistant needs to know to use this relay: `GET /llm-instructions` for everybody, and
//! `GET /api/prompts/{assistant}` with the names of a caller's own computers. No secret is in either.

use axum::{
    Json,
    extract::{Path, State as Extract},
    http::header,
    response::{IntoResponse, Response},
};
use deskhand_protocol::{ErrorCode, Problem, assistant::Assistant};

use super::{auth::Caller, respond};
use crate::{State, prompt, tools};

/// Returns the instructions as text.
pub(super) async fn show(Extract(state): Extract<State>) -> Response {
    let prompt = prompt::write(Assistant::Generic, &state.url(), &[]);
    (
        [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")],
        prompt.text,
    )
        .into_response()
}

/// Returns the instructions for one assistant, with the computers of the caller.
pub(super) async fn for_assistant(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(assistant): Path<String>,
) -> Response {
    let written = async {
        let assistant = Assistant::parse(&assistant).ok_or_else(|| {
            let words = Assistant::ALL.map(Assistant::as_str).join(", ");
            Problem::new(
                ErrorCode::NotFound,
                format!("there are instructions for: {words}"),
            )
        })?;
        let computers = tools::computers(&state, &caller).await?;
        Ok(Json(prompt::write(assistant, &state.url(), &computers)))
    };
    respond(written.await)
}
