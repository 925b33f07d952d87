//! Measures Deskhand beside what it is compared with, in the same run, in turns.
//!
//! A round asks each contender a number of times, then the next; the figures are of all rounds
//! together. Machines are noisy and differ: read the ratios, not the times.
//!
//! `floor` is the least a relay can do: an axum handler that passes a text through a WebSocket to a
//! loop that sends it back, in one process as `deskhand up` is one. `git status` and `echo` are bare
//! processes, and `fsync` is a small write with a flush to the disk the store lies on.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures and fails loudly"
)]

mod approvals;
mod audit;
mod figures;
mod floor;
mod idle;
mod load;
mod mcp;
mod startup;
mod timeline;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Parser, Subcommand};
use deskhand_tests::{Program, TestCaller, TestRepo};
use figures::Figures;
use load::Contender;

/// Measure Deskhand beside what it is compared with
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    /// How many rounds
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// How long each contender is asked per round and concurrency, in milliseconds
    #[arg(long, default_value_t = 300)]
    slice: u64,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Answers per second and how long they take (the default)
    Tasks,
    /// Time to be ready, time to be back after a kill, resident memory
    Startup,
    /// Memory of an idle device connection in the relay
    Idle {
        /// How many connections
        #[arg(long, default_value_t = 1_000)]
        devices: u32,
    },
    /// How long watchers of a timeline wait, and how long a page of it takes
    Timeline {
        /// How many tasks each figure is of
        #[arg(long, default_value_t = 200)]
        tasks: u32,
        /// How many entries the timeline has when pages are asked for
        #[arg(long, default_value_t = 100_000)]
        entries: u32,
    },
    /// What the door for MCP clients adds to the webhook's git status
    Mcp,
    /// How long a question takes to reach a watcher, and its answer to take effect
    Approvals {
        /// How many questions
        #[arg(long, default_value_t = 100)]
        questions: u32,
    },
    /// How long a long audit trail takes to be verified
    Audit {
        /// How many rows
        #[arg(long, default_value_t = 100_000)]
        rows: u32,
    },
    /// The floor itself, in a process of its own
    #[command(hide = true)]
    Floor,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    match args.command {
        None | Some(BenchCommand::Tasks) => {
            tasks(args.rounds, Duration::from_millis(args.slice)).await
        }
        Some(BenchCommand::Startup) => startup::measure(args.rounds).await,
        Some(BenchCommand::Idle { devices }) => idle::measure(devices).await,
        Some(BenchCommand::Timeline { tasks, entries }) => timeline::measure(tasks, entries).await,
        Some(BenchCommand::Approvals { questions }) => approvals::measure(questions).await,
        Some(BenchCommand::Audit { rows }) => audit::measure(rows).await,
        Some(BenchCommand::Mcp) => mcp::measure(args.rounds).await,
        Some(BenchCommand::Floor) => floor::serve().await,
    }
}

/// `deskhand up` in a home of its own, with a small repository as its workspace.
struct Up {
    /// Holds the home and, beside it, the repository.
    root: tempfile::TempDir,
    _program: Program,
    caller: TestCaller,
    url: String,
}

async fn up() -> Up {
    let root = tempfile::tempdir().unwrap();
    let repo = repository(root.path());
    let home = root.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let args = [
        "up",
        "--listen",
        "127.0.0.1:0",
        "--workspace",
        repo.to_str().unwrap(),
    ];
    let (program, ready) = Program::start(&home, args).await;
    let url = ready["relay_url"].as_str().unwrap().to_owned();
    let caller = TestCaller::new(&url, ready["api_key"].as_str().unwrap());
    Up {
        root,
        _program: program,
        caller,
        url,
    }
}

fn repository(root: &Path) -> PathBuf {
    let dir = root.join("repository");
    let repo = TestRepo::dirty(&dir);
    for n in 0..12 {
        repo.write(&format!("src/module_{n}.rs"), "pub fn f() {}\n");
    }
    repo.git(&["add", "."]);
    repo.git(&["commit", "--quiet", "--message=More"]);
    repo.write("notes.txt", "changed\n");
    dir
}

async fn tasks(rounds: u32, slice: Duration) {
    let up = up().await;
    let floor = floor::start();
    let repo = up.root.path().join("repository");
    let contenders = [
        Contender::floor(&floor.url),
        Contender::echo(&up),
        Contender::git_status(&up),
        Contender::shell_echo(&up),
        Contender::bare("bare git status", &["git", "status"], &repo),
        Contender::bare("bare echo", &["/bin/echo", "hello"], &repo),
        Contender::fsync(up.root.path()),
    ];
    let mut figures = Figures::default();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for concurrency in [1, 8, 64] {
            for contender in &contenders {
                if contender.is_serial() && concurrency > 1 {
                    continue;
                }
                let taken = load::run(contender, concurrency, slice).await;
                figures.add(contender.name(), concurrency, taken, slice);
            }
        }
    }
    figures.print_table();
    figures.print_ratios();
}
