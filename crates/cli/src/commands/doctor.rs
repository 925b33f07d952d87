//! `deskhand doctor`: everything that has to work, and what mends what does not.

use deskhand_host::{
    Config, Control, ControlError, Identity,
    config::{Require, SecretsIn},
    control::Here,
    desktop_session::{DesktopSession, desktop_session},
    keyring::{self, Keyring},
    machine,
    secrets::EMBEDDED,
};
use deskhand_protocol::device_request::{
    DeviceRequest, DeviceResponse, DeviceStatus, LayerStatus, LinkStatus,
};
use serde::Serialize;

use crate::{
    commands::status::{confinement, link},
    context::{Context, client},
    exit,
    out::{Cell, Out, Tone, count},
};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// The command, or the change, that mends it.
    mend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// It works, and could be better.
    Warning,
    Broken,
}

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let findings = look(context).await;
    let is_broken = findings
        .iter()
        .any(|finding| finding.state == State::Broken);
    if context.out.is_json() {
        context.out.json(&findings)?;
    } else {
        show(context.out, &findings)?;
    }
    Ok(if is_broken { exit::FAILED } else { exit::OK })
}

fn show(out: Out, findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings {
        let (word, tone) = match finding.state {
            State::Ok => ("ok", Tone::Good),
            State::Warning => ("warning", Tone::Warning),
            State::Broken => ("broken", Tone::Bad),
        };
        out.line(format!(
            "{}  {:<10}  {}",
            out.toned(&Cell::new(format!("{word:<7}"), tone)),
            finding.check,
            out.toned(&Cell::from(finding.found.as_str())),
        ))?;
        if let Some(mend) = &finding.mend {
            out.line(format!(
                "{:21}mend: {}",
                "",
                out.toned(&Cell::from(mend.as_str()))
            ))?;
        }
    }
    Ok(())
}

async fn look(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = match context.config(&[]) {
        Ok(config) => {
            findings.push(ok("config", config_found(context)));
            Some(config)
        }
        Err(error) => {
            findings.push(broken("config", format!("{error:#}"), Some(edit(context))));
            None
        }
    };
    findings.push(secrets(context, config.as_ref()).await);
    match context.control().here().await {
        Ok(here) => {
            let text = format!("running as process {}, version {}", here.pid, here.version);
            findings.push(ok("process", text));
            findings.extend(relay(context, config.as_ref(), &here).await);
            findings.extend(device(&context.control()).await);
        }
        Err(ControlError::NotRunning) => {
            let text = "nothing runs in this home".to_owned();
            findings.push(broken("process", text, Some("deskhand up".to_owned())));
            if let Some(config) = config {
                findings.extend(sandbox_at_rest(config).await);
            }
        }
        Err(error) => findings.push(broken(
            "process",
            format!("{:#}", anyhow::Error::from(error)),
            Some("deskhand down && deskhand up".to_owned()),
        )),
    }
    findings.extend(desktop(desktop_session().await));
    findings
}

/// What the desktop application needs of the session; a computer without a desktop needs neither.
fn desktop(session: Result<DesktopSession, String>) -> Vec<Finding> {
    let session = match session {
        Ok(session) => session,
        Err(why) => return vec![ok("desktop", format!("no desktop session here: {why}"))],
    };
    let part = |check, is_there, found: &str, missing: &str, mend: &str| {
        if is_there {
            return ok(check, found.to_owned());
        }
        Finding {
            check,
            state: State::Warning,
            found: missing.to_owned(),
            mend: Some(mend.to_owned()),
        }
    };
    vec![
        part(
            "tray",
            session.tray,
            "the session shows tray icons",
            "nobody in this session shows tray icons; the application opens its window instead",
            "start a panel with a tray; on GNOME install its AppIndicator extension",
        ),
        part(
            "notify",
            session.notifications,
            "the session shows notifications",
            "nobody in this session shows notifications",
            "start a notification server, such as dunst",
        ),
    ]
}

fn config_found(context: &Context) -> String {
    let file = context.dirs.config_file();
    if file.exists() {
        format!("{} holds what differs from the defaults", file.display())
    } else {
        "defaults only".to_owned()
    }
}

fn edit(context: &Context) -> String {
    format!("edit {}", context.dirs.config_file().display())
}

async fn secrets(context: &Context, config: Option<&Config>) -> Finding {
    let identity = match Identity::load(&context.dirs) {
        Ok(identity) => identity,
        Err(error) => {
            let text = format!("{:#}", anyhow::Error::from(error));
            return broken(
                "secrets",
                text,
                Some("deskhand up --new-identity".to_owned()),
            );
        }
    };
    let wanted = config.map_or(SecretsIn::Auto, |config| config.secrets.value);
    let (dirs, is_made) = (context.dirs.clone(), identity.secrets.is_some());
    // A locked keyring keeps us waiting.
    let looked = tokio::task::spawn_blocking(move || {
        let vault = identity.vault(&dirs, wanted);
        (vault.load(), vault.to_string(), keyring::status())
    });
    let Ok((loaded, vault, keyring)) = looked.await else {
        return broken("secrets", "looking for them failed".to_owned(), None);
    };
    let keyring = match keyring {
        Keyring::Unlocked => "",
        Keyring::Locked => "; this session's keyring is locked",
        Keyring::Absent => "; this session has no keyring",
    };
    match loaded {
        Ok(Some(_)) => ok("secrets", format!("kept in {vault}{keyring}")),
        Ok(None) if !is_made => ok(
            "secrets",
            format!("none yet; they go into {vault}{keyring}"),
        ),
        Ok(None) => broken(
            "secrets",
            format!("{vault} has none"),
            Some("unlock it, or: deskhand up --new-identity".to_owned()),
        ),
        Err(error) => broken(
            "secrets",
            format!("{:#}", anyhow::Error::from(error)),
            Some("unlock the keyring, or: deskhand up --new-identity".to_owned()),
        ),
    }
}

/// Asks over the network what callers ask, with the owner's key where we have it.
async fn relay(context: &Context, config: Option<&Config>, here: &Here) -> Vec<Finding> {
    let Some(url) = here.own_relay_url.as_ref().or(here.relay_url.as_ref()) else {
        return Vec::new();
    };
    let mend = |command: &str| Some(command.to_owned());
    let Some(config) = config else {
        return Vec::new();
    };
    let relay = match client(url, None, config) {
        Ok(client) => client,
        Err(error) => {
            let mend = mend("deskhand enrol --relay URL --code CODE");
            return vec![broken("relay", error.to_string(), mend)];
        }
    };
    let mut findings = vec![match relay.health().await {
        Ok(health) => ok(
            "relay",
            format!(
                "{url} answers, {} connected",
                count(health.connected_clients, "device")
            ),
        ),
        Err(error) if here.own_relay_url.is_some() => broken(
            "relay",
            error.to_string(),
            mend("deskhand down && deskhand up"),
        ),
        Err(error) => broken(
            "relay",
            error.to_string(),
            mend("start the relay, or check the network"),
        ),
    }];
    if here.own_relay_url.is_some() {
        findings.extend(owner_key(context, config, url).await);
    }
    findings
}

async fn owner_key(context: &Context, config: &Config, url: &str) -> Option<Finding> {
    let identity = Identity::load(&context.dirs).ok()?;
    let vault = identity.vault(&context.dirs, config.secrets.value);
    let loaded = tokio::task::spawn_blocking(move || vault.load())
        .await
        .ok()?;
    let key = loaded.ok()??.owner_key?;
    Some(match client(url, Some(key), config).ok()?.devices().await {
        Ok(devices) => {
            let own = identity.devices.get(EMBEDDED);
            let known = own.is_none_or(|own| devices.iter().any(|device| device.device_id == *own));
            if known {
                ok("key", "the relay takes the owner's key".to_owned())
            } else {
                broken(
                    "key",
                    "the relay does not know this computer".to_owned(),
                    Some("deskhand down && deskhand up".to_owned()),
                )
            }
        }
        Err(error) => broken(
            "key",
            error.to_string(),
            Some("deskhand down && deskhand up".to_owned()),
        ),
    })
}

async fn device(control: &Control) -> Vec<Finding> {
    match control.device(DeviceRequest::Status).await {
        Ok(DeviceResponse::Status(status)) => device_findings(&status),
        Ok(_) => Vec::new(),
        // A relay alone has no agent, and needs none.
        Err(ControlError::Problem(_)) => Vec::new(),
        Err(error) => vec![broken(
            "agent",
            format!("{:#}", anyhow::Error::from(error)),
            Some("deskhand down && deskhand up".to_owned()),
        )],
    }
}

fn device_findings(status: &DeviceStatus) -> Vec<Finding> {
    let (text, _) = link(&status.link);
    let mut findings = vec![match &status.link {
        LinkStatus::Connected { .. } => ok("link", text),
        LinkStatus::Reconnecting { .. } => broken(
            "link",
            text,
            Some(
                "start the relay, or check the network; it is dialled until it answers".to_owned(),
            ),
        ),
        LinkStatus::Refused { .. } => broken(
            "link",
            text,
            Some("deskhand enrol --relay URL --code CODE".to_owned()),
        ),
    }];
    findings.push(if status.can_execute {
        ok(
            "agent",
            "can execute, and its store can be written".to_owned(),
        )
    } else {
        let reason = status.reason.as_deref().unwrap_or("no reason given");
        broken("agent", format!("cannot execute: {reason}"), None)
    });
    findings.extend(sandbox(
        &status.sandbox_tier,
        &status.sandbox_require,
        &status.sandbox_layers,
    ));
    findings.push(if status.workspaces.is_empty() {
        Finding {
            check: "workspaces",
            state: State::Warning,
            found: "no directory is open to tasks".to_owned(),
            mend: Some("deskhand workspaces add DIR".to_owned()),
        }
    } else {
        ok(
            "workspaces",
            format!("{} open to tasks", status.workspaces.len()),
        )
    });
    findings
}

/// Looks for itself where no agent can be asked.
async fn sandbox_at_rest(config: Config) -> Vec<Finding> {
    let require = match config.sandbox_require.value {
        Require::None => "none",
        Require::Reduced => "reduced",
        Require::Full => "full",
    };
    match tokio::task::spawn_blocking(move || machine::sandbox_support(&config)).await {
        Ok(Ok(support)) => sandbox(&support.tier.to_string(), require, &support.layers),
        Ok(Err(error)) => vec![broken("sandbox", error.to_string(), None)],
        Err(error) => vec![broken("sandbox", error.to_string(), None)],
    }
}

fn sandbox(tier: &str, require: &str, layers: &[LayerStatus]) -> Vec<Finding> {
    let mut findings = vec![tier_finding(tier, require)];
    let available = layers.iter().filter(|layer| layer.available);
    let names: Vec<&str> = available.map(|layer| layer.name.as_str()).collect();
    if !names.is_empty() {
        findings.push(ok("sandbox", format!("layers: {}", names.join(", "))));
    }
    for layer in layers.iter().filter(|layer| !layer.available) {
        let why = layer.why_not.as_deref().unwrap_or("not available");
        findings.push(Finding {
            check: "sandbox",
            state: match (layer.name.as_str(), tier) {
                // Without its helper nothing is started at all.
                ("helper", _) => State::Broken,
                // A fallback, or finer than what holds without it.
                (_, "full") => State::Ok,
                _ => State::Warning,
            },
            found: format!("without {}: {why}", layer.name),
            mend: layer.mend.clone(),
        });
    }
    findings
}

/// What is missing for the tier says itself how it is mended; requiring less is the owner's last resort, not a mending.
fn tier_finding(tier: &str, require: &str) -> Finding {
    let rank = |tier: &str| {
        ["none", "reduced", "full"]
            .iter()
            .position(|word| *word == tier)
    };
    let (found, _) = confinement(tier, require);
    let (state, mend) = match require {
        "none" => {
            let setting = format!("set sandbox.require = \"{tier}\" in `deskhand config path`");
            (State::Warning, (tier != "none").then_some(setting))
        }
        _ if rank(tier) < rank(require) => (State::Broken, None),
        _ => (State::Ok, None),
    };
    Finding {
        check: "sandbox",
        state,
        found,
        mend,
    }
}

fn ok(check: &'static str, found: String) -> Finding {
    Finding {
        check,
        state: State::Ok,
        found,
        mend: None,
    }
}

fn broken(check: &'static str, found: String, mend: Option<String>) -> Finding {
    Finding {
        check,
        state: State::Broken,
        found,
        mend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, available: bool) -> LayerStatus {
        LayerStatus {
            name: name.into(),
            available,
            why_not: (!available).then(|| "not there".into()),
            mend: (!available).then(|| format!("install {name}")),
        }
    }

    #[test]
    fn a_missing_layer_is_mended_before_less_is_required() {
        let layers = [layer("namespaces", false), layer("seccomp", true)];
        let findings = sandbox("none", "full", &layers);
        let states: Vec<(State, Option<&str>)> = findings
            .iter()
            .map(|finding| (finding.state, finding.mend.as_deref()))
            .collect();
        assert_eq!(
            states,
            [
                (State::Broken, None),
                (State::Ok, None),
                (State::Warning, Some("install namespaces")),
            ]
        );
    }

    #[test]
    fn a_desktop_says_what_it_lacks_and_a_server_lacks_nothing() {
        let states = |session| desktop(session).iter().map(|f| f.state).collect::<Vec<_>>();
        let session = |tray, notifications| {
            Ok(DesktopSession {
                tray,
                notifications,
            })
        };
        assert_eq!(states(Err("no bus".to_owned())), [State::Ok]);
        assert_eq!(states(session(true, true)), [State::Ok, State::Ok]);
        assert_eq!(states(session(false, true)), [State::Warning, State::Ok]);
        assert_eq!(states(session(true, false)), [State::Ok, State::Warning]);
    }

    #[test]
    fn what_full_does_without_is_no_warning() {
        let layers = [layer("namespaces", true), layer("bubblewrap", false)];
        let findings = sandbox("full", "full", &layers);
        assert!(findings.iter().all(|finding| finding.state == State::Ok));
        assert_eq!(findings[1].found, "layers: namespaces");
    }
}
