//! `deskhand git-exec`.

use std::ffi::OsString;

use clap::Args;

/// Run one git command through the native engine, in the current directory
///
/// Prints what git prints and exits with git's code; 120 means that the engine does not perform the
/// command, and nothing was done.
#[derive(Debug, Args)]
pub(crate) struct GitExecArgs {
    /// Never hand the command over to an installed git
    #[arg(long)]
    pub(crate) native_only: bool,
    /// The command, with or without `git` in front
    #[arg(
        value_name = "ARGV",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) argv: Vec<OsString>,
}
