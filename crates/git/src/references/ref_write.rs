//! Making, moving and deleting references, with their logs, as files.

use std::fs;
use std::io::Write as _;

use crate::outcome::{Res, Stop};
use crate::references::reflog;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::lock::{LockFile, system_words, unable_to_create};
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};

impl Repo<'_> {
    /// Hands over when a hook of one of these names would run.
    pub(crate) fn refuse_hooks(&self, names: &[&str]) -> Res<()> {
        let dir = match self.config.get("core.hookspath") {
            Some(path) => {
                let home = self.call.var("HOME").unwrap_or_default();
                let path = crate::repository::config::expand_home(path, &home);
                let path =
                    path.ok_or_else(|| Stop::not_native("core.hooksPath in another user's home"))?;
                bytes::join(self.work_tree.as_deref().unwrap_or(&self.git_dir), &path)
            }
            None => bytes::join(&self.common_dir, b"hooks"),
        };
        for name in names.iter().chain(&["reference-transaction"]) {
            let meta = fs::metadata(bytes::to_path(&bytes::join(&dir, name.as_bytes())));
            if meta.is_ok_and(|m| m.is_file() && is_executable(&m)) {
                return Err(Stop::NotNative(format!("the hook `{name}`")));
            }
        }
        Ok(())
    }

    /// Hands over where only a part of the files is checked out.
    pub(crate) fn refuse_sparse(&self) -> Res<()> {
        match self.config.bool("core.sparsecheckout")? {
            Some(true) => Err(Stop::not_native("writing in a sparse work tree")),
            _ => Ok(()),
        }
    }

    /// Hands over when the repository is not one that is written to here.
    pub(crate) fn refuse_odd_writes(&self) -> Res<()> {
        if self.config.get("core.sharedrepository").is_some() {
            return Err(Stop::not_native(
                "writing to a repository with these settings",
            ));
        }
        if self
            .call
            .var("GIT_REFLOG_ACTION")
            .is_some_and(|v| !v.is_empty())
        {
            return Err(Stop::not_native("GIT_REFLOG_ACTION in the environment"));
        }
        for key in [
            "core.fsync",
            "core.fsyncmethod",
            "core.fsyncobjectfiles",
            "index.skiphash",
            "index.version",
            "feature.manyfiles",
        ] {
            if self.config.get(key).is_some() {
                return Err(Stop::NotNative(format!("the setting `{key}`")));
            }
        }
        Ok(())
    }

    /// Ends with git's error when a new reference would stand in the way of another, or the other way round.
    ///
    /// `leaving` is a reference that is gone by then.
    pub(crate) fn verify_ref_available(&self, name: &[u8], leaving: Option<&[u8]>) -> Res<()> {
        let below = self.refs(&[name, b"/"].concat())?;
        let mut other = below
            .into_iter()
            .map(|r| r.name)
            .find(|n| Some(n.as_slice()) != leaving);
        for (i, _) in name.iter().enumerate().filter(|(_, b)| **b == b'/') {
            let above = &name[..i];
            if Some(above) != leaving && self.ref_id(above)?.is_some() {
                other = Some(above.to_vec());
            }
        }
        match other {
            None => Ok(()),
            Some(other) => Err(Stop::fatal(format!(
                "cannot lock ref '{name}': '{}' exists; cannot create '{name}'",
                lossy(&other),
                name = lossy(name)
            ))),
        }
    }

    /// Returns the file a reference lies in.
    pub(crate) fn ref_path(&self, name: &[u8]) -> Bytes {
        let dir = if reflog::is_of_one_work_tree(name) {
            &self.git_dir
        } else {
            &self.common_dir
        };
        bytes::join(dir, name)
    }

    /// Takes the lock of a reference, or ends with git's error.
    pub(crate) fn lock_ref(&self, name: &[u8]) -> Res<LockFile> {
        let path = self.ref_path(name);
        let failed = |e: std::io::Error| {
            Stop::fatal(format!(
                "cannot lock ref '{}': {}",
                lossy(name),
                unable_to_create(&path, &e)
            ))
        };
        if let Some(dir) = bytes::to_path(&path).parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        LockFile::try_take(&path).map_err(failed)
    }

    /// Sets a reference given by its full name, and writes its log; HEAD's too when HEAD is on it.
    ///
    /// Everything that can be checked is to be checked before: after this call nothing is handed over any more.
    pub(crate) fn set_ref(
        &self,
        name: &[u8],
        old: Option<Id>,
        new: Id,
        who: &Identity,
        message: &[u8],
    ) -> Res<()> {
        if old == Some(new) {
            drop(self.lock_ref(name)?);
            self.call.wrote.set(true);
        } else {
            self.write_ref(name, format!("{new}\n").as_bytes())?;
            self.log_ref(name, old, new, who, message);
        }
        if name != b"HEAD" && self.head()?.branch.as_deref() == Some(name) {
            self.log_ref(b"HEAD", old, new, who, message);
        }
        Ok(())
    }

    /// Writes a reference's file, without a word in any log.
    pub(crate) fn write_ref(&self, name: &[u8], content: &[u8]) -> Res<()> {
        let lock = self.lock_ref(name)?;
        self.call.wrote.set(true);
        // Empty directories of deleted names may be in the way.
        remove_empty_directories(&bytes::to_path(&self.ref_path(name)));
        lock.commit(content).map_err(|e| {
            Stop::fatal(format!(
                "cannot lock ref '{}': {}",
                lossy(name),
                system_words(&e)
            ))
        })
    }

    /// Puts HEAD on a branch, and writes its log.
    pub(crate) fn set_head_to_branch(
        &self,
        branch: &[u8],
        old: Option<Id>,
        who: &Identity,
        message: &[u8],
    ) -> Res<()> {
        // The branch HEAD was on may have moved since.
        let old = match old {
            Some(_) => self.head()?.id,
            None => None,
        };
        self.write_ref(b"HEAD", &[b"ref: ", branch, b"\n"].concat())?;
        if let Some(new) = self.ref_id(branch)? {
            self.log_ref(b"HEAD", old, new, who, message);
        }
        Ok(())
    }

    /// Puts HEAD on a commit, and writes its log.
    pub(crate) fn detach_head(
        &self,
        id: Id,
        old: Option<Id>,
        who: &Identity,
        message: &[u8],
    ) -> Res<()> {
        if self.head()?.branch.is_none() && old == Some(id) {
            drop(self.lock_ref(b"HEAD")?);
            self.call.wrote.set(true);
            return Ok(());
        }
        self.write_ref(b"HEAD", format!("{id}\n").as_bytes())?;
        self.log_ref(b"HEAD", old, id, who, message);
        Ok(())
    }

    /// Gives a reference another name, with its log; with `copy` the old one stays.
    ///
    /// The new name must be free but for a reference that was deleted before.
    pub(crate) fn rename_ref(
        &self,
        old: &[u8],
        new: &[u8],
        copy: bool,
        who: &Identity,
        message: &[u8],
    ) -> Res<()> {
        let id = self
            .ref_id(old)?
            .ok_or_else(|| Stop::not_native("a reference that is not there"))?;
        let log = fs::read(bytes::to_path(&reflog::path(self, old))).ok();
        // Makes sure nobody is at it before the first change.
        drop(self.lock_ref(old)?);
        if !copy {
            self.delete_ref(old)?;
        }
        if let Some(log) = log {
            let path = bytes::to_path(&reflog::path(self, new));
            remove_empty_directories(&path);
            if let Some(dir) = path.parent() {
                let _ = fs::create_dir_all(dir);
            }
            let _ = fs::write(path, log);
        }
        self.write_ref(new, format!("{id}\n").as_bytes())?;
        self.log_ref(new, Some(id), id, who, message);
        Ok(())
    }

    /// Appends to a reference's log where there is or should be one.
    pub(crate) fn log_ref(
        &self,
        name: &[u8],
        old: Option<Id>,
        new: Id,
        who: &Identity,
        message: &[u8],
    ) {
        let path = bytes::to_path(&reflog::path(self, name));
        remove_empty_directories(&path);
        let always = self
            .config
            .get("core.logallrefupdates")
            .is_some_and(|v| v.eq_ignore_ascii_case(b"always"));
        let wanted = match self.config.bool("core.logallrefupdates") {
            Ok(Some(on)) => on,
            _ => !self.is_bare,
        };
        let usual = name == b"HEAD"
            || [b"refs/heads/".as_slice(), b"refs/remotes/", b"refs/notes/"]
                .iter()
                .any(|p| name.starts_with(p));
        if !(path.exists() || always || wanted && usual) {
            return;
        }
        if let Some(dir) = path.parent() {
            let _ = fs::create_dir_all(dir);
        }
        let mut line = format!("{} {new} ", old.unwrap_or_default()).into_bytes();
        line.extend_from_slice(&who.line());
        if !message.is_empty() {
            line.push(b'\t');
            // The message is one line.
            let words: Vec<&[u8]> = message
                .split(u8::is_ascii_whitespace)
                .filter(|w| !w.is_empty())
                .collect();
            line.extend_from_slice(&words.join(&b' '));
        }
        line.push(b'\n');
        if let Ok(mut file) = fs::OpenOptions::new().append(true).create(true).open(&path) {
            let _ = file.write_all(&line);
        }
    }

    /// Ends with git's error when a reference is to be deleted twice at once.
    pub(crate) fn refuse_doubles<'n>(&self, names: impl Iterator<Item = &'n [u8]>) -> Res<()> {
        let mut seen = std::collections::BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                return Err(Stop::error(
                    1,
                    format!(
                        "could not delete references: multiple updates for ref '{}' not allowed",
                        lossy(name)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Deletes a reference and its log; HEAD's log tells of it when HEAD is on it.
    pub(crate) fn delete_ref_of_head(&self, name: &[u8], who: &Identity) -> Res<()> {
        let head = self.head()?;
        self.delete_ref(name)?;
        if head.branch.as_deref() == Some(name) {
            self.log_ref(b"HEAD", head.id, Id::ZERO, who, b"");
        }
        Ok(())
    }

    /// Deletes a reference and its log.
    pub(crate) fn delete_ref(&self, name: &[u8]) -> Res<()> {
        let text =
            std::str::from_utf8(name).map_err(|_| Stop::not_native("a name that is not UTF-8"))?;
        let mut reference = self.git.find_reference(text)?;
        self.call.wrote.set(true);
        reference.delete()?;
        let log = reflog::path(self, name);
        let _ = fs::remove_file(bytes::to_path(&log));
        // libgit2 takes these two away as well when they are empty.
        for dir in ["refs/heads", "refs/tags"] {
            let _ = fs::create_dir_all(bytes::to_path(&bytes::join(
                &self.common_dir,
                dir.as_bytes(),
            )));
        }
        // Directories that are empty now go as well.
        for (file, kept) in [(log, 2), (bytes::join(&self.common_dir, name), 2)] {
            let base = file.len() - name.len();
            let mut end = name.len();
            while let Some(slash) = name[..end].iter().rposition(|b| *b == b'/') {
                if name[..slash].iter().filter(|b| **b == b'/').count() < kept {
                    break;
                }
                if fs::remove_dir(bytes::to_path(&file[..base + slash])).is_err() {
                    break;
                }
                end = slash;
            }
        }
        Ok(())
    }

    /// Writes an object and returns its id.
    pub(crate) fn write_object(&self, kind: git2::ObjectType, data: &[u8]) -> Res<Id> {
        Ok(self.git.odb()?.write(kind, data)?.into())
    }
}

/// Removes a directory that holds nothing but empty directories.
fn remove_empty_directories(path: &std::path::Path) {
    if !fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        remove_empty_directories(&entry.path());
    }
    let _ = fs::remove_dir(path);
}

#[cfg(unix)]
fn is_executable(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_meta: &fs::Metadata) -> bool {
    true
}
