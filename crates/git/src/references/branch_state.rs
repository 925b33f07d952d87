//! What a repository remembers of an operation in progress, and its end.

use std::fs;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};

/// Files that a merge, a pick or a revert leaves until it is over.
const FILES: &[&str] = &[
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "MERGE_HEAD",
    "MERGE_RR",
    "MERGE_MSG",
    "MERGE_MODE",
    "SQUASH_MSG",
    "AUTO_MERGE",
];

/// Hands over when ending what is in progress would take more than forgetting it.
pub(crate) fn refuse_sequences(repo: &Repo<'_>) -> Res<()> {
    for file in ["sequencer", "MERGE_AUTOSTASH"] {
        if repo.has_git_file(file) {
            return Err(Stop::not_native("ending a sequence of commits"));
        }
    }
    Ok(())
}

/// Forgets a merge, a pick or a revert; says so when `warn` is set.
pub(crate) fn forget(repo: &Repo<'_>, warn: bool) {
    for (file, what) in [
        ("CHERRY_PICK_HEAD", "cherry picking"),
        ("REVERT_HEAD", "reverting"),
    ] {
        if warn && repo.has_git_file(file) {
            repo.call
                .warn(format!("warning: cancelling a {what} in progress\n"));
        }
    }
    for file in FILES {
        let _ = fs::remove_file(bytes::to_path(&repo.git_path(file)));
    }
}

/// The title of a commit as git puts it on one line.
pub(crate) fn one_line(repo: &Repo<'_>, id: Id) -> Res<Bytes> {
    let commit = repo.commit(id)?;
    if commit.encoding.is_some() {
        return Err(Stop::not_native("a commit in another encoding"));
    }
    Ok(crate::history::pretty::title(&commit.message, b" "))
}
