//! One execution as a state machine: accepted, judged, started, run, finished.
//!
//! What it owns: one task from the moment the dispatcher gave it a place until it has ended.
//! What it waits on: commits, the executor, and the signal to stop.
//! What it never does: choose when to run (the dispatcher does), or run anything before the ledger
//! has the task. The one exception is an action that only reads: it runs beside the commit, and when
//! the ledger turns out to know the task, what it gave is thrown away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deskhand_policy::{Decision, Denial, Permit, Question};
use deskhand_protocol::{
    Action, Allowed, ErrorCode, Outcome, Task, TaskId, TaskResult, Timestamp,
    approval::Answer,
    audit::AuditEntry,
    limits::{MAX_TEXT_BYTES, QUESTION_LIFETIME},
    outcome::{EndStatus, Engine},
    policy::{CallerLimits, Explanation},
    task::{Durability, GitAction},
};
use deskhand_sqlite::{Error, Sync};
use tokio::{
    sync::watch,
    time::{Instant, interval_at, sleep, sleep_until},
};

use crate::{
    approvals,
    device::Device,
    dispatcher::Delivery,
    executor::{
        self, Executor, Ran, Stop,
        git::{self, Native, RealGit},
        shell::{Place, Program},
    },
    judge,
    recorder::Draft,
    store::{
        approvals::{Asked, Standing},
        ledger,
    },
};

/// How often a task that runs long says that it runs.
pub(crate) const ELAPSED_EVERY: Duration = Duration::from_secs(10);

/// Longest text in a row of the audit trail.
const AUDITED_BYTES: usize = 1_024;

/// Bytes of the reason why an attempt was let run, in its event.
const ALLOWED_BYTES: usize = 256;

/// When the end of a task could not be stored it is tried again after this.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where a task comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The relay delivered it; the ledger may or may not know it.
    Delivered(Box<Delivery>),
    /// It waits in the ledger.
    Ledger(TaskId),
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is in the ledger and waits.
    Accepted,
    /// It is in the ledger and waits for the owner's answer, until then at most.
    Asking(Timestamp),
    /// It has ended, and the store has it.
    Finished,
    /// The ledger knew it before: nothing was done.
    Known,
    /// The store cannot be written: nothing was done.
    Unstored,
}

/// Becomes some reason when an execution has to end.
#[derive(Debug)]
pub(crate) struct StopSignal(pub(crate) watch::Receiver<Option<Stop>>);

impl StopSignal {
    /// Waits for the next reason to stop. Cancel safe.
    pub(crate) async fn wait(&mut self) -> Stop {
        while self.0.changed().await.is_ok() {
            if let Some(stop) = *self.0.borrow_and_update() {
                return stop;
            }
        }
        std::future::pending().await
    }

    fn asked(&self) -> Option<Stop> {
        *self.0.borrow()
    }
}

/// Enters a task into the ledger, to wait there.
pub(crate) async fn accept(device: &Device, delivery: Box<Delivery>) -> End {
    let sync = sync_of(delivery.task.durability);
    let accepted = device.recorder.record(sync, move |draft| {
        draft.accepted(&delivery.task, &delivery.limits)
    });
    match accepted.await {
        Ok(true) => End::Accepted,
        Ok(false) => End::Known,
        Err(_) => End::Unstored,
    }
}

/// Takes a task to its end. `in_ledger` becomes true as soon as it is there.
pub(crate) async fn run(
    device: Arc<Device>,
    origin: Origin,
    in_ledger: Arc<AtomicBool>,
    stop: StopSignal,
) -> End {
    let (task, limits, attempt, entered) = match origin {
        Origin::Delivered(delivery) => (Arc::new(delivery.task), delivery.limits, 1, false),
        Origin::Ledger(task_id) => match device.db.read(move |c| ledger::get(c, task_id)).await {
            Ok(Some(entry)) => (Arc::new(entry.task), entry.limits, entry.attempt + 1, true),
            Ok(None) => return End::Finished,
            Err(_) => return End::Unstored,
        },
    };
    let attempt = Attempt {
        sync: sync_of(task.durability),
        device,
        task,
        limits,
        attempt,
        entered,
        in_ledger,
        stop,
        to_audit: None,
        approved: None,
    };
    attempt
        .take_its_course()
        .await
        .unwrap_or_else(|Stopped(end)| end)
}

/// Ends a task that waits, for a reason that is no execution.
pub(crate) async fn end_waiting(device: Arc<Device>, task_id: TaskId, outcome: Outcome) -> End {
    let durability = match device.db.read(move |c| ledger::get(c, task_id)).await {
        Ok(Some(entry)) => entry.task.durability,
        Ok(None) => return End::Finished,
        Err(_) => return End::Unstored,
    };
    let result = result_of(Ran::silent(outcome)).0;
    let ended = device.recorder.record(sync_of(durability), move |draft| {
        draft.finished(task_id, 0, &result)
    });
    match ended.await {
        Ok(()) => End::Finished,
        Err(_) => End::Unstored,
    }
}

/// Says that a task waited too long.
pub(crate) fn expired() -> Outcome {
    Outcome::ended(
        EndStatus::Expired,
        ErrorCode::Expired,
        "the task could not be started in time",
    )
}

fn denied(denial: Denial) -> Outcome {
    Outcome::failed(denial.code, denial.reason)
}

fn sync_of(durability: Durability) -> Sync {
    match durability {
        Durability::Normal => Sync::Normal,
        Durability::Full => Sync::Full,
    }
}

fn result_of(mut ran: Ran) -> (Arc<TaskResult>, Arc<[executor::Piece]>) {
    // It may quote what the caller sent.
    if let Some(error) = &mut ran.outcome.error {
        error.truncate(error.floor_char_boundary(MAX_TEXT_BYTES));
    }
    let result = TaskResult {
        outcome: ran.outcome,
        output: ran.output,
    };
    (Arc::new(result), ran.unstored.into())
}

struct Attempt {
    device: Arc<Device>,
    task: Arc<Task>,
    limits: CallerLimits,
    attempt: u32,
    sync: Sync,
    /// Whether the task is in the ledger; if not, the next commit enters it.
    entered: bool,
    in_ledger: Arc<AtomicBool>,
    stop: StopSignal,
    /// What was decided, for the next commit.
    to_audit: Option<AuditEntry>,
    /// The digest of the question whose answer is used, for the commit before it runs.
    approved: Option<String>,
}

/// The attempt goes no further.
struct Stopped(End);

impl Attempt {
    async fn take_its_course(mut self) -> Result<End, Stopped> {
        if Timestamp::now() > self.task.expires_at {
            return self.refuse(expired()).await;
        }
        if let Some(stop) = self.stop.asked() {
            return self.refuse(stop.outcome()).await;
        }
        match self.judge(Engine::Native).await {
            Decision::Allow(permit) => self.execute(permit).await,
            Decision::Deny(denial) => self.refuse(denied(denial)).await,
            Decision::Ask(question) => match self.ask(question).await? {
                Ok(permit) => self.execute(permit).await,
                Err(outcome) => self.refuse(outcome).await,
            },
        }
    }

    async fn judge(&mut self, engine: Engine) -> Decision {
        let (action, limits) = (self.task.action.clone(), self.limits.clone());
        let judged = judge::judge(&self.device, action, engine, limits).await;
        if !matches!(self.task.action, Action::Echo(_)) {
            self.to_audit = Some(self.judged(&judged.explanation));
        }
        judged.decision
    }

    fn judged(&self, explanation: &Explanation) -> AuditEntry {
        let task = &self.task;
        let mask = self.device.recorder.mask();
        AuditEntry::Judged {
            task_id: task.task_id.to_string(),
            caller: task.caller.name.clone(),
            key_id: task.caller.key_id.as_ref().map(ToString::to_string),
            source: task.source.as_str().to_owned(),
            action: task.action.kind().to_owned(),
            command: mask.beginning(&task.action.to_string(), AUDITED_BYTES),
            working_dir: mask
                .beginning(task.action.working_dir().unwrap_or_default(), AUDITED_BYTES),
            verdict: explanation.verdict.as_str().to_owned(),
            by: explanation.by.clone(),
            reason: mask.beginning(&explanation.reason, AUDITED_BYTES),
        }
    }

    /// Returns the decision that lets it run, which is about to be committed.
    fn allowed(&self) -> Option<Allowed> {
        let Some(AuditEntry::Judged { by, reason, .. }) = &self.to_audit else {
            return None;
        };
        Some(Allowed {
            by: by.clone(),
            reason: self.device.recorder.mask().beginning(reason, ALLOWED_BYTES),
        })
    }

    /// Asks the owner, unless that was done: a stored answer answers this question if it is the same.
    /// Returns the permit or why there is none; an attempt whose question is open goes no further.
    async fn ask(&mut self, question: Question) -> Result<Result<Permit, Outcome>, Stopped> {
        let (task_id, now) = (self.task.task_id, Timestamp::now());
        let digest = question.digest(&self.task.caller);
        let asked = digest.clone();
        let standing = self
            .device
            .db
            .read(move |conn| crate::store::approvals::standing(conn, task_id, &asked, now));
        match standing.await {
            Ok(Standing::Answered(Answer::Once | Answer::AlwaysHere, by)) => {
                if let Some(AuditEntry::Judged { by: decided, .. }) = &mut self.to_audit {
                    *decided = format!("{} through {}", by.name, by.door.as_str());
                }
                self.approved = Some(digest);
                Ok(Ok(question.approve()))
            }
            Ok(Standing::Answered(Answer::No, by)) => Ok(Err(approvals::said_no(&by))),
            Ok(Standing::Missed) => Ok(Err(approvals::missed())),
            Ok(Standing::Open(until)) => Err(Stopped(End::Asking(until))),
            Ok(Standing::Unasked) if !self.device.attendance.is_anybody_there() => {
                Ok(Err(approvals::unattended(question.reason())))
            }
            Ok(Standing::Unasked) => {
                let until = (now + QUESTION_LIFETIME).min(self.task.expires_at);
                let asked = Asked {
                    view: question.view(&self.task, now, until),
                    rules: question.always().map(<[_]>::to_vec),
                    key_id: self.task.caller.key_id.as_ref().map(ToString::to_string),
                    may_approve: self.limits.can_approve,
                };
                self.commit(move |draft| draft.asked(&asked)).await?;
                Err(Stopped(End::Asking(until)))
            }
            Err(error) => {
                tracing::warn!(%task_id, %error, "cannot look for an answer");
                Err(Stopped(End::Unstored))
            }
        }
    }

    /// Ends the task without an attempt.
    async fn refuse(&mut self, outcome: Outcome) -> Result<End, Stopped> {
        let task_id = self.task.task_id;
        let result = result_of(Ran::silent(outcome)).0;
        self.commit(move |draft| draft.finished(task_id, 0, &result))
            .await?;
        Ok(End::Finished)
    }

    async fn execute(mut self, permit: Permit) -> Result<End, Stopped> {
        let ran = match Executor::from(permit) {
            Executor::Echo(echo) => return self.echo(executor::echo(echo)).await,
            Executor::Git(git, place) => {
                let environment = self.device.git_environment.clone();
                let repositories = self.device.repositories.clone();
                let start = move || git::start(&git, place, environment, repositories);
                let running = if self.task.action.is_repeatable() {
                    let running = start();
                    // Dropping it does no harm: it reads.
                    self.start().await.inspect_err(|_| running.stop())?;
                    running
                } else {
                    self.start().await?;
                    start()
                };
                match self.watch_git(running).await {
                    Native::Ran(ran) => *ran,
                    Native::HandedOver { reason } => self.hand_over(&reason).await?,
                }
            }
            Executor::Shell(shell, place) => {
                self.start().await?;
                self.confine(shell.into(), place).await
            }
            Executor::Misfit => {
                let outcome = Outcome::failed(ErrorCode::Internal, "the permit does not fit");
                return self.refuse(outcome).await;
            }
        };
        self.finish(ran).await
    }

    /// An echo takes no time: everything about it is one commit.
    async fn echo(&mut self, ran: Ran) -> Result<End, Stopped> {
        let (task_id, attempt) = (self.task.task_id, self.attempt);
        let (result, unstored) = result_of(ran);
        self.commit(move |draft| {
            draft.started(task_id, attempt, None)?;
            finish(draft, task_id, attempt, &result, &unstored)
        })
        .await?;
        Ok(End::Finished)
    }

    async fn start(&mut self) -> Result<(), Stopped> {
        let (task_id, attempt) = (self.task.task_id, self.attempt);
        let allowed = self.allowed();
        self.commit(move |draft| draft.started(task_id, attempt, allowed))
            .await
    }

    /// Commits what `write` drafts, and the entry into the ledger with it when that is still due.
    async fn commit(
        &mut self,
        write: impl FnOnce(&mut Draft<'_>) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), Stopped> {
        let due = (!self.entered).then(|| (self.task.clone(), self.limits.clone()));
        let (to_audit, approved) = (self.to_audit.take(), self.approved.take());
        let task_id = self.task.task_id;
        let committed = self.device.recorder.record(self.sync, move |draft| {
            if let Some((task, limits)) = due
                && !draft.accepted(&task, &limits)?
            {
                return Ok(false);
            }
            if let Some(entry) = to_audit {
                draft.audit(&entry)?;
            }
            if let Some(digest) = approved {
                draft.approval_used(task_id, &digest)?;
            }
            write(draft)?;
            Ok(true)
        });
        match committed.await {
            Ok(true) => {
                self.entered = true;
                self.in_ledger.store(true, Ordering::Release);
                Ok(())
            }
            Ok(false) => Err(Stopped(End::Known)),
            Err(error) => {
                tracing::warn!(task_id = %self.task.task_id, %error, "cannot store a task");
                Err(Stopped(End::Unstored))
            }
        }
    }

    /// Has the real git do what the native engine does not. It is judged anew, as the shell action that
    /// it is.
    async fn hand_over(&mut self, reason: &str) -> Result<Ran, Stopped> {
        let permit = match self.judge(Engine::Git).await {
            Decision::Allow(permit) => Ok(permit),
            Decision::Deny(denial) => Err(denied(denial)),
            Decision::Ask(question) => self.ask(question).await?,
        };
        // What was decided, and that an answer is used, is stored before anything runs.
        self.commit(|_| Ok(())).await?;
        let mut ran = match permit.map(Executor::from) {
            Ok(Executor::Git(git, place)) => self.real_git(git, place).await,
            Ok(_) => Ran::silent(Outcome::failed(
                ErrorCode::Internal,
                "the permit does not fit",
            )),
            Err(outcome) => Ran::silent(outcome),
        };
        let outcome = &mut ran.outcome;
        outcome.engine = outcome.returncode.map(|_| Engine::Git);
        outcome.engine_reason = Some(reason.to_owned());
        if outcome.code == Some(ErrorCode::NotNative)
            && let Some(error) = &mut outcome.error
        {
            *error = format!("the native git engine does not perform this ({reason}), and {error}");
        }
        Ok(ran)
    }

    async fn real_git(&mut self, git: GitAction, place: Place) -> Ran {
        let environment = self.device.git_environment.clone();
        let repositories = self.device.repositories.clone();
        let real_git = match RealGit::prepare(git, &place, environment, repositories).await {
            Ok(real_git) => real_git,
            Err(error) => return Ran::silent(Outcome::failed(ErrorCode::NotNative, error)),
        };
        let _alone = tokio::select! {
            alone = real_git.alone() => alone,
            stop = self.stop.wait() => return Ran::silent(stop.outcome()),
        };
        self.confine(real_git.program, place).await
    }

    async fn confine(&mut self, program: Program, place: Place) -> Ran {
        let (config, recorder) = (&self.device.config, &self.device.recorder);
        let (task_id, stop) = (self.task.task_id, &mut self.stop);
        executor::shell::run(program, place, task_id, config, recorder, stop).await
    }

    /// Waits for a git command; one that does not heed the request to stop is left behind, since a
    /// thread cannot be ended.
    async fn watch_git(&mut self, mut running: git::Running) -> Native {
        let begun = Instant::now();
        let timeout = self.task.action.timeout().duration();
        let mut elapsed = interval_at(begun + ELAPSED_EVERY, ELAPSED_EVERY);
        let stop = loop {
            tokio::select! {
                biased;
                native = running.wait() => return native,
                stop = self.stop.wait() => break stop,
                () = sleep_until(begun + timeout) => break Stop::Timeout(timeout),
                _ = elapsed.tick() => {
                    let task_id = self.task.task_id;
                    let said = self.device.recorder.record(Sync::Normal, move |draft| {
                        draft.progress(task_id, None, None)
                    });
                    if let Err(error) = said.await {
                        tracing::warn!(%task_id, %error, "cannot store progress");
                    }
                }
            }
        };
        running.stop();
        let printed = tokio::time::timeout(stop.grace(), running.wait()).await;
        let mut ran = match printed {
            Ok(Native::Ran(ran)) => ran,
            Ok(Native::HandedOver { .. }) | Err(_) => Box::new(Ran::silent(stop.outcome())),
        };
        ran.outcome = Outcome {
            duration_ms: begun.elapsed().as_millis() as u64,
            n_stdout_bytes: ran.outcome.n_stdout_bytes,
            n_stderr_bytes: ran.outcome.n_stderr_bytes,
            ..stop.outcome()
        };
        Native::Ran(ran)
    }

    /// Stores how the task ended, however long the store takes to be writable again: what was done
    /// cannot be done again to learn it.
    async fn finish(&self, ran: Ran) -> Result<End, Stopped> {
        let (task_id, attempt) = (self.task.task_id, self.attempt);
        let (result, unstored) = result_of(ran);
        loop {
            let (result, unstored) = (result.clone(), unstored.clone());
            let finished = self.device.recorder.record(self.sync, move |draft| {
                finish(draft, task_id, attempt, &result, &unstored)
            });
            match finished.await {
                Ok(()) => return Ok(End::Finished),
                Err(Error::Closed) if self.device.stopping.is_cancelled() => {
                    return Err(Stopped(End::Unstored));
                }
                Err(error) => {
                    tracing::error!(%task_id, %error, "cannot store how a task ended; trying on");
                    sleep(STORE_AGAIN_AFTER).await;
                }
            }
        }
    }
}

fn finish(
    draft: &mut Draft<'_>,
    task_id: TaskId,
    attempt: u32,
    result: &Arc<TaskResult>,
    unstored: &[executor::Piece],
) -> rusqlite::Result<()> {
    for piece in unstored {
        draft.output(task_id, piece.stream, piece.offset, &piece.bytes)?;
    }
    draft.finished(task_id, attempt, result)
}
