//! `deskhand prompt`.

use crate::{args::PromptArgs, context::Context, exit};

pub(crate) async fn run(context: &Context, args: PromptArgs) -> anyhow::Result<u8> {
    let relay = context.relay(&args.relay).await?;
    let prompt = relay.client.prompt(args.assistant).await?;
    if context.out.is_json() {
        context.out.json(&prompt)?;
        return Ok(exit::OK);
    }
    context.out.line(prompt.text.trim_end())?;
    context.out.talk(format!(
        "{} of at most {} characters.",
        prompt.n_chars, prompt.max_chars
    ));
    Ok(exit::OK)
}
