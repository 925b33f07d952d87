//! Starts the programs a chore is made of, in the root of the repository, and waits for them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Returns the root of the repository this `xtask` was built from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the repository")
}

/// Returns the folder cargo builds into, which `CARGO_TARGET_DIR` can move.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Returns a command that runs in the root of the repository, without standard input.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Returns the cargo that started us, with arguments.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// Runs a command with our own stdout and stderr.
///
/// Fails when it cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns its stdout, without the last line break.
///
/// Fails as [`run`] does; the error holds what the command said on stderr.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start {}", shown(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ended with {}\n{}",
            shown(command),
            output.status,
            stderr.trim_end()
        );
    }
    let stdout = String::from_utf8(output.stdout).context("read its output as UTF-8")?;
    Ok(stdout.trim_end().to_owned())
}

/// A relay with a device and a repository, on this machine's loopback, until it is stopped.
pub(crate) struct Served {
    program: Child,
    said: serde_json::Value,
}

impl Served {
    /// Builds the programs and starts the relay the tests use.
    ///
    /// Fails when they do not build, or it does not say where it is.
    pub(crate) fn start() -> Result<Self> {
        run(&mut cargo(["build", "--quiet", "--bins"]))?;
        let soak = ["run", "--quiet", "-p", "deskhand-tests", "--bin", "soak"];
        let mut serve = cargo(soak);
        serve.args(["--", "serve"]);
        let (program, said) = speaking(&mut serve)?;
        let said = serde_json::from_str(&said).context("read the relay's address")?;
        Ok(Self { program, said })
    }

    /// Returns what it says of itself: `url`, `key`, `device`, `repository`.
    pub(crate) fn said(&self, name: &str) -> &str {
        self.said[name].as_str().unwrap_or_default()
    }

    /// Ends it and waits for that.
    pub(crate) fn stop(self) -> Result<()> {
        stop(self.program)
    }
}

/// Starts a program that runs until its standard input ends, and returns the first line it says.
pub(crate) fn speaking(command: &mut Command) -> Result<(Child, String)> {
    let mut program = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", shown(command)))?;
    let stdout = program.stdout.take().context("read what it says")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("read its first line")?;
    Ok((program, line))
}

/// Ends a program of [`speaking`] by speaking to it no longer.
pub(crate) fn stop(mut program: Child) -> Result<()> {
    drop(program.stdin.take());
    program.wait().context("wait for it to end")?;
    Ok(())
}

/// Returns the files git knows and those it would add, as paths from the root with `/`.
pub(crate) fn files() -> Result<Vec<String>> {
    let args = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ];
    let listed = read(command("git").args(args))?;
    let there = |file: &&str| !file.is_empty() && root().join(file).is_file();
    Ok(listed
        .split('\0')
        .filter(there)
        .map(str::to_owned)
        .collect())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("`{}`", words.join(" "))
}
