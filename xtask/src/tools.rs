//! The programs beside cargo that a check needs: taken from the machine where they are there, else
//! installed under `target/tools` by the ordinary clients of public registries.
//!
//! What is installed is pinned here. cargo-deny and nextest are built without optimisation, which
//! takes a minute instead of several and makes no difference to their users; typos comes from PyPI,
//! where it is a prebuilt program.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::run::{cargo, command, read, run, target_dir};

const CARGO_DENY: &str = "0.20.2";
const CARGO_NEXTEST: &str = "0.9.143";
const TYPOS: &str = "1.52.0";
const NODE: &str = "24.21.0";
const NPM: &str = "11.19.1";

/// What npm is called where programs have endings.
pub(crate) const NPM_PROGRAM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Older ones mistake Vite's optional packages for conflicts.
const OLDEST_NPM: (u32, u32) = (11, 0);

/// Returns `cargo-deny`, ready for its own arguments.
pub(crate) fn cargo_deny() -> Result<Command> {
    cargo_tool("cargo-deny", CARGO_DENY)
}

/// Returns `cargo nextest`, ready for its own arguments.
pub(crate) fn nextest() -> Result<Command> {
    let mut nextest = cargo_tool("cargo-nextest", CARGO_NEXTEST)?;
    nextest.arg("nextest");
    Ok(nextest)
}

/// Returns `typos`, installed from PyPI into a virtual environment of its own if need be.
pub(crate) fn typos() -> Result<Command> {
    if answers("typos") {
        return Ok(command("typos"));
    }
    let venv = tools_dir().join("python");
    let bin = venv.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let typos = bin.join("typos");
    let installed = venv.join(format!("typos-{TYPOS}"));
    if !installed.exists() {
        run(command("python3").args(["-m", "venv"]).arg(&venv))
            .context("make a virtual environment (Debian: apt install python3-venv)")?;
        let wanted = format!("typos=={TYPOS}");
        run(command(bin.join("python")).args(["-m", "pip", "install", "--quiet", &wanted]))?;
        std::fs::write(&installed, "").context("note what was installed")?;
    }
    Ok(command(typos))
}

/// Returns the folder whose `node` and `npm` are new enough, or `None` when the machine's are.
///
/// They come from the packages `node` and `npm` of the npm registry, fetched by the machine's npm
/// however old it is: Debian 12's Node is too old for Vite.
pub(crate) fn node_dir() -> Result<Option<PathBuf>> {
    if version_of("node").is_some_and(runs_vite)
        && version_of(NPM_PROGRAM).is_some_and(|found| found >= OLDEST_NPM)
    {
        return Ok(None);
    }
    let home = tools_dir().join("node");
    let installed = home.join(format!("node-{NODE}-npm-{NPM}"));
    if !installed.exists() {
        std::fs::create_dir_all(&home).with_context(|| format!("make {}", home.display()))?;
        let (node, npm) = (format!("node@{NODE}"), format!("npm@{NPM}"));
        run(command(NPM_PROGRAM)
            .arg("install")
            .arg("--prefix")
            .arg(&home)
            .args([
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--no-update-notifier",
                &node,
                &npm,
            ]))
        .context("install Node (Debian: apt install npm)")?;
        std::fs::write(&installed, "").context("note what was installed")?;
    }
    Ok(Some(home.join("node_modules").join(".bin")))
}

/// Returns a subcommand of cargo, built from source when the machine has none.
fn cargo_tool(name: &str, version: &str) -> Result<Command> {
    if answers(name) {
        return Ok(command(name));
    }
    let program = tools_dir().join("bin").join(name);
    if !program
        .with_extension(std::env::consts::EXE_EXTENSION)
        .exists()
    {
        let wanted = format!("{name}@{version}");
        run(cargo(["install", "--locked", "--debug", &wanted])
            .arg("--root")
            .arg(tools_dir()))?;
    }
    Ok(command(program))
}

fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

fn answers(program: &str) -> bool {
    let quiet = command(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// Returns the first two numbers of what `program --version` says, if it is there.
fn version_of(program: &str) -> Option<(u32, u32)> {
    parse_version(&read(command(program).arg("--version")).ok()?)
}

/// Tells whether Vite 8 runs on this Node: `^20.19 || >=22.12`.
fn runs_vite(node: (u32, u32)) -> bool {
    match node {
        (20, minor) => minor >= 19,
        other => other >= (22, 12),
    }
}

fn parse_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().trim_start_matches('v').split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{parse_version, runs_vite};

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_version("v24.9.0"), Some((24, 9)));
        assert_eq!(parse_version("11.19.1\n"), Some((11, 19)));
        assert_eq!(parse_version("no such command"), None);
        assert!(parse_version("v9.20.0") < parse_version("v22.1.0"));
    }

    #[test]
    fn debian_12_has_a_node_too_old_for_vite() {
        assert_eq!(
            [(18, 20), (20, 18), (20, 19), (21, 9), (22, 12), (24, 1)].map(runs_vite),
            [false, false, true, false, true, true]
        );
    }
}
