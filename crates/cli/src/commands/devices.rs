//! `deskhand devices`.

use anyhow::bail;
use deskhand_client::Client;
use deskhand_protocol::{
    DeviceId,
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::{DeviceView, Presence, RelayRequest, RelayResponse},
};

use crate::{
    args::{DevicesArgs, DevicesCommand, RelayArgs},
    context::Context,
    exit::{self, UsageError},
    out::{Cell, Tone},
};

pub(crate) async fn run(context: &Context, args: DevicesArgs) -> anyhow::Result<u8> {
    let out = context.out;
    match args.command {
        DevicesCommand::List => {
            let devices = context.relay(&args.relay).await?.client.devices().await?;
            if out.is_json() {
                out.json(&devices)?;
            } else {
                let rows: Vec<Vec<Cell>> = devices.iter().map(row).collect();
                out.table(&["DEVICE", "NAME", "STATUS", "LAST SEEN", "OS", ""], &rows)?;
            }
        }
        DevicesCommand::Pair => {
            // A named relay is asked over the network, with an admin key; our own needs none.
            let code = if args.relay.relay.is_some() {
                let relay = context.relay(&args.relay).await?;
                relay.client.create_pairing_code().await?
            } else {
                match context
                    .control()
                    .relay(RelayRequest::CreatePairingCode)
                    .await?
                {
                    RelayResponse::PairingCode(code) => code,
                    _ => bail!("understand the relay's answer: it is to another request"),
                }
            };
            if out.is_json() {
                out.json(&code)?;
            } else {
                let url = address(context, &args.relay).await?;
                out.talk(format!(
                    "On the other computer, before {:.0}: deskhand enrol --relay {url} --code {}",
                    code.expires_at, code.code
                ));
                if is_loopback(&url) {
                    out.talk("That address is good on this computer only: set relay.public_url, or listen elsewhere.");
                }
                out.line(code.code)?;
            }
        }
        DevicesCommand::Rename { device, name } => {
            let client = context.relay(&args.relay).await?.client;
            let id = find(&client, &device).await?;
            let view = client.rename_device(id.as_str(), &name).await?;
            if out.is_json() {
                out.json(&view)?;
            } else {
                out.talk(format!("{id} is now called {}.", view.device_name));
            }
        }
        DevicesCommand::Pause => pause(context, DeviceRequest::Pause).await?,
        DevicesCommand::Resume => pause(context, DeviceRequest::Resume).await?,
        DevicesCommand::Remove { device } => {
            let client = context.relay(&args.relay).await?.client;
            let id = find(&client, &device).await?;
            client.remove_device(id.as_str()).await?;
            if out.is_json() {
                out.json(&serde_json::json!({ "removed": id }))?;
            } else {
                out.talk(format!("Removed {id}: its token is worth nothing now."));
            }
        }
    }
    Ok(exit::OK)
}

/// Has the agent of this home take no more tasks, or take them again: no relay is needed for it.
async fn pause(context: &Context, request: DeviceRequest) -> anyhow::Result<()> {
    let DeviceResponse::Paused { paused } = context.control().device(request).await? else {
        bail!("understand the agent's answer: it is to another request");
    };
    if context.out.is_json() {
        context.out.json(&serde_json::json!({ "paused": paused }))?;
    } else if paused {
        context
            .out
            .talk("This computer takes no tasks now. Resume it: deskhand devices resume");
    } else {
        context.out.talk("This computer takes tasks again.");
    }
    Ok(())
}

/// Returns the address by which other computers reach the relay.
async fn address(context: &Context, args: &RelayArgs) -> anyhow::Result<String> {
    if let Some(url) = &args.relay {
        return Ok(url.clone());
    }
    match context.control().relay(RelayRequest::Status).await? {
        RelayResponse::Status { relay_url, .. } => Ok(relay_url),
        _ => bail!("understand the relay's answer: it is to another request"),
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|loopback| host.starts_with(loopback))
}

/// Finds a device by id, or by a name that only one has.
async fn find(client: &Client, device: &str) -> anyhow::Result<DeviceId> {
    let devices = client.devices().await?;
    if let Some(found) = devices
        .iter()
        .find(|view| view.device_id.as_str() == device)
    {
        return Ok(found.device_id.clone());
    }
    let named: Vec<&DeviceView> = devices
        .iter()
        .filter(|view| view.device_name == device)
        .collect();
    match named[..] {
        [only] => Ok(only.device_id.clone()),
        [] => bail!(UsageError(format!("no device is called `{device}`"))),
        _ => bail!(UsageError(format!(
            "several devices are called `{device}`: use an id of `deskhand devices list`"
        ))),
    }
}

fn row(device: &DeviceView) -> Vec<Cell> {
    let (word, tone) = match device.status {
        Presence::Online => ("online", Tone::Good),
        Presence::CannotExecute => ("cannot execute", Tone::Bad),
        Presence::Reconnecting => ("reconnecting", Tone::Warning),
        Presence::Offline => ("offline", Tone::Bad),
        Presence::Paused => ("paused", Tone::Warning),
    };
    let seen = device
        .last_seen_at
        .map_or("never".to_owned(), |at| format!("{at:.0}"));
    let note = match (&device.reason, device.latency_ms) {
        (Some(reason), _) => reason.clone(),
        (None, Some(latency)) => format!("{latency} ms"),
        (None, None) => String::new(),
    };
    vec![
        device.device_id.as_str().into(),
        device.device_name.as_str().into(),
        Cell::new(word, tone),
        seen.into(),
        device.os.as_str().into(),
        Cell::new(note, Tone::Quiet),
    ]
}
