//! Bad input gets a clear error with a stable code, never a 500, and never an execution.

use deskhand_tests::{TestRelay, TestRepo, relay_and_device, task};
use serde_json::{Value, json};

fn shell(params: Value) -> Value {
    task(true, "bad", "shell", params)
}

#[tokio::test]
async fn what_is_no_task_is_refused_with_a_code() {
    let (_relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let run = effects.append("bad");
    let cases = [
        (400, "invalid_request", json!([1, 2])),
        (400, "invalid_request", json!(null)),
        (400, "invalid_request", json!("text")),
        (
            400,
            "invalid_request",
            json!({"type": "task_command", "data": []}),
        ),
        (400, "invalid_request", json!({"type": "task_command"})),
        (
            400,
            "invalid_request",
            json!({"type": "task_command", "sync": "yes", "data": {}}),
        ),
        (400, "invalid_request", shell(json!({"command": 1}))),
        (400, "invalid_request", shell(json!({"command": ["sh", 1]}))),
        (400, "invalid_request", shell(json!({"command": {}}))),
        (
            400,
            "invalid_request",
            shell(json!({"command": run, "timeout": 0})),
        ),
        (
            400,
            "invalid_request",
            shell(json!({"command": run, "timeout": 3601})),
        ),
        (
            400,
            "invalid_request",
            shell(json!({"command": run, "working_dir": 5})),
        ),
        (400, "invalid_request", shell(json!([]))),
        (
            400,
            "invalid_request",
            task(true, "a b", "shell", json!({"command": run})),
        ),
        (
            400,
            "invalid_request",
            task(true, "ü", "shell", json!({"command": run})),
        ),
        (422, "missing_command", shell(json!({}))),
        (422, "missing_command", shell(json!({"command": []}))),
        (422, "missing_command", shell(json!({"command": " "}))),
        (422, "missing_command", shell(json!({"command": null}))),
        (
            422,
            "invalid_command",
            shell(json!({"command": ["a\u{0}b"]})),
        ),
        (
            422,
            "invalid_command",
            task(true, "bad", "git", json!({"command": "status"})),
        ),
        (
            422,
            "invalid_command",
            task(true, "bad", "git", json!({"command": "git log 'x"})),
        ),
        (
            422,
            "missing_action_type",
            task(true, "bad", "", json!({"command": run})),
        ),
        (
            422,
            "unknown_action_type",
            task(true, "bad", "rm", json!({"command": run})),
        ),
        (
            422,
            "unsupported_action",
            task(true, "bad", "claude_code", json!({"command": run})),
        ),
        (404, "unknown_device", {
            let mut body = shell(json!({"command": run}));
            body["data"]["device"] = json!("elsewhere");
            body
        }),
        (400, "missing_task_id", {
            let mut body = shell(json!({"command": run}));
            body["data"]["task_id"].take();
            body
        }),
    ];
    for (status, code, body) in cases {
        let answer = caller.webhook(&body).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{body} → {}",
            answer.body
        );
        assert!(answer.body["error"].is_string(), "{}", answer.body);
    }
    let answer = caller.webhook(&shell(json!({"command": ["sh", 1]}))).await;
    let error = answer.body["error"].as_str().unwrap();
    assert!(
        error.starts_with("data.params.command: "),
        "the path of the fault: {error}"
    );
    assert_eq!(effects.counts().len(), 0, "nothing was executed");
}

#[tokio::test]
async fn the_promised_sentences_are_kept() {
    let (_relay, _device, caller) = relay_and_device().await;
    let sentence = async |body: Value| caller.webhook(&body).await.body["error"].clone();
    let no_id = json!({"type": "task_command", "sync": true,
                       "data": {"action_type": "git", "params": {"command": ["git", "status"]}}});
    assert_eq!(
        sentence(no_id).await,
        "Synchronous mode requires task_id in data"
    );
    assert_eq!(
        sentence(task(true, "a", "x", json!({}))).await,
        "Unknown action type: x"
    );
    assert_eq!(
        sentence(task(true, "a", "", json!({}))).await,
        "Missing action_type"
    );
    assert_eq!(
        sentence(task(true, "a", "git", json!({}))).await,
        "Missing command parameter"
    );
    let key = caller.key().as_bytes();
    let answer = caller.raw_webhook("{", &[("x-api-key", key)]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        json!({"error": "Invalid JSON payload", "code": "invalid_json"})
    );
}

#[tokio::test]
async fn a_key_is_always_demanded_whatever_the_header_holds() {
    let (_relay, device, caller) = relay_and_device().await;
    let body = || {
        task(
            true,
            "bad",
            "shell",
            json!({"command": device.effects().append("bad")}),
        )
        .to_string()
    };
    let own = caller.key().to_owned();
    let (id, _) = own.rsplit_once('_').unwrap();
    let headers: [&[(&str, &[u8])]; 8] = [
        &[],
        &[("x-api-key", b"")],
        &[("x-api-key", b"dh_nobody_x")],
        &[("x-api-key", "dh_ü".as_bytes())],
        &[("x-api-key", &[0xff, 0xfe])],
        &[("x-api-key", id.as_bytes())],
        &[("authorization", b"Bearer")],
        &[("authorization", b"Basic eDp5")],
    ];
    for headers in headers {
        let answer = caller.raw_webhook(body(), headers).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(
            answer.body,
            json!({"error": "Invalid or missing API key", "code": "unauthorized"})
        );
    }
    assert_eq!(device.effects().counts().len(), 0);
    let bearer = format!("bEaReR {own}");
    let answer = caller
        .raw_webhook(body(), &[("authorization", bearer.as_bytes())])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_working_directory_lies_beneath_a_workspace() {
    let (_relay, device, caller) = relay_and_device().await;
    let workspace = device.workspace();
    std::fs::create_dir(workspace.join("inside")).unwrap();
    std::os::unix::fs::symlink("/etc", workspace.join("etc")).unwrap();
    let sibling = format!("{}-evil", workspace.display());
    std::fs::create_dir(&sibling).unwrap();
    let at = |path: &str| format!("{}/{path}", workspace.display());
    let cases = [
        ("/", "working_dir_not_allowed"),
        ("/etc", "working_dir_not_allowed"),
        (&at("../.."), "working_dir_not_allowed"),
        (&at("etc"), "working_dir_not_allowed"),
        (&sibling, "working_dir_not_allowed"),
        (&at("nowhere"), "working_dir_missing"),
    ];
    for (n, (dir, code)) in cases.iter().enumerate() {
        for action in ["shell", "git"] {
            let params = json!({"command": ["git", "status"], "working_dir": dir});
            let answer = caller
                .webhook(&task(true, &format!("{action}-{n}"), action, params))
                .await;
            assert_eq!(
                (
                    answer.status,
                    &answer.body["status"],
                    &answer.body["code"],
                    &answer.body["output"]
                ),
                (200, &json!("failed"), &json!(code), &json!(null)),
                "{dir}: {}",
                answer.body
            );
        }
    }
    let params = json!({"command": ["pwd"], "working_dir": at("inside")});
    let answer = caller.webhook(&task(true, "inside", "shell", params)).await;
    assert_eq!(
        answer.body["output"]["stdout"],
        format!("{}\n", at("inside")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_large_body_is_refused_and_nothing_disconnects() {
    let (_relay, _device, caller) = relay_and_device().await;
    for kib in [257, 1_024, 20_480] {
        let text = "x".repeat(kib * 1_024);
        let answer = caller
            .webhook(&task(true, "large", "echo", json!({"text": text})))
            .await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (413, &json!("too_large")),
            "{kib} KiB"
        );
    }
    let text = "x".repeat(250 * 1_024);
    let answer = caller
        .webhook(&task(
            true,
            "just-small-enough",
            "echo",
            json!({"text": text}),
        ))
        .await;
    assert_eq!(answer.body["status"], "completed", "{}", answer.body);
    assert_eq!(caller.get("/health").await.body["connected_clients"], 1);
}

#[tokio::test]
async fn a_relay_without_devices_says_so() {
    let relay = TestRelay::start().await;
    let answer = relay.owner().shell("nobody", json!(["true"])).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (503, &json!("no_device")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_repository_that_points_out_of_its_workspace_is_not_read() {
    let (_relay, device, caller) = relay_and_device().await;
    let outside = device.user_home().join("private");
    let private = TestRepo::dirty(&outside);
    private.write("README.md", "the secret\n");
    let inside = device.workspace().join("inside");
    let repo = TestRepo::dirty(&inside);
    let denied = async |id: &str, dir: &str| {
        let answer = caller.git(id, &["git", "diff"], dir).await;
        assert_eq!(answer.body["code"], "not_native", "{}", answer.body);
        assert!(
            !answer.body.to_string().contains("secret"),
            "{}",
            answer.body
        );
    };

    repo.git(&["config", "core.worktree", outside.to_str().unwrap()]);
    denied("work-tree", repo.dir()).await;

    let linked = device.workspace().join("linked");
    std::fs::create_dir(&linked).unwrap();
    std::fs::write(
        linked.join(".git"),
        format!("gitdir: {}/.git\n", outside.display()),
    )
    .unwrap();
    denied("gitfile", linked.to_str().unwrap()).await;

    let borrowed = device.workspace().join("borrowed");
    let repo = TestRepo::dirty(&borrowed);
    let objects = format!("{}/.git/objects\n", outside.display());
    repo.write(".git/objects/info/alternates", &objects);
    denied("alternates", repo.dir()).await;
}
