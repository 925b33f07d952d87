//! The HTTP doors: one file per resource.

mod actions;
mod answer;
mod approvals;
mod arrival;
mod auth;
mod bots;
mod callers;
mod device_requests;
mod devices;
mod error;
mod events;
mod github;
mod health;
mod instructions;
mod metrics;
mod openapi;
pub(crate) mod rate;
mod request_id;
mod session;
mod tasks;
mod timeline;
mod viewer;
mod watch;
mod webhook;

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, delete, get, post},
};
use deskhand_protocol::{ErrorCode, Problem, limits::MAX_BODY_BYTES};
use futures_util::StreamExt;

pub(crate) use auth::{Caller, access_token, bearer};
pub(crate) use error::problem;
pub(crate) use session::asked_by_own_name;

use crate::{Shared, State, device, mcp, oauth};

/// Bytes of a body that is too large that are read and thrown away, so that its sender hears the
/// answer instead of a broken connection.
const DRAIN_BYTES: usize = 64 * 1024 * 1024;

/// Every door of the relay.
pub(crate) fn router(state: State) -> Router {
    Router::new()
        .route("/", get(viewer::root))
        .route("/health", get(health::health))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
        .route("/llm-instructions", get(instructions::show))
        .route("/openapi-actions.json", get(actions::document))
        .route("/api/prompts/{assistant}", get(instructions::for_assistant))
        .route("/api/tools/{tool}", post(actions::call))
        .route("/webhook", post(webhook::receive))
        .route("/api/tasks", get(tasks::list).post(tasks::submit))
        .route("/api/tasks/{task}", get(tasks::show))
        .route("/api/tasks/{task}/cancel", post(tasks::cancel))
        .route("/api/tasks/{task}/stop", post(tasks::cancel))
        .route("/api/tasks/{task}/run", post(tasks::run))
        .route("/api/tasks/{task}/approval", post(approvals::answer))
        .route("/api/tasks/{task}/output", get(tasks::output))
        .route("/api/tasks/{task}/events", get(events::stream))
        .route("/api/devices", get(devices::list))
        .route(
            "/api/devices/{device}",
            get(devices::show)
                .patch(devices::rename)
                .delete(devices::remove),
        )
        .route("/api/devices/{device}/pause", post(devices::pause))
        .route("/api/devices/{device}/resume", post(devices::resume))
        .route("/api/devices/{device}/timeline", get(timeline::page))
        .route(
            "/api/devices/{device}/timeline/events",
            get(timeline::follow),
        )
        .route("/api/stream-tickets", post(timeline::ticket))
        .route("/api/task", post(bots::submit))
        .route("/api/bot/{device}/timeline", get(timeline::page))
        .route("/api/bot/{device}/pause", post(bots::pause))
        .route("/api/bot/{device}/resume", post(bots::resume))
        .route("/status", get(bots::status))
        .route("/ws/devices/{device}/timeline", get(watch::timeline))
        .route("/ws/bot/{device}/timeline", get(watch::timeline))
        .route("/ws/tasks/{task}", get(watch::task))
        .route("/api/callers", get(callers::list))
        .route("/api/callers/{caller}", delete(callers::revoke))
        .route("/api/pairing-codes", post(devices::create_code))
        .route("/api/enrol", post(devices::enrol))
        .route(
            "/api/session",
            get(session::show).post(session::begin).delete(session::end),
        )
        .route(
            "/api/device-requests/{device}",
            post(device_requests::answer),
        )
        .route("/link", any(device::link))
        .merge(mcp::router(&state))
        .merge(oauth::router(&state))
        .fallback(viewer::file)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), rate::limit))
        .layer(from_fn_with_state(state.clone(), arrival::admit))
        .layer(from_fn(request_id::name))
        .with_state(state)
}

async fn not_found() -> Response {
    problem(Problem::new(
        ErrorCode::NotFound,
        "there is nothing at this address",
    ))
}

async fn method_not_allowed() -> Response {
    let mut response = problem(Problem::new(
        ErrorCode::InvalidRequest,
        "this address does not take this method",
    ));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// Tells whether a host, as a request names it, is one of the relay's own names.
pub(crate) fn is_own_name(state: &Shared, host: &str) -> bool {
    host.parse()
        .is_ok_and(|host| session::is_own_name(state, &host))
}

/// Reads a body of at most 256 KiB.
pub(crate) async fn read_body(request: Request) -> Result<Bytes, Problem> {
    let mut body = Vec::new();
    let mut n_drained = 0;
    let mut stream = request.into_body().into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(ErrorCode::InvalidRequest, "the body broke off"))?;
        if n_drained > 0 || body.len() + chunk.len() > MAX_BODY_BYTES {
            n_drained += chunk.len();
            if n_drained > DRAIN_BYTES {
                break;
            }
            continue;
        }
        body.extend_from_slice(&chunk);
    }
    if n_drained > 0 {
        return Err(Problem::new(
            ErrorCode::TooLarge,
            "the body is larger than 262144 bytes",
        ));
    }
    Ok(body.into())
}

/// Reads a body that is JSON of a known shape; the error names the path of the fault.
async fn read_json<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let body = read_body(request).await?;
    let value: serde_json::Value = serde_json::from_slice(&body)
        .map_err(|_| Problem::new(ErrorCode::InvalidJson, "Invalid JSON payload"))?;
    read_value(value)
}

/// Reads JSON of a known shape; the error names the path of the fault.
fn read_value<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        Problem::new(
            ErrorCode::InvalidRequest,
            format!("{}: {}", error.path(), error.inner()),
        )
    })
}

/// Turns a result into a response, with problem details for what went wrong.
fn respond(result: Result<impl IntoResponse, Problem>) -> Response {
    match result {
        Ok(response) => response.into_response(),
        Err(refused) => problem(refused),
    }
}
