//! What the exit codes mean.
//!
//! Commands: 0 ok, 1 failed, 2 usage (clap's own), 3 relay or agent not reachable, 4 not authorised.
//! Commands that stand for a task (`run`, `tasks watch`) exit with the task's own code, 128+n when
//! signal n ended it; their own failures are [`DENIED`] and the constants after it. 141 is what a
//! shell says of a program whose reader went away.

use deskhand_client as client;
use deskhand_host::{ControlError, TlsError, TrustError};
use deskhand_protocol::{ErrorCode, TaskStatus, task::TaskView};

use crate::out;

/// Done.
pub(crate) const OK: u8 = 0;
/// Not done.
pub(crate) const FAILED: u8 = 1;
/// The command makes no sense.
pub(crate) const USAGE: u8 = 2;
/// Relay or agent not reachable.
pub(crate) const NOT_REACHABLE: u8 = 3;
/// Not authorised.
pub(crate) const NOT_AUTHORISED: u8 = 4;
/// `git-exec`: the engine does not perform the command.
pub(crate) const NOT_NATIVE: u8 = 120;
/// The owner's rules, or the owner, said no.
pub(crate) const DENIED: u8 = 121;
/// The relay or the device is not reachable.
pub(crate) const TASK_NOT_REACHABLE: u8 = 122;
/// The relay does not take the key for this.
pub(crate) const TASK_NOT_AUTHORISED: u8 = 123;
/// The wait is over; the task runs on.
pub(crate) const WAIT_OVER: u8 = 124;
/// The task could not be run to its end.
pub(crate) const TASK_FAILED: u8 = 125;
/// Ctrl-C ended it: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
/// Nobody reads any more: 128 + SIGPIPE.
const BROKEN_PIPE: u8 = 141;

/// A mistake of whoever typed the command that clap could not see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// There is no key to show.
#[derive(Debug, thiserror::Error)]
#[error("find a key for {relay_url}")]
pub(crate) struct NoKey {
    pub(crate) relay_url: String,
}

/// Returns the exit code of a command that did not succeed.
pub(crate) fn of(error: &anyhow::Error, runs_a_task: bool) -> u8 {
    if out::is_broken_pipe(error) {
        return BROKEN_PIPE;
    }
    if error.downcast_ref::<UsageError>().is_some() {
        return USAGE;
    }
    match (class(error), runs_a_task) {
        (Class::NotReachable, true) => TASK_NOT_REACHABLE,
        (Class::NotReachable, false) => NOT_REACHABLE,
        (Class::NotAuthorised, true) => TASK_NOT_AUTHORISED,
        (Class::NotAuthorised, false) => NOT_AUTHORISED,
        (Class::Denied, true) => DENIED,
        (Class::Other, true) => TASK_FAILED,
        (Class::Denied | Class::Other, false) => FAILED,
    }
}

/// Returns the exit code that a task which ended stands for.
pub(crate) fn of_task(task: &TaskView) -> u8 {
    let returncode = task
        .result
        .as_ref()
        .and_then(|result| result.outcome.returncode);
    match (returncode, task.code) {
        // The system itself keeps the low eight bits.
        (Some(code @ 0..), _) => code.to_le_bytes()[0],
        (Some(signal), _) => 128u8.wrapping_add(signal.unsigned_abs().to_le_bytes()[0]),
        (None, Some(code)) => match class_of(code) {
            Class::Denied => DENIED,
            Class::NotReachable => TASK_NOT_REACHABLE,
            Class::NotAuthorised => TASK_NOT_AUTHORISED,
            Class::Other => TASK_FAILED,
        },
        (None, None) if task.status == TaskStatus::Completed => OK,
        (None, None) => TASK_FAILED,
    }
}

/// Returns the stable code of a failure, where it has one.
pub(crate) fn code(error: &anyhow::Error) -> Option<ErrorCode> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<client::Error>() {
            return error.code();
        }
        if cause.downcast_ref::<TlsError>().is_some()
            || cause.downcast_ref::<TrustError>().is_some()
        {
            return Some(ErrorCode::InvalidCertificate);
        }
        match cause.downcast_ref::<ControlError>() {
            Some(ControlError::Problem(problem)) => Some(problem.code),
            _ => None,
        }
    })
}

/// Returns what to do about a failure, where somebody knows.
pub(crate) fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<client::Error>() {
            return error.hint().map(str::to_owned);
        }
        if cause.downcast_ref::<NoKey>().is_some() {
            return Some(
                "put one into DESKHAND_API_KEY; `deskhand keys create NAME` on the relay's \
                 computer makes one"
                    .to_owned(),
            );
        }
        match cause.downcast_ref::<ControlError>() {
            Some(ControlError::Problem(problem)) => problem.hint.clone(),
            Some(ControlError::NotRunning) => Some("start it: `deskhand up`".to_owned()),
            Some(ControlError::Broken(_)) | None => None,
        }
    })
}

enum Class {
    NotReachable,
    NotAuthorised,
    Denied,
    Other,
}

fn class(error: &anyhow::Error) -> Class {
    if let Some(code) = code(error) {
        return class_of(code);
    }
    for cause in error.chain() {
        if cause.downcast_ref::<NoKey>().is_some() {
            return Class::NotAuthorised;
        }
        if let Some(error) = cause.downcast_ref::<client::Error>()
            && error.is_unreachable()
        {
            return Class::NotReachable;
        }
        if let Some(ControlError::NotRunning | ControlError::Broken(_)) = cause.downcast_ref() {
            return Class::NotReachable;
        }
    }
    Class::Other
}

fn class_of(code: ErrorCode) -> Class {
    match code {
        ErrorCode::Unauthorized | ErrorCode::Forbidden => Class::NotAuthorised,
        ErrorCode::DeviceOffline
        | ErrorCode::DevicePaused
        | ErrorCode::NoDevice
        | ErrorCode::ShuttingDown => Class::NotReachable,
        ErrorCode::Denied | ErrorCode::WorkingDirNotAllowed | ErrorCode::NoWorkspace => {
            Class::Denied
        }
        _ => Class::Other,
    }
}
