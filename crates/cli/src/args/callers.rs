//! `deskhand callers`.

use clap::Subcommand;

/// Programs that sign in by themselves, such as claude.ai: let them in, list them, end them
#[derive(Debug, Subcommand)]
pub(crate) enum CallersCommand {
    /// List the programs that ask to be let in here, and those that were
    List,
    /// Let a program in, with the two digits that its page shows; other digits refuse it
    Confirm {
        /// The two digits
        code: String,
        /// Which program, where several ask
        #[arg(long, value_name = "REQUEST")]
        request: Option<String>,
    },
    /// Refuse a program that asks to be let in
    Refuse {
        /// Which one; its request's id
        request: String,
    },
    /// End a program's access; only on the relay's own computer
    Revoke {
        /// Which one, by id or name
        caller: String,
    },
}
