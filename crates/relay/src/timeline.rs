//! Turns what happened into the message that watchers get, once, when it is stored.
//!
//! Pure: it reads no store and no clock. A message is below 1 KiB whatever a task printed: the one
//! text in it that can be long is cut to what is left.

use std::str::FromStr;

use deskhand_protocol::{
    Cursor, DeviceId, Event, EventKind, Source, Task, TaskId, TaskName, TaskStatus, Timestamp,
    approval::Approver,
    limits::TIMELINE_MESSAGE_BYTES,
    outcome::{EndStatus, Excerpt, Outcome},
    schedule::LeftOutRuns,
    timeline::{TimelineEvent, TimelineFilters, WaitsFor},
};
use serde_json::Value;

/// Room for `,"cursor":"<log id>:<number>"`, which a message gets when it is read.
const CURSOR_BYTES: usize = 64;

/// Longest name of a caller in a message, in bytes.
const CALLER_BYTES: usize = 64;

/// Length of a digest: SHA-256 in hex.
const DIGEST_BYTES: usize = 64;

/// Longest reason of a question in a message, in bytes.
const REASON_BYTES: usize = 256;

/// Longest kind of a custom event in a message, in bytes.
const CUSTOM_EVENT_BYTES: usize = 64;

/// What filters are tested against: the task, and where it was when the entry was made.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Facets {
    pub(crate) task_id: Option<TaskId>,
    pub(crate) name: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) status: Option<TaskStatus>,
    pub(crate) success: Option<bool>,
}

/// An entry before it has its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) facets: Facets,
    /// The message as JSON, without its cursor.
    pub(crate) message: String,
}

/// What an entry has to know of its task.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) name: TaskName,
    pub(crate) source: Source,
    pub(crate) action: String,
    pub(crate) started_at: Option<Timestamp>,
    /// What it printed, once it has ended.
    pub(crate) response: Option<Response>,
}

/// What a task printed, as an entry shows it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    text: String,
    clipped: bool,
}

impl Response {
    /// Takes standard output, or standard error where there is none.
    pub(crate) fn of(output: &Excerpt) -> Self {
        let whole = match output.stdout.is_empty() {
            true => &output.stderr,
            false => &output.stdout,
        };
        let text = clip(whole, TIMELINE_MESSAGE_BYTES).to_owned();
        Self {
            clipped: text.len() < whole.len() || output.truncated.is_some(),
            text,
        }
    }
}

/// Makes the entry of something a device reported, or the relay found, about a task.
pub(crate) fn of_event(device: &DeviceId, event: &Event, about: &About) -> Entry {
    let (status, success) = state_of(&event.kind);
    let facets = Facets {
        task_id: Some(event.task_id),
        name: Some(about.name.to_string()),
        source: Some(about.source.as_str().to_owned()),
        action: Some(about.action.clone()),
        status: Some(status),
        success,
    };
    let (task_id, uid, bot_id) = (about.name.clone(), event.task_id, device.clone());
    let (source, timestamp) = (about.source, event.at);
    let message = match &event.kind {
        EventKind::TaskAccepted { caller, action, .. } => {
            fit(action, |summary, _| TimelineEvent::TaskQueued {
                task_id: task_id.clone(),
                uid,
                bot_id: bot_id.clone(),
                source,
                action: about.action.clone(),
                summary: summary.to_owned(),
                caller: clip(caller, CALLER_BYTES).to_owned(),
                waits_for: WaitsFor::Turn,
                timestamp,
            })
        }
        EventKind::AttemptStarted { attempt, .. } => json(&TimelineEvent::TaskStarted {
            task_id,
            uid,
            bot_id,
            source,
            action: about.action.clone(),
            attempt: *attempt,
            timestamp,
        }),
        EventKind::AttemptLost { attempt } => json(&TimelineEvent::TaskInterrupted {
            task_id,
            uid,
            bot_id,
            attempt: *attempt,
            timestamp,
        }),
        EventKind::OutputAppended {
            stream,
            offset,
            n_bytes,
            preview,
        } => fit(preview, |preview, _| TimelineEvent::Output {
            task_id: task_id.clone(),
            uid,
            bot_id: bot_id.clone(),
            stream: *stream,
            offset: *offset,
            n_bytes: *n_bytes,
            preview: preview.to_owned(),
            timestamp,
        }),
        EventKind::ProgressMade { percent, message } => {
            let elapsed_seconds = seconds_between(about.started_at, event.at);
            fit(message.as_deref().unwrap_or_default(), |message, _| {
                TimelineEvent::Progress {
                    task_id: task_id.clone(),
                    uid,
                    bot_id: bot_id.clone(),
                    percent: percent.unwrap_or(0).min(100),
                    message: message.to_owned(),
                    elapsed_seconds,
                    timestamp,
                }
            })
        }
        EventKind::ApprovalRequested {
            digest,
            command,
            reason,
            expires_at,
        } => fit(command, |command, _| TimelineEvent::ApprovalRequested {
            task_id: task_id.clone(),
            uid,
            bot_id: bot_id.clone(),
            digest: clip(digest, DIGEST_BYTES).to_owned(),
            command: command.to_owned(),
            reason: clip(reason, REASON_BYTES).to_owned(),
            expires_at: *expires_at,
            timestamp,
        }),
        EventKind::ApprovalAnswered { digest, answer, by } => {
            json(&TimelineEvent::ApprovalAnswered {
                task_id,
                uid,
                bot_id,
                digest: clip(digest, DIGEST_BYTES).to_owned(),
                answer: *answer,
                by: Approver {
                    name: clip(&by.name, CALLER_BYTES).to_owned(),
                    door: by.door,
                    key_id: by.key_id.clone(),
                },
                timestamp,
            })
        }
        EventKind::AttemptFinished { outcome, .. }
        | EventKind::TaskCancelled { outcome }
        | EventKind::TaskExpired { outcome } => end(&bot_id, event, about, outcome),
        // Of no task: its entry is made by `of_left_out`.
        EventKind::RunsLeftOut(runs) => left_out(&bot_id, runs, timestamp),
    };
    Entry { facets, message }
}

fn end(bot_id: &DeviceId, event: &Event, about: &About, outcome: &Outcome) -> String {
    let duration_seconds = Duration(outcome.duration_ms).seconds();
    let (task_id, uid, source) = (&about.name, event.task_id, about.source);
    match outcome.status {
        EndStatus::Completed => {
            let response = about.response.clone().unwrap_or_default();
            fit(&response.text, |text, clipped| {
                TimelineEvent::TaskCompleted {
                    task_id: task_id.clone(),
                    uid,
                    bot_id: bot_id.clone(),
                    source,
                    success: outcome.returncode == Some(0),
                    response: text.to_owned(),
                    response_clipped: clipped || response.clipped,
                    returncode: outcome.returncode,
                    files_modified: Vec::new(),
                    duration_seconds,
                    timestamp: event.at,
                }
            })
        }
        EndStatus::Failed | EndStatus::Cancelled | EndStatus::Expired => {
            let error = outcome.error.as_deref().unwrap_or_default();
            fit(error, |error, _| TimelineEvent::TaskFailed {
                task_id: task_id.clone(),
                uid,
                bot_id: bot_id.clone(),
                source,
                error: error.to_owned(),
                code: outcome.code,
                duration_seconds,
                timestamp: event.at,
            })
        }
    }
}

/// Returns where a task is by an event about it, and for an end whether it was a success.
fn state_of(kind: &EventKind) -> (TaskStatus, Option<bool>) {
    match kind {
        EventKind::TaskAccepted { .. }
        | EventKind::AttemptLost { .. }
        | EventKind::RunsLeftOut(_) => (TaskStatus::Pending, None),
        EventKind::ApprovalRequested { .. } | EventKind::ApprovalAnswered { .. } => {
            (TaskStatus::AwaitingApproval, None)
        }
        EventKind::AttemptStarted { .. }
        | EventKind::OutputAppended { .. }
        | EventKind::ProgressMade { .. } => (TaskStatus::InProgress, None),
        EventKind::AttemptFinished { outcome, .. }
        | EventKind::TaskCancelled { outcome }
        | EventKind::TaskExpired { outcome } => {
            let success = outcome.status == EndStatus::Completed && outcome.returncode == Some(0);
            (outcome.status.into(), Some(success))
        }
    }
}

/// Makes the entry of a task that no device has yet.
pub(crate) fn of_queued(device: &DeviceId, task: &Task, waits_for: WaitsFor) -> Entry {
    let message = fit(&task.action.to_string(), |summary, _| {
        TimelineEvent::TaskQueued {
            task_id: task.name.clone(),
            uid: task.task_id,
            bot_id: device.clone(),
            source: task.source,
            action: task.action.kind().to_owned(),
            summary: summary.to_owned(),
            caller: clip(&task.caller.name, CALLER_BYTES).to_owned(),
            waits_for,
            timestamp: task.created_at,
        }
    });
    Entry {
        facets: Facets {
            task_id: Some(task.task_id),
            name: Some(task.name.to_string()),
            source: Some(task.source.as_str().to_owned()),
            action: Some(task.action.kind().to_owned()),
            status: Some(TaskStatus::Pending),
            success: None,
        },
        message,
    }
}

/// Makes the entry of runs of a schedule that were left out.
pub(crate) fn of_left_out(device: &DeviceId, runs: &LeftOutRuns, at: Timestamp) -> Entry {
    Entry {
        facets: Facets {
            source: Some(Source::Schedule.as_str().to_owned()),
            ..Facets::default()
        },
        message: left_out(device, runs, at),
    }
}

fn left_out(device: &DeviceId, runs: &LeftOutRuns, at: Timestamp) -> String {
    json(&TimelineEvent::RunsLeftOut {
        bot_id: device.clone(),
        schedule: clip(&runs.schedule, CALLER_BYTES).to_owned(),
        left_out: runs.left_out,
        n_runs: runs.n_runs,
        planned_at: runs.planned_at,
        timestamp: at,
    })
}

/// Makes the entry of a device that came or went; `away` says why it went.
pub(crate) fn of_presence(device: &DeviceId, away: Option<&str>, at: Timestamp) -> Entry {
    let message = match away {
        None => json(&TimelineEvent::DeviceOnline {
            bot_id: device.clone(),
            timestamp: at,
        }),
        Some(reason) => fit(reason, |reason, _| TimelineEvent::DeviceOffline {
            bot_id: device.clone(),
            reason: reason.to_owned(),
            timestamp: at,
        }),
    };
    Entry {
        facets: Facets::default(),
        message,
    }
}

/// Makes the entry of an event from outside: `{"source", "event"?, "data"}`.
pub(crate) fn of_custom(device: &DeviceId, event: &Value, at: Timestamp) -> Entry {
    let source = event["source"].as_str().unwrap_or_default();
    let kind = event["event"].as_str();
    let kind = kind.map(|kind| clip(kind, CUSTOM_EVENT_BYTES).to_owned());
    let make = |data: &Value, preview: Option<&str>| TimelineEvent::Custom {
        bot_id: device.clone(),
        source: source.to_owned(),
        event: kind.clone(),
        data: data.clone(),
        preview: preview.map(str::to_owned),
        timestamp: at,
    };
    let whole = json(&make(&event["data"], None));
    let message = match whole.len() + CURSOR_BYTES <= TIMELINE_MESSAGE_BYTES {
        true => whole,
        false => fit(&event["data"].to_string(), |preview, _| {
            make(&Value::Null, Some(preview))
        }),
    };
    Entry {
        facets: Facets {
            source: Some(source.to_owned()),
            ..Facets::default()
        },
        message,
    }
}

/// Puts the place of a message into it.
pub(crate) fn with_cursor(message: &str, log_id: &str, seq: i64) -> String {
    let open = message.strip_suffix('}').unwrap_or(message);
    format!("{open},\"cursor\":\"{log_id}:{seq}\"}}")
}

/// Makes a message with a text in it that may be long: what does not fit is cut off, and `make` is
/// told so.
fn fit(text: &str, make: impl Fn(&str, bool) -> TimelineEvent) -> String {
    let bare = json(&make("", true)).len() + CURSOR_BYTES;
    let fitting = clip(text, TIMELINE_MESSAGE_BYTES.saturating_sub(bare));
    json(&make(fitting, fitting.len() < text.len()))
}

fn json(event: &TimelineEvent) -> String {
    serde_json::to_string(event).expect("a message has only string keys")
}

/// Returns as much of a text as takes so many bytes in JSON.
fn clip(text: &str, max_bytes: usize) -> &str {
    let mut n_bytes = 0;
    for (at, char) in text.char_indices() {
        n_bytes += match char {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            control if control < ' ' => 6,
            other => other.len_utf8(),
        };
        if n_bytes > max_bytes {
            return &text[..at];
        }
    }
    text
}

fn seconds_between(start: Option<Timestamp>, end: Timestamp) -> f64 {
    let ms = start.map_or(0, |start| end.as_millisecond() - start.as_millisecond());
    Duration(u64::try_from(ms).unwrap_or(0)).seconds()
}

/// Milliseconds, shown as seconds.
struct Duration(u64);

impl Duration {
    fn seconds(&self) -> f64 {
        std::time::Duration::from_millis(self.0).as_secs_f64()
    }
}

/// Filters, checked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) task_id: Option<TaskId>,
    pub(crate) name: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) status: Option<TaskStatus>,
    pub(crate) success: Option<bool>,
}

impl Filter {
    /// Reads what a watcher asked for.
    pub(crate) fn new(filters: TimelineFilters) -> Self {
        let uid = filters.task_id.as_deref().map(TaskId::from_str);
        let task_id = uid.and_then(Result::ok);
        Self {
            task_id,
            name: filters.task_id.filter(|_| task_id.is_none()),
            source: filters.source.map(source_word),
            action: filters.action,
            status: filters.status,
            success: filters.success,
        }
    }

    /// Tells whether an entry passes.
    pub(crate) fn lets_through(&self, facets: &Facets) -> bool {
        fn holds<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| found == Some(wanted))
        }
        let status = self.status.is_none_or(|wanted| {
            facets
                .status
                .is_some_and(|found| means(wanted).contains(&found))
        });
        status
            && holds(self.task_id.as_ref(), facets.task_id.as_ref())
            && holds(self.name.as_ref(), facets.name.as_ref())
            && holds(self.source.as_ref(), facets.source.as_ref())
            && holds(self.action.as_ref(), facets.action.as_ref())
            && holds(self.success.as_ref(), facets.success.as_ref())
    }
}

/// Returns the states a filter's word stands for: a task that was cancelled or expired is shown as
/// `task_failed`.
pub(crate) fn means(wanted: TaskStatus) -> &'static [TaskStatus] {
    match wanted {
        TaskStatus::Failed => &[
            TaskStatus::Failed,
            TaskStatus::Cancelled,
            TaskStatus::Expired,
        ],
        TaskStatus::Pending => &[TaskStatus::Pending],
        TaskStatus::AwaitingApproval => &[TaskStatus::AwaitingApproval],
        TaskStatus::InProgress => &[TaskStatus::InProgress],
        TaskStatus::Completed => &[TaskStatus::Completed],
        TaskStatus::Cancelled => &[TaskStatus::Cancelled],
        TaskStatus::Expired => &[TaskStatus::Expired],
    }
}

/// `websocket` is an older word for `relay`; what is no door at all is the source of custom events.
fn source_word(word: String) -> String {
    match Source::parse(&word) {
        Some(source) => source.as_str().to_owned(),
        None => word,
    }
}

/// Where a watcher was, as it says.
pub(crate) fn seq_of(cursor: &Cursor) -> i64 {
    i64::try_from(cursor.seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::{
        ErrorCode, Seq,
        approval::{Answer, ApprovalDoor},
        event::Stream,
    };

    use super::*;

    fn about(response: &str) -> About {
        About {
            name: "n".repeat(128).parse().unwrap(),
            source: Source::Schedule,
            action: "shell".to_owned(),
            started_at: None,
            response: Some(Response::of(&Excerpt {
                stdout: response.to_owned(),
                ..Excerpt::default()
            })),
        }
    }

    fn event(kind: EventKind) -> Event {
        Event {
            seq: Seq(1),
            task_id: TaskId::from_uuid(uuid::Uuid::max()),
            at: Timestamp::MAX,
            kind,
        }
    }

    #[test]
    fn every_message_is_below_a_kilobyte() {
        let device: DeviceId = "d".repeat(32).parse().unwrap();
        for long in ["\u{1}", "\"", "ü", "😀", "x"].map(|char| char.repeat(3_000)) {
            let kinds = [
                EventKind::TaskAccepted {
                    source: Source::Relay,
                    caller: long.clone(),
                    action: long.clone(),
                },
                EventKind::OutputAppended {
                    stream: Stream::Stderr,
                    offset: u64::MAX,
                    n_bytes: u64::MAX,
                    preview: long.clone(),
                },
                EventKind::ProgressMade {
                    percent: Some(100),
                    message: Some(long.clone()),
                },
                EventKind::ApprovalRequested {
                    digest: long.clone(),
                    command: long.clone(),
                    reason: long.clone(),
                    expires_at: Timestamp::MAX,
                },
                EventKind::ApprovalAnswered {
                    digest: long.clone(),
                    answer: Answer::AlwaysHere,
                    by: Approver {
                        name: long.clone(),
                        door: ApprovalDoor::Notification,
                        key_id: Some("k".repeat(32).parse().unwrap()),
                    },
                },
                EventKind::AttemptFinished {
                    attempt: 1,
                    outcome: Outcome::completed(-1),
                },
                EventKind::TaskExpired {
                    outcome: Outcome::failed(ErrorCode::WorkingDirNotAllowed, long.clone()),
                },
            ];
            let custom =
                serde_json::json!({"source": "s".repeat(128), "event": long, "data": {"x": long}});
            let mut messages: Vec<String> = kinds
                .into_iter()
                .map(|kind| of_event(&device, &event(kind), &about(&long)).message)
                .collect();
            messages.push(of_custom(&device, &custom, Timestamp::MAX).message);
            messages.push(of_presence(&device, Some(&long), Timestamp::MAX).message);
            for message in messages {
                let message = with_cursor(&message, &"l".repeat(16), i64::MAX);
                assert!(message.len() < TIMELINE_MESSAGE_BYTES, "{message}");
                serde_json::from_str::<deskhand_protocol::timeline::TimelineEntry>(&message)
                    .unwrap();
            }
        }
    }

    #[test]
    fn a_long_response_is_marked() {
        let device: DeviceId = "desk".parse().unwrap();
        let end = event(EventKind::AttemptFinished {
            attempt: 1,
            outcome: Outcome::completed(0),
        });
        let message = |response: &str| -> Value {
            serde_json::from_str(&of_event(&device, &end, &about(response)).message).unwrap()
        };
        assert_eq!(message("short")["response"], "short");
        assert_eq!(message("short")["response_clipped"], Value::Null);
        assert_eq!(message(&"x".repeat(900))["response_clipped"], true);
    }

    #[test]
    fn filters_are_combined_with_and() {
        let device: DeviceId = "desk".parse().unwrap();
        let kind = EventKind::TaskCancelled {
            outcome: Outcome::ended(EndStatus::Cancelled, ErrorCode::Cancelled, "x"),
        };
        let facets = of_event(&device, &event(kind), &about("")).facets;
        let passes = |filters: Value| {
            Filter::new(serde_json::from_value(filters).unwrap()).lets_through(&facets)
        };
        assert!(passes(serde_json::json!({})));
        assert!(passes(
            serde_json::json!({"status": "failed", "success": false})
        ));
        assert!(passes(
            serde_json::json!({"status": "cancelled", "action": "shell"})
        ));
        assert!(!passes(serde_json::json!({"status": "expired"})));
        assert!(!passes(
            serde_json::json!({"status": "failed", "source": "websocket"})
        ));
        assert!(!passes(serde_json::json!({"success": true})));
        let custom = of_custom(
            &device,
            &serde_json::json!({"source": "github"}),
            Timestamp::MAX,
        );
        assert!(
            !Filter {
                success: Some(false),
                ..Filter::default()
            }
            .lets_through(&custom.facets)
        );
    }
}
