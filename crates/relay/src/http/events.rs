//! `GET /api/tasks/{id}/events`: a task's events as they are stored, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Path, State as Extract},
    http::HeaderMap,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event as SseEvent, KeepAlive},
    },
};
use deskhand_protocol::{ErrorCode, Problem};
use futures_util::{Stream, stream};

use super::{auth::Caller, problem};
use crate::{State, broker::LoggedEvent, known_tasks::visible, task_events::TaskEvents};

/// How often a quiet stream shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams from the first event, or from the one after `Last-Event-ID`; ends after the terminal one.
pub(super) async fn stream(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(task): Path<String>,
    headers: HeaderMap,
) -> Response {
    let record = match visible(&state, &caller, &task).await {
        Ok(record) => record,
        Err(refused) => return problem(refused),
    };
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    match TaskEvents::after(&state, &record, last.unwrap_or(0)).await {
        Some(events) => respond(follow(events)),
        None => problem(stopping()),
    }
}

fn follow(events: TaskEvents) -> impl Stream<Item = Result<SseEvent, Infallible>> + Send {
    stream::unfold(events, |mut events| async move {
        let logged = events.next().await.ok()??;
        Some((Ok(sse_event(&logged)), events))
    })
}

fn sse_event(logged: &LoggedEvent) -> SseEvent {
    let text = serde_json::to_string(&logged.event).expect("an event has only string keys");
    SseEvent::default().id(logged.id.to_string()).data(text)
}

/// Answers with a stream that shows that it is alive.
pub(super) fn respond(
    events: impl Stream<Item = Result<SseEvent, Infallible>> + Send + 'static,
) -> Response {
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response()
}

/// What a door says when the relay ends.
pub(super) fn stopping() -> Problem {
    Problem::new(ErrorCode::ShuttingDown, "the relay is restarting")
}
