//! Answers of `POST /webhook`, exactly as promised to callers: fields may be added, none may change.
//! The requests are read in the relay, field by field, so that every fault gets its own sentence.

use serde::{Deserialize, Serialize};

use crate::{
    DeviceId, ErrorCode, TaskId, TaskName, TaskStatus, Timestamp,
    git::GitReport,
    outcome::{Engine, Excerpt, Truncated},
};

/// An asynchronous task, or an event, was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Received {
    /// Always `received`.
    pub status: ReceivedWord,
    /// The GitHub event; null for tasks.
    pub event: Option<String>,
    /// The GitHub delivery; null for tasks.
    pub delivery_id: Option<String>,
    /// Devices that have it now; 0 while the device is offline.
    pub clients_notified: u32,
    /// True when the device is offline and the task waits for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queued: bool,
    /// The caller's name for the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskName>,
    /// The task, everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<TaskId>,
    /// Where to read the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_url: Option<String>,
    /// True when the task was already known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// The word `received`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReceivedWord {
    /// It was taken.
    Received,
}

/// A task ended while its caller waited, or had ended before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finished {
    /// `completed` or `failed`.
    pub status: FinishedWord,
    /// The caller's name for the task.
    pub task_id: TaskName,
    /// What it printed; null when nothing ran.
    pub output: Option<WebhookOutput>,
    /// From dispatch to result, in milliseconds.
    pub execution_time_ms: u64,
    /// Devices that had it: 1.
    pub clients_notified: u32,
    /// Why it failed.
    pub error: Option<String>,
    /// Why it failed, in one word.
    pub code: Option<ErrorCode>,
    /// The task, everywhere.
    pub uid: TaskId,
    /// Where to read the task.
    pub task_url: String,
    /// What to do about a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// True when the answer was stored before this request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// When the task ended; only beside `replayed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Who answered a git task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Why a git task was not answered natively.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_reason: Option<String>,
    /// What a git task found, as data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<GitReport>,
}

/// How a webhook says that a task ended: the promised words know no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FinishedWord {
    /// It ran to its end, whatever its exit code.
    Completed,
    /// It did not.
    Failed,
}

/// What a task printed, and its exit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookOutput {
    /// Whether the exit code is 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; −n when signal n ended it.
    pub returncode: i32,
    /// What was left out; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Truncated>,
}

/// The wait ended first; the task runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitOver {
    /// `timeout` (504), or `awaiting_approval` (202).
    pub status: WaitOverWord,
    /// The caller's name for the task.
    pub task_id: TaskName,
    /// Says which wait ended; absent beside `awaiting_approval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do.
    pub message: String,
    /// Where to read the task.
    pub task_url: String,
    /// What it printed so far, when the device could say.
    pub output: Option<Excerpt>,
    /// `wait_over`.
    pub code: ErrorCode,
    /// Where the task is.
    pub task_status: TaskStatus,
    /// The task, everywhere.
    pub uid: TaskId,
}

/// Why there was no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaitOverWord {
    /// The wait was too short.
    Timeout,
    /// The owner has not answered.
    AwaitingApproval,
}

/// The device has no link, and the caller did not want to queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceOffline {
    /// Always `failed`.
    pub status: FinishedWord,
    /// `device_offline`, `device_paused` or `no_device`.
    pub code: ErrorCode,
    /// The sentence.
    pub error: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Name of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// When its link was last up.
    pub last_seen_at: Option<Timestamp>,
    /// The caller's name for the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskName>,
}

/// Results of a batch, one per task, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchAnswer {
    /// `completed` when every task completed, else `partial`.
    pub status: BatchWord,
    /// Each as the task alone would have been answered.
    pub results: Vec<serde_json::Value>,
}

/// How a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BatchWord {
    /// Every task completed.
    Completed,
    /// Some did not.
    Partial,
}

/// `GET /` and `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `running`.
    pub status: String,
    /// `deskhand-relay`.
    pub service: String,
    /// Devices with a link.
    pub connected_clients: u32,
    /// Now.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub timestamp: Timestamp,
}
