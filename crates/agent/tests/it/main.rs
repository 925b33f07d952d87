//! The agent as its relay sees it: a real agent with a real store and a real sandbox helper, against
//! the relay's side of the link played by the test.

#![allow(clippy::unwrap_used, reason = "tests")]

mod born;
mod harness;
mod health;
mod ledger;
mod link;
mod output;
mod queue;
mod requests;
