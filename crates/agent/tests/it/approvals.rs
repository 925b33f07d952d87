//! Questions: asked, seen, answered once, kept over a restart, and not asked when nobody is there.

use deskhand_agent::{AgentHandle, Door};
use deskhand_protocol::{
    ErrorCode, EventKind, Task, TaskStatus,
    approval::{Answer, ApprovalDoor, Approver, QuestionView},
    audit::AuditEntry,
    device_request::{DeviceRequest, DeviceResponse},
    outcome::EndStatus,
    policy::Level,
};
use futures_util::future::join_all;

use crate::harness::{TestDevice, TestRelay, eventually_some, shell, task};

async fn ask(agent: &AgentHandle, request: DeviceRequest) -> DeviceResponse {
    agent.request(request, Door::Local).await
}

/// Opens the workspace at another level.
async fn at_level(device: &TestDevice, agent: &AgentHandle, level: Level) {
    let request = DeviceRequest::AddWorkspace {
        path: device.path("workspace").to_str().unwrap().to_owned(),
        name: None,
        level: Some(level),
    };
    let answer = ask(agent, request).await;
    assert!(
        matches!(answer, DeviceResponse::Workspaces { .. }),
        "{answer:?}"
    );
}

async fn attend(agent: &AgentHandle, seconds: u32) {
    ask(agent, DeviceRequest::Attend { seconds }).await;
}

async fn open(agent: &AgentHandle) -> Vec<QuestionView> {
    match agent
        .request(DeviceRequest::ListApprovals, Door::Link)
        .await
    {
        DeviceResponse::Approvals { questions } => questions,
        other => panic!("{other:?}"),
    }
}

async fn question(agent: &AgentHandle) -> QuestionView {
    eventually_some("the question is asked", || async {
        open(agent).await.pop()
    })
    .await
}

fn answer(task: &Task, answer: Answer, name: &str) -> DeviceRequest {
    DeviceRequest::AnswerApproval {
        task_id: task.task_id,
        digest: None,
        answer,
        by: Approver {
            name: name.into(),
            door: ApprovalDoor::Viewer,
            key_id: None,
        },
    }
}

async fn status(agent: &AgentHandle, task: &Task) -> TaskStatus {
    let task_id = task.task_id;
    match ask(agent, DeviceRequest::GetTask { task_id }).await {
        DeviceResponse::Task { task } => task.status,
        other => panic!("{other:?}"),
    }
}

async fn audit(agent: &AgentHandle) -> Vec<AuditEntry> {
    let request = DeviceRequest::ListAudit { after: 0, limit: 0 };
    match ask(agent, request).await {
        DeviceResponse::Audit { rows, .. } => rows.into_iter().map(|row| row.entry).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_question_is_asked_seen_answered_and_written_down() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    at_level(&device, &agent, Level::Ask).await;
    attend(&agent, 60).await;
    let mut session = relay.session(0).await;
    let task = shell("echo known-secret-value TOKEN=x1 >> file");
    session.deliver(&task).await;
    let asked = session
        .until_event(&task, |kind| {
            matches!(kind, EventKind::ApprovalRequested { .. })
        })
        .await;
    let seen = question(&agent).await;
    let EventKind::ApprovalRequested { digest, .. } = asked.kind else {
        unreachable!()
    };
    assert_eq!((seen.digest, seen.task_id), (digest, task.task_id));
    assert_eq!(status(&agent, &task).await, TaskStatus::AwaitingApproval);
    assert_eq!(device.file("file"), "");

    let wrong = DeviceRequest::AnswerApproval {
        task_id: task.task_id,
        digest: Some("0".repeat(64)),
        answer: Answer::Once,
        by: Approver {
            name: "me".into(),
            door: ApprovalDoor::Cli,
            key_id: None,
        },
    };
    let refused = ask(&agent, wrong).await;
    assert!(
        matches!(&refused, DeviceResponse::Problem { problem } if problem.code == ErrorCode::NoSuchQuestion),
        "{refused:?}"
    );
    let taken = ask(&agent, answer(&task, Answer::Once, "me")).await;
    assert!(
        matches!(taken, DeviceResponse::ApprovalTaken { .. }),
        "{taken:?}"
    );
    let (result, _) = session.until_ended(&task).await;
    assert_eq!(result.outcome.returncode, Some(0), "{result:?}");
    assert_eq!(device.file("file"), "known-secret-value TOKEN=x1\n");
    let late = ask(&agent, answer(&task, Answer::No, "you")).await;
    let DeviceResponse::Problem { problem } = late else {
        panic!("answered twice")
    };
    assert_eq!(problem.code, ErrorCode::AlreadyAnswered);
    assert!(
        problem.error.contains("me") && problem.error.contains("viewer"),
        "{problem}"
    );

    let entries = audit(&agent).await;
    let kinds: Vec<&str> = entries
        .iter()
        .map(|entry| match entry {
            AuditEntry::Judged { verdict, by, .. } if verdict == "ask" && by.starts_with("me") => {
                "approved"
            }
            AuditEntry::Judged { .. } => "judged",
            AuditEntry::Answered { .. } => "answered",
            AuditEntry::Ended { .. } => "ended",
            AuditEntry::Changed { .. } => "changed",
        })
        .filter(|kind| *kind != "changed")
        .collect();
    assert_eq!(kinds, ["judged", "answered", "approved", "ended"]);
    let text = serde_json::to_string(&entries).unwrap();
    assert!(
        !text.contains("known-secret") && !text.contains("x1"),
        "{text}"
    );
    let verified = ask(&agent, DeviceRequest::VerifyAudit).await;
    assert!(
        matches!(verified, DeviceResponse::AuditVerified { fault: None, .. }),
        "{verified:?}"
    );
}

#[tokio::test]
async fn twenty_answers_give_one_execution_or_none() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    at_level(&device, &agent, Level::Ask).await;
    attend(&agent, 60).await;
    let mut session = relay.session(0).await;
    for round in 0..5 {
        let file = format!("file-{round}");
        let task = shell(&format!("echo x >> {file}"));
        session.deliver(&task).await;
        question(&agent).await;
        let answers = (0..20).map(|n| {
            let door = if n % 2 == 0 { Door::Local } else { Door::Link };
            let said = if n % 3 == 0 { Answer::No } else { Answer::Once };
            let request = answer(&task, said, &format!("n{n}"));
            let agent = agent.clone();
            async move { (said, agent.request(request, door).await) }
        });
        let mut first = None;
        for (said, response) in join_all(answers).await {
            match response {
                DeviceResponse::ApprovalTaken { .. } => {
                    assert_eq!(first.replace(said), None, "two were first");
                }
                DeviceResponse::Problem { problem } => {
                    assert_eq!(problem.code, ErrorCode::AlreadyAnswered, "{problem}");
                }
                other => panic!("{other:?}"),
            }
        }
        let (result, _) = session.until_ended(&task).await;
        match first.unwrap() {
            Answer::No => {
                assert_eq!(result.outcome.code, Some(ErrorCode::Denied));
                assert_eq!(device.file(&file), "");
            }
            Answer::Once | Answer::AlwaysHere => assert_eq!(device.file(&file), "x\n"),
        }
    }
}

#[tokio::test]
async fn a_question_stays_open_over_a_restart_and_its_answer_runs_nothing_else() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let apart = device.start_apart(&relay).await;
    at_level(&device, &apart.agent, Level::Ask).await;
    attend(&apart.agent, 60).await;
    let mut session = relay.session(0).await;
    let (task, other) = (shell("echo x >> file"), shell("echo y >> other"));
    session.deliver(&task).await;
    session.deliver(&other).await;
    let both = || async { Some(open(&apart.agent).await).filter(|open| open.len() == 2) };
    let before = eventually_some("both are asked", both).await;
    apart.kill().await;

    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    // Nobody attends now, and they are open all the same.
    let both = || async { Some(open(&agent).await).filter(|open| open.len() == 2) };
    assert_eq!(eventually_some("both are open", both).await, before);
    ask(&agent, answer(&task, Answer::Once, "me")).await;
    let (result, _) = session.until_ended(&task).await;
    assert_eq!(result.outcome.returncode, Some(0), "{result:?}");
    assert_eq!(
        (device.file("file"), device.file("other")),
        ("x\n".into(), "".into())
    );

    // What changed in between is another question, which the answer does not answer.
    ask(&agent, answer(&other, Answer::Once, "me")).await;
    let (result, _) = session.until_ended(&other).await;
    assert_eq!(result.outcome.status, EndStatus::Completed);
    session.deliver(&other).await;
    session.round_trip().await;
    assert_eq!(device.file("other"), "y\n", "ran twice");
}

#[tokio::test]
async fn an_answer_to_another_question_runs_nothing() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    at_level(&device, &agent, Level::Ask).await;
    attend(&agent, 60).await;
    let mut session = relay.session(0).await;
    let task = shell("echo x >> file");
    session.deliver(&task).await;
    let first = question(&agent).await;
    // The owner allows less meanwhile: what was asked is no longer what would run.
    at_level(&device, &agent, Level::Observe).await;
    ask(&agent, answer(&task, Answer::Once, "me")).await;
    let (result, _) = session.until_ended(&task).await;
    // At `observe` it runs unasked, where it can write nothing.
    assert_ne!(result.outcome.returncode, Some(0), "{result:?}");
    assert_eq!(device.file("file"), "");
    assert!(
        open(&agent)
            .await
            .iter()
            .all(|open| open.digest != first.digest)
    );
}

#[tokio::test]
async fn nobody_there_means_no_at_once() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    at_level(&device, &agent, Level::Ask).await;
    let mut session = relay.session(0).await;
    let denied = session.run(&shell("echo x >> file")).await;
    assert_eq!(denied.outcome.code, Some(ErrorCode::Denied));
    assert!(denied.outcome.error.unwrap().contains("nobody is there"));

    session
        .send(deskhand_protocol::link::RelayToDevice::Attendance { n_approvers: 1 })
        .await;
    let task = shell("echo x >> file");
    session.deliver(&task).await;
    question(&agent).await;
    session
        .send(deskhand_protocol::link::RelayToDevice::Attendance { n_approvers: 0 })
        .await;
    session.cancel(&task, 1).await;
    let (result, _) = session.until_ended(&task).await;
    assert_eq!(result.outcome.status, EndStatus::Cancelled);
    let late = ask(&agent, answer(&task, Answer::Once, "me")).await;
    assert!(matches!(late, DeviceResponse::Problem { .. }), "{late:?}");
    let denied = session.run(&shell("echo x >> file")).await;
    assert_eq!(denied.outcome.code, Some(ErrorCode::Denied));
    assert_eq!(device.file("file"), "");
}

#[tokio::test]
async fn tasks_that_ask_leave_their_places_to_others() {
    let (mut device, relay) = (TestDevice::new(), TestRelay::start().await);
    device.max_tasks = 1;
    let agent = device.start(&relay).await;
    attend(&agent, 60).await;
    let mut session = relay.session(0).await;
    let asking = task(r#"{"type":"shell","command":["ls"],"network":["example.org"]}"#);
    session.deliver(&asking).await;
    let asked = question(&agent).await;
    assert_eq!(asked.profile.network, ["example.org"]);
    let ran = session.run(&shell("echo x >> file")).await;
    assert_eq!(ran.outcome.returncode, Some(0), "{ran:?}");
}

#[tokio::test]
async fn always_here_writes_the_rule_that_was_shown_and_only_from_here() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    at_level(&device, &agent, Level::Ask).await;
    attend(&agent, 60).await;
    let mut session = relay.session(0).await;
    let listed = task(r#"{"type":"shell","command":["ls","-l","."]}"#);
    session.deliver(&listed).await;
    let asked = question(&agent).await;
    let shown = asked.always_here.unwrap();
    assert!(
        shown.contains("options = [\"-l\"]") && shown.contains("args = [\".\"]"),
        "{shown}"
    );
    let afar = agent
        .request(answer(&listed, Answer::AlwaysHere, "phone"), Door::Link)
        .await;
    assert!(
        matches!(&afar, DeviceResponse::Problem { problem } if problem.code == ErrorCode::LocalOnly),
        "{afar:?}"
    );
    ask(&agent, answer(&listed, Answer::AlwaysHere, "me")).await;
    session.until_ended(&listed).await;
    let rules = std::fs::read_to_string(device.path("own").join("rules.toml")).unwrap();
    assert_eq!(rules.trim(), shown.trim());

    attend(&agent, 0).await;
    let again = session
        .run(&task(r#"{"type":"shell","command":["ls","-l","."]}"#))
        .await;
    assert_eq!(again.outcome.returncode, Some(0), "{again:?}");
    for other in [r#"["ls","-la","."]"#, r#"["ls","-l","..",""]"#] {
        let json = format!(r#"{{"type":"shell","command":{other}}}"#);
        let denied = session.run(&task(&json)).await;
        assert_eq!(denied.outcome.code, Some(ErrorCode::Denied), "{other}");
    }
    // The file is read again as it changes.
    std::fs::write(device.path("own").join("rules.toml"), "").unwrap();
    let denied = session
        .run(&task(r#"{"type":"shell","command":["ls","-l","."]}"#))
        .await;
    assert_eq!(denied.outcome.code, Some(ErrorCode::Denied));
}

#[tokio::test]
async fn a_key_is_held_to_its_limits_by_the_device() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    for (limits, action, allowed) in [
        (
            r#"{"actions":["git"]}"#,
            r#"{"type":"shell","command":["ls"]}"#,
            false,
        ),
        (
            r#"{"actions":["git"]}"#,
            r#"{"type":"echo","text":"x"}"#,
            false,
        ),
        (
            r#"{"actions":["shell"]}"#,
            r#"{"type":"shell","command":["ls"]}"#,
            true,
        ),
        (
            r#"{"workspaces":["other"]}"#,
            r#"{"type":"shell","command":["ls"]}"#,
            false,
        ),
        (
            r#"{"workspaces":["workspace"]}"#,
            r#"{"type":"shell","command":["ls"]}"#,
            true,
        ),
        (
            r#"{"read_only":true}"#,
            r#"{"type":"git","command":"git commit -m x"}"#,
            false,
        ),
        (
            r#"{"read_only":true}"#,
            r#"{"type":"shell","command":"$X"}"#,
            false,
        ),
    ] {
        let task = task(action);
        session
            .send(deskhand_protocol::link::RelayToDevice::Task {
                task: task.clone(),
                limits: serde_json::from_str(limits).unwrap(),
            })
            .await;
        let (result, _) = session.until_ended(&task).await;
        let denied = result.outcome.code == Some(ErrorCode::Denied);
        assert_eq!(!denied, allowed, "{limits} {action}: {result:?}");
    }
}
