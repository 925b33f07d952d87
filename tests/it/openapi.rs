//! What the relay says of itself: its description, its metrics, its request ids.

use deskhand_tests::{TestWatcher, relay_and_device};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_description_is_what_it_was() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut description = caller.get("/openapi.json").await.body;
    assert_eq!(description["openapi"], "3.1.0");
    description["info"]["version"] = json!("[version]");
    insta::assert_json_snapshot!("openapi", description);
}

#[tokio::test]
async fn every_schema_that_is_named_is_there() {
    let (_relay, _device, caller) = relay_and_device().await;
    let description = caller.get("/openapi.json").await.body;
    let mut named = Vec::new();
    references(&description, &mut named);
    assert!(named.len() > 50);
    for name in named {
        let path = name.strip_prefix("#").unwrap();
        assert!(description.pointer(path).is_some(), "{name}");
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_for_people_names_every_address() {
    let (_relay, _device, caller) = relay_and_device().await;
    let page = caller.get("/docs").await.body;
    let page = page.as_str().unwrap();
    let description = caller.get("/openapi.json").await.body;
    for path in description["paths"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
}

#[tokio::test]
async fn what_happened_is_counted() {
    let (relay, _device, caller) = relay_and_device().await;
    let _watcher = TestWatcher::subscribed(&caller, "desk", json!({})).await;
    caller.echo("one", "x").await;
    caller.shell("two", json!(["/no/such/program"])).await;
    let text = caller.get("/metrics").await.body;
    let text = text.as_str().unwrap();
    for line in [
        "deskhand_devices_connected 1",
        "deskhand_watchers 1",
        "deskhand_tasks_open 0",
        "deskhand_tasks_waiting 0",
        "deskhand_device_sessions_total 1",
        "deskhand_timeline_gaps_total 0",
        "deskhand_tasks_ended_total{status=\"completed\",action=\"echo\",source=\"relay\"} 1",
        "deskhand_tasks_ended_total{status=\"failed\",action=\"shell\",source=\"relay\"} 1",
        "deskhand_task_duration_seconds_count{action=\"echo\"} 1",
        "deskhand_caller_wait_seconds_count 2",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    let runs = relay.caller("runs", &["--scope", "tasks:run"]);
    assert_eq!(runs.get("/metrics").await.status, 403);
    let some = relay.caller("some", &["--scope", "devices:read", "--device", "desk"]);
    assert_eq!(some.get("/metrics").await.status, 403);
}

#[tokio::test]
async fn a_request_id_goes_to_the_device_and_back() {
    let (relay, device, caller) = relay_and_device().await;
    let body = json!({"action": {"type": "echo", "text": "x"}});
    let headers = [("x-request-id", "trace-me-7"), ("prefer", "wait=30")];
    caller
        .call(Method::POST, "/api/tasks", Some(&body), &headers)
        .await;
    let has = |log: String, what: &str| {
        log.lines()
            .any(|line| line.contains(what) && line.contains("trace-me-7"))
    };
    assert!(has(device.program().log(), "task received"));
    assert!(has(relay.program().log(), "task ended"));

    let http = reqwest::Client::new();
    let health = |id: &'static str| {
        let request = http.get(format!("{}/health", caller.url()));
        let request = if id.is_empty() {
            request
        } else {
            request.header("x-request-id", id)
        };
        async {
            request.send().await.unwrap().headers()["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned()
        }
    };
    assert_eq!(health("mine").await, "mine");
    assert_eq!(health("").await.len(), 36, "one of ours");
    assert_eq!(health("not one").await.len(), 36, "one of ours");
}
