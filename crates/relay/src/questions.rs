//! What the owner is asked about a task: seen, waited for and answered by callers that may, through
//! every door the same way. The device keeps the question and takes the first answer; nothing of it is
//! decided here.

use std::time::Duration;

use deskhand_protocol::{
    ErrorCode, EventKind, Problem, TaskId,
    approval::{Answer, ApprovalDoor, Approver, QuestionView},
    device_request::{DeviceRequest, DeviceResponse},
    limits::ASK_DEVICE,
    relay_request::Scope,
};

use crate::{State, broker::Record, error::Fault, http::Caller, task_events::TaskEvents};

/// How long a device may take to take an answer.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// Gives the answer of a caller that may answer; the first one wins. A digest holds it to the question
/// that was shown.
pub(crate) async fn answer(
    state: &State,
    caller: &Caller,
    record: &Record,
    answer: Answer,
    digest: Option<String>,
) -> Result<(), Problem> {
    caller.needs(Scope::Approve)?;
    if answer == Answer::AlwaysHere {
        return Err(Problem::new(
            ErrorCode::LocalOnly,
            "a rule is made on that computer itself: answer `once` or `no`",
        ));
    }
    let request = DeviceRequest::AnswerApproval {
        task_id: record.task.task_id,
        digest,
        answer,
        by: approver(caller),
    };
    let taken = state.registry.ask(&record.device, request, TAKEN_WITHIN);
    match taken.await? {
        DeviceResponse::Problem { problem } => Err(problem),
        _ => Ok(()),
    }
}

/// A caller as one who answers questions.
pub(crate) fn approver(caller: &Caller) -> Approver {
    Approver {
        name: caller.key.view.name.clone(),
        door: ApprovalDoor::Relay,
        key_id: Some(caller.key.view.key_id.clone()),
    }
}

/// Returns the open question of a task; none while its device does not say that there is one.
pub(crate) async fn open(state: &State, record: &Record) -> Option<QuestionView> {
    let asked = state
        .registry
        .ask(&record.device, DeviceRequest::ListApprovals, ASK_DEVICE);
    let Ok(DeviceResponse::Approvals { questions }) = asked.await else {
        return None;
    };
    questions
        .into_iter()
        .find(|question| question.task_id == record.task.task_id)
}

/// A question that was asked just now.
pub(crate) struct Asked {
    pub(crate) question: QuestionView,
    events: TaskEvents,
}

impl Asked {
    /// Waits until the question is no longer open: answered through another door, or its task ended.
    pub(crate) async fn closed(&mut self) {
        // Nothing happens to a task while its question is open.
        if let Err(error) = self.events.next().await {
            tracing::warn!(%error, "cannot hear of a question's answer");
        }
    }
}

/// Waits until the owner is asked about a task; for ever when that does not happen.
pub(crate) async fn asked(state: &State, task_id: TaskId) -> Asked {
    match first(state, task_id).await {
        Ok(Some(asked)) => return asked,
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, %task_id, "cannot hear of a task's question"),
    }
    std::future::pending().await
}

async fn first(state: &State, task_id: TaskId) -> Result<Option<Asked>, Fault> {
    let Some(record) = state.broker.get(task_id).await? else {
        return Ok(None);
    };
    let Some(mut events) = TaskEvents::after(state, &record, 0).await else {
        return Ok(None);
    };
    while let Some(logged) = events.next().await? {
        if let EventKind::ApprovalRequested { .. } = logged.event.kind
            && let Some(question) = open(state, &record).await
        {
            return Ok(Some(Asked { question, events }));
        }
    }
    Ok(None)
}
