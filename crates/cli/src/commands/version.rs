//! `deskhand version`.

use deskhand_protocol::link::PROTOCOL_VERSION;

use crate::{context::Context, exit};

pub(crate) fn run(context: &Context) -> anyhow::Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let git = deskhand_git::GIT_VERSION_EMULATED;
    if context.out.is_json() {
        context.out.json(&serde_json::json!({
            "version": version,
            "link_protocol": PROTOCOL_VERSION,
            "git": git,
        }))?;
    } else {
        context.out.line(format!(
            "deskhand {version} (link protocol {PROTOCOL_VERSION}, git {git})"
        ))?;
    }
    Ok(exit::OK)
}
