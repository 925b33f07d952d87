//! A task id is an idempotency key: the same task never runs twice.

use deskhand_tests::{TestDevice, TestRelay, relay_and_device, task};
use serde_json::json;

#[tokio::test]
async fn the_same_id_at_once_runs_once_and_answers_everybody() {
    let (_relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (caller, command) = (caller.clone(), effects.append_after("once", "0.3"));
            tokio::spawn(async move { caller.shell("once", command).await })
        })
        .collect();
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (200, &json!("completed")),
            "{}",
            answer.body
        );
    }
    assert_eq!(effects.count("once"), 1);
}

#[tokio::test]
async fn the_same_id_later_gets_the_stored_answer() {
    let (mut relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let first = caller.shell("twice", effects.append("twice")).await;
    assert_eq!(first.body["replayed"], json!(null));
    let second = caller.shell("twice", effects.append("twice")).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.body["replayed"], true);
    assert!(second.body["completed_at"].is_string());
    assert_eq!(second.body["output"], first.body["output"]);
    assert_eq!(second.body["uid"], first.body["uid"]);
    // Asynchronously it is a receipt of the same task.
    let third = caller.shell_async("twice", effects.append("twice")).await;
    assert_eq!(
        (&third.body["uid"], &third.body["replayed"]),
        (&first.body["uid"], &json!(true))
    );
    // After a restart of the relay as well.
    relay.kill();
    relay.start_again().await;
    let fourth = caller.shell("twice", effects.append("twice")).await;
    assert_eq!(
        (&fourth.body["uid"], &fourth.body["replayed"]),
        (&first.body["uid"], &json!(true))
    );
    assert_eq!(effects.count("twice"), 1);
}

#[tokio::test]
async fn another_body_under_the_same_id_is_a_conflict() {
    let (_relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    caller.shell("one", effects.append("first")).await;
    let answer = caller.shell("one", effects.append("second")).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (409, &json!("task_id_conflict"))
    );
    assert_eq!(effects.counts().len(), 1);
}

#[tokio::test]
async fn another_caller_has_names_of_its_own() {
    let (relay, device, caller) = relay_and_device().await;
    let other = relay.caller("other", &[]);
    let effects = device.effects();
    let first = caller.shell("same", effects.append("first")).await;
    let second = other.shell("same", effects.append("second")).await;
    assert_ne!(first.body["uid"], second.body["uid"]);
    assert_eq!((effects.count("first"), effects.count("second")), (1, 1));
}

#[tokio::test]
async fn an_idempotency_key_means_the_same() {
    let (_relay, device, caller) = relay_and_device().await;
    let body = json!({"action": {"type": "shell", "command": device.effects().append("key")}});
    let headers = [("Idempotency-Key", "\"key-1\""), ("Prefer", "wait=20")];
    let first = caller
        .call(reqwest::Method::POST, "/api/tasks", Some(&body), &headers)
        .await;
    let second = caller
        .call(reqwest::Method::POST, "/api/tasks", Some(&body), &headers)
        .await;
    assert_eq!(
        (first.status, second.status),
        (200, 200),
        "{} {}",
        first.body,
        second.body
    );
    assert_eq!(first.body["uid"], second.body["uid"]);
    assert_eq!(device.effects().count("key"), 1);
}

#[tokio::test]
async fn two_devices_have_to_be_told_apart() {
    let relay = TestRelay::start().await;
    let first = TestDevice::enrol(&relay, "first").await.started().await;
    let second = TestDevice::enrol(&relay, "second").await.started().await;
    let caller = relay.owner();
    let mut body = task(true, "which", "shell", json!({"command": ["pwd"]}));
    let answer = caller.webhook(&body).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (422, &json!("device_ambiguous"))
    );
    let error = answer.body["error"].as_str().unwrap();
    assert!(
        error.contains("first") && error.contains("second"),
        "{error}"
    );
    for (id, device) in [("first", &first), ("second", &second)] {
        body["data"]["task_id"] = json!(id);
        body["data"]["device"] = json!(id);
        let answer = caller.webhook(&body).await;
        assert_eq!(
            answer.body["output"]["stdout"],
            format!("{}\n", device.workspace().display())
        );
    }
}
