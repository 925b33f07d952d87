//! The thread that owns the only writing connection.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Sync, checkpoint::Checkpointer};

/// Writes that wait for the writer.
const QUEUE: usize = 1_024;

/// Writes in one commit: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// Tells a caller how the commit went; the error is the text of SQLite's.
type Finish = Box<dyn FnOnce(Result<(), String>) + Send>;

struct Job {
    sync: Sync,
    run: Box<dyn FnOnce(&Connection) -> Finish + Send>,
}

#[derive(Debug, Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        checkpointer: Checkpointer,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("sqlite-write".into())
            .spawn(move || run(&connection, &checkpointer, queue))?;
        Ok(Self { jobs })
    }

    pub(crate) fn write<T: Send + 'static>(
        &self,
        sync: Sync,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |connection: &Connection| -> Finish {
            let result = in_savepoint(connection, f);
            Box::new(move |committed| {
                // A caller that went away does not want the answer.
                let _ = answer.send(match (result, committed) {
                    (Err(error), _) => Err(Error::Sqlite(error)),
                    (Ok(_), Err(error)) => Err(Error::Commit(error)),
                    (Ok(value), Ok(())) => Ok(value),
                });
            })
        });
        let unsent = match self.jobs.try_send(Job { sync, run }) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
            Err(mpsc::error::TrySendError::Full(job)) => Some((self.jobs.clone(), job)),
        };
        async move {
            if let Some((jobs, job)) = unsent {
                jobs.send(job).await.map_err(|_| Error::Closed)?;
            }
            answered.await.unwrap_or(Err(Error::Closed))
        }
    }
}

fn run(connection: &Connection, checkpointer: &Checkpointer, mut queue: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(GROUP);
    let mut sync = None;
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let wanted = group
            .iter()
            .map(|job| job.sync)
            .max()
            .unwrap_or(Sync::Normal);
        if sync != Some(wanted) {
            let word = match wanted {
                Sync::Normal => "NORMAL",
                Sync::Full => "FULL",
            };
            if let Err(error) = connection.pragma_update(None, "synchronous", word) {
                // The commit below fails for the same reason, and its callers are told.
                tracing::warn!(%error, "cannot set how commits wait for the disk");
            }
            sync = Some(wanted);
        }
        let before = connection.total_changes();
        commit(connection, &mut group);
        if connection.total_changes() != before {
            checkpointer.note_commit();
        }
    }
}

fn commit(connection: &Connection, group: &mut Vec<Job>) {
    let begun = connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(|error| error.to_string());
    if let Err(error) = begun {
        tracing::error!(%error, "cannot begin a commit");
        // Dropping a job tells its caller that the database is closed: nothing was written.
        group.clear();
        return;
    }
    // A write that panics is dropped with its answer: its caller hears `Closed`, the others commit.
    let finishes: Vec<Finish> = group
        .drain(..)
        .filter_map(|job| catch_unwind(AssertUnwindSafe(|| (job.run)(connection))).ok())
        .collect();
    let committed = connection
        .execute_batch("COMMIT")
        .map_err(|error| error.to_string());
    if let Err(error) = &committed {
        tracing::error!(%error, "a commit failed");
        // SQLite may have rolled back by itself; then this fails and changes nothing.
        let _ = connection.execute_batch("ROLLBACK");
    }
    for finish in finishes {
        finish(committed.clone());
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let undo = Undo(connection);
    let value = f(connection)?;
    std::mem::forget(undo);
    connection.prepare_cached("RELEASE one")?.execute([])?;
    Ok(value)
}

/// Undoes a savepoint when its write failed or panicked.
struct Undo<'a>(&'a Connection);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.execute_batch("ROLLBACK TO one; RELEASE one") {
            tracing::error!(%error, "cannot undo a failed write");
        }
    }
}
