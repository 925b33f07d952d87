//! Timelines: WebSocket `/ws/devices/{device}/timeline`, also `/ws/bot/{device}/timeline` (promised).
//!
//! A watcher sends [`WatcherToRelay`], the relay [`TimelineMessage`]. An entry of a timeline is such a
//! message; each has a [`Cursor`], which names the log it belongs to, so that a watcher that was away
//! goes on where it was and is told when that is not possible.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    DeviceId, ErrorCode, Source, TaskId, TaskName, TaskStatus, Timestamp,
    approval::{Answer, Approver},
    event::Stream,
    schedule::LeftOut,
};

/// A place in the log of a relay: `<log id>:<number>`. What lies after it has larger numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export, type = "string"))]
pub struct Cursor {
    /// Which log: a relay that lost its store has another one.
    pub log_id: String,
    /// Which place in it; 0 is before the first entry.
    pub seq: u64,
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Cursor {}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Cursor {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Za-z0-9]{1,32}:[0-9]{1,18}$"))
            .description(Some("A place in the log of a relay: `<log id>:<number>`."))
            .into()
    }
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is `<log id>:<number>`")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (log_id, seq) = text.split_once(':').ok_or(InvalidCursor)?;
        let plain = !log_id.is_empty()
            && log_id.len() <= 32
            && log_id.bytes().all(|b| b.is_ascii_alphanumeric());
        // Places are row numbers of SQLite: signed.
        let digits = seq.bytes().all(|b| b.is_ascii_digit());
        match seq.parse::<i64>() {
            Ok(seq) if plain && digits => Ok(Self {
                log_id: log_id.to_owned(),
                seq: seq.unsigned_abs(),
            }),
            _ => Err(InvalidCursor),
        }
    }
}

impl TryFrom<String> for Cursor {
    type Error = InvalidCursor;

    fn try_from(text: String) -> Result<Self, InvalidCursor> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> String {
        cursor.to_string()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log_id, self.seq)
    }
}

/// What a watcher says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WatcherToRelay {
    /// Begins to watch, or goes on from a cursor; takes the place of an earlier subscription.
    Subscribe {
        /// The device, by id or name: the one the socket was opened for, and that one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        bot_id: Option<String>,
        /// Which entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        filters: Option<TimelineFilters>,
        /// Only what lies after it; the last 50 when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        cursor: Option<Cursor>,
    },
    /// Stops watching; the socket stays open.
    Unsubscribe {
        /// The device.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        bot_id: Option<String>,
    },
    /// Asks for a sign of life.
    Ping,
}

/// Which entries; all conditions hold, and an entry without the filtered field does not match.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimelineFilters {
    /// Of tasks that came through this door; `websocket` is an older word for `relay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub source: Option<String>,
    /// Of tasks in this state when the entry was made: `in_progress` matches started, progress and
    /// output, `completed` and `failed` their ends; `failed` includes `cancelled` and `expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub status: Option<TaskStatus>,
    /// Ends that were a success, or were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub success: Option<bool>,
    /// Of tasks of this kind: `git`, `shell`, `echo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub action: Option<String>,
    /// Of this task, by the caller's name for it or by uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub task_id: Option<String>,
}

/// What a relay says to a watcher: about the subscription itself. Everything else it says is a
/// [`TimelineEntry`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TimelineMessage {
    /// The subscription stands; live entries follow.
    Subscribed {
        /// The device.
        bot_id: DeviceId,
        /// Says so.
        message: String,
        /// The last 50, or all since the cursor: at most 64 KiB, what is more follows.
        initial_entries: Vec<TimelineEntry>,
        /// The place of the last of them.
        cursor: Cursor,
    },
    /// The subscription is no more.
    Unsubscribed {
        /// The device.
        bot_id: DeviceId,
    },
    /// Answers a ping.
    Pong {
        /// Up to where the watcher has heard everything that its filters let through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        cursor: Option<Cursor>,
    },
    /// What the watcher said cannot be done; the socket stays open.
    Error {
        /// Why.
        message: String,
        /// As an HTTP status.
        error_code: u16,
    },
    /// The stream is not whole between two places.
    Gap {
        /// The last place before the hole: where the watcher was.
        from: Cursor,
        /// The place after which the stream goes on.
        to: Cursor,
        /// Whether what lies between is gone for good. If not, the watcher was too slow, and all of
        /// it follows, late.
        lost: bool,
        /// Where the watcher is now.
        cursor: Cursor,
    },
}

/// One entry of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimelineEntry {
    /// Its place.
    pub cursor: Cursor,
    /// What happened. Flat, because the promised messages are: the cursor was added beside them.
    #[serde(flatten)]
    #[cfg_attr(feature = "ts", ts(flatten))]
    pub event: TimelineEvent,
}

/// What happened on a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TimelineEvent {
    /// A task waits, for its device or for its turn there.
    TaskQueued {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// The door it came through.
        source: Source,
        /// The kind of action.
        action: String,
        /// The command, as a person reads it.
        summary: String,
        /// Name of who asked.
        caller: String,
        /// What it waits for.
        waits_for: WaitsFor,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// An attempt began (promised).
    TaskStarted {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// The door it came through.
        source: Source,
        /// The kind of action.
        action: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// A running task said how far it is, or that it still runs (promised).
    Progress {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// 0 to 100; 0 while it does not say.
        percent: u8,
        /// What it is doing.
        message: String,
        /// Since it started.
        elapsed_seconds: f64,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// A task printed something; the bytes are a range call away.
    Output {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// On which stream.
        stream: Stream,
        /// Where in the stream it begins.
        offset: u64,
        /// How long it is.
        n_bytes: u64,
        /// Its first bytes, as text.
        preview: String,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// An attempt was lost with its agent, and the task waits for another one.
    TaskInterrupted {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// Which attempt.
        attempt: u32,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// A task ran to its end (promised).
    TaskCompleted {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// The door it came through.
        source: Source,
        /// Whether the exit code is 0.
        success: bool,
        /// What it printed, clipped; the whole is a GET away.
        response: String,
        /// True when the response is not the whole of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        #[cfg_attr(feature = "ts", ts(optional, as = "Option<bool>"))]
        response_clipped: bool,
        /// The exit code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        returncode: Option<i32>,
        /// Files an agent changed.
        files_modified: Vec<String>,
        /// How long the attempt ran.
        duration_seconds: f64,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// A task did not run to its end: it failed, was cancelled, or expired (promised).
    TaskFailed {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// The door it came through.
        source: Source,
        /// Why.
        error: String,
        /// Why, in one word.
        code: Option<ErrorCode>,
        /// How long the attempt ran.
        duration_seconds: f64,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// The owner is asked whether a task may run.
    ApprovalRequested {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// The digest of the question, which an answer may name.
        digest: String,
        /// What would run, its beginning.
        command: String,
        /// Why the owner is asked.
        reason: String,
        /// When the question closes.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        expires_at: Timestamp,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// The question was answered.
    ApprovalAnswered {
        /// The caller's name for it.
        task_id: TaskName,
        /// The task, everywhere.
        uid: TaskId,
        /// The device.
        bot_id: DeviceId,
        /// The digest of the question.
        digest: String,
        /// The answer.
        answer: Answer,
        /// Who answered, and through which door.
        by: Approver,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// Runs of a schedule were left out: there is no task.
    RunsLeftOut {
        /// The device.
        bot_id: DeviceId,
        /// The schedule's name.
        schedule: String,
        /// Why.
        left_out: LeftOut,
        /// How many.
        n_runs: u64,
        /// When the last of them was due.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        planned_at: Timestamp,
        /// When they were left out.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// The device can take tasks.
    DeviceOnline {
        /// The device.
        bot_id: DeviceId,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// The device cannot take tasks: its link is down, or it says that it cannot execute.
    DeviceOffline {
        /// The device.
        bot_id: DeviceId,
        /// Why.
        reason: String,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
    /// Something else a caller, or GitHub, told the relay.
    Custom {
        /// The device.
        bot_id: DeviceId,
        /// Who said it: `github`, or the name of a key.
        source: String,
        /// The GitHub event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        event: Option<String>,
        /// What it said; null when it is too long for a message.
        data: serde_json::Value,
        /// The beginning of what is too long, as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        preview: Option<String>,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        timestamp: Timestamp,
    },
}

/// What a task that has not begun waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WaitsFor {
    /// Its device, which has no link or is paused.
    Device,
    /// Somebody who looks at it, or starts it.
    Start,
    /// Its turn there.
    Turn,
}

/// One page of a timeline, newest first, or oldest first after a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimelinePage {
    /// The device.
    pub bot_id: DeviceId,
    /// Entries that match, on all pages.
    pub total_count: u64,
    /// Entries on this one.
    pub entries_count: u64,
    /// Whether there are more.
    pub has_more: bool,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<Cursor>,
    /// The entries.
    pub entries: Vec<TimelineEntry>,
    /// Now.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub timestamp: Timestamp,
}

/// A single-use ticket for a WebSocket, where no header can be set: it is sent as the subprotocol
/// `deskhand.ticket.<ticket>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StreamTicket {
    /// The ticket.
    pub ticket: String,
    /// When it ends, if it is not used before.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub expires_at: Timestamp,
}

/// The subprotocol that carries a ticket begins like this.
pub const TICKET_SUBPROTOCOL: &str = "deskhand.ticket.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_a_log_and_a_place() {
        let cursor: Cursor = "k3j5:17".parse().unwrap();
        assert_eq!((&*cursor.log_id, cursor.seq), ("k3j5", 17));
        assert_eq!(cursor.to_string(), "k3j5:17");
        for bad in [
            "",
            "17",
            ":1",
            "a:",
            "a:-1",
            "a:+1",
            "a b:1",
            "a:1:2",
            "a:9223372036854775808",
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_entry_is_flat() {
        let text = r#"{"cursor":"a:1","type":"device_online","bot_id":"desk","timestamp":"2026-01-01T00:00:00Z"}"#;
        let entry: TimelineEntry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
    }
}
