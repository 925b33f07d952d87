//! Submodules: what commit they are at, and whether their own work trees are changed.

use std::cell::{Cell, RefCell};

use crate::exec::{Call, Globals};
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::request::Environment;
use crate::text::bytes;
use crate::work::pathspec::Pathspec;
use crate::work::tree_index;
use crate::work::untracked;
use crate::work::work_tree;

/// How a submodule differs from what is recorded of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SubmoduleState {
    pub(crate) head: Id,
    pub(crate) new_commits: bool,
    pub(crate) modified: bool,
    pub(crate) untracked: bool,
}

/// How deep submodules may nest.
const MAX_DEPTH: usize = 8;

/// Hands over where there are submodules, for a command that was told to follow into them.
pub(crate) fn refuse_any(repo: &Repo<'_>) -> Res<()> {
    let any = |mode: u32| crate::repository::object::mode::is_commit(mode);
    if repo.index()?.entries.iter().any(|e| any(e.mode)) {
        return Err(Stop::not_native("submodules to be followed into"));
    }
    Ok(())
}

/// Returns the commit a directory is at, when it is a repository of its own.
pub(crate) fn head_of(repo: &Repo<'_>, path: &[u8]) -> Res<Option<Id>> {
    let full = bytes::join(repo.need_work_tree()?, path);
    if !bytes::to_path(&bytes::join(&full, b".git")).exists() {
        return Ok(None);
    }
    with_repo(repo, path, |sub| Ok(sub.head()?.id))
}

/// Compares a submodule with the commit recorded for it; one that is not checked out is unchanged.
pub(crate) fn state(repo: &Repo<'_>, path: &[u8], recorded: Id) -> Res<SubmoduleState> {
    let full = bytes::join(repo.need_work_tree()?, path);
    let clean = SubmoduleState {
        head: recorded,
        ..SubmoduleState::default()
    };
    if !bytes::to_path(&bytes::join(&full, b".git")).exists() {
        return Ok(clean);
    }
    refuse_ignore_settings(repo)?;
    if path.iter().filter(|b| **b == b'/').count() > 64 || repo.call.depth >= MAX_DEPTH {
        return Err(Stop::not_native("submodules that nest too deep"));
    }
    with_repo(repo, path, |sub| {
        let head = sub.head()?.id.unwrap_or(recorded);
        let index = sub.index()?;
        let changes = work_tree::changes(sub, &index, &Pathspec::default())?;
        let conflicts = index.entries.iter().any(|e| e.stage != 0);
        let staged = tree_index::changes(sub, sub.head()?.id, &index, &Pathspec::default())?;
        let others = untracked::list(sub, &index, &Pathspec::default(), untracked::Wanted::NORMAL)?;
        let inner_untracked = changes.submodules.iter().any(|(_, s)| s.untracked);
        let only_inner_untracked = |p: &crate::compare::pair::Pair| {
            changes
                .submodules
                .iter()
                .any(|(path, s)| *path == p.new.path && !s.modified && !s.new_commits)
        };
        Ok(SubmoduleState {
            head,
            new_commits: head != recorded,
            modified: conflicts
                || !staged.is_empty()
                || changes.pairs.iter().any(|p| !only_inner_untracked(p)),
            untracked: inner_untracked || !others.untracked.is_empty(),
        })
    })
}

/// Hands over where settings say that changes of submodules do not count.
pub(crate) fn refuse_ignore_settings(repo: &Repo<'_>) -> Res<()> {
    let set = repo.config.get("diff.ignoresubmodules").is_some()
        || repo
            .config
            .entries
            .iter()
            .any(|e| e.key.starts_with(b"submodule.") && e.key.ends_with(b".ignore"));
    let modules = std::fs::read(bytes::to_path(&bytes::join(
        repo.need_work_tree()?,
        b".gitmodules",
    )))
    .unwrap_or_default();
    if set || bytes::find(&modules, b"ignore").is_some() {
        return Err(Stop::not_native("settings that ignore submodules"));
    }
    Ok(())
}

fn with_repo<T>(repo: &Repo<'_>, path: &[u8], with: impl FnOnce(&Repo<'_>) -> Res<T>) -> Res<T> {
    // Variables that name a repository are meant for the outer one only.
    const LOCAL: &[&str] = &[
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_CONFIG_COUNT",
    ];
    let env: Environment = repo
        .call
        .env
        .iter()
        .filter(|(name, _)| !LOCAL.iter().any(|l| *name == std::ffi::OsStr::new(l)))
        .collect();
    let cwd = std::fs::canonicalize(bytes::to_path(&bytes::join(repo.need_work_tree()?, path)))?;
    let call = Call {
        env: &env,
        cwd: bytes::from_path(&cwd),
        started_in: repo.call.started_in.clone(),
        within: repo.call.within,
        globals: Globals::default(),
        stdin: None,
        cancel: repo.call.cancel,
        warnings: RefCell::default(),
        wrote: Cell::new(false),
        only_reads: std::cell::Cell::new(true),
        depth: repo.call.depth + 1,
    };
    with(&Repo::open(&call)?)
}
