//! Tells the owner by desktop notifications: tasks that ended, questions, a device that is offline.
//!
//! What it owns: what is gathered before it is told, and the notifications that wait for a click.
//! What it waits on: the device's events, the picture, and clicks, each on a thread of its own.
//! What it never does: fail anything. No notification server is a normal state.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
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
use notify_rust::{Hint, Notification, Timeout};
use tauri::AppHandle;
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    notices::{self, About, Ending, Notice},
    picture::{Picture, State},
    window,
};

/// Ends of tasks are gathered for this long before they are told.
const GATHER: Duration = Duration::from_millis(800);

/// The next ones are told no earlier than this after the last.
const APART: Duration = Duration::from_secs(4);

/// A device that has been offline for this long is told of.
const OFFLINE_AFTER: Duration = Duration::from_secs(60);

/// Notifications that wait for a click at the same time. One more is shown and waits for none.
const MAX_WAITING: usize = 16;

/// Ends that are gathered; more are counted with them and nothing else is kept.
const MAX_GATHERED: usize = 1000;

/// What was left out this long before anybody listened is told all the same.
const NEWS: Duration = Duration::from_secs(60);

/// Schedules of which it is remembered that their missing runs were told; a device has a hundred at most.
const MAX_LEFT_OUT: usize = 1000;

/// Tells the owner for as long as the application runs.
pub(crate) async fn keep(
    app: AppHandle,
    local: Arc<Local>,
    config: Arc<Config>,
    mut picture: watch::Receiver<Picture>,
) {
    let mut teller = Teller {
        bell: Bell {
            app,
            local: local.clone(),
            n_waiting: Arc::default(),
            allow_once: config.desktop_allow_once.value,
        },
        config,
        endings: Vec::new(),
        tell_at: None,
        told_at: None,
        answered: HashSet::new(),
        left_out: HashSet::new(),
        offline: Offline::default(),
    };
    loop {
        let Some(mut events) = local.events().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        teller.look_at_schedules().await;
        loop {
            let (tell_at, offline_at) = (teller.tell_at, teller.offline.tell_at);
            tokio::select! {
                heard = events.next() => match heard {
                    Some(Heard::Event(event)) => teller.take(&event),
                    Some(Heard::Missed(_)) => {}
                    None => break,
                },
                () = at(tell_at) => teller.tell().await,
                () = at(offline_at) => teller.tell_offline(&picture),
                changed = picture.changed() => match changed {
                    Ok(()) => teller.offline.look(&picture.borrow_and_update()),
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
    config: Arc<Config>,
    endings: Vec<Ending>,
    tell_at: Option<Instant>,
    told_at: Option<Instant>,
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
            } => {
                let notice = notices::of_question(event.task_id, digest, command, reason);
                self.bell.ring(notice);
            }
            EventKind::ApprovalAnswered { .. } => {
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
                    let denied = self.answered.remove(&event.task_id)
                        && outcome.code == Some(ErrorCode::Denied);
                    let ending = Ending::of(event.task_id, outcome).filter(|_| !denied);
                    self.gather(ending);
                }
            }
        }
    }

    /// What was missed while the device was off is found out as soon as the agent starts, which may be
    /// before anybody here listens.
    async fn look_at_schedules(&mut self) {
        let local = self.bell.local.clone();
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
            self.bell.ring(notices::of_left_out(schedule, left_out));
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
            let asked = self.bell.local.device(DeviceRequest::GetTask { task_id });
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
            self.bell.ring(notice);
        }
    }

    fn tell_offline(&mut self, picture: &watch::Receiver<Picture>) {
        self.offline.tell_at = None;
        self.offline.told = true;
        if !notices::is_quiet(self.config.desktop_quiet_hours.value) {
            self.bell
                .ring(notices::of_offline(&picture.borrow().detail));
        }
    }
}

/// Since when the device is offline, and whether that was told.
#[derive(Default)]
struct Offline {
    tell_at: Option<Instant>,
    told: bool,
}

impl Offline {
    fn look(&mut self, picture: &Picture) {
        match picture.state {
            State::Reconnecting if !self.told => {
                self.tell_at.get_or_insert(Instant::now() + OFFLINE_AFTER);
            }
            State::Reconnecting => {}
            _ => *self = Self::default(),
        }
    }
}

/// Shows notifications and waits for their clicks.
#[derive(Clone)]
struct Bell {
    app: AppHandle,
    local: Arc<Local>,
    n_waiting: Arc<AtomicUsize>,
    allow_once: bool,
}

const OPEN: &str = "default";
const DENY: &str = "deny";
const ALLOW: &str = "allow";

impl Bell {
    /// Shows a notification on a thread of its own: the server may take its time, and a click may come
    /// hours later.
    fn ring(&self, notice: Notice) {
        let bell = self.clone();
        let runtime = Handle::current();
        let ringing = move || bell.show_and_wait(&notice, &runtime);
        let spawned = std::thread::Builder::new()
            .name("notification".to_owned())
            .spawn(ringing);
        if let Err(error) = spawned {
            tracing::warn!(%error, "cannot show a notification");
        }
    }

    fn show_and_wait(&self, notice: &Notice, runtime: &Handle) {
        let is_question = matches!(notice.about, About::Question { .. });
        let mut notification = Notification::new();
        notification
            .appname("Deskhand")
            .icon("deskhand")
            .hint(Hint::DesktopEntry("deskhand".to_owned()))
            .summary(&notice.summary)
            .body(&notices::escaped(&notice.body))
            .action(OPEN, if is_question { "Review" } else { "Open" });
        if is_question {
            notification.action(DENY, "Deny");
            if self.allow_once {
                notification.action(ALLOW, "Allow once");
            }
            notification.hint(Hint::Category("im".to_owned()));
            notification.timeout(Timeout::Never);
        }
        let shown = match notification.show() {
            Ok(shown) => shown,
            Err(error) => {
                tracing::info!(%error, "no notification server shows this");
                return;
            }
        };
        let place = self
            .n_waiting
            .try_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < MAX_WAITING).then_some(n + 1)
            });
        if place.is_err() {
            return;
        }
        shown.wait_for_action(|action| self.clicked(notice, action, runtime));
        self.n_waiting.fetch_sub(1, Ordering::AcqRel);
    }

    fn clicked(&self, notice: &Notice, action: &str, runtime: &Handle) {
        let answer = match action {
            DENY => Answer::No,
            ALLOW if self.allow_once => Answer::Once,
            OPEN => return self.open(&notice.about),
            // It was closed, or ran out.
            _ => return,
        };
        let About::Question { task_id, digest } = &notice.about else {
            return;
        };
        let request = DeviceRequest::AnswerApproval {
            task_id: *task_id,
            digest: Some(digest.clone()),
            answer,
            by: Approver {
                name: "owner".to_owned(),
                door: ApprovalDoor::Notification,
                key_id: None,
            },
        };
        if let DeviceResponse::Problem { problem } = runtime.block_on(self.local.device(request)) {
            tracing::info!(%problem, "a notification's answer came too late");
            self.open(&notice.about);
        }
    }

    fn open(&self, about: &About) {
        let (app, about) = (self.app.clone(), about.clone());
        // Windows are made on the main thread.
        let opened = self.app.run_on_main_thread(move || match about {
            About::Task(task_id) | About::Question { task_id, .. } => {
                window::show(&app, Some(task_id));
            }
            About::Tasks => window::show_at(&app, "tasks"),
            About::Schedules => window::show_at(&app, "schedules"),
            About::Device => window::show_at(&app, "devices"),
        });
        if let Err(error) = opened {
            tracing::warn!(%error, "cannot open the window");
        }
    }
}
