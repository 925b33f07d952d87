//! The repository's configuration file, changed under git's lock; the text itself is `config_text`'s.

use std::fs;

use crate::outcome::{Res, Stop};
use crate::repository::config_text::is_well_formed;
pub(crate) use crate::repository::config_text::{Refusal, add, copy_section, rename_section, set};
use crate::repository::lock::{LockFile, system_words};
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};

impl Repo<'_> {
    /// Hands over when the repository's configuration file is not one that can be changed here.
    pub(crate) fn config_text(&self) -> Res<Bytes> {
        let path = bytes::to_path(&self.config_path());
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Bytes::new(),
            Err(e) => return Err(e.into()),
        };
        if is_well_formed(&text) {
            Ok(text)
        } else {
            Err(malformed())
        }
    }

    fn config_path(&self) -> Bytes {
        bytes::join(&self.common_dir, b"config")
    }

    /// Changes the repository's configuration file under git's lock; nothing is written when nothing changes.
    pub(crate) fn edit_config(
        &self,
        change: impl FnOnce(&[u8]) -> Result<Bytes, Refusal>,
    ) -> Res<()> {
        let path = self.config_path();
        let lock = LockFile::try_take(&path).map_err(|e| {
            let shown = bytes::join(&self.git_dir_shown, b"config");
            Stop::error(
                255,
                format!(
                    "could not lock config file {}: {}",
                    lossy(&shown),
                    system_words(&e)
                ),
            )
        })?;
        let text = self.config_text()?;
        let new = change(&text).map_err(|_| malformed())?;
        self.call.wrote.set(true);
        lock.commit(&new).map_err(|e| {
            Stop::fatal(format!(
                "could not write config file {}: {}",
                lossy(&path),
                system_words(&e)
            ))
        })
    }
}

fn malformed() -> Stop {
    Stop::not_native("a malformed configuration file")
}
