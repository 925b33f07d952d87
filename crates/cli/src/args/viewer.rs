//! `deskhand viewer`.

use clap::Args;

/// Print a link that opens the viewer in a browser, signed in; good once, for ten minutes
#[derive(Debug, Args)]
pub(crate) struct ViewerArgs {
    /// Key to sign in with, by id or name
    #[arg(long, default_value = "owner", value_name = "KEY")]
    pub(crate) key: String,
}
