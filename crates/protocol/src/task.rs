//! A task: what a caller asks one device to do, and where it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Command, ErrorCode, KeyId, Problem, TaskId, TaskName, Timestamp,
    limits::{
        DEFAULT_EXPIRY, DEFAULT_TIMEOUT_SECONDS, MAX_EXPIRY, MAX_TEXT_BYTES, MAX_TIMEOUT_SECONDS,
    },
};

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Action {
    /// A git command, answered in process where it is native.
    Git(GitAction),
    /// A program or a command line in the sandbox.
    Shell(ShellAction),
    /// Says a text back: for tests and a link check. Costs nothing and touches nothing.
    Echo(EchoAction),
}

/// A git command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GitAction {
    /// Words that begin with `git`, or a line that is split into such words.
    pub command: Command,
    /// Where to run it; the device's default workspace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub working_dir: Option<String>,
    /// How long it may run, in seconds.
    #[serde(default)]
    pub timeout: TimeoutSeconds,
    /// Whether it is to be held to reading, whatever the workspace's level.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<bool>"))]
    pub read_only: bool,
}

/// A program or a command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShellAction {
    /// Words that are executed as they are, or a line for the shell.
    pub command: Command,
    /// Where to run it; the device's default workspace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub working_dir: Option<String>,
    /// How long it may run, in seconds.
    #[serde(default)]
    pub timeout: TimeoutSeconds,
    /// What it reads on standard input; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub stdin: Option<String>,
    /// Hosts it wants to reach; what wants any is judged by that. None when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<Vec<String>>"))]
    pub network: Vec<String>,
    /// Whether it wants to write `.git`; what does is judged by that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<bool>"))]
    pub git_writes: bool,
    /// Whether it is to be held to reading, whatever the workspace's level.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<bool>"))]
    pub read_only: bool,
}

/// A text to say back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EchoAction {
    /// The text.
    pub text: String,
}

impl Action {
    /// Returns the word for the kind of action, as on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Git(_) => "git",
            Action::Shell(_) => "shell",
            Action::Echo(_) => "echo",
        }
    }

    /// Returns where the action asks to run.
    pub fn working_dir(&self) -> Option<&str> {
        match self {
            Action::Git(git) => git.working_dir.as_deref(),
            Action::Shell(shell) => shell.working_dir.as_deref(),
            Action::Echo(_) => None,
        }
    }

    /// Tells whether there is something to run: a command that is not empty, of words that can be
    /// passed to a program, and for git a command that begins with `git`.
    pub fn check(&self) -> Result<(), Problem> {
        let command = match self {
            Action::Git(git) => &git.command,
            Action::Shell(shell) => &shell.command,
            Action::Echo(_) => return Ok(()),
        };
        let invalid = |error: String| Err(Problem::new(ErrorCode::InvalidCommand, error));
        if command.is_empty() {
            return Err(Problem::new(
                ErrorCode::MissingCommand,
                "Missing command parameter",
            ));
        }
        if command.has_nul() {
            return invalid("a command cannot contain a NUL character".to_owned());
        }
        match (self, command.words()) {
            (Action::Git(_), Err(error)) => invalid(error.to_string()),
            (Action::Git(_), Ok(words)) if words.first().is_none_or(|word| word != "git") => {
                invalid("a git command begins with `git`".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Tells whether the request itself holds the action to reading.
    pub fn is_read_only(&self) -> bool {
        match self {
            Action::Git(git) => git.read_only,
            Action::Shell(shell) => shell.read_only,
            Action::Echo(_) => true,
        }
    }

    /// Returns how long the action may run.
    pub fn timeout(&self) -> TimeoutSeconds {
        match self {
            Action::Git(git) => git.timeout,
            Action::Shell(shell) => shell.timeout,
            Action::Echo(_) => TimeoutSeconds::default(),
        }
    }

    /// Tells whether the action reads only, so that losing it costs no more than asking again:
    /// an echo, or a git command whose first word only reads. Conservative: what it does not know
    /// is not repeatable.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Action::Echo(_) => true,
            Action::Git(git) => git.command.words().is_ok_and(|words| {
                words
                    .get(1)
                    .is_some_and(|verb| READING_VERBS.contains(&&**verb))
            }),
            Action::Shell(_) => false,
        }
    }
}

/// Git verbs that read whatever their options are. `branch` is not among them: it lists and creates.
const READING_VERBS: &[&str] = &[
    "blame",
    "cat-file",
    "describe",
    "diff",
    "for-each-ref",
    "grep",
    "log",
    "ls-files",
    "ls-tree",
    "merge-base",
    "rev-list",
    "rev-parse",
    "shortlog",
    "show",
    "show-ref",
    "status",
    "version",
];

impl fmt::Display for Action {
    /// Writes the command as a person reads it in a list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Git(git) => git.command.fmt(f),
            Action::Shell(shell) => shell.command.fmt(f),
            Action::Echo(echo) => write!(f, "echo {}", echo.text),
        }
    }
}

/// How long a task may run: 1 to 3600 seconds, 600 when not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export, type = "number"))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = u32, minimum = 1, maximum = 3600))]
pub struct TimeoutSeconds(u32);

impl TimeoutSeconds {
    /// Returns the length of time.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0.into())
    }
}

impl Default for TimeoutSeconds {
    fn default() -> Self {
        Self(DEFAULT_TIMEOUT_SECONDS)
    }
}

impl TryFrom<u32> for TimeoutSeconds {
    type Error = &'static str;

    fn try_from(seconds: u32) -> Result<Self, Self::Error> {
        match seconds {
            1..=MAX_TIMEOUT_SECONDS => Ok(Self(seconds)),
            _ => Err("timeout must be 1 to 3600 seconds"),
        }
    }
}

impl From<TimeoutSeconds> for u32 {
    fn from(timeout: TimeoutSeconds) -> u32 {
        timeout.0
    }
}

/// What to do when the device has no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OnOffline {
    /// Answer at once that it is offline.
    Fail,
    /// Keep the task until the device comes.
    Queue,
}

/// Which of the waiting tasks a device starts first; a running one is never pre-empted.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Priority {
    /// After everything else.
    Batch,
    /// In order of arrival.
    #[default]
    Normal,
    /// Before everything else.
    Immediate,
}

/// The door through which a task came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Source {
    /// A caller of the relay.
    Relay,
    /// The command line.
    Cli,
    /// The viewer.
    Viewer,
    /// A schedule on the device.
    Schedule,
    /// A file dropped into the inbox.
    File,
}

/// What must have reached the disk before the next step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Durability {
    /// Survives the death of a process, not a power cut (SQLite `synchronous=NORMAL`): for what can
    /// simply be asked again.
    Normal,
    /// Survives a power cut as well (`synchronous=FULL`).
    Full,
}

/// Who asked for a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Caller {
    /// The key it came with; none for a task born on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub key_id: Option<KeyId>,
    /// The name the owner gave the key.
    pub name: String,
}

/// A task as a caller asks for it, whatever the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskRequest {
    /// What to do.
    pub action: Action,
    /// The caller's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub task_id: Option<TaskName>,
    /// Id or name of the device; needed when the key reaches several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    #[cfg_attr(feature = "openapi", schema(max_length = 4096))]
    pub device: Option<String>,
    /// What to do when the device is offline; the door has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub on_offline: Option<OnOffline>,
    /// How long the task may wait for its device, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 604_800))]
    pub expires_in: Option<u32>,
    /// Which waiting task goes first.
    #[serde(default)]
    pub priority: Priority,
    /// A title for lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    #[cfg_attr(feature = "openapi", schema(max_length = 4096))]
    pub title: Option<String>,
    /// When the relay hands it over; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub start: Option<Start>,
}

impl TaskRequest {
    /// Asks for an action and leaves everything else to the door.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            task_id: None,
            device: None,
            on_offline: None,
            expires_in: None,
            priority: Priority::default(),
            title: None,
            start: None,
        }
    }

    /// Tells whether the request is within its bounds and has something to run.
    pub fn check(&self) -> Result<(), Problem> {
        self.action.check()?;
        let too_long =
            |text: &Option<String>| text.as_ref().is_some_and(|t| t.len() > MAX_TEXT_BYTES);
        if too_long(&self.title) || too_long(&self.device) {
            return Err(Problem::new(
                ErrorCode::InvalidRequest,
                "title and device are at most 4096 bytes",
            ));
        }
        let max = MAX_EXPIRY.as_secs();
        if self
            .expires_in
            .is_some_and(|seconds| seconds == 0 || u64::from(seconds) > max)
        {
            let error = format!("expires_in must be 1 to {max} seconds");
            return Err(Problem::new(ErrorCode::InvalidRequest, error));
        }
        Ok(())
    }

    /// Returns how long the task may wait to be started.
    pub fn expiry(&self) -> std::time::Duration {
        self.expires_in.map_or(DEFAULT_EXPIRY, |seconds| {
            std::time::Duration::from_secs(seconds.into())
        })
    }
}

/// When a relay hands a task over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Start {
    /// At once.
    Now,
    /// When somebody first opens its stream, or starts it.
    OnConnect,
}

/// One piece of work for one device. Immutable: its state is what the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Task {
    /// The task, everywhere.
    pub task_id: TaskId,
    /// The caller's name for it.
    pub name: TaskName,
    /// What to do.
    pub action: Action,
    /// The door it came through.
    pub source: Source,
    /// Who asked.
    pub caller: Caller,
    /// A title for lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub title: Option<String>,
    /// Which waiting task goes first.
    pub priority: Priority,
    /// What must be on disk before the next step.
    pub durability: Durability,
    /// The request it came with (`X-Request-ID`), for reading the logs of both sides side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub request_id: Option<String>,
    /// When it was asked for.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub created_at: Timestamp,
    /// When it is too late to start it.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub expires_at: Timestamp,
}

impl Task {
    /// Tells whether the task was born on its device, not asked for by a caller of a relay.
    pub fn is_born_on_device(&self) -> bool {
        self.caller.key_id.is_none() && self.source != Source::Relay
    }
}

/// Where a task is. Terminal states never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TaskStatus {
    /// Waits for its device, or for its turn there.
    Pending,
    /// Waits for the owner's answer.
    AwaitingApproval,
    /// Runs.
    InProgress,
    /// Ran to its end, whatever its exit code.
    Completed,
    /// Did not run to its end; the outcome says why.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Its device did not come in time.
    Expired,
}

impl TaskStatus {
    /// Every status.
    pub const ALL: [TaskStatus; 7] = [
        TaskStatus::Pending,
        TaskStatus::AwaitingApproval,
        TaskStatus::InProgress,
        TaskStatus::Completed,
        TaskStatus::Failed,
        TaskStatus::Cancelled,
        TaskStatus::Expired,
    ];

    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::AwaitingApproval => "awaiting_approval",
            TaskStatus::InProgress => "in_progress",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Cancelled => "cancelled",
            TaskStatus::Expired => "expired",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Tells whether the status never changes again.
    pub fn is_terminal(self) -> bool {
        match self {
            TaskStatus::Pending | TaskStatus::AwaitingApproval | TaskStatus::InProgress => false,
            TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Cancelled
            | TaskStatus::Expired => true,
        }
    }

    /// Tells whether a task may go from this status to another. A task goes back from in progress
    /// to pending only when an attempt was lost with its agent and the action may be repeated.
    pub fn may_become(self, next: TaskStatus) -> bool {
        use TaskStatus::{
            AwaitingApproval, Cancelled, Completed, Expired, Failed, InProgress, Pending,
        };
        match self {
            Pending => {
                matches!(
                    next,
                    AwaitingApproval | InProgress | Cancelled | Expired | Failed
                )
            }
            AwaitingApproval => matches!(next, InProgress | Failed | Cancelled | Expired),
            // Back to the owner when a git command turns out not to be native before it changed
            // anything, and needs more than it was granted.
            InProgress => matches!(
                next,
                Completed | Failed | Cancelled | Pending | AwaitingApproval
            ),
            Completed | Failed | Cancelled | Expired => false,
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Source {
    /// Every source.
    pub const ALL: [Source; 5] = [
        Source::Relay,
        Source::Cli,
        Source::Viewer,
        Source::Schedule,
        Source::File,
    ];

    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Relay => "relay",
            Source::Cli => "cli",
            Source::Viewer => "viewer",
            Source::Schedule => "schedule",
            Source::File => "file",
        }
    }

    /// Reads the word; `websocket` is an older word for `relay`.
    pub fn parse(word: &str) -> Option<Self> {
        if word == "websocket" {
            return Some(Source::Relay);
        }
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

/// A task as a caller, a viewer or the command line sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// The caller's name for it.
    pub task_id: TaskName,
    /// The task, everywhere.
    pub uid: TaskId,
    /// Where it is.
    pub status: TaskStatus,
    /// What to do.
    pub action: Action,
    /// The door it came through.
    pub source: Source,
    /// Name of who asked.
    pub caller: String,
    /// Name of the device.
    pub device: String,
    /// A title for lists.
    pub title: Option<String>,
    /// When it was asked for.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub created_at: Timestamp,
    /// When its last attempt began.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub started_at: Option<Timestamp>,
    /// When it reached its terminal state.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub completed_at: Option<Timestamp>,
    /// Its exit code, once it ran to its end; here because lists leave out results.
    #[serde(default)]
    pub returncode: Option<i32>,
    /// How it ended, once it has.
    pub result: Option<crate::TaskResult>,
    /// Why it failed, in one word.
    pub code: Option<ErrorCode>,
    /// Why it failed.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(json: &str) -> Action {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn terminal_states_never_change() {
        for from in TaskStatus::ALL {
            assert_eq!(
                from.is_terminal(),
                TaskStatus::ALL.iter().all(|to| !from.may_become(*to))
            );
            assert_eq!(TaskStatus::parse(from.as_str()), Some(from));
            assert_eq!(serde_json::to_string(&from).unwrap(), format!("\"{from}\""));
        }
    }

    #[test]
    fn only_plain_reads_are_repeatable() {
        for read in ["git status", "git log -5", "git diff --cached"] {
            assert!(action(&format!(r#"{{"type":"git","command":"{read}"}}"#)).is_repeatable());
        }
        for other in [
            "git commit -m x",
            "git branch x",
            "git -c a=b status",
            "git",
            "",
        ] {
            assert!(!action(&format!(r#"{{"type":"git","command":"{other}"}}"#)).is_repeatable());
        }
        assert!(!action(r#"{"type":"shell","command":["ls"]}"#).is_repeatable());
    }

    #[test]
    fn a_timeout_has_bounds() {
        for bad in ["0", "3601", "-1", "1.5"] {
            let json = format!(r#"{{"type":"shell","command":"ls","timeout":{bad}}}"#);
            assert!(serde_json::from_str::<Action>(&json).is_err(), "{bad}");
        }
        assert_eq!(
            action(r#"{"type":"shell","command":"ls"}"#)
                .timeout()
                .duration()
                .as_secs(),
            600
        );
    }
}
