//! Keeps the computer awake while a task runs, where the owner wants it: a lock that logind holds for
//! as long as we keep its descriptor open.

use tokio::sync::watch;

use crate::picture::Picture;

/// Takes and lets go of the lock as tasks come and go, for as long as the application runs.
#[cfg(target_os = "linux")]
pub(crate) async fn keep(mut picture: watch::Receiver<Picture>) {
    let mut lock = None;
    loop {
        let runs = picture.borrow_and_update().n_running > 0;
        if !runs {
            lock = None;
        } else if lock.is_none() {
            match inhibit().await {
                Ok(taken) => lock = Some(taken),
                // No logind is a normal state: nothing here puts the computer to sleep.
                Err(error) => tracing::debug!(%error, "cannot keep the computer awake"),
            }
        }
        if picture.changed().await.is_err() {
            return;
        }
    }
}

/// Asks logind not to put the computer to sleep. The lock ends with the descriptor.
#[cfg(target_os = "linux")]
async fn inhibit() -> zbus::Result<zbus::zvariant::OwnedFd> {
    let system = zbus::Connection::system().await?;
    let answer = system
        .call_method(
            Some("org.freedesktop.login1"),
            "/org/freedesktop/login1",
            Some("org.freedesktop.login1.Manager"),
            "Inhibit",
            &("sleep:idle", "Deskhand", "A task runs", "block"),
        )
        .await?;
    answer.body().deserialize()
}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn keep(mut picture: watch::Receiver<Picture>) {
    while picture.changed().await.is_ok() {}
}
