//! The process's environment, read once: the only place that does.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use deskhand_protocol::Secret;

/// The variables this process was started with. Everything below takes them from here, so that a
/// test can say what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// Reads the process's own.
    pub fn read() -> Self {
        std::env::vars_os().collect()
    }

    /// Returns a variable; one that is empty counts as absent.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns a variable as text; one that is empty or not UTF-8 counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// Returns an absolute path; the XDG specification says to ignore relative ones.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    }

    /// Returns the owner's home directory.
    pub fn home(&self) -> Option<PathBuf> {
        self.path(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
    }

    /// Returns the values of variables whose names say that they are secrets: they are known here, and
    /// must not be kept.
    pub fn secrets(&self) -> impl Iterator<Item = Secret> {
        const PARTS: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL"];
        self.iter()
            .filter(|(name, _)| {
                let name = name.to_string_lossy().to_ascii_uppercase();
                PARTS.iter().any(|part| name.contains(part))
            })
            .filter_map(|(_, value)| value.to_str().map(Secret::new))
            // A path to a secret is none.
            .filter(|value| !value.expose().starts_with('/'))
    }

    /// Returns all variables, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}
