//! The only writing connection.
//!
//! A thread commits what is queued, in groups. A write that need not wait for the disk, and that
//! would be alone in its group, is committed by its caller instead: some tens of microseconds, less
//! than waking the thread and being woken by it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
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

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("sync", &self.sync)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    core: Mutex<Core>,
    /// Writes that are queued and not committed. While there are any, nobody goes before them.
    n_queued: AtomicUsize,
}

/// The connection and how its commits wait for the disk.
#[derive(Debug)]
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
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            n_queued: AtomicUsize::new(0),
        });
        let writer = Self {
            jobs,
            shared: shared.clone(),
        };
        thread::Builder::new()
            .name("sqlite-write".into())
            .spawn(move || run(&shared, queue))?;
        Ok(writer)
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
        let unsent = self
            .commit_alone(Job { sync, run })
            .and_then(|job| self.queue(job));
        let writer = self.clone();
        async move {
            if let Some(job) = unsent {
                writer.jobs.send(job).await.map_err(|_| Error::Closed)?;
            }
            answered.await.unwrap_or(Err(Error::Closed))
        }
    }

    /// Commits a write here and now, if nothing is queued, nobody writes, and it need not wait for
    /// the disk; else gives it back.
    fn commit_alone(&self, job: Job) -> Option<Job> {
        if job.sync == Sync::Full || self.shared.n_queued.load(Ordering::Acquire) > 0 {
            return Some(job);
        }
        let mut core = match self.shared.core.try_lock() {
            Ok(core) => core,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(job),
        };
        if core.checkpointer.is_log_long() {
            return Some(job);
        }
        core.commit(&mut vec![job]);
        None
    }

    /// Queues a write; gives it back when the queue is full.
    fn queue(&self, job: Job) -> Option<Job> {
        self.shared.n_queued.fetch_add(1, Ordering::AcqRel);
        match self.jobs.try_send(job) {
            Ok(()) => None,
            // The thread is gone: dropping the write tells its caller.
            Err(mpsc::error::TrySendError::Closed(_)) => None,
            Err(mpsc::error::TrySendError::Full(job)) => Some(job),
        }
    }
}

fn run(shared: &Shared, mut queue: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        let n = queue.blocking_recv_many(&mut group, GROUP);
        if n == 0 {
            return;
        }
        let mut core = shared.core.lock().unwrap_or_else(PoisonError::into_inner);
        core.commit(&mut group);
        if core.checkpointer.is_log_long() {
            core.checkpointer.empty_log(&core.connection);
        }
        shared.n_queued.fetch_sub(n, Ordering::AcqRel);
    }
}

impl Core {
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
