//! A relay in a process of its own.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    TestCaller,
    program::{self, Program},
};

/// A running `deskhand relay serve`.
#[derive(Debug)]
pub struct TestRelay {
    home: TempDir,
    program: Option<Program>,
    url: String,
    owner_key: String,
}

impl TestRelay {
    /// Starts a relay on a free port.
    pub async fn start() -> Self {
        Self::start_configured("").await
    }

    /// Starts a relay with a configuration file.
    pub async fn start_configured(config: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let (program, ready) =
            Program::start(home.path(), ["relay", "serve", "--listen", "127.0.0.1:0"]).await;
        Self {
            home,
            program: Some(program),
            url: ready["relay_url"].as_str().unwrap().to_owned(),
            owner_key: ready["api_key"].as_str().unwrap().to_owned(),
        }
    }

    /// Returns its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns a caller with the owner's key.
    pub fn owner(&self) -> TestCaller {
        TestCaller::new(&self.url, &self.owner_key)
    }

    /// Makes a key and returns a caller that has it.
    pub fn caller(&self, name: &str, args: &[&str]) -> TestCaller {
        let made = self.cli_json(&[&["keys", "create", name], args].concat());
        TestCaller::new(&self.url, made["secret"].as_str().unwrap())
    }

    /// Runs the command line on the relay's machine.
    pub fn cli_json(&self, args: &[&str]) -> Value {
        program::run_json(self.home.path(), args)
    }

    /// Returns the process.
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the relay runs")
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.program.take().expect("the relay runs").kill();
    }

    /// Ends it politely.
    pub async fn terminate(&mut self) {
        self.program
            .take()
            .expect("the relay runs")
            .terminate()
            .await;
    }

    /// Starts it again at the same address.
    pub async fn start_again(&mut self) {
        let address = self.url.strip_prefix("http://").unwrap();
        let args = ["relay", "serve", "--listen", address];
        self.program = Some(Program::start(self.home.path(), args).await.0);
    }
}
