//! The events of one task from a place on: those in the log first, then as they are added, up to the
//! one that ends it. What both doors to a single task read: server-sent events and the WebSocket.

use std::{collections::VecDeque, time::Duration};

use deskhand_protocol::TaskId;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};

use crate::{
    State,
    broker::{LoggedEvent, Record},
    error::Fault,
    feed::Receiver,
};

/// How long the event that ends a task is waited for when the task has ended: its result comes before
/// it, by a moment.
const END_WITHIN: Duration = Duration::from_secs(5);

/// The events of a task.
pub(crate) struct TaskEvents {
    state: State,
    task: TaskId,
    live: Receiver,
    /// Up to which place everything was returned or is in `read`.
    at: i64,
    read: VecDeque<LoggedEvent>,
    is_behind: bool,
    has_ended: bool,
    /// When to stop waiting for an end that does not come.
    give_up_at: Option<Instant>,
}

impl TaskEvents {
    /// Begins after a place in the log; none when the relay ends.
    pub(crate) async fn after(state: &State, record: &Record, at: i64) -> Option<Self> {
        let live = state.feed.watch(record.device.clone()).await?;
        let ended = record.status.is_terminal();
        Some(Self {
            state: state.clone(),
            task: record.task.task_id,
            live,
            at,
            read: VecDeque::new(),
            is_behind: true,
            has_ended: false,
            give_up_at: ended.then(|| Instant::now() + END_WITHIN),
        })
    }

    /// Waits for the next event; none after the one that ended the task, or when the relay ends. May
    /// be dropped and called again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<LoggedEvent>, Fault> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.has_ended |= event.event.kind.outcome().is_some();
                return Ok(Some(event));
            }
            if self.has_ended {
                return Ok(None);
            }
            if self.is_behind {
                let events = self.state.broker.events(self.task, self.at).await?;
                self.is_behind = !events.is_empty();
                self.at = events.last().map_or(self.at, |last| last.id);
                self.read.extend(events);
                continue;
            }
            let give_up_at = self.give_up_at;
            let give_up = async {
                match give_up_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                added = self.live.recv() => match added {
                    Ok(live) if live.id > self.at && live.facets.task_id == Some(self.task) => {
                        self.at = live.id;
                        let event = live.event();
                        self.read.extend(event.map(|event| LoggedEvent { id: live.id, event }));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.is_behind = true,
                    Err(RecvError::Closed) => {
                        let device = self.state.broker.get(self.task).await?.map(|record| record.device);
                        let Some(device) = device else { return Ok(None) };
                        let Some(live) = self.state.feed.watch(device).await else { return Ok(None) };
                        self.live = live;
                        self.is_behind = true;
                    }
                },
                () = self.state.stopping.cancelled() => return Ok(None),
                () = give_up => return Ok(None),
            }
        }
    }
}
