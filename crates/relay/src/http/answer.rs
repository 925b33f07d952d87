//! Turns what became of a task into what a door shows.

use deskhand_protocol::{
    ErrorCode, TaskResult, TaskStatus,
    outcome::{EndStatus, Excerpt},
    task::TaskView,
    webhook::{
        DeviceOffline, Finished, FinishedWord, Received, ReceivedWord, WaitOver, WaitOverWord,
        WebhookOutput,
    },
};

use crate::{
    State,
    broker::Record,
    devices::Device,
    submit::{Refusal, Submitted},
};

/// Where to read a task: by its uid, which no other caller's name can stand for.
pub(super) fn task_url(state: &State, record: &Record) -> String {
    format!("{}/api/tasks/{}", state.url(), record.task.task_id)
}

/// A task as the REST doors show it.
pub(super) fn view(state: &State, record: &Record) -> TaskView {
    let task = &record.task;
    let device = state.devices.get(&record.device);
    let outcome = record.result.as_ref().map(|result| &result.outcome);
    TaskView {
        task_id: task.name.clone(),
        uid: task.task_id,
        status: record.status,
        action: task.action.clone(),
        source: task.source,
        caller: task.caller.name.clone(),
        device: device.map_or_else(|| record.device.to_string(), |device| device.name.clone()),
        title: task.title.clone(),
        created_at: task.created_at,
        started_at: record.started_at,
        completed_at: record.completed_at,
        returncode: outcome.and_then(|outcome| outcome.returncode),
        code: outcome.and_then(|outcome| outcome.code),
        error: outcome.and_then(|outcome| outcome.error.clone()),
        result: record.result.clone(),
    }
}

/// The promised receipt of an asynchronous task.
pub(super) fn received(state: &State, record: &Record, online: bool, replayed: bool) -> Received {
    Received {
        status: ReceivedWord::Received,
        event: None,
        delivery_id: None,
        clients_notified: u32::from(online),
        queued: !online && !record.status.is_terminal(),
        task_id: Some(record.task.name.clone()),
        uid: Some(record.task.task_id),
        task_url: Some(task_url(state, record)),
        replayed,
    }
}

/// The promised answer with a result.
pub(super) fn finished(state: &State, record: &Record, replayed: bool) -> Finished {
    let (outcome, output) = match &record.result {
        Some(TaskResult { outcome, output }) => (Some(outcome), Some(output)),
        None => (None, None),
    };
    let status = match outcome.map(|outcome| outcome.status) {
        Some(EndStatus::Completed) => FinishedWord::Completed,
        // The promised words know no others; `code` tells them apart.
        Some(EndStatus::Failed | EndStatus::Cancelled | EndStatus::Expired) | None => {
            FinishedWord::Failed
        }
    };
    let output = outcome.zip(output).and_then(|(outcome, output)| {
        outcome
            .returncode
            .map(|returncode| webhook_output(returncode, output))
    });
    Finished {
        status,
        task_id: record.task.name.clone(),
        output,
        execution_time_ms: record.execution_time_ms(),
        clients_notified: 1,
        error: outcome.and_then(|outcome| outcome.error.clone()),
        code: outcome.and_then(|outcome| outcome.code),
        uid: record.task.task_id,
        task_url: task_url(state, record),
        hint: outcome.and_then(|outcome| outcome.hint.clone()),
        replayed,
        completed_at: record.completed_at.filter(|_| replayed),
        engine: outcome.and_then(|outcome| outcome.engine),
        engine_reason: outcome.and_then(|outcome| outcome.engine_reason.clone()),
        data: outcome.and_then(|outcome| outcome.data.clone()),
    }
}

fn webhook_output(returncode: i32, output: &Excerpt) -> WebhookOutput {
    WebhookOutput {
        success: returncode == 0,
        stdout: output.stdout.clone(),
        stderr: output.stderr.clone(),
        returncode,
        truncated: output.truncated,
    }
}

/// The promised answer when the wait ended first.
pub(super) fn wait_over(
    state: &State,
    record: &Record,
    waited: std::time::Duration,
    output: Option<Excerpt>,
) -> WaitOver {
    let seconds = waited.as_secs();
    let asked = record.status == TaskStatus::AwaitingApproval;
    WaitOver {
        status: if asked {
            WaitOverWord::AwaitingApproval
        } else {
            WaitOverWord::Timeout
        },
        task_id: record.task.name.clone(),
        error: (!asked).then(|| format!("Task execution exceeded {seconds} second timeout")),
        message: match asked {
            true => "The owner is being asked. Read task_url for the answer.".to_owned(),
            false => "Task may still be running locally. Check results viewer.".to_owned(),
        },
        task_url: task_url(state, record),
        output,
        code: ErrorCode::WaitOver,
        task_status: record.status,
        uid: record.task.task_id,
    }
}

/// The promised answer when the device has no link.
pub(super) fn device_offline(refusal: &Refusal, device: Option<&Device>) -> DeviceOffline {
    DeviceOffline {
        status: FinishedWord::Failed,
        code: refusal.problem.code,
        error: refusal.problem.error.clone(),
        hint: refusal.problem.hint.clone(),
        device: device.map(|device| device.name.clone()),
        device_id: device.map(|device| device.device_id.clone()),
        last_seen_at: device.and_then(|device| device.last_seen_at),
        task_id: refusal.task_id.clone(),
    }
}

/// Tells whether a submitted task counts as completed in a batch.
pub(super) fn is_completed(submitted: &Result<Submitted, Refusal>) -> bool {
    match submitted {
        Ok(Submitted::Finished { record, .. }) => record.status == TaskStatus::Completed,
        Ok(Submitted::Accepted { .. }) => true,
        Ok(Submitted::WaitOver { .. }) | Err(_) => false,
    }
}
