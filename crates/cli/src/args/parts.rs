//! `deskhand relay`, `deskhand agent`: each alone.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

/// The relay alone
#[derive(Debug, Subcommand)]
pub(crate) enum RelayCommand {
    Serve(RelayServeArgs),
}

/// Run a relay in the foreground, for other computers to join
///
/// The first start makes the owner's key. `deskhand devices pair` then makes a code for each computer.
#[derive(Debug, Args)]
pub(crate) struct RelayServeArgs {
    /// Where it listens; port 0 picks a free one [default: 127.0.0.1:8765]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The address callers reach it by, where it differs
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Its certificate, with those that lead to its root (PEM); read again when it changes
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Take keys over plain HTTP from other computers too: on a network you trust entirely
    #[arg(long)]
    pub(crate) allow_plain_http: bool,
    /// Write where everything is to this file (mode 0600) once it listens
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Make a new owner's key although this home has had one, when the secrets were lost
    #[arg(long)]
    pub(crate) new_identity: bool,
}

/// The agent alone
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    Run(AgentRunArgs),
}

/// Run the agent in the foreground, with a relay elsewhere
#[derive(Debug, Args)]
pub(crate) struct AgentRunArgs {
    /// The relay, which this computer has been enrolled with [default: the last one]
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,
    /// Open a directory to tasks; may be given more than once
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Vec<PathBuf>,
    /// Write where everything is to this file (mode 0600) once the agent can execute
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}
