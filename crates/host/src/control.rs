//! The control socket: how the command line and a second launch reach the process that runs in this
//! home, and through it the agent and the relay.
//!
//! A request is one line of JSON, `{"device": …}`, `{"relay": …}` or `{"here": {}}`; so is its answer,
//! under the same word, or `{"problem": …}`. After `{"follow": {}}` the connection carries the agent's events, a line
//! each, until one side ends. A desktop application has a socket of the same kind, which a second launch asks to show
//! the window: `{"show": …}`. The socket lies in a directory that only the owner can enter: whoever
//! can connect is the owner, and may do what is local. Lines, connections and waits are bounded.

use std::{
    future::Future,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use deskhand_agent::{Events, Heard};
use deskhand_protocol::{
    DeviceId, Event, Problem, TaskId,
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::{RelayRequest, RelayResponse},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};

use crate::Dirs;

/// Longest request: a path and a name are 8 KiB.
const MAX_REQUEST_BYTES: u64 = 64 * 1024;

/// Longest answer: 1,000 events, each with a preview of 512 bytes and as much around it, or 512 KiB
/// of output in base64.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// Connections at once; one more waits until another ends.
const MAX_CONNECTIONS: usize = 32;

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(30);

/// How long an answer may take; the agent and the relay answer from their stores.
const ANSWER: Duration = Duration::from_secs(30);

/// One request, by whom it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlRequest {
    /// For the agent.
    Device(DeviceRequest),
    /// For the relay.
    Relay(RelayRequest),
    /// For the process itself: what runs here.
    Here {},
    /// The agent's events from now on.
    Follow {},
    /// For the desktop application: bring its window to the front.
    Show {
        /// Open this task in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<TaskId>,
    },
}

/// What runs in a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// The process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Where programs on this computer reach the relay that runs in this process.
    pub own_relay_url: Option<String>,
    /// The relay the agent dials; where only a relay runs, that one.
    pub relay_url: Option<String>,
    /// This computer's id; none where only a relay runs.
    pub device_id: Option<DeviceId>,
    /// This computer's name; none where only a relay runs.
    pub device_name: Option<String>,
    /// Where the secrets lie, for a person.
    pub secrets: String,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlResponse {
    /// Of the agent.
    Device(DeviceResponse),
    /// Of the relay.
    Relay(RelayResponse),
    /// Of the process itself.
    Here(Here),
    /// Events follow.
    Following {},
    /// One of them.
    Event(Box<Event>),
    /// This many commits of events were skipped: whoever follows was too slow. They are in the store.
    Missed(u64),
    /// The window is at the front.
    Shown {},
    /// Of none of them: the line was no request, or the one it was for does not run in this process.
    Problem(Problem),
}

/// The way to the process that runs in a home.
#[derive(Debug, Clone)]
pub struct Control {
    socket: PathBuf,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nothing runs in this home.
    #[error("reach Deskhand: it is not running in this home")]
    NotRunning,
    /// The connection broke, or the answer could not be understood.
    #[error("talk to the running Deskhand")]
    Broken(#[source] io::Error),
    /// The agent or the relay answered that it cannot be done.
    #[error("{0}")]
    Problem(Problem),
}

impl Control {
    /// Takes the home; connects to nothing yet.
    pub fn new(dirs: &Dirs) -> Self {
        Self {
            socket: dirs.control_socket(),
        }
    }

    /// The same for the desktop application of a home, which may be another process.
    pub fn of_desktop(dirs: &Dirs) -> Self {
        Self {
            socket: dirs.desktop_socket(),
        }
    }

    /// Asks the agent. Dropping the future takes nothing back.
    pub async fn device(&self, request: DeviceRequest) -> Result<DeviceResponse, ControlError> {
        match self.ask(&ControlRequest::Device(request)).await? {
            ControlResponse::Device(DeviceResponse::Problem { problem })
            | ControlResponse::Problem(problem) => Err(ControlError::Problem(problem)),
            ControlResponse::Device(response) => Ok(response),
            _ => Err(other_word()),
        }
    }

    /// Asks the relay. Dropping the future takes nothing back.
    pub async fn relay(&self, request: RelayRequest) -> Result<RelayResponse, ControlError> {
        match self.ask(&ControlRequest::Relay(request)).await? {
            ControlResponse::Relay(RelayResponse::Problem { problem })
            | ControlResponse::Problem(problem) => Err(ControlError::Problem(problem)),
            ControlResponse::Relay(response) => Ok(response),
            _ => Err(other_word()),
        }
    }

    /// Asks what runs here.
    pub async fn here(&self) -> Result<Here, ControlError> {
        match self.ask(&ControlRequest::Here {}).await? {
            ControlResponse::Here(here) => Ok(here),
            ControlResponse::Problem(problem) => Err(ControlError::Problem(problem)),
            _ => Err(other_word()),
        }
    }

    /// Has the desktop application show its window, at a task if one is given.
    pub async fn show(&self, task_id: Option<TaskId>) -> Result<(), ControlError> {
        match self.ask(&ControlRequest::Show { task_id }).await? {
            ControlResponse::Shown {} => Ok(()),
            ControlResponse::Problem(problem) => Err(ControlError::Problem(problem)),
            _ => Err(other_word()),
        }
    }

    /// Follows the agent's events from now on.
    pub async fn follow(&self) -> Result<Following, ControlError> {
        let near = Near::to(&self.socket).map_err(not_running)?;
        let stream = UnixStream::connect(&near.path).await.map_err(not_running)?;
        let mut following = Following(BufReader::new(stream));
        let asked = line(&ControlRequest::Follow {});
        let broken = ControlError::Broken;
        following
            .0
            .get_mut()
            .write_all(&asked)
            .await
            .map_err(broken)?;
        match following.line().await.map_err(ControlError::Broken)? {
            Some(ControlResponse::Following {}) => Ok(following),
            Some(ControlResponse::Problem(problem)) => Err(ControlError::Problem(problem)),
            _ => Err(other_word()),
        }
    }

    async fn ask(&self, request: &ControlRequest) -> Result<ControlResponse, ControlError> {
        let near = Near::to(&self.socket).map_err(not_running)?;
        let stream = UnixStream::connect(&near.path).await.map_err(not_running)?;
        match tokio::time::timeout(ANSWER, exchange(stream, request)).await {
            Ok(answer) => answer.map_err(ControlError::Broken),
            Err(_) => Err(ControlError::Broken(io::ErrorKind::TimedOut.into())),
        }
    }
}

/// The agent's events, by way of the control socket.
#[derive(Debug)]
pub struct Following(BufReader<UnixStream>);

impl Following {
    /// Waits for the next event; nothing when the other process has ended. Not cancel safe: what was
    /// read of a line is lost with the future.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.line().await.ok()?? {
            ControlResponse::Event(event) => Some(Heard::Event(event)),
            ControlResponse::Missed(n) => Some(Heard::Missed(n)),
            _ => None,
        }
    }

    async fn line(&mut self) -> io::Result<Option<ControlResponse>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.0).take(MAX_ANSWER_BYTES);
        bounded.read_until(b'\n', &mut line).await?;
        match line.is_empty() {
            true => Ok(None),
            false => Ok(Some(serde_json::from_slice(&line)?)),
        }
    }
}

async fn exchange(mut stream: UnixStream, request: &ControlRequest) -> io::Result<ControlResponse> {
    stream.write_all(&line(request)).await?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER_BYTES))
        .read_until(b'\n', &mut answer)
        .await?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}

fn not_running(error: io::Error) -> ControlError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NotRunning,
        _ => ControlError::Broken(error),
    }
}

fn other_word() -> ControlError {
    ControlError::Broken(io::Error::other("the answer is to another request"))
}

/// Makes subscriptions to the agent's events; none where no agent runs.
pub type EventSource = Option<Arc<dyn Fn() -> Events + Send + Sync>>;

/// The open control socket. [`Server::stop`] ends it; so does dropping it, without waiting.
#[derive(Debug)]
pub struct Server {
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    socket: PathBuf,
}

impl Server {
    /// Opens a socket in a home that is ours, in place of one a killed process left: where to is said by
    /// [`Dirs::control_socket`] or [`Dirs::desktop_socket`]. `events` is what followers hear, where there is
    /// an agent.
    pub fn open<A, F>(socket: PathBuf, answer: A, events: EventSource) -> io::Result<Self>
    where
        A: Fn(ControlRequest) -> F + Send + Sync + 'static,
        F: Future<Output = ControlResponse> + Send + 'static,
    {
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let near = Near::to(&socket)?;
        let listener = UnixListener::bind(&near.path)?;
        restrict(&socket)?;
        let (stopping, stop) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, Arc::new(answer), events, stop));
        Ok(Self {
            stopping,
            accepting,
            socket,
        })
    }

    /// Takes no more requests, lets those that run be answered, and removes the socket.
    pub async fn stop(mut self) {
        let _ = self.stopping.send(true);
        if let Err(error) = (&mut self.accepting).await {
            tracing::warn!(%error, "the control socket did not end in order");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        // A socket that is left over does no harm; the next start removes it.
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn accept<A, F>(
    listener: UnixListener,
    answer: Arc<A>,
    events: EventSource,
    mut stop: watch::Receiver<bool>,
) where
    A: Fn(ControlRequest) -> F + Send + Sync + 'static,
    F: Future<Output = ControlResponse> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            break;
        };
        while connections.try_join_next().is_some() {}
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (answer, events, stop) = (answer.clone(), events.clone(), stop.clone());
                    connections.spawn(async move {
                        if let Err(error) = serve(stream, answer.as_ref(), &events, stop).await {
                            tracing::debug!(%error, "a control connection broke");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: some will be free in a while.
                    tracing::warn!(%error, "cannot accept on the control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve<A, F>(
    stream: UnixStream,
    answer: &A,
    events: &EventSource,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()>
where
    A: Fn(ControlRequest) -> F,
    F: Future<Output = ControlResponse>,
{
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut request = Vec::new();
        let mut bounded = (&mut read).take(MAX_REQUEST_BYTES);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(IDLE) => return Ok(()),
            read = bounded.read_until(b'\n', &mut request) => read?,
        };
        if request.is_empty() {
            return Ok(());
        }
        let whole = request.ends_with(b"\n");
        let response = match serde_json::from_slice(&request) {
            Ok(ControlRequest::Follow {}) if whole => {
                match events.as_ref().map(|events| events()) {
                    Some(events) => return tell(events, &mut write, stop).await,
                    None => no_agent(),
                }
            }
            Ok(request) if whole => answer(request).await,
            Ok(_) => invalid("the line has no end".to_owned()),
            Err(_) if !whole => invalid(format!("a line is at most {MAX_REQUEST_BYTES} bytes")),
            Err(error) => invalid(error.to_string()),
        };
        write.write_all(&line(&response)).await?;
        if !whole {
            return Ok(());
        }
    }
}

/// Writes events to whoever follows. One who does not read is left behind by the agent's own bound.
async fn tell(
    mut events: Events,
    write: &mut OwnedWriteHalf,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    write
        .write_all(&line(&ControlResponse::Following {}))
        .await?;
    loop {
        let heard = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            heard = events.next() => heard,
        };
        let said = line(&match heard {
            Some(Heard::Event(event)) => ControlResponse::Event(event),
            Some(Heard::Missed(n)) => ControlResponse::Missed(n),
            None => return Ok(()),
        });
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            written = write.write_all(&said) => written?,
        }
    }
}

fn no_agent() -> ControlResponse {
    ControlResponse::Problem(Problem::new(
        deskhand_protocol::ErrorCode::NotFound,
        "No agent runs in this process.",
    ))
}

fn invalid(why: String) -> ControlResponse {
    ControlResponse::Problem(Problem::new(
        deskhand_protocol::ErrorCode::InvalidRequest,
        why,
    ))
}

fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("protocol types become JSON");
    line.push(b'\n');
    line
}

fn restrict(socket: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
}

/// Longest path an address of a Unix socket holds, on the system with the least room (macOS).
const MAX_SOCKET_PATH: usize = 103;

/// A path that fits into an address, however deep the home lies: on Linux a directory that is open
/// has a short name as well.
struct Near {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl Near {
    fn to(socket: &Path) -> io::Result<Self> {
        let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if socket.as_os_str().len() <= MAX_SOCKET_PATH || !cfg!(target_os = "linux") {
            return Ok(Self {
                path: socket.to_owned(),
                _directory: None,
            });
        }
        let directory = OwnedFd::from(std::fs::File::open(directory)?);
        let descriptors = Path::new("/proc/self/fd");
        Ok(Self {
            path: descriptors
                .join(directory.as_raw_fd().to_string())
                .join(name),
            _directory: Some(directory),
        })
    }
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::ErrorCode;

    use super::*;
    use crate::Environment;

    fn dirs(home: &Path) -> Dirs {
        let dirs = Dirs::find(Some(home), &Environment::default()).unwrap();
        dirs.create().unwrap();
        dirs
    }

    /// Says back what was asked, as a problem.
    async fn echo(request: ControlRequest) -> ControlResponse {
        match request {
            ControlRequest::Relay(RelayRequest::ListKeys) => {
                ControlResponse::Relay(RelayResponse::Keys { keys: Vec::new() })
            }
            other => {
                ControlResponse::Problem(Problem::new(ErrorCode::NotFound, format!("{other:?}")))
            }
        }
    }

    #[tokio::test]
    async fn a_request_is_answered_and_a_stopped_socket_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let dirs = dirs(home.path());
        let control = Control::new(&dirs);
        assert!(matches!(
            control.relay(RelayRequest::ListKeys).await,
            Err(ControlError::NotRunning)
        ));
        let server = Server::open(dirs.control_socket(), echo, None).unwrap();
        assert_eq!(
            control.relay(RelayRequest::ListKeys).await.unwrap(),
            RelayResponse::Keys { keys: Vec::new() }
        );
        let refused = control.device(DeviceRequest::Status).await.unwrap_err();
        assert_eq!(refused.to_string(), "Device(Status)");
        server.stop().await;
        assert!(!dirs.control_socket().exists());
    }

    #[tokio::test]
    async fn a_leftover_socket_and_a_deep_home_are_no_obstacle() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("x".repeat(100)).join("y".repeat(100));
        let dirs = dirs(&deep);
        std::fs::write(dirs.control_socket(), "").unwrap();
        let server = Server::open(dirs.control_socket(), echo, None).unwrap();
        let control = Control::new(&dirs);
        control.relay(RelayRequest::ListKeys).await.unwrap();
        server.stop().await;
    }

    #[tokio::test]
    async fn a_bad_line_is_answered_and_a_long_one_ends_the_connection() {
        let home = tempfile::tempdir().unwrap();
        let dirs = dirs(home.path());
        let server = Server::open(dirs.control_socket(), echo, None).unwrap();
        let stream = UnixStream::connect(dirs.control_socket()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut answer = String::new();
        stream.write_all(b"{\"device\": 7}\n").await.unwrap();
        stream.read_line(&mut answer).await.unwrap();
        assert!(answer.contains("invalid_request"), "{answer}");
        let long = vec![b' '; MAX_REQUEST_BYTES as usize];
        stream.write_all(&long).await.unwrap();
        answer.clear();
        stream.read_line(&mut answer).await.unwrap();
        assert!(answer.contains("at most 65536 bytes"), "{answer}");
        assert_eq!(stream.read_line(&mut answer).await.unwrap(), 0);
        server.stop().await;
    }
}
