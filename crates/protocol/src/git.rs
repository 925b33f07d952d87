//! What a git action found, as data.

use serde::{Deserialize, Serialize};

/// What a git action found, from the same values as its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum GitReport {}
