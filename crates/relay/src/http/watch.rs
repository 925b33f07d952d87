//! The WebSocket doors: a device's timeline, and one task.

use std::sync::Arc;

use axum::{
    extract::{
        Path, Query, State as Extract, WebSocketUpgrade,
        rejection::QueryRejection,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use deskhand_protocol::{ErrorCode, Problem, limits::SOCKET_BUFFER_BYTES, relay_request::Scope};
use serde::Deserialize;

use super::{auth::Caller, error::problem};
use crate::{
    State,
    devices::Device,
    feed::WatcherPlace,
    known_tasks::visible,
    subscriber::Subscriber,
    task_stream::{self, TaskStream},
};

/// Watchers of one relay; each costs it some 10 KB.
const MOST_WATCHERS: usize = 4_096;

/// Largest frame of a watcher: it says little.
const MAX_WATCHER_BYTES: usize = 16 * 1024;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// `GET /ws/devices/{device}/timeline`, also `/ws/bot/{device}/timeline`.
pub(super) async fn timeline(
    Extract(state): Extract<State>,
    Path(device): Path<String>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    let admitted = Caller::of_socket(&state, &headers).and_then(|(caller, subprotocol)| {
        let device = watched(&state, &caller, &device)?;
        Ok((caller, subprotocol, device, place(&state)?))
    });
    let (caller, subprotocol, device, place) = match admitted {
        Ok(admitted) => admitted,
        Err(refused) => return problem(refused),
    };
    accept(upgrade, subprotocol, move |socket| {
        let subscriber = Subscriber {
            state: state.clone(),
            socket,
            device,
            key: caller.key,
            place,
        };
        state.track_watcher(subscriber.run())
    })
}

/// What a watcher of a task may ask for.
#[derive(Debug, Deserialize)]
pub(super) struct TaskQuery {
    since_event_id: Option<i64>,
}

/// `GET /ws/tasks/{task}`.
pub(super) async fn task(
    Extract(state): Extract<State>,
    Path(task): Path<String>,
    query: Result<Query<TaskQuery>, QueryRejection>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    let admitted = Caller::of_socket(&state, &headers).and_then(|(caller, subprotocol)| {
        let Query(query) = query
            .map_err(|rejection| Problem::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        Ok((caller, subprotocol, query, place(&state)?))
    });
    let (caller, subprotocol, query, place) = match admitted {
        Ok(admitted) => admitted,
        Err(refused) => return problem(refused),
    };
    let found = visible(&state, &caller, &task).await;
    accept(upgrade, subprotocol, move |socket| {
        let tracked = state.clone();
        tracked.track_watcher(async move {
            let record = match found {
                Ok(record) => record,
                Err(refused) => return task_stream::refuse(socket, refused.error).await,
            };
            state.start_held(&record).await;
            let stream = TaskStream {
                state,
                record,
                key: caller.key,
                since: query.since_event_id,
                place,
            };
            stream.run(socket).await;
        })
    })
}

fn accept<F>(
    upgrade: Upgrade,
    subprotocol: Option<String>,
    serve: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let error = format!("this address is a WebSocket: {}", rejection.body_text());
            return problem(Problem::new(ErrorCode::InvalidRequest, error));
        }
    };
    // A browser closes a socket whose server names none of the subprotocols it offered.
    let upgrade = upgrade.protocols(subprotocol);
    upgrade
        .read_buffer_size(SOCKET_BUFFER_BYTES)
        .write_buffer_size(SOCKET_BUFFER_BYTES)
        .max_message_size(MAX_WATCHER_BYTES)
        .max_frame_size(MAX_WATCHER_BYTES)
        .on_upgrade(serve)
        .into_response()
}

fn place(state: &State) -> Result<WatcherPlace, Problem> {
    state.feed.place(MOST_WATCHERS).ok_or_else(|| {
        let error = format!("{MOST_WATCHERS} watch already");
        Problem::new(ErrorCode::RateLimited, error)
    })
}

/// Returns the device whose timeline a caller may see.
pub(super) fn watched(
    state: &State,
    caller: &Caller,
    device: &str,
) -> Result<Arc<Device>, Problem> {
    let found = state.devices.find(device);
    let found = found.filter(|device| caller.key.reaches(&device.device_id));
    let found = found.ok_or_else(|| {
        Problem::new(
            ErrorCode::UnknownDevice,
            format!("this key reaches no device `{device}`"),
        )
    })?;
    caller.needs(Scope::DevicesRead)?;
    Ok(found)
}
