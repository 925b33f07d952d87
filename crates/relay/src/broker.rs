//! The relay's memory: tasks, the mailbox of each device, results and timelines, in SQLite.
//!
//! A task is in its device's *mailbox* while it is pending and the device has not said that it is in
//! its ledger. Once a task was handed to a store (a device's ledger has an id of its own) it is never
//! handed to another one, unless it only reads: the first may have run it, and only it can say so.
//!
//! The broker routes and keeps; it never interprets an action. A second broker, on a cluster, will
//! have these same verbs.

mod events;
mod log;
mod reports;
mod sweep;
mod tasks;

use std::sync::Arc;

use deskhand_protocol::{DeviceId, KeyId, Seq, StoreId, TaskId, TaskName, task::Durability};
use deskhand_sqlite::{Database, Migration, Sync};
use rusqlite::{Connection, Row, types::Type};
use tokio::sync::Notify;

use crate::{error::Fault, timeline::Filter};
pub(crate) use events::LoggedEvent;
pub(crate) use log::{FullRow, Page, PageQuery, Place, Stretch};
pub(crate) use reports::{Applied, Report, SessionKey};
pub(crate) use sweep::Swept;
pub(crate) use tasks::{Cancelled, ListFilter, NewTask, Put, Record, Workload};

pub(crate) const MIGRATION: Migration = Migration {
    name: "broker",
    sql: "CREATE TABLE tasks (
        task_id BLOB PRIMARY KEY,
        key_id TEXT,
        device_id TEXT NOT NULL,
        name TEXT NOT NULL,
        digest BLOB NOT NULL,
        task TEXT NOT NULL,
        status TEXT NOT NULL,
        source TEXT NOT NULL,
        action TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        withdraw_at INTEGER,
        given_to BLOB,
        given_at INTEGER,
        accepted_at INTEGER,
        started_at INTEGER,
        completed_at INTEGER,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        result TEXT
    ) WITHOUT ROWID;
    CREATE INDEX tasks_open ON tasks (device_id, accepted_at, task_id)
        WHERE status IN ('pending', 'awaiting_approval', 'in_progress');
    CREATE INDEX tasks_of_name ON tasks (key_id, name, task_id);
    CREATE INDEX tasks_of_key ON tasks (key_id, task_id);
    CREATE TABLE stores (
        store_id BLOB PRIMARY KEY,
        device_id TEXT NOT NULL,
        stored_through INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        device_id TEXT NOT NULL,
        task_id BLOB,
        at INTEGER NOT NULL,
        event TEXT NOT NULL
    );
    CREATE INDEX events_of_task ON events (task_id, id);
    CREATE INDEX events_of_device ON events (device_id, id)",
};

/// Timelines: each event gets the message that watchers see and what filters are tested against. The
/// events from before have none; nothing that was released kept any.
pub(crate) const TIMELINES: Migration = Migration {
    name: "timelines",
    sql: "DELETE FROM events;
    ALTER TABLE events ADD COLUMN name TEXT;
    ALTER TABLE events ADD COLUMN source TEXT;
    ALTER TABLE events ADD COLUMN action TEXT;
    ALTER TABLE events ADD COLUMN status TEXT;
    ALTER TABLE events ADD COLUMN success INTEGER;
    ALTER TABLE events ADD COLUMN message TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    DROP INDEX events_of_device;
    CREATE INDEX events_of_device ON events (device_id, id, at, source, status, success, action, name, task_id);
    CREATE TABLE log (log_id TEXT NOT NULL);
    CREATE TABLE timelines (
        device_id TEXT PRIMARY KEY,
        forgotten_through INTEGER NOT NULL
    ) WITHOUT ROWID",
};

/// A handle to the broker; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    db: Database,
    log_id: Arc<str>,
    /// Rings when something was added to the log.
    bell: Arc<Notify>,
}

impl Broker {
    /// Reads which log this is.
    pub(crate) async fn open(db: Database) -> Result<Self, Fault> {
        let fresh = crate::token::mint_id()?;
        let log_id = db.write(Sync::Full, move |c| log::id(c, &fresh)).await?;
        Ok(Self {
            db,
            log_id: log_id.into(),
            bell: Arc::default(),
        })
    }

    /// Returns the id of the log.
    pub(crate) fn log_id(&self) -> &Arc<str> {
        &self.log_id
    }

    /// Waits until something was added to the log since this was called last.
    pub(crate) async fn added_to_log(&self) {
        self.bell.notified().await;
    }

    /// Stores a task. It is on disk, as its durability says, when this resolves.
    pub(crate) async fn put(&self, task: NewTask) -> Result<Put, Fault> {
        let sync = sync_of(task.task.durability);
        let put = self.db.write(sync, move |c| tasks::put(c, &task)).await?;
        self.bell.notify_one();
        Ok(put)
    }

    /// Returns a task.
    pub(crate) async fn get(&self, task: TaskId) -> Result<Option<Record>, Fault> {
        Ok(self.db.read(move |c| tasks::get(c, task)).await?)
    }

    /// Returns the task that a caller's name stands for.
    pub(crate) async fn find(&self, key: KeyId, name: TaskName) -> Result<Option<Record>, Fault> {
        Ok(self.db.read(move |c| tasks::find(c, &key, &name)).await?)
    }

    /// Lists tasks, newest first.
    pub(crate) async fn list(&self, filter: ListFilter) -> Result<Vec<Record>, Fault> {
        Ok(self.db.read(move |c| tasks::list(c, &filter)).await?)
    }

    /// Returns what a device has to do.
    pub(crate) async fn workload(&self, device: DeviceId) -> Result<Workload, Fault> {
        Ok(self.db.read(move |c| tasks::workload(c, &device)).await?)
    }

    /// Counts the tasks that have not ended.
    pub(crate) async fn count_open(&self) -> Result<u64, Fault> {
        Ok(self.db.read(tasks::count_open).await?)
    }

    /// Takes what waits for a device, in order, and notes that this store has it.
    pub(crate) async fn take_mailbox(
        &self,
        device: DeviceId,
        store: StoreId,
    ) -> Result<Vec<Record>, Fault> {
        Ok(self
            .db
            .write(Sync::Normal, move |c| {
                tasks::take_mailbox(c, &device, store)
            })
            .await?)
    }

    /// Returns the tasks a store has that were cancelled and have not ended.
    pub(crate) async fn cancels(
        &self,
        device: DeviceId,
        store: StoreId,
    ) -> Result<Vec<TaskId>, Fault> {
        Ok(self
            .db
            .read(move |c| tasks::cancels(c, &device, store))
            .await?)
    }

    /// Returns up to where the events of a store are on disk.
    pub(crate) async fn stored_through(&self, store: StoreId) -> Result<Seq, Fault> {
        Ok(self
            .db
            .read(move |c| reports::stored_through(c, store))
            .await?)
    }

    /// Stores what a device reports. Queued by the call, so that reports commit in order.
    pub(crate) fn apply(
        &self,
        session: SessionKey,
        sync: Sync,
        reports: Vec<Report>,
    ) -> impl Future<Output = Result<Applied, Fault>> + Send + 'static {
        let write = self
            .db
            .write(sync, move |c| reports::apply(c, &session, reports));
        let bell = self.bell.clone();
        async move {
            let applied = write.await?;
            bell.notify_one();
            Ok(applied)
        }
    }

    /// Cancels a task: at once while nobody has it, else by asking who has it.
    pub(crate) async fn cancel(&self, task: TaskId) -> Result<Cancelled, Fault> {
        let cancelled = self
            .db
            .write(Sync::Full, move |c| tasks::cancel(c, task))
            .await?;
        self.bell.notify_one();
        Ok(cancelled)
    }

    /// Ends what waited too long, and forgets what is old enough.
    pub(crate) async fn sweep(&self) -> Result<Swept, Fault> {
        let swept = self.db.write(Sync::Normal, sweep::sweep).await?;
        if !swept.ended.is_empty() {
            self.bell.notify_one();
        }
        Ok(swept)
    }

    /// Forgets tasks and events that are older than their retention.
    pub(crate) async fn forget_old(&self) -> Result<(), Fault> {
        Ok(self.db.write(Sync::Normal, sweep::forget_old).await?)
    }

    /// Stores an event that is about no task, for each of the devices.
    pub(crate) async fn put_custom(
        &self,
        devices: Vec<DeviceId>,
        event: serde_json::Value,
    ) -> Result<(), Fault> {
        let write = self
            .db
            .write(Sync::Full, move |c| events::put_custom(c, &devices, &event));
        write.await?;
        self.bell.notify_one();
        Ok(())
    }

    /// Notes that a device came, or why it went. Queued by the call; nobody has to wait for it.
    pub(crate) fn note_presence(
        &self,
        device: DeviceId,
        away: Option<String>,
    ) -> impl Future<Output = Result<(), Fault>> + Send + 'static {
        let write = self.db.write(Sync::Normal, move |c| {
            events::put_presence(c, &device, away.as_deref())
        });
        let bell = self.bell.clone();
        async move {
            write.await?;
            bell.notify_one();
            Ok(())
        }
    }

    /// Returns the last place in the log.
    pub(crate) async fn last_place(&self) -> Result<i64, Fault> {
        Ok(self.db.read(log::last).await?)
    }

    /// Tells whether a device's timeline can be read on from a place.
    pub(crate) async fn place(&self, device: DeviceId, at: i64) -> Result<Place, Fault> {
        Ok(self.db.read(move |c| log::place(c, &device, at)).await?)
    }

    /// Returns what lies after a place of a timeline.
    pub(crate) async fn entries_after(
        &self,
        device: DeviceId,
        filter: Filter,
        after: i64,
        limit: u32,
    ) -> Result<Stretch, Fault> {
        let read = move |c: &Connection| log::after(c, &device, &filter, after, limit);
        Ok(self.db.read(read).await?)
    }

    /// Returns the last entries of a timeline.
    pub(crate) async fn latest_entries(
        &self,
        device: DeviceId,
        filter: Filter,
        limit: u32,
    ) -> Result<Stretch, Fault> {
        let read = move |c: &Connection| log::latest(c, &device, &filter, limit);
        Ok(self.db.read(read).await?)
    }

    /// Returns a page of a timeline.
    pub(crate) async fn timeline_page(
        &self,
        device: DeviceId,
        query: PageQuery,
    ) -> Result<Page, Fault> {
        Ok(self.db.read(move |c| log::page(c, &device, &query)).await?)
    }

    /// Returns what all devices added to the log after a place.
    pub(crate) async fn added(&self, after: i64, limit: u32) -> Result<Vec<FullRow>, Fault> {
        Ok(self.db.read(move |c| log::added(c, after, limit)).await?)
    }

    /// Returns the events of a task after a place in the log, at most 256.
    pub(crate) async fn events(&self, task: TaskId, after: i64) -> Result<Vec<LoggedEvent>, Fault> {
        Ok(self
            .db
            .read(move |c| events::of_task(c, task, after))
            .await?)
    }

    /// Returns the place before the last events of a task, so many of them.
    pub(crate) async fn place_before_last(&self, task: TaskId, n: u32) -> Result<i64, Fault> {
        Ok(self
            .db
            .read(move |c| events::place_before_last(c, task, n))
            .await?)
    }

    /// Lets a task go that waits for somebody to look at it; tells whether it waited.
    pub(crate) async fn release(&self, task: TaskId) -> Result<bool, Fault> {
        Ok(self
            .db
            .write(Sync::Full, move |c| tasks::release(c, task))
            .await?)
    }
}

/// What a commit about a task waits for.
pub(crate) fn sync_of(durability: Durability) -> Sync {
    match durability {
        Durability::Normal => Sync::Normal,
        Durability::Full => Sync::Full,
    }
}

/// Reads an id that is stored as text.
pub(crate) fn text_id<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + std::marker::Sync + 'static,
{
    row.get::<_, String>(column)?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn blob(task: TaskId) -> [u8; 16] {
    task.uuid().into_bytes()
}

fn store_blob(store: StoreId) -> [u8; 16] {
    store.uuid().into_bytes()
}

fn task_id(bytes: [u8; 16]) -> TaskId {
    TaskId::from_uuid(uuid::Uuid::from_bytes(bytes))
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
