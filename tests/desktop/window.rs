//! The window, and how the application is started.

use std::process::Stdio;

use deskhand_tests::eventually;
use serde_json::json;

use crate::{
    TITLE,
    app::{App, Icon, command},
    session::Session,
};

#[tokio::test]
async fn a_link_shows_its_task_and_a_hidden_launch_nothing() {
    let session = Session::full().await;
    let app = App::start(&session, &["--hidden"]).await;
    app.caller.shell("linked", json!(["true"])).await;
    let task = app.caller.task("linked").await;
    let uid = task["uid"].as_str().unwrap();

    assert!(
        command(&session)
            .arg("--hidden")
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(session.n_windows(TITLE), 0);
    let link = format!("deskhand://task/{uid}");
    assert!(command(&session).arg(link).status().unwrap().success());
    session.until_windows(TITLE, 1).await;
    app.until_logged(&session, &format!("place=\"tasks/{uid}\""))
        .await;
    assert!(
        !command(&session)
            .arg("deskhand://run/ls")
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn the_window_comes_back_as_large_as_it_was() {
    let session = Session::full().await;
    let _app = App::start(&session, &[]).await;
    session.until_windows(TITLE, 1).await;
    let icon = Icon::find(&session).await;
    session.resize(TITLE, [830, 590]).await;
    session.close(TITLE).await;
    session.until_windows(TITLE, 0).await;
    icon.click().await;
    session.until_windows(TITLE, 1).await;
    session.until_size(TITLE, [830, 590]).await;
}

#[tokio::test]
async fn where_no_tray_is_a_hidden_start_shows_itself_and_closing_asks_once() {
    let session = Session::bare();
    let app = App::start(&session, &["--hidden"]).await;
    session.until_windows(TITLE, 1).await;
    session.close(TITLE).await;
    session.until_windows(TITLE, 2).await;
    session.press("Return").await;
    session.until_windows(TITLE, 0).await;
    let done = app.caller.shell("closed", json!(["true"])).await;
    assert_eq!(done.body["status"], "completed");
    assert!(command(&session).status().unwrap().success());
    session.until_windows(TITLE, 1).await;
    session.close(TITLE).await;
    session.until_windows(TITLE, 0).await;
}

#[tokio::test]
async fn it_starts_at_login_where_the_owner_says_so() {
    let session = Session::full().await;
    let _app = App::start(&session, &["--hidden"]).await;
    let icon = Icon::find(&session).await;
    let entry = session.path(".config/autostart/Deskhand.desktop");
    icon.choose("Start at login").await;
    let text = eventually("there is an entry", || async {
        std::fs::read_to_string(&entry)
            .ok()
            .filter(|text| text.contains("Exec="))
    })
    .await;
    let exec = text.lines().find(|line| line.starts_with("Exec=")).unwrap();
    assert!(exec.contains("deskhand-app --hidden --home="), "{exec}");
    icon.choose("Start at login").await;
    eventually("it is gone", || async { (!entry.exists()).then_some(()) }).await;
}

/// Stands for logind: counts the locks that are held.
struct Logind {
    locks: std::sync::Mutex<Vec<std::os::unix::net::UnixStream>>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Logind {
    fn inhibit(&self, what: &str, _who: &str, _why: &str, mode: &str) -> zbus::zvariant::OwnedFd {
        assert_eq!((what, mode), ("sleep:idle", "block"));
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        self.locks.lock().unwrap().push(ours);
        std::os::fd::OwnedFd::from(theirs).into()
    }
}

#[tokio::test]
async fn the_computer_stays_awake_while_a_task_runs() {
    let mut session = Session::full().await;
    let system = session.add_system_bus().await;
    let locks = std::sync::Mutex::default();
    let path = "/org/freedesktop/login1";
    system
        .object_server()
        .at(path, Logind { locks })
        .await
        .unwrap();
    system.request_name("org.freedesktop.login1").await.unwrap();
    let logind = system
        .object_server()
        .interface::<_, Logind>(path)
        .await
        .unwrap();
    let n_held = || async {
        let logind = logind.get().await;
        let mut locks = logind.locks.lock().unwrap();
        // A lock that was let go of is at its end; one that is held has nothing to read yet.
        locks.retain(|mut lock| std::io::Read::read(&mut lock, &mut [0]).is_err());
        locks.len()
    };

    let app = App::start(&session, &["--hidden"]).await;
    assert_eq!(n_held().await, 0);
    app.caller
        .shell_async("long", json!(["sleep", "600"]))
        .await;
    eventually("a lock is held", || async {
        (n_held().await == 1).then_some(())
    })
    .await;
    Icon::find(&session)
        .await
        .choose("Cancel the running task")
        .await;
    eventually("it is let go of", || async {
        (n_held().await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_said_in_a_dialogue() {
    let session = Session::bare();
    let home = session.path("deskhand");
    std::fs::create_dir_all(&home).unwrap();
    let config = home.join("config.toml");
    std::fs::write(&config, "[relay]\nlisten = \"127.0.0.1:0\"\nlissen = 1\n").unwrap();
    let mut app = command(&session).stderr(Stdio::null()).spawn().unwrap();
    session.until_windows(TITLE, 1).await;
    session.screenshot(&session.pictures().join("desktop-trouble.png"));
    std::fs::write(&config, "[relay]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    session.press("Return").await;
    let (_, shown) = eventually("it runs", || async {
        let ran = crate::app::deskhand(&session, &["status"]);
        ran.1.then_some(ran)
    })
    .await;
    assert!(shown);
    session.until_windows(TITLE, 1).await;
    app.kill().unwrap();
    app.wait().unwrap();
}
