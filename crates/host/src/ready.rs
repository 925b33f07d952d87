//! The ready file: tells a script that waits for it where everything is.

use std::{io, path::Path};

use deskhand_protocol::{DeviceId, Secret};
use serde::{Deserialize, Serialize};

use crate::files;

/// What the ready file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The relay.
    pub relay_url: String,
    /// The address others use, where it is another: the public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// The owner's key; none with a relay elsewhere.
    pub api_key: Option<Secret>,
    /// This computer's id; none where only a relay runs.
    pub device_id: Option<DeviceId>,
    /// This computer's name; none where only a relay runs.
    pub device_name: Option<String>,
    /// The process.
    pub pid: u32,
    /// Where a browser finds the viewer; none where the relay serves none.
    pub viewer_url: Option<String>,
}

impl Ready {
    /// Reads the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// Writes the file in one step, readable for the owner only.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self).expect("texts and numbers become JSON");
        text.push(b'\n');
        files::write_private(path, &text)
    }
}
