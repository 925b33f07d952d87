//! A device in a temporary directory, and a relay that says what the test tells it to say.

use std::{path::PathBuf, time::Duration};

use deskhand_agent::{Agent, AgentHandle, Config, Door, TaskEnvironment, Tier};
use deskhand_protocol::{
    Action, DeviceId, Epoch, Event, EventKind, RequestId, Secret, Seq, Task, TaskId, TaskResult,
    Timestamp,
    device_request::{DeviceRequest, DeviceResponse},
    link::{DeviceToRelay, Hello, RelayToDevice, SUBPROTOCOL, Welcome},
};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use uuid::Uuid;

/// Nothing here takes this long; a test that waits longer has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const TOKEN: &str = "dd_dev1_secret";

/// A device's directory: store, workspace and scratch survive the agent.
pub(crate) struct TestDevice {
    dir: tempfile::TempDir,
    pub(crate) max_tasks: usize,
}

impl TestDevice {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["workspace", "own"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir, max_tasks: 4 }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// What a file in the workspace holds; nothing when it is not there.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("workspace").join(name)).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path("workspace").join(name), text).unwrap();
    }

    pub(crate) fn config(&self, relay: &TestRelay) -> Config {
        let mut target = std::env::current_exe().unwrap();
        while target.file_name().unwrap() != "deps" {
            target.pop();
        }
        Config {
            tls: None,
            relay_url: relay.url(),
            device_token: Secret::new(TOKEN),
            device_name: "desk".into(),
            os: "linux".into(),
            store: self.path("own").join("agent.db"),
            sandbox_path: target.parent().unwrap().join("examples/sandbox-helper"),
            sandbox_require: Tier::None,
            scratch: self.path("own").join("tmp"),
            task_environment: TaskEnvironment {
                home: self.path("home"),
                user: "o".into(),
                path: vec!["/usr/bin".into(), "/bin".into()],
                extra: Vec::new(),
            },
            git_environment: Vec::new(),
            time_zone: "UTC".into(),
            inbox: self.path("own").join("inbox"),
            max_tasks: self.max_tasks,
            workspaces: Vec::new(),
            rules: self.path("own").join("rules.toml"),
            secrets: vec![Secret::new("known-secret-value")],
            hidden: vec![self.path("own")],
        }
    }

    /// Starts an agent whose workspace is open.
    pub(crate) async fn start(&self, relay: &TestRelay) -> AgentHandle {
        let agent = Agent::start(self.config(relay)).await.unwrap();
        self.open_workspace(&agent).await;
        agent
    }

    async fn open_workspace(&self, agent: &AgentHandle) {
        let request = DeviceRequest::AddWorkspace {
            path: self.path("workspace").to_str().unwrap().to_owned(),
            name: None,
            level: None,
        };
        let answer = agent.request(request, Door::Local).await;
        assert!(
            matches!(answer, DeviceResponse::Workspaces { .. }),
            "{answer:?}"
        );
    }

    /// Starts an agent in a runtime of its own, which can be killed.
    pub(crate) async fn start_apart(&self, relay: &TestRelay) -> Apart {
        let config = self.config(relay);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let started = runtime.spawn(Agent::start(config));
        let agent = started.await.unwrap().unwrap();
        self.open_workspace(&agent).await;
        Apart { runtime, agent }
    }
}

/// An agent that can be killed like a process: nothing of it gets another turn.
pub(crate) struct Apart {
    runtime: tokio::runtime::Runtime,
    pub(crate) agent: AgentHandle,
}

impl Apart {
    pub(crate) async fn kill(self) {
        let Self { runtime, agent } = self;
        tokio::task::spawn_blocking(move || {
            runtime.shutdown_timeout(Duration::from_secs(5));
            drop(agent);
        })
        .await
        .unwrap();
    }
}

/// The relay's side, as the test plays it.
pub(crate) struct TestRelay {
    pub(crate) listener: TcpListener,
}

impl TestRelay {
    pub(crate) async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// Takes the next session and says that everything up to an event is stored.
    pub(crate) async fn session(&self, stored_through: u64) -> Session {
        timeout(DEADLINE, async {
            let (stream, _) = self.listener.accept().await.unwrap();
            let mut socket = accept_hdr_async(stream, check_headers).await.unwrap();
            let hello = match socket.next().await.unwrap().unwrap() {
                Message::Text(text) => serde_json::from_str(&text).unwrap(),
                other => panic!("no hello: {other:?}"),
            };
            let DeviceToRelay::Hello(hello) = hello else {
                panic!("no hello: {hello:?}");
            };
            let mut session = Session { socket, hello };
            session
                .send(RelayToDevice::Welcome(Welcome {
                    relay_version: "test".into(),
                    device_id: "dev1".parse::<DeviceId>().unwrap(),
                    session_epoch: Epoch(1),
                    heartbeat_seconds: 20,
                    stored_through: Seq(stored_through),
                    n_approvers: 0,
                }))
                .await;
            session
        })
        .await
        .expect("the device dials")
    }

    /// Refuses the next dialling with 401.
    pub(crate) async fn refuse(&self) {
        let (stream, _) = timeout(DEADLINE, self.listener.accept())
            .await
            .unwrap()
            .unwrap();
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        fn refused(_: &Request, _: Response) -> Result<Response, ErrorResponse> {
            let mut response = ErrorResponse::new(Some("no such device".into()));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Err(response)
        }
        assert!(accept_hdr_async(stream, refused).await.is_err());
    }
}

#[expect(clippy::result_large_err, reason = "the library's signature")]
fn check_headers(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().path(), "/link");
    assert_eq!(
        request.headers()["authorization"],
        format!("Bearer {TOKEN}")
    );
    assert_eq!(request.headers()["sec-websocket-protocol"], SUBPROTOCOL);
    let protocol = HeaderValue::from_static(SUBPROTOCOL);
    response
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    Ok(response)
}

/// One session, seen from the relay.
pub(crate) struct Session {
    socket: WebSocketStream<TcpStream>,
    pub(crate) hello: Hello,
}

impl Session {
    pub(crate) async fn send(&mut self, frame: RelayToDevice) {
        let json = serde_json::to_string(&frame).unwrap();
        self.socket.send(Message::text(json)).await.unwrap();
    }

    /// Says a text as it is.
    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, request: DeviceRequest) -> DeviceResponse {
        let request_id = RequestId(7);
        self.send(RelayToDevice::Request {
            request_id,
            request,
        })
        .await;
        self.until(|frame| match frame {
            DeviceToRelay::Response { response, .. } => Some(response),
            _ => None,
        })
        .await
    }

    pub(crate) async fn deliver(&mut self, task: &Task) {
        self.send(RelayToDevice::Task {
            task: task.clone(),
            limits: Default::default(),
        })
        .await;
    }

    pub(crate) async fn cancel(&mut self, task: &Task, grace_seconds: u32) {
        let task_id = task.task_id;
        self.send(RelayToDevice::Cancel {
            task_id,
            grace_seconds,
        })
        .await;
    }

    pub(crate) async fn stored(&mut self, through: Seq) {
        self.send(RelayToDevice::Stored { through }).await;
    }

    pub(crate) async fn close(&mut self, code: u16) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        };
        self.socket.send(Message::Close(Some(frame))).await.unwrap();
    }

    /// The next frame; panics when none comes.
    pub(crate) async fn next(&mut self) -> DeviceToRelay {
        timeout(DEADLINE, self.next_now())
            .await
            .expect("the device says something")
    }

    async fn next_now(&mut self) -> DeviceToRelay {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("the device left: {other:?}"),
            }
        }
    }

    /// Reads until the device closes.
    pub(crate) async fn until_closed(&mut self) {
        let closed = async {
            while let Some(Ok(message)) = self.socket.next().await {
                if let Message::Close(_) = message {
                    break;
                }
            }
        };
        timeout(DEADLINE, closed).await.expect("the device closes");
    }

    /// Reads until a frame fits.
    pub(crate) async fn until<T>(&mut self, fits: impl Fn(DeviceToRelay) -> Option<T>) -> T {
        timeout(DEADLINE, async {
            loop {
                if let Some(found) = fits(self.next_now().await) {
                    return found;
                }
            }
        })
        .await
        .expect("the device says it")
    }

    pub(crate) async fn until_accepted(&mut self, task: &Task) {
        self.until(|frame| {
            (frame
                == DeviceToRelay::Accepted {
                    task_id: task.task_id,
                })
            .then_some(())
        })
        .await;
    }

    pub(crate) async fn until_event(&mut self, task: &Task, fits: fn(&EventKind) -> bool) -> Event {
        self.until(|frame| match frame {
            DeviceToRelay::Event { event } => {
                (event.task_id == task.task_id && fits(&event.kind)).then_some(event)
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn until_started(&mut self, task: &Task) {
        self.until_event(task, |kind| {
            matches!(kind, EventKind::AttemptStarted { .. })
        })
        .await;
    }

    /// Reads until a task ended; returns its result, which has to come before its last event, and
    /// the event.
    pub(crate) async fn until_ended(&mut self, task: &Task) -> (TaskResult, Event) {
        let result = self.until_result(task.task_id).await;
        let event = self
            .until_event(task, |kind| kind.outcome().is_some())
            .await;
        (result, event)
    }

    async fn until_result(&mut self, wanted: TaskId) -> TaskResult {
        self.until(|frame| match frame {
            DeviceToRelay::Result {
                task_id, result, ..
            } => (task_id == wanted).then_some(result),
            _ => None,
        })
        .await
    }

    /// Runs one task to its end.
    pub(crate) async fn run(&mut self, task: &Task) -> TaskResult {
        self.deliver(task).await;
        self.until_ended(task).await.0
    }

    /// Asks for an answer to a ping, so that everything said before was heard.
    pub(crate) async fn round_trip(&mut self) -> Vec<DeviceToRelay> {
        self.send(RelayToDevice::Ping).await;
        let mut said = Vec::new();
        loop {
            match self.next().await {
                DeviceToRelay::Pong => return said,
                other => said.push(other),
            }
        }
    }
}

pub(crate) fn task(action: &str) -> Task {
    let action: Action = serde_json::from_str(action).unwrap();
    let task_id = TaskId::from_uuid(Uuid::now_v7());
    let durability = match action.is_repeatable() {
        true => "normal",
        false => "full",
    };
    let now = Timestamp::now();
    serde_json::from_value(serde_json::json!({
        "task_id": task_id, "name": task_id, "action": action, "source": "relay",
        "caller": {"name": "tester"}, "priority": "normal", "durability": durability,
        "created_at": now, "expires_at": now + Duration::from_secs(3_600),
    }))
    .unwrap()
}

pub(crate) fn echo(text: &str) -> Task {
    task(&serde_json::json!({"type": "echo", "text": text}).to_string())
}

pub(crate) fn shell(line: &str) -> Task {
    task(&serde_json::json!({"type": "shell", "command": line}).to_string())
}

/// A shell task that runs until the test makes the file `go` in the workspace.
pub(crate) fn blocker() -> Task {
    shell("while [ ! -e go ]; do sleep 0.02; done")
}

/// Moves the clock, and lets what it sets off happen in real time.
pub(crate) async fn skip(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Polls a condition until it holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    eventually_some(what, || std::future::ready(holds().then_some(()))).await;
}

/// Polls until there is something.
pub(crate) async fn eventually_some<T, F: Future<Output = Option<T>>>(
    what: &str,
    look: impl Fn() -> F,
) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
