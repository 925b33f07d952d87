//! What can go wrong inside: the caller hears `internal`, the log hears the rest.

use deskhand_protocol::{ErrorCode, Problem};

use crate::token::NoRandomness;

/// A failure that is ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The store does not read or write.
    #[error("use the relay's store: {0}")]
    Store(#[from] deskhand_sqlite::Error),
    /// The system has no randomness to give.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        tracing::error!(error = %fault, "internal failure");
        Problem::new(ErrorCode::Internal, "the relay failed; its log says why")
    }
}
