//! Notices that the computer slept. A link that slept along is dead more often than not, and waiting
//! for its silence, or for a back-off that began before, would keep the owner waiting.

use std::time::Duration;

use deskhand_protocol::Timestamp;

use crate::clock;

/// How often the clocks are compared where the kernel does not tell that it woke up.
const EVERY: Duration = Duration::from_secs(5);

/// The computer slept when it did so for longer than this.
const SLEPT: Duration = Duration::from_secs(10);

/// Waits until the computer wakes up from sleep. Cancel safe.
pub(super) async fn after_sleep() {
    let begun = Clocks::now();
    loop {
        // A jump of the wall clock ends it at once, and waking up is one.
        clock::until(Timestamp::now() + EVERY).await;
        if begun.show_sleep_until(Clocks::now()) {
            return;
        }
    }
}

/// The time by the clock that stops while the computer sleeps, and by one that does not.
#[derive(Clone, Copy)]
struct Clocks {
    awake: Duration,
    all: Duration,
}

impl Clocks {
    #[cfg(target_os = "linux")]
    fn now() -> Self {
        use rustix::time::{ClockId, Timespec, clock_gettime};
        // Both count from the start of the computer.
        let since_start = |at: Timespec| {
            Duration::new(
                u64::try_from(at.tv_sec).unwrap_or(0),
                u32::try_from(at.tv_nsec).unwrap_or(0),
            )
        };
        Self {
            awake: since_start(clock_gettime(ClockId::Monotonic)),
            all: since_start(clock_gettime(ClockId::Boottime)),
        }
    }

    /// The wall clock stands in for the one that does not stop: one that is set forward looks like
    /// sleep, at the cost of a reconnect.
    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        use std::{sync::LazyLock, time::Instant, time::SystemTime};
        static BEGUN: LazyLock<(Instant, SystemTime)> =
            LazyLock::new(|| (Instant::now(), SystemTime::now()));
        Self {
            awake: BEGUN.0.elapsed(),
            all: BEGUN.1.elapsed().unwrap_or_default(),
        }
    }

    fn show_sleep_until(self, later: Clocks) -> bool {
        let asleep = |at: Clocks| at.all.saturating_sub(at.awake);
        asleep(later) > asleep(self) + SLEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_stood_still_beside_the_other_shows_sleep() {
        let at = |awake: u64, all: u64| Clocks {
            awake: Duration::from_secs(awake),
            all: Duration::from_secs(all),
        };
        // It had slept for a minute before.
        let begun = at(100, 160);
        assert!(begun.show_sleep_until(at(105, 760)));
        assert!(!begun.show_sleep_until(at(105, 165)));
        assert!(!begun.show_sleep_until(at(1_000, 1_060)));
        assert!(!begun.show_sleep_until(at(105, 170)));
        assert!(!begun.show_sleep_until(at(105, 105)));
        assert!(!Clocks::now().show_sleep_until(Clocks::now()));
    }
}
