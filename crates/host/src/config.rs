//! The settings: defaults, file, environment, flags, in this order; each value knows its origin.
//!
//! The defaults are one commented file, compiled in (`defaults.toml`), which is also the list of the
//! keys there are. An unknown key, or a value that does not fit, is a fault with its line: a setting
//! that was mistyped must not be a setting that is silently not in force.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use deskhand_relay::{ForwardedHeader, Networks, TlsFiles};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::de::{DeTable, DeValue};

use crate::{Dirs, Environment};

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings that an environment variable can give.
const VARIABLES: &[(&str, &str)] = &[("log", "DESKHAND_LOG"), ("relay.url", "DESKHAND_RELAY_URL")];

/// Settings whose value is never shown.
const SECRET: &[&str] = &["github.secret"];

/// Every setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where secrets are kept.
    pub secrets: Setting<SecretsIn>,
    /// What is logged.
    pub log: Setting<String>,
    /// Name of this computer; empty means its host name.
    pub device_name: Setting<String>,
    /// Where the embedded relay listens.
    pub relay_listen: Setting<SocketAddr>,
    /// A relay elsewhere; empty means embedded.
    pub relay_url: Setting<String>,
    /// The address callers reach the relay by; empty means the one it listens on.
    pub relay_public_url: Setting<PublicUrl>,
    /// The relay's certificate; empty means plain HTTP.
    pub relay_tls_cert: Setting<PathBuf>,
    /// Its key.
    pub relay_tls_key: Setting<PathBuf>,
    /// The proxies in front of the relay.
    pub relay_trusted_proxies: Setting<Networks>,
    /// What they write.
    pub relay_forwarded_header: Setting<ForwardedHeader>,
    /// Whether keys are taken over plain HTTP from other computers.
    pub relay_allow_plain_http: Setting<bool>,
    /// Authorities to trust beside the system's; empty means none.
    pub tls_ca_file: Setting<PathBuf>,
    /// How many tasks run at once.
    pub agent_max_tasks: Setting<MaxTasks>,
    /// What must confine a task.
    pub sandbox_require: Setting<Require>,
    /// The helper that confines a task; empty means beside the program.
    pub sandbox_helper: Setting<PathBuf>,
    /// The secret GitHub signs with; empty means none.
    pub github_secret: Setting<String>,
    /// Devices whose timelines show GitHub's webhooks; empty means all.
    pub github_devices: Setting<Vec<String>>,
    /// Whether what programs read of OAuth stands at the root as well.
    pub oauth_root_alias: Setting<bool>,
    /// Hosts whose documents about a program are read at private addresses.
    pub oauth_private_clients: Setting<Vec<String>>,
    /// Which successful tasks the desktop tells of.
    pub desktop_notify_success: Setting<NotifySuccess>,
    /// After how many seconds without a relay it tells of that; never for 0.
    pub desktop_offline_after: Setting<u32>,
    /// When it tells of nothing but questions.
    pub desktop_quiet_hours: Setting<QuietHours>,
    /// Whether a question's notification offers to allow it once.
    pub desktop_allow_once: Setting<bool>,
    /// Whether the computer is kept awake while a task runs.
    pub desktop_keep_awake: Setting<bool>,
    rows: Vec<Row>,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// The owner's file.
    File {
        /// Which file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(&'static str),
    /// A flag of the command.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "${name}"),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// Where secrets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretsIn {
    /// The keyring where there is one, a file otherwise or with a home of its own.
    Auto,
    /// The keyring, or nothing works.
    Keyring,
    /// A file that only the owner can read.
    File,
}

/// What must confine a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// Nothing.
    None,
    /// No writes outside, no secrets read, no network.
    Reduced,
    /// Everything the profile says.
    Full,
}

/// How many tasks run at once: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub struct MaxTasks(usize);

impl MaxTasks {
    /// Returns the number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for MaxTasks {
    type Error = &'static str;

    fn try_from(n: usize) -> Result<Self, Self::Error> {
        match n {
            1..=100 => Ok(Self(n)),
            _ => Err("1 to 100 tasks can run at once"),
        }
    }
}

/// Which successful tasks the desktop tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifySuccess {
    /// Every one.
    All,
    /// Those that ran longer than ten seconds.
    Long,
    /// None.
    None,
}

/// The address callers reach the relay by, without a slash at its end; empty where nobody gave one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Returns the address, if there is one.
    pub fn get(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let url = text.trim_end_matches('/');
        let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
        let is_address = rest.is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            let odd = |c: char| c.is_whitespace() || c.is_control() || "?#@\\\"".contains(c);
            !host.is_empty() && !rest.contains(odd)
        });
        match url.is_empty() || is_address {
            true => Ok(Self(url.to_owned())),
            false => Err("an address such as `https://relay.example.com`"),
        }
    }
}

/// Times of the day in which the desktop is quiet; they may reach over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct QuietHours(Option<(u16, u16)>);

impl QuietHours {
    /// Tells whether a time of the day, in minutes since midnight, is quiet.
    pub fn include(self, minute: u16) -> bool {
        match self.0 {
            Some((from, to)) if from <= to => (from..to).contains(&minute),
            Some((from, to)) => minute >= from || minute < to,
            None => false,
        }
    }
}

impl TryFrom<String> for QuietHours {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let minutes = |time: &str| {
            let (hour, minute) = time.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.split_once('-')
            .and_then(|(from, to)| Some(Self(Some((minutes(from)?, minutes(to)?)))))
            .ok_or("two times of the day, such as `22:00-07:00`")
    }
}

/// A value that a flag of a command gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Which setting.
    pub key: &'static str,
    /// The flag, as it is typed.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

/// One line of `deskhand config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The setting.
    pub key: String,
    /// Its value as TOML; hidden for a secret.
    pub value: String,
    /// Where it came from.
    pub origin: String,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("read the configuration `{}`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something in them is wrong; every fault is named.
    #[error("use the configuration: {}", .0.join("; "))]
    Faults(Vec<String>),
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or any value from anywhere is wrong: all faults at once.
    pub fn load(
        dirs: &Dirs,
        environment: &Environment,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let path = dirs.config_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let mut layers = Layers::defaults();
        layers.add_file(&path, &text);
        for &(key, variable) in VARIABLES {
            if let Some(value) = environment.text(variable) {
                layers.add_text(key, value, Origin::Variable(variable));
            }
        }
        for flag in flags {
            layers.add_text(flag.key, &flag.value, Origin::Flag(flag.name));
        }
        layers.into_config()
    }

    /// Returns where the relay's certificate is; nothing where it has none.
    pub fn relay_tls(&self) -> Option<TlsFiles> {
        let (certificate, key) = (&self.relay_tls_cert.value, &self.relay_tls_key.value);
        (!certificate.as_os_str().is_empty()).then(|| TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        })
    }

    /// Returns every setting, for people to read.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// The settings while they are put together.
struct Layers {
    settings: BTreeMap<String, Setting<toml::Value>>,
    faults: Vec<String>,
}

impl Layers {
    fn defaults() -> Self {
        let mut layers = Self {
            settings: BTreeMap::new(),
            faults: Vec::new(),
        };
        for (key, value, _) in entries(DEFAULTS).expect("the compiled-in defaults are TOML") {
            let origin = Origin::Default;
            layers.settings.insert(key, Setting { value, origin });
        }
        layers
    }

    fn add_file(&mut self, path: &Path, text: &str) {
        let place = |line: usize| format!("{}:{line}", path.display());
        let found = match entries(text) {
            Ok(found) => found,
            Err((line, message)) => {
                self.faults.push(format!("{}: {message}", place(line)));
                return;
            }
        };
        for (key, value, line) in found {
            let path = path.to_owned();
            match self.settings.get_mut(&key) {
                Some(setting) => {
                    let origin = Origin::File { path, line };
                    *setting = Setting { value, origin };
                }
                None => self
                    .faults
                    .push(format!("{}: unknown key `{key}`", place(line))),
            }
        }
    }

    /// Adds a value that is given as text; what the default is decides how it is read.
    fn add_text(&mut self, key: &str, text: &str, origin: Origin) {
        let setting = self
            .settings
            .get_mut(key)
            .expect("variables and flags name keys of the defaults");
        let value = match &setting.value {
            toml::Value::Integer(_) => text.parse().map(toml::Value::Integer).ok(),
            toml::Value::Boolean(_) => text.parse().map(toml::Value::Boolean).ok(),
            toml::Value::Array(_) => {
                let words = text.split(',').map(str::trim).map(toml::Value::from);
                Some(toml::Value::Array(words.collect()))
            }
            _ => Some(toml::Value::from(text)),
        };
        match value {
            Some(value) => *setting = Setting { value, origin },
            None => self
                .faults
                .push(format!("{origin}: `{text}` does not fit `{key}`")),
        }
    }

    fn into_config(mut self) -> Result<Config, ConfigError> {
        let rows = self.rows();
        let config = Config {
            secrets: self.take("secrets"),
            log: self.take("log"),
            device_name: self.take("device.name"),
            relay_listen: self.take("relay.listen"),
            relay_url: self.take("relay.url"),
            relay_public_url: self.take("relay.public_url"),
            relay_tls_cert: self.take("relay.tls_cert"),
            relay_tls_key: self.take("relay.tls_key"),
            relay_trusted_proxies: self.take("relay.trusted_proxies"),
            relay_forwarded_header: self.take("relay.forwarded_header"),
            relay_allow_plain_http: self.take("relay.allow_plain_http"),
            tls_ca_file: self.take("tls.ca_file"),
            agent_max_tasks: self.take("agent.max_tasks"),
            sandbox_require: self.take("sandbox.require"),
            sandbox_helper: self.take("sandbox.helper"),
            github_secret: self.take("github.secret"),
            github_devices: self.take("github.devices"),
            oauth_root_alias: self.take("oauth.root_alias"),
            oauth_private_clients: self.take("oauth.private_clients"),
            desktop_notify_success: self.take("desktop.notify_success"),
            desktop_offline_after: self.take("desktop.offline_after"),
            desktop_quiet_hours: self.take("desktop.quiet_hours"),
            desktop_allow_once: self.take("desktop.allow_once"),
            desktop_keep_awake: self.take("desktop.keep_awake"),
            rows,
        };
        let is_given = |path: &Setting<PathBuf>| !path.value.as_os_str().is_empty();
        if is_given(&config.relay_tls_cert) != is_given(&config.relay_tls_key) {
            let fault = "`relay.tls_cert` and `relay.tls_key` go together";
            self.faults.push(fault.to_owned());
        }
        if self.faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Faults(self.faults))
        }
    }

    /// Takes a setting out in its type. A value that does not fit is a fault, and the default is
    /// put in its place, so that all faults are found.
    fn take<T: DeserializeOwned>(&mut self, key: &str) -> Setting<T> {
        let setting = self.settings.get(key).expect("a key of the defaults");
        let origin = setting.origin.clone();
        match setting.value.clone().try_into() {
            Ok(value) => Setting { value, origin },
            Err(error) => {
                let error = error.to_string();
                let error = error.trim_end().replace('\n', " ");
                self.faults.push(format!("{origin}: `{key}`: {error}"));
                let mut defaults = Self::defaults();
                let value = defaults
                    .settings
                    .remove(key)
                    .and_then(|setting| setting.value.try_into().ok())
                    .expect("the compiled-in defaults fit their types");
                Setting { value, origin }
            }
        }
    }

    fn rows(&self) -> Vec<Row> {
        let shown = |key: &str, value: &toml::Value| {
            if SECRET.contains(&key) && value.as_str() != Some("") {
                "(hidden)".to_owned()
            } else {
                value.to_string()
            }
        };
        self.settings
            .iter()
            .map(|(key, setting)| Row {
                key: key.clone(),
                value: shown(key, &setting.value),
                origin: setting.origin.to_string(),
            })
            .collect()
    }
}

/// A dotted key, its value, and the line it is on.
type Entry = (String, toml::Value, usize);

/// Reads a file; an error has its line as well.
fn entries(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let line = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        (line(offset), error.message().to_owned())
    })?;
    let mut found = Vec::new();
    let mut tables = vec![(String::new(), table.into_inner())];
    while let Some((prefix, table)) = tables.pop() {
        for (key, value) in table {
            let line = line(key.span().start);
            let name = format!("{prefix}{}", key.into_inner());
            match value.into_inner() {
                DeValue::Table(table) => tables.push((format!("{name}."), table)),
                other => {
                    let value = toml::Value::deserialize(toml::de::ValueDeserializer::from(
                        toml::Spanned::new(0..0, other),
                    ))
                    .map_err(|error| (line, error.message().to_owned()))?;
                    found.push((name, value, line));
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)], flags: &[Flag]) -> Result<Config, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        let environment = variables.iter().copied().collect();
        let dirs = Dirs::find(Some(home.path()), &environment).unwrap();
        fs::write(dirs.config_file(), file).unwrap();
        Config::load(&dirs, &environment, flags)
    }

    #[test]
    fn the_defaults_stand_alone() {
        let config = load("", &[], &[]).unwrap();
        assert_eq!(config.relay_listen.value.to_string(), "127.0.0.1:8765");
        assert_eq!(config.agent_max_tasks.value.get(), 4);
        assert!(config.rows().iter().all(|row| row.origin == "default"));
    }

    #[test]
    fn later_layers_win_and_say_so() {
        let file = "log = \"warn\"\n[relay]\nurl = \"http://file\"\nlisten = \"127.0.0.1:1\"\n";
        let flag = Flag {
            key: "relay.listen",
            name: "--listen",
            value: "127.0.0.1:2".into(),
        };
        let config = load(file, &[("DESKHAND_RELAY_URL", "http://env")], &[flag]).unwrap();
        assert_eq!(config.relay_url.value, "http://env");
        assert_eq!(config.relay_url.origin.to_string(), "$DESKHAND_RELAY_URL");
        assert_eq!(config.relay_listen.value.port(), 2);
        assert_eq!(config.relay_listen.origin.to_string(), "--listen");
        assert!(config.log.origin.to_string().ends_with("config.toml:1"));
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let file = "[sandbox]\nrequre = \"full\"\nrequire = \"strong\"\n\n[agent]\nmax_tasks = 0\n";
        let error = load(file, &[], &[]).unwrap_err().to_string();
        for part in [
            "config.toml:2: unknown key `sandbox.requre`",
            "config.toml:3: `sandbox.require`",
            "config.toml:6: `agent.max_tasks`",
        ] {
            assert!(error.contains(part), "{part} in: {error}");
        }
        let error = load("log = \n", &[], &[]).unwrap_err().to_string();
        assert!(error.contains("config.toml:1:"), "{error}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let config = load("[github]\nsecret = \"hush\"\n", &[], &[]).unwrap();
        assert_eq!(config.github_secret.value, "hush");
        assert!(config.rows().iter().all(|row| !row.value.contains("hush")));
    }

    #[test]
    fn an_address_is_one_that_callers_can_use() {
        let read = |text: &str| PublicUrl::try_from(text.to_owned());
        assert_eq!(
            read("https://relay.example.com/").unwrap().get(),
            Some("https://relay.example.com")
        );
        assert_eq!(
            read("http://[::1]:8765").unwrap().get(),
            Some("http://[::1]:8765")
        );
        assert_eq!(read("").unwrap().get(), None);
        for bad in [
            "relay.example.com",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://x?key=1",
            "https://x y",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let error = load("[relay]\ntls_cert = \"cert.pem\"\n", &[], &[]).unwrap_err();
        assert!(error.to_string().contains("go together"), "{error}");
    }

    #[test]
    fn quiet_hours_reach_over_midnight() {
        let quiet = |text: &str| QuietHours::try_from(text.to_owned());
        let night = quiet("22:00-07:30").unwrap();
        for (minute, expected) in [
            (0, true),
            (449, true),
            (450, false),
            (1319, false),
            (1320, true),
        ] {
            assert_eq!(night.include(minute), expected, "{minute}");
        }
        assert!(quiet("12:00-13:00").unwrap().include(720));
        assert!(!quiet("").unwrap().include(720));
        for wrong in ["22", "22:00", "24:00-07:00", "22:60-07:00", "a-b"] {
            assert!(quiet(wrong).is_err(), "{wrong}");
        }
    }
}
