//! A commit's tree against the index: what is staged.

use crate::compare::pair::{Pair, Side};
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::object::{mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;
use crate::work::index::Index;
use crate::work::pathspec::Pathspec;

/// Lists the paths that differ between a commit (or tree) and the index; without one, everything is new.
///
/// A path with conflicts is listed once, with the status `U`. Entries announced with `add -N` are not there yet.
pub(crate) fn changes(
    repo: &Repo<'_>,
    commit: Option<Id>,
    index: &Index,
    spec: &Pathspec,
) -> Res<Vec<Pair>> {
    let tree = match commit {
        Some(id) => repo.peel_to_tree(id)?.unwrap_or_default(),
        None => Id::ZERO,
    };
    let mut walk = Walk {
        repo,
        index,
        spec,
        at: 0,
        pairs: Vec::new(),
    };
    walk.directory(tree, &mut Bytes::new())?;
    Ok(walk.pairs)
}

struct Walk<'r> {
    repo: &'r Repo<'r>,
    index: &'r Index,
    spec: &'r Pathspec,
    /// The next index entry.
    at: usize,
    pairs: Vec<Pair>,
}

impl Walk<'_> {
    fn directory(&mut self, tree: Id, dir: &mut Bytes) -> Res<()> {
        self.repo.cancel().check()?;
        if let Some(known) = self.index.cached_tree(dir)
            && known.id == tree
            && !tree.is_zero()
        {
            self.at += usize::try_from(known.entries).unwrap_or(0);
            return Ok(());
        }
        let data = self.repo.tree_data(tree)?;
        let len = dir.len();
        for entry in tree_entries(&data) {
            dir.extend_from_slice(entry.name);
            if mode::is_tree(entry.mode) {
                dir.push(b'/');
                self.added_before(dir, false);
                if self.spec.is_empty() || self.spec.may_match_below(dir) {
                    self.directory(entry.id, dir)?;
                } else {
                    self.skip_below(dir);
                }
            } else {
                self.added_before(dir, false);
                self.file(dir, entry.mode, entry.id);
            }
            dir.truncate(len);
        }
        let end = dir.clone();
        self.added_before(&end, true);
        Ok(())
    }

    /// Takes index entries that come before a path; or, at the end of a directory, all that are left below it.
    fn added_before(&mut self, path: &[u8], below: bool) {
        while let Some(entry) = self.index.entries.get(self.at) {
            let name = self.index.path(entry);
            let take = if below {
                name.starts_with(path)
            } else {
                name < path
            };
            if !take {
                break;
            }
            self.at += 1;
            let wanted = self.spec.is_empty() || self.spec.matches(name);
            if !wanted || entry.intent_to_add {
                continue;
            }
            if entry.stage > 0 {
                if self
                    .pairs
                    .last()
                    .is_none_or(|p| p.status != b'U' || p.old.path != name)
                {
                    self.pairs.push(Pair::unmerged(name));
                }
                continue;
            }
            let new = Side {
                path: name.to_vec(),
                mode: entry.mode,
                id: entry.id,
                dirty: false,
            };
            self.pairs.push(Pair::new(Side::absent(name), new));
        }
    }

    fn skip_below(&mut self, dir: &[u8]) {
        while self
            .index
            .entries
            .get(self.at)
            .is_some_and(|e| self.index.path(e).starts_with(dir))
        {
            self.at += 1;
        }
    }

    fn file(&mut self, path: &[u8], mode: u32, id: Id) {
        let wanted = self.spec.is_empty() || self.spec.matches(path);
        let old = Side {
            path: path.to_vec(),
            mode,
            id,
            dirty: false,
        };
        let mut new = None;
        let mut unmerged = false;
        while let Some(entry) = self
            .index
            .entries
            .get(self.at)
            .filter(|e| self.index.path(e) == path)
        {
            self.at += 1;
            if entry.stage > 0 {
                unmerged = true;
            } else if !entry.intent_to_add {
                new = Some(Side {
                    path: path.to_vec(),
                    mode: entry.mode,
                    id: entry.id,
                    dirty: false,
                });
            }
        }
        if !wanted {
            return;
        }
        if unmerged {
            self.pairs.push(Pair {
                old,
                ..Pair::unmerged(path)
            });
            return;
        }
        let new = new.unwrap_or_else(|| Side::absent(path));
        if new.mode != old.mode || new.id != old.id {
            self.pairs.push(Pair::new(old, new));
        }
    }
}
