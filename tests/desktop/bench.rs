//! Measures the desktop application on a real desktop: its memory beside an empty Tauri tray, in turns, and how
//! long a question takes to its notification beside a bare notification.
//!
//! Memory is what Linux counts as the proportional set size of a process and all it started: a page that two
//! share counts half. Run by `cargo xtask bench desktop`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its figures and fails loudly"
)]

#[allow(dead_code, reason = "the tests ask for more")]
mod app;
#[allow(dead_code, reason = "the tests ask for more")]
mod screen;
#[allow(dead_code, reason = "the tests ask for more")]
mod session;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use clap::Parser;
use deskhand_tests::eventually;
use serde_json::json;
use zbus::zvariant::Value;

use crate::{
    app::{App, Icon, deskhand},
    screen::Screen,
    session::Session,
};

const TITLE: &str = "^Deskhand$";

/// Memory that changes by less than this within [`CALM`] has settled.
const SETTLED_MIB: f64 = 0.5;
const CALM: Duration = Duration::from_secs(10);

/// Measure the desktop application
#[derive(Debug, Parser)]
struct Args {
    /// How many rounds
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How many questions and bare notifications
    #[arg(long, default_value_t = 50)]
    questions: u32,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let (mut empty, mut hidden, mut closed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        empty.push(empty_tray().await);
        hidden.push(tray_only().await);
        closed.push(window_closed().await);
    }
    let (empty, hidden, closed) = (median(empty), median(hidden), median(closed));
    println!("an empty tray              {empty:7.1} MiB");
    println!(
        "tray only                  {hidden:7.1} MiB, {:+.1} above it",
        hidden - empty
    );
    println!("window closed after use    {closed:7.1} MiB");
    let (bare, asked) = notifications(args.questions).await;
    print_times("a bare notification", &bare);
    print_times("asked for, question shown", &asked);
}

async fn empty_tray() -> f64 {
    let session = Session::full().await;
    let program = deskhand_tests::program("deskhand-app");
    let mut empty = Ended(
        session
            .command(program.with_file_name("examples/empty-tray"))
            .spawn()
            .unwrap(),
    );
    Icon::find(&session).await;
    let memory = settled(empty.0.id()).await;
    empty.0.kill().unwrap();
    memory
}

async fn tray_only() -> f64 {
    let session = Session::full().await;
    let app = App::start(&session, &["--hidden"]).await;
    Icon::find(&session).await.until_tooltip("connected").await;
    settled(app.pid()).await
}

/// Uses the window as a person does, for a while, and closes it.
async fn window_closed() -> f64 {
    let session = Session::full().await;
    let app = App::start(&session, &[]).await;
    session.until_windows(TITLE, 1).await;
    session.until_painted().await;
    for n in 0..20 {
        let line = "for n in $(seq 2000); do echo line $n; done";
        let command = json!(["sh", "-c", line]);
        app.caller.shell(&format!("used-{n}"), command).await;
    }
    settled(app.pid()).await;
    session.close(TITLE).await;
    session.until_windows(TITLE, 0).await;
    settled(app.pid()).await
}

/// A child that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the memory of a process and of all it started has settled, and returns it in MiB.
async fn settled(pid: u32) -> f64 {
    let mut began = Instant::now();
    let mut before = memory(pid);
    while began.elapsed() < CALM {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = memory(pid);
        if (now - before).abs() > SETTLED_MIB {
            (began, before) = (Instant::now(), now);
        }
    }
    memory(pid)
}

fn memory(root: u32) -> f64 {
    let parents: HashMap<u32, u32> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(path.join("stat")).ok()?;
            // The name may hold anything; after it comes the state, then the parent.
            let (_, rest) = stat.rsplit_once(") ")?;
            Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let is_of = |mut pid: u32| loop {
        match parents.get(&pid) {
            _ if pid == root => return true,
            Some(parent) => pid = *parent,
            None => return false,
        }
    };
    let kib: u64 = parents
        .keys()
        .filter(|pid| is_of(**pid))
        .filter_map(|pid| pss_kib(*pid))
        .sum();
    kib as f64 / 1024.0
}

fn pss_kib(pid: u32) -> Option<u64> {
    let rollup =
        std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/smaps_rollup"))).ok()?;
    let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Shows bare notifications and asks questions, in turns; returns how long each took to be shown.
async fn notifications(n: u32) -> (Vec<Duration>, Vec<Duration>) {
    let session = Session::full().await;
    let screen = Screen::of(&session).await;
    let app = App::start(&session, &["--hidden"]).await;
    ask_at(&session, &session.path("workspace"));
    let bus = session.bus().await;
    let (mut bare, mut asked) = (Vec::new(), Vec::new());
    for n in 0..n {
        let name = format!("question-{n}");
        let hints: HashMap<&str, Value<'_>> = HashMap::new();
        let actions: [&str; 0] = [];
        let call = (
            "bench",
            0u32,
            "",
            "Bare",
            name.as_str(),
            &actions[..],
            hints,
            -1i32,
        );
        let server = "org.freedesktop.Notifications";
        let began = Instant::now();
        bus.call_method(
            Some(server),
            "/org/freedesktop/Notifications",
            Some(server),
            "Notify",
            &call,
        )
        .await
        .unwrap();
        bare.push(began.elapsed());

        let began = Instant::now();
        app.caller
            .shell_async(&name, json!(["true", format!("<{name}>")]))
            .await;
        let shown = screen
            .until_shown("May this run?", &format!("{name}&gt;"))
            .await;
        asked.push(shown.at - began);
        let path = format!("/api/tasks/{name}/approval");
        let answer = json!({"answer": "no"});
        app.caller
            .call(reqwest::Method::POST, &path, Some(&answer), &[])
            .await;
        eventually("the question is taken back", || async {
            let is_shown = screen.shown().iter().any(|one| one.id == shown.id);
            (!is_shown).then_some(())
        })
        .await;
    }
    (bare, asked)
}

fn ask_at(session: &Session, workspace: &Path) {
    let args = [
        "workspaces",
        "add",
        workspace.to_str().unwrap(),
        "--level",
        "ask",
    ];
    let (said, done) = deskhand(session, &args);
    assert!(done, "{said}");
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn print_times(what: &str, times: &[Duration]) {
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times[((times.len() - 1) as f64 * q).round() as usize];
    println!(
        "{what:<26} {:7.1} ms median, {:.1} ms at 99 of 100",
        at(0.5),
        at(0.99)
    );
}
