//! Files of the work tree, written and taken away the way a checkout does it.
//!
//! Never writes through a symbolic link: every directory above a path is looked at right before, and what is no real
//! directory gives way to one. Never runs a filter program: such a path is not native, and that is found out before.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::lock::system_words;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::work::attr::Attributes;
use crate::work::convert::Conversion;
use crate::work::index::{Stat, stat_of};

/// Writes files of one work tree.
pub(crate) struct WorkTree<'r> {
    repo: &'r Repo<'r>,
    top: Bytes,
    attributes: Attributes<'r>,
    /// Directories that may have become empty.
    emptied: Vec<Bytes>,
}

impl<'r> WorkTree<'r> {
    /// Opens the work tree of a repository.
    pub(crate) fn of(repo: &'r Repo<'r>) -> Res<WorkTree<'r>> {
        if repo.config.bool("core.symlinks")? == Some(false) {
            return Err(Stop::not_native("a work tree without symbolic links"));
        }
        Ok(WorkTree {
            repo,
            top: repo.need_work_tree()?.to_vec(),
            attributes: Attributes::load(repo, None)?,
            emptied: Vec::new(),
        })
    }

    /// Hands over when a path is one that git does not write, or only with a filter program.
    pub(crate) fn refuse(&self, path: &[u8], mode: u32) -> Res<()> {
        refuse_name(path, mode)?;
        if mode::is_file(mode) {
            Conversion::of(self.repo, &self.attributes, path)?;
        }
        Ok(())
    }

    /// Returns a file's contents as they are written into the work tree.
    pub(crate) fn contents(&self, path: &[u8], mode: u32, id: Id) -> Res<Bytes> {
        let data = self.repo.blob(id)?;
        if !mode::is_file(mode) {
            return Ok(data);
        }
        let conversion = Conversion::of(self.repo, &self.attributes, path)?;
        Ok(conversion.to_work_tree(id, data))
    }

    /// Writes what the index has of a path; whatever is in the way is taken away.
    ///
    /// Returns what the new file shows, or the system's words when it cannot be written.
    pub(crate) fn write(&mut self, path: &[u8], mode: u32, id: Id) -> Res<Result<Stat, String>> {
        if mode::is_commit(mode) {
            return Ok(self.write_submodule(path));
        }
        let data = self.contents(path, mode, id)?;
        Ok(self.write_data(path, mode, &data))
    }

    /// Writes given contents to a path.
    pub(crate) fn write_data(
        &mut self,
        path: &[u8],
        mode: u32,
        data: &[u8],
    ) -> Result<Stat, String> {
        let full = self.clear(path)?;
        let done = if mode::is_link(mode) {
            make_link(data, &full)
        } else {
            make_file(data, &full, mode == mode::EXECUTABLE)
        };
        done.and_then(|()| fs::symlink_metadata(&full))
            .map(|meta| stat_of(&meta))
            .map_err(|e| {
                format!(
                    "unable to create file {}: {}",
                    lossy(path),
                    system_words(&e)
                )
            })
    }

    fn write_submodule(&mut self, path: &[u8]) -> Result<Stat, String> {
        let full = bytes::to_path(&bytes::join(&self.top, path));
        if !fs::symlink_metadata(&full).is_ok_and(|m| m.is_dir()) {
            let full = self.clear(path)?;
            fs::create_dir(&full).map_err(|e| {
                format!(
                    "cannot create submodule directory {}: {}",
                    lossy(path),
                    system_words(&e)
                )
            })?;
        }
        Ok(Stat::default())
    }

    /// Makes the directories above a path real ones and takes away what is at the path.
    fn clear(&mut self, path: &[u8]) -> Result<std::path::PathBuf, String> {
        let words = |what: &str, path: &[u8], e: std::io::Error| {
            format!("{what} '{}': {}", lossy(path), system_words(&e))
        };
        for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            let dir = bytes::to_path(&bytes::join(&self.top, &path[..i]));
            match fs::symlink_metadata(&dir) {
                Ok(meta) if meta.is_dir() => continue,
                Ok(_) => {
                    fs::remove_file(&dir).map_err(|e| words("unable to unlink", &path[..i], e))?
                }
                Err(_) => {}
            }
            fs::create_dir(&dir).map_err(|e| words("cannot create directory at", &path[..i], e))?;
        }
        let full = bytes::to_path(&bytes::join(&self.top, path));
        match fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_dir() => {
                fs::remove_dir_all(&full).map_err(|e| words("cannot remove", path, e))?;
            }
            Ok(_) => {
                fs::remove_file(&full).map_err(|e| words("unable to unlink", path, e))?;
            }
            Err(_) => {}
        }
        Ok(full)
    }

    /// Takes a file away, unless a directory above it is no real one. A missing one is as good as taken away.
    ///
    /// Returns the system's words when it cannot be.
    pub(crate) fn remove(&mut self, path: &[u8], mode: u32) -> Result<(), String> {
        if !self.is_below_real_directories(path) {
            return Ok(());
        }
        let full = bytes::to_path(&bytes::join(&self.top, path));
        if mode::is_commit(mode) {
            match fs::remove_dir(&full) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(format!(
                        "unable to rmdir '{}': {}",
                        lossy(path),
                        system_words(&e)
                    ));
                }
            }
        } else {
            match fs::symlink_metadata(&full) {
                // Somebody's directory took the place of the file.
                Ok(meta) if meta.is_dir() => return Ok(()),
                Err(_) => return Ok(()),
                Ok(_) => fs::remove_file(&full).map_err(|e| {
                    format!("unable to unlink '{}': {}", lossy(path), system_words(&e))
                })?,
            }
        }
        if let Some(slash) = path.iter().rposition(|b| *b == b'/') {
            self.emptied.push(path[..slash].to_vec());
        }
        Ok(())
    }

    /// Takes a tracked file away as `git rm` does: a missing one is fine, anything else is an error.
    pub(crate) fn remove_tracked(&mut self, path: &[u8], mode: u32) -> Result<(), String> {
        let full = bytes::to_path(&bytes::join(&self.top, path));
        if fs::symlink_metadata(&full).is_ok_and(|m| m.is_dir()) && !mode::is_commit(mode) {
            return Err(format!("'{}': Is a directory", lossy(path)));
        }
        self.remove(path, mode).map_err(|text| {
            let at = text.find(": ").map_or(0, |i| i + 2);
            format!("'{}': {}", lossy(path), &text[at..])
        })
    }

    /// Takes away the directories that are empty now, but not the one the command was started in.
    pub(crate) fn remove_empty_directories(&mut self) {
        let mut dirs = std::mem::take(&mut self.emptied);
        dirs.sort_unstable();
        dirs.dedup();
        for dir in dirs.iter().rev() {
            let mut dir = dir.as_slice();
            loop {
                let full = bytes::join(&self.top, dir);
                if crate::repository::repo::prefix_below(&self.repo.call.started_in, &full)
                    .is_some()
                    || fs::remove_dir(bytes::to_path(&full)).is_err()
                {
                    break;
                }
                match dir.iter().rposition(|b| *b == b'/') {
                    Some(slash) => dir = &dir[..slash],
                    None => break,
                }
            }
        }
    }

    /// Says whether no directory above a path is a symbolic link or something else.
    pub(crate) fn is_below_real_directories(&self, path: &[u8]) -> bool {
        leading_non_directory(&self.top, path).is_none()
    }
}

/// Returns the first part of a path that is there but is no directory, and lies above the path itself.
pub(crate) fn leading_non_directory(top: &[u8], path: &[u8]) -> Option<Bytes> {
    for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
        let dir = bytes::join(top, &path[..i]);
        match fs::symlink_metadata(bytes::to_path(&dir)) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Some(path[..i].to_vec()),
            Err(_) => return None,
        }
    }
    None
}

fn make_file(data: &[u8], full: &Path, executable: bool) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if executable { 0o777 } else { 0o666 });
    #[cfg(not(unix))]
    let _ = executable;
    options.open(full)?.write_all(data)
}

#[cfg(unix)]
fn make_link(target: &[u8], full: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(bytes::to_path(target), full)
}

#[cfg(not(unix))]
fn make_link(_target: &[u8], _full: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other("symbolic links are not made here"))
}

/// Hands over names that git may refuse: those that mean `.git` to some file system, and those that lead elsewhere.
pub(crate) fn refuse_name(path: &[u8], mode: u32) -> Res<()> {
    let bad = path.is_empty()
        || path
            .split(|b| *b == b'/' || *b == b'\\')
            .any(|part| means_dot_git(part, mode::is_link(mode)))
        || path
            .split(|b| *b == b'/')
            .any(|part| matches!(part, b"" | b"." | b".."));
    if bad {
        return Err(Stop::NotNative(format!(
            "the path `{}`, which git may refuse",
            lossy(path)
        )));
    }
    Ok(())
}

/// Says whether a name is, or may be taken for, `.git` (or, as a link, `.gitmodules` and its like).
fn means_dot_git(part: &[u8], is_link: bool) -> bool {
    // What HFS+ ignores in names is outside of ASCII; NTFS ignores what follows a colon, and dots and blanks at the end.
    let mut name: Bytes = String::from_utf8_lossy(part)
        .chars()
        .filter(|c| !is_ignored_on_hfs(*c))
        .collect::<String>()
        .to_ascii_lowercase()
        .into_bytes();
    if let Some(colon) = name.iter().position(|b| *b == b':') {
        name.truncate(colon);
    }
    while name.last().is_some_and(|b| matches!(b, b'.' | b' ')) {
        name.pop();
    }
    if matches!(name.as_slice(), b".git" | b"git~1") {
        return true;
    }
    is_link
        && (name.starts_with(b".gitmodules")
            || name.starts_with(b".gitattributes")
            || name.starts_with(b".gitignore")
            || name.starts_with(b".mailmap")
            || name.contains(&b'~'))
}

fn is_ignored_on_hfs(c: char) -> bool {
    matches!(
        c,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_the_git_directory_are_handed_over() {
        for path in [
            ".git/config",
            "a/.GIT/x",
            ".git.",
            ".git ",
            "git~1/x",
            ".git::$INDEX_ALLOCATION",
            "a\\.git\\x",
            ".g\u{200c}it/x",
            "../x",
            "a//b",
        ] {
            assert!(
                refuse_name(path.as_bytes(), mode::FILE).is_err(),
                "{path:?}"
            );
        }
        for path in [".gitignore", "git", "a.git/x", ".github/x", "back\\slash"] {
            assert!(refuse_name(path.as_bytes(), mode::FILE).is_ok(), "{path:?}");
        }
        assert!(refuse_name(b".gitmodules", mode::LINK).is_err());
    }
}
