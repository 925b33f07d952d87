//! What the tests share: a workspace, a profile for it, and a run of one command to its end.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deskhand_sandbox::{
    Capture, Child, Command, Exit, Limits, Network, Profile, SpawnError, Stream, Tier, spawn,
};

/// Every way a program can be held, by name.
pub(crate) const WAYS: [&str; 4] = ["full", "bubblewrap", "reduced", "none"];

/// A place for one test: a workspace to work in, a directory outside of it, a private temporary directory, and a helper.
pub(crate) struct Place {
    root: tempfile::TempDir,
    tier: Tier,
    who: Who,
    helper: PathBuf,
}

/// Who the tasks of a place run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever runs the tests.
    Me,
    /// An ordinary user; only root can have tasks run like that.
    Nobody,
}

const NOBODY: u32 = 65534;

/// Everyone whose tasks can be tried here.
pub(crate) fn everyone() -> Vec<Who> {
    if is_root() {
        vec![Who::Me, Who::Nobody]
    } else {
        vec![Who::Me]
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn taken_away(tier: Tier) -> &'static str {
    match tier {
        Tier::Full => "",
        Tier::Reduced => "userns,bubblewrap",
        Tier::None => "userns,bubblewrap,landlock",
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) tier: Tier,
    pub(crate) applied: Vec<String>,
}

impl Place {
    /// A place where tasks get exactly `tier`: whatever is above is taken away from the helper.
    pub(crate) fn new(tier: Tier) -> Self {
        let layers = taken_away(tier);
        Self::make(layers, Who::Me, tier)
    }

    /// The same for someone's tasks.
    pub(crate) fn of(who: Who, tier: Tier) -> Self {
        Self::make(taken_away(tier), who, tier)
    }

    /// A place where these layers are taken away from the helper, which is asked for tier full all the same.
    pub(crate) fn without(layers: &str) -> Self {
        Self::make(layers, Who::Me, Tier::Full)
    }

    /// A place where tasks are held in one of [`WAYS`].
    pub(crate) fn held(way: &str) -> Self {
        match way {
            "full" => Self::new(Tier::Full),
            "bubblewrap" => Self::bubblewrapped(Who::Me),
            "reduced" => Self::new(Tier::Reduced),
            "none" => Self::new(Tier::None),
            other => panic!("{other} is not a way"),
        }
    }

    /// A place where our own namespaces are refused, and bubblewrap is what makes tier full.
    pub(crate) fn bubblewrapped(who: Who) -> Self {
        Self::make("userns", who, Tier::Full)
    }

    fn make(layers: &str, who: Who, tier: Tier) -> Self {
        // Not in /tmp, which tasks do not see, and where another user can go.
        let parent = if is_root() {
            Path::new("/srv")
        } else {
            Path::new(env!("CARGO_TARGET_TMPDIR"))
        };
        let root = tempfile::Builder::new()
            .prefix("deskhand-")
            .tempdir_in(parent)
            .unwrap();
        for name in ["workspace", "outside", "tmp", "bin"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        // The variable is given to the helper alone: this process has one environment for all tests.
        let (helper, real) = (
            root.path().join("bin/helper"),
            root.path().join("bin/deskhand-sandbox"),
        );
        std::fs::copy(env!("CARGO_BIN_EXE_deskhand-sandbox"), &real).unwrap();
        let become_someone = match who {
            Who::Me => String::new(),
            Who::Nobody => format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups "),
        };
        let script = format!(
            "#!/bin/sh\nDESKHAND_SANDBOX_DISABLE='{layers}' exec {become_someone}'{}' \"$@\"\n",
            real.display()
        );
        std::fs::write(&helper, script).unwrap();
        let modes = [
            ("", 0o755),
            ("bin", 0o755),
            ("bin/helper", 0o755),
            ("workspace", 0o755),
            ("outside", 0o755),
            ("tmp", 0o700),
        ];
        for (name, mode) in modes {
            std::fs::set_permissions(
                root.path().join(name),
                std::os::unix::fs::PermissionsExt::from_mode(mode),
            )
            .unwrap();
        }
        let place = Self {
            root,
            tier,
            who,
            helper,
        };
        ["workspace", "outside", "tmp"]
            .iter()
            .for_each(|name| place.give(name));
        place
    }

    /// Gives a path to whoever the tasks run as.
    pub(crate) fn give(&self, name: &str) {
        if self.who == Who::Nobody {
            std::os::unix::fs::lchown(self.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// Writes a file that belongs to whoever the tasks run as, with the directories it needs.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        let mut made = Vec::new();
        let mut dir = path.parent().unwrap();
        while !dir.exists() {
            made.push(
                dir.strip_prefix(self.path(""))
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
            dir = dir.parent().unwrap();
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        made.iter().for_each(|name| self.give(name));
        self.give(name);
    }

    pub(crate) fn helper(&self) -> &Path {
        &self.helper
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    /// A profile that requires the place's tier, with everything a test does not ask for left at its default.
    pub(crate) fn profile(&self) -> Profile {
        Profile {
            workspace: self.workspace(),
            writable: true,
            git_writes: false,
            network: Network::Off,
            require: self.tier,
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

    /// A process on the host that belongs to whoever the tasks run as.
    pub(crate) fn as_task_user(&self, program: &str) -> std::process::Command {
        match self.who {
            Who::Me => std::process::Command::new(program),
            Who::Nobody => {
                let mut command = std::process::Command::new("setpriv");
                command
                    .arg(format!("--reuid={NOBODY}"))
                    .arg(format!("--regid={NOBODY}"))
                    .args(["--clear-groups", program]);
                command
            }
        }
    }

    pub(crate) async fn spawn(
        &self,
        profile: &Profile,
        command: Command,
    ) -> Result<Child, SpawnError> {
        spawn(&self.helper, profile, command).await
    }

    /// Runs a command to its end, which must come within two minutes.
    pub(crate) async fn run(&self, profile: &Profile, command: Command) -> Result<Ran, SpawnError> {
        tokio::time::timeout(
            Duration::from_secs(120),
            self.run_for_ever(profile, command),
        )
        .await
        .expect("it hangs")
    }

    async fn run_for_ever(&self, profile: &Profile, command: Command) -> Result<Ran, SpawnError> {
        let mut child = self.spawn(profile, command).await?;
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
            tier: child.tier(),
            applied: child.applied().to_vec(),
        })
    }

    /// Runs a shell script in the workspace to its end.
    pub(crate) async fn sh(&self, profile: &Profile, script: &str) -> Ran {
        self.run(profile, self.command(&["sh", "-c", script]))
            .await
            .unwrap()
    }
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
