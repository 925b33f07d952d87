//! The tasks table: what was asked for, and where it is.

use deskhand_protocol::{
    DeviceId, EndStatus, ErrorCode, Event, EventKind, KeyId, Outcome, Seq, Source, StoreId, Task,
    TaskId, TaskName, TaskResult, TaskStatus, Timestamp,
    limits::{MAILBOX_TASKS, NAME_LIFETIME},
    outcome::Excerpt,
    task::{Durability, Priority},
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::Value};

use super::{blob, events, json, store_blob, to_json};
use crate::{
    clock::{from_ms, now},
    timeline::About,
};

/// A task to store.
#[derive(Debug)]
pub(crate) struct NewTask {
    pub(crate) task: Task,
    pub(crate) device: DeviceId,
    /// SHA-256 of what was asked for: the same name with another body is a conflict.
    pub(crate) digest: [u8; 32],
    /// The store that is connected now and will get the task.
    pub(crate) given_to: Option<StoreId>,
    /// When to take the task back if no device has come for it.
    pub(crate) withdraw_at: Option<Timestamp>,
    /// It stays until somebody looks at it, or starts it.
    pub(crate) held: bool,
}

/// What became of a task that was put.
#[derive(Debug)]
pub(crate) enum Put {
    /// It is stored.
    Stored,
    /// The caller's name stands for a task with the same body.
    Known(Box<Record>),
    /// The caller's name stands for a task with another body.
    Conflict,
    /// The device's mailbox is full.
    MailboxFull,
}

/// A task as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) task: Task,
    pub(crate) device: DeviceId,
    pub(crate) status: TaskStatus,
    pub(crate) given_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) result: Option<TaskResult>,
}

impl Record {
    /// Returns how long the task took from its dispatch to its result, in milliseconds.
    pub(crate) fn execution_time_ms(&self) -> u64 {
        match (self.given_at, self.completed_at) {
            (Some(given), Some(completed)) => {
                let ms = completed.as_millisecond() - given.as_millisecond();
                u64::try_from(ms).unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// What became of a cancel.
#[derive(Debug)]
pub(crate) enum Cancelled {
    /// There is no such task.
    Unknown,
    /// It has ended already.
    Ended,
    /// Nobody had it: it is cancelled.
    Now(Box<Record>),
    /// Its device has been, or will be, asked to end it.
    Asked(DeviceId),
}

/// Which tasks to list.
#[derive(Debug, Default, Clone)]
pub(crate) struct ListFilter {
    /// Only of this key.
    pub(crate) key: Option<KeyId>,
    /// Only of these devices.
    pub(crate) devices: Option<Vec<DeviceId>>,
    pub(crate) status: Option<TaskStatus>,
    pub(crate) source: Option<Source>,
    pub(crate) action: Option<String>,
    /// Only with this in the name, the title or the command.
    pub(crate) text: Option<String>,
    pub(crate) before: Option<TaskId>,
    pub(crate) limit: u32,
}

const COLUMNS: &str = "task, device_id, status, given_at, started_at, completed_at, result";

pub(super) fn put(c: &Connection, new: &NewTask) -> rusqlite::Result<Put> {
    let task = &new.task;
    if let Some(key) = &task.caller.key_id
        && let Some((known, digest)) = find_with_digest(c, key, &task.name)?
    {
        return Ok(if digest == new.digest {
            Put::Known(Box::new(known))
        } else {
            Put::Conflict
        });
    }
    if mailbox_size(c, &new.device)? >= MAILBOX_TASKS as i64 {
        return Ok(Put::MailboxFull);
    }
    let created_at = task.created_at.as_millisecond();
    c.prepare_cached(
        "INSERT INTO tasks (task_id, key_id, device_id, name, digest, task, status, source, action,
                            created_at, expires_at, withdraw_at, given_to, given_at, held)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        blob(task.task_id),
        task.caller.key_id.as_ref().map(KeyId::as_str),
        new.device.as_str(),
        task.name.as_str(),
        new.digest,
        to_json(task)?,
        task.source.as_str(),
        task.action.kind(),
        created_at,
        task.expires_at.as_millisecond(),
        new.withdraw_at.map(Timestamp::as_millisecond),
        new.given_to.map(store_blob),
        new.given_to.map(|_| created_at),
        new.held,
    ])?;
    // The device tells of what it has; of this it knows nothing yet.
    if new.given_to.is_none() && new.withdraw_at.is_none() {
        events::put_queued(c, &new.device, task, new.held)?;
    }
    Ok(Put::Stored)
}

pub(super) fn get(c: &Connection, task: TaskId) -> rusqlite::Result<Option<Record>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE task_id = ?1"))?
        .query_row([blob(task)], record)
        .optional()
}

pub(super) fn find(
    c: &Connection,
    key: &KeyId,
    name: &TaskName,
) -> rusqlite::Result<Option<Record>> {
    Ok(find_with_digest(c, key, name)?.map(|(record, _)| record))
}

fn find_with_digest(
    c: &Connection,
    key: &KeyId,
    name: &TaskName,
) -> rusqlite::Result<Option<(Record, [u8; 32])>> {
    let taken_since = now() - NAME_LIFETIME;
    c.prepare_cached(&format!(
        "SELECT {COLUMNS}, digest FROM tasks
         WHERE key_id = ?1 AND name = ?2 AND created_at > ?3 ORDER BY task_id DESC LIMIT 1"
    ))?
    .query_row(
        params![key.as_str(), name.as_str(), taken_since.as_millisecond()],
        |row| Ok((record(row)?, row.get(7)?)),
    )
    .optional()
}

fn mailbox_size(c: &Connection, device: &DeviceId) -> rusqlite::Result<i64> {
    c.prepare_cached(
        "SELECT count(*) FROM tasks WHERE device_id = ?1 AND accepted_at IS NULL
         AND status IN ('pending', 'awaiting_approval', 'in_progress')",
    )?
    .query_row([device.as_str()], |row| row.get(0))
}

pub(super) fn take_mailbox(
    c: &Connection,
    device: &DeviceId,
    store: StoreId,
) -> rusqlite::Result<Vec<Record>> {
    let waiting: Vec<(Record, Option<[u8; 16]>)> = c
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, given_to FROM tasks
             WHERE device_id = ?1 AND accepted_at IS NULL AND NOT held
             AND status IN ('pending', 'awaiting_approval', 'in_progress') ORDER BY task_id"
        ))?
        .query_map([device.as_str()], |row| Ok((record(row)?, row.get(7)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut taken = Vec::new();
    for (record, given_to) in waiting {
        // Another store may have run it: only a task that merely reads is handed to this one.
        let elsewhere = given_to.is_some_and(|other| other != store_blob(store));
        if elsewhere && record.task.durability == Durability::Full {
            continue;
        }
        if given_to != Some(store_blob(store)) {
            c.prepare_cached(
                "UPDATE tasks SET given_to = ?2, given_at = ?3, withdraw_at = NULL WHERE task_id = ?1",
            )?
            .execute(params![blob(record.task.task_id), store_blob(store), now().as_millisecond()])?;
        }
        taken.push(record);
    }
    taken.sort_by_key(|record| {
        (
            std::cmp::Reverse(rank(record.task.priority)),
            record.task.task_id,
        )
    });
    Ok(taken)
}

fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::Batch => 0,
        Priority::Normal => 1,
        Priority::Immediate => 2,
    }
}

pub(super) fn cancels(
    c: &Connection,
    device: &DeviceId,
    store: StoreId,
) -> rusqlite::Result<Vec<TaskId>> {
    c.prepare_cached(
        "SELECT task_id FROM tasks WHERE device_id = ?1 AND given_to = ?2 AND cancel_requested
         AND status IN ('pending', 'awaiting_approval', 'in_progress')",
    )?
    .query_map(params![device.as_str(), store_blob(store)], |row| {
        row.get(0).map(super::task_id)
    })?
    .collect()
}

pub(super) fn cancel(c: &Connection, task: TaskId) -> rusqlite::Result<Cancelled> {
    let Some(found) = get(c, task)? else {
        return Ok(Cancelled::Unknown);
    };
    if found.status.is_terminal() {
        return Ok(Cancelled::Ended);
    }
    if found.given_at.is_some() {
        c.execute(
            "UPDATE tasks SET cancel_requested = 1 WHERE task_id = ?1",
            [blob(task)],
        )?;
        return Ok(Cancelled::Asked(found.device));
    }
    let outcome = Outcome::ended(
        EndStatus::Cancelled,
        ErrorCode::Cancelled,
        "cancelled before its device had it",
    );
    end(
        c,
        &found,
        EventKind::TaskCancelled {
            outcome: outcome.clone(),
        },
        outcome,
    )?;
    Ok(get(c, task)?.map_or(Cancelled::Unknown, |record| {
        Cancelled::Now(Box::new(record))
    }))
}

/// Lets a task go that waits for somebody to look at it; tells whether it waited.
pub(super) fn release(c: &Connection, task: TaskId) -> rusqlite::Result<bool> {
    let n_released = c.execute(
        "UPDATE tasks SET held = 0 WHERE task_id = ?1 AND held AND status = 'pending'",
        [blob(task)],
    )?;
    Ok(n_released > 0)
}

/// Ends a task on the relay's own word: no device speaks about it.
pub(super) fn end(
    c: &Connection,
    found: &Record,
    kind: EventKind,
    outcome: Outcome,
) -> rusqlite::Result<TaskResult> {
    let status = TaskStatus::from(outcome.status);
    let result = TaskResult {
        outcome,
        output: Excerpt::default(),
    };
    c.execute(
        "UPDATE tasks SET status = ?2, completed_at = ?3, result = ?4 WHERE task_id = ?1",
        params![
            blob(found.task.task_id),
            status.as_str(),
            now().as_millisecond(),
            to_json(&result)?
        ],
    )?;
    // Seq 0: not one of the device's own events.
    let event = Event {
        seq: Seq(0),
        task_id: found.task.task_id,
        at: now(),
        kind,
    };
    let about = About {
        name: found.task.name.clone(),
        source: found.task.source,
        action: found.task.action.kind().to_owned(),
        started_at: found.started_at,
        response: None,
    };
    events::put(c, &found.device, &event, &about)?;
    Ok(result)
}

pub(super) fn list(c: &Connection, filter: &ListFilter) -> rusqlite::Result<Vec<Record>> {
    let mut sql = format!("SELECT {COLUMNS} FROM tasks WHERE 1");
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Value| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(key) = &filter.key {
        and("key_id = ?", key.to_string().into());
    }
    if let Some(status) = filter.status {
        and("status = ?", status.to_string().into());
    }
    if let Some(source) = filter.source {
        and("source = ?", source.as_str().to_owned().into());
    }
    if let Some(action) = &filter.action {
        and("action = ?", action.clone().into());
    }
    if let Some(text) = &filter.text {
        // The words of a command are a JSON list: shown with blanks between them.
        and(
            "instr(lower(name || ' ' || coalesce(json_extract(task, '$.title'), '') || ' ' || replace(
             coalesce(json_extract(task, '$.action.command'), json_extract(task, '$.action.text'), ''),
             '\",\"', ' ')), lower(?)) > 0",
            text.clone().into(),
        );
    }
    if let Some(before) = filter.before {
        and("task_id < ?", blob(before).to_vec().into());
    }
    if let Some(devices) = &filter.devices {
        let marks = vec!["?"; devices.len()].join(", ");
        sql.push_str(&format!(" AND device_id IN ({marks})"));
        values.extend(devices.iter().map(|device| Value::from(device.to_string())));
    }
    sql.push_str(" ORDER BY task_id DESC LIMIT ?");
    values.push(i64::from(filter.limit).into());
    c.prepare(&sql)?
        .query_map(rusqlite::params_from_iter(values), record)?
        .collect()
}

/// What a device has to do.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) n_ended: u64,
    pub(crate) n_waiting: u64,
    /// The task that runs; the oldest where there are several.
    pub(crate) current: Option<TaskName>,
}

pub(super) fn workload(c: &Connection, device: &DeviceId) -> rusqlite::Result<Workload> {
    let count = |condition: &str| {
        c.prepare_cached(&format!(
            "SELECT count(*) FROM tasks WHERE device_id = ?1 AND {condition}"
        ))?
        .query_row([device.as_str()], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
    };
    let current = c
        .prepare_cached(
            "SELECT name FROM tasks WHERE device_id = ?1 AND status = 'in_progress'
             AND status IN ('pending', 'awaiting_approval', 'in_progress') ORDER BY task_id LIMIT 1",
        )?
        .query_row([device.as_str()], |row| super::text_id(row, 0))
        .optional()?;
    Ok(Workload {
        n_ended: count("status NOT IN ('pending', 'awaiting_approval', 'in_progress')")?,
        n_waiting: count(
            "status IN ('pending', 'awaiting_approval')
             AND status IN ('pending', 'awaiting_approval', 'in_progress')",
        )?,
        current,
    })
}

pub(super) fn count_open(c: &Connection) -> rusqlite::Result<u64> {
    c.query_row(
        "SELECT count(*) FROM tasks WHERE status IN ('pending', 'awaiting_approval', 'in_progress')",
        [],
        |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
    )
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let status: String = row.get(2)?;
    Ok(Record {
        task: json(row, 0)?,
        device: super::text_id(row, 1)?,
        status: TaskStatus::parse(&status).ok_or_else(|| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, status.into())
        })?,
        given_at: row.get::<_, Option<i64>>(3)?.map(from_ms),
        started_at: row.get::<_, Option<i64>>(4)?.map(from_ms),
        completed_at: row.get::<_, Option<i64>>(5)?.map(from_ms),
        result: match row.get_ref(6)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(json(row, 6)?),
        },
    })
}
