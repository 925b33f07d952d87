//! Ending a task, wherever it is.

use std::time::Duration;

use deskhand_tests::{TestCaller, TestDevice, TestRelay, relay_and_device};
use reqwest::Method;
use serde_json::json;

async fn cancel(caller: &TestCaller, id: &str) -> u16 {
    caller
        .call(Method::POST, &format!("/api/tasks/{id}/cancel"), None, &[])
        .await
        .status
}

#[tokio::test]
async fn a_running_task_is_ended() {
    let (_relay, device, caller) = relay_and_device().await;
    let waiting = {
        let (caller, command) = (
            caller.clone(),
            device.effects().append_after("running", "600"),
        );
        tokio::spawn(async move { caller.shell("running", command).await })
    };
    caller.running("running").await;
    assert_eq!(cancel(&caller, "running").await, 200);
    let answer = waiting.await.unwrap();
    assert!(answer.took < Duration::from_secs(20), "{:?}", answer.took);
    assert_eq!(
        (&answer.body["status"], &answer.body["code"]),
        (&json!("failed"), &json!("cancelled"))
    );
    assert_eq!(caller.task("running").await["status"], "cancelled");
    // Once more changes nothing.
    assert_eq!(cancel(&caller, "running").await, 200);
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn a_task_that_waits_for_its_turn_never_starts() {
    let (_relay, device, caller) = relay_and_device().await;
    for n in 0..4 {
        caller
            .shell_async(&format!("busy-{n}"), json!(["sleep", "600"]))
            .await;
    }
    caller.running("busy-3").await;
    caller
        .shell_async("waits", device.effects().append("waits"))
        .await;
    cancel(&caller, "waits").await;
    assert_eq!(caller.ended("waits").await["status"], "cancelled");
    for n in 0..4 {
        cancel(&caller, &format!("busy-{n}")).await;
        assert_eq!(
            caller.ended(&format!("busy-{n}")).await["status"],
            "cancelled"
        );
    }
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn a_task_whose_device_is_away_is_cancelled_at_once() {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await;
    let caller = relay.owner();
    caller
        .shell_async("away", device.effects().append("away"))
        .await;
    cancel(&caller, "away").await;
    assert_eq!(caller.task("away").await["status"], "cancelled");
    let device = device.started().await;
    assert_eq!(caller.echo("after", "x").await.body["status"], "completed");
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_nothing() {
    let (_relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let waiting = {
        let (caller, command) = (caller.clone(), effects.append_after("hung-up", "1"));
        tokio::spawn(async move { caller.shell("hung-up", command).await })
    };
    caller.running("hung-up").await;
    waiting.abort();
    assert_eq!(caller.ended("hung-up").await["status"], "completed");
    assert_eq!(effects.count("hung-up"), 1);
}
