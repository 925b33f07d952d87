//! The owner's question, shown by an MCP client: asked in the way of each era, answered once whatever the
//! door, and never what a call depends on.

use deskhand_tests::{
    Effects, TestCaller, TestDevice, TestMcp, TestRelay, eventually, relay_and_device,
};
use serde_json::{Value, json};

/// What a client says that shows forms.
fn forms() -> Value {
    json!({"elicitation": {}})
}

async fn asking() -> (TestRelay, TestDevice, TestCaller) {
    let (relay, device, caller) = relay_and_device().await;
    let workspace = device.workspace();
    let open = [
        "workspaces",
        "add",
        workspace.to_str().unwrap(),
        "--level",
        "ask",
    ];
    assert!(device.cli(&open).status.success());
    (relay, device, caller)
}

fn line(effects: &Effects, name: &str) -> Value {
    effects.append(name)[2].clone()
}

fn call(command: &Value, wait_seconds: u64) -> Value {
    json!({"name": "shell_run", "arguments": {"command": command, "wait_seconds": wait_seconds}})
}

/// Retries a call as a client does that was asked by its result.
fn retried(call: &Value, asked: &Value, response: Value) -> Value {
    let mut call = call.clone();
    call["requestState"] = asked["requestState"].clone();
    call["inputResponses"] = json!({"approval": response});
    call
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"answer": "once"}})
}

fn no() -> Value {
    json!({"action": "accept", "content": {"answer": "no"}})
}

fn found(response: &Value) -> &Value {
    &response["result"]["structuredContent"]
}

#[tokio::test]
async fn a_client_with_a_session_is_sent_the_question() {
    let (_relay, device, caller) = asking().await;
    let effects = device.effects();
    let client = TestMcp::legacy_that_can(&caller, forms()).await;
    for (name, said, status) in [
        ("yes", yes(), "completed"),
        ("no", no(), "failed"),
        ("declined", json!({"action": "decline"}), "failed"),
    ] {
        let command = line(&effects, name);
        let mut messages = client.begin("tools/call", call(&command, 25)).await;
        let form = messages.next().await;
        assert_eq!(form["method"], "elicitation/create", "{form}");
        let message = form["params"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("echo {name} >>")), "{message}");
        assert!(
            message.contains(device.workspace().to_str().unwrap()),
            "{message}"
        );
        let answers = &form["params"]["requestedSchema"]["properties"]["answer"]["oneOf"];
        assert_eq!(
            (&answers[0]["const"], &answers[1]["const"]),
            (&json!("once"), &json!("no"))
        );
        client.reply(&form, said).await;
        let ended = messages.next().await;
        assert_eq!(found(&ended)["status"], status, "{ended}");
    }
    assert_eq!(effects.names(), ["yes"]);
}

#[tokio::test]
async fn a_client_without_a_session_is_asked_by_a_result() {
    let (relay, device, caller) = asking().await;
    let effects = device.effects();
    let client = TestMcp::modern_that_can(&caller, forms()).await;
    let first = call(&line(&effects, "yes"), 25);
    let asked = client.request("tools/call", first.clone()).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let form = &asked["inputRequests"]["approval"];
    assert_eq!(form["method"], "elicitation/create", "{asked}");

    // What was sealed is for this caller, this call, and as it was.
    let refused = async |client: &TestMcp, call: Value| {
        let answer = client.request("tools/call", call).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    };
    let mut changed = retried(&first, &asked, yes());
    changed["arguments"]["command"] = line(&effects, "another");
    refused(&client, changed).await;
    let mut forged = retried(&first, &asked, yes());
    forged["requestState"] = format!("{}x", asked["requestState"].as_str().unwrap()).into();
    refused(&client, forged).await;
    let other = relay.caller("other", &["--scope", "tasks:run", "--scope", "approve"]);
    let other = TestMcp::modern_that_can(&other, forms()).await;
    refused(&other, retried(&first, &asked, yes())).await;
    assert_eq!(effects.names(), Vec::<String>::new());

    // A form that was accepted without a word is no yes: it is shown again.
    for said in [json!({"action": "accept", "content": {}}), json!("yes")] {
        let again = client
            .request("tools/call", retried(&first, &asked, said))
            .await;
        assert_eq!(again["result"]["resultType"], "input_required", "{again}");
    }
    let ended = client
        .request("tools/call", retried(&first, &asked, yes()))
        .await;
    assert_eq!(found(&ended)["status"], "completed", "{ended}");
    // Once more changes nothing.
    let again = client
        .request("tools/call", retried(&first, &asked, yes()))
        .await;
    assert_eq!(found(&again)["task_id"], found(&ended)["task_id"]);
    assert_eq!(effects.names(), ["yes"]);

    let second = call(&line(&effects, "no"), 25);
    let asked = client.request("tools/call", second.clone()).await["result"].clone();
    let ended = client
        .request("tools/call", retried(&second, &asked, no()))
        .await;
    assert_eq!(found(&ended)["code"], "denied", "{ended}");
    assert_eq!(effects.names(), ["yes"]);
}

#[tokio::test]
async fn a_user_who_looks_away_leaves_it_to_the_desk() {
    let (_relay, device, caller) = asking().await;
    let effects = device.effects();
    let client = TestMcp::modern_that_can(&caller, forms()).await;
    let first = call(&line(&effects, "desk"), 1);
    let asked = client.request("tools/call", first.clone()).await["result"].clone();
    let away = retried(&first, &asked, json!({"action": "cancel"}));
    let told = client.request("tools/call", away).await;
    assert_eq!(found(&told)["status"], "awaiting_approval", "{told}");
    assert!(found(&told)["next"].as_str().unwrap().contains("wait_task"));
    let uid = found(&told)["task_id"].as_str().unwrap();
    assert!(
        device
            .cli(&["approvals", "answer", uid, "once"])
            .status
            .success()
    );
    let ended = client.found("wait_task", json!({"task_id": uid})).await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(effects.names(), ["desk"]);
}

#[tokio::test]
async fn a_form_is_taken_back_when_the_desk_was_first() {
    let (_relay, device, caller) = asking().await;
    let effects = device.effects();
    let client = TestMcp::legacy_that_can(&caller, forms()).await;
    let mut beside = client.listen().await;
    // Long enough that the call is not what ends the form.
    let command = effects.append_after("desk", "5")[2].clone();
    let mut messages = client.begin("tools/call", call(&command, 25)).await;
    let form = messages.next().await;
    let open = device.cli_json(&["approvals", "list"]);
    let uid = open[0]["task_id"].as_str().unwrap();
    let yes = device.cli(&["approvals", "answer", uid, "once"]);
    assert!(yes.status.success());
    let taken_back = beside.next().await;
    assert_eq!(
        taken_back["method"], "notifications/cancelled",
        "{taken_back}"
    );
    assert_eq!(taken_back["params"]["requestId"], form["id"]);
    assert!(caller.task(uid).await["completed_at"].is_null());
    // Whoever answers now is late.
    client.reply(&form, no()).await;
    let ended = messages.next().await;
    assert_eq!(found(&ended)["status"], "completed", "{ended}");
    assert_eq!(effects.names(), ["desk"]);
}

/// Several clients say that they show forms and never do (trap 7): they get the ordinary answer in the
/// ordinary time, and the form is theirs for 20 seconds.
#[tokio::test]
async fn a_form_that_nobody_shows_holds_nothing_up() {
    let (_relay, device, caller) = asking().await;
    let effects = device.effects();
    let client = TestMcp::legacy_that_can(&caller, forms()).await;
    let mut beside = client.listen().await;
    let command = line(&effects, "never");
    let mut messages = client.begin("tools/call", call(&command, 22)).await;
    let form = messages.next().await;
    let taken_back = beside.next().await;
    assert_eq!(
        taken_back["method"], "notifications/cancelled",
        "{taken_back}"
    );
    assert_eq!(taken_back["params"]["requestId"], form["id"]);
    assert_eq!(
        taken_back["params"]["reason"],
        "nobody answered within 20 seconds"
    );
    let told = messages.next().await;
    assert_eq!(found(&told)["status"], "awaiting_approval", "{told}");
    assert_eq!(effects.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_may_not_answer_is_shown_nothing() {
    let (relay, device, _owner) = asking().await;
    let assistant = relay.caller("assistant", &[]);
    let command = line(&device.effects(), "no");
    for client in [
        TestMcp::legacy_that_can(&assistant, forms()).await,
        TestMcp::modern_that_can(&assistant, forms()).await,
    ] {
        // Nobody is there to answer: said at once.
        let told = client.request("tools/call", call(&command, 25)).await;
        assert_eq!(found(&told)["code"], "denied", "{told}");
    }
    // Nor is a client that shows no forms, or only pages.
    let owner = relay.owner();
    for can in [json!({}), json!({"elicitation": {"url": {}}})] {
        let client = TestMcp::legacy_that_can(&owner, can).await;
        let told = client.request("tools/call", call(&command, 25)).await;
        assert_eq!(found(&told)["code"], "denied", "{told}");
    }
    assert_eq!(device.effects().names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_handle_asks_and_is_answered_by_an_update() {
    let (_relay, device, caller) = asking().await;
    let effects = device.effects();
    let can = json!({"elicitation": {"form": {}},
                     "extensions": {"io.modelcontextprotocol/tasks": {}}});
    let client = TestMcp::modern_that_can(&caller, can).await;
    for (name, said, status) in [("yes", yes(), "completed"), ("no", no(), "failed")] {
        let command = line(&effects, name);
        let handle = client.call("shell_run", json!({"command": command})).await;
        assert_eq!(handle["resultType"], "task", "{handle}");
        let id = handle["taskId"].as_str().unwrap();
        let shown = client.request("tasks/get", json!({"taskId": id})).await["result"].clone();
        assert_eq!(shown["status"], "input_required", "{shown}");
        let asked = shown["inputRequests"].as_object().unwrap();
        let (digest, form) = asked.iter().next().unwrap();
        assert_eq!(form["method"], "elicitation/create");
        // An answer to another question answers nothing.
        let other = json!({"taskId": id, "inputResponses": {"0".repeat(64): yes()}});
        client.request("tasks/update", other).await;
        let answer = json!({"taskId": id, "inputResponses": {digest: said}});
        let taken = client.request("tasks/update", answer).await;
        assert_eq!(taken["result"]["resultType"], "complete", "{taken}");
        let ended = eventually("the task ends", || async {
            let shown = client.request("tasks/get", json!({"taskId": id})).await["result"].clone();
            (shown["status"] == "completed").then_some(shown)
        })
        .await;
        assert_eq!(
            ended["result"]["structuredContent"]["status"], status,
            "{ended}"
        );
    }
    assert_eq!(effects.names(), ["yes"]);
}
