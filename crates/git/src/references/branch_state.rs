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
    if repo.has_git_file("MERGE_AUTOSTASH") {
        return Err(Stop::not_native("ending a merge that put changes aside"));
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
    let picks = repo.has_git_file("CHERRY_PICK_HEAD") || repo.has_git_file("REVERT_HEAD");
    if picks && is_last_of_sequence(repo) {
        let _ = fs::remove_dir_all(bytes::to_path(&repo.git_path("sequencer")));
    }
    for file in FILES {
        let _ = fs::remove_file(bytes::to_path(&repo.git_path(file)));
    }
}

/// Says whether the commit being picked is the last one of those that were to be.
fn is_last_of_sequence(repo: &Repo<'_>) -> bool {
    let todo = repo.git_file("sequencer/todo");
    todo.is_some_and(|t| t.split_inclusive(|b| *b == b'\n').count() <= 1)
}

/// The title of a commit as git puts it on one line.
pub(crate) fn one_line(repo: &Repo<'_>, id: Id) -> Res<Bytes> {
    let commit = repo.commit(id)?;
    if commit.encoding.is_some() {
        return Err(Stop::not_native("a commit in another encoding"));
    }
    Ok(crate::history::pretty::title(&commit.message, b" "))
}
