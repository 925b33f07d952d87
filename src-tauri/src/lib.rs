//! Deskhand's desktop application: an icon in the tray and a window for the viewer.
//!
//! Owns the icon and the window and waits on the desktop's events. It never does the agent's work:
//! without this application everything runs, and without a tray this application does.

use tauri::image::Image;
use tauri::tray::{MouseButton, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Manager, WebviewWindowBuilder};

/// The window's label, as in `tauri.conf.json` and in its capabilities.
const VIEWER: &str = "viewer";

/// Small on purpose: the tray's description carries every pixel of it.
const TRAY_ICON: Image<'_> = tauri::include_image!("icons/32x32.png");

/// Why the desktop application did not start.
#[derive(Debug, thiserror::Error)]
#[error("start the desktop application")]
pub struct StartError(#[from] tauri::Error);

/// Runs the desktop application until its window is closed.
///
/// # Errors
///
/// Fails when there is no display or no web view. A missing tray is not an error.
pub fn run() -> Result<(), StartError> {
    let app = tauri::Builder::default()
        .setup(|app| {
            if let Err(error) = put_in_tray(app.handle()) {
                tracing::warn!(%error, "no tray for the icon");
            }
            Ok(show_viewer(app.handle())?)
        })
        .build(tauri::generate_context!())?;
    app.run(|_, _| {});
    Ok(())
}

/// Puts the icon in the tray; a left click on it shows the viewer.
///
/// Fails where the desktop has no tray, or has none yet.
fn put_in_tray(app: &AppHandle) -> tauri::Result<()> {
    let icon = TrayIconBuilder::with_id("deskhand")
        .icon(TRAY_ICON)
        .tooltip("Deskhand");
    let icon = icon.on_tray_icon_event(|icon, event| {
        if let TrayIconEvent::Click {
            button: MouseButton::Left,
            ..
        } = event
            && let Err(error) = show_viewer(icon.app_handle())
        {
            tracing::error!(%error, "show the viewer");
        }
    });
    // The application keeps the icon; what is returned is one more handle to it.
    icon.build(app).map(drop)
}

/// Brings the viewer's window to the front, and makes it first when there is none.
fn show_viewer(app: &AppHandle) -> tauri::Result<()> {
    if let Some(viewer) = app.get_webview_window(VIEWER) {
        viewer.show()?;
        viewer.unminimize()?;
        return viewer.set_focus();
    }
    let windows = &app.config().app.windows;
    let config = windows.iter().find(|window| window.label == VIEWER);
    let config = config.ok_or(tauri::Error::WindowNotFound)?;
    WebviewWindowBuilder::from_config(app, config)?
        .build()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::VIEWER;

    #[test]
    fn the_viewer_is_configured_permitted_and_made_on_demand() {
        let config: Value = serde_json::from_str(include_str!("../../tauri.conf.json")).unwrap();
        let window = &config["app"]["windows"][0];
        assert_eq!(
            (&window["label"], &window["create"]),
            (&VIEWER.into(), &false.into())
        );

        let capability = include_str!("../capabilities/viewer.json");
        let capability: Value = serde_json::from_str(capability).unwrap();
        assert_eq!(capability["windows"][0], VIEWER);
    }
}
