//! What every command needs: where this installation is, its settings, and the way to a relay.

use deskhand_client::Client;
use deskhand_host::{
    Config, Control, ControlError, Dirs, Environment, Identity, config::Flag, secrets::EMBEDDED,
    trust,
};
use deskhand_protocol::{DeviceId, Secret, Source};

use crate::{
    args::{Common, RelayArgs},
    exit::NoKey,
    out::Out,
};

/// What every command needs.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) dirs: Dirs,
    pub(crate) environment: Environment,
    pub(crate) out: Out,
}

/// A relay, and which of its devices this computer is.
pub(crate) struct Relay {
    pub(crate) client: Client,
    pub(crate) this_device: Option<DeviceId>,
}

impl Context {
    pub(crate) fn new(common: Common, out: Out) -> anyhow::Result<Self> {
        let environment = Environment::read();
        let out = match environment.get("NO_COLOR") {
            Some(_) => out.without_colour(),
            None => out,
        };
        Ok(Self {
            dirs: Dirs::find(common.home.as_deref(), &environment)?,
            environment,
            out,
        })
    }

    /// Reads the settings.
    pub(crate) fn config(&self, flags: &[Flag]) -> anyhow::Result<Config> {
        Ok(Config::load(&self.dirs, &self.environment, flags)?)
    }

    /// Returns the way to the process that runs in this home.
    pub(crate) fn control(&self) -> Control {
        Control::new(&self.dirs)
    }

    /// Returns the name of whoever types.
    pub(crate) fn login(&self) -> String {
        ["USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .find_map(|name| self.environment.text(name))
            .unwrap_or("owner")
            .to_owned()
    }

    /// Finds the relay to talk to and the key for it: the one that is named, else the one that runs
    /// in this home, else the one this computer was enrolled with last.
    ///
    /// The owner's key goes to the relay of this home and to no other.
    pub(crate) async fn relay(&self, args: &RelayArgs) -> anyhow::Result<Relay> {
        let flags: Vec<Flag> = args
            .relay
            .iter()
            .map(|url| flag("relay.url", "--relay", url))
            .collect();
        let config = self.config(&flags)?;
        let identity = Identity::load(&self.dirs)?;
        let named = Some(config.relay_url.value.clone()).filter(|url| !url.is_empty());
        let own = self.own_relay().await;
        let (relay_url, name) = match (named, own) {
            (Some(url), Ok(Some(own))) if same(&url, &own) => (url, EMBEDDED.to_owned()),
            (Some(url), _) => (url.clone(), url),
            (None, Ok(Some(own))) => (own, EMBEDDED.to_owned()),
            (None, own) => match (&identity.joined, own) {
                (Some(url), _) => (url.clone(), url.clone()),
                (None, Ok(_)) => return Err(ControlError::NotRunning.into()),
                (None, Err(error)) => return Err(error.into()),
            },
        };
        let key = match self.environment.text("DESKHAND_API_KEY") {
            Some(key) => Some(Secret::new(key)),
            None if name == EMBEDDED => {
                let vault = identity.vault(&self.dirs, config.secrets.value);
                vault.load()?.and_then(|secrets| secrets.owner_key)
            }
            None => None,
        };
        if key.is_none() {
            return Err(NoKey { relay_url }.into());
        }
        let this_device = identity
            .devices
            .iter()
            .find(|(relay, _)| **relay == name || same(relay, &name))
            .map(|(_, device)| device.clone());
        Ok(Relay {
            client: client(&relay_url, key, &config)?.with_source(Source::Cli),
            this_device,
        })
    }

    /// Returns the address of the relay that runs in this home; none when only an agent does.
    async fn own_relay(&self) -> Result<Option<String>, ControlError> {
        Ok(self.control().here().await?.own_relay_url)
    }
}

/// Makes a client for a relay; for one over TLS, it trusts whom the settings say.
pub(crate) fn client(url: &str, key: Option<Secret>, config: &Config) -> anyhow::Result<Client> {
    Ok(Client::new(url, key, trust::for_address(url, config)?)?)
}

/// A setting that a flag gives.
pub(crate) fn flag(key: &'static str, name: &'static str, value: impl ToString) -> Flag {
    Flag {
        key,
        name,
        value: value.to_string(),
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
