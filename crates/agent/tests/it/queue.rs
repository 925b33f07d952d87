//! Which task runs when, and how it is ended early.

use std::time::Duration;

use deskhand_protocol::{
    EndStatus, ErrorCode, EventKind, Task, Timestamp, limits::MAX_UNFINISHED_TASKS,
    link::DeviceToRelay, task::Priority,
};

use crate::harness::{Session, TestDevice, TestRelay, blocker, echo, shell, skip, task};

async fn narrow() -> (TestDevice, TestRelay) {
    let mut device = TestDevice::new();
    device.max_tasks = 1;
    (device, TestRelay::start().await)
}

/// Starts a task that takes the only place.
async fn take_the_place(session: &mut Session) -> Task {
    let blocking = blocker();
    session.deliver(&blocking).await;
    session.until_started(&blocking).await;
    blocking
}

#[tokio::test]
async fn waiting_tasks_start_by_priority_then_age() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    take_the_place(&mut session).await;
    let mut last = None;
    for (name, priority) in [
        ("batch", Priority::Batch),
        ("normal1", Priority::Normal),
        ("normal2", Priority::Normal),
        ("immediate", Priority::Immediate),
    ] {
        let mut task = shell(&format!("echo {name} >> order"));
        task.priority = priority;
        session.deliver(&task).await;
        session.until_accepted(&task).await;
        last = last.or(Some(task));
    }
    device.write("go", "");
    session.until_ended(&last.unwrap()).await;
    assert_eq!(device.file("order"), "immediate\nnormal1\nnormal2\nbatch\n");
}

#[tokio::test]
async fn what_only_reads_never_waits_for_a_slow_task() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let slow = take_the_place(&mut session).await;
    assert_eq!(session.run(&echo("beside")).await.output.stdout, "beside");
    // `git version` is native from the first day of the engine on.
    let git = task(r#"{"type":"git","command":["git","version"]}"#);
    let result = session.run(&git).await;
    assert_eq!(result.outcome.returncode, Some(0), "{result:?}");
    device.write("go", "");
    session.until_ended(&slow).await;
}

#[tokio::test]
async fn a_waiting_task_is_cancelled_at_once() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let slow = take_the_place(&mut session).await;
    let waiting = shell("echo x >> ran");
    session.deliver(&waiting).await;
    session.cancel(&waiting, 5).await;
    let (result, event) = session.until_ended(&waiting).await;
    assert_eq!(result.outcome.status, EndStatus::Cancelled);
    assert!(matches!(event.kind, EventKind::TaskCancelled { .. }));
    device.write("go", "");
    session.until_ended(&slow).await;
    assert_eq!(device.file("ran"), "");
}

#[tokio::test]
async fn a_running_task_is_ended_gently() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = shell("trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.02; done");
    session.deliver(&task).await;
    session
        .until_event(&task, |kind| {
            matches!(kind, EventKind::OutputAppended { .. })
        })
        .await;
    session.cancel(&task, 10).await;
    let (result, event) = session.until_ended(&task).await;
    assert_eq!(result.outcome.status, EndStatus::Cancelled);
    assert_eq!(result.outcome.code, Some(ErrorCode::Cancelled));
    assert_eq!(result.output.stdout, "hello\nbye\n");
    assert!(matches!(event.kind, EventKind::TaskCancelled { .. }));
}

#[tokio::test]
async fn a_task_that_will_not_end_is_ended_by_force() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = shell("trap '' TERM; echo hello; while :; do sleep 0.02; done");
    session.deliver(&task).await;
    session
        .until_event(&task, |kind| {
            matches!(kind, EventKind::OutputAppended { .. })
        })
        .await;
    session.cancel(&task, 0).await;
    let (result, _) = session.until_ended(&task).await;
    assert_eq!(result.outcome.status, EndStatus::Cancelled);
}

#[tokio::test]
async fn a_cancel_of_what_has_ended_changes_nothing() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = echo("x");
    session.run(&task).await;
    session.cancel(&task, 0).await;
    session.cancel(&echo("never delivered"), 0).await;
    assert_eq!(session.round_trip().await, []);
}

#[tokio::test]
async fn a_task_that_runs_too_long_has_timed_out() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = task(r#"{"type":"shell","command":"echo a; sleep 60","timeout":1}"#);
    let result = session.run(&task).await;
    assert_eq!(result.outcome.status, EndStatus::Failed);
    assert_eq!(result.outcome.code, Some(ErrorCode::TimedOut));
    assert_eq!(result.output.stdout, "a\n");
}

#[tokio::test]
async fn a_task_that_waits_too_long_expires() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let slow = take_the_place(&mut session).await;
    let mut waiting = shell("echo x >> ran");
    waiting.expires_at = Timestamp::now() + Duration::from_millis(200);
    session.deliver(&waiting).await;
    let (result, event) = session.until_ended(&waiting).await;
    assert_eq!(result.outcome.status, EndStatus::Expired);
    assert!(matches!(event.kind, EventKind::TaskExpired { .. }));
    device.write("go", "");
    session.until_ended(&slow).await;
    assert_eq!(device.file("ran"), "");
}

#[tokio::test]
async fn beyond_the_bound_accepted_is_withheld() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    take_the_place(&mut session).await;
    let waiting: Vec<Task> = (1..MAX_UNFINISHED_TASKS).map(|_| shell("true")).collect();
    for task in &waiting {
        session.deliver(task).await;
    }
    let mut n_accepted = 0;
    while n_accepted < waiting.len() {
        match session.next().await {
            DeviceToRelay::Accepted { .. } => n_accepted += 1,
            DeviceToRelay::Event { event } => session.stored(event.seq).await,
            other => panic!("{other:?}"),
        }
    }
    let beyond = shell("true");
    session.deliver(&beyond).await;
    let said = session.round_trip().await;
    let accepted = DeviceToRelay::Accepted {
        task_id: beyond.task_id,
    };
    assert!(!said.contains(&accepted), "{said:?}");

    session.cancel(&waiting[0], 0).await;
    session.until_ended(&waiting[0]).await;
    session.deliver(&beyond).await;
    session.until_accepted(&beyond).await;
}

#[tokio::test]
async fn a_long_task_says_that_it_runs() {
    let (device, relay) = narrow().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let slow = take_the_place(&mut session).await;
    skip(Duration::from_secs(11)).await;
    session
        .until_event(&slow, |kind| {
            matches!(kind, EventKind::ProgressMade { percent: None, .. })
        })
        .await;
    device.write("go", "");
    session.until_ended(&slow).await;
}
