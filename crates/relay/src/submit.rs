//! The single way in for a task, whatever the door: choose the device, register a waiter, store the
//! task, hand it to the device's session, wait.

use std::{sync::Arc, time::Duration};

use deskhand_protocol::{
    DeviceId, ErrorCode, Problem, Source, Task, TaskId, TaskName, TaskRequest, Timestamp,
    device_request::{DeviceRequest, DeviceResponse},
    limits::{ASK_DEVICE, RECONNECT_WINDOW},
    outcome::Excerpt,
    task::{Caller, Durability, OnOffline, Start},
};
use sha2::{Digest, Sha256};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    State,
    broker::{NewTask, Put, Record},
    clock::now,
    device::Presence,
    devices::Device,
    error::Fault,
    keys::Key,
    waiters::{Ended, Waiter},
};

/// What a door asks for.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) key: Arc<Key>,
    pub(crate) source: Source,
    /// The `X-Request-ID` it came with.
    pub(crate) request_id: Option<String>,
    pub(crate) request: TaskRequest,
    /// How long the caller waits for the result; none takes the receipt.
    pub(crate) wait: Option<Duration>,
    /// Hears which task it became as soon as that is stored, before the wait.
    pub(crate) begun: Option<oneshot::Sender<TaskId>>,
}

/// What a door gets.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// The task is stored.
    Accepted {
        record: Box<Record>,
        /// Whether the device takes tasks now.
        online: bool,
        replayed: bool,
    },
    /// The task ended.
    Finished { record: Arc<Record>, replayed: bool },
    /// The wait ended first.
    WaitOver {
        record: Box<Record>,
        waited: Duration,
        output: Option<Excerpt>,
    },
}

/// Why a task was not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    /// The device it was for.
    pub(crate) device: Option<Arc<Device>>,
    /// The caller's name for the task.
    pub(crate) task_id: Option<TaskName>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            device: None,
            task_id: None,
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Problem::from(fault).into()
    }
}

/// Submits a task and, if asked to, waits for its result. The task outlives the call: whoever drops
/// it ends the wait only.
pub(crate) async fn submit(state: &State, submission: Submission) -> Result<Submitted, Refusal> {
    // A caller that hangs up drops the door's future; what it began is carried on.
    let task = tokio::spawn(carry_out(state.clone(), submission));
    task.await
        .map_err(|_| Refusal::from(Problem::new(ErrorCode::Internal, "the relay failed")))?
}

async fn carry_out(state: State, submission: Submission) -> Result<Submitted, Refusal> {
    let Submission {
        key,
        source,
        request_id,
        request,
        wait,
        begun,
    } = submission;
    request.check()?;
    let device = choose_device(&state, &key, request.device.as_deref())?;
    let name = request.task_id.clone();
    let on_offline = request.on_offline.unwrap_or(match wait {
        Some(_) => OnOffline::Fail,
        None => OnOffline::Queue,
    });
    let presence = match device.is_to_pause() {
        // It is there and gets nothing: what is asked of it waits, or is refused.
        true => Presence::Offline,
        false => state.registry.presence(&device.device_id),
    };
    let held = request.start == Some(Start::OnConnect);
    let on_offline = if held { OnOffline::Queue } else { on_offline };
    let refusal = |problem| Refusal {
        problem,
        device: Some(device.clone()),
        task_id: name.clone(),
    };
    if let (Presence::Online(session), OnOffline::Fail) = (&presence, on_offline)
        && let Some(mut problem) = session.refuses()
        && !is_known(&state, &key, name.as_ref()).await?
    {
        problem.error = format!("device `{}`: {}", device.name, problem.error);
        return Err(refusal(problem));
    }
    let withdraw_at = match (&presence, on_offline) {
        (Presence::Offline, OnOffline::Fail) => {
            // What was asked for before is answered all the same.
            if !is_known(&state, &key, name.as_ref()).await? {
                return Err(refusal(away(&device)));
            }
            None
        }
        (Presence::Reconnecting { since }, OnOffline::Fail) => {
            Some(now() + RECONNECT_WINDOW.saturating_sub(since.elapsed()))
        }
        (Presence::Online(_), _) | (_, OnOffline::Queue) => None,
    };
    let mut new = new_task(
        &key,
        source,
        &device,
        request,
        wait.is_some(),
        withdraw_at,
        &presence,
    );
    new.task.request_id = request_id;
    let mut task = new.task.clone();
    let given_to = new.given_to;
    let began = Instant::now();
    let mut waiter = wait.map(|_| state.waiters.register(task.task_id));
    let mut replayed = None;
    match state.broker.put(new).await? {
        Put::Stored if held || device.is_to_pause() => {}
        Put::Stored => state.registry.hand_over(&device.device_id, &task, given_to),
        Put::Known(record) => {
            task = record.task.clone();
            waiter = wait.map(|_| state.waiters.register(task.task_id));
            replayed = Some(record);
        }
        Put::Conflict => {
            let error = format!(
                "task_id `{}` already names a task with another body",
                task.name
            );
            return Err(refusal(
                Problem::new(ErrorCode::TaskIdConflict, error)
                    .with_hint("choose another task_id; a name is free again after 24 h"),
            ));
        }
        Put::MailboxFull => {
            return Err(refusal(
                Problem::new(
                    ErrorCode::MailboxFull,
                    "100 tasks wait for the device already",
                )
                .with_hint("try again in a second"),
            ));
        }
    }
    if let Some(begun) = begun {
        // A door that went away need not hear it.
        let _ = begun.send(task.task_id);
    }
    let (Some(wait), Some(waiter)) = (wait, waiter.as_mut()) else {
        let online = match state.registry.presence(&device.device_id) {
            Presence::Online(session) => {
                session.refuses().is_none() && !held && !device.is_to_pause()
            }
            Presence::Reconnecting { .. } | Presence::Offline => false,
        };
        let is_replayed = replayed.is_some();
        let record = replayed.unwrap_or_else(|| Box::new(fresh_record(task, &device)));
        return Ok(Submitted::Accepted {
            record,
            online,
            replayed: is_replayed,
        });
    };
    let waited = wait_for(
        &state,
        waiter,
        task.task_id,
        replayed.is_some(),
        began + wait,
    )
    .await?;
    state.metrics.waited(began.elapsed());
    match waited {
        Waited::Ended(record, replayed) => Ok(Submitted::Finished { record, replayed }),
        Waited::Withdrawn => Err(refusal(away(&device))),
        Waited::ShuttingDown => Err(refusal(
            Problem::new(
                ErrorCode::ShuttingDown,
                "the relay is restarting; the task goes on",
            )
            .with_hint("send the same request again"),
        )),
        Waited::TooLong => {
            let output = output_so_far(&state, &device.device_id, task.task_id).await;
            let record = state.broker.get(task.task_id).await?;
            let record = record.unwrap_or_else(|| fresh_record(task, &device));
            if record.status.is_terminal() {
                // It ended while we asked.
                return Ok(Submitted::Finished {
                    record: Arc::new(record),
                    replayed: false,
                });
            }
            Ok(Submitted::WaitOver {
                record: Box::new(record),
                waited: wait,
                output,
            })
        }
    }
}

enum Waited {
    /// It ended; whether before the request came.
    Ended(Arc<Record>, bool),
    Withdrawn,
    TooLong,
    ShuttingDown,
}

async fn wait_for(
    state: &State,
    waiter: &mut Waiter,
    task: TaskId,
    known: bool,
    deadline: Instant,
) -> Result<Waited, Fault> {
    if known {
        // The waiter is registered, so an end from here on is heard; one before is in the store.
        let record = state
            .broker
            .get(task)
            .await?
            .filter(|record| record.status.is_terminal());
        if let Some(record) = record {
            return Ok(Waited::Ended(Arc::new(record), true));
        }
    }
    tokio::select! {
        ended = waiter.ended() => Ok(match ended {
            Some(Ended::Finished(record)) => Waited::Ended(record, false),
            Some(Ended::Withdrawn) => Waited::Withdrawn,
            None => Waited::ShuttingDown,
        }),
        () = tokio::time::sleep_until(deadline) => Ok(Waited::TooLong),
        () = state.stopping.cancelled() => Ok(Waited::ShuttingDown),
    }
}

/// Asks the device what a task has printed; nothing when it does not answer within a second.
pub(crate) async fn output_so_far(
    state: &State,
    device: &DeviceId,
    task_id: TaskId,
) -> Option<Excerpt> {
    let request = DeviceRequest::Excerpt { task_id };
    match state.registry.ask(device, request, ASK_DEVICE).await {
        Ok(DeviceResponse::Excerpt { output }) => Some(output),
        Ok(_) | Err(_) => None,
    }
}

fn fresh_record(task: Task, device: &Device) -> Record {
    Record {
        task,
        device: device.device_id.clone(),
        status: deskhand_protocol::TaskStatus::Pending,
        given_at: None,
        started_at: None,
        completed_at: None,
        result: None,
    }
}

async fn is_known(state: &State, key: &Key, name: Option<&TaskName>) -> Result<bool, Fault> {
    let Some(name) = name else { return Ok(false) };
    Ok(state
        .broker
        .find(key.view.key_id.clone(), name.clone())
        .await?
        .is_some())
}

fn new_task(
    key: &Key,
    source: Source,
    device: &Device,
    request: TaskRequest,
    waits: bool,
    withdraw_at: Option<Timestamp>,
    presence: &Presence,
) -> NewTask {
    let task_id = TaskId::from_uuid(uuid::Uuid::now_v7());
    let digest = digest(device, &request);
    let held = request.start == Some(Start::OnConnect);
    let created_at = now();
    let expiry = request.expiry();
    let durability = match waits && request.action.is_repeatable() {
        true => Durability::Normal,
        false => Durability::Full,
    };
    NewTask {
        task: Task {
            task_id,
            name: request.task_id.unwrap_or_else(|| task_id.into()),
            action: request.action,
            source,
            caller: Caller {
                key_id: Some(key.view.key_id.clone()),
                name: key.view.name.clone(),
            },
            title: request.title,
            priority: request.priority,
            durability,
            request_id: None,
            created_at,
            expires_at: created_at + expiry,
        },
        device: device.device_id.clone(),
        digest,
        given_to: match presence {
            Presence::Online(session) if !held => {
                session.refuses().is_none().then_some(session.store)
            }
            Presence::Online(_) | Presence::Reconnecting { .. } | Presence::Offline => None,
        },
        withdraw_at,
        held,
    }
}

/// Says what was asked for, however long the caller waits for it.
fn digest(device: &Device, request: &TaskRequest) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(device.device_id.as_str());
    hash.update([0]);
    let action = serde_json::to_vec(&request.action).expect("an action has only string keys");
    hash.update(action);
    hash.finalize().into()
}

/// Returns the device a key means: the one it names, or the only one it reaches.
pub(crate) fn choose_device(
    state: &State,
    key: &Key,
    wanted: Option<&str>,
) -> Result<Arc<Device>, Problem> {
    if let Some(wanted) = wanted {
        return state
            .devices
            .find(wanted)
            .filter(|device| key.reaches(&device.device_id))
            .ok_or_else(|| {
                Problem::new(
                    ErrorCode::UnknownDevice,
                    format!("this key reaches no device `{wanted}`"),
                )
            });
    }
    let mut reached = reached_devices(state, key);
    match reached.len() {
        0 => Err(
            Problem::new(ErrorCode::NoDevice, "this key reaches no device")
                .with_hint("enrol one: deskhand devices pair"),
        ),
        1 => Ok(reached.remove(0)),
        _ => {
            let names: Vec<&str> = reached.iter().map(|device| device.name.as_str()).collect();
            let error = format!("this key reaches several devices: {}", names.join(", "));
            Err(Problem::new(ErrorCode::DeviceAmbiguous, error).with_hint("name one as `device`"))
        }
    }
}

/// Lists the devices a key reaches, oldest first.
pub(crate) fn reached_devices(state: &State, key: &Key) -> Vec<Arc<Device>> {
    let mut devices = state.devices.list();
    devices.retain(|device| key.reaches(&device.device_id));
    devices
}

fn away(device: &Device) -> Problem {
    if device.is_to_pause() {
        let error = format!("device `{}` is to be paused", device.name);
        return Problem::new(ErrorCode::DevicePaused, error)
            .with_hint("resume it, or send `\"on_offline\":\"queue\"`");
    }
    let error = format!("device `{}` is offline", device.name);
    Problem::new(ErrorCode::DeviceOffline, error)
        .with_hint("start Deskhand there, or send `\"on_offline\":\"queue\"`")
}
