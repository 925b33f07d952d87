//! One task: WebSocket `/ws/tasks/{task_id}` (promised). The relay speaks, the watcher listens.

use serde::{Deserialize, Serialize};

use crate::{TaskName, TaskResult, TaskStatus, Timestamp};

/// What a relay says about a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum TaskStreamMessage {
    /// The first message.
    Connected {
        /// The task.
        task_id: TaskName,
        /// Says so.
        message: String,
    },
    /// Something happened.
    Event(TaskStreamEvent),
    /// Where the task is; after `connected`, and whenever it changes.
    State(Box<TaskStreamState>),
    /// There is no such task; the socket is closed.
    Error {
        /// Why.
        message: String,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct TaskStreamEvent {
    /// Its place; `?since_event_id=` goes on after it.
    pub event_id: i64,
    /// The task.
    pub task_id: TaskName,
    /// When.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub timestamp: Timestamp,
    /// Who did it: the kind of action.
    pub agent_role: String,
    /// The kind of event.
    pub event_type: String,
    /// What belongs to the kind.
    pub payload: serde_json::Value,
}

/// Where a task is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct TaskStreamState {
    /// The task.
    pub task_id: TaskName,
    /// In the promised words.
    pub status: StreamStatus,
    /// 0 to 1.
    pub progress: f64,
    /// Who works on it: the kind of action, while it runs.
    pub current_agent: Option<String>,
    /// What it said last.
    pub last_message: Option<String>,
    /// When its last attempt began.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub completed_at: Option<Timestamp>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// How it ended and what it printed.
    pub final_result: Option<TaskResult>,
}

/// The promised words for where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum StreamStatus {
    /// It waits, for its device, its turn or the owner's answer.
    Pending,
    /// It runs.
    Running,
    /// It ran to its end and its exit code is 0.
    Succeeded,
    /// It did not, or its exit code is another.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl StreamStatus {
    /// Returns the word for a task; `returncode` is that of a task that completed.
    pub fn of(status: TaskStatus, returncode: Option<i32>) -> Self {
        match status {
            TaskStatus::Pending | TaskStatus::AwaitingApproval => StreamStatus::Pending,
            TaskStatus::InProgress => StreamStatus::Running,
            TaskStatus::Completed if returncode == Some(0) => StreamStatus::Succeeded,
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Expired => {
                StreamStatus::Failed
            }
            TaskStatus::Cancelled => StreamStatus::Cancelled,
        }
    }
}
