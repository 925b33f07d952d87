//! The events table: what devices reported, in the order the relay stored it.

use deskhand_protocol::{DeviceId, Event, TaskId};
use rusqlite::{Connection, params};

use super::{blob, json, to_json};
use crate::clock::now;

/// Events in one page.
const PAGE: i64 = 256;

/// An event and its place in the relay's log.
#[derive(Debug, Clone)]
pub(crate) struct LoggedEvent {
    pub(crate) id: i64,
    pub(crate) event: Event,
}

pub(super) fn put(c: &Connection, device: &DeviceId, event: &Event) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT INTO events (device_id, task_id, at, event) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            device.as_str(),
            blob(event.task_id),
            event.at.as_millisecond(),
            to_json(event)?
        ])?;
    Ok(())
}

pub(super) fn put_custom(
    c: &Connection,
    devices: &[DeviceId],
    event: &serde_json::Value,
) -> rusqlite::Result<()> {
    let text = to_json(event)?;
    for device in devices {
        c.execute(
            "INSERT INTO events (device_id, task_id, at, event) VALUES (?1, NULL, ?2, ?3)",
            params![device.as_str(), now().as_millisecond(), text],
        )?;
    }
    Ok(())
}

pub(super) fn of_task(
    c: &Connection,
    task: TaskId,
    after: i64,
) -> rusqlite::Result<Vec<LoggedEvent>> {
    c.prepare_cached(
        "SELECT id, event FROM events WHERE task_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?
    .query_map(params![blob(task), after, PAGE], |row| {
        Ok(LoggedEvent {
            id: row.get(0)?,
            event: json(row, 1)?,
        })
    })?
    .collect()
}
