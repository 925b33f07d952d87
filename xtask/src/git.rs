//! The native git against the real one: the comparing tests as a chore, and the benchmark with its repositories.
//!
//! Writes only below `target/`. Waits on cargo and git.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::run;

/// Runs the comparing tests and prints how many answers are git's, by tier and subcommand.
///
/// Fails when they are below the bar. With `all` every argv is tried in every state, otherwise a part.
pub(crate) fn conformance(all: bool) -> Result<ExitCode> {
    let report = run::target_dir().join("git-conformance");
    let writes = run::target_dir().join("git-conformance.writes");
    for file in [&report, &writes] {
        let _ = std::fs::remove_file(file);
    }
    let mut tests = run::cargo([
        "test",
        "-p",
        "deskhand-git",
        "--test",
        "differential",
        "--test",
        "writes",
        "--no-fail-fast",
    ]);
    tests
        .env("DESKHAND_GIT_REPORT", &report)
        .stdout(Stdio::null());
    if all {
        tests.env("DESKHAND_GIT_ALL", "1");
    }
    let status = tests.status().context("start the comparing tests")?;
    for (what, file) in [("what reads", &report), ("what writes", &writes)] {
        let Ok(text) = std::fs::read_to_string(file) else {
            println!("{what}: nothing was compared; git 2.47 is needed (DESKHAND_GIT or PATH)");
            continue;
        };
        let table = ["tier 1 without", "tier  verb"]
            .iter()
            .find_map(|start| text.find(start))
            .unwrap_or(0);
        println!(
            "{what} (all differences are in {}):\n{}",
            file.display(),
            &text[table..]
        );
    }
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures native answers against a spawned git on three repositories, which are made when they are not there.
pub(crate) fn bench() -> Result<ExitCode> {
    let root = run::target_dir().join("bench-git");
    std::fs::create_dir_all(&root).context("make a folder for the repositories")?;
    let shapes = [
        (
            "small",
            Shape {
                files: 15,
                commits: 30,
            },
        ),
        (
            "long-history",
            Shape {
                files: 5_000,
                commits: 20_000,
            },
        ),
        (
            "many-files",
            Shape {
                files: 80_000,
                commits: 3,
            },
        ),
    ];
    let mut repositories = Vec::new();
    for (name, shape) in shapes {
        let dir = root.join(name);
        if !dir.join(".git/ready").exists() {
            println!("making {} ({} files)", dir.display(), shape.files);
            generate(&dir, &shape).with_context(|| format!("make {}", dir.display()))?;
        }
        repositories.push(dir);
    }
    let bench = [
        "run",
        "--release",
        "-p",
        "deskhand-git",
        "--example",
        "bench_git",
        "--",
    ];
    run::run(run::cargo(bench).args(&repositories))?;
    Ok(ExitCode::SUCCESS)
}

struct Shape {
    files: usize,
    commits: usize,
}

/// Makes a repository of a shape; the same every time.
fn generate(dir: &Path, shape: &Shape) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).context("remove what was begun")?;
    }
    let git = |args: &[&str]| {
        let mut command = run::command("git");
        command.arg("-C").arg(dir).args(args);
        command
    };
    run::run(
        run::command("git")
            .args(["init", "-q", "-b", "main"])
            .arg(dir),
    )?;
    let mut import = git(&["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .context("start git fast-import")?;
    let input = import.stdin.take().context("write to git fast-import")?;
    write_history(BufWriter::new(input), shape).context("write the history")?;
    if !import.wait().context("wait for git fast-import")?.success() {
        bail!("git fast-import failed");
    }
    run::run(&mut git(&["reset", "-q", "--hard", "main"]))?;
    std::fs::write(dir.join(".git/ready"), "").context("note that it is whole")
}

fn write_history(mut out: impl Write, shape: &Shape) -> std::io::Result<()> {
    for commit in 0..shape.commits {
        let time = 1_500_000_000 + commit * 600;
        let message = format!("change number {commit}\n");
        writeln!(out, "commit refs/heads/main")?;
        writeln!(out, "committer Bench <bench@example.org> {time} +0000")?;
        write!(out, "data {}\n{message}", message.len())?;
        // The first commit has every file; each later one changes two.
        let (from, to) = if commit == 0 {
            (0, shape.files)
        } else {
            let first = commit * 7919 % shape.files;
            (first, (first + 2).min(shape.files))
        };
        for file in from..to {
            let content: String = (0..20)
                .map(|line| format!("line {line} of file {file} since {}\n", commit * (line % 3)))
                .collect();
            writeln!(out, "M 100644 inline {}", path_of(file).display())?;
            write!(out, "data {}\n{content}", content.len())?;
        }
    }
    out.flush()
}

fn path_of(file: usize) -> PathBuf {
    PathBuf::from(format!(
        "src/part{}/dir{}/file{file}.txt",
        file % 40,
        file / 40 % 20
    ))
}
