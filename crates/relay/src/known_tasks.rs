//! What a caller may do with a task that is there: find it, wait for it, cancel it, read what it
//! printed. Every door calls these, so that what one of them hides none of them shows.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deskhand_protocol::{
    ErrorCode, Problem, Source, TaskId, TaskStatus,
    device_request::{DeviceRequest, DeviceResponse},
    event::Stream,
    limits::MAX_RANGE_BYTES,
    relay_request::Scope,
};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    State,
    broker::{Cancelled, ListFilter, Record},
    http::Caller,
    submit,
    waiters::Ended,
};

/// Tasks on one page.
const PAGE: u32 = 100;

/// How long a device may take to read a range of output.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Returns a task by its uid or the caller's own name for it; what a caller may not see is not there.
pub(crate) async fn visible(state: &State, caller: &Caller, task: &str) -> Result<Record, Problem> {
    let not_found = || Problem::new(ErrorCode::NotFound, format!("there is no task `{task}`"));
    let by_id = match task.parse::<TaskId>() {
        Ok(task_id) => state.broker.get(task_id).await.map_err(Problem::from)?,
        Err(_) => None,
    };
    let found = match (by_id, task.parse()) {
        (Some(record), _) => Some(record),
        (None, Ok(name)) => {
            let key = caller.key.view.key_id.clone();
            state.broker.find(key, name).await.map_err(Problem::from)?
        }
        (None, Err(_)) => None,
    };
    let record = found.ok_or_else(not_found)?;
    let own = record.task.caller.key_id.as_ref() == Some(&caller.key.view.key_id);
    let sees_own = own && (caller.key.may(Scope::TasksRead) || caller.key.may(Scope::TasksRun));
    let sees_device = caller.key.may(Scope::DevicesRead) && caller.key.reaches(&record.device);
    if sees_own || sees_device {
        Ok(record)
    } else {
        Err(not_found())
    }
}

/// Which tasks to list, as a caller says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    pub(crate) status: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) q: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<String>,
}

/// Lists tasks, newest first, and says where the next page begins. A key with `devices:read` sees all
/// tasks of its devices, another its own.
pub(crate) async fn list(
    state: &State,
    caller: &Caller,
    query: ListQuery,
) -> Result<(Vec<Record>, Option<String>), Problem> {
    let filter = filter(state, caller, query)?;
    let limit = filter.limit;
    let records = state.broker.list(filter).await?;
    let full = u32::try_from(records.len()).is_ok_and(|n| n == limit);
    let next_cursor = records
        .last()
        .filter(|_| full)
        .map(|last| last.task.task_id.to_string());
    Ok((records, next_cursor))
}

fn filter(state: &State, caller: &Caller, query: ListQuery) -> Result<ListFilter, Problem> {
    let unknown = |what: &str, word: &str| {
        Problem::new(
            ErrorCode::InvalidRequest,
            format!("{what}: unknown value `{word}`"),
        )
    };
    let sees_all = caller.key.may(Scope::DevicesRead);
    if !sees_all {
        caller.needs(Scope::TasksRead)?;
    }
    let device = match &query.device {
        Some(device) => Some(vec![
            submit::choose_device(state, &caller.key, Some(device))?
                .device_id
                .clone(),
        ]),
        None => caller.key.view.devices.clone().filter(|_| sees_all),
    };
    Ok(ListFilter {
        key: (!sees_all).then(|| caller.key.view.key_id.clone()),
        devices: device,
        status: query
            .status
            .map(|word| TaskStatus::parse(&word).ok_or_else(|| unknown("status", &word)))
            .transpose()?,
        source: query
            .source
            .map(|word| Source::parse(&word).ok_or_else(|| unknown("source", &word)))
            .transpose()?,
        action: query.action,
        text: query.q.filter(|text| !text.is_empty()),
        before: query
            .cursor
            .map(|cursor| cursor.parse().map_err(|_| unknown("cursor", &cursor)))
            .transpose()?,
        limit: query.limit.unwrap_or(PAGE).clamp(1, PAGE),
    })
}

/// Waits until a task has ended, at most as long as given, and returns it as it is then. Dropping it
/// ends the wait only.
pub(crate) async fn wait(
    state: &State,
    record: Record,
    wait: Duration,
) -> Result<Arc<Record>, Problem> {
    let task_id = record.task.task_id;
    let deadline = Instant::now() + wait;
    // Registered before the store is read: an end from here on is heard.
    let mut waiter = state.waiters.register(task_id);
    let now = state.broker.get(task_id).await.map_err(Problem::from)?;
    let record = now.unwrap_or(record);
    if record.status.is_terminal() {
        return Ok(Arc::new(record));
    }
    tokio::select! {
        ended = waiter.ended() => {
            if let Some(Ended::Finished(record)) = ended {
                return Ok(record);
            }
        }
        () = tokio::time::sleep_until(deadline) => {}
        () = state.stopping.cancelled() => {}
    }
    let now = state.broker.get(task_id).await.map_err(Problem::from)?;
    Ok(Arc::new(now.unwrap_or(record)))
}

/// Asks for the end of a task, and returns the task as it is then. One that has ended stays as it is.
pub(crate) async fn cancel(state: &State, record: Record) -> Result<Record, Problem> {
    let task_id = record.task.task_id;
    match state.broker.cancel(task_id).await.map_err(Problem::from)? {
        Cancelled::Now(record) => {
            state.metrics.task_ended(&record);
            state
                .waiters
                .resolve(task_id, &Ended::Finished(Arc::new(*record)));
        }
        Cancelled::Asked(device) => state.registry.cancel(&device, task_id),
        Cancelled::Ended | Cancelled::Unknown => {}
    }
    let now = state.broker.get(task_id).await.map_err(Problem::from)?;
    Ok(now.unwrap_or(record))
}

/// Bytes of a stream, as the device has them.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    /// How long the stream is so far.
    pub(crate) total: u64,
    /// Whether nothing will be added.
    pub(crate) complete: bool,
}

/// Reads exact bytes of what a task printed from its device, at most [`MAX_RANGE_BYTES`].
pub(crate) async fn read_output(
    state: &State,
    record: &Record,
    stream: Stream,
    offset: u64,
    limit: u64,
) -> Result<Range, Problem> {
    let request = DeviceRequest::Output {
        task_id: record.task.task_id,
        stream,
        offset,
        limit: limit.clamp(1, MAX_RANGE_BYTES),
    };
    let answered = state.registry.ask(&record.device, request, READ_WITHIN);
    let range = match answered.await? {
        DeviceResponse::Output(range) => range,
        DeviceResponse::Problem { problem } => return Err(problem),
        _ => {
            let error = "the device answered something else";
            return Err(Problem::new(ErrorCode::Internal, error));
        }
    };
    let bytes = STANDARD
        .decode(&range.base64)
        .map_err(|_| Problem::new(ErrorCode::Internal, "the device sent bytes we cannot read"))?;
    Ok(Range {
        offset: range.offset,
        bytes,
        total: range.total,
        complete: range.complete,
    })
}
