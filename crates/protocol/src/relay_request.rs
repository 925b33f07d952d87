//! What the owner can ask a relay through the control socket of the process it runs in: keys and
//! pairing. None of it travels over the network.

use serde::{Deserialize, Serialize};

use crate::{DeviceId, KeyId, Problem, Timestamp, caller::CallerView, policy::CallerLimits};

/// One question to a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RelayRequest {
    /// How the relay is.
    Status,
    /// Makes a caller key; the answer is the only place its secret is ever shown.
    CreateKey {
        /// What the owner calls it.
        name: String,
        /// What it may do.
        scopes: Vec<Scope>,
        /// Devices it reaches, by id or name; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        devices: Option<Vec<String>>,
        /// When it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional, type = "string"))]
        expires_at: Option<Timestamp>,
        /// What it is held to on its devices. Whether it may approve is in its scopes.
        #[serde(default)]
        limits: CallerLimits,
        /// How many requests a minute it may make; any number when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        requests_per_minute: Option<u32>,
    },
    /// The keys, without their secrets.
    ListKeys,
    /// Ends a key, by id or name.
    RevokeKey {
        /// Which key.
        key: String,
    },
    /// Makes a code that enrols one computer.
    CreatePairingCode,
    /// Makes a link that opens the viewer in a browser, signed in with a key.
    CreateSignInLink {
        /// Which key, by id or name.
        key: String,
    },
    /// The enrolled computers.
    ListDevices,
    /// The programs that were let in by OAuth.
    ListCallers,
    /// Ends one of them, by id or name: its tokens are worth nothing from then on.
    RevokeCaller {
        /// Which one.
        caller: String,
    },
}

/// What a caller key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    /// See its own tasks.
    #[serde(rename = "tasks:read")]
    TasksRead,
    /// Submit and cancel tasks.
    #[serde(rename = "tasks:run")]
    TasksRun,
    /// Answer questions.
    #[serde(rename = "approve")]
    Approve,
    /// See all tasks, output and timelines of its devices.
    #[serde(rename = "devices:read")]
    DevicesRead,
    /// Everything.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 5] = [
        Scope::TasksRead,
        Scope::TasksRun,
        Scope::Approve,
        Scope::DevicesRead,
        Scope::Admin,
    ];

    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::TasksRead => "tasks:read",
            Scope::TasksRun => "tasks:run",
            Scope::Approve => "approve",
            Scope::DevicesRead => "devices:read",
            Scope::Admin => "admin",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// An answer of a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RelayResponse {
    /// How the relay is.
    Status {
        /// Version of the relay.
        relay_version: String,
        /// Where it listens.
        relay_url: String,
        /// Devices with a link.
        n_devices_connected: u32,
        /// Tasks that have not ended.
        n_open_tasks: u64,
    },
    /// A new key.
    KeyCreated {
        /// The key.
        key: KeyView,
        /// Its secret form, shown once.
        secret: String,
    },
    /// The keys.
    Keys {
        /// The keys, oldest first.
        keys: Vec<KeyView>,
    },
    /// The key is no more.
    KeyRevoked {
        /// Which one.
        key_id: KeyId,
    },
    /// A new pairing code.
    PairingCode(PairingCode),
    /// A link that opens the viewer, once.
    SignInLink(SignInLink),
    /// The computers.
    Devices {
        /// The computers, oldest first.
        devices: Vec<DeviceView>,
    },
    /// The programs that were let in.
    Callers {
        /// The programs, oldest first.
        callers: Vec<CallerView>,
    },
    /// The program is let in no more.
    CallerRevoked {
        /// Which one.
        caller_id: KeyId,
    },
    /// It cannot be done.
    Problem {
        /// Why.
        problem: Problem,
    },
}

/// A caller key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyView {
    /// Its id, the part that is no secret.
    pub key_id: KeyId,
    /// What the owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Devices it reaches; all when absent.
    pub devices: Option<Vec<DeviceId>>,
    /// What it is held to on its devices.
    #[serde(default)]
    pub limits: CallerLimits,
    /// How many requests a minute it may make; any number when absent.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// When it was made.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub created_at: Timestamp,
    /// When it ends.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub expires_at: Option<Timestamp>,
    /// When it was last used; exact to a minute.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub last_used_at: Option<Timestamp>,
}

/// A code that enrols one computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PairingCode {
    /// Eight characters without look-alikes, single use.
    pub code: String,
    /// When it ends.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub expires_at: Timestamp,
}

/// A link that opens the viewer in a browser, signed in: single use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignInLink {
    /// The address. What proves who opens it stands behind `#`, which no browser sends anywhere.
    pub url: String,
    /// When it ends.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub expires_at: Timestamp,
}

/// `POST /api/session`: a browser signs in with a key or with the code of a link; one of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionRequest {
    /// A caller key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub key: Option<String>,
    /// The code of a [`SignInLink`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub code: Option<String>,
}

/// `GET` and `POST /api/session`: who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionView {
    /// The key that signed in.
    pub key: KeyView,
    /// Version of the relay.
    pub relay_version: String,
    /// The address callers use.
    pub relay_url: String,
}

/// An enrolled computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceView {
    /// Its id.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Operating system.
    pub os: String,
    /// Whether it can take tasks.
    pub status: Presence,
    /// Why it cannot execute, when it says so.
    pub reason: Option<String>,
    /// When it was enrolled.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub enrolled_at: Timestamp,
    /// When its link was last up.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub last_seen_at: Option<Timestamp>,
    /// Round trip of the last beat, in milliseconds.
    pub latency_ms: Option<u64>,
}

/// Whether a device can take tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Presence {
    /// Its link is up and it can execute.
    Online,
    /// Its link is up, and it says that it cannot execute.
    CannotExecute,
    /// It lost its link less than 15 s ago.
    Reconnecting,
    /// It has no link.
    Offline,
    /// The owner paused it.
    Paused,
}

/// `POST /api/enrol`: a computer shows its pairing code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolRequest {
    /// The code.
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub code: String,
    /// What to call the computer.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub device_name: String,
    /// Its operating system.
    pub os: String,
}

/// What an enrolled computer gets; the token is shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolResponse {
    /// Its id.
    pub device_id: DeviceId,
    /// Its token.
    pub device_token: String,
}

/// `PATCH /api/devices/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenameDeviceRequest {
    /// The new name.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub device_name: String,
}
