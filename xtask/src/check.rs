//! `cargo xtask check`: every check in one command, the same here and in CI.
//!
//! The steps run one after the other, cheap ones first, and all of them run whatever the earlier
//! ones said: a run tells everything that is wrong. What a machine cannot check is named and is not
//! a success in silence. Advisories are not part of it: their answer changes without us.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::run::{cargo, command, run};
use crate::{tidy, tools, ui};

/// One thing to check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Step {
    /// Rust is formatted.
    Fmt,
    /// The rules no compiler knows, see `cargo xtask tidy`.
    Tidy,
    /// Spelling.
    Typos,
    /// Licences, banned crates and sources of the dependencies.
    Deny,
    /// Clippy, every warning an error.
    Clippy,
    /// Unit and integration tests.
    Test,
    /// Examples in the documentation.
    Doctest,
    /// The documentation builds without a warning.
    Doc,
    /// Clippy and tests of the desktop application, where the web view is installed.
    Desktop,
    /// Types, tests and build of the viewer.
    Ui,
}

/// How a step ended.
enum Ended {
    Passed,
    LeftOut(&'static str),
}

/// Runs the named steps, or all of them, and prints how each ended.
pub(crate) fn check(named: &[Step]) -> Result<ExitCode> {
    let mut lines = Vec::new();
    let mut failed = false;
    for &step in Step::value_variants() {
        if !named.is_empty() && !named.contains(&step) {
            continue;
        }
        println!("\n== {}", name(step));
        let started = Instant::now();
        let ended = match perform(step) {
            Ok(Ended::Passed) => "ok".to_owned(),
            Ok(Ended::LeftOut(reason)) => format!("left out: {reason}"),
            Err(error) => {
                println!("{error:#}");
                failed = true;
                "FAILED".to_owned()
            }
        };
        lines.push(summary_line(step, started.elapsed(), &ended));
    }
    println!("\n== summary\n{}", lines.join("\n"));
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn perform(step: Step) -> Result<Ended> {
    match step {
        Step::Fmt => run(&mut cargo(["fmt", "--all", "--check"]))?,
        Step::Tidy => tidy::pass()?,
        Step::Typos => run(&mut tools::typos()?)?,
        Step::Deny => {
            run(tools::cargo_deny()?.args(["check", "bans", "licenses", "sources"]))?;
        }
        Step::Clippy => run(&mut clippy(&[]))?,
        Step::Test => {
            // The integration tests start the programs, which cargo does not build for them.
            run(&mut cargo(["build", "--quiet", "--bins"]))?;
            run(tools::nextest()?.args(["run", "--no-tests=fail"]))?;
        }
        Step::Doctest => run(&mut cargo(["test", "--quiet", "--doc"]))?,
        Step::Doc => {
            let mut doc = cargo(["doc", "--quiet", "--no-deps", "--document-private-items"]);
            run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
        }
        Step::Desktop => {
            if !has_web_view() {
                return Ok(Ended::LeftOut(
                    "pkg-config finds no webkit2gtk-4.1 (Debian: libwebkit2gtk-4.1-dev)",
                ));
            }
            run(&mut clippy(&["-p", "deskhand-app"]))?;
            let tests = ["run", "-p", "deskhand-app", "--no-tests=pass"];
            run(tools::nextest()?.args(tests))?;
        }
        Step::Ui => ui::check()?,
    }
    Ok(Ended::Passed)
}

/// Returns a clippy over the default members, or over what `packages` names instead.
fn clippy(packages: &[&str]) -> Command {
    let mut clippy = cargo(["clippy", "--quiet", "--all-targets"]);
    clippy.args(packages).args(["--", "-D", "warnings"]);
    clippy
}

/// Tells whether the desktop application can be built here; only Linux has to be asked.
fn has_web_view() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let asked = command("pkg-config")
        .args(["--exists", "webkit2gtk-4.1"])
        .status();
    asked.is_ok_and(|status| status.success())
}

fn summary_line(step: Step, took: Duration, ended: &str) -> String {
    format!("{:<8} {:>6.1} s  {ended}", name(step), took.as_secs_f32())
}

fn name(step: Step) -> String {
    let value = step.to_possible_value().expect("no step is hidden");
    value.get_name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Duration, Step, summary_line};

    #[test]
    fn a_summary_line_names_step_time_and_end() {
        let line = summary_line(Step::Deny, Duration::from_millis(1250), "FAILED");
        assert_eq!(line, "deny        1.2 s  FAILED");
    }
}
