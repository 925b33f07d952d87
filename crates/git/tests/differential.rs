//! Every argv of `argv.txt` in every state of `states.sh`, here and by the real git: output and exit code must agree.
//!
//! Needs git 2.47 (`DESKHAND_GIT`, else the first `git` in `PATH`); with another version nothing can be compared and
//! the test says so. `DESKHAND_GIT_STATES` narrows it, `DESKHAND_GIT_TABLE` names the only table to read, `DESKHAND_GIT_ALL`
//! compares everything instead of a third, and `argv_more.txt` and `argv_read.txt` too, `DESKHAND_GIT_REPORT` names a file for the table and every difference.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use deskhand_git::{Environment, Exec, OutputLimits, Request};

/// How two answers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    HandedOver,
    Different,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    total: usize,
    same: usize,
    handed_over: usize,
    stderr_same: usize,
}

#[test]
fn answers_are_git_s() {
    let Some(git) = reference_git() else {
        // Nothing to compare with: other versions word things differently.
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(
        home.join(".gitconfig"),
        "[user]\n\tname = Test Person\n\temail = test@example.org\n",
    )
    .unwrap();
    let env = environment(&home, &git);
    deskhand_git::init(&env);
    let wanted = std::env::var("DESKHAND_GIT_STATES").ok();
    let states: Vec<String> = list_states()
        .into_iter()
        .filter(|s| wanted.as_ref().is_none_or(|w| w.split(',').any(|w| w == s)))
        .collect();
    let mut cases = cases("argv.txt");
    if let Ok(only) = std::env::var("DESKHAND_GIT_TABLE") {
        cases = self::cases(&only);
    } else if std::env::var_os("DESKHAND_GIT_ALL").is_some() {
        cases.extend(self::cases("argv_more.txt"));
        cases.extend(self::cases("argv_read.txt"));
    }
    let tallies: Mutex<BTreeMap<(u8, String), Tally>> = Mutex::default();
    let reports: Mutex<Vec<String>> = Mutex::default();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(state) = states.get(i) else { break };
                    let dir = root.path().join(state);
                    build(state, &dir, &env);
                    for (_, (tier, argv)) in cases
                        .iter()
                        .enumerate()
                        .filter(|(case, _)| is_due(*case, i))
                    {
                        let (verdict, stderr_same, report) = compare(&git, &dir, argv, &env);
                        let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
                        let tally = tallies.entry((*tier, verb(argv))).or_default();
                        tally.total += 1;
                        tally.same += usize::from(verdict == Verdict::Same);
                        tally.handed_over += usize::from(verdict == Verdict::HandedOver);
                        tally.stderr_same += usize::from(stderr_same);
                        drop(tallies);
                        if let Some(report) = report {
                            let line = format!("[{state}] {report}");
                            reports
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(line);
                        }
                    }
                }
            });
        }
    });
    let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
    let reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = summarize(&tallies);
    if let Ok(file) = std::env::var("DESKHAND_GIT_REPORT") {
        std::fs::write(file, format!("{}\n{summary}", reports.join("\n"))).unwrap();
    }
    let wrong: Vec<&String> = reports.iter().filter(|r| r.contains("DIFFERENT")).collect();
    let first: Vec<&str> = wrong.iter().take(20).map(|s| s.as_str()).collect();
    let tier1 = tier(&tallies, 1);
    assert!(tier1.total > 0, "no cases ran");
    let identical =
        1.0 - wrong.len() as f64 / tallies.values().map(|t| t.total).sum::<usize>() as f64;
    assert!(identical >= 0.995, "{summary}\n{}", first.join("\n"));
}

/// States the writing argv run in.
const WRITE_STATES: &[&str] = &[
    "unborn_staged",
    "dirty",
    "staged",
    "odd_names",
    "crlf",
    "detached",
    "branches",
    "upstream_ahead",
    "dir_for_file",
];

/// Argv that write, each on two copies of a state at the same path: answer and what is left behind must agree.
#[test]
fn writes_leave_what_git_leaves() {
    let Some(git) = reference_git() else { return };
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(
        home.join(".gitconfig"),
        "[user]\n\tname = Test Person\n\temail = test@example.org\n",
    )
    .unwrap();
    let mut env = environment(&home, &git);
    env.set("GIT_AUTHOR_DATE", "1750000000 +0100");
    env.set("GIT_COMMITTER_DATE", "1750000100 +0200");
    deskhand_git::init(&env);
    let wanted = std::env::var("DESKHAND_GIT_STATES").ok();
    let mut wrong = Vec::new();
    let (mut total, mut native) = (0, 0);
    for (i, state) in WRITE_STATES.iter().copied().enumerate() {
        if wanted
            .as_ref()
            .is_some_and(|w| !w.split(',').any(|w| w == state))
        {
            continue;
        }
        let template = root.path().join("template");
        let work = root.path().join("work");
        build(state, &work, &env);
        copy(&work, &template);
        let before = snapshot(&git, &work, &env);
        for (_, (_, argv)) in cases("writes.txt")
            .into_iter()
            .enumerate()
            .filter(|(case, _)| is_due(*case, i))
        {
            total += 1;
            let shown = argv
                .iter()
                .map(|a| a.to_string_lossy())
                .collect::<Vec<_>>()
                .join(" ");
            let request = Request {
                argv: std::iter::once(OsString::from("git"))
                    .chain(argv.iter().cloned())
                    .collect(),
                cwd: work.clone(),
                env: env.clone(),
                stdin: None,
                within: None,
                limits: OutputLimits::default(),
            };
            let ours = match deskhand_git::exec(&request, &AtomicBool::new(false)) {
                Exec::Answer(answer) => answer,
                Exec::NotNative(not) => {
                    if std::env::var_os("DESKHAND_GIT_VERBOSE").is_some()
                        && snapshot(&git, &work, &env) != before
                    {
                        wrong.push(format!(
                            "[{state}] {shown}: changed something and was handed over ({})",
                            not.reason
                        ));
                        copy(&template, &work);
                    }
                    if std::env::var_os("DESKHAND_GIT_VERBOSE").is_some() {
                        wrong.push(format!("[{state}] {shown}: handed over: {}", not.reason));
                    }
                    continue;
                }
            };
            native += 1;
            let our_state = snapshot(&git, &work, &env);
            copy(&template, &work);
            let theirs = Command::new(&git)
                .args(&argv)
                .current_dir(&work)
                .env_clear()
                .envs(env.iter())
                .output()
                .unwrap();
            let their_state = snapshot(&git, &work, &env);
            copy(&template, &work);
            if ours.stdout != theirs.stdout || Some(ours.returncode) != theirs.status.code() {
                wrong.push(format!(
                    "[{state}] {shown}: {} {:?} / {:?} {:?} {:?}",
                    ours.returncode,
                    String::from_utf8_lossy(&ours.stdout),
                    theirs.status.code(),
                    String::from_utf8_lossy(&theirs.stdout),
                    String::from_utf8_lossy(&theirs.stderr)
                ));
            }
            for (a, b) in our_state.iter().zip(&their_state) {
                if a != b {
                    wrong.push(format!("[{state}] {shown}: left {a:?}\n  git left {b:?}"));
                }
            }
        }
        std::fs::remove_dir_all(&template).unwrap();
        std::fs::remove_dir_all(&work).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{total} cases, {native} native, {} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Makes `to` a copy of `from`, with the times of the files.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    assert!(
        Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

/// What is in a repository that a command may have changed.
fn snapshot(git: &Path, dir: &Path, env: &Environment) -> Vec<String> {
    let run = |args: &[&str]| {
        let output = Command::new(git)
            .args(args)
            .current_dir(dir)
            .env_clear()
            .envs(env.iter())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut parts = vec![
        run(&["for-each-ref"]),
        run(&["symbolic-ref", "-q", "HEAD"]),
        run(&["rev-parse", "HEAD"]),
        run(&["ls-files", "-s"]),
        run(&["--no-optional-locks", "status", "--porcelain", "--ignored"]),
        run(&["config", "--list", "--local"]),
    ];
    let find = Command::new("bash")
        .args(["-c", "cd .git 2>/dev/null && find logs -type f | sort | while read f; do echo \"== $f\"; cat \"$f\"; done; ls refs/heads refs/tags; ls *.lock; cat COMMIT_EDITMSG"])
        .current_dir(dir)
        .output()
        .unwrap();
    parts.push(String::from_utf8_lossy(&find.stdout).into_owned());
    parts
}

/// A third of all pairs of argv and state is enough for every day, chosen so that each argv and each state has its turn.
fn is_due(case: usize, state: usize) -> bool {
    std::env::var_os("DESKHAND_GIT_ALL").is_some() || (case + state).is_multiple_of(3)
}

fn tier(tallies: &BTreeMap<(u8, String), Tally>, tier: u8) -> Tally {
    let mut sum = Tally::default();
    for ((t, _), tally) in tallies {
        if *t == tier {
            sum.total += tally.total;
            sum.same += tally.same;
            sum.handed_over += tally.handed_over;
            sum.stderr_same += tally.stderr_same;
        }
    }
    sum
}

fn summarize(tallies: &BTreeMap<(u8, String), Tally>) -> String {
    let mut text = String::from(
        "tier  verb              total  native+same  handed over  different  stderr same\n",
    );
    let mut line = |tier: u8, name: &str, t: &Tally| {
        text.push_str(&format!(
            "{tier:>4}  {name:<16} {:>6}  {:>11}  {:>11}  {:>9}  {:>11}\n",
            t.total,
            t.same,
            t.handed_over,
            t.total - t.same - t.handed_over,
            t.stderr_same
        ));
    };
    for ((tier, verb), tally) in tallies {
        line(*tier, verb, tally);
    }
    for t in [1, 2] {
        line(t, "all", &tier(tallies, t));
    }
    text
}

fn reference_git() -> Option<PathBuf> {
    let git = std::env::var_os("DESKHAND_GIT").map_or_else(|| PathBuf::from("git"), PathBuf::from);
    let version = Command::new(&git).arg("--version").output().ok()?;
    String::from_utf8_lossy(&version.stdout)
        .contains("version 2.47")
        .then_some(git)
}

fn environment(home: &Path, git: &Path) -> Environment {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let git_dir = git.parent().filter(|p| !p.as_os_str().is_empty());
    let path = match git_dir {
        Some(dir) => {
            let mut joined = dir.as_os_str().to_os_string();
            joined.push(":");
            joined.push(path);
            joined
        }
        None => path,
    };
    [
        ("HOME", home.as_os_str().to_os_string()),
        ("PATH", path),
        ("LC_ALL", "C".into()),
        ("TZ", "UTC".into()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("GIT_PAGER", "cat".into()),
        ("GIT_EDITOR", "true".into()),
        (
            "GIT_CEILING_DIRECTORIES",
            home.parent().unwrap().as_os_str().to_os_string(),
        ),
    ]
    .into_iter()
    .collect()
}

fn list_states() -> Vec<String> {
    let output = Command::new("bash")
        .args([scripts().join("states.sh").as_os_str(), "--list".as_ref()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_string)
        .collect()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn build(state: &str, dir: &Path, env: &Environment) {
    let output = Command::new("bash")
        .args([
            scripts().join("states.sh").as_os_str(),
            state.as_ref(),
            dir.as_os_str(),
        ])
        .env_clear()
        .envs(env.iter())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{state}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn cases(file: &str) -> Vec<(u8, Vec<OsString>)> {
    let text = std::fs::read_to_string(scripts().join(file)).unwrap();
    text.lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|line| {
            let (tier, rest) = line.split_once(' ').unwrap();
            (tier.parse().unwrap(), words(rest))
        })
        .collect()
}

/// Splits at blanks; single quotes hold a word together.
fn words(text: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut any) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(OsString::from(std::mem::take(&mut word)));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(OsString::from(word));
    }
    words
}

fn verb(argv: &[OsString]) -> String {
    let mut args = argv.iter().map(|a| a.to_string_lossy());
    while let Some(arg) = args.next() {
        match arg.as_ref() {
            "-C" | "-c" => {
                args.next();
            }
            a if a.starts_with('-') => {}
            a => return a.to_string(),
        }
    }
    "(global)".to_string()
}

fn compare(
    git: &Path,
    dir: &Path,
    argv: &[OsString],
    env: &Environment,
) -> (Verdict, bool, Option<String>) {
    let full: Vec<OsString> = std::iter::once(OsString::from("git"))
        .chain(argv.iter().cloned())
        .collect();
    let request = Request {
        argv: full,
        cwd: dir.to_path_buf(),
        env: env.clone(),
        stdin: None,
        within: None,
        limits: OutputLimits::default(),
    };
    let shown = argv
        .iter()
        .map(|a| a.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let ours = match deskhand_git::exec(&request, &AtomicBool::new(false)) {
        Exec::Answer(answer) => answer,
        Exec::NotNative(not) => {
            return (
                Verdict::HandedOver,
                false,
                Some(format!("handed over: {shown}: {}", not.reason)),
            );
        }
    };
    let theirs = Command::new(git)
        .args(argv)
        .current_dir(dir)
        .env_clear()
        .envs(env.iter())
        .output()
        .unwrap();
    let code = theirs.status.code().unwrap_or(-1);
    let stderr_same = ours.stderr == theirs.stderr;
    if ours.returncode == code && ours.stdout == theirs.stdout {
        let report = (!stderr_same).then(|| {
            format!(
                "stderr: {shown}: {:?} / {:?}",
                String::from_utf8_lossy(&ours.stderr),
                String::from_utf8_lossy(&theirs.stderr)
            )
        });
        return (Verdict::Same, stderr_same, report);
    }
    let (a, b) = (
        String::from_utf8_lossy(&ours.stdout).into_owned(),
        String::from_utf8_lossy(&theirs.stdout).into_owned(),
    );
    let differing = a
        .lines()
        .zip(b.lines())
        .position(|(x, y)| x != y)
        .unwrap_or_else(|| a.lines().count().min(b.lines().count()));
    let line = |text: &str| text.lines().nth(differing).unwrap_or("(end)").to_string();
    let report = format!(
        "DIFFERENT: {shown}\n    code {} / {code}, line {differing}\n    ours   {:?}\n    theirs {:?}\n    stderr {:?} / {:?}",
        ours.returncode,
        line(&a),
        line(&b),
        String::from_utf8_lossy(&ours.stderr),
        String::from_utf8_lossy(&theirs.stderr)
    );
    (Verdict::Different, stderr_same, Some(report))
}
