//! `deskhand viewer`.

use anyhow::bail;
use deskhand_protocol::relay_request::{RelayRequest, RelayResponse};

use crate::{args::ViewerArgs, context::Context, exit};

pub(crate) async fn run(context: &Context, args: ViewerArgs) -> anyhow::Result<u8> {
    let request = RelayRequest::CreateSignInLink { key: args.key };
    match context.control().relay(request).await? {
        RelayResponse::SignInLink(link) if context.out.is_json() => context.out.json(&link)?,
        RelayResponse::SignInLink(link) => context.out.line(&link.url)?,
        RelayResponse::Problem { problem } => return Err(problem.into()),
        _ => bail!("make a link: the relay answered something else"),
    }
    Ok(exit::OK)
}
