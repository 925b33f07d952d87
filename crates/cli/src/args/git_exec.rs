//! `deskhand git-exec`.

use std::ffi::OsString;

use clap::Args;

/// Run one git command through the native engine, in the current directory
///
/// Prints what git prints and exits with git's code. A command that the engine does not perform becomes the installed
/// git; with `--native-only` it exits with 120, and nothing was read, printed or done. A repository's hooks, filters and
/// other programs are never started by a command that reads.
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
