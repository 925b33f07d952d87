//! The relay: takes tasks from callers, hands them to devices, keeps what happened.
//!
//! [`Relay::open`] opens the store, [`Relay::listen`] serves a listener, [`Relay::shutdown`] ends
//! politely. It is free of task semantics: it authenticates, stores, routes and waits, and never
//! interprets an action. It reads no environment and no home directory; whoever embeds it gives it
//! a path and a listener.

mod broker;
mod clock;
mod device;
mod devices;
mod error;
mod feed;
mod follow;
mod http;
mod keys;
mod known_tasks;
mod listener;
mod mcp;
mod metrics;
mod oauth;
mod prompt;
mod proxies;
mod questions;
mod sessions;
mod submit;
mod subscriber;
mod task_events;
mod task_stream;
mod tickets;
mod timeline;
mod tls;
mod token;
mod tools;
mod waiters;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::connect_info::Connected,
    http::{HeaderMap, header},
    serve::{IncomingStream, Listener},
};
use deskhand_protocol::{
    Cursor, DeviceId, ErrorCode, Problem, Secret,
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::{DeviceView, EnrolResponse, Presence, RelayRequest, RelayResponse, SignInLink},
};
use deskhand_sqlite::Database;
use tokio::{net::TcpListener, sync::OnceCell, time::timeout};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    broker::Broker,
    device::Registry,
    devices::Devices,
    error::Fault,
    feed::Feed,
    keys::{Keys, NewKey},
    listener::{Peer, Plain},
    metrics::Metrics,
    oauth::Oauth,
    sessions::Sessions,
    tickets::Tickets,
    waiters::Waiters,
};

pub use listener::reachable;
pub use proxies::{ForwardedHeader, Networks, Proxies};
pub use tls::{Tls, TlsError, TlsFiles};

/// How often overdue tasks are looked for.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// How long a device may take to answer what a caller waits for.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Sweeps between two looks for what is old enough to forget: an hour.
const SWEEPS_TO_FORGET: u64 = 7_200;

/// How long open requests may take to end when the relay stops.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// How long watchers may take to be told that the relay stops.
const WATCHERS_WITHIN: Duration = Duration::from_secs(1);

/// What a relay needs to be told.
#[derive(Debug)]
pub struct Options {
    /// The database file.
    pub store: PathBuf,
    /// The address callers use, without a trailing slash; the listener's own when absent.
    pub public_url: Option<String>,
    /// The proxies in front of it whose word counts.
    pub proxies: Proxies,
    /// Whether keys are taken over plain HTTP from other computers.
    pub allow_plain_http: bool,
    /// Whether and how GitHub may post events.
    pub github: Option<GithubOptions>,
    /// How programs are let in that sign in by themselves.
    pub oauth: OauthOptions,
    /// The files of the viewer; without `index.html` a page says that it was not built.
    pub viewer: &'static [ViewerFile],
}

/// A file of the viewer.
#[derive(Debug, Clone, Copy)]
pub struct ViewerFile {
    /// Its path below `/`.
    pub path: &'static str,
    /// What is in it.
    pub content: &'static [u8],
    /// The same, compressed by gzip; none where that saves nothing.
    pub gzip: Option<&'static [u8]>,
}

/// How programs are let in that sign in by themselves.
#[derive(Debug, Default)]
pub struct OauthOptions {
    /// Whether what they read of it stands at the root as well, for those that look nowhere else.
    pub root_alias: bool,
    /// Hosts whose documents about a program are read even at a private address.
    pub private_clients: Vec<String>,
}

/// How GitHub may post events.
#[derive(Debug)]
pub struct GithubOptions {
    /// The secret that signs them.
    pub secret: Secret,
    /// Devices whose timelines get them, by id or name; all when absent.
    pub devices: Option<Vec<String>>,
}

/// Why a relay could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its store could not be opened.
    #[error(transparent)]
    Store(#[from] deskhand_sqlite::OpenError),
    /// Its store could not be read.
    #[error("read the relay's store")]
    Read(#[source] deskhand_sqlite::Error),
    /// The system has no randomness to give.
    #[error("{0}")]
    Randomness(String),
}

/// A running relay; clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Relay {
    state: State,
}

/// What every part of a relay shares.
#[derive(Debug, Clone)]
pub(crate) struct State(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) keys: Keys,
    pub(crate) devices: Devices,
    pub(crate) broker: Broker,
    pub(crate) registry: Registry,
    pub(crate) waiters: Waiters,
    pub(crate) feed: Feed,
    pub(crate) tickets: Tickets,
    pub(crate) seal: mcp::Seal,
    pub(crate) metrics: Metrics,
    pub(crate) quotas: http::rate::Quotas,
    pub(crate) github: Option<GithubOptions>,
    pub(crate) sessions: Sessions,
    pub(crate) oauth: Oauth,
    pub(crate) viewer: &'static [ViewerFile],
    pub(crate) proxies: Proxies,
    pub(crate) allow_plain_http: bool,
    public_url: Option<String>,
    listens_at: OnceCell<ListensAt>,
    /// The relay ends its links itself: the next one expects its devices back.
    pub(crate) is_leaving: AtomicBool,
    /// Ends waits and then the listener.
    pub(crate) stopping: CancellationToken,
    links: TaskTracker,
    watchers: TaskTracker,
    pub(crate) opened_at: Instant,
}

/// Where the relay listens.
#[derive(Debug)]
struct ListensAt {
    scheme: &'static str,
    address: SocketAddr,
}

impl std::ops::Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Relay {
    /// Opens the store and reads keys and devices. Blocks while the store is opened.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let migrations = [
            keys::MIGRATION,
            devices::MIGRATION,
            broker::MIGRATION,
            broker::TIMELINES,
            devices::PAUSE,
            sessions::MIGRATION,
            keys::LIMITS_MIGRATION,
            devices::PAUSE_WISH,
            keys::CLIENT_MIGRATION,
            oauth::MIGRATION,
        ];
        let db = Database::open(&options.store, &migrations)?;
        let read = |fault| match fault {
            Fault::Store(error) => OpenError::Read(error),
            Fault::Randomness(error) => OpenError::Randomness(error.to_string()),
        };
        let seal = mcp::Seal::new().map_err(|error| read(error.into()))?;
        let broker = Broker::open(db.clone()).await.map_err(read)?;
        let state = State(Arc::new(Shared {
            keys: Keys::load(db.clone()).await.map_err(read)?,
            devices: Devices::load(db.clone()).await.map_err(read)?,
            sessions: Sessions::load(db.clone()).await.map_err(read)?,
            oauth: Oauth::load(db, options.oauth).await.map_err(read)?,
            viewer: options.viewer,
            feed: Feed::start(broker.clone()),
            broker,
            tickets: Tickets::default(),
            seal,
            metrics: Metrics::default(),
            registry: Registry::default(),
            waiters: Waiters::default(),
            quotas: http::rate::Quotas::default(),
            github: options.github,
            proxies: options.proxies,
            allow_plain_http: options.allow_plain_http,
            public_url: options.public_url,
            listens_at: OnceCell::new(),
            is_leaving: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            links: TaskTracker::new(),
            watchers: TaskTracker::new(),
            opened_at: Instant::now(),
        }));
        // Who was connected when the relay last ran is on its way back.
        for device in state
            .devices
            .list()
            .into_iter()
            .filter(|device| device.was_connected)
        {
            state.registry.expect_back(device.device_id.clone());
        }
        Ok(Self { state })
    }

    /// Serves a listener until [`Relay::shutdown`].
    pub async fn listen(&self, listener: TcpListener) -> std::io::Result<()> {
        let listener = Plain(listener);
        self.begin("http", listener.local_addr()?);
        self.serve(listener).await
    }

    /// Serves a listener over TLS, and one for the programs of this computer without, until
    /// [`Relay::shutdown`]. The first one's address is the relay's.
    pub async fn listen_over_tls(
        &self,
        listener: TcpListener,
        tls: Tls,
        local: TcpListener,
    ) -> std::io::Result<()> {
        let listener = listener::Tls::new(listener, tls.acceptor())?;
        self.begin("https", listener.local_addr()?);
        let _fresh = AbortOnDropHandle::new(tokio::spawn(tls.keep_fresh()));
        let local = self.serve(Plain(local));
        tokio::try_join!(self.serve(listener), local).map(|_| ())
    }

    fn begin(&self, scheme: &'static str, address: SocketAddr) {
        let address = reachable(address);
        // A relay that listens a second time is known by where it did first.
        if self
            .state
            .listens_at
            .set(ListensAt { scheme, address })
            .is_ok()
        {
            let (state, stopping) = (self.state.clone(), self.state.stopping.clone());
            tokio::spawn(async move { stopping.run_until_cancelled(sweep(state)).await });
        }
    }

    async fn serve<L>(&self, listener: L) -> std::io::Result<()>
    where
        L: Listener<Addr = SocketAddr>,
        Peer: for<'a> Connected<IncomingStream<'a, L>>,
    {
        let stopping = &self.state.stopping;
        let app = http::router(self.state.clone()).into_make_service_with_connect_info::<Peer>();
        let stopped = stopping.clone();
        let serve = axum::serve(listener, app).with_graceful_shutdown(stopped.cancelled_owned());
        let late = async {
            stopping.cancelled().await;
            tokio::time::sleep(STOP_WITHIN).await;
        };
        tokio::select! {
            served = async { serve.await } => served,
            () = late => Ok(()),
        }
    }

    /// Ends politely: devices are told to come back, waits end, the listener closes, and what was
    /// reported is committed.
    pub async fn shutdown(&self) {
        self.state.is_leaving.store(true, Ordering::Relaxed);
        self.state.registry.say_restarting();
        self.state.links.close();
        // A link that does not close by itself is dropped with the listener.
        let _ = timeout(STOP_WITHIN, self.state.links.wait()).await;
        self.state.stopping.cancel();
        self.state.watchers.close();
        // They are told to come back; one that does not listen is dropped.
        let _ = timeout(WATCHERS_WITHIN, self.state.watchers.wait()).await;
    }

    /// Makes a computer known without a pairing code: the relay's own machine.
    pub async fn enrol(&self, device_name: &str, os: &str) -> Result<EnrolResponse, Problem> {
        self.state.devices.enrol(device_name, os).await
    }

    /// Answers the owner, who asks through the control socket of this process.
    pub async fn request(&self, request: RelayRequest) -> RelayResponse {
        match self.answer(request).await {
            Ok(response) => response,
            Err(problem) => RelayResponse::Problem { problem },
        }
    }

    async fn answer(&self, request: RelayRequest) -> Result<RelayResponse, Problem> {
        let state = &self.state;
        Ok(match request {
            RelayRequest::Status => RelayResponse::Status {
                relay_version: env!("CARGO_PKG_VERSION").to_owned(),
                relay_url: state.url(),
                n_devices_connected: state.registry.n_connected(),
                n_open_tasks: state.broker.count_open().await?,
            },
            RelayRequest::CreateKey {
                name,
                scopes,
                devices,
                expires_at,
                limits,
                requests_per_minute,
            } => {
                let devices = devices
                    .map(|devices| state.device_ids(&devices))
                    .transpose()?;
                let (key, secret) = state
                    .keys
                    .create(NewKey {
                        name,
                        scopes,
                        devices,
                        expires_at,
                        limits,
                        requests_per_minute,
                    })
                    .await?;
                RelayResponse::KeyCreated {
                    key,
                    secret: secret.expose().to_owned(),
                }
            }
            RelayRequest::ListKeys => RelayResponse::Keys {
                keys: state.keys.list(),
            },
            RelayRequest::RevokeKey { key } => {
                let key_id = state.keys.revoke(&key).await?;
                state.quotas.forget(&key_id);
                RelayResponse::KeyRevoked { key_id }
            }
            RelayRequest::CreatePairingCode => {
                RelayResponse::PairingCode(state.devices.create_code().await?)
            }
            RelayRequest::CreateSignInLink { key } => {
                let key = state.keys.find(&key).ok_or_else(|| {
                    Problem::new(ErrorCode::NotFound, format!("there is no key `{key}`"))
                })?;
                let (code, expires_at) = state.sessions.create_code(key.view.key_id.clone())?;
                RelayResponse::SignInLink(SignInLink {
                    url: format!("{}/#sign-in={}", state.url(), code.expose()),
                    expires_at,
                })
            }
            RelayRequest::ListDevices => RelayResponse::Devices {
                devices: state
                    .devices
                    .list()
                    .iter()
                    .map(|device| state.device_view(device))
                    .collect(),
            },
            RelayRequest::ListCallers => RelayResponse::Callers {
                callers: state.callers(),
            },
            RelayRequest::RevokeCaller { caller } => RelayResponse::CallerRevoked {
                caller_id: state.revoke_caller(&caller).await?,
            },
        })
    }
}

impl Shared {
    /// Returns the address callers use, without a trailing slash.
    pub(crate) fn url(&self) -> String {
        match (&self.public_url, self.listens_at.get()) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(at)) => format!("{}://{}", at.scheme, at.address),
            (None, None) => String::new(),
        }
    }

    /// Returns the address a request was made to, without a trailing slash: the owner's word for it where
    /// there is one, else the name it was called by, if that is one of this computer's own.
    pub(crate) fn url_for(&self, headers: &HeaderMap) -> String {
        let named = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        match (named, self.listens_at.get()) {
            (Some(host), Some(at))
                if self.public_url.is_none() && http::is_own_name(self, host) =>
            {
                format!("{}://{host}", at.scheme)
            }
            _ => self.url(),
        }
    }

    /// Returns the names of devices that are enrolled.
    pub(crate) fn device_names(&self, devices: &[DeviceId]) -> Vec<String> {
        let known = devices.iter().filter_map(|device| self.devices.get(device));
        known.map(|device| device.name.clone()).collect()
    }

    /// Returns the port of the listener.
    pub(crate) fn port(&self) -> Option<u16> {
        self.listens_at.get().map(|at| at.address.port())
    }

    /// Tells whether a device is paused, or is to be as soon as it is there.
    pub(crate) fn is_paused(&self, device: &devices::Device) -> bool {
        let says = || self.registry.is_paused(&device.device_id);
        device.pause_wish.unwrap_or_else(says)
    }

    /// Hands a task over that waited for somebody to look at it, or to start it.
    pub(crate) async fn start_held(&self, record: &broker::Record) {
        match self.broker.release(record.task.task_id).await {
            Ok(true) => self.registry.look_into_mailbox(&record.device),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "cannot start a task that waits"),
        }
    }

    /// Returns a place in the log, as watchers name it.
    pub(crate) fn cursor(&self, at: i64) -> Cursor {
        Cursor {
            log_id: self.broker.log_id().to_string(),
            seq: at.unsigned_abs(),
        }
    }

    /// Returns the address the owner gave the relay, without a trailing slash.
    pub(crate) fn public_url(&self) -> Option<&str> {
        Some(self.public_url.as_deref()?.trim_end_matches('/'))
    }

    pub(crate) fn device_view(&self, device: &devices::Device) -> DeviceView {
        let (mut status, mut reason, latency_ms) = self.registry.view(&device.device_id);
        match (device.pause_wish, status) {
            (None, _) => {}
            (Some(true), Presence::Offline | Presence::Reconnecting) => {
                reason = Some("it is paused as soon as it is back".to_owned());
            }
            (Some(false), Presence::Offline | Presence::Reconnecting) => {
                reason = Some("it takes tasks again as soon as it is back".to_owned());
            }
            (Some(true), _) => status = Presence::Paused,
            // It is being asked.
            (Some(false), _) => {}
        }
        DeviceView {
            device_id: device.device_id.clone(),
            device_name: device.name.clone(),
            os: device.os.clone(),
            status,
            reason,
            enrolled_at: device.enrolled_at,
            last_seen_at: match self.registry.is_connected(&device.device_id) {
                true => Some(clock::now()),
                false => device.last_seen_at,
            },
            latency_ms,
        }
    }

    fn device_ids(&self, wanted: &[String]) -> Result<Vec<DeviceId>, Problem> {
        wanted
            .iter()
            .map(|wanted| {
                let found = self
                    .devices
                    .find(wanted)
                    .map(|device| device.device_id.clone());
                found.ok_or_else(|| {
                    Problem::new(
                        ErrorCode::UnknownDevice,
                        format!("there is no device `{wanted}`"),
                    )
                })
            })
            .collect()
    }
}

impl State {
    /// Pauses a device, or has it take tasks again: it is asked, and where it is away the wish is kept
    /// until it comes. Who asked may go; what was begun is carried on.
    pub(crate) async fn set_paused(&self, device: &DeviceId, paused: bool) -> Result<(), Problem> {
        let (state, device) = (self.clone(), device.clone());
        let asked = tokio::spawn(async move {
            state.devices.wish_pause(&device, paused).await?;
            match state.registry.is_connected(&device) {
                true => state.pause_as_wished(&device).await,
                false => Ok(()),
            }
        });
        asked
            .await
            .map_err(|_| Problem::new(ErrorCode::Internal, "the relay failed"))?
    }

    /// Asks a device for the pause that is wished for, if one is. The wish ends with the device's answer,
    /// whatever it is; without one it is kept for its next session.
    pub(crate) async fn pause_as_wished(&self, device: &DeviceId) -> Result<(), Problem> {
        let known = self.devices.get(device);
        let Some(paused) = known.and_then(|device| device.pause_wish) else {
            return Ok(());
        };
        let request = match paused {
            true => DeviceRequest::Pause,
            false => DeviceRequest::Resume,
        };
        let answered = self.registry.ask(device, request, ANSWER_WITHIN).await;
        let Ok(response) = answered else {
            return Ok(());
        };
        self.devices.strike_wish(device, paused).await?;
        self.registry.look_into_mailbox(device);
        match response {
            DeviceResponse::Problem { problem } => Err(problem),
            _ => Ok(()),
        }
    }

    /// Runs a link beside the listener, which waits for it when the relay stops.
    pub(crate) fn track<F: Future<Output = ()>>(
        &self,
        link: F,
    ) -> impl Future<Output = ()> + use<F> {
        self.0.links.track_future(link)
    }

    /// Runs a watcher beside the listener, which tells it when the relay stops.
    pub(crate) fn track_watcher<F: Future<Output = ()>>(
        &self,
        watcher: F,
    ) -> impl Future<Output = ()> + use<F> {
        self.0.watchers.track_future(watcher)
    }
}

/// Looks for what is overdue, for ever.
async fn sweep(state: State) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut n_sweeps = 0_u64;
    loop {
        every.tick().await;
        if let Err(error) = sweep_once(&state, n_sweeps).await {
            tracing::error!(%error, "cannot look for overdue tasks");
        }
        n_sweeps += 1;
    }
}

async fn sweep_once(state: &State, n_sweeps: u64) -> Result<(), Fault> {
    let swept = state.broker.sweep().await?;
    for task in swept.withdrawn {
        state.waiters.resolve(task, &waiters::Ended::Withdrawn);
    }
    for (task, _) in swept.ended {
        if let Some(record) = state.broker.get(task).await? {
            state.metrics.task_ended(&record);
            state
                .waiters
                .resolve(task, &waiters::Ended::Finished(Arc::new(record)));
        }
    }
    if n_sweeps.is_multiple_of(SWEEPS_TO_FORGET) {
        state.broker.forget_old().await?;
        state.forget_idle_callers().await?;
    }
    Ok(())
}
