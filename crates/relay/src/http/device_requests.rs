//! `POST /api/device-requests/{device}`: what a viewer asks an agent, passed on over its link. What
//! would change the owner's rules is refused here as it is there.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Request, State as Extract},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{
    ErrorCode, Problem,
    approval::{ApprovalDoor, Approver},
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::Scope,
};

use super::{auth::Caller, read_json, respond, watch::watched};
use crate::State;

/// How long a device may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Passes a request on and answers with what the device says.
pub(super) async fn ask(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
    request: Request,
) -> Response {
    let answered = async {
        let device = watched(&state, &caller, &device)?;
        let request: DeviceRequest = read_json(request).await?;
        may(&caller, &request)?;
        let request = signed(&caller, request);
        let device = &device.device_id;
        match state.registry.ask(device, request, ANSWER_WITHIN).await? {
            DeviceResponse::Problem { problem } => Err(problem),
            response => Ok(Json(response).into_response()),
        }
    };
    respond(answered.await)
}

/// Refuses what a key may not ask.
fn may(caller: &Caller, request: &DeviceRequest) -> Result<(), Problem> {
    if request.is_local() {
        return Err(Problem::new(
            ErrorCode::LocalOnly,
            "only that computer's own window and command line may ask this",
        ));
    }
    match request {
        DeviceRequest::Cancel { .. } => caller.needs(Scope::TasksRun),
        DeviceRequest::AnswerApproval { .. } => caller.needs(Scope::Approve),
        // Everything else reads, which watching a device includes.
        _ => Ok(()),
    }
}

/// Says who answers a question, whatever the request says.
fn signed(caller: &Caller, mut request: DeviceRequest) -> DeviceRequest {
    if let DeviceRequest::AnswerApproval { by, .. } = &mut request {
        *by = approver(caller);
    }
    request
}

/// A caller as one who answers questions.
pub(super) fn approver(caller: &Caller) -> Approver {
    Approver {
        name: caller.key.view.name.clone(),
        door: ApprovalDoor::Relay,
        key_id: Some(caller.key.view.key_id.clone()),
    }
}
