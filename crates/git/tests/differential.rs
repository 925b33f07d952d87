//! Every argv of `argv.txt` in every state of `states.sh`, here and by the real git: output and exit code must agree.
//!
//! Needs git 2.47 (`DESKHAND_GIT`, else the first `git` in `PATH`); with another version nothing can be compared and
//! the test says so. `DESKHAND_GIT_STATES` narrows it, `DESKHAND_GIT_TABLE` names the only table to read, `DESKHAND_GIT_ALL`
//! compares everything instead of a third, and `argv_more.txt` and `argv_read.txt` too, `DESKHAND_GIT_REPORT` names a
//! file for the table and every difference, `DESKHAND_GIT_KEEP` a directory in which the states and what git answered
//! stay for the next run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use deskhand_git::{Environment, Exec, OutputLimits, Request};

mod real_git;

use real_git::answers::{Answers, Said};
use real_git::reasons::Reasons;
use real_git::{
    Tallies, build, environment, is_due, list_states, reference_git, summarize, tier, verb,
};

/// How two answers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    HandedOver,
    Different,
}

#[test]
fn answers_are_git_s() {
    let Some(git) = reference_git() else {
        // Nothing to compare with: other versions word things differently.
        return;
    };
    let kept = std::env::var_os("DESKHAND_GIT_KEEP").map(PathBuf::from);
    let made = kept.is_none().then(|| tempfile::tempdir().unwrap());
    let root = match (&kept, &made) {
        (Some(kept), _) => kept.as_path(),
        (None, made) => made.as_ref().unwrap().path(),
    };
    let home = root.join("home");
    std::fs::create_dir_all(&home).unwrap();
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
    let mut cases = real_git::cases("argv.txt");
    cases.extend(real_git::cases("argv_suite.txt"));
    if let Ok(only) = std::env::var("DESKHAND_GIT_TABLE") {
        cases = real_git::cases(&only);
    } else if std::env::var_os("DESKHAND_GIT_ALL").is_some() {
        cases.extend(real_git::cases("argv_more.txt"));
        cases.extend(real_git::cases("argv_read.txt"));
    }
    let tallies: Mutex<Tallies> = Mutex::default();
    let reports: Mutex<Vec<String>> = Mutex::default();
    let reasons: Mutex<Reasons> = Mutex::default();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(state) = states.get(i) else { break };
                    // In a directory of its own: some states have another repository beside them.
                    let beside = root.join(state);
                    std::fs::create_dir_all(&beside).unwrap();
                    let dir = beside.join("repository");
                    if !dir.exists() {
                        build(state, &dir, &env);
                    }
                    let mut answers = match &kept {
                        Some(_) => Answers::kept_in(beside.join("answers")),
                        None => Answers::default(),
                    };
                    for (_, (tier, argv)) in cases
                        .iter()
                        .enumerate()
                        .filter(|(case, _)| is_due(*case, i))
                    {
                        let mut compared =
                            compare(&dir, argv, &env, || answers.ask(&git, &dir, argv, &env));
                        if compared.0 == Verdict::Different {
                            // The clock may have gone on since.
                            answers.forget(argv);
                            compared =
                                compare(&dir, argv, &env, || answers.ask(&git, &dir, argv, &env));
                        }
                        let (verdict, stderr_same, report) = compared;
                        let handed_over =
                            report.as_deref().and_then(|r| r.strip_prefix(HANDED_OVER));
                        let mut reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
                        reasons.case(*tier, state, handed_over.is_some());
                        if let Some((argv_shown, reason)) =
                            handed_over.and_then(|r| r.split_once(BECAUSE))
                        {
                            reasons.add(*tier, &verb(argv), state, argv_shown, reason);
                        }
                        drop(reasons);
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
                    answers.save();
                }
            });
        }
    });
    let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
    let reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = summarize(&tallies);
    if let Ok(file) = std::env::var("DESKHAND_GIT_REPORT") {
        let reasons = reasons.into_inner().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{}\n\n{}{summary}", reports.join("\n"), reasons.table());
        std::fs::write(file, text).unwrap();
    }
    let wrong: Vec<&String> = reports.iter().filter(|r| r.contains("DIFFERENT")).collect();
    let first: Vec<&str> = wrong.iter().take(20).map(|s| s.as_str()).collect();
    let tier1 = tier(&tallies, 1);
    assert!(tier1.total > 0, "no cases ran");
    let identical =
        1.0 - wrong.len() as f64 / tallies.values().map(|t| t.total).sum::<usize>() as f64;
    assert!(identical >= 0.995, "{summary}\n{}", first.join("\n"));
}

const HANDED_OVER: &str = "handed over: ";
const BECAUSE: &str = "  because: ";

fn compare(
    dir: &Path,
    argv: &[OsString],
    env: &Environment,
    git: impl FnOnce() -> Said,
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
                Some(format!("{HANDED_OVER}{shown}{BECAUSE}{}", not.reason)),
            );
        }
    };
    let theirs = git();
    let code = theirs.code;
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
