//! A question to the owner, and the answer.
//!
//! A question is bound to a digest of everything it shows; an answer that names another digest answers
//! nothing. It is answered once: the first answer wins, whatever the door.

use serde::{Deserialize, Serialize};

use crate::{Source, TaskId, TaskName, Timestamp};

/// What the owner is asked, as a person reads it. Every text in it is bounded, and characters that
/// cannot be seen are written as `\u{…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct QuestionView {
    /// The task that waits for the answer.
    pub task_id: TaskId,
    /// The caller's name for the task.
    pub name: TaskName,
    /// SHA-256, in hex, of the command, directory, profile, network and caller.
    pub digest: String,
    /// What would run, word by word; for a line that is more than plain words: the shell and the line.
    pub argv: Vec<String>,
    /// The same as one line.
    pub command: String,
    /// What it would read on standard input, its beginning; absent when nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub stdin: Option<String>,
    /// The programs it names, as far as they can be told.
    pub programs: Vec<String>,
    /// Where it would run.
    pub working_dir: String,
    /// Name of the workspace it lies beneath.
    pub workspace: String,
    /// What it could touch.
    pub profile: ProfileView,
    /// Name of who asks.
    pub caller: String,
    /// The door the task came through.
    pub source: Source,
    /// Why the owner is asked, as a sentence.
    pub reason: String,
    /// The rule that `always_here` would write, as it would stand in the file; absent when none can say
    /// it narrowly enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub always_here: Option<String>,
    /// When it was asked.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub asked_at: Timestamp,
    /// When it closes, answered or not.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub expires_at: Timestamp,
}

/// What a task could touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ProfileView {
    /// Whether the workspace may be written.
    pub writable: bool,
    /// Whether its `.git` may be written.
    pub git_writes: bool,
    /// Hosts it could reach; none at all when empty.
    pub network: Vec<String>,
}

/// The owner's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum Answer {
    /// Yes, this time.
    Once,
    /// Yes, and write the rule that was shown. From this computer only.
    AlwaysHere,
    /// No.
    No,
}

impl Answer {
    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Once => "once",
            Answer::AlwaysHere => "always_here",
            Answer::No => "no",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Answer::Once, Answer::AlwaysHere, Answer::No]
            .into_iter()
            .find(|answer| answer.as_str() == word)
    }
}

/// The door an answer came through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum ApprovalDoor {
    /// The command line on this computer.
    #[default]
    Cli,
    /// The viewer's window on this computer.
    Viewer,
    /// A desktop notification.
    Notification,
    /// The relay's API.
    Relay,
}

impl ApprovalDoor {
    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            ApprovalDoor::Cli => "cli",
            ApprovalDoor::Viewer => "viewer",
            ApprovalDoor::Notification => "notification",
            ApprovalDoor::Relay => "relay",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            ApprovalDoor::Cli,
            ApprovalDoor::Viewer,
            ApprovalDoor::Notification,
            ApprovalDoor::Relay,
        ]
        .into_iter()
        .find(|door| door.as_str() == word)
    }
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Approver {
    /// Their name: the owner's login, or the name of the key.
    pub name: String,
    /// The door. What comes over the link is `relay`, whatever it says.
    #[serde(default)]
    pub door: ApprovalDoor,
    /// The key, when it came through the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub key_id: Option<crate::KeyId>,
}

/// `POST /api/tasks/{id}/approval`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ApprovalRequest {
    /// The answer.
    pub answer: Answer,
    /// The digest of the question that was shown; any open one of the task when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub digest: Option<String>,
}
