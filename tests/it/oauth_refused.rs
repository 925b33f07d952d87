//! What nobody gets by OAuth: each way in that others left open, tried.

use deskhand_tests::{
    TestCaller, TestDevice, TestMcp, TestProgram, TestRelay, VERIFIER, field, relay_and_device,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

fn store(relay: &TestRelay) -> rusqlite::Connection {
    rusqlite::Connection::open(relay.home().join("relay.db")).unwrap()
}

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn other_digits_than_the_pages_refuse_the_program() {
    let (relay, device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let page = program.page(&[]).await;
    let wrong = if page.digits == "11" { "12" } else { "11" };
    let tried = device.cli(&["callers", "confirm", wrong]);
    assert!(!tried.status.success());
    // There is one try.
    let asked = device.cli_json(&["callers", "list"]);
    assert_eq!(asked["requests"], json!([]));
    let answered = page.answered().await;
    assert_eq!(field(&answered, "error").as_deref(), Some("access_denied"));
    assert_eq!(field(&answered, "state").as_deref(), Some("xyz&="));
    assert_eq!(field(&answered, "code"), None);
    assert_eq!(page.look().await.status(), 404);

    let page = program.page(&[]).await;
    let asked = device.cli_json(&["callers", "list"]);
    let id = asked["requests"][0]["request_id"].as_str().unwrap();
    device.cli_json(&["callers", "refuse", id]);
    let answered = page.answered().await;
    assert_eq!(field(&answered, "error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn nobody_answers_from_afar() {
    let (relay, device, owner) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let page = program.page(&[]).await;
    let asked = device.cli_json(&["callers", "list"])["requests"][0].clone();
    let ask = async |request: Value| {
        let answer = owner
            .call(
                Method::POST,
                "/api/device-requests/desk",
                Some(&request),
                &[],
            )
            .await;
        (answer.status, answer.body["code"].clone())
    };
    let answer =
        json!({"type": "answer_caller", "request_id": asked["request_id"], "code": page.digits});
    assert_eq!(ask(answer).await, (403, json!("local_only")));
    let list = json!({"type": "list_caller_requests"});
    assert_eq!(ask(list).await, (403, json!("local_only")));
    // Only the relay itself makes a question ring.
    let mut forged = asked.clone();
    forged["type"] = "confirm_caller".into();
    forged["code"] = "42".into();
    assert_eq!(ask(forged).await, (403, json!("forbidden")));
    assert_eq!(page.look().await.status(), 200);
}

#[tokio::test]
async fn pages_are_bounded() {
    let (relay, _device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    for _ in 0..4 {
        assert_eq!(program.authorize(&[]).await.status(), 302);
    }
    let refused = program.authorize(&[]).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_page_waits_for_a_computer_that_is_away() {
    let relay = TestRelay::start().await;
    let mut device = TestDevice::enrol(&relay, "desk").await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let page = program.page(&[]).await;
    assert!(page.text.contains("offline"), "{}", page.text);
    device.start().await;
    assert_eq!(page.look().await.status(), 200);
    device.cli_json(&["callers", "confirm", &page.digits]);
    assert!(field(&page.answered().await, "code").is_some());
}

#[tokio::test]
async fn a_code_is_good_for_its_program_alone() {
    let (relay, device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let thief = TestProgram::register(relay.url(), "Thief").await;
    // Whatever is wrong, the code is spent.
    let tried: [(&TestProgram, &[(&str, &str)]); 5] = [
        (&thief, &[]),
        (
            &program,
            &[(
                "code_verifier",
                "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            )],
        ),
        (&program, &[("code_verifier", "")]),
        (&program, &[("redirect_uri", "http://127.0.0.1/cb")]),
        (
            &program,
            &[("client_id", "https://app.example/client.json")],
        ),
    ];
    for (who, other) in tried {
        let code = program.code(&device, &[]).await;
        assert_eq!(
            error(&who.exchange(&code, other).await),
            (400, "invalid_grant"),
            "{other:?}"
        );
        assert_eq!(
            error(&program.exchange(&code, &[]).await),
            (400, "invalid_grant")
        );
    }
    let made_up = program.exchange("dc_nothing", &[]).await;
    assert_eq!(error(&made_up), (400, "invalid_grant"));
    assert_eq!(
        relay.owner().get("/api/callers").await.body["callers"],
        json!([])
    );
}

#[tokio::test]
async fn a_code_that_is_shown_twice_ends_what_it_gave() {
    let (relay, device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let code = program.code(&device, &[]).await;
    let (status, tokens) = program.exchange(&code, &[]).await;
    assert_eq!(status, 200);
    let caller = program.caller(&tokens);
    assert_eq!(caller.get("/api/tasks").await.status, 200);
    assert_eq!(
        error(&program.exchange(&code, &[]).await),
        (400, "invalid_grant")
    );
    assert_eq!(caller.get("/api/tasks").await.status, 401);
    assert_eq!(
        error(&program.refresh(&tokens["refresh_token"]).await),
        (400, "invalid_grant")
    );
}

#[tokio::test]
async fn a_browser_is_sent_only_where_the_program_registered() {
    let (relay, _device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    for redirect in [
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://app.example/x/../callback",
        "https://app.example:8443/callback",
        "https://APP.example/callback",
        "https://app.example@evil.example/callback",
        "https://evil.example/callback",
        "http://app.example/callback",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:9@evil.example/cb",
        "javascript:alert(1)",
        "",
    ] {
        let refused = program.authorize(&[("redirect_uri", redirect)]).await;
        // Said to the person, and to nobody else.
        assert_eq!(refused.status(), 400, "{redirect}");
        assert!(!refused.headers().contains_key("location"), "{redirect}");
    }
    let own = program.authorize(&[("redirect_uri", "http://127.0.0.1:50123/cb")]);
    assert_eq!(own.await.status(), 302);
    for unfit in [
        "http://app.example/",
        "javascript:alert(1)",
        "https://a@b.example/",
        "nothing",
    ] {
        let registered = reqwest::Client::new()
            .post(format!("{}/oauth/register", relay.url()))
            .json(&json!({"redirect_uris": [unfit]}))
            .send()
            .await
            .unwrap();
        assert_eq!(registered.status(), 400, "{unfit}");
        let said: Value = registered.json().await.unwrap();
        assert_eq!(said["error"], "invalid_redirect_uri");
    }
    // An id that somebody made up or changed.
    let mut forged = program.client_id.clone();
    forged.pop();
    for id in [forged.as_str(), "dcr_e30.AAAA", "chat", ""] {
        assert_eq!(
            program.authorize(&[("client_id", id)]).await.status(),
            400,
            "{id}"
        );
    }
}

#[tokio::test]
async fn nothing_weaker_than_s256_is_taken() {
    let (relay, _device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let tried: [&[(&str, &str)]; 5] = [
        &[
            ("code_challenge_method", "plain"),
            ("code_challenge", VERIFIER),
        ],
        &[("code_challenge_method", "")],
        &[("code_challenge", "")],
        &[("code_challenge", ""), ("code_challenge_method", "")],
        &[("code_challenge", "short")],
    ];
    for other in tried {
        let refused = program.authorize(other).await;
        let location = refused.headers()["location"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(
            field(&location, "error").as_deref(),
            Some("invalid_request"),
            "{other:?}"
        );
        assert_eq!(
            field(&location, "iss"),
            Some(format!("{}/oauth", relay.url()))
        );
        assert_eq!(field(&location, "state").as_deref(), Some("xyz&="));
    }
    let implicit = program.authorize(&[("response_type", "token")]).await;
    let location = implicit.headers()["location"].to_str().unwrap();
    assert!(
        location.contains("error=unsupported_response_type"),
        "{location}"
    );
}

#[tokio::test]
async fn a_token_is_good_for_one_resource() {
    let mut relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await.started().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    for resource in [
        format!("{}/mcp/", relay.url()),
        format!("{}/key/mcp", relay.url()),
        relay.url().to_owned(),
        "https://other.example/mcp".to_owned(),
    ] {
        let refused = program.authorize(&[("resource", &resource)]).await;
        let location = refused.headers()["location"].to_str().unwrap();
        assert!(location.contains("error=invalid_target"), "{location}");
    }
    let code = program.code(&device, &[]).await;
    let other = program
        .exchange(&code, &[("resource", "https://other.example/mcp")])
        .await;
    assert_eq!(error(&other), (400, "invalid_target"));
    let tokens = program.tokens(&device, &[]).await;
    let caller = program.caller(&tokens);
    assert_eq!(caller.get("/api/tasks").await.status, 200);
    // The relay goes by another name now: what was given for the old one is worth nothing there.
    relay.terminate().await;
    std::fs::write(
        relay.home().join("config.toml"),
        "[relay]\npublic_url = \"https://desk.example\"\n",
    )
    .unwrap();
    relay.start_again().await;
    assert_eq!(caller.get("/api/tasks").await.status, 401);
    assert_eq!(
        error(&program.refresh(&tokens["refresh_token"]).await),
        (400, "invalid_grant")
    );
}

#[tokio::test]
async fn tokens_end() {
    let mut relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await.started().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let tokens = program.tokens(&device, &[]).await;
    let caller = program.caller(&tokens);
    relay.terminate().await;
    let ends = "UPDATE oauth_tokens SET expires_at = 1000 WHERE kind = ?1";
    store(&relay).execute(ends, ["access"]).unwrap();
    relay.start_again().await;
    assert_eq!(caller.get("/api/tasks").await.status, 401);
    let client = reqwest::Client::new();
    let refused = client
        .post(format!("{}/mcp", relay.url()))
        .bearer_auth(caller.key())
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    let said = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(said.contains("error=\"invalid_token\""), "{said}");
    // The refresh token goes on, until it ends as well.
    let (status, fresh) = program.refresh(&tokens["refresh_token"]).await;
    assert_eq!(status, 200, "{fresh}");
    assert_eq!(program.caller(&fresh).get("/api/tasks").await.status, 200);
    store(&relay).execute(ends, ["refresh"]).unwrap();
    assert_eq!(
        error(&program.refresh(&fresh["refresh_token"]).await),
        (400, "invalid_grant")
    );
    // Who cannot come back is forgotten.
    relay.terminate().await;
    let long_ago = "UPDATE keys SET created_at = 1000 WHERE client IS NOT NULL";
    store(&relay).execute(long_ago, []).unwrap();
    store(&relay).execute(ends, ["access"]).unwrap();
    relay.start_again().await;
    deskhand_tests::eventually("the program is forgotten", || async {
        let callers = relay.owner().get("/api/callers").await.body;
        (callers["callers"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_that_is_shown_again_later_ends_the_whole_family() {
    let (relay, device, owner) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    // Later than a minute.
    let first = program.tokens(&device, &[]).await;
    let (_, second) = program.refresh(&first["refresh_token"]).await;
    let earlier = "UPDATE oauth_tokens SET replaced_at = replaced_at - 61000
                   WHERE replaced_at IS NOT NULL";
    assert_eq!(store(&relay).execute(earlier, []).unwrap(), 1);
    assert_eq!(
        error(&program.refresh(&first["refresh_token"]).await),
        (400, "invalid_grant")
    );
    assert_eq!(
        error(&program.refresh(&second["refresh_token"]).await),
        (400, "invalid_grant")
    );
    assert_eq!(program.caller(&second).get("/api/tasks").await.status, 401);
    assert_eq!(owner.get("/api/callers").await.body["callers"], json!([]));
    // Within the minute, but the next one was used already.
    let first = program.tokens(&device, &[]).await;
    let (_, second) = program.refresh(&first["refresh_token"]).await;
    let (_, third) = program.refresh(&second["refresh_token"]).await;
    assert_eq!(program.caller(&third).get("/api/tasks").await.status, 200);
    assert_eq!(
        error(&program.refresh(&first["refresh_token"]).await),
        (400, "invalid_grant")
    );
    assert_eq!(program.caller(&third).get("/api/tasks").await.status, 401);
}

#[tokio::test]
async fn a_token_that_is_taken_back_is_worth_nothing() {
    let (relay, device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let thief = TestProgram::register(relay.url(), "Thief").await;
    let tokens = program.tokens(&device, &[]).await;
    let (access, refresh) = (
        tokens["access_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
    );
    let caller = program.caller(&tokens);
    let revoke = async |who: &TestProgram, token: &str| {
        let fields = [("token", token), ("client_id", &who.client_id)];
        who.post("/oauth/revoke", &fields).await.0
    };
    // Another program's are not given back for it.
    assert_eq!(revoke(&thief, access).await, 200);
    assert_eq!(revoke(&thief, refresh).await, 200);
    assert_eq!(caller.get("/api/tasks").await.status, 200);
    assert_eq!(revoke(&program, access).await, 200);
    assert_eq!(caller.get("/api/tasks").await.status, 401);
    let (status, fresh) = program.refresh(&tokens["refresh_token"]).await;
    assert_eq!(status, 200);
    let refresh = fresh["refresh_token"].as_str().unwrap();
    assert_eq!(revoke(&program, refresh).await, 200);
    assert_eq!(program.caller(&fresh).get("/api/tasks").await.status, 401);
    assert_eq!(
        error(&program.refresh(&fresh["refresh_token"]).await),
        (400, "invalid_grant")
    );
    assert_eq!(revoke(&program, "nothing").await, 200);
}

#[tokio::test]
async fn tokens_and_keys_do_not_stand_for_each_other() {
    let (relay, device, owner) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let tokens = program.tokens(&device, &[]).await;
    let http = reqwest::Client::new();
    let status = async |path: &str, token: &str| {
        let request = http
            .post(format!("{}{path}", relay.url()))
            .bearer_auth(token);
        request.body("{}").send().await.unwrap().status().as_u16()
    };
    assert_eq!(
        status("/key/mcp", tokens["access_token"].as_str().unwrap()).await,
        401
    );
    assert_eq!(status("/mcp", owner.key()).await, 401);
    assert_eq!(
        status("/mcp", tokens["refresh_token"].as_str().unwrap()).await,
        401
    );
    let refresh = TestCaller::new(relay.url(), tokens["refresh_token"].as_str().unwrap());
    assert_eq!(refresh.get("/api/tasks").await.status, 401);
    // Nor does a token in the address count, or as an API key.
    let access = tokens["access_token"].as_str().unwrap();
    let stranger = TestCaller::new(relay.url(), "");
    let in_address = format!("/api/tasks?access_token={access}");
    assert_eq!(stranger.get(&in_address).await.status, 401);
    let as_key = http.get(format!("{}/api/tasks", relay.url()));
    let as_key = as_key.header("x-api-key", access).send().await.unwrap();
    assert_eq!(as_key.status(), 401);
    // It opens no browser session.
    let session = http
        .post(format!("{}/api/session", relay.url()))
        .header("origin", relay.url())
        .json(&json!({"key": access}));
    assert_eq!(session.send().await.unwrap().status(), 401);
    TestMcp::modern(&program.caller(&tokens)).await;
}

#[tokio::test]
async fn the_relay_fetches_nothing_from_its_owners_network() {
    let (relay, _device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for id in [
        format!("https://127.0.0.1:{port}/client.json"),
        format!("https://localhost:{port}/client.json"),
        format!("https://[::1]:{port}/client.json"),
        format!("https://[::ffff:7f00:1]:{port}/client.json"),
        format!("https://2130706433:{port}/client.json"),
        format!("https://0x7f000001:{port}/client.json"),
        format!("https://0.0.0.0:{port}/client.json"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/client.json".to_owned(),
        format!("http://127.0.0.1:{port}/client.json"),
    ] {
        let other = [
            ("client_id", id.as_str()),
            ("redirect_uri", "https://app.example/cb"),
        ];
        let refused = program.authorize(&other).await;
        assert_eq!(refused.status(), 400, "{id}");
    }
    // Nobody knocked.
    let knocked = futures_util::FutureExt::now_or_never(listener.accept());
    assert!(knocked.is_none());
}
