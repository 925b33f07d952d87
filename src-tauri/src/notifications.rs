//! What the owner is told and when: tasks that ended, questions, a device that is offline.
//!
//! What it owns: what is gathered before it is told, and which questions wait.
//! What it waits on: the device's events, the picture, and the time.
//! What it never does: fail anything, or wait for a notification server.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use deskhand_agent::Heard;
use deskhand_host::{Config, Local};
use deskhand_protocol::{
    ErrorCode, Event, EventKind, Source, TaskId, Timestamp,
    approval::{Answer, ApprovalDoor, Approver},
    device_request::{DeviceRequest, DeviceResponse},
    schedule::LeftOut,
};
use tauri::AppHandle;
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    bell::{Bell, Press},
    notices::{self, ASKED_APART, About, Ending},
    picture::{Picture, State},
    window,
};

/// Ends of tasks are gathered for this long before they are told.
const GATHER: Duration = Duration::from_millis(800);

/// The next ones are told no earlier than this after the last.
const APART: Duration = Duration::from_secs(4);

/// Ends that are gathered; more are counted with them and nothing else is kept.
const MAX_GATHERED: usize = 1000;

/// What was left out this long before anybody listened is told all the same.
const NEWS: Duration = Duration::from_secs(60);

/// Questions of which it is remembered that they wait; a device asks fewer at once.
const MAX_ASKED: usize = 1000;

/// Schedules of which it is remembered that their missing runs were told; a device has a hundred at most.
const MAX_LEFT_OUT: usize = 1000;

/// Tells the owner for as long as the application runs.
pub(crate) async fn keep(
    app: AppHandle,
    local: Arc<Local>,
    config: Arc<Config>,
    mut picture: watch::Receiver<Picture>,
) {
    let (desk, runtime) = (local.clone(), Handle::current());
    let pressed =
        move |about: &About, press| take_press(&app, &desk, &runtime, about.clone(), press);
    let mut teller = Teller {
        bell: Bell::start(config.desktop_allow_once.value, pressed),
        local: local.clone(),
        offline: Offline::after(config.desktop_offline_after.value),
        config,
        endings: Vec::new(),
        tell_at: None,
        told_at: None,
        asked: HashMap::new(),
        answered: HashSet::new(),
        left_out: HashSet::new(),
    };
    loop {
        let Some(mut events) = local.events().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        teller.look_at_questions().await;
        teller.look_at_schedules().await;
        loop {
            let (tell_at, offline_at) = (teller.tell_at, teller.offline.tell_at);
            tokio::select! {
                heard = events.next() => match heard {
                    Some(Heard::Event(event)) => teller.take(&event),
                    Some(Heard::Missed(_)) => teller.look_at_questions().await,
                    None => break,
                },
                () = at(tell_at) => teller.tell().await,
                () = at(offline_at) => teller.tell_offline(&picture),
                changed = picture.changed() => match changed {
                    Ok(()) => {
                        if teller.offline.look(&picture.borrow_and_update()) {
                            teller.bell.withdraw(About::Device);
                        }
                    }
                    Err(_) => return,
                },
            }
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

struct Teller {
    bell: Bell,
    local: Arc<Local>,
    config: Arc<Config>,
    endings: Vec<Ending>,
    tell_at: Option<Instant>,
    told_at: Option<Instant>,
    /// Questions that wait: the task, and the digest.
    asked: HashMap<TaskId, String>,
    /// Tasks whose question was answered: that they were denied is no news to who denied them.
    answered: HashSet<TaskId>,
    /// Schedules whose runs are left out, which is told once until one runs again.
    left_out: HashSet<String>,
    offline: Offline,
}

impl Teller {
    fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::ApprovalRequested {
                digest,
                command,
                reason,
                ..
            } => self.ask(event.task_id, digest, command, reason),
            EventKind::ApprovalAnswered { .. } => {
                self.settle(event.task_id);
                self.answered.insert(event.task_id);
            }
            EventKind::RunsLeftOut(runs) => self.tell_left_out(&runs.schedule, runs.left_out),
            EventKind::TaskAccepted {
                source: Source::Schedule,
                caller,
                ..
            } => {
                self.left_out.remove(caller);
            }
            kind => {
                if let Some(outcome) = kind.outcome() {
                    self.settle(event.task_id);
                    let denied = self.answered.remove(&event.task_id)
                        && outcome.code == Some(ErrorCode::Denied);
                    let ending = Ending::of(event.task_id, outcome).filter(|_| !denied);
                    self.gather(ending);
                }
            }
        }
    }

    /// Questions are told at once, quiet or not: a task waits for each.
    fn ask(&mut self, task_id: TaskId, digest: &str, command: &str, reason: &str) {
        let is_known = self
            .asked
            .get(&task_id)
            .is_some_and(|asked| asked == digest);
        if is_known || self.asked.len() == MAX_ASKED {
            return;
        }
        self.asked.insert(task_id, digest.to_owned());
        self.bell.show(match self.asked.len() {
            n if n > ASKED_APART => notices::of_questions(n),
            _ => notices::of_question(task_id, digest, command, reason),
        });
    }

    /// Takes back what is said of a question that was answered somewhere, or came to nothing.
    fn settle(&mut self, task_id: TaskId) {
        if let Some(digest) = self.asked.remove(&task_id) {
            self.bell.withdraw(About::Question { task_id, digest });
            if self.asked.is_empty() {
                self.bell.withdraw(About::Questions);
            }
        }
    }

    /// Questions that were asked before anybody listened.
    async fn look_at_questions(&mut self) {
        let listed = self.local.device(DeviceRequest::ListApprovals).await;
        let DeviceResponse::Approvals { questions } = listed else {
            return;
        };
        let waits = |task_id| questions.iter().any(|asked| asked.task_id == task_id);
        let settled: Vec<TaskId> = self
            .asked
            .keys()
            .copied()
            .filter(|id| !waits(*id))
            .collect();
        for task_id in settled {
            self.settle(task_id);
        }
        for asked in &questions {
            self.ask(asked.task_id, &asked.digest, &asked.command, &asked.reason);
        }
    }

    /// What was missed while the device was off is found out as soon as the agent starts, which may be
    /// before anybody here listens.
    async fn look_at_schedules(&mut self) {
        let local = self.local.clone();
        let listed = local.device(DeviceRequest::ListSchedules).await;
        let DeviceResponse::Schedules { schedules } = listed else {
            return;
        };
        let since = Timestamp::now() - NEWS;
        for view in schedules.into_iter().filter(|view| view.n_left_out > 0) {
            let name = view.schedule.name;
            let asked = local.device(DeviceRequest::GetSchedule { name: name.clone() });
            if let DeviceResponse::Schedule { runs, .. } = asked.await
                && let Some(left_out) = notices::left_out_since(&runs, since)
            {
                self.tell_left_out(&name, left_out);
            }
        }
    }

    fn tell_left_out(&mut self, schedule: &str, left_out: LeftOut) {
        let is_news =
            self.left_out.len() < MAX_LEFT_OUT && self.left_out.insert(schedule.to_owned());
        if is_news && !notices::is_quiet(self.config.desktop_quiet_hours.value) {
            self.bell.show(notices::of_left_out(schedule, left_out));
        }
    }

    fn gather(&mut self, ending: Option<Ending>) {
        let told = |ending: &Ending| {
            ending.is_told(self.config.desktop_notify_success.value)
                && !notices::is_quiet(self.config.desktop_quiet_hours.value)
        };
        let Some(ending) = ending.filter(told) else {
            return;
        };
        if self.endings.len() < MAX_GATHERED {
            self.endings.push(ending);
        }
        let soon = Instant::now() + GATHER;
        let apart = self.told_at.map(|told| told + APART);
        self.tell_at
            .get_or_insert(apart.map_or(soon, |apart| apart.max(soon)));
    }

    async fn tell(&mut self) {
        self.tell_at = None;
        self.told_at = Some(Instant::now());
        let endings = std::mem::take(&mut self.endings);
        let mut commands = HashMap::new();
        for ending in endings.iter().take(2) {
            let task_id = ending.task_id;
            let asked = self.local.device(DeviceRequest::GetTask { task_id });
            if let DeviceResponse::Task { task } = asked.await {
                let command = task.action.to_string();
                let told = match task.source {
                    Source::Schedule => format!("{}: {command}", task.caller),
                    _ => command,
                };
                commands.insert(task_id, told);
            }
        }
        for notice in notices::of_endings(&endings, |id| commands.get(&id).cloned()) {
            self.bell.show(notice);
        }
    }

    fn tell_offline(&mut self, picture: &watch::Receiver<Picture>) {
        self.offline.tell_at = None;
        self.offline.told = true;
        if !notices::is_quiet(self.config.desktop_quiet_hours.value) {
            self.bell
                .show(notices::of_offline(&picture.borrow().detail));
        }
    }
}

/// Since when the device is offline, and whether that was told.
struct Offline {
    /// After how long it is told; never, for none.
    after: Option<Duration>,
    tell_at: Option<Instant>,
    told: bool,
}

impl Offline {
    fn after(seconds: u32) -> Self {
        Self {
            after: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
            tell_at: None,
            told: false,
        }
    }

    /// Takes a new picture; returns whether what was told is over.
    fn look(&mut self, picture: &Picture) -> bool {
        if picture.state == State::Reconnecting {
            if let (false, Some(after)) = (self.told, self.after) {
                self.tell_at.get_or_insert_with(|| Instant::now() + after);
            }
            return false;
        }
        self.tell_at = None;
        std::mem::take(&mut self.told)
    }
}

/// Does what a press on a notification asks for.
fn take_press(app: &AppHandle, local: &Arc<Local>, runtime: &Handle, about: About, press: Press) {
    let answer = match press {
        Press::Open => return open(app, about),
        Press::Deny => Answer::No,
        Press::AllowOnce => Answer::Once,
    };
    let About::Question { task_id, digest } = about.clone() else {
        return;
    };
    let request = DeviceRequest::AnswerApproval {
        task_id,
        digest: Some(digest),
        answer,
        by: Approver {
            name: "owner".to_owned(),
            door: ApprovalDoor::Notification,
            key_id: None,
        },
    };
    let (app, local) = (app.clone(), local.clone());
    runtime.spawn(async move {
        if let DeviceResponse::Problem { problem } = local.device(request).await {
            tracing::info!(%problem, "a notification's answer came too late");
            open(&app, about);
        }
    });
}

fn open(app: &AppHandle, about: About) {
    let shown = app.clone();
    // Windows are made on the main thread.
    let opened = app.run_on_main_thread(move || match about {
        About::Task(task_id) | About::Question { task_id, .. } => {
            window::show(&shown, Some(task_id));
        }
        About::Tasks | About::Questions => window::show_at(&shown, "tasks"),
        About::Schedules => window::show_at(&shown, "schedules"),
        About::Device => window::show_at(&shown, "devices"),
    });
    if let Err(error) = opened {
        tracing::warn!(%error, "cannot open the window");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: State) -> Picture {
        Picture {
            state,
            ..Picture::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_stays_offline_is_told_of_once() {
        let mut offline = Offline::after(60);
        let began = Instant::now();
        assert!(!offline.look(&seen(State::Reconnecting)));
        tokio::time::advance(Duration::from_secs(40)).await;
        offline.look(&seen(State::Reconnecting));
        assert_eq!(offline.tell_at, Some(began + Duration::from_secs(60)));
        offline.told = true;
        offline.tell_at = None;
        offline.look(&seen(State::Reconnecting));
        assert_eq!(offline.tell_at, None);
        assert!(offline.look(&seen(State::Connected)));
        assert!(!offline.look(&seen(State::Connected)));

        let mut never = Offline::after(0);
        never.look(&seen(State::Reconnecting));
        assert_eq!(never.tell_at, None);
    }
}
