//! Between the window and the device: one command for every request, and the events as they come.
//!
//! The window asks what any other local door asks, and is answered the same. Events are sent in batches,
//! so that a hundred tasks that print do not become a hundred scripts a frame; and to nobody while there
//! is no window.

use std::{sync::Arc, time::Duration};

use deskhand_agent::Heard;
use deskhand_host::{
    Local,
    control::{ControlRequest, ControlResponse},
};
use deskhand_protocol::{ErrorCode, Event, Problem};
use serde::Serialize;
use tauri::{AppHandle, Emitter, Manager, State, WebviewWindow};
use tauri_plugin_dialog::DialogExt;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{Desk, window::VIEWER};

/// What carries events to the window.
const EVENTS: &str = "deskhand://events";

/// How long events are gathered: less than two frames.
const GATHER: Duration = Duration::from_millis(25);

/// Events in one batch; more do not wait for the next one.
const MAX_BATCH: usize = 500;

/// Some events, in order.
#[derive(Debug, Default, Serialize)]
struct Batch {
    events: Vec<Event>,
    /// How many commits were skipped before them: the window reads again what it shows.
    missed: u64,
}

/// Answers the window.
#[tauri::command]
pub(crate) async fn request(
    desk: State<'_, Desk>,
    request: ControlRequest,
) -> Result<ControlResponse, ()> {
    Ok(match request {
        ControlRequest::Device(request) => {
            ControlResponse::Device(desk.local.device(request).await)
        }
        ControlRequest::Relay(request) => ControlResponse::Relay(desk.local.relay(request).await),
        ControlRequest::Here {} => match desk.local.here().await {
            Ok(here) => ControlResponse::Here(here),
            Err(error) => problem(&error.to_string()),
        },
        ControlRequest::Follow {} | ControlRequest::Show { .. } => {
            problem("a window hears events without asking")
        }
    })
}

fn problem(why: &str) -> ControlResponse {
    ControlResponse::Problem(Problem::new(ErrorCode::InvalidRequest, why))
}

/// Lets the owner choose a directory in the system's own dialog; none when they choose none. A path that
/// is not UTF-8 cannot be opened to tasks, and is an error in words.
#[tauri::command]
pub(crate) async fn choose_folder(window: WebviewWindow) -> Result<Option<String>, String> {
    let (tell, told) = oneshot::channel();
    window
        .dialog()
        .file()
        .set_parent(&window)
        .pick_folder(move |chosen| {
            // Nobody is left to tell when the window was closed meanwhile.
            let _ = tell.send(chosen);
        });
    let Ok(Some(chosen)) = told.await else {
        return Ok(None);
    };
    let path = chosen.into_path().map_err(|error| error.to_string())?;
    let utf8 = path.into_os_string().into_string();
    utf8.map(Some)
        .map_err(|path| format!("the path {} is not UTF-8", path.display()))
}

/// A fault in the window's scripts, for the log: a page that stays blank is never silent.
#[tauri::command]
pub(crate) fn page_failed(message: String) {
    let shown = message.get(..message.floor_char_boundary(2000));
    tracing::error!(message = shown, "the window's page failed");
}

/// Forwards events to the window for as long as the application runs.
pub(crate) async fn forward(app: AppHandle, local: Arc<Local>) {
    loop {
        let Some(mut events) = local.events().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        while let Some(first) = events.next().await {
            let mut batch = Batch::default();
            batch.add(first);
            let until = Instant::now() + GATHER;
            while batch.events.len() < MAX_BATCH {
                tokio::select! {
                    () = sleep_until(until) => break,
                    heard = events.next() => match heard {
                        Some(heard) => batch.add(heard),
                        None => break,
                    },
                }
            }
            if app.get_webview_window(VIEWER).is_some()
                && let Err(error) = app.emit_to(VIEWER, EVENTS, &batch)
            {
                tracing::warn!(%error, "cannot tell the window of events");
            }
        }
    }
}

impl Batch {
    fn add(&mut self, heard: Heard) {
        match heard {
            Heard::Event(event) => self.events.push(*event),
            Heard::Missed(n) => self.missed += n,
        }
    }
}
