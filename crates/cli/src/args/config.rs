//! `deskhand config`, `deskhand completions`.

use clap::{Args, Subcommand};

/// Show settings and where they come from
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each setting, its value, and where the value comes from
    Show {
        /// Print the commented defaults instead
        #[arg(long)]
        defaults: bool,
    },
    /// Print where your own file is; it need not exist
    Path,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}
