//! `git add`: what is in the work tree, into the index.

use std::borrow::Cow;
use std::fs;

use git2::{IndexEntry, IndexTime, ObjectType};

use crate::attr::Attributes;
use crate::bytes::{self, Bytes, lossy};
use crate::convert::Conversion;
use crate::exec::{Call, Plan};
use crate::ignore::Ignore;
use crate::index::{Index, stat_of};
use crate::object::mode;
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::pathspec::{Pathspec, from_top};
use crate::repo::Repo;
use crate::untracked::{self, Ignored, Wanted};
use crate::work_tree;

const OPTIONS: &[Spec] = &[flag("all", Some(b'A')), flag("update", Some(b'u'))];

/// Says what an add would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], _out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    refuse(&repo)?;
    let everything = parsed.has("all") || parsed.has("update");
    if parsed.args.is_empty() && !everything {
        call.warn("Nothing specified, nothing added.\n");
        if repo.config.bool("advice.addemptypathspec")?.unwrap_or(true) {
            call.warn(
                "hint: Maybe you wanted to say 'git add .'?\n\
                 hint: Disable this message with \"git config advice.addEmptyPathspec false\"\n",
            );
        }
        return Ok(());
    }
    let index = repo.index()?;
    index.refuse_untracked_cache(&repo)?;
    let spec = Pathspec::parse(&repo, &parsed.args)?;
    if index.entries.iter().any(|e| e.skip_worktree) {
        return Err(Stop::not_native("adding in a sparse work tree"));
    }
    let others = if parsed.has("update") {
        Vec::new()
    } else {
        untracked::list(
            &repo,
            &index,
            &spec,
            Wanted {
                collapse: false,
                ignored: Ignored::No,
            },
        )?
        .untracked
    };
    for arg in &parsed.args {
        verify_match(&repo, &index, arg, &others)?;
    }
    let changes = Staging::of(&repo, &index, &spec, &others)?;
    changes.write(&repo)
}

/// Hands over what is not staged here.
pub(crate) fn refuse(repo: &Repo<'_>) -> Res<()> {
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-index-change"])?;
    for key in [
        "core.safecrlf",
        "core.bigfilethreshold",
        "add.ignoreerrors",
        "add.ignore-errors",
        "core.protecthfs",
        "core.protectntfs",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if repo.has_git_file("index.lock") {
        let path = lossy(&repo.git_path("index.lock")).into_owned();
        return Err(Stop::fatal(format!(
            "Unable to create '{path}': File exists.\n\n\
             Another git process seems to be running in this repository, e.g.\n\
             an editor opened by 'git commit'. Please make sure all processes\n\
             are terminated then try again. If it still fails, a git process\n\
             may have crashed in this repository earlier:\n\
             remove the file manually to continue."
        )));
    }
    Ok(())
}

/// Ends with git's error when an argument means nothing that is there.
fn verify_match(repo: &Repo<'_>, index: &Index, arg: &Bytes, others: &[Bytes]) -> Res<()> {
    let one = Pathspec::parse(repo, std::slice::from_ref(arg))?;
    let known = others.iter().any(|p| one.matches(p))
        || index.entries.iter().any(|e| one.matches(index.path(e)));
    let path = from_top(repo, arg)?.unwrap_or_default();
    let full = bytes::join(repo.need_work_tree()?, &path);
    let exists = fs::symlink_metadata(bytes::to_path(&full)).is_ok();
    if known {
        return Ok(());
    }
    if exists {
        let plain = path.strip_suffix(b"/").unwrap_or(&path);
        if !plain.is_empty()
            && Ignore::load(repo)?
                .deciding_with_parents(plain, bytes::to_path(&full).is_dir())
                .is_some()
        {
            return Err(Stop::not_native("a path that is ignored"));
        }
        return Ok(());
    }
    Err(Stop::fatal(
        [b"pathspec '".as_slice(), arg, b"' did not match any files"].concat(),
    ))
}

/// What goes into the index and what leaves it; everything was read already.
#[derive(Default)]
pub(crate) struct Staging {
    added: Vec<(IndexEntry, Vec<u8>)>,
    removed: Vec<Bytes>,
}

impl Staging {
    /// Reads what is to be staged: changes of tracked files that a pathspec means, and other files.
    pub(crate) fn of(
        repo: &Repo<'_>,
        index: &Index,
        spec: &Pathspec,
        others: &[Bytes],
    ) -> Res<Staging> {
        if index
            .entries
            .iter()
            .any(|e| e.stage > 0 && spec.matches(index.path(e)))
        {
            return Err(Stop::not_native("staging conflicts"));
        }
        let found = work_tree::changes(repo, index, spec)?;
        if !found.submodules.is_empty() {
            return Err(Stop::not_native("staging a submodule"));
        }
        let attributes = Attributes::load(repo, Some(index))?;
        let mut staging = Staging::default();
        let mut files: Vec<(Bytes, u32)> = Vec::new();
        for pair in &found.pairs {
            if pair.new.exists() {
                files.push((pair.new.path.clone(), pair.new.mode));
            } else {
                staging.removed.push(pair.old.path.clone());
            }
        }
        let trust_mode = repo.config.bool("core.filemode")?.unwrap_or(true);
        for path in others {
            if path.ends_with(b"/") {
                return Err(Stop::not_native("adding a repository"));
            }
            let meta =
                fs::symlink_metadata(bytes::to_path(&bytes::join(repo.need_work_tree()?, path)))?;
            let mode = if meta.is_symlink() {
                mode::LINK
            } else if trust_mode && work_tree::is_executable(&meta) {
                mode::EXECUTABLE
            } else {
                mode::FILE
            };
            files.push((path.clone(), mode));
            // A file in the place of a directory (or the other way round) pushes the old entries out.
            let below = [path.as_slice(), b"/"].concat();
            let covered = index.has_below(&below)
                || path
                    .iter()
                    .enumerate()
                    .any(|(i, b)| *b == b'/' && index.find(&path[..i]).is_some());
            if covered {
                return Err(Stop::not_native("a directory in the place of a file"));
            }
        }
        for (path, mode) in files {
            repo.cancel().check()?;
            let full = bytes::to_path(&bytes::join(repo.need_work_tree()?, &path));
            let meta = fs::symlink_metadata(&full)?;
            let data = if mode == mode::LINK {
                bytes::from_path(&fs::read_link(&full)?)
            } else if mode::is_file(mode) {
                let conversion = Conversion::of(repo, &attributes, &path)?;
                let data = fs::read(&full)?;
                conversion.warn_of_round_trip(repo, index, &path, &data)?;
                conversion
                    .to_git(repo, Some(index), &path, Cow::Owned(data))?
                    .into_owned()
            } else {
                return Err(Stop::not_native("staging a repository"));
            };
            let stat = stat_of(&meta);
            let time = |(seconds, nanos): (u32, u32)| IndexTime::new(seconds as i32, nanos);
            let entry = IndexEntry {
                ctime: time(stat.ctime),
                mtime: time(stat.mtime),
                dev: stat.dev,
                ino: stat.ino,
                mode,
                uid: stat.uid,
                gid: stat.gid,
                file_size: stat.size,
                id: git2::Oid::hash_object(ObjectType::Blob, &data)?,
                flags: 0,
                flags_extended: 0,
                path,
            };
            staging.added.push((entry, data));
        }
        Ok(staging)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Writes the objects and the index.
    pub(crate) fn write(self, repo: &Repo<'_>) -> Res<()> {
        if self.is_empty() {
            return Ok(());
        }
        let failed = |e: git2::Error| {
            Stop::fatal(format!("unable to write new index file: {}", e.message()))
        };
        for (_, data) in &self.added {
            repo.write_object(ObjectType::Blob, data)?;
        }
        repo.call.wrote.set(true);
        let mut index = repo.git.index().map_err(failed)?;
        index.read(true).map_err(failed)?;
        for path in &self.removed {
            index.remove(&bytes::to_path(path), 0).map_err(failed)?;
        }
        for (entry, _) in &self.added {
            index.add(entry).map_err(failed)?;
        }
        index.write().map_err(failed)
    }
}
