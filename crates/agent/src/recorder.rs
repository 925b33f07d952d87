//! Stores an event, then publishes it: nobody hears of anything that is not in the store.
//!
//! What it owns: the order in which committed events reach the bus, and the bus.
//! What it waits on: commits, in the order they were asked for.
//! What it never does: decide what happened (attempts do), or wait for a reader of the bus. A reader
//! that falls behind reads the store again from the last number it knows.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use deskhand_protocol::{
    Allowed, Event, EventKind, Outcome, Seq, Task, TaskId, TaskResult, Timestamp,
    approval::{Answer, Approver},
    audit::AuditEntry,
    event::Stream,
    limits::{CHUNK_BYTES, PREVIEW_BYTES},
    outcome::{EndStatus, Engine},
    policy::CallerLimits,
    schedule::LeftOutRuns,
};
use deskhand_sqlite::{Database, Error, Sync};
use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use uuid::Uuid;

use crate::{
    approvals as answers,
    mask::Mask,
    store::{
        approvals::{self, Asked, Taken},
        audit, events, ledger, meta, output,
    },
};

/// Commits that are under way. A task that runs has one at most.
const PENDING_COMMITS: usize = 1_024;

/// Commits a reader of the bus may be behind before it has to read the store.
const BUS_BATCHES: usize = 256;

/// Largest result that travels on the bus: with the bound above it, what slow readers can make it hold.
const RESULT_BYTES: usize = 8 * 1024;

/// Longest `action` of a `TaskAccepted`, in bytes.
const ACTION_BYTES: usize = 256;

/// An event that is in the store.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) event: Event,
    /// The result, beside the event that ends a task; when it is large it has to be read from the store.
    pub(crate) result: Option<Arc<TaskResult>>,
    pub(crate) attempt: u32,
}

/// The handle; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    db: Database,
    commits: mpsc::Sender<Commit>,
    /// Held while a write is queued with the database and with `publish`, so that both have one order.
    order: Arc<Mutex<()>>,
    bus: broadcast::Sender<Batch>,
    stored_through: Arc<AtomicU64>,
    last_seq: Arc<AtomicU64>,
    fault: Arc<watch::Sender<Option<String>>>,
    mask: Arc<Mask>,
}

/// The events of one commit, in order; never empty.
pub(crate) type Batch = Arc<[Published]>;

type Commit = Pin<Box<dyn Future<Output = Vec<Published>> + Send>>;

impl Recorder {
    /// Starts publishing. It ends when the last handle is dropped and everything is published.
    pub(crate) async fn start(db: Database, mask: Mask) -> Result<Self, Error> {
        let (stored_through, last_seq) = db
            .read(|conn| Ok((meta::stored_through(conn)?, events::last_seq(conn)?)))
            .await?;
        let (commits, queue) = mpsc::channel(PENDING_COMMITS);
        let bus = broadcast::Sender::new(BUS_BATCHES);
        let last_seq = Arc::new(AtomicU64::new(last_seq.0));
        tokio::spawn(publish(queue, bus.clone(), last_seq.clone()));
        Ok(Self {
            db,
            commits,
            order: Arc::default(),
            bus,
            stored_through: Arc::new(AtomicU64::new(stored_through.0)),
            last_seq,
            fault: Arc::new(watch::Sender::new(None)),
            mask: Arc::new(mask),
        })
    }

    /// Runs `write` and commits what it drafts, all or nothing; resolves once it is published.
    ///
    /// Dropping the future once it was polled undoes nothing.
    pub(crate) async fn record<T: Send + 'static>(
        &self,
        sync: Sync,
        write: impl FnOnce(&mut Draft<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, outcome) = oneshot::channel();
        let slot = self.commits.reserve().await.map_err(|_| Error::Closed)?;
        {
            let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
            let mask = self.mask.clone();
            let commit = self.db.write(sync, move |conn| {
                let mut draft = Draft::new(conn, &mask);
                let value = write(&mut draft)?;
                Ok((value, draft.events))
            });
            slot.send(Box::pin(async move {
                let (result, events) = match commit.await {
                    Ok((value, events)) => (Ok(value), events),
                    Err(error) => (Err(error), Vec::new()),
                };
                // Whoever asked may have stopped waiting; the events are published all the same.
                let _ = done.send(result);
                events
            }));
        }
        let result = outcome.await.unwrap_or(Err(Error::Closed));
        self.note_fault(result.as_ref().err());
        result
    }

    /// Returns what keeps secrets out of what is kept.
    pub(crate) fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Subscribes to what is published from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Batch> {
        self.bus.subscribe()
    }

    /// Tells why the store cannot be written, as of the last write.
    pub(crate) fn fault(&self) -> watch::Receiver<Option<String>> {
        self.fault.subscribe()
    }

    /// Returns the number of the last event that was published.
    pub(crate) fn last_seq(&self) -> Seq {
        Seq(self.last_seq.load(Ordering::Acquire))
    }

    /// Returns the last event the relay said it has.
    pub(crate) fn stored_through(&self) -> Seq {
        Seq(self.stored_through.load(Ordering::Acquire))
    }

    /// Notes that the relay has everything up to an event.
    pub(crate) fn note_stored(&self, through: Seq) {
        self.stored_through.store(through.0, Ordering::Release);
    }

    /// Writes down how far the relay has our events. Losing it costs a resend, nothing else.
    pub(crate) async fn keep_stored(&self) -> Result<(), Error> {
        let through = self.stored_through();
        self.db
            .write(Sync::Normal, move |conn| {
                meta::set_stored_through(conn, through)
            })
            .await
    }

    /// Tries whether the store can be written, and tells by [`Recorder::fault`] as well.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let probed = self.keep_stored().await;
        self.note_fault(probed.as_ref().err());
        probed
    }

    fn note_fault(&self, error: Option<&Error>) {
        let fault = error.map(ToString::to_string);
        self.fault.send_if_modified(|known| {
            let changed = *known != fault;
            *known = fault;
            changed
        });
    }
}

/// Publishes each commit's events once it is done, in the order the commits were asked for.
async fn publish(
    mut queue: mpsc::Receiver<Commit>,
    bus: broadcast::Sender<Batch>,
    last_seq: Arc<AtomicU64>,
) {
    while let Some(commit) = queue.recv().await {
        let events = commit.await;
        if let Some(last) = events.last() {
            last_seq.fetch_max(last.event.seq.0, Ordering::AcqRel);
            // Nobody listening is no fault: the store has it.
            let _ = bus.send(events.into());
        }
    }
}

/// What one commit is going to say. Each verb changes the ledger and appends the event that tells it,
/// so that the two cannot disagree.
pub(crate) struct Draft<'a> {
    conn: &'a Connection,
    mask: &'a Mask,
    at: Timestamp,
    events: Vec<Published>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(conn: &'a Connection, mask: &'a Mask) -> Self {
        Self {
            conn,
            mask,
            at: Timestamp::now(),
            events: Vec::new(),
        }
    }

    /// What else belongs to the same commit is written here.
    pub(crate) fn conn(&self) -> &Connection {
        self.conn
    }

    /// The task is in the ledger. Returns false, and says nothing, when it had been there before.
    pub(crate) fn accepted(
        &mut self,
        task: &Task,
        limits: &CallerLimits,
    ) -> rusqlite::Result<bool> {
        if !ledger::insert(self.conn, task, limits)? {
            return Ok(false);
        }
        let mut action = task.action.to_string();
        action.truncate(action.floor_char_boundary(ACTION_BYTES));
        self.event(
            task.task_id,
            EventKind::TaskAccepted {
                source: task.source,
                caller: task.caller.name.clone(),
                action,
            },
        )?;
        Ok(true)
    }

    /// The owner is asked.
    pub(crate) fn asked(&mut self, asked: &Asked) -> rusqlite::Result<()> {
        let view = &asked.view;
        approvals::ask(self.conn, asked, self.at)?;
        ledger::set_asking(self.conn, view.task_id)?;
        let short = |text: &str| text[..text.floor_char_boundary(ACTION_BYTES)].to_owned();
        self.event(
            view.task_id,
            EventKind::ApprovalRequested {
                digest: view.digest.clone(),
                command: short(&view.command),
                reason: short(&view.reason),
                expires_at: view.expires_at,
            },
        )
    }

    /// Somebody answers. Says so only if they are the first.
    pub(crate) fn answer(
        &mut self,
        task_id: TaskId,
        digest: Option<&str>,
        answer: Answer,
        by: &Approver,
        now: Timestamp,
    ) -> rusqlite::Result<Taken> {
        let taken = approvals::answer(self.conn, task_id, digest, answer, by, now)?;
        if let Taken::First { digest, .. } = &taken {
            self.audit(&answers::entry(task_id, digest, answer, by))?;
            let (digest, by) = (digest.clone(), by.clone());
            self.event(task_id, EventKind::ApprovalAnswered { digest, answer, by })?;
        }
        Ok(taken)
    }

    /// An answer is used, for what runs now.
    pub(crate) fn approval_used(&mut self, task_id: TaskId, digest: &str) -> rusqlite::Result<()> {
        approvals::used(self.conn, task_id, digest, self.at)
    }

    /// Something belongs into the audit trail.
    pub(crate) fn audit(&mut self, entry: &AuditEntry) -> rusqlite::Result<()> {
        audit::append(self.conn, self.at, entry)
    }

    /// An attempt began.
    pub(crate) fn started(
        &mut self,
        task_id: TaskId,
        attempt: u32,
        allowed: Option<Allowed>,
    ) -> rusqlite::Result<()> {
        ledger::set_started(self.conn, task_id, attempt, self.at)?;
        self.event(task_id, EventKind::AttemptStarted { attempt, allowed })
    }

    /// The task printed something that begins at `offset`, of any length.
    pub(crate) fn output(
        &mut self,
        task_id: TaskId,
        stream: Stream,
        offset: u64,
        bytes: &[u8],
    ) -> rusqlite::Result<()> {
        let mut at = offset;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            output::append(self.conn, task_id, stream, at, chunk)?;
            let preview = &chunk[..chunk.len().min(PREVIEW_BYTES)];
            let mut preview = String::from_utf8_lossy(preview).into_owned();
            preview.truncate(preview.floor_char_boundary(PREVIEW_BYTES));
            self.event(
                task_id,
                EventKind::OutputAppended {
                    stream,
                    offset: at,
                    n_bytes: chunk.len() as u64,
                    preview,
                },
            )?;
            at += chunk.len() as u64;
        }
        Ok(())
    }

    /// The task said how far it is.
    pub(crate) fn progress(
        &mut self,
        task_id: TaskId,
        percent: Option<u8>,
        message: Option<String>,
    ) -> rusqlite::Result<()> {
        self.event(task_id, EventKind::ProgressMade { percent, message })
    }

    /// The attempt was lost with its agent, and the task waits again.
    pub(crate) fn lost(&mut self, task_id: TaskId, attempt: u32) -> rusqlite::Result<()> {
        ledger::set_pending(self.conn, task_id)?;
        output::delete(self.conn, task_id)?;
        self.event(task_id, EventKind::AttemptLost { attempt })
    }

    /// The task ended, with this result. Says nothing when it had ended before.
    pub(crate) fn finished(
        &mut self,
        task_id: TaskId,
        attempt: u32,
        result: &Arc<TaskResult>,
    ) -> rusqlite::Result<()> {
        let finished = ledger::set_finished(self.conn, task_id, result, self.at)?;
        let Some((n_bytes, kind)) = finished else {
            return Ok(());
        };
        // An echo touches nothing, and is asked by the thousand.
        if kind != "echo" {
            approvals::close(self.conn, task_id, self.at)?;
            let entry = self.ended(task_id, result);
            self.audit(&entry)?;
        }
        // The report is in the result; the event stays small.
        let outcome = Outcome {
            data: None,
            ..result.outcome.clone()
        };
        let kind = match outcome.status {
            EndStatus::Completed | EndStatus::Failed => {
                EventKind::AttemptFinished { attempt, outcome }
            }
            EndStatus::Cancelled => EventKind::TaskCancelled { outcome },
            EndStatus::Expired => EventKind::TaskExpired { outcome },
        };
        let event = events::append(self.conn, task_id, self.at, kind)?;
        self.events.push(Published {
            event,
            result: (n_bytes <= RESULT_BYTES).then(|| result.clone()),
            attempt,
        });
        Ok(())
    }

    fn ended(&self, task_id: TaskId, result: &TaskResult) -> AuditEntry {
        let TaskResult { outcome, output } = result;
        let ran_on = match (outcome.engine, &outcome.sandbox_tier) {
            (Some(Engine::Native), _) => "native",
            (_, Some(tier)) => tier,
            (_, None) => "nothing",
        };
        AuditEntry::Ended {
            task_id: task_id.to_string(),
            status: deskhand_protocol::TaskStatus::from(outcome.status).to_string(),
            returncode: outcome.returncode,
            code: outcome.code.map(|code| code.to_string()),
            ran_on: ran_on.to_owned(),
            layers: outcome.sandbox_layers.clone(),
            duration_ms: outcome.duration_ms,
            stdout: self.mask.beginning(&output.stdout, PREVIEW_BYTES),
            stderr: self.mask.beginning(&output.stderr, PREVIEW_BYTES),
        }
    }

    /// Runs of a schedule are left out.
    pub(crate) fn left_out(&mut self, runs: LeftOutRuns) -> rusqlite::Result<()> {
        // Every event has the id of a task; this one is nobody's.
        let nobody = TaskId::from_uuid(Uuid::now_v7());
        self.event(nobody, EventKind::RunsLeftOut(runs))
    }

    fn event(&mut self, task_id: TaskId, kind: EventKind) -> rusqlite::Result<()> {
        let event = events::append(self.conn, task_id, self.at, kind)?;
        self.events.push(Published {
            event,
            result: None,
            attempt: 0,
        });
        Ok(())
    }
}
