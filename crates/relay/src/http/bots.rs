//! The doors of the systems before this one, in their promised shapes: `POST /api/task`,
//! `GET /status`, `POST /api/bot/{device}/pause` and `/resume`.

use axum::{
    Json,
    extract::{Path, Query, Request, State as Extract, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use deskhand_protocol::{
    Command, DeviceId, ErrorCode, Problem, TaskName, TaskRequest, Timestamp,
    relay_request::Scope,
    task::{Action, OnOffline, Priority, ShellAction, TimeoutSeconds},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    auth::Caller,
    devices,
    error::{problem_about, with_retry_after},
    read_json, respond,
};
use crate::{
    State,
    clock::now,
    devices::Device,
    submit::{self, Submission, Submitted, choose_device},
};

/// A command for a device.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct BotTask {
    task_id: Option<TaskName>,
    command: Option<Command>,
    #[serde(default)]
    priority: Priority,
    device: Option<String>,
}

/// The receipt of a command.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queued {
    status: &'static str,
    task_id: TaskName,
    message: String,
    timestamp: Timestamp,
}

/// `POST /api/task`: a shell command that waits for its device if need be.
pub(super) async fn submit(
    caller: Caller,
    Extract(state): Extract<State>,
    request: Request,
) -> Response {
    let submission = async {
        caller.needs(Scope::TasksRun)?;
        let body: BotTask = read_json(request).await?;
        let command = body.command.filter(|command| !command.is_empty());
        let command = command
            .ok_or_else(|| Problem::new(ErrorCode::InvalidRequest, "Missing command parameter"))?;
        let action = Action::Shell(ShellAction {
            command,
            working_dir: None,
            timeout: TimeoutSeconds::default(),
            stdin: None,
            network: Default::default(),
            git_writes: Default::default(),
            read_only: false,
        });
        let request = TaskRequest {
            task_id: body.task_id,
            device: body.device,
            on_offline: Some(OnOffline::Queue),
            priority: body.priority,
            ..TaskRequest::new(action)
        };
        Ok(Submission {
            key: caller.key.clone(),
            source: caller.source,
            request_id: caller.request_id.clone(),
            request,
            wait: None,
            begun: None,
        })
    };
    let submitted = match submission.await {
        Ok(submission) => submit::submit(&state, submission).await,
        Err(refused) => return super::problem(refused),
    };
    match submitted {
        Ok(Submitted::Accepted { record, .. } | Submitted::WaitOver { record, .. }) => {
            queued(record.task.name.clone())
        }
        Ok(Submitted::Finished { record, .. }) => queued(record.task.name.clone()),
        Err(refusal) => with_retry_after(
            refusal.problem.code,
            problem_about(&refusal.problem, refusal.task_id.as_ref()),
        ),
    }
}

fn queued(task_id: TaskName) -> Response {
    let body = Queued {
        status: "queued",
        message: format!("Task {task_id} queued"),
        task_id,
        timestamp: now(),
    };
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// Which device, where a key reaches several.
#[derive(Debug, Deserialize)]
pub(super) struct StatusQuery {
    device: Option<String>,
}

/// How a device is, in the promised shape.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BotStatus {
    bot_id: DeviceId,
    status: &'static str,
    /// Of the relay.
    uptime_seconds: u64,
    tasks_processed: u64,
    current_task: Option<TaskName>,
    queue_size: u64,
    websocket_connected: bool,
    port: Option<u16>,
    timestamp: Timestamp,
}

/// `GET /status`.
pub(super) async fn status(
    caller: Caller,
    Extract(state): Extract<State>,
    query: Result<Query<StatusQuery>, QueryRejection>,
) -> Response {
    let shown = async {
        let Query(query) = query
            .map_err(|rejection| Problem::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        let device = choose_device(&state, &caller.key, query.device.as_deref())?;
        caller.needs(Scope::DevicesRead)?;
        let work = state.broker.workload(device.device_id.clone()).await;
        let work = work.map_err(Problem::from)?;
        Ok(Json(BotStatus {
            bot_id: device.device_id.clone(),
            status: word(&state, &device, work.current.is_some()),
            uptime_seconds: state.opened_at.elapsed().as_secs(),
            tasks_processed: work.n_ended,
            current_task: work.current,
            queue_size: work.n_waiting,
            websocket_connected: state.registry.is_connected(&device.device_id),
            port: state.port(),
            timestamp: now(),
        }))
    };
    respond(shown.await)
}

fn word(state: &State, device: &Device, works: bool) -> &'static str {
    match (state.is_paused(device), works) {
        (true, _) => "paused",
        (false, true) => "working",
        (false, false) => "idle",
    }
}

/// What became of a pause or resume.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Paused {
    bot_id: DeviceId,
    status: &'static str,
    timestamp: Timestamp,
}

/// `POST /api/bot/{device}/pause`.
pub(super) async fn pause(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
) -> Response {
    respond(answer(&state, &caller, &device, true).await)
}

/// `POST /api/bot/{device}/resume`.
pub(super) async fn resume(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
) -> Response {
    respond(answer(&state, &caller, &device, false).await)
}

async fn answer(
    state: &State,
    caller: &Caller,
    device: &str,
    paused: bool,
) -> Result<Json<Paused>, Problem> {
    let device = devices::set_paused(state, caller, device, paused).await?;
    let work = state.broker.workload(device.device_id.clone()).await;
    Ok(Json(Paused {
        bot_id: device.device_id.clone(),
        status: word(
            state,
            &device,
            work.map_err(Problem::from)?.current.is_some(),
        ),
        timestamp: now(),
    }))
}
