//! Chores of the project, as `cargo xtask …`.
//!
//! Owns what has to hold of the repository as a whole: the one command that checks everything, the
//! rules that no compiler knows, the generated TypeScript types. It waits on the programs it
//! starts and on nothing else, and it never changes a file but under `target/`, `ui/node_modules`,
//! `ui/dist` and, for `codegen`, `ui/src/lib/protocol`.

#![expect(clippy::print_stdout, reason = "the output of a chore is what it says")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod check;
mod codegen;
mod desktop;
mod git;
mod git_suite;
mod mcp;
mod mirror;
mod run;
#[cfg(unix)]
mod sandbox;
mod schemathesis;
mod tidy;
mod tools;
mod ui;

/// Chores of the project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks everything, as CI does: without names all steps, otherwise the named ones.
    Check {
        /// Steps to run, in the order of `cargo xtask check --help`.
        #[arg(value_enum)]
        steps: Vec<check::Step>,
    },
    /// Checks the rules no compiler knows: arrows, calls, tiers, links, addresses, generated types.
    Tidy,
    /// Writes the TypeScript types of the wire to `ui/src/lib/protocol`.
    Codegen,
    /// Asks the advisory database about our dependencies; needs a network that reaches it.
    Advisories,
    /// Tries the desktop application on a real desktop: needs what `script/desktop-test` installs.
    DesktopTest {
        /// Arguments of nextest, such as names of tests.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Checks the door for MCP clients with the official clients, Inspector and the conformance tool.
    McpConformance,
    /// Sends what its own description allows, and what it does not, to a running relay.
    Schemathesis {
        /// Arguments of `schemathesis run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Restarts a relay under load, sends it malformed messages, lets it be quiet; what follows is
    /// passed on.
    Soak {
        /// Arguments of the run itself.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs the sandbox's tests for root and for an ordinary user, on every tier and without each layer.
    #[cfg(unix)]
    SandboxMatrix,
    /// Compares the native git with the real one, case by case, and prints how many answers are the same.
    GitConformance {
        /// Every argv in every state instead of a part.
        #[arg(long)]
        all: bool,
        /// Runs git's own command-line tests instead: the folder of a git 2.47 source tree that was built with `make`.
        #[arg(long, value_name = "DIR")]
        suite: Option<PathBuf>,
        /// Beginnings of the names of its scripts, such as `t7508`; without any, those that have to pass.
        #[arg(requires = "suite")]
        scripts: Vec<String>,
    },
    /// Builds the packages for Debian and Fedora, into `target/release/bundle`.
    Package,
    /// Builds the viewer, `ui/dist`, which the programs embed.
    Viewer,
    /// Tests the viewer in Chromium against a real relay and agent; files of `tests/e2e`, or all.
    E2e {
        /// Files, from `tests/e2e`; `figures.mjs` measures instead of testing.
        files: Vec<String>,
    },
    /// Measures a real relay and a real agent on loopback; what follows is passed on. `bench git` measures the
    /// native git against a spawned one, `bench sandbox [ROUNDS]` what confining a task costs, `bench mcp` what MCP
    /// adds, `bench desktop` the memory of the desktop application and how soon it notifies; the last needs what
    /// `script/desktop-test` installs.
    Bench {
        /// Arguments of the benchmark itself.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> Result<ExitCode> {
    match Args::parse().chore {
        Chore::Check { steps } => check::check(&steps),
        Chore::Tidy => tidy::tidy(),
        Chore::Codegen => {
            let changed = codegen::write()?;
            println!("{changed} files changed in {}", codegen::TARGET);
            Ok(ExitCode::SUCCESS)
        }
        Chore::Advisories => {
            run::run(tools::cargo_deny()?.args(["check", "advisories"]))?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::McpConformance => {
            mcp::conformance()?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::Schemathesis { args } => {
            schemathesis::run_checks(&args)?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::Soak { args } => {
            run::run(&mut run::cargo(["build", "--bins"]))?;
            run::run(
                run::cargo(["run", "-p", "deskhand-tests", "--bin", "soak", "--"]).args(args),
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::DesktopTest { args } => desktop::test(&args),
        #[cfg(unix)]
        Chore::SandboxMatrix => sandbox::matrix(),
        #[cfg(unix)]
        Chore::Bench { args } if args.first().is_some_and(|what| what == "sandbox") => {
            sandbox::bench(&args[1..])?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::GitConformance {
            suite: Some(dir),
            scripts,
            ..
        } => git_suite::suite(&dir, &scripts),
        Chore::GitConformance { all, .. } => git::conformance(all),
        Chore::Bench { args } if args.first().is_some_and(|a| a == "git") => git::bench(),
        Chore::Bench { args } if args.first().is_some_and(|a| a == "desktop") => {
            desktop::bench(&args[1..])
        }
        Chore::Package => desktop::package(),
        Chore::Viewer => {
            ui::build()?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::E2e { files } => {
            ui::e2e(&files)?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::Bench { args } => {
            let programs = [
                "build",
                "--release",
                "-p",
                "deskhand-cli",
                "-p",
                "deskhand-sandbox",
                "--bins",
            ];
            run::run(&mut run::cargo(programs))?;
            let bench = [
                "run",
                "--release",
                "-p",
                "deskhand-tests",
                "--bin",
                "bench",
                "--",
            ];
            run::run(run::cargo(bench).args(args))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
