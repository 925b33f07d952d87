//! What a key may see and do.

use deskhand_tests::{TestDevice, TestRelay, relay_and_device, task};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn what_a_caller_may_not_see_is_not_there() {
    let (relay, device, owner) = relay_and_device().await;
    let (one, other) = (relay.caller("one", &[]), relay.caller("other", &[]));
    let made = one.shell("mine", device.effects().append("mine")).await;
    let uid = made.body["uid"].as_str().unwrap();
    for id in ["mine", uid] {
        assert_eq!(one.get(&format!("/api/tasks/{id}")).await.status, 200);
        for path in ["", "/output", "/events"] {
            assert_eq!(
                other.get(&format!("/api/tasks/{id}{path}")).await.status,
                404,
                "{path}"
            );
        }
        let path = format!("/api/tasks/{id}/cancel");
        assert_eq!(other.call(Method::POST, &path, None, &[]).await.status, 404);
    }
    assert_eq!(owner.get(&format!("/api/tasks/{uid}")).await.status, 200);
    let listed = async |who: &deskhand_tests::TestCaller| {
        who.get("/api/tasks").await.body["tasks"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        (
            listed(&one).await,
            listed(&other).await,
            listed(&owner).await
        ),
        (1, 0, 1)
    );
}

#[tokio::test]
async fn scopes_are_enforced() {
    let (relay, device, owner) = relay_and_device().await;
    let reader = relay.caller("reader", &["--scope", "tasks:read"]);
    let answer = reader.shell("no", device.effects().append("no")).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (403, &json!("forbidden"))
    );
    let runner = relay.caller("runner", &["--scope", "tasks:run"]);
    assert_eq!(runner.get("/api/devices").await.status, 403);
    assert_eq!(
        runner
            .call(Method::POST, "/api/pairing-codes", None, &[])
            .await
            .status,
        403
    );
    let id = owner.get("/api/devices").await.body["devices"][0]["device_id"].clone();
    let path = format!("/api/devices/{}", id.as_str().unwrap());
    assert_eq!(
        runner.call(Method::DELETE, &path, None, &[]).await.status,
        403
    );
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn a_key_reaches_its_devices_only() {
    let relay = TestRelay::start().await;
    let _first = TestDevice::enrol(&relay, "first").await.started().await;
    let second = TestDevice::enrol(&relay, "second").await.started().await;
    let caller = relay.caller("held", &["--device", "second"]);
    let answer = caller.shell("here", json!(["pwd"])).await;
    assert_eq!(
        answer.body["output"]["stdout"],
        format!("{}\n", second.workspace().display())
    );
    let mut body = task(true, "there", "shell", json!({"command": ["pwd"]}));
    body["data"]["device"] = json!("first");
    let answer = caller.webhook(&body).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (404, &json!("unknown_device"))
    );
}

#[tokio::test]
async fn a_revoked_key_is_no_key() {
    let (relay, _device, _owner) = relay_and_device().await;
    let caller = relay.caller("short-lived", &[]);
    assert_eq!(caller.echo("a", "x").await.status, 200);
    relay.cli_json(&["keys", "revoke", "short-lived"]);
    assert_eq!(caller.echo("b", "x").await.status, 401);
}
