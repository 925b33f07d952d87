//! Nothing runs twice, and nothing is lost with its agent.

use deskhand_protocol::{
    EndStatus, ErrorCode, EventKind, Timestamp,
    device_request::{DeviceRequest, DeviceResponse},
    link::DeviceToRelay,
};

use crate::harness::{TestDevice, TestRelay, blocker, echo, eventually, shell};

fn accepted(frames: &[DeviceToRelay]) -> usize {
    frames
        .iter()
        .filter(|frame| matches!(frame, DeviceToRelay::Accepted { .. }))
        .count()
}

#[tokio::test]
async fn a_task_that_is_delivered_again_is_acknowledged_and_not_run() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = shell("echo x >> ran");
    session.deliver(&task).await;
    session.deliver(&task).await;
    session.until_ended(&task).await;
    session.round_trip().await;
    session.deliver(&task).await;
    session.until_accepted(&task).await;
    assert_eq!(session.round_trip().await, []);
    agent.shutdown().await;

    let agent = device.start(&relay).await;
    let mut session = relay.session(100).await;
    session.deliver(&task).await;
    session.until_accepted(&task).await;
    agent.shutdown().await;
    assert_eq!(device.file("ran"), "x\n");
}

#[tokio::test]
async fn an_echo_that_is_delivered_again_says_nothing_more() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = echo("x");
    session.run(&task).await;
    session.deliver(&task).await;
    session.until_accepted(&task).await;
    assert_eq!(session.round_trip().await, []);
}

#[tokio::test]
async fn a_task_that_runs_is_acknowledged_again() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = blocker();
    session.deliver(&task).await;
    session.until_started(&task).await;
    session.deliver(&task).await;
    let said = session.round_trip().await;
    // The dispatcher may answer right after the pong.
    if accepted(&said) == 0 {
        session.until_accepted(&task).await;
    }
    device.write("go", "");
    session.until_ended(&task).await;
}

#[tokio::test]
async fn what_an_agent_left_unfinished_is_settled_by_the_next() {
    let mut device = TestDevice::new();
    device.max_tasks = 1;
    let relay = TestRelay::start().await;
    let apart = device.start_apart(&relay).await;
    let mut session = relay.session(0).await;
    let running =
        shell("echo begun >> log; while [ ! -e go ]; do sleep 0.02; done; echo ended >> log");
    let waiting = shell("echo waited >> log");
    session.deliver(&running).await;
    session.until_started(&running).await;
    session.deliver(&waiting).await;
    session.until_accepted(&waiting).await;
    eventually("the task began", || device.file("log") == "begun\n").await;
    apart.kill().await;
    device.write("go", "");

    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let (result, event) = session.until_ended(&running).await;
    assert_eq!(result.outcome.status, EndStatus::Failed);
    assert_eq!(result.outcome.code, Some(ErrorCode::Interrupted));
    assert!(matches!(
        event.kind,
        EventKind::AttemptFinished { attempt: 1, .. }
    ));
    let (result, _) = session.until_ended(&waiting).await;
    assert_eq!(result.outcome.returncode, Some(0));
    assert_eq!(device.file("log"), "begun\nwaited\n");

    session.deliver(&running).await;
    session.until_accepted(&running).await;
    agent.shutdown().await;
    assert_eq!(device.file("log"), "begun\nwaited\n");
}

#[tokio::test]
async fn a_shutdown_ends_what_runs_and_keeps_what_waits() {
    let mut device = TestDevice::new();
    device.max_tasks = 1;
    let relay = TestRelay::start().await;
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let running = blocker();
    let waiting = shell("echo waited >> log");
    session.deliver(&running).await;
    session.until_started(&running).await;
    session.deliver(&waiting).await;
    session.until_accepted(&waiting).await;
    let (ended, ()) = tokio::join!(session.until_ended(&running), agent.shutdown());
    assert_eq!(ended.0.outcome.code, Some(ErrorCode::Interrupted));
    assert_eq!(device.file("log"), "");

    let _agent = device.start(&relay).await;
    let mut session = relay.session(ended.1.seq.0).await;
    session.until_ended(&waiting).await;
    assert_eq!(device.file("log"), "waited\n");
}

#[tokio::test]
async fn an_expired_task_is_not_started() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let mut task = shell("echo x >> ran");
    task.expires_at = Timestamp::now() - std::time::Duration::from_secs(1);
    session.deliver(&task).await;
    let (result, event) = session.until_ended(&task).await;
    assert_eq!(result.outcome.status, EndStatus::Expired);
    assert!(matches!(event.kind, EventKind::TaskExpired { .. }));
    assert_eq!(device.file("ran"), "");
}

#[tokio::test]
async fn finished_tasks_are_forgotten_and_still_known() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let (sent, unsent) = (echo("secret"), echo("not sent"));
    session.deliver(&sent).await;
    let (_, event) = session.until_ended(&sent).await;
    session.stored(event.seq).await;
    session.round_trip().await;
    session.run(&unsent).await;

    let ask = |request| agent.request(request, deskhand_agent::Door::Local);
    let cleared = ask(DeviceRequest::ClearTasks).await;
    assert_eq!(cleared, DeviceResponse::Cleared { n_tasks: 1 });
    let listed = ask(DeviceRequest::ListTasks(Default::default())).await;
    let DeviceResponse::Tasks { tasks, .. } = listed else {
        panic!("{listed:?}");
    };
    assert_eq!(
        tasks.iter().map(|task| task.uid).collect::<Vec<_>>(),
        [unsent.task_id]
    );
    session.deliver(&sent).await;
    session.until_accepted(&sent).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_said_and_mended() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    // Somebody else writes, for longer than SQLite waits.
    let other = rusqlite::Connection::open(device.path("own/agent.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let task = echo("x");
    session.deliver(&task).await;
    let is_health = |frame| match frame {
        DeviceToRelay::Health {
            can_execute,
            reason,
            ..
        } => Some((can_execute, reason)),
        _ => None,
    };
    let (can_execute, reason) = session.until(is_health).await;
    assert!(!can_execute);
    assert!(reason.unwrap().starts_with("the store cannot be written"));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(session.until(is_health).await, (true, None));
    assert_eq!(session.run(&task).await.output.stdout, "x");
}
