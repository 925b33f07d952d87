//! Whoever calls a relay over HTTP.

use std::time::{Duration, Instant};

use reqwest::{Client, ClientBuilder, Method, StatusCode};
use serde_json::{Value, json};

use crate::{authority::install_algorithms, eventually, program::REQUEST_WITHIN};

/// A caller with a key, or with an OAuth access token.
#[derive(Debug, Clone)]
pub struct TestCaller {
    http: Client,
    url: String,
    key: String,
}

/// What a caller was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; a text where it is no JSON.
    pub body: Value,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// How long it took.
    pub took: Duration,
}

impl TestCaller {
    /// Makes a caller.
    pub fn new(url: &str, key: &str) -> Self {
        install_algorithms();
        Self::with(Client::builder(), url, key)
    }

    /// Makes a caller that trusts one authority.
    pub fn trusting(url: &str, key: &str, authority: &str) -> Self {
        install_algorithms();
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        Self::with(Client::builder().tls_certs_only([authority]), url, key)
    }

    fn with(http: ClientBuilder, url: &str, key: &str) -> Self {
        let http = http.timeout(REQUEST_WITHIN).build().unwrap();
        Self {
            http,
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Returns the key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Tells whether it has an OAuth access token, and no key.
    pub fn has_token(&self) -> bool {
        self.key.starts_with("do_")
    }

    /// Returns the relay's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns a typed client with the same key.
    pub fn client(&self) -> deskhand_client::Client {
        let key = deskhand_protocol::Secret::new(self.key.clone());
        deskhand_client::Client::new(&self.url, Some(key), None).unwrap()
    }

    /// Posts a body to `/webhook`.
    pub async fn webhook(&self, body: &Value) -> Answer {
        self.call(Method::POST, "/webhook", Some(body), &[]).await
    }

    /// Posts any bytes to `/webhook`, with headers of its own instead of the key.
    pub async fn raw_webhook(
        &self,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &[u8])],
    ) -> Answer {
        let mut request = self.http.post(format!("{}/webhook", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await.expect("the relay answers")
    }

    /// Calls any address with the key.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_call(method, path, body, headers)
            .await
            .expect("the relay answers")
    }

    /// Calls any address with the key; the relay may be away.
    pub async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        request = match self.has_token() {
            true => request.bearer_auth(&self.key),
            false => request.header("X-API-Key", &self.key),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        send(request).await
    }

    /// Reads an address.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None, &[]).await
    }

    /// Sends any bytes anywhere with the key and returns the status.
    pub async fn raw(&self, method: &str, path: &str, body: Vec<u8>) -> u16 {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.header("X-API-Key", &self.key).body(body);
        let response = request.send().await.expect("the relay answers");
        let status = response.status().as_u16();
        // Read to its end, so that the connection can serve again.
        response.bytes().await.unwrap();
        status
    }

    /// Runs a git command and waits.
    pub async fn git(&self, id: &str, command: &[&str], dir: &str) -> Answer {
        self.webhook(&task(
            true,
            id,
            "git",
            json!({"command": command, "working_dir": dir}),
        ))
        .await
    }

    /// Runs a shell command and waits.
    pub async fn shell(&self, id: &str, command: Value) -> Answer {
        self.webhook(&task(true, id, "shell", json!({"command": command})))
            .await
    }

    /// Submits a shell command and does not wait.
    pub async fn shell_async(&self, id: &str, command: Value) -> Answer {
        self.webhook(&task(false, id, "shell", json!({"command": command})))
            .await
    }

    /// Says a text and waits for it to come back.
    pub async fn echo(&self, id: &str, text: &str) -> Answer {
        self.webhook(&task(true, id, "echo", json!({"text": text})))
            .await
    }

    /// Submits a shell command without waiting, and obeys `Retry-After` until it is taken.
    pub async fn shell_obedient(&self, id: &str, command: Value) -> Answer {
        let body = task(false, id, "shell", json!({"command": command}));
        loop {
            let answer = self.webhook(&body).await;
            match answer.retry_after {
                Some(seconds) if answer.status == 429 => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                _ => return answer,
            }
        }
    }

    /// Returns a task as it is now.
    pub async fn task(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/tasks/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Waits until a task has ended and returns it.
    pub async fn ended(&self, id: &str) -> Value {
        self.task_when(id, "the task has ended", |task| {
            !matches!(
                task["status"].as_str(),
                Some("pending" | "in_progress" | "awaiting_approval")
            )
        })
        .await
    }

    /// Waits until a task runs and returns it.
    pub async fn running(&self, id: &str) -> Value {
        self.task_when(id, "the task runs", |task| task["status"] == "in_progress")
            .await
    }

    async fn task_when(&self, id: &str, what: &str, when: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/tasks/{id}");
        eventually(what, || async {
            // The relay may be away for a moment in tests that kill it.
            let answer = self.try_call(Method::GET, &path, None, &[]).await.ok()?;
            (answer.status == 200 && when(&answer.body)).then_some(answer.body)
        })
        .await
    }
}

/// Returns the body of a task command.
pub fn task(sync: bool, id: &str, action: &str, params: Value) -> Value {
    json!({"type": "task_command", "sync": sync,
           "data": {"task_id": id, "action_type": action, "params": params}})
}

async fn send(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let began = Instant::now();
    let response = request.send().await?;
    let status = response.status();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().parse().unwrap());
    assert!(retry_after.is_some() || status != StatusCode::TOO_MANY_REQUESTS);
    let text = response.bytes().await?;
    let body = serde_json::from_slice(&text)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&text).into_owned()));
    Ok(Answer {
        status: status.as_u16(),
        body,
        retry_after,
        took: began.elapsed(),
    })
}
