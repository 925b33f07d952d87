//! Tasks that are born on the device: of its owner, of a schedule, of a file.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use deskhand_agent::{Agent, AgentHandle, Door};
use deskhand_protocol::{
    Action, ErrorCode, EventKind, Seq, Source, Task, TaskId, TaskRequest, TaskStatus, Timestamp,
    device_request::{DeviceRequest, DeviceResponse, TaskFilter},
    link::DeviceToRelay,
    schedule::{
        LeftOut, LeftOutRuns, Missed, NewSchedule, ScheduleView, ScheduledRun,
        default_max_age_seconds,
    },
    task::TaskView,
};
use serde_json::{Value, json};

use crate::harness::{Session, TestDevice, TestRelay, eventually, eventually_some};

fn request(action: Value) -> TaskRequest {
    let action: Action = serde_json::from_value(action).unwrap();
    TaskRequest::new(action)
}

fn echo(text: &str) -> TaskRequest {
    request(json!({"type": "echo", "text": text}))
}

fn shell(line: &str) -> TaskRequest {
    request(json!({"type": "shell", "command": line}))
}

async fn opened(session: &mut Session) -> Task {
    let is_opened = |frame| match frame {
        DeviceToRelay::Opened { task } => Some(task),
        DeviceToRelay::Event { event } => panic!("its event comes before it: {event:?}"),
        _ => None,
    };
    session.until(is_opened).await
}

async fn open(agent: &AgentHandle, request: TaskRequest) -> TaskView {
    let source = Source::Cli;
    match agent
        .request(DeviceRequest::OpenTask { request, source }, Door::Local)
        .await
    {
        DeviceResponse::TaskOpened { task } => *task,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_task_of_the_owner_runs_without_a_relay_which_hears_of_it_later() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    // Nobody takes the session: the device is off line.
    let agent = device.start(&relay).await;
    let task = open(&agent, shell("echo x >> ran")).await;
    assert_eq!((task.source, task.caller.as_str()), (Source::Cli, "owner"));
    eventually("it runs", || device.file("ran") == "x\n").await;

    let mut session = relay.session(0).await;
    let told = opened(&mut session).await;
    assert_eq!((told.task_id, told.source), (task.uid, Source::Cli));
    let (result, event) = session.until_ended(&told).await;
    assert_eq!(result.outcome.returncode, Some(0));
    session.stored(event.seq).await;
    session.round_trip().await;
    agent.shutdown().await;

    // What the relay has is not said again, and nothing ran twice.
    let agent = device.start(&relay).await;
    let mut session = relay.session(event.seq.0).await;
    assert_eq!(session.round_trip().await, []);
    agent.shutdown().await;
    assert_eq!(device.file("ran"), "x\n");
}

#[tokio::test]
async fn only_the_owner_opens_tasks_and_schedules() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    for request in [
        DeviceRequest::OpenTask {
            request: echo("x"),
            source: Source::Cli,
        },
        DeviceRequest::AddSchedule {
            schedule: schedule("every(1 second)", echo("x")),
        },
        DeviceRequest::ChangeSchedule {
            schedule: schedule("every(1 second)", echo("x")),
        },
        DeviceRequest::RunSchedule { name: "s".into() },
        DeviceRequest::RemoveSchedule { name: "s".into() },
    ] {
        match session.ask(request).await {
            DeviceResponse::Problem { problem } => assert_eq!(problem.code, ErrorCode::LocalOnly),
            other => panic!("{other:?}"),
        }
    }
}

fn schedule(when: &str, request: TaskRequest) -> NewSchedule {
    NewSchedule {
        name: "s".into(),
        when: when.into(),
        time_zone: None,
        missed: Missed::Skip,
        max_age_seconds: default_max_age_seconds(),
        overlap: false,
        request,
    }
}

async fn ask(agent: &AgentHandle, request: DeviceRequest) -> DeviceResponse {
    agent.request(request, Door::Local).await
}

async fn add(agent: &AgentHandle, schedule: NewSchedule) -> ScheduleView {
    match ask(agent, DeviceRequest::AddSchedule { schedule }).await {
        DeviceResponse::Schedule { schedule, .. } => *schedule,
        other => panic!("{other:?}"),
    }
}

async fn shown(agent: &AgentHandle) -> (ScheduleView, Vec<ScheduledRun>) {
    match ask(agent, DeviceRequest::GetSchedule { name: "s".into() }).await {
        DeviceResponse::Schedule { schedule, runs, .. } => (*schedule, runs),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_schedule_makes_a_task_of_each_instant_and_says_when_the_next_is() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let added = add(&agent, schedule("every(1 second)", echo("x"))).await;
    assert_eq!(added.schedule.time_zone.as_deref(), Some("UTC"));
    assert!(added.next_run_at.unwrap() > added.created_at);

    let first = opened(&mut session).await;
    assert_eq!(first.source, Source::Schedule);
    assert_eq!(first.caller.name, "s");
    assert!(first.name.as_str().starts_with("s-2"), "{}", first.name);
    session.until_ended(&first).await;
    let second = session
        .until(|frame| match frame {
            DeviceToRelay::Opened { task } => Some(task),
            _ => None,
        })
        .await;
    session.until_ended(&second).await;
    let (view, runs) = shown(&agent).await;
    let planned: Vec<i64> = runs
        .iter()
        .rev()
        .map(|run| run.planned_at.as_second())
        .collect();
    assert!(planned.len() >= 2 && planned.windows(2).all(|pair| pair[0] < pair[1]));
    let oldest = runs.last().unwrap();
    assert_eq!(
        (oldest.status, oldest.returncode),
        (Some(TaskStatus::Completed), Some(0))
    );
    assert_eq!(view.last_run.unwrap().planned_at, runs[0].planned_at);

    // Disabled it makes no more, and removed it is not there.
    let name = || "s".to_owned();
    let disable = DeviceRequest::EnableSchedule {
        name: name(),
        enabled: false,
    };
    ask(&agent, disable).await;
    let (view, runs) = shown(&agent).await;
    assert_eq!((view.enabled, view.next_run_at), (false, None));
    ask(&agent, DeviceRequest::RunSchedule { name: name() }).await;
    assert_eq!(shown(&agent).await.1.len(), runs.len() + 1);
    let removed = ask(&agent, DeviceRequest::RemoveSchedule { name: name() }).await;
    assert_eq!(
        removed,
        DeviceResponse::Schedules {
            schedules: Vec::new()
        }
    );
}

#[tokio::test]
async fn a_schedule_that_is_changed_keeps_its_history_and_makes_up_for_nothing() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let agent = &agent;
    let change = |schedule| ask(agent, DeviceRequest::ChangeSchedule { schedule });
    let refused = change(schedule("every(1 second)", echo("x"))).await;
    assert!(
        matches!(&refused, DeviceResponse::Problem { problem } if problem.code == ErrorCode::NotFound),
        "{refused:?}"
    );
    let hourly = NewSchedule {
        missed: Missed::All,
        ..schedule("every(1 hour)", echo("before"))
    };
    let added = add(agent, hourly.clone()).await;
    ask(agent, DeviceRequest::RunSchedule { name: "s".into() }).await;
    let refused = change(NewSchedule {
        when: "every(1 century)".into(),
        ..hourly.clone()
    });
    assert!(matches!(refused.await, DeviceResponse::Problem { .. }));
    assert_eq!(shown(agent).await.0.schedule, added.schedule);

    // The seconds since it was added are no runs that were missed: they were not planned.
    let is_later = || Timestamp::now().duration_since(added.created_at).as_secs() >= 2;
    eventually("two seconds have passed", is_later).await;
    let changed = NewSchedule {
        request: echo("after"),
        when: "every(1 second)".into(),
        ..hourly
    };
    let changed_at = Timestamp::now();
    assert!(matches!(
        change(changed).await,
        DeviceResponse::Schedule { .. }
    ));
    let (view, runs) = eventually_some("it runs by the new plan", || async move {
        let (view, runs) = shown(agent).await;
        (runs.len() >= 3).then_some((view, runs))
    })
    .await;
    assert_eq!((view.created_at, view.n_left_out), (added.created_at, 0));
    let by_plan = &runs[..runs.len() - 1];
    assert!(
        by_plan.iter().all(|run| run.planned_at > changed_at),
        "{runs:?}"
    );
    let DeviceResponse::Tasks { tasks, .. } =
        ask(agent, DeviceRequest::ListTasks(TaskFilter::default())).await
    else {
        panic!("no tasks");
    };
    let said: Vec<String> = tasks.iter().map(|task| task.action.to_string()).collect();
    assert!(
        said[0].contains("after") && said.last().unwrap().contains("before"),
        "{said:?}"
    );
}

#[tokio::test]
async fn runs_do_not_overlap_and_what_is_left_out_is_told() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let line = "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done";
    add(&agent, schedule("every(1 second)", shell(line))).await;
    let agent = &agent;
    let left_out = || async move {
        let (view, runs) = shown(agent).await;
        (view.n_left_out > 0).then_some((view, runs))
    };
    let (_, runs) = eventually_some("one is left out", left_out).await;
    assert_eq!(runs[0].left_out, Some(LeftOut::Overlap));
    assert!(runs[0].decided_at >= Some(runs[0].planned_at));
    let (_, told) = left_out_runs(&mut session).await;
    assert_eq!((told.schedule.as_str(), told.n_runs), ("s", 1));
    let is_told = |run: &ScheduledRun| run.planned_at == told.planned_at;
    let run = runs.iter().find(|run| is_told(run)).unwrap();
    assert_eq!(run.left_out, Some(told.left_out));
    assert_eq!(runs.last().unwrap().status, Some(TaskStatus::InProgress));
    assert_eq!(device.file("ran"), "x\n");
    // Started by hand it does not overlap either.
    let run = ask(agent, DeviceRequest::RunSchedule { name: "s".into() }).await;
    assert!(matches!(run, DeviceResponse::Problem { .. }), "{run:?}");
    device.write("go", "");
}

/// Waits until the device says that runs were left out.
async fn left_out_runs(session: &mut Session) -> (Seq, LeftOutRuns) {
    let runs = |frame| match frame {
        DeviceToRelay::Event { event } => match event.kind {
            EventKind::RunsLeftOut(runs) => Some((event.seq, runs)),
            _ => None,
        },
        _ => None,
    };
    session.until(runs).await
}

#[tokio::test]
async fn runs_that_were_missed_are_told_together_and_forgotten_with_the_tasks() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    ask(&agent, DeviceRequest::Pause).await;
    let added = add(&agent, schedule("every(1 second)", echo("x"))).await;
    let is_later = || Timestamp::now().duration_since(added.created_at).as_secs() >= 4;
    eventually("four seconds have passed", is_later).await;
    ask(&agent, DeviceRequest::Resume).await;
    let (seq, told) = left_out_runs(&mut session).await;
    assert_eq!(
        (told.schedule.as_str(), told.left_out),
        ("s", LeftOut::Missed)
    );
    // The last of them is on time, those before it were missed.
    assert!(told.n_runs >= 3, "{told:?}");
    let disable = DeviceRequest::EnableSchedule {
        name: "s".into(),
        enabled: false,
    };
    ask(&agent, disable).await;
    assert!(shown(&agent).await.0.n_left_out >= told.n_runs);

    // What the relay has is forgotten on request, and not said again.
    session.stored(seq).await;
    session.round_trip().await;
    ask(&agent, DeviceRequest::ClearTasks).await;
    agent.shutdown().await;
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let said = session.round_trip().await;
    let is_told =
        |frame: &DeviceToRelay| matches!(frame, DeviceToRelay::Event { event } if event.seq == seq);
    assert!(!said.iter().any(is_told), "{said:?}");
}

#[tokio::test]
async fn no_instant_is_run_twice_however_often_the_agent_is_killed() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let apart = device.start_apart(&relay).await;
    let every_second = NewSchedule {
        missed: Missed::All,
        ..schedule("every(1 second)", echo("x"))
    };
    add(&apart.agent, every_second).await;
    apart.kill().await;
    for _ in 0..4 {
        let apart = device.start_apart(&relay).await;
        let agent = &apart.agent;
        let n_before = shown(agent).await.1.len();
        eventually_some("one more runs", || async move {
            (shown(agent).await.1.len() > n_before).then_some(())
        })
        .await;
        apart.kill().await;
    }
    let agent = device.start(&relay).await;
    let disable = DeviceRequest::EnableSchedule {
        name: "s".into(),
        enabled: false,
    };
    ask(&agent, disable).await;
    let (view, runs) = shown(&agent).await;
    let filter = TaskFilter {
        source: Some(Source::Schedule),
        ..TaskFilter::default()
    };
    let DeviceResponse::Tasks { tasks, .. } = ask(&agent, DeviceRequest::ListTasks(filter)).await
    else {
        panic!("no tasks");
    };
    // Each instant from the first to the last one is there, once.
    let mut names: Vec<&str> = tasks.iter().map(|task| task.task_id.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), tasks.len());
    let newest = runs.first().unwrap().planned_at.as_second();
    let oldest = view.created_at.as_second();
    assert_eq!(tasks.len() as i64, newest - oldest, "{names:?}");
}

fn inbox(device: &TestDevice, name: &str) -> PathBuf {
    device.path("own").join("inbox").join(name)
}

async fn there(path: PathBuf) -> String {
    eventually(&path.display().to_string(), || path.exists()).await;
    fs::read_to_string(path).unwrap()
}

async fn started(device: &TestDevice, relay: &TestRelay) -> AgentHandle {
    let agent = device.start(relay).await;
    let rejected = inbox(device, "rejected");
    eventually("the inbox is there", || rejected.is_dir()).await;
    agent
}

#[tokio::test]
async fn a_file_becomes_a_task_and_its_result_lies_beside_it() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = started(&device, &relay).await;
    let mut session = relay.session(0).await;
    let body = json!({"action": {"type": "shell", "command": "echo x | tee -a ran"}}).to_string();
    // Written in pieces, and moved there whole: both ways are taken.
    let path = inbox(&device, "pieces.json");
    fs::write(&path, &body[..20]).unwrap();
    fs::write(inbox(&device, ".whole.json"), &body).unwrap();
    fs::rename(inbox(&device, ".whole.json"), inbox(&device, "whole.json")).unwrap();
    let task = opened(&mut session).await;
    assert_eq!((task.source, task.name.as_str()), (Source::File, "whole"));
    let result: TaskView =
        serde_json::from_str(&there(inbox(&device, "whole.result.json")).await).unwrap();
    assert_eq!(result.status, TaskStatus::Completed);
    assert_eq!(result.result.unwrap().output.stdout, "x\n");
    fs::write(&path, &body).unwrap();
    there(inbox(&device, "pieces.result.json")).await;
    agent.shutdown().await;

    // As long as they lie there they are the same tasks, also for the next agent.
    fs::remove_file(inbox(&device, "whole.result.json")).unwrap();
    let agent = started(&device, &relay).await;
    fs::write(inbox(&device, "next.json"), &body).unwrap();
    there(inbox(&device, "next.result.json")).await;
    assert_eq!(device.file("ran"), "x\n".repeat(3));
    // Taken away and put back one is another.
    fs::remove_file(inbox(&device, "whole.json")).unwrap();
    fs::write(inbox(&device, "after.json"), &body).unwrap();
    there(inbox(&device, "after.result.json")).await;
    fs::write(inbox(&device, "whole.json"), &body).unwrap();
    there(inbox(&device, "whole.result.json")).await;
    agent.shutdown().await;
    assert_eq!(device.file("ran"), "x\n".repeat(5));
}

#[tokio::test]
async fn a_file_that_is_no_task_is_moved_away_with_the_reason() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = started(&device, &relay).await;
    let good = json!({"action": {"type": "echo", "text": "x"}}).to_string();
    let outside = device.path("own").join("outside.json");
    fs::write(&outside, &good).unwrap();
    symlink(&outside, inbox(&device, "link.json")).unwrap();
    fs::create_dir(inbox(&device, "dir.json")).unwrap();
    fs::write(inbox(&device, "large.json"), vec![b' '; 300 * 1024]).unwrap();
    fs::write(inbox(&device, "half.json"), &good[..10]).unwrap();
    let elsewhere = json!({"action": {"type": "echo", "text": "x"}, "device": "other"});
    fs::write(inbox(&device, "elsewhere.json"), elsewhere.to_string()).unwrap();
    let empty = json!({"action": {"type": "shell", "command": ""}});
    fs::write(inbox(&device, "empty.json"), empty.to_string()).unwrap();
    for (name, why) in [
        ("link", "symbolic link"),
        ("dir", "no file"),
        ("large", "larger than"),
        ("half", "no task request"),
        ("elsewhere", "`other`"),
        ("empty", "Missing command"),
    ] {
        let reason = there(inbox(&device, &format!("rejected/{name}.reason.txt"))).await;
        assert!(reason.contains(why), "{name}: {reason}");
        let moved = inbox(&device, &format!("rejected/{name}.json"));
        eventually("it is moved", || fs::symlink_metadata(&moved).is_ok()).await;
        assert!(fs::symlink_metadata(inbox(&device, &format!("{name}.json"))).is_err());
    }
    // Another user's file, where we may make one.
    let path = inbox(&device, ".other.json");
    fs::write(&path, &good).unwrap();
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        fs::rename(&path, inbox(&device, "other.json")).unwrap();
        let reason = there(inbox(&device, "rejected/other.reason.txt")).await;
        assert!(reason.contains("another user"), "{reason}");
    }
    assert!(outside.exists());
}

#[tokio::test]
async fn a_task_that_was_taken_from_a_file_is_finished_by_the_next_agent() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let apart = device.start_apart(&relay).await;
    let rejected = inbox(&device, "rejected");
    eventually("the inbox is there", || rejected.is_dir()).await;
    let line = "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done";
    let body = json!({"action": {"type": "shell", "command": line}});
    fs::write(inbox(&device, "long.json"), body.to_string()).unwrap();
    eventually("it runs", || device.file("ran") == "x\n").await;
    apart.kill().await;

    let _agent = Agent::start(device.config(&relay)).await.unwrap();
    let result = there(inbox(&device, "long.result.json")).await;
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(
        (&result["status"], &result["code"]),
        (&json!("failed"), &json!("interrupted"))
    );
    assert_eq!(device.file("ran"), "x\n");
    let _: TaskId = serde_json::from_value(result["uid"].clone()).unwrap();
}

#[tokio::test]
async fn files_wait_while_the_device_is_paused() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = started(&device, &relay).await;
    let mut session = relay.session(0).await;
    ask(&agent, DeviceRequest::Pause).await;
    let body = json!({"action": {"type": "echo", "text": "x"}}).to_string();
    fs::write(inbox(&device, "waits.json"), body).unwrap();
    let refused = ask(
        &agent,
        DeviceRequest::OpenTask {
            request: echo("x"),
            source: Source::Cli,
        },
    );
    match refused.await {
        DeviceResponse::Problem { problem } => assert_eq!(problem.code, ErrorCode::DevicePaused),
        other => panic!("{other:?}"),
    }
    let is_event = |frame: &DeviceToRelay| match frame {
        DeviceToRelay::Event { event } => matches!(event.kind, EventKind::TaskAccepted { .. }),
        _ => false,
    };
    assert!(!session.round_trip().await.iter().any(is_event));
    ask(&agent, DeviceRequest::Resume).await;
    there(inbox(&device, "waits.result.json")).await;
}
