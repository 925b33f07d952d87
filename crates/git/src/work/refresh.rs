//! The index's cached file times, brought up to date after a read, as git does when nobody is in the way.

use std::fs;
use std::io::Write as _;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::repository::id::{Hash, Id};
use crate::repository::repo::Repo;
use crate::text::bytes;
use crate::work::index::{Index, Stat, mtime};

/// Writes the times that were found to be wrong; does nothing when the index is locked or locks are not wanted.
///
/// Nothing is ever reported: the next command finds out again.
pub(crate) fn write(repo: &Repo<'_>, index: &Index, refreshed: &[(usize, Stat)]) {
    let unwanted =
        repo.call.globals.no_optional_locks || !repo.call.var_bool("GIT_OPTIONAL_LOCKS", true);
    // A submodule's index is its own business; git leaves it alone too.
    // With a hook that git would run here, the next command finds out again too.
    let has_hook = repo.refuse_hooks(&["post-index-change"]).is_err();
    if !unwanted && !has_hook && repo.call.depth == 0 {
        write_always(repo, index, refreshed);
    }
}

/// The same for a command that writes the index anyway.
pub(crate) fn write_always(repo: &Repo<'_>, index: &Index, refreshed: &[(usize, Stat)]) {
    if refreshed.is_empty() || index.is_split {
        return;
    }
    let path = repo.index_path();
    let lock = bytes::to_path(&[path.as_slice(), b".lock"].concat());
    let path = bytes::to_path(&path);
    let Ok(mut file) = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&lock)
    else {
        return;
    };
    let written = (|| {
        let meta = fs::metadata(&path)?;
        let mut data = fs::read(&path)?;
        if mtime(&meta) != index.written || data.len() < Id::raw_len() {
            return Err(std::io::Error::other("the index has changed"));
        }
        for (i, stat) in refreshed {
            let at = index
                .entries
                .get(*i)
                .map_or(usize::MAX, |e| e.offset as usize);
            let Some(fields) = data.get_mut(at..at.saturating_add(40)) else {
                return Err(std::io::Error::other("the index has changed"));
            };
            let words = [
                (0, stat.ctime.0),
                (4, stat.ctime.1),
                (8, stat.mtime.0),
                (12, stat.mtime.1),
                (16, stat.dev),
                (20, stat.ino),
                (28, stat.uid),
                (32, stat.gid),
                (36, stat.size),
            ];
            for (offset, word) in words {
                fields[offset..offset + 4].copy_from_slice(&word.to_be_bytes());
            }
        }
        let body = data.len() - Id::raw_len();
        // With `index.skipHash` the trailer is zero, and stays so.
        if data[body..].iter().any(|b| *b != 0) {
            match Hash::current() {
                Hash::Sha1 => {
                    let hash = Sha1::digest(&data[..body]);
                    data[body..].copy_from_slice(&hash);
                }
                Hash::Sha256 => {
                    let hash = Sha256::digest(&data[..body]);
                    data[body..].copy_from_slice(&hash);
                }
            }
        }
        file.set_permissions(meta.permissions())?;
        file.write_all(&data)?;
        file.flush()
    })();
    drop(file);
    let done = written.and_then(|()| fs::rename(&lock, &path));
    if done.is_err() {
        let _ = fs::remove_file(&lock);
    }
}
