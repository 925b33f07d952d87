//! Reads the log as timelines: what lies after a place, the last entries, a page with filters.
//!
//! A log has an id of its own, made with the store: a place in another log means nothing here.

use deskhand_protocol::{DeviceId, TaskStatus, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value};

use super::blob;
use crate::timeline::{Facets, Filter, means};

/// An entry and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) id: i64,
    /// The message as JSON, without its cursor.
    pub(crate) message: String,
}

/// A stretch of a timeline, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    pub(crate) entries: Vec<Logged>,
    /// Up to which place everything that passes the filter is in `entries`.
    pub(crate) through: i64,
    /// Whether there was more.
    pub(crate) has_more: bool,
}

/// Where a watcher's cursor lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everything after it is there.
    Known,
    /// The log does not reach that far, or not back that far.
    Lost,
}

/// A page of a timeline.
#[derive(Debug, Default, Clone)]
pub(crate) struct PageQuery {
    pub(crate) filter: Filter,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    /// Newest first, before this place.
    pub(crate) before: Option<i64>,
    /// Oldest first, after this place.
    pub(crate) after: Option<i64>,
    pub(crate) offset: u32,
    pub(crate) limit: u32,
}

/// What a page query found.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Logged>,
    pub(crate) n_matching: u64,
    pub(crate) has_more: bool,
}

/// An entry with all that watchers of any kind need.
#[derive(Debug)]
pub(crate) struct FullRow {
    pub(crate) id: i64,
    pub(crate) device: DeviceId,
    pub(crate) facets: Facets,
    pub(crate) event: String,
    pub(crate) message: String,
}

/// Returns the id of the log, which is `fresh` if it has none yet.
pub(super) fn id(c: &Connection, fresh: &str) -> rusqlite::Result<String> {
    let known: Option<String> = c
        .query_row("SELECT log_id FROM log", [], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => {
            c.execute("INSERT INTO log (log_id) VALUES (?1)", [fresh])?;
            Ok(fresh.to_owned())
        }
    }
}

/// Returns the last place in the log.
pub(super) fn last(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT coalesce(max(id), 0) FROM events")?
        .query_row([], |row| row.get(0))
}

/// Tells whether a device's timeline can be read on from a place.
pub(super) fn place(c: &Connection, device: &DeviceId, at: i64) -> rusqlite::Result<Place> {
    let forgotten: Option<i64> = c
        .prepare_cached("SELECT forgotten_through FROM timelines WHERE device_id = ?1")?
        .query_row([device.as_str()], |row| row.get(0))
        .optional()?;
    Ok(match at > last(c)? || at < forgotten.unwrap_or(0) {
        true => Place::Lost,
        false => Place::Known,
    })
}

/// Returns what lies after a place.
pub(super) fn after(
    c: &Connection,
    device: &DeviceId,
    filter: &Filter,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Stretch> {
    // Read first: what is added meanwhile is left to the next stretch.
    let last = last(c)?;
    let mut query = Query::of(device, filter);
    query.and("id > ?", after.into());
    query.and("id <= ?", last.into());
    let entries = query.entries(c, "ORDER BY id", limit + 1, 0)?;
    Ok(stretch(entries, limit, last))
}

fn stretch(mut entries: Vec<Logged>, limit: u32, last: i64) -> Stretch {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let through = match (has_more, entries.last()) {
        (true, Some(entry)) => entry.id,
        _ => last,
    };
    Stretch {
        entries,
        through,
        has_more,
    }
}

/// Returns the last entries.
pub(super) fn latest(
    c: &Connection,
    device: &DeviceId,
    filter: &Filter,
    limit: u32,
) -> rusqlite::Result<Stretch> {
    let last = last(c)?;
    let mut query = Query::of(device, filter);
    query.and("id <= ?", last.into());
    let mut entries = query.entries(c, "ORDER BY id DESC", limit, 0)?;
    entries.reverse();
    Ok(Stretch {
        entries,
        through: last,
        has_more: false,
    })
}

/// Returns a page, and how many entries match on all of them.
pub(super) fn page(
    c: &Connection,
    device: &DeviceId,
    wanted: &PageQuery,
) -> rusqlite::Result<Page> {
    let mut query = Query::of(device, &wanted.filter);
    if let Some(start) = wanted.start {
        query.and("at >= ?", start.as_millisecond().into());
    }
    if let Some(end) = wanted.end {
        query.and("at <= ?", end.as_millisecond().into());
    }
    let n_matching = query.count(c)?;
    let order = match (wanted.after, wanted.before) {
        (Some(after), _) => {
            query.and("id > ?", after.into());
            "ORDER BY id"
        }
        (None, before) => {
            if let Some(before) = before {
                query.and("id < ?", before.into());
            }
            "ORDER BY id DESC"
        }
    };
    let entries = query.entries(c, order, wanted.limit + 1, wanted.offset)?;
    let stretch = stretch(entries, wanted.limit, 0);
    Ok(Page {
        entries: stretch.entries,
        n_matching,
        has_more: stretch.has_more,
    })
}

/// Returns what every device added after a place, in order.
pub(super) fn added(c: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<FullRow>> {
    c.prepare_cached(
        "SELECT id, device_id, task_id, name, source, action, status, success, event, message
         FROM events WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?
    .query_map([after, i64::from(limit)], full_row)?
    .collect()
}

fn full_row(row: &Row<'_>) -> rusqlite::Result<FullRow> {
    let status: Option<String> = row.get(6)?;
    Ok(FullRow {
        id: row.get(0)?,
        device: super::text_id(row, 1)?,
        facets: Facets {
            task_id: row.get::<_, Option<[u8; 16]>>(2)?.map(super::task_id),
            name: row.get(3)?,
            source: row.get(4)?,
            action: row.get(5)?,
            status: status.as_deref().and_then(TaskStatus::parse),
            success: row.get(7)?,
        },
        event: row.get(8)?,
        message: row.get(9)?,
    })
}

/// Conditions and their values.
struct Query {
    conditions: String,
    values: Vec<Value>,
}

impl Query {
    fn of(device: &DeviceId, filter: &Filter) -> Self {
        let mut query = Self {
            conditions: "device_id = ?".to_owned(),
            values: vec![device.to_string().into()],
        };
        if let Some(task) = filter.task_id {
            query.and("task_id = ?", blob(task).to_vec().into());
        }
        if let Some(name) = &filter.name {
            query.and("name = ?", name.clone().into());
        }
        if let Some(source) = &filter.source {
            query.and("source = ?", source.clone().into());
        }
        if let Some(action) = &filter.action {
            query.and("action = ?", action.clone().into());
        }
        if let Some(success) = filter.success {
            query.and("success = ?", success.into());
        }
        if let Some(status) = filter.status {
            let words = means(status);
            let marks = vec!["?"; words.len()].join(", ");
            query
                .conditions
                .push_str(&format!(" AND status IN ({marks})"));
            let words = words
                .iter()
                .map(|word| Value::from(word.as_str().to_owned()));
            query.values.extend(words);
        }
        query
    }

    fn and(&mut self, condition: &str, value: Value) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self.values.push(value);
    }

    fn count(&self, c: &Connection) -> rusqlite::Result<u64> {
        let sql = format!("SELECT count(*) FROM events WHERE {}", self.conditions);
        c.prepare_cached(&sql)?
            .query_row(params_from_iter(&self.values), |row| {
                row.get::<_, i64>(0).map(i64::unsigned_abs)
            })
    }

    fn entries(
        &self,
        c: &Connection,
        order: &str,
        limit: u32,
        offset: u32,
    ) -> rusqlite::Result<Vec<Logged>> {
        let sql = format!(
            "SELECT id, message FROM events WHERE {} {order} LIMIT {limit} OFFSET {offset}",
            self.conditions
        );
        // Prepared anew: the texts are as many as there are combinations.
        c.prepare(&sql)?
            .query_map(params_from_iter(&self.values), |row| {
                Ok(Logged {
                    id: row.get(0)?,
                    message: row.get(1)?,
                })
            })?
            .collect()
    }
}
