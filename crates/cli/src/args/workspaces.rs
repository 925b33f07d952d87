//! `deskhand workspaces`.

use std::path::PathBuf;

use clap::{Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use deskhand_protocol::policy::Level;

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
        /// How much happens there without asking [default: work, or as it is]
        #[arg(long, value_parser = level())]
        level: Option<Level>,
    },
    /// Close a directory to tasks; its files stay
    Remove {
        /// Which one, by name or directory
        workspace: String,
    },
}

fn level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new([Level::Observe, Level::Work, Level::Ask].map(Level::as_str))
        .map(|word| Level::parse(&word).expect("the words are those of Level"))
}
