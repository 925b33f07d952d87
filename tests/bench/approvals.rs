//! How long a question takes: from asking for a task to a watcher of the timeline, and from the answer to the
//! end of the task.

use std::time::{Duration, Instant};

use deskhand_tests::{TestDevice, TestRelay, TestWatcher};
use reqwest::Method;
use serde_json::json;

use crate::figures::print_percentiles;

pub(crate) async fn measure(n_questions: u32) {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await.started().await;
    let workspace = device.workspace();
    let args = [
        "workspaces",
        "add",
        workspace.to_str().unwrap(),
        "--level",
        "ask",
    ];
    assert!(device.cli(&args).status.success());
    // A look counts as somebody being there.
    device.cli_json(&["approvals", "list"]);
    let caller = relay.owner();
    let mut watcher = TestWatcher::subscribed(&caller, "desk", json!({})).await;
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    for n in 0..n_questions {
        let name = format!("question-{n}");
        let began = Instant::now();
        caller.shell_async(&name, json!(["true", name])).await;
        asked.push(until(&mut watcher, "approval_requested", began).await);
        let path = format!("/api/tasks/{name}/approval");
        let body = json!({"answer": "once"});
        let began = Instant::now();
        let answer = caller.call(Method::POST, &path, Some(&body), &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answered.push(until(&mut watcher, "task_completed", began).await);
    }
    print_percentiles("asked for, question at a watcher", asked);
    print_percentiles("answered, end at a watcher", answered);
}

async fn until(watcher: &mut TestWatcher, kind: &str, began: Instant) -> Duration {
    loop {
        if watcher.hear().await["type"] == kind {
            return began.elapsed();
        }
    }
}
