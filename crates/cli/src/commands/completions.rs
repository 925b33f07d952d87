//! `deskhand completions`.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "deskhand", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(crate::exit::OK)
}
