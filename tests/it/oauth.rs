//! Programs that sign in by themselves, over real sockets: from the first refusal to a tool's answer, and
//! what they may do from then on. What is refused is in `oauth_refused.rs`.

use deskhand_tests::{
    TestCaller, TestDevice, TestMcp, TestProgram, TestRelay, field, relay_and_device,
};
use reqwest::Method;
use serde_json::{Value, json};

async fn json_at(url: &str) -> Value {
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

async fn status_at(url: &str) -> u16 {
    reqwest::get(url).await.unwrap().status().as_u16()
}

/// What a mount says to whoever shows a token, or none.
async fn challenge(url: &str, token: Option<&str>) -> (u16, String) {
    let request = reqwest::Client::new().post(url).body("{}");
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let response = request.send().await.unwrap();
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    (response.status().as_u16(), challenge.to_owned())
}

#[tokio::test]
async fn a_program_is_let_in_by_two_digits_and_calls_tools_in_both_eras() {
    let (relay, device, _) = relay_and_device().await;
    let url = relay.url();

    // It is refused, and reads where to ask.
    let (status, said) = challenge(&format!("{url}/mcp"), None).await;
    assert_eq!(status, 401);
    let document = format!("{url}/.well-known/oauth-protected-resource/mcp");
    let expected = format!(
        "Bearer resource_metadata=\"{document}\", scope=\"tasks:read tasks:run devices:read\""
    );
    assert_eq!(said, expected);
    let resource = json_at(&document).await;
    let issuer = format!("{url}/oauth");
    assert_eq!(resource["resource"], format!("{url}/mcp"));
    assert_eq!(resource["authorization_servers"], json!([issuer]));
    let server = json_at(&format!(
        "{url}/.well-known/oauth-authorization-server/oauth"
    ))
    .await;
    assert_eq!(server["issuer"], issuer);
    assert_eq!(
        server["authorization_endpoint"],
        format!("{issuer}/authorize")
    );

    // The owner sees who asks, and what for.
    let program = TestProgram::register(url, "Chat <b>").await;
    let page = program.page(&[]).await;
    for shown in [
        "Chat &lt;b&gt; asks",
        "app.example",
        "desk",
        "Ask for tasks",
    ] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    let asked = &device.cli_json(&["callers", "list"])["requests"][0];
    assert_eq!(asked["client_name"], "Chat <b>");
    assert_eq!(asked["client_host"], "app.example");
    let codes = asked["codes"].as_array().unwrap();
    assert!(codes.len() == 3 && codes.contains(&json!(page.digits)));
    // Nothing happens before the answer.
    assert_eq!(page.look().await.status(), 200);

    device.cli_json(&["callers", "confirm", &page.digits]);
    let answered = page.answered().await;
    assert_eq!(field(&answered, "state").as_deref(), Some("xyz&="));
    assert_eq!(field(&answered, "iss"), Some(issuer));
    let code = field(&answered, "code").unwrap();
    let (status, tokens) = program.exchange(&code, &[]).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3_600);
    assert_eq!(tokens["scope"], "tasks:read tasks:run devices:read");

    let caller = program.caller(&tokens);
    for client in [
        TestMcp::legacy(&caller).await,
        TestMcp::modern(&caller).await,
    ] {
        let found = client
            .found("shell_run", json!({"command": "echo hello"}))
            .await;
        assert_eq!(found["stdout"], "hello\n", "{found}");
    }
    // The same tasks, by the other doors.
    assert_eq!(
        caller.get("/api/tasks").await.body["tasks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let answer = caller.shell("mine", json!("echo again")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn the_owner_lists_programs_and_ends_them() {
    let (relay, device, owner) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let (one, two) = (
        program.let_in(&device, &[]).await,
        program.let_in(&device, &[]).await,
    );
    let listed = owner.get("/api/callers").await.body;
    let names: Vec<&str> = listed["callers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|caller| caller["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Chat (app.example)", "Chat (app.example) 2"]);
    assert_eq!(
        relay.cli_json(&["callers", "list"])["callers"],
        listed["callers"]
    );
    // They are no keys, and administer nothing.
    let keys = relay.cli_json(&["keys", "list"]);
    assert!(!keys.to_string().contains("Chat"), "{keys}");
    assert_eq!(one.get("/api/callers").await.status, 403);

    assert_eq!(one.get("/api/devices").await.status, 200);
    relay.cli_json(&["callers", "revoke", names[0]]);
    assert_eq!(one.get("/api/devices").await.status, 401);
    let id = listed["callers"][1]["caller_id"].as_str().unwrap();
    assert_eq!(two.get("/api/devices").await.status, 200);
    let path = format!("/api/callers/{id}");
    let gone = owner.call(Method::DELETE, &path, None, &[]);
    assert_eq!(gone.await.status, 204);
    assert_eq!(two.get("/api/devices").await.status, 401);
    assert_eq!(owner.get("/api/callers").await.body["callers"], json!([]));
}

#[tokio::test]
async fn no_program_meets_anothers_task_or_session() {
    let (relay, device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let one = program
        .let_in(&device, &[("scope", "tasks:run tasks:read")])
        .await;
    let other = program
        .let_in(&device, &[("scope", "tasks:run tasks:read")])
        .await;
    let mine = TestMcp::legacy(&one).await;
    let begun = mine
        .found(
            "shell_run",
            json!({"command": "sleep 600", "wait_seconds": 0}),
        )
        .await;
    let uid = begun["task_id"].as_str().unwrap();
    let key = relay.caller("key", &[]);
    let clients = [
        TestMcp::legacy(&other).await,
        TestMcp::modern(&other).await,
        TestMcp::modern(&key).await,
    ];
    for client in &clients {
        for tool in ["get_task", "wait_task", "read_output", "cancel_task"] {
            let refused = client.refused(tool, json!({"task_id": uid})).await;
            assert_eq!(refused["code"], "not_found", "{tool}");
        }
    }
    for stranger in [&other, &key] {
        let path = format!("/api/tasks/{uid}");
        assert_eq!(stranger.get(&path).await.status, 404);
        let cancel = format!("{path}/cancel");
        assert_eq!(
            stranger.call(Method::POST, &cancel, None, &[]).await.status,
            404
        );
        // A session is its owner's, through whichever mount.
        let thief = mine.with_key_of(stranger);
        let message = thief.message("tools/list", json!({}));
        assert_eq!(thief.post(&message).send().await.unwrap().status(), 404);
    }
    let shown = mine.found("get_task", json!({"task_id": uid})).await;
    assert_eq!(shown["status"], "running");
    mine.found("cancel_task", json!({"task_id": uid})).await;
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let (relay, device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Reader").await;
    let reader = program
        .let_in(&device, &[("scope", "tasks:read offline_access")])
        .await;
    assert_eq!(reader.get("/api/tasks").await.status, 200);
    assert_eq!(reader.get("/api/devices").await.status, 403);
    assert_eq!(reader.shell("no", json!("true")).await.status, 403);
    let client = TestMcp::modern(&reader).await;
    let call = client.message(
        "tools/call",
        json!({"name": "shell_run", "arguments": {"command": "true"}}),
    );
    let refused = client.post(&call).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let said = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(said.contains("error=\"insufficient_scope\""), "{said}");
    assert!(said.contains("scope=\"tasks:read tasks:run\""), "{said}");

    // What answers questions is given to who names it; everything to nobody.
    let usual = program.tokens(&device, &[]).await;
    assert!(!usual["scope"].as_str().unwrap().contains("approve"));
    let named = program.tokens(&device, &[("scope", "approve admin")]).await;
    assert_eq!(named["scope"], "approve");
    let refused = program.authorize(&[("scope", "admin")]).await;
    let location = refused.headers()["location"].to_str().unwrap();
    assert!(location.contains("error=invalid_scope"), "{location}");
}

// The traps others fell into.

#[tokio::test]
async fn nothing_at_the_root_or_beside_a_key_speaks_of_oauth() {
    let relay = TestRelay::start().await;
    let url = relay.url();
    let (status, said) = challenge(&format!("{url}/key/mcp"), None).await;
    assert_eq!((status, said.as_str()), (401, "Bearer realm=\"deskhand\""));
    let roots = [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
    ];
    let others = [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource/key/mcp",
        "/.well-known/oauth-authorization-server/key/mcp",
        "/key/mcp/.well-known/oauth-authorization-server",
    ];
    for path in roots.iter().chain(&others) {
        assert_eq!(status_at(&format!("{url}{path}")).await, 404, "{path}");
    }
    let relay = TestRelay::start_configured("[oauth]\nroot_alias = true\n").await;
    for path in roots {
        assert_eq!(
            status_at(&format!("{}{path}", relay.url())).await,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_server_says_all_that_clients_look_for_before_they_name_a_document() {
    let relay = TestRelay::start().await;
    let path = "/.well-known/oauth-authorization-server/oauth";
    let server = json_at(&format!("{}{path}", relay.url())).await;
    assert_eq!(server["client_id_metadata_document_supported"], true);
    assert_eq!(
        server["token_endpoint_auth_methods_supported"],
        json!(["none"])
    );
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(
        server["authorization_response_iss_parameter_supported"],
        true
    );
}

#[tokio::test]
async fn the_resource_is_the_address_that_was_dialled() {
    let (relay, device, _) = relay_and_device().await;
    let by_name = relay.url().replace("127.0.0.1", "localhost");
    let path = "/.well-known/oauth-protected-resource/mcp";
    for url in [relay.url(), &by_name] {
        let resource = json_at(&format!("{url}{path}")).await;
        assert_eq!(resource["resource"], format!("{url}/mcp"));
        assert_eq!(
            resource["authorization_servers"],
            json!([format!("{url}/oauth")])
        );
    }
    // A foreign name is not repeated.
    let foreign = reqwest::Client::new()
        .get(format!("{}{path}", relay.url()))
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    let foreign: Value = foreign.json().await.unwrap();
    assert_eq!(foreign["resource"], format!("{}/mcp", relay.url()));

    // A token is good for the address it was asked for, and for no other.
    let program = TestProgram::register(&by_name, "Chat").await;
    let caller = program.let_in(&device, &[]).await;
    assert_eq!(caller.get("/api/tasks").await.status, 200);
    let elsewhere = TestCaller::new(relay.url(), caller.key());
    assert_eq!(elsewhere.get("/api/tasks").await.status, 401);
    let public =
        TestRelay::start_configured("[relay]\npublic_url = \"https://desk.example/\"\n").await;
    let resource = json_at(&format!("{}{path}", public.url())).await;
    assert_eq!(resource["resource"], "https://desk.example/mcp");
}

#[tokio::test]
async fn registering_keeps_nothing_and_outlives_the_relay() {
    let mut relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await.started().await;
    let rows = || {
        let store = rusqlite::Connection::open(relay.home().join("relay.db")).unwrap();
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let mut tables = store.prepare(tables).unwrap();
        let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names
            .map(|name| {
                let count = format!("SELECT count(*) FROM \"{}\"", name.unwrap());
                store
                    .query_row(&count, [], |row| row.get::<_, i64>(0))
                    .unwrap()
            })
            .sum::<i64>()
    };
    let before = rows();
    for _ in 0..20 {
        TestProgram::register(relay.url(), "Chat").await;
    }
    assert_eq!(rows(), before);
    let program = TestProgram::register(relay.url(), "Chat").await;
    relay.kill();
    relay.start_again().await;
    deskhand_tests::eventually("the device is back", || async {
        let devices = relay.owner().get("/api/devices").await.body;
        (devices["devices"][0]["status"] == "online").then_some(())
    })
    .await;
    program.let_in(&device, &[]).await;
}

#[tokio::test]
async fn a_refresh_token_is_replaced_and_the_one_before_is_good_for_a_moment() {
    let (relay, device, _) = relay_and_device().await;
    let program = TestProgram::register(relay.url(), "Chat").await;
    let first = program.tokens(&device, &[]).await;
    let (status, second) = program.refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    // The answer was lost.
    let (status, again) = program.refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200, "{again}");
    for tokens in [&first, &second, &again] {
        assert_eq!(program.caller(tokens).get("/api/tasks").await.status, 200);
    }
    let (status, third) = program.refresh(&again["refresh_token"]).await;
    assert_eq!(status, 200, "{third}");
}
