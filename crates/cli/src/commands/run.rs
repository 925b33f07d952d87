//! `deskhand run`.

use std::time::Duration;

use anyhow::Context as _;
use deskhand_client::Error;
use deskhand_protocol::{
    Action, Command, DeviceId, TaskRequest,
    task::{GitAction, OnOffline, ShellAction, TimeoutSeconds},
};

use crate::{
    args::RunArgs,
    commands::follow::{self, Followed, Show},
    context::Context,
    exit::{self, UsageError},
};

pub(crate) async fn run(context: &Context, args: RunArgs) -> anyhow::Result<u8> {
    let out = context.out;
    let relay = context.relay(&args.relay).await?;
    let request = request(&args, relay.this_device.as_ref())?;
    let task = relay.client.submit(&request).await?;
    if args.detach {
        if out.is_json() {
            out.json(&task)?;
        } else {
            out.talk(format!("Follow it: deskhand tasks watch {}", task.task_id));
            out.line(task.task_id.to_string())?;
        }
        return Ok(exit::OK);
    }
    // JSON is one value on standard output: the task as it ended, so nothing else is written there.
    let show = if out.is_json() {
        Show::Nothing
    } else {
        Show::Output
    };
    let wait = args.wait.map(Duration::from_secs);
    let followed = follow::follow(&relay.client, out, task.uid, show, wait).await;
    if let Err(error) = &followed
        && error
            .downcast_ref::<Error>()
            .is_some_and(Error::is_unreachable)
    {
        out.talk(format!(
            "The task runs on: deskhand tasks watch {}",
            task.task_id
        ));
    }
    let followed = followed?;
    if out.is_json() {
        match &followed {
            Followed::Ended(view) | Followed::Interrupted(view) => out.json(view)?,
            Followed::Left(_) => out.json(&relay.client.task(&task.uid.to_string()).await?)?,
        }
        return Ok(followed.code());
    }
    Ok(follow::conclude(out, &followed))
}

fn request(args: &RunArgs, this_device: Option<&DeviceId>) -> anyhow::Result<TaskRequest> {
    let is_here = match (&args.device, this_device) {
        (None, _) => true,
        (Some(device), Some(this)) => device == this.as_str(),
        (Some(_), None) => false,
    };
    let working_dir = match &args.cwd {
        // Where a path leads is for the computer it is on to say.
        Some(dir) if is_here => Some(absolute(dir.as_ref())?),
        Some(dir) => Some(dir.clone()),
        None if is_here && this_device.is_some() => Some(absolute(
            &std::env::current_dir().context("find the current directory")?,
        )?),
        None => None,
    };
    let mut action = action(args.line.as_deref(), &args.argv, working_dir, args.timeout)?;
    match &mut action {
        Action::Shell(shell) => {
            shell.network.clone_from(&args.network);
            (shell.git_writes, shell.read_only) = (args.git_writes, args.read_only);
        }
        Action::Git(git) => git.read_only = args.read_only,
        Action::Echo(_) => {}
    }
    let mut request = TaskRequest::new(action);
    request.task_id = args.task_id.clone();
    request.title = args.title.clone();
    request.device = match (&args.device, this_device) {
        (Some(device), _) => Some(device.clone()),
        (None, this) => this.map(ToString::to_string),
    };
    request.on_offline = Some(if args.detach {
        OnOffline::Queue
    } else {
        OnOffline::Fail
    });
    Ok(request)
}

/// `git …` becomes a git action, everything else a shell action.
pub(super) fn action(
    line: Option<&str>,
    argv: &[String],
    working_dir: Option<String>,
    timeout: Option<u32>,
) -> anyhow::Result<Action> {
    let timeout = match timeout {
        Some(seconds) => {
            TimeoutSeconds::try_from(seconds).map_err(|rule| UsageError(rule.to_owned()))?
        }
        None => TimeoutSeconds::default(),
    };
    let command = match line {
        Some(line) => Command::Line(line.to_owned()),
        None => Command::Argv(argv.to_vec()),
    };
    if line.is_none() && argv.first().is_some_and(|program| program == "git") {
        return Ok(Action::Git(GitAction {
            command,
            working_dir,
            timeout,
            read_only: false,
        }));
    }
    Ok(Action::Shell(ShellAction {
        command,
        working_dir,
        timeout,
        stdin: None,
        network: Vec::new(),
        git_writes: false,
        read_only: false,
    }))
}

/// Returns a directory as the agent finds it, which has another current one.
pub(super) fn absolute(dir: &std::path::Path) -> anyhow::Result<String> {
    let dir = std::path::absolute(dir)
        .with_context(|| format!("find the directory `{}`", dir.display()))?;
    dir.into_os_string()
        .into_string()
        .map_err(|dir| UsageError(format!("the directory {dir:?} is not UTF-8")).into())
}
