//! The long runs of [`deskhand_tests::soak`] by themselves: `cargo xtask soak`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints what it saw and fails loudly"
)]

use std::time::Duration;

use clap::{Parser, Subcommand};
use deskhand_tests::{TestRepo, TestWatcher, program, relay_and_device, soak, watcher::kinds};
use serde_json::json;

/// Run long or hostile runs over the real programs
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    run: Option<Run>,
}

#[derive(Debug, Subcommand)]
enum Run {
    /// A relay that restarts at random moments under load
    Restarts {
        /// How often
        #[arg(long, default_value_t = 50)]
        times: u32,
        /// How many watch
        #[arg(long, default_value_t = 20)]
        watchers: usize,
    },
    /// Malformed frames and bodies
    Malformed {
        /// How many
        #[arg(long, default_value_t = 100_000)]
        messages: u32,
    },
    /// A task that says nothing for longer than anybody may be silent
    Quiet,
    /// A relay and a device until standard input ends; prints where they are, and a key
    Serve,
}

#[tokio::main]
async fn main() {
    match Args::parse().run {
        Some(Run::Restarts { times, watchers }) => restarts(times, watchers).await,
        Some(Run::Malformed { messages }) => malformed(messages).await,
        Some(Run::Quiet) => quiet().await,
        Some(Run::Serve) => serve().await,
        None => {
            restarts(50, 20).await;
            malformed(100_000).await;
            quiet().await;
        }
    }
}

async fn restarts(times: u32, watchers: usize) {
    let seen = soak::restarts(times, watchers).await;
    println!("{times} restarts, {watchers} watchers: nothing missing, nothing twice; {seen:?}");
}

async fn malformed(messages: u32) {
    let grew = soak::malformed(messages).await;
    println!("{messages} malformed messages: no failure; resident memory {grew:+} bytes");
    assert!(grew < 20 * 1024 * 1024, "it grew by {grew} bytes");
}

async fn quiet() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut watcher = TestWatcher::subscribed(&caller, "desk", json!({"task_id": "quiet"})).await;
    let mut stream = {
        caller.shell_async("quiet", json!(["sleep", "70"])).await;
        TestWatcher::open(&caller, "/ws/tasks/quiet").await
    };
    let end = tokio::time::timeout(Duration::from_secs(120), async {
        let mut all = vec![watcher.hear_within(Duration::from_secs(90)).await];
        while all.last().unwrap()["type"] != "task_completed" {
            all.push(watcher.hear_within(Duration::from_secs(90)).await);
        }
        all
    });
    let all = end.await.unwrap();
    let mut said = kinds(&all);
    said.dedup();
    assert_eq!(
        said,
        ["task_queued", "task_started", "progress", "task_completed"]
    );
    assert_eq!(stream.closed().await, 1000);
    println!(
        "a quiet task of 70 s: {} entries, nobody was closed",
        all.len()
    );
}

async fn serve() {
    let (relay, device, caller) = relay_and_device().await;
    caller.echo("one", "x").await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    let devices = caller.get("/api/devices").await.body;
    let said = json!({
        "url": relay.url(),
        "key": caller.key(),
        "device": devices["devices"][0]["device_id"],
        "repository": repo.dir(),
        "home": device.home(),
        "program": program("deskhand"),
    });
    println!("{said}");
    let mut line = String::new();
    // Ends with who started it.
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
}
