//! `deskhand viewer`.

use clap::Args;

/// Print a link that opens the viewer in a browser, signed in; good once
#[derive(Debug, Args)]
pub(crate) struct ViewerArgs {
    /// Key to sign in with, by id or name; the link is good for ten minutes
    #[arg(long, default_value = "owner", value_name = "KEY")]
    pub(crate) key: String,
}
