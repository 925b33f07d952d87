//! Harness for tests over the real relay and the real agent.
//!
//! Everything is real: the `deskhand` program in processes of its own, sockets on free ports, SQLite
//! and repositories in temporary directories. A [`TestRelay`] and each [`TestDevice`] have a home of
//! their own; a [`TestCaller`] speaks HTTP as any caller would. What a value started ends with it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a harness says what went wrong by failing the test"
)]

mod authority;
mod caller;
mod device;
pub mod effects;
pub mod mcp;
mod oauth;
pub mod program;
mod relay;
mod repo;
pub mod soak;
pub mod watcher;

pub use authority::TestAuthority;
pub use caller::{Answer, TestCaller, task};
pub use device::TestDevice;
pub use effects::Effects;
pub use mcp::TestMcp;
pub use oauth::{Page, TestProgram, VERIFIER, field};
pub use program::{Program, program};
pub use relay::TestRelay;
pub use repo::TestRepo;
pub use watcher::TestWatcher;

use std::time::{Duration, Instant};

/// How long a condition may take that has no event to wait for. Generous: the machine may be busy,
/// and a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value, asking every 20 ms; fails the test after [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A relay with one device, and the owner's key: what most tests begin with.
pub async fn relay_and_device() -> (TestRelay, TestDevice, TestCaller) {
    let relay = TestRelay::start().await;
    let device = TestDevice::enrol(&relay, "desk").await.started().await;
    let caller = relay.owner();
    (relay, device, caller)
}
