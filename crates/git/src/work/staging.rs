//! From the work tree into the index: what `git add`, `git commit -a` and `git commit <paths>` stage.
//!
//! Everything is judged before the first object is written; files are read one at a time.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, Metadata};

use git2::ObjectType;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::repository::submodule;
use crate::text::bytes::{self, Bytes, lossy};
use crate::work::attr::Attributes;
use crate::work::convert::Conversion;
use crate::work::index::{Index, stat_of};
use crate::work::index_edit::{IndexEdit, Item};
use crate::work::pathspec::Pathspec;
use crate::work::work_tree;

/// Larger files go into packs of their own.
const BIG_FILE: u64 = 512 << 20;

/// One change of the index.
#[derive(Debug, Clone)]
enum Change {
    /// The file as it is, with its mode.
    File(u32),
    /// A repository in the work tree, at a commit.
    Repository(Id),
    Gone,
}

/// What is to be staged, tracked files first.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    changes: Vec<(Bytes, Change)>,
}

/// How changes are staged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    /// Only finds out what would be staged.
    pub(crate) dry: bool,
    /// Only announces new files.
    pub(crate) announce: bool,
}

/// What was (or would be) done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Added,
    Removed,
}

impl Staging {
    /// Collects the changes of tracked files that a pathspec means.
    pub(crate) fn tracked(
        repo: &Repo<'_>,
        index: &Index,
        spec: &Pathspec,
        removals: bool,
    ) -> Res<Staging> {
        let mut paths: Vec<(Bytes, Option<Change>)> = Vec::new();
        let found = work_tree::changes(repo, index, spec)?;
        for pair in found.pairs {
            let change = if !pair.new.exists() {
                Change::Gone
            } else if mode::is_commit(pair.new.mode) {
                if pair.new.id == pair.old.id {
                    // Only what is inside of it changed.
                    continue;
                }
                Change::Repository(pair.new.id)
            } else {
                Change::File(pair.new.mode)
            };
            paths.push((pair.old.path, Some(change)));
        }
        let conflicts: BTreeSet<&[u8]> = index
            .entries
            .iter()
            .filter(|e| e.stage > 0)
            .map(|e| index.path(e))
            .filter(|p| spec.is_empty() || spec.matches(p))
            .collect();
        for path in conflicts {
            paths.push((path.to_vec(), None));
        }
        paths.sort_by(|a, b| a.0.cmp(&b.0));
        let mut staging = Staging::default();
        for (path, change) in paths {
            let change = match change {
                Some(change) => change,
                None => change_on_disk(repo, &path)?,
            };
            if matches!(change, Change::Gone) && !removals {
                continue;
            }
            staging.push(repo, path, change)?;
        }
        Ok(staging)
    }

    /// Adds other files; directories (with a slash at the end) are repositories.
    pub(crate) fn add_others(&mut self, repo: &Repo<'_>, others: &[Bytes]) -> Res<()> {
        for path in others {
            let change = match path.strip_suffix(b"/") {
                Some(dir) => match submodule::head_of(repo, dir)? {
                    Some(id) => Change::Repository(id),
                    None => {
                        let shown = lossy(path);
                        repo.call.warn(format!(
                            "error: '{shown}' does not have a commit checked out\n"
                        ));
                        return Err(Stop::fatal("adding files failed"));
                    }
                },
                None => change_on_disk(repo, path)?,
            };
            let path = path.strip_suffix(b"/").unwrap_or(path).to_vec();
            self.push(repo, path, change)?;
        }
        Ok(())
    }

    /// Adds exactly these paths, as they are in the work tree.
    pub(crate) fn of_paths(repo: &Repo<'_>, paths: &[Bytes]) -> Res<Staging> {
        let mut staging = Staging::default();
        for path in paths {
            let full = bytes::join(repo.need_work_tree()?, path);
            let is_dir = fs::symlink_metadata(bytes::to_path(&full)).is_ok_and(|m| m.is_dir());
            if is_dir && crate::repository::submodule::head_of(repo, path)?.is_none() {
                return Err(Stop::not_native("a directory in the place of a file"));
            }
            let change = change_on_disk(repo, path)?;
            staging.push(repo, path.clone(), change)?;
        }
        Ok(staging)
    }

    fn push(&mut self, repo: &Repo<'_>, path: Bytes, change: Change) -> Res<()> {
        if !matches!(change, Change::Gone) {
            crate::work::checkout_file::refuse_name(&path, 0)?;
        }
        if let Change::File(mode) = change
            && mode::is_file(mode)
        {
            let full = bytes::join(repo.need_work_tree()?, &path);
            let meta = fs::symlink_metadata(bytes::to_path(&full))?;
            if meta.len() > BIG_FILE {
                return Err(Stop::not_native("a very large file"));
            }
        }
        self.changes.push((path, change));
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Hands over when a file's contents would pass through a program.
    pub(crate) fn refuse_filters(&self, repo: &Repo<'_>, index: &Index) -> Res<()> {
        let attributes = Attributes::load(repo, Some(index))?;
        for (path, change) in &self.changes {
            if matches!(change, Change::File(mode) if mode::is_file(*mode)) {
                Conversion::of(repo, &attributes, path)?;
            }
        }
        Ok(())
    }

    /// Writes the objects and changes the index; returns what was done to which path, in order.
    ///
    /// The index itself is not written here. With `how.dry` nothing is written at all.
    pub(crate) fn apply(
        &self,
        repo: &Repo<'_>,
        edit: &mut IndexEdit<'_>,
        how: How,
    ) -> Res<Vec<(Bytes, Done)>> {
        let attributes_index = repo.index()?;
        let attributes = Attributes::load(repo, Some(&attributes_index))?;
        let mut done = Vec::new();
        for (path, change) in &self.changes {
            repo.cancel().check()?;
            let item = match change {
                Change::Gone => {
                    done.push((path.clone(), Done::Removed));
                    if !how.dry {
                        edit.remove(path);
                    }
                    continue;
                }
                Change::Repository(id) => Item::new(mode::COMMIT, *id),
                Change::File(mode) if how.announce => announced(*mode),
                Change::File(mode) => {
                    let file = File {
                        repo,
                        attributes: &attributes,
                        index: &edit.base,
                        path,
                    };
                    file.stage(*mode, how)?
                }
            };
            let same = edit
                .get(path)
                .is_some_and(|old| old.id == item.id && old.mode == item.mode);
            if !same {
                done.push((path.clone(), Done::Added));
            }
            if !how.dry {
                edit.put(path, item);
            }
        }
        Ok(done)
    }
}

/// An entry that only says that there will be a file; its contents are not stored, so there are no times either.
fn announced(mode: u32) -> Item {
    Item {
        intent_to_add: true,
        fresh: true,
        ..Item::new(mode, Id::empty_blob())
    }
}

/// Returns what is at a path.
fn change_on_disk(repo: &Repo<'_>, path: &[u8]) -> Res<Change> {
    let top = repo.need_work_tree()?;
    if crate::work::checkout_file::leading_non_directory(top, path).is_some() {
        return Ok(Change::Gone);
    }
    let full = bytes::join(top, path);
    let Ok(meta) = fs::symlink_metadata(bytes::to_path(&full)) else {
        return Ok(Change::Gone);
    };
    if meta.is_dir() {
        return Ok(match submodule::head_of(repo, path)? {
            Some(id) => Change::Repository(id),
            None => Change::Gone,
        });
    }
    if !meta.is_file() && !meta.is_symlink() {
        return Err(Stop::not_native("something that is no file"));
    }
    Ok(Change::File(mode_of(repo, path, &meta)?))
}

fn mode_of(repo: &Repo<'_>, path: &[u8], meta: &Metadata) -> Res<u32> {
    if meta.is_symlink() {
        return Ok(mode::LINK);
    }
    if repo.config.bool("core.filemode")?.unwrap_or(true) {
        return Ok(if work_tree::is_executable(meta) {
            mode::EXECUTABLE
        } else {
            mode::FILE
        });
    }
    let index = repo.index()?;
    let known = index
        .find(path)
        .map(|e| e.mode)
        .filter(|m| mode::is_file(*m));
    Ok(known.unwrap_or(mode::FILE))
}

/// One file on its way into the index.
struct File<'a> {
    repo: &'a Repo<'a>,
    attributes: &'a Attributes<'a>,
    index: &'a Index,
    path: &'a [u8],
}

impl File<'_> {
    fn stage(&self, mode: u32, how: How) -> Res<Item> {
        let full = bytes::to_path(&bytes::join(self.repo.need_work_tree()?, self.path));
        let meta = fs::symlink_metadata(&full)?;
        let data = if mode == mode::LINK {
            bytes::from_path(&fs::read_link(&full)?)
        } else {
            self.converted(fs::read(&full)?)?
        };
        let id = if how.dry {
            Id::of_blob(&data)?
        } else {
            self.repo.write_object(ObjectType::Blob, &data)?
        };
        Ok(Item {
            stat: stat_of(&meta),
            fresh: true,
            ..Item::new(mode, id)
        })
    }

    fn converted(&self, data: Vec<u8>) -> Res<Vec<u8>> {
        let conversion = Conversion::of(self.repo, self.attributes, self.path)?;
        let safety = self.repo.config.get("core.safecrlf").unwrap_or(b"warn");
        let warns = safety.eq_ignore_ascii_case(b"warn");
        let refuses = !warns && self.repo.config.bool("core.safecrlf")? == Some(true);
        if (warns || refuses)
            && let Some((from, to)) =
                conversion.line_end_warning(self.repo, Some(self.index), self.path, &data)?
        {
            let path = lossy(self.path);
            if refuses {
                return Err(Stop::fatal(format!(
                    "{from} would be replaced by {to} in {path}"
                )));
            }
            self.repo.call.warn(format!(
                "warning: in the working copy of '{path}', {from} will be replaced by {to} the next time Git touches it\n"
            ));
        }
        Ok(conversion
            .to_git(self.repo, Some(self.index), self.path, Cow::Owned(data))?
            .into_owned())
    }
}
