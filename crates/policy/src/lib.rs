//! Decides allow, ask or deny for one action.
//!
//! What it owns: the rule of what may run, and [`Permit`], the only proof that something may.
//! What it waits on: nothing. It is pure: the agent gathers the facts, resolved through symbolic
//! links, before it asks.
//! What it never does: look at the machine, store a decision, or read one back. After a restart an
//! action is judged again.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod decide;
mod permit;
pub mod workspace;

pub use decide::{Decision, Denial, decide};
pub use permit::{Grant, Permit, Question};
