//! GitHub posts events: a signature instead of a key, timeline entries and never tasks.

use deskhand_tests::{TestDevice, TestRelay, relay_and_device, task};
use serde_json::json;

#[tokio::test]
async fn without_a_secret_no_event_is_taken() {
    let (_relay, device, caller) = relay_and_device().await;
    let body = task(
        true,
        "x",
        "shell",
        json!({"command": device.effects().append("x")}),
    )
    .to_string();
    let key = caller.key().as_bytes();
    let signature = b"sha256=0000000000000000000000000000000000000000000000000000000000000000";
    for headers in [
        vec![("x-github-event", b"push".as_slice())],
        vec![("x-github-event", b"push"), ("x-api-key", key)],
        vec![
            ("x-github-event", b"push"),
            ("x-hub-signature-256", signature.as_slice()),
        ],
    ] {
        let answer = caller.raw_webhook(body.clone(), &headers).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert_eq!(answer.body["error"], "Invalid webhook signature");
    }
    assert_eq!(device.effects().counts().len(), 0);
}

#[tokio::test]
async fn a_signed_event_is_received_and_executes_nothing() {
    let relay =
        TestRelay::start_configured("[github]\nsecret = \"It's a Secret to Everybody\"\n").await;
    let device = TestDevice::enrol(&relay, "desk").await.started().await;
    let caller = relay.owner();
    let body = r#"{"type":"task_command","sync":true,"data":{"task_id":"gh","action_type":"shell","params":{"command":"echo gh >> effects"}}}"#;
    // HMAC-SHA-256 of the body, made with openssl: the check must not rest on our own code.
    let signature = b"sha256=7372334f4f108fcc2a82ca35b9ce6acfdfc346ea80150dc10654bfe5798c7c19";
    let headers = [
        ("x-github-event", b"push".as_slice()),
        ("x-github-delivery", b"72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", signature),
    ];
    let answer = caller.raw_webhook(body, &headers).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.body,
        json!({"status": "received", "event": "push",
               "delivery_id": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "clients_notified": 1})
    );
    let forged = caller.raw_webhook(format!("{body} "), &headers).await;
    assert_eq!(forged.status, 403);
    // A task behind it would have run by the time an echo is answered.
    assert_eq!(caller.echo("after", "x").await.body["status"], "completed");
    assert_eq!(device.effects().counts().len(), 0);
    assert_eq!(caller.get("/api/tasks/gh").await.status, 404);
}
