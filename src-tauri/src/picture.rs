//! What the tray and the notifier need to know of the device, looked at anew when something happened.

use std::time::Duration;

use deskhand_agent::Heard;
use deskhand_host::Local;
use deskhand_protocol::{
    EventKind, TaskId, TaskStatus,
    device_request::{DeviceRequest, DeviceResponse, DeviceStatus, LinkStatus, TaskFilter},
    task::TaskView,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// How many tasks the tray's menu lists.
const N_RECENT: u32 = 5;

/// After an event it is looked this much later, so that a burst is one look.
const SETTLE: Duration = Duration::from_millis(150);

/// How often it is looked when nothing happens: the link tells nobody here of its changes.
const AT_LEAST_EVERY: Duration = Duration::from_secs(2);

/// The device at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) state: State,
    /// More about the state, as a sentence.
    pub(crate) detail: String,
    /// Whether the owner paused it; something more urgent may be shown.
    pub(crate) paused: bool,
    pub(crate) n_running: u32,
    /// Newest first.
    pub(crate) recent: Vec<Recent>,
}

/// What the icon shows; the most urgent one that holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Tasks are taken.
    Connected,
    /// The relay is not reachable.
    #[default]
    Reconnecting,
    /// The owner paused the device.
    Paused,
    /// The agent cannot run a task.
    CannotExecute,
    /// The owner is asked something.
    NeedsYou,
}

/// A task as the menu lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recent {
    pub(crate) task_id: TaskId,
    pub(crate) action: String,
    pub(crate) status: TaskStatus,
    pub(crate) succeeded: Option<bool>,
}

/// Keeps the picture up to date until nobody looks at it any more. An event is looked at soon after.
pub(crate) async fn keep(local: &Local, picture: &watch::Sender<Picture>) {
    let mut events = local.events().await;
    loop {
        let seen = look(local).await;
        picture.send_if_modified(|known| {
            let changed = *known != seen;
            *known = seen;
            changed
        });
        let mut look_at = Instant::now() + AT_LEAST_EVERY;
        loop {
            let heard = async {
                match &mut events {
                    Some(events) => events.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = picture.closed() => return,
                () = sleep_until(look_at) => break,
                heard = heard => match heard {
                    Some(heard) if matters(&heard) => look_at = look_at.min(Instant::now() + SETTLE),
                    Some(_) => {}
                    None => events = None,
                },
            }
        }
        if events.is_none() {
            events = local.events().await;
        }
    }
}

fn matters(heard: &Heard) -> bool {
    match heard {
        Heard::Missed(_) => true,
        Heard::Event(event) => !matches!(
            event.kind,
            EventKind::OutputAppended { .. } | EventKind::ProgressMade { .. }
        ),
    }
}

async fn look(local: &Local) -> Picture {
    let (status, tasks, questions) = tokio::join!(
        local.device(DeviceRequest::Status),
        local.device(DeviceRequest::ListTasks(TaskFilter {
            limit: N_RECENT,
            ..TaskFilter::default()
        })),
        local.device(DeviceRequest::ListApprovals),
    );
    let n_questions = match questions {
        DeviceResponse::Approvals { questions } => questions.len(),
        _ => 0,
    };
    let DeviceResponse::Status(status) = status else {
        return Picture {
            detail: "Deskhand does not run".to_owned(),
            ..Picture::default()
        };
    };
    let recent = match tasks {
        DeviceResponse::Tasks { tasks, .. } => tasks.into_iter().map(Recent::from).collect(),
        _ => Vec::new(),
    };
    let (state, detail) = state(&status, n_questions);
    Picture {
        state,
        detail,
        paused: status.paused,
        n_running: status.n_running,
        recent,
    }
}

fn state(status: &DeviceStatus, n_questions: usize) -> (State, String) {
    if n_questions > 0 {
        let detail = match n_questions {
            1 => "a question waits for you".to_owned(),
            n => format!("{n} questions wait for you"),
        };
        return (State::NeedsYou, detail);
    }
    if status.paused {
        return (State::Paused, "paused: no task is taken".to_owned());
    }
    if !status.can_execute {
        let reason = status.reason.clone().unwrap_or_default();
        return (State::CannotExecute, format!("cannot run tasks: {reason}"));
    }
    match &status.link {
        LinkStatus::Connected { .. } => (State::Connected, "connected".to_owned()),
        LinkStatus::Reconnecting { attempt, .. } => {
            let detail = format!("reconnecting, attempt {}", (*attempt).max(1));
            (State::Reconnecting, detail)
        }
        LinkStatus::Refused { error } => {
            let detail = format!("the relay refuses this computer: {error}");
            (State::Reconnecting, detail)
        }
    }
}

impl From<TaskView> for Recent {
    fn from(task: TaskView) -> Self {
        Self {
            task_id: task.uid,
            action: task.action.to_string(),
            status: task.status,
            // A command may run to its end and fail.
            succeeded: task.returncode.map(|code| code == 0),
        }
    }
}
