//! Performs a shell action, or the real git: starts the program in the sandbox, stores what it prints as it comes, and
//! ends its tree when asked to.
//!
//! Memory is bounded by the chunk that waits for the store: nothing more is read from the program
//! until that chunk is stored, so a program that writes faster than the disk waits.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use deskhand_protocol::{
    Command, ErrorCode, Outcome, TaskId,
    event::Stream,
    limits::{ANSWER_HEAD_BYTES, ANSWER_TAIL_BYTES, CHUNK_BYTES, CHUNK_DELAY},
    task::ShellAction,
};
use deskhand_sandbox::{
    Capture, Child, Chunk, EnvironmentInputs, Exit, Limit, Limits, Network, Profile, SpawnError,
};
use deskhand_sqlite::Sync;
use tokio::time::{Instant, interval_at, sleep_until};

use super::{Piece, Ran, Stop};
use crate::{
    attempt::{ELAPSED_EVERY, StopSignal},
    config::Config,
    excerpt::{self, Ends},
    progress::{Lines, Unsaid},
    recorder::Recorder,
};

/// When a chunk could not be stored it is tried again after this.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long a program that does nothing may take in the sandbox.
const TRY_OUT_WITHIN: Duration = Duration::from_secs(10);

/// Where a program runs.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) workspace: PathBuf,
}

/// What runs there.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) argv: Vec<OsString>,
    /// Variables on top of those every task has.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) timeout: Duration,
}

impl From<ShellAction> for Program {
    fn from(shell: ShellAction) -> Self {
        let argv = match shell.command {
            Command::Argv(words) => words.into_iter().map(Into::into).collect(),
            Command::Line(line) => vec!["/bin/sh".into(), "-c".into(), line.into()],
        };
        Self {
            argv,
            env: Vec::new(),
            stdin: shell.stdin.unwrap_or_default().into_bytes(),
            timeout: shell.timeout.duration(),
        }
    }
}

/// Runs a program to its end, or until it is stopped, or its time is over.
pub(crate) async fn run(
    program: Program,
    place: Place,
    task_id: TaskId,
    config: &Config,
    recorder: &Recorder,
    stop: &mut StopSignal,
) -> Ran {
    let scratch = match Scratch::make(&config.scratch, task_id).await {
        Ok(scratch) => scratch,
        Err(error) => {
            let error = format!("make a temporary directory: {error}");
            return Ran::silent(Outcome::failed(ErrorCode::SpawnFailed, error));
        }
    };
    let timeout = program.timeout;
    let (profile, command) = prepare(program, place, config, &scratch.path);
    let ran = match deskhand_sandbox::spawn(&config.sandbox_path, &profile, command).await {
        Ok(child) => {
            Run::new(child, task_id, recorder)
                .follow(timeout, stop)
                .await
        }
        Err(error) => Ran::silent(not_spawned(&error)),
    };
    scratch.remove().await;
    ran
}

/// Starts a program that does nothing, confined as tasks are. `dir` stands for a workspace.
pub(crate) async fn try_out(config: &Config, dir: &Path) -> Result<(), String> {
    let program = Program {
        argv: vec!["/bin/sh".into(), "-c".into(), ":".into()],
        env: Vec::new(),
        stdin: Vec::new(),
        timeout: TRY_OUT_WITHIN,
    };
    let place = Place {
        dir: dir.to_owned(),
        workspace: dir.to_owned(),
    };
    let (profile, command) = prepare(program, place, config, dir);
    let tried = async {
        let mut child = deskhand_sandbox::spawn(&config.sandbox_path, &profile, command)
            .await
            .map_err(|error| not_spawned(&error).error.unwrap_or_default())?;
        while child.next_output().await.is_some() {}
        Ok::<_, String>(child.wait().await)
    };
    match tokio::time::timeout(TRY_OUT_WITHIN, tried).await {
        Ok(Ok(exit)) if exit.returncode == 0 && !exit.helper_lost => Ok(()),
        Ok(Ok(exit)) => Err(format!(
            "a program that does nothing fails in the sandbox with {}",
            exit.returncode
        )),
        Ok(Err(error)) => Err(format!("no program can be started in the sandbox: {error}")),
        Err(_) => Err("a program that does nothing does not end in the sandbox".to_owned()),
    }
}

fn prepare(
    program: Program,
    place: Place,
    config: &Config,
    private_tmp: &Path,
) -> (Profile, deskhand_sandbox::Command) {
    let profile = Profile {
        workspace: place.workspace,
        writable: true,
        // Both are granted by rules and questions only, which come later.
        git_writes: false,
        network: Network::Off,
        require: config.sandbox_require,
        limits: Limits::default(),
        hidden: config.hidden.clone(),
        private_tmp: private_tmp.to_owned(),
    };
    let inputs = &config.task_environment;
    let mut env = deskhand_sandbox::base_environment(&EnvironmentInputs {
        home: &inputs.home,
        user: &inputs.user,
        path: &inputs.path,
        private_tmp,
        network: &profile.network,
        extra: &inputs.extra,
        named_secrets: &[],
    });
    env.retain(|(name, _)| !program.env.iter().any(|(own, _)| own == name));
    env.extend(program.env);
    let command = deskhand_sandbox::Command {
        argv: program.argv,
        cwd: place.dir,
        env,
        stdin: program.stdin,
    };
    (profile, command)
}

fn not_spawned(error: &SpawnError) -> Outcome {
    let code = match error {
        SpawnError::Unavailable { .. } | SpawnError::Helper { .. } => ErrorCode::SandboxUnavailable,
        SpawnError::WorkingDir { .. } => ErrorCode::WorkingDirMissing,
        SpawnError::OutsideWorkspace { .. } => ErrorCode::WorkingDirNotAllowed,
        SpawnError::Program { .. }
        | SpawnError::Invalid(_)
        | SpawnError::Step { .. }
        | SpawnError::Io(_) => ErrorCode::SpawnFailed,
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Outcome::failed(code, text)
}

/// A program that runs, and what is at hand of its output.
struct Run<'a> {
    child: Child,
    task_id: TaskId,
    recorder: &'a Recorder,
    stdout: Printed,
    stderr: Printed,
    progress: Unsaid,
    /// When what waits goes to the store; nothing waits when there is none.
    store_at: Option<Instant>,
    /// No more is read while what waits could not be stored.
    store_is_stuck: bool,
}

/// One stream: its ends for the answer, and the bytes that wait for the store.
struct Printed {
    stream: Stream,
    ends: Capture,
    waiting: Vec<u8>,
    /// Where in the stream `waiting` begins.
    offset: u64,
    lines: Lines,
}

enum Next {
    Output(Chunk),
    Closed,
    Exit(Exit),
}

impl<'a> Run<'a> {
    fn new(child: Child, task_id: TaskId, recorder: &'a Recorder) -> Self {
        Self {
            child,
            task_id,
            recorder,
            stdout: Printed::new(Stream::Stdout),
            stderr: Printed::new(Stream::Stderr),
            progress: Unsaid::default(),
            store_at: None,
            store_is_stuck: false,
        }
    }

    async fn follow(mut self, timeout: Duration, stop: &mut StopSignal) -> Ran {
        let begun = Instant::now();
        let mut elapsed = interval_at(begun + ELAPSED_EVERY, ELAPSED_EVERY);
        let mut stopped: Option<Stop> = None;
        let mut closed = false;
        let exit = loop {
            let store_at = self.store_at;
            let (reads, child) = (!self.store_is_stuck, &mut self.child);
            let next = async {
                match closed {
                    false => child.next_output().await.map_or(Next::Closed, Next::Output),
                    true => Next::Exit(child.wait().await),
                }
            };
            // In order of urgency: what ends the task, what waits for the store, then the program,
            // which may never be quiet.
            tokio::select! {
                biased;
                reason = stop.wait() => {
                    stopped.get_or_insert(reason);
                    self.child.stopper().stop(reason.grace());
                }
                () = sleep_until(begun + timeout), if stopped.is_none() => {
                    let reason = Stop::Timeout(timeout);
                    stopped = Some(reason);
                    self.child.stopper().stop(reason.grace());
                }
                () = at(store_at), if store_at.is_some() => self.store().await,
                next = next, if reads => match next {
                    Next::Output(chunk) => self.take(chunk).await,
                    Next::Closed => closed = true,
                    Next::Exit(exit) => break exit,
                },
                // The event's own time says how long it runs.
                _ = elapsed.tick() => self.say(None, None).await,
            }
        };
        let duration = begun.elapsed();
        if let Some(said) = std::mem::take(&mut self.progress).into_rest() {
            self.say(Some(said.percent), said.message).await;
        }
        self.ended(stopped, exit, duration)
    }

    async fn take(&mut self, chunk: Chunk) {
        let printed = match chunk.stream {
            deskhand_sandbox::Stream::Stdout => &mut self.stdout,
            deskhand_sandbox::Stream::Stderr => &mut self.stderr,
        };
        printed.ends.push(&chunk.bytes);
        if let Some(progress) = printed.lines.push(&chunk.bytes) {
            self.progress.take(progress);
        }
        printed.waiting.extend_from_slice(&chunk.bytes);
        if printed.waiting.len() >= CHUNK_BYTES {
            self.store().await;
        } else {
            self.store_at.get_or_insert(Instant::now() + CHUNK_DELAY);
        }
    }

    /// Stores what waits. What could not be stored waits on, and nothing more is read meanwhile.
    async fn store(&mut self) {
        self.store_at = None;
        let task_id = self.task_id;
        let pieces = [self.stdout.piece(), self.stderr.piece()];
        let progress = self.progress.due();
        let said = progress.clone();
        let stored = self
            .recorder
            .record(Sync::Normal, move |draft| {
                for piece in &pieces {
                    draft.output(task_id, piece.stream, piece.offset, &piece.bytes)?;
                }
                match progress {
                    Some(said) => draft.progress(task_id, Some(said.percent), said.message),
                    None => Ok(()),
                }
            })
            .await;
        self.store_is_stuck = stored.is_err();
        match stored {
            Ok(()) => {
                self.stdout.forget_waiting();
                self.stderr.forget_waiting();
                if let Some(said) = said {
                    self.progress.stored(said);
                }
                self.store_at = self.progress.due_at();
            }
            Err(error) => {
                tracing::warn!(%task_id, %error, "cannot store output");
                self.store_at = Some(Instant::now() + STORE_AGAIN_AFTER);
            }
        }
    }

    async fn say(&self, percent: Option<u8>, message: Option<String>) {
        let task_id = self.task_id;
        let said = self.recorder.record(Sync::Normal, move |draft| {
            draft.progress(task_id, percent, message)
        });
        if let Err(error) = said.await {
            tracing::warn!(%task_id, %error, "cannot store progress");
        }
    }

    fn ended(self, stopped: Option<Stop>, exit: Exit, duration: Duration) -> Ran {
        let mut outcome = match stopped {
            Some(reason) => reason.outcome(),
            None if exit.helper_lost => Outcome::failed(
                ErrorCode::Interrupted,
                "the sandbox's helper ended before the program did",
            ),
            None if exit.limits_hit.contains(&Limit::OutputLimit) => {
                Outcome::failed(ErrorCode::OutputLimit, "the task printed more than it may")
            }
            None => Outcome::completed(exit.returncode),
        };
        outcome.duration_ms = duration.as_millis() as u64;
        outcome.n_stdout_bytes = self.stdout.ends.n_bytes();
        outcome.n_stderr_bytes = self.stderr.ends.n_bytes();
        outcome.sandbox_layers = self.child.applied().to_vec();
        outcome.limits_hit = exit.limits_hit.iter().map(ToString::to_string).collect();
        outcome.created_executable_config = exit
            .created_executable_config
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        Ran {
            outcome,
            output: excerpt::excerpt(self.stdout.ends(), self.stderr.ends()),
            unstored: [self.stdout, self.stderr]
                .into_iter()
                .map(Printed::into_piece)
                .filter(|piece| !piece.bytes.is_empty())
                .collect(),
        }
    }
}

impl Printed {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            ends: Capture::new(ANSWER_HEAD_BYTES, ANSWER_TAIL_BYTES),
            waiting: Vec::new(),
            offset: 0,
            lines: Lines::default(),
        }
    }

    fn piece(&self) -> Piece {
        Piece {
            stream: self.stream,
            offset: self.offset,
            bytes: self.waiting.clone(),
        }
    }

    fn into_piece(self) -> Piece {
        Piece {
            stream: self.stream,
            offset: self.offset,
            bytes: self.waiting,
        }
    }

    fn forget_waiting(&mut self) {
        self.offset += self.waiting.len() as u64;
        self.waiting.clear();
    }

    fn ends(&self) -> Ends {
        Ends {
            head: self.ends.head().to_vec(),
            tail: self.ends.tail(),
            total: self.ends.n_bytes(),
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// A private temporary directory of one task.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    async fn make(base: &Path, task_id: TaskId) -> io::Result<Self> {
        Self::make_at(base.join(task_id.to_string())).await
    }

    /// Makes the one in which the executors are tried out.
    pub(crate) async fn make_probe(base: &Path) -> io::Result<Self> {
        Self::make_at(base.join("probe")).await
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    async fn make_at(path: PathBuf) -> io::Result<Self> {
        let made = path.clone();
        blocking(move || {
            use std::os::unix::fs::DirBuilderExt;
            // What an agent that was killed left behind.
            if made.exists() {
                std::fs::remove_dir_all(&made)?;
            }
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&made)
        })
        .await?;
        Ok(Self { path })
    }

    pub(crate) async fn remove(self) {
        let path = self.path.display().to_string();
        if let Err(error) = blocking(move || std::fs::remove_dir_all(&self.path)).await {
            tracing::warn!(path, %error, "cannot remove a temporary directory");
        }
    }
}

async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
