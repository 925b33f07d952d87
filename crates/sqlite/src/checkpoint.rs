//! Copies the write-ahead log into the database, beside the writer.
//!
//! A checkpoint waits for the disk twice. On a thread and a connection of its own it holds nobody up:
//! a passive checkpoint copies what it can while the writer goes on. Only a log that grew past
//! [`MAX_LOG_PAGES`] all the same is emptied at the writer's expense.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
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
}

impl Checkpointer {
    pub(crate) fn start(connection: Connection) -> std::io::Result<Self> {
        // One word is enough, however many commits it stands for.
        let (committed, commits) = sync_channel(1);
        thread::Builder::new()
            .name("sqlite-checkpoint".into())
            .spawn(move || run(&connection, &commits))?;
        Ok(Self { committed })
    }

    /// Notes a commit; never waits.
    pub(crate) fn note_commit(&self) {
        // Full: it has been said.
        let _ = self.committed.try_send(());
    }
}

fn run(connection: &Connection, commits: &Receiver<()>) {
    while commits.recv().is_ok() {
        // What is committed until then is copied together.
        thread::park_timeout(EVERY);
        match checkpoint(connection, "PASSIVE") {
            Ok(n_pages) if n_pages > MAX_LOG_PAGES => {
                if let Err(error) = checkpoint(connection, "TRUNCATE") {
                    tracing::warn!(%error, "cannot empty the write-ahead log");
                }
            }
            Ok(_) => {}
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
