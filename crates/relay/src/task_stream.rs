//! One watcher of one task: a WebSocket, at `/ws/tasks/{task}`.
//!
//! An actor per connection: any number of them each see every event. It waits on its socket, on the
//! task's events and on its own clock. The first connection starts a task that waits for one.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use deskhand_protocol::{
    Event, EventKind,
    limits::WATCHER_PING,
    relay_request::Scope,
    task_stream::{StreamStatus, TaskStreamEvent, TaskStreamMessage, TaskStreamState},
};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::{Instant, interval_at};

use crate::{
    State,
    broker::{LoggedEvent, Record},
    feed::WatcherPlace,
    keys::Key,
    subscriber::{CLOSE_POLICY, CLOSE_RESTARTING, End, close, send},
    task_events::TaskEvents,
};

/// Events a watcher gets that names no place.
const SNAPSHOT_EVENTS: u32 = 10;

/// Pings without any answer before the watcher is gone.
const MISSED_PINGS: u32 = 2;

/// One watcher of one task.
pub(crate) struct TaskStream {
    pub(crate) state: State,
    pub(crate) record: Record,
    pub(crate) key: Arc<Key>,
    /// Only events after this place.
    pub(crate) since: Option<i64>,
    pub(crate) place: WatcherPlace,
}

impl TaskStream {
    /// Serves the watcher until the task has ended or the watcher goes.
    pub(crate) async fn run(self, mut socket: WebSocket) {
        let _place = self.place;
        let may_approve = self.key.may(Scope::Approve);
        let _attends = may_approve.then(|| self.state.registry.attend(&self.record.device));
        let mut watch = Watch {
            shown: state_of(&self.record),
            state: self.state,
            record: self.record,
            key: self.key,
            socket: &mut socket,
            n_unanswered: 0,
        };
        if let Err(End::Close(code, reason)) = watch.run(self.since).await {
            close(&mut socket, code, reason).await;
        }
    }
}

/// Says that there is no such task.
pub(crate) async fn refuse(mut socket: WebSocket, why: String) {
    let error = TaskStreamMessage::Error { message: why };
    if send(&mut socket, [text(&error)]).await.is_ok() {
        close(&mut socket, CLOSE_POLICY, "there is no such task").await;
    }
}

struct Watch<'a> {
    state: State,
    record: Record,
    key: Arc<Key>,
    socket: &'a mut WebSocket,
    /// The state the watcher knows.
    shown: TaskStreamState,
    n_unanswered: u32,
}

impl Watch<'_> {
    async fn run(&mut self, since: Option<i64>) -> Result<(), End> {
        self.begin().await?;
        let task = self.record.task.task_id;
        let since = match since {
            Some(since) => since,
            None => {
                self.state
                    .broker
                    .place_before_last(task, SNAPSHOT_EVENTS)
                    .await?
            }
        };
        let events = TaskEvents::after(&self.state, &self.record, since).await;
        let mut events = events.ok_or(End::Gone)?;
        let mut ping = interval_at(Instant::now() + WATCHER_PING, WATCHER_PING);
        let stopping = self.state.stopping.clone();
        loop {
            tokio::select! {
                biased;
                frame = self.socket.next() => match frame {
                    // Nothing is asked of it; whatever it says shows that it is there.
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    Some(Ok(_)) => self.n_unanswered = 0,
                },
                () = stopping.cancelled() => {
                    return Err(End::Close(CLOSE_RESTARTING, "the relay is restarting"));
                }
                event = events.next() => match event? {
                    Some(event) => self.show(event).await?,
                    None => {
                        self.refresh().await?;
                        return Err(End::Close(1000, "the task has ended"));
                    }
                },
                _ = ping.tick() => self.on_ping().await?,
            }
        }
    }

    async fn begin(&mut self) -> Result<(), End> {
        let task_id = self.record.task.name.clone();
        let message = format!("Connected to task {task_id}");
        let connected = TaskStreamMessage::Connected { task_id, message };
        let state = TaskStreamMessage::State(Box::new(self.shown.clone()));
        send(self.socket, [text(&connected), text(&state)]).await
    }

    async fn show(&mut self, logged: LoggedEvent) -> Result<(), End> {
        let event = TaskStreamMessage::Event(self.event(&logged));
        send(self.socket, [text(&event)]).await?;
        match &logged.event.kind {
            EventKind::AttemptStarted { .. } => {
                self.shown.started_at = Some(logged.event.at);
                self.change(StreamStatus::Running).await
            }
            EventKind::AttemptLost { .. } => self.change(StreamStatus::Pending).await,
            EventKind::ProgressMade { percent, message } => {
                if let Some(percent) = percent {
                    self.shown.progress = f64::from(*percent) / 100.0;
                }
                if message.is_some() {
                    self.shown.last_message.clone_from(message);
                }
                self.change(StreamStatus::Running).await
            }
            EventKind::ApprovalRequested { reason, .. } => {
                self.shown.last_message = Some(reason.clone());
                self.change(StreamStatus::Pending).await
            }
            EventKind::TaskAccepted { .. }
            | EventKind::ApprovalAnswered { .. }
            | EventKind::OutputAppended { .. }
            | EventKind::RunsLeftOut(_) => Ok(()),
            EventKind::AttemptFinished { .. }
            | EventKind::TaskCancelled { .. }
            | EventKind::TaskExpired { .. } => self.refresh().await,
        }
    }

    /// Shows a state; what is over does not begin again when old events are shown.
    async fn change(&mut self, status: StreamStatus) -> Result<(), End> {
        if self.shown.completed_at.is_some() {
            return Ok(());
        }
        self.shown.status = status;
        let role = self.record.task.action.kind().to_owned();
        self.shown.current_agent = (status == StreamStatus::Running).then_some(role);
        let state = TaskStreamMessage::State(Box::new(self.shown.clone()));
        send(self.socket, [text(&state)]).await
    }

    /// Shows the state as it is stored, unless the watcher knows it.
    async fn refresh(&mut self) -> Result<(), End> {
        let task = self.record.task.task_id;
        let Some(record) = self.state.broker.get(task).await? else {
            return Ok(());
        };
        let mut state = state_of(&record);
        state.last_message.clone_from(&self.shown.last_message);
        if state.status != StreamStatus::Succeeded {
            state.progress = self.shown.progress;
        }
        if state.status == self.shown.status && state.completed_at == self.shown.completed_at {
            return Ok(());
        }
        self.record = record;
        self.shown = state;
        let state = TaskStreamMessage::State(Box::new(self.shown.clone()));
        send(self.socket, [text(&state)]).await
    }

    fn event(&self, logged: &LoggedEvent) -> TaskStreamEvent {
        let (event_type, payload) = parts(&logged.event);
        TaskStreamEvent {
            event_id: logged.id,
            task_id: self.record.task.name.clone(),
            timestamp: logged.event.at,
            agent_role: self.record.task.action.kind().to_owned(),
            event_type,
            payload,
        }
    }

    async fn on_ping(&mut self) -> Result<(), End> {
        if !self.state.keys.still_holds(&self.key) {
            return Err(End::Close(CLOSE_POLICY, "the key ended"));
        }
        if self.n_unanswered == MISSED_PINGS {
            return Err(End::Gone);
        }
        self.n_unanswered += 1;
        send(self.socket, [Message::Ping(Default::default())]).await
    }
}

/// Splits the kind of an event into its word and what belongs to it.
fn parts(event: &Event) -> (String, Value) {
    let mut kind = serde_json::to_value(&event.kind).expect("an event has only string keys");
    let word = kind
        .as_object_mut()
        .and_then(|fields| fields.remove("type"));
    let word = word.as_ref().and_then(Value::as_str).unwrap_or_default();
    (word.to_owned(), kind)
}

fn state_of(record: &Record) -> TaskStreamState {
    let outcome = record.result.as_ref().map(|result| &result.outcome);
    let status = StreamStatus::of(
        record.status,
        outcome.and_then(|outcome| outcome.returncode),
    );
    let runs = status == StreamStatus::Running;
    let error = outcome.and_then(|outcome| outcome.error.clone());
    let exit_code = outcome.and_then(|outcome| outcome.returncode);
    let exited = exit_code.map(|code| format!("it ended with exit code {code}"));
    TaskStreamState {
        task_id: record.task.name.clone(),
        status,
        progress: if status == StreamStatus::Succeeded {
            1.0
        } else {
            0.0
        },
        current_agent: runs.then(|| record.task.action.kind().to_owned()),
        last_message: None,
        started_at: record.started_at,
        completed_at: record.completed_at,
        error_message: match status {
            StreamStatus::Failed | StreamStatus::Cancelled => error.or(exited),
            StreamStatus::Pending | StreamStatus::Running | StreamStatus::Succeeded => None,
        },
        final_result: record.result.clone(),
    }
}

fn text(message: &TaskStreamMessage) -> Message {
    let text = serde_json::to_string(message).expect("a message has only string keys");
    Message::Text(text.into())
}
