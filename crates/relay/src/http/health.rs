//! Whether the relay is there and works.

use axum::{
    Json,
    extract::State as Extract,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use deskhand_protocol::webhook::Health;

use crate::{State, clock::now};

/// `GET /`.
pub(super) async fn root(state: Extract<State>) -> Json<Health> {
    health(state).await
}

/// `GET /health`: the promised shape.
pub(super) async fn health(Extract(state): Extract<State>) -> Json<Health> {
    Json(Health {
        status: "running".to_owned(),
        service: "deskhand-relay".to_owned(),
        connected_clients: state.registry.n_connected(),
        timestamp: now(),
    })
}

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the store can be read and the relay takes tasks.
pub(super) async fn ready(Extract(state): Extract<State>) -> Response {
    if state.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match state.broker.count_open().await {
        Ok(_) => "ready\n".into_response(),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n",
        )
            .into_response(),
    }
}
