//! What a window, a command line or the relay can ask an agent.
//!
//! One request type for every transport. The door a request came through decides what it may change:
//! [`DeviceRequest::is_local`] ones are accepted from the window and the control socket only, so that
//! a relay that was taken over can ask for tasks and nothing else.

use serde::{Deserialize, Serialize};

use crate::{
    DeviceId, Event, Problem, Seq, Source, TaskId, TaskStatus, Timestamp,
    approval::{Answer, Approver, QuestionView},
    audit::AuditRow,
    event::Stream,
    outcome::Excerpt,
    policy::{Explanation, Level, NewRule, RuleView, TestedCommand},
    task::TaskView,
    workspace::Workspace,
};

/// One question to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum DeviceRequest {
    /// How the agent is.
    Status,
    /// Tasks, newest first.
    ListTasks(TaskFilter),
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
            | DeviceRequest::Attend { .. }
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
            | DeviceRequest::GetTask { .. }
            | DeviceRequest::Excerpt { .. }
            | DeviceRequest::Output { .. }
            | DeviceRequest::Events { .. }
            | DeviceRequest::Cancel { .. }
            | DeviceRequest::ListWorkspaces
            | DeviceRequest::ListApprovals
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
    /// Only those asked for since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional, type = "string"))]
    pub since: Option<Timestamp>,
    /// Only older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub before: Option<TaskId>,
    /// How many at most; 100 is the ceiling, and what 0 means.
    #[serde(default)]
    pub limit: u32,
}

/// An answer of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum DeviceResponse {
    /// How the agent is.
    Status(DeviceStatus),
    /// Tasks, newest first.
    Tasks {
        /// The tasks, without their output.
        tasks: Vec<TaskView>,
    },
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
