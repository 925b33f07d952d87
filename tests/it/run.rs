//! `deskhand run`: what a person at a terminal, or a script, sees of a task.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use deskhand_tests::{TestDevice, TestRelay, eventually, program, relay_and_device};

/// Returns `deskhand run …` with the owner's key, which lies in the relay's home.
fn run(relay: &TestRelay, args: &[&str]) -> Command {
    let mut command = program::deskhand(relay.home());
    command.env_remove("DESKHAND_LOG").arg("run").args(args);
    command
}

/// Starts it with both streams to read.
fn start(relay: &TestRelay, args: &[&str]) -> Child {
    run(relay, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn first_line(child: &mut Child) -> (String, BufReader<ChildStdout>) {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    (line, stdout)
}

/// Lets a task go on that waits for this file.
fn let_go_on(device: &TestDevice) {
    std::fs::write(device.workspace().join("go-on"), "").unwrap();
}

const WAIT: &str = "while [ ! -e go-on ]; do sleep 0.02; done";

#[tokio::test]
async fn it_gives_back_every_byte_and_the_code() {
    let (relay, _device, _caller) = relay_and_device().await;

    let ended = run(
        &relay,
        &["sh", "-c", r"printf 'a\377\000b'; printf err >&2; exit 3"],
    )
    .output()
    .unwrap();
    assert_eq!(ended.stdout, b"a\xff\0b");
    assert_eq!(ended.stderr, b"err");
    assert_eq!(ended.status.code(), Some(3));

    // Larger than one range, smaller than what the device keeps.
    let ended = run(&relay, &["seq", "400000"]).output().unwrap();
    let expected: String = (1..=400_000).map(|n| format!("{n}\n")).collect();
    assert!(ended.stdout == expected.as_bytes());
    assert_eq!(ended.status.code(), Some(0));

    let ended = run(&relay, &["--line", "seq 3 | tail -1; kill -9 $$"])
        .output()
        .unwrap();
    assert_eq!(ended.stdout, b"3\n");
    assert_eq!(ended.status.code(), Some(137), "128 + SIGKILL");
}

#[tokio::test]
async fn its_own_failures_have_codes_of_their_own() {
    let (relay, mut device, _caller) = relay_and_device().await;
    let code = |args: &[&str]| run(&relay, args).output().unwrap().status.code().unwrap();
    assert_eq!(code(&["--timeout", "1", "sleep", "9"]), 125, "it timed out");
    assert_eq!(code(&["/no/such/program"]), 125);
    assert_eq!(code(&["--cwd", "/", "true"]), 121, "denied");
    assert_eq!(
        code(&["--wait", "1", "sleep", "3"]),
        124,
        "the wait is over"
    );
    let stranger = run(&relay, &["true"])
        .env("DESKHAND_API_KEY", "dh_a_b")
        .output()
        .unwrap();
    assert_eq!(stranger.status.code(), Some(123), "not authorised");
    device.terminate().await;
    // For fifteen seconds it is only away.
    let offline = eventually("the device counts as offline", || {
        let ended = run(&relay, &["--wait", "1", "true"]).output().unwrap();
        async move { (ended.status.code() != Some(124)).then_some(ended) }
    });
    assert_eq!(offline.await.status.code(), Some(122), "not reachable");
}

#[tokio::test]
async fn output_comes_while_the_task_runs_and_outlives_a_restart_of_the_relay() {
    let (mut relay, device, _caller) = relay_and_device().await;
    let script = format!("echo first; {WAIT}; echo second");
    let mut child = start(&relay, &["sh", "-c", &script]);
    let (line, mut rest) = first_line(&mut child);
    assert_eq!(line, "first\n");

    relay.terminate().await;
    relay.start_again().await;
    let_go_on(&device);

    let mut text = String::new();
    rest.read_to_string(&mut text).unwrap();
    assert_eq!(text, "second\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn ctrl_c_cancels_the_task() {
    let (relay, device, _caller) = relay_and_device().await;
    let script = "echo started; trap 'echo ended > ended; exit' TERM; while :; do sleep 0.02; done";
    let mut child = start(&relay, &["sh", "-c", script]);
    let (line, _rest) = first_line(&mut child);
    assert_eq!(line, "started\n");
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        device.workspace().join("ended").exists(),
        "it was ended gently"
    );
}

#[tokio::test]
async fn a_detached_task_is_followed_later() {
    let (relay, device, _caller) = relay_and_device().await;
    let script = format!("echo one; {WAIT}; exit 7");
    let detached = run(
        &relay,
        &["--detach", "--task-id", "later", "sh", "-c", &script],
    )
    .output()
    .unwrap();
    assert_eq!(detached.status.code(), Some(0));
    assert_eq!(detached.stdout, b"later\n");
    let_go_on(&device);
    let followed = program::run(relay.home(), ["tasks", "watch", "later"]);
    assert_eq!(followed.stdout, b"one\n");
    assert_eq!(followed.status.code(), Some(7));
    let output = program::run(relay.home(), ["tasks", "output", "later", "--offset", "1"]);
    assert_eq!(output.stdout, b"ne\n");
    let view = program::run_json(relay.home(), ["tasks", "show", "later"]);
    assert_eq!(view["result"]["outcome"]["returncode"], 7);
    assert_eq!(view["source"], "cli");
}
