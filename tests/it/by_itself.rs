//! What a device says of itself, and what it does by itself.

use std::{fs, path::PathBuf};

use deskhand_tests::{
    TestCaller, TestDevice, TestRelay, eventually, program, relay_and_device, task,
};
use serde_json::{Value, json};

/// Waits until the relay says that its device is so, and returns how it shows it.
async fn device_is(caller: &TestCaller, status: &str) -> Value {
    eventually(&format!("the device is {status}"), || async {
        let devices = caller.get("/api/devices").await.body;
        let device = devices["devices"][0].clone();
        (device["status"] == status).then_some(device)
    })
    .await
}

#[tokio::test]
async fn a_paused_device_is_refused_or_waited_for_until_it_is_resumed() {
    let (_relay, device, caller) = relay_and_device().await;
    assert_eq!(
        device.cli_json(&["devices", "pause"]),
        json!({"paused": true})
    );
    let shown = device_is(&caller, "paused").await;
    assert!(shown["last_seen_at"].is_string(), "{shown}");
    assert_eq!(device.cli_json(&["status"])["device"]["paused"], true);

    let refused = caller
        .shell("refused", device.effects().append("refused"))
        .await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (503, &json!("device_paused"))
    );
    let queued = caller
        .shell_async("queued", device.effects().append("queued"))
        .await;
    assert_eq!((queued.status, &queued.body["queued"]), (200, &json!(true)));
    let mut body = task(
        true,
        "waits",
        "shell",
        json!({"command": device.effects().append("waits")}),
    );
    body["data"]["on_offline"] = json!("queue");
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { caller.webhook(&body).await }
    });
    eventually("it is there", || async {
        (caller.get("/api/tasks/waits").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(device.effects().counts().len(), 0);

    device.cli_json(&["devices", "resume"]);
    assert_eq!(waiting.await.unwrap().body["status"], "completed");
    assert_eq!(caller.ended("queued").await["status"], "completed");
    device_is(&caller, "online").await;
    let ran: Vec<String> = device.effects().counts().into_keys().collect();
    assert_eq!(ran, ["queued", "waits"]);
}

#[tokio::test]
async fn a_device_that_cannot_execute_is_not_online_until_it_can_again() {
    let relay = TestRelay::start().await;
    let bin = tempfile::tempdir().unwrap();
    let helper: PathBuf = bin.path().join("deskhand-sandbox");
    fs::copy(program::program("deskhand-sandbox"), &helper).unwrap();
    let config = format!("[sandbox]\nhelper = {helper:?}\n");
    let device = TestDevice::enrol_configured(&relay, "desk", &config)
        .await
        .started()
        .await;
    let caller = relay.owner();
    eventually("the first pong is measured", || async {
        let online = device_is(&caller, "online").await;
        online["latency_ms"].is_u64().then_some(())
    })
    .await;

    fs::rename(&helper, bin.path().join("away")).unwrap();
    let shown = device_is(&caller, "cannot_execute").await;
    assert!(
        shown["reason"].as_str().unwrap().contains("helper"),
        "{shown}"
    );
    let refused = caller
        .shell("refused", device.effects().append("refused"))
        .await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (503, &json!("device_offline"))
    );
    assert!(
        refused.body["error"].as_str().unwrap().contains("helper"),
        "{}",
        refused.body
    );
    let status = device.cli_json(&["status"]);
    assert_eq!(status["device"]["can_execute"], false);
    assert!(status["device"]["link"]["latency_ms"].is_u64(), "{status}");

    fs::rename(bin.path().join("away"), &helper).unwrap();
    device_is(&caller, "online").await;
    let answer = caller
        .shell("again", device.effects().append("again"))
        .await;
    assert_eq!(answer.body["status"], "completed", "{}", answer.body);
    assert_eq!(device.effects().count("refused"), 0);
}

/// Waits until the relay shows a task of a source that has ended.
async fn shown(caller: &TestCaller, source: &str) -> Value {
    let path = &format!("/api/tasks?source={source}&status=completed");
    eventually(&format!("a task of {source} has ended"), || async move {
        let listed = caller.try_call(reqwest::Method::GET, path, None, &[]);
        let listed = listed.await.ok()?.body;
        listed["tasks"].get(0).cloned()
    })
    .await
}

#[tokio::test]
async fn schedules_are_added_shown_and_run_and_the_relay_sees_their_tasks() {
    let (_relay, device, caller) = relay_and_device().await;
    let workspace = device.workspace();
    let dir = workspace.to_str().unwrap();
    let line = format!("echo ran >> '{}/effects'", dir);
    let added = device.cli_json(&[
        "schedules",
        "add",
        "tick",
        "every(1 second)",
        "--cwd",
        dir,
        "--line",
        &line,
    ]);
    assert!(added["schedule"]["next_run_at"].is_string(), "{added}");
    assert_eq!(added["upcoming"].as_array().unwrap().len(), 5);

    let task = shown(&caller, "schedule").await;
    assert_eq!(
        (&task["caller"], &task["title"]),
        (&json!("tick"), &json!("tick"))
    );
    let uid = task["uid"].as_str().unwrap();
    assert_eq!(caller.task(uid).await["result"]["outcome"]["returncode"], 0);
    device.cli_json(&["schedules", "disable", "tick"]);
    let listed = device.cli_json(&["schedules", "list"]);
    assert_eq!(
        (&listed[0]["enabled"], &listed[0]["next_run_at"]),
        (&json!(false), &Value::Null)
    );
    let by_hand = device.cli_json(&["schedules", "run", "tick"]);
    caller.ended(by_hand["uid"].as_str().unwrap()).await;
    let runs = device.cli_json(&["schedules", "show", "tick"])["runs"].clone();
    let runs = runs.as_array().unwrap();
    let n_started = runs.iter().filter(|run| run["task_id"].is_string()).count();
    eventually("each run ran once", || async {
        (device.effects().count("ran") == n_started).then_some(())
    })
    .await;

    for wrong in [
        ["schedules", "add", "bad", "every(5 fortnights)", "true"],
        ["schedules", "add", "tick", "every(1 hour)", "true"],
        ["schedules", "add", "bad", "at(2001-01-01 00:00)", "true"],
    ] {
        assert!(!device.cli(&wrong).status.success(), "{wrong:?}");
    }
    assert_eq!(device.cli_json(&["schedules", "remove", "tick"]), json!([]));
}

#[tokio::test]
async fn a_run_that_is_left_out_is_an_entry_of_the_timeline() {
    let (_relay, device, caller) = relay_and_device().await;
    let dir = device.workspace();
    let line = "while [ ! -e go ]; do sleep 0.05; done; exit 3";
    let mut added = vec![
        "schedules",
        "add",
        "slow",
        "every(1 second)",
        "--line",
        line,
    ];
    added.extend(["--cwd", dir.to_str().unwrap()]);
    device.cli_json(&added);
    let path = "/api/devices/desk/timeline?source=schedule&limit=100";
    let left_out = eventually("a run is left out", || async {
        let page = caller.get(path).await.body;
        let entries = page["entries"].as_array().unwrap();
        entries
            .iter()
            .find(|entry| entry["type"] == "runs_left_out")
            .cloned()
    })
    .await;
    assert_eq!(
        (
            &left_out["schedule"],
            &left_out["left_out"],
            &left_out["n_runs"]
        ),
        (&json!("slow"), &json!("overlap"), &json!(1))
    );
    assert!(left_out["planned_at"].is_string() && left_out["cursor"].is_string());

    // A run that fails is an entry as well.
    device.cli_json(&["schedules", "disable", "slow"]);
    fs::write(dir.join("go"), "").unwrap();
    let path = "/api/devices/desk/timeline?source=schedule&success=false";
    let failed = eventually("the run has failed", || async {
        let page = caller.get(path).await.body;
        page["entries"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (&failed["type"], &failed["returncode"]),
        (&json!("task_completed"), &json!(3))
    );
    let runs = device.cli_json(&["schedules", "show", "slow"])["runs"].clone();
    assert_eq!(runs.as_array().unwrap().last().unwrap()["returncode"], 3);
}

#[tokio::test]
async fn a_file_runs_while_the_relay_is_away_and_is_reported_when_it_is_back() {
    let (mut relay, device, caller) = relay_and_device().await;
    relay.kill();
    let inbox = device.home().join("inbox");
    let command = device.effects().append("filed");
    let body = json!({"action": {"type": "shell", "command": command}, "title": "Filed"});
    fs::write(inbox.join("filed.json"), body.to_string()).unwrap();
    let result = inbox.join("filed.result.json");
    eventually("the result lies beside it", || async {
        result.exists().then_some(())
    })
    .await;
    let result: Value = serde_json::from_slice(&fs::read(result).unwrap()).unwrap();
    assert_eq!(result["status"], "completed");

    relay.start_again().await;
    let task = shown(&caller, "file").await;
    assert_eq!(
        (&task["title"], &task["task_id"]),
        (&json!("Filed"), &json!("filed"))
    );
    assert_eq!(task["uid"], result["uid"]);
    assert_eq!(device.effects().count("filed"), 1);
}

/// Returns the progress of a shell task that ran to its end.
async fn progress(caller: &TestCaller, id: &str, script: &str) -> Vec<Value> {
    let answer = caller.shell(id, json!(["sh", "-c", script])).await;
    assert_eq!(answer.body["status"], "completed", "{}", answer.body);
    let uid = answer.body["uid"].as_str().unwrap();
    let answer = caller.get(&format!("/api/tasks/{uid}/events")).await;
    // Server-sent events, until the one that ended the task.
    let lines = answer.body.as_str().unwrap().lines();
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok())
        .map(|event| event["kind"].clone())
        .filter(|kind| kind["type"] == "progress_made")
        .collect()
}

#[tokio::test]
async fn what_a_program_and_git_say_of_their_progress_are_events() {
    let (_relay, _device, caller) = relay_and_device().await;
    let last = |progress: &[Value]| {
        let last = progress.last().unwrap();
        (last["percent"].clone(), last["message"].clone())
    };
    let began = std::time::Instant::now();
    let script = "for n in $(seq 1 100); do echo deskhand:progress $n working; done";
    let said = progress(&caller, "counts", script).await;
    let most = 10 * (began.elapsed().as_secs() as usize + 1);
    assert!((1..=most).contains(&said.len()), "{said:?}");
    assert_eq!(last(&said), (json!(100), json!("working")));

    // In a task of its own: nobody knows what comes first of two streams.
    let script = r"printf 'Receiving objects:  42%% (420/1000)\r' >&2";
    let said = progress(&caller, "receives", script).await;
    assert_eq!(last(&said), (json!(42), json!("Receiving objects")));
}
