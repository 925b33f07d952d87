//! Who this computer is, without anything secret: which relays know it, and where its secrets lie.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use deskhand_protocol::DeviceId;
use serde::{Deserialize, Serialize};

use crate::{Dirs, Vault, config::SecretsIn, files};

/// Who this computer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Where the secrets were put when they were made; none before.
    pub secrets: Option<SecretsIn>,
    /// This computer's id, by relay: [`EMBEDDED`](crate::secrets::EMBEDDED) or an address.
    #[serde(default)]
    pub devices: BTreeMap<String, DeviceId>,
    /// The relay it was enrolled with last, if not the embedded one.
    #[serde(default)]
    pub joined: Option<String>,
}

/// Why the identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("use the identity file `{}`", path.display())]
pub struct IdentityError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Identity {
    /// Reads it; an empty one when there is none yet.
    pub fn load(dirs: &Dirs) -> Result<Self, IdentityError> {
        let path = dirs.identity_file();
        let read = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        };
        read.map_err(|source| IdentityError { path, source })
    }

    /// Writes it.
    pub fn save(&self, dirs: &Dirs) -> Result<(), IdentityError> {
        let path = dirs.identity_file();
        let text = serde_json::to_vec_pretty(self).expect("texts and maps become JSON");
        files::write_private(&path, &text).map_err(|source| IdentityError { path, source })
    }

    /// Returns where the secrets lie: where they were put, else where new ones go.
    pub fn vault(&self, dirs: &Dirs, wanted: SecretsIn) -> Vault {
        Vault::choose(dirs, self.secrets.unwrap_or(wanted))
    }
}
