//! Schedules, and their runs. A planned instant of a schedule is a key: whoever enters it first has the
//! run, and nobody has it again.

use deskhand_protocol::{
    TaskId, TaskStatus, Timestamp,
    schedule::{LeftOut, NewSchedule, ScheduledRun},
};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_json, id_bytes, id_from, time, to_json};

pub(super) const MIGRATION: Migration = Migration {
    name: "schedules",
    sql: "
CREATE TABLE schedules (
    name            TEXT PRIMARY KEY,
    schedule        TEXT NOT NULL,      -- JSON
    enabled         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    settled_through INTEGER NOT NULL,   -- about every instant up to this one it is decided
    n_left_out      INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE scheduled_runs (
    schedule   TEXT NOT NULL,
    planned_at INTEGER NOT NULL,
    task_id    BLOB,                    -- null when it was left out
    left_out   TEXT,
    PRIMARY KEY (schedule, planned_at)
) WITHOUT ROWID;
",
};

/// When it was decided about a run.
pub(super) const DECIDED: Migration = Migration {
    name: "scheduled runs, decided",
    sql: "ALTER TABLE scheduled_runs ADD COLUMN decided_at INTEGER;",
};

/// Runs that are kept of each schedule. Older instants are settled all the same.
const KEPT_RUNS: i64 = 100;

/// One schedule as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) schedule: NewSchedule,
    pub(crate) enabled: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) settled_through: Timestamp,
    pub(crate) n_left_out: u64,
}

const COLUMNS: &str = "schedule, enabled, created_at, settled_through, n_left_out";

fn row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        schedule: from_json(row.get_ref(0)?.as_str()?)?,
        enabled: row.get(1)?,
        created_at: time(row.get(2)?),
        settled_through: time(row.get(3)?),
        n_left_out: row.get::<_, i64>(4)?.cast_unsigned(),
    })
}

/// Returns all schedules, by name.
pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<Stored>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM schedules ORDER BY name"))?
        .query_map([], row)?
        .collect()
}

/// Returns one schedule.
pub(crate) fn get(conn: &Connection, name: &str) -> rusqlite::Result<Option<Stored>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM schedules WHERE name = ?1"))?
        .query_row([name], row)
        .optional()
}

/// Adds a schedule whose instants count from `at` on. Returns false when the name is taken.
pub(crate) fn add(
    conn: &Connection,
    schedule: &NewSchedule,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let n = conn.execute(
        "INSERT INTO schedules (name, schedule, enabled, created_at, settled_through)
         VALUES (?1, ?2, 1, ?3, ?3) ON CONFLICT DO NOTHING",
        params![schedule.name, to_json(schedule)?, at.as_microsecond()],
    )?;
    Ok(n == 1)
}

/// Replaces the schedule of that name and returns whether it is there. Another plan counts from `at` on:
/// what was due by the one before is no business of this one.
pub(crate) fn change(
    conn: &Connection,
    schedule: &NewSchedule,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let Some(before) = get(conn, &schedule.name)? else {
        return Ok(false);
    };
    let plan = |schedule: &NewSchedule| (schedule.when.clone(), schedule.time_zone.clone());
    let settled_through = match plan(&before.schedule) == plan(schedule) {
        true => before.settled_through,
        false => before.settled_through.max(at),
    };
    conn.execute(
        "UPDATE schedules SET schedule = ?2, settled_through = ?3 WHERE name = ?1",
        params![
            schedule.name,
            to_json(schedule)?,
            settled_through.as_microsecond()
        ],
    )?;
    Ok(true)
}

/// Removes a schedule and returns whether it was there.
pub(crate) fn remove(conn: &Connection, name: &str) -> rusqlite::Result<bool> {
    conn.execute("DELETE FROM scheduled_runs WHERE schedule = ?1", [name])?;
    Ok(conn.execute("DELETE FROM schedules WHERE name = ?1", [name])? == 1)
}

/// Enables a schedule from `at` on, or disables it, and returns whether it is there.
pub(crate) fn enable(
    conn: &Connection,
    name: &str,
    enabled: bool,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let n = conn.execute(
        "UPDATE schedules SET enabled = ?2,
                settled_through = CASE WHEN enabled THEN settled_through ELSE max(settled_through, ?3) END
         WHERE name = ?1",
        params![name, enabled, at.as_microsecond()],
    )?;
    Ok(n == 1)
}

/// Notes that it is decided about every instant up to this one.
pub(crate) fn settle(
    conn: &Connection,
    name: &str,
    through: Timestamp,
    n_left_out: u64,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE schedules SET settled_through = ?2, n_left_out = n_left_out + ?3 WHERE name = ?1",
    )?
    .execute(params![
        name,
        through.as_microsecond(),
        n_left_out.cast_signed()
    ])?;
    Ok(())
}

/// Enters a run that is started, or left out, at `at`. Returns false when the instant has been entered before.
pub(crate) fn enter(
    conn: &Connection,
    name: &str,
    planned_at: Timestamp,
    run: Result<TaskId, LeftOut>,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let n = conn
        .prepare_cached(
            "INSERT INTO scheduled_runs (schedule, planned_at, task_id, left_out, decided_at)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            name,
            planned_at.as_microsecond(),
            run.ok().map(id_bytes),
            run.err().map(LeftOut::as_str),
            at.as_microsecond(),
        ])?;
    conn.prepare_cached(
        "DELETE FROM scheduled_runs WHERE schedule = ?1 AND planned_at <= (
            SELECT planned_at FROM scheduled_runs WHERE schedule = ?1
            ORDER BY planned_at DESC LIMIT 1 OFFSET ?2)
         AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.task_id = scheduled_runs.task_id
                         AND status IN ('pending', 'awaiting_approval', 'in_progress'))",
    )?
    .execute(params![name, KEPT_RUNS])?;
    Ok(n == 1)
}

/// Counts the runs of a schedule that have not ended.
pub(crate) fn n_unfinished(conn: &Connection, name: &str) -> rusqlite::Result<u64> {
    conn.prepare_cached(
        "SELECT count(*) FROM scheduled_runs JOIN tasks USING (task_id)
         WHERE schedule = ?1 AND status IN ('pending', 'awaiting_approval', 'in_progress')",
    )?
    .query_row([name], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

/// Returns the last runs, newest first.
pub(crate) fn runs(
    conn: &Connection,
    name: &str,
    limit: u32,
) -> rusqlite::Result<Vec<ScheduledRun>> {
    conn.prepare_cached(
        "SELECT planned_at, task_id, left_out, status, returncode, decided_at
         FROM scheduled_runs LEFT JOIN tasks USING (task_id)
         WHERE schedule = ?1 ORDER BY planned_at DESC LIMIT ?2",
    )?
    .query_map(params![name, limit], |row| {
        let left_out: Option<String> = row.get(2)?;
        let status: Option<String> = row.get(3)?;
        Ok(ScheduledRun {
            planned_at: time(row.get(0)?),
            task_id: row.get::<_, Option<[u8; 16]>>(1)?.map(id_from),
            status: status.as_deref().and_then(TaskStatus::parse),
            returncode: row.get(4)?,
            left_out: left_out.as_deref().and_then(LeftOut::parse),
            decided_at: row.get::<_, Option<i64>>(5)?.map(time),
        })
    })?
    .collect()
}
