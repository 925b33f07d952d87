//! One life of a link: takes the device's mailbox to the device and its reports to the broker.
//!
//! The loop waits on four things, in this order: what the relay tells it, commits of earlier reports,
//! the socket, and its clock. It never waits for a commit: reports are queued in order and answered
//! when they are on disk; at sixty-four of them it stops reading until some are.

use std::{
    collections::{HashMap, VecDeque},
    ops::ControlFlow,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use deskhand_protocol::{
    RequestId, Task, TaskId,
    device_request::{DeviceRequest, DeviceResponse},
    limits::{CLOSE_FENCED, HEARTBEAT, RESEND_AFTER},
    link::{DeviceToRelay, RelayToDevice},
    task::Durability,
};
use deskhand_sqlite::Sync;
use futures_util::{FutureExt, SinkExt, StreamExt, stream::FuturesOrdered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::registry::{Health, SessionHandle, ToSession};
use crate::{
    State,
    broker::{Applied, Record, Report, SessionKey, sync_of},
    error::Fault,
    waiters::Ended,
};

/// Commits under way before the session stops reading.
const COMMITS: usize = 64;

/// Frames that are put into one commit.
const FRAMES: usize = 64;

/// Questions to the device under way.
const QUESTIONS: usize = 64;

/// How long a write to the socket may take: a device that does not read that long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// How often the session looks for what has to be sent again.
const TICK: Duration = Duration::from_secs(1);

/// How long a cancelled task may take to end gently, in seconds.
const CANCEL_GRACE_SECONDS: u32 = 5;

type Commit = Pin<Box<dyn Future<Output = Result<Applied, Fault>> + Send>>;

/// What the loop goes on with; the end of a session is a reason.
type Flow = ControlFlow<&'static str>;

pub(super) struct Session {
    state: State,
    key: SessionKey,
    handle: Arc<SessionHandle>,
    queue: mpsc::Receiver<ToSession>,
    commits: FuturesOrdered<Commit>,
    /// Tasks that were sent and are not accepted.
    sent: HashMap<TaskId, Instant>,
    /// How durable the open tasks of this session are.
    durability: HashMap<TaskId, Durability>,
    questions: HashMap<RequestId, oneshot::Sender<DeviceResponse>>,
    next_question: RequestId,
    outgoing: VecDeque<RelayToDevice>,
    pinged_at: Option<Instant>,
    n_missed_pongs: u32,
    mailbox_read_at: Instant,
}

impl Session {
    pub(super) fn new(
        state: State,
        key: SessionKey,
        handle: Arc<SessionHandle>,
        queue: mpsc::Receiver<ToSession>,
    ) -> Self {
        Self {
            state,
            key,
            handle,
            queue,
            commits: FuturesOrdered::new(),
            sent: HashMap::new(),
            durability: HashMap::new(),
            questions: HashMap::new(),
            next_question: RequestId(1),
            outgoing: VecDeque::new(),
            pinged_at: None,
            n_missed_pongs: 0,
            mailbox_read_at: Instant::now(),
        }
    }

    /// Runs until the link ends.
    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let reason = match self.run_inner(&mut socket).await {
            Ok(reason) => reason,
            Err(error) => {
                tracing::error!(device = %self.key.device, %error, "session failed");
                "internal failure"
            }
        };
        self.state
            .registry
            .deactivate(&self.key.device, self.key.epoch);
        if !self.state.is_leaving.load(Ordering::Relaxed) {
            self.state
                .devices
                .end_session(&self.key.device, self.key.epoch);
            if !self.state.registry.is_connected(&self.key.device) {
                self.note_presence(Some(format!("its link ended: {reason}")));
            }
        }
        tracing::info!(device = %self.key.device, epoch = %self.key.epoch, reason, "device disconnected");
        // What is queued is committed all the same; its waiters want to hear of it.
        while let Some(commit) = self.commits.next().await {
            if let Ok(applied) = commit {
                self.tell_waiters(applied.ended);
            }
        }
    }

    async fn run_inner(&mut self, socket: &mut WebSocket) -> Result<&'static str, Fault> {
        if self.handle.refuses().is_none() {
            self.note_presence(None);
        }
        self.pause_as_wished();
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Box::pin(self.read_mailbox()).await?;
        loop {
            if self.handle.take_behind() {
                self.tell_attendance();
                Box::pin(self.read_mailbox()).await?;
            }
            // Boxed, like all that is rare: an idle session holds room for its largest future.
            if !self.outgoing.is_empty()
                && let Err(reason) = Box::pin(self.write(socket)).await
            {
                return Ok(reason);
            }
            let flow = tokio::select! {
                // The order is the priority: a fence comes before everything else.
                biased;
                message = self.queue.recv() => match message {
                    Some(message) => Box::pin(self.on_message(message, socket)).await?,
                    None => ControlFlow::Break("the registry dropped it"),
                },
                Some(applied) = self.commits.next() => Box::pin(self.on_commit(applied?, socket)).await,
                frame = socket.next(), if self.commits.len() < COMMITS => self.on_frames(frame, socket),
                _ = beat.tick() => self.on_beat(),
                _ = tick.tick(), if self.has_open_ends() => Box::pin(self.on_tick()).await?,
            };
            if let ControlFlow::Break(reason) = flow {
                return Ok(reason);
            }
        }
    }

    /// Has the device do what was wished of it while it was away. Nobody waits for it; until it is done the
    /// mailbox of one that is to pause stays closed.
    fn pause_as_wished(&self) {
        let (state, device) = (self.state.clone(), self.key.device.clone());
        let known = state.devices.get(&device);
        if known.is_none_or(|known| known.pause_wish.is_none()) {
            return;
        }
        tokio::spawn(async move {
            if let Err(problem) = state.pause_as_wished(&device).await {
                tracing::warn!(%device, %problem, "a device was not paused or resumed as wished");
            }
        });
    }

    /// Tells the timeline that the device came, or why it went. Nobody waits for it.
    fn note_presence(&self, away: Option<String>) {
        let noted = self
            .state
            .broker
            .note_presence(self.key.device.clone(), away);
        let device = self.key.device.clone();
        tokio::spawn(async move {
            if let Err(error) = noted.await {
                tracing::error!(%device, %error, "cannot note that a device came or went");
            }
        });
    }

    async fn on_message(
        &mut self,
        message: ToSession,
        socket: &mut WebSocket,
    ) -> Result<Flow, Fault> {
        match message {
            ToSession::Deliver(task) => self.deliver(*task),
            ToSession::ReadMailbox => self.read_mailbox().await?,
            ToSession::Cancel(task_id) => self.cancel(task_id),
            ToSession::Attendance => self.tell_attendance(),
            ToSession::Ask(request, answer) => self.ask(*request, answer),
            ToSession::Fence => {
                close(
                    socket,
                    CLOSE_FENCED,
                    "a later session of this device took over",
                )
                .await;
                return Ok(ControlFlow::Break("fenced"));
            }
            ToSession::Restarting => {
                // Spread out, so that many devices do not dial in the same moment.
                let reconnect_in_ms = 250 + self.key.epoch.0 % 8 * 50;
                self.outgoing.push_back(RelayToDevice::Restarting {
                    reconnect_in_ms,
                    try_for_ms: 60_000,
                });
                if self.write(socket).await.is_ok() {
                    // 1012: service restart (IANA WebSocket close code registry).
                    close(socket, 1012, "the relay is restarting").await;
                }
                return Ok(ControlFlow::Break("the relay is restarting"));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes the frame that arrived and all that are there already, and queues one commit for them.
    fn on_frames(
        &mut self,
        first: Option<Result<Message, axum::Error>>,
        socket: &mut WebSocket,
    ) -> Flow {
        let mut reports = Vec::new();
        let mut next = Some(first);
        let mut flow = ControlFlow::Continue(());
        while let Some(frame) = next {
            flow = self.on_frame(frame, &mut reports);
            if flow.is_break() || reports.len() >= FRAMES {
                break;
            }
            next = socket.next().now_or_never();
        }
        if !reports.is_empty() {
            let sync = self.sync_for(&reports);
            let commit = self.state.broker.apply(self.key.clone(), sync, reports);
            self.commits.push_back(Box::pin(commit));
        }
        flow
    }

    fn on_frame(
        &mut self,
        frame: Option<Result<Message, axum::Error>>,
        reports: &mut Vec<Report>,
    ) -> Flow {
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return ControlFlow::Continue(()),
            Some(Ok(Message::Binary(_))) => return ControlFlow::Break("sent a binary frame"),
            Some(Ok(Message::Close(_))) | None => {
                return ControlFlow::Break("closed by the device");
            }
            Some(Err(_)) => return ControlFlow::Break("the connection broke"),
        };
        let message = match serde_json::from_str(&text) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(device = %self.key.device, %error, "device sent a frame we cannot read");
                return ControlFlow::Break("sent a frame we cannot read");
            }
        };
        match message {
            DeviceToRelay::Accepted { task_id } => {
                self.sent.remove(&task_id);
                reports.push(Report::Accepted(task_id));
            }
            DeviceToRelay::Event { event } => reports.push(Report::Event(Box::new(event))),
            DeviceToRelay::Result {
                task_id,
                attempt: _,
                result,
            } => {
                reports.push(Report::Result(task_id, Box::new(result)));
            }
            DeviceToRelay::Opened { task } => reports.push(Report::Opened(Box::new(task))),
            DeviceToRelay::Response {
                request_id,
                response,
            } => {
                if let Some(answer) = self.questions.remove(&request_id) {
                    // Who asked may have stopped waiting.
                    let _ = answer.send(response);
                }
            }
            DeviceToRelay::Health {
                can_execute,
                reason,
                paused,
            } => {
                let takes = can_execute && !paused;
                let away = match (&reason, paused) {
                    (_, true) => "its owner paused it".to_owned(),
                    (Some(reason), false) => reason.clone(),
                    (None, false) => "it cannot execute".to_owned(),
                };
                let health = Health {
                    can_execute,
                    reason,
                    paused,
                };
                if self.handle.set_health(health) != takes {
                    self.note_presence((!takes).then_some(away));
                }
            }
            DeviceToRelay::Pong => {
                self.n_missed_pongs = 0;
                if let Some(at) = self.pinged_at.take() {
                    self.handle.set_latency(at.elapsed());
                    self.state.metrics.beat(at.elapsed());
                }
            }
            DeviceToRelay::Hello(_) => return ControlFlow::Break("said hello twice"),
        }
        ControlFlow::Continue(())
    }

    /// Says what the commit of some reports waits for: the disk, when one of them ends a task that
    /// cannot simply be asked again. The WAL is sequential, so that it covers the reports before it.
    fn sync_for(&self, reports: &[Report]) -> Sync {
        let ends = reports.iter().filter_map(|report| match report {
            Report::Result(task, _) => Some(*task),
            Report::Opened(task) => Some(task.task_id),
            Report::Accepted(_) | Report::Event(_) => None,
        });
        let durability = ends.map(|task| {
            self.durability
                .get(&task)
                .copied()
                .unwrap_or(Durability::Full)
        });
        durability.max().map_or(Sync::Normal, sync_of)
    }

    async fn on_commit(&mut self, applied: Applied, socket: &mut WebSocket) -> Flow {
        if applied.fenced {
            close(
                socket,
                CLOSE_FENCED,
                "a later session of this device took over",
            )
            .await;
            return ControlFlow::Break("fenced");
        }
        if applied.n_refused > 0 {
            let n = applied.n_refused;
            tracing::warn!(device = %self.key.device, n, "device spoke about tasks it does not hold");
        }
        if let Some(through) = applied.stored_through {
            self.outgoing.push_back(RelayToDevice::Stored { through });
        }
        self.tell_waiters(applied.ended);
        ControlFlow::Continue(())
    }

    fn tell_waiters(&mut self, ended: Vec<Record>) {
        for record in ended {
            let task = record.task.task_id;
            self.state.metrics.task_ended(&record);
            let request = record.task.request_id.as_deref();
            tracing::info!(%task, request, status = %record.status, "task ended");
            self.durability.remove(&task);
            self.sent.remove(&task);
            self.state
                .waiters
                .resolve(task, &Ended::Finished(Arc::new(record)));
        }
    }

    fn on_beat(&mut self) -> Flow {
        if self.pinged_at.is_some() {
            self.n_missed_pongs += 1;
            if self.n_missed_pongs == 2 {
                return ControlFlow::Break("missed two beats");
            }
        }
        self.pinged_at = Some(Instant::now());
        self.outgoing.push_back(RelayToDevice::Ping);
        ControlFlow::Continue(())
    }

    /// An idle session has nothing to look after but its beat.
    fn has_open_ends(&self) -> bool {
        !self.sent.is_empty() || !self.questions.is_empty()
    }

    async fn on_tick(&mut self) -> Result<Flow, Fault> {
        self.questions.retain(|_, answer| !answer.is_closed());
        if self.mailbox_read_at.elapsed() >= RESEND_AFTER {
            self.read_mailbox().await?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Sends what waits in the mailbox and was not sent lately, and asks again for what is to end.
    async fn read_mailbox(&mut self) -> Result<(), Fault> {
        self.mailbox_read_at = Instant::now();
        let (device, store) = (self.key.device.clone(), self.key.store);
        let known = self.state.devices.get(&device);
        let may_have = known.is_some_and(|device| !device.is_to_pause());
        if may_have && self.handle.refuses().is_none() {
            let waiting = self.state.broker.take_mailbox(device.clone(), store);
            for record in waiting.await? {
                self.deliver(record.task);
            }
        }
        for task in self.state.broker.cancels(device, store).await? {
            self.cancel(task);
        }
        Ok(())
    }

    fn deliver(&mut self, task: Task) {
        let lately = |at: &Instant| at.elapsed() < RESEND_AFTER;
        if self.sent.get(&task.task_id).is_some_and(lately) {
            return;
        }
        self.sent.insert(task.task_id, Instant::now());
        self.durability.insert(task.task_id, task.durability);
        let key = task.caller.key_id.as_ref();
        let limits = key.map(|key| self.state.keys.limits_of(key));
        self.outgoing.push_back(RelayToDevice::Task {
            task,
            limits: limits.unwrap_or_default(),
        });
    }

    fn tell_attendance(&mut self) {
        let n_approvers = self.state.registry.n_approvers(&self.key.device);
        self.outgoing
            .push_back(RelayToDevice::Attendance { n_approvers });
    }

    fn cancel(&mut self, task_id: TaskId) {
        self.outgoing.push_back(RelayToDevice::Cancel {
            task_id,
            grace_seconds: CANCEL_GRACE_SECONDS,
        });
    }

    fn ask(&mut self, request: DeviceRequest, answer: oneshot::Sender<DeviceResponse>) {
        if self.questions.len() >= QUESTIONS {
            // Dropping the answer tells who asked.
            return;
        }
        let request_id = self.next_question;
        self.next_question = request_id.next();
        self.questions.insert(request_id, answer);
        self.outgoing.push_back(RelayToDevice::Request {
            request_id,
            request,
        });
    }

    /// Writes what is waiting, with one flush.
    async fn write(&mut self, socket: &mut WebSocket) -> Result<(), &'static str> {
        let outgoing = std::mem::take(&mut self.outgoing);
        let all = async {
            for message in outgoing {
                let text = serde_json::to_string(&message).expect("a message has only string keys");
                socket.feed(Message::Text(text.into())).await?;
            }
            socket.flush().await
        };
        match timeout(WRITE_WITHIN, all).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("the connection broke"),
            Err(_) => Err("the device stopped reading"),
        }
    }
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    // It may be gone already; what matters is that we stop listening.
    let _ = timeout(
        Duration::from_secs(1),
        socket.send(Message::Close(Some(frame))),
    )
    .await;
}
