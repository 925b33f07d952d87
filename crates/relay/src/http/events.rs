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
use deskhand_protocol::TaskId;
use futures_util::{Stream, StreamExt, stream};

use super::{auth::Caller, problem, tasks::visible};
use crate::{State, broker::LoggedEvent};

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
    let events = follow(state, record.task.task_id, last.unwrap_or(0));
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response()
}

fn follow(
    state: State,
    task: TaskId,
    after: i64,
) -> impl Stream<Item = Result<SseEvent, Infallible>> + Send {
    let changed = state.broker.watch(task);
    let pages = stream::unfold(Some((after, changed)), move |place| {
        let state = state.clone();
        async move {
            let (after, mut changed) = place?;
            loop {
                changed.mark_unchanged();
                let events = state.broker.events(task, after).await.ok()?;
                if let Some(last) = events.last() {
                    let ended = events
                        .iter()
                        .any(|logged| logged.event.kind.outcome().is_some());
                    let next = (!ended).then_some((last.id, changed));
                    return Some((events, next));
                }
                tokio::select! {
                    changed = changed.changed() => changed.ok()?,
                    () = state.stopping.cancelled() => return None,
                }
            }
        }
    });
    pages.flat_map(|events| stream::iter(events.into_iter().filter_map(sse_event).map(Ok)))
}

fn sse_event(logged: LoggedEvent) -> Option<SseEvent> {
    let text = serde_json::to_string(&logged.event).ok()?;
    Some(SseEvent::default().id(logged.id.to_string()).data(text))
}
