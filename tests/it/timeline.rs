//! A device's timeline over a WebSocket: what a watcher hears, filters, cursors, and what it may say.

use deskhand_tests::{
    TestDevice, TestRelay, TestWatcher, relay_and_device, task,
    watcher::{kinds, place},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const DESK: &str = "/ws/devices/desk/timeline";

/// Tells whether a message is the end of a task.
fn ends(name: &str) -> impl Fn(&Value) -> bool {
    move |message| {
        message["task_id"] == name
            && matches!(
                message["type"].as_str(),
                Some("task_completed" | "task_failed")
            )
    }
}

#[tokio::test]
async fn a_watcher_hears_the_story_of_a_task_in_the_promised_shapes() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut watcher = TestWatcher::open(&caller, "/ws/bot/desk/timeline").await;
    let subscribed = watcher.subscribe(json!({"bot_id": "desk"})).await;
    assert_eq!(subscribed["message"], "Connected to timeline for desk");
    let before = subscribed["initial_entries"].as_array().unwrap();
    assert_eq!(kinds(before), ["device_online"]);
    assert_eq!(subscribed["cursor"], before[0]["cursor"]);

    caller
        .shell_async(
            "story",
            json!("echo hello; echo deskhand:progress 40 building; sleep 0.3; exit 3"),
        )
        .await;
    let story = watcher.all_until(ends("story")).await;
    assert_eq!(story[0]["type"], "task_queued");
    assert_eq!(story[0]["waits_for"], "turn");
    let mut heard = kinds(&story);
    // How the output is cut, and whether progress comes before or after it, is the device's affair.
    heard.dedup();
    assert_eq!(heard.first(), Some(&"task_queued"));
    assert_eq!(heard[1], "task_started");
    assert!(heard.contains(&"output"), "{heard:?}");
    assert!(heard.contains(&"progress"), "{heard:?}");

    let bot_id = subscribed["bot_id"].clone();
    let by_kind = |kind: &str| story.iter().find(|m| m["type"] == kind).unwrap();
    for message in &story {
        assert_eq!(message["task_id"], "story");
        assert_eq!(message["bot_id"], bot_id);
        assert!(message["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(message["uid"].is_string());
    }
    assert_eq!(by_kind("task_started")["source"], "relay");
    let progress = by_kind("progress");
    assert_eq!(
        (&progress["percent"], &progress["message"]),
        (&json!(40), &json!("building"))
    );
    assert!(progress["elapsed_seconds"].is_number());
    let end = by_kind("task_completed");
    assert_eq!(end["success"], false);
    assert_eq!(end["returncode"], 3);
    assert!(end["response"].as_str().unwrap().starts_with("hello\n"));
    assert_eq!(end["files_modified"], json!([]));
    assert!(end["duration_seconds"].is_number());
    let places: Vec<u64> = story.iter().map(place).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
}

#[tokio::test]
async fn a_task_that_fails_says_why() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut watcher = TestWatcher::subscribed(&caller, "desk", json!({})).await;
    caller.shell_async("no", json!(["/no/such/program"])).await;
    let story = watcher.all_until(ends("no")).await;
    let end = story.last().unwrap();
    assert_eq!(end["type"], "task_failed");
    assert_eq!(end["code"], "spawn_failed");
    assert!(!end["error"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn every_one_of_many_watchers_hears_everything_once_and_in_order() {
    let (_relay, _device, caller) = relay_and_device().await;
    for n_watchers in [1, 3, 200] {
        let mut watchers = Vec::new();
        for _ in 0..n_watchers {
            watchers.push(TestWatcher::subscribed(&caller, "desk", json!({})).await);
        }
        for n in 0..10 {
            let name = format!("many-{n_watchers}-{n}");
            caller
                .shell_async(&name, json!("echo one; echo two >&2"))
                .await;
        }
        let last = format!("last-{n_watchers}");
        // Its end is the last entry: it begins when all others have ended.
        for n in 0..10 {
            caller.ended(&format!("many-{n_watchers}-{n}")).await;
        }
        caller.echo(&last, "x").await;
        let mut first: Option<Vec<Value>> = None;
        for watcher in &mut watchers {
            let all = watcher.all_until(ends(&last)).await;
            assert!(watcher.longest() < 1_024);
            let first = first.get_or_insert_with(|| all.clone());
            assert_eq!(*first, all);
        }
        let all = first.unwrap();
        let places: Vec<u64> = all.iter().map(place).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        let n_ends = all.iter().filter(|m| m["type"] == "task_completed").count();
        assert_eq!(n_ends, 11);
    }
}

#[tokio::test]
async fn filters_hold_alone_and_together() {
    let (_relay, _device, caller) = relay_and_device().await;
    let filters = [
        json!({"source": "cli"}),
        json!({"status": "in_progress"}),
        json!({"status": "failed"}),
        json!({"success": true}),
        json!({"action": "echo"}),
        json!({"task_id": "ok"}),
        json!({"action": "shell", "status": "completed", "success": false}),
        json!({"source": "websocket", "action": "echo", "status": "completed"}),
        json!({"source": "relay", "task_id": "cli"}),
    ];
    let mut watchers = Vec::new();
    for filter in &filters {
        watchers.push(TestWatcher::subscribed(&caller, "desk", filter.clone()).await);
    }
    let mut all = TestWatcher::subscribed(&caller, "desk", json!({})).await;

    caller.shell("bad", json!("exit 1")).await;
    caller.shell("wrong", json!(["/no/such/program"])).await;
    let body = json!({"task_id": "cli", "action": {"type": "shell", "command": "true"}});
    let headers = [("prefer", "wait=30"), ("x-deskhand-source", "cli")];
    caller
        .call(Method::POST, "/api/tasks", Some(&body), &headers)
        .await;
    caller.echo("ok", "x").await;
    let all = all.all_until(ends("ok")).await;

    let field = |m: &Value, name: &str| m[name].clone();
    let source = |m: &Value| {
        json!(if m["task_id"] == "cli" {
            "cli"
        } else {
            "relay"
        })
    };
    let action = |m: &Value| {
        json!(if m["task_id"] == "ok" {
            "echo"
        } else {
            "shell"
        })
    };
    let status = |m: &Value| match m["type"].as_str().unwrap() {
        "task_queued" => "pending",
        "task_completed" => "completed",
        "task_failed" => "failed",
        _ => "in_progress",
    };
    let success = |m: &Value| match m["type"].as_str().unwrap() {
        "task_completed" => field(m, "success"),
        "task_failed" => json!(false),
        _ => Value::Null,
    };
    for (filter, watcher) in filters.iter().zip(&mut watchers) {
        let holds = |m: &&Value| {
            filter
                .as_object()
                .unwrap()
                .iter()
                .all(|(name, wanted)| match &**name {
                    "source" if *wanted == "websocket" => source(m) == "relay",
                    "source" => source(m) == *wanted,
                    "status" => status(m) == wanted.as_str().unwrap(),
                    "success" => success(m) == *wanted,
                    "action" => action(m) == *wanted,
                    _ => field(m, "task_id") == *wanted,
                })
        };
        let expected: Vec<&Value> = all.iter().filter(holds).collect();
        watcher.say(&json!({"type": "ping"})).await;
        let mut heard = watcher.all_until(|m| m["type"] == "pong").await;
        heard.pop();
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected, "{filter}");
        // The log, asked with the same filters, says the same.
        let mut later = TestWatcher::open(&caller, DESK).await;
        let subscribed = later.subscribe(json!({"filters": filter})).await;
        let kept = subscribed["initial_entries"].as_array().unwrap();
        assert_eq!(kept.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

#[tokio::test]
async fn who_comes_back_with_a_cursor_gets_exactly_what_it_missed() {
    let (mut relay, device, caller) = relay_and_device().await;
    let mut stays = TestWatcher::subscribed(&caller, "desk", json!({})).await;
    let mut goes = TestWatcher::subscribed(&caller, "desk", json!({})).await;
    let wait = "echo begun; while [ ! -e go-on ]; do sleep 0.02; done; echo ended";
    caller.shell_async("long", json!(wait)).await;
    let mut heard = goes.all_until(|m| m["type"] == "output").await;
    let cursor = heard.last().unwrap()["cursor"].clone();
    drop(goes);
    caller.echo("meanwhile", "x").await;
    std::fs::write(device.workspace().join("go-on"), "").unwrap();
    let all = stays.all_until(ends("long")).await;

    let mut back = TestWatcher::open(&caller, DESK).await;
    let subscribed = back.subscribe(json!({"cursor": cursor})).await;
    heard.extend(subscribed["initial_entries"].as_array().unwrap().clone());
    assert_eq!(heard, all);

    // After the relay is back as well; the device's coming back is an entry of its own.
    let cursor = all.last().unwrap()["cursor"].clone();
    caller
        .shell_async("over", json!("while [ ! -e go-2 ]; do sleep 0.02; done"))
        .await;
    caller.running("over").await;
    relay.kill();
    std::fs::write(device.workspace().join("go-2"), "").unwrap();
    relay.start_again().await;
    let mut back = TestWatcher::open(&caller, DESK).await;
    let subscribed = back.subscribe(json!({"cursor": cursor})).await;
    let mut missed = subscribed["initial_entries"].as_array().unwrap().clone();
    if !missed.iter().any(ends("over")) {
        missed.extend(back.all_until(ends("over")).await);
    }
    let of_task: Vec<Value> = missed
        .into_iter()
        .filter(|m| m["task_id"] == "over")
        .collect();
    assert_eq!(
        kinds(&of_task),
        ["task_queued", "task_started", "task_completed"]
    );
}

#[tokio::test]
async fn a_long_backlog_follows_as_ordinary_messages() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut watcher = TestWatcher::open(&caller, DESK).await;
    let cursor = watcher.subscribe(json!({})).await["cursor"].clone();
    drop(watcher);
    let filling = "x".repeat(700);
    for n in 0..700 {
        caller.webhook(&json!({"n": n, "filling": filling})).await;
    }
    let mut watcher = TestWatcher::open(&caller, DESK).await;
    watcher
        .say(&json!({"type": "subscribe", "cursor": cursor}))
        .await;
    let subscribed = watcher.hear().await;
    assert!(subscribed.to_string().len() <= 64 * 1024);
    let mut all = subscribed["initial_entries"].as_array().unwrap().clone();
    assert_eq!(all.last().unwrap()["cursor"], subscribed["cursor"]);
    all.extend(watcher.all_until(|m| m["data"]["n"] == 699).await);
    let numbers: Vec<u64> = all
        .iter()
        .map(|m| m["data"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..700).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lost_log_is_a_gap_and_a_snapshot() {
    let (_other_relay, _other_device, other) = relay_and_device().await;
    let elsewhere = TestWatcher::open(&other, DESK)
        .await
        .subscribe(json!({}))
        .await["cursor"]
        .clone();
    let (_relay, _device, caller) = relay_and_device().await;
    caller.echo("here", "x").await;
    let here = TestWatcher::open(&caller, DESK)
        .await
        .subscribe(json!({}))
        .await["cursor"]
        .clone();
    let (log_id, _) = here.as_str().unwrap().split_once(':').unwrap();
    // From another log, and from a later state of this one than is left.
    for cursor in [elsewhere, json!(format!("{log_id}:4000000"))] {
        let mut watcher = TestWatcher::open(&caller, DESK).await;
        watcher
            .say(&json!({"type": "subscribe", "cursor": cursor}))
            .await;
        let gap = watcher.hear().await;
        assert_eq!(gap["type"], "gap");
        assert_eq!((&gap["from"], &gap["lost"]), (&cursor, &json!(true)));
        let snapshot = watcher.hear().await;
        assert_eq!(snapshot["type"], "subscribed");
        let entries = snapshot["initial_entries"].as_array().unwrap();
        assert_eq!(place(&json!({"cursor": gap["to"]})) + 1, place(&entries[0]));
        assert!(entries.iter().any(ends("here")));
        assert_eq!(snapshot["cursor"], here);
    }
}

#[tokio::test]
async fn mistakes_leave_the_socket_open() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut watcher = TestWatcher::open(&caller, DESK).await;
    for mistake in [
        Message::text("not json"),
        Message::text("[]"),
        Message::text(r#"{"type":"dance"}"#),
        Message::text(r#"{"type":"subscribe","filters":{"status":"sleeping"}}"#),
        Message::text(r#"{"type":"subscribe","cursor":"yesterday"}"#),
        Message::text(r#"{"type":"subscribe","bot_id":7}"#),
        Message::binary(vec![1, 2, 3]),
    ] {
        watcher.say_raw(mistake.clone()).await;
        let error = watcher.hear().await;
        assert_eq!(
            (&error["type"], &error["error_code"]),
            (&json!("error"), &json!(400)),
            "{mistake}"
        );
    }
    watcher
        .say(&json!({"type": "subscribe", "bot_id": "another"}))
        .await;
    assert_eq!(
        watcher.hear().await,
        json!({"type": "error", "message": "Invalid bot_id", "error_code": 400})
    );
    watcher.say(&json!({"type": "ping"})).await;
    assert_eq!(watcher.hear().await, json!({"type": "pong"}));
    watcher.subscribe(json!({})).await;
    watcher
        .say(&json!({"type": "unsubscribe", "bot_id": "desk"}))
        .await;
    assert_eq!(watcher.hear().await["type"], "unsubscribed");
    caller.echo("unheard", "x").await;
    watcher.say(&json!({"type": "ping"})).await;
    assert_eq!(watcher.hear().await, json!({"type": "pong"}));
    watcher.subscribe(json!({})).await;
    caller.echo("heard", "x").await;
    assert_eq!(watcher.until("task_completed").await["task_id"], "heard");
}

#[tokio::test]
async fn only_who_may_see_a_device_may_watch_it() {
    let relay = TestRelay::start().await;
    let _desk = TestDevice::enrol(&relay, "desk").await;
    let _other = TestDevice::enrol(&relay, "other").await;
    let owner = relay.owner();
    let runs = relay.caller("runs", &["--scope", "tasks:run", "--scope", "tasks:read"]);
    let sees = relay.caller("sees", &["--scope", "devices:read", "--device", "other"]);
    let status = async |caller: &deskhand_tests::TestCaller, headers: &[(&str, &str)]| {
        TestWatcher::try_open(caller, DESK, headers).await.err()
    };
    assert_eq!(status(&owner, &[]).await, Some(401));
    assert_eq!(status(&owner, &[("x-api-key", "dh_a_b")]).await, Some(401));
    assert_eq!(status(&runs, &[("x-api-key", runs.key())]).await, Some(403));
    assert_eq!(status(&sees, &[("x-api-key", sees.key())]).await, Some(404));
    let bearer = format!("bearer {}", owner.key());
    assert_eq!(status(&owner, &[("authorization", &bearer)]).await, None);

    let ticket = owner
        .call(Method::POST, "/api/stream-tickets", None, &[])
        .await;
    assert_eq!(ticket.status, 201);
    let subprotocol = format!(
        "deskhand.ticket.{}",
        ticket.body["ticket"].as_str().unwrap()
    );
    let header = [("sec-websocket-protocol", &*subprotocol)];
    assert_eq!(status(&owner, &header).await, None);
    assert_eq!(
        status(&owner, &header).await,
        Some(401),
        "a ticket works once"
    );
}

#[tokio::test]
async fn what_is_no_task_is_on_the_timeline_too() {
    let (_relay, mut device, caller) = relay_and_device().await;
    let mut watcher = TestWatcher::subscribed(&caller, "desk", json!({})).await;
    caller
        .webhook(&json!({"type": "deploy", "data": {"x": 1}}))
        .await;
    let custom = watcher.hear().await;
    assert_eq!(
        (&custom["type"], &custom["source"]),
        (&json!("custom"), &json!("owner"))
    );
    assert_eq!(custom["data"], json!({"type": "deploy", "data": {"x": 1}}));
    caller.webhook(&json!({"long": "y".repeat(4_000)})).await;
    let custom = watcher.hear().await;
    assert_eq!(custom["data"], Value::Null);
    assert!(
        custom["preview"]
            .as_str()
            .unwrap()
            .starts_with(r#"{"long":"yyy"#)
    );
    assert!(watcher.longest() < 1_024);

    device.terminate().await;
    let gone = watcher.hear().await;
    assert_eq!(gone["type"], "device_offline");
    caller
        .webhook(&task(false, "waits", "echo", json!({"text": "x"})))
        .await;
    let queued = watcher.hear().await;
    assert_eq!(
        (&queued["type"], &queued["waits_for"]),
        (&json!("task_queued"), &json!("device"))
    );
    device.start().await;
    let back = watcher.all_until(ends("waits")).await;
    assert!(kinds(&back).contains(&"device_online"));
}
