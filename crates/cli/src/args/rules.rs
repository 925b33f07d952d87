//! `deskhand rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use deskhand_protocol::{Timestamp, policy::Verdict};

/// What may run: the rules in rules.toml
///
/// A rule is about one program. The strictest verdict wins: of the rules, of the workspace's level, and
/// of what the caller's key is held to. The file is read again whenever it changes.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// List the rules in force, and what is wrong with the file
    List,
    Add(RulesAddArgs),
    /// Remove a rule from the file
    Remove {
        /// Which one, by its id
        id: String,
    },
    Test(RulesTestArgs),
}

/// Add a rule to the end of the file
#[derive(Debug, Args)]
pub(crate) struct RulesAddArgs {
    /// Program it is about: a name that is found on PATH, or an absolute path
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) program: String,
    /// What it says
    #[arg(long, value_parser = verdict())]
    pub(crate) verdict: Verdict,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// A name for it [default: made from verdict and program]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Words that are no options, in order; `a|b` for alternatives, `*` at the end for any rest; may be
    /// given more than once [default: any]
    #[arg(long = "args", value_name = "WORD", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) args: Option<Vec<String>>,
    /// Option: for an allow rule one it is closed to, else one it is about; may be given more than once
    #[arg(long = "option", value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) options: Vec<String>,
    /// Workspace it is about [default: all]
    #[arg(long, value_name = "WORKSPACE")]
    pub(crate) workspace: Option<String>,
    /// Directory in the workspace it is about [default: all]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// Host an allow rule lets the program reach; may be given more than once
    #[arg(long = "network", value_name = "HOST")]
    pub(crate) network: Vec<String>,
    /// Let the program write `.git`
    #[arg(long)]
    pub(crate) git_writes: bool,
    /// When it ends, like 2027-01-01T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<Timestamp>,
}

/// Explain what would be decided about a command, and run nothing
///
/// `git …` is judged as a git action, everything else as a shell action.
#[derive(Debug, Args)]
pub(crate) struct RulesTestArgs {
    /// Directory it would run in [default: the current one, if it lies in a workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// A line for a shell
    #[arg(
        long,
        value_name = "LINE",
        conflicts_with = "argv",
        allow_hyphen_values = true
    )]
    pub(crate) line: Option<String>,
    /// The program and its arguments
    #[arg(
        value_name = "ARGV",
        required_unless_present = "line",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) argv: Vec<String>,
}

fn verdict() -> impl TypedValueParser<Value = Verdict> {
    const ALL: [Verdict; 3] = [Verdict::Allow, Verdict::Ask, Verdict::Deny];
    PossibleValuesParser::new(ALL.map(Verdict::as_str)).map(|word| {
        *ALL.iter()
            .find(|verdict| verdict.as_str() == word)
            .expect("the words are those of Verdict")
    })
}
