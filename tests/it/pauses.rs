//! A pause is the device's own state, whoever asks for it, and outlives both programs.

use deskhand_tests::{TestCaller, TestDevice, TestRelay, eventually, relay_and_device};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(caller: &TestCaller, path: &str) -> Value {
    let answer = caller.call(Method::POST, path, None, &[]).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

/// Waits until the relay shows its device so.
async fn shown(caller: &TestCaller, status: &str) {
    eventually(&format!("the device is {status}"), || async {
        // The relay may have been started again a moment ago.
        let shown = caller.try_call(Method::GET, "/api/devices/desk", None, &[]);
        (shown.await.ok()?.body["status"] == status).then_some(())
    })
    .await;
}

fn says_paused(device: &TestDevice) -> bool {
    device.cli_json(&["status"])["device"]["paused"] == true
}

/// Ends both programs as a power cut would, and starts them again.
async fn restart(relay: &mut TestRelay, device: &mut TestDevice) {
    relay.kill();
    device.kill();
    relay.start_again().await;
    device.start().await;
}

#[tokio::test]
async fn a_device_that_is_paused_from_afar_says_so_itself_and_its_owner_resumes_it() {
    let (mut relay, mut device, caller) = relay_and_device().await;
    let paused = post(&caller, "/api/bot/desk/pause").await;
    assert_eq!(paused["status"], "paused");
    assert!(says_paused(&device), "when the answer is there it is");
    assert_eq!(caller.get("/status").await.body["status"], "paused");
    restart(&mut relay, &mut device).await;
    assert!(says_paused(&device));
    shown(&caller, "paused").await;

    let resumed = device.cli_json(&["devices", "resume"]);
    assert_eq!(resumed, json!({"paused": false}));
    shown(&caller, "online").await;
    assert_eq!(caller.get("/status").await.body["status"], "idle");
    restart(&mut relay, &mut device).await;
    shown(&caller, "online").await;
    assert!(!says_paused(&device), "nobody asked again");
}

#[tokio::test]
async fn a_device_that_its_owner_paused_is_shown_so_and_resumed_from_afar() {
    let (mut relay, mut device, caller) = relay_and_device().await;
    device.cli_json(&["devices", "pause"]);
    shown(&caller, "paused").await;
    assert_eq!(caller.get("/status").await.body["status"], "paused");
    restart(&mut relay, &mut device).await;
    shown(&caller, "paused").await;

    let resumed = post(&caller, "/api/devices/desk/resume").await;
    assert_eq!(resumed["status"], "online");
    assert!(!says_paused(&device));
    restart(&mut relay, &mut device).await;
    shown(&caller, "online").await;
}

#[tokio::test]
async fn a_device_that_is_away_is_paused_as_soon_as_it_is_back() {
    let (mut relay, mut device, caller) = relay_and_device().await;
    device.terminate().await;
    assert_eq!(
        post(&caller, "/api/bot/desk/pause").await["status"],
        "paused"
    );
    // What is wished for outlives the relay.
    relay.kill();
    relay.start_again().await;
    let away = caller.get("/api/devices/desk").await.body;
    assert_ne!(away["status"], "paused", "nobody has asked it yet");
    assert!(
        away["reason"]
            .as_str()
            .unwrap()
            .contains("paused as soon as")
    );
    let refused = caller.shell("now", json!("true")).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (503, &json!("device_paused"))
    );
    let queued = caller
        .shell_async("later", device.effects().append("later"))
        .await;
    assert_eq!((queued.status, &queued.body["queued"]), (200, &json!(true)));

    device.start().await;
    shown(&caller, "paused").await;
    assert!(says_paused(&device));
    assert_eq!(device.effects().count("later"), 0);

    // It was asked once: what its owner says later holds.
    device.cli_json(&["devices", "resume"]);
    assert_eq!(caller.ended("later").await["status"], "completed");
    restart(&mut relay, &mut device).await;
    shown(&caller, "online").await;
    assert!(!says_paused(&device));
}

#[tokio::test]
async fn a_device_that_is_away_takes_tasks_again_when_it_is_back_as_was_wished_last() {
    let (_relay, mut device, caller) = relay_and_device().await;
    device.cli_json(&["devices", "pause"]);
    shown(&caller, "paused").await;
    device.terminate().await;
    shown(&caller, "reconnecting").await;
    post(&caller, "/api/devices/desk/pause").await;
    post(&caller, "/api/devices/desk/resume").await;
    caller
        .shell_async("later", device.effects().append("later"))
        .await;
    device.start().await;
    assert_eq!(caller.ended("later").await["status"], "completed");
    assert!(!says_paused(&device));
}
