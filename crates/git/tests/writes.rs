//! Argv that write, here and by the real git, each on a copy of a state at the same path: output, exit code and all
//! that is left behind must agree.
//!
//! `writes.txt` is the table. `DESKHAND_GIT_STATES` and `DESKHAND_GIT_VERBS` narrow it, `DESKHAND_GIT_ALL` compares
//! everything instead of a part, `DESKHAND_GIT_PART` one pair of so many, `DESKHAND_GIT_REPORT` names a file (`.writes` is added) for every difference.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use deskhand_git::{Environment, Exec, OutputLimits, Request};

mod real_git;

use real_git::{Tallies, build, cases, copy, environment, reference_git, summarize, verb};

/// States that are not written to here: what they hold is handed over.
const LEFT_OUT: &[&str] = &["sha256", "reftable", "split_index", "sparse"];

/// What the user has configured.
const PERSON: &str = "[user]\n\tname = Test Person\n\temail = test@example.org\n";

#[test]
fn writes_leave_what_git_leaves() {
    let Some(git) = reference_git() else { return };
    let root = tempfile::tempdir().unwrap();
    let all = std::env::var_os("DESKHAND_GIT_ALL").is_some();
    let part = std::env::var("DESKHAND_GIT_PART").map_or(50, |n| n.parse().unwrap());
    let listed = |name: &str| {
        let list = std::env::var(name).ok()?;
        Some(list.split(',').map(str::to_string).collect::<Vec<_>>())
    };
    let (states, verbs) = (listed("DESKHAND_GIT_STATES"), listed("DESKHAND_GIT_VERBS"));
    let mut work: Vec<(usize, String)> = real_git::list_states()
        .into_iter()
        .chain(real_git::states("--list-writes"))
        .filter(|s| !LEFT_OUT.contains(&s.as_str()))
        .enumerate()
        .filter(|(_, s)| states.as_ref().is_none_or(|w| w.contains(s)))
        .collect();
    work.reverse();
    let table: Vec<(usize, (u8, Vec<OsString>))> = cases("writes.txt")
        .into_iter()
        .enumerate()
        .filter(|(_, (_, argv))| verbs.as_ref().is_none_or(|w| w.contains(&verb(argv))))
        .collect();
    let work = Mutex::new(work);
    let tallies: Mutex<Tallies> = Mutex::default();
    let reports: Mutex<Vec<String>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let started = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // One place for each thread: both sides see the same paths.
                let n = started.fetch_add(1, Ordering::Relaxed);
                let place = root.path().join(format!("t{n}"));
                let home = place.join("home");
                std::fs::create_dir_all(&home).unwrap();
                std::fs::write(home.join(".gitconfig"), PERSON).unwrap();
                let mut env = environment(&home, &git);
                env.set("GIT_AUTHOR_DATE", "1750000000 +0100");
                env.set("GIT_COMMITTER_DATE", "1750000100 +0200");
                deskhand_git::init(&env);
                loop {
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some((i, state)) = next else { break };
                    let dir = place.join("work");
                    let template = place.join("template");
                    build(&state, &dir, &env);
                    let _ = std::fs::remove_dir_all(dir.join(".git/hooks"));
                    copy(&dir, &template);
                    // What the index remembers of the files is as old for both sides.
                    copy(&template, &dir);
                    let before = snapshot(&git, &dir, &env);
                    let due = |case: usize| all || (case * 7 + i).is_multiple_of(part);
                    for (_, (tier, argv)) in table.iter().filter(|(case, _)| due(*case)) {
                        let found = compare(&git, &dir, (&template, &before), argv, &env);
                        let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
                        let tally = tallies.entry((*tier, verb(argv))).or_default();
                        tally.total += 1;
                        let mut lines = Vec::new();
                        match found {
                            Found::HandedOver(why) => {
                                tally.handed_over += 1;
                                lines.push(format!("handed over: {why}"));
                            }
                            Found::Compared { wrong, stderr } => {
                                tally.same += usize::from(wrong.is_empty());
                                tally.stderr_same += usize::from(stderr.is_none());
                                lines.extend(wrong.iter().map(|w| format!("DIFFERENT: {w}")));
                                lines.extend(stderr);
                            }
                        }
                        drop(tallies);
                        let shown = shown(argv);
                        reports
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .extend(lines.iter().map(|l| format!("[{state}] {shown}: {l}")));
                    }
                    std::fs::remove_dir_all(&template).unwrap();
                    std::fs::remove_dir_all(&dir).unwrap();
                }
            });
        }
    });
    let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort();
    let summary = summarize(&tallies);
    if let Ok(file) = std::env::var("DESKHAND_GIT_REPORT") {
        std::fs::write(
            format!("{file}.writes"),
            format!("{}\n{summary}", reports.join("\n")),
        )
        .unwrap();
    }
    let first: Vec<&str> = reports
        .iter()
        .filter(|r| r.contains("DIFFERENT"))
        .take(20)
        .map(String::as_str)
        .collect();
    let sum = |f: fn(&real_git::Tally) -> usize| tallies.values().map(f).sum::<usize>();
    let (total, same, over) = (sum(|t| t.total), sum(|t| t.same), sum(|t| t.handed_over));
    assert!(total > 0, "no cases ran");
    let right = (same + over) as f64 / total as f64;
    assert!(right >= 0.995, "{summary}\n{}", first.join("\n"));
}

enum Found {
    HandedOver(String),
    Compared {
        wrong: Vec<String>,
        stderr: Option<String>,
    },
}

fn shown(argv: &[OsString]) -> String {
    let words: Vec<_> = argv.iter().map(|a| a.to_string_lossy()).collect();
    words.join(" ")
}

fn compare(
    git: &Path,
    dir: &Path,
    (template, before): (&Path, &str),
    argv: &[OsString],
    env: &Environment,
) -> Found {
    let full = std::iter::once(OsString::from("git"))
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
    let ours = match deskhand_git::exec(&request, &AtomicBool::new(false)) {
        Exec::Answer(answer) => answer,
        Exec::NotNative(not) => {
            // Nothing may have been touched.
            if snapshot(git, dir, env) == before {
                return Found::HandedOver(not.reason);
            }
            copy(template, dir);
            return Found::Compared {
                wrong: vec![format!("handed over after a change: {}", not.reason)],
                stderr: None,
            };
        }
    };
    let restore = |state: &str| {
        if state != before {
            copy(template, dir);
            let home = env.get("HOME").map(Path::new).unwrap();
            std::fs::write(home.join(".gitconfig"), PERSON).unwrap();
        }
    };
    let our_state = snapshot(git, dir, env);
    restore(&our_state);
    let theirs = Command::new(git)
        .args(argv)
        .current_dir(dir)
        .env_clear()
        .envs(env.iter())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let their_state = snapshot(git, dir, env);
    restore(&their_state);
    let mut wrong = Vec::new();
    let code = theirs.status.code().unwrap_or(-1);
    if ours.stdout != theirs.stdout || ours.returncode != code {
        wrong.push(format!(
            "code {} / {code}\n    ours   {:?}\n    theirs {:?}\n    stderr {:?} / {:?}",
            ours.returncode,
            String::from_utf8_lossy(&ours.stdout),
            String::from_utf8_lossy(&theirs.stdout),
            String::from_utf8_lossy(&ours.stderr),
            String::from_utf8_lossy(&theirs.stderr)
        ));
    }
    if our_state != their_state {
        let line = our_state
            .lines()
            .zip(their_state.lines())
            .find(|(a, b)| a != b);
        let (a, b) = line.unwrap_or_else(|| {
            let (n, m) = (our_state.lines().count(), their_state.lines().count());
            (
                our_state.lines().nth(m).unwrap_or("(end)"),
                their_state.lines().nth(n).unwrap_or("(end)"),
            )
        });
        wrong.push(format!("left\n    ours   {a:?}\n    theirs {b:?}"));
    }
    let stderr = (ours.stderr != theirs.stderr).then(|| {
        format!(
            "stderr {:?} / {:?}",
            String::from_utf8_lossy(&ours.stderr),
            String::from_utf8_lossy(&theirs.stderr)
        )
    });
    Found::Compared { wrong, stderr }
}

/// All that is in a repository and its work tree, as text.
fn snapshot(git: &Path, dir: &Path, env: &Environment) -> String {
    let mut text = String::new();
    files_below(dir, Path::new(""), &mut text);
    // A linked work tree has its main repository beside it, in `.main`.
    let (git_dir, common) = if dir.join(".main").is_dir() {
        (dir.join(".main/worktrees/linked"), dir.join(".main"))
    } else if dir.join(".git").is_dir() {
        (dir.join(".git"), dir.join(".git"))
    } else {
        (dir.to_path_buf(), dir.to_path_buf())
    };
    let home = env.get("HOME").map(Path::new).unwrap();
    let global = std::fs::read_to_string(home.join(".gitconfig")).unwrap();
    text.push_str(&format!("== ~/.gitconfig\n{global}\n"));
    for name in [
        "HEAD",
        "ORIG_HEAD",
        "MERGE_HEAD",
        "MERGE_MSG",
        "MERGE_MODE",
        "SQUASH_MSG",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "AUTO_MERGE",
        "COMMIT_EDITMSG",
        "config",
        "packed-refs",
        "shallow",
    ] {
        let file = git_dir.join(name);
        if let Ok(content) = std::fs::read(file).or_else(|_| std::fs::read(common.join(name))) {
            text.push_str(&format!(
                "== {name}\n{}\n",
                String::from_utf8_lossy(&content)
            ));
        }
    }
    for name in ["refs", "logs", "sequencer", "rebase-merge", "rebase-apply"] {
        files_below(&git_dir, Path::new(name), &mut text);
        if common != git_dir {
            files_below(&common, Path::new(name), &mut text);
        }
    }
    for entry in std::fs::read_dir(&git_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".lock") {
            text.push_str(&format!("lock {}\n", name.to_string_lossy()));
        }
    }
    let mut run = |args: &[&str]| {
        let output = Command::new(git)
            .args(args)
            .current_dir(dir)
            .env_clear()
            .envs(env.iter())
            .output()
            .unwrap();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            // Of what is remembered about files only the flags are the same everywhere.
            match line.strip_prefix("  ") {
                Some(more) => {
                    if let Some(at) = more.find("flags:") {
                        text.push_str(&format!("  {}\n", &more[at..]));
                    }
                }
                None => text.push_str(&format!("{line}\n")),
            }
        }
    };
    if let Ok(index) = std::fs::read(git_dir.join("index")) {
        run(&["ls-files", "-s", "-v", "--debug"]);
        if index.windows(4).any(|w| w == b"REUC") {
            run(&["ls-files", "--resolve-undo"]);
        }
    }
    text
}

/// Lists what is below a directory, with modes and contents; `.git` and object stores are left out.
fn files_below(root: &Path, dir: &Path, text: &mut String) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut entries: Vec<_> = std::fs::read_dir(root.join(dir))
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let path = dir.join(&name);
        if [".git", ".main", "objects", "modules"]
            .iter()
            .any(|n| name == *n)
        {
            continue;
        }
        let meta = std::fs::symlink_metadata(entry.path()).unwrap();
        let shown = path.to_string_lossy().into_owned();
        if meta.is_dir() {
            text.push_str(&format!("{shown}/\n"));
            files_below(root, &path, text);
        } else if meta.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            text.push_str(&format!("{shown} -> {}\n", target.to_string_lossy()));
        } else {
            let content = std::fs::read(entry.path()).unwrap_or_default();
            text.push_str(&format!(
                "{shown} {:o}\n{}\n",
                meta.permissions().mode(),
                String::from_utf8_lossy(&content)
            ));
        }
    }
}
