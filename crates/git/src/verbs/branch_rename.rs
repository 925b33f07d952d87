//! `git branch -m` and `-c`: a branch under another name, with its log and its settings.

use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::references::refs::is_valid_short_name;
use crate::repository::config_edit;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::repository::worktrees::{self, Claim};
use crate::text::bytes::{Bytes, lossy};
use crate::verbs::branch_edit::{branch_name, valid_branch, valid_new_branch};

/// Renames or copies a branch.
pub(crate) fn run(repo: &Repo<'_>, parsed: &Parsed, copy: bool) -> Res<()> {
    let (verb, done) = if copy {
        ("copy", "copied")
    } else {
        ("rename", "renamed")
    };
    let forced = parsed.has("move-force") || parsed.has("copy-force") || parsed.has("force");
    let head = repo.head()?;
    let current = head
        .branch
        .as_deref()
        .and_then(|b| b.strip_prefix(b"refs/heads/"));
    let (old, new) = match parsed.args.as_slice() {
        [] => return Err(Stop::fatal("branch name required")),
        [new] => match current {
            Some(old) => (old.to_vec(), new.clone()),
            None => {
                return Err(Stop::fatal(format!(
                    "cannot {verb} the current branch while not on any"
                )));
            }
        },
        [old, new, ..] => (branch_name(repo, old)?, new.clone()),
    };
    let new = branch_name(repo, &new)?;
    if !is_valid_short_name(&old) {
        return Err(Stop::fatal(format!(
            "invalid branch name: '{}'",
            lossy(&old)
        )));
    }
    let old_full = [b"refs/heads/", old.as_slice()].concat();
    let is_on_it = |tree: &&worktrees::WorkTree| {
        tree.head.strip_prefix(b"ref:").map(<[u8]>::trim_ascii) == Some(old_full.as_slice())
    };
    let trees = worktrees::list(repo)?;
    let is_elsewhere = trees
        .iter()
        .filter(is_on_it)
        .any(|t| t.git_dir != repo.git_dir);
    let Some(id) = repo.ref_id(&old_full)? else {
        if current == Some(old.as_slice()) {
            if copy {
                return Err(Stop::fatal(format!(
                    "no commit on branch '{}' yet",
                    lossy(&old)
                )));
            }
            if is_elsewhere {
                return Err(Stop::not_native("renaming the branch of another work tree"));
            }
            let full = valid_new_branch(repo, &new, forced)?;
            let text = repo.config_text()?;
            repo.write_ref(b"HEAD", &[b"ref: ", full.as_slice(), b"\n"].concat())?;
            return move_settings(repo, &text, &old, &new, false);
        }
        if is_elsewhere {
            return Err(Stop::not_native("renaming the branch of another work tree"));
        }
        return Err(Stop::fatal(format!("no branch named '{}'", lossy(&old))));
    };
    if repo.symref(&old_full)?.is_some() {
        return Err(Stop::not_native("renaming another's name"));
    }
    let new_full = if old == new {
        valid_branch(repo, &new)?
    } else {
        valid_new_branch(repo, &new, forced)?
    };
    if is_elsewhere && !copy {
        return Err(Stop::not_native("renaming the branch of another work tree"));
    }
    for tree in trees.iter().filter(|t| !t.head.starts_with(b"ref:")) {
        if let Some((claim, _)) = tree.claims().iter().find(|(_, name)| *name == old_full) {
            let doing = match claim {
                Claim::Rebased => "rebased",
                Claim::Bisected => "bisected",
            };
            return Err(Stop::fatal(format!(
                "branch {} is being {doing} at {}",
                lossy(&old_full),
                lossy(&tree.path)
            )));
        }
    }
    let who = Identity::of(repo, "COMMITTER")?;
    let overwritten = old != new && repo.ref_id(&new_full)?.is_some();
    if !overwritten && old != new {
        repo.verify_ref_available(&new_full, (!copy).then_some(old_full.as_slice()))?;
    }
    let message: Bytes = [
        b"Branch: ",
        done.as_bytes(),
        b" ",
        old_full.as_slice(),
        b" to ",
        &new_full,
    ]
    .concat();
    if old == new {
        if copy {
            return Ok(());
        }
        repo.call.wrote.set(true);
        if repo.head()?.branch.as_deref() == Some(old_full.as_slice()) {
            repo.log_ref(
                b"HEAD",
                Some(id),
                crate::repository::id::Id::ZERO,
                &who,
                &message,
            );
            repo.log_ref(b"HEAD", Some(id), id, &who, &message);
        }
        repo.log_ref(&new_full, Some(id), id, &who, &message);
        return Ok(());
    }
    // The settings have to be readable before the first change.
    let text = repo.config_text()?;
    if overwritten {
        repo.delete_ref(&new_full)?;
    }
    repo.rename_ref(&old_full, &new_full, copy, &who, &message)?;
    if !copy {
        move_heads(repo, &old_full, &new_full)?;
        log_head(repo, &new_full, id, &who, &message)?;
    }
    move_settings(repo, &text, &old, &new, copy)
}

/// The settings of a branch go (or are copied) to its new name; `text` is the configuration file.
fn move_settings(repo: &Repo<'_>, text: &[u8], old: &[u8], new: &[u8], copy: bool) -> Res<()> {
    let (from, to) = ([b"branch.", old].concat(), [b"branch.", new].concat());
    let change = |text: &[u8]| {
        if copy {
            config_edit::copy_section(text, &from, &to)
        } else {
            config_edit::rename_section(text, &from, Some(&to))
        }
    };
    if change(text).is_some() {
        repo.edit_config(|text| Ok(change(text).unwrap_or_else(|| text.to_vec())))?;
    }
    Ok(())
}

/// Work trees that are on the branch follow it.
fn move_heads(repo: &Repo<'_>, old: &[u8], new: &[u8]) -> Res<()> {
    for tree in worktrees::list(repo)? {
        if tree.head.strip_prefix(b"ref:").map(<[u8]>::trim_ascii) != Some(old) {
            continue;
        }
        if tree.git_dir != repo.git_dir {
            let path = crate::text::bytes::join(&tree.git_dir, b"HEAD");
            let lock = crate::repository::lock::LockFile::take(&path)?;
            lock.commit(&[b"ref: ", new, b"\n"].concat())
                .map_err(|e| Stop::fatal(format!("unable to update HEAD: {e}")))?;
            continue;
        }
        repo.write_ref(b"HEAD", &[b"ref: ", new, b"\n"].concat())?;
    }
    Ok(())
}

/// HEAD's log tells of the old name's end and the new one's beginning.
fn log_head(
    repo: &Repo<'_>,
    branch: &[u8],
    id: crate::repository::id::Id,
    who: &Identity,
    message: &[u8],
) -> Res<()> {
    if repo.head()?.branch.as_deref() == Some(branch) {
        repo.log_ref(
            b"HEAD",
            Some(id),
            crate::repository::id::Id::ZERO,
            who,
            message,
        );
        repo.log_ref(b"HEAD", None, id, who, message);
    }
    Ok(())
}
