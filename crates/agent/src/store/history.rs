//! What a viewer asks of the ledger: lists, counts and statistics, read from its covering index.

use std::collections::HashMap;

use deskhand_protocol::{
    Source, TaskId, TaskStatus, Timestamp,
    device_request::TaskFilter,
    history::{DurationCount, GroupOfTasks, HourOfTasks, TaskStatistics},
};
use rusqlite::{Connection, Row, named_params};

use super::{from_json, id_bytes, id_from, time};

/// Most tasks in one list.
pub(crate) const PAGE: u32 = 100;

/// Most bytes of rows one list holds, so that the answer fits a frame.
const LIST_BYTES: usize = 512 * 1024;

/// Most tasks that statistics look at; the newest ones.
const COUNTED_TASKS: u32 = 200_000;

/// Most callers in statistics.
const CALLERS: usize = 20;

/// Where one class of durations ends and the next begins, in milliseconds.
const DURATIONS_MS: [u64; 10] = [
    10, 30, 100, 300, 1_000, 3_000, 10_000, 60_000, 600_000, 3_600_000,
];

const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// A task as a list shows it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) task: deskhand_protocol::Task,
    pub(crate) status: TaskStatus,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) returncode: Option<i32>,
    pub(crate) code: Option<deskhand_protocol::ErrorCode>,
    pub(crate) error: Option<String>,
}

/// The conditions of a filter, over columns of the covering index; bound by [`bind`].
pub(super) const CONDITIONS: &str = "
    tasks.task IS NOT NULL
    AND (:status IS NULL OR tasks.status = :status)
    AND (:source IS NULL OR tasks.source = :source)
    AND (:action IS NULL OR tasks.action = :action)
    AND (:caller IS NULL OR tasks.caller = :caller)
    AND (:since IS NULL OR tasks.created_at >= :since)
    AND (:until IS NULL OR tasks.created_at < :until)
    AND (:is_open IS NULL
         OR :is_open = (tasks.status IN ('pending', 'awaiting_approval', 'in_progress')))
    AND (:success IS NULL
         OR (tasks.finished_at IS NOT NULL
             AND :success = (tasks.status = 'completed' AND coalesce(tasks.returncode, 1) = 0)))";

/// Binds the parameters of [`CONDITIONS`].
pub(super) fn bind(
    statement: &mut rusqlite::CachedStatement<'_>,
    filter: &TaskFilter,
) -> rusqlite::Result<()> {
    let values: [(&str, Box<dyn rusqlite::ToSql>); 8] = [
        (":status", Box::new(filter.status.map(TaskStatus::as_str))),
        (":source", Box::new(filter.source.map(Source::as_str))),
        (":action", Box::new(filter.action.clone())),
        (":caller", Box::new(filter.caller.clone())),
        (
            ":since",
            Box::new(filter.since.map(Timestamp::as_microsecond)),
        ),
        (
            ":until",
            Box::new(filter.until.map(Timestamp::as_microsecond)),
        ),
        (":is_open", Box::new(filter.is_open)),
        (":success", Box::new(filter.success)),
    ];
    for (name, value) in values {
        let index = statement.parameter_index(name)?;
        statement.raw_bind_parameter(index.unwrap_or_default(), value)?;
    }
    Ok(())
}

pub(super) fn bind_one(
    statement: &mut rusqlite::CachedStatement<'_>,
    name: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    let index = statement.parameter_index(name)?.unwrap_or_default();
    statement.raw_bind_parameter(index, value)
}

/// Returns tasks, newest first: at most 100, and fewer when they are large; the next page begins
/// before the last one.
pub(crate) fn list(conn: &Connection, filter: &TaskFilter) -> rusqlite::Result<Vec<Listed>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tasks WHERE task_id IN (
             SELECT task_id FROM tasks INDEXED BY tasks_listed
             WHERE {CONDITIONS} AND (:newest IS NULL OR task_id <= :newest)
               AND (:before IS NULL OR task_id < :before)
             ORDER BY task_id DESC LIMIT :limit OFFSET :skip)
         ORDER BY task_id DESC"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    bind(&mut statement, filter)?;
    bind_one(&mut statement, ":newest", filter.newest.map(id_bytes))?;
    bind_one(&mut statement, ":before", filter.before.map(id_bytes))?;
    bind_one(&mut statement, ":limit", page(filter.limit))?;
    bind_one(&mut statement, ":skip", filter.skip)?;
    let mut rows = statement.raw_query();
    let (mut tasks, mut n_bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        n_bytes += row.get_ref(0)?.as_str()?.len();
        if n_bytes > LIST_BYTES && !tasks.is_empty() {
            break;
        }
        tasks.push(listed(row)?);
    }
    Ok(tasks)
}

/// Returns how many tasks a page holds.
pub(crate) fn page(limit: u32) -> u32 {
    match limit {
        0 => PAGE,
        n => n.min(PAGE),
    }
}

/// Returns how many tasks match.
pub(crate) fn count(conn: &Connection, filter: &TaskFilter) -> rusqlite::Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM tasks INDEXED BY tasks_listed
         WHERE {CONDITIONS} AND (:newest IS NULL OR task_id <= :newest)"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    bind(&mut statement, filter)?;
    bind_one(&mut statement, ":newest", filter.newest.map(id_bytes))?;
    let mut rows = statement.raw_query();
    let n: i64 = rows.next()?.map_or(Ok(0), |row| row.get(0))?;
    Ok(n.unsigned_abs())
}

/// What [`listed`] reads. Of a result only what a list shows is taken out.
pub(super) const COLUMNS: &str = "task, status, started_at, finished_at, returncode,
    result ->> '$.outcome.code', result ->> '$.outcome.error'";

pub(super) fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let status: String = row.get(1)?;
    let code: Option<String> = row.get(5)?;
    Ok(Listed {
        task: from_json(row.get_ref(0)?.as_str()?)?,
        status: TaskStatus::parse(&status).ok_or(rusqlite::Error::InvalidQuery)?,
        started_at: row.get::<_, Option<i64>>(2)?.map(time),
        finished_at: row.get::<_, Option<i64>>(3)?.map(time),
        returncode: row.get(4)?,
        code: code.and_then(|word| from_json(&format!("\"{word}\"")).ok()),
        error: row.get(6)?,
    })
}

/// Returns how the tasks of the last hours went; the hour that runs is one of them.
pub(crate) fn statistics(
    conn: &Connection,
    now: Timestamp,
    hours: u32,
) -> rusqlite::Result<TaskStatistics> {
    let this_hour = now.as_microsecond().div_euclid(HOUR_MICROS);
    let first_hour = this_hour + 1 - i64::from(hours.clamp(1, 720));
    let since = first_hour * HOUR_MICROS;
    let mut statistics = Statistics {
        hours: vec![
            HourOfTasks::default();
            usize::try_from(this_hour + 1 - first_hour).unwrap_or(1)
        ],
        ..Statistics::default()
    };
    let mut statement = conn.prepare_cached(
        "SELECT created_at, started_at, finished_at, status, returncode, action, caller
         FROM tasks INDEXED BY tasks_listed
         WHERE task IS NOT NULL AND task_id >= :oldest AND created_at >= :since
         ORDER BY task_id DESC LIMIT :limit",
    )?;
    // A uid begins with the time it was minted, which is when the task was asked for, to the
    // millisecond; the clocks of relay and device may differ, so an hour more is looked at.
    let oldest = oldest_id(since - HOUR_MICROS);
    let mut rows = statement.query(named_params! {
        ":oldest": id_bytes(oldest), ":since": since, ":limit": COUNTED_TASKS,
    })?;
    while let Some(row) = rows.next()? {
        let created: i64 = row.get(0)?;
        let started: Option<i64> = row.get(1)?;
        let finished: Option<i64> = row.get(2)?;
        let hour = usize::try_from(created.div_euclid(HOUR_MICROS) - first_hour).unwrap_or(0);
        let is_success = row.get_ref(3)?.as_str()? == TaskStatus::Completed.as_str()
            && row.get::<_, Option<i32>>(4)? == Some(0);
        statistics.add(
            hour,
            finished.map(|_| is_success),
            started
                .zip(finished)
                .map(|(from, to)| to.saturating_sub(from).max(0).unsigned_abs() / 1_000),
            row.get_ref(5)?.as_str()?,
            row.get_ref(6)?.as_str_or_null()?.unwrap_or_default(),
        );
    }
    Ok(statistics.finish(time(since)))
}

fn oldest_id(micros: i64) -> TaskId {
    let ms = (micros / 1_000).max(0).unsigned_abs();
    id_from((u128::from(ms) << 80).to_be_bytes())
}

/// What statistics gather while they go through the tasks.
#[derive(Default)]
struct Statistics {
    hours: Vec<HourOfTasks>,
    durations: [u64; DURATIONS_MS.len() + 1],
    actions: HashMap<String, Group>,
    callers: HashMap<String, Group>,
}

#[derive(Default)]
struct Group {
    n_tasks: u64,
    n_failed: u64,
    durations: Vec<u64>,
}

impl Statistics {
    fn add(
        &mut self,
        hour: usize,
        success: Option<bool>,
        duration_ms: Option<u64>,
        action: &str,
        caller: &str,
    ) {
        if let Some(hour) = self.hours.get_mut(hour) {
            match success {
                Some(true) => hour.n_succeeded += 1,
                Some(false) => hour.n_failed += 1,
                None => hour.n_open += 1,
            }
        }
        if let Some(ms) = duration_ms {
            self.durations[DURATIONS_MS.partition_point(|end| *end <= ms)] += 1;
        }
        for (groups, name) in [(&mut self.actions, action), (&mut self.callers, caller)] {
            if !groups.contains_key(name) {
                groups.insert(name.to_owned(), Group::default());
            }
            if let Some(group) = groups.get_mut(name) {
                group.n_tasks += 1;
                group.n_failed += u64::from(success == Some(false));
                group.durations.extend(duration_ms);
            }
        }
    }

    fn finish(self, since: Timestamp) -> TaskStatistics {
        let ends = DURATIONS_MS.into_iter().map(Some).chain([None]);
        TaskStatistics {
            since,
            hours: self.hours,
            durations: ends
                .zip(self.durations)
                .map(|(under_ms, n_tasks)| DurationCount { under_ms, n_tasks })
                .collect(),
            actions: groups(self.actions),
            callers: groups(self.callers),
        }
    }
}

fn groups(groups: HashMap<String, Group>) -> Vec<GroupOfTasks> {
    let mut list: Vec<GroupOfTasks> = groups
        .into_iter()
        .map(|(name, mut group)| {
            group.durations.sort_unstable();
            let at = |percent: usize| {
                let place = (group.durations.len() * percent).div_ceil(100);
                group.durations.get(place.saturating_sub(1)).copied()
            };
            GroupOfTasks {
                name,
                n_tasks: group.n_tasks,
                n_failed: group.n_failed,
                p50_ms: at(50),
                p95_ms: at(95),
            }
        })
        .collect();
    list.sort_by(|a, b| b.n_tasks.cmp(&a.n_tasks).then_with(|| a.name.cmp(&b.name)));
    list.truncate(CALLERS);
    list
}
