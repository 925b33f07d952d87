//! What an idle device connection costs the relay.

use deskhand_tests::TestRelay;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{Message, client::IntoClientRequest, protocol::WebSocketConfig},
};

/// Connects so many devices that do nothing, and prints how much the relay rose for each.
pub(crate) async fn measure(devices: u32) {
    let relay = TestRelay::start().await;
    let owner = relay.owner();
    let mut tokens = Vec::new();
    for n in 0..devices {
        let code = owner
            .call(Method::POST, "/api/pairing-codes", None, &[])
            .await
            .body["code"]
            .clone();
        let body = json!({"code": code, "device_name": format!("idle-{n}"), "os": "linux"});
        let enrolled = owner
            .call(Method::POST, "/api/enrol", Some(&body), &[])
            .await;
        tokens.push(enrolled.body["device_token"].as_str().unwrap().to_owned());
    }
    let before = relay.program().resident_bytes();
    let mut links = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        let url = format!("{}/link", relay.url().replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert(
            "sec-websocket-protocol",
            "deskhand.link.v1".parse().unwrap(),
        );
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let small = WebSocketConfig::default().read_buffer_size(4_096);
        let (mut link, _) = connect_async_with_config(request, Some(small), false)
            .await
            .unwrap();
        let hello = json!({"type": "hello", "protocol": 1, "agent_version": "0", "device_name": "idle",
            "os": "linux", "store_id": format!("0190a000-0000-7000-8000-{n:012x}"), "next_event": 1,
            "can_execute": true, "support": {"git": true, "shell": true, "sandbox": "none"}});
        link.send(Message::text(hello.to_string())).await.unwrap();
        link.next().await.unwrap().unwrap();
        links.push(link);
    }
    let connected = owner.get("/health").await.body["connected_clients"].clone();
    let rose = relay.program().resident_bytes() - before;
    println!(
        "{connected} idle devices: {:.1} KB each in the relay",
        rose as f64 / f64::from(devices) / 1e3
    );
}
