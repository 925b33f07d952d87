//! `POST /api/tasks/{task}/approval`: answers the question of a task from afar. The device takes the
//! answer; the first one wins, whatever the door.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Request, State as Extract},
    response::Response,
};
use deskhand_protocol::{
    ErrorCode, Problem,
    approval::{Answer, ApprovalRequest},
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::Scope,
};

use super::{answer::view, auth::Caller, device_requests::approver, read_json, respond};
use crate::{State, known_tasks::visible};

/// How long a device may take to take an answer.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

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
        if body.answer == Answer::AlwaysHere {
            return Err(Problem::new(
                ErrorCode::LocalOnly,
                "a rule is made on that computer itself: answer `once` or `no`",
            ));
        }
        let request = DeviceRequest::AnswerApproval {
            task_id: record.task.task_id,
            digest: body.digest,
            answer: body.answer,
            by: approver(&caller),
        };
        let device = &record.device;
        if let DeviceResponse::Problem { problem } =
            state.registry.ask(device, request, TAKEN_WITHIN).await?
        {
            return Err(problem);
        }
        let now = state.broker.get(record.task.task_id).await;
        let record = now.map_err(Problem::from)?.unwrap_or(record);
        Ok(Json(view(&state, &record)))
    };
    respond(answered.await)
}
