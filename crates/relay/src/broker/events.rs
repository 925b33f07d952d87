//! The events table: what devices reported and what the relay found, in the order the relay stored
//! it. It is the log behind every timeline: a row holds the event, the message that watchers get and
//! the columns that filters are tested against.

use deskhand_protocol::{
    DeviceId, Event, TaskId, Timestamp, schedule::LeftOutRuns, timeline::WaitsFor,
};
use rusqlite::{Connection, params};

use super::{blob, json, to_json};
use crate::{
    clock::now,
    timeline::{self, About, Entry},
};

/// Events in one page.
const PAGE: i64 = 256;

/// What the log has instead of an event where an entry is the timeline's own.
const NO_EVENT: &str = "";

/// An event and its place in the relay's log.
#[derive(Debug, Clone)]
pub(crate) struct LoggedEvent {
    pub(crate) id: i64,
    pub(crate) event: Event,
}

/// Stores an event of a task.
pub(super) fn put(
    c: &Connection,
    device: &DeviceId,
    event: &Event,
    about: &About,
) -> rusqlite::Result<()> {
    let entry = timeline::of_event(device, event, about);
    insert(c, device, event.at, &to_json(event)?, &entry)
}

/// Notes that a task waits, for its device or to be started.
pub(super) fn put_queued(
    c: &Connection,
    device: &DeviceId,
    task: &deskhand_protocol::Task,
    held: bool,
) -> rusqlite::Result<()> {
    let waits_for = match held {
        true => WaitsFor::Start,
        false => WaitsFor::Device,
    };
    let entry = timeline::of_queued(device, task, waits_for);
    insert(c, device, task.created_at, NO_EVENT, &entry)
}

/// Notes that runs of a schedule were left out.
pub(super) fn put_left_out(
    c: &Connection,
    device: &DeviceId,
    runs: &LeftOutRuns,
    at: Timestamp,
) -> rusqlite::Result<()> {
    insert(
        c,
        device,
        at,
        NO_EVENT,
        &timeline::of_left_out(device, runs, at),
    )
}

/// Notes that a device came, or why it went.
pub(super) fn put_presence(
    c: &Connection,
    device: &DeviceId,
    away: Option<&str>,
) -> rusqlite::Result<()> {
    let at = now();
    insert(
        c,
        device,
        at,
        NO_EVENT,
        &timeline::of_presence(device, away, at),
    )
}

/// Stores an event from outside, for each of the devices.
pub(super) fn put_custom(
    c: &Connection,
    devices: &[DeviceId],
    event: &serde_json::Value,
) -> rusqlite::Result<()> {
    let (text, at) = (to_json(event)?, now());
    for device in devices {
        insert(
            c,
            device,
            at,
            &text,
            &timeline::of_custom(device, event, at),
        )?;
    }
    Ok(())
}

fn insert(
    c: &Connection,
    device: &DeviceId,
    at: Timestamp,
    event: &str,
    entry: &Entry,
) -> rusqlite::Result<()> {
    let facets = &entry.facets;
    c.prepare_cached(
        "INSERT INTO events (device_id, task_id, at, event, name, source, action, status, success, message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        device.as_str(),
        facets.task_id.map(blob),
        at.as_millisecond(),
        event,
        facets.name,
        facets.source,
        facets.action,
        facets.status.map(|status| status.as_str()),
        facets.success,
        entry.message,
    ])?;
    Ok(())
}

/// Returns the events of a task after a place in the log.
pub(super) fn of_task(
    c: &Connection,
    task: TaskId,
    after: i64,
) -> rusqlite::Result<Vec<LoggedEvent>> {
    c.prepare_cached(
        "SELECT id, event FROM events WHERE task_id = ?1 AND id > ?2 AND event <> '' ORDER BY id LIMIT ?3",
    )?
    .query_map(params![blob(task), after, PAGE], |row| {
        Ok(LoggedEvent {
            id: row.get(0)?,
            event: json(row, 1)?,
        })
    })?
    .collect()
}

/// Returns the place before the last events of a task, so many of them.
pub(super) fn place_before_last(c: &Connection, task: TaskId, n: u32) -> rusqlite::Result<i64> {
    let first: Option<i64> = c
        .prepare_cached(
            "SELECT min(id) FROM (SELECT id FROM events WHERE task_id = ?1 AND event <> ''
             ORDER BY id DESC LIMIT ?2)",
        )?
        .query_row(params![blob(task), n], |row| row.get(0))?;
    Ok(first.map_or(0, |first| first - 1))
}
