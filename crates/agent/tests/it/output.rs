//! What a task prints: as it comes, afterwards, and when it is too much.

use base64::{Engine, prelude::BASE64_STANDARD};
use deskhand_agent::{AgentHandle, Door};
use deskhand_protocol::{
    ErrorCode, EventKind, Problem, Task,
    device_request::{DeviceRequest, DeviceResponse, OutputRange},
    event::Stream,
    limits::{MAX_RANGE_BYTES, STORE_HEAD_BYTES, STORE_TAIL_BYTES},
};

use crate::harness::{TestDevice, TestRelay, blocker, shell, task};

async fn range(
    agent: &AgentHandle,
    task: &Task,
    offset: u64,
    limit: u64,
) -> Result<(Vec<u8>, OutputRange), Problem> {
    let request = DeviceRequest::Output {
        task_id: task.task_id,
        stream: Stream::Stdout,
        offset,
        limit,
    };
    match agent.request(request, Door::Local).await {
        DeviceResponse::Output(range) => {
            Ok((BASE64_STANDARD.decode(&range.base64).unwrap(), range))
        }
        DeviceResponse::Problem { problem } => Err(problem),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_streams_the_exit_code_and_the_input_are_the_programs_own() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = task(
        r#"{"type":"shell","command":["/bin/sh","-c","cat; echo err >&2; exit 3"],"stdin":"in\n"}"#,
    );
    let result = session.run(&task).await;
    assert_eq!(result.outcome.returncode, Some(3));
    assert_eq!(
        (result.outcome.n_stdout_bytes, result.outcome.n_stderr_bytes),
        (3, 4)
    );
    assert_eq!(result.output.stdout, "in\n");
    assert_eq!(result.output.stderr, "err\n");
    let (bytes, range) = range(&agent, &task, 1, 100).await.unwrap();
    assert_eq!(
        (bytes.as_slice(), range.total, range.complete),
        (&b"n\n"[..], 3, true)
    );
}

#[tokio::test]
async fn output_is_there_while_the_task_runs() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = shell("echo early; while [ ! -e go ]; do sleep 0.02; done; echo late");
    session.deliver(&task).await;
    let event = session
        .until_event(&task, |kind| {
            matches!(kind, EventKind::OutputAppended { .. })
        })
        .await;
    let EventKind::OutputAppended {
        stream,
        offset,
        n_bytes,
        preview,
    } = event.kind
    else {
        unreachable!()
    };
    assert_eq!(
        (stream, offset, n_bytes, preview.as_str()),
        (Stream::Stdout, 0, 6, "early\n")
    );
    assert!(!range(&agent, &task, 0, 100).await.unwrap().1.complete);
    let task_id = task.task_id;
    let so_far = session.ask(DeviceRequest::Excerpt { task_id }).await;
    assert!(matches!(so_far, DeviceResponse::Excerpt { output } if output.stdout == "early\n"));
    device.write("go", "");
    let (result, _) = session.until_ended(&task).await;
    assert_eq!(result.output.stdout, "early\nlate\n");
}

#[tokio::test]
async fn a_large_output_keeps_its_ends_and_names_its_hole() {
    const N: u64 = 12_000_000;
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    // Lines of eight bytes that say where they are.
    let task = shell(&format!("seq -f %07.0f 0 {} ; echo end", N / 8 - 1));
    session.deliver(&task).await;
    let result = loop {
        match session.next().await {
            deskhand_protocol::link::DeviceToRelay::Event { event } => {
                session.stored(event.seq).await;
            }
            deskhand_protocol::link::DeviceToRelay::Result { result, .. } => break result,
            _ => {}
        }
    };
    assert_eq!(result.outcome.n_stdout_bytes, N + 4);
    assert!(result.output.stdout.starts_with("0000000\n0000001\n"));
    assert!(result.output.stdout.ends_with("1499999\nend\n"));
    assert_eq!(
        result.output.truncated.unwrap().stdout_bytes,
        N + 4 - 64 * 1024
    );

    let line = |offset: u64| format!("{:07}\n", offset / 8);
    let (bytes, first) = range(&agent, &task, 800, 8).await.unwrap();
    assert_eq!(
        (String::from_utf8(bytes).unwrap(), first.total),
        (line(800), N + 4)
    );
    let tail = N + 4 - STORE_TAIL_BYTES;
    let tail = tail.next_multiple_of(8);
    let (bytes, _) = range(&agent, &task, tail, u64::MAX).await.unwrap();
    assert_eq!(bytes.len() as u64, MAX_RANGE_BYTES);
    assert_eq!(&bytes[..8], line(tail).as_bytes());

    let before_the_hole = range(&agent, &task, STORE_HEAD_BYTES - 8, 100)
        .await
        .unwrap()
        .0;
    assert_eq!(before_the_hole, line(STORE_HEAD_BYTES - 8).as_bytes());
    let problem = range(&agent, &task, STORE_HEAD_BYTES + 8, 8)
        .await
        .unwrap_err();
    assert_eq!(problem.code, ErrorCode::RangeNotSatisfiable);
    assert!(
        problem
            .error
            .starts_with(&format!("bytes {STORE_HEAD_BYTES} to ")),
        "{problem:?}"
    );
    let problem = range(&agent, &task, N + 5, 8).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::RangeNotSatisfiable);
}

#[tokio::test]
async fn progress_is_read_from_the_output() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = shell("echo deskhand:progress 40 building; while [ ! -e go ]; do sleep 0.02; done");
    session.deliver(&task).await;
    let event = session
        .until_event(&task, |kind| matches!(kind, EventKind::ProgressMade { .. }))
        .await;
    let progress = EventKind::ProgressMade {
        percent: Some(40),
        message: Some("building".into()),
    };
    assert_eq!(event.kind, progress);
    device.write("go", "");
    session.until_ended(&task).await;
}

#[tokio::test]
async fn a_task_that_cannot_run_says_why() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    for (action, code) in [
        (
            r#"{"type":"shell","command":["no-such-program"]}"#,
            ErrorCode::SpawnFailed,
        ),
        (
            r#"{"type":"shell","command":"ls","working_dir":"/"}"#,
            ErrorCode::WorkingDirNotAllowed,
        ),
        (
            r#"{"type":"shell","command":"ls","working_dir":"none"}"#,
            ErrorCode::WorkingDirMissing,
        ),
        (
            r#"{"type":"git","command":["git","-C","/","status"]}"#,
            ErrorCode::WorkingDirNotAllowed,
        ),
        (
            r#"{"type":"git","command":"git 'status"}"#,
            ErrorCode::InvalidCommand,
        ),
        (
            r#"{"type":"git","command":["git","bisect","start"]}"#,
            ErrorCode::Denied,
        ),
    ] {
        let result = session.run(&task(action)).await;
        assert_eq!(result.outcome.code, Some(code), "{action}: {result:?}");
        assert!(result.outcome.error.is_some());
    }
    device.write("go", "");
    session.run(&blocker()).await;
}
