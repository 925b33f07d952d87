//! What is said of a process that is ready, and the line that tries it.

use std::{io::IsTerminal, path::Path};

use deskhand_host::Ready;
use deskhand_protocol::{Timestamp, device_request::DeviceStatus};

use crate::{args::UpArgs, commands::status::confinement, out::Out};

/// What is said of a process that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announce {
    /// A curl line that works; with the key in it at the first start and on a terminal.
    Curl,
    /// A curl line that works, with the key in it.
    CurlWithKey,
    /// The address.
    Address,
}

impl Announce {
    pub(crate) fn of(args: &UpArgs) -> Self {
        // What the process that stays prints goes into a file; the one that started it has the word.
        match args {
            UpArgs { detached: true, .. } => Announce::Address,
            UpArgs { show_key: true, .. } => Announce::CurlWithKey,
            UpArgs { .. } => Announce::Curl,
        }
    }

    /// A key is shown to a person, to whoever starts for the first time, and to whoever asks; not to
    /// every log that standard output happens to go into.
    pub(crate) fn may_show_key(self, is_first: bool) -> bool {
        match self {
            Announce::CurlWithKey => true,
            Announce::Curl => is_first || std::io::stdout().is_terminal(),
            Announce::Address => false,
        }
    }
}

/// Says that it is ready: what can be done, how well it is confined, and on standard output the line
/// that tries it.
pub(crate) fn announce(
    out: Out,
    what: Announce,
    ready: &Ready,
    status: Option<&DeviceStatus>,
    may_show_key: bool,
) -> anyhow::Result<()> {
    if out.is_json() {
        let key = ready.api_key.clone().filter(|_| may_show_key);
        let viewer_url = ready.viewer_url.clone();
        out.json(&Ready {
            api_key: key,
            viewer_url: viewer_url.filter(|_| may_show_key),
            ..ready.clone()
        })?;
        return Ok(());
    }
    match &ready.public_url {
        Some(url) => out.talk(format!(
            "Relay at {url}, on this computer {}.",
            ready.relay_url
        )),
        None => out.talk(format!("Relay at {}.", ready.relay_url)),
    }
    if let Some(status) = status {
        tell_device(out, status);
    }
    if let Some(url) = &ready.viewer_url {
        // The link signs in whoever opens it first: it is for eyes, as the key is.
        match (what, may_show_key) {
            (Announce::Address, _) | (_, false) => {
                let address = url.split('#').next().unwrap_or_default();
                out.talk(format!(
                    "Viewer at {address}, signed in by `deskhand viewer`."
                ));
            }
            (_, true) => out.talk(format!("Viewer, for the next ten minutes: {url}")),
        }
    }
    let Some(key) = &ready.api_key else {
        return Ok(());
    };
    if what != Announce::Address {
        let key = if may_show_key {
            key.expose()
        } else {
            "$DESKHAND_API_KEY"
        };
        out.talk("Try it:");
        out.line(curl_line(ready, key, status))?;
    }
    Ok(())
}

/// Says what can be done here, and plainly how well it is confined.
fn tell_device(out: Out, status: &DeviceStatus) {
    out.talk(format!("{} is ready.", status.device_name));
    let (text, _) = confinement(&status.sandbox_tier, &status.sandbox_require);
    out.talk(format!("Sandbox: {text}."));
    for layer in status
        .sandbox_layers
        .iter()
        .filter(|layer| !layer.available)
    {
        let why = layer.why_not.as_deref().unwrap_or("not available");
        out.talk(format!("  without {}: {why}", layer.name));
    }
    if status.workspaces.is_empty() {
        out.talk("No directory is open to tasks yet: deskhand workspaces add DIR");
    }
    for workspace in &status.workspaces {
        out.talk(format!("Workspace {}: {}", workspace.name, workspace.path));
    }
}

/// Returns a line for a shell that asks for something this computer can answer.
fn curl_line(ready: &Ready, key: &str, status: Option<&DeviceStatus>) -> String {
    let relay_url = &ready.relay_url;
    let workspace = status.and_then(|status| status.workspaces.first());
    let Some(workspace) = workspace else {
        return format!("curl -sS {relay_url}/api/devices -H \"X-API-Key: {key}\"");
    };
    let is_repository = Path::new(&workspace.path).join(".git").exists();
    let (action, command) = if is_repository {
        ("git", r#"["git","status"]"#)
    } else {
        ("shell", r#"["ls","-la"]"#)
    };
    let path = serde_json::Value::from(workspace.path.as_str());
    // By name, because a relay may come to have several.
    let device = serde_json::json!(ready.device_id);
    // A name is good for one command a day, and another workspace is another command.
    let name = format!("try-{}", Timestamp::now().as_second());
    let body = format!(
        r#"{{"type":"task_command","sync":true,"data":{{"task_id":"{name}","device":{device},"action_type":"{action}","params":{{"command":{command},"working_dir":{path}}}}}}}"#
    );
    let body = body.replace('\'', r"'\''");
    format!(
        "curl -sS {relay_url}/webhook -H \"X-API-Key: {key}\" -H 'Content-Type: application/json' -d '{body}'"
    )
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::{Command, device_request::LinkStatus, workspace::Workspace};

    use super::*;

    fn status(workspaces: &[&str]) -> DeviceStatus {
        DeviceStatus {
            device_id: None,
            device_name: "desk".into(),
            agent_version: "1".into(),
            link: LinkStatus::Refused { error: "no".into() },
            can_execute: true,
            paused: false,
            reason: None,
            n_running: 0,
            n_waiting: 0,
            n_asking: 0,
            n_unsent_events: 0,
            started_at: Timestamp::UNIX_EPOCH,
            sandbox_tier: "none".into(),
            sandbox_require: "none".into(),
            sandbox_layers: Vec::new(),
            workspaces: workspaces
                .iter()
                .map(|path| Workspace {
                    name: "w".into(),
                    path: (*path).into(),
                    level: Default::default(),
                    added_at: Timestamp::UNIX_EPOCH,
                })
                .collect(),
        }
    }

    fn ready() -> Ready {
        Ready {
            relay_url: "http://127.0.0.1:1".into(),
            public_url: None,
            api_key: None,
            device_id: Some("abcd1234".parse().unwrap()),
            device_name: Some("desk".into()),
            pid: 1,
            viewer_url: None,
        }
    }

    #[test]
    fn a_shell_reads_the_line_as_it_is_meant() {
        let path = r#"/w/it's "mine""#;
        let line = curl_line(&ready(), "dh_k_s", Some(&status(&[path])));
        let words = Command::Line(line).words().unwrap();
        assert_eq!(words[2], "http://127.0.0.1:1/webhook");
        assert_eq!(words[4], "X-API-Key: dh_k_s");
        let body: serde_json::Value = serde_json::from_str(words.last().unwrap()).unwrap();
        assert_eq!(body["data"]["params"]["working_dir"], path);
        assert_eq!(body["data"]["action_type"], "shell");
        assert_eq!(body["data"]["device"], "abcd1234");
        assert_eq!(body["sync"], true);
    }

    #[test]
    fn without_a_workspace_it_asks_for_what_needs_none() {
        let line = curl_line(&ready(), "dh_k_s", Some(&status(&[])));
        assert!(line.contains("/api/devices"), "{line}");
    }
}
