//! The link itself: who may open one, and who may speak about a task.

use deskhand_tests::{TestDevice, TestRelay};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn dial(relay: &TestRelay, token: Option<&str>) -> Result<Socket, Error> {
    let url = format!("{}/link", relay.url().replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert(
        "sec-websocket-protocol",
        "deskhand.link.v1".parse().unwrap(),
    );
    if let Some(token) = token {
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

/// A device played by the test: it says what it likes.
async fn hello(relay: &TestRelay, token: &str, store_id: &str) -> Socket {
    let mut socket = dial(relay, Some(token)).await.unwrap();
    let hello = json!({"type": "hello", "protocol": 1, "agent_version": "0", "device_name": "played",
        "os": "linux", "store_id": store_id, "next_event": 1, "can_execute": true,
        "support": {"git": true, "shell": true, "sandbox": "none"}});
    say(&mut socket, &hello).await;
    assert_eq!(hear(&mut socket, "welcome").await["stored_through"], 0);
    socket
}

async fn say(socket: &mut Socket, message: &Value) {
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

/// Waits for a message of a type.
async fn hear(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let frame = socket.next().await.expect("the link is open").unwrap();
        if let Message::Text(text) = frame {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }
}

async fn token(relay: &TestRelay, name: &str) -> String {
    let code = relay.cli_json(&["devices", "pair"])["code"].clone();
    let body = json!({"code": code, "device_name": name, "os": "linux"});
    let answer = relay
        .owner()
        .call(Method::POST, "/api/enrol", Some(&body), &[])
        .await;
    answer.body["device_token"].as_str().unwrap().to_owned()
}

fn status(result: Result<Socket, Error>) -> u16 {
    match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

const STORE: &str = "0190a000-0000-7000-8000-000000000001";

#[tokio::test]
async fn without_a_device_token_there_is_no_link() {
    let relay = TestRelay::start().await;
    let owner_key = relay.owner().key().to_owned();
    let good = token(&relay, "desk").await;
    let (stem, _) = good.rsplit_once('_').unwrap();
    for bad in [None, Some("dd_nobody_x"), Some(&*owner_key), Some(stem)] {
        assert_eq!(status(dial(&relay, bad).await), 401, "{bad:?}");
    }
    assert!(dial(&relay, Some(&good)).await.is_ok());
}

#[tokio::test]
async fn a_result_from_a_device_that_does_not_hold_the_task_is_refused() {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await.started().await;
    let played = token(&relay, "played").await;
    let owner = relay.owner();
    let body = json!({"type": "task_command", "data": {"task_id": "held", "device": "desk",
        "action_type": "shell", "params": {"command": "while ! test -e go; do sleep 0.05; done; echo true"}}});
    let uid = owner.webhook(&body).await.body["uid"].clone();
    owner.running("held").await;

    let mut socket = hello(&relay, &played, STORE).await;
    let outcome = json!({"status": "completed", "returncode": 0, "duration_ms": 1});
    let result = json!({"outcome": outcome, "output": {"stdout": "forged", "stderr": ""}});
    say(
        &mut socket,
        &json!({"type": "result", "task_id": uid, "attempt": 1, "result": result}),
    )
    .await;
    let event = json!({"seq": 1, "task_id": uid, "at": "2026-01-01T00:00:00Z",
                       "kind": {"type": "attempt_finished", "attempt": 1, "outcome": outcome}});
    say(&mut socket, &json!({"type": "event", "event": event})).await;
    // It is acknowledged, so that it is not sent for ever, and changes nothing.
    assert_eq!(hear(&mut socket, "stored").await["through"], 1);
    assert_eq!(owner.task("held").await["status"], "in_progress");
    std::fs::write(device.workspace().join("go"), "").unwrap();
    assert_eq!(
        owner.ended("held").await["result"]["output"]["stdout"],
        "true\n"
    );
}

#[tokio::test]
async fn a_task_that_is_not_acknowledged_is_sent_again() {
    let relay = TestRelay::start().await;
    let played = token(&relay, "played").await;
    let mut socket = hello(&relay, &played, STORE).await;
    let answer = relay.owner().shell_async("again", json!(["true"])).await;
    let first = hear(&mut socket, "task").await;
    let second = hear(&mut socket, "task").await;
    assert_eq!(first["task"]["task_id"], answer.body["uid"]);
    assert_eq!(second, first);
    say(
        &mut socket,
        &json!({"type": "accepted", "task_id": answer.body["uid"]}),
    )
    .await;
}

#[tokio::test]
async fn a_task_that_one_store_was_given_is_never_given_to_another() {
    let relay = TestRelay::start().await;
    let played = token(&relay, "played").await;
    let mut first = hello(&relay, &played, STORE).await;
    let owner = relay.owner();
    owner.shell_async("once", json!(["true"])).await;
    hear(&mut first, "task").await;
    // Another ledger with the same token: the first may have run the task and only it can say so.
    let mut second = hello(&relay, &played, "0190a000-0000-7000-8000-000000000002").await;
    owner.shell_async("next", json!(["true"])).await;
    assert_eq!(hear(&mut second, "task").await["task"]["name"], "next");
    let closed = loop {
        match first.next().await {
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(closed, 4409);
    // The first store comes back, and gets what it was given.
    let mut first = hello(&relay, &played, STORE).await;
    assert_eq!(hear(&mut first, "task").await["task"]["name"], "once");
}
