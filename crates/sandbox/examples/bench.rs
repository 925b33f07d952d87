//! What confinement costs: the start-up of `true` each way, beside a plain spawn and bubblewrap alone, in turns.
//!
//! `cargo run --release -p deskhand-sandbox --features testing --example bench [ROUNDS [LAYERS…]]`; each of LAYERS is a row
//! of its own, tier full without them, like `skip:seccomp`. The helper must have been built
//! with the same profile and feature; it is looked for beside this program's directory.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use deskhand_sandbox::{Command, Limits, Network, Profile, Tier};

/// A way to run `true`, and how long each round took.
struct Row {
    name: String,
    start: Start,
    took: Vec<Duration>,
}

enum Start {
    /// By the standard library, in the environment of this process.
    Plain(&'static [&'static str]),
    /// By the helper, with these layers taken away.
    Helper(Tier, String),
}

const BUBBLEWRAP: &[&str] = &[
    "/usr/bin/bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--tmpfs",
    "/tmp",
    "--tmpfs",
    "/var/tmp",
    "--bind",
    "/usr",
    "/usr",
    "/bin/true",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = std::env::args()
        .nth(1)
        .map_or(Ok(300), |rounds| rounds.parse())?;
    let own = std::env::current_exe()?;
    let helper = own
        .parent()
        .and_then(Path::parent)
        .ok_or("no directory")?
        .join("deskhand-sandbox");
    let place = std::env::temp_dir()
        .canonicalize()?
        .join(format!("deskhand-bench-{}", std::process::id()));
    let (workspace, private_tmp) = (place.join("workspace"), place.join("tmp"));
    for dir in [&place, &workspace, &private_tmp] {
        std::fs::create_dir(dir)?;
    }
    // As much as a small project has.
    for number in 0..200 {
        std::fs::create_dir_all(workspace.join(format!("src/{}", number % 20)))?;
        std::fs::write(workspace.join(format!("src/{}/{number}", number % 20)), "")?;
    }

    let mut rows = [
        ("plain spawn", Start::Plain(&["/bin/true"])),
        ("sh -c true", Start::Plain(&["/bin/sh", "-c", "/bin/true"])),
        (
            "tier none",
            Start::Helper(Tier::None, "userns,bubblewrap,landlock".into()),
        ),
        (
            "tier reduced",
            Start::Helper(Tier::Reduced, "userns,bubblewrap".into()),
        ),
        ("tier full", Start::Helper(Tier::Full, "".into())),
        ("bubblewrap alone", Start::Plain(BUBBLEWRAP)),
        (
            "tier full by bubblewrap",
            Start::Helper(Tier::Full, "userns".into()),
        ),
    ]
    .map(|(name, start)| Row {
        name: name.into(),
        start,
        took: Vec::new(),
    })
    .into_iter()
    .chain(std::env::args().skip(2).map(|layers| Row {
        name: layers.clone(),
        start: Start::Helper(Tier::Full, layers),
        took: Vec::new(),
    }))
    .collect::<Vec<_>>();

    // In turns, so that whatever else the machine does falls on all of them alike.
    for _ in 0..rounds {
        for row in &mut rows {
            let started_at = Instant::now();
            match &row.start {
                Start::Plain(argv) => {
                    let mut command = tokio::process::Command::new(argv[0]);
                    let status = command
                        .args(&argv[1..])
                        .env_clear()
                        .stdin(std::process::Stdio::null())
                        .status()
                        .await?;
                    if !status.success() {
                        return Err(format!("{} ended with {status}", row.name).into());
                    }
                }
                Start::Helper(require, without) => {
                    let profile = Profile {
                        workspace: workspace.clone(),
                        writable: true,
                        git_writes: false,
                        network: Network::Off,
                        require: *require,
                        limits: Limits::default(),
                        hidden: deskhand_sandbox::default_hidden(Path::new("/root")),
                        private_tmp: private_tmp.clone(),
                    };
                    let command = Command {
                        argv: vec![OsString::from("/bin/true")],
                        cwd: workspace.clone(),
                        env: Vec::new(),
                        stdin: Vec::new(),
                    };
                    let mut child =
                        deskhand_sandbox::spawn_without(&helper, &profile, command, without)
                            .await?;
                    while child.next_output().await.is_some() {}
                    let exit = child.wait().await;
                    if exit.returncode != 0 || child.tier() != *require {
                        return Err(format!("{} ended with {exit:?}", row.name).into());
                    }
                }
            }
            row.took.push(started_at.elapsed());
        }
    }
    std::fs::remove_dir_all(&place)?;
    print(&mut rows);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's table")]
fn print(rows: &mut [Row]) {
    let at = |row: &Row, percent: usize| {
        row.took[(row.took.len() - 1) * percent / 100].as_secs_f64() * 1000.0
    };
    rows.iter_mut().for_each(|row| row.took.sort());
    let (base_p10, base_p50) = (at(&rows[0], 10), at(&rows[0], 50));
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "p10 ms", "p50 ms", "p99 ms", "p10 x", "p50 x"
    );
    for row in rows.iter() {
        let (p10, p50, p99) = (at(row, 10), at(row, 50), at(row, 99));
        println!(
            "{:<24} {p10:>8.2} {p50:>8.2} {p99:>8.2} {:>8.1} {:>8.1}",
            row.name,
            p10 / base_p10,
            p50 / base_p50
        );
    }
}
