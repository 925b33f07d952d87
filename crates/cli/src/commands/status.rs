//! `deskhand status`.

use deskhand_host::ControlError;
use deskhand_protocol::{
    device_request::{DeviceRequest, DeviceResponse, DeviceStatus, LinkStatus},
    relay_request::{RelayRequest, RelayResponse},
};

use crate::{
    context::Context,
    exit,
    out::{Cell, Out, Tone, count},
};

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let out = context.out;
    let control = context.control();
    let relay = absent(control.relay(RelayRequest::Status).await)?;
    let device = match absent(control.device(DeviceRequest::Status).await)? {
        Some(DeviceResponse::Status(status)) => Some(status),
        _ => None,
    };
    if out.is_json() {
        out.json(&serde_json::json!({ "relay": relay, "device": device }))?;
        return Ok(exit::OK);
    }
    if let Some(RelayResponse::Status {
        relay_version,
        relay_url,
        n_devices_connected,
        n_open_tasks,
    }) = relay
    {
        let text = format!(
            "{relay_url}, version {relay_version}, {} connected, {}",
            count(n_devices_connected, "device"),
            count(n_open_tasks, "open task"),
        );
        row(out, "relay", text, Tone::Plain)?;
    }
    if let Some(status) = device {
        show_device(out, &status)?;
    }
    Ok(exit::OK)
}

/// A part that does not run in this process is absent; that nothing runs is an error.
fn absent<T>(answer: Result<T, ControlError>) -> Result<Option<T>, ControlError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ControlError::Problem(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn show_device(out: Out, status: &DeviceStatus) -> anyhow::Result<()> {
    let id = status
        .device_id
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    row(
        out,
        "device",
        format!(
            "{} {id}, version {}",
            status.device_name, status.agent_version
        ),
        Tone::Plain,
    )?;
    let (link, tone) = link(&status.link);
    row(out, "link", link, tone)?;
    match &status.reason {
        _ if status.can_execute => row(out, "can execute", "yes", Tone::Good)?,
        Some(reason) => row(out, "can execute", format!("no: {reason}"), Tone::Bad)?,
        None => row(out, "can execute", "no", Tone::Bad)?,
    }
    if status.paused {
        let text = "yes: it takes no tasks; `deskhand devices resume`";
        row(out, "paused", text, Tone::Warning)?;
    }
    row(
        out,
        "tasks",
        format!("{} running, {} waiting", status.n_running, status.n_waiting),
        Tone::Plain,
    )?;
    if status.n_unsent_events > 0 {
        row(
            out,
            "unsent",
            format!("{} events", status.n_unsent_events),
            Tone::Warning,
        )?;
    }
    let (text, tone) = confinement(&status.sandbox_tier, &status.sandbox_require);
    row(out, "sandbox", text, tone)?;
    for layer in status
        .sandbox_layers
        .iter()
        .filter(|layer| !layer.available)
    {
        let why = layer.why_not.as_deref().unwrap_or("not available");
        row(out, "", format!("{}: {why}", layer.name), Tone::Quiet)?;
    }
    for (i, workspace) in status.workspaces.iter().enumerate() {
        let name = if i == 0 { "workspaces" } else { "" };
        row(
            out,
            name,
            format!("{}  {}", workspace.name, workspace.path),
            Tone::Plain,
        )?;
    }
    if status.workspaces.is_empty() {
        row(
            out,
            "workspaces",
            "none; `deskhand workspaces add DIR`",
            Tone::Warning,
        )?;
    }
    Ok(())
}

/// Says plainly how tasks are confined, for a person: a task gets the best tier there is, and is
/// refused only where that is below what the settings require.
pub(crate) fn confinement(tier: &str, require: &str) -> (String, Tone) {
    match (tier, require) {
        ("none", "none") => (
            "tasks are not confined: this machine can enforce nothing, and sandbox.require is `none`"
                .to_owned(),
            Tone::Warning,
        ),
        (tier, "none") => (
            format!(
                "tasks are confined, tier `{tier}`; sandbox.require is `none`, so one would also run \
                 where that fails"
            ),
            Tone::Warning,
        ),
        (tier, require) => (
            format!("this machine can enforce tier `{tier}`; `{require}` is required"),
            Tone::Plain,
        ),
    }
}

/// Says where a link is, for a person.
pub(crate) fn link(link: &LinkStatus) -> (String, Tone) {
    match link {
        LinkStatus::Connected { since, latency_ms } => {
            let latency = latency_ms
                .map(|ms| format!(", {ms} ms"))
                .unwrap_or_default();
            (format!("connected since {since:.0}{latency}"), Tone::Good)
        }
        LinkStatus::Reconnecting { attempt, error } => {
            let error = error
                .as_ref()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            (
                format!("connecting, attempt {attempt}{error}"),
                Tone::Warning,
            )
        }
        LinkStatus::Refused { error } => (format!("refused: {error}"), Tone::Bad),
    }
}

fn row(out: Out, name: &str, text: impl AsRef<str>, tone: Tone) -> std::io::Result<()> {
    let name = out.toned(&Cell::new(format!("{name:<13}"), Tone::Quiet));
    out.line(format!("{name}{}", out.toned(&Cell::new(text, tone))))
}
