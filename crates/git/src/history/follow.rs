//! `--follow`: where a file that turns up came from, and the files that could be copied from.

use std::collections::HashSet;

use crate::compare::diff_options::DiffOptions;
use crate::compare::pair::{Contents, Pair};
use crate::compare::rename::{self, RenameOptions};
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::Bytes;
use crate::work::pathspec::Pathspec;

/// Looks for the source of the one path that is followed; if there is one, the pair and the path are replaced.
pub(crate) fn rename(
    contents: &Contents<'_>,
    old: Id,
    new: Id,
    pairs: &mut Vec<Pair>,
    spec: &mut Pathspec,
    options: &DiffOptions,
) -> Res<bool> {
    let Some(path) = spec.single() else {
        return Ok(false);
    };
    let path = path.to_vec();
    let repo = contents.repo;
    let everywhere = Pathspec::default();
    let changed = tree_diff::changes(repo, old, new, &everywhere)?;
    let all = with_unchanged(repo, old, changed, &everywhere)?;
    let search = RenameOptions {
        copies: true,
        harder: true,
        minimum: options.renames.unwrap_or_default().minimum,
        ..RenameOptions::default()
    };
    let found = rename::detect_among(all, Some(&path), contents, search)?
        .into_iter()
        .find(|p| p.is_rename_or_copy() && p.new.path == path);
    let Some(pair) = found else {
        return Ok(false);
    };
    *spec = Pathspec::literal(&pair.old.path);
    *pairs = vec![pair];
    Ok(true)
}

/// Adds every file of a tree that a list of changes does not mention, as a pair of the same.
pub(crate) fn with_unchanged(
    repo: &Repo<'_>,
    tree: Id,
    pairs: Vec<Pair>,
    spec: &Pathspec,
) -> Res<Vec<Pair>> {
    let changed: HashSet<Bytes> = pairs.iter().map(|p| p.old.path.clone()).collect();
    let mut all = everything(repo, tree, spec)?;
    all.retain(|pair| !changed.contains(&pair.old.path));
    all.extend(pairs);
    all.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(all)
}

/// Lists every file of a tree as a pair of the same.
fn everything(repo: &Repo<'_>, tree: Id, spec: &Pathspec) -> Res<Vec<Pair>> {
    let mut all = tree_diff::changes(repo, Id::ZERO, tree, spec)?;
    for pair in &mut all {
        pair.old = pair.new.clone();
        pair.status = b'M';
    }
    Ok(all)
}
