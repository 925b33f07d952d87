//! Performs actions. An executor is made from a permit and runs what the permit holds: nothing else
//! reaches it.

pub(crate) mod git;
pub(crate) mod shell;

use std::time::Duration;

use deskhand_policy::{Grant, Permit};
use deskhand_protocol::{
    Action, ErrorCode, Outcome,
    event::Stream,
    outcome::{EndStatus, Excerpt},
    task::{EchoAction, GitAction, ShellAction},
};

use crate::excerpt::{self, Ends};

/// One permitted action, by who performs it.
#[derive(Debug)]
pub(crate) enum Executor {
    /// Says a text back.
    Echo(EchoAction),
    /// Asks the native engine.
    Git(GitAction, shell::Place),
    /// Starts a program in the sandbox.
    Shell(ShellAction, shell::Place),
    /// The permit does not fit its action; policy never makes such a one.
    Misfit,
}

impl From<Permit> for Executor {
    fn from(permit: Permit) -> Self {
        match permit.into_parts() {
            (Action::Echo(echo), _) => Executor::Echo(echo),
            (
                action,
                Grant::Directory {
                    dir,
                    workspace,
                    writable,
                    git_writes,
                    network,
                },
            ) => {
                let place = shell::Place {
                    dir,
                    workspace,
                    writable,
                    git_writes,
                    network,
                };
                match action {
                    Action::Git(git) => Executor::Git(git, place),
                    Action::Shell(shell) => Executor::Shell(shell, place),
                    Action::Echo(echo) => Executor::Echo(echo),
                }
            }
            (Action::Git(_) | Action::Shell(_), Grant::Nothing) => Executor::Misfit,
        }
    }
}

/// What an execution gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) output: Excerpt,
    /// Output that is not in the store yet: it goes there in the commit that ends the task.
    pub(crate) unstored: Vec<Piece>,
}

/// A piece of one stream.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) stream: Stream,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Ran {
    /// Nothing ran, or nothing was printed.
    pub(crate) fn silent(outcome: Outcome) -> Self {
        Self {
            outcome,
            output: Excerpt::default(),
            unstored: Vec::new(),
        }
    }
}

/// Performs an echo.
pub(crate) fn echo(echo: EchoAction) -> Ran {
    let bytes = echo.text.into_bytes();
    let mut outcome = Outcome::completed(0);
    outcome.n_stdout_bytes = bytes.len() as u64;
    Ran {
        outcome,
        output: excerpt::excerpt(Ends::of(&bytes, 0), Ends::default()),
        unstored: pieces(Stream::Stdout, bytes),
    }
}

fn pieces(stream: Stream, bytes: Vec<u8>) -> Vec<Piece> {
    let whole = Piece {
        stream,
        offset: 0,
        bytes,
    };
    if whole.bytes.is_empty() {
        Vec::new()
    } else {
        vec![whole]
    }
}

/// What ends an execution before its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody cancelled the task; how long it may take to end gently.
    Cancel(Duration),
    /// The agent shuts down.
    Shutdown,
    /// The task ran longer than it may.
    Timeout(Duration),
}

/// How long a task that ran out of time may take to end gently.
const GRACE_AFTER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a task may take to end gently when the agent shuts down.
const GRACE_AT_SHUTDOWN: Duration = Duration::from_secs(2);

impl Stop {
    /// Returns how long the execution may take to end gently.
    pub(crate) fn grace(self) -> Duration {
        match self {
            Stop::Cancel(grace) => grace,
            Stop::Shutdown => GRACE_AT_SHUTDOWN,
            Stop::Timeout(_) => GRACE_AFTER_TIMEOUT,
        }
    }

    /// Returns how a task ends that was stopped for this reason.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Stop::Cancel(_) => Outcome::ended(
                EndStatus::Cancelled,
                ErrorCode::Cancelled,
                "the task was cancelled",
            ),
            Stop::Shutdown => Outcome::failed(
                ErrorCode::Interrupted,
                "the agent was shut down while the task ran",
            ),
            Stop::Timeout(timeout) => Outcome::failed(
                ErrorCode::TimedOut,
                format!("the task ran longer than {} s", timeout.as_secs()),
            ),
        }
    }
}
