//! When to dial again: full jitter, 250 ms doubling to 30 s, so that a thousand devices that lost
//! their relay at once do not come back at once.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

/// The first delay's upper end.
const FIRST: Duration = Duration::from_millis(250);

/// The longest delay.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// A session that lasted this long was a good one: the next delay is a first one again.
const GOOD: Duration = Duration::from_secs(10);

/// What a relay said when it went away to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restarting {
    /// When to dial.
    pub(crate) reconnect_in: Duration,
    /// For how long to try quickly from then on.
    pub(crate) try_for: Duration,
}

/// Counts failures, and turns them into delays.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    n_failures: u32,
    /// Until when delays stay short, since the relay said that it comes back.
    quick_until: Option<Instant>,
    /// Whether the last close was polite, and no good session came since.
    was_polite: bool,
}

impl Backoff {
    pub(crate) fn n_failures(&self) -> u32 {
        self.n_failures
    }

    /// The relay could not be reached.
    pub(crate) fn after_failure(&mut self) -> Duration {
        if self.quick_until.is_some_and(|until| Instant::now() < until) {
            return jitter(FIRST);
        }
        let longest = FIRST
            .saturating_mul(2_u32.saturating_pow(self.n_failures))
            .min(LONGEST);
        self.n_failures = self.n_failures.saturating_add(1);
        jitter(longest)
    }

    /// A session broke that had lasted this long.
    pub(crate) fn after_session(&mut self, lasted: Duration) -> Duration {
        self.note(lasted);
        self.after_failure()
    }

    /// The relay said goodbye. It is dialled at once, or when it said; unless it says goodbye again
    /// and again.
    pub(crate) fn after_polite_close(
        &mut self,
        lasted: Duration,
        restarting: Option<Restarting>,
    ) -> Duration {
        self.note(lasted);
        if std::mem::replace(&mut self.was_polite, true) {
            return self.after_failure();
        }
        let Some(restarting) = restarting else {
            return Duration::ZERO;
        };
        let delay = restarting.reconnect_in.min(LONGEST);
        self.quick_until = Some(Instant::now() + delay + restarting.try_for.min(LONGEST));
        delay
    }

    /// Another agent with our token took over: two that dial at once would fence each other for ever.
    pub(crate) fn after_fence(&mut self) -> Duration {
        LONGEST
    }

    /// The relay does not know our token. The owner may mend that; until then there is no hurry.
    pub(crate) fn after_refusal(&mut self) -> Duration {
        LONGEST / 2 + jitter(LONGEST / 2)
    }

    fn note(&mut self, lasted: Duration) {
        if lasted >= GOOD {
            *self = Self::default();
        }
    }
}

fn jitter(longest: Duration) -> Duration {
    longest.mul_f64(rand::rng().random())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail_ten_times(backoff: &mut Backoff) {
        for _ in 0..10 {
            backoff.after_failure();
        }
    }

    #[test]
    fn delays_double_up_to_the_longest_and_never_stop() {
        let mut backoff = Backoff::default();
        for n in 0..100 {
            let bound = FIRST.saturating_mul(2_u32.saturating_pow(n)).min(LONGEST);
            assert!(backoff.after_failure() <= bound);
        }
        let spread: Vec<Duration> = (0..20).map(|_| backoff.after_failure()).collect();
        assert!(
            spread.iter().any(|delay| *delay != spread[0]),
            "no jitter: {spread:?}"
        );
    }

    #[test]
    fn a_good_session_starts_over() {
        let mut backoff = Backoff::default();
        fail_ten_times(&mut backoff);
        assert!(backoff.after_session(Duration::from_secs(11)) <= FIRST);
        assert_eq!(backoff.n_failures(), 1);
        backoff.after_session(Duration::from_secs(9));
        assert_eq!(backoff.n_failures(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_polite_relay_is_dialled_when_it_said() {
        let mut backoff = Backoff::default();
        let restarting = Restarting {
            reconnect_in: Duration::from_millis(300),
            try_for: Duration::from_secs(5),
        };
        let good = Duration::from_secs(60);
        assert_eq!(backoff.after_polite_close(good, None), Duration::ZERO);
        let said = backoff.after_polite_close(good, Some(restarting));
        assert_eq!(said, Duration::from_millis(300));
        for _ in 0..20 {
            assert!(backoff.after_failure() <= FIRST);
        }
        tokio::time::advance(Duration::from_secs(6)).await;
        fail_ten_times(&mut backoff);
        assert_eq!(backoff.n_failures(), 10);
    }

    #[test]
    fn goodbyes_without_end_are_not_answered_at_once() {
        let mut backoff = Backoff::default();
        let short = Duration::from_millis(1);
        assert_eq!(backoff.after_polite_close(short, None), Duration::ZERO);
        for n in 1..10 {
            backoff.after_polite_close(short, None);
            assert_eq!(backoff.n_failures(), n);
        }
    }
}
