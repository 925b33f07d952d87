//! What travels on a wire: between a caller and a relay, between a relay and a device, and between
//! a window or a command line and the agent.
//!
//! The flow of a task, and the module that holds each of its shapes:
//!
//! 1. a caller posts a [`webhook`] body or a [`task::TaskRequest`] to the relay;
//! 2. the relay sends [`link::RelayToDevice::Task`] over the link, the device answers
//!    [`link::DeviceToRelay::Accepted`] once the task is in its ledger;
//! 3. everything that happens is an [`event::Event`]; the end is an [`outcome::Outcome`];
//! 4. the relay answers the caller with the [`outcome::TaskResult`].
//!
//! This crate does no input or output, knows no clock and mints no ids: relay and agent do. JSON is
//! UTF-8, snake_case and internally tagged by `type`; times are RFC 3339 in UTC; sizes are bytes.

pub mod approval;
pub mod assistant;
pub mod audit;
pub mod caller;
pub mod characters;
pub mod command;
pub mod device_request;
pub mod error;
pub mod event;
pub mod git;
pub mod history;
pub mod ids;
pub mod limits;
pub mod link;
pub mod outcome;
pub mod policy;
pub mod relay_request;
pub mod schedule;
pub mod secret;
pub mod task;
pub mod task_stream;
pub mod timeline;
pub mod webhook;
pub mod workspace;

pub use command::Command;
pub use error::{ErrorCode, Problem};
pub use event::{Allowed, Event, EventKind};
pub use ids::{DeviceId, Epoch, KeyId, RequestId, Seq, StoreId, TaskId, TaskName};
pub use jiff::Timestamp;
pub use outcome::{EndStatus, Outcome, TaskResult};
pub use secret::Secret;
pub use task::{Action, Source, Task, TaskRequest, TaskStatus};
pub use timeline::Cursor;
