//! Checks the door for MCP clients with what others wrote: the official Python client in both eras,
//! Inspector, and the part of the conformance tool that is about any server. They come from PyPI and npm
//! into folders below the target folder; the tests in `tests/it/mcp.rs` need none of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, command, read, root, run, target_dir};

const PYTHON_CLIENT: &str = "mcp==2.3.0";
const INSPECTOR: &str = "@modelcontextprotocol/inspector@2.12.0";
/// `latest` knows nothing of revision 2026-07-28.
const CONFORMANCE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
/// Both npm packages need Node 22 or newer, which is not what every system has.
const NODE: &str = "24.21.0";

/// The scenarios about any server. The others ask for tools, prompts and resources of their own.
const SCENARIOS: &[&str] = &[
    "server-initialize",
    "server-session-lifecycle",
    "ping",
    "tools-list",
    "completion-complete",
    "server-sse-multiple-streams",
    "server-sse-polling",
    "dns-rebinding-protection",
    "http-header-validation",
    "sep-2164-resource-not-found",
];

/// Starts a relay with a device, and everything that checks it.
///
/// Fails when Python 3 or npm is missing, a package cannot be had, or a check does not pass.
pub(crate) fn conformance() -> Result<()> {
    let python = python_client()?;
    let node = Node::installed()?;
    run(&mut cargo(["build", "--quiet", "--bins"]))?;
    let mut server = cargo([
        "run",
        "--quiet",
        "-p",
        "deskhand-tests",
        "--bin",
        "soak",
        "--",
        "serve",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .context("start a relay")?;
    let said: serde_json::Value =
        serde_json::from_str(&first_line(&mut server)?).context("read the relay's address")?;
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let (url, key) = (text("url"), text("key"));

    run(command(python)
        .arg("tests/mcp/client.py")
        .args([&url, &key, &text("repository")]))?;
    println!("the Python client: passed");
    node.inspector(&url, &key)?;
    println!("Inspector --strict: passed");
    node.scenarios(&url, &key)?;

    // Both end when nobody speaks to them any longer.
    drop(server.stdin.take());
    server.wait().context("wait for the relay")?;
    Ok(())
}

fn python_client() -> Result<PathBuf> {
    let venv = target_dir().join(PYTHON_CLIENT.replace("==", "-"));
    let done = venv.join("done");
    if !done.exists() {
        run(command("python3").args(["-m", "venv"]).arg(&venv))?;
        run(command(venv.join("bin/pip")).args(["install", "--quiet", PYTHON_CLIENT]))?;
        fs::write(&done, "").context("note that the client is there")?;
    }
    Ok(venv.join("bin/python"))
}

/// A Node that is new enough, and what runs on it.
struct Node {
    program: PathBuf,
    packages: PathBuf,
}

impl Node {
    fn installed() -> Result<Self> {
        let folder = target_dir().join("mcp-conformance");
        let system = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let machine = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "x64",
        };
        let node = format!("node-{system}-{machine}");
        let program = folder.join("node_modules").join(&node).join("bin/node");
        let packages = folder.join("node_modules");
        if !packages.join(".package-lock.json").exists() {
            fs::create_dir_all(&folder).context("make a folder for the packages")?;
            let at = format!("{node}@{NODE}");
            let mut npm = command("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
            run(npm.arg(&folder).args([&at, INSPECTOR, CONFORMANCE]))?;
        }
        Ok(Self { program, packages })
    }

    fn start(&self, script: impl AsRef<Path>) -> std::process::Command {
        let mut node = command(&self.program);
        node.arg(script.as_ref());
        node
    }

    /// Lists the tools, with every warning a failure, and calls one.
    fn inspector(&self, url: &str, key: &str) -> Result<()> {
        let inspector = self.packages.join(".bin/inspector");
        let header = format!("Authorization: Bearer {key}");
        for what in [
            ["--method", "tools/list", "--strict"].as_slice(),
            &["--method", "tools/call", "--tool-name", "list_devices"],
        ] {
            let mut inspector = self.start(&inspector);
            inspector.args(["--cli", &format!("{url}/key/mcp"), "--transport", "http"]);
            read(inspector.args(["--header", &header]).args(what))?;
        }
        Ok(())
    }

    fn scenarios(&self, url: &str, key: &str) -> Result<()> {
        let mut door = self
            .start(root().join("tests/mcp/with_key.mjs"))
            .args([url, key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the door that adds a key")?;
        let port = first_line(&mut door)?;
        let url = format!("http://127.0.0.1:{}/key/mcp", port.trim());
        let results = target_dir().join("mcp-conformance/results");
        let mut failed = Vec::new();
        for scenario in SCENARIOS {
            let mut check = self.start(self.packages.join(".bin/conformance"));
            check.args(["server", "--url", &url, "--scenario", scenario, "-o"]);
            match read(check.arg(&results)) {
                Ok(_) => println!("conformance {scenario}: passed"),
                Err(error) => {
                    println!("conformance {scenario}: FAILED\n{error:#}");
                    failed.push(*scenario);
                }
            }
        }
        drop(door.stdin.take());
        door.wait().context("wait for the door that adds a key")?;
        match failed.is_empty() {
            true => Ok(()),
            false => bail!("conformance: {} failed", failed.join(", ")),
        }
    }
}

fn first_line(child: &mut Child) -> Result<String> {
    let stdout = child.stdout.take().context("read what it says")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("read its first line")?;
    Ok(line)
}
