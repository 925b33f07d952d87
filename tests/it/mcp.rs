//! The door for MCP clients, over real sockets and in both eras: what is listed and run, what is told
//! while it runs, who may end what, and what is turned away at the gates.

use deskhand_tests::{
    TestCaller, TestDevice, TestMcp, TestRelay, TestRepo, eventually, mcp::LEGACY, relay_and_device,
};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

async fn both(caller: &TestCaller) -> [TestMcp; 2] {
    [TestMcp::legacy(caller).await, TestMcp::modern(caller).await]
}

/// The newest task of a caller, once it runs.
async fn running(caller: &TestCaller) -> String {
    eventually("a task runs", || async {
        let tasks = caller.get("/api/tasks?status=in_progress").await.body;
        tasks["tasks"][0]["uid"].as_str().map(str::to_owned)
    })
    .await
}

fn append_after(effects: &deskhand_tests::Effects, name: &str, seconds: &str) -> String {
    let words = effects.append_after(name, seconds);
    words[2].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_eras_list_the_same_tools() {
    let (relay, _device, caller) = relay_and_device().await;
    let mut lists = Vec::new();
    for client in both(&caller).await {
        let said = &client.opening;
        let tasks = json!({"io.modelcontextprotocol/tasks": {}});
        let offered = json!({"tools": {}, "extensions": tasks});
        assert_eq!(said["capabilities"], offered, "{said}");
        assert!(said["instructions"].as_str().unwrap().contains("wait_task"));
        let listed = client.request("tools/list", json!({})).await;
        lists.push(listed["result"]["tools"].clone());
    }
    assert_eq!(lists[0], lists[1]);
    let tools = lists[0].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    let expected = [
        "list_devices",
        "git_inspect",
        "git_run",
        "shell_run",
        "get_task",
        "wait_task",
        "read_output",
        "list_tasks",
        "cancel_task",
    ];
    assert_eq!(names, expected);
    for tool in tools {
        let hints = tool["annotations"].as_object().unwrap();
        assert_eq!(hints.len(), 5, "{tool}");
        let reads =
            !["git_run", "shell_run", "cancel_task"].contains(&tool["name"].as_str().unwrap());
        assert_eq!(hints["readOnlyHint"], reads, "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(tool["outputSchema"]["type"], "object");
    }

    // A key is shown what it may do.
    let reader = relay.caller("reader", &["--scope", "tasks:read"]);
    let client = TestMcp::modern(&reader).await;
    let listed = client.request("tools/list", json!({})).await["result"].clone();
    assert_eq!(listed["cacheScope"], "private");
    assert!(listed["ttlMs"].is_u64());
    let names: Vec<&Value> = listed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["name"])
        .collect();
    assert_eq!(
        names,
        [
            "list_devices",
            "get_task",
            "wait_task",
            "read_output",
            "list_tasks"
        ]
    );
    let refused = client
        .refused("shell_run", json!({"command": "true"}))
        .await;
    assert_eq!(refused["code"], "forbidden");
}

#[tokio::test]
async fn what_is_not_offered_is_not_answered() {
    let (_relay, _device, caller) = relay_and_device().await;
    for client in both(&caller).await {
        for (method, params) in [
            ("prompts/list", json!({})),
            ("prompts/get", json!({"name": "x"})),
            ("resources/list", json!({})),
            ("resources/templates/list", json!({})),
            ("resources/read", json!({"uri": "x:y"})),
        ] {
            let answer = client.request(method, params).await;
            assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
        }
        let answer = client
            .request(
                "tools/call",
                json!({"name": "no_such_tool", "arguments": {}}),
            )
            .await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

#[tokio::test]
async fn both_eras_run_what_every_door_runs() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    for client in both(&caller).await {
        let dir = repo.dir();
        let status = client
            .found(
                "git_inspect",
                json!({"args": ["status", "--short"], "working_dir": dir}),
            )
            .await;
        assert_eq!(status["status"], "completed");
        assert_eq!(status["returncode"], 0);
        assert_eq!(status["device"], "desk");
        assert_eq!(status["stdout"], repo.git(&["status", "--short"]));
        // The same task through another door.
        let uid = status["task_id"].as_str().unwrap();
        let task = caller.task(uid).await;
        assert_eq!(task["result"]["output"]["stdout"], status["stdout"]);
        assert_eq!(task["action"]["read_only"], true);

        let listed = client
            .found(
                "shell_run",
                json!({"command": "ls *.md; exit 3", "working_dir": dir}),
            )
            .await;
        assert_eq!(listed["stdout"], "README.md\n");
        assert_eq!(
            (&listed["status"], &listed["returncode"]),
            (&json!("completed"), &json!(3))
        );

        let shown = client.found("get_task", json!({"task_id": uid})).await;
        assert_eq!(shown, status);
        let newest = client.found("list_tasks", json!({"limit": 1})).await;
        assert_eq!(newest["tasks"][0]["task_id"], listed["task_id"]);
        let older = client
            .found(
                "list_tasks",
                json!({"limit": 1, "cursor": newest["next_cursor"]}),
            )
            .await;
        assert_eq!(older["tasks"][0]["task_id"], uid);
        let devices = client.found("list_devices", json!({})).await;
        let device_row = &devices["devices"][0];
        assert_eq!(
            (&device_row["name"], &device_row["status"]),
            (&json!("desk"), &json!("online"))
        );
        let open = device.workspace();
        assert_eq!(device_row["workspaces"][0]["path"], open.to_str().unwrap());
    }
}

#[tokio::test]
async fn what_reads_only_is_held_to_it_by_the_agent() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    let client = TestMcp::modern(&caller).await;
    let before = repo.git(&["for-each-ref"]);
    for args in [
        json!(["commit", "--message=no"]),
        json!(["branch", "no"]),
        json!(["git", "tag", "no"]),
        json!(["push", "origin", "main"]),
        json!(["update-ref", "refs/heads/no", "HEAD"]),
        json!(["-c", "alias.x=!touch no", "x"]),
    ] {
        let refused = client
            .refused(
                "git_inspect",
                json!({"args": args, "working_dir": repo.dir()}),
            )
            .await;
        assert_eq!(refused["status"], "failed", "{args}: {refused}");
    }
    assert_eq!(repo.git(&["for-each-ref"]), before);
    assert!(!device.workspace().join("repo/no").exists());
    // What may change does.
    let args = json!(["add", "notes.txt"]);
    let call = json!({"args": args, "working_dir": repo.dir()});
    let held = client.refused("git_inspect", call.clone()).await;
    assert_eq!(held["code"], "denied", "{held}");
    let made = client.found("git_run", call).await;
    assert_eq!(made["returncode"], 0, "{made}");
    assert!(repo.git(&["status", "--short"]).contains("A  notes.txt"));
    // The same holds for a shell that asks to read, and for git through the other doors.
    let held = client
        .found(
            "shell_run",
            json!({"command": "touch no", "working_dir": repo.dir(), "read_only": true}),
        )
        .await;
    assert_ne!(held["returncode"], 0);
    let params = json!({"command": "git branch no", "working_dir": repo.dir(), "read_only": true});
    let answer = caller
        .webhook(&deskhand_tests::task(true, "held", "git", params))
        .await;
    assert_eq!(answer.body["code"], "denied", "{}", answer.body);
}

#[tokio::test]
async fn a_long_command_says_running_and_what_to_do() {
    let (_relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    for client in both(&caller).await {
        let command = format!("echo begun; {}", append_after(&effects, "long", "2"));
        let first = client
            .found("shell_run", json!({"command": command, "wait_seconds": 1}))
            .await;
        assert_eq!(first["status"], "running", "{first}");
        let uid = first["task_id"].as_str().unwrap();
        let next = first["next"].as_str().unwrap();
        assert!(next.contains("wait_task") && next.contains(uid), "{next}");
        assert_eq!(first["stdout"], "begun\n");
        let ended = client.found("wait_task", json!({"task_id": uid})).await;
        assert_eq!(ended["status"], "completed");
        assert!(ended.get("next").is_none(), "{ended}");
        // One that does not want to wait is told the same at once.
        let receipt = client
            .found("shell_run", json!({"command": "true", "wait_seconds": 0}))
            .await;
        assert!(
            receipt["next"].as_str().unwrap().contains("wait_task"),
            "{receipt}"
        );
        let ended = client
            .found("wait_task", json!({"task_id": receipt["task_id"]}))
            .await;
        assert_eq!(ended["status"], "completed");
    }
    assert_eq!(effects.count("long"), 2);
}

#[tokio::test]
async fn progress_is_told_to_who_asks_for_it() {
    let (_relay, _device, caller) = relay_and_device().await;
    let clients = both(&caller).await;
    let calls = clients.iter().map(|client| {
        let params = json!({"name": "shell_run", "arguments": {"command": "sleep 9"},
                            "_meta": {"progressToken": "mine"}});
        client.watched("tools/call", params)
    });
    for (told, response) in join_all(calls).await {
        assert_eq!(
            response["result"]["structuredContent"]["status"],
            "completed"
        );
        assert!(told.len() >= 2, "{told:?}");
        let mut last = 0.0;
        for message in &told {
            assert_eq!(message["method"], "notifications/progress");
            assert_eq!(message["params"]["progressToken"], "mine");
            let progress = message["params"]["progress"].as_f64().unwrap();
            assert!(progress > last && progress - last < 8.0, "{told:?}");
            last = progress;
            let text = message["params"]["message"].as_str().unwrap();
            assert!(text.starts_with("running") && text.len() <= 200, "{text}");
        }
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_its_task() {
    let (relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let client = TestMcp::legacy(&caller).await;
    let arguments = json!({"command": append_after(&effects, "cancelled", "600")});
    let message = client.message(
        "tools/call",
        json!({"name": "shell_run", "arguments": arguments}),
    );
    let waiting = tokio::spawn(client.post(&message).send());
    let uid = running(&caller).await;
    // Nobody else's word counts, in this session or in one of its own.
    let other = relay.caller("other", &[]);
    let cancelled = json!({"requestId": message["id"], "reason": "no more"});
    let foreign = client.with_key_of(&other);
    assert_eq!(
        foreign
            .notify("notifications/cancelled", cancelled.clone())
            .await,
        404
    );
    let own = TestMcp::legacy(&other).await;
    own.notify("notifications/cancelled", cancelled.clone())
        .await;
    assert_eq!(caller.task(&uid).await["status"], "in_progress");

    assert_eq!(
        client.notify("notifications/cancelled", cancelled).await,
        202
    );
    assert_eq!(caller.ended(&uid).await["status"], "cancelled");
    assert_eq!(effects.counts().len(), 0);
    waiting.abort();
}

#[tokio::test]
async fn a_closed_stream_ends_the_wait_only() {
    let (_relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    for (client, name) in both(&caller).await.into_iter().zip(["legacy", "modern"]) {
        let arguments = json!({"command": append_after(&effects, name, "2")});
        let params = json!({"name": "shell_run", "arguments": arguments});
        let message = client.message("tools/call", params);
        let waiting = tokio::spawn(client.post(&message).send());
        let uid = running(&caller).await;
        waiting.abort();
        assert_eq!(caller.ended(&uid).await["status"], "completed");
        assert_eq!(effects.count(name), 1);
    }
}

#[tokio::test]
async fn a_task_is_cancelled_by_its_tool() {
    let (_relay, device, caller) = relay_and_device().await;
    for client in both(&caller).await {
        let command = append_after(&device.effects(), "no", "600");
        let begun = client
            .found("shell_run", json!({"command": command, "wait_seconds": 0}))
            .await;
        client
            .found("cancel_task", json!({"task_id": begun["task_id"]}))
            .await;
        let ended = client
            .found("wait_task", json!({"task_id": begun["task_id"]}))
            .await;
        assert_eq!(ended["status"], "cancelled", "{ended}");
        // Once more changes nothing.
        let again = client
            .found("cancel_task", json!({"task_id": begun["task_id"]}))
            .await;
        assert_eq!(again["status"], "cancelled");
    }
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn nobody_meets_anothers_task_or_session() {
    let (relay, _device, caller) = relay_and_device().await;
    let mine = TestMcp::legacy(&caller).await;
    let begun = mine
        .found(
            "shell_run",
            json!({"command": "sleep 600", "wait_seconds": 0}),
        )
        .await;
    let uid = begun["task_id"].clone();
    let other = relay.caller("other", &[]);
    for client in both(&other).await {
        for tool in ["get_task", "wait_task", "read_output", "cancel_task"] {
            let refused = client.refused(tool, json!({"task_id": uid})).await;
            assert_eq!(refused["code"], "not_found", "{tool}");
            assert!(refused["next"].as_str().unwrap().contains("list_tasks"));
        }
        let listed = client.found("list_tasks", json!({})).await;
        assert_eq!(listed["tasks"], json!([]));
    }
    // A session is its key's, whatever is done with it.
    let thief = mine.with_key_of(&other);
    let message = thief.message("tools/list", json!({}));
    assert_eq!(thief.post(&message).send().await.unwrap().status(), 404);
    let http = reqwest::Client::new();
    for method in [Method::GET, Method::DELETE] {
        let request = http
            .request(method.clone(), format!("{}/key/mcp", relay.url()))
            .bearer_auth(other.key())
            .header("accept", "text/event-stream")
            .header("mcp-session-id", mine.session());
        assert_eq!(request.send().await.unwrap().status(), 404, "{method}");
    }
    let shown = mine.found("get_task", json!({"task_id": uid})).await;
    assert_eq!(shown["status"], "running");
    mine.found("cancel_task", json!({"task_id": uid})).await;
}

#[tokio::test]
async fn the_gates_turn_strangers_away() {
    let relay = TestRelay::start().await;
    let caller = relay.owner();
    let client = TestMcp::modern(&caller).await;
    let list = client.message("tools/list", json!({}));
    let status =
        async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(client.post(&list)).await, 200);
    assert_eq!(
        status(client.post(&list).header("origin", relay.url())).await,
        200
    );
    let by_name = relay.url().replace("127.0.0.1", "localhost");
    assert_eq!(
        status(client.post(&list).header("origin", by_name)).await,
        200
    );
    // Names and pages that are not the relay's own.
    assert_eq!(
        status(client.post(&list).header("host", "evil.example")).await,
        403
    );
    for origin in ["https://evil.example", "null", "http://localhost:1"] {
        assert_eq!(
            status(client.post(&list).header("origin", origin)).await,
            403,
            "{origin}"
        );
    }
    // Too large, and answered all the same.
    let params = json!({"name": "shell_run", "arguments": {"command": "x".repeat(300 * 1024)}});
    let large = client.message("tools/call", params);
    assert_eq!(status(client.post(&large)).await, 413);
    // Headers that say something else than the body.
    let call = client.message(
        "tools/call",
        json!({"name": "list_devices", "arguments": {}}),
    );
    let lying = client.post(&call).header("mcp-name", "shell_run");
    let answer = lying.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32020, "{answer}");
    // A revision nobody knows.
    let mut unknown = list.clone();
    unknown["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    let request = reqwest::Client::new()
        .post(format!("{}/key/mcp", relay.url()))
        .bearer_auth(caller.key())
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2099-01-01")
        .header("mcp-method", "tools/list")
        .json(&unknown);
    let answer = request.send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
}

/// A client that finds OAuth on a host drops the key it was given (trap 1): nothing here speaks of it.
#[tokio::test]
async fn the_key_mount_advertises_nothing() {
    let relay = TestRelay::start().await;
    let url = format!("{}/key/mcp", relay.url());
    let http = reqwest::Client::new();
    for key in [None, Some("dh_nobody_0"), Some("")] {
        let mut request = http
            .post(&url)
            .header("accept", "application/json, text/event-stream")
            .json(
                &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": LEGACY, "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"}}}),
            );
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge, "Bearer realm=\"deskhand\"");
        assert!(response.headers().get("mcp-session-id").is_none());
    }
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/key/mcp",
        "/key/mcp/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/key/mcp",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/key/mcp",
        "/register",
        "/authorize",
    ] {
        let response = http
            .get(format!("{}{path}", relay.url()))
            .header("accept", "text/html, */*")
            .send();
        assert_eq!(response.await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_long_output_is_cut_counted_and_read_on() {
    let (_relay, _device, caller) = relay_and_device().await;
    // 200,000 lines of quotes and characters of two bytes: 1.4 MB.
    let command = r#"seq -f '"ü%.0f' 100000 199999"#;
    let whole: String = (100_000..200_000).map(|n| format!("\"ü{n}\n")).collect();
    for client in both(&caller).await {
        let result = client.call("shell_run", json!({"command": command})).await;
        let text = result["content"][0]["text"].as_str().unwrap();
        let n_chars = text.chars().count();
        assert!((29_000..=30_000).contains(&n_chars), "{n_chars}");
        let found = &result["structuredContent"];
        let left_out = found["omitted"]["stdout_bytes"].as_u64().unwrap();
        let line = format!("\n[… {left_out} bytes left out …]\n");
        let (head, tail) = found["stdout"].as_str().unwrap().split_once(&line).unwrap();
        assert!(whole.starts_with(head) && whole.ends_with(tail));
        assert_eq!(head.len() + tail.len() + left_out as usize, whole.len());
        let next = found["next"].as_str().unwrap();
        assert!(next.contains(&format!("offset {}", head.len())), "{next}");
        assert!(
            found["note"]
                .as_str()
                .unwrap()
                .contains("never instructions")
        );

        // More on request, never beyond the ceiling.
        let asked = json!({"task_id": found["task_id"], "max_chars": 45_000});
        let more = client.call("get_task", asked.clone()).await;
        let n_more = more["content"][0]["text"].as_str().unwrap().chars().count();
        assert!((44_000..=45_000).contains(&n_more), "{n_more}");
        let asked = json!({"task_id": found["task_id"], "max_chars": 45_001});
        assert_eq!(
            client.refused("get_task", asked).await["code"],
            "invalid_request"
        );

        // What was left out, from where the head ended.
        let mut read = head.to_owned();
        let mut offset = Some(head.len() as u64);
        for _ in 0..3 {
            let asked = json!({"task_id": found["task_id"], "offset": offset.unwrap()});
            let range = client.found("read_output", asked).await;
            let text = range["text"].as_str().unwrap();
            assert!(serde_json::to_string(&range).unwrap().chars().count() <= 30_000);
            assert_eq!(range["n_bytes"], text.len());
            read.push_str(text);
            offset = range["next_offset"].as_u64();
        }
        assert!(
            whole.starts_with(&read) && read.len() > 60_000,
            "{}",
            read.len()
        );
        let end = json!({"task_id": found["task_id"], "offset": whole.len() - 9});
        let end = client.found("read_output", end).await;
        assert_eq!(end["text"], "\"ü199999\n"[1..].to_owned());
        assert!(end.get("next_offset").is_none(), "{end}");
    }
}

#[tokio::test]
async fn what_goes_wrong_says_what_to_do() {
    let (_relay, _device, caller) = relay_and_device().await;
    for client in both(&caller).await {
        let missing = json!({"args": ["status"], "working_dir": "/no/such/directory"});
        let refused = client.refused("git_inspect", missing).await;
        assert_eq!(
            (&refused["status"], &refused["code"]),
            (&json!("failed"), &json!("working_dir_missing"))
        );
        assert!(refused["next"].as_str().unwrap().contains("list_devices"));
        for (tool, arguments, code) in [
            ("get_task", json!({"task_id": "nothing"}), "not_found"),
            ("get_task", json!({}), "invalid_request"),
            (
                "shell_run",
                json!({"command": "x", "sync": true}),
                "invalid_request",
            ),
            (
                "shell_run",
                json!({"command": "x", "device": "moon"}),
                "unknown_device",
            ),
            (
                "wait_task",
                json!({"task_id": "x", "wait_seconds": 300}),
                "invalid_request",
            ),
        ] {
            let refused = client.refused(tool, arguments).await;
            assert_eq!(refused["code"], code, "{tool}: {refused}");
            assert!(refused["next"].as_str().unwrap().len() > 10);
            assert!(refused["error"].as_str().unwrap().len() > 10);
        }
    }
}

#[tokio::test]
async fn a_computer_that_is_off_is_said_to_be() {
    let relay = TestRelay::start().await;
    let _device = TestDevice::enrol(&relay, "desk").await;
    for client in both(&relay.owner()).await {
        let refused = client
            .refused("shell_run", json!({"command": "true"}))
            .await;
        assert_eq!(refused["code"], "device_offline", "{refused}");
        assert!(refused["next"].as_str().unwrap().contains("start Deskhand"));
        let devices = client.found("list_devices", json!({})).await;
        assert_eq!(devices["devices"][0]["status"], "offline");
        assert_eq!(devices["devices"][0]["workspaces"], json!([]));
    }
}

#[tokio::test]
async fn a_task_that_waits_for_its_owner_says_so() {
    let (_relay, device, caller) = relay_and_device().await;
    let workspace = device.workspace();
    let open = [
        "workspaces",
        "add",
        workspace.to_str().unwrap(),
        "--level",
        "ask",
    ];
    assert!(device.cli(&open).status.success());
    // A look counts as somebody being there.
    device.cli_json(&["approvals", "list"]);
    let client = TestMcp::modern(&caller).await;
    let command = device.effects().append("asked")[2].clone();
    let asked = client
        .found("shell_run", json!({"command": command, "wait_seconds": 2}))
        .await;
    assert_eq!(asked["status"], "awaiting_approval", "{asked}");
    let next = asked["next"].as_str().unwrap();
    assert!(
        next.contains("owner") && next.contains("wait_task"),
        "{next}"
    );
    let uid = asked["task_id"].as_str().unwrap();
    let waiting = {
        let uid = uid.to_owned();
        tokio::spawn(async move { client.found("wait_task", json!({"task_id": uid})).await })
    };
    assert!(
        device
            .cli(&["approvals", "answer", uid, "once"])
            .status
            .success()
    );
    let ended = waiting.await.unwrap();
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(device.effects().count("asked"), 1);
}

#[tokio::test]
async fn a_long_call_becomes_a_handle_for_who_takes_handles() {
    let (mut relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let client = TestMcp::with_tasks(&caller).await;
    // What ends soon is a result, and what is no command an error, as for everybody.
    let soon = client
        .found("shell_run", json!({"command": "echo soon"}))
        .await;
    assert_eq!(soon["stdout"], "soon\n");
    let refused = client
        .refused("shell_run", json!({"wait_seconds": 99}))
        .await;
    assert_eq!(refused["code"], "invalid_request");

    let command = format!("{}; exit 3", append_after(&effects, "long", "5"));
    let handle = client.call("shell_run", json!({"command": command})).await;
    assert_eq!(
        (&handle["resultType"], &handle["status"]),
        (&json!("task"), &json!("working"))
    );
    let id = handle["taskId"].as_str().unwrap().to_owned();
    assert!(handle["pollIntervalMs"].is_u64(), "{handle}");
    let get =
        async |client: &TestMcp, id: &str| client.request("tasks/get", json!({"taskId": id})).await;
    let working = get(&client, &id).await["result"].clone();
    assert_eq!(working["status"], "working", "{working}");
    assert!(
        working["statusMessage"]
            .as_str()
            .unwrap()
            .starts_with("running")
    );
    // It is the task every other door knows.
    assert_eq!(caller.ended(&id).await["status"], "completed");
    let ended = get(&client, &id).await["result"].clone();
    assert_eq!(ended["status"], "completed");
    assert_eq!(
        ended["result"]["structuredContent"]["returncode"], 3,
        "{ended}"
    );

    // Nobody else's, and nobody's who does not take handles.
    let other = TestMcp::with_tasks(&relay.caller("other", &[])).await;
    let plain = TestMcp::modern(&caller).await;
    let update = json!({"taskId": id, "inputResponses": {}});
    for (method, params) in [
        ("tasks/get", json!({"taskId": id})),
        ("tasks/cancel", json!({"taskId": id})),
        ("tasks/update", update.clone()),
    ] {
        let refused = other.request(method, params.clone()).await;
        assert_eq!(refused["error"]["code"], -32602, "{method}: {refused}");
        let refused = plain.request(method, params).await;
        assert_eq!(refused["error"]["code"], -32021, "{method}: {refused}");
    }
    let taken = client.request("tasks/update", update).await;
    assert_eq!(taken["result"]["resultType"], "complete", "{taken}");

    // Cancelled, and known to a relay that was started anew.
    let handle = client
        .call("shell_run", json!({"command": "sleep 600"}))
        .await;
    let id = handle["taskId"].as_str().unwrap().to_owned();
    let cancelled = client.request("tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(cancelled["result"]["resultType"], "complete", "{cancelled}");
    caller.ended(&id).await;
    relay.terminate().await;
    relay.start_again().await;
    let shown = get(&client, &id).await["result"].clone();
    assert_eq!(shown["status"], "cancelled", "{shown}");
    assert_eq!(effects.count("long"), 1);
}

#[tokio::test]
async fn a_key_holds_a_bounded_number_of_sessions() {
    let relay = TestRelay::start().await;
    let caller = relay.owner();
    let first = TestMcp::legacy(&caller).await;
    let mut last = TestMcp::legacy(&caller).await;
    for _ in 0..31 {
        last = TestMcp::legacy(&caller).await;
    }
    let status = async |client: &TestMcp| {
        let list = client.message("tools/list", json!({}));
        client.post(&list).send().await.unwrap().status()
    };
    assert_eq!(status(&last).await, 200);
    assert_eq!(status(&first).await, 404);
    // A relay that was started anew knows none: the client begins again.
    let mut relay = relay;
    relay.terminate().await;
    relay.start_again().await;
    assert_eq!(status(&last).await, 404);
    let again = TestMcp::legacy(&caller).await;
    assert_eq!(status(&again).await, 200);
}

#[tokio::test]
async fn no_secret_reaches_the_log() {
    let (relay, _device, caller) = relay_and_device().await;
    for client in both(&caller).await {
        client
            .found("shell_run", json!({"command": "echo a-word-in-a-command"}))
            .await;
        let unknown = json!({"requestId": 99, "reason": "a-word-in-a-command"});
        client.notify("notifications/cancelled", unknown).await;
    }
    let log = relay.program().log();
    assert!(!log.contains(caller.key()), "{log}");
    assert!(!log.contains("a-word-in-a-command"), "{log}");
}
