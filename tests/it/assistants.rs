//! What assistants are told and can call without MCP: prompts, the description for GPT Actions, and the
//! tools over plain HTTP.

use deskhand_tests::{TestMcp, TestRelay, TestRepo, relay_and_device};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn prompts_name_the_computers_and_no_secret() {
    let (relay, device, caller) = relay_and_device().await;
    let workspace = device.workspace();
    for (assistant, max) in [
        ("chatgpt", 1_500),
        ("gpt", 8_000),
        ("claude", 6_000),
        ("gemini", 6_000),
        ("generic", 6_000),
    ] {
        let prompt = caller.get(&format!("/api/prompts/{assistant}")).await.body;
        let text = prompt["text"].as_str().unwrap();
        assert!(text.chars().count() <= max, "{assistant}");
        assert_eq!(prompt["n_chars"], text.chars().count());
        assert!(text.contains("desk") && text.contains(workspace.to_str().unwrap()));
        assert!(!text.contains(caller.key()) && !text.contains("dh_"));
        // The command line prints the same.
        let printed = relay.cli_json(&["prompt", "--for", assistant]);
        assert_eq!(printed, prompt);
    }
    assert_eq!(caller.get("/api/prompts/nobody").await.status, 404);
    let instructions = caller.get("/llm-instructions").await.body;
    let instructions = instructions.as_str().unwrap();
    for word in [
        "/key/mcp",
        "/openapi-actions.json",
        "awaiting_approval",
        "denied",
    ] {
        assert!(instructions.contains(word), "{word}");
    }
    // Whoever has no key is not told the names of computers.
    assert!(!instructions.contains(workspace.to_str().unwrap()));
}

#[tokio::test]
async fn the_description_for_a_gpt_names_the_public_address() {
    let relay =
        TestRelay::start_configured("[relay]\npublic_url = \"https://relay.example.com/\"\n").await;
    let http = reqwest::Client::new();
    let description = http
        .get(format!("{}/openapi-actions.json", relay.url()))
        .send();
    let description: Value = description.await.unwrap().json().await.unwrap();
    assert_eq!(
        description["servers"],
        json!([{"url": "https://relay.example.com"}])
    );
    assert_eq!(description["openapi"], "3.1.0");
    assert!(!description.to_string().contains("dh_"));
    // The name the owner gave is one by which MCP clients may call.
    let client = TestMcp::modern(&relay.owner()).await;
    let list = client.message("tools/list", json!({}));
    for (host, origin, status) in [
        ("relay.example.com", "https://relay.example.com", 200),
        ("relay.example.com", "http://relay.example.com", 403),
        ("example.com", "https://relay.example.com", 403),
    ] {
        let request = client
            .post(&list)
            .header("host", host)
            .header("origin", origin);
        assert_eq!(
            request.send().await.unwrap().status(),
            status,
            "{host} {origin}"
        );
    }
}

#[tokio::test]
async fn what_the_description_says_can_be_called() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    let description = caller.get("/openapi-actions.json").await.body;
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 9);
    let client = TestMcp::modern(&caller).await;
    let tools = client.request("tools/list", json!({})).await["result"]["tools"].clone();
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let operation = &paths[&format!("/api/tools/{name}")]["post"];
        assert_eq!(operation["operationId"], name);
        assert_eq!(operation["description"], tool["description"]);
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body, &tool["inputSchema"]);
        let consequential = &operation["x-openai-isConsequential"];
        assert_ne!(
            consequential, &tool["annotations"]["readOnlyHint"],
            "{name}"
        );
    }
    let call = async |tool: &str, body: Value| {
        let path = format!("/api/tools/{tool}");
        caller.call(Method::POST, &path, Some(&body), &[]).await
    };
    let args = json!({"args": ["status", "--short"], "working_dir": repo.dir()});
    let status = call("git_inspect", args).await;
    assert_eq!(
        (status.status, &status.body["status"]),
        (200, &json!("completed"))
    );
    assert_eq!(status.body["stdout"], repo.git(&["status", "--short"]));
    // The same task, whatever the door.
    let shown = client
        .found("get_task", json!({"task_id": status.body["task_id"]}))
        .await;
    assert_eq!(shown, status.body);

    // A task that failed is an answer; a call that was not made is not.
    let failed = call(
        "git_inspect",
        json!({"args": ["status"], "working_dir": "/no"}),
    )
    .await;
    assert_eq!(
        (failed.status, &failed.body["code"]),
        (200, &json!("working_dir_missing"))
    );
    for (tool, body, status, code) in [
        ("get_task", json!({"task_id": "none"}), 404, "not_found"),
        ("get_task", json!({}), 400, "invalid_request"),
        ("get_task", json!([]), 400, "invalid_request"),
        ("no_tool", json!({}), 404, "not_found"),
        (
            "shell_run",
            json!({"command": "x", "device": "moon"}),
            404,
            "unknown_device",
        ),
    ] {
        let refused = call(tool, body).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (status, &json!(code)),
            "{tool}"
        );
    }
    let devices = caller
        .raw("POST", "/api/tools/list_devices", Vec::new())
        .await;
    assert_eq!(devices, 200);
    assert_eq!(
        caller
            .raw("POST", "/api/tools/list_devices", b"{".to_vec())
            .await,
        400
    );
    assert_eq!(
        caller
            .raw("GET", "/api/tools/list_devices", Vec::new())
            .await,
        405
    );
}

/// The five things assistants are asked most, as calls that were recorded, through every door: the same
/// record each time.
#[tokio::test]
async fn the_same_wish_makes_the_same_task_through_every_door() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    let dir = repo.dir();
    let (legacy, modern) = (
        TestMcp::legacy(&caller).await,
        TestMcp::modern(&caller).await,
    );
    let wishes = [
        (json!(["git", "status"]), dir),
        (json!(["git", "log", "-5", "--oneline"]), dir),
        (json!(["git", "ls-files", "*.md"]), dir),
        (json!(["git", "branch", "--show-current"]), dir),
        (json!(["git", "status"]), "/no/such/directory"),
    ];
    for (command, dir) in wishes {
        let params = json!({"command": command, "working_dir": dir, "read_only": true});
        let name = format!(
            "wish-{}",
            caller.get("/api/tasks").await.body["tasks"]
                .as_array()
                .unwrap()
                .len()
        );
        let webhook = caller
            .webhook(&deskhand_tests::task(true, &name, "git", params.clone()))
            .await;
        let mut action = params.clone();
        action["type"] = "git".into();
        let body = json!({"action": action});
        let rest = caller
            .call(
                Method::POST,
                "/api/tasks",
                Some(&body),
                &[("prefer", "wait=40")],
            )
            .await;
        let arguments = json!({"args": command, "working_dir": dir});
        let asked = json!({"name": "git_inspect", "arguments": arguments});
        let mut uids = vec![webhook.body["uid"].clone(), rest.body["uid"].clone()];
        for client in [&legacy, &modern] {
            let answer = client.request("tools/call", asked.clone()).await;
            uids.push(answer["result"]["structuredContent"]["task_id"].clone());
        }
        let plain = caller
            .call(
                Method::POST,
                "/api/tools/git_inspect",
                Some(&arguments),
                &[],
            )
            .await;
        uids.push(plain.body["task_id"].clone());
        let mut records = Vec::new();
        for uid in &uids {
            let mut record = caller.task(uid.as_str().unwrap()).await;
            for field in ["task_id", "uid", "created_at", "started_at", "completed_at"] {
                record.as_object_mut().unwrap().remove(field);
            }
            record["result"]["outcome"]
                .as_object_mut()
                .unwrap()
                .remove("duration_ms");
            records.push(record);
        }
        assert!(
            records.iter().all(|record| *record == records[0]),
            "{records:#?}"
        );
        let expected = match dir {
            "/no/such/directory" => json!("failed"),
            _ => json!("completed"),
        };
        assert_eq!(records[0]["status"], expected);
    }
}

/// What people say, and the call it should lead to: a change of the tools that breaks one of them breaks
/// whoever learned it.
#[tokio::test]
async fn every_utterance_leads_to_a_call_the_schemas_allow() {
    let relay = TestRelay::start().await;
    let client = TestMcp::modern(&relay.owner()).await;
    let listed = client.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let utterances: Vec<(String, String, Value)> =
        serde_json::from_str(include_str!("../mcp/utterances.json")).unwrap();
    assert_eq!(utterances.len(), 40);
    for (said, name, arguments) in &utterances {
        let tool = tools.iter().find(|tool| tool["name"] == **name);
        let tool = tool.unwrap_or_else(|| panic!("{said}: no tool {name}"));
        if let Err(error) = fits(&tool["inputSchema"], arguments) {
            panic!("{said}: {name}: {error}");
        }
    }
    for tool in tools {
        let is_meant = utterances.iter().any(|(_, name, _)| tool["name"] == **name);
        assert!(is_meant, "nothing leads to {}", tool["name"]);
    }
    // The check tells a wrong call from a right one.
    let schema = |name: &str| {
        let tool = tools.iter().find(|tool| tool["name"] == name);
        &tool.unwrap()["inputSchema"]
    };
    for (name, wrong) in [
        ("git_inspect", json!({})),
        ("git_inspect", json!({"args": "status"})),
        ("git_run", json!({"args": ["status"], "cwd": "/"})),
        ("wait_task", json!({"task_id": "x", "wait_seconds": 41})),
        ("read_output", json!({"task_id": "x", "stream": "both"})),
        ("list_tasks", json!({"status": "in_progress"})),
        ("shell_run", json!({"command": "x", "read_only": "yes"})),
    ] {
        assert!(fits(schema(name), &wrong).is_err(), "{name}: {wrong}");
    }
}

/// Checks a value against a schema of the plain kind the tools have.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = || Err(format!("{value} is not {schema}"));
    match schema["type"].as_str() {
        Some("object") => {
            let fields = value.as_object().ok_or("not an object")?;
            let properties = schema["properties"].as_object().unwrap();
            for name in schema["required"].as_array().unwrap() {
                if !fields.contains_key(name.as_str().unwrap()) {
                    return Err(format!("{name} is missing"));
                }
            }
            fields.iter().try_for_each(|(name, value)| {
                let property = properties.get(name);
                fits(property.ok_or(format!("there is no `{name}`"))?, value)
            })
        }
        Some("array") => {
            let items = value.as_array().ok_or("not a list")?;
            items
                .iter()
                .try_for_each(|item| fits(&schema["items"], item))
        }
        Some("string") => {
            let words = schema["enum"].as_array();
            match value.is_string() && words.is_none_or(|words| words.contains(value)) {
                true => Ok(()),
                false => wrong(),
            }
        }
        Some("integer") => {
            let bound = |name: &str, default| schema[name].as_u64().unwrap_or(default);
            let allowed = bound("minimum", 0)..=bound("maximum", u64::MAX);
            match value.as_u64().is_some_and(|n| allowed.contains(&n)) {
                true => Ok(()),
                false => wrong(),
            }
        }
        Some("boolean") if value.is_boolean() => Ok(()),
        _ => wrong(),
    }
}
