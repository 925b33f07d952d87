//! How a task ended, and what a caller gets.

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, TaskStatus, git::GitReport};

/// The terminal states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum EndStatus {
    /// Ran to its end, whatever its exit code.
    Completed,
    /// Did not run to its end.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Its device did not come in time.
    Expired,
}

impl From<EndStatus> for TaskStatus {
    fn from(end: EndStatus) -> Self {
        match end {
            EndStatus::Completed => TaskStatus::Completed,
            EndStatus::Failed => TaskStatus::Failed,
            EndStatus::Cancelled => TaskStatus::Cancelled,
            EndStatus::Expired => TaskStatus::Expired,
        }
    }
}

/// Who answered a git action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum Engine {
    /// The native engine, in process.
    Native,
    /// The real git, in the sandbox.
    Git,
}

/// How an attempt ended, with everything known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Outcome {
    /// The terminal state.
    pub status: EndStatus,
    /// The exit code; −n when signal n ended it; absent when nothing ran to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub returncode: Option<i32>,
    /// Why it did not complete, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub code: Option<ErrorCode>,
    /// Why it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub error: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub hint: Option<String>,
    /// How long the attempt ran, in milliseconds.
    pub duration_ms: u64,
    /// Bytes on standard output, all of them.
    #[serde(default)]
    pub n_stdout_bytes: u64,
    /// Bytes on standard error, all of them.
    #[serde(default)]
    pub n_stderr_bytes: u64,
    /// Who answered a git action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub engine: Option<Engine>,
    /// Why a git action was not answered natively.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub engine_reason: Option<String>,
    /// What a git action found, as data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub data: Option<GitReport>,
    /// The sandbox tier that confined a shell action: `full`, `reduced` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub sandbox_tier: Option<String>,
    /// The layers that confined a shell action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<Vec<String>>"))]
    pub sandbox_layers: Vec<String>,
    /// The limits a shell action ran into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<Vec<String>>"))]
    pub limits_hit: Vec<String>,
    /// Files a shell action left behind that other programs would execute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<Vec<String>>"))]
    pub created_executable_config: Vec<String>,
}

impl Outcome {
    /// An outcome of something that did not run to its end.
    pub fn ended(status: EndStatus, code: ErrorCode, error: impl Into<String>) -> Self {
        Self {
            status,
            code: Some(code),
            error: Some(error.into()),
            ..Self::completed(0)
        }
        .without_returncode()
    }

    /// An outcome of something that failed, for a reason.
    pub fn failed(code: ErrorCode, error: impl Into<String>) -> Self {
        Self::ended(EndStatus::Failed, code, error)
    }

    /// An outcome of something that ran to its end.
    pub fn completed(returncode: i32) -> Self {
        Self {
            status: EndStatus::Completed,
            returncode: Some(returncode),
            code: None,
            error: None,
            hint: None,
            duration_ms: 0,
            n_stdout_bytes: 0,
            n_stderr_bytes: 0,
            engine: None,
            engine_reason: None,
            data: None,
            sandbox_tier: None,
            sandbox_layers: Vec::new(),
            limits_hit: Vec::new(),
            created_executable_config: Vec::new(),
        }
    }

    fn without_returncode(mut self) -> Self {
        self.returncode = None;
        self
    }
}

/// How many bytes an answer leaves out between head and tail.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Truncated {
    /// Bytes of standard output left out.
    pub stdout_bytes: u64,
    /// Bytes of standard error left out.
    pub stderr_bytes: u64,
}

/// Output as an answer shows it: at most 64 KiB per stream, the first 16 and the last 48, with a
/// line between them that says how many bytes were left out. Bytes that are not UTF-8 are shown as
/// U+FFFD; the exact ones are a range call away.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Excerpt {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What was left out; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub truncated: Option<Truncated>,
}

/// The outcome and the output, as a caller gets them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct TaskResult {
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed.
    pub output: Excerpt,
}
