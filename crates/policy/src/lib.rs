//! Decides allow, ask or deny for one action.
//!
//! What it owns: the rules of what may run, the reading of command lines, and [`Permit`], the only proof
//! that something may.
//! What it waits on: nothing. It is pure: the agent gathers the facts, resolved through symbolic
//! links, before it asks.
//! What it never does: look at the machine, store a decision, or read one back. After a restart an
//! action is judged again.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod command_line;
mod decide;
mod permit;
pub mod rule;
pub mod workspace;

pub use command_line::Reading;
pub use decide::{Decision, Denial, Judged, decide, read};
pub use permit::{Grant, Permit, Question};
pub use rule::{Rules, RulesError};
