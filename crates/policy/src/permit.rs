//! The proof that one action may run, and the question that can become one.
//!
//! Both have private fields and no constructor outside this crate, and neither can be copied: what
//! runs is exactly what was judged, once.

use std::path::PathBuf;

use deskhand_protocol::Action;

/// Proof that one action may run, within a grant. Only this crate makes one.
#[derive(Debug)]
pub struct Permit {
    action: Action,
    grant: Grant,
}

/// What an action may touch while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Nothing of this computer.
    Nothing,
    /// A directory beneath a workspace; the whole workspace is writable.
    Directory {
        /// Where it runs, canonical.
        dir: PathBuf,
        /// The workspace it lies beneath, canonical.
        workspace: PathBuf,
    },
}

impl Permit {
    pub(crate) fn new(action: Action, grant: Grant) -> Self {
        Self { action, grant }
    }

    /// Gives up the permit for what it permits. Whoever calls this runs the action.
    pub fn into_parts(self) -> (Action, Grant) {
        (self.action, self.grant)
    }
}

/// An action the owner has to answer for. A question is consumed by its answer.
#[derive(Debug)]
pub struct Question {
    action: Action,
    grant: Grant,
}

impl Question {
    /// Turns the owner's yes into a permit.
    pub fn approve(self) -> Permit {
        Permit::new(self.action, self.grant)
    }
}
