//! `/api/devices/{device}/timeline`, also at `/api/bot/{device}/timeline`: a page of the log, and the
//! log as server-sent events for who cannot open a WebSocket; and the tickets that open one.

use std::convert::Infallible;

use axum::{
    Json,
    extract::{Path, Query, State as Extract, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response, sse::Event as SseEvent},
};
use deskhand_protocol::{
    Cursor, DeviceId, ErrorCode, Problem, TaskStatus, Timestamp, limits::TIMELINE_ENTRIES,
    timeline::TimelineFilters,
};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use super::{
    auth::Caller,
    events::{self, stopping},
    problem, respond,
    watch::watched,
};
use crate::{
    State,
    broker::{Page, PageQuery},
    clock::now,
    follow::{Beginning, Follow, Next},
    timeline::{Filter, seq_of, with_cursor},
};

/// Entries on one page.
const PAGE: u32 = 100;

/// Which page of a timeline, as the query says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    limit: Option<u32>,
    offset: Option<u32>,
    cursor: Option<Cursor>,
    after: Option<Cursor>,
    source: Option<String>,
    status: Option<TaskStatus>,
    success: Option<bool>,
    action: Option<String>,
    task_id: Option<String>,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
}

/// `GET …/timeline`: newest first, or oldest first with `after`.
pub(super) async fn page(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
    params: Result<Query<PageParams>, QueryRejection>,
) -> Response {
    let shown = async {
        let device = watched(&state, &caller, &device)?.device_id.clone();
        let Query(params) = params
            .map_err(|rejection| Problem::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        let query = page_query(&state, params)?;
        let page = state.broker.timeline_page(device.clone(), query).await;
        let text = page_text(&state, &device, &page.map_err(Problem::from)?);
        Ok(([(header::CONTENT_TYPE, "application/json")], text))
    };
    respond(shown.await)
}

fn page_query(state: &State, params: PageParams) -> Result<PageQuery, Problem> {
    let most = u32::try_from(TIMELINE_ENTRIES).unwrap_or(u32::MAX);
    let limit = params.limit.unwrap_or(PAGE);
    let offset = params.offset.unwrap_or(0);
    if !(1..=PAGE).contains(&limit) || offset > most {
        let error = format!("limit must be 1 to {PAGE}, offset at most {most}");
        return Err(Problem::new(ErrorCode::InvalidRequest, error));
    }
    if params.cursor.is_some() && params.after.is_some() {
        return Err(Problem::new(
            ErrorCode::InvalidRequest,
            "cursor goes back and after goes on: name one of them",
        ));
    }
    let place = |cursor: Option<Cursor>| match cursor {
        Some(cursor) if *cursor.log_id != **state.broker.log_id() => Err(Problem::new(
            ErrorCode::InvalidRequest,
            "the cursor belongs to a log this relay does not have",
        )
        .with_hint("begin again without a cursor")),
        other => Ok(other.as_ref().map(seq_of)),
    };
    Ok(PageQuery {
        filter: Filter::new(TimelineFilters {
            source: params.source,
            status: params.status,
            success: params.success,
            action: params.action,
            task_id: params.task_id,
        }),
        start: params.start_time,
        end: params.end_time,
        before: place(params.cursor)?,
        after: place(params.after)?,
        offset,
        limit,
    })
}

/// Writes a page; its entries are JSON already.
fn page_text(state: &State, device: &DeviceId, page: &Page) -> String {
    let log_id = state.broker.log_id();
    let entries: Vec<String> = page
        .entries
        .iter()
        .map(|entry| with_cursor(&entry.message, log_id, entry.id))
        .collect();
    let next = page.entries.last().filter(|_| page.has_more);
    format!(
        r#"{{"bot_id":{},"total_count":{},"entries_count":{},"has_more":{},"next_cursor":{},"entries":[{}],"timestamp":{}}}"#,
        json!(device),
        page.n_matching,
        entries.len(),
        page.has_more,
        json!(next.map(|last| state.cursor(last.id))),
        entries.join(","),
        json!(now()),
    )
}

/// `GET …/timeline/events`: the last 50, or all after `Last-Event-ID`, then what is added. The id of
/// an event is its cursor; the end of a reader that fell behind, or whose log is gone, is a `gap`.
pub(super) async fn follow(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
    params: Result<Query<PageParams>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let begun = async {
        let device = watched(&state, &caller, &device)?;
        let Query(params) = params
            .map_err(|rejection| Problem::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        let cursor = match headers.get("last-event-id").map(|id| id.to_str()) {
            None => params.after,
            Some(Ok(id)) => Some(id.parse().map_err(|error| {
                Problem::new(ErrorCode::InvalidRequest, format!("Last-Event-ID: {error}"))
            })?),
            Some(Err(_)) => return Err(Problem::new(ErrorCode::InvalidRequest, "Last-Event-ID")),
        };
        let filter = Filter::new(TimelineFilters {
            source: params.source,
            status: params.status,
            success: params.success,
            action: params.action,
            task_id: params.task_id,
        });
        let begun = Follow::begin(&state, &device.device_id, filter, cursor).await;
        begun.map_err(Problem::from)?.ok_or_else(stopping)
    };
    match begun.await {
        Ok((beginning, timeline)) => {
            let stopped = state.stopping.clone().cancelled_owned();
            events::respond(stream_of(beginning, timeline).take_until(Box::pin(stopped)))
        }
        Err(refused) => problem(refused),
    }
}

fn stream_of(
    beginning: Beginning,
    timeline: Follow,
) -> impl Stream<Item = Result<SseEvent, Infallible>> + Send {
    let lost = beginning.gap.map(|(from, to)| gap(&from, &to, true));
    let first = lost
        .into_iter()
        .chain(beginning.entries.iter().map(|(_, text)| sse_event(text)));
    let first: Vec<SseEvent> = first.collect();
    let later = stream::unfold(timeline, |mut timeline| async move {
        let events = match timeline.next().await.ok()?? {
            Next::Messages(messages) => messages.iter().map(|text| sse_event(text)).collect(),
            Next::FellOut(from, to) => vec![gap(&from, &to, false)],
        };
        Some((stream::iter(events), timeline))
    });
    stream::iter(first).chain(later.flatten()).map(Ok)
}

/// The cursor of a message is the last thing in it.
fn sse_event(text: &str) -> SseEvent {
    let cursor = text.rsplit("\"cursor\":\"").next();
    let cursor = cursor.and_then(|rest| rest.strip_suffix("\"}"));
    SseEvent::default()
        .id(cursor.unwrap_or_default())
        .data(text)
}

fn gap(from: &Cursor, to: &Cursor, lost: bool) -> SseEvent {
    let cursor = if lost { to } else { from };
    let message = json!({"type": "gap", "from": from, "to": to, "lost": lost, "cursor": cursor});
    SseEvent::default()
        .id(cursor.to_string())
        .data(message.to_string())
}

/// `POST /api/stream-tickets`: a key for one WebSocket.
pub(super) async fn ticket(caller: Caller, Extract(state): Extract<State>) -> Response {
    let issued = state.tickets.issue(caller.key);
    respond(issued.map(|ticket| (StatusCode::CREATED, Json(ticket)).into_response()))
}
