//! Performs a git action: with the native engine, on a blocking thread, or as the real git when that
//! hands it over.
//!
//! The real git runs as a shell action does, in the sandbox, with the programs that the repository names
//! switched off.

use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use deskhand_git::{Answer, Environment, Exec, OutputLimits, Plan, Request};
use deskhand_protocol::{
    ErrorCode, Outcome,
    event::Stream,
    limits::{STORE_HEAD_BYTES, STORE_TAIL_BYTES},
    outcome::Engine,
    task::GitAction,
};
use tokio::{
    sync::{OwnedRwLockWriteGuard, RwLock},
    task::JoinHandle,
};

use super::{
    Piece, Ran, pieces,
    shell::{Place, Program},
};
use crate::{
    excerpt::{self, Ends},
    repositories::Repositories,
};

/// Tells whether the native engine may answer, from the words alone.
pub(crate) fn may_be_native(git: &GitAction) -> bool {
    !matches!(deskhand_git::plan(&words(git)), Plan::NotNative { .. })
}

fn words(git: &GitAction) -> Vec<OsString> {
    // What cannot be split is not run.
    let words = git.command.words().unwrap_or_default();
    words.into_iter().map(Into::into).collect()
}

/// A git command under way in the native engine.
#[derive(Debug)]
pub(crate) struct Running {
    /// Becomes true to end the command at its next check.
    cancel: Arc<AtomicBool>,
    done: JoinHandle<Native>,
}

/// What the native engine did.
#[derive(Debug)]
pub(crate) enum Native {
    /// It answered.
    Ran(Box<Ran>),
    /// It hands the command over, and has changed nothing.
    HandedOver {
        /// Why, as a fragment.
        reason: String,
    },
}

/// Starts a git command. One that changes the repository waits until no other does.
pub(crate) fn start(
    git: &GitAction,
    place: Place,
    env: Environment,
    repositories: Arc<Repositories>,
) -> Running {
    let cancel = Arc::new(AtomicBool::new(false));
    let cancelled = cancel.clone();
    let request = request(git, place, env);
    let split = git.command.words().map(drop);
    let done = tokio::task::spawn_blocking(move || match split {
        Ok(()) => execute(request, &repositories, &cancelled),
        Err(error) => {
            let outcome = Outcome::failed(ErrorCode::InvalidCommand, error.to_string());
            Native::Ran(Box::new(Ran::silent(outcome)))
        }
    });
    Running { cancel, done }
}

impl Running {
    /// Asks the command to end.
    pub(crate) fn stop(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Waits for the end. Cancel safe; the command runs on when nobody waits.
    pub(crate) async fn wait(&mut self) -> Native {
        (&mut self.done).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the git engine failed");
            let outcome = Outcome::failed(ErrorCode::Internal, "the git engine failed");
            Native::Ran(Box::new(Ran::silent(outcome)))
        })
    }
}

fn request(git: &GitAction, place: Place, env: Environment) -> Request {
    Request {
        argv: words(git),
        cwd: place.dir,
        within: Some(place.workspace),
        env,
        stdin: None,
        limits: OutputLimits {
            head: STORE_HEAD_BYTES as usize,
            tail: STORE_TAIL_BYTES as usize,
        },
    }
}

fn execute(mut request: Request, repositories: &Repositories, cancel: &AtomicBool) -> Native {
    let reads = deskhand_git::plan(&request.argv) == Plan::Read;
    let lock = lock_of(&request, repositories);
    let (mut _reading, mut _writing) = (None, None);
    if reads {
        _reading = lock.try_read().ok();
        if _reading.is_none() {
            request.env.set("GIT_OPTIONAL_LOCKS", "0");
        }
    } else {
        _writing = Some(lock.blocking_write());
        // It may have waited for long; whoever asked it to end has been told that it did nothing.
        if cancel.load(Ordering::Relaxed) {
            let outcome = Outcome::failed(ErrorCode::Cancelled, "ended before it began");
            return Native::Ran(Box::new(Ran::silent(outcome)));
        }
    }
    let begun = Instant::now();
    match deskhand_git::exec(&request, cancel) {
        Exec::Answer(answer) => {
            let mut ran = answered(answer);
            ran.outcome.duration_ms = begun.elapsed().as_millis() as u64;
            Native::Ran(Box::new(ran))
        }
        Exec::NotNative(not_native) => Native::HandedOver {
            reason: not_native.reason,
        },
    }
}

/// Outside of a repository the working directory stands for the one that may be made there.
fn lock_of(request: &Request, repositories: &Repositories) -> Arc<RwLock<()>> {
    let common_dir = deskhand_git::common_dir(request);
    repositories.lock_of(common_dir.as_ref().unwrap_or(&request.cwd))
}

fn answered(answer: Answer) -> Ran {
    let mut outcome = Outcome::completed(answer.returncode);
    outcome.engine = Some(Engine::Native);
    outcome.data = answer.data;
    outcome.n_stdout_bytes = answer.stdout.len() as u64 + answer.omitted;
    outcome.n_stderr_bytes = answer.stderr.len() as u64;
    let output = excerpt::excerpt(
        Ends::of(&answer.stdout, answer.omitted),
        Ends::of(&answer.stderr, 0),
    );

    let mut stdout = answer.stdout;
    let mut unstored = Vec::new();
    if answer.omitted > 0 {
        let tail = stdout.split_off(stdout.len().min(STORE_HEAD_BYTES as usize));
        unstored.push(Piece {
            stream: Stream::Stdout,
            offset: stdout.len() as u64 + answer.omitted,
            bytes: tail,
        });
    }
    unstored.splice(0..0, pieces(Stream::Stdout, stdout));
    unstored.extend(pieces(Stream::Stderr, answer.stderr));
    Ran {
        outcome,
        output,
        unstored,
    }
}

/// The real git as a program for the sandbox, and what it holds while it runs.
#[derive(Debug)]
pub(crate) struct RealGit {
    pub(crate) program: Program,
    /// To be held until the program has ended; none for one that reads.
    pub(crate) lock: Option<Arc<RwLock<()>>>,
}

impl RealGit {
    /// Prepares what carries out a command that was handed over. Reads the repository's configuration,
    /// which says what has to be switched off.
    pub(crate) async fn prepare(
        git: GitAction,
        place: &Place,
        env: Environment,
        repositories: Arc<Repositories>,
    ) -> Result<Self, String> {
        let place = place.clone();
        let prepared = tokio::task::spawn_blocking(move || {
            let request = request(&git, place, env);
            let command = deskhand_git::fallback_command(&request).map_err(|e| e.to_string())?;
            let writes = deskhand_git::nature(&request.argv) != deskhand_git::Nature::Read;
            Ok(Self {
                program: Program {
                    argv: command.argv,
                    env: owned(&command.env),
                    stdin: Vec::new(),
                    timeout: git.timeout.duration(),
                },
                lock: writes.then(|| lock_of(&request, &repositories)),
            })
        });
        let broken = |_| Err("preparing the real git failed".to_owned());
        prepared.await.unwrap_or_else(broken)
    }

    /// Waits until no other command changes the repository. Cancel safe.
    pub(crate) async fn alone(&self) -> Option<OwnedRwLockWriteGuard<()>> {
        match &self.lock {
            Some(lock) => Some(lock.clone().write_owned().await),
            None => None,
        }
    }
}

fn owned(env: &Environment) -> Vec<(OsString, OsString)> {
    env.iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
