//! A large output never lies in the agent's memory as a whole. A test binary of its own, so that
//! nothing else moves the figures.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "the harness is shared")]

#[path = "it/harness.rs"]
mod harness;

use deskhand_protocol::link::DeviceToRelay;
use harness::{TestDevice, TestRelay, shell};

/// A figure of this process's memory, in KiB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_output_costs_little_memory() {
    let (device, relay) = (TestDevice::new(), TestRelay::start().await);
    let _agent = device.start(&relay).await;
    let mut session = relay.session(0).await;
    session.run(&shell("true")).await;
    let before = memory("VmRSS:");

    let task = shell("head -c 50000000 /dev/zero | tr '\\0' x");
    session.deliver(&task).await;
    let result = loop {
        match session.next().await {
            DeviceToRelay::Event { event } => session.stored(event.seq).await,
            DeviceToRelay::Result {
                task_id, result, ..
            } if task_id == task.task_id => break result,
            _ => {}
        }
    };
    assert_eq!(result.outcome.n_stdout_bytes, 50_000_000);
    let rise = memory("VmHWM:").saturating_sub(before);
    assert!(rise < 32 * 1024, "memory rose by {rise} KiB");
}
