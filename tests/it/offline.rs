//! Devices that are not there, and come back.

use std::time::Duration;

use deskhand_tests::{TestDevice, TestRelay, eventually, relay_and_device, task};
use serde_json::{Value, json};

#[tokio::test]
async fn an_offline_device_is_reported_within_a_second() {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await;
    let caller = relay.owner();

    let answer = caller
        .shell("nobody-home", device.effects().append("x"))
        .await;

    assert_eq!(answer.status, 503);
    assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
    assert_eq!(answer.body["status"], "failed");
    assert_eq!(answer.body["code"], "device_offline");
    assert_eq!(answer.body["device"], "desk");
    assert_eq!(answer.body["last_seen_at"], Value::Null);
    // What was refused does not run when the device comes, and its name is free.
    let device = device.started().await;
    assert_eq!(caller.echo("after", "x").await.body["status"], "completed");
    assert_eq!(device.effects().counts().len(), 0);
    assert_eq!(
        caller.echo("nobody-home", "y").await.body["status"],
        "completed"
    );
}

#[tokio::test]
async fn an_asynchronous_task_waits_for_its_device() {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await;
    let caller = relay.owner();
    let answer = caller
        .shell_async("queued", device.effects().append("queued"))
        .await;
    assert_eq!(
        (
            answer.status,
            &answer.body["status"],
            &answer.body["clients_notified"],
            &answer.body["queued"]
        ),
        (200, &json!("received"), &json!(0), &json!(true))
    );
    let device = device.started().await;
    assert_eq!(caller.ended("queued").await["status"], "completed");
    assert_eq!(device.effects().count("queued"), 1);
}

#[tokio::test]
async fn a_device_that_comes_back_in_time_answers_the_waiting_call() {
    let (_relay, mut device, caller) = relay_and_device().await;
    device.kill();
    gone(&caller).await;
    let waiting = {
        let (caller, command) = (caller.clone(), device.effects().append("back"));
        tokio::spawn(async move { caller.shell("back", command).await })
    };
    eventually("the task waits", || async {
        (caller.get("/api/tasks/back").await.status == 200).then_some(())
    })
    .await;
    device.start().await;
    let answer = waiting.await.unwrap();
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("completed")),
        "{}",
        answer.body
    );
    assert_eq!(device.effects().count("back"), 1);
}

#[tokio::test]
async fn a_device_that_does_not_come_back_is_offline_and_its_task_is_gone() {
    let (_relay, mut device, caller) = relay_and_device().await;
    device.kill();
    gone(&caller).await;
    let answer = caller
        .shell("too-late", device.effects().append("too-late"))
        .await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (503, &json!("device_offline")),
        "{}",
        answer.body
    );
    assert!(answer.took < Duration::from_secs(20), "{:?}", answer.took);
    assert!(answer.body["last_seen_at"].is_string(), "{}", answer.body);
    device.start().await;
    assert_eq!(caller.echo("after", "x").await.body["status"], "completed");
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn a_queued_task_expires() {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await;
    let caller = relay.owner();
    let mut body = task(
        true,
        "expires",
        "shell",
        json!({"command": device.effects().append("x")}),
    );
    body["data"]["on_offline"] = json!("queue");
    body["data"]["expires_in"] = json!(1);
    let answer = caller.webhook(&body).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (200, &json!("expired")),
        "{}",
        answer.body
    );
    assert_eq!(caller.task("expires").await["status"], "expired");
    let device = device.started().await;
    assert_eq!(caller.echo("after", "x").await.body["status"], "completed");
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn a_full_mailbox_says_when_to_try_again() {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await;
    let caller = relay.owner();
    for n in 0..100 {
        let answer = caller.shell_async(&format!("m-{n}"), json!(["true"])).await;
        assert_eq!(answer.status, 200);
    }
    let answer = caller
        .shell_async("m-100", device.effects().append("m-100"))
        .await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (429, &json!("mailbox_full"))
    );
    assert_eq!(answer.retry_after, Some(1));
    let _device = device.started().await;
    for n in 0..100 {
        assert_eq!(caller.ended(&format!("m-{n}")).await["status"], "completed");
    }
}

/// Waits until the relay has seen the link go.
async fn gone(caller: &deskhand_tests::TestCaller) {
    eventually("the link is down", || async {
        (caller.get("/health").await.body["connected_clients"] == 0).then_some(())
    })
    .await;
}
