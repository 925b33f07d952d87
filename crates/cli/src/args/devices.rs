//! `deskhand devices`, `deskhand enrol`.

use clap::{Args, Subcommand};

use super::RelayArgs;

/// Computers of a relay
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
    #[command(subcommand)]
    pub(crate) command: DevicesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// List them, and whether they can take tasks
    List,
    /// Make a code that enrols one computer, good for ten minutes
    Pair,
    /// Give a computer another name
    Rename {
        /// Which one, by id or name
        device: String,
        /// The new name
        name: String,
    },
    /// Have this computer take no more tasks; what runs goes on
    Pause,
    /// Have this computer take tasks again
    Resume,
    /// Make the relay forget a computer
    Remove {
        /// Which one, by id or name
        device: String,
    },
}

/// Make this computer known to a relay elsewhere
///
/// Afterwards `deskhand up --relay URL` or `deskhand agent run` joins it.
#[derive(Debug, Args)]
pub(crate) struct EnrolArgs {
    /// The relay
    #[arg(long, value_name = "URL")]
    pub(crate) relay: String,
    /// The code that `deskhand devices pair` printed
    #[arg(long, value_name = "CODE")]
    pub(crate) code: String,
    /// What to call this computer [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}
