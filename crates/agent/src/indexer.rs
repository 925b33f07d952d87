//! Makes ended tasks searchable, shortly after they ended.
//!
//! What it owns: how far the index is (`searched_through` in the store).
//! What it waits on: events that end a task, and then a moment, so that a burst becomes one commit.
//! What it never does: hold up a task. It reads beside the writer, and its commits are small.

use std::{sync::Arc, time::Duration};

use deskhand_sqlite::{Error, Sync};

use crate::{
    device::Device,
    store::{meta, search},
};

/// How long ended tasks are gathered before they are put into the index.
const GATHER: Duration = Duration::from_millis(150);

/// How long it waits after the store failed.
const MEND_AFTER: Duration = Duration::from_secs(5);

/// Runs until the agent stops.
pub(crate) async fn run(device: Arc<Device>) {
    let stopping = device.stopping.clone();
    tokio::select! {
        () = stopping.cancelled() => {}
        () = keep_up(&device) => {}
    }
}

async fn keep_up(device: &Device) {
    let mut bus = device.recorder.subscribe();
    loop {
        let mut caught_up = index(device).await;
        while let Ok(true) = caught_up {
            caught_up = index(device).await;
        }
        if let Err(error) = caught_up {
            tracing::warn!(%error, "cannot make tasks searchable; trying again");
            tokio::time::sleep(MEND_AFTER).await;
            continue;
        }
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match bus.recv().await {
                Ok(batch) => {
                    if batch
                        .iter()
                        .any(|published| published.event.kind.outcome().is_some())
                    {
                        break;
                    }
                }
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Puts one batch into the index; returns whether there may be more.
async fn index(device: &Device) -> Result<bool, Error> {
    let unread = device
        .db
        .read(|conn| search::unread(conn, meta::searched_through(conn)?))
        .await?;
    let Some(unread) = unread else {
        return Ok(false);
    };
    device
        .db
        .write(Sync::Normal, move |conn| {
            search::insert(conn, &unread.documents)?;
            meta::set_searched_through(conn, unread.through)
        })
        .await?;
    Ok(true)
}
