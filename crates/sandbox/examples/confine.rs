//! Runs one command as a task would run, to try by hand what is held and what works.
//!
//! `cargo run -p deskhand-sandbox --features testing --example confine -- [OPTIONS] WORKSPACE PROGRAM [ARGUMENTS…]`
//!
//! Options: `--require TIER`, `--without LAYERS`, `--hide PATH`, `--git-writes`, `--network`, `--seconds N`. The program's
//! output is passed on; how it ended is told on standard error as one line. The helper is looked for beside this program's
//! directory.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deskhand_sandbox::{
    Command, EnvironmentInputs, Limits, Network, Profile, Stream, Tier, base_environment,
    default_hidden,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or("/".into()));
    let mut hidden = default_hidden(&home);
    let (mut require, mut without, mut seconds) = (Tier::Full, String::new(), 600);
    let (mut git_writes, mut network) = (false, Network::Off);
    while let Some(option) = arguments.next_if(|word| word.to_string_lossy().starts_with("--")) {
        let mut value = || arguments.next().ok_or("an option without its value");
        match option.to_string_lossy().as_ref() {
            "--require" => {
                require = match value()?.to_string_lossy().as_ref() {
                    "full" => Tier::Full,
                    "reduced" => Tier::Reduced,
                    _ => Tier::None,
                }
            }
            "--without" => without = value()?.to_string_lossy().into_owned(),
            "--hide" => hidden.push(value()?.into()),
            "--seconds" => seconds = value()?.to_string_lossy().parse()?,
            "--git-writes" => git_writes = true,
            "--network" => network = Network::On,
            other => return Err(format!("no option {other}").into()),
        }
    }
    let workspace = Path::new(&arguments.next().ok_or("no workspace")?).canonicalize()?;
    let private_tmp = std::env::temp_dir()
        .canonicalize()?
        .join(format!("deskhand-confine-{}", std::process::id()));
    std::fs::create_dir(&private_tmp)?;
    let path: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let env = base_environment(&EnvironmentInputs {
        home: &home,
        user: "owner",
        path: &path,
        private_tmp: &private_tmp,
        network: &network,
        extra: &[],
        named_secrets: &[],
    });
    let profile = Profile {
        workspace: workspace.clone(),
        writable: true,
        git_writes,
        network,
        require,
        limits: Limits::default(),
        hidden,
        private_tmp: private_tmp.clone(),
    };
    let command = Command {
        argv: arguments.collect::<Vec<OsString>>(),
        cwd: workspace,
        env,
        stdin: Vec::new(),
    };
    let own = std::env::current_exe()?;
    let helper = own
        .parent()
        .and_then(Path::parent)
        .ok_or("no directory")?
        .join("deskhand-sandbox");
    let ended = run(&helper, &profile, command, &without, seconds).await;
    std::fs::remove_dir_all(&private_tmp)?;
    ended
}

#[expect(clippy::print_stderr, reason = "what the example has to say")]
async fn run(
    helper: &Path,
    profile: &Profile,
    command: Command,
    without: &str,
    seconds: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let began_at = Instant::now();
    let mut child = deskhand_sandbox::spawn_without(helper, profile, command, without).await?;
    let stopper = child.stopper();
    let timer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        stopper.stop(Duration::from_secs(2));
    });
    while let Some(chunk) = child.next_output().await {
        match chunk.stream {
            Stream::Stdout => std::io::stdout().write_all(&chunk.bytes)?,
            Stream::Stderr => std::io::stderr().write_all(&chunk.bytes)?,
        }
    }
    let exit = child.wait().await;
    timer.abort();
    eprintln!(
        "after {:.1?}, tier {}: {exit:?}",
        began_at.elapsed(),
        child.tier()
    );
    Ok(())
}
