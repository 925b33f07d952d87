//! The keyring in each of its states: the owner's key is in it, or it is said where else.

use std::process::{Output, Stdio};

use deskhand_tests::eventually;

use crate::{TITLE, app::command, session::Session};

/// Makes a home whose secrets belong into the keyring.
fn configure(session: &Session, secrets: &str) {
    let home = session.path("deskhand");
    std::fs::create_dir_all(&home).unwrap();
    let text = format!("secrets = \"{secrets}\"\n[relay]\nlisten = \"127.0.0.1:0\"\n");
    std::fs::write(home.join("config.toml"), text).unwrap();
}

/// Starts Deskhand without a window, has it end again, and returns what it said.
async fn up(session: &Session) -> Output {
    let ready = session.path("up.json");
    let _ = std::fs::remove_file(&ready);
    let mut command = session.command(deskhand_tests::program("deskhand"));
    let mut up = command
        .env("DESKHAND_HOME", session.path("deskhand"))
        .args(["up", "--ready-file", ready.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it is ready or has ended", || {
        let ended = up.try_wait().unwrap().is_some();
        let over = ended || ready.exists();
        async move { over.then_some(()) }
    })
    .await;
    let _ = std::process::Command::new("kill")
        .arg(up.id().to_string())
        .status();
    up.wait_with_output().unwrap()
}

fn device(session: &Session) -> String {
    std::fs::read_to_string(session.path("deskhand/identity.json")).unwrap()
}

#[tokio::test]
async fn secrets_lie_in_the_keyring_and_a_locked_one_is_told_from_none() {
    let mut session = Session::bare();
    configure(&session, "keyring");
    session.add_keyring(Some("pw")).await;
    let first = up(&session).await;
    assert!(first.status.success(), "{first:?}");
    assert!(!session.path("deskhand/secrets.json").exists());
    let known = device(&session);

    // It is found again.
    assert!(up(&session).await.status.success());
    assert_eq!(device(&session), known);

    // A session in which nobody gave the password yet.
    session.end_last();
    session.add_keyring(None).await;
    let locked = up(&session).await;
    let said = String::from_utf8(locked.stderr).unwrap();
    assert!(!locked.status.success());
    assert!(said.contains("it is locked"), "{said}");
    let (said, _) = crate::app::deskhand(&session, &["doctor"]);
    assert!(said.contains("use the keyring: it is locked"), "{said}");

    // The desktop says so, and goes on when it is unlocked.
    let mut app = command(&session).spawn().unwrap();
    session.until_windows(TITLE, 1).await;
    session.screenshot(&session.pictures().join("desktop-locked.png"));
    session.end_last();
    session.add_keyring(Some("pw")).await;
    session.press("Return").await;
    eventually("it runs", || async {
        crate::app::deskhand(&session, &["status"]).1.then_some(())
    })
    .await;
    assert_eq!(device(&session), known);
    app.kill().unwrap();
    app.wait().unwrap();
}

#[tokio::test]
async fn without_a_keyring_or_a_bus_the_secrets_lie_in_a_file_that_is_named() {
    for session in [Session::bare(), Session::without_bus()] {
        configure(&session, "auto");
        // A home that is not named would take a keyring.
        let mut command = session.command(deskhand_tests::program("deskhand"));
        let said = command
            .arg("doctor")
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains("they go into the file"), "{said}");
        assert!(said.contains("this session has no keyring"), "{said}");

        configure(&session, "keyring");
        let refused = up(&session).await;
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success());
        assert!(said.contains("keyring"), "{said}");
        assert!(!session.path("deskhand/secrets.json").exists());
    }
}
