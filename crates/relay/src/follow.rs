//! Reads a timeline from a place on: what is in the log first, then what is added.
//!
//! It waits on the log and on the feed, never on its reader. A reader that falls out of the feed's
//! ring is told so and read for from the log, where it was; nothing comes twice, because places in a
//! log only grow.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use deskhand_protocol::{Cursor, DeviceId, limits::SNAPSHOT_ENTRIES};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::{
    State,
    broker::{Place, Stretch},
    error::Fault,
    feed::{Live, Receiver},
    timeline::{Filter, seq_of, with_cursor},
};

/// Entries that are read from the log at once.
const PAGE: u32 = 256;

/// Messages that are handed over at once.
const BATCH: usize = 128;

/// A timeline, read from a place on.
pub(crate) struct Follow {
    state: State,
    device: DeviceId,
    filter: Filter,
    live: Receiver,
    /// Up to which place the reader has everything.
    at: i64,
    /// Whether what comes next has to be read from the log.
    is_behind: bool,
    /// The reader was too slow, and was not told yet.
    fell_out: bool,
}

/// How it begins.
pub(crate) struct Beginning {
    /// The reader's cursor leads nowhere: what lies between it and this place is lost.
    pub(crate) gap: Option<(Cursor, Cursor)>,
    /// The last entries, or the first ones since the cursor.
    pub(crate) entries: Vec<(i64, Utf8Bytes)>,
}

/// What comes next.
pub(crate) enum Next {
    /// Messages in order; none that passes the filter may be among what was added.
    Messages(Vec<Utf8Bytes>),
    /// The reader was too slow; what lies between the two places follows, late.
    FellOut(Cursor, Cursor),
}

impl Follow {
    /// Begins after a cursor, or with the last 50 entries. Fails when the store cannot be read; none
    /// when the relay ends.
    pub(crate) async fn begin(
        state: &State,
        device: &DeviceId,
        filter: Filter,
        cursor: Option<Cursor>,
    ) -> Result<Option<(Beginning, Self)>, Fault> {
        // Watched first and read then: what is added between the two comes twice and is told apart
        // by its place.
        let Some(live) = state.feed.watch(device.clone()).await else {
            return Ok(None);
        };
        let broker = &state.broker;
        let known = match &cursor {
            Some(cursor) if *cursor.log_id == **broker.log_id() => {
                broker.place(device.clone(), seq_of(cursor)).await? == Place::Known
            }
            Some(_) => false,
            None => true,
        };
        let stretch = match cursor.as_ref().filter(|_| known) {
            Some(cursor) => {
                let (device, filter) = (device.clone(), filter.clone());
                broker
                    .entries_after(device, filter, seq_of(cursor), PAGE)
                    .await?
            }
            None => {
                let (device, filter) = (device.clone(), filter.clone());
                broker
                    .latest_entries(device, filter, SNAPSHOT_ENTRIES)
                    .await?
            }
        };
        let gap = cursor.filter(|_| !known).map(|from| {
            let first = stretch.entries.first();
            let to = first.map_or(stretch.through, |first| first.id - 1);
            (from, state.cursor(to))
        });
        let beginning = Beginning {
            gap,
            entries: messages(state, &stretch),
        };
        let follow = Self {
            state: state.clone(),
            device: device.clone(),
            filter,
            live,
            at: stretch.through,
            is_behind: stretch.has_more,
            fell_out: false,
        };
        Ok(Some((beginning, follow)))
    }

    /// Goes on after an earlier place than the one it came to.
    pub(crate) fn go_back(&mut self, at: i64) {
        self.at = at;
        self.is_behind = true;
    }

    /// Returns up to which place the reader has everything.
    pub(crate) fn cursor(&self) -> Cursor {
        self.state.cursor(self.at)
    }

    /// Waits for what comes next; none when the relay ends. May be dropped and called again: nothing
    /// is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<Next>, Fault> {
        loop {
            if self.fell_out {
                let to = self.state.broker.last_place().await?;
                self.fell_out = false;
                self.is_behind = true;
                let gap = Next::FellOut(self.cursor(), self.state.cursor(to));
                return Ok(Some(gap));
            }
            if self.is_behind {
                return Ok(Some(Next::Messages(self.read_on().await?)));
            }
            match self.live.recv().await {
                Ok(live) => return Ok(Some(Next::Messages(self.take(live)))),
                Err(RecvError::Lagged(_)) => self.fell_out = true,
                Err(RecvError::Closed) => {
                    // The feed lost its footing and starts anew.
                    let Some(live) = self.state.feed.watch(self.device.clone()).await else {
                        return Ok(None);
                    };
                    self.live = live;
                    self.is_behind = true;
                }
            }
        }
    }

    async fn read_on(&mut self) -> Result<Vec<Utf8Bytes>, Fault> {
        let (device, filter) = (self.device.clone(), self.filter.clone());
        let stretch = self
            .state
            .broker
            .entries_after(device, filter, self.at, PAGE)
            .await?;
        self.at = stretch.through.max(self.at);
        self.is_behind = stretch.has_more;
        let read = messages(&self.state, &stretch);
        let mut read: Vec<Utf8Bytes> = read.into_iter().map(|(_, message)| message).collect();
        if !stretch.has_more {
            match self.live.try_recv() {
                Ok(live) => read.extend(self.take(live)),
                // It fell out of the ring while it read the log: no slowness of the reader's.
                Err(TryRecvError::Lagged(_)) => self.is_behind = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => {}
            }
        }
        Ok(read)
    }

    /// Takes an entry and those that are there already.
    fn take(&mut self, first: Arc<Live>) -> Vec<Utf8Bytes> {
        let mut messages = Vec::new();
        let mut next = Some(first);
        while let Some(live) = next.take() {
            if live.id > self.at {
                self.at = live.id;
                if self.filter.lets_through(&live.facets) {
                    messages.push(live.message.clone());
                }
            }
            if messages.len() < BATCH {
                next = match self.live.try_recv() {
                    Ok(live) => Some(live),
                    Err(TryRecvError::Lagged(_)) => {
                        self.fell_out = true;
                        None
                    }
                    // One that was closed is met again when it is waited for.
                    Err(TryRecvError::Empty | TryRecvError::Closed) => None,
                };
            }
        }
        messages
    }
}

fn messages(state: &State, stretch: &Stretch) -> Vec<(i64, Utf8Bytes)> {
    let log_id = state.broker.log_id();
    let with_place = stretch.entries.iter().map(|entry| {
        let message = with_cursor(&entry.message, log_id, entry.id);
        (entry.id, message.into())
    });
    with_place.collect()
}
