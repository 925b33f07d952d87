//! Tasks that are born on this device: of a schedule, of a file, or of its owner's own request. They
//! need no relay, which hears of each one when there is a link.

use std::sync::Arc;

use deskhand_protocol::{
    ErrorCode, Problem, Source, Task, TaskId, TaskName, TaskRequest, Timestamp,
    limits::MAX_UNFINISHED_TASKS,
    task::{Caller, Durability},
};
use deskhand_sqlite::{Error, Sync};
use rusqlite::Connection;
use uuid::Uuid;

use crate::{
    device::Device,
    dispatcher::{Dispatcher, Ticket},
};

/// Makes a task of a request that came to this device itself. `named` is its name where the request has
/// none.
pub(crate) fn task(
    request: TaskRequest,
    source: Source,
    caller: &str,
    named: Option<TaskName>,
    created_at: Timestamp,
) -> Task {
    let task_id = TaskId::from_uuid(Uuid::now_v7());
    let expires_at = created_at + request.expiry();
    Task {
        task_id,
        name: request.task_id.or(named).unwrap_or_else(|| task_id.into()),
        action: request.action,
        source,
        caller: Caller {
            key_id: None,
            name: caller.to_owned(),
        },
        title: request.title,
        priority: request.priority,
        // It is nobody's to ask again.
        durability: Durability::Full,
        created_at,
        expires_at,
    }
}

/// Tells whether a request can become a task here.
pub(crate) fn check(device: &Device, request: &TaskRequest) -> Result<(), Problem> {
    request.check()?;
    let Some(wanted) = &request.device else {
        return Ok(());
    };
    let is_ours = *wanted == device.config.device_name
        || device
            .device_id
            .borrow()
            .as_ref()
            .is_some_and(|id| id.as_str() == wanted);
    match is_ours {
        true => Ok(()),
        false => Err(Problem::new(
            ErrorCode::UnknownDevice,
            format!("the task is for `{wanted}`, and this is another computer"),
        )),
    }
}

/// Tells whether there is room for one more task.
pub(crate) async fn has_room(dispatcher: &Dispatcher) -> bool {
    let counts = dispatcher.counts().await;
    ((counts.n_running + counts.n_waiting) as usize) < MAX_UNFINISHED_TASKS
}

/// Enters a task into the ledger and has it run. `claim` is part of the same commit: when it returns
/// false nothing is entered, and neither is when the ledger knows the task. Returns whether it was.
///
/// Dropping the future undoes nothing.
pub(crate) async fn open(
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    task: Task,
    claim: impl FnOnce(&Connection) -> rusqlite::Result<bool> + Send + 'static,
) -> Result<bool, Error> {
    let (device, dispatcher) = (device.clone(), dispatcher.clone());
    let opened = tokio::spawn(async move {
        let ticket = Ticket::from(&task);
        let entered = device.recorder.record(Sync::Full, move |draft| {
            Ok(claim(draft.conn())? && draft.accepted(&task)?)
        });
        let entered = entered.await?;
        if entered {
            dispatcher.enter(vec![ticket]).await;
        }
        Ok(entered)
    });
    opened.await.unwrap_or(Err(Error::Closed))
}
