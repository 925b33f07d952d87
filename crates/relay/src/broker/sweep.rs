//! Ends what waited too long, and forgets what is old enough.

use deskhand_protocol::{
    EndStatus, ErrorCode, EventKind, Outcome, TaskId, TaskResult,
    limits::{MAX_EXPIRY, TIMELINE_DAYS, TIMELINE_ENTRIES},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::tasks;
use crate::clock::now;

/// Tasks one sweep ends; the rest is for the next.
const BATCH: i64 = 500;

/// What a sweep did.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Tasks whose callers did not want to queue and whose device did not come: they are gone.
    pub(crate) withdrawn: Vec<TaskId>,
    /// Tasks that ended.
    pub(crate) ended: Vec<(TaskId, TaskResult)>,
}

pub(super) fn sweep(c: &Connection) -> rusqlite::Result<Swept> {
    let mut swept = Swept {
        withdrawn: withdraw(c)?,
        ended: Vec::new(),
    };
    for record in overdue(c)? {
        let (kind, outcome) = if record.given_at.is_none() {
            let outcome = Outcome::ended(
                EndStatus::Expired,
                ErrorCode::Expired,
                "its device did not come in time",
            );
            (
                EventKind::TaskExpired {
                    outcome: outcome.clone(),
                },
                outcome,
            )
        } else {
            let outcome = Outcome::failed(
                ErrorCode::Interrupted,
                "it was handed to the device, which never said what became of it",
            );
            (
                EventKind::AttemptFinished {
                    attempt: 0,
                    outcome: outcome.clone(),
                },
                outcome,
            )
        };
        swept
            .ended
            .push((record.task.task_id, tasks::end(c, &record, kind, outcome)?));
    }
    Ok(swept)
}

fn withdraw(c: &Connection) -> rusqlite::Result<Vec<TaskId>> {
    let withdrawn: Vec<[u8; 16]> = c
        .prepare_cached(
            "DELETE FROM tasks WHERE accepted_at IS NULL
             AND status IN ('pending', 'awaiting_approval', 'in_progress')
             AND withdraw_at <= ?1 AND given_to IS NULL RETURNING task_id",
        )?
        .query_map([now().as_millisecond()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(withdrawn.into_iter().map(super::task_id).collect())
}

/// Tasks that no device took in time, and tasks a device took and was not heard of again for longer
/// than any task may wait.
fn overdue(c: &Connection) -> rusqlite::Result<Vec<tasks::Record>> {
    let silent_since = (now() - MAX_EXPIRY).as_millisecond();
    c.prepare_cached(
        "SELECT task, device_id, status, given_at, started_at, completed_at, result FROM tasks
         WHERE status IN ('pending', 'awaiting_approval', 'in_progress')
         AND ((accepted_at IS NULL AND expires_at <= ?1) OR (accepted_at <= ?2 AND expires_at <= ?2))
         LIMIT ?3",
    )?
    .query_map(params![now().as_millisecond(), silent_since, BATCH], tasks::record)?
    .collect()
}

pub(super) fn forget_old(c: &Connection) -> rusqlite::Result<()> {
    let day_ms = 24 * 3_600 * 1_000;
    let old = now().as_millisecond() - TIMELINE_DAYS * day_ms;
    c.execute(
        "DELETE FROM tasks WHERE completed_at < ?1
         AND status NOT IN ('pending', 'awaiting_approval', 'in_progress')",
        [old],
    )?;
    let devices: Vec<String> = c
        .prepare("SELECT DISTINCT device_id FROM events")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    // The newest row of all stays: places are never given twice.
    let last = super::log::last(c)?;
    for device in devices {
        let young: Option<i64> = c
            .query_row(
                "SELECT id FROM events WHERE device_id = ?1 AND at >= ?2 ORDER BY id LIMIT 1",
                params![device, old],
                |row| row.get(0),
            )
            .optional()?;
        let beyond: Option<i64> = c
            .query_row(
                "SELECT id FROM events WHERE device_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2",
                params![device, TIMELINE_ENTRIES],
                |row| row.get(0),
            )
            .optional()?;
        let through = young
            .map_or(last, |id| id - 1)
            .max(beyond.unwrap_or(0))
            .min(last - 1);
        let n_forgotten = c.execute(
            "DELETE FROM events WHERE device_id = ?1 AND id <= ?2",
            params![device, through],
        )?;
        if n_forgotten > 0 {
            c.execute(
                "INSERT INTO timelines (device_id, forgotten_through) VALUES (?1, ?2)
                 ON CONFLICT (device_id) DO UPDATE SET forgotten_through = excluded.forgotten_through",
                params![device, through],
            )?;
        }
    }
    Ok(())
}
