//! A `deskhand` process.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{authority::install_algorithms, eventually};

/// A running `deskhand`, killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

/// Returns the path of a program of this build.
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // Programs lie in target/<profile>, tests in its `deps`.
    let mut places = this.ancestors().skip(1).take(2).map(|dir| dir.join(name));
    places
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not built: cargo build --bins"))
}

/// Returns the home directory of the person a Deskhand home belongs to: beside it.
pub fn user_home(home: &Path) -> PathBuf {
    home.with_file_name("user")
}

/// Returns a command line of `deskhand` for a home, with an environment in which nothing of this
/// machine's owner is found.
pub fn deskhand(home: &Path) -> Command {
    let mut command = Command::new(program("deskhand"));
    command.env_clear();
    for name in ["PATH", "LANG", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("HOME", user_home(home))
        .env("DESKHAND_HOME", home)
        .env("DESKHAND_LOG", "info");
    command.stdin(Stdio::null());
    command
}

/// Runs `deskhand` to its end.
pub fn run<S: AsRef<OsStr>>(home: &Path, args: impl IntoIterator<Item = S>) -> Output {
    deskhand(home).args(args).output().unwrap()
}

/// Runs `deskhand --json` to its end and reads what it printed.
pub fn run_json<S: AsRef<OsStr>>(home: &Path, args: impl IntoIterator<Item = S>) -> Value {
    let output = deskhand(home).arg("--json").args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "deskhand failed: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

impl Program {
    /// Starts `deskhand` and waits until it says that it is ready; returns what the ready file says.
    pub async fn start<S: AsRef<OsStr>>(
        home: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> (Self, Value) {
        // Every test starts a program, and then calls it.
        install_algorithms();
        let ready = home.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let program = Self::start_unready(home, args, &ready);
        let log = program.log.clone();
        let mut program = Some(program);
        let said = eventually("the ready file is there", || {
            let said = std::fs::read(&ready)
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(status) = program.as_mut().unwrap().child.try_wait().unwrap() {
                panic!(
                    "deskhand ended with {status}: {}",
                    std::fs::read_to_string(&log).unwrap()
                );
            }
            async move { said }
        });
        let said = said.await;
        (program.unwrap(), said)
    }

    /// Starts `deskhand` and does not wait.
    pub fn start_unready<S: AsRef<OsStr>>(
        home: &Path,
        args: impl IntoIterator<Item = S>,
        ready: &Path,
    ) -> Self {
        let log = home.join("test.log");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = deskhand(home)
            .args(args)
            .arg("--ready-file")
            .arg(ready)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it logged and printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as a power cut would: SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it politely, SIGTERM, and waits.
    pub async fn terminate(mut self) {
        let status = Command::new("kill")
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(status.success());
        eventually("the program has ended", || {
            let ended = self.child.try_wait().unwrap();
            async move { ended }
        })
        .await;
    }

    /// Returns its resident memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }

    /// Resets the high-water mark of its resident memory and returns what it is now, in bytes.
    pub fn reset_peak(&self) -> u64 {
        // Linux: writing 5 resets VmHWM (proc_pid_clear_refs(5)).
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
        self.peak_bytes()
    }

    /// Returns the high-water mark of its resident memory, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        status_kb(self.pid(), "VmHWM:") * 1024
    }
}

/// Returns the resident memory of a process, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    status_kb(pid, "VmRSS:") * 1024
}

fn status_kb(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            #[expect(
                clippy::print_stderr,
                reason = "a failed test shows what its programs said"
            )]
            {
                eprintln!("--- {} ---\n{}", self.log.display(), tail.join("\n"));
            }
        }
    }
}

/// How long a request may take before the test gives up on it.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(50);
