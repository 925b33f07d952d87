//! `deskhand git-exec`: the owner's own act in their own directory, so nothing is asked.

use std::{ffi::OsString, io::Write, sync::atomic::AtomicBool};

use anyhow::Context as _;
use deskhand_git::{Environment, Exec, OutputLimits, Request};

use crate::{args::GitExecArgs, context::Context, exit};

pub(crate) async fn run(context: &Context, args: GitExecArgs) -> anyhow::Result<u8> {
    let env: Environment = context
        .environment
        .iter()
        .filter(|(name, _)| Environment::is_relevant(name))
        .collect();
    deskhand_git::init(&env);
    let mut argv = args.argv;
    if argv.first().is_none_or(|word| word != "git") {
        argv.insert(0, OsString::from("git"));
    }
    let request = Request {
        argv,
        cwd: std::env::current_dir().context("find the current directory")?,
        env,
        stdin: None,
        within: None,
        limits: OutputLimits::default(),
    };
    let answer =
        tokio::task::spawn_blocking(move || deskhand_git::exec(&request, &AtomicBool::new(false)))
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
        Exec::NotNative(not_native) => {
            context
                .out
                .talk(format!("deskhand: not native: {}", not_native.reason));
            Ok(exit::NOT_NATIVE)
        }
    }
}
