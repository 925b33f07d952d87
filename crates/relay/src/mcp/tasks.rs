//! The Tasks extension: a long call becomes a handle that the client asks about, instead of a result
//! that tells its model to wait. A handle is one of our own tasks, under its own id: it outlives the
//! connection and a restart, and whoever may see the task may ask about it.

use std::time::Duration;

use deskhand_protocol::{Problem, TaskStatus, relay_request::Scope};
use rmcp::{
    ErrorData,
    model::{
        DetailedTask, ElicitRequest, InputRequest, InputRequests, JsonObject, Task, TaskPayload,
        UpdateTaskParams,
    },
};
use serde_json::Value;

use super::{
    approval::{self, Said},
    server,
};
use crate::{
    State,
    broker::Record,
    http::Caller,
    known_tasks::{self, visible},
    questions,
    tools::{self, Answer, Tool},
};

/// How long a call may take before it becomes a handle, in seconds: most commands end sooner, and need
/// no second request.
const HANDLE_AFTER_SECONDS: u64 = 2;

/// How often a client should ask.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Tells whether calls of a tool become handles: those that run something.
pub(super) fn may_become_one(tool: Tool) -> bool {
    matches!(tool, Tool::GitInspect | Tool::GitRun | Tool::ShellRun)
}

/// Has a call answer soon, however long its model would have waited. What is no wait is left for the
/// tool to refuse.
pub(super) fn wait_less(arguments: &mut JsonObject) {
    let asked = arguments.get("wait_seconds");
    let is_longer = match asked {
        None | Some(Value::Null) => true,
        Some(asked) => asked.as_u64().is_some_and(|seconds| {
            (HANDLE_AFTER_SECONDS..=deskhand_protocol::limits::MAX_WAIT.as_secs())
                .contains(&seconds)
        }),
    };
    if is_longer {
        arguments.insert("wait_seconds".to_owned(), HANDLE_AFTER_SECONDS.into());
    }
}

/// Returns the handle of a call that is not finished.
pub(super) async fn handle(state: &State, caller: &Caller, answer: &Answer) -> Option<Task> {
    let record = visible(state, caller, answer.value["task_id"].as_str()?);
    let record = record.await.ok()?;
    (!record.status.is_terminal()).then(|| described(&record))
}

/// Answers `tasks/get`.
pub(super) async fn get(
    state: &State,
    caller: &Caller,
    id: &str,
    takes_forms: bool,
) -> Result<DetailedTask, ErrorData> {
    let record = visible(state, caller, id)
        .await
        .map_err(|problem| refused(&problem))?;
    let payload = match record.status {
        TaskStatus::AwaitingApproval if takes_forms => asks(state, &record).await,
        TaskStatus::Pending | TaskStatus::AwaitingApproval | TaskStatus::InProgress => {
            TaskPayload::Working
        }
        TaskStatus::Cancelled => TaskPayload::Cancelled,
        // What failed is a result too: one that says so.
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Expired => {
            let result = server::result(tools::ended(state, &record));
            let Ok(Value::Object(result)) = serde_json::to_value(result) else {
                return Err(ErrorData::internal_error("a result is an object", None));
            };
            TaskPayload::Completed { result }
        }
    };
    Ok(DetailedTask::new(described(&record), payload))
}

/// What a client is asked for a task that waits for its owner.
async fn asks(state: &State, record: &Record) -> TaskPayload {
    let question = questions::open(state, record).await;
    let asked = question.and_then(|question| {
        let form = InputRequest::Elicitation(ElicitRequest::new(approval::form(&question)?));
        Some(InputRequests::from([(question.digest, form)]))
    });
    match asked {
        Some(input_requests) => TaskPayload::InputRequired { input_requests },
        None => TaskPayload::Working,
    }
}

/// Answers `tasks/update`: what a client's user said to the owner's question, which is named by its
/// digest. Whatever else it brings is for a question that is no longer open.
pub(super) async fn update(
    state: &State,
    caller: &Caller,
    request: UpdateTaskParams,
) -> Result<(), ErrorData> {
    let record = visible(state, caller, &request.task_id)
        .await
        .map_err(|problem| refused(&problem))?;
    for (digest, response) in &request.input_responses {
        if let Said::Answer(answer) = approval::said(Some(response)) {
            approval::give(state, caller, &record, answer, digest).await;
        }
    }
    Ok(())
}

/// Answers `tasks/cancel`.
pub(super) async fn cancel(state: &State, caller: &Caller, id: &str) -> Result<(), ErrorData> {
    let cancelled = async {
        let record = visible(state, caller, id).await?;
        caller.needs(Scope::TasksRun)?;
        known_tasks::cancel(state, record).await
    };
    cancelled
        .await
        .map(drop)
        .map_err(|problem| refused(&problem))
}

fn refused(problem: &Problem) -> ErrorData {
    ErrorData::invalid_params(problem.error.clone(), None)
}

fn described(record: &Record) -> Task {
    let created_at = record.task.created_at;
    let changed_at = record.completed_at.or(record.started_at);
    let since = crate::clock::now().duration_since(created_at);
    let waited = Duration::try_from(since).unwrap_or_default();
    let task = Task::new(
        record.task.task_id.to_string(),
        // The payload says it, where there is one.
        rmcp::model::TaskStatus::Working,
        created_at.to_string(),
        changed_at.unwrap_or(created_at).to_string(),
    );
    let task = task.with_poll_interval_ms(ASK_AGAIN.as_millis() as u64);
    match record.status.is_terminal() {
        true => task,
        false => task.with_status_message(tools::stands(record, waited)),
    }
}
