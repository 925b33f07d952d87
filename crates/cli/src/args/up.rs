//! `deskhand up`, `deskhand down`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

/// Start the agent, and a relay of its own unless --relay names another
///
/// Runs in the foreground until it gets TERM or INT. The first start makes your key and makes this
/// computer known to the relay. Once the agent can execute, a curl line that works is printed on
/// standard output.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Open a directory to tasks; may be given more than once, the first one ever opened is the
    /// default
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Vec<PathBuf>,
    /// Where the relay listens; port 0 picks a free one [default: 127.0.0.1:8765]
    #[arg(long, value_name = "ADDR", conflicts_with = "relay")]
    pub(crate) listen: Option<SocketAddr>,
    /// Join a relay elsewhere, which this computer has been enrolled with
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,
    /// Write where everything is to this file (mode 0600) once the agent can execute
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Return once the agent can execute, and leave it running
    #[arg(long)]
    pub(crate) detach: bool,
    /// Print the key in the curl line although standard output is no terminal; the first start
    /// always does
    #[arg(long)]
    pub(crate) show_key: bool,
    /// Make a new key and a new device although this home has had them, when the secrets were lost
    #[arg(long)]
    pub(crate) new_identity: bool,
    /// Set by `up --detach` for the process that stays
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
}

/// Stop what `up` started: ask it to end, then wait
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// How long to wait for the end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,
}
