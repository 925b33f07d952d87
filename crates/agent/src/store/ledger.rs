//! The ledger: every task id this device ever accepted, which is why nothing runs twice.
//!
//! A row is made once and never deleted. What a person may want forgotten (`task`, `result`) can be
//! cleared; the id stays.

use deskhand_protocol::{
    Seq, Task, TaskId, TaskResult, TaskStatus, Timestamp, policy::CallerLimits,
};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_json, id_bytes, id_from, time, to_json};

pub(super) const MIGRATION: Migration = Migration {
    name: "ledger",
    sql: "
CREATE TABLE tasks (
    task_id     BLOB PRIMARY KEY,   -- UUIDv7: in order of age
    task        TEXT,               -- JSON; null once the owner had it forgotten
    status      TEXT NOT NULL,
    source      TEXT NOT NULL,
    action      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,   -- microseconds, like all times
    attempt     INTEGER NOT NULL,   -- the last one begun; 0 before the first
    started_at  INTEGER,
    finished_at INTEGER,
    result      TEXT                -- JSON; there once the task has ended
);
CREATE INDEX tasks_unfinished ON tasks (task_id)
    WHERE status IN ('pending', 'awaiting_approval', 'in_progress');
",
};

/// Added once callers could be held to less than their devices.
pub(super) const LIMITS_MIGRATION: Migration = Migration {
    name: "task limits",
    sql: "ALTER TABLE tasks ADD COLUMN limits TEXT;  -- JSON; null where there are none",
};

/// What lists and statistics filter by, in an index that holds all of it: they never read the rows of
/// tasks they do not show.
pub(super) const LISTING: Migration = Migration {
    name: "ledger listing",
    sql: "
ALTER TABLE tasks ADD COLUMN caller TEXT;
ALTER TABLE tasks ADD COLUMN returncode INTEGER;
UPDATE tasks SET caller = task ->> '$.caller.name', returncode = result ->> '$.outcome.returncode';
CREATE INDEX tasks_listed ON tasks (
    task_id, status, source, action, caller, returncode, created_at, started_at, finished_at
) WHERE task IS NOT NULL;
",
};

/// One task as the ledger knows it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) task: Task,
    /// What its caller's key was held to when it came.
    pub(crate) limits: CallerLimits,
    pub(crate) status: TaskStatus,
    pub(crate) attempt: u32,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) result: Option<TaskResult>,
}

/// Enters a task as pending. Returns whether it is new: a known id changes nothing.
pub(crate) fn insert(
    conn: &Connection,
    task: &Task,
    limits: &CallerLimits,
) -> rusqlite::Result<bool> {
    let is_held = *limits != CallerLimits::default();
    let limits = is_held.then(|| to_json(limits)).transpose()?;
    let n = conn
        .prepare_cached(
            "INSERT INTO tasks (task_id, task, status, source, action, created_at, caller, attempt,
                                limits)
             VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, 0, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            id_bytes(task.task_id),
            to_json(task)?,
            task.source.as_str(),
            task.action.kind(),
            task.created_at.as_microsecond(),
            task.caller.name,
            limits,
        ])?;
    Ok(n == 1)
}

/// Notes that an attempt began.
pub(crate) fn set_started(
    conn: &Connection,
    task_id: TaskId,
    attempt: u32,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE tasks SET status = 'in_progress', attempt = ?2, started_at = ?3 WHERE task_id = ?1",
    )?
    .execute(params![id_bytes(task_id), attempt, at.as_microsecond()])?;
    Ok(())
}

/// Notes that the task waits for the owner's answer.
pub(crate) fn set_asking(conn: &Connection, task_id: TaskId) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE tasks SET status = 'awaiting_approval' WHERE task_id = ?1",
        [id_bytes(task_id)],
    )?;
    Ok(())
}

/// Notes that the task waits again, because its attempt was lost.
pub(crate) fn set_pending(conn: &Connection, task_id: TaskId) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE tasks SET status = 'pending' WHERE task_id = ?1",
        [id_bytes(task_id)],
    )?;
    Ok(())
}

/// Notes how the task ended and returns how long the result is as JSON, and the kind of its action.
/// Returns nothing, and changes nothing, when it had ended before.
pub(crate) fn set_finished(
    conn: &Connection,
    task_id: TaskId,
    result: &TaskResult,
    at: Timestamp,
) -> rusqlite::Result<Option<(usize, String)>> {
    let json = to_json(result)?;
    let kind = conn
        .prepare_cached(
            "UPDATE tasks SET status = ?2, result = ?3, finished_at = ?4, returncode = ?5
             WHERE task_id = ?1 AND finished_at IS NULL RETURNING action",
        )?
        .query_row(
            params![
                id_bytes(task_id),
                TaskStatus::from(result.outcome.status).as_str(),
                json,
                at.as_microsecond(),
                result.outcome.returncode,
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(kind.map(|kind| (json.len(), kind)))
}

const COLUMNS: &str = "task, status, attempt, started_at, finished_at, result, limits";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let status: String = row.get(1)?;
    let started_at: Option<i64> = row.get(3)?;
    let finished_at: Option<i64> = row.get(4)?;
    let result: Option<String> = row.get(5)?;
    let limits: Option<String> = row.get(6)?;
    Ok(Entry {
        limits: limits.map_or(Ok(CallerLimits::default()), |json| from_json(&json))?,
        task: from_json(row.get_ref(0)?.as_str()?)?,
        status: TaskStatus::parse(&status).ok_or(rusqlite::Error::InvalidQuery)?,
        attempt: row.get(2)?,
        started_at: started_at.map(time),
        finished_at: finished_at.map(time),
        result: result.map(|json| from_json(&json)).transpose()?,
    })
}

/// Returns one task; nothing when it is unknown or forgotten.
pub(crate) fn get(conn: &Connection, task_id: TaskId) -> rusqlite::Result<Option<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM tasks WHERE task_id = ?1 AND task IS NOT NULL");
    conn.prepare_cached(&sql)?
        .query_row([id_bytes(task_id)], entry)
        .optional()
}

/// Returns where a task is, forgotten or not.
pub(crate) fn status(conn: &Connection, task_id: TaskId) -> rusqlite::Result<Option<TaskStatus>> {
    let word: Option<String> = conn
        .prepare_cached("SELECT status FROM tasks WHERE task_id = ?1")?
        .query_row([id_bytes(task_id)], |row| row.get(0))
        .optional()?;
    Ok(word.as_deref().and_then(TaskStatus::parse))
}

/// Returns the tasks that have not ended, oldest first. The dispatcher's bound bounds them too; their
/// bodies could fill a quarter of a gigabyte, so they are read one by one.
pub(crate) fn unfinished(conn: &Connection) -> rusqlite::Result<Vec<TaskId>> {
    conn.prepare(
        "SELECT task_id FROM tasks
         WHERE status IN ('pending', 'awaiting_approval', 'in_progress') ORDER BY task_id",
    )?
    .query_map([], |row| Ok(id_from(row.get(0)?)))?
    .collect()
}

/// Returns the result of a task and the attempt that made it, as they go before its last event.
pub(crate) fn result(
    conn: &Connection,
    task_id: TaskId,
) -> rusqlite::Result<Option<(u32, TaskResult)>> {
    let row: Option<(u32, Option<String>)> = conn
        .prepare_cached("SELECT attempt, result FROM tasks WHERE task_id = ?1")?
        .query_row([id_bytes(task_id)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match row {
        Some((attempt, Some(json))) => Ok(Some((attempt, from_json(&json)?))),
        Some((_, None)) | None => Ok(None),
    }
}

/// Forgets what finished tasks asked for and gave, and returns how many. The ids stay, and so does
/// what the relay does not have yet.
pub(crate) fn clear(conn: &Connection, stored_through: Seq) -> rusqlite::Result<u64> {
    let finished: Vec<[u8; 16]> = conn
        .prepare(
            "SELECT task_id FROM tasks WHERE task IS NOT NULL AND finished_at IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM events WHERE events.task_id = tasks.task_id AND seq > ?1)",
        )?
        .query_map([stored_through.0.cast_signed()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for task_id in &finished {
        conn.prepare_cached("UPDATE tasks SET task = NULL, result = NULL WHERE task_id = ?1")?
            .execute([task_id])?;
        super::events::delete(conn, id_from(*task_id))?;
        super::output::delete(conn, id_from(*task_id))?;
        super::search::delete(conn, id_from(*task_id))?;
        super::approvals::delete(conn, id_from(*task_id))?;
    }
    super::events::delete_of_no_task(conn, stored_through)?;
    Ok(finished.len() as u64)
}
