//! `POST /api/device-requests/{device}`: what a viewer asks a device, passed on over its link.
//!
//! The device answers as it does for any relay: what changes the owner's rules is refused there. A
//! key needs `devices:read`, `tasks:run` for what ends a task, `approve` for what answers a question, and
//! `admin` for a pause.

use axum::{
    Json,
    extract::{Path, Request, State as Extract},
    response::Response,
};
use deskhand_protocol::{
    ErrorCode, Problem,
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::Scope,
};

use super::{auth::Caller, read_json, respond};
use crate::{ANSWER_WITHIN, State, questions::approver, submit::choose_device};

/// Asks the device and answers as it does; a problem becomes one of HTTP.
pub(super) async fn answer(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
    request: Request,
) -> Response {
    let answered = async {
        caller.needs(Scope::DevicesRead)?;
        let device = choose_device(&state, &caller.key, Some(&device))?;
        let mut request: DeviceRequest = read_json(request).await?;
        if request.is_local() {
            let error = "only this computer's window and command line may do this";
            return Err(Problem::new(ErrorCode::LocalOnly, error));
        }
        if let DeviceRequest::ConfirmCaller(_) = request {
            let error = "only the relay itself asks to let a program in";
            return Err(Problem::new(ErrorCode::Forbidden, error));
        }
        if let DeviceRequest::Cancel { .. } = request {
            caller.needs(Scope::TasksRun)?;
        }
        if let DeviceRequest::Pause | DeviceRequest::Resume = request {
            caller.needs(Scope::Admin)?;
        }
        if let DeviceRequest::AnswerApproval { by, .. } = &mut request {
            caller.needs(Scope::Approve)?;
            // Whatever the request says of it.
            *by = approver(&caller);
        }
        match state
            .registry
            .ask(&device.device_id, request, ANSWER_WITHIN)
            .await?
        {
            DeviceResponse::Problem { problem } => Err(problem),
            response => Ok(Json(response)),
        }
    };
    respond(answered.await)
}
