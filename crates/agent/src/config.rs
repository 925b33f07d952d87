//! What an agent is told when it starts. It reads no environment, no home directory and no keyring
//! itself: all of that arrives here.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use deskhand_protocol::Secret;
use deskhand_sandbox::Tier;

/// Everything an agent needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The relay's address, `http://` or `https://`; the link is `/link` beneath it.
    pub relay_url: String,
    /// Whom to trust over TLS; needed for `https://` only.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The token the relay gave this device.
    pub device_token: Secret,
    /// What the owner calls this computer.
    pub device_name: String,
    /// Its operating system.
    pub os: String,
    /// The device's store; made when it is not there.
    pub store: PathBuf,
    /// The helper executable `deskhand-sandbox`.
    pub sandbox_path: PathBuf,
    /// The weakest confinement a shell task may have.
    pub sandbox_require: Tier,
    /// A directory of ours, made when it is not there, in which each shell task gets a private one.
    pub scratch: PathBuf,
    /// What the environment of shell tasks is made of.
    pub task_environment: TaskEnvironment,
    /// The variables git would read: `HOME`, `XDG_CONFIG_HOME` and so on.
    pub git_environment: Vec<(OsString, OsString)>,
    /// The IANA name of the time zone in which schedules are read that name none.
    pub time_zone: String,
    /// The directory whose files become tasks; made when it is not there.
    pub inbox: PathBuf,
    /// How many tasks run at the same time; git reads and echoes run beside them.
    pub max_tasks: usize,
    /// Directories, by their absolute paths, to open to tasks before the first one runs.
    pub workspaces: Vec<PathBuf>,
    /// The owner's rules; the file need not exist.
    pub rules: PathBuf,
    /// Texts that must never be kept: keys, tokens and whatever else is known to be secret here.
    pub secrets: Vec<Secret>,
    /// Our own files, which no task may see and no workspace may hold; the places where people keep
    /// secrets are added to them.
    pub hidden: Vec<PathBuf>,
}

/// What the environment of shell tasks is made of; nothing else is inherited.
#[derive(Debug, Clone)]
pub struct TaskEnvironment {
    /// The owner's home directory.
    pub home: PathBuf,
    /// The owner's login name.
    pub user: String,
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
    /// More variables: language, time zone, what the owner configured.
    pub extra: Vec<(OsString, OsString)>,
}
