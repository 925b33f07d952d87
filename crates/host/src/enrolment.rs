//! Who this computer is to its relays, and the keys that go with it: made at the first start, found
//! again at every other.
//!
//! An installation that had secrets and finds none, or a locked keyring, stops and says so; only the
//! owner can decide to make new ones.

use deskhand_protocol::{
    DeviceId, Problem, Secret,
    relay_request::{EnrolResponse, KeyView, RelayRequest, RelayResponse, Scope},
};
use deskhand_relay::Relay;

use crate::{
    Credentials, Dirs, Identity, IdentityError, Secrets, SecretsError, Vault,
    config::{Config, SecretsIn},
    secrets::EMBEDDED,
};

/// The owner's key among the keys of a relay.
const OWNER: &str = "owner";

/// Why this computer has no keys.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// They were there, and cannot be read now.
    #[error(
        "find this installation's secrets in {vault}: {why}; unlock it, or make new ones with \
         --new-identity"
    )]
    Lost {
        /// Where they should be.
        vault: String,
        /// Why they cannot be read.
        why: String,
    },
    /// This computer has no credentials for that relay.
    #[error(
        "join {relay_url}: this computer is not enrolled there; run `deskhand enrol --relay {relay_url} --code CODE`"
    )]
    NotEnrolled {
        /// The relay.
        relay_url: String,
    },
    /// The vault cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The embedded relay said no.
    #[error("make a key or a device: {0}")]
    Relay(Problem),
}

/// What an installation knows of itself while it starts or enrols.
#[derive(Debug)]
pub struct Enrolment {
    dirs: Dirs,
    identity: Identity,
    vault: Vault,
    secrets: Secrets,
    wanted: SecretsIn,
    is_first: bool,
}

impl Enrolment {
    /// Reads identity and secrets. `renew` is the owner's word that lost secrets may be replaced.
    ///
    /// Blocks, for a keyring up to five seconds.
    pub fn load(dirs: &Dirs, config: &Config, renew: bool) -> Result<Self, EnrolmentError> {
        let identity = Identity::load(dirs)?;
        let wanted = config.secrets.value;
        if renew {
            return Ok(Self::renewed(dirs, identity, wanted));
        }
        let vault = identity.vault(dirs, wanted);
        let is_first = identity.secrets.is_none();
        let lost = |why: String| EnrolmentError::Lost {
            vault: vault.to_string(),
            why,
        };
        let secrets = match vault.load() {
            Ok(Some(secrets)) => secrets,
            Ok(None) if is_first => Secrets::default(),
            Ok(None) => return Err(lost("it has none".to_owned())),
            Err(SecretsError::Keyring(why)) => return Err(lost(why)),
            Err(SecretsError::KeyringLocked) => return Err(lost("it is locked".to_owned())),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            dirs: dirs.clone(),
            identity,
            vault,
            secrets,
            wanted,
            is_first,
        })
    }

    /// Begins anew with the embedded relay, and with where secrets lie; what can still be read for
    /// relays elsewhere is kept.
    fn renewed(dirs: &Dirs, mut identity: Identity, wanted: SecretsIn) -> Self {
        let mut secrets = match identity.vault(dirs, wanted).load() {
            Ok(secrets) => secrets.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "the old secrets cannot be read and are given up");
                Secrets::default()
            }
        };
        secrets.owner_key = None;
        secrets.devices.remove(EMBEDDED);
        identity.secrets = None;
        Self {
            dirs: dirs.clone(),
            identity,
            vault: Vault::choose(dirs, wanted),
            secrets,
            wanted,
            is_first: true,
        }
    }

    /// Tells whether nothing had been made here before.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Returns where the secrets lie.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Returns the owner's key, once there is one.
    pub fn owner_key(&self) -> Option<&Secret> {
        self.secrets.owner_key.as_ref()
    }

    /// Returns this computer's credentials for a relay elsewhere.
    pub fn joined(&self, relay_url: &str) -> Result<&Credentials, EnrolmentError> {
        let relay_url = relay_name(relay_url);
        let credentials = self.secrets.devices.get(relay_url);
        credentials.ok_or_else(|| EnrolmentError::NotEnrolled {
            relay_url: relay_url.to_owned(),
        })
    }

    /// Returns the relay this computer was enrolled with last.
    pub fn last_joined(&self) -> Option<&str> {
        self.identity.joined.as_deref()
    }

    /// Finds the owner's key among the relay's, or makes it. Tells whether anything was made.
    pub(crate) async fn have_owner_key(&mut self, relay: &Relay) -> Result<bool, EnrolmentError> {
        let known = keys(relay).await?;
        let own = self.secrets.owner_key.as_ref().and_then(key_id);
        if own.is_some_and(|own| known.iter().any(|key| key.key_id.as_str() == own)) {
            return Ok(false);
        }
        // Keys of that name are worth nothing any more: nobody has them.
        for lost in known.iter().filter(|key| key.name == OWNER) {
            let key = lost.key_id.to_string();
            ask(relay, RelayRequest::RevokeKey { key }).await?;
        }
        let request = RelayRequest::CreateKey {
            name: OWNER.to_owned(),
            scopes: Scope::ALL.to_vec(),
            devices: None,
            expires_at: None,
            limits: Default::default(),
            requests_per_minute: None,
        };
        if let RelayResponse::KeyCreated { secret, .. } = ask(relay, request).await? {
            self.secrets.owner_key = Some(Secret::new(secret));
        }
        Ok(true)
    }

    /// Finds this computer among the relay's devices, or enrols it. Tells whether anything was made.
    pub(crate) async fn have_device(
        &mut self,
        relay: &Relay,
        device_name: &str,
        os: &str,
    ) -> Result<(Credentials, bool), EnrolmentError> {
        if let Some(own) = self.secrets.devices.get(EMBEDDED)
            && let RelayResponse::Devices { devices } =
                ask(relay, RelayRequest::ListDevices).await?
            && devices
                .iter()
                .any(|device| device.device_id == own.device_id)
        {
            return Ok((own.clone(), false));
        }
        let enrolled = relay
            .enrol(device_name, os)
            .await
            .map_err(EnrolmentError::Relay)?;
        Ok((self.keep(EMBEDDED, enrolled), true))
    }

    /// Takes what a relay elsewhere gave this computer.
    pub fn join(&mut self, relay_url: &str, enrolled: EnrolResponse) -> DeviceId {
        let relay_url = relay_name(relay_url).to_owned();
        let credentials = self.keep(&relay_url, enrolled);
        self.identity.joined = Some(relay_url);
        credentials.device_id
    }

    fn keep(&mut self, relay: &str, enrolled: EnrolResponse) -> Credentials {
        let credentials = Credentials {
            device_id: enrolled.device_id,
            device_token: Secret::new(enrolled.device_token),
        };
        self.identity
            .devices
            .insert(relay.to_owned(), credentials.device_id.clone());
        self.secrets
            .devices
            .insert(relay.to_owned(), credentials.clone());
        credentials
    }

    /// Keeps everything: the secrets first, then the word that there are some. Where the owner left
    /// the place open and the keyring does not take them, they go into the file.
    ///
    /// Blocks, for a keyring up to five seconds.
    pub fn save(&mut self) -> Result<(), EnrolmentError> {
        if let Err(error) = self.vault.save(&self.secrets) {
            let may_fall_back = self.wanted == SecretsIn::Auto && self.identity.secrets.is_none();
            if !may_fall_back || self.vault == Vault::file(&self.dirs) {
                return Err(error.into());
            }
            tracing::warn!(%error, "the keyring does not take the secrets; they go into a file");
            self.vault = Vault::file(&self.dirs);
            self.vault.save(&self.secrets)?;
        }
        self.identity.secrets = Some(match self.vault {
            Vault::Keyring(_) => SecretsIn::Keyring,
            Vault::File(_) => SecretsIn::File,
        });
        Ok(self.identity.save(&self.dirs)?)
    }
}

async fn keys(relay: &Relay) -> Result<Vec<KeyView>, EnrolmentError> {
    match ask(relay, RelayRequest::ListKeys).await? {
        RelayResponse::Keys { keys } => Ok(keys),
        _ => Ok(Vec::new()),
    }
}

async fn ask(relay: &Relay, request: RelayRequest) -> Result<RelayResponse, EnrolmentError> {
    match relay.request(request).await {
        RelayResponse::Problem { problem } => Err(EnrolmentError::Relay(problem)),
        response => Ok(response),
    }
}

/// Returns the part of a key that is no secret: `dh_<key id>_<secret>`.
pub(crate) fn key_id(key: &Secret) -> Option<&str> {
    key.expose().strip_prefix("dh_")?.split('_').next()
}

/// A relay's address is its name; a slash at the end does not make it another.
fn relay_name(relay_url: &str) -> &str {
    relay_url.trim_end_matches('/')
}
