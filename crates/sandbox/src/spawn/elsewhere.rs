//! Starts programs where the helper is not to be had: on macOS confined by `sandbox-exec`, on Windows not at all.
//!
//! Owns the program's process group (on Windows its job object) and the read ends of its output. Waits on those. What only
//! looking can limit (memory, processes, growth of the workspace) is not limited here, and a process that leaves its group
//! is not found. Never tried on either system; on Linux the tests start programs through it with nothing in front.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{CHUNK_BYTES, Chunk, Exit, Limit, PIPES_AFTER_END, SpawnError, Stream};
use crate::profile::{Command, Profile};
use crate::support::{Missing, Tier};

/// What processes that outlive the program get before they are killed, as under Linux.
const AFTER_PROGRAM: Duration = Duration::from_millis(500);

/// Requests to stop that may wait; they come one at a time.
const WAITING_STOPS: usize = 16;

/// What confines programs on this system: the words in front of the program's own, and the tier that gives.
#[cfg(not(target_os = "linux"))]
pub(super) fn confinement(profile: &Profile) -> (Vec<OsString>, Tier) {
    #[cfg(target_os = "macos")]
    return (crate::macos::arguments(profile), Tier::Full);
    #[cfg(not(target_os = "macos"))]
    {
        let _ = profile;
        (Vec::new(), Tier::None)
    }
}

/// Starts a program with `in_front` before its own words; both together must be an absolute path and its arguments.
pub(super) fn start(
    (in_front, tier): (Vec<OsString>, Tier),
    profile: &Profile,
    command: Command,
) -> Result<Child, SpawnError> {
    if tier < profile.require {
        return Err(SpawnError::Unavailable {
            tier,
            require: profile.require,
            missing: vec![Missing {
                layer: "confinement".into(),
                step: "not to be had on this system".into(),
                errno: 0,
            }],
        });
    }
    let failed = |source| SpawnError::WorkingDir {
        path: command.cwd.clone(),
        source,
    };
    let cwd = profile.workspace.join(&command.cwd);
    let cwd = cwd.canonicalize().map_err(failed)?;
    if !cwd.starts_with(&profile.workspace) {
        return Err(SpawnError::OutsideWorkspace { path: command.cwd });
    }
    let applied = in_front
        .first()
        .map(|program| program.to_string_lossy().into_owned());
    let mut words = in_front.into_iter().chain(command.argv);
    let program = words
        .next()
        .ok_or_else(|| SpawnError::Invalid("there is no program".into()))?;
    let mut wrapped = CommandWrap::with_new(&program, |starting| {
        starting
            .args(words)
            .env_clear()
            .envs(command.env)
            .current_dir(cwd);
        let stdin = if command.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        starting
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    });
    wrapped.wrap(KillOnDrop);
    #[cfg(unix)]
    wrapped.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    wrapped.wrap(process_wrap::tokio::JobObject);
    let mut group = wrapped
        .spawn()
        .map_err(|source| SpawnError::Program { program, source })?;
    if let Some(mut stdin) = group.stdin().take() {
        tokio::spawn(async move {
            // A program that reads no further closes its end.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, &command.stdin).await;
        });
    }
    let (stops, asked) = mpsc::channel(WAITING_STOPS);
    Ok(Child {
        pid: group.id().unwrap_or_default(),
        tier,
        applied: applied.into_iter().collect(),
        left_of_stdout: profile.limits.output_bytes_per_stream,
        left_of_stderr: profile.limits.output_bytes_per_stream,
        stdout: group.stdout().take(),
        stderr: group.stderr().take(),
        stops,
        exit: None,
        output_limit_hit: false,
        pipes_until: None,
        keeper: tokio::spawn(keep(group, asked)),
    })
}

/// Follows a program to its end, then ends what is left of its group. Ends all when told to, or when nobody is left to tell.
async fn keep(
    mut group: Box<dyn ChildWrapper>,
    mut asked: mpsc::Receiver<Duration>,
) -> io::Result<Exit> {
    let started_at = Instant::now();
    let leader = group.id().unwrap_or_default();
    let mut kill_at: Option<tokio::time::Instant> = None;
    let status = loop {
        let deadline = kill_at.unwrap_or_else(|| tokio::time::Instant::now() + AFTER_PROGRAM);
        tokio::select! {
            status = group.inner_mut().wait() => break status,
            grace = asked.recv(), if kill_at.is_none() => {
                let grace = grace.unwrap_or_default();
                if !grace.is_zero() {
                    ask_to_end(group.as_ref());
                }
                kill_at = Some(tokio::time::Instant::now() + grace);
            }
            () = tokio::time::sleep_until(deadline), if kill_at.is_some() => {
                group.start_kill()?;
                break group.inner_mut().wait().await;
            }
        }
    };
    let duration = started_at.elapsed();
    if kill_at.is_none() && is_anyone_left(leader) {
        tokio::time::sleep(AFTER_PROGRAM).await;
    }
    // Nobody left is what is wanted.
    let _ = group.start_kill();
    Ok(Exit {
        returncode: returncode(status?),
        duration,
        limits_hit: Vec::new(),
        created_executable_config: Vec::new(),
        helper_lost: false,
    })
}

#[cfg(unix)]
fn ask_to_end(group: &dyn ChildWrapper) {
    // It fails when nobody is left.
    let _ = group.signal(rustix::process::Signal::TERM.as_raw());
}

#[cfg(unix)]
fn is_anyone_left(leader: u32) -> bool {
    let group = i32::try_from(leader).ok();
    let group = group.and_then(rustix::process::Pid::from_raw);
    group.is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
}

/// Nothing tells.
#[cfg(not(unix))]
fn is_anyone_left(_leader: u32) -> bool {
    true
}

/// There is no way to ask.
#[cfg(not(unix))]
fn ask_to_end(_group: &dyn ChildWrapper) {}

fn returncode(status: std::process::ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return -signal;
    }
    status.code().unwrap_or(-1)
}

/// A program that was started. Dropping it ends its group at once.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    tier: Tier,
    applied: Vec<String>,
    left_of_stdout: u64,
    left_of_stderr: u64,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    stops: mpsc::Sender<Duration>,
    exit: Option<Exit>,
    output_limit_hit: bool,
    /// When the pipes are given up.
    pipes_until: Option<tokio::time::Instant>,
    keeper: JoinHandle<io::Result<Exit>>,
}

/// Ends a program's group, from wherever it is held. Cloning it is cheap; it does not keep the program alive.
#[derive(Debug, Clone)]
pub struct Stopper(mpsc::WeakSender<Duration>);

impl Stopper {
    /// Asks the group to end, and kills what is left of it after `grace`. Returns at once. Only the first word counts.
    pub fn stop(&self, grace: Duration) {
        if let Some(stops) = self.0.upgrade() {
            // Full of earlier words: then it is stopping already.
            let _ = stops.try_send(grace);
        }
    }
}

impl Child {
    /// Returns the process id of the program, or of what confines it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the tier that holds the program.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Returns the names of what holds the program.
    pub fn applied(&self) -> &[String] {
        &self.applied
    }

    /// Returns a handle that ends the group.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stops.downgrade())
    }

    /// Returns the next piece of output, or nothing once both streams are closed or given up. Cancel safe.
    pub async fn next_output(&mut self) -> Option<Chunk> {
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return None;
            }
            let (stream, bytes) = tokio::select! {
                bytes = read(&mut self.stdout) => (Stream::Stdout, bytes),
                bytes = read(&mut self.stderr) => (Stream::Stderr, bytes),
                ended = &mut self.keeper, if self.exit.is_none() => {
                    self.note(ended);
                    continue;
                }
                () = super::until(self.pipes_until), if self.pipes_until.is_some() => {
                    (self.stdout, self.stderr) = (None, None);
                    continue;
                }
            };
            if let Some(chunk) = self.took(stream, bytes) {
                return Some(chunk);
            }
        }
    }

    /// Waits for the end and returns how the program ended. Output not taken yet is thrown away, so take it first. Cancel
    /// safe; may be called again.
    pub async fn wait(&mut self) -> Exit {
        while self.next_output().await.is_some() {}
        if self.exit.is_none() {
            let ended = (&mut self.keeper).await;
            self.note(ended);
        }
        let mut exit = self.exit.clone().unwrap_or_else(lost);
        if self.output_limit_hit {
            exit.limits_hit.push(Limit::OutputLimit);
        }
        exit
    }

    fn note(&mut self, ended: Result<io::Result<Exit>, tokio::task::JoinError>) {
        self.exit = Some(ended.ok().and_then(Result::ok).unwrap_or_else(lost));
        self.pipes_until = Some(tokio::time::Instant::now() + PIPES_AFTER_END);
    }

    /// Takes what was read from a stream; ends the task when the stream went over its limit.
    fn took(&mut self, stream: Stream, mut bytes: Vec<u8>) -> Option<Chunk> {
        let left = match stream {
            Stream::Stdout => &mut self.left_of_stdout,
            Stream::Stderr => &mut self.left_of_stderr,
        };
        let over = bytes.len() as u64 > *left;
        bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= bytes.len() as u64;
        if over {
            self.output_limit_hit = true;
            self.stopper().stop(Duration::ZERO);
        }
        if over || bytes.is_empty() {
            match stream {
                Stream::Stdout => self.stdout = None,
                Stream::Stderr => self.stderr = None,
            }
        }
        (!bytes.is_empty()).then_some(Chunk { stream, bytes })
    }
}

/// What is said of an end that nobody saw.
fn lost() -> Exit {
    Exit {
        returncode: -9,
        duration: Duration::ZERO,
        limits_hit: Vec::new(),
        created_executable_config: Vec::new(),
        helper_lost: true,
    }
}

/// Returns the next bytes, none at the end, and never anything once the pipe was given up. Cancel safe.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(pipe) = pipe else {
        return std::future::pending().await;
    };
    let mut bytes = Vec::with_capacity(CHUNK_BYTES);
    match pipe.read_buf(&mut bytes).await {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Limits, Network};

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn start(&self, require: Tier, limits: Limits, script: &str) -> Result<Child, SpawnError> {
            let workspace = self.0.path().canonicalize().unwrap();
            let profile = Profile {
                private_tmp: workspace.clone(),
                workspace,
                writable: true,
                git_writes: false,
                network: Network::On,
                require,
                limits,
                hidden: Vec::new(),
            };
            let command = Command {
                argv: ["/bin/sh", "-c", script].map(OsString::from).into(),
                env: vec![("GREETING".into(), "hello".into())],
                cwd: ".".into(),
                stdin: b"from stdin".to_vec(),
            };
            start((Vec::new(), Tier::None), &profile, command)
        }
    }

    async fn output(child: &mut Child) -> (String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(chunk) = child.next_output().await {
            match chunk.stream {
                Stream::Stdout => stdout.extend(chunk.bytes),
                Stream::Stderr => stderr.extend(chunk.bytes),
            }
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(stdout), text(stderr))
    }

    /// A kill takes effect a moment after it was sent.
    async fn is_soon_gone(pid: u32) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            if state.is_ok_and(|stat| !stat.contains(") Z ")) {
                assert!(Instant::now() < deadline, "{pid} lives");
                tokio::time::sleep(Duration::from_millis(5)).await;
            } else {
                return;
            }
        }
    }

    #[tokio::test]
    async fn output_input_environment_and_the_code_come_through() {
        let place = Place::new();
        let script = "cat; echo \"$GREETING $HOME\"; echo no >&2; exit 7";
        let mut child = place.start(Tier::None, Limits::default(), script).unwrap();
        assert_eq!((child.tier(), child.applied()), (Tier::None, &[][..]));
        assert!(child.pid() > 0);
        let printed = output(&mut child).await;
        assert_eq!(printed, ("from stdinhello \n".into(), "no\n".into()));
        let exit = child.wait().await;
        assert_eq!((exit.returncode, exit.helper_lost), (7, false));
        assert_eq!(child.wait().await, exit);
    }

    #[tokio::test]
    async fn less_than_is_required_is_refused() {
        let refused = Place::new().start(Tier::Reduced, Limits::default(), "true");
        assert!(matches!(refused, Err(SpawnError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn a_stop_ends_the_whole_group() {
        let place = Place::new();
        for (grace, trap) in [
            (Duration::ZERO, ""),
            (Duration::from_millis(50), "trap '' TERM;"),
        ] {
            let script = format!("{trap} sleep 1000 & echo $!; wait");
            let mut child = place.start(Tier::None, Limits::default(), &script).unwrap();
            let pid = child.next_output().await.unwrap().bytes;
            let pid: u32 = String::from_utf8(pid).unwrap().trim().parse().unwrap();
            child.stopper().stop(grace);
            assert_eq!(child.wait().await.returncode, -9);
            is_soon_gone(pid).await;
        }
    }

    #[tokio::test]
    async fn who_asks_gently_is_heard() {
        let place = Place::new();
        let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let mut child = place.start(Tier::None, Limits::default(), script).unwrap();
        assert_eq!(child.next_output().await.unwrap().bytes, b"ready\n");
        child.stopper().stop(Duration::from_secs(60));
        assert_eq!(output(&mut child).await.0, "bye\n");
        assert_eq!(child.wait().await.returncode, 3);
    }

    #[tokio::test]
    async fn too_much_output_ends_it() {
        let limits = Limits {
            output_bytes_per_stream: 100_000,
            ..Limits::default()
        };
        let mut child = Place::new().start(Tier::None, limits, "yes").unwrap();
        assert_eq!(output(&mut child).await.0.len(), 100_000);
        assert_eq!(child.wait().await.limits_hit, [Limit::OutputLimit]);
    }

    #[tokio::test]
    async fn what_outlives_the_program_is_ended() {
        let place = Place::new();
        let mut child = place
            .start(Tier::None, Limits::default(), "sleep 1000 & echo $!")
            .unwrap();
        let pid = child.next_output().await.unwrap().bytes;
        let pid: u32 = String::from_utf8(pid).unwrap().trim().parse().unwrap();
        assert_eq!(child.wait().await.returncode, 0);
        is_soon_gone(pid).await;
    }
}
