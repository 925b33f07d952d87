//! Making a computer known to a relay.

use deskhand_tests::{TestDevice, TestRelay, relay_and_device};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_code_works_once() {
    let relay = TestRelay::start().await;
    let owner = relay.owner();
    let made = owner
        .call(Method::POST, "/api/pairing-codes", None, &[])
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let code = made.body["code"].as_str().unwrap();
    assert_eq!(code.len(), 8);
    let body = json!({"code": code, "device_name": "laptop", "os": "linux"});
    let first = owner
        .call(Method::POST, "/api/enrol", Some(&body), &[])
        .await;
    assert_eq!(first.status, 201, "{}", first.body);
    assert!(
        first.body["device_token"]
            .as_str()
            .unwrap()
            .starts_with("dd_")
    );
    let second = owner
        .call(Method::POST, "/api/enrol", Some(&body), &[])
        .await;
    assert_eq!(
        (second.status, &second.body["code"]),
        (400, &json!("invalid_pairing_code"))
    );
}

#[tokio::test]
async fn five_wrong_codes_are_enough() {
    let relay = TestRelay::start().await;
    let owner = relay.owner();
    let body = json!({"code": "AAAAAAAA", "device_name": "laptop", "os": "linux"});
    for _ in 0..5 {
        assert_eq!(
            owner
                .call(Method::POST, "/api/enrol", Some(&body), &[])
                .await
                .status,
            400
        );
    }
    let answer = owner
        .call(Method::POST, "/api/enrol", Some(&body), &[])
        .await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (429, &json!("rate_limited"))
    );
}

#[tokio::test]
async fn a_device_is_renamed_and_removed() {
    let (_relay, _device, caller) = relay_and_device().await;
    let devices = caller.get("/api/devices").await.body;
    assert_eq!(devices["devices"][0]["device_name"], "desk");
    assert_eq!(devices["devices"][0]["status"], "online");
    let id = devices["devices"][0]["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/devices/{id}");
    let body = json!({"device_name": "workbench"});
    let renamed = caller.call(Method::PATCH, &path, Some(&body), &[]).await;
    assert_eq!(
        (renamed.status, &renamed.body["device_name"]),
        (200, &json!("workbench"))
    );
    assert_eq!(
        caller.call(Method::DELETE, &path, None, &[]).await.status,
        204
    );
    assert_eq!(caller.get("/health").await.body["connected_clients"], 0);
    let answer = caller.echo("gone", "x").await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (503, &json!("no_device"))
    );
}

#[tokio::test]
async fn a_second_device_of_the_same_name_gets_another() {
    let relay = TestRelay::start().await;
    let _first = TestDevice::enrol(&relay, "desk").await;
    let _second = TestDevice::enrol(&relay, "desk").await;
    let devices = relay.owner().get("/api/devices").await.body;
    let names: Vec<_> = (0..2)
        .map(|n| devices["devices"][n]["device_name"].clone())
        .collect();
    assert_eq!(names, [json!("desk"), json!("desk-2")]);
}
