//! What a caller hears when something went wrong: the status of a code, and RFC 9457 problem details.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{ErrorCode, Problem, TaskName};
use serde::Serialize;
use utoipa::ToSchema;

/// Problem details (RFC 9457), with our stable code and a sentence under `error` as well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemDetails)]
pub(super) struct Details<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: ErrorCode,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a TaskName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// Answers with a problem.
pub(crate) fn problem(problem: Problem) -> Response {
    problem_about(&problem, None)
}

/// Answers with a problem about a task.
pub(crate) fn problem_about(problem: &Problem, task_id: Option<&TaskName>) -> Response {
    let status = status_of(problem.code);
    let details = Details {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: &problem.error,
        code: problem.code,
        error: &problem.error,
        task_id,
        hint: problem.hint.as_deref(),
    };
    let mut response = with_retry_after(problem.code, (status, Json(details)).into_response());
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Tells a caller that may try again when to.
pub(crate) fn with_retry_after(code: ErrorCode, mut response: Response) -> Response {
    let seconds = match code {
        ErrorCode::MailboxFull | ErrorCode::ShuttingDown => "1",
        ErrorCode::RateLimited => "60",
        _ => return response,
    };
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    response
}

/// Returns the status that goes with a code.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidJson
        | ErrorCode::InvalidRequest
        | ErrorCode::MissingTaskId
        | ErrorCode::InvalidPairingCode => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden
        | ErrorCode::InsecureTransport
        | ErrorCode::LocalOnly
        | ErrorCode::InvalidSignature => StatusCode::FORBIDDEN,
        ErrorCode::NotFound | ErrorCode::UnknownDevice => StatusCode::NOT_FOUND,
        ErrorCode::TaskIdConflict | ErrorCode::AlreadyAnswered | ErrorCode::NoSuchQuestion => {
            StatusCode::CONFLICT
        }
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::MissingActionType
        | ErrorCode::UnknownActionType
        | ErrorCode::UnsupportedAction
        | ErrorCode::MissingCommand
        | ErrorCode::InvalidCommand
        | ErrorCode::DeviceAmbiguous => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::MailboxFull | ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::NoDevice
        | ErrorCode::DeviceOffline
        | ErrorCode::DevicePaused
        | ErrorCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::WaitOver => StatusCode::GATEWAY_TIMEOUT,
        // The rest says how a task ended, and travels in results.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
