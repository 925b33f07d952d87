//! The work trees of a repository, and which branch each one has checked out.

use std::fs;

use crate::outcome::Res;
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

/// Lists the main work tree, then the linked ones in order of their paths.
pub(crate) fn list(repo: &Repo<'_>) -> Res<Vec<WorkTree>> {
    let head = |dir: &[u8]| {
        let text = fs::read(bytes::to_path(&bytes::join(dir, b"HEAD"))).unwrap_or_default();
        text.trim_ascii_end().to_vec()
    };
    let common = &repo.common_dir;
    let path = common.strip_suffix(b"/.git").unwrap_or(common).to_vec();
    let main = WorkTree {
        path,
        git_dir: common.clone(),
        head: head(common),
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
            head: head(&git_dir),
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
