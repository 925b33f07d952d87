//! Passes what is added to the log to everybody who watches, in the order of the log.
//!
//! One loop reads the log once for all watchers, puts each message together once, and hands it to a
//! bounded ring per watched device. It waits on the log's bell and on new watchers, and never on a
//! watcher: who falls out of the ring reads the log again. While nobody watches it reads nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::extract::ws::Utf8Bytes;
use deskhand_protocol::{DeviceId, Event, limits::WATCHER_BEHIND};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    broker::{Broker, FullRow},
    error::Fault,
    timeline::{Facets, with_cursor},
};

/// Watchers that begin at once; more wait their turn.
const QUEUE: usize = 64;

/// Entries that are read at once.
const BATCH: u32 = 512;

/// An entry as it was added.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: i64,
    pub(crate) facets: Facets,
    /// The message, with its cursor.
    pub(crate) message: Utf8Bytes,
    event: String,
}

impl Live {
    /// Returns what a device reported; none where the entry is something else.
    pub(crate) fn event(&self) -> Option<Event> {
        serde_json::from_str(&self.event).ok()
    }
}

/// What is added to a device's timeline from now on.
pub(crate) type Receiver = broadcast::Receiver<Arc<Live>>;

/// A handle to the feed; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    watch: mpsc::Sender<(DeviceId, oneshot::Sender<Receiver>)>,
    n_watchers: Arc<AtomicUsize>,
}

impl Feed {
    /// Starts the loop; it ends when the last handle is dropped.
    pub(crate) fn start(broker: Broker) -> Self {
        let (watch, wanted) = mpsc::channel(QUEUE);
        let feed = Loop {
            broker,
            wanted,
            rings: HashMap::new(),
            last: 0,
        };
        tokio::spawn(feed.run());
        Self {
            watch,
            n_watchers: Arc::default(),
        }
    }

    /// Begins to watch a device. What is in the log when this resolves can be read there; everything
    /// later comes out of the receiver, which may hold some of the former as well.
    pub(crate) async fn watch(&self, device: DeviceId) -> Option<Receiver> {
        let (answer, receiver) = oneshot::channel();
        self.watch.send((device, answer)).await.ok()?;
        receiver.await.ok()
    }

    /// Counts a watcher for as long as the place is kept; none when there are too many.
    pub(crate) fn place(&self, most: usize) -> Option<WatcherPlace> {
        let taken = self.n_watchers.fetch_add(1, Ordering::Relaxed);
        let place = WatcherPlace(self.n_watchers.clone());
        (taken < most).then_some(place)
    }
}

/// One of the bounded number of watchers.
#[derive(Debug)]
pub(crate) struct WatcherPlace(Arc<AtomicUsize>);

impl Drop for WatcherPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Loop {
    broker: Broker,
    wanted: mpsc::Receiver<(DeviceId, oneshot::Sender<Receiver>)>,
    rings: HashMap<DeviceId, broadcast::Sender<Arc<Live>>>,
    /// Up to which place the log was passed on.
    last: i64,
}

impl Loop {
    async fn run(mut self) {
        loop {
            let done = tokio::select! {
                wanted = self.wanted.recv() => match wanted {
                    Some((device, answer)) => self.add(device, answer).await,
                    None => return,
                },
                () = self.broker.added_to_log(), if !self.rings.is_empty() => self.pass_on().await,
            };
            if let Err(error) = done {
                // Watchers find what they missed when they read the log again: end their rings.
                tracing::error!(%error, "cannot read the log for its watchers");
                self.rings.clear();
            }
        }
    }

    async fn add(
        &mut self,
        device: DeviceId,
        answer: oneshot::Sender<Receiver>,
    ) -> Result<(), Fault> {
        if self.rings.is_empty() {
            self.last = self.broker.last_place().await?;
        }
        let ring = self
            .rings
            .entry(device)
            .or_insert_with(|| broadcast::Sender::new(WATCHER_BEHIND));
        // Who asked may be gone again.
        let _ = answer.send(ring.subscribe());
        Ok(())
    }

    async fn pass_on(&mut self) -> Result<(), Fault> {
        loop {
            let rows = self.broker.added(self.last, BATCH).await?;
            let n_rows = rows.len();
            for row in rows {
                self.last = row.id;
                self.send(row);
            }
            if n_rows < BATCH as usize {
                return Ok(());
            }
        }
    }

    fn send(&mut self, row: FullRow) {
        let Some(ring) = self.rings.get(&row.device) else {
            return;
        };
        let message = with_cursor(&row.message, self.broker.log_id(), row.id);
        let live = Live {
            id: row.id,
            facets: row.facets,
            message: message.into(),
            event: row.event,
        };
        if ring.send(Arc::new(live)).is_err() {
            // The last watcher went.
            self.rings.remove(&row.device);
        }
    }
}
