//! What the native engine does not perform is done by the real git, in the sandbox, or refused with the
//! reason; and no two commands change one repository at the same time.

use deskhand_tests::{TestCaller, TestDevice, TestRepo, relay_and_device};
use futures_util::future::join_all;

/// A repository of a kind that the native engine does not read: what is missing in it is fetched when it is
/// looked at.
fn foreign(device: &TestDevice) -> TestRepo {
    let repo = TestRepo::empty(&device.workspace().join("foreign"), &[]);
    repo.git(&["config", "remote.origin.promisor", "true"]);
    repo.write("README.md", "# Test\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "--quiet", "--message=Begin"]);
    repo.write("README.md", "# Test\n\nMore.\n");
    repo
}

#[tokio::test]
async fn a_read_is_done_by_the_real_git() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = foreign(&device);
    for (n, argv) in [
        &["git", "status"] as &[&str],
        &["git", "diff"],
        &["git", "log", "-1"],
    ]
    .iter()
    .enumerate()
    {
        let answer = caller.git(&format!("read-{n}"), argv, repo.dir()).await;
        assert_eq!(answer.body["status"], "completed", "{}", answer.body);
        assert_eq!(answer.body["engine"], "git");
        assert!(answer.body["engine_reason"].is_string(), "{}", answer.body);
        assert_eq!(answer.body["output"]["stdout"], repo.git(&argv[1..]));
    }
    let failed = caller
        .git("failing", &["git", "log", "nowhere"], repo.dir())
        .await;
    assert_eq!(failed.body["output"]["returncode"], 128);
    assert!(
        failed.body["output"]["stderr"]
            .as_str()
            .unwrap()
            .starts_with("fatal: ambiguous argument 'nowhere'"),
        "{}",
        failed.body
    );
}

#[tokio::test]
async fn a_write_is_asked_and_refused_when_nobody_is_there() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = foreign(&device);
    let before = repo.git(&["for-each-ref"]);
    for (id, argv) in [
        ("branch", &["git", "branch", "new"] as &[&str]),
        ("fetch", &["git", "fetch", "."]),
    ] {
        let answer = caller.git(id, argv, repo.dir()).await;
        assert_eq!(answer.body["status"], "failed", "{}", answer.body);
        assert_eq!(answer.body["code"], "denied");
        let error = answer.body["error"].as_str().unwrap();
        assert!(error.contains("nobody is there"), "{error}");
        assert!(answer.body["engine"].is_null());
    }
    assert_eq!(repo.git(&["for-each-ref"]), before);
}

#[tokio::test]
async fn a_repository_starts_nothing_in_what_is_handed_over() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = foreign(&device);
    let mark = device.workspace().join("started");
    let plant = format!("touch {}; cat", mark.display());
    let hook = device.workspace().join("foreign/plant.sh");
    std::fs::write(&hook, format!("#!/bin/sh\n{plant}\n")).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let hook = hook.to_str().unwrap();
    repo.write(".gitattributes", "* filter=evil diff=evil\n");
    for (key, value) in [
        ("core.fsmonitor", hook),
        ("core.pager", hook),
        ("diff.external", hook),
        ("diff.evil.textconv", hook),
        ("filter.evil.clean", hook),
        ("filter.evil.smudge", hook),
        ("filter.evil.process", hook),
    ] {
        repo.git(&["config", key, value]);
    }
    let argv: &[&[&str]] = &[
        &["git", "status"],
        &["git", "diff"],
        &["git", "show"],
        &["git", "log", "-p"],
        &["git", "grep", "Test"],
        &["git", "blame", "README.md"],
        &["git", "ls-files", "-m"],
    ];
    for (n, argv) in argv.iter().enumerate() {
        let answer = caller.git(&format!("hostile-{n}"), argv, repo.dir()).await;
        assert_eq!(answer.body["engine"], "git", "{}", answer.body);
        assert!(!mark.exists(), "{argv:?} started what the repository names");
    }
    // The plant works: without Deskhand git starts it.
    let _ = std::process::Command::new("git")
        .arg("status")
        .current_dir(repo.dir())
        .output();
    assert!(mark.exists());
}

#[tokio::test]
async fn writes_to_one_repository_wait_for_each_other() {
    let (_relay, device, caller) = relay_and_device().await;
    let repo = TestRepo::dirty(&device.workspace().join("repo"));
    repo.git(&["config", "user.name", "Test"]);
    repo.git(&["config", "user.email", "test@example.invalid"]);
    let run = async |caller: TestCaller, id: String, argv: Vec<String>| {
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let answer = caller.git(&id, &argv, repo.dir()).await;
        assert_eq!(answer.body["output"]["returncode"], 0, "{}", answer.body);
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut all = Vec::new();
    for n in 0..15 {
        repo.write(&format!("file-{n}"), "");
        let commit = words(&format!("git commit --allow-empty --message=n{n}"));
        all.push((format!("commit-{n}"), commit));
        all.push((format!("add-{n}"), words(&format!("git add file-{n}"))));
        all.push((format!("status-{n}"), words("git status")));
    }
    let all = all.into_iter();
    join_all(all.map(|(id, argv)| run(caller.clone(), id, argv))).await;
    assert_eq!(repo.git(&["rev-list", "--count", "HEAD"]), "16\n");
    repo.git(&["fsck", "--strict"]);
}
