//! A device says whether it can execute, and takes no tasks while its owner paused it.

use std::{fs, path::Path};

use deskhand_agent::{Agent, AgentHandle, Config, Door};
use deskhand_protocol::{
    RequestId,
    device_request::{DeviceRequest, DeviceResponse, DeviceStatus},
    link::{DeviceToRelay, RelayToDevice},
};

use crate::harness::{Session, TestDevice, TestRelay, blocker, echo, eventually, shell};

/// How a device last said that it is: can execute, why not, paused.
async fn health(session: &mut Session) -> (bool, Option<String>, bool) {
    let is_health = |frame| match frame {
        DeviceToRelay::Health {
            can_execute,
            reason,
            paused,
        } => Some((can_execute, reason, paused)),
        _ => None,
    };
    session.until(is_health).await
}

async fn status(agent: &AgentHandle) -> DeviceStatus {
    match agent.request(DeviceRequest::Status, Door::Local).await {
        DeviceResponse::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

/// A configuration whose helper is a copy that the test may take away.
fn with_own_helper(device: &TestDevice, relay: &TestRelay) -> Config {
    let mut config = device.config(relay);
    let own = device.path("own").join("helper");
    fs::copy(&config.sandbox_path, &own).unwrap();
    config.sandbox_path = own;
    config
}

fn take_away(helper: &Path) {
    fs::rename(helper, helper.with_extension("away")).unwrap();
}

fn bring_back(helper: &Path) {
    fs::rename(helper.with_extension("away"), helper).unwrap();
}

#[tokio::test]
async fn a_helper_that_is_gone_takes_the_device_off_line_until_it_is_back() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let config = with_own_helper(&device, &relay);
    let helper = config.sandbox_path.clone();
    let agent = Agent::start(config).await.unwrap();
    let mut session = relay.session(0).await;
    assert!(session.hello.can_execute);

    take_away(&helper);
    let (can_execute, reason, _) = health(&mut session).await;
    assert!(!can_execute);
    let reason = reason.unwrap();
    assert!(
        reason.starts_with("the sandbox helper cannot be used"),
        "{reason}"
    );
    assert_eq!(status(&agent).await.reason, Some(reason));

    bring_back(&helper);
    assert_eq!(health(&mut session).await, (true, None, false));
}

#[tokio::test]
async fn a_helper_that_confines_nothing_takes_the_device_off_line() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let config = with_own_helper(&device, &relay);
    let helper = config.sandbox_path.clone();
    let _agent = Agent::start(config).await.unwrap();
    let mut session = relay.session(0).await;

    take_away(&helper);
    fs::copy("/bin/true", &helper).unwrap();
    let (can_execute, reason, _) = health(&mut session).await;
    assert!(!can_execute && reason.is_some());
}

#[tokio::test]
async fn a_device_that_starts_unable_says_so_with_its_reason() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let config = with_own_helper(&device, &relay);
    take_away(&config.sandbox_path);
    let _agent = Agent::start(config).await.unwrap();
    let mut session = relay.session(0).await;
    assert!(!session.hello.can_execute);
    assert!(health(&mut session).await.1.is_some());
}

#[tokio::test]
async fn a_paused_device_takes_no_tasks_and_stays_paused_over_a_restart() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let running = blocker();
    session.deliver(&running).await;
    session.until_started(&running).await;

    // From afar: pausing is no change of the owner's rules.
    let asked = RelayToDevice::Request {
        request_id: RequestId(8),
        request: DeviceRequest::Pause,
    };
    session.send(asked).await;
    // It says so of itself before it answers: who asked finds it paused.
    assert_eq!(health(&mut session).await, (true, None, true));
    let response = DeviceToRelay::Response {
        request_id: RequestId(8),
        response: DeviceResponse::Paused { paused: true },
    };
    assert_eq!(session.next().await, response);
    assert!(status(&agent).await.paused);
    let task = echo("x");
    session.deliver(&task).await;
    let said = session.round_trip().await;
    assert!(
        !said
            .iter()
            .any(|frame| matches!(frame, DeviceToRelay::Accepted { .. })),
        "{said:?}"
    );
    // What runs goes on.
    device.write("go", "");
    session.until_ended(&running).await;
    agent.shutdown().await;

    let agent = device.start(&relay).await;
    let mut session = relay.session(100).await;
    assert!(session.hello.paused);
    session.deliver(&task).await;
    assert_eq!(session.round_trip().await, []);
    let resumed = agent.request(DeviceRequest::Resume, Door::Local).await;
    assert_eq!(resumed, DeviceResponse::Paused { paused: false });
    assert_eq!(health(&mut session).await, (true, None, false));
    assert_eq!(session.run(&task).await.output.stdout, "x");
}

#[tokio::test]
async fn what_waits_when_a_device_is_paused_waits_until_it_is_resumed() {
    let (mut device, relay) = (TestDevice::new(), TestRelay::start().await);
    device.max_tasks = 1;
    let agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    let (running, waiting) = (blocker(), shell("echo x >> ran"));
    session.deliver(&running).await;
    session.until_started(&running).await;
    session.deliver(&waiting).await;
    session.until_accepted(&waiting).await;
    session.send(RelayToDevice::Ping).await;
    agent.request(DeviceRequest::Pause, Door::Local).await;
    device.write("go", "");
    session.until_ended(&running).await;
    let now = status(&agent).await;
    assert_eq!((now.n_running, now.n_waiting), (0, 1));
    assert_eq!(device.file("ran"), "");
    agent.request(DeviceRequest::Resume, Door::Local).await;
    eventually("it runs", || device.file("ran") == "x\n").await;
}
