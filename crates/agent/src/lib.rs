//! The program on a device that keeps the link and runs tasks.
//!
//! One task, in a straight line: [`link`] hears of it, [`dispatcher`] gives it a place, [`attempt`]
//! takes it from the ledger to its end, [`judge`] has policy permit it, [`executor`] performs it, and
//! [`recorder`] stores what happens before [`link`] and any watcher hear of it. [`requests`] answers
//! questions, whoever asks.
//!
//! Nothing is lost and nothing runs twice: a task is in the ledger before the relay hears that it was
//! accepted, the ledger keeps every id for good, and an event stays in the store until the relay has
//! it. What an agent that died left unfinished is settled when the next one starts.
//!
//! This crate reads no environment, no home directory and no keyring; all of that is in [`Config`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod approvals;
mod attempt;
mod born;
mod callers;
mod clock;
mod config;
mod device;
mod dispatcher;
mod excerpt;
mod executor;
mod health;
mod inbox;
mod indexer;
mod judge;
mod link;
mod mask;
mod progress;
mod reconcile;
mod recorder;
mod repositories;
mod requests;
mod rules;
mod schedules;
mod store;

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use deskhand_protocol::{
    Event, Problem, Timestamp,
    device_request::{DeviceRequest, DeviceResponse, LinkStatus},
};
use tokio::{
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use config::{Config, TaskEnvironment};
pub use deskhand_sandbox::Tier;
pub use device::{SandboxSupport, support};
pub use requests::Door;

use crate::{
    device::Device,
    dispatcher::{Dispatcher, Ticket},
    health::{Executors, Health},
    recorder::Recorder,
};

/// Tells the git engine where system and user configuration lie. To be called once, when the process
/// starts, with the variables [`Config::git_environment`] holds; later calls change nothing.
pub fn init_git(environment: &[(OsString, OsString)]) {
    deskhand_git::init(&environment.iter().cloned().collect());
}

/// Why an agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("open the device's store")]
    Open(#[from] deskhand_sqlite::OpenError),
    /// The store cannot be read or written.
    #[error("read the device's store")]
    Store(#[from] deskhand_sqlite::Error),
    /// A directory of ours cannot be made.
    #[error("make the directory for temporary files")]
    Scratch(#[source] std::io::Error),
    /// A directory cannot be opened to tasks.
    #[error("open `{}` to tasks: {problem}", path.display())]
    Workspace {
        /// Which one.
        path: PathBuf,
        /// Why.
        problem: Problem,
    },
    /// A thread we need broke.
    #[error("start the agent")]
    Broken(#[from] tokio::task::JoinError),
}

/// The agent of this device.
#[derive(Debug)]
pub struct Agent;

impl Agent {
    /// Opens the store, settles what an earlier agent left unfinished, and starts the link. Returns
    /// before the link is up; [`AgentHandle::link`] tells when it is.
    pub async fn start(mut config: Config) -> Result<AgentHandle, StartError> {
        let secrets = deskhand_sandbox::default_hidden(&config.task_environment.home);
        config.hidden.extend(secrets);
        // What judges tasks, wherever it lies.
        let own = [&config.store, &config.rules].map(PathBuf::clone);
        config.hidden.extend(own);
        let (store, scratch) = (config.store.clone(), config.scratch.clone());
        let db = tokio::task::spawn_blocking(move || store::open(&store)).await??;
        tokio::task::spawn_blocking(move || make_scratch(&scratch))
            .await?
            .map_err(StartError::Scratch)?;
        let sandbox_path = config.sandbox_path.clone();
        let sandbox = tokio::task::spawn_blocking(move || support(&sandbox_path)).await?;

        let mut secrets = config.secrets.clone();
        secrets.push(config.device_token.clone());
        let mask = || mask::Mask::new(&secrets);
        reconcile::settle(&db, Arc::new(mask())).await?;
        let store_id = db
            .write(deskhand_sqlite::Sync::Full, store::meta::store_id)
            .await?;
        let recorder = Recorder::start(db.clone(), mask()).await?;
        let workspaces = db.read(store::workspaces::all).await?;
        let unfinished = db.read(unfinished).await?;
        let paused = db.read(store::meta::is_paused).await?;
        let device = Arc::new(Device {
            git_environment: config.git_environment.iter().cloned().collect(),
            repositories: Arc::default(),
            rules: rules::RuleBook::new(config.rules.clone(), config.task_environment.path.clone()),
            attendance: approvals::Attendance::default(),
            caller_requests: callers::CallerRequests::default(),
            config,
            db,
            recorder,
            store_id,
            sandbox: watch::Sender::new(sandbox),
            health: watch::Sender::new(Health::of(None, paused)),
            workspaces: watch::Sender::new(workspaces.into()),
            link: watch::Sender::new(LinkStatus::Reconnecting {
                attempt: 0,
                error: None,
            }),
            device_id: watch::Sender::new(None),
            schedules_changed: Notify::new(),
            started_at: Timestamp::now(),
            stopping: CancellationToken::new(),
        });
        for path in &device.config.workspaces {
            let failed = |problem| StartError::Workspace {
                path: path.clone(),
                problem,
            };
            requests::open_workspace(&device, path)
                .await
                .map_err(failed)?;
        }
        let executors = Executors::try_out(&device).await;
        device
            .health
            .send_modify(|health| *health = Health::of(executors.fault(), paused));
        let dispatcher = Dispatcher::start(device.clone(), unfinished);
        tokio::spawn(indexer::run(device.clone()));
        tokio::spawn(health::keep(device.clone(), executors));
        tokio::spawn(schedules::keep(device.clone(), dispatcher.clone()));
        tokio::spawn(inbox::keep(device.clone(), dispatcher.clone()));
        let stop_link = watch::Sender::new(false);
        let link = tokio::spawn(link::run(
            device.clone(),
            dispatcher.clone(),
            stop_link.subscribe(),
        ));
        Ok(AgentHandle(Arc::new(Parts {
            device,
            dispatcher,
            stop_link,
            link: tokio::sync::Mutex::new(Some(link)),
        })))
    }
}

fn unfinished(conn: &rusqlite::Connection) -> rusqlite::Result<Vec<Ticket>> {
    let mut tickets = Vec::new();
    for task_id in store::ledger::unfinished(conn)? {
        let entry = store::ledger::get(conn, task_id)?;
        tickets.extend(entry.map(|entry| Ticket::from(&entry.task)));
    }
    Ok(tickets)
}

fn make_scratch(scratch: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // What an agent that was killed left behind.
    if scratch.exists() {
        std::fs::remove_dir_all(scratch)?;
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(scratch)
}

/// A handle to a running agent; clones share it. When the last one is dropped the link ends and what
/// runs is killed; [`AgentHandle::shutdown`] is the gentle way.
#[derive(Debug, Clone)]
pub struct AgentHandle(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    device: Arc<Device>,
    dispatcher: Dispatcher,
    stop_link: watch::Sender<bool>,
    link: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl AgentHandle {
    /// Answers a request. The door decides what it may change.
    pub async fn request(&self, request: DeviceRequest, door: Door) -> DeviceResponse {
        requests::answer(&self.0.device, &self.0.dispatcher, request, door).await
    }

    /// Subscribes to the events that are stored from now on.
    pub fn events(&self) -> Events {
        Events {
            bus: self.0.device.recorder.subscribe(),
            batch: Vec::new().into_iter(),
        }
    }

    /// Follows where the link is.
    pub fn link(&self) -> watch::Receiver<LinkStatus> {
        self.0.device.link.subscribe()
    }

    /// Takes no more tasks, ends those that run (gently for two seconds), tells the relay, and closes
    /// the link. What waits stays in the ledger and is done by the next agent.
    pub async fn shutdown(&self) {
        self.0.device.stopping.cancel();
        self.0.dispatcher.stop().await;
        self.0.stop_link.send_replace(true);
        if let Some(link) = self.0.link.lock().await.take() {
            // It only fails when it panicked, which the log knows.
            let _ = link.await;
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.device.stopping.cancel();
        self.stop_link.send_replace(true);
    }
}

/// A subscription to events.
#[derive(Debug)]
pub struct Events {
    bus: broadcast::Receiver<recorder::Batch>,
    batch: std::vec::IntoIter<Event>,
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The next event.
    Event(Box<Event>),
    /// The subscriber was too slow: the events of this many commits were skipped. They are in the
    /// store, by [`DeviceRequest::Events`].
    Missed(u64),
}

impl Events {
    /// Waits for the next event; nothing when the agent has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(event) = self.batch.next() {
                return Some(Heard::Event(Box::new(event)));
            }
            match self.bus.recv().await {
                Ok(batch) => {
                    let events: Vec<Event> = batch
                        .iter()
                        .map(|published| published.event.clone())
                        .collect();
                    self.batch = events.into_iter();
                }
                Err(broadcast::error::RecvError::Lagged(n)) => return Some(Heard::Missed(n)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
