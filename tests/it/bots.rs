//! The doors of the systems before, a paused device, and what a device is asked over its link.

use deskhand_tests::{TestDevice, TestRelay, relay_and_device, task};
use reqwest::Method;
use serde_json::{Value, json};

fn fields(body: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields
}

#[tokio::test]
async fn a_command_is_queued_in_the_promised_shape() {
    let (_relay, _device, caller) = relay_and_device().await;
    let body = json!({"task_id": "old", "command": "echo hello", "priority": "immediate"});
    let answer = caller
        .call(Method::POST, "/api/task", Some(&body), &[])
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(
        fields(&answer.body),
        ["message", "status", "task_id", "timestamp"]
    );
    assert_eq!(
        (&answer.body["status"], &answer.body["task_id"]),
        (&json!("queued"), &json!("old"))
    );
    assert_eq!(
        caller.ended("old").await["result"]["output"]["stdout"],
        "hello\n"
    );
    for command in [json!(""), json!([]), Value::Null] {
        let body = json!({"command": command});
        let answer = caller
            .call(Method::POST, "/api/task", Some(&body), &[])
            .await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    let status = caller.get("/status").await.body;
    assert_eq!(
        fields(&status),
        [
            "bot_id",
            "current_task",
            "port",
            "queue_size",
            "status",
            "tasks_processed",
            "timestamp",
            "uptime_seconds",
            "websocket_connected"
        ]
    );
    assert_eq!(status["status"], "idle");
    assert_eq!(status["tasks_processed"], 1);
    assert_eq!(status["websocket_connected"], true);
}

#[tokio::test]
async fn a_paused_device_gets_nothing_until_it_is_resumed() {
    let (_relay, device, caller) = relay_and_device().await;
    let paused = caller
        .call(Method::POST, "/api/bot/desk/pause", None, &[])
        .await;
    assert_eq!(fields(&paused.body), ["bot_id", "status", "timestamp"]);
    assert_eq!(paused.body["status"], "paused");
    assert_eq!(caller.get("/status").await.body["status"], "paused");
    assert_eq!(
        caller.get("/api/devices/desk").await.body["status"],
        "paused"
    );

    let refused = caller.shell("now", json!("true")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(
        (&refused.body["status"], &refused.body["code"]),
        (&json!("failed"), &json!("device_paused"))
    );
    let mut body = task(
        false,
        "later",
        "shell",
        json!({"command": device.effects().append("later")}),
    );
    body["data"]["on_offline"] = json!("queue");
    let queued = caller.webhook(&body).await;
    assert_eq!((queued.status, &queued.body["queued"]), (200, &json!(true)));
    assert_eq!(caller.task("later").await["status"], "pending");

    let resumed = caller
        .call(Method::POST, "/api/devices/desk/resume", None, &[])
        .await;
    assert_eq!(resumed.body["status"], "online");
    assert_eq!(caller.ended("later").await["status"], "completed");
    assert_eq!(device.effects().count("later"), 1);
}

#[tokio::test]
async fn only_an_administrator_pauses() {
    let relay = TestRelay::start().await;
    let _device = TestDevice::enrol(&relay, "desk").await;
    let sees = relay.caller("sees", &["--scope", "devices:read"]);
    for path in [
        "/api/bot/desk/pause",
        "/api/devices/desk/pause",
        "/api/devices/desk/resume",
    ] {
        assert_eq!(
            sees.call(Method::POST, path, None, &[]).await.status,
            403,
            "{path}"
        );
    }
    for request in ["pause", "resume"] {
        let body = json!({"type": request});
        let path = "/api/device-requests/desk";
        let answer = sees.call(Method::POST, path, Some(&body), &[]).await;
        assert_eq!(answer.status, 403, "{request}");
    }
    assert_eq!(
        sees.get("/api/devices/desk").await.body["status"],
        "offline"
    );
}

#[tokio::test]
async fn a_device_answers_over_its_link() {
    let (relay, mut device, caller) = relay_and_device().await;
    let ask = async |request: Value| {
        caller
            .call(
                Method::POST,
                "/api/device-requests/desk",
                Some(&request),
                &[],
            )
            .await
    };
    caller.echo("one", "x").await;
    let listed = ask(json!({"type": "list_tasks"})).await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert_eq!(listed.body["tasks"][0]["task_id"], "one");
    let local = ask(json!({"type": "clear_tasks"})).await;
    assert_eq!(
        (local.status, &local.body["code"]),
        (403, &json!("local_only"))
    );
    assert_eq!(ask(json!({"type": "dance"})).await.status, 400);
    let runs = relay.caller("runs", &["--scope", "tasks:run"]);
    let body = json!({"type": "status"});
    let refused = runs
        .call(Method::POST, "/api/device-requests/desk", Some(&body), &[])
        .await;
    assert_eq!(refused.status, 403);
    device.terminate().await;
    assert_eq!(ask(json!({"type": "status"})).await.status, 503);
}

#[tokio::test]
async fn short_forms_of_a_task_are_read() {
    let (_relay, _device, caller) = relay_and_device().await;
    let body = json!({"command": "echo short", "title": "A short one"});
    let answer = caller
        .call(
            Method::POST,
            "/api/tasks",
            Some(&body),
            &[("prefer", "wait=30")],
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["result"]["output"]["stdout"], "short\n");
    let body = json!({"input_prompt": "tidy up"});
    let answer = caller
        .call(Method::POST, "/api/tasks", Some(&body), &[])
        .await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (422, &json!("unsupported_action"))
    );
    for (q, n) in [("SHORT ONE", 1), ("echo sh", 1), ("elsewhere", 0)] {
        let found = caller
            .get(&format!("/api/tasks?q={}", q.replace(' ', "%20")))
            .await;
        assert_eq!(found.body["tasks"].as_array().unwrap().len(), n, "{q}");
    }
}
