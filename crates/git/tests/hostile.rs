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
    &["blame", "a.txt"],
    &["blame", "HEAD", "--", "c.bin"],
    &["annotate", "c.bin"],
    &["grep", "x"],
    &["grep", "-p", "y", "HEAD"],
    &["grep", "--cached", "x"],
    &["diff-tree", "-p", "--root", "HEAD"],
    &["diff-index", "-p", "HEAD"],
    &["diff-files", "-p"],
    &["diff", "--ext-diff", "--color=always"],
    &["diff", "--histogram", "--textconv"],
    &["log", "--show-signature", "-p"],
    &["log", "-g", "-p"],
    &["show", "--all", "--ext-diff"],
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
    &["add", "-A"],
    &["add", "-u"],
    &["add", "-n", "."],
    &["commit", "-m", "x"],
    &["commit", "--amend", "--no-edit"],
    &["commit", "-m", "x", "a.txt"],
    &["commit", "--amend"],
    &["commit", "-a"],
    &["config", "user.name", "x"],
    &["config", "--unset", "user.name"],
    &["stash"],
    &["stash", "-u"],
    &["stash", "pop"],
    &["clean", "-fd"],
    &["merge", "second"],
    &["merge", "--no-ff", "-m", "x", "second"],
    &["branch", "-f", "second", "HEAD"],
    &["branch", "-m", "second", "third"],
    &["branch", "-c", "second", "third"],
    &["branch", "-D", "second"],
    &["branch", "-u", "second"],
    &["tag", "-a", "-m", "x", "new"],
    &["tag", "-d", "t"],
    &["checkout", "second"],
    &["checkout", "-f", "second"],
    &["checkout", "--", "a.txt"],
    &["checkout", "second", "--", "."],
    &["switch", "second"],
    &["switch", "--detach"],
    &["restore", "a.txt"],
    &["restore", "--staged", "."],
    &["restore", "-s", "second", "."],
    &["reset"],
    &["reset", "--hard"],
    &["reset", "--hard", "second"],
    &["reset", "--keep", "second"],
    &["reset", "--soft", "second"],
    &["rm", "-f", "a.txt"],
    &["rm", "--cached", "a.txt"],
    &["mv", "a.txt", "z.txt"],
    &["add", "--pathspec-from-file=a.txt"],
    &["checkout", "-m", "second"],
    &["checkout", "second...HEAD"],
    &["checkout", "--recurse-submodules", "second"],
    &["restore", "--recurse-submodules", "a.txt"],
    &["reset", "--recurse-submodules", "--hard"],
    &["merge", "--no-commit", "second"],
    &["merge", "--abort"],
    &["cherry-pick", "second"],
    &["revert", "--no-edit", "HEAD"],
    &["remote", "add", "there", "../there"],
    &["remote", "rename", "origin", "there"],
    &["remote", "set-url", "origin", "../there"],
    &["remote", "remove", "origin"],
    &["symbolic-ref", "HEAD", "refs/heads/second"],
    &["update-ref", "refs/heads/new", "HEAD"],
    &["update-index", "--refresh"],
    &["hash-object", "-w", "a.txt"],
    &["write-tree"],
    &["notes", "add", "-m", "x"],
    &["worktree", "add", "../elsewhere"],
    &["init"],
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
    let env = test_environment(root.path());
    deskhand_git::init(&env);
    plant(&repo, &marker, &env);
    assert!(!marker.exists());
    for argv in NATIVE {
        deskhand_git::exec(&request(argv, &repo, &env), &AtomicBool::new(false));
        assert!(!marker.exists(), "natively: {argv:?}");
    }
    let mut n_run = 0;
    for argv in READS.iter().chain(NATIVE) {
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

/// Every native write leaves what lies outside of the work tree alone, whatever the repository's trees and links say.
#[test]
fn nothing_outside_of_the_work_tree_is_written() {
    let root = tempfile::tempdir().unwrap();
    let repo = root.path().join("repo");
    let outside = root.path().join("outside");
    let env = test_environment(root.path());
    deskhand_git::init(&env);
    let argvs: &[&[&str]] = &[
        &["checkout", "tree"],
        &["checkout", "-f", "tree"],
        &["checkout", "tree", "--", "."],
        &["checkout", "tree", "--", "dir/file"],
        &["checkout", "--", "dir"],
        &["checkout", "."],
        &["stash"],
        &["stash", "-u"],
        &["stash", "pop"],
        &["merge", "tree"],
        &["clean", "-fdx"],
        &["switch", "tree"],
        &["switch", "-f", "tree"],
        &["restore", "dir"],
        &["restore", "-s", "tree", "dir"],
        &["restore", "-s", "tree", "-SW", "."],
        &["reset", "--hard"],
        &["reset", "--hard", "tree"],
        &["reset", "--keep", "tree"],
        &["reset", "--merge", "tree"],
        &["rm", "-rf", "."],
        &["rm", "-f", "dir/file"],
        &["mv", "-f", "top", "dir/file"],
        &["add", "-A"],
        &["commit", "-am", "x"],
    ];
    for link_is_tracked in [false, true] {
        for argv in argvs {
            for path in [&repo, &outside] {
                let _ = std::fs::remove_dir_all(path);
                std::fs::create_dir(path).unwrap();
            }
            plant_link(&repo, &outside, link_is_tracked, &env);
            let before = listing(&outside);
            deskhand_git::exec(&request(argv, &repo, &env), &AtomicBool::new(false));
            assert_eq!(listing(&outside), before, "{argv:?}, {link_is_tracked}");
        }
    }
}

/// A work tree in which a directory became a link to the outside; `tree` is a branch that has files in it.
fn plant_link(repo: &Path, outside: &Path, is_tracked: bool, env: &Environment) {
    let run = |args: &[&str]| git(args, repo, env);
    std::fs::write(outside.join("file"), "not yours\n").unwrap();
    std::fs::write(outside.join("other"), "not yours\n").unwrap();
    run(&["init", "-q", "-b", "main"]);
    std::fs::create_dir(repo.join("dir")).unwrap();
    std::fs::write(repo.join("dir/file"), "one\n").unwrap();
    std::fs::write(repo.join("top"), "top\n").unwrap();
    run(&["add", "."]);
    run(&["commit", "-qm", "first"]);
    run(&["checkout", "-qb", "tree"]);
    std::fs::write(repo.join("dir/file"), "two\n").unwrap();
    std::fs::write(repo.join("dir/other"), "two\n").unwrap();
    run(&["add", "."]);
    run(&["commit", "-qm", "second"]);
    run(&["checkout", "-q", "main"]);
    std::fs::remove_dir_all(repo.join("dir")).unwrap();
    std::os::unix::fs::symlink(outside, repo.join("dir")).unwrap();
    if is_tracked {
        run(&["add", "-A"]);
        run(&["commit", "-qm", "a link"]);
    }
}

fn listing(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| {
            let e = e.unwrap();
            let name = e.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(e.path()).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// A lock that somebody holds is git's error, and stays; one of ours never does.
#[test]
fn locks_are_respected_and_given_back() {
    let root = tempfile::tempdir().unwrap();
    let repo = root.path().join("repo");
    let env = test_environment(root.path());
    deskhand_git::init(&env);
    let run = |argv: &[&str]| match deskhand_git::exec(
        &request(argv, &repo, &env),
        &AtomicBool::new(false),
    ) {
        deskhand_git::Exec::Answer(answer) => answer,
        deskhand_git::Exec::NotNative(not) => panic!("{argv:?}: {}", not.reason),
    };
    plant(&repo, &root.path().join("started"), &env);
    for name in ["config", "hooks"] {
        let path = repo.join(".git").join(name);
        let _ = std::fs::remove_dir_all(&path);
        let _ = std::fs::remove_file(&path);
    }
    let lock = repo.join(".git/index.lock");
    for argv in [
        ["add", "b.txt"].as_slice(),
        &["commit", "-m", "x"],
        &["reset"],
        &["reset", "--hard"],
        &["checkout", "second"],
        &["restore", "a.txt"],
        &["rm", "-f", "a.txt"],
        &["mv", "a.txt", "z.txt"],
    ] {
        std::fs::write(&lock, "").unwrap();
        let answer = run(argv);
        let text = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert_eq!(answer.returncode, 128, "{argv:?}: {text}");
        assert!(
            text.contains("index.lock': File exists.\n\nAnother git process seems"),
            "{argv:?}: {text}"
        );
        assert!(lock.exists(), "{argv:?}");
        std::fs::remove_file(&lock).unwrap();
        // A command that fails for another reason leaves no lock behind.
        run(&["add", "nosuch"]);
        run(&["checkout", "nosuch"]);
        assert!(!lock.exists(), "{argv:?}");
    }
    let lock = repo.join(".git/refs/heads/fresh.lock");
    std::fs::write(&lock, "").unwrap();
    let answer = run(&["branch", "fresh"]);
    assert_eq!(answer.returncode, 128);
    assert!(
        String::from_utf8_lossy(&answer.stderr)
            .starts_with("fatal: cannot lock ref 'refs/heads/fresh': Unable to create '")
    );
    assert!(!repo.join(".git/refs/heads/fresh").exists());
}

fn test_environment(home: &Path) -> Environment {
    [
        ("HOME", home.as_os_str().to_os_string()),
        ("PATH", std::env::var_os("PATH").unwrap_or_default()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("GIT_AUTHOR_NAME", "A".into()),
        ("GIT_AUTHOR_EMAIL", "a@a".into()),
        ("GIT_COMMITTER_NAME", "A".into()),
        ("GIT_COMMITTER_EMAIL", "a@a".into()),
    ]
    .into_iter()
    .collect()
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

/// Runs git, which has to succeed.
fn git(args: &[&str], repo: &Path, env: &Environment) {
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
}

/// Makes a repository with changes, whose configuration and hooks all run one program that leaves a file.
fn plant(repo: &Path, marker: &Path, env: &Environment) {
    std::fs::create_dir(repo).unwrap();
    let run = |args: &[&str]| git(args, repo, env);
    run(&["init", "-q"]);
    std::fs::write(repo.join("a.txt"), "x\n").unwrap();
    std::fs::write(repo.join("c.bin"), "y\n").unwrap();
    run(&["add", "."]);
    run(&["commit", "-qm", "first"]);
    run(&["tag", "t"]);
    run(&["checkout", "-qb", "second"]);
    std::fs::write(repo.join("a.txt"), "other\n").unwrap();
    std::fs::write(repo.join("d.txt"), "d\n").unwrap();
    run(&["add", "."]);
    run(&["commit", "-qm", "second"]);
    run(&["checkout", "-q", "-"]);
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
            deskhand_git::Exec::NotNative(not) => format!("not native: {}", not.reason),
        }
    };
    assert_eq!(ask(&["status", "-s"], false, ""), "");
    assert_eq!(ask(&["status", "-s"], true, ""), "?? hidden\n");
    assert!(ask(&["config", "--list"], false, "").contains("secret.key=value"));
    assert!(!ask(&["config", "--list"], true, "").contains("secret"));
    // Nor is what the caller names: it is left to the sandbox.
    let message = name("config");
    for read in [
        ["commit", "--allow-empty", "-F", &message],
        ["tag", "new", "-F", &message],
        ["add", "--pathspec-from-file", &message, "-n"],
    ] {
        assert!(ask(&read, true, "").starts_with("not native: "), "{read:?}");
    }
    // What the user's own configuration names is the user's choice.
    git(&["config", "--unset", "core.excludesFile"]);
    let own = format!("[core]\n\texcludesFile = {}\n", name("ignore"));
    assert_eq!(ask(&["status", "-s"], true, &own), "");
}

/// However a repository is reached, what names its lock is the same; another repository has another.
#[cfg(unix)]
#[test]
fn one_repository_has_one_name_for_its_lock() {
    let root = tempfile::tempdir().unwrap();
    let top = root.path().canonicalize().unwrap();
    let env = test_environment(&top);
    deskhand_git::init(&env);
    let repo = top.join("repo");
    for dir in [&repo, &top.join("other")] {
        std::fs::create_dir(dir).unwrap();
        git(&["init", "-q", "."], dir, &env);
    }
    git(&["commit", "-q", "--allow-empty", "-m", "x"], &repo, &env);
    git(&["worktree", "add", "-q", "../linked"], &repo, &env);
    std::fs::create_dir(repo.join("sub")).unwrap();
    std::os::unix::fs::symlink(&repo, top.join("link")).unwrap();
    let name = |argv: &[&str], cwd: &Path| deskhand_git::common_dir(&request(argv, cwd, &env));
    let git_dir = repo.join(".git");
    let named = git_dir.to_string_lossy().into_owned();
    assert_eq!(name(&["status"], &repo).as_ref(), Some(&git_dir));
    for (argv, cwd) in [
        (&["add", "."][..], repo.join("sub")),
        (&["add", "."], top.join("link")),
        (&["add", "."], top.join("linked")),
        (&["-C", "repo", "add", "."], top.clone()),
        (&["-C", "../linked", "add", "."], top.join("other")),
        (&["--git-dir", &named, "add", "."], top.clone()),
        (&["-c", "a.b=c", "-C", "link/sub", "nosuch"], top.clone()),
    ] {
        assert_eq!(name(argv, &cwd).as_ref(), Some(&git_dir), "{argv:?}");
    }
    assert_ne!(name(&["add", "."], &top.join("other")), Some(git_dir));
}
