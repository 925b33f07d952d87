//! `deskhand workspaces`.

use std::path::PathBuf;

use clap::Subcommand;

/// Directories that are open to tasks
#[derive(Debug, Subcommand)]
pub(crate) enum WorkspacesCommand {
    /// List them; the first is the default
    List,
    /// Open a directory to tasks
    Add {
        /// Which directory
        dir: PathBuf,
        /// A short name for it [default: the directory's own]
        #[arg(long)]
        name: Option<String>,
    },
    /// Close a directory to tasks; its files stay
    Remove {
        /// Which one, by name or directory
        workspace: String,
    },
}
