//! Checks the door for MCP clients with what others wrote: the official clients for Python and
//! TypeScript in both eras, Inspector, and the part of the conformance tool that is about any server.
//! They come from PyPI and npm into folders below the target folder; the tests in `tests/it/mcp.rs` need
//! none of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{Served, command, read, root, run, speaking, stop, target_dir};

const PYTHON_CLIENT: &str = "mcp==2.3.0";
const TYPESCRIPT_CLIENT: &str = "@modelcontextprotocol/client@2.4.0";
const INSPECTOR: &str = "@modelcontextprotocol/inspector@2.12.0";
/// `latest` knows nothing of revision 2026-07-28.
const CONFORMANCE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
/// The npm packages need Node 22 or newer, which is not what every system has.
const NODE: &str = "24.21.0";

/// The scenarios about any server. The others ask for tools, prompts and resources of their own; those
/// that list prompts and resources fail where a server that has none says so (`-32601`), which is what
/// the revisions ask of it.
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
    "input-required-result-missing-input-response",
    "input-required-result-unsupported-methods",
    "input-required-result-ignore-extra-params",
    "input-required-result-validate-input",
];

/// Starts a relay with a device, and everything that checks it.
///
/// Fails when Python 3 or npm is missing, a package cannot be had, or a check does not pass.
pub(crate) fn conformance() -> Result<()> {
    let python = python_client()?;
    let node = Node::installed()?;
    let relay = Served::start()?;
    let (url, key) = (relay.said("url"), relay.said("key"));

    run(command(&python)
        .arg("tests/mcp/client.py")
        .args([url, key, relay.said("repository")]))?;
    println!("the Python client: passed");
    run(node
        .start("tests/mcp/client.mjs")
        .arg(&node.packages)
        .args([url, key, relay.said("repository")]))?;
    println!("the TypeScript client: passed");
    let signs_in = |what: &str| {
        let mut script = command(&python);
        script.args([
            "tests/mcp/oauth.py",
            what,
            url,
            relay.said("program"),
            relay.said("home"),
        ]);
        script
    };
    run(signs_in("client").arg(relay.said("repository")))?;
    println!("the Python client, signed in: passed");
    run(node.named(&mut signs_in("server"), "conformance"))?;
    println!("conformance, authorization server: passed");
    node.inspector(url, key)?;
    println!("Inspector --strict: passed");
    node.scenarios(url, key)?;
    relay.stop()
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
        // Named by what is in it: another version is another folder's worth.
        let installed = folder.join(TYPESCRIPT_CLIENT.replace('/', "-"));
        if !installed.exists() {
            fs::create_dir_all(&folder).context("make a folder for the packages")?;
            let at = format!("{node}@{NODE}");
            let mut npm = command("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
            let wanted = [&at, TYPESCRIPT_CLIENT, INSPECTOR, CONFORMANCE];
            run(npm.arg(&folder).args(wanted))?;
            fs::write(&installed, "").context("note that the packages are there")?;
        }
        Ok(Self { program, packages })
    }

    fn start(&self, script: impl AsRef<Path>) -> std::process::Command {
        let mut node = command(&self.program);
        node.arg(script.as_ref());
        node
    }

    /// Adds the words that start one of the packages.
    fn named<'a>(
        &self,
        script: &'a mut std::process::Command,
        package: &str,
    ) -> &'a mut std::process::Command {
        let bin = self.packages.join(".bin").join(package);
        script.arg(&self.program).arg(bin)
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
        let mut door = self.start(root().join("tests/mcp/with_key.mjs"));
        let (door, port) = speaking(door.args([url, key]))?;
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
        stop(door)?;
        match failed.is_empty() {
            true => Ok(()),
            false => bail!("conformance: {} failed", failed.join(", ")),
        }
    }
}
