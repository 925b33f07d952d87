//! One task over a WebSocket, in the promised shapes.

use deskhand_tests::{TestWatcher, relay_and_device, watcher::kinds};
use reqwest::Method;
use serde_json::{Value, json};

async fn to_the_end(watcher: &mut TestWatcher) -> Vec<Value> {
    let mut all = Vec::new();
    while let Some(message) = watcher.try_hear().await {
        all.push(message);
    }
    all
}

fn events(messages: &[Value]) -> Vec<&Value> {
    let events = messages.iter().filter(|m| m["type"] == "event");
    events.map(|m| &m["data"]).collect()
}

#[tokio::test]
async fn every_connection_sees_the_whole_task() {
    let (_relay, device, caller) = relay_and_device().await;
    caller
        .shell_async(
            "one",
            json!("while [ ! -e go ]; do sleep 0.02; done; echo done"),
        )
        .await;
    let mut watchers = Vec::new();
    for _ in 0..5 {
        watchers.push(TestWatcher::open(&caller, "/ws/tasks/one").await);
    }
    for watcher in &mut watchers {
        let connected = watcher.hear().await;
        assert_eq!(connected["type"], "connected");
        assert_eq!(connected["data"]["task_id"], "one");
        assert_eq!(watcher.hear().await["type"], "state");
    }
    caller.running("one").await;
    std::fs::write(device.workspace().join("go"), "").unwrap();
    let mut first: Option<Vec<Value>> = None;
    for watcher in &mut watchers {
        let all = to_the_end(watcher).await;
        let seen: Vec<Value> = events(&all).into_iter().cloned().collect();
        let first = first.get_or_insert_with(|| seen.clone());
        assert_eq!(*first, seen);
        let last = all.last().unwrap();
        assert_eq!(last["type"], "state");
        assert_eq!(last["data"]["status"], "SUCCEEDED");
        assert_eq!(last["data"]["progress"], 1.0);
        assert_eq!(last["data"]["final_result"]["output"]["stdout"], "done\n");
        assert_eq!(last["data"]["error_message"], Value::Null);
    }
    let first = first.unwrap();
    let types: Vec<&str> = first
        .iter()
        .map(|e| e["event_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "task_accepted",
            "attempt_started",
            "output_appended",
            "attempt_finished"
        ]
    );
    let output = &first[2];
    assert_eq!(output["payload"]["preview"], "done\n");
    assert_eq!(output["agent_role"], "shell");

    // Later, and from a place on.
    let mut later = TestWatcher::open(&caller, "/ws/tasks/one").await;
    let all = to_the_end(&mut later).await;
    assert_eq!(
        kinds(&all),
        ["connected", "state", "event", "event", "event", "event"]
    );
    assert_eq!(all[1]["data"]["status"], "SUCCEEDED");
    let path = format!("/ws/tasks/one?since_event_id={}", first[1]["event_id"]);
    let all = to_the_end(&mut TestWatcher::open(&caller, &path).await).await;
    assert_eq!(events(&all), first[2..].iter().collect::<Vec<_>>());
    let mut polite = TestWatcher::open(&caller, "/ws/tasks/one").await;
    assert_eq!(polite.closed().await, 1000);
}

#[tokio::test]
async fn an_unknown_task_is_an_error_and_a_close() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut watcher = TestWatcher::open(&caller, "/ws/tasks/nobody").await;
    let error = watcher.hear().await;
    assert_eq!(error["type"], "error");
    assert!(
        error["data"]["message"]
            .as_str()
            .unwrap()
            .contains("nobody")
    );
    assert_eq!(watcher.closed().await, 1008);
}

#[tokio::test]
async fn a_task_can_wait_for_its_first_watcher() {
    let (_relay, device, caller) = relay_and_device().await;
    let held = |name: &str| {
        json!({"task_id": name, "start": "on_connect",
               "action": {"type": "shell", "command": device.effects().append(name)}})
    };
    for name in ["watched", "started", "never"] {
        let answer = caller
            .call(Method::POST, "/api/tasks", Some(&held(name)), &[])
            .await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    // A task behind them would have run by the time an echo is answered.
    caller.echo("after", "x").await;
    assert_eq!(device.effects().counts().len(), 0);
    assert_eq!(caller.task("watched").await["status"], "pending");

    let mut watcher = TestWatcher::open(&caller, "/ws/tasks/watched").await;
    let all = to_the_end(&mut watcher).await;
    assert_eq!(all[1]["data"]["status"], "PENDING");
    assert_eq!(all.last().unwrap()["data"]["status"], "SUCCEEDED");
    let run = caller
        .call(Method::POST, "/api/tasks/started/run", None, &[])
        .await;
    assert_eq!(run.status, 200);
    caller.ended("started").await;
    let stopped = caller
        .call(Method::POST, "/api/tasks/never/stop", None, &[])
        .await;
    assert_eq!(stopped.body["status"], "cancelled");
    let cancelled = to_the_end(&mut TestWatcher::open(&caller, "/ws/tasks/never").await).await;
    assert_eq!(cancelled[1]["data"]["status"], "CANCELLED");
    assert_eq!(device.effects().counts().len(), 2);
    device.effects().assert_none_twice();
}

#[tokio::test]
async fn states_are_said_in_the_promised_words() {
    let (_relay, _device, caller) = relay_and_device().await;
    caller.shell("bad", json!("exit 3")).await;
    let all = to_the_end(&mut TestWatcher::open(&caller, "/ws/tasks/bad").await).await;
    let state = &all[1]["data"];
    assert_eq!(state["status"], "FAILED");
    assert_eq!(state["error_message"], "it ended with exit code 3");
    caller.shell("wrong", json!(["/no/such/program"])).await;
    let all = to_the_end(&mut TestWatcher::open(&caller, "/ws/tasks/wrong").await).await;
    assert_eq!(all[1]["data"]["status"], "FAILED");
}
