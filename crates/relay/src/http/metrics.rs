//! `GET /metrics`: what the relay counts, for Prometheus. Needs a key with `devices:read` that is
//! limited to no device: the figures are of all of them.

use axum::{
    extract::State as Extract,
    http::header,
    response::{IntoResponse, Response},
};
use deskhand_protocol::{ErrorCode, Problem, relay_request::Scope};

use super::{auth::Caller, respond};
use crate::{State, metrics::Now};

/// The text format of OpenMetrics 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers with everything.
pub(super) async fn show(caller: Caller, Extract(state): Extract<State>) -> Response {
    let shown = async {
        caller.needs(Scope::DevicesRead)?;
        if caller.key.view.devices.is_some() {
            let error = "the figures are of all devices, and this key is limited to some";
            return Err(Problem::new(ErrorCode::Forbidden, error));
        }
        let now = Now {
            n_devices: state.registry.n_connected(),
            n_watchers: state.feed.n_watchers(),
            n_open_tasks: state.broker.count_open().await.map_err(Problem::from)?,
            n_waiting_tasks: state.broker.count_waiting().await.map_err(Problem::from)?,
        };
        let text = state.metrics.text(&now);
        Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
    };
    respond(shown.await)
}
