//! Two trees compared: what differs below them, in git's order.

use std::cmp::Ordering;

use crate::compare::pair::{Pair, Side};
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::object::{TreeEntry, mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;
use crate::work::pathspec::Pathspec;

/// Lists the files that differ between two trees; the zero id is an empty tree.
pub(crate) fn changes(repo: &Repo<'_>, old: Id, new: Id, spec: &Pathspec) -> Res<Vec<Pair>> {
    let mut pairs = Vec::new();
    walk(repo, old, new, &mut Bytes::new(), spec, &mut |pair| {
        pairs.push(pair);
        true
    })?;
    Ok(pairs)
}

/// Says whether two trees differ in anything a pathspec means.
pub(crate) fn differ(repo: &Repo<'_>, old: Id, new: Id, spec: &Pathspec) -> Res<bool> {
    let mut found = false;
    walk(repo, old, new, &mut Bytes::new(), spec, &mut |_| {
        found = true;
        false
    })?;
    Ok(found)
}

/// Also lists the directories that differ, before what is in them, as `-t` does.
pub(crate) fn walk(
    repo: &Repo<'_>,
    old: Id,
    new: Id,
    dir: &mut Bytes,
    spec: &Pathspec,
    found: &mut dyn FnMut(Pair) -> bool,
) -> Res<bool> {
    if old == new {
        return Ok(true);
    }
    repo.cancel().check()?;
    let (old_data, new_data) = (repo.tree_data(old)?, repo.tree_data(new)?);
    let (mut olds, mut news) = (
        tree_entries(&old_data).peekable(),
        tree_entries(&new_data).peekable(),
    );
    loop {
        let order = match (olds.peek(), news.peek()) {
            (None, None) => return Ok(true),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => compare_names(a, b),
        };
        let a = if order == Ordering::Greater {
            None
        } else {
            olds.next()
        };
        let b = if order == Ordering::Less {
            None
        } else {
            news.next()
        };
        if let (Some(a), Some(b)) = (&a, &b)
            && a.id == b.id
            && a.mode == b.mode
        {
            continue;
        }
        let Some(name) = a.or(b).map(|e| e.name) else {
            continue;
        };
        let len = dir.len();
        dir.extend_from_slice(name);
        let is_tree = a.or(b).is_some_and(|e| mode::is_tree(e.mode));
        let more = if is_tree {
            dir.push(b'/');
            let (a, b) = (a.map_or(Id::ZERO, |e| e.id), b.map_or(Id::ZERO, |e| e.id));
            if spec.is_empty() || spec.may_match_below(dir) {
                walk(repo, a, b, dir, spec, found)?
            } else {
                true
            }
        } else if spec.is_empty() || spec.matches(dir) {
            let side = |e: Option<TreeEntry<'_>>| match e {
                Some(e) => Side {
                    path: dir.clone(),
                    mode: e.mode,
                    id: e.id,
                    dirty: false,
                },
                None => Side::absent(dir),
            };
            found(Pair::new(side(a), side(b)))
        } else {
            true
        };
        dir.truncate(len);
        if !more {
            return Ok(false);
        }
    }
}

/// Names in trees are ordered as if directories ended with a slash.
pub(crate) fn compare_names(a: &TreeEntry<'_>, b: &TreeEntry<'_>) -> Ordering {
    let n = a.name.len().min(b.name.len());
    a.name[..n].cmp(&b.name[..n]).then_with(|| {
        let next = |e: &TreeEntry<'_>| match e.name.get(n) {
            Some(c) => u16::from(*c),
            None if mode::is_tree(e.mode) => u16::from(b'/'),
            None => 0,
        };
        next(a).cmp(&next(b))
    })
}
