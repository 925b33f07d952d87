//! What the tests share: a workspace, a profile for it, and a run of one command to its end.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deskhand_sandbox::{
    Capture, Command, Exit, Limits, Network, Profile, SpawnError, Stream, Tier, spawn,
};

pub(crate) fn helper() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_deskhand-sandbox"))
}

/// A place for one test: a workspace to work in, a directory outside of it, and a private temporary directory.
pub(crate) struct Place {
    root: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) applied: Vec<String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["workspace", "outside", "tmp"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    /// A profile of the weakest tier, with everything a test does not ask for left at its default.
    pub(crate) fn profile(&self, require: Tier) -> Profile {
        Profile {
            workspace: self.workspace(),
            writable: true,
            git_writes: false,
            network: Network::Off,
            require,
            limits: Limits::default(),
            hidden: Vec::new(),
            private_tmp: self.path("tmp"),
        }
    }

    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let env = [
            ("PATH", std::env::var_os("PATH").unwrap()),
            ("TMPDIR", self.path("tmp").into()),
        ];
        Command {
            argv: argv.iter().map(OsString::from).collect(),
            cwd: self.workspace(),
            env: env.map(|(name, value)| (name.into(), value)).into(),
            stdin: Vec::new(),
        }
    }

    /// Runs a shell script in the workspace to its end.
    pub(crate) async fn sh(&self, profile: &Profile, script: &str) -> Ran {
        run(profile, self.command(&["sh", "-c", script]))
            .await
            .unwrap()
    }
}

pub(crate) async fn run(profile: &Profile, command: Command) -> Result<Ran, SpawnError> {
    let mut child = spawn(helper(), profile, command).await?;
    let mut captures = [Capture::new(1 << 20, 0), Capture::new(1 << 20, 0)];
    while let Some(chunk) = child.next_output().await {
        captures[usize::from(chunk.stream == Stream::Stderr)].push(&chunk.bytes);
    }
    let exit = child.wait().await;
    let [stdout, stderr] =
        captures.map(|capture| String::from_utf8_lossy(capture.head()).into_owned());
    Ok(Ran {
        exit,
        stdout,
        stderr,
        applied: child.applied().to_vec(),
    })
}

/// Waits until `condition` holds; fails the test after `within`.
pub(crate) async fn eventually(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "{what} did not happen within {within:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The processes of this machine whose command line holds `marker`, zombies left out.
pub(crate) fn alive(marker: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let line = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (pid != std::process::id() && line.contains(marker)).then(|| format!("{pid}: {line}"))
    };
    pids.filter_map(line).collect()
}

/// A string that no other test and no other run uses.
pub(crate) fn marker() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "9{:07}{:04}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
