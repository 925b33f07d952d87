//! `deskhand audit`.

use clap::{Subcommand, ValueEnum};

/// What was asked, who decided, what ran, and how it ended
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no row was altered or taken away
    Verify,
    /// Print every row
    Export {
        /// How
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line
    Jsonl,
    /// Comma-separated values, with a line of names
    Csv,
}
