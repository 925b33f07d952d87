//! The promised answers of `/webhook`.

use std::time::Duration;

use deskhand_tests::{TestRepo, relay_and_device, task};
use serde_json::json;

#[tokio::test]
async fn a_git_status_is_answered_in_the_same_response() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));

    let answer = caller
        .git("git_status_001", &["git", "status"], repo.dir())
        .await;

    assert_eq!(answer.status, 200);
    let body = &answer.body;
    assert_eq!(body["output"]["stdout"], repo.git(&["status"]));
    assert!(body["execution_time_ms"].is_u64(), "{body}");
    let promised = json!({
        "status": body["status"], "task_id": body["task_id"], "clients_notified": body["clients_notified"],
        "error": body["error"], "code": body["code"], "engine": body["engine"],
        "success": body["output"]["success"], "stderr": body["output"]["stderr"],
        "returncode": body["output"]["returncode"],
    });
    assert_eq!(
        promised,
        json!({"status": "completed", "task_id": "git_status_001", "clients_notified": 1,
               "error": null, "code": null, "engine": "native",
               "success": true, "stderr": "", "returncode": 0}),
    );
}

#[tokio::test]
async fn git_answers_what_git_prints() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    let commands: &[&[&str]] = &[
        &["status", "--short"],
        &["status", "--porcelain", "--branch"],
        &["log"],
        &["log", "--oneline", "-5"],
        &["log", "--format=%H %an %s"],
        &["diff"],
        &["diff", "--cached"],
        &["diff", "--stat"],
        &["show", "--stat"],
        &["show", "HEAD:README.md"],
        &["branch"],
        &["branch", "--show-current"],
        &["rev-parse", "HEAD"],
        &["rev-parse", "--show-toplevel"],
    ];
    for (n, command) in commands.iter().enumerate() {
        let argv = [&["git"], *command].concat();
        let answer = caller.git(&format!("git-{n}"), &argv, repo.dir()).await;
        assert_eq!(
            answer.body["output"]["stdout"],
            repo.git(command),
            "{argv:?}: {}",
            answer.body
        );
        assert_eq!(answer.body["engine"], "native", "{argv:?}");
    }
}

#[tokio::test]
async fn a_command_that_fails_is_completed_with_its_exit_code() {
    let (_relay, device, caller) = relay_and_device().await;
    let dir = device.workspace();
    let answer = caller
        .shell(
            "exit-3",
            json!(["sh", "-c", "echo out; echo err >&2; exit 3"]),
        )
        .await;
    assert_eq!(answer.body["status"], "completed");
    assert_eq!(
        answer.body["output"],
        json!({"success": false, "stdout": "out\n", "stderr": "err\n", "returncode": 3})
    );
    let answer = caller
        .shell("signal", json!(["sh", "-c", "kill -KILL $$"]))
        .await;
    assert_eq!(answer.body["output"]["returncode"], -9, "{}", answer.body);
    let answer = caller
        .git("no-repository", &["git", "status"], dir.to_str().unwrap())
        .await;
    assert_eq!(answer.body["status"], "completed");
    assert_eq!(answer.body["output"]["returncode"], 128);
    let stderr = answer.body["output"]["stderr"].as_str().unwrap();
    assert!(
        stderr.starts_with("fatal: not a git repository"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_with_a_code() {
    let (_relay, _device, caller) = relay_and_device().await;
    let answer = caller
        .shell("nothing", json!(["no-such-program-at-all"]))
        .await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("failed"))
    );
    assert_eq!(answer.body["code"], "spawn_failed", "{}", answer.body);
    assert_eq!(answer.body["output"], json!(null));
}

#[tokio::test]
async fn an_asynchronous_task_is_answered_at_once_and_read_later() {
    let (relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let answer = caller
        .shell_async("later", effects.append_after("later", "0.5"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(effects.count("later"), 0, "the answer came after the task");
    let body = &answer.body;
    assert_eq!(body["status"], "received");
    assert_eq!(body["event"], json!(null));
    assert_eq!(body["delivery_id"], json!(null));
    assert_eq!(body["clients_notified"], 1);
    assert_eq!(body["task_id"], "later");
    let url = body["task_url"]
        .as_str()
        .unwrap()
        .strip_prefix(relay.url())
        .unwrap()
        .to_owned();
    caller.ended("later").await;
    let task = caller.get(&url).await.body;
    assert_eq!(
        (&task["status"], &task["result"]["outcome"]["returncode"]),
        (&json!("completed"), &json!(0))
    );
    assert_eq!(effects.count("later"), 1);
}

#[tokio::test]
async fn at_the_deadline_the_wait_ends_and_the_task_goes_on() {
    let (_relay, device, caller) = relay_and_device().await;
    let mut body = task(
        true,
        "slow",
        "shell",
        json!({"command":
        ["sh", "-c", "echo begun; while ! test -e go; do sleep 0.05; done; echo done"]}),
    );
    body["wait_seconds"] = json!(1);

    let answer = caller.webhook(&body).await;

    assert_eq!(answer.status, 504);
    assert!(answer.took < Duration::from_secs(3), "{:?}", answer.took);
    assert_eq!(answer.body["status"], "timeout");
    assert_eq!(answer.body["task_id"], "slow");
    assert_eq!(
        answer.body["error"],
        "Task execution exceeded 1 second timeout"
    );
    assert_eq!(
        answer.body["message"],
        "Task may still be running locally. Check results viewer."
    );
    assert_eq!(answer.body["output"]["stdout"], "begun\n");
    assert_eq!(caller.task("slow").await["status"], "in_progress");
    std::fs::write(device.workspace().join("go"), "").unwrap();
    assert_eq!(
        caller.ended("slow").await["result"]["output"]["stdout"],
        "begun\ndone\n"
    );
    // The same request again gets the stored answer.
    let again = caller.webhook(&body).await;
    assert_eq!((again.status, &again.body["replayed"]), (200, &json!(true)));
    assert_eq!(again.body["output"]["stdout"], "begun\ndone\n");
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_ended() {
    let (_relay, _device, caller) = relay_and_device().await;
    let params = json!({"command": ["sh", "-c", "echo begun; sleep 600"], "timeout": 1});
    let answer = caller.webhook(&task(true, "long", "shell", params)).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("failed")),
        "{}",
        answer.body
    );
    assert_eq!(answer.body["code"], "timed_out");
}

#[tokio::test]
async fn two_tasks_never_wait_for_each_other() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    // As many slow tasks as may run at once, and one more.
    let slow: Vec<_> = (0..5)
        .map(|n| {
            let (id, caller) = (format!("sleep-{n}"), caller.clone());
            tokio::spawn(async move { caller.shell(&id, json!(["sleep", "5"])).await })
        })
        .collect();
    caller.running("sleep-0").await;

    let echo = caller.echo("echo", "hello").await;
    let status = caller.git("status", &["git", "status"], repo.dir()).await;

    assert_eq!(echo.body["output"]["stdout"], "hello");
    assert_eq!(status.body["status"], "completed");
    assert!(
        !slow[0].is_finished(),
        "the fast tasks waited for the slow one"
    );
    for slow in slow {
        assert_eq!(slow.await.unwrap().body["status"], "completed");
    }
}

#[tokio::test]
async fn a_batch_answers_each_task_in_order() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    let one = |id: &str, action: &str, params| task(true, id, action, params)["data"].clone();
    let batch = json!({"type": "batch", "sync": true, "data": {"tasks": [
        one("b1", "shell", json!({"command": "sleep 0.3; echo one"})),
        one("b2", "git", json!({"command": "git branch --show-current", "working_dir": repo.dir()})),
        one("b3", "dance", json!({})),
    ]}});
    let answer = caller.webhook(&batch).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("partial"))
    );
    let results = &answer.body["results"];
    assert_eq!(results[0]["output"]["stdout"], "one\n", "{results}");
    assert_eq!(results[1]["output"]["stdout"], "main\n");
    assert_eq!(
        results[2],
        json!({"error": "Unknown action type: dance", "code": "unknown_action_type"})
    );

    let batch = json!({"type": "batch", "sync": true, "data": {"tasks": [
        one("b4", "shell", json!({"command": "exit 1"})),
    ]}});
    assert_eq!(caller.webhook(&batch).await.body["status"], "completed");
}

#[tokio::test]
async fn any_other_json_becomes_an_event() {
    let (_relay, _device, caller) = relay_and_device().await;
    let answer = caller
        .webhook(&json!({"type": "deployed", "data": {"version": 7}}))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        json!({"status": "received", "event": null, "delivery_id": null, "clients_notified": 1})
    );
}

#[tokio::test]
async fn the_relay_says_how_it_is() {
    let (_relay, _device, caller) = relay_and_device().await;
    for path in ["/", "/health"] {
        let mut health = caller.get(path).await.body;
        assert!(
            health["timestamp"].as_str().unwrap().ends_with('Z'),
            "{health}"
        );
        health["timestamp"].take();
        assert_eq!(
            health,
            json!({"status": "running", "service": "deskhand-relay", "connected_clients": 1, "timestamp": null})
        );
    }
    assert_eq!(caller.get("/healthz").await.status, 200);
    assert_eq!(caller.get("/readyz").await.status, 200);
    let instructions = caller.get("/llm-instructions").await.body;
    let instructions = instructions.as_str().unwrap();
    assert!(instructions.contains("/webhook") && !instructions.contains(caller.key()));
}
