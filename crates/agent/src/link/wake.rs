//! Notices that the computer slept. A link that slept along is dead more often than not, and waiting
//! for its silence, or for a back-off that began before, would keep the owner waiting.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;

/// How often the clocks are compared.
const EVERY: Duration = Duration::from_secs(5);

/// The wall clock ran ahead of the machine's by more than this: the computer slept. A clock that was
/// set does the same, at the cost of one reconnect.
const SLEPT: Duration = Duration::from_secs(10);

/// Waits until the computer wakes up from sleep. Cancel safe.
pub(super) async fn after_sleep() {
    loop {
        let begun = Clocks::now();
        sleep(EVERY).await;
        if begun.show_sleep_until(Clocks::now()) {
            return;
        }
    }
}

/// The time by the clock that stops while the computer sleeps, and by the one that does not.
#[derive(Clone, Copy)]
struct Clocks {
    machine: Instant,
    wall: SystemTime,
}

impl Clocks {
    fn now() -> Self {
        Self {
            machine: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    fn show_sleep_until(self, later: Clocks) -> bool {
        let machine = later.machine - self.machine;
        // A wall clock that was set back shows no sleep.
        let wall = later.wall.duration_since(self.wall).unwrap_or_default();
        wall > machine + SLEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wall_clock_that_ran_ahead_shows_sleep() {
        let begun = Clocks::now();
        let later = |machine: u64, wall: u64| Clocks {
            machine: begun.machine + Duration::from_secs(machine),
            wall: begun.wall + Duration::from_secs(wall),
        };
        assert!(begun.show_sleep_until(later(5, 600)));
        assert!(!begun.show_sleep_until(later(5, 5)));
        assert!(!begun.show_sleep_until(later(60, 60)));
        assert!(!begun.show_sleep_until(later(60, 0)));
        assert!(!later(0, 60).show_sleep_until(later(5, 0)));
    }
}
