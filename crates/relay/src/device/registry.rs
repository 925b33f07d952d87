//! Who is connected. For one device there is at most one active session: a later one fences it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use deskhand_protocol::{
    DeviceId, Epoch, ErrorCode, Problem, StoreId, Task, TaskId,
    device_request::{DeviceRequest, DeviceResponse},
    limits::RECONNECT_WINDOW,
    relay_request,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

/// Messages that wait for a session. Tasks that do not fit stay in the mailbox, which the session
/// reads again.
const QUEUE: usize = 128;

/// A session as the rest of the relay sees it.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) epoch: Epoch,
    pub(crate) store: StoreId,
    messages: mpsc::Sender<ToSession>,
    health: Mutex<Health>,
    /// Round trip of the last beat in milliseconds, plus one; 0 before the first.
    latency: AtomicU64,
    /// A message did not fit; the session has to look into the broker.
    is_behind: AtomicBool,
}

/// How a device says it is.
#[derive(Debug, Default, Clone)]
pub(crate) struct Health {
    pub(crate) can_execute: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// The owner paused it.
    pub(crate) paused: bool,
}

/// What the rest of the relay tells a session.
#[derive(Debug)]
pub(crate) enum ToSession {
    /// A task that was stored for this session's store.
    Deliver(Box<Task>),
    /// There may be tasks in the mailbox.
    ReadMailbox,
    /// End a task.
    Cancel(TaskId),
    /// How many may answer its questions from afar has changed.
    Attendance,
    /// Ask the device something.
    Ask(Box<DeviceRequest>, oneshot::Sender<DeviceResponse>),
    /// A later session took over.
    Fence,
    /// The relay is going away.
    Restarting,
}

/// Whether a device can be reached.
#[derive(Debug)]
pub(crate) enum Presence {
    /// It has a link.
    Online(Arc<SessionHandle>),
    /// It lost its link less than 15 s ago.
    Reconnecting {
        /// When it lost it.
        since: Instant,
    },
    /// It has none.
    Offline,
}

/// All sessions of a relay.
#[derive(Debug, Default, Clone)]
pub(crate) struct Registry(Arc<Mutex<Sessions>>);

#[derive(Debug, Default)]
struct Sessions {
    active: HashMap<DeviceId, Arc<SessionHandle>>,
    lost_at: HashMap<DeviceId, Instant>,
    /// How many may answer a device's questions from afar; never 0.
    approvers: HashMap<DeviceId, u32>,
}

/// Somebody who may answer a device's questions watches it, until this is dropped.
#[derive(Debug)]
pub(crate) struct Attending {
    registry: Registry,
    device: DeviceId,
}

impl Drop for Attending {
    fn drop(&mut self) {
        let mut sessions = self.registry.lock();
        if let Some(n) = sessions.approvers.get_mut(&self.device) {
            *n -= 1;
            if *n == 0 {
                sessions.approvers.remove(&self.device);
            }
        }
        sessions.tell_attendance(&self.device);
    }
}

impl Sessions {
    fn tell_attendance(&self, device: &DeviceId) {
        if let Some(session) = self.active.get(device) {
            session.tell(ToSession::Attendance);
        }
    }
}

impl Registry {
    /// Notes that a device was connected when the relay last ran, and is expected back.
    pub(crate) fn expect_back(&self, device: DeviceId) {
        self.lock().lost_at.insert(device, Instant::now());
    }

    /// Makes a session the active one of its device and fences the one before it.
    pub(crate) fn activate(
        &self,
        device: &DeviceId,
        epoch: Epoch,
        store: StoreId,
        health: Health,
    ) -> (Arc<SessionHandle>, mpsc::Receiver<ToSession>) {
        let (messages, queue) = mpsc::channel(QUEUE);
        let handle = Arc::new(SessionHandle {
            epoch,
            store,
            messages,
            health: Mutex::new(health),
            latency: AtomicU64::new(0),
            is_behind: AtomicBool::new(false),
        });
        let mut sessions = self.lock();
        sessions.lost_at.remove(device);
        match sessions.active.get(device) {
            // Two handshakes ran side by side and the later one is here already.
            Some(other) if other.epoch > epoch => drop(handle.messages.try_send(ToSession::Fence)),
            _ => {
                if let Some(earlier) = sessions.active.insert(device.clone(), handle.clone()) {
                    // A full queue needs no fence: the broker refuses the earlier epoch anyway.
                    let _ = earlier.messages.try_send(ToSession::Fence);
                }
            }
        }
        (handle, queue)
    }

    /// Notes that a session ended, unless a later one is active.
    pub(crate) fn deactivate(&self, device: &DeviceId, epoch: Epoch) {
        let mut sessions = self.lock();
        if sessions
            .active
            .get(device)
            .is_some_and(|active| active.epoch == epoch)
        {
            sessions.active.remove(device);
            sessions.lost_at.insert(device.clone(), Instant::now());
        }
    }

    /// Ends the session of a device that was removed.
    pub(crate) fn forget(&self, device: &DeviceId) {
        let mut sessions = self.lock();
        sessions.lost_at.remove(device);
        if let Some(active) = sessions.active.remove(device) {
            let _ = active.messages.try_send(ToSession::Fence);
        }
    }

    /// Counts somebody who may answer a device's questions, as long as the returned value lives. The
    /// device is told.
    #[allow(
        dead_code,
        reason = "a timeline's subscribers and the viewer's sessions count by it"
    )]
    pub(crate) fn attend(&self, device: &DeviceId) -> Attending {
        let mut sessions = self.lock();
        *sessions.approvers.entry(device.clone()).or_insert(0) += 1;
        sessions.tell_attendance(device);
        Attending {
            registry: self.clone(),
            device: device.clone(),
        }
    }

    /// Counts who may answer a device's questions from afar.
    pub(crate) fn n_approvers(&self, device: &DeviceId) -> u32 {
        self.lock().approvers.get(device).copied().unwrap_or(0)
    }

    /// Tells whether a device can be reached.
    pub(crate) fn presence(&self, device: &DeviceId) -> Presence {
        let sessions = self.lock();
        if let Some(active) = sessions.active.get(device) {
            return Presence::Online(active.clone());
        }
        match sessions.lost_at.get(device) {
            Some(since) if since.elapsed() < RECONNECT_WINDOW => {
                Presence::Reconnecting { since: *since }
            }
            _ => Presence::Offline,
        }
    }

    /// Tells how a device is, as its owner sees it.
    pub(crate) fn view(
        &self,
        device: &DeviceId,
    ) -> (relay_request::Presence, Option<String>, Option<u64>) {
        match self.presence(device) {
            Presence::Online(session) => {
                let health = session.health();
                let presence = match (health.paused, health.can_execute) {
                    (true, _) => relay_request::Presence::Paused,
                    (false, true) => relay_request::Presence::Online,
                    (false, false) => relay_request::Presence::CannotExecute,
                };
                (presence, health.reason, session.latency_ms())
            }
            Presence::Reconnecting { .. } => (relay_request::Presence::Reconnecting, None, None),
            Presence::Offline => (relay_request::Presence::Offline, None, None),
        }
    }

    /// Tells whether a device is there and says that it is paused.
    pub(crate) fn is_paused(&self, device: &DeviceId) -> bool {
        match self.presence(device) {
            Presence::Online(session) => session.health().paused,
            Presence::Reconnecting { .. } | Presence::Offline => false,
        }
    }

    /// Tells whether a device has a link.
    pub(crate) fn is_connected(&self, device: &DeviceId) -> bool {
        self.lock().active.contains_key(device)
    }

    /// Counts the devices with a link.
    pub(crate) fn n_connected(&self) -> u32 {
        u32::try_from(self.lock().active.len()).unwrap_or(u32::MAX)
    }

    /// Hands a stored task to the active session, if there is one. The task is in the mailbox: what
    /// is not handed over here is read from there.
    pub(crate) fn hand_over(&self, device: &DeviceId, task: &Task, given_to: Option<StoreId>) {
        let Presence::Online(session) = self.presence(device) else {
            return;
        };
        if session.refuses().is_some() {
            // It stays in the mailbox, which is read when the device takes tasks again.
            return;
        }
        let message = match given_to == Some(session.store) {
            true => ToSession::Deliver(Box::new(task.clone())),
            // Stored before this session began; the mailbox decides whether its store may have it.
            false => ToSession::ReadMailbox,
        };
        session.tell(message);
    }

    /// Makes the active session look into the mailbox.
    pub(crate) fn look_into_mailbox(&self, device: &DeviceId) {
        if let Presence::Online(session) = self.presence(device) {
            session.tell(ToSession::ReadMailbox);
        }
    }

    /// Asks a device to end a task, if it is connected; else it is asked when it comes.
    pub(crate) fn cancel(&self, device: &DeviceId, task: TaskId) {
        if let Presence::Online(session) = self.presence(device) {
            session.tell(ToSession::Cancel(task));
        }
    }

    /// Asks a device something and waits for the answer, at most as long as given.
    pub(crate) async fn ask(
        &self,
        device: &DeviceId,
        request: DeviceRequest,
        wait: Duration,
    ) -> Result<DeviceResponse, Problem> {
        let Presence::Online(session) = self.presence(device) else {
            return Err(Problem::new(
                ErrorCode::DeviceOffline,
                "the device is offline",
            ));
        };
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let message = ToSession::Ask(Box::new(request), answer);
            session.messages.send(message).await.ok()?;
            answered.await.ok()
        };
        match timeout(wait, asked).await {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(Problem::new(
                ErrorCode::DeviceOffline,
                "the device went offline",
            )),
            Err(_) => Err(Problem::new(
                ErrorCode::DeviceOffline,
                "the device did not answer in time",
            )),
        }
    }

    /// Tells every device that the relay is going away.
    pub(crate) fn say_restarting(&self) {
        for session in self.lock().active.values() {
            let _ = session.messages.try_send(ToSession::Restarting);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionHandle {
    /// Tells the session something that the broker knows too: when the queue is full, the session
    /// looks there.
    fn tell(&self, message: ToSession) {
        if self.messages.try_send(message).is_err() {
            self.is_behind.store(true, Ordering::Relaxed);
        }
    }

    /// Tells whether a message did not fit since this was asked last.
    pub(super) fn take_behind(&self) -> bool {
        self.is_behind.swap(false, Ordering::Relaxed)
    }

    /// Notes what the device says of itself and returns whether it took tasks before. One that takes
    /// tasks again gets what waited.
    pub(crate) fn set_health(&self, health: Health) -> bool {
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *known, health);
        self.is_behind.store(true, Ordering::Relaxed);
        before.can_execute && !before.paused
    }

    /// Tells why the device takes no tasks now, if it does not; the reader knows which device.
    pub(crate) fn refuses(&self) -> Option<Problem> {
        let health = self.health();
        if health.paused {
            let problem = Problem::new(ErrorCode::DevicePaused, "the owner paused it");
            return Some(
                problem.with_hint("send `\"on_offline\":\"queue\"` to have the task wait"),
            );
        }
        if health.can_execute {
            return None;
        }
        let reason = health
            .reason
            .unwrap_or_else(|| "it says no more".to_owned());
        let error = format!("it is connected and cannot execute: {reason}");
        Some(
            Problem::new(ErrorCode::DeviceOffline, error)
                .with_hint("`deskhand doctor` there tells more"),
        )
    }

    /// Notes the round trip of a beat.
    pub(crate) fn set_latency(&self, round_trip: Duration) {
        let ms = u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX - 1);
        self.latency.store(ms + 1, Ordering::Relaxed);
    }

    fn latency_ms(&self) -> Option<u64> {
        self.latency.load(Ordering::Relaxed).checked_sub(1)
    }

    fn health(&self) -> Health {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
