//! Starts agent and relay, each alone or both, and stops them in order.
//!
//! Both in one process still meet on the wire: the relay listens on a port, and the agent dials it as
//! it would dial any other. The control socket answers for whatever runs here.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    panic::resume_unwind,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use deskhand_agent::{Agent, AgentHandle, Door, Events, TaskEnvironment};
use deskhand_protocol::{
    ErrorCode, Problem, Secret,
    device_request::{DeviceRequest, DeviceResponse, DeviceStatus, LinkStatus},
    relay_request::{RelayRequest, RelayResponse},
};
use deskhand_relay::{GithubOptions, OauthOptions, Proxies, Relay, Tls, TlsError, reachable};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};

use crate::{
    Config, Credentials, Dirs, DirsError, Environment, Instance, InstanceError, Ready, Vault,
    config::Require,
    control::{ControlRequest, ControlResponse, Here, Server},
    enrolment::{self, Enrolment, EnrolmentError},
    machine,
    trust::{self, TrustError},
};

/// The viewer, as it was built when this program was.
const VIEWER: &[deskhand_relay::ViewerFile] = include!(concat!(env!("OUT_DIR"), "/viewer.rs"));

/// How often it is looked whether the agent can execute now.
const LOOK: Duration = Duration::from_millis(250);

/// What to start.
#[derive(Debug)]
pub struct Options {
    /// Where this installation keeps its files.
    pub dirs: Dirs,
    /// What tasks inherit parts of.
    pub environment: Environment,
    /// The settings.
    pub config: Config,
    /// Which parts.
    pub parts: Parts,
    /// Directories to open to tasks.
    pub workspaces: Vec<PathBuf>,
    /// The owner's word that lost secrets may be replaced.
    pub new_identity: bool,
}

/// Which parts to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// The agent, with a relay of its own.
    Both,
    /// A relay for other computers.
    Relay,
    /// The agent, with a relay elsewhere: the named one, else the one it was enrolled with last.
    Agent(Option<String>),
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No place for files.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// Something runs already.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// No keys.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// No relay to join.
    #[error(
        "join a relay: this computer is enrolled with none; run `deskhand enrol --relay URL --code CODE`"
    )]
    NotEnrolled,
    /// The relay's store cannot be opened.
    #[error("open the relay")]
    Relay(#[source] deskhand_relay::OpenError),
    /// The relay's certificate cannot be used.
    #[error("use the relay's certificate")]
    Certificate(#[from] TlsError),
    /// The authorities to trust cannot be read.
    #[error("trust a relay over TLS")]
    Trust(#[from] TrustError),
    /// Nobody can listen there.
    #[error("listen on {address}{}", if source.kind() == io::ErrorKind::AddrInUse { ": another program does; choose another address with --listen" } else { "" })]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The agent cannot start.
    #[error("start the agent")]
    Agent(#[source] deskhand_agent::StartError),
    /// A directory cannot be opened to tasks.
    #[error("open `{}` to tasks: {problem}", path.display())]
    Workspace {
        /// Which one.
        path: PathBuf,
        /// Why.
        problem: Problem,
    },
    /// The control socket cannot be opened.
    #[error("open the control socket")]
    Control(#[source] io::Error),
    /// The program cannot find itself, and with it the sandbox helper.
    #[error("find the sandbox helper beside this program")]
    Helper(#[source] io::Error),
}

/// What runs. Call [`Running::stop`] to end it in order; dropping it ends it at once.
#[derive(Debug)]
pub struct Running {
    relay: Option<OwnRelay>,
    agent: Option<AgentHandle>,
    /// Gone once it was stopped.
    control: Mutex<Option<Server>>,
    here: Here,
    owner_key: Option<Secret>,
    vault: Vault,
    is_first: bool,
    _instance: Instance,
}

#[derive(Debug)]
struct OwnRelay {
    relay: Relay,
    /// Gone once it ended.
    listening: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

/// Starts the parts. They run when this returns; whether the agent can execute is told by
/// [`Running::until_ready`].
pub async fn start(options: Options) -> Result<Running, StartError> {
    options.dirs.create()?;
    let instance = Instance::acquire(&options.dirs)?;
    let mut enrolment = blocking({
        let (dirs, config, renew) = (
            options.dirs.clone(),
            options.config.clone(),
            options.new_identity,
        );
        move || Enrolment::load(&dirs, &config, renew)
    })
    .await?;
    let is_first = enrolment.is_first();

    let (relay, link) = match &options.parts {
        Parts::Both => {
            let (relay, url) = start_relay(&options).await?;
            let made_key = enrolment.have_owner_key(&relay.relay).await?;
            let name = device_name(&options.config);
            let (credentials, made_device) = enrolment
                .have_device(&relay.relay, &name, machine::OS)
                .await?;
            if made_key || made_device {
                enrolment = save(enrolment).await?;
            }
            (Some((relay, url.clone())), Some((url, credentials)))
        }
        Parts::Relay => {
            let (relay, url) = start_relay(&options).await?;
            if enrolment.have_owner_key(&relay.relay).await? {
                enrolment = save(enrolment).await?;
            }
            (Some((relay, url)), None)
        }
        Parts::Agent(named) => {
            let url = named.as_deref().or(enrolment.last_joined());
            let url = url
                .ok_or(StartError::NotEnrolled)?
                .trim_end_matches('/')
                .to_owned();
            let credentials = enrolment.joined(&url)?.clone();
            (None, Some((url, credentials)))
        }
    };

    let mut here = Here {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        own_relay_url: relay.as_ref().map(|(_, url)| url.clone()),
        relay_url: relay.as_ref().map(|(_, url)| url.clone()),
        device_id: None,
        device_name: None,
        secrets: enrolment.vault().to_string(),
    };
    let mut agent = None;
    if let Some((url, credentials)) = link {
        here.device_id = Some(credentials.device_id.clone());
        here.device_name = Some(device_name(&options.config));
        here.relay_url = Some(url.clone());
        let secrets = known_secrets(&options, enrolment.owner_key());
        agent = Some(start_agent(&options, url, credentials, secrets).await?);
    }
    let relay = relay.map(|(relay, _)| relay);
    let control = open_control(&options.dirs, &here, relay.as_ref(), agent.as_ref())?;
    Ok(Running {
        relay,
        agent,
        control: Mutex::new(Some(control)),
        here,
        owner_key: enrolment.owner_key().cloned(),
        vault: enrolment.vault().clone(),
        is_first,
        _instance: instance,
    })
}

/// Opens the relay and lets it listen; returns the address that programs on this computer use.
async fn start_relay(options: &Options) -> Result<(OwnRelay, String), StartError> {
    let config = &options.config;
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let relay = Relay::open(deskhand_relay::Options {
        store: options.dirs.relay_store(),
        public_url: config.relay_public_url.value.get().map(str::to_owned),
        proxies: Proxies {
            trusted: config.relay_trusted_proxies.value.clone(),
            header: config.relay_forwarded_header.value,
        },
        allow_plain_http: config.relay_allow_plain_http.value,
        github: some(&config.github_secret.value).map(|secret| GithubOptions {
            secret: Secret::new(secret),
            devices: Some(config.github_devices.value.clone()).filter(|names| !names.is_empty()),
        }),
        oauth: OauthOptions {
            root_alias: config.oauth_root_alias.value,
            private_clients: config.oauth_private_clients.value.clone(),
        },
        viewer: VIEWER,
    })
    .await
    .map_err(StartError::Relay)?;
    let address = config.relay_listen.value;
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let (local, listening) = match config.relay_tls() {
        None => {
            let local = reachable(listener.local_addr().map_err(failed)?);
            let serving = relay.clone();
            let serve = async move { serving.listen(listener).await };
            (local, tokio::spawn(serve))
        }
        Some(files) => {
            let tls = tokio::task::spawn_blocking(|| Tls::load(files));
            let tls = tls
                .await
                .unwrap_or_else(|panic| resume_unwind(panic.into_panic()))?;
            if config.relay_public_url.value.get().is_none() {
                tracing::warn!("callers check a certificate by its name: set relay.public_url");
            }
            // No certificate names this computer's own address: what runs here asks there.
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let failed = |source| StartError::Listen { address, source };
            let local = TcpListener::bind(address).await.map_err(failed)?;
            let at = local.local_addr().map_err(failed)?;
            let serving = relay.clone();
            let serve = async move { serving.listen_over_tls(listener, tls, local).await };
            (at, tokio::spawn(serve))
        }
    };
    let listening = Mutex::new(Some(listening));
    Ok((OwnRelay { relay, listening }, format!("http://{local}")))
}

/// Returns what must never be kept: the owner's key, the secret of the forge, and whatever our own
/// environment calls a secret.
fn known_secrets(options: &Options, owner_key: Option<&Secret>) -> Vec<Secret> {
    let mut secrets: Vec<Secret> = owner_key.cloned().into_iter().collect();
    secrets.push(Secret::new(options.config.github_secret.value.clone()));
    secrets.extend(options.environment.secrets());
    secrets
}

async fn start_agent(
    options: &Options,
    relay_url: String,
    credentials: Credentials,
    secrets: Vec<Secret>,
) -> Result<AgentHandle, StartError> {
    let (config, environment, dirs) = (&options.config, &options.environment, &options.dirs);
    let sandbox_path = machine::sandbox_helper(config).map_err(StartError::Helper)?;
    let git_environment = machine::git_environment(environment);
    deskhand_agent::init_git(&git_environment);
    let tls = trust::for_address(&relay_url, config)?;
    Agent::start(deskhand_agent::Config {
        relay_url,
        tls,
        device_token: credentials.device_token,
        device_name: device_name(config),
        os: machine::OS.to_owned(),
        store: dirs.agent_store(),
        sandbox_path,
        sandbox_require: match config.sandbox_require.value {
            Require::None => deskhand_agent::Tier::None,
            Require::Reduced => deskhand_agent::Tier::Reduced,
            Require::Full => deskhand_agent::Tier::Full,
        },
        scratch: dirs.scratch(),
        task_environment: TaskEnvironment {
            home: environment.home().unwrap_or_else(|| PathBuf::from("/")),
            user: ["USER", "LOGNAME", "USERNAME"]
                .into_iter()
                .find_map(|name| environment.text(name))
                .unwrap_or_default()
                .to_owned(),
            path: environment
                .get("PATH")
                .map(|path| std::env::split_paths(path).collect())
                .unwrap_or_default(),
            extra: machine::locale(environment),
        },
        git_environment,
        time_zone: machine::time_zone(),
        inbox: dirs.inbox(),
        max_tasks: config.agent_max_tasks.value.get(),
        workspaces: absolute(&options.workspaces),
        rules: dirs.rules_file(),
        secrets,
        hidden: dirs.all().map(PathBuf::from).to_vec(),
    })
    .await
    .map_err(|error| match error {
        deskhand_agent::StartError::Workspace { path, problem } => {
            StartError::Workspace { path, problem }
        }
        other => StartError::Agent(other),
    })
}

/// One that has no absolute path, since the current directory is gone, is refused as it is.
fn absolute(paths: &[PathBuf]) -> Vec<PathBuf> {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    paths.iter().map(absolute).collect()
}

fn open_control(
    dirs: &Dirs,
    here: &Here,
    relay: Option<&OwnRelay>,
    agent: Option<&AgentHandle>,
) -> Result<Server, StartError> {
    let (here, relay, agent) = (
        here.clone(),
        relay.map(|own| own.relay.clone()),
        agent.cloned(),
    );
    let events = agent.clone().map(|agent| {
        let events: Arc<dyn Fn() -> Events + Send + Sync> = Arc::new(move || agent.events());
        events
    });
    let answer = move |request| {
        let (here, relay, agent) = (here.clone(), relay.clone(), agent.clone());
        async move {
            match (request, relay, agent) {
                (ControlRequest::Here {}, _, _) => ControlResponse::Here(here),
                (ControlRequest::Device(request), _, Some(agent)) => {
                    ControlResponse::Device(agent.request(request, Door::Local).await)
                }
                (ControlRequest::Relay(request), Some(relay), _) => {
                    ControlResponse::Relay(relay.request(request).await)
                }
                (ControlRequest::Device(_) | ControlRequest::Follow {}, _, _) => absent("agent"),
                (ControlRequest::Relay(_), None, _) => absent("relay"),
                (ControlRequest::Show { .. }, _, _) => absent("window"),
            }
        }
    };
    Server::open(dirs.control_socket(), answer, events).map_err(StartError::Control)
}

fn absent(part: &str) -> ControlResponse {
    ControlResponse::Problem(Problem::new(
        ErrorCode::NotFound,
        format!("No {part} runs in this process."),
    ))
}

/// Returns what others call this computer.
pub fn device_name(config: &Config) -> String {
    match config.device_name.value.as_str() {
        "" => machine::host_name(),
        name => name.to_owned(),
    }
}

async fn save(mut enrolment: Enrolment) -> Result<Enrolment, StartError> {
    Ok(blocking(move || enrolment.save().map(|()| enrolment)).await?)
}

/// Runs something that waits for a keyring where waiting is no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EnrolmentError> + Send + 'static,
) -> Result<T, EnrolmentError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => resume_unwind(panic.into_panic()),
    }
}

impl Running {
    /// Returns what runs here.
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// Returns the agent; none where only a relay runs.
    pub fn agent(&self) -> Option<&AgentHandle> {
        self.agent.as_ref()
    }

    /// Returns the owner's key, where this process runs the relay it is for.
    pub fn owner_key(&self) -> Option<&Secret> {
        self.relay.as_ref().and(self.owner_key.as_ref())
    }

    /// Asks the relay in this process.
    pub(crate) async fn relay_request(
        &self,
        request: RelayRequest,
    ) -> Result<RelayResponse, Problem> {
        match &self.relay {
            Some(own) => Ok(own.relay.request(request).await),
            None => Err(Problem::new(
                ErrorCode::NotFound,
                "No relay runs in this process.",
            )),
        }
    }

    /// Returns where everything is. Each call makes another link to the viewer.
    pub async fn ready(&self) -> Ready {
        Ready {
            relay_url: self.here.relay_url.clone().unwrap_or_default(),
            public_url: self.public_url().await,
            api_key: self.relay.as_ref().and(self.owner_key.clone()),
            device_id: self.here.device_id.clone(),
            device_name: self.here.device_name.clone(),
            pid: self.here.pid,
            viewer_url: self.viewer_url().await,
        }
    }

    /// Returns the address callers use, where it is another than this computer's own programs use.
    async fn public_url(&self) -> Option<String> {
        let relay = &self.relay.as_ref()?.relay;
        match relay.request(RelayRequest::Status).await {
            RelayResponse::Status { relay_url, .. } => {
                Some(relay_url).filter(|url| Some(url) != self.here.relay_url.as_ref())
            }
            _ => None,
        }
    }

    /// Makes a link that opens the viewer, signed in as the owner; none where no relay runs.
    async fn viewer_url(&self) -> Option<String> {
        let relay = &self.relay.as_ref()?.relay;
        let key = enrolment::key_id(self.owner_key.as_ref()?)?.to_owned();
        match relay.request(RelayRequest::CreateSignInLink { key }).await {
            RelayResponse::SignInLink(link) => Some(link.url),
            _ => None,
        }
    }

    /// Tells whether keys and device were made by this start.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Returns where the secrets lie.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Waits until the agent can execute, however long it takes, and returns how it is; at once where
    /// only a relay runs. `say` hears what it waits for, each time that changes.
    pub async fn until_ready(&self, mut say: impl FnMut(&str)) -> Option<DeviceStatus> {
        let agent = self.agent.as_ref()?;
        let mut link = agent.link();
        let mut said = String::new();
        loop {
            let DeviceResponse::Status(status) =
                agent.request(DeviceRequest::Status, Door::Local).await
            else {
                return None;
            };
            let waits_for = match (&status.link, status.can_execute) {
                (LinkStatus::Connected { .. }, true) => return Some(status),
                (LinkStatus::Connected { .. }, false) => match &status.reason {
                    Some(reason) => format!("the agent cannot execute yet: {reason}"),
                    None => "the agent cannot execute yet".to_owned(),
                },
                (LinkStatus::Refused { error }, _) => {
                    format!("the relay refuses this computer: {error}")
                }
                (
                    LinkStatus::Reconnecting {
                        error: Some(error), ..
                    },
                    _,
                ) => {
                    format!("the relay is not reachable yet: {error}")
                }
                (LinkStatus::Reconnecting { error: None, .. }, _) => String::new(),
            };
            if waits_for != said {
                say(&waits_for);
                said = waits_for;
            }
            // The link tells of its changes; that the agent can execute now it tells nobody here.
            tokio::select! {
                _ = link.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Waits until something ends that should not: the relay's listener. Never returns otherwise.
    pub async fn broken(&self) -> io::Error {
        let Some(relay) = &self.relay else {
            return std::future::pending().await;
        };
        match relay.ended().await {
            Ok(()) => io::Error::other("the relay's listener ended"),
            Err(error) => error,
        }
    }

    /// Stops in order: no more local requests, then the agent, whose last events the relay still
    /// takes, then the relay. Returns when all has ended and is on disk. Nothing happens a second time.
    pub async fn stop(&self) {
        if let Some(control) = self.control.lock().await.take() {
            control.stop().await;
        }
        if let Some(agent) = &self.agent {
            agent.shutdown().await;
        }
        if let Some(own) = &self.relay {
            own.relay.shutdown().await;
            if let Err(error) = own.ended().await {
                tracing::warn!(%error, "the relay's listener ended badly");
            }
        }
    }
}

impl OwnRelay {
    /// Waits until the listener has ended; at once when it has.
    async fn ended(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        let Some(handle) = listening.as_mut() else {
            return Ok(());
        };
        let ended = handle.await;
        *listening = None;
        ended.map_err(io::Error::other)?
    }
}
