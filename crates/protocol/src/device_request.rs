//! What a window, a command line or the relay can ask an agent.
//!
//! One request type for every transport. The door a request came through decides what it may change:
//! [`DeviceRequest::is_local`] ones are accepted from the window and the control socket only, so that
//! a relay that was taken over can ask for tasks and nothing else.

use serde::{Deserialize, Serialize};

use crate::{
    DeviceId, Event, Problem, Seq, Source, TaskId, TaskRequest, TaskStatus, Timestamp,
    approval::{Answer, Approver, QuestionView},
    audit::AuditRow,
    caller::{CallerAnswer, CallerRequest, CallerRequestView},
    event::Stream,
    history::{TaskHit, TaskStatistics},
    outcome::Excerpt,
    policy::{Explanation, Level, NewRule, RuleView, TestedCommand},
    schedule::{NewSchedule, ScheduleView, ScheduledRun},
    task::TaskView,
    workspace::Workspace,
};

/// One question to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeviceRequest {
    /// How the agent is.
    Status,
    /// Tasks, newest first.
    ListTasks(TaskFilter),
    /// Tasks whose command or output holds every word of a text, or words that begin so: open ones
    /// first (by their command alone), then those that ended last. The filter's `before` is the last
    /// hit of the page before; `skip` and `count` are not heard.
    SearchTasks {
        /// The words; 256 bytes at most.
        text: String,
        /// Only among these.
        #[serde(default, deserialize_with = "an_object")]
        filter: TaskFilter,
    },
    /// How tasks went lately.
    Statistics {
        /// How many hours back; 720 at most.
        hours: u32,
    },
    /// One task.
    GetTask {
        /// Which one.
        task_id: TaskId,
    },
    /// What a task has printed so far, as an answer shows it.
    Excerpt {
        /// Which task.
        task_id: TaskId,
    },
    /// Exact bytes of a task's output.
    Output {
        /// Which task.
        task_id: TaskId,
        /// Which stream.
        stream: Stream,
        /// Where to begin.
        offset: u64,
        /// How many bytes at most; 512 KiB is the ceiling.
        limit: u64,
    },
    /// The events of a task.
    Events {
        /// Which task.
        task_id: TaskId,
        /// Only later ones.
        #[serde(default)]
        after: Seq,
    },
    /// Ends a task, gently first.
    Cancel {
        /// Which task.
        task_id: TaskId,
        /// How long it may take to end gently, in seconds.
        #[serde(default = "default_grace_seconds")]
        grace_seconds: u32,
    },
    /// Forgets what finished tasks printed and did; the ids stay, so that nothing runs twice.
    ClearTasks,
    /// The directories that are open to tasks.
    ListWorkspaces,
    /// Opens a directory to tasks.
    AddWorkspace {
        /// Which directory.
        path: String,
        /// A name for it; the directory's own when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        name: Option<String>,
        /// How much happens there without asking; `work` when absent, or as it is when it is open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        level: Option<Level>,
    },
    /// Closes a directory to tasks.
    RemoveWorkspace {
        /// Its name or path.
        workspace: String,
    },
    /// Takes no more tasks until it is resumed; what runs goes on. Stored: a restart changes nothing.
    Pause,
    /// Takes tasks again.
    Resume,
    /// Opens a task here, without a relay, which hears of it when there is one.
    OpenTask {
        /// The task. It names no other device.
        request: TaskRequest,
        /// The door: `cli` or `viewer`.
        source: Source,
    },
    /// The schedules, by name.
    ListSchedules,
    /// One schedule, with its next and its last runs.
    GetSchedule {
        /// Its name.
        name: String,
    },
    /// Adds a schedule.
    AddSchedule {
        /// The schedule.
        schedule: NewSchedule,
    },
    /// Replaces the schedule of that name: its history stays, and another plan begins now.
    ChangeSchedule {
        /// The schedule as it is to be.
        schedule: NewSchedule,
    },
    /// Starts a run of a schedule now, beside its planned ones.
    RunSchedule {
        /// Its name.
        name: String,
    },
    /// Has a schedule run, or not. What was due while it was disabled was not planned.
    EnableSchedule {
        /// Its name.
        name: String,
        /// Whether it is to run.
        enabled: bool,
    },
    /// Removes a schedule; the tasks it made stay.
    RemoveSchedule {
        /// Its name.
        name: String,
    },
    /// The questions that wait for an answer. Asked from this computer it counts as a sign of life for
    /// a minute: somebody looks.
    ListApprovals,
    /// Says that somebody who could answer a question is here, a window or a desktop session.
    Attend {
        /// For how long, in seconds; five minutes at most. 0 ends it.
        seconds: u32,
    },
    /// Answers a question. `always_here` is local.
    AnswerApproval {
        /// The task that waits.
        task_id: TaskId,
        /// The digest of the question that was shown; any open one of the task when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        digest: Option<String>,
        /// The answer.
        answer: Answer,
        /// Who answers.
        by: Approver,
    },
    /// The owner's rules.
    ListRules,
    /// Asks the owner whether a program may call the relay, or how that question stands. Only the relay
    /// itself asks this.
    ConfirmCaller(CallerRequest),
    /// The programs that ask to be let in.
    ListCallerRequests,
    /// Answers one of them. Another code than the page shows refuses it: there is one try.
    AnswerCaller {
        /// Which one.
        request_id: String,
        /// The two digits the page shows; refuses when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        code: Option<String>,
    },
    /// Adds a rule to the end of the file.
    AddRule {
        /// The rule.
        rule: NewRule,
    },
    /// Removes a rule from the file.
    RemoveRule {
        /// Its name.
        id: String,
    },
    /// Explains what would be decided about a shell command, and runs nothing.
    TestRules(TestedCommand),
    /// Checks the hashes of the audit trail.
    VerifyAudit,
    /// Rows of the audit trail, in order.
    ListAudit {
        /// Only later ones.
        #[serde(default)]
        after: u64,
        /// How many at most; 1,000 is the ceiling, and what 0 means.
        #[serde(default)]
        limit: u32,
    },
}

/// Reads a filter from an object only: a list without elements would be read as one without conditions.
fn an_object<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TaskFilter, D::Error> {
    let object = serde_json::Map::deserialize(deserializer)?;
    serde_json::from_value(object.into()).map_err(serde::de::Error::custom)
}

fn default_grace_seconds() -> u32 {
    5
}

impl DeviceRequest {
    /// Tells whether only this computer's window and control socket may ask this.
    pub fn is_local(&self) -> bool {
        match self {
            DeviceRequest::ClearTasks
            | DeviceRequest::AddWorkspace { .. }
            | DeviceRequest::RemoveWorkspace { .. }
            | DeviceRequest::OpenTask { .. }
            | DeviceRequest::AddSchedule { .. }
            | DeviceRequest::ChangeSchedule { .. }
            | DeviceRequest::RunSchedule { .. }
            | DeviceRequest::EnableSchedule { .. }
            | DeviceRequest::RemoveSchedule { .. }
            | DeviceRequest::Attend { .. }
            | DeviceRequest::ListCallerRequests
            | DeviceRequest::AnswerCaller { .. }
            | DeviceRequest::AnswerApproval {
                answer: Answer::AlwaysHere,
                ..
            }
            | DeviceRequest::ListRules
            | DeviceRequest::AddRule { .. }
            | DeviceRequest::RemoveRule { .. }
            | DeviceRequest::TestRules(_)
            | DeviceRequest::VerifyAudit
            | DeviceRequest::ListAudit { .. } => true,
            DeviceRequest::Status
            | DeviceRequest::ListTasks(_)
            | DeviceRequest::SearchTasks { .. }
            | DeviceRequest::Statistics { .. }
            | DeviceRequest::GetTask { .. }
            | DeviceRequest::Excerpt { .. }
            | DeviceRequest::Output { .. }
            | DeviceRequest::Events { .. }
            | DeviceRequest::Cancel { .. }
            | DeviceRequest::ListWorkspaces
            | DeviceRequest::Pause
            | DeviceRequest::Resume
            | DeviceRequest::ListSchedules
            | DeviceRequest::GetSchedule { .. }
            | DeviceRequest::ListApprovals
            | DeviceRequest::ConfirmCaller(_)
            | DeviceRequest::AnswerApproval {
                answer: Answer::Once | Answer::No,
                ..
            } => false,
        }
    }
}

/// Which tasks to list; all conditions hold.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskFilter {
    /// Only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub status: Option<TaskStatus>,
    /// Only from this door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub source: Option<Source>,
    /// Only of this kind: `git`, `shell`, `echo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub action: Option<String>,
    /// Only from callers of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub caller: Option<String>,
    /// Only those that have not ended (true), or have (false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub is_open: Option<bool>,
    /// Only those that ended with exit code 0 (true), or in any other way (false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub success: Option<bool>,
    /// Only those asked for since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional, type = "string"))]
    pub since: Option<Timestamp>,
    /// Only those asked for before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional, type = "string"))]
    pub until: Option<Timestamp>,
    /// Only this one and older ones: holds a list still while new tasks arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub newest: Option<TaskId>,
    /// Only older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub before: Option<TaskId>,
    /// How many at most; 100 is the ceiling, and what 0 means.
    #[serde(default)]
    pub limit: u32,
    /// How many of the newest to leave out: a place in a long list, without the pages before it.
    #[serde(default)]
    pub skip: u32,
    /// Whether to say how many there are in all.
    #[serde(default)]
    pub count: bool,
}

/// An answer of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeviceResponse {
    /// How the agent is.
    Status(DeviceStatus),
    /// Tasks, newest first.
    Tasks {
        /// The tasks, without their results.
        tasks: Vec<TaskView>,
        /// How many match in all, when that was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        n_total: Option<u64>,
    },
    /// What a search found.
    Found {
        /// The tasks, and where the text is in them.
        hits: Vec<TaskHit>,
        /// Whether there are more.
        has_more: bool,
    },
    /// How tasks went lately.
    Statistics(TaskStatistics),
    /// One task, with its result once it has one.
    Task {
        /// The task.
        task: Box<TaskView>,
    },
    /// What a task has printed so far.
    Excerpt {
        /// The output.
        output: Excerpt,
    },
    /// Exact bytes.
    Output(OutputRange),
    /// Events in order.
    Events {
        /// The events, at most 1,000.
        events: Vec<Event>,
        /// Whether there are later ones.
        has_more: bool,
    },
    /// The task's status after a cancel was taken.
    Cancelling {
        /// Where the task is.
        status: TaskStatus,
    },
    /// How many tasks were forgotten.
    Cleared {
        /// The count.
        n_tasks: u64,
    },
    /// Workspaces, in the order they were added; the first is the default.
    Workspaces {
        /// The workspaces.
        workspaces: Vec<Workspace>,
    },
    /// Whether the device is paused now.
    Paused {
        /// Whether it is.
        paused: bool,
    },
    /// A task was opened here.
    TaskOpened {
        /// The task.
        task: Box<TaskView>,
    },
    /// The schedules, by name.
    Schedules {
        /// The schedules.
        schedules: Vec<ScheduleView>,
    },
    /// One schedule.
    Schedule {
        /// The schedule.
        schedule: Box<ScheduleView>,
        /// Its next runs, at most five.
        #[cfg_attr(feature = "ts", ts(type = "string[]"))]
        upcoming: Vec<Timestamp>,
        /// Its last runs, newest first, at most twenty.
        runs: Vec<ScheduledRun>,
    },
    /// The open questions, oldest first.
    Approvals {
        /// The questions.
        questions: Vec<QuestionView>,
    },
    /// The answer was taken: it was the first.
    ApprovalTaken {
        /// The task.
        task_id: TaskId,
        /// The answer.
        answer: Answer,
        /// The name of the rule that was written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        rule: Option<String>,
    },
    /// How a request to be let in stands.
    CallerConfirmation {
        /// The answer.
        answer: CallerAnswer,
    },
    /// The programs that ask to be let in, oldest first.
    CallerRequests {
        /// The requests.
        requests: Vec<CallerRequestView>,
    },
    /// Somebody attends.
    Attending {
        /// How many may answer from afar.
        n_approvers: u32,
    },
    /// The owner's rules, in the order of the file.
    Rules {
        /// The rules in force.
        rules: Vec<RuleView>,
        /// The file they stand in.
        path: String,
        /// What is wrong with the file; the rules are then those it held before.
        problem: Option<String>,
    },
    /// What would be decided.
    Explanation(Explanation),
    /// What checking the audit trail gave.
    AuditVerified {
        /// How many rows there are.
        n_rows: u64,
        /// The first thing that is wrong; none when all is as it was written.
        fault: Option<String>,
    },
    /// Rows of the audit trail.
    Audit {
        /// The rows, in order.
        rows: Vec<AuditRow>,
        /// Whether there are later ones.
        has_more: bool,
    },
    /// It cannot be done.
    Problem {
        /// Why.
        problem: Problem,
    },
}

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceStatus {
    /// Its id, once a relay has told it.
    pub device_id: Option<DeviceId>,
    /// Its name.
    pub device_name: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Its link.
    pub link: LinkStatus,
    /// Whether it can execute.
    pub can_execute: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Whether the owner paused it.
    #[serde(default)]
    pub paused: bool,
    /// Tasks that run.
    pub n_running: u32,
    /// Tasks that wait for their turn.
    pub n_waiting: u32,
    /// Tasks that wait for the owner's answer.
    #[serde(default)]
    pub n_asking: u32,
    /// Events the relay has not acknowledged.
    pub n_unsent_events: u64,
    /// Since when the agent runs.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub started_at: Timestamp,
    /// The sandbox tier this machine can enforce.
    pub sandbox_tier: String,
    /// The tier the configuration requires.
    pub sandbox_require: String,
    /// Each layer of the sandbox, and what is missing of it.
    pub sandbox_layers: Vec<LayerStatus>,
    /// The directories that are open to tasks.
    pub workspaces: Vec<Workspace>,
}

/// One layer of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LayerStatus {
    /// Its name.
    pub name: String,
    /// Whether this machine can enforce it.
    pub available: bool,
    /// Why not.
    pub why_not: Option<String>,
    /// A command that mends it.
    pub mend: Option<String>,
}

/// Where a link is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LinkStatus {
    /// A session is up.
    Connected {
        /// Since when.
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        since: Timestamp,
        /// Round trip of the last beat, in milliseconds.
        latency_ms: Option<u64>,
    },
    /// It dials.
    Reconnecting {
        /// How often it has tried.
        attempt: u32,
        /// What went wrong last.
        error: Option<String>,
    },
    /// The relay refuses the token; dialling goes on slowly.
    Refused {
        /// Why.
        error: String,
    },
}

/// Exact bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutputRange {
    /// Where the bytes begin.
    pub offset: u64,
    /// The bytes, in base64.
    pub base64: String,
    /// How long the stream is so far.
    pub total: u64,
    /// Whether the task has ended, so that nothing will be added.
    pub complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_takes_a_filter_and_nothing_that_looks_like_none() {
        let read = |filter: &str| {
            let text = format!(r#"{{"type":"search_tasks","text":"x","filter":{filter}}}"#);
            serde_json::from_str::<DeviceRequest>(&text).is_ok()
        };
        assert!(read("{}"));
        assert!(read(r#"{"status":"failed"}"#));
        for wrong in ["[]", "null", "0", r#"{"status":7}"#] {
            assert!(!read(wrong), "{wrong}");
        }
    }
}
