//! This computer, as others are told of it, and what its tasks inherit.

use std::{ffi::OsString, io, path::PathBuf};

pub use deskhand_agent::SandboxSupport;

use crate::{Config, Environment};

/// The word for this operating system.
pub const OS: &str = std::env::consts::OS;

/// Returns the computer's name, as its owner knows it.
#[cfg(unix)]
pub fn host_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    // Without the domain: it is the network's word, not the owner's.
    match name.split('.').next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "computer".to_owned(),
    }
}

/// Returns the helper that confines tasks: the one the settings name, else the one beside this
/// program.
pub fn sandbox_helper(config: &Config) -> io::Result<PathBuf> {
    let named = &config.sandbox_helper.value;
    if !named.as_os_str().is_empty() {
        return Ok(named.clone());
    }
    let name = if cfg!(windows) {
        "deskhand-sandbox.exe"
    } else {
        "deskhand-sandbox"
    };
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// Tries what can confine a task on this computer. Blocks for some milliseconds.
pub fn sandbox_support(config: &Config) -> io::Result<SandboxSupport> {
    Ok(deskhand_agent::support(&sandbox_helper(config)?))
}

/// Returns what a git task reads of the environment. The list is of names that may pass: a `GIT_DIR`
/// of the terminal that Deskhand was started in must not decide where tasks work.
pub(crate) fn git_environment(environment: &Environment) -> Vec<(OsString, OsString)> {
    const PASS: &[&str] = &[
        "HOME",
        "XDG_CONFIG_HOME",
        "USER",
        "LOGNAME",
        "EMAIL",
        "PATH",
    ];
    passing(environment, PASS)
}

/// Returns language and time zone, which tasks inherit.
pub(crate) fn locale(environment: &Environment) -> Vec<(OsString, OsString)> {
    passing(environment, &[])
}

/// Returns the name of the time zone this computer lives in, `UTC` where it has none.
pub(crate) fn time_zone() -> String {
    let zone = jiff::tz::TimeZone::system();
    zone.iana_name().unwrap_or("UTC").to_owned()
}

fn passing(environment: &Environment, names: &[&str]) -> Vec<(OsString, OsString)> {
    environment
        .iter()
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                names.contains(&name) || name == "LANG" || name == "TZ" || name.starts_with("LC_")
            })
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_does_not_decide_where_git_tasks_work() {
        let environment: Environment = [
            ("HOME", "/home/ann"),
            ("GIT_DIR", "/elsewhere/.git"),
            ("LC_ALL", "C.UTF-8"),
            ("SECRET_TOKEN", "hush"),
        ]
        .into_iter()
        .collect();
        let names: Vec<OsString> = git_environment(&environment)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["HOME", "LC_ALL"]);
        assert_eq!(locale(&environment).len(), 1);
    }
}
