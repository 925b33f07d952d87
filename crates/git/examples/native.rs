//! Answers one git command natively, like `git` itself: `native status -s`. Exits 120 when it is not native.

use std::io::Write as _;
use std::sync::atomic::AtomicBool;

use deskhand_git::{Environment, Exec, Input, OutputLimits, Request};

fn main() -> std::io::Result<()> {
    let env: Environment = std::env::vars_os()
        .filter(|(name, _)| Environment::is_relevant(name))
        .collect();
    deskhand_git::init(&env);
    let argv = std::iter::once("git".into())
        .chain(std::env::args_os().skip(1))
        .collect();
    let request = Request {
        argv,
        cwd: std::env::current_dir()?,
        env,
        stdin: Some(Input::Process),
        within: None,
        limits: OutputLimits::default(),
    };
    let code = match deskhand_git::exec(&request, &AtomicBool::new(false)) {
        Exec::Answer(answer) => {
            std::io::stdout().write_all(&answer.stdout)?;
            std::io::stderr().write_all(&answer.stderr)?;
            answer.returncode
        }
        Exec::NotNative(not) => {
            writeln!(std::io::stderr(), "not native: {}", not.reason)?;
            120
        }
    };
    std::process::exit(code)
}
