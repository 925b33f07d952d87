//! The link to the relay: dial, talk, and dial again, for ever.
//!
//! What it owns: the one WebSocket to the relay, and when to dial again.
//! What it waits on: the relay, the recorder's bus and the wish to end.
//! What it never does: run or judge anything. A broken link stops no task.

pub(crate) mod backoff;
mod connect;
mod session;
mod wake;

use std::sync::Arc;

use deskhand_protocol::device_request::LinkStatus;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    device::Device,
    dispatcher::Dispatcher,
    link::{backoff::Backoff, connect::ConnectError, session::End},
};

/// Keeps a link to the relay until `stop` says to end it.
pub(crate) async fn run(
    device: Arc<Device>,
    dispatcher: Dispatcher,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::default();
    loop {
        let begun = Instant::now();
        let ended = tokio::select! {
            ended = once(&device, &dispatcher, stop.clone()) => ended,
            () = wake::after_sleep() => {
                set(&device, reconnecting(&backoff, "the computer slept"));
                continue;
            }
        };
        let delay = match ended {
            Ok(End::Stopped) => return,
            Ok(End::Polite(restarting)) => backoff.after_polite_close(begun.elapsed(), restarting),
            Ok(End::Fenced) => {
                tracing::warn!(
                    "a later session of this device took over: is its token in use elsewhere?"
                );
                set(
                    &device,
                    reconnecting(&backoff, "a later session of this device took over"),
                );
                backoff.after_fence()
            }
            Ok(End::Broken(error)) => {
                set(&device, reconnecting(&backoff, &error));
                backoff.after_session(begun.elapsed())
            }
            Err(ConnectError::Refused(error)) => {
                set(&device, LinkStatus::Refused { error });
                backoff.after_refusal()
            }
            Err(ConnectError::Failed(error)) => {
                set(&device, reconnecting(&backoff, &error));
                backoff.after_failure()
            }
        };
        tracing::debug!(?delay, "dialling the relay again");
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = wake::after_sleep() => {}
            () = sleep(delay) => {}
        }
    }
}

/// Dials and talks until the session ends.
async fn once(
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    mut stop: watch::Receiver<bool>,
) -> Result<End, ConnectError> {
    let connected = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => return Ok(End::Stopped),
        connected = connect::connect(device) => connected?,
    };
    tracing::info!(
        epoch = connected.welcome.session_epoch.0,
        "linked to the relay"
    );
    Ok(session::run(connected, device, dispatcher, stop).await)
}

fn reconnecting(backoff: &Backoff, error: &str) -> LinkStatus {
    LinkStatus::Reconnecting {
        attempt: backoff.n_failures() + 1,
        error: Some(error.to_owned()),
    }
}

fn set(device: &Device, status: LinkStatus) {
    tracing::info!(?status, "the link is down");
    device.link.send_replace(status);
}
