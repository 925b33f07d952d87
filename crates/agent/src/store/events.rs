//! The events of all tasks in one order, which is the outbox as well: what the relay has not
//! acknowledged is read from here and sent again.

use deskhand_protocol::{Event, EventKind, Seq, TaskId, Timestamp};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_json, id_bytes, id_from, time, to_json};

pub(super) const MIGRATION: Migration = Migration {
    name: "events",
    // AUTOINCREMENT: a number that was given is never given again, also when its event was deleted.
    sql: "
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id BLOB NOT NULL,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL
);
CREATE INDEX events_of_task ON events (task_id, seq);
",
};

/// Most bytes of events one page holds, so that a page is a small part of a frame and of memory.
const PAGE_BYTES: usize = 512 * 1024;

/// Stores what happened under the next number.
pub(crate) fn append(
    conn: &Connection,
    task_id: TaskId,
    at: Timestamp,
    kind: EventKind,
) -> rusqlite::Result<Event> {
    conn.prepare_cached("INSERT INTO events (task_id, at, kind) VALUES (?1, ?2, ?3)")?
        .execute(params![
            id_bytes(task_id),
            at.as_microsecond(),
            to_json(&kind)?
        ])?;
    let seq = Seq(conn.last_insert_rowid().cast_unsigned());
    Ok(Event {
        seq,
        task_id,
        at,
        kind,
    })
}

/// Returns the number of the last event ever stored.
pub(crate) fn last_seq(conn: &Connection) -> rusqlite::Result<Seq> {
    let seq: Option<i64> = conn
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'events'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(Seq(seq.unwrap_or(0).cast_unsigned()))
}

/// Returns the events after one, in order: at most `limit`, and fewer when they are large.
pub(crate) fn after(conn: &Connection, seq: Seq, limit: u32) -> rusqlite::Result<Vec<Event>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, task_id, at, kind FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    page(statement.query(params![seq.0.cast_signed(), limit])?)
}

/// Returns the events of one task after one, in order: at most `limit`, and fewer when they are large.
pub(crate) fn of_task(
    conn: &Connection,
    task_id: TaskId,
    seq: Seq,
    limit: u32,
) -> rusqlite::Result<Vec<Event>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, task_id, at, kind FROM events
         WHERE task_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    page(statement.query(params![id_bytes(task_id), seq.0.cast_signed(), limit])?)
}

fn page(mut rows: rusqlite::Rows<'_>) -> rusqlite::Result<Vec<Event>> {
    let (mut events, mut n_bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        n_bytes += row.get_ref(3)?.as_str()?.len();
        if n_bytes > PAGE_BYTES && !events.is_empty() {
            break;
        }
        events.push(event(row)?);
    }
    Ok(events)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let seq: i64 = row.get(0)?;
    Ok(Event {
        seq: Seq(seq.cast_unsigned()),
        task_id: id_from(row.get(1)?),
        at: time(row.get(2)?),
        kind: from_json(row.get_ref(3)?.as_str()?)?,
    })
}

/// Deletes the events up to one that are of no task; their numbers are not given again.
pub(super) fn delete_of_no_task(conn: &Connection, through: Seq) -> rusqlite::Result<()> {
    conn.execute(
        "DELETE FROM events WHERE seq <= ?1
         AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.task_id = events.task_id)",
        [through.0.cast_signed()],
    )?;
    Ok(())
}

/// Deletes the events of one task; their numbers are not given again.
pub(super) fn delete(conn: &Connection, task_id: TaskId) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM events WHERE task_id = ?1")?
        .execute([id_bytes(task_id)])?;
    Ok(())
}
