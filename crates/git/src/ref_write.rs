//! Making, moving and deleting references, with their logs, as files.

use std::fs;
use std::io::Write as _;

use crate::bytes::{self, Bytes, lossy};
use crate::id::Id;
use crate::identity::Identity;
use crate::outcome::{Res, Stop};
use crate::reflog;
use crate::repo::Repo;

impl Repo<'_> {
    /// Hands over when a hook of one of these names would run.
    pub(crate) fn refuse_hooks(&self, names: &[&str]) -> Res<()> {
        let dir = match self.config.get("core.hookspath") {
            Some(path) => {
                let home = self.call.var("HOME").unwrap_or_default();
                let path = crate::config::expand_home(path, &home);
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

    /// Hands over when the repository is not one that is written to here.
    pub(crate) fn refuse_odd_writes(&self) -> Res<()> {
        if self.call.var("GIT_INDEX_FILE").is_some()
            || self.config.get("core.sharedrepository").is_some()
        {
            return Err(Stop::not_native(
                "writing to a repository with these settings",
            ));
        }
        if self.common_dir != self.git_dir || self.config.bool("core.sparsecheckout")? == Some(true)
        {
            return Err(Stop::not_native("writing in a linked or sparse work tree"));
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

    /// Says whether a reference is where a remote's branches are fetched to, so that a new branch from it follows it.
    pub(crate) fn is_tracking(&self, name: &[u8]) -> bool {
        self.config
            .entries
            .iter()
            .filter(|e| e.key.starts_with(b"remote.") && e.key.ends_with(b".fetch"))
            .filter_map(|e| bytes::split_once(e.value.as_deref()?, b':'))
            .any(|(_, target)| match bytes::split_once(target, b'*') {
                Some((before, after)) => name.starts_with(before) && name.ends_with(after),
                None => name == target,
            })
    }

    /// Says whether a new reference would stand in the way of another, or the other way round.
    pub(crate) fn ref_conflicts(&self, name: &[u8]) -> Res<bool> {
        if !self.refs(&[name, b"/"].concat())?.is_empty() {
            return Ok(true);
        }
        for (i, _) in name.iter().enumerate().filter(|(_, b)| **b == b'/') {
            if self.ref_id(&name[..i])?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
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
        self.call.wrote.set(true);
        let path = bytes::to_path(&bytes::join(&self.common_dir, name));
        let lock =
            bytes::to_path(&[&bytes::join(&self.common_dir, name), b".lock".as_slice()].concat());
        let failed =
            |e: std::io::Error| Stop::fatal(format!("cannot lock ref '{}': {e}", lossy(name)));
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&lock)
            .map_err(failed)?;
        let done = writeln!(file, "{new}").and_then(|()| {
            drop(file);
            // An empty directory of a deleted name may be in the way.
            if path.is_dir() {
                let _ = fs::remove_dir(&path);
            }
            fs::rename(&lock, &path)
        });
        if let Err(e) = done {
            let _ = fs::remove_file(&lock);
            return Err(failed(e));
        }
        self.log_ref(name, old, new, who, message);
        if name != b"HEAD" && self.head()?.branch.as_deref() == Some(name) {
            self.log_ref(b"HEAD", old, new, who, message);
        }
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

#[cfg(unix)]
fn is_executable(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_meta: &fs::Metadata) -> bool {
    true
}

/// Joins the values of `-m`, a paragraph each, and cleans blank lines; `comments` are dropped when asked.
pub(crate) fn message_of(parts: &[Bytes], drop_comments: bool) -> Bytes {
    let mut lines: Vec<&[u8]> = Vec::new();
    for part in parts {
        if !lines.is_empty() {
            lines.push(b"");
        }
        lines.extend(part.split(|b| *b == b'\n'));
    }
    let mut out = Bytes::new();
    let mut blank = false;
    for line in lines {
        if drop_comments && line.first() == Some(&b'#') {
            continue;
        }
        let line = line.trim_ascii_end();
        if line.is_empty() {
            blank = true;
            continue;
        }
        if blank && !out.is_empty() {
            out.push(b'\n');
        }
        blank = false;
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}
