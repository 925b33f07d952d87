//! The real desktop application on a real desktop: display, session bus, panel, notification server.
//!
//! Run by `cargo xtask desktop-test`, which builds the application and installs nothing.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

#[allow(dead_code, reason = "the benchmark asks for more")]
mod app;
mod keyring;
mod notifications;
#[allow(dead_code, reason = "the benchmark asks for more")]
mod screen;
mod session;
mod window;

use deskhand_tests::eventually;
use serde_json::json;

use crate::{
    app::{App, Icon, command},
    session::Session,
};

pub(crate) const TITLE: &str = "^Deskhand$";

#[tokio::test]
async fn the_icon_says_how_it_is_and_lists_what_was_done() {
    let session = Session::full().await;
    let mut app = App::start(&session, &["--hidden"]).await;
    let icon = Icon::find(&session).await;
    icon.until_tooltip("Deskhand: connected").await;
    assert_eq!(session.n_windows(TITLE), 0);

    app.caller.shell("worked", json!(["true"])).await;
    app.caller.shell("broke", json!(["false"])).await;
    eventually("the menu lists both", || async {
        let menu: Vec<String> = icon
            .menu()
            .await
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        let has = |text: &str| menu.iter().any(|line| line == text);
        (has("✓ true") && has("✗ false")).then_some(())
    })
    .await;

    app.caller
        .shell_async("long", json!(["sleep", "600"]))
        .await;
    icon.until_tooltip("1 running").await;
    icon.choose("Cancel the running task").await;
    app.caller.ended("long").await;
    assert_eq!(app.caller.task("long").await["status"], "cancelled");

    icon.choose("Quit").await;
    assert!(app.ended().await);
}

#[tokio::test]
async fn pausing_from_the_tray_holds_for_callers() {
    let session = Session::full().await;
    let app = App::start(&session, &["--hidden"]).await;
    let icon = Icon::find(&session).await;
    icon.choose("Pause").await;
    icon.until_tooltip("paused").await;
    let refused = app.caller.shell("paused", json!(["true"])).await;
    assert_eq!(refused.body["code"], "device_paused", "{}", refused.body);
    icon.choose("Resume").await;
    icon.until_tooltip("connected").await;
    let done = app.caller.shell("resumed", json!(["true"])).await;
    assert_eq!(done.body["status"], "completed", "{}", done.body);
}

#[tokio::test]
async fn closing_the_window_leaves_the_icon_and_a_second_launch_shows_it_again() {
    let session = Session::full().await;
    let mut app = App::start(&session, &[]).await;
    session.until_windows(TITLE, 1).await;
    let icon = Icon::find(&session).await;
    icon.until_tooltip("connected").await;
    session.close(TITLE).await;
    session.until_windows(TITLE, 0).await;
    let done = app.caller.shell("closed", json!(["true"])).await;
    assert_eq!(done.body["status"], "completed");

    icon.click().await;
    session.until_windows(TITLE, 1).await;
    session.close(TITLE).await;
    session.until_windows(TITLE, 0).await;
    let second = command(&session).status().unwrap();
    assert!(second.success());
    session.until_windows(TITLE, 1).await;
    app.terminate();
    assert!(app.ended().await);
}

#[tokio::test]
async fn without_tray_and_notifications_everything_else_works() {
    let mut session = Session::bare();
    let mut app = App::start(&session, &[]).await;
    session.until_windows(TITLE, 1).await;
    let done = app.caller.shell("failing", json!(["false"])).await;
    assert_eq!(done.body["status"], "completed");
    // The icon comes when there is a tray for it.
    session.add_panel().await;
    let icon = Icon::find(&session).await;
    icon.until_tooltip("connected").await;
    app.terminate();
    assert!(app.ended().await);
}

#[tokio::test]
async fn it_attaches_to_what_runs_already() {
    let session = Session::full().await;
    let home = session.path("deskhand");
    std::fs::create_dir_all(&home).unwrap();
    let workspace = session.path("workspace");
    let workspace = workspace.to_str().unwrap();
    let args = ["up", "--listen", "127.0.0.1:0", "--workspace", workspace];
    let (headless, said) = deskhand_tests::Program::start(&home, args).await;
    let mut app = App::start(&session, &["--hidden"]).await;
    let icon = Icon::find(&session).await;
    icon.until_tooltip("connected").await;
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    let caller = deskhand_tests::TestCaller::new(&text("relay_url"), &text("api_key"));
    caller.shell("seen", json!(["true"])).await;
    eventually("the menu lists it", || async {
        let menu = icon.menu().await;
        menu.iter().any(|(_, line)| line == "✓ true").then_some(())
    })
    .await;
    icon.choose("Quit").await;
    assert!(app.ended().await);
    let done = caller.shell("still", json!(["true"])).await;
    assert_eq!(done.body["status"], "completed");
    headless.terminate().await;
}

#[tokio::test]
async fn the_window_shows_the_viewer() {
    let session = Session::full().await;
    let app = App::start(&session, &[]).await;
    session.until_windows(TITLE, 1).await;
    Icon::find(&session).await.until_tooltip("connected").await;
    app.caller.shell("failing", json!(["false"])).await;
    session.until_painted().await;
    session.screenshot(&session.pictures().join("desktop.png"));
}
