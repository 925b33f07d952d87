//! From one tree to another, with index and work tree: what changes, what is in the way, and doing it.
//!
//! Everything is judged before anything is written. The rules are those of git's two-way and one-way merges: local
//! changes are carried along where the trees agree about a path, and refused where they do not.

use std::collections::BTreeSet;
use std::fs;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::{Repo, prefix_below};
use crate::repository::tree_diff;
use crate::text::bytes::{self, Bytes, lossy};
use crate::work::checkout_file::{WorkTree, leading_non_directory};
use crate::work::ignore::Ignore;
use crate::work::index_edit::{IndexEdit, Item};
use crate::work::pathspec::Pathspec;
use crate::work::untracked::{self, Ignored, Wanted};
use crate::work::work_tree::{Look, State};

/// What is to be done.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Paths that get new contents, in the index and in the work tree.
    pub(crate) set: Vec<(Bytes, u32, Id)>,
    /// Paths that leave both; the mode is the one they had.
    pub(crate) gone: Vec<(Bytes, u32)>,
}

/// Why a path cannot be changed. In the order in which git lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reject {
    WouldOverwrite,
    NotUpToDate,
    DirectoryNotUpToDate,
    UntrackedOverwritten,
    UntrackedRemoved,
}

/// What stands in the way, in order of the paths.
pub(crate) type Rejects = Vec<(Reject, Bytes)>;

/// What shows that a file is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its contents, as for a command that refreshes the index first.
    Contents,
    /// Its times only.
    Times,
}

/// Finds out what it takes to go from one tree to another, carrying local changes.
pub(crate) fn two_way(
    repo: &Repo<'_>,
    edit: &IndexEdit<'_>,
    (old, new): (Id, Id),
    trust: Trust,
) -> Res<(Steps, Rejects)> {
    let pairs = tree_diff::changes(repo, old, new, &Pathspec::default())?;
    let mut way = Way::new(repo, edit, trust)?;
    let present = |side: &crate::compare::pair::Side| side.exists().then_some((side.mode, side.id));
    // Removals are known before anything is added, since they make room.
    let mut adding = Vec::new();
    for pair in &pairs {
        repo.cancel().check()?;
        let path = &pair.old.path;
        let (h, m) = (present(&pair.old), present(&pair.new));
        let i = edit.get(path).map(|item| (item.mode, item.id));
        match (i, h, m) {
            (Some(i), _, Some(m)) if i == m => {}
            (Some(i), Some(h), None) if i == h => {
                if way.is_up_to_date(path)? {
                    way.steps.gone.push((path.clone(), i.0));
                } else {
                    way.rejects.push((Reject::NotUpToDate, path.clone()));
                }
            }
            (Some(i), Some(h), Some(m)) if i == h => {
                if way.is_up_to_date(path)? {
                    way.steps.set.push((path.clone(), m.0, m.1));
                } else {
                    way.rejects.push((Reject::NotUpToDate, path.clone()));
                }
            }
            (Some(_), ..) => way.rejects.push((Reject::WouldOverwrite, path.clone())),
            (None, Some(_), Some(_)) => way.rejects.push((Reject::WouldOverwrite, path.clone())),
            (None, None, Some(m)) => adding.push((path.clone(), m)),
            (None, Some(_), None) => {
                way.verify_absent(path, Reject::UntrackedRemoved)?;
            }
            (None, None, None) => {}
        }
    }
    for (path, (mode, id)) in adding {
        let full = bytes::to_path(&bytes::join(&way.top, &path));
        if crate::repository::object::mode::is_commit(mode) && fs::symlink_metadata(full).is_ok() {
            return Err(Stop::not_native("a submodule where something is already"));
        }
        way.verify_absent(&path, Reject::UntrackedOverwritten)?;
        way.steps.set.push((path, mode, id));
    }
    let Way {
        mut steps,
        mut rejects,
        ..
    } = way;
    steps.set.sort();
    rejects.sort_by(|a, b| a.1.cmp(&b.1));
    refuse_current_directory(repo, &steps)?;
    Ok((steps, rejects))
}

/// Finds out what it takes to make index and work tree exactly a tree, whatever was changed.
///
/// With `protect`, unstaged changes of paths that have to change are refused, as `reset --merge` does.
pub(crate) fn one_way(
    repo: &Repo<'_>,
    edit: &IndexEdit<'_>,
    tree: Id,
    protect: bool,
) -> Res<(Steps, Rejects)> {
    let mut way = Way::new(repo, edit, Trust::Times)?;
    let mut wanted: BTreeSet<Bytes> = BTreeSet::new();
    let mut conflicts: BTreeSet<Bytes> = BTreeSet::new();
    for ((path, stage), _) in edit.iter() {
        if *stage > 0 {
            conflicts.insert(path.clone());
        }
    }
    for pair in tree_diff::changes(repo, Id::ZERO, tree, &Pathspec::default())? {
        let path = pair.new.path;
        wanted.insert(path.clone());
        let (mode, id) = (pair.new.mode, pair.new.id);
        let same = edit
            .get(&path)
            .filter(|i| i.mode == mode && i.id == id && !i.intent_to_add);
        let touch = match same {
            Some(_) if protect => false,
            Some(item) => !item.skip_worktree && !way.is_unchanged(&path)?,
            None if protect && !conflicts.contains(&path) => {
                if edit.get(&path).is_none() {
                    way.verify_absent(&path, Reject::UntrackedOverwritten)?;
                } else if !way.is_up_to_date(&path)? {
                    way.rejects.push((Reject::NotUpToDate, path.clone()));
                }
                true
            }
            None => {
                // What was said to be unchanged, and is not, is the one thing that is kept.
                let promised = edit.get(&path).is_some_and(|i| i.assume_valid);
                if promised && !way.is_up_to_date(&path)? {
                    way.rejects.push((Reject::NotUpToDate, path.clone()));
                }
                true
            }
        };
        if touch {
            way.steps.set.push((path, mode, id));
        }
    }
    let mut last: Option<&Bytes> = None;
    for ((path, stage), item) in edit.iter() {
        if wanted.contains(path) || last == Some(path) {
            continue;
        }
        last = Some(path);
        if protect && *stage == 0 && !way.is_up_to_date(path)? {
            way.rejects.push((Reject::NotUpToDate, path.clone()));
        }
        way.steps.gone.push((path.clone(), item.mode));
    }
    let Way {
        steps, mut rejects, ..
    } = way;
    rejects.sort_by(|a, b| a.1.cmp(&b.1));
    refuse_current_directory(repo, &steps)?;
    Ok((steps, rejects))
}

/// A file in the place of the directory the command was started in is something git refuses in its own words.
fn refuse_current_directory(repo: &Repo<'_>, steps: &Steps) -> Res<()> {
    let top = repo.need_work_tree()?;
    let cwd = prefix_below(&repo.call.started_in, top).unwrap_or_default();
    let cwd = cwd.strip_suffix(b"/").unwrap_or(&cwd);
    let in_the_way = |path: &Bytes| prefix_below(cwd, path).is_some();
    if !cwd.is_empty() && steps.set.iter().any(|(path, ..)| in_the_way(path)) {
        return Err(Stop::not_native(
            "a file in the place of the current directory",
        ));
    }
    Ok(())
}

/// Judges what is in the way.
struct Way<'a, 'r> {
    edit: &'a IndexEdit<'r>,
    repo: &'a Repo<'r>,
    top: Bytes,
    look: Look<'a>,
    ignore: Ignore,
    trust: Trust,
    steps: Steps,
    rejects: Rejects,
}

impl<'a, 'r> Way<'a, 'r> {
    fn new(repo: &'a Repo<'r>, edit: &'a IndexEdit<'r>, trust: Trust) -> Res<Way<'a, 'r>> {
        Ok(Way {
            trust,
            edit,
            repo,
            top: repo.need_work_tree()?.to_vec(),
            look: Look::new(repo, &edit.base)?,
            ignore: Ignore::load(repo)?,
            steps: Steps::default(),
            rejects: Vec::new(),
        })
    }

    /// Says whether a file may be replaced: it is what the index says, or not there.
    fn is_up_to_date(&mut self, path: &[u8]) -> Res<bool> {
        let Some(entry) = self.edit.base.find(path).filter(|e| e.stage == 0) else {
            return Ok(true);
        };
        let mut plain = *entry;
        plain.assume_valid = false;
        let clean = match self.trust {
            Trust::Times => self.look.is_clean_by_times(&plain, path)?,
            Trust::Contents => !matches!(self.look.at(&plain, path)?, State::Differs(_)),
        };
        // A file that is not there may be replaced as well.
        Ok(clean || fs::symlink_metadata(bytes::to_path(&bytes::join(&self.top, path))).is_err())
    }

    /// Says whether a file is there and is what the index says.
    fn is_unchanged(&mut self, path: &[u8]) -> Res<bool> {
        let Some(entry) = self.edit.base.find(path).filter(|e| e.stage == 0) else {
            return Ok(false);
        };
        let mut plain = *entry;
        plain.assume_valid = false;
        self.look.is_clean_by_times(&plain, path)
    }

    /// Rejects a path when something untracked would be lost by writing to it.
    fn verify_absent(&mut self, path: &[u8], why: Reject) -> Res<()> {
        if let Some(above) = leading_non_directory(&self.top, path) {
            return self.verify_removable(&above, why);
        }
        if fs::symlink_metadata(bytes::to_path(&bytes::join(&self.top, path))).is_ok() {
            return self.verify_removable(path, why);
        }
        Ok(())
    }

    fn verify_removable(&mut self, found: &[u8], why: Reject) -> Res<()> {
        let full = bytes::to_path(&bytes::join(&self.top, found));
        let is_dir = fs::symlink_metadata(&full).is_ok_and(|m| m.is_dir());
        let is_ignored = self
            .ignore
            .deciding_with_parents(found, is_dir)
            .is_some_and(|r| !r.pattern.negative);
        if is_ignored || self.steps.gone.iter().any(|(p, _)| p == found) {
            return Ok(());
        }
        if is_dir {
            return self.verify_clean_directory(found);
        }
        if self.edit.has(found) {
            return Err(Stop::not_native("a directory in the place of a file"));
        }
        self.rejects.push((why, found.to_vec()));
        Ok(())
    }

    /// A directory gives way to a file when nothing untracked is in it.
    fn verify_clean_directory(&mut self, dir: &[u8]) -> Res<()> {
        let below = [dir, b"/"].concat();
        for path in self.edit.below(&below) {
            if !self.steps.gone.iter().any(|(p, _)| *p == path) {
                return Err(Stop::not_native("a file in the place of a directory"));
            }
        }
        let wanted = Wanted {
            collapse: false,
            ignored: Ignored::No,
        };
        let others = untracked::list(self.repo, &self.edit.base, &Pathspec::literal(dir), wanted)?;
        if !others.untracked.is_empty() {
            self.rejects
                .push((Reject::DirectoryNotUpToDate, dir.to_vec()));
        }
        Ok(())
    }
}

impl Steps {
    /// Says whether a submodule is among what is set.
    pub(crate) fn sets_submodule(&self) -> bool {
        self.set
            .iter()
            .any(|(_, mode, _)| crate::repository::object::mode::is_commit(*mode))
    }

    /// Hands over when a path is not one that is written here.
    pub(crate) fn refuse(&self, work_tree: &WorkTree<'_>) -> Res<()> {
        for (path, mode, _) in &self.set {
            work_tree.refuse(path, *mode)?;
        }
        Ok(())
    }

    /// Carries the steps out; returns whether all files could be written.
    pub(crate) fn carry_out(&self, repo: &Repo<'_>, edit: &mut IndexEdit<'_>) -> Res<bool> {
        let mut work_tree = WorkTree::of(repo)?;
        self.refuse(&work_tree)?;
        let top = repo.need_work_tree()?;
        let is_there = |path: &[u8]| fs::symlink_metadata(bytes::to_path(&bytes::join(top, path)));
        let (shown, hidden): (Vec<_>, Vec<_>) = self
            .set
            .iter()
            .partition(|(path, ..)| edit.sparse.includes(path));
        if hidden.iter().any(|(path, ..)| is_there(path).is_ok()) {
            return Err(Stop::not_native("a file where a sparse work tree has none"));
        }
        repo.call.wrote.set(true);
        let mut whole = true;
        for (path, mode, id) in hidden {
            let item = Item {
                skip_worktree: true,
                ..Item::new(*mode, *id)
            };
            edit.put(path, item);
        }
        for (path, mode) in &self.gone {
            let was_hidden = edit.get(path).is_some_and(|item| item.skip_worktree);
            edit.forget(path);
            if was_hidden && edit.sparse.is_on() {
                continue;
            }
            if let Err(text) = work_tree.remove(path, *mode) {
                repo.call.warn(format!("warning: {text}\n"));
            }
        }
        work_tree.remove_empty_directories();
        // Attributes come first: they say how the others are written.
        let is_attributes = |path: &[u8]| bytes::basename(path) == b".gitattributes".as_slice();
        let (first, rest): (Vec<_>, Vec<_>) = shown
            .into_iter()
            .partition(|(path, ..)| is_attributes(path));
        let any_first = !first.is_empty() || self.gone.iter().any(|(p, _)| is_attributes(p));
        for (path, mode, id) in first {
            whole &= set_one(repo, edit, &mut work_tree, path, *mode, *id)?;
        }
        if any_first {
            work_tree = WorkTree::of(repo)?;
        }
        for (path, mode, id) in rest {
            whole &= set_one(repo, edit, &mut work_tree, path, *mode, *id)?;
        }
        edit.forget_resolved();
        Ok(whole)
    }
}

fn set_one(
    repo: &Repo<'_>,
    edit: &mut IndexEdit<'_>,
    work_tree: &mut WorkTree<'_>,
    path: &[u8],
    mode: u32,
    id: Id,
) -> Res<bool> {
    let same = |old: &&Item| old.mode == mode && old.id == id;
    let mut item = Item {
        // A promise about a file outlives that it is written anew.
        assume_valid: edit.get(path).filter(same).is_some_and(|i| i.assume_valid),
        fresh: true,
        ..Item::new(mode, id)
    };
    let written = work_tree.write(path, mode, id)?;
    let whole = match written {
        Ok(stat) => {
            item.stat = stat;
            true
        }
        Err(text) => {
            repo.call.warn(format!("error: {text}\n"));
            false
        }
    };
    edit.put(path, item);
    Ok(whole)
}

/// The words about what stands in the way of a porcelain command: lists of paths, then a hint, then `Aborting`.
pub(crate) fn rejects_text(rejects: &Rejects, command: &str, hints: bool) -> String {
    let (doing, hint) = match command {
        "checkout" => ("checkout", "you switch branches"),
        "merge" => ("merge", "you merge"),
        other => (other, other),
    };
    let mut kinds: Vec<Reject> = rejects.iter().map(|(kind, _)| *kind).collect();
    kinds.sort();
    kinds.dedup();
    let mut text = String::new();
    for kind in kinds {
        let paths: String = rejects
            .iter()
            .filter(|(k, _)| *k == kind)
            .map(|(_, path)| format!("\t{}\n", lossy(path)))
            .collect();
        let (title, advice) = match kind {
            Reject::WouldOverwrite | Reject::NotUpToDate => (
                format!(
                    "Your local changes to the following files would be overwritten by {doing}:"
                ),
                format!("Please commit your changes or stash them before {hint}."),
            ),
            Reject::DirectoryNotUpToDate => (
                "Updating the following directories would lose untracked files in them:"
                    .to_string(),
                String::new(),
            ),
            Reject::UntrackedOverwritten => (
                format!(
                    "The following untracked working tree files would be overwritten by {doing}:"
                ),
                format!("Please move or remove them before {hint}."),
            ),
            Reject::UntrackedRemoved => (
                format!("The following untracked working tree files would be removed by {doing}:"),
                format!("Please move or remove them before {hint}."),
            ),
        };
        let advice = if hints { advice.as_str() } else { "" };
        text.push_str(&format!("error: {title}\n{paths}{advice}\n"));
    }
    text.push_str("Aborting\n");
    text
}

/// The words of plumbing about the first thing that stands in the way.
pub(crate) fn first_reject_text(rejects: &Rejects) -> String {
    let Some((kind, path)) = rejects.first() else {
        return String::new();
    };
    let path = lossy(path);
    match kind {
        Reject::WouldOverwrite => {
            format!("error: Entry '{path}' would be overwritten by merge. Cannot merge.\n")
        }
        Reject::NotUpToDate => format!("error: Entry '{path}' not uptodate. Cannot merge.\n"),
        Reject::DirectoryNotUpToDate => {
            format!("error: Updating '{path}' would lose untracked files in it\n")
        }
        Reject::UntrackedOverwritten => {
            format!("error: Untracked working tree file '{path}' would be overwritten by merge.\n")
        }
        Reject::UntrackedRemoved => {
            format!("error: Untracked working tree file '{path}' would be removed by merge.\n")
        }
    }
}
