//! Directories the owner opened to tasks.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, policy::Level};

/// A directory tree that is open to tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Workspace {
    /// A short name, unique on the device.
    pub name: String,
    /// The directory, canonical.
    pub path: String,
    /// How much happens there without asking.
    #[serde(default)]
    pub level: Level,
    /// When the owner opened it.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub added_at: Timestamp,
}
