//! Where an installation keeps its files.
//!
//! With a home named by `--home` or `DESKHAND_HOME` everything lies in that one directory, so that
//! two installations never meet. Without, the platform's conventions decide: XDG on Linux,
//! `~/Library` on macOS, `%APPDATA%` on Windows.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::Environment;

/// Where an installation keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    config: PathBuf,
    data: PathBuf,
    logs: PathBuf,
    explicit: bool,
}

/// Why there is no place to keep files.
#[derive(Debug, thiserror::Error)]
pub enum DirsError {
    /// The environment names no home directory.
    #[error("find a home directory: set HOME, or name one with --home")]
    NoHome,
    /// A directory cannot be made or closed to others.
    #[error("prepare the directory `{}`", path.display())]
    Prepare {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Dirs {
    /// Decides where: `home` is what `--home` or `DESKHAND_HOME` say. Touches nothing.
    pub fn find(home: Option<&Path>, environment: &Environment) -> Result<Self, DirsError> {
        if let Some(home) = home {
            // A relative home must not move when somebody changes the directory.
            let home = std::path::absolute(home).map_err(|source| DirsError::Prepare {
                path: home.to_owned(),
                source,
            })?;
            return Ok(Self {
                config: home.clone(),
                data: home.clone(),
                logs: home.join("logs"),
                explicit: true,
            });
        }
        Self::by_convention(environment).ok_or(DirsError::NoHome)
    }

    fn by_convention(environment: &Environment) -> Option<Self> {
        let home = environment.home();
        let xdg = |variable: &str, beneath_home: &str| {
            let base = environment
                .path(variable)
                .or_else(|| Some(home.as_ref()?.join(beneath_home)))?;
            Some(base.join("deskhand"))
        };
        let (config, data, logs);
        if cfg!(target_os = "macos") {
            data = home.as_ref()?.join("Library/Application Support/Deskhand");
            config = data.clone();
            logs = home.as_ref()?.join("Library/Logs/Deskhand");
        } else if cfg!(windows) {
            data = environment.path("LOCALAPPDATA")?.join("Deskhand");
            config = environment.path("APPDATA")?.join("Deskhand");
            logs = data.join("logs");
        } else {
            config = xdg("XDG_CONFIG_HOME", ".config")?;
            data = xdg("XDG_DATA_HOME", ".local/share")?;
            logs = xdg("XDG_STATE_HOME", ".local/state")?.join("logs");
        }
        Some(Self {
            config,
            data,
            logs,
            explicit: false,
        })
    }

    /// Makes the directories, open to nobody else.
    pub fn create(&self) -> Result<(), DirsError> {
        for path in self.all() {
            create_private(path).map_err(|source| DirsError::Prepare {
                path: path.to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// Returns every directory: tasks must not reach into them.
    pub fn all(&self) -> [&Path; 3] {
        [&self.config, &self.data, &self.logs]
    }

    /// Tells whether the owner named the home; its secrets then stay in it.
    pub fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// Returns the owner's configuration file, which need not exist.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Returns the owner's rules, which need not exist.
    pub fn rules_file(&self) -> PathBuf {
        self.config.join("rules.toml")
    }

    /// Returns the device's store.
    pub fn agent_store(&self) -> PathBuf {
        self.data.join("agent.db")
    }

    /// Returns the embedded relay's store.
    pub fn relay_store(&self) -> PathBuf {
        self.data.join("relay.db")
    }

    /// Returns the directory of the stores.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns where tasks get private directories.
    pub fn scratch(&self) -> PathBuf {
        self.data.join("scratch")
    }

    /// Returns the directory whose files become tasks.
    pub fn inbox(&self) -> PathBuf {
        self.data.join("inbox")
    }

    /// Returns the file with the secrets, where there is no keyring.
    pub fn secrets_file(&self) -> PathBuf {
        self.data.join("secrets.json")
    }

    /// Returns the file that says who this computer is; it holds no secret.
    pub fn identity_file(&self) -> PathBuf {
        self.data.join("identity.json")
    }

    /// Returns the control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.data.join("control.sock")
    }

    /// Returns the socket of the desktop application, which a second launch looks for.
    pub fn desktop_socket(&self) -> PathBuf {
        self.data.join("desktop.sock")
    }

    /// Returns where the desktop application keeps the place and size of its window.
    pub fn window_file(&self) -> PathBuf {
        self.data.join("window.json")
    }

    /// Returns the file that is there once the owner said that the desktop application stays where no
    /// tray shows it.
    pub fn stays_file(&self) -> PathBuf {
        self.data.join("stays-without-tray")
    }

    /// Returns the file that the running process locks, with its number in it.
    pub fn pid_file(&self) -> PathBuf {
        self.data.join("pid")
    }

    /// Returns the log.
    pub fn log_file(&self) -> PathBuf {
        self.logs.join("deskhand.log")
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    // A user's profile is closed to other users by inheritance.
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_home_holds_everything() {
        let dirs = Dirs::find(Some(Path::new("/h")), &Environment::default()).unwrap();
        for path in [
            dirs.config_file(),
            dirs.agent_store(),
            dirs.secrets_file(),
            dirs.log_file(),
        ] {
            assert!(path.starts_with("/h"), "{}", path.display());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_follows_xdg_and_ignores_relative_paths() {
        let environment: Environment = [
            ("HOME", "/home/ann"),
            ("XDG_CONFIG_HOME", "/cfg"),
            ("XDG_DATA_HOME", "relative"),
        ]
        .into_iter()
        .collect();
        let dirs = Dirs::find(None, &environment).unwrap();
        assert_eq!(dirs.config_file(), Path::new("/cfg/deskhand/config.toml"));
        assert_eq!(
            dirs.agent_store(),
            Path::new("/home/ann/.local/share/deskhand/agent.db")
        );
        assert!(Dirs::find(None, &Environment::default()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn directories_are_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
        let dirs = Dirs::find(Some(&home), &Environment::default()).unwrap();
        dirs.create().unwrap();
        for path in dirs.all() {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        }
    }
}
