//! `deskhand prompt`.

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser};
use deskhand_protocol::assistant::Assistant;

use super::RelayArgs;

/// Print instructions for an assistant, within its size limit; no secret is in them
///
/// They name your computers and the directories that are open on each. The key goes into the assistant's
/// connection, never into its instructions; docs/callers has a page for each.
#[derive(Debug, Args)]
pub(crate) struct PromptArgs {
    /// Who they are for
    #[arg(long = "for", value_name = "ASSISTANT", value_parser = assistant())]
    pub(crate) assistant: Assistant,
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
}

fn assistant() -> impl TypedValueParser<Value = Assistant> {
    PossibleValuesParser::new(Assistant::ALL.map(Assistant::as_str))
        .map(|word| Assistant::parse(&word).expect("the words are those of Assistant"))
}
