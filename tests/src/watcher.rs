//! Whoever watches a timeline or a task over a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::{PATIENCE, TestCaller};

/// An open WebSocket.
#[derive(Debug)]
pub struct TestWatcher {
    socket: WebSocketStream<TcpStream>,
    /// The longest message, `subscribed` excepted.
    longest: usize,
}

impl TestWatcher {
    /// Opens an address with the caller's key.
    pub async fn open(caller: &TestCaller, path: &str) -> Self {
        Self::try_open(caller, path, &[("x-api-key", caller.key())])
            .await
            .unwrap()
    }

    /// Opens an address with these headers; an HTTP status is what the relay answered instead.
    pub async fn try_open(
        caller: &TestCaller,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        Self::open_with_window(caller, path, headers, None).await
    }

    /// Opens a socket whose own side holds few bytes: when it is not read, its sender notices soon.
    pub async fn open_narrow(caller: &TestCaller, path: &str) -> Self {
        let key = [("x-api-key", caller.key())];
        Self::open_with_window(caller, path, &key, Some(4 * 1024))
            .await
            .unwrap()
    }

    async fn open_with_window(
        caller: &TestCaller,
        path: &str,
        headers: &[(&str, &str)],
        window: Option<u32>,
    ) -> Result<Self, u16> {
        let address = caller.url().strip_prefix("http://").unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        if let Some(window) = window {
            tcp.set_recv_buffer_size(window).unwrap();
        }
        let tcp = tcp
            .connect(address.parse().unwrap())
            .await
            .map_err(|_| 0_u16)?;
        tcp.set_nodelay(true).unwrap();
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match client_async(request, tcp).await {
            Ok((socket, _)) => Ok(Self { socket, longest: 0 }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Opens a device's timeline and subscribes.
    pub async fn subscribed(caller: &TestCaller, device: &str, filters: Value) -> Self {
        let mut watcher = Self::open(caller, &format!("/ws/devices/{device}/timeline")).await;
        watcher.subscribe(json!({"filters": filters})).await;
        watcher
    }

    /// Subscribes and returns `subscribed`; what comes before it is dropped.
    pub async fn subscribe(&mut self, what: Value) -> Value {
        let mut message = json!({"type": "subscribe"});
        let fields = message.as_object_mut().unwrap();
        fields.extend(what.as_object().unwrap().clone());
        self.say(&message).await;
        self.until("subscribed").await
    }

    /// Says something.
    pub async fn say(&mut self, message: &Value) {
        self.say_raw(Message::text(message.to_string())).await;
    }

    /// Sends a frame.
    pub async fn say_raw(&mut self, frame: Message) {
        self.socket.send(frame).await.unwrap();
    }

    /// Waits for the next message; none when the relay closed.
    pub async fn try_hear(&mut self) -> Option<Value> {
        loop {
            let frame = timeout(PATIENCE, self.socket.next()).await;
            match frame.expect("the relay says something") {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] != "subscribed" {
                        self.longest = self.longest.max(text.len());
                    }
                    return Some(message);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Waits for the next message.
    pub async fn hear(&mut self) -> Value {
        self.try_hear().await.expect("the socket is open")
    }

    /// Waits for a message of a type and drops those before it.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Returns all messages up to the one for which `last` holds, that one included.
    pub async fn all_until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let message = self.hear().await;
            let is_last = last(&message);
            all.push(message);
            if is_last {
                return all;
            }
        }
    }

    /// Returns what comes within a moment in which nothing is expected.
    pub async fn within(&mut self, moment: Duration) -> Option<Value> {
        timeout(moment, self.try_hear()).await.ok().flatten()
    }

    /// Waits for the close and returns its code.
    pub async fn closed(&mut self) -> u16 {
        loop {
            let frame = timeout(PATIENCE, self.socket.next()).await;
            match frame.expect("the relay closes") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("not closed politely: {other:?}"),
            }
        }
    }

    /// Returns the length of the longest message so far, `subscribed` excepted.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

/// Returns the number in a message's cursor.
pub fn place(message: &Value) -> u64 {
    let cursor = message["cursor"]
        .as_str()
        .unwrap_or_else(|| panic!("no cursor: {message}"));
    cursor.split_once(':').unwrap().1.parse().unwrap()
}

/// Returns the types of messages.
pub fn kinds(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|m| m["type"].as_str().unwrap())
        .collect()
}
