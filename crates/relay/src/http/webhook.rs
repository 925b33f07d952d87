//! `POST /webhook`: the door that was promised to callers, in the promised shapes.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State as Extract},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{
    Command, DeviceId, ErrorCode, Problem, TaskRequest,
    limits::{DEFAULT_WAIT, MAX_BATCH_TASKS, MAX_WAIT},
    relay_request::Scope,
    task::{Action, EchoAction, GitAction, OnOffline, Priority, ShellAction, TimeoutSeconds},
    webhook::{BatchAnswer, BatchWord, Received},
};
use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    answer,
    auth::Caller,
    error::{status_of, with_retry_after},
    github, read_body,
    tasks::offline_answer,
};
use crate::{
    State,
    device::Presence,
    submit::{self, Refusal, Submission, Submitted, choose_device, reached_devices},
};

/// Takes a task, a batch, a GitHub event or any other event.
pub(super) async fn receive(Extract(state): Extract<State>, request: Request) -> Response {
    let headers = request.headers().clone();
    match handle(&state, &headers, request).await {
        Ok(response) => response,
        Err(problem) => refused(&problem),
    }
}

async fn handle(state: &State, headers: &HeaderMap, request: Request) -> Result<Response, Problem> {
    if github::is_event(headers) {
        let body = read_body(request).await?;
        return Ok(Json(github::receive(state, headers, &body).await?).into_response());
    }
    let caller = Caller::of(state, headers);
    // The body is read before a refusal, so that its sender hears the answer.
    let body = read_body(request).await;
    let (caller, body) = (caller?, body?);
    let body: Value = serde_json::from_slice(&body)
        .map_err(|_| Problem::new(ErrorCode::InvalidJson, "Invalid JSON payload"))?;
    let Value::Object(body) = body else {
        return Err(Problem::new(
            ErrorCode::InvalidRequest,
            "the body must be an object",
        ));
    };
    caller.needs(Scope::TasksRun)?;
    match body.get("type").and_then(Value::as_str) {
        Some("task_command") => {
            let wait = wait(&body)?;
            let data = object(&body, "data", "data")?;
            let submitted = submit_one(state, &caller, data, wait).await?;
            Ok(render(state, &submitted))
        }
        Some("batch") => batch(state, &caller, &body).await,
        _ => custom(state, &caller, body).await,
    }
}

async fn submit_one(
    state: &State,
    caller: &Caller,
    data: &Map<String, Value>,
    wait: Option<Duration>,
) -> Result<Result<Submitted, Refusal>, Problem> {
    let request = task_request(data)?;
    if wait.is_some() && request.task_id.is_none() {
        return Err(Problem::new(
            ErrorCode::MissingTaskId,
            "Synchronous mode requires task_id in data",
        ));
    }
    let submission = Submission {
        key: caller.key.clone(),
        source: caller.source,
        request_id: caller.request_id.clone(),
        request,
        wait,
        begun: None,
    };
    Ok(submit::submit(state, submission).await)
}

async fn batch(
    state: &State,
    caller: &Caller,
    body: &Map<String, Value>,
) -> Result<Response, Problem> {
    let wait = wait(body)?;
    let data = object(body, "data", "data")?;
    let Some(Value::Array(tasks)) = data.get("tasks") else {
        return Err(invalid("data.tasks", "must be a list of tasks"));
    };
    if tasks.is_empty() || tasks.len() > MAX_BATCH_TASKS {
        return Err(invalid("data.tasks", "must hold 1 to 20 tasks"));
    }
    // All at once: none of them waits for another.
    let results = join_all(tasks.iter().map(|task| async move {
        let Value::Object(task) = task else {
            return (false, error_body(&invalid("task", "must be an object")));
        };
        match submit_one(state, caller, task, wait).await {
            Ok(submitted) => (
                answer::is_completed(&submitted),
                render_body(state, &submitted).1,
            ),
            Err(problem) => (false, error_body(&problem)),
        }
    }));
    let (completed, results): (Vec<bool>, Vec<Value>) = results.await.into_iter().unzip();
    let status = match completed.into_iter().all(|completed| completed) {
        true => BatchWord::Completed,
        false => BatchWord::Partial,
    };
    Ok(Json(BatchAnswer { status, results }).into_response())
}

/// Any other JSON becomes an event on the timelines of the devices it is for.
async fn custom(
    state: &State,
    caller: &Caller,
    body: Map<String, Value>,
) -> Result<Response, Problem> {
    let wanted = body.get("data").and_then(|data| data.get("device"));
    let devices = match wanted {
        Some(Value::String(device)) => vec![choose_device(state, &caller.key, Some(device))?],
        Some(_) => return Err(invalid("data.device", "must be a string")),
        None => reached_devices(state, &caller.key),
    };
    let devices = devices
        .iter()
        .map(|device| device.device_id.clone())
        .collect();
    let entry = json!({"type": "custom", "source": caller.key.view.name, "data": body});
    Ok(Json(store_event(state, devices, entry, None, None).await?).into_response())
}

/// Stores an event for some devices and says how many of them have a link.
pub(super) async fn store_event(
    state: &State,
    devices: Vec<DeviceId>,
    entry: Value,
    event: Option<String>,
    delivery_id: Option<String>,
) -> Result<Received, Problem> {
    let online =
        |device: &&DeviceId| matches!(state.registry.presence(device), Presence::Online(_));
    let n_notified = u32::try_from(devices.iter().filter(online).count()).unwrap_or(u32::MAX);
    state.broker.put_custom(devices, entry).await?;
    Ok(github::received(n_notified, event, delivery_id))
}

fn render(state: &State, submitted: &Result<Submitted, Refusal>) -> Response {
    let (status, body) = render_body(state, submitted);
    let response = (status, Json(body)).into_response();
    match submitted {
        Ok(_) => response,
        Err(refusal) => with_retry_after(refusal.problem.code, response),
    }
}

fn render_body(state: &State, submitted: &Result<Submitted, Refusal>) -> (StatusCode, Value) {
    let (status, body) = match submitted {
        Ok(Submitted::Accepted {
            record,
            online,
            replayed,
            ..
        }) => (
            StatusCode::OK,
            serde_json::to_value(answer::received(state, record, *online, *replayed)),
        ),
        Ok(Submitted::Finished {
            record, replayed, ..
        }) => (
            StatusCode::OK,
            serde_json::to_value(answer::finished(state, record, *replayed)),
        ),
        Ok(Submitted::WaitOver {
            record,
            waited,
            output,
            ..
        }) => {
            let body = answer::wait_over(state, record, *waited, output.clone());
            let status = match body.error {
                Some(_) => StatusCode::GATEWAY_TIMEOUT,
                None => StatusCode::ACCEPTED,
            };
            (status, serde_json::to_value(body))
        }
        Err(refusal) => match offline_answer(refusal) {
            Some(body) => (status_of(refusal.problem.code), serde_json::to_value(body)),
            None => (
                status_of(refusal.problem.code),
                Ok(error_body(&refusal.problem)),
            ),
        },
    };
    (status, body.expect("an answer has only string keys"))
}

fn refused(problem: &Problem) -> Response {
    let body = (status_of(problem.code), Json(error_body(problem))).into_response();
    with_retry_after(problem.code, body)
}

/// `{"error","code"}`, and a hint where there is one.
fn error_body(problem: &Problem) -> Value {
    let mut body = json!({"error": problem.error, "code": problem.code});
    if let Some(hint) = &problem.hint {
        body["hint"] = hint.as_str().into();
    }
    body
}

/// How long the caller waits; `None` takes the receipt.
fn wait(body: &Map<String, Value>) -> Result<Option<Duration>, Problem> {
    let sync: bool = field(body, "sync", "sync")?.unwrap_or(false);
    let seconds: Option<u64> = field(body, "wait_seconds", "wait_seconds")?;
    if seconds.is_some_and(|seconds| !(1..=MAX_WAIT.as_secs()).contains(&seconds)) {
        return Err(invalid("wait_seconds", "must be 1 to 40"));
    }
    Ok(sync.then(|| seconds.map_or(DEFAULT_WAIT, Duration::from_secs)))
}

/// Reads the `data` of a task command.
fn task_request(data: &Map<String, Value>) -> Result<TaskRequest, Problem> {
    let kind: Option<String> = field(data, "action_type", "data.action_type")?;
    let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
        return Err(Problem::new(
            ErrorCode::MissingActionType,
            "Missing action_type",
        ));
    };
    let empty = Map::new();
    let params = match data.get("params") {
        None | Some(Value::Null) => &empty,
        Some(_) => object(data, "params", "data.params")?,
    };
    let action = match kind.as_str() {
        "git" => Action::Git(GitAction {
            command: command(params)?,
            working_dir: field(params, "working_dir", "data.params.working_dir")?,
            timeout: timeout(params)?,
            read_only: field(params, "read_only", "data.params.read_only")?.unwrap_or_default(),
        }),
        "shell" => Action::Shell(ShellAction {
            command: command(params)?,
            working_dir: field(params, "working_dir", "data.params.working_dir")?,
            timeout: timeout(params)?,
            stdin: field(params, "stdin", "data.params.stdin")?,
            network: field(params, "network", "data.params.network")?.unwrap_or_default(),
            git_writes: field(params, "git_writes", "data.params.git_writes")?.unwrap_or_default(),
            read_only: field(params, "read_only", "data.params.read_only")?.unwrap_or_default(),
        }),
        "echo" => Action::Echo(EchoAction {
            text: field(params, "text", "data.params.text")?.unwrap_or_default(),
        }),
        "claude_code" | "agent" => {
            let error = format!("Action type {kind} is not available yet");
            return Err(Problem::new(ErrorCode::UnsupportedAction, error));
        }
        other => {
            let error = format!("Unknown action type: {other}");
            return Err(Problem::new(ErrorCode::UnknownActionType, error));
        }
    };
    Ok(TaskRequest {
        action,
        task_id: field(data, "task_id", "data.task_id")?,
        device: field(data, "device", "data.device")?,
        on_offline: field::<OnOffline>(data, "on_offline", "data.on_offline")?,
        expires_in: field(data, "expires_in", "data.expires_in")?,
        priority: field::<Priority>(data, "priority", "data.priority")?.unwrap_or_default(),
        title: field(data, "title", "data.title")?,
        start: field(data, "start", "data.start")?,
    })
}

fn command(params: &Map<String, Value>) -> Result<Command, Problem> {
    field(params, "command", "data.params.command")?
        .ok_or_else(|| Problem::new(ErrorCode::MissingCommand, "Missing command parameter"))
}

fn timeout(params: &Map<String, Value>) -> Result<TimeoutSeconds, Problem> {
    Ok(field(params, "timeout", "data.params.timeout")?.unwrap_or_default())
}

/// Reads a field; null counts as absent, and the error names the path.
fn field<T: DeserializeOwned>(
    object: &Map<String, Value>,
    name: &str,
    path: &str,
) -> Result<Option<T>, Problem> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(value)
            .map(Some)
            .map_err(|error| invalid(path, &error.to_string())),
    }
}

fn object<'a>(
    of: &'a Map<String, Value>,
    name: &str,
    path: &str,
) -> Result<&'a Map<String, Value>, Problem> {
    match of.get(name) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(invalid(path, "must be an object")),
    }
}

fn invalid(path: &str, why: &str) -> Problem {
    Problem::new(ErrorCode::InvalidRequest, format!("{path}: {why}"))
}
