//! The link: one WebSocket from a device to a relay, at `/link`, subprotocol `deskhand.link.v1`,
//! `Authorization: Bearer <device token>`.
//!
//! The device says `hello`, the relay answers `welcome`; then both send as they please. *Written to
//! the socket* is never *accepted*: a task leaves the relay's mailbox only after `accepted`, an event
//! leaves the device's outbox only after `stored`. What is not acknowledged within 5 s is sent again;
//! after a reconnect everything unacknowledged is. A result goes before the event that ends its task,
//! so that a `stored` which covers the event covers the result too.

use serde::{Deserialize, Serialize};

use crate::{
    DeviceId, Epoch, Event, RequestId, Seq, StoreId, Task, TaskId, TaskResult,
    device_request::{DeviceRequest, DeviceResponse},
    policy::CallerLimits,
};

/// The WebSocket subprotocol; its number is the protocol version.
pub const SUBPROTOCOL: &str = "deskhand.link.v1";

/// The protocol version both sides name in their first message.
pub const PROTOCOL_VERSION: u32 = 1;

/// What a device says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DeviceToRelay {
    /// The first message of a session.
    Hello(Hello),
    /// The task is in the ledger.
    Accepted {
        /// Which task.
        task_id: TaskId,
    },
    /// Something happened.
    Event {
        /// What.
        event: Event,
    },
    /// A task ended.
    Result {
        /// Which task.
        task_id: TaskId,
        /// Which attempt.
        attempt: u32,
        /// How, and what it printed.
        result: TaskResult,
    },
    /// A task was born on the device. Comes before its first event, in place of `accepted`; a `stored`
    /// that covers the event covers it too.
    Opened {
        /// The task.
        task: Task,
    },
    /// Answers a request.
    Response {
        /// Which request.
        request_id: RequestId,
        /// The answer.
        response: DeviceResponse,
    },
    /// Whether the device can execute, or takes tasks, has changed.
    Health {
        /// Whether it can.
        can_execute: bool,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Whether the owner paused it: it then takes no tasks.
        #[serde(default)]
        paused: bool,
    },
    /// Answers a ping.
    Pong,
}

/// Who the device is and what it can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Version of the agent.
    pub agent_version: String,
    /// Name of the computer.
    pub device_name: String,
    /// Operating system.
    pub os: String,
    /// Which ledger this is.
    pub store_id: StoreId,
    /// The number its next event will have.
    pub next_event: Seq,
    /// What it can execute.
    pub support: Support,
    /// Whether it can execute now.
    pub can_execute: bool,
    /// Whether the owner paused it.
    #[serde(default)]
    pub paused: bool,
}

/// What a device can execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// Git actions, natively.
    pub git: bool,
    /// Shell actions.
    pub shell: bool,
    /// The sandbox tier it can enforce: `full`, `reduced` or `none`.
    pub sandbox: String,
}

/// What a relay says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RelayToDevice {
    /// Answers `hello`.
    Welcome(Welcome),
    /// Something to do.
    Task {
        /// What.
        task: Task,
        /// What the caller's key is held to.
        #[serde(default)]
        limits: CallerLimits,
    },
    /// How many may answer a question from afar, when that changes.
    Attendance {
        /// The count.
        n_approvers: u32,
    },
    /// Somebody cancelled a task.
    Cancel {
        /// Which task.
        task_id: TaskId,
        /// How long it may take to end gently, in seconds.
        grace_seconds: u32,
    },
    /// Events up to this one are on the relay's disk, and the results before them.
    Stored {
        /// The last of them.
        through: Seq,
    },
    /// Asks the device something.
    Request {
        /// Pairs it with its response.
        request_id: RequestId,
        /// What.
        request: DeviceRequest,
    },
    /// The relay is going away and will be back.
    Restarting {
        /// When to dial again, in milliseconds.
        reconnect_in_ms: u64,
        /// For how long to try quickly, in milliseconds.
        try_for_ms: u64,
    },
    /// The beat.
    Ping,
}

/// The relay's side of a new session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Version of the relay.
    pub relay_version: String,
    /// The id the token belongs to.
    pub device_id: DeviceId,
    /// Which life of the link this is.
    pub session_epoch: Epoch,
    /// How often the relay pings, in seconds.
    pub heartbeat_seconds: u32,
    /// Events up to this one need not be sent again.
    pub stored_through: Seq,
    /// How many may answer a question from afar.
    pub n_approvers: u32,
}
