//! One process per home: a locked file with the process's number in it.
//!
//! The lock is the truth and the number only a hint: the kernel lets go of the lock when the process
//! ends, however it ends, so a number that was left over is never taken for a running process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::{Dirs, files};

/// This process, as the one that runs in its home. Dropping it lets another one start.
#[derive(Debug)]
pub struct Instance {
    _locked: File,
}

/// Why this process cannot be the one.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another one is.
    #[error("start: Deskhand already runs in this home{}", match pid { Some(pid) => format!(" (process {pid})"), None => String::new() })]
    Running {
        /// Its number.
        pid: Option<u32>,
    },
    /// The file cannot be used.
    #[error("use the lock file `{}`", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Instance {
    /// Becomes the one process of a home.
    pub fn acquire(dirs: &Dirs) -> Result<Self, InstanceError> {
        let path = dirs.pid_file();
        let failed = |source| InstanceError::File {
            path: path.clone(),
            source,
        };
        let mut file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read_pid(&mut file);
                return Err(InstanceError::Running { pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _locked: file })
    }

    /// Returns the number of the process that runs in a home; none when there is none.
    pub fn running(dirs: &Dirs) -> io::Result<Option<u32>> {
        let mut file = match OpenOptions::new().read(true).open(dirs.pid_file()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(read_pid(&mut file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Asks a process to end in order.
#[cfg(unix)]
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process has this number"))?;
    Ok(rustix::process::kill_process(
        pid,
        rustix::process::Signal::TERM,
    )?)
}

/// Leaves the terminal: this process stays when the terminal goes.
#[cfg(unix)]
pub fn leave_terminal() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    // Not truncated here: until the lock is ours, the number in it is another's.
    files::private(
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false),
    )
    .open(path)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;

    #[test]
    fn a_home_has_one_process_and_a_leftover_number_is_not_one() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::find(Some(home.path()), &Environment::default()).unwrap();
        assert_eq!(Instance::running(&dirs).unwrap(), None);
        let first = Instance::acquire(&dirs).unwrap();
        let me = std::process::id();
        assert_eq!(Instance::running(&dirs).unwrap(), Some(me));
        assert!(matches!(
            Instance::acquire(&dirs),
            Err(InstanceError::Running { pid: Some(pid) }) if pid == me
        ));
        drop(first);
        assert!(dirs.pid_file().exists());
        assert_eq!(Instance::running(&dirs).unwrap(), None);
        Instance::acquire(&dirs).unwrap();
    }
}
