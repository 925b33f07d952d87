//! Callers that wait for a task to end. A waiter is registered before its task is stored, so that an
//! outcome cannot be missed; dropping it ends the wait and nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use deskhand_protocol::TaskId;
use tokio::sync::oneshot;

use crate::broker::Record;

/// What a waiter hears.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// The task ended, and its result is stored.
    Finished(Arc<Record>),
    /// The task was taken back: its device did not come, and its caller did not want to queue.
    Withdrawn,
}

type Waiting = HashMap<TaskId, Vec<oneshot::Sender<Ended>>>;

/// All waiters of a relay.
#[derive(Debug, Default, Clone)]
pub(crate) struct Waiters(Arc<Mutex<Waiting>>);

impl Waiters {
    /// Begins to wait for a task.
    pub(crate) fn register(&self, task: TaskId) -> Waiter {
        let (sender, ended) = oneshot::channel();
        self.lock().entry(task).or_default().push(sender);
        Waiter {
            task,
            ended,
            waiters: self.clone(),
        }
    }

    /// Tells everybody who waits for a task how it ended.
    pub(crate) fn resolve(&self, task: TaskId, ended: &Ended) {
        let waiting = self.lock().remove(&task);
        for sender in waiting.into_iter().flatten() {
            // One that just stopped waiting needs no answer.
            let _ = sender.send(ended.clone());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wait.
#[derive(Debug)]
pub(crate) struct Waiter {
    task: TaskId,
    ended: oneshot::Receiver<Ended>,
    waiters: Waiters,
}

impl Waiter {
    /// Waits until the task ended; `None` when the relay is going away.
    pub(crate) async fn ended(&mut self) -> Option<Ended> {
        (&mut self.ended).await.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.ended.close();
        let mut waiting = self.waiters.lock();
        if let Some(senders) = waiting.get_mut(&self.task) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&self.task);
            }
        }
    }
}
