//! What asks: seen and answered through every door, once; held over a restart; not asked when nobody is
//! there; and what is written down of it.

use std::{process::Output, sync::Arc, time::Duration};

use deskhand_tests::{TestCaller, TestDevice, TestMcp, eventually, relay_and_device, task};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

/// Opens the device's workspace at another level.
fn at_level(device: &TestDevice, level: &str) {
    let workspace = device.workspace();
    let args = [
        "workspaces",
        "add",
        workspace.to_str().unwrap(),
        "--level",
        level,
    ];
    assert!(device.cli(&args).status.success());
}

fn open(device: &TestDevice) -> Vec<Value> {
    let listed = device.cli_json(&["approvals", "list"]);
    listed.as_array().unwrap().clone()
}

async fn question(device: &TestDevice) -> Value {
    eventually("a question is asked", || async { open(device).pop() }).await
}

/// Answers from afar, as a viewer in a browser does.
async fn answer(caller: &TestCaller, id: &str, answer: &str) -> (u16, Value) {
    let uid = &caller.task(id).await["uid"];
    let body = json!({"type": "answer_approval", "task_id": uid, "answer": answer,
                      "by": {"name": "somebody else", "door": "cli"}});
    let path = "/api/device-requests/desk";
    let answer = caller.call(Method::POST, path, Some(&body), &[]).await;
    (answer.status, answer.body)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_question_is_answered_at_the_desk_or_from_afar() {
    let (_relay, device, caller) = relay_and_device().await;
    at_level(&device, "ask");
    // Nobody looks: no, at once.
    let denied = caller
        .shell("unattended", device.effects().append("no"))
        .await;
    assert_eq!(denied.body["code"], "denied", "{}", denied.body);
    assert!(
        denied.body["error"]
            .as_str()
            .unwrap()
            .contains("nobody is there")
    );
    assert!(denied.took < Duration::from_secs(5), "{:?}", denied.took);

    // A look counts as somebody being there.
    assert_eq!(open(&device), Vec::<Value>::new());
    caller
        .shell_async("desk", device.effects().append("desk"))
        .await;
    let asked = question(&device).await;
    assert_eq!(asked["name"], "desk");
    assert_eq!(asked["caller"], "owner");
    assert_eq!(caller.task("desk").await["status"], "awaiting_approval");
    let yes = device.cli(&["approvals", "answer", "desk", "once"]);
    assert!(yes.status.success(), "{}", text(&yes));
    assert_eq!(caller.ended("desk").await["status"], "completed");
    let uid = caller.task("desk").await["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let late = device.cli(&["approvals", "answer", &uid, "no"]);
    assert!(!late.status.success());
    assert!(
        text(&late).contains("first, through cli"),
        "{}",
        text(&late)
    );

    caller
        .shell_async("afar", device.effects().append("afar"))
        .await;
    question(&device).await;
    assert_eq!(answer(&caller, "afar", "always_here").await.0, 403);
    assert_eq!(answer(&caller, "afar", "once").await.0, 200);
    assert_eq!(caller.ended("afar").await["status"], "completed");
    assert_eq!(device.effects().names(), ["desk", "afar"]);

    caller
        .shell_async("refused", device.effects().append("refused"))
        .await;
    question(&device).await;
    assert_eq!(answer(&caller, "refused", "no").await.0, 200);
    let refused = caller.ended("refused").await;
    assert_eq!(
        (&refused["status"], &refused["code"]),
        (&json!("failed"), &json!("denied"))
    );
    assert_eq!(device.effects().names(), ["desk", "afar"]);
}

#[tokio::test]
async fn a_key_without_the_scope_answers_nothing() {
    let (relay, device, _owner) = relay_and_device().await;
    let caller = relay.caller("assistant", &[]);
    at_level(&device, "ask");
    open(&device);
    caller
        .shell_async("mine", device.effects().append("mine"))
        .await;
    question(&device).await;
    assert_eq!(answer(&caller, "mine", "once").await.0, 403);
    assert_eq!(open(&device).len(), 1);
    assert_eq!(device.effects().names(), Vec::<String>::new());
}

#[tokio::test]
async fn answers_that_race_through_every_door_run_it_once_or_not_at_all() {
    let (_relay, device, caller) = relay_and_device().await;
    at_level(&device, "ask");
    open(&device);
    // A call over MCP whose client shows the question, too.
    let client = TestMcp::legacy_that_can(&caller, json!({"elicitation": {}})).await;
    let command = &device.effects().append("race")[2];
    let call = json!({"name": "shell_run", "arguments": {"command": command}});
    let mut messages = client.begin("tools/call", call).await;
    let form = messages.next().await;
    let uid = question(&device).await["task_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let device = Arc::new(device);
    let said = |n: usize| if n.is_multiple_of(2) { "once" } else { "no" };
    let cookie = signed_in(&caller).await;
    let by_key = join_all((0..5).map(|n| by_key(&caller, &uid, said(n))));
    let in_a_browser = join_all((5..10).map(|n| in_a_browser(&caller, &cookie, &uid, said(n))));
    let in_a_notification = join_all((10..15).map(|n| in_a_notification(&device, &uid, said(n))));
    let at_the_desk = tokio::task::spawn_blocking({
        let (device, uid) = (device.clone(), uid.clone());
        move || {
            let answered = (15..20).map(|n| device.cli(&["approvals", "answer", &uid, said(n)]));
            answered
                .filter(|answered| answered.status.success())
                .count()
        }
    });
    let in_a_form = client.reply(
        &form,
        json!({"action": "accept", "content": {"answer": said(20)}}),
    );
    let (by_key, in_a_browser, in_a_notification, at_the_desk, ()) = tokio::join!(
        by_key,
        in_a_browser,
        in_a_notification,
        at_the_desk,
        in_a_form
    );
    let from_afar = [by_key, in_a_browser].concat();
    assert!(
        from_afar.iter().all(|status| [200, 409].contains(status)),
        "{from_afar:?}"
    );
    let accepted = from_afar.iter().filter(|status| **status == 200).count()
        + in_a_notification.iter().filter(|taken| **taken).count()
        + at_the_desk.unwrap();
    // The form says nothing of its own: it was first when nobody else was.
    assert!(accepted <= 1, "{from_afar:?} {in_a_notification:?}");
    let ended = caller.ended(&uid).await;
    let events = caller.get(&format!("/api/tasks/{uid}/events")).await.body;
    let events = events.as_str().unwrap();
    assert_eq!(events.matches("approval_answered").count(), 1, "{events}");
    let ran = ended["status"] == "completed";
    assert_eq!(device.effects().names().len(), usize::from(ran), "{ended}");
}

/// Answers as an assistant's or a phone's program does, and returns the status.
async fn by_key(caller: &TestCaller, task: &str, said: &str) -> u16 {
    let path = format!("/api/tasks/{task}/approval");
    let body = json!({"answer": said});
    let answer = caller.call(Method::POST, &path, Some(&body), &[]).await;
    answer.status
}

/// Signs in as the viewer's page does, and returns the cookie.
async fn signed_in(caller: &TestCaller) -> String {
    let answer = reqwest::Client::new()
        .post(format!("{}/api/session", caller.url()))
        .header("Origin", caller.url())
        .json(&json!({"key": caller.key()}))
        .send()
        .await
        .unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Answers as the viewer's page does, and returns the status.
async fn in_a_browser(caller: &TestCaller, cookie: &str, uid: &str, said: &str) -> u16 {
    let body = json!({"type": "answer_approval", "task_id": uid, "answer": said,
                      "by": {"name": "", "door": "viewer"}});
    let answer = reqwest::Client::new()
        .post(format!("{}/api/device-requests/desk", caller.url()))
        .header("Origin", caller.url())
        .header("Cookie", cookie)
        .json(&body)
        .send()
        .await
        .unwrap();
    answer.status().as_u16()
}

/// Answers as the desktop application does for a notification, and says whether it was taken.
async fn in_a_notification(device: &TestDevice, uid: &str, said: &str) -> bool {
    let socket = UnixStream::connect(device.home().join("control.sock")).await;
    let mut socket = BufReader::new(socket.unwrap());
    let request = json!({"device": {"type": "answer_approval", "task_id": uid, "answer": said,
                                    "by": {"name": "owner", "door": "notification"}}});
    let line = format!("{request}\n");
    socket.write_all(line.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_line(&mut answer).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["device"]["type"] != "problem"
}

#[tokio::test]
async fn a_question_stays_open_when_the_agent_is_killed() {
    let (_relay, mut device, caller) = relay_and_device().await;
    at_level(&device, "ask");
    open(&device);
    caller
        .shell_async("kept", device.effects().append("kept"))
        .await;
    let before = question(&device).await;
    device.kill();
    device.start().await;
    let after = question(&device).await;
    assert_eq!(after, before);
    assert_eq!(device.effects().names(), Vec::<String>::new());
    assert!(
        device
            .cli(&["approvals", "answer", "kept", "once"])
            .status
            .success()
    );
    assert_eq!(caller.ended("kept").await["status"], "completed");
    device.kill();
    device.start().await;
    assert_eq!(device.effects().names(), ["kept"]);
}

#[tokio::test]
async fn rules_are_added_tested_and_read_again_as_they_change() {
    let (_relay, device, caller) = relay_and_device().await;
    let verdict = |args: &[&str]| {
        let tested = device.cli_json(&[&["rules", "test"], args].concat());
        (
            tested["verdict"].as_str().unwrap().to_owned(),
            tested["by"].as_str().unwrap().to_owned(),
        )
    };
    let say = |verdict: &str, by: &str| (verdict.to_owned(), by.to_owned());
    assert_eq!(
        verdict(&["--line", "touch x | cat"]),
        say("allow", "level work")
    );
    device.cli_json(&[
        "rules",
        "add",
        "--id",
        "no-touch",
        "--program",
        "touch",
        "--verdict",
        "deny",
        "--reason",
        "mine",
    ]);
    assert_eq!(
        verdict(&["--", "env", "touch", "x"]),
        say("deny", "rule no-touch")
    );
    assert_eq!(
        verdict(&["--line", "echo $(touch x)"]),
        say("deny", "rule no-touch")
    );
    let denied = caller.shell("denied", json!("touch x")).await;
    assert_eq!(
        (&denied.body["code"], &denied.body["error"]),
        (&json!("denied"), &json!("mine"))
    );

    let file = device.home().join("rules.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("reason", "raisin")).unwrap();
    let listed = device.cli(&["--json", "rules", "list"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(
        listed["problem"]
            .as_str()
            .unwrap()
            .contains("unknown field `raisin`"),
        "{listed}"
    );
    assert_eq!(
        verdict(&["--", "touch", "x"]).0,
        "deny",
        "the rules from before stay in force"
    );
    std::fs::write(&file, good).unwrap();
    device.cli_json(&["rules", "remove", "no-touch"]);
    assert_eq!(verdict(&["--", "touch", "x"]), say("allow", "level work"));
    at_level(&device, "observe");
    assert_eq!(
        verdict(&["--", "git", "commit", "-m", "x"]),
        say("deny", "level observe")
    );
    let read_only = caller.shell("observed", device.effects().append("x")).await;
    assert_ne!(
        read_only.body["output"]["returncode"], 0,
        "{}",
        read_only.body
    );
    assert_eq!(device.effects().names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_is_held_to_what_it_was_made_for() {
    let (relay, device, _owner) = relay_and_device().await;
    let reader = relay.caller("reader", &["--read-only", "--action", "shell"]);
    let written = reader.shell("write", device.effects().append("x")).await;
    assert_ne!(written.body["output"]["returncode"], 0, "{}", written.body);
    assert_eq!(device.effects().names(), Vec::<String>::new());
    let git = reader
        .webhook(&task(true, "git", "git", json!({"command": "git status"})))
        .await;
    assert_eq!(git.body["code"], "denied", "{}", git.body);
    let elsewhere = relay.caller("elsewhere", &["--workspace", "other"]);
    let denied = elsewhere.shell("no", json!("ls")).await;
    assert_eq!(denied.body["code"], "denied", "{}", denied.body);

    let slow = relay.caller("slow", &["--rate-limit", "3"]);
    for _ in 0..3 {
        assert_eq!(slow.get("/api/tasks").await.status, 200);
    }
    let refused = slow.get("/api/tasks").await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (429, &json!("rate_limited"))
    );
    assert!(
        refused
            .retry_after
            .is_some_and(|seconds| (1..=20).contains(&seconds))
    );
}

#[tokio::test]
async fn the_audit_trail_tells_what_was_done_and_what_was_altered() {
    let (_relay, mut device, caller) = relay_and_device().await;
    caller
        .shell("one", json!(["printf", "%s", "--password=hunter2hunter2"]))
        .await;
    caller
        .shell(
            "two",
            json!("printf ghp_0123456789; printf 0123456789abcdef"),
        )
        .await;
    let verified = device.cli_json(&["audit", "verify"]);
    assert_eq!(
        (&verified["ok"], &verified["fault"]),
        (&json!(true), &json!(null))
    );
    let exported = device.cli(&["audit", "export"]);
    let lines = String::from_utf8(exported.stdout).unwrap();
    let rows: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = rows
        .iter()
        .map(|row| row["entry"]["type"].as_str().unwrap())
        .collect();
    assert!(
        kinds.ends_with(&["judged", "ended", "judged", "ended"]),
        "{kinds:?}"
    );
    let ended = &rows.last().unwrap()["entry"];
    assert_eq!(
        (&ended["status"], &ended["ran_on"]),
        (&json!("completed"), &json!("full"))
    );
    // It was printed in two pieces, neither of which is a secret.
    assert_eq!(ended["stdout"], "***");
    assert!(!lines.contains("hunter2"), "{lines}");
    let csv = device.cli(&["audit", "export", "--format", "csv"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.starts_with("seq,at,type,task_id,"), "{csv}");

    device.terminate().await;
    let store = rusqlite::Connection::open(device.home().join("agent.db")).unwrap();
    store
        .execute(
            "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
            [],
        )
        .unwrap();
    drop(store);
    device.start().await;
    let verified = device.cli(&["--json", "audit", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["ok"], false, "{verified}");
}

#[tokio::test]
async fn what_judges_tasks_is_never_open_to_them() {
    let (_relay, device, caller) = relay_and_device().await;
    for dir in [device.home(), device.home().parent().unwrap().to_owned()] {
        let added = device.cli(&["workspaces", "add", dir.to_str().unwrap()]);
        assert!(!added.status.success(), "{}", dir.display());
    }
    let home = device.home();
    for (id, file) in [
        ("store", "agent.db"),
        ("rules", "rules.toml"),
        ("config", "config.toml"),
    ] {
        let file = home.join(file);
        let line = format!("cat {0}; echo x >> {0}", file.display());
        let tried = caller.shell(id, json!(["sh", "-c", line])).await;
        assert_eq!(tried.body["output"]["stdout"], "", "{}", tried.body);
    }
    let verified = device.cli_json(&["audit", "verify"]);
    assert_eq!(verified["ok"], true);
    let config = std::fs::read_to_string(home.join("config.toml")).unwrap();
    assert_eq!(config, "");
    assert!(!home.join("rules.toml").exists());
}
