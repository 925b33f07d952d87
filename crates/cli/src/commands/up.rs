//! `deskhand up`.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use deskhand_host::{
    Identity, Instance, InstanceError, Parts, Ready, config::Flag, files, leave_terminal,
    logging::ToStderr,
};
use deskhand_protocol::device_request::{DeviceRequest, DeviceResponse};

use crate::{
    args::UpArgs,
    commands::{
        announce::{Announce, announce},
        stay::Stay,
    },
    context::{Context, flag},
    exit,
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
