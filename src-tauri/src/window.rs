//! The viewer's window: made when it is wanted, destroyed when it is closed.
//!
//! A hidden web view costs as much memory as a visible one, so closing it ends it; what it showed is in
//! the store and is read again.

use std::sync::atomic::Ordering;

use deskhand_protocol::TaskId;
use tauri::{AppHandle, Emitter, Manager, WebviewWindowBuilder, Window, WindowEvent};
use tauri_plugin_dialog::{DialogExt, MessageDialogButtons};

use crate::Desk;

/// The window's label, as in `tauri.conf.json` and in its capabilities.
pub(crate) const VIEWER: &str = "viewer";

/// What tells a window that is open where to go.
const GO: &str = "deskhand://go";

/// Brings the window to the front, at a task if one is given.
pub(crate) fn show(app: &AppHandle, task_id: Option<TaskId>) {
    match task_id {
        Some(task_id) => show_at(app, &format!("tasks/{task_id}")),
        None => show_at(app, ""),
    }
}

/// Brings the window to the front at a place of the viewer; where it was, for none.
pub(crate) fn show_at(app: &AppHandle, place: &str) {
    if let Err(error) = try_show(app, place) {
        tracing::error!(%error, "cannot show the window");
    }
}

fn try_show(app: &AppHandle, place: &str) -> tauri::Result<()> {
    tracing::info!(place, "the window is shown");
    if let Some(viewer) = app.get_webview_window(VIEWER) {
        viewer.show()?;
        viewer.unminimize()?;
        viewer.set_focus()?;
        if !place.is_empty() {
            viewer.emit(GO, place)?;
        }
        return Ok(());
    }
    let windows = &app.config().app.windows;
    let config = windows.iter().find(|window| window.label == VIEWER);
    let mut config = config.cloned().ok_or(tauri::Error::WindowNotFound)?;
    if !place.is_empty() {
        config.url = tauri::WebviewUrl::App(format!("index.html#/{place}").into());
    }
    WebviewWindowBuilder::from_config(app, &config)?
        .build()
        .map(drop)
}

/// Lets the window be closed. Where there is no tray to stay in, asks once what closing means.
pub(crate) fn on_event(window: &Window, event: &WindowEvent) {
    let WindowEvent::CloseRequested { api, .. } = event else {
        return;
    };
    let desk = window.state::<Desk>();
    if desk.in_tray.load(Ordering::Relaxed) || desk.stays_file.exists() {
        return;
    }
    api.prevent_close();
    let (app, window) = (window.app_handle().clone(), window.clone());
    window
        .dialog()
        .message("This desktop shows no tray icon. Keep Deskhand running without its window? Starting it again shows the window.")
        .title("Deskhand")
        .buttons(MessageDialogButtons::OkCancelCustom(
            "Keep running".to_owned(),
            "Quit".to_owned(),
        ))
        .show(move |keep| {
            if keep {
                let stays_file = &app.state::<Desk>().stays_file;
                if let Err(error) = std::fs::write(stays_file, "") {
                    tracing::warn!(%error, "cannot remember that the application stays");
                }
                if let Err(error) = window.destroy() {
                    tracing::error!(%error, "cannot close the window");
                }
            } else {
                app.exit(0);
            }
        });
}
