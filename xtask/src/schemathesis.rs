//! Checks a running relay against its own OpenAPI description with Schemathesis, from PyPI, in an
//! environment of its own below the target folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::run::{cargo, command, root, run, target_dir};

/// The version the configuration beside the tests was written for.
const VERSION: &str = "4.32.5";

/// Starts a relay with a device, and Schemathesis on it; `args` go to the latter.
///
/// Fails when Python 3 is missing, the package cannot be had, or the relay does not answer as it says.
pub(crate) fn run_checks(args: &[String]) -> Result<()> {
    let venv = target_dir().join(format!("schemathesis-{VERSION}"));
    let program = venv.join("bin/schemathesis");
    if !program.exists() {
        run(command("python3").args(["-m", "venv"]).arg(&venv))?;
        let package = format!("schemathesis=={VERSION}");
        run(command(venv.join("bin/pip")).args(["install", "--quiet", &package]))?;
    }
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
    let stdout = server.stdout.take().context("read what the relay says")?;
    let mut said = String::new();
    BufReader::new(stdout).read_line(&mut said)?;
    let said: serde_json::Value =
        serde_json::from_str(&said).context("read the relay's address")?;
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let config = root().join("tests/schemathesis.toml");
    fs::metadata(&config).with_context(|| format!("find {}", config.display()))?;
    let checked = run(command(program)
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(format!("{}/openapi.json", text("url")))
        .env("DESKHAND_API_KEY", text("key"))
        .env("DESKHAND_DEVICE", text("device"))
        .args(args));
    // It ends when nobody speaks to it any longer.
    drop(server.stdin.take());
    server.wait().context("wait for the relay")?;
    checked
}
