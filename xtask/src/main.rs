//! Chores of the project, as `cargo xtask …`.
//!
//! Owns what has to hold of the repository as a whole: the one command that checks everything, the
//! rules that no compiler knows, the generated TypeScript types. It waits on the programs it
//! starts and on nothing else, and it never changes a file but under `target/`, `ui/node_modules`,
//! `ui/dist` and, for `codegen`, `ui/src/lib/protocol`.

#![expect(clippy::print_stdout, reason = "the output of a chore is what it says")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod check;
mod codegen;
mod mirror;
mod run;
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
    /// Builds the viewer, `ui/dist`, which the programs embed.
    Viewer,
    /// Tests the viewer in Chromium against a real relay and agent; files of `tests/e2e`, or all.
    E2e {
        /// Files, from `tests/e2e`; `figures.mjs` measures instead of testing.
        files: Vec<String>,
    },
    /// Measures a real relay and a real agent on loopback; what follows is passed on.
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
