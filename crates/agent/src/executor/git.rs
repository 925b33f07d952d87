//! Performs a git action with the native engine, on a blocking thread.

use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use deskhand_git::{Answer, Environment, Exec, OutputLimits, Request};
use deskhand_protocol::{
    ErrorCode, Outcome,
    event::Stream,
    limits::{STORE_HEAD_BYTES, STORE_TAIL_BYTES},
    outcome::Engine,
    task::GitAction,
};
use tokio::task::JoinHandle;

use super::{Piece, Ran, pieces, shell::Place};
use crate::excerpt::{self, Ends};

/// A git command under way.
#[derive(Debug)]
pub(crate) struct Running {
    /// Becomes true to end the command at its next check.
    cancel: Arc<AtomicBool>,
    done: JoinHandle<Ran>,
}

/// Starts a git command.
pub(crate) fn start(git: GitAction, place: Place, environment: Environment) -> Running {
    let cancel = Arc::new(AtomicBool::new(false));
    let cancelled = cancel.clone();
    let done = tokio::task::spawn_blocking(move || execute(git, place, environment, &cancelled));
    Running { cancel, done }
}

impl Running {
    /// Asks the command to end.
    pub(crate) fn stop(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Waits for the end. Cancel safe; the command runs on when nobody waits.
    pub(crate) async fn wait(&mut self) -> Ran {
        (&mut self.done).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the git engine failed");
            Ran::silent(Outcome::failed(
                ErrorCode::Internal,
                "the git engine failed",
            ))
        })
    }
}

fn execute(git: GitAction, place: Place, env: Environment, cancel: &AtomicBool) -> Ran {
    let argv: Vec<OsString> = match git.command.words() {
        Ok(words) => words.into_iter().map(Into::into).collect(),
        Err(error) => {
            let outcome = Outcome::failed(ErrorCode::InvalidCommand, error.to_string());
            return Ran::silent(outcome);
        }
    };
    let request = Request {
        argv,
        cwd: place.dir,
        within: Some(place.workspace),
        env,
        stdin: None,
        limits: OutputLimits {
            head: STORE_HEAD_BYTES as usize,
            tail: STORE_TAIL_BYTES as usize,
        },
    };
    let begun = Instant::now();
    let mut ran = match deskhand_git::exec(&request, cancel) {
        Exec::Answer(answer) => answered(answer),
        Exec::NotNative(not_native) => not_answered(&not_native.reason),
    };
    ran.outcome.duration_ms = begun.elapsed().as_millis() as u64;
    ran
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

fn not_answered(reason: &str) -> Ran {
    let mut outcome = Outcome::failed(
        ErrorCode::NotNative,
        format!("the native git engine does not perform this: {reason}"),
    );
    outcome.hint = Some("send it as a shell action, which runs the real git".to_owned());
    outcome.engine_reason = Some(reason.to_owned());
    Ran::silent(outcome)
}
