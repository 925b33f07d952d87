//! `deskhand approvals`.

use clap::{Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use deskhand_protocol::approval::Answer;

/// Questions that wait for your answer
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// List the open questions; a look counts as somebody being there, for a minute
    List {
        /// Stay, and show each question as it is asked; while it runs, somebody is there
        #[arg(long)]
        watch: bool,
    },
    /// Answer a question; the first answer counts, whoever gives it
    Answer {
        /// Which one: the task's id, by any of its names
        task: String,
        /// The answer; `always_here` also writes the rule that is shown with the question
        #[arg(value_parser = answer())]
        answer: Answer,
        /// Digest of the question you saw [default: whichever is open]
        #[arg(long, value_name = "DIGEST")]
        digest: Option<String>,
    },
}

fn answer() -> impl TypedValueParser<Value = Answer> {
    PossibleValuesParser::new([Answer::Once, Answer::AlwaysHere, Answer::No].map(Answer::as_str))
        .map(|word| Answer::parse(&word).expect("the words are those of Answer"))
}
