//! What the sandbox costs, and whether it holds for root and for an ordinary user.
//!
//! Waits on cargo and on the test programs it built. Both chores need Linux.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cargo_metadata::Message;

use crate::run;

/// Whoever the tests run as for the second time; the number Linux gives to "nobody".
const ORDINARY: &str = "65534";

/// Measures the start of `true` at each tier, beside a plain spawn and bubblewrap, in turns.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    // Its helper obeys tests, so it must not lie where the one that is shipped is built.
    let target = run::target_dir().join("sandbox-bench");
    let build = [
        "build",
        "--release",
        "-p",
        "deskhand-sandbox",
        "--features",
        "testing",
        "--bins",
        "--examples",
    ];
    run::run(run::cargo(build).env("CARGO_TARGET_DIR", &target))?;
    run::run(run::command(target.join("release/examples/bench")).args(args))
}

/// Runs the sandbox's tests as whoever we are and, when that is root, as an ordinary user too.
pub(crate) fn matrix() -> Result<ExitCode> {
    let build = [
        "test",
        "-p",
        "deskhand-sandbox",
        "--tests",
        "--no-run",
        "--message-format=json",
    ];
    let built = run::read(&mut run::cargo(build))?;
    let mut tests: Vec<PathBuf> = Vec::new();
    for message in Message::parse_stream(built.as_bytes()) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.profile.test
        {
            tests.extend(artifact.executable.map(Into::into));
        }
    }
    for test in &tests {
        run::run(&mut run::command(test))?;
    }
    let is_root = run::read(run::command("id").arg("-u"))? == "0";
    if is_root {
        let places = run::target_dir().join("tmp");
        fs::create_dir_all(&places)?;
        fs::set_permissions(&places, Permissions::from_mode(0o1777))
            .with_context(|| format!("open {} to everyone", places.display()))?;
        for test in &tests {
            let mut as_ordinary = run::command("setpriv");
            as_ordinary
                .arg(format!("--reuid={ORDINARY}"))
                .arg(format!("--regid={ORDINARY}"))
                .arg("--clear-groups")
                .arg(test)
                .env("HOME", &places);
            run::run(&mut as_ordinary)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
