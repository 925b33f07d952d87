//! Time as the relay writes it: whole milliseconds, so that what was stored reads back the same.

use deskhand_protocol::Timestamp;

/// Returns the time, to the millisecond.
pub(crate) fn now() -> Timestamp {
    from_ms(Timestamp::now().as_millisecond())
}

/// Reads a stored time.
pub(crate) fn from_ms(ms: i64) -> Timestamp {
    // Stored times were times; anything else is a damaged row, and the epoch shows that it is one.
    Timestamp::from_millisecond(ms).unwrap_or_default()
}
