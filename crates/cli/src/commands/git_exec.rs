//! `deskhand git-exec`: the owner's own act in their own directory, so nothing is asked and nothing confined.
//!
//! What is not native becomes the installed git. A command that reads starts it with the programs switched off that a
//! repository names, since looking at a repository should start nothing; one that writes gets the owner's hooks and filters.

use std::{
    ffi::OsString,
    io::{IsTerminal as _, Write},
    process::Command,
    sync::atomic::AtomicBool,
};

use anyhow::Context as _;
use deskhand_git::{Environment, Exec, Input, Nature, OutputLimits, Request};

use crate::{args::GitExecArgs, context::Context, exit};

pub(crate) async fn run(context: &Context, args: GitExecArgs) -> anyhow::Result<u8> {
    let mut env: Environment = context
        .environment
        .iter()
        .filter(|(name, _)| Environment::is_relevant(name))
        .collect();
    if std::io::stdin().is_terminal() {
        env.set_terminal();
    }
    deskhand_git::init(&env);
    let mut argv = args.argv;
    if argv.first().is_none_or(|word| word != "git") {
        argv.insert(0, OsString::from("git"));
    }
    let request = Request {
        argv,
        cwd: std::env::current_dir().context("find the current directory")?,
        env,
        stdin: Some(Input::Process),
        within: None,
        limits: OutputLimits::default(),
    };
    let (answer, request) = tokio::task::spawn_blocking(move || {
        let answer = deskhand_git::exec(&request, &AtomicBool::new(false));
        (answer, request)
    })
    .await
    .context("run the git engine")?;
    match answer {
        Exec::Answer(answer) => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&answer.stdout)?;
            stdout.flush()?;
            // That nobody listens to standard error changes nothing.
            let _ = std::io::stderr().lock().write_all(&answer.stderr);
            if answer.omitted > 0 {
                context.out.talk(format!(
                    "deskhand: {} bytes were left out in the middle",
                    answer.omitted
                ));
            }
            Ok(answer.returncode.to_le_bytes()[0])
        }
        Exec::NotNative(not_native) if args.native_only => {
            context
                .out
                .talk(format!("deskhand: not native: {}", not_native.reason));
            Ok(exit::NOT_NATIVE)
        }
        Exec::NotNative(_) => become_git(real_git(&request)),
    }
}

fn real_git(request: &Request) -> Command {
    let mut git = Command::new("git");
    let reads = deskhand_git::nature(&request.argv) == Nature::Read;
    match deskhand_git::fallback_command(request) {
        Ok(quiet) if reads => {
            git.args(&quiet.argv[1..])
                .env_clear()
                .envs(quiet.env.iter());
        }
        // A program that the owner names in their own command is theirs to start.
        Ok(_) | Err(_) => {
            git.args(&request.argv[1..]);
        }
    }
    git
}

/// Puts git in the place of this process, so that terminal, standard input and signals are its own.
#[cfg(unix)]
fn become_git(mut git: Command) -> anyhow::Result<u8> {
    let failed = std::os::unix::process::CommandExt::exec(&mut git);
    Err(failed).context("start the installed git")
}

#[cfg(not(unix))]
fn become_git(mut git: Command) -> anyhow::Result<u8> {
    let status = git.status().context("start the installed git")?;
    Ok(status
        .code()
        .map_or(exit::FAILED, |code| code.to_le_bytes()[0]))
}
