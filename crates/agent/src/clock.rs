//! Waits by the wall clock, which people live by: it may be set, and it goes on while the computer
//! sleeps. The runtime's own timers do neither.

use deskhand_protocol::Timestamp;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The wall clock shows the time.
    Reached,
    /// The clock was set, or the computer woke up from sleep: look at it again.
    Jumped,
}

/// Waits until the wall clock shows `at`, or jumps. Cancel safe.
///
/// The kernel wakes us; where it cannot, the clock is looked at twice a minute.
pub(crate) async fn until(at: Timestamp) -> Woken {
    #[cfg(target_os = "linux")]
    match timer::until(at).await {
        Ok(woken) => return woken,
        Err(error) => tracing::debug!(%error, "cannot make a timer of the wall clock"),
    }
    look_until(at).await
}

async fn look_until(at: Timestamp) -> Woken {
    const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(30);
    while let Ok(left) = std::time::Duration::try_from(at.duration_since(Timestamp::now()))
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
    Woken::Reached
}

#[cfg(target_os = "linux")]
mod timer {
    use std::io;

    use deskhand_protocol::Timestamp;
    use rustix::{
        io::Errno,
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
            timerfd_settime,
        },
    };
    use tokio::io::{Interest, unix::AsyncFd};

    use super::Woken;

    pub(super) async fn until(at: Timestamp) -> io::Result<Woken> {
        let timer = timerfd_create(
            TimerfdClockId::Realtime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // Zero would switch it off.
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let at = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: at.as_second().max(0),
                tv_nsec: i64::from(at.subsec_nanosecond()).max(1),
            },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&timer, flags, &at)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of borrowed descriptors, and this one is owned"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        loop {
            let mut ready = timer.readable().await?;
            let mut n_expirations = [0; 8];
            match rustix::io::read(timer.get_ref(), &mut n_expirations) {
                Ok(_) => return Ok(Woken::Reached),
                // timerfd_create(2): the clock was set, or the computer woke up.
                Err(Errno::CANCELED) => return Ok(Woken::Jumped),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_time_is_waited_for_and_one_that_is_over_is_not() {
        let at = Timestamp::now() + Duration::from_millis(30);
        assert_eq!(until(at).await, Woken::Reached);
        assert!(Timestamp::now() >= at);
        assert_eq!(until(Timestamp::UNIX_EPOCH).await, Woken::Reached);
        assert_eq!(look_until(at).await, Woken::Reached);
        let at = Timestamp::now() + Duration::from_millis(30);
        assert_eq!(look_until(at).await, Woken::Reached);
        assert!(Timestamp::now() >= at);
    }
}
