//! Native answers against a spawned git, in one run and interleaved: `bench_git <repository>...`.
//!
//! Prints the median of each and their ratio. Without arguments it measures the current directory.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use deskhand_git::{Environment, Exec, OutputLimits, Request};

const CASES: &[&[&str]] = &[
    &["status"],
    &["status", "--porcelain"],
    &["status", "-uno"],
    &["log", "-n", "20"],
    &["log", "--oneline", "-n", "20"],
    &["diff"],
    &["diff", "--cached", "--stat"],
    &["show"],
    &["branch"],
    &["rev-parse", "HEAD"],
];

/// How long one case is measured for.
const TIME_PER_CASE: Duration = Duration::from_millis(1500);

fn main() -> std::io::Result<()> {
    let env: Environment = std::env::vars_os()
        .filter(|(name, _)| Environment::is_relevant(name))
        .collect();
    deskhand_git::init(&env);
    let mut directories: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if directories.is_empty() {
        directories.push(std::env::current_dir()?);
    }
    let mut out = std::io::stdout();
    for directory in directories {
        let directory = directory.canonicalize()?;
        writeln!(out, "{}", directory.display())?;
        writeln!(
            out,
            "  {:<28} {:>12} {:>12} {:>7} {:>6}",
            "case", "native ms", "git ms", "ratio", "runs"
        )?;
        for case in CASES {
            let argv = std::iter::once("git")
                .chain(case.iter().copied())
                .map(Into::into)
                .collect();
            let request = Request {
                argv,
                cwd: directory.clone(),
                env: env.clone(),
                stdin: None,
                within: None,
                limits: OutputLimits::default(),
            };
            let (mut native, mut spawned) = (Vec::new(), Vec::new());
            let begin = Instant::now();
            let mut handed_over = None;
            while begin.elapsed() < TIME_PER_CASE || native.len() < 3 {
                let start = Instant::now();
                if let Exec::NotNative(not) = deskhand_git::exec(&request, &AtomicBool::new(false))
                {
                    handed_over = Some(not.reason);
                    break;
                }
                native.push(start.elapsed());
                let start = Instant::now();
                Command::new("git")
                    .args(*case)
                    .current_dir(&directory)
                    .stdout(Stdio::null())
                    .status()?;
                spawned.push(start.elapsed());
            }
            let name = case.join(" ");
            if let Some(reason) = handed_over {
                writeln!(out, "  {name:<28} not native: {reason}")?;
                continue;
            }
            let (a, b) = (median(&mut native), median(&mut spawned));
            writeln!(
                out,
                "  {name:<28} {a:>12.3} {b:>12.3} {:>7.3} {:>6}",
                a / b,
                native.len()
            )?;
        }
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
        * 1000.0
}
