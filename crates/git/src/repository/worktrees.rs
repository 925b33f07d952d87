//! The work trees of a repository, and which branch each one has checked out.

use std::fs;

use crate::outcome::Res;
use crate::references::reftable::Reftable;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};

/// A work tree.
#[derive(Debug, Clone)]
pub(crate) struct WorkTree {
    pub(crate) path: Bytes,
    /// Its own git directory.
    pub(crate) git_dir: Bytes,
    /// The first line of its HEAD.
    pub(crate) head: Bytes,
}

/// What keeps a branch in a work tree that is not on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Rebased,
    Bisected,
}

impl WorkTree {
    /// Lists the branches (full names) that a rebase or a bisection in this work tree will come back to.
    pub(crate) fn claims(&self) -> Vec<(Claim, Bytes)> {
        let read = |name: &str| {
            let path = bytes::join(&self.git_dir, name.as_bytes());
            fs::read(bytes::to_path(&path)).ok()
        };
        let full = |text: &[u8]| {
            let text = text.trim_ascii_end();
            let short = text.strip_prefix(b"refs/heads/").unwrap_or(text);
            [b"refs/heads/", short].concat()
        };
        let mut found = Vec::new();
        let rebased = if read("rebase-apply/applying").is_some() {
            None
        } else {
            read("rebase-apply/head-name").or_else(|| read("rebase-merge/head-name"))
        };
        if let Some(name) = rebased.filter(|n| n.trim_ascii_end() != b"detached HEAD") {
            found.push((Claim::Rebased, full(&name)));
        }
        if read("BISECT_LOG").is_some()
            && let Some(name) = read("BISECT_START")
        {
            found.push((Claim::Bisected, full(&name)));
        }
        let updates = read("rebase-merge/update-refs").unwrap_or_default();
        // Each is three lines: its name, and what it was before and after.
        let names = updates.split(|b| *b == b'\n').step_by(3);
        let named = names.filter(|n| !n.is_empty());
        found.extend(named.map(|n| (Claim::Rebased, n.to_vec())));
        found
    }
}

/// Lists the main work tree, then the linked ones in order of their paths.
pub(crate) fn list(repo: &Repo<'_>) -> Res<Vec<WorkTree>> {
    let head = |dir: &[u8]| -> Res<Bytes> {
        let text = match repo.tables {
            Some(_) => Reftable::open(repo.call, dir, &repo.common_dir)?.as_file(b"HEAD"),
            None => fs::read(bytes::to_path(&bytes::join(dir, b"HEAD"))).ok(),
        };
        Ok(text.unwrap_or_default().trim_ascii_end().to_vec())
    };
    let common = &repo.common_dir;
    let path = common.strip_suffix(b"/.git").unwrap_or(common).to_vec();
    let main = WorkTree {
        path,
        git_dir: common.clone(),
        head: head(common)?,
    };
    let mut linked = Vec::new();
    let dir = bytes::join(common, b"worktrees");
    for entry in fs::read_dir(bytes::to_path(&dir))
        .into_iter()
        .flatten()
        .flatten()
    {
        let git_dir = bytes::from_path(&entry.path());
        let Ok(text) = fs::read(bytes::to_path(&bytes::join(&git_dir, b"gitdir"))) else {
            continue;
        };
        let text = bytes::join(&git_dir, text.trim_ascii_end());
        let text = bytes::normalize(&text);
        let path = text.strip_suffix(b"/.git").unwrap_or(&text).to_vec();
        linked.push(WorkTree {
            path,
            head: head(&git_dir)?,
            git_dir,
        });
    }
    linked.sort_by(|a, b| a.path.cmp(&b.path));
    let mut all = vec![main];
    all.extend(linked);
    Ok(all)
}

/// Lists the branches other work trees have checked out, with the paths of those.
pub(crate) fn checked_out(repo: &Repo<'_>) -> Res<Vec<(Bytes, Bytes)>> {
    let mut found = Vec::new();
    for tree in list(repo)? {
        if tree.git_dir == repo.git_dir {
            continue;
        }
        if let Some(branch) = tree.head.strip_prefix(b"ref: ") {
            found.push((branch.to_vec(), tree.path));
        }
    }
    Ok(found)
}
