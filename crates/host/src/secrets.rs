//! The owner's key and the device tokens: in the keyring, or in a file that only the owner can read.
//!
//! All of them are one JSON text, so that a keyring is asked once. Whether something should be there is
//! written in the [`Identity`](crate::Identity), and nothing is made anew over it unless the owner says so.

use std::{collections::BTreeMap, fmt, fs, io, path::PathBuf};

use deskhand_protocol::{DeviceId, Secret};
use serde::{Deserialize, Serialize};

use crate::{
    Dirs,
    config::SecretsIn,
    files,
    keyring::{self, Keyring, Refusal, SERVICE},
};

/// Everything secret that an installation keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The owner's own caller key for the embedded relay.
    pub owner_key: Option<Secret>,
    /// This computer's credentials, by relay: [`EMBEDDED`] or an address.
    #[serde(default)]
    pub devices: BTreeMap<String, Credentials>,
}

/// The name of the embedded relay among relays: its address may change from start to start.
pub const EMBEDDED: &str = "embedded";

/// What a device shows to a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Its id.
    pub device_id: DeviceId,
    /// Its token.
    pub device_token: Secret,
}

/// Where the secrets lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vault {
    /// In the keyring, under this account.
    Keyring(String),
    /// In a file that only the owner can read.
    File(PathBuf),
}

/// Why secrets cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The keyring is locked, or asks its owner for a password.
    #[error("use the keyring: it is locked")]
    KeyringLocked,
    /// The keyring said no.
    #[error("use the keyring: {0}")]
    Keyring(String),
    /// The file cannot be read or written.
    #[error("use the secrets file `{}`", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is there is not what this program wrote.
    #[error("understand the secrets in {vault}")]
    Damaged {
        /// Where.
        vault: String,
    },
}

impl Vault {
    /// Decides where new secrets go. With [`SecretsIn::Auto`] that is a file if the home is named,
    /// and otherwise the keyring if this session has one that is not locked.
    pub fn choose(dirs: &Dirs, wanted: SecretsIn) -> Self {
        match wanted {
            SecretsIn::Keyring => Self::keyring(dirs),
            SecretsIn::File => Self::file(dirs),
            SecretsIn::Auto if dirs.is_explicit() => Self::file(dirs),
            SecretsIn::Auto => match keyring::status() {
                Keyring::Unlocked => Self::keyring(dirs),
                Keyring::Locked => {
                    tracing::warn!("the keyring is locked: new secrets go into a file");
                    Self::file(dirs)
                }
                Keyring::Absent => Self::file(dirs),
            },
        }
    }

    /// Returns the file of an installation.
    pub fn file(dirs: &Dirs) -> Self {
        Self::File(dirs.secrets_file())
    }

    /// Returns the keyring entry of an installation; one with a home of its own has its own entry.
    pub fn keyring(dirs: &Dirs) -> Self {
        Self::Keyring(if dirs.is_explicit() {
            dirs.data().display().to_string()
        } else {
            "default".to_owned()
        })
    }

    /// Reads the secrets; none when there are none.
    ///
    /// Blocks, for a keyring up to five seconds.
    pub fn load(&self) -> Result<Option<Secrets>, SecretsError> {
        let text = match self {
            Vault::Keyring(account) => keyring::get(account)?,
            Vault::File(path) => match fs::read_to_string(path) {
                Ok(text) => Some(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(source) => {
                    let path = path.clone();
                    return Err(SecretsError::File { path, source });
                }
            },
        };
        // The parser's message could quote a secret.
        let damaged = |_| SecretsError::Damaged {
            vault: self.to_string(),
        };
        text.map(|text| serde_json::from_str(&text).map_err(damaged))
            .transpose()
    }

    /// Keeps the secrets in place of those that were there.
    ///
    /// Blocks, for a keyring up to five seconds.
    pub fn save(&self, secrets: &Secrets) -> Result<(), SecretsError> {
        let text = serde_json::to_string_pretty(secrets).expect("texts and maps become JSON");
        match self {
            Vault::Keyring(account) => Ok(keyring::set(account, text)?),
            Vault::File(path) => {
                files::write_private(path, text.as_bytes()).map_err(|source| SecretsError::File {
                    path: path.clone(),
                    source,
                })
            }
        }
    }
}

impl fmt::Display for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Vault::Keyring(account) => write!(f, "the keyring ({SERVICE}, {account})"),
            Vault::File(path) => write!(f, "the file {} (mode 0600)", path.display()),
        }
    }
}

impl From<Refusal> for SecretsError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Locked => SecretsError::KeyringLocked,
            Refusal::Said(why) => SecretsError::Keyring(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Environment;

    fn secrets() -> Secrets {
        Secrets {
            owner_key: Some(Secret::new("dh_abcd_hush")),
            devices: BTreeMap::from([(
                EMBEDDED.to_owned(),
                Credentials {
                    device_id: "abcd1234".parse().unwrap(),
                    device_token: Secret::new("dd_abcd1234_hush"),
                },
            )]),
        }
    }

    #[test]
    fn a_named_home_keeps_its_secrets_to_itself() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::find(Some(home.path()), &Environment::default()).unwrap();
        let vault = Vault::choose(&dirs, SecretsIn::Auto);
        assert_eq!(vault, Vault::File(home.path().join("secrets.json")));
        assert_eq!(vault.load().unwrap(), None);
        vault.save(&secrets()).unwrap();
        assert_eq!(vault.load().unwrap(), Some(secrets()));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("secrets.json");
        fs::write(&path, r#"{"owner_key": ["dh_abcd_hush"]}"#).unwrap();
        let error = Vault::File(path).load().unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hush"));
        assert!(!format!("{:?}", secrets()).contains("hush"));
    }

    #[test]
    fn installations_have_entries_of_their_own() {
        let named = |home: &str| {
            Vault::keyring(&Dirs::find(Some(Path::new(home)), &Environment::default()).unwrap())
        };
        assert_ne!(named("/a"), named("/b"));
    }
}
