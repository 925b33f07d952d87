//! `/api/tasks`: submit, list, show, cancel, read output.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, Request, State as Extract},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{
    ErrorCode, Problem, TaskRequest,
    event::Stream,
    limits::{MAX_RANGE_BYTES, MAX_WAIT},
    relay_request::Scope,
    task::TaskView,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    answer::{self, task_url, view},
    auth::Caller,
    error::{problem_about, with_retry_after},
    read_json, read_value, respond,
};
use crate::{
    State,
    known_tasks::{self, visible},
    submit::{self, Refusal, Submission, Submitted},
};

/// `POST /api/tasks`: 202 with the task, or, with `Prefer: wait=N`, 200 with its result when it ended
/// in time.
pub(super) async fn submit(
    caller: Caller,
    Extract(state): Extract<State>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let submission = async {
        caller.needs(Scope::TasksRun)?;
        let wait = preferred_wait(&headers)?;
        let mut request = task_request(read_json(request).await?)?;
        if request.task_id.is_none() {
            request.task_id = idempotency_key(&headers)?;
        }
        Ok(Submission {
            key: caller.key.clone(),
            source: caller.source,
            request_id: caller.request_id.clone(),
            request,
            wait,
            begun: None,
        })
    };
    let submission = match submission.await {
        Ok(submission) => submission,
        Err(refused) => return super::problem(refused),
    };
    match submit::submit(&state, submission).await {
        Ok(Submitted::Finished { record, .. }) => Json(view(&state, &record)).into_response(),
        Ok(Submitted::Accepted { record, .. } | Submitted::WaitOver { record, .. }) => {
            let location = [(header::LOCATION, task_url(&state, &record))];
            (StatusCode::ACCEPTED, location, Json(view(&state, &record))).into_response()
        }
        Err(Refusal {
            problem, task_id, ..
        }) => with_retry_after(problem.code, problem_about(&problem, task_id.as_ref())),
    }
}

/// Reads a task; `{"command"}` is short for a shell action, `{"input_prompt"}` for an agent's.
fn task_request(mut body: Value) -> Result<TaskRequest, Problem> {
    if let Some(fields) = body
        .as_object_mut()
        .filter(|fields| !fields.contains_key("action"))
    {
        if fields.contains_key("input_prompt") {
            let error = "Action type agent is not available yet";
            return Err(Problem::new(ErrorCode::UnsupportedAction, error));
        }
        if let Some(command) = fields.remove("command") {
            fields.insert(
                "action".to_owned(),
                json!({"type": "shell", "command": command}),
            );
        }
    }
    read_value(body)
}

/// RFC 7240: `Prefer: wait=10`.
fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(prefer) = headers.get("prefer").and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let Some(wait) = prefer
        .split([',', ';'])
        .find_map(|p| p.trim().strip_prefix("wait="))
    else {
        return Ok(None);
    };
    match wait.trim_matches('"').parse::<u64>() {
        Ok(seconds) if (1..=MAX_WAIT.as_secs()).contains(&seconds) => {
            Ok(Some(Duration::from_secs(seconds)))
        }
        _ => Err(Problem::new(
            ErrorCode::InvalidRequest,
            "Prefer: wait must be 1 to 40 seconds",
        )),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<deskhand_protocol::TaskName>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .and_then(|text| text.trim_matches('"').parse().ok());
    key.map(Some).ok_or_else(|| {
        let error = "Idempotency-Key must be 1 to 128 characters of A-Z a-z 0-9 . _ : -";
        Problem::new(ErrorCode::InvalidRequest, error)
    })
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskPage)]
pub(super) struct Page {
    tasks: Vec<TaskView>,
    next_cursor: Option<String>,
}

/// `GET /api/tasks`: newest first. A key with `devices:read` sees all tasks of its devices, another
/// its own.
pub(super) async fn list(
    caller: Caller,
    Extract(state): Extract<State>,
    query: Result<Query<known_tasks::ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let listed = async {
        let Query(query) = query
            .map_err(|rejection| Problem::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        let (records, next_cursor) = known_tasks::list(&state, &caller, query).await?;
        let tasks = records
            .iter()
            .map(|record| view(&state, record))
            .map(without_output)
            .collect();
        Ok(Json(Page { tasks, next_cursor }))
    };
    respond(listed.await)
}

/// A list shows what happened; the output is one call away.
fn without_output(mut task: TaskView) -> TaskView {
    if let Some(result) = &mut task.result {
        result.output = Default::default();
        result.outcome.data = None;
    }
    task
}

/// `GET /api/tasks/{id}`.
pub(super) async fn show(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(task): Path<String>,
) -> Response {
    let shown = async {
        let record = visible(&state, &caller, &task).await?;
        Ok(Json(view(&state, &record)))
    };
    respond(shown.await)
}

/// `POST /api/tasks/{id}/cancel`: asks for the end, and answers with the task as it is then.
pub(super) async fn cancel(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(task): Path<String>,
) -> Response {
    let cancelled = async {
        let record = visible(&state, &caller, &task).await?;
        caller.needs(Scope::TasksRun)?;
        let record = known_tasks::cancel(&state, record).await?;
        Ok(Json(view(&state, &record)))
    };
    respond(cancelled.await)
}

/// `POST /api/tasks/{id}/run`: starts a task that waits for somebody to look at it. One that does not
/// is shown as it is.
pub(super) async fn run(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(task): Path<String>,
) -> Response {
    let started = async {
        let record = visible(&state, &caller, &task).await?;
        caller.needs(Scope::TasksRun)?;
        state.start_held(&record).await;
        let now = state.broker.get(record.task.task_id).await;
        let record = now.map_err(Problem::from)?.unwrap_or(record);
        Ok(Json(view(&state, &record)))
    };
    respond(started.await)
}

/// Which bytes to read, as the query says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputQuery {
    stream: Option<Stream>,
    offset: Option<u64>,
    limit: Option<u64>,
}

/// `GET /api/tasks/{id}/output`: exact bytes, read from the device.
pub(super) async fn output(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(task): Path<String>,
    query: Result<Query<OutputQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let read = async {
        let Query(query) = query
            .map_err(|rejection| Problem::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        let record = visible(&state, &caller, &task).await?;
        let stream = query.stream.unwrap_or(Stream::Stdout);
        let limit = query.limit.unwrap_or(MAX_RANGE_BYTES);
        let offset = query.offset.unwrap_or(0);
        let range = known_tasks::read_output(&state, &record, stream, offset, limit).await?;
        Ok((
            [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (
                    header::CONTENT_RANGE,
                    content_range(range.offset, range.bytes.len(), range.total),
                ),
                (
                    header::HeaderName::from_static("x-complete"),
                    range.complete.to_string(),
                ),
            ],
            range.bytes,
        ))
    };
    respond(read.await)
}

/// RFC 9110 §14.4; a range without bytes has no other form than the length.
fn content_range(offset: u64, n_bytes: usize, total: u64) -> String {
    match n_bytes {
        0 => format!("bytes */{total}"),
        n => format!("bytes {offset}-{}/{total}", offset + n as u64 - 1),
    }
}

/// The promised answer of `/webhook` for a task that was refused.
pub(super) fn offline_answer(
    refusal: &Refusal,
) -> Option<deskhand_protocol::webhook::DeviceOffline> {
    match refusal.problem.code {
        ErrorCode::DeviceOffline | ErrorCode::NoDevice | ErrorCode::DevicePaused => {
            Some(answer::device_offline(refusal, refusal.device.as_deref()))
        }
        _ => None,
    }
}
