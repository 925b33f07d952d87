//! A task's events, as they are stored.

use deskhand_tests::relay_and_device;
use serde_json::{Value, json};

#[tokio::test]
async fn a_task_tells_its_story_in_order() {
    let (_relay, _device, caller) = relay_and_device().await;
    caller
        .shell_async("story", json!("echo one; sleep 0.2; echo two >&2; exit 4"))
        .await;
    let text = caller.get("/api/tasks/story/events").await.body;
    let events: Vec<Value> = text
        .as_str()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|e| e["kind"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "task_accepted",
            "attempt_started",
            "output_appended",
            "output_appended",
            "attempt_finished"
        ]
    );
    let seqs: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    assert_eq!(events[2]["kind"]["preview"], "one\n");
    assert_eq!(events[3]["kind"]["stream"], "stderr");
    assert_eq!(events[4]["kind"]["outcome"]["returncode"], 4);
}
