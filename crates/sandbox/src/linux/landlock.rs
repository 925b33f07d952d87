//! Landlock: what the program may open, and that it reaches no process and no socket outside.
//!
//! Behind the mount view it is the second wall, and the one that holds where an old descriptor would lead around mounts.
//! Without the view (tier reduced) it is the only one for files.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use super::{Failure, Step, sys};

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const MAKE_FIFO: u64 = 1 << 10;
const MAKE_BLOCK: u64 = 1 << 11;
const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13; // version 2
const TRUNCATE: u64 = 1 << 14; // version 3
const IOCTL_DEV: u64 = 1 << 15; // version 5
const RESOLVE_UNIX: u64 = 1 << 16; // version 9

const BIND_TCP: u64 = 1 << 0; // version 4
const CONNECT_TCP: u64 = 1 << 1; // version 4

const SCOPE_ABSTRACT_UNIX: u64 = 1 << 0; // version 6
const SCOPE_SIGNAL: u64 = 1 << 1; // version 6

/// Rights that make sense on a file; the kernel refuses a rule that gives others on something that is not a directory.
const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX;

/// The version from which connecting to a socket in the file system can be governed.
pub(super) const GOVERNS_UNIX_SOCKETS: u32 = 9;

/// The version from which truncation, and so every write to a file, is governed.
pub(super) const GOVERNS_ALL_WRITES: u32 = 3;

/// The rights of one version, sorted by what they are good for.
pub(super) struct Rights {
    /// Open, list and execute.
    pub(super) read: u64,
    /// All that changes something, with reading.
    pub(super) write: u64,
    /// Read and write what is there, devices included, but make and remove nothing.
    pub(super) use_only: u64,
    abi: u32,
}

impl Rights {
    /// Returns the rights this kernel governs, of those we know.
    pub(super) fn of(abi: u32) -> Self {
        let since = |version, rights| if abi >= version { rights } else { 0 };
        let read = EXECUTE | READ_FILE | READ_DIR;
        let change = WRITE_FILE | since(3, TRUNCATE) | since(5, IOCTL_DEV);
        let make = MAKE_DIR
            | MAKE_REG
            | MAKE_SOCK
            | MAKE_FIFO
            | MAKE_SYM
            | REMOVE_DIR
            | REMOVE_FILE
            | since(2, REFER);
        Self {
            read,
            write: read | change | make | since(9, RESOLVE_UNIX),
            use_only: READ_FILE | READ_DIR | change,
            abi,
        }
    }

    fn handled(&self, network: bool) -> sys::LandlockHandled {
        let since = |version, rights| if self.abi >= version { rights } else { 0 };
        sys::LandlockHandled {
            access_fs: self.write | MAKE_CHAR | MAKE_BLOCK,
            access_net: if network {
                0
            } else {
                since(4, BIND_TCP | CONNECT_TCP)
            },
            scoped: since(6, SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL),
        }
    }
}

/// The version from which signals and abstract sockets stop at the edge of the task.
pub(super) const GOVERNS_SIGNALS: u32 = 6;

/// A rule set under construction.
pub(super) struct Ruleset {
    ruleset: OwnedFd,
}

impl Ruleset {
    /// Begins a rule set that permits nothing. Without `network` it refuses TCP too.
    pub(super) fn new(rights: &Rights, network: bool) -> Result<Self, Failure> {
        let ruleset =
            sys::landlock_ruleset(&rights.handled(network), rights.abi).step("landlock/create")?;
        Ok(Self { ruleset })
    }

    /// Permits `access` on `path` and beneath. What does not exist is left out.
    pub(super) fn allow(&self, path: &Path, access: u64) -> Result<(), Failure> {
        match rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => self.allow_opened(&opened, access),
            // Nothing there to permit, or nothing we could reach ourselves.
            Err(_) => Ok(()),
        }
    }

    /// Permits `access` on what is open and beneath.
    pub(super) fn allow_opened(&self, opened: &OwnedFd, access: u64) -> Result<(), Failure> {
        let stat = rustix::fs::fstat(opened).step("landlock/stat")?;
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let access = if directory { access } else { access & ON_FILES };
        if access == 0 {
            return Ok(());
        }
        sys::landlock_allow(&self.ruleset, access, opened.as_fd()).step("landlock/rule")
    }

    /// Puts this process under the rules. Needs no_new_privs.
    pub(super) fn restrict_self(self) -> Result<(), Failure> {
        sys::landlock_restrict_self(&self.ruleset).step("landlock/restrict")
    }
}
