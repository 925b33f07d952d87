//! One binary for all integration tests, a module per behaviour: every one starts the real relay and
//! the real agent.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod approvals;
mod assistants;
mod bad_input;
mod bots;
mod bursts;
mod by_itself;
mod cancel;
mod crashes;
mod duplicates;
mod enrolment;
mod events;
mod github;
mod handed_over;
mod keys;
mod link;
mod mcp;
mod mcp_approval;
mod oauth;
mod oauth_refused;
mod offline;
mod openapi;
mod output;
mod pauses;
mod process_tree;
mod run;
mod soak;
mod sync_webhook;
mod task_stream;
mod timeline;
mod timeline_page;
mod tls;
mod watchers;
