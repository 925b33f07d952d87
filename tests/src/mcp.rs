//! An MCP client that speaks raw JSON-RPC over HTTP, of the era that begins with `initialize` or of
//! revision 2026-07-28: what goes over the wire is in the test, not in a library.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{TestCaller, program::REQUEST_WITHIN};

/// The last revision that begins with `initialize`.
pub const LEGACY: &str = "2025-11-25";

/// The revision without sessions.
pub const MODERN: &str = "2026-07-28";

/// A client of one era.
#[derive(Debug)]
pub struct TestMcp {
    http: Client,
    url: String,
    key: String,
    session: Option<String>,
    ids: AtomicU64,
    /// What it says it can do.
    capabilities: Value,
    /// What the server said of itself when it was first asked.
    pub opening: Value,
}

impl TestMcp {
    /// Begins with `initialize` and goes on in the session it opens.
    pub async fn legacy(caller: &TestCaller) -> Self {
        Self::legacy_that_can(caller, json!({})).await
    }

    /// The same, and says what it can do.
    pub async fn legacy_that_can(caller: &TestCaller, capabilities: Value) -> Self {
        let mut client = Self::new(caller);
        let params = json!({"protocolVersion": LEGACY, "capabilities": capabilities,
                            "clientInfo": {"name": "test", "version": "1"}});
        let body = client.message("initialize", params);
        let response = client.post(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let session = response.headers()["mcp-session-id"].to_str().unwrap();
        client.session = Some(session.to_owned());
        client.opening = messages(response).await.pop().unwrap()["result"].clone();
        client.notify("notifications/initialized", json!({})).await;
        client
    }

    /// Asks what the server is and goes on without a session.
    pub async fn modern(caller: &TestCaller) -> Self {
        let mut client = Self::new(caller);
        client.opening = client.request("server/discover", json!({})).await["result"].clone();
        client
    }

    /// The same, and says with every request what it can do.
    pub async fn modern_that_can(caller: &TestCaller, capabilities: Value) -> Self {
        Self {
            capabilities,
            ..Self::modern(caller).await
        }
    }

    /// The same, and takes handles of the Tasks extension.
    pub async fn with_tasks(caller: &TestCaller) -> Self {
        let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        Self::modern_that_can(caller, tasks).await
    }

    fn new(caller: &TestCaller) -> Self {
        Self {
            http: Client::builder().timeout(REQUEST_WITHIN).build().unwrap(),
            url: match caller.has_token() {
                true => format!("{}/mcp", caller.url()),
                false => format!("{}/key/mcp", caller.url()),
            },
            key: caller.key().to_owned(),
            session: None,
            ids: AtomicU64::new(1),
            capabilities: json!({}),
            opening: Value::Null,
        }
    }

    /// Returns the session's id.
    pub fn session(&self) -> &str {
        self.session.as_deref().expect("a client with a session")
    }

    /// Returns a client that shows another key in the same session.
    pub fn with_key_of(&self, other: &TestCaller) -> Self {
        Self {
            session: self.session.clone(),
            ..Self::new(other)
        }
    }

    /// Makes the next request of a method, in the form of its era.
    pub fn message(&self, method: &str, mut params: Value) -> Value {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        if self.session.is_none() && method != "initialize" {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                self.capabilities.clone();
            params["_meta"]["io.modelcontextprotocol/clientInfo"] =
                json!({"name": "test", "version": "1"});
        }
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    }

    /// Prepares to post a message, with the headers of its era.
    pub fn post(&self, message: &Value) -> RequestBuilder {
        let request = self
            .http
            .post(&self.url)
            .bearer_auth(&self.key)
            .header("accept", "application/json, text/event-stream");
        // What answers a request of the server's has none.
        let method = message["method"].as_str().unwrap_or_default();
        let request = match &self.session {
            Some(session) => request
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", LEGACY),
            None if method == "initialize" => request,
            None => {
                let request = request
                    .header("mcp-protocol-version", MODERN)
                    .header("mcp-method", method);
                let named = ["name", "uri", "taskId"];
                match named
                    .iter()
                    .find_map(|field| message["params"][*field].as_str())
                {
                    Some(name) => request.header("mcp-name", name),
                    None => request,
                }
            }
        };
        request.json(message)
    }

    /// Makes a request and returns the response to it.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        self.watched(method, params).await.1
    }

    /// Makes a request and returns what came before the response to it, and the response.
    pub async fn watched(&self, method: &str, params: Value) -> (Vec<Value>, Value) {
        let message = self.message(method, params);
        let response = self.post(&message).send().await.unwrap();
        let mut messages = messages(response).await;
        let response = messages.pop().expect("an answer");
        assert_eq!(response["id"], message["id"], "{response}");
        (messages, response)
    }

    /// Sends a notification and returns the status.
    pub async fn notify(&self, method: &str, params: Value) -> u16 {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        let response = self.post(&message).send().await.unwrap();
        response.status().as_u16()
    }

    /// Makes a request whose messages are read one by one.
    pub async fn begin(&self, method: &str, params: Value) -> Messages {
        let message = self.message(method, params);
        let response = self.post(&message).send().await.unwrap();
        Messages {
            response,
            read: String::new(),
        }
    }

    /// Listens to what the server says outside of a request, in a session.
    pub async fn listen(&self) -> Messages {
        let request = self
            .http
            .get(&self.url)
            .bearer_auth(&self.key)
            .header("accept", "text/event-stream")
            .header("mcp-session-id", self.session())
            .header("mcp-protocol-version", LEGACY);
        Messages {
            response: request.send().await.unwrap(),
            read: String::new(),
        }
    }

    /// Answers a request of the server's.
    pub async fn reply(&self, request: &Value, result: Value) {
        let message = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        let response = self.post(&message).send().await.unwrap();
        assert_eq!(response.status(), 202);
    }

    /// Calls a tool and returns its result.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let response = self.request("tools/call", params).await;
        assert!(response.get("error").is_none(), "{response}");
        response["result"].clone()
    }

    /// Calls a tool that succeeds and returns what it found; the text says the same.
    pub async fn found(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        let text: Value = serde_json::from_str(text).unwrap();
        assert_eq!(text, result["structuredContent"]);
        text
    }

    /// Calls a tool that does not succeed and returns what its text says.
    pub async fn refused(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
    }
}

/// The messages of a response, while they come.
#[derive(Debug)]
pub struct Messages {
    response: Response,
    read: String,
}

impl Messages {
    /// Waits for the next message.
    pub async fn next(&mut self) -> Value {
        loop {
            if let Some((line, rest)) = self.read.split_once('\n') {
                let message = line.strip_prefix("data:").map(str::trim).map(str::to_owned);
                self.read = rest.to_owned();
                match message {
                    Some(message) if !message.is_empty() => {
                        return serde_json::from_str(&message).unwrap();
                    }
                    _ => continue,
                }
            }
            let chunk = self.response.chunk().await.unwrap();
            let chunk = chunk.expect("another message");
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// Reads all messages of a response: one as JSON, or those of a stream.
async fn messages(response: Response) -> Vec<Value> {
    let kind = response.headers()["content-type"].to_str().unwrap();
    let is_stream = kind.starts_with("text/event-stream");
    let text = response.text().await.unwrap();
    match is_stream {
        false => vec![serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))],
        true => text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter(|data| !data.trim().is_empty())
            .map(|data| serde_json::from_str(data).unwrap())
            .collect(),
    }
}
