//! A relay over TLS, behind a proxy, and in the clear.

use std::net::UdpSocket;

use deskhand_tests::{TestAuthority, TestCaller, TestDevice, TestRelay, eventually, program, task};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn enrolment_link_and_tasks_go_over_tls() {
    let authority = TestAuthority::new();
    let relay = TestRelay::start_over_tls(&authority).await;
    assert!(
        relay.url().starts_with("https://127.0.0.1:"),
        "{}",
        relay.url()
    );
    let file = authority.write(relay.root());
    let trust = format!("[tls]\nca_file = {file:?}\n");
    let device = TestDevice::enrol_configured(&relay, "desk", &trust).await;
    let device = device.started().await;
    let caller = relay.owner();
    let answer = caller.echo("over-tls", "hello").await;
    assert_eq!(answer.body["output"]["stdout"], "hello");
    let accepted = caller
        .webhook(&task(false, "later", "echo", json!({"text": "x"})))
        .await;
    let task_url = accepted.body["task_url"].as_str().unwrap();
    assert!(task_url.starts_with(relay.url()), "{task_url}");
    let actions = caller.get("/openapi-actions.json").await.body;
    assert_eq!(actions["servers"], json!([{"url": relay.url()}]));

    // The command line, from another computer that trusts the authority.
    let run = program::deskhand(&device.home())
        .args(["run", "--relay", relay.url(), "--line", "echo $((6*7))"])
        .current_dir(device.workspace())
        .env("DESKHAND_API_KEY", caller.key())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(String::from_utf8_lossy(&run.stdout), "42\n", "{said}");
    // And on the relay's own, which asks where no certificate is needed.
    let devices = relay.cli_json(&["devices", "list"]);
    assert_eq!(devices[0]["status"], "online", "{devices}");
}

#[tokio::test]
async fn who_does_not_know_the_authority_sends_nothing() {
    let authority = TestAuthority::new();
    let relay = TestRelay::start_over_tls(&authority).await;
    let stranger = program::deskhand(&relay.home())
        .args([
            "--json",
            "enrol",
            "--relay",
            relay.url(),
            "--code",
            "ABCDEFGH",
        ])
        .output()
        .unwrap();
    assert_eq!(stranger.status.code(), Some(3));
    let said = String::from_utf8_lossy(&stranger.stderr);
    assert!(
        said.contains("UnknownIssuer") && said.contains("tls.ca_file"),
        "{said}"
    );
    // Plain HTTP on the same port is told so, not led on.
    let plain = relay.url().replace("https:", "http:");
    let answer = TestCaller::new(&plain, relay.owner().key())
        .get("/api/devices")
        .await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!("insecure_transport"))
    );
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let authority = TestAuthority::new();
    let relay = TestRelay::start_over_tls(&authority).await;
    std::fs::write(relay.root().join("key.pem"), "broken").unwrap();
    eventually("the broken key is noticed", || async {
        relay
            .program()
            .log()
            .contains("keeping the certificate in force")
            .then_some(())
    })
    .await;
    assert_eq!(relay.owner().get("/api/devices").await.status, 200);
    // Another authority certifies it from now on.
    let next = TestAuthority::new();
    next.issue(relay.root());
    let caller = TestCaller::trusting(relay.url(), relay.owner().key(), &next.certificate());
    eventually("the new certificate is there", || async {
        let answer = caller
            .try_call(reqwest::Method::GET, "/api/devices", None, &[])
            .await;
        answer.ok().map(|answer| assert_eq!(answer.status, 200))
    })
    .await;
}

#[tokio::test]
async fn files_that_are_no_certificate_are_named() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let (cert, key) = TestAuthority::new().issue(root.path());
    for (cert, key, said) in [
        (&key, &key, "find a certificate in"),
        (&cert, &cert, "find a private key in"),
        (&cert, &root.path().join("none.pem"), "none.pem"),
    ] {
        let args = [
            "--json",
            "relay",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
        ];
        let serve = program::deskhand(&home)
            .args(args)
            .arg(cert)
            .arg("--tls-key")
            .arg(key)
            .output()
            .unwrap();
        assert_eq!(serve.status.code(), Some(1));
        let told = String::from_utf8_lossy(&serve.stderr);
        assert!(
            told.contains("invalid_certificate") && told.contains(said),
            "{told}"
        );
    }
}

/// An address of this computer that others could use.
fn own_address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Sends nothing: only asks the system which way it would go.
    socket.connect("192.0.2.1:9").unwrap();
    let address = socket.local_addr().unwrap().ip();
    assert!(
        !address.is_loopback() && !address.is_unspecified(),
        "this test needs a network"
    );
    address.to_string()
}

#[tokio::test]
async fn keys_in_the_clear_are_refused_at_every_door() {
    let relay = TestRelay::start_for_others("").await;
    let elsewhere = relay.url().replace("127.0.0.1", &own_address());
    let here = relay.owner();
    let there = TestCaller::new(&elsewhere, here.key());
    assert_eq!(here.get("/api/devices").await.status, 200);
    for path in [
        "/api/devices",
        "/key/mcp",
        "/ws/devices/desk/timeline",
        "/link",
        "/nothing",
    ] {
        let refused = there.get(path).await;
        let said = (refused.status, &refused.body["code"]);
        assert_eq!(said, (403, &json!("insecure_transport")), "{path}");
        assert!(
            refused.body["hint"]
                .as_str()
                .unwrap()
                .contains("--tls-cert")
        );
    }
    let http = Client::new();
    let post = async |path: &str| {
        let response = http
            .post(format!("{elsewhere}{path}"))
            .body("{}")
            .send()
            .await
            .unwrap();
        (
            response.status(),
            response.json::<Value>().await.unwrap()["code"].clone(),
        )
    };
    // A pairing code or a key in a body is a secret as well.
    for path in ["/api/enrol", "/api/session", "/webhook"] {
        assert_eq!(
            post(path).await,
            (StatusCode::FORBIDDEN, json!("insecure_transport"))
        );
    }
    // What is public stays so.
    let public = http
        .get(format!("{elsewhere}/healthz"))
        .send()
        .await
        .unwrap();
    assert_eq!(public.status(), 200);
    let docs = http
        .get(format!("{elsewhere}/llm-instructions"))
        .send()
        .await
        .unwrap();
    assert_eq!(docs.status(), 200);
}

#[tokio::test]
async fn an_owner_may_take_keys_in_the_clear() {
    let relay = TestRelay::start_for_others("[relay]\nallow_plain_http = true\n").await;
    let elsewhere = relay.url().replace("127.0.0.1", &own_address());
    let there = TestCaller::new(&elsewhere, relay.owner().key());
    assert_eq!(there.get("/api/devices").await.status, 200);
}

#[tokio::test]
async fn a_named_proxy_says_where_a_request_came_from() {
    let config =
        "[relay]\ntrusted_proxies = [\"127.0.0.1\"]\npublic_url = \"https://relay.example.com\"\n";
    let relay = TestRelay::start_configured(config).await;
    let caller = relay.owner();
    let call = async |headers: &[(&str, &str)]| {
        let answer = caller
            .call(reqwest::Method::GET, "/api/devices", None, headers)
            .await;
        (answer.status, answer.body["code"].clone())
    };
    let from = ("x-forwarded-for", "203.0.113.7");
    let refused = (403, json!("insecure_transport"));
    assert_eq!(call(&[from, ("x-forwarded-proto", "https")]).await.0, 200);
    assert_eq!(call(&[from, ("x-forwarded-proto", "http")]).await, refused);
    assert_eq!(call(&[from]).await, refused);
    // An address the caller made up stands before the one the proxy saw.
    let spoofed = ("x-forwarded-for", "127.0.0.1, 203.0.113.7");
    assert_eq!(
        call(&[spoofed, ("x-forwarded-proto", "http")]).await,
        refused
    );
    // The name it was asked by is the proxy's: a browser's page of that name is our own.
    let sign_in = async |host: &str| {
        let body = json!({"key": caller.key()});
        let headers = [
            from,
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", host),
            ("origin", "https://relay.example.com"),
        ];
        let path = "/api/session";
        caller
            .call(reqwest::Method::POST, path, Some(&body), &headers)
            .await
            .status
    };
    assert_eq!(sign_in("relay.example.com").await, 201);
    assert_eq!(sign_in("evil.example.com").await, 403);
}
