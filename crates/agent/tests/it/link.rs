//! What travels on the link, when it breaks, and when it comes back.

use std::{sync::Arc, time::Duration};

use deskhand_agent::{Agent, Door, Heard};
use deskhand_protocol::{
    EventKind, Seq,
    device_request::{DeviceRequest, DeviceResponse, LinkStatus},
    limits::{CLOSE_FENCED, RESEND_AFTER},
    link::{DeviceToRelay, RelayToDevice},
};
use futures_util::FutureExt;
use tokio::io::AsyncReadExt;

use crate::harness::{DEADLINE, TestDevice, TestRelay, echo, eventually, skip};

/// Names the frames, events by their kind.
fn names(frames: &[DeviceToRelay]) -> Vec<String> {
    let name = |value: serde_json::Value| value["type"].as_str().unwrap().to_owned();
    frames
        .iter()
        .map(|frame| match frame {
            DeviceToRelay::Event { event } => {
                format!(
                    "{} {}",
                    event.seq,
                    name(serde_json::to_value(&event.kind).unwrap())
                )
            }
            other => name(serde_json::to_value(other).unwrap()),
        })
        .collect()
}

const ECHO: [&str; 6] = [
    "accepted",
    "1 task_accepted",
    "2 attempt_started",
    "3 output_appended",
    "result",
    "4 attempt_finished",
];

#[tokio::test]
async fn a_task_is_accepted_run_and_its_result_sent_before_its_end() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    assert_eq!(session.hello.next_event, Seq(1));
    assert!(session.hello.can_execute && session.hello.support.shell);

    let task = echo("hello");
    session.deliver(&task).await;
    let mut frames = Vec::new();
    for _ in ECHO {
        frames.push(session.next().await);
    }
    assert_eq!(names(&frames), ECHO);
    let DeviceToRelay::Result {
        result, attempt, ..
    } = &frames[4]
    else {
        panic!("{frames:?}");
    };
    assert_eq!((*attempt, result.outcome.returncode), (1, Some(0)));
    assert_eq!(result.output.stdout, "hello");
    assert!(matches!(
        *agent.link().borrow(),
        LinkStatus::Connected { .. }
    ));
    agent.shutdown().await;
    session.until_closed().await;
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again_after_five_seconds() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let task = echo("hello");
    session.run(&task).await;

    skip(RESEND_AFTER - Duration::from_millis(500)).await;
    assert_eq!(names(&session.round_trip().await), Vec::<String>::new());
    skip(Duration::from_millis(600)).await;
    let mut again = Vec::new();
    for _ in ECHO {
        again.push(session.next().await);
    }
    assert_eq!(names(&again), ECHO);

    session.stored(Seq(2)).await;
    session.round_trip().await;
    skip(RESEND_AFTER + Duration::from_millis(100)).await;
    let mut rest = Vec::new();
    for _ in 0..3 {
        rest.push(session.next().await);
    }
    assert_eq!(names(&rest), ECHO[3..]);

    session.stored(Seq(4)).await;
    session.round_trip().await;
    skip(RESEND_AFTER * 2).await;
    assert_eq!(names(&session.round_trip().await), Vec::<String>::new());
}

#[tokio::test]
async fn after_a_reconnect_everything_unacknowledged_is_sent() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    session.run(&echo("one")).await;
    session.run(&echo("two")).await;
    session.close(1001).await;

    let mut session = relay.session(5).await;
    assert_eq!(session.hello.next_event, Seq(9));
    let mut frames = Vec::new();
    for _ in 0..4 {
        frames.push(session.next().await);
    }
    assert_eq!(
        names(&frames),
        [
            "6 attempt_started",
            "7 output_appended",
            "result",
            "8 attempt_finished"
        ]
    );
}

#[tokio::test]
async fn a_long_backlog_is_sent_in_order_as_it_is_acknowledged() {
    const N: u64 = 600;
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut events = agent.events();
    let mut session = relay.session(0).await;
    // Nothing is read here, and no task waits for that.
    for n in 0..N {
        session.deliver(&echo(&n.to_string())).await;
    }
    let mut n_ended = 0;
    while n_ended < N {
        match tokio::time::timeout(DEADLINE, events.next()).await.unwrap() {
            Some(Heard::Event(event)) => n_ended += u64::from(event.kind.outcome().is_some()),
            other => panic!("{other:?}"),
        }
    }
    session.close(1001).await;

    let mut session = relay.session(0).await;
    for expected in 1..=4 * N {
        let event = session
            .until(|frame| match frame {
                DeviceToRelay::Event { event } => Some(event),
                _ => None,
            })
            .await;
        assert_eq!(event.seq, Seq(expected));
        if expected % 500 == 0 {
            session.stored(event.seq).await;
        }
    }
}

#[tokio::test]
async fn a_polite_relay_is_dialled_at_once() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    session.close(1012).await;
    let mut session = relay.session(0).await;
    session
        .send(RelayToDevice::Restarting {
            reconnect_in_ms: 10,
            try_for_ms: 1_000,
        })
        .await;
    session.round_trip().await;
    drop(session);
    relay.session(0).await.round_trip().await;
}

#[tokio::test]
async fn a_fenced_agent_waits_the_longest_back_off() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    session.close(CLOSE_FENCED).await;
    let mut link = agent.link();
    let down =
        link.wait_for(|link| matches!(link, LinkStatus::Reconnecting { error: Some(_), .. }));
    drop(tokio::time::timeout(DEADLINE, down).await.unwrap().unwrap());

    skip(Duration::from_secs(29)).await;
    agent.request(DeviceRequest::Status, Door::Local).await;
    assert!(
        relay.listener.accept().now_or_never().is_none(),
        "it dialled too early"
    );
    skip(Duration::from_secs(2)).await;
    relay.session(0).await;
}

#[tokio::test]
async fn a_refused_agent_says_so_and_never_gives_up() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut link = agent.link();
    for _ in 0..2 {
        relay.refuse().await;
        tokio::time::timeout(DEADLINE, link.changed())
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(
            *link.borrow_and_update(),
            LinkStatus::Refused { .. }
        ));
        skip(Duration::from_secs(31)).await;
    }
    relay.session(0).await;
}

#[tokio::test]
async fn a_relay_with_an_https_address_is_dialled_over_tls() {
    const CLIENT_HELLO: u8 = 22;
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let mut config = device.config(&relay);
    config.relay_url = relay.url().replace("http:", "https:");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let trust = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.tls = Some(Arc::new(trust));
    let _agent = Agent::start(config).await.unwrap();
    let (mut stream, _) = tokio::time::timeout(DEADLINE, relay.listener.accept())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), CLIENT_HELLO);
}

#[tokio::test]
async fn a_silent_relay_is_dialled_again() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    for _ in 0..2 {
        skip(Duration::from_secs(45)).await;
        session.round_trip().await;
    }
    // The second round trip answered the WebSocket's ping of the first: that was the last sign.
    eventually("the way is measured", || {
        matches!(
            *agent.link().borrow(),
            LinkStatus::Connected {
                latency_ms: Some(_),
                ..
            }
        )
    })
    .await;
    skip(Duration::from_secs(51)).await;
    relay.session(0).await;
}

#[tokio::test]
async fn a_frame_nobody_knows_does_not_cost_the_link() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    session.say(r#"{"type":"of_the_future","x":1}"#).await;
    session.say("not json").await;
    session.round_trip().await;
}

#[tokio::test]
async fn a_relay_asks_over_the_link_but_changes_nothing_local() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let answer = session.ask(DeviceRequest::ListWorkspaces).await;
    assert!(matches!(answer, DeviceResponse::Workspaces { workspaces } if workspaces.len() == 1));
    for local in [
        DeviceRequest::ClearTasks,
        DeviceRequest::AddWorkspace {
            path: "/srv".into(),
            name: None,
            level: None,
        },
        DeviceRequest::RemoveWorkspace {
            workspace: "workspace".into(),
        },
    ] {
        let answer = session.ask(local).await;
        let DeviceResponse::Problem { problem } = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(problem.code, deskhand_protocol::ErrorCode::LocalOnly);
    }
}

#[tokio::test]
async fn watchers_hear_events_as_they_are_stored() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut events = agent.events();
    let mut session = relay.session(0).await;
    let task = echo("x");
    session.run(&task).await;
    for seq in 1..=4 {
        let Some(Heard::Event(event)) = events.next().await else {
            panic!("no event {seq}");
        };
        assert_eq!((event.seq, event.task_id), (Seq(seq), task.task_id));
        assert_eq!(
            matches!(event.kind, EventKind::AttemptFinished { .. }),
            seq == 4
        );
    }
}
