//! Why a call did not succeed.

use deskhand_protocol::ErrorCode;

use crate::Refusal;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be one of a relay.
    #[error("use the relay address `{url}`: {reason}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there, or the connection broke.
    #[error("reach the relay at {url}: {reason}")]
    Unreachable {
        /// The relay.
        url: String,
        /// What went wrong, innermost cause included.
        reason: String,
    },
    /// The relay was reached and did not answer in time.
    #[error("get an answer from the relay at {url} in time")]
    TimedOut {
        /// The relay.
        url: String,
    },
    /// The relay answered that it cannot be done.
    #[error("{}", .0.problem.error)]
    Refused(Box<Refusal>),
    /// The bytes are not kept, or are not there yet.
    #[error("read output that is not kept: {reason}")]
    RangeNotKept {
        /// The relay's sentence.
        reason: String,
        /// What to do: where reading goes on.
        hint: Option<String>,
    },
    /// What answered does not speak like a relay.
    #[error("understand the answer of {url}: {reason}")]
    BadAnswer {
        /// The relay.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Returns the relay's code, if it was the relay that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused(refusal) => Some(refusal.problem.code),
            Error::RangeNotKept { .. } => Some(ErrorCode::RangeNotSatisfiable),
            Error::Address { .. }
            | Error::Unreachable { .. }
            | Error::TimedOut { .. }
            | Error::BadAnswer { .. } => None,
        }
    }

    /// Returns what to do about it, if the relay said so.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Refused(refusal) => refusal.problem.hint.as_deref(),
            Error::RangeNotKept { hint, .. } => hint.as_deref(),
            Error::Address { .. }
            | Error::Unreachable { .. }
            | Error::TimedOut { .. }
            | Error::BadAnswer { .. } => None,
        }
    }

    /// Tells whether asking again later can help: the relay is away, or about to go.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::TimedOut { .. } => true,
            Error::Refused(refusal) => refusal.problem.code == ErrorCode::ShuttingDown,
            Error::Address { .. } | Error::RangeNotKept { .. } | Error::BadAnswer { .. } => false,
        }
    }
}
