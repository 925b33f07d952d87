//! Checks a running relay against its own OpenAPI description with Schemathesis, from PyPI, in an
//! environment of its own below the target folder.

use std::fs;

use anyhow::{Context, Result};

use crate::run::{Served, command, root, run, target_dir};

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
    let relay = Served::start()?;
    let config = root().join("tests/schemathesis.toml");
    fs::metadata(&config).with_context(|| format!("find {}", config.display()))?;
    let checked = run(command(program)
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(format!("{}/openapi.json", relay.said("url")))
        .env("DESKHAND_API_KEY", relay.said("key"))
        .env("DESKHAND_DEVICE", relay.said("device"))
        .args(args));
    relay.stop()?;
    checked
}
