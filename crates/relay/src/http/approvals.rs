//! `POST /api/tasks/{task}/approval`: answers the question of a task from afar. The device takes the
//! answer; the first one wins, whatever the door.

use axum::{
    Json,
    extract::{Path, Request, State as Extract},
    response::Response,
};
use deskhand_protocol::{Problem, approval::ApprovalRequest, relay_request::Scope};

use super::{answer::view, auth::Caller, read_json, respond};
use crate::{State, known_tasks::visible, questions};

/// Answers with the task as it is then.
pub(super) async fn answer(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(task): Path<String>,
    request: Request,
) -> Response {
    let answered = async {
        let record = visible(&state, &caller, &task).await?;
        caller.needs(Scope::Approve)?;
        let body: ApprovalRequest = read_json(request).await?;
        questions::answer(&state, &caller, &record, body.answer, body.digest).await?;
        let now = state.broker.get(record.task.task_id).await;
        let record = now.map_err(Problem::from)?.unwrap_or(record);
        Ok(Json(view(&state, &record)))
    };
    respond(answered.await)
}
