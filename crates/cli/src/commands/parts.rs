//! `deskhand relay serve`, `deskhand agent run`: each alone.

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
        ready_file,
        new_identity,
    }) = command;
    let mut flags: Vec<Flag> = Vec::new();
    flags.extend(listen.map(|addr| flag("relay.listen", "--listen", addr)));
    flags.extend(public_url.map(|url| flag("relay.public_url", "--public-url", url)));
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
