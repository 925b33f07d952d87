//! The device's audit trail: who asked what, who decided, what ran, how it ended.
//!
//! Each row carries the hash of the one before it, so that a row that was altered or taken away is
//! found. Secrets are masked before anything is written.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// One row of the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AuditRow {
    /// Its place, from 1, without gaps.
    pub seq: u64,
    /// When it was written.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub at: Timestamp,
    /// What it tells.
    pub entry: AuditEntry,
    /// SHA-256, in hex, of the row before, the place, the time and the entry.
    pub hash: String,
}

/// What a row tells. Texts are bounded and masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum AuditEntry {
    /// An action was judged.
    Judged {
        /// The task's uid.
        task_id: String,
        /// Name of who asked.
        caller: String,
        /// The key it came with.
        key_id: Option<String>,
        /// The door it came through.
        source: String,
        /// `git` or `shell`.
        action: String,
        /// The command.
        command: String,
        /// Where it would run.
        working_dir: String,
        /// `allow`, `ask` or `deny`.
        verdict: String,
        /// The rule, the level or the key that decided.
        by: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// A question was answered.
    Answered {
        /// The task's uid.
        task_id: String,
        /// `once`, `always_here` or `no`.
        answer: String,
        /// Name of who answered.
        by: String,
        /// The door: `cli`, `viewer`, `notification` or `relay`.
        door: String,
        /// The digest of the question.
        digest: String,
    },
    /// A task ended.
    Ended {
        /// The task's uid.
        task_id: String,
        /// Its terminal status.
        status: String,
        /// The exit code.
        returncode: Option<i32>,
        /// Why it did not complete, in one word.
        code: Option<String>,
        /// Who performed it: `native`, or the sandbox's tier.
        ran_on: String,
        /// The layers that confined it.
        layers: Vec<String>,
        /// How long it ran, in milliseconds.
        duration_ms: u64,
        /// The beginning of what it printed, at most 512 bytes.
        stdout: String,
        /// The same of standard error.
        stderr: String,
    },
    /// The owner changed what may run.
    Changed {
        /// What was changed: `workspaces` or `rules`.
        what: String,
        /// How, as a sentence.
        how: String,
    },
}
