//! A relay in a process of its own.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    TestAuthority, TestCaller,
    program::{self, Program},
};

/// A running `deskhand relay serve`.
#[derive(Debug)]
pub struct TestRelay {
    /// Holds the home.
    root: TempDir,
    program: Option<Program>,
    url: String,
    owner_key: String,
    /// The certificate of the authority behind it, in PEM, where it speaks TLS.
    authority: Option<String>,
}

/// Makes a directory with a home and its configuration.
fn rooted(config: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("config.toml"), config).unwrap();
    root
}

impl TestRelay {
    /// Starts a relay on a free port.
    pub async fn start() -> Self {
        Self::start_configured("").await
    }

    /// Starts a relay with a configuration file.
    pub async fn start_configured(config: &str) -> Self {
        let root = rooted(config);
        Self::start_in(root, &["--listen", "127.0.0.1:0"], None).await
    }

    /// Starts a relay that listens for other computers too.
    pub async fn start_for_others(config: &str) -> Self {
        let root = rooted(config);
        Self::start_in(root, &["--listen", "0.0.0.0:0"], None).await
    }

    /// Starts a relay over TLS with a certificate of an authority.
    pub async fn start_over_tls(authority: &TestAuthority) -> Self {
        let root = rooted("");
        let (cert, key) = authority.issue(root.path());
        let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
        let args = [
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
            cert,
            "--tls-key",
            key,
        ];
        Self::start_in(root, &args, Some(authority.certificate())).await
    }

    async fn start_in(root: TempDir, args: &[&str], authority: Option<String>) -> Self {
        let home = root.path().join("home");
        let args = [&["relay", "serve"], args].concat();
        let (program, ready) = Program::start(&home, args).await;
        // Behind TLS it has an address for the programs of its computer as well.
        let name = match authority {
            Some(_) => "public_url",
            None => "relay_url",
        };
        Self {
            root,
            program: Some(program),
            url: ready[name].as_str().unwrap().to_owned(),
            owner_key: ready["api_key"].as_str().unwrap().to_owned(),
            authority,
        }
    }

    /// Returns its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns its home.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Returns a caller with the owner's key.
    pub fn owner(&self) -> TestCaller {
        self.caller_with(&self.owner_key)
    }

    fn caller_with(&self, key: &str) -> TestCaller {
        match &self.authority {
            Some(authority) => TestCaller::trusting(&self.url, key, authority),
            None => TestCaller::new(&self.url, key),
        }
    }

    /// Returns where its own files are.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Makes a key and returns a caller that has it.
    pub fn caller(&self, name: &str, args: &[&str]) -> TestCaller {
        let made = self.cli_json(&[&["keys", "create", name], args].concat());
        self.caller_with(made["secret"].as_str().unwrap())
    }

    /// Runs the command line on the relay's machine.
    pub fn cli_json(&self, args: &[&str]) -> Value {
        program::run_json(&self.home(), args)
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
        self.program = Some(Program::start(&self.home(), args).await.0);
    }
}
