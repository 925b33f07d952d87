//! A shell task leaves no process behind, however it ends.

use deskhand_tests::{eventually, relay_and_device, task};
use reqwest::Method;
use serde_json::json;

/// A command whose processes carry a mark in their arguments: a child, a daemon in a session of its
/// own, and one that ignores polite signals.
fn tree(mark: &str, end: &str) -> serde_json::Value {
    json!([
        "sh",
        "-c",
        format!(
            "sleep 7{mark} & \
         setsid sh -c 'sleep 8{mark} & sleep 9{mark}' >/dev/null 2>&1 </dev/null & \
         (trap '' TERM; while :; do sleep 6{mark}; done) & \
         touch begun-{mark}; {end}"
        )
    ])
}

/// Processes with the mark in their arguments.
fn marked(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if command.starts_with("sleep\0") && command.contains(mark) {
            found.push(format!("{} {command}", entry.file_name().display()));
        }
    }
    found
}

async fn none_left(mark: &str) {
    eventually("no process of the task is left", || {
        let left = marked(mark);
        async move { left.is_empty().then_some(()) }
    })
    .await;
}

#[tokio::test]
async fn when_it_is_cancelled() {
    let (_relay, device, caller) = relay_and_device().await;
    let mark = "71301.25";
    caller.shell_async("tree", tree(mark, "wait")).await;
    begun(&device.workspace(), mark).await;
    caller
        .call(Method::POST, "/api/tasks/tree/cancel", None, &[])
        .await;
    assert_eq!(caller.ended("tree").await["status"], "cancelled");
    none_left(mark).await;
}

#[tokio::test]
async fn when_it_runs_too_long() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mark = "71302.25";
    let params = json!({"command": tree(mark, "wait"), "timeout": 1});
    let answer = caller.webhook(&task(true, "tree", "shell", params)).await;
    assert_eq!(answer.body["code"], "timed_out", "{}", answer.body);
    none_left(mark).await;
}

#[tokio::test]
async fn when_it_ends_and_leaves_daemons() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mark = "71303.25";
    let answer = caller.shell("tree", tree(mark, "exit 0")).await;
    assert_eq!(answer.body["output"]["returncode"], 0, "{}", answer.body);
    none_left(mark).await;
}

#[tokio::test]
async fn when_its_agent_is_killed() {
    let (_relay, mut device, caller) = relay_and_device().await;
    let mark = "71304.25";
    caller.shell_async("tree", tree(mark, "wait")).await;
    begun(&device.workspace(), mark).await;
    device.kill();
    none_left(mark).await;
}

#[tokio::test]
async fn it_inherits_nothing_of_its_agent() {
    let (_relay, device, caller) = relay_and_device().await;
    let answer = caller
        .shell(
            "fds",
            json!("ls /proc/self/fd | wc -l; env; ls -l /proc/self/fd"),
        )
        .await;
    let stdout = answer.body["output"]["stdout"].as_str().unwrap();
    for secret in ["DESKHAND", "agent.db", "relay.db", "dd_"] {
        assert!(!stdout.contains(secret), "{secret} in {stdout}");
    }
    // Standard input, output, error, and the directory that ls reads.
    assert!(stdout.starts_with("4\n"), "{stdout}");
    assert!(
        stdout.contains(&format!("PWD={}\n", device.workspace().display())),
        "{stdout}"
    );
}

async fn begun(workspace: &std::path::Path, mark: &str) {
    let file = workspace.join(format!("begun-{mark}"));
    eventually("the processes are there", || {
        let there = file.exists() && marked(mark).len() >= 4;
        async move { there.then_some(()) }
    })
    .await;
}
