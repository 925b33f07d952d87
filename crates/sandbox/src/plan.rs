//! What travels between the process that starts a task and the helper that confines it.
//!
//! The plan goes down in a sealed memory file, beside it the open descriptors of the plan. On the control socket then
//! records come up, one JSON line each, and `stop <milliseconds>` lines go down. Both ends are of the same build, so there
//! is no versioning; the helper refuses what it cannot read.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::profile::Profile;
use crate::spawn::Limit;
use crate::support::{Missing, Tier};

/// The one message with which a plan begins, so that a helper started by hand is told apart from one that has work.
pub(crate) const GREETING: &[u8] = b"deskhand-sandbox plan 1\n";

/// Names of layers that tests take away, separated by commas. Honoured in test builds only.
pub(crate) const DISABLE_VARIABLE: &str = "DESKHAND_SANDBOX_DISABLE";

/// Everything the helper needs to know, but for the descriptors that come beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) profile: Profile,
    pub(crate) argv: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Relative to the workspace.
    pub(crate) cwd: PathBuf,
}

/// One thing the helper tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// The program runs, and these layers hold it.
    Started { tier: Tier, layers: Vec<String> },
    /// The confinement that was asked for is not to be had.
    Unavailable { tier: Tier, missing: Vec<Missing> },
    /// The program could not be executed.
    NotExecuted { errno: i32 },
    /// Something else went wrong in the helper.
    Failed { step: String, errno: i32 },
    /// The program ended, and nothing of its tree is left.
    Exited {
        returncode: i32,
        duration_ms: u64,
        limits_hit: Vec<Limit>,
        created_executable_config: Vec<PathBuf>,
    },
}
