//! The icon in the tray: says how the device is, and lists what it did last.
//!
//! What it owns: the icon and its menu, made anew from the picture when that changes.
//! What it waits on: the picture, the desktop's clicks, and a tray to be in.
//! What it never does: be the only way to anything. Without a tray everything else works.

use std::{sync::atomic::Ordering, time::Duration};

use deskhand_protocol::{
    TaskId, TaskStatus,
    characters::is_hidden,
    device_request::{DeviceRequest, DeviceResponse, TaskFilter},
};
use tauri::{
    AppHandle, Manager, Wry,
    menu::{Menu, MenuBuilder, MenuItem, MenuItemBuilder},
    tray::{MouseButton, TrayIcon, TrayIconBuilder, TrayIconEvent},
};
use tauri_plugin_autostart::ManagerExt;
use tokio::sync::watch;

use crate::{
    Desk, icon,
    picture::{Picture, Recent},
    window,
};

/// A tray that does not take the icon is asked again so much later.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// Longest line of the menu, in characters.
const MAX_LABEL: usize = 48;

/// Longest tooltip, in characters.
const MAX_TOOLTIP: usize = 120;

const OPEN: &str = "open";
const SETTINGS: &str = "settings";
const CANCEL_ALL: &str = "cancel";
const AT_LOGIN: &str = "at-login";
const PAUSE: &str = "pause";
const RESUME: &str = "resume";
const QUIT: &str = "quit";
const TASK: &str = "task:";

/// Keeps an icon in the tray for as long as the application runs.
pub(crate) async fn keep(app: AppHandle, mut picture: watch::Receiver<Picture>) {
    let icon = loop {
        host::wait().await;
        let seen = picture.borrow_and_update().clone();
        match put(&app, &seen) {
            Ok(icon) => break icon,
            Err(error) => tracing::debug!(%error, "no tray for the icon yet"),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    };
    app.state::<Desk>().in_tray.store(true, Ordering::Relaxed);
    while picture.changed().await.is_ok() {
        let seen = picture.borrow_and_update().clone();
        if let Err(error) = update(&app, &icon, &seen) {
            tracing::warn!(%error, "cannot change the tray's icon");
        }
    }
}

/// Waits for the desktop to have a tray.
#[cfg(target_os = "linux")]
mod host {
    use futures_util::StreamExt;
    use zbus::{Connection, fdo::DBusProxy, names::BusName};

    /// Who keeps the list of icons on the session's bus.
    const WATCHER: &str = "org.kde.StatusNotifierWatcher";

    /// Returns once there is a tray; never where there is no session bus, which a session has from its
    /// beginning or not at all.
    pub(super) async fn wait() {
        if let Err(error) = try_wait().await {
            tracing::info!(%error, "without a session bus there is no tray");
            std::future::pending().await
        }
    }

    async fn try_wait() -> zbus::Result<()> {
        let bus = Connection::session().await?;
        let names = DBusProxy::new(&bus).await?;
        let mut changes = names
            .receive_name_owner_changed_with_args(&[(0, WATCHER)])
            .await?;
        if names.name_has_owner(BusName::try_from(WATCHER)?).await? {
            return Ok(());
        }
        while let Some(change) = changes.next().await {
            if change.args()?.new_owner().is_some() {
                return Ok(());
            }
        }
        Err(zbus::Error::InputOutput(std::sync::Arc::new(
            std::io::ErrorKind::ConnectionAborted.into(),
        )))
    }
}

#[cfg(not(target_os = "linux"))]
mod host {
    /// There is always one.
    pub(super) async fn wait() {}
}

fn put(app: &AppHandle, seen: &Picture) -> tauri::Result<TrayIcon> {
    TrayIconBuilder::with_id("deskhand")
        .icon(icon::of(seen.state))
        .title("Deskhand")
        .tooltip(tooltip(seen))
        .menu(&menu(app, seen)?)
        .show_menu_on_left_click(false)
        .on_menu_event(|app, event| chosen(app, event.id().as_ref()))
        .on_tray_icon_event(|icon, event| {
            if let TrayIconEvent::Click {
                button: MouseButton::Left,
                ..
            } = event
            {
                window::show(icon.app_handle(), None);
            }
        })
        .build(app)
}

fn update(app: &AppHandle, icon: &TrayIcon, seen: &Picture) -> tauri::Result<()> {
    icon.set_icon(Some(icon::of(seen.state)))?;
    icon.set_tooltip(Some(tooltip(seen)))?;
    icon.set_menu(Some(menu(app, seen)?))
}

fn tooltip(seen: &Picture) -> String {
    let running = match seen.n_running {
        0 => String::new(),
        n => format!(", {n} running"),
    };
    // Some trays take it for markup.
    line(&format!("Deskhand: {}{running}", seen.detail), MAX_TOOLTIP).replace('<', "‹")
}

fn menu(app: &AppHandle, seen: &Picture) -> tauri::Result<Menu<Wry>> {
    let item = |id: &str, text: &str| MenuItemBuilder::with_id(id, text).build(app);
    let state: MenuItem<Wry> = MenuItemBuilder::new(clip(&sentence(&seen.detail), MAX_LABEL))
        .enabled(false)
        .build(app)?;
    let mut menu = MenuBuilder::new(app)
        .item(&state)
        .item(&item(OPEN, "Open Deskhand")?)
        .separator();
    for task in &seen.recent {
        menu = menu.item(&item(&format!("{TASK}{}", task.task_id), &label(task))?);
    }
    if !seen.recent.is_empty() {
        menu = menu.separator();
    }
    match seen.n_running {
        0 => {}
        1 => menu = menu.item(&item(CANCEL_ALL, "Cancel the running task")?),
        n => menu = menu.item(&item(CANCEL_ALL, &format!("Cancel the {n} running tasks"))?),
    }
    menu = match seen.paused {
        true => menu.item(&item(RESUME, "Resume")?),
        false => menu.item(&item(PAUSE, "Pause")?),
    };
    let at_login = tauri::menu::CheckMenuItemBuilder::with_id(AT_LOGIN, "Start at login")
        .checked(app.autolaunch().is_enabled().unwrap_or(false))
        .build(app)?;
    menu.item(&at_login)
        .item(&item(SETTINGS, "Settings")?)
        .separator()
        .item(&item(QUIT, "Quit")?)
        .build()
}

fn chosen(app: &AppHandle, id: &str) {
    match id {
        OPEN => window::show(app, None),
        SETTINGS => window::show_at(app, "settings"),
        QUIT => app.exit(0),
        AT_LOGIN => start_at_login(app),
        PAUSE => ask(app, DeviceRequest::Pause),
        RESUME => ask(app, DeviceRequest::Resume),
        CANCEL_ALL => {
            let app = app.clone();
            tauri::async_runtime::spawn(async move { cancel_all(&app.state::<Desk>()).await });
        }
        id => {
            let task_id = id.strip_prefix(TASK).and_then(|id| id.parse().ok());
            if task_id.is_some() {
                window::show(app, task_id);
            }
        }
    }
}

/// Asks the device for something whose answer the icon shows.
fn ask(app: &AppHandle, request: DeviceRequest) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let answer = app.state::<Desk>().local.device(request).await;
        if let DeviceResponse::Problem { problem } = answer {
            tracing::warn!(%problem, "the device refuses what the tray asked");
        }
    });
}

fn start_at_login(app: &AppHandle) {
    let autolaunch = app.autolaunch();
    let changed = match autolaunch.is_enabled() {
        Ok(true) => autolaunch.disable(),
        Ok(false) | Err(_) => autolaunch.enable(),
    };
    if let Err(error) = changed {
        tracing::warn!(%error, "cannot change whether Deskhand starts at login");
    }
}

async fn cancel_all(desk: &Desk) {
    let running = DeviceRequest::ListTasks(TaskFilter {
        status: Some(TaskStatus::InProgress),
        ..TaskFilter::default()
    });
    let DeviceResponse::Tasks { tasks, .. } = desk.local.device(running).await else {
        return;
    };
    let ids: Vec<TaskId> = tasks.into_iter().map(|task| task.uid).collect();
    for task_id in ids {
        let cancel = DeviceRequest::Cancel {
            task_id,
            grace_seconds: 5,
        };
        desk.local.device(cancel).await;
    }
}

fn label(task: &Recent) -> String {
    let mark = match (task.status, task.succeeded) {
        (TaskStatus::Completed, Some(true)) => '✓',
        (TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Expired, _) => '✗',
        (TaskStatus::Cancelled, _) => '–',
        (TaskStatus::AwaitingApproval, _) => '?',
        (TaskStatus::Pending, _) => '…',
        (TaskStatus::InProgress, _) => '▸',
    };
    format!("{mark} {}", clip(&task.action, MAX_LABEL))
}

/// Returns a caller's text as a line of a menu, which takes an ampersand for the sign of a shortcut
/// unless it is doubled.
fn clip(text: &str, max: usize) -> String {
    line(text, max).replace('&', "&&")
}

/// Shortens a text that a caller chose to one line, and leaves out what cannot be seen.
fn line(text: &str, max: usize) -> String {
    let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
    let mut shown = text.chars().map(blank).filter(|c| !is_hidden(*c));
    let mut line: String = shown.by_ref().take(max).collect();
    if shown.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::State;

    #[test]
    fn a_callers_text_stays_one_plain_line() {
        assert_eq!(clip("git\nstatus", 20), "git status");
        assert_eq!(clip("a_b & c", 20), "a_b && c");
        assert_eq!(clip("\u{202e}evil\u{7}", 20), "evil");
        assert_eq!(clip("0123456789", 6), "01234…");
    }

    #[test]
    fn a_task_is_told_by_its_mark() {
        let task = |status, succeeded| {
            label(&Recent {
                task_id: "01a1f969-29df-7501-94af-5504fa2d0214".parse().unwrap(),
                action: "make".into(),
                status,
                succeeded,
            })
        };
        assert_eq!(task(TaskStatus::Completed, Some(true)), "✓ make");
        assert_eq!(task(TaskStatus::Completed, Some(false)), "✗ make");
        assert_eq!(task(TaskStatus::InProgress, None), "▸ make");
        assert_eq!(task(TaskStatus::AwaitingApproval, None), "? make");
    }

    #[test]
    fn the_tooltip_says_how_it_is() {
        let seen = Picture {
            state: State::Connected,
            detail: "connected".into(),
            n_running: 2,
            ..Picture::default()
        };
        assert_eq!(tooltip(&seen), "Deskhand: connected, 2 running");
        assert_eq!(sentence("connected"), "Connected");
        let refused = Picture {
            detail: "the relay refuses this computer: <b>no_thing".into(),
            ..Picture::default()
        };
        assert!(tooltip(&refused).ends_with("‹b>no_thing"));
    }
}
