//! Kept repository handles: opening packs and configuration again for every command costs more than answering it.
//!
//! One set per thread, since libgit2's objects are not shared across threads. A handle is kept under the path of its
//! git directory and thrown away when that directory, its configuration or its list of packs is not the one it was
//! opened for. References and the index are read anew by every command.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;
use std::time::SystemTime;

use crate::outcome::Res;
use crate::text::bytes::{self, Bytes};

/// Handles kept per thread; the one that was not used for longest goes first.
const MAX_HANDLES: usize = 8;

struct Kept {
    git_dir: Bytes,
    seen: Seen,
    git: Rc<git2::Repository>,
}

/// What must be unchanged for a handle to be used again.
#[derive(PartialEq, Eq)]
struct Seen {
    files: [Option<(u64, u64, SystemTime)>; 4],
}

thread_local! {
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// Returns the kept handle of a git directory, or opens one.
pub(crate) fn open(
    git_dir: &[u8],
    open: impl FnOnce() -> Res<git2::Repository>,
) -> Res<Rc<git2::Repository>> {
    let seen = look(git_dir);
    let kept = KEPT.with_borrow_mut(|kept| {
        let i = kept.iter().position(|k| k.git_dir == git_dir)?;
        let entry = kept.remove(i);
        if entry.seen != seen {
            return None;
        }
        let git = Rc::clone(&entry.git);
        kept.push(entry);
        Some(git)
    });
    if let Some(git) = kept {
        return Ok(git);
    }
    let git = Rc::new(open()?);
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= MAX_HANDLES {
            kept.remove(0);
        }
        kept.push(Kept {
            git_dir: git_dir.to_vec(),
            seen,
            git: Rc::clone(&git),
        });
    });
    Ok(git)
}

fn look(git_dir: &[u8]) -> Seen {
    let stat = |name: &[u8]| {
        let meta = fs::metadata(bytes::to_path(&bytes::join(git_dir, name))).ok()?;
        Some((inode(&meta), meta.len(), meta.modified().ok()?))
    };
    // The directory itself changes with every lock file, so only its identity counts.
    let identity = stat(b".").map(|(inode, _, _)| (inode, 0, SystemTime::UNIX_EPOCH));
    Seen {
        files: [
            identity,
            stat(b"config"),
            stat(b"objects/pack"),
            stat(b"packed-refs"),
        ],
    }
}

#[cfg(unix)]
fn inode(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn inode(_meta: &fs::Metadata) -> u64 {
    0
}
