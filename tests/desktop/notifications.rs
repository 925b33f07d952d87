//! What the owner is told, by a real notification server.

use deskhand_tests::{TestRelay, eventually};
use reqwest::Method;
use serde_json::json;

use crate::{
    TITLE,
    app::{App, Icon, configure, deskhand},
    screen::Screen,
    session::Session,
};

#[tokio::test]
async fn the_owner_is_told_once_what_ended() {
    let session = Session::full().await;
    let app = App::start(&session, &["--hidden"]).await;
    app.caller
        .shell("one", json!(["sh", "-c", "exit 3 # <b>&"]))
        .await;
    let told = eventually("a notification was shown", || async {
        let shown = session.notifications();
        (!shown.is_empty()).then_some(shown)
    })
    .await;
    assert!(told[0].0.starts_with("Failed"), "{told:?}");
    assert!(told[0].1.contains("exit code 3"), "{told:?}");
    assert!(told[0].1.contains("&lt;b&gt;&amp;"), "{told:?}");

    for n in 0..8 {
        app.caller
            .shell_async(&format!("burst-{n}"), json!(["true"]))
            .await;
    }
    for n in 0..8 {
        app.caller.ended(&format!("burst-{n}")).await;
    }
    let told = eventually("the burst was told of", || async {
        let shown = session.notifications();
        (shown.len() > 1).then_some(shown)
    })
    .await;
    assert!(told[0].0.ends_with("tasks done"), "{told:?}");
    assert!(told.len() <= 3, "{told:?}");
}

/// Has the application ask before anything runs.
async fn asking(session: &Session) -> (App, Icon) {
    let app = App::start(session, &["--hidden"]).await;
    let workspace = session.path("workspace");
    let args = [
        "workspaces",
        "add",
        workspace.to_str().unwrap(),
        "--level",
        "ask",
    ];
    let (said, done) = deskhand(session, &args);
    assert!(done, "{said}");
    let icon = Icon::find(session).await;
    icon.until_tooltip("connected").await;
    (app, icon)
}

#[tokio::test]
async fn a_question_is_reviewed_denied_and_taken_back_from_its_notification() {
    let session = Session::full().await;
    let screen = Screen::of(&session).await;
    let (app, icon) = asking(&session).await;
    app.caller
        .shell_async("first", json!(["true", "<b>first</b>"]))
        .await;
    let asked = screen.until_shown("May this run?", "&lt;b&gt;first").await;
    icon.until_tooltip("a question waits").await;
    session.screenshot(&session.pictures().join("desktop-question.png"));

    // Every program on the bus can say that a button was pressed; only the server is believed.
    let stranger = session.bus().await;
    stranger
        .emit_signal(
            None::<&str>,
            "/org/freedesktop/Notifications",
            "org.freedesktop.Notifications",
            "ActionInvoked",
            &(asked.id, "deny"),
        )
        .await
        .unwrap();
    session.press_on_notification();
    session.until_windows(TITLE, 1).await;
    let first = app.caller.task("first").await;
    assert_eq!(first["status"], "awaiting_approval", "{first}");
    let place = format!("place=\"tasks/{}\"", first["uid"].as_str().unwrap());
    app.until_logged(&session, &place).await;
    answer(&app, "first").await;

    app.caller
        .shell_async("second", json!(["true", "second"]))
        .await;
    screen.until_shown("May this run?", "second").await;
    session.deny_in_notification();
    app.caller.ended("second").await;
    assert_eq!(app.caller.task("second").await["code"], "denied");

    app.caller
        .shell_async("third", json!(["true", "third"]))
        .await;
    screen.until_shown("May this run?", "third").await;
    answer(&app, "third").await;
    screen.until_gone("third\n").await;
}

/// Allows a task from elsewhere.
async fn answer(app: &App, task: &str) {
    let path = format!("/api/tasks/{task}/approval");
    let body = json!({"answer": "once"});
    let answered = app.caller.call(Method::POST, &path, Some(&body), &[]).await;
    assert_eq!(answered.status, 200, "{}", answered.body);
}

#[tokio::test]
async fn many_questions_are_one_notification_and_quiet_hours_keep_none_back() {
    let session = Session::full().await;
    let screen = Screen::of(&session).await;
    configure(
        &session,
        "notify_success = \"all\"\nquiet_hours = \"00:00-23:59\"",
    );
    let (app, _icon) = asking(&session).await;
    for n in 0..8 {
        let name = format!("question-{n}");
        app.caller.shell_async(&name, json!(["true", name])).await;
    }
    screen.until_shown("8 questions wait for you", "").await;
    assert_eq!(screen.shown().len(), 4, "{:?}", screen.shown());
    for n in 0..8 {
        answer(&app, &format!("question-{n}")).await;
        app.caller.ended(&format!("question-{n}")).await;
    }
    eventually("all are taken back, and nothing else is told", || async {
        screen.shown().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_caller_wrote_is_text_in_notification_and_menu() {
    let session = Session::full().await;
    let screen = Screen::of(&session).await;
    let app = App::start(&session, &["--hidden"]).await;
    let icon = Icon::find(&session).await;
    let hostile = "<b>x</b>&\n\u{202e}\u{1b}]8;;http://a\u{7}_y";
    let line = format!("exit 3 # {hostile}");
    // What cannot be seen is asked about.
    app.caller
        .shell_async("hostile", json!(["sh", "-c", line]))
        .await;
    screen.until_shown("May this run?", "exit 3").await;
    answer(&app, "hostile").await;
    let failed = screen.until_shown("Failed", "exit 3").await;
    for told in screen.shown() {
        assert!(told.body.contains("&lt;b&gt;x&lt;/b&gt;&amp;"), "{told:?}");
        assert!(
            !told.body.contains(['\u{202e}', '\u{1b}', '\u{7}']),
            "{told:?}"
        );
    }
    assert!(failed.body.contains("\\u{202e}"), "{failed:?}");
    eventually("the menu lists it", || async {
        let menu = icon.menu().await;
        let (_, label) = menu.iter().find(|(_, label)| label.contains("exit 3"))?;
        assert!(label.contains("<b>x</b>& "), "{label:?}");
        let is_seen = |c: char| !c.is_control() && c != '\u{202e}';
        label.chars().all(is_seen).then_some(())
    })
    .await;
    // About as long as a command that is read.
    let long = format!("exit 4 # {}", "x".repeat(15_000));
    app.caller.shell("long", json!(["sh", "-c", long])).await;
    let told = screen.until_shown("Failed", "exit 4").await;
    assert!(told.body.chars().count() < 300, "{told:?}");
}

#[tokio::test]
async fn a_device_that_stays_offline_is_told_of() {
    let session = Session::full().await;
    let screen = Screen::of(&session).await;
    let relay = TestRelay::start().await;
    configure(&session, "offline_after = 2");
    let code = relay
        .owner()
        .call(Method::POST, "/api/pairing-codes", None, &[])
        .await;
    let code = code.body["code"].as_str().unwrap().to_owned();
    let enrol = ["enrol", "--relay", relay.url(), "--code", &code];
    let (said, done) = deskhand(&session, &enrol);
    assert!(done, "{said}");
    let config = session.path("deskhand/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let joined = format!("[relay]\nurl = \"{}\"\n", relay.url());
    std::fs::write(&config, text.replace("[relay]\n", &joined)).unwrap();
    let _app = App::start(&session, &["--hidden"]).await;
    let icon = Icon::find(&session).await;
    icon.until_tooltip("Deskhand: connected").await;
    drop(relay);
    icon.until_tooltip("reconnecting").await;
    screen.until_shown("Deskhand is offline", "").await;
}
