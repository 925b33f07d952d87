//! Immutable facts about a task, in the order the device recorded them.

use serde::{Deserialize, Serialize};

use crate::{
    Outcome, Seq, Source, TaskId, Timestamp,
    approval::{Answer, Approver},
    schedule::LeftOutRuns,
};

/// One fact about one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its place in the device's order.
    pub seq: Seq,
    /// The task it is about; of runs that were left out it is nobody's.
    pub task_id: TaskId,
    /// When it was recorded.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// The decision that let an attempt run, as the audit trail has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Allowed {
    /// The rule or the level that decided, or who answered and through which door.
    pub by: String,
    /// Why, as a sentence, at most 256 bytes.
    pub reason: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventKind {
    /// The task is in the ledger.
    TaskAccepted {
        /// The door it came through.
        source: Source,
        /// Name of who asked.
        caller: String,
        /// The command, as a person reads it, at most 256 bytes.
        action: String,
    },
    /// The owner is asked whether it may run.
    ApprovalRequested {
        /// The digest of the question, which an answer may name.
        digest: String,
        /// What would run, as one line, at most 256 bytes.
        command: String,
        /// Why the owner is asked, at most 256 bytes.
        reason: String,
        /// When the question closes.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        expires_at: Timestamp,
    },
    /// The question was answered.
    ApprovalAnswered {
        /// The digest of the question.
        digest: String,
        /// The answer.
        answer: Answer,
        /// Who answered, and through which door.
        by: Approver,
    },
    /// An attempt began.
    AttemptStarted {
        /// Which one, from 1.
        attempt: u32,
        /// What let it run; absent for an echo, which nothing judges, and from agents that did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        allowed: Option<Allowed>,
    },
    /// Output was stored.
    OutputAppended {
        /// On which stream.
        stream: Stream,
        /// Where in the stream it begins.
        offset: u64,
        /// How long it is.
        n_bytes: u64,
        /// Its first bytes, at most 512, as text.
        preview: String,
    },
    /// The task said how far it is.
    ProgressMade {
        /// 0 to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        percent: Option<u8>,
        /// What it is doing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        message: Option<String>,
    },
    /// An attempt ended, and with it the task; 0 is a task that was refused before any attempt.
    AttemptFinished {
        /// Which one.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// An attempt was lost with its agent, and the task waits for another one: it only reads.
    AttemptLost {
        /// Which one.
        attempt: u32,
    },
    /// Somebody cancelled the task.
    TaskCancelled {
        /// How far it had come.
        outcome: Outcome,
    },
    /// It was too late to start the task.
    TaskExpired {
        /// Says so.
        outcome: Outcome,
    },
    /// Runs of a schedule were left out: there is no task.
    RunsLeftOut(LeftOutRuns),
}

impl EventKind {
    /// Returns how the task ended, if this event ended it.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            EventKind::AttemptFinished { outcome, .. }
            | EventKind::TaskCancelled { outcome }
            | EventKind::TaskExpired { outcome } => Some(outcome),
            EventKind::TaskAccepted { .. }
            | EventKind::ApprovalRequested { .. }
            | EventKind::ApprovalAnswered { .. }
            | EventKind::AttemptStarted { .. }
            | EventKind::OutputAppended { .. }
            | EventKind::ProgressMade { .. }
            | EventKind::AttemptLost { .. }
            | EventKind::RunsLeftOut(_) => None,
        }
    }
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}
