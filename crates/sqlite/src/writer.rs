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

/// Runs a write.
type Run = Box<dyn FnOnce(&Connection, Scope) -> Ran + Send>;

/// What a write is undone to when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A savepoint of its own: others share its transaction. It costs a copy of each page it changes.
    Savepoint,
    /// The transaction: it is alone.
    Transaction,
}

/// A write that was run and not yet committed.
struct Ran {
    is_ok: bool,
    finish: Finish,
}

struct Job {
    sync: Sync,
    run: Run,
}

#[derive(Debug, Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// The connection and how its commits wait for the disk.
struct Core {
    connection: Connection,
    sync: Option<Sync>,
    checkpointer: Checkpointer,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        checkpointer: Checkpointer,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let core = Core {
            connection,
            sync: None,
            checkpointer,
        };
        thread::Builder::new()
            .name("sqlite-write".into())
            .spawn(move || core.run(queue))?;
        Ok(Self { jobs })
    }

    pub(crate) fn write<T: Send + 'static>(
        &self,
        sync: Sync,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let run: Run = Box::new(move |connection: &Connection, scope| {
            let result = match scope {
                Scope::Savepoint => in_savepoint(connection, f),
                Scope::Transaction => f(connection),
            };
            let is_ok = result.is_ok();
            let finish: Finish = Box::new(move |committed| {
                // A caller that went away does not want the answer.
                let _ = answer.send(match (result, committed) {
                    (Err(error), _) => Err(Error::Sqlite(error)),
                    (Ok(_), Err(error)) => Err(Error::Commit(error)),
                    (Ok(value), Ok(())) => Ok(value),
                });
            });
            Ran { is_ok, finish }
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

impl Core {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            self.commit(&mut group);
            if self.checkpointer.is_log_long() {
                self.checkpointer.empty_log(&self.connection);
            }
        }
    }

    /// Commits a group, and tells each of its callers.
    fn commit(&mut self, group: &mut Vec<Job>) {
        let sync = group
            .iter()
            .map(|job| job.sync)
            .max()
            .unwrap_or(Sync::Normal);
        self.wait_for(sync);
        let before = self.connection.total_changes();
        commit(&self.connection, group);
        if self.connection.total_changes() != before {
            self.checkpointer.note_commit();
        }
    }

    /// Sets what commits wait for; SQLite takes it between two of them only.
    fn wait_for(&mut self, sync: Sync) {
        if self.sync == Some(sync) {
            return;
        }
        let word = match sync {
            Sync::Normal => "NORMAL",
            Sync::Full => "FULL",
        };
        match self.connection.pragma_update(None, "synchronous", word) {
            Ok(()) => self.sync = Some(sync),
            // The commit fails for the same reason, and its callers are told.
            Err(error) => tracing::warn!(%error, "cannot set how commits wait for the disk"),
        }
    }
}

fn commit(connection: &Connection, group: &mut Vec<Job>) {
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        tracing::error!(%error, "cannot begin a commit");
        // Dropping a job tells its caller that the database is closed: nothing was written.
        group.clear();
        return;
    }
    let scope = match group.len() {
        1 => Scope::Transaction,
        _ => Scope::Savepoint,
    };
    // A write that panics is dropped with its answer: its caller hears `Closed`, the others commit.
    let ran: Vec<Ran> = group
        .drain(..)
        .filter_map(|job| catch_unwind(AssertUnwindSafe(|| (job.run)(connection, scope))).ok())
        .collect();
    let is_undone = scope == Scope::Transaction && !ran.iter().any(|ran| ran.is_ok);
    let committed = match is_undone {
        true => Err("it was undone".to_owned()),
        false => execute(connection, "COMMIT").map_err(|error| error.to_string()),
    };
    if let Err(error) = &committed {
        if !is_undone {
            tracing::error!(%error, "a commit failed");
        }
        // SQLite may have rolled back by itself; then this fails and changes nothing.
        let _ = execute(connection, "ROLLBACK");
    }
    for ran in ran {
        (ran.finish)(committed.clone());
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn in_savepoint<T>(
    connection: &Connection,
    f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    execute(connection, "SAVEPOINT one")?;
    let undo = Undo(connection);
    let value = f(connection)?;
    std::mem::forget(undo);
    execute(connection, "RELEASE one")?;
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
