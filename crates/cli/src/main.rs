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

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let out = Out::new(cli.common.json);
    let runs_a_task = commands::runs_a_task(&cli.command);
    let ended = Context::new(cli.common, out).and_then(|context| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?
            .block_on(commands::run(context, cli.command))
    });
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
