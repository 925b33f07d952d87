//! Builds the desktop application with its pages, tries it on a real desktop, and packages it.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    run::{cargo, run},
    tools, ui,
};

/// Runs the tests of `tests/desktop`.
///
/// Fails when something cannot be built, or a test fails.
pub(crate) fn test(args: &[String]) -> Result<ExitCode> {
    ui::build()?;
    run(&mut cargo([
        "build",
        "--quiet",
        "-p",
        "deskhand-cli",
        "-p",
        "deskhand-sandbox",
        "--bins",
    ]))?;
    // With this feature the pages are those in the binary; without, those of a development server.
    run(&mut cargo([
        "build",
        "--quiet",
        "-p",
        "deskhand-app",
        "--features",
        "tauri/custom-protocol",
    ]))?;
    let tests = [
        "run",
        "-p",
        "deskhand-tests",
        "--features",
        "desktop",
        "--test",
        "desktop",
    ];
    run(tools::nextest()?.args(tests).args(args))?;
    Ok(ExitCode::SUCCESS)
}

/// Measures the desktop application, all built for release.
///
/// Fails when something cannot be built, or a figure cannot be taken.
pub(crate) fn bench(args: &[String]) -> Result<ExitCode> {
    ui::build()?;
    release_programs()?;
    run(&mut cargo([
        "build",
        "--release",
        "-p",
        "deskhand-app",
        "--features",
        "tauri/custom-protocol",
        "--bins",
        "--example",
        "empty-tray",
    ]))?;
    let bench = [
        "run",
        "--release",
        "-p",
        "deskhand-tests",
        "--features",
        "desktop",
        "--bin",
        "desktop-bench",
        "--",
    ];
    run(cargo(bench).args(args))?;
    Ok(ExitCode::SUCCESS)
}

fn release_programs() -> Result<()> {
    run(&mut cargo([
        "build",
        "--release",
        "-p",
        "deskhand-cli",
        "-p",
        "deskhand-sandbox",
        "--bins",
    ]))
}

/// Builds the .deb and the .rpm: the desktop application, the command and the helper, all for release.
///
/// The packages lie in `release/bundle` of the target folder, which must be `target`: tauri.conf.json names it.
pub(crate) fn package() -> Result<ExitCode> {
    ui::build()?;
    release_programs()?;
    // The pages are there already.
    let config = r#"{"build": {"beforeBuildCommand": null}}"#;
    // The package is not among those that are built when none is named.
    ui::tauri(&[
        "build",
        "--ci",
        "--config",
        config,
        "--",
        "--package",
        "deskhand-app",
    ])?;
    Ok(ExitCode::SUCCESS)
}
