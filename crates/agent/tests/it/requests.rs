//! What a window and the command line ask the agent.

use deskhand_agent::{AgentHandle, Door};
use deskhand_protocol::{
    ErrorCode, EventKind, Seq, TaskStatus,
    device_request::{DeviceRequest, DeviceResponse, LinkStatus, TaskFilter},
    history::{HourOfTasks, TaskHit},
};

use crate::harness::{TestDevice, TestRelay, echo, eventually_some, shell};

async fn ask(agent: &AgentHandle, request: DeviceRequest) -> DeviceResponse {
    agent.request(request, Door::Local).await
}

async fn code(agent: &AgentHandle, request: DeviceRequest) -> ErrorCode {
    match ask(agent, request).await {
        DeviceResponse::Problem { problem } => problem.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn status_tells_how_the_agent_is() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    session.run(&echo("x")).await;
    let DeviceResponse::Status(status) = ask(&agent, DeviceRequest::Status).await else {
        panic!("no status");
    };
    assert_eq!(status.device_id.unwrap().as_str(), "dev1");
    assert_eq!(status.device_name, "desk");
    assert!(matches!(status.link, LinkStatus::Connected { .. }));
    assert!(status.can_execute);
    assert_eq!(
        (status.n_running, status.n_waiting, status.n_unsent_events),
        (0, 0, 4)
    );
    assert_eq!(status.workspaces.len(), 1);
    assert_eq!(status.sandbox_require, "none");
}

#[tokio::test]
async fn tasks_are_listed_newest_first_and_filtered() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let tasks = [echo("a"), shell("exit 1"), echo("c")];
    for task in &tasks {
        session.run(task).await;
    }
    let list = async |filter: TaskFilter| match ask(&agent, DeviceRequest::ListTasks(filter)).await
    {
        DeviceResponse::Tasks { tasks, .. } => {
            tasks.iter().map(|task| task.uid).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let ids = tasks.map(|task| task.task_id);
    assert_eq!(list(TaskFilter::default()).await, [ids[2], ids[1], ids[0]]);
    let shells = TaskFilter {
        action: Some("shell".into()),
        status: Some(TaskStatus::Completed),
        ..TaskFilter::default()
    };
    assert_eq!(list(shells).await, [ids[1]]);
    let next_page = TaskFilter {
        before: Some(ids[1]),
        limit: 1,
        ..TaskFilter::default()
    };
    assert_eq!(list(next_page).await, [ids[0]]);
    let failed = TaskFilter {
        status: Some(TaskStatus::Failed),
        ..TaskFilter::default()
    };
    assert_eq!(list(failed).await, []);
    let unsuccessful = TaskFilter {
        success: Some(false),
        caller: Some("tester".into()),
        ..TaskFilter::default()
    };
    assert_eq!(list(unsuccessful).await, [ids[1]]);
    let ended = |is_open| TaskFilter {
        is_open: Some(is_open),
        ..TaskFilter::default()
    };
    assert_eq!(list(ended(true)).await, []);
    assert_eq!(list(ended(false)).await.len(), 3);
}

#[tokio::test]
async fn a_long_list_is_read_from_any_place_while_tasks_arrive() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let tasks: Vec<_> = (0..5).map(|n| echo(&n.to_string())).collect();
    for task in &tasks {
        session.run(task).await;
    }
    let place = TaskFilter {
        newest: Some(tasks[3].task_id),
        skip: 2,
        limit: 1,
        count: true,
        ..TaskFilter::default()
    };
    let listed = ask(&agent, DeviceRequest::ListTasks(place)).await;
    let DeviceResponse::Tasks {
        tasks: page,
        n_total,
    } = listed
    else {
        panic!("{listed:?}");
    };
    assert_eq!(n_total, Some(4));
    assert_eq!(
        page.iter().map(|task| task.uid).collect::<Vec<_>>(),
        [tasks[1].task_id]
    );
    assert_eq!(page[0].returncode, Some(0));
    assert_eq!(page[0].result, None);
}

#[tokio::test]
async fn a_word_is_found_in_commands_and_output_once_the_task_has_ended() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let tasks = [
        shell("echo 'error[E0425]: cannot find value'; exit 1"),
        echo("nothing of interest"),
        shell("echo Straße >&2"),
    ];
    for task in &tasks {
        session.run(task).await;
    }
    let ids = tasks.map(|task| task.task_id);
    let search = async |text: &str, filter: TaskFilter| {
        let text = text.to_owned();
        match ask(&agent, DeviceRequest::SearchTasks { text, filter }).await {
            DeviceResponse::Found { hits, .. } => hits,
            other => panic!("{other:?}"),
        }
    };
    // The index follows a moment later.
    eventually_some("the last is searchable", || async {
        let hits = search("straße", TaskFilter::default()).await;
        (!hits.is_empty()).then_some(())
    })
    .await;
    let uids = |hits: Vec<TaskHit>| hits.iter().map(|hit| hit.task.uid).collect::<Vec<_>>();
    let all = TaskFilter::default;
    assert_eq!(uids(search("E0425 cannot", all()).await), [ids[0]]);
    assert_eq!(uids(search("inter nothing", all()).await), [ids[1]]);
    assert_eq!(uids(search("echo", all()).await), [ids[2], ids[1], ids[0]]);
    assert_eq!(uids(search("absent OR echo", all()).await), []);
    assert_eq!(uids(search("\"\" ) -- *", all()).await), []);
    let before = TaskFilter {
        before: Some(ids[2]),
        limit: 1,
        ..TaskFilter::default()
    };
    assert_eq!(uids(search("echo", before).await), [ids[1]]);
    let unsuccessful = TaskFilter {
        success: Some(false),
        ..TaskFilter::default()
    };
    assert_eq!(uids(search("echo", unsuccessful).await), [ids[0]]);
    let found_in = search("STRASSE straße", all()).await;
    assert_eq!(found_in.len(), 0, "every word has to be there");
    let hit = &search("straß", all()).await[0];
    assert_eq!(hit.found_in, None, "it is in the command");

    let cleared = ask(&agent, DeviceRequest::ClearTasks).await;
    assert!(
        matches!(cleared, DeviceResponse::Cleared { .. }),
        "{cleared:?}"
    );
}

#[tokio::test]
async fn statistics_count_what_happened_lately() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    for task in [shell("exit 1"), shell("exit 0"), echo("c")] {
        session.run(&task).await;
    }
    let answer = ask(&agent, DeviceRequest::Statistics { hours: 24 }).await;
    let DeviceResponse::Statistics(statistics) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(statistics.hours.len(), 24);
    // A test that runs over the full hour has tasks in two of them.
    let sum = |count: fn(&HourOfTasks) -> u64| statistics.hours.iter().map(count).sum::<u64>();
    assert_eq!(
        (sum(|hour| hour.n_succeeded), sum(|hour| hour.n_failed)),
        (2, 1)
    );
    assert_eq!(
        statistics
            .durations
            .iter()
            .map(|class| class.n_tasks)
            .sum::<u64>(),
        3
    );
    let shell = &statistics.actions[0];
    assert_eq!(
        (shell.name.as_str(), shell.n_tasks, shell.n_failed),
        ("shell", 2, 1)
    );
    assert_eq!(statistics.callers[0].n_tasks, 3);
}

#[tokio::test]
async fn one_task_is_shown_with_its_result_and_its_events() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = shell("echo out; exit 2");
    let result = session.run(&task).await;
    let task_id = task.task_id;
    let DeviceResponse::Task { task: view } = ask(&agent, DeviceRequest::GetTask { task_id }).await
    else {
        panic!("no task");
    };
    assert_eq!(
        (view.status, view.result),
        (TaskStatus::Completed, Some(result))
    );
    assert!(view.started_at.unwrap() <= view.completed_at.unwrap());

    let after = Seq(2);
    let events = ask(&agent, DeviceRequest::Events { task_id, after }).await;
    let DeviceResponse::Events { events, has_more } = events else {
        panic!("{events:?}");
    };
    assert!(!has_more);
    assert_eq!(
        events.iter().map(|event| event.seq.0).collect::<Vec<_>>(),
        [3, 4]
    );
    assert!(matches!(events[1].kind, EventKind::AttemptFinished { .. }));

    let task_id = echo("unknown").task_id;
    for request in [
        DeviceRequest::GetTask { task_id },
        DeviceRequest::Events { task_id, after },
        DeviceRequest::Excerpt { task_id },
        DeviceRequest::Cancel {
            task_id,
            grace_seconds: 0,
        },
    ] {
        assert_eq!(code(&agent, request).await, ErrorCode::NotFound);
    }
}

#[tokio::test]
async fn workspaces_are_opened_and_closed_by_the_owner() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    std::fs::create_dir_all(device.path("other/workspace")).unwrap();
    std::fs::write(device.path("a-file"), "").unwrap();
    let add = |path: &str| DeviceRequest::AddWorkspace {
        path: path.to_owned(),
        name: None,
        level: None,
    };
    let added = ask(
        &agent,
        add(device.path("other/workspace").to_str().unwrap()),
    )
    .await;
    let DeviceResponse::Workspaces { workspaces } = added else {
        panic!("{added:?}");
    };
    let names: Vec<_> = workspaces
        .iter()
        .map(|workspace| workspace.name.as_str())
        .collect();
    assert_eq!(names, ["workspace", "workspace-2"]);

    for refused in ["/", "relative", device.path("a-file").to_str().unwrap()] {
        assert_eq!(
            code(&agent, add(refused)).await,
            ErrorCode::InvalidRequest,
            "{refused}"
        );
    }
    // It holds our own directory.
    let above = device.path("").to_str().unwrap().to_owned();
    assert_eq!(code(&agent, add(&above)).await, ErrorCode::InvalidRequest);
    assert_eq!(
        code(&agent, add("/no/such/dir")).await,
        ErrorCode::WorkingDirMissing
    );

    for workspace in ["workspace", "workspace-2"] {
        let workspace = workspace.to_owned();
        ask(&agent, DeviceRequest::RemoveWorkspace { workspace }).await;
    }
    let again = DeviceRequest::RemoveWorkspace {
        workspace: "workspace".into(),
    };
    assert_eq!(code(&agent, again).await, ErrorCode::NotFound);
    let mut session = relay.session(0).await;
    let result = session.run(&shell("true")).await;
    assert_eq!(result.outcome.code, Some(ErrorCode::NoWorkspace));
}
