//! Stable error codes, and the problem a caller or an owner reads.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why something failed, in one stable word. A code exists only where someone decides on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code, for documentation and tests.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// Returns the word, as serde writes it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The key or token is missing, wrong, expired or revoked.
    Unauthorized = "unauthorized",
    /// The caller may see it, but not do this.
    Forbidden = "forbidden",
    /// Only this computer's window and control socket may do this.
    LocalOnly = "local_only",
    /// A key was shown over plain HTTP, from another computer.
    InsecureTransport = "insecure_transport",
    /// A certificate, or its key, cannot be used.
    InvalidCertificate = "invalid_certificate",
    /// The body is not JSON.
    InvalidJson = "invalid_json",
    /// The body is JSON of another shape; the message names the path of the fault.
    InvalidRequest = "invalid_request",
    /// A synchronous request without `task_id`.
    MissingTaskId = "missing_task_id",
    /// The `task_id` already names a task with another body.
    TaskIdConflict = "task_id_conflict",
    /// No `action_type`.
    MissingActionType = "missing_action_type",
    /// An `action_type` nobody knows.
    UnknownActionType = "unknown_action_type",
    /// An action this version cannot perform.
    UnsupportedAction = "unsupported_action",
    /// No command to run.
    MissingCommand = "missing_command",
    /// The command cannot be split into words.
    InvalidCommand = "invalid_command",
    /// The body is larger than the relay reads.
    TooLarge = "too_large",
    /// No such thing, or not one the caller may see.
    NotFound = "not_found",
    /// No device of that id or name that the key reaches.
    UnknownDevice = "unknown_device",
    /// The key reaches several devices and the request names none.
    DeviceAmbiguous = "device_ambiguous",
    /// The key reaches no device.
    NoDevice = "no_device",
    /// The device has no link to the relay.
    DeviceOffline = "device_offline",
    /// The owner paused the device.
    DevicePaused = "device_paused",
    /// The device's mailbox is full.
    MailboxFull = "mailbox_full",
    /// Too many requests.
    RateLimited = "rate_limited",
    /// The wait ended; the task runs on.
    WaitOver = "wait_over",
    /// A byte range that is not there, or not any more.
    RangeNotSatisfiable = "range_not_satisfiable",
    /// A pairing code that is wrong, used or expired.
    InvalidPairingCode = "invalid_pairing_code",
    /// The signature of a webhook is missing or wrong.
    InvalidSignature = "invalid_signature",
    /// The task ran longer than its timeout.
    TimedOut = "timed_out",
    /// The owner's rules, or the owner, said no.
    Denied = "denied",
    /// Somebody else answered the question first; the message names them.
    AlreadyAnswered = "already_answered",
    /// The question is closed, or is not the one that was shown.
    NoSuchQuestion = "no_such_question",
    /// This computer cannot confine the task as required.
    SandboxUnavailable = "sandbox_unavailable",
    /// The working directory lies beneath no workspace.
    WorkingDirNotAllowed = "working_dir_not_allowed",
    /// The working directory does not exist.
    WorkingDirMissing = "working_dir_missing",
    /// No workspace is open to tasks.
    NoWorkspace = "no_workspace",
    /// A git command the native engine does not perform.
    NotNative = "not_native",
    /// The program could not be started.
    SpawnFailed = "spawn_failed",
    /// The task wrote more than it may.
    OutputLimit = "output_limit",
    /// The attempt was lost with its agent; what it did is unknown.
    Interrupted = "interrupted",
    /// Somebody cancelled the task.
    Cancelled = "cancelled",
    /// The device did not come in time.
    Expired = "expired",
    /// The relay or the agent is shutting down.
    ShuttingDown = "shutting_down",
    /// Our own fault; the log knows more.
    Internal = "internal",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A code, a sentence for the reader and, where there is one, a hint what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The stable word.
    pub code: ErrorCode,
    /// The sentence.
    pub error: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub hint: Option<String>,
}

impl Problem {
    /// Makes a problem without a hint.
    pub fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Self {
            code,
            error: error.into(),
            hint: None,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_written_as_it_is_displayed() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        }
    }
}
