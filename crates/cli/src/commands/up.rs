//! `deskhand up`.

use std::{
    fs::OpenOptions,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use deskhand_host::{
    Identity, Instance, InstanceError, Options, Parts, Ready,
    config::Flag,
    files, leave_terminal,
    logging::{self, ToStderr},
    start,
};
use deskhand_protocol::{
    Timestamp,
    device_request::{DeviceRequest, DeviceResponse, DeviceStatus},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::UpArgs,
    context::{Context, flag},
    exit,
    out::Out,
};

pub(crate) async fn run(context: &Context, args: UpArgs) -> anyhow::Result<u8> {
    if args.detach {
        return detach(context, &args).await;
    }
    if args.detached {
        leave_terminal().context("leave the terminal")?;
    }
    let mut flags: Vec<Flag> = Vec::new();
    flags.extend(
        args.listen
            .map(|addr| flag("relay.listen", "--listen", addr)),
    );
    flags.extend(
        args.relay
            .iter()
            .map(|url| flag("relay.url", "--relay", url)),
    );
    let config = context.config(&flags)?;
    let parts = match config.relay_url.value.as_str() {
        "" => Parts::Both,
        url => Parts::Agent(Some(url.to_owned())),
    };
    let stay = Stay {
        flags,
        parts,
        announce: Announce::of(&args),
        logs_to_stderr: if args.detached {
            ToStderr::No
        } else {
            ToStderr::Yes
        },
        workspaces: args.workspace,
        ready_file: args.ready_file,
        new_identity: args.new_identity,
    };
    stay.run(context).await
}

/// A process that stays: what it runs, and what it says when it can.
pub(crate) struct Stay {
    pub(crate) flags: Vec<Flag>,
    pub(crate) parts: Parts,
    pub(crate) workspaces: Vec<PathBuf>,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) new_identity: bool,
    pub(crate) announce: Announce,
    pub(crate) logs_to_stderr: ToStderr,
}

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

impl Stay {
    /// Runs until it is told to end, and ends in order.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<u8> {
        let out = context.out;
        let config = context.config(&self.flags)?;
        context.dirs.create()?;
        logging::start(&config, &context.dirs.log_file(), self.logs_to_stderr)?;
        let mut told_to_end = Signals::new()?;
        let mut running = tokio::select! {
            running = start(Options {
                dirs: context.dirs.clone(),
                environment: context.environment.clone(),
                config,
                parts: self.parts.clone(),
                workspaces: self.workspaces.clone(),
                new_identity: self.new_identity,
            }) => running?,
            () = told_to_end.any() => return Ok(exit::OK),
        };
        if running.is_first() {
            out.talk(format!(
                "First start: keys made, kept in {}.",
                running.vault()
            ));
        }
        let status = tokio::select! {
            status = running.until_ready(|waits_for| {
                if !waits_for.is_empty() {
                    out.talk(format!("Waiting: {waits_for}."));
                }
            }) => status,
            () = told_to_end.any() => {
                running.stop().await;
                return Ok(exit::OK);
            }
        };
        let ready = running.ready();
        let may_show_key = self.announce.may_show_key(running.is_first());
        let announced = self
            .write_ready_file(&ready)
            .and_then(|()| announce(out, self.announce, &ready, status.as_ref(), may_show_key));
        if let Err(error) = announced {
            running.stop().await;
            return Err(error);
        }
        let broken = tokio::select! {
            error = running.broken() => Some(error),
            () = told_to_end.any() => None,
        };
        if let Some(error) = broken {
            return Err(error).context("keep the relay listening");
        }
        out.talk("Stopping.");
        running.stop().await;
        // A script that reads it later must not take it for the running one.
        if let Some(file) = &self.ready_file {
            let _ = std::fs::remove_file(file);
        }
        Ok(exit::OK)
    }

    fn write_ready_file(&self, ready: &Ready) -> anyhow::Result<()> {
        let Some(file) = &self.ready_file else {
            return Ok(());
        };
        ready
            .write(file)
            .with_context(|| format!("write the ready file `{}`", file.display()))
    }
}

impl Announce {
    fn of(args: &UpArgs) -> Self {
        // What the process that stays prints goes into a file; the one that started it has the word.
        match args {
            UpArgs { detached: true, .. } => Announce::Address,
            UpArgs { show_key: true, .. } => Announce::CurlWithKey,
            UpArgs { .. } => Announce::Curl,
        }
    }

    /// A key is shown to a person, to whoever starts for the first time, and to whoever asks; not to
    /// every log that standard output happens to go into.
    fn may_show_key(self, is_first: bool) -> bool {
        match self {
            Announce::CurlWithKey => true,
            Announce::Curl => is_first || std::io::stdout().is_terminal(),
            Announce::Address => false,
        }
    }
}

fn announce(
    out: Out,
    what: Announce,
    ready: &Ready,
    status: Option<&DeviceStatus>,
    may_show_key: bool,
) -> anyhow::Result<()> {
    if out.is_json() {
        let key = ready.api_key.clone().filter(|_| may_show_key);
        out.json(&Ready {
            api_key: key,
            ..ready.clone()
        })?;
        return Ok(());
    }
    out.talk(format!("Relay at {}.", ready.relay_url));
    if let Some(status) = status {
        tell_device(out, status);
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
        out.line(curl_line(&ready.relay_url, key, status))?;
    }
    Ok(())
}

/// Says what can be done here, and plainly how well it is confined.
fn tell_device(out: Out, status: &DeviceStatus) {
    out.talk(format!("{} is ready.", status.device_name));
    if status.sandbox_require == "none" {
        out.talk(format!(
            "Tasks are not confined yet: sandbox.require is `none`; this machine can enforce `{}`.",
            status.sandbox_tier
        ));
    } else {
        out.talk(format!(
            "Tasks are confined: `{}` is required, this machine can enforce `{}`.",
            status.sandbox_require, status.sandbox_tier
        ));
    }
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
fn curl_line(relay_url: &str, key: &str, status: Option<&DeviceStatus>) -> String {
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
    // A name is good for one command a day, and another workspace is another command.
    let name = format!("try-{}", Timestamp::now().as_second());
    let body = format!(
        r#"{{"type":"task_command","sync":true,"data":{{"task_id":"{name}","action_type":"{action}","params":{{"command":{command},"working_dir":{path}}}}}}}"#
    );
    let body = body.replace('\'', r"'\''");
    format!(
        "curl -sS {relay_url}/webhook -H \"X-API-Key: {key}\" -H 'Content-Type: application/json' -d '{body}'"
    )
}

/// TERM and INT, heard from the moment this is made.
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate()).context("listen for TERM")?,
            int: signal(SignalKind::interrupt()).context("listen for INT")?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// How often the process that stays is asked whether it is ready.
const LOOK: Duration = Duration::from_millis(20);

/// Starts this program again, without `--detach`, and returns once that one is ready.
async fn detach(context: &Context, args: &UpArgs) -> anyhow::Result<u8> {
    let out = context.out;
    context.dirs.create()?;
    if let Some(pid) = Instance::running(&context.dirs)? {
        bail!(InstanceError::Running { pid: Some(pid) });
    }
    let is_first = Identity::load(&context.dirs)?.secrets.is_none();
    // What the process that stays says goes into a file: this terminal may be gone by then.
    let said = context.dirs.log_file().with_file_name("up.out");
    let ready_file = match &args.ready_file {
        Some(file) => std::path::absolute(file).context("find the ready file")?,
        None => context.dirs.data().join("ready.json"),
    };
    match std::fs::remove_file(&ready_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("remove the ready file of an earlier start");
        }
        _ => {}
    }
    files::write_private(&said, b"").context("make the file for what it says")?;
    let mut child = start_again(context, args, &ready_file, &said)?;
    while !ready_file.exists() {
        if let Some(status) = child.try_wait()? {
            out.talk(
                std::fs::read_to_string(&said)
                    .unwrap_or_default()
                    .trim_end(),
            );
            bail!("start the process that stays: it ended with {status}");
        }
        tokio::time::sleep(LOOK).await;
    }
    let ready = Ready::read(&ready_file).context("read the ready file")?;
    let status = match context.control().device(DeviceRequest::Status).await? {
        DeviceResponse::Status(status) => Some(status),
        _ => None,
    };
    let what = Announce::of(args);
    out.talk(format!(
        "Running as process {}; stop it with `deskhand down`.",
        ready.pid
    ));
    announce(
        out,
        what,
        &ready,
        status.as_ref(),
        what.may_show_key(is_first),
    )?;
    Ok(exit::OK)
}

/// Re-executing oneself is the one process that is not the sandbox's to start.
fn start_again(
    context: &Context,
    args: &UpArgs,
    ready_file: &Path,
    said: &Path,
) -> anyhow::Result<Child> {
    let mut again = Command::new(std::env::current_exe().context("find this program")?);
    if context.dirs.is_explicit() {
        again.arg("--home").arg(context.dirs.data());
    }
    again
        .args(["up", "--detached", "--ready-file"])
        .arg(ready_file);
    for workspace in &args.workspace {
        again.arg("--workspace").arg(workspace);
    }
    if let Some(addr) = args.listen {
        again.arg("--listen").arg(addr.to_string());
    }
    if let Some(url) = &args.relay {
        again.arg("--relay").arg(url);
    }
    if args.new_identity {
        again.arg("--new-identity");
    }
    let sink = OpenOptions::new().append(true).open(said)?;
    again
        .stdin(Stdio::null())
        .stdout(sink.try_clone()?)
        .stderr(sink)
        .spawn()
        .context("start the process that stays")
}
