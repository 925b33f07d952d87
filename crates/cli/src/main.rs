//! The `deskhand` command: headless agent, relay, and a client for people and scripts.
//!
//! `args/` says what can be typed, `commands/` does it, one file each; `exit.rs` says what the exit
//! codes mean, `out.rs` is the only way to a terminal. Standard output is data, standard error talk.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod commands;
mod context;
mod exit;
mod out;

use std::process::ExitCode;

use clap::Parser;

use crate::{context::Context, out::Out};

/// Stack of the thread that does everything, whatever `ulimit -s` leaves for the first one.
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    let thread = std::thread::Builder::new()
        .name("main".to_owned())
        .stack_size(STACK_BYTES);
    match thread
        .spawn(command_line)
        .map(std::thread::JoinHandle::join)
    {
        Ok(Ok(code)) => code,
        // It panicked, and said so.
        Ok(Err(_)) => ExitCode::from(101),
        Err(_) => command_line(),
    }
}

fn command_line() -> ExitCode {
    let cli = args::Cli::parse();
    let out = Out::new(cli.common.json);
    let runs_a_task = commands::runs_a_task(&cli.command);
    let ended = match cli.command {
        // Wherever git works this does: without a home, without an installation.
        args::Command::GitExec(args) => {
            commands::git_exec::run(&deskhand_host::Environment::read(), out, args)
        }
        command => Context::new(cli.common, out).and_then(|context| {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(anyhow::Error::from)?
                .block_on(commands::run(context, command))
        }),
    };
    match ended {
        Ok(code) => code.into(),
        Err(error) => {
            let code = exit::of(&error, runs_a_task);
            if !out::is_broken_pipe(&error) {
                out.error(&error);
            }
            code.into()
        }
    }
}
