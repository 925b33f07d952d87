//! `deskhand relay serve`, `deskhand agent run`: each alone.

use std::path::PathBuf;

use deskhand_host::{Parts, config::Flag, logging::ToStderr};

use crate::{
    args::{AgentCommand, AgentRunArgs, RelayCommand, RelayServeArgs},
    commands::{announce::Announce, stay::Stay},
    context::{Context, flag},
};

pub(crate) async fn relay(context: &Context, command: RelayCommand) -> anyhow::Result<u8> {
    let RelayCommand::Serve(RelayServeArgs {
        listen,
        public_url,
        tls_cert,
        tls_key,
        allow_plain_http,
        ready_file,
        new_identity,
    }) = command;
    let mut flags: Vec<Flag> = Vec::new();
    flags.extend(listen.map(|addr| flag("relay.listen", "--listen", addr)));
    flags.extend(public_url.map(|url| flag("relay.public_url", "--public-url", url)));
    let file = |key, name, path: PathBuf| flag(key, name, path.display());
    flags.extend(tls_cert.map(|path| file("relay.tls_cert", "--tls-cert", path)));
    flags.extend(tls_key.map(|path| file("relay.tls_key", "--tls-key", path)));
    if allow_plain_http {
        let name = "--allow-plain-http";
        flags.push(flag("relay.allow_plain_http", name, true));
    }
    Stay {
        flags,
        parts: Parts::Relay,
        workspaces: Vec::new(),
        ready_file,
        new_identity,
        announce: Announce::Address,
        logs_to_stderr: ToStderr::Yes,
    }
    .run(context)
    .await
}

pub(crate) async fn agent(context: &Context, command: AgentCommand) -> anyhow::Result<u8> {
    let AgentCommand::Run(AgentRunArgs {
        relay,
        workspace,
        ready_file,
    }) = command;
    let flags: Vec<Flag> = relay
        .iter()
        .map(|url| flag("relay.url", "--relay", url))
        .collect();
    let named = context.config(&flags)?.relay_url.value;
    Stay {
        flags,
        parts: Parts::Agent(Some(named).filter(|url| !url.is_empty())),
        workspaces: workspace,
        ready_file,
        new_identity: false,
        announce: Announce::Address,
        logs_to_stderr: ToStderr::Yes,
    }
    .run(context)
    .await
}
