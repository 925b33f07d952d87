//! A computer with an agent in a process of its own.

use std::{path::PathBuf, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Effects, TestRelay,
    program::{self, Program},
};

/// An enrolled computer; its agent may run or not.
#[derive(Debug)]
pub struct TestDevice {
    /// Holds the home and, beside it, the workspace: nothing beneath a home is open to tasks.
    root: TempDir,
    relay_url: String,
    program: Option<Program>,
}

impl TestDevice {
    /// Makes a computer known to a relay. Its agent does not run yet; a workspace is there.
    pub async fn enrol(relay: &TestRelay, name: &str) -> Self {
        Self::enrol_configured(relay, name, "").await
    }

    /// Makes a computer known to a relay, with a configuration file.
    pub async fn enrol_configured(relay: &TestRelay, name: &str, config: &str) -> Self {
        let device = Self::unenrolled(relay.url());
        std::fs::write(device.home().join("config.toml"), config).unwrap();
        let code = relay.cli_json(&["devices", "pair"])["code"]
            .as_str()
            .unwrap()
            .to_owned();
        let enrolled = program::run(
            &device.home(),
            [
                "enrol",
                "--relay",
                relay.url(),
                "--code",
                &code,
                "--name",
                name,
            ],
        );
        assert!(
            enrolled.status.success(),
            "{}",
            String::from_utf8_lossy(&enrolled.stderr)
        );
        device
    }

    fn unenrolled(relay_url: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let device = Self {
            root,
            relay_url: relay_url.to_owned(),
            program: None,
        };
        std::fs::create_dir(device.home()).unwrap();
        std::fs::create_dir(device.workspace()).unwrap();
        device
    }

    /// Starts the agent and waits until it can execute.
    pub async fn started(mut self) -> Self {
        self.start().await;
        self
    }

    /// Starts the agent and waits until it can execute.
    pub async fn start(&mut self) {
        let workspace = self.workspace();
        let args = [
            "agent",
            "run",
            "--relay",
            &self.relay_url,
            "--workspace",
            workspace.to_str().unwrap(),
        ];
        self.program = Some(Program::start(&self.home(), args).await.0);
    }

    /// Makes another computer that has the same token: a home that was copied before its agent ran.
    pub fn copied(&self) -> Self {
        let copy = Self::unenrolled(&self.relay_url);
        for entry in std::fs::read_dir(self.home()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            // The token and where it belongs; never the store, which is what tells them apart.
            if entry.path().is_file() && !name.starts_with("agent.db") && !name.starts_with("ready")
            {
                std::fs::copy(entry.path(), copy.home().join(name)).unwrap();
            }
        }
        copy
    }

    /// Ends the agent as a power cut would.
    pub fn kill(&mut self) {
        self.program.take().expect("the agent runs").kill();
    }

    /// Ends the agent politely.
    pub async fn terminate(&mut self) {
        self.program
            .take()
            .expect("the agent runs")
            .terminate()
            .await;
    }

    /// Returns the process.
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the agent runs")
    }

    /// Returns the directory that is open to tasks.
    pub fn workspace(&self) -> PathBuf {
        // Canonical, as answers show it.
        self.root.path().canonicalize().unwrap().join("workspace")
    }

    /// Returns its home.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Runs the command line on this computer.
    pub fn cli(&self, args: &[&str]) -> Output {
        program::run(&self.home(), args)
    }

    /// Runs the command line on this computer and reads its JSON.
    pub fn cli_json(&self, args: &[&str]) -> Value {
        program::run_json(&self.home(), args)
    }

    /// Returns the file to which tasks append what they did.
    pub fn effects(&self) -> Effects {
        Effects::new(self.workspace().join("effects"))
    }
}
