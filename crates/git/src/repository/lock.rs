//! Lock files: a new content is written beside the old one and takes its place in one step, as git does it.
//!
//! A lock that is dropped before it is committed is taken away, so an error or a cancel leaves none behind.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use crate::outcome::{Res, Stop};
use crate::text::bytes::{self, lossy};

/// A lock that is held: the file `<path>.lock`.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    lock: PathBuf,
    file: Option<File>,
    is_committed: bool,
}

impl LockFile {
    /// Takes the lock of a file given by its absolute path; ends with git's error when somebody else holds it.
    pub(crate) fn take(path: &[u8]) -> Res<LockFile> {
        LockFile::try_take(path).map_err(|e| Stop::fatal(unable_to_create(path, &e)))
    }

    /// Takes the lock of a file, or says what the system said.
    pub(crate) fn try_take(path: &[u8]) -> std::io::Result<LockFile> {
        // A symbolic link in the place of the file is followed, so that what it names is replaced.
        let path = bytes::to_path(path);
        let path = match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => fs::canonicalize(&path)?,
            _ => path,
        };
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&lock)?;
        Ok(LockFile {
            path,
            lock,
            file: Some(file),
            is_committed: false,
        })
    }

    /// Writes the new content and puts it in the place of the old.
    pub(crate) fn commit(mut self, content: &[u8]) -> std::io::Result<()> {
        if let Some(file) = self.file.take() {
            // Keeps who may read the file as it was.
            if let Ok(meta) = fs::metadata(&self.path) {
                let _ = file.set_permissions(meta.permissions());
            }
            let mut file = BufWriter::new(file);
            file.write_all(content)?;
            file.flush()?;
        }
        fs::rename(&self.lock, &self.path)?;
        self.is_committed = true;
        Ok(())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if !self.is_committed {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

/// git's words about a lock file that cannot be made.
pub(crate) fn unable_to_create(path: &[u8], error: &std::io::Error) -> String {
    let shown = lossy(path);
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return format!(
            "Unable to create '{shown}.lock': File exists.\n\n\
             Another git process seems to be running in this repository, e.g.\n\
             an editor opened by 'git commit'. Please make sure all processes\n\
             are terminated then try again. If it still fails, a git process\n\
             may have crashed in this repository earlier:\n\
             remove the file manually to continue."
        );
    }
    format!("Unable to create '{shown}.lock': {}", system_words(error))
}

/// What the system calls an error, without the number the standard library adds.
pub(crate) fn system_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}
