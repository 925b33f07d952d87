//! `deskhand keys`.

use anyhow::bail;
use deskhand_protocol::{
    Timestamp,
    policy::CallerLimits,
    relay_request::{KeyView, RelayRequest, RelayResponse, Scope},
};

use crate::{
    args::{KeysCommand, KeysCreateArgs},
    context::Context,
    exit,
    out::Cell,
};

pub(crate) async fn run(context: &Context, command: KeysCommand) -> anyhow::Result<u8> {
    let out = context.out;
    let request = match command {
        KeysCommand::Create(args) => create(args),
        KeysCommand::List => RelayRequest::ListKeys,
        KeysCommand::Revoke { key } => RelayRequest::RevokeKey { key },
    };
    let response = context.control().relay(request).await?;
    if out.is_json() {
        out.json(&response)?;
        return Ok(exit::OK);
    }
    match response {
        RelayResponse::KeyCreated { key, secret } => {
            out.talk(format!(
                "Key `{}` ({}). This is the only time it is shown:",
                key.name,
                scopes(&key)
            ));
            out.line(secret)?;
        }
        RelayResponse::Keys { keys } => {
            let rows: Vec<Vec<Cell>> = keys.iter().map(row).collect();
            out.table(
                &["KEY", "NAME", "SCOPES", "DEVICES", "EXPIRES", "USED"],
                &rows,
            )?;
        }
        RelayResponse::KeyRevoked { key_id } => out.talk(format!("Revoked {key_id}.")),
        _ => bail!("understand the relay's answer: it is to another request"),
    }
    Ok(exit::OK)
}

fn create(args: KeysCreateArgs) -> RelayRequest {
    const DAY: i64 = 86_400;
    let expires_at = args.expires.and_then(|days| {
        Timestamp::from_second(Timestamp::now().as_second() + i64::from(days) * DAY).ok()
    });
    RelayRequest::CreateKey {
        name: args.name,
        scopes: args.scopes,
        devices: Some(args.devices).filter(|devices| !devices.is_empty()),
        expires_at,
        limits: CallerLimits {
            workspaces: Some(args.workspaces).filter(|names| !names.is_empty()),
            actions: Some(args.actions).filter(|kinds| !kinds.is_empty()),
            read_only: args.read_only,
            // What it may answer is a matter of its scopes.
            can_approve: false,
        },
        requests_per_minute: Some(args.rate_limit).filter(|n| *n > 0),
    }
}

fn row(key: &KeyView) -> Vec<Cell> {
    let devices = match &key.devices {
        None => "all".to_owned(),
        Some(devices) => devices
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
    };
    let time = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| format!("{at:.0}"));
    vec![
        key.key_id.as_str().into(),
        key.name.as_str().into(),
        scopes(key).into(),
        devices.into(),
        time(key.expires_at).into(),
        time(key.last_used_at).into(),
    ]
}

fn scopes(key: &KeyView) -> String {
    let words: Vec<&str> = key
        .scopes
        .iter()
        .map(|scope| Scope::as_str(*scope))
        .collect();
    words.join(",")
}
