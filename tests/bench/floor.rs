//! The least a relay can do: a text goes through a WebSocket to a loop that sends it back.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    routing::{any, post},
    serve::ListenerExt,
};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::tungstenite;

/// A running floor, ended when dropped.
pub(crate) struct Floor {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the floor in a process of its own.
pub(crate) fn start() -> Floor {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("floor")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    Floor {
        child,
        url: url.trim().to_owned(),
    }
}

#[derive(Clone)]
struct Relay {
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<String>>>>,
    next: Arc<AtomicU64>,
    to_agent: mpsc::Sender<String>,
    from_relay: Arc<Mutex<Option<mpsc::Receiver<String>>>>,
}

/// Serves until it is killed; prints its address.
pub(crate) async fn serve() {
    let (to_agent, from_relay) = mpsc::channel(1_024);
    let relay = Relay {
        waiting: Arc::default(),
        next: Arc::default(),
        to_agent,
        from_relay: Arc::new(Mutex::new(Some(from_relay))),
    };
    let app = Router::new()
        .route("/", post(ask))
        .route("/link", any(link))
        .with_state(relay);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(agent(format!("ws://{address}/link")));
    println!("http://{address}/");
    axum::serve(listener.tap_io(|tcp| tcp.set_nodelay(true).unwrap()), app)
        .await
        .unwrap();
}

async fn ask(State(relay): State<Relay>, body: String) -> String {
    let id = relay.next.fetch_add(1, Ordering::Relaxed);
    let (answer, answered) = oneshot::channel();
    relay.waiting.lock().unwrap().insert(id, answer);
    relay.to_agent.send(format!("{id} {body}")).await.unwrap();
    answered.await.unwrap()
}

async fn link(State(relay): State<Relay>, upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(move |socket| pass_on(relay, socket))
}

async fn pass_on(relay: Relay, mut socket: WebSocket) {
    let mut from_relay = relay.from_relay.lock().unwrap().take().unwrap();
    loop {
        tokio::select! {
            Some(text) = from_relay.recv() => socket.send(Message::Text(text.into())).await.unwrap(),
            frame = socket.recv() => {
                let Some(Ok(Message::Text(text))) = frame else { return };
                let (id, body) = text.split_once(' ').unwrap();
                let answer = relay.waiting.lock().unwrap().remove(&id.parse().unwrap()).unwrap();
                let _ = answer.send(body.to_owned());
            }
        }
    }
}

async fn agent(url: String) {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    while let Some(Ok(tungstenite::Message::Text(text))) = socket.next().await {
        socket.send(tungstenite::Message::Text(text)).await.unwrap();
    }
}
