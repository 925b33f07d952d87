//! What the desktop session offers the application: a place for its icon, and a notification server.

use std::time::Duration;

/// How long the session may take to answer. It is on this computer; one that hangs must not hold a check.
const ANSWER: Duration = Duration::from_secs(2);

/// A desktop session, as its bus describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesktopSession {
    /// Somebody shows tray icons.
    pub tray: bool,
    /// Somebody shows notifications, or is started to do so.
    pub notifications: bool,
}

/// Asks the session's bus who shows icons and notifications. Fails with the reason where there is no session, as
/// on a computer without a desktop, or where it does not answer within 2 s.
///
/// Only Linux has to be asked; elsewhere both are part of the system.
pub async fn desktop_session() -> Result<DesktopSession, String> {
    match tokio::time::timeout(ANSWER, ask()).await {
        Ok(answer) => answer,
        Err(_) => Err("the session's bus does not answer".to_owned()),
    }
}

/// The names are those of the StatusNotifierItem and Desktop Notifications specifications of freedesktop.org.
#[cfg(target_os = "linux")]
async fn ask() -> Result<DesktopSession, String> {
    const TRAY: &str = "org.kde.StatusNotifierWatcher";
    const NOTIFICATIONS: &str = "org.freedesktop.Notifications";
    let names = async {
        let session = zbus::Connection::session().await?;
        let bus = zbus::fdo::DBusProxy::new(&session).await?;
        let mut names = bus.list_names().await?;
        let is_there = |names: &[zbus::names::OwnedBusName], name| names.iter().any(|n| *n == name);
        let tray = is_there(&names, TRAY);
        names.extend(bus.list_activatable_names().await?);
        let notifications = is_there(&names, NOTIFICATIONS);
        zbus::Result::Ok(DesktopSession {
            tray,
            notifications,
        })
    };
    names.await.map_err(|error| error.to_string())
}

#[cfg(not(target_os = "linux"))]
async fn ask() -> Result<DesktopSession, String> {
    Ok(DesktopSession {
        tray: true,
        notifications: true,
    })
}
