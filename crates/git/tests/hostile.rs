//! A repository that names programs wherever git would start one: nothing may start, natively or handed over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use deskhand_git::{Environment, OutputLimits, Request};

const NATIVE: &[&[&str]] = &[
    &["status"],
    &["status", "-s"],
    &["diff"],
    &["diff", "--stat"],
    &["diff", "HEAD"],
    &["log", "-p"],
    &["log"],
    &["log", "--stat"],
    &["show"],
    &["show", "HEAD:a.txt"],
    &["branch", "-a"],
    &["ls-files", "-m"],
    &["ls-files", "-o", "--exclude-standard"],
    &["rev-parse", "HEAD"],
    &["remote", "-v"],
    &["stash", "list"],
    &["tag"],
    &["describe", "--always"],
    &["add", "b.txt"],
    &["add", "."],
    &["commit", "-am", "x"],
    &["branch", "new"],
    &["tag", "new"],
    &["checkout", "-b", "other"],
    &["reflog"],
    &["shortlog", "-s", "HEAD"],
    &["log", "--graph", "--stat"],
    &["log", "--follow", "-p", "--", "a.txt"],
    &["log", "-S", "x", "--oneline"],
    &["log", "-m", "--name-status"],
    &["diff", "--check"],
    &["diff", "--dirstat"],
    &["ls-files", "-t", "--eol"],
    &["for-each-ref", "--format=%(contents)"],
];

const READS: &[&[&str]] = &[
    &["status"],
    &["diff"],
    &["log", "-p", "--word-diff"],
    &["show", "--textconv"],
    &["blame", "a.txt"],
    &["grep", "x"],
    &["diff", "--word-diff"],
    &["log", "--show-signature", "-1"],
    &["ls-files", "-m"],
    &["clean", "-n"],
    &["describe", "--dirty", "--always"],
];

#[test]
fn nothing_the_repository_names_is_started() {
    let Ok(version) = Command::new("git").arg("--version").output() else {
        return;
    };
    assert!(version.status.success());
    let root = tempfile::tempdir().unwrap();
    let repo = root.path().join("repo");
    let marker = root.path().join("started");
    let env: Environment = [
        ("HOME", root.path().as_os_str().to_os_string()),
        ("PATH", std::env::var_os("PATH").unwrap_or_default()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("GIT_AUTHOR_NAME", "A".into()),
        ("GIT_AUTHOR_EMAIL", "a@a".into()),
        ("GIT_COMMITTER_NAME", "A".into()),
        ("GIT_COMMITTER_EMAIL", "a@a".into()),
    ]
    .into_iter()
    .collect();
    deskhand_git::init(&env);
    plant(&repo, &marker, &env);
    assert!(!marker.exists());
    for argv in NATIVE {
        deskhand_git::exec(&request(argv, &repo, &env), &AtomicBool::new(false));
        assert!(!marker.exists(), "natively: {argv:?}");
    }
    let mut n_run = 0;
    for argv in READS {
        let Ok(command) = deskhand_git::fallback_command(&request(argv, &repo, &env)) else {
            continue;
        };
        n_run += 1;
        Command::new(&command.argv[0])
            .args(&command.argv[1..])
            .current_dir(&repo)
            .env_clear()
            .envs(command.env.iter())
            .output()
            .unwrap();
        assert!(!marker.exists(), "handed over: {argv:?}");
    }
    assert!(n_run >= 8);
    // The trap does work: git itself, unasked, starts what was planted.
    Command::new("git")
        .args(["status"])
        .current_dir(&repo)
        .env_clear()
        .envs(env.iter())
        .output()
        .unwrap();
    assert!(marker.exists());
}

fn request(argv: &[&str], repo: &Path, env: &Environment) -> Request {
    let argv = std::iter::once("git")
        .chain(argv.iter().copied())
        .map(OsString::from)
        .collect();
    Request {
        argv,
        cwd: repo.to_path_buf(),
        env: env.clone(),
        stdin: None,
        within: None,
        limits: OutputLimits::default(),
    }
}

/// Makes a repository with changes, whose configuration and hooks all run one program that leaves a file.
fn plant(repo: &Path, marker: &Path, env: &Environment) {
    std::fs::create_dir(repo).unwrap();
    let run = |args: &[&str]| {
        let output = Command::new("git")
            .args(args)
            .current_dir(repo)
            .env_clear()
            .envs(env.iter())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(&["init", "-q"]);
    std::fs::write(repo.join("a.txt"), "x\n").unwrap();
    std::fs::write(repo.join("c.bin"), "y\n").unwrap();
    run(&["add", "."]);
    run(&["commit", "-qm", "first"]);
    std::fs::write(repo.join("a.txt"), "x\nmore\n").unwrap();
    std::fs::write(repo.join("b.txt"), "new\n").unwrap();
    std::fs::write(
        repo.join(".gitattributes"),
        "*.txt filter=evil diff=evil\n*.bin merge=evil\n",
    )
    .unwrap();
    let evil = repo.parent().unwrap().join("evil.sh");
    std::fs::write(
        &evil,
        format!("#!/bin/sh\ntouch '{}'\ncat\n", marker.display()),
    )
    .unwrap();
    Command::new("chmod").arg("+x").arg(&evil).status().unwrap();
    let program = evil.to_str().unwrap();
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "merge.evil.driver",
        "gpg.program",
        "credential.helper",
        "sequence.editor",
    ] {
        run(&["config", key, program]);
    }
    for name in [
        "pre-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-commit",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "fsmonitor-watchman",
        "post-rewrite",
    ] {
        let hook = repo.join(".git/hooks").join(name);
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::copy(&evil, &hook).unwrap();
    }
    let _ = std::fs::remove_file(marker);
}

/// A repository's configuration may name any file; outside of where the caller may look it counts as missing.
#[test]
fn files_the_repository_names_outside_are_not_read() {
    if Command::new("git").arg("--version").output().is_err() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let top = root.path().canonicalize().unwrap();
    let (repo, outside, home) = (top.join("repo"), top.join("outside"), top.join("home"));
    for dir in [&repo, &outside, &home] {
        std::fs::create_dir(dir).unwrap();
    }
    let git = |args: &[&str]| {
        let done = Command::new("git").args(args).current_dir(&repo).status();
        assert!(done.unwrap().success(), "{args:?}");
    };
    git(&["init", "-q", "."]);
    std::fs::write(repo.join("hidden"), "x\n").unwrap();
    std::fs::write(outside.join("ignore"), "hidden\n").unwrap();
    std::fs::write(outside.join("config"), "[secret]\n\tkey = value\n").unwrap();
    let name = |file: &str| outside.join(file).to_string_lossy().into_owned();
    git(&["config", "core.excludesFile", &name("ignore")]);
    git(&["config", "include.path", &name("config")]);
    let ask = |args: &[&str], within: bool, global: &str| -> String {
        let settings = home.join("settings");
        std::fs::write(&settings, global).unwrap();
        let env: Environment = [
            ("HOME", home.as_os_str().to_os_string()),
            ("GIT_CONFIG_GLOBAL", settings.into_os_string()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ]
        .into_iter()
        .collect();
        let argv = std::iter::once("git").chain(args.iter().copied());
        let request = Request {
            argv: argv.map(OsString::from).collect(),
            cwd: repo.clone(),
            env,
            stdin: None,
            within: within.then(|| repo.clone()),
            limits: OutputLimits::default(),
        };
        match deskhand_git::exec(&request, &AtomicBool::new(false)) {
            deskhand_git::Exec::Answer(answer) => String::from_utf8(answer.stdout).unwrap(),
            deskhand_git::Exec::NotNative(not) => panic!("{args:?}: {}", not.reason),
        }
    };
    assert_eq!(ask(&["status", "-s"], false, ""), "");
    assert_eq!(ask(&["status", "-s"], true, ""), "?? hidden\n");
    assert!(ask(&["config", "--list"], false, "").contains("secret.key=value"));
    assert!(!ask(&["config", "--list"], true, "").contains("secret"));
    // What the user's own configuration names is the user's choice.
    git(&["config", "--unset", "core.excludesFile"]);
    let own = format!("[core]\n\texcludesFile = {}\n", name("ignore"));
    assert_eq!(ask(&["status", "-s"], true, &own), "");
}
