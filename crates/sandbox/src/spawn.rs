//! Starts one confined program and follows it to its end.
//!
//! Owns the helper process, its control socket and the read ends of the two output pipes. Waits on those three and on
//! nothing else. Never reads the environment, never decides whether the program may run, never ends it by time.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::profile::{Command, Profile};
use crate::support::{Missing, Tier};
#[cfg(target_os = "linux")]
use crate::{profile::Network, proxy::AllowList};

#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(
    target_os = "linux",
    expect(unreachable_pub, reason = "public where the helper is not")
)]
mod elsewhere;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod records;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Child, Stopper};
#[cfg(target_os = "linux")]
pub(crate) use launch::{check_helper, helper_environment};

/// Largest piece of output handed out at once; also what a Linux pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// How long the output pipes are read after the tree has ended. Nothing of the tree holds them then, but a descriptor may
/// have been passed to a process outside, and nobody waits for that.
const PIPES_AFTER_END: Duration = Duration::from_millis(500);

/// How long the helper may take to start the program. It needs milliseconds; a stuck file system needs an end.
#[cfg(target_os = "linux")]
const START_WITHIN: Duration = Duration::from_secs(20);

/// Starts `command` as `profile` permits, through the helper at the absolute path `helper`.
///
/// Returns once the program runs and the helper has said which layers hold it. Dropping the future, or later the
/// [`Child`], ends everything that was started.
pub async fn spawn(
    helper: &Path,
    profile: &Profile,
    command: Command,
) -> Result<Child, SpawnError> {
    #[cfg(target_os = "linux")]
    {
        start(helper, profile, command, helper_environment()).await
    }
    #[cfg(not(target_os = "linux"))]
    {
        // The system brings what there is of confinement.
        let _ = helper;
        elsewhere::start(elsewhere::confinement(profile), profile, command)
    }
}

/// The same with layers taken away from the helper, for tests and benches; their names as in `DESKHAND_SANDBOX_DISABLE`.
#[doc(hidden)]
#[cfg(all(target_os = "linux", any(debug_assertions, feature = "testing")))]
pub async fn spawn_without(
    helper: &Path,
    profile: &Profile,
    command: Command,
    layers: &str,
) -> Result<Child, SpawnError> {
    let environment = vec![(crate::plan::DISABLE_VARIABLE, layers.into())];
    start(helper, profile, command, environment).await
}

#[cfg(target_os = "linux")]
async fn start(
    helper: &Path,
    profile: &Profile,
    command: Command,
    environment: Vec<(&'static str, OsString)>,
) -> Result<Child, SpawnError> {
    let (helper, require) = (helper.to_owned(), profile.require);
    let (program, profile) = (
        command.argv.first().cloned().unwrap_or_default(),
        profile.clone(),
    );
    let allowed = match &profile.network {
        Network::Allow(rules) => Some(AllowList::new(rules).map_err(SpawnError::Invalid)?),
        Network::Off | Network::On => None,
    };
    // Opening files and starting a process block, briefly as a rule; a hung network file system must not hold a worker.
    let launched = tokio::task::spawn_blocking(move || {
        launch::launch(&helper, &profile, command, environment)
    });
    let mut child = launched.await.map_err(io::Error::other)??;
    tokio::time::timeout(START_WITHIN, child.started(require, program, allowed))
        .await
        .map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "the helper did not start the program",
            )
        })??;
    Ok(child)
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The confinement the profile requires is not to be had.
    #[error("confine the program: tier {require} is required, this machine gives {tier}; missing {}", list(.missing))]
    Unavailable {
        /// What could have been had.
        tier: Tier,
        /// What the profile requires.
        require: Tier,
        /// The layers that failed.
        missing: Vec<Missing>,
    },
    /// The program does not exist or cannot be executed.
    #[error("execute `{}`", .program.to_string_lossy())]
    Program {
        /// The first word of the command.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
    /// The working directory, or the workspace, does not exist or cannot be entered.
    #[error("enter the working directory `{}`", .path.display())]
    WorkingDir {
        /// The directory asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The working directory is not beneath the workspace.
    #[error("enter the working directory `{}`: it is not beneath the workspace", .path.display())]
    OutsideWorkspace {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The helper executable is missing or not to be trusted.
    #[error("trust the helper `{}`: {reason}", .path.display())]
    Helper {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The profile or the command makes no sense.
    #[error("use the profile: {0}")]
    Invalid(String),
    /// The helper failed at a step that has nothing to do with confinement.
    #[error("start the program: {step}")]
    Step {
        /// What the helper was doing.
        step: String,
        /// What the system said.
        source: io::Error,
    },
    /// A system call on our side failed.
    #[error("start the helper")]
    Io(#[from] io::Error),
}

fn list(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(Missing::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A stream of the program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it was written to.
    pub stream: Stream,
    /// The bytes, 64 KiB at most.
    pub bytes: Vec<u8>,
}

/// A limit the task ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Resident memory, or a single allocation beyond it.
    MemoryLimit,
    /// Processes and threads.
    ProcessLimit,
    /// The size of one file.
    FileSizeLimit,
    /// What the workspace grew by.
    WorkspaceGrowthLimit,
    /// Processor time.
    CpuLimit,
    /// Bytes on one output stream.
    OutputLimit,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Limit::MemoryLimit => "memory_limit",
            Limit::ProcessLimit => "process_limit",
            Limit::FileSizeLimit => "file_size_limit",
            Limit::WorkspaceGrowthLimit => "workspace_growth_limit",
            Limit::CpuLimit => "cpu_limit",
            Limit::OutputLimit => "output_limit",
        })
    }
}

/// How the program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, or −n when signal n ended it.
    pub returncode: i32,
    /// From the start of the program to its end.
    pub duration: Duration,
    /// The limits it was seen to run into, each once.
    pub limits_hit: Vec<Limit>,
    /// Files that other programs execute or obey and that the task made or changed, relative to the workspace.
    pub created_executable_config: Vec<PathBuf>,
    /// The helper died before it could say how the program ended; `returncode` is −9 then.
    pub helper_lost: bool,
}

/// A program that was started. Dropping it ends the whole tree at once.
#[derive(Debug)]
#[cfg(target_os = "linux")]
pub struct Child {
    pid: u32,
    tier: Tier,
    applied: Vec<String>,
    output_bytes_per_stream: u64,
    stdout: Pipe,
    stderr: Pipe,
    control: Arc<tokio::net::UnixStream>,
    records: records::Records,
    control_closed: bool,
    exit: Option<Exit>,
    /// When the pipes are given up.
    pipes_until: Option<tokio::time::Instant>,
    output_limit_hit: bool,
    helper: tokio::process::Child,
    proxy: Option<tokio::task::AbortHandle>,
}

/// The read end of one output pipe, and how much came through it.
#[derive(Debug)]
#[cfg(target_os = "linux")]
struct Pipe {
    receiver: Option<tokio::net::unix::pipe::Receiver>,
    n_bytes: u64,
}

/// Ends a program's tree, from wherever it is held. Cloning it is cheap; it does not keep the program alive.
#[derive(Debug, Clone)]
#[cfg(target_os = "linux")]
pub struct Stopper {
    control: Weak<tokio::net::UnixStream>,
}

#[cfg(target_os = "linux")]
impl Child {
    /// Returns the process id of the helper, which is there as long as anything of the tree is.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the tier that holds the program.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Returns the names of the layers that hold the program, in the order they were applied.
    pub fn applied(&self) -> &[String] {
        &self.applied
    }

    /// Returns a handle that ends the tree.
    pub fn stopper(&self) -> Stopper {
        Stopper {
            control: Arc::downgrade(&self.control),
        }
    }

    /// Returns the next piece of output, or nothing once both streams are closed or given up.
    ///
    /// Nothing is read ahead: a program that writes faster than this is called waits. Cancel safe.
    pub async fn next_output(&mut self) -> Option<Chunk> {
        loop {
            if self.stdout.receiver.is_none() && self.stderr.receiver.is_none() {
                return None;
            }
            let pipes_until = self.pipes_until;
            let following = !self.control_closed;
            // Whichever is ready: tokio's select is fair, so neither stream can starve the other or the record of the end.
            tokio::select! {
                bytes = self.stdout.read() => if let Some(chunk) = self.took(Stream::Stdout, bytes) { return Some(chunk) },
                bytes = self.stderr.read() => if let Some(chunk) = self.took(Stream::Stderr, bytes) { return Some(chunk) },
                record = self.records.next(&self.control), if following => self.note(record),
                () = until(pipes_until), if pipes_until.is_some() => {
                    self.stdout.receiver = None;
                    self.stderr.receiver = None;
                }
            }
        }
    }

    /// Waits for the end of the whole tree and returns how the program ended. Output not taken yet is thrown away, so take
    /// it first. Cancel safe; may be called again.
    pub async fn wait(&mut self) -> Exit {
        while self.next_output().await.is_some() {}
        while self.exit.is_none() && !self.control_closed {
            let record = self.records.next(&self.control).await;
            self.note(record);
        }
        // The helper is at its last instruction or gone. Nobody waits for that: should it not be reaped here, tokio does it.
        let _ = self.helper.try_wait();
        let mut exit = self.exit.clone().unwrap_or(Exit {
            returncode: -9,
            duration: Duration::ZERO,
            limits_hit: Vec::new(),
            created_executable_config: Vec::new(),
            helper_lost: true,
        });
        if self.output_limit_hit {
            exit.limits_hit.push(Limit::OutputLimit);
        }
        exit
    }

    /// Takes what was read from a stream; ends the task when the stream went over its limit.
    fn took(&mut self, stream: Stream, bytes: io::Result<Vec<u8>>) -> Option<Chunk> {
        let limit = self.output_bytes_per_stream;
        let pipe = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(mut bytes) = bytes.ok().filter(|bytes| !bytes.is_empty()) else {
            pipe.receiver = None;
            return None;
        };
        let left = limit - pipe.n_bytes;
        if bytes.len() as u64 > left {
            bytes.truncate(left as usize);
            pipe.receiver = None;
            self.output_limit_hit = true;
            self.stopper().stop(Duration::ZERO);
        }
        let pipe = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        pipe.n_bytes += bytes.len() as u64;
        (!bytes.is_empty()).then_some(Chunk { stream, bytes })
    }

    /// Takes what the helper said while the program ran. Only its end is of interest.
    fn note(&mut self, record: io::Result<Option<crate::plan::Record>>) {
        match record {
            Ok(Some(crate::plan::Record::Exited {
                returncode,
                duration_ms,
                limits_hit,
                created_executable_config,
            })) => {
                let duration = Duration::from_millis(duration_ms);
                self.exit = Some(Exit {
                    returncode,
                    duration,
                    limits_hit,
                    created_executable_config,
                    helper_lost: false,
                });
            }
            Ok(Some(_)) => return,
            Ok(None) | Err(_) => self.control_closed = true,
        }
        self.pipes_until
            .get_or_insert(tokio::time::Instant::now() + PIPES_AFTER_END);
    }

    /// Waits for the record that the program runs.
    async fn started(
        &mut self,
        require: Tier,
        program: OsString,
        allowed: Option<AllowList>,
    ) -> Result<(), SpawnError> {
        use crate::plan::Record;
        let source = io::Error::from_raw_os_error;
        match self.records.next(&self.control).await? {
            Some(Record::Started { tier, .. }) if tier < require => {
                let missing = vec![Missing {
                    layer: "tier".into(),
                    step: "the helper started less than asked".into(),
                    errno: 0,
                }];
                Err(SpawnError::Unavailable {
                    tier,
                    require,
                    missing,
                })
            }
            Some(Record::Started { tier, layers }) => {
                (self.tier, self.applied) = (tier, layers);
                if let (Some(allowed), Some(listener)) = (allowed, self.records.descriptors.pop()) {
                    let listener = std::net::TcpListener::from(listener);
                    listener.set_nonblocking(true)?;
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    self.proxy =
                        Some(tokio::spawn(crate::proxy::serve(listener, allowed)).abort_handle());
                }
                Ok(())
            }
            Some(Record::Unavailable { tier, missing }) => Err(SpawnError::Unavailable {
                tier,
                require,
                missing,
            }),
            Some(Record::NotExecuted { errno }) => Err(SpawnError::Program {
                program,
                source: source(errno),
            }),
            Some(Record::Failed { step, errno }) => Err(SpawnError::Step {
                step,
                source: source(errno),
            }),
            Some(Record::Exited { .. }) | None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the helper ended before the program ran",
            )
            .into()),
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Child {
    fn drop(&mut self) {
        if let Some(proxy) = &self.proxy {
            proxy.abort();
        }
    }
}

#[cfg(target_os = "linux")]
impl Pipe {
    /// Returns the next bytes, none at the end, and never anything once the pipe was given up. Cancel safe.
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let Some(receiver) = &self.receiver else {
            return std::future::pending().await;
        };
        let mut bytes = Vec::new();
        loop {
            receiver.readable().await?;
            bytes.reserve_exact(CHUNK_BYTES);
            match receiver.try_read_buf(&mut bytes) {
                Ok(_) => {
                    bytes.shrink_to_fit();
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(target_os = "linux")]
impl Stopper {
    /// Asks the whole tree to end, daemonised processes included, and kills what is left of it after `grace`.
    ///
    /// Returns at once; the end is seen by [`Child::wait`]. Asking again can only shorten the grace.
    pub fn stop(&self, grace: Duration) {
        if let Some(control) = self.control.upgrade() {
            let line = format!("stop {}\n", grace.as_millis());
            let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
            // It fails only when the helper is gone, or when thousands of lines were not read: then it is stopping already.
            let _ = rustix::net::send(&*control, line.as_bytes(), flags);
        }
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
