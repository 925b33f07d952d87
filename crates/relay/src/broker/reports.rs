//! What a device reports about its tasks, checked and stored.
//!
//! Only the session that is current when the report is stored is listened to, and only about tasks
//! that its store was given, or opened itself. What is not is counted, logged and acknowledged: a
//! device that kept sending it would send nothing else.

use std::collections::HashMap;

use deskhand_protocol::{
    DeviceId, Epoch, Event, EventKind, Seq, Source, StoreId, Task, TaskId, TaskResult, TaskStatus,
    outcome::Excerpt,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{blob, events, store_blob, tasks, to_json};
use crate::{
    clock::{from_ms, now},
    timeline::{About, Response},
};

/// Who reports.
#[derive(Debug, Clone)]
pub(crate) struct SessionKey {
    pub(crate) device: DeviceId,
    pub(crate) epoch: Epoch,
    pub(crate) store: StoreId,
}

/// One report.
#[derive(Debug)]
pub(crate) enum Report {
    /// The task is in the device's ledger.
    Accepted(TaskId),
    /// Something happened.
    Event(Box<Event>),
    /// A task ended.
    Result(TaskId, Box<TaskResult>),
    /// A task was born on the device.
    Opened(Box<Task>),
}

/// What became of the reports.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// A later session has begun; nothing was stored.
    pub(crate) fenced: bool,
    /// Up to which event everything is stored, when there were events.
    pub(crate) stored_through: Option<Seq>,
    /// Tasks that ended.
    pub(crate) ended: Vec<tasks::Record>,
    /// Reports about tasks this store does not hold.
    pub(crate) n_refused: u32,
}

/// What is known of a task while its reports are stored.
#[derive(Debug, Clone)]
struct Held {
    status: TaskStatus,
    about: About,
}

pub(super) fn stored_through(c: &Connection, store: StoreId) -> rusqlite::Result<Seq> {
    let through: Option<i64> = c
        .prepare_cached("SELECT stored_through FROM stores WHERE store_id = ?1")?
        .query_row([store_blob(store)], |row| row.get(0))
        .optional()?;
    Ok(Seq(through.unwrap_or(0).cast_unsigned()))
}

pub(super) fn apply(
    c: &Connection,
    session: &SessionKey,
    reports: Vec<Report>,
) -> rusqlite::Result<Applied> {
    let mut applied = Applied::default();
    if !is_current(c, session)? {
        applied.fenced = true;
        return Ok(applied);
    }
    let before = stored_through(c, session.store)?;
    let mut through = before;
    let mut held = HashMap::new();
    // An event that was stored before is acknowledged again: the device did not hear it.
    let has_events = reports
        .iter()
        .any(|report| matches!(report, Report::Event(_)));
    for report in reports {
        match report {
            Report::Accepted(task) => accepted(c, session, task)?,
            Report::Opened(task) => opened(c, session, &task)?,
            Report::Result(task, result) => match look_up(c, session, &mut held, task)? {
                Some(known) if !known.status.is_terminal() => {
                    finish(c, task, &result)?;
                    known.status = TaskStatus::from(result.outcome.status);
                    known.about.response = Some(Response::of(&result.output));
                    applied.ended.extend(tasks::get(c, task)?);
                }
                // It ended before: the device sends again what it does not know to be stored.
                Some(_) => {}
                None => applied.n_refused += 1,
            },
            Report::Event(event) if event.seq <= through => {}
            Report::Event(event) => {
                through = event.seq;
                if let EventKind::RunsLeftOut(runs) = &event.kind {
                    // Of no task, so that there is nothing to hold it against.
                    events::put_left_out(c, &session.device, runs, event.at)?;
                    continue;
                }
                match look_up(c, session, &mut held, event.task_id)? {
                    Some(known) => {
                        if event.kind.outcome().is_some() && known.about.response.is_none() {
                            known.about.response = response(c, event.task_id)?;
                        }
                        events::put(c, &session.device, &event, &known.about)?;
                        advance(c, known, &event, &mut applied)?;
                    }
                    None => applied.n_refused += 1,
                }
            }
        }
    }
    if through != before {
        c.prepare_cached(
            "INSERT INTO stores (store_id, device_id, stored_through) VALUES (?1, ?2, ?3)
             ON CONFLICT (store_id) DO UPDATE SET stored_through = excluded.stored_through",
        )?
        .execute(params![
            store_blob(session.store),
            session.device.as_str(),
            through.0.cast_signed()
        ])?;
    }
    applied.stored_through = has_events.then_some(through);
    Ok(applied)
}

fn is_current(c: &Connection, session: &SessionKey) -> rusqlite::Result<bool> {
    let epoch: Option<i64> = c
        .prepare_cached("SELECT epoch FROM devices WHERE device_id = ?1")?
        .query_row([session.device.as_str()], |row| row.get(0))
        .optional()?;
    Ok(epoch == Some(session.epoch.0.cast_signed()))
}

fn look_up<'a>(
    c: &Connection,
    session: &SessionKey,
    held: &'a mut HashMap<TaskId, Option<Held>>,
    task: TaskId,
) -> rusqlite::Result<Option<&'a mut Held>> {
    if let std::collections::hash_map::Entry::Vacant(entry) = held.entry(task) {
        let found = c
            .prepare_cached(
                "SELECT status, name, source, action, started_at FROM tasks
                 WHERE task_id = ?1 AND device_id = ?2 AND given_to = ?3",
            )?
            .query_row(
                params![
                    blob(task),
                    session.device.as_str(),
                    store_blob(session.store)
                ],
                held_row,
            )
            .optional()?;
        entry.insert(found.flatten());
    }
    Ok(held.get_mut(&task).and_then(Option::as_mut))
}

fn held_row(row: &Row<'_>) -> rusqlite::Result<Option<Held>> {
    let status = TaskStatus::parse(row.get_ref(0)?.as_str()?);
    let source = Source::parse(row.get_ref(2)?.as_str()?);
    let about = About {
        name: super::text_id(row, 1)?,
        source: source.unwrap_or(Source::Relay),
        action: row.get(3)?,
        started_at: row.get::<_, Option<i64>>(4)?.map(from_ms),
        response: None,
    };
    Ok(status.map(|status| Held { status, about }))
}

/// Returns what a task printed whose result came before.
fn response(c: &Connection, task: TaskId) -> rusqlite::Result<Option<Response>> {
    let result = tasks::get(c, task)?.and_then(|record| record.result);
    Ok(result.map(|result| Response::of(&result.output)))
}

fn accepted(c: &Connection, session: &SessionKey, task: TaskId) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE tasks SET accepted_at = ?4
         WHERE task_id = ?1 AND device_id = ?2 AND given_to = ?3 AND accepted_at IS NULL",
    )?
    .execute(params![
        blob(task),
        session.device.as_str(),
        store_blob(session.store),
        now().as_millisecond()
    ])?;
    Ok(())
}

/// Enters a task that was born on the device. Whatever the device says, no caller asked for it: a key's
/// names and tasks are its own.
fn opened(c: &Connection, session: &SessionKey, task: &Task) -> rusqlite::Result<()> {
    let at = now().as_millisecond();
    let mut task = task.clone();
    task.caller.key_id = None;
    c.prepare_cached(
        "INSERT OR IGNORE INTO tasks (task_id, key_id, device_id, name, digest, task, status, source, action,
                                      created_at, expires_at, given_to, given_at, accepted_at)
         VALUES (?1, NULL, ?2, ?3, x'', ?4, 'pending', ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
    )?
    .execute(params![
        blob(task.task_id),
        session.device.as_str(),
        task.name.as_str(),
        to_json(&task)?,
        task.source.as_str(),
        task.action.kind(),
        task.created_at.as_millisecond(),
        task.expires_at.as_millisecond(),
        store_blob(session.store),
        at,
    ])?;
    Ok(())
}

/// Moves a task along as its event says; a move that is not allowed changes nothing.
fn advance(
    c: &Connection,
    known: &mut Held,
    event: &Event,
    applied: &mut Applied,
) -> rusqlite::Result<()> {
    let next = match &event.kind {
        EventKind::AttemptStarted { .. } => TaskStatus::InProgress,
        EventKind::AttemptLost { .. } => TaskStatus::Pending,
        EventKind::ApprovalRequested { .. } => TaskStatus::AwaitingApproval,
        EventKind::AttemptFinished { outcome, .. }
        | EventKind::TaskCancelled { outcome }
        | EventKind::TaskExpired { outcome } => {
            // The result came before its event; a device that sent none has nothing to show.
            if !known.status.is_terminal() {
                let result = TaskResult {
                    outcome: outcome.clone(),
                    output: Excerpt::default(),
                };
                finish(c, event.task_id, &result)?;
                known.status = TaskStatus::from(outcome.status);
                applied.ended.extend(tasks::get(c, event.task_id)?);
            }
            return Ok(());
        }
        EventKind::TaskAccepted { .. }
        | EventKind::ApprovalAnswered { .. }
        | EventKind::OutputAppended { .. }
        | EventKind::ProgressMade { .. }
        | EventKind::RunsLeftOut(_) => return Ok(()),
    };
    if !known.status.may_become(next) {
        return Ok(());
    }
    known.status = next;
    let started_at = (next == TaskStatus::InProgress).then(|| event.at.as_millisecond());
    known.about.started_at = started_at.map(from_ms).or(known.about.started_at);
    c.prepare_cached(
        "UPDATE tasks SET status = ?2, started_at = coalesce(?3, started_at) WHERE task_id = ?1",
    )?
    .execute(params![blob(event.task_id), next.as_str(), started_at])?;
    Ok(())
}

fn finish(c: &Connection, task: TaskId, result: &TaskResult) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE tasks SET status = ?2, completed_at = ?3, result = ?4,
                          accepted_at = coalesce(accepted_at, ?3) WHERE task_id = ?1",
    )?
    .execute(params![
        blob(task),
        TaskStatus::from(result.outcome.status).as_str(),
        now().as_millisecond(),
        to_json(result)?
    ])?;
    Ok(())
}
