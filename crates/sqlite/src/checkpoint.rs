//! Copies the write-ahead log into the database, beside the writer.
//!
//! A checkpoint waits for the disk twice. On a thread and a connection of its own it holds nobody up:
//! a passive checkpoint copies what it can while the writer goes on. Only a log that grew past
//! [`MAX_LOG_PAGES`] all the same is emptied at the writer's expense.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use rusqlite::Connection;

/// How long after a commit the log is copied.
const EVERY: Duration = Duration::from_secs(1);

/// Pages of 4 KiB in the log beyond which writers wait: 64 MiB.
const MAX_LOG_PAGES: i64 = 16_384;

/// Says that there were commits.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    committed: SyncSender<()>,
    is_log_long: Arc<AtomicBool>,
}

impl Checkpointer {
    pub(crate) fn start(connection: Connection) -> std::io::Result<Self> {
        // One word is enough, however many commits it stands for.
        let (committed, commits) = sync_channel(1);
        let is_log_long = Arc::new(AtomicBool::new(false));
        thread::Builder::new()
            .name("sqlite-checkpoint".into())
            .spawn({
                let is_log_long = is_log_long.clone();
                move || run(&connection, &commits, &is_log_long)
            })?;
        Ok(Self {
            committed,
            is_log_long,
        })
    }

    /// Notes a commit; never waits.
    pub(crate) fn note_commit(&self) {
        // Full: it has been said.
        let _ = self.committed.try_send(());
    }

    /// Tells whether the log has to be emptied before more is written.
    pub(crate) fn is_log_long(&self) -> bool {
        self.is_log_long.load(Ordering::Relaxed)
    }

    /// Empties the log through the writing connection, while nothing is written.
    pub(crate) fn empty_log(&self, connection: &Connection) {
        if let Err(error) = checkpoint(connection, "TRUNCATE") {
            tracing::warn!(%error, "cannot empty the write-ahead log");
        }
        self.is_log_long.store(false, Ordering::Relaxed);
    }
}

fn run(connection: &Connection, commits: &Receiver<()>, is_log_long: &AtomicBool) {
    while commits.recv().is_ok() {
        // What is committed until then is copied together.
        thread::park_timeout(EVERY);
        match checkpoint(connection, "PASSIVE") {
            Ok(n_pages) => is_log_long.store(n_pages > MAX_LOG_PAGES, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "cannot copy the write-ahead log"),
        }
    }
}

/// Returns how many pages the log holds.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        row.get(1)
    })
}
