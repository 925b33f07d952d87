//! Two changes of one tree put together, where nothing is in conflict and nothing was renamed.
//!
//! Whatever git would resolve by rules of its own — conflicts, renamed files and directories, merge drivers — is handed
//! over before anything is written.

use std::collections::BTreeMap;

use git2::ObjectType;

use crate::compare::pair::{Contents, Pair};
use crate::compare::rename::{self, RenameOptions};
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::repository::tree_edit::{self, Edit};
use crate::text::bytes::{Bytes, lossy};
use crate::verbs::merge_text;
use crate::work::attr::Attributes;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec::Pathspec;
use crate::work::unpack::{self, Rejects, Steps, Trust};

/// A merge without conflicts.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The tree with both sides' changes.
    pub(crate) tree: Id,
    /// What git says while it merges.
    pub(crate) said: String,
}

/// Hands over when settings change how trees are merged.
pub(crate) fn refuse(repo: &Repo<'_>) -> Res<()> {
    for key in [
        "merge.renames",
        "merge.directoryrenames",
        "merge.renormalize",
        "merge.verbosity",
        "merge.default",
        "merge.renamelimit",
        "diff.renamelimit",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if repo.call.var("GIT_MERGE_VERBOSITY").is_some() {
        return Err(Stop::not_native("GIT_MERGE_VERBOSITY in the environment"));
    }
    if repo.config.bool("rerere.enabled")? == Some(true) || repo.has_git_file("rr-cache") {
        return Err(Stop::not_native("remembered resolutions"));
    }
    Ok(())
}

/// Merges the changes from `base` to `theirs` into `ours`. Writes objects only.
pub(crate) fn merge(repo: &Repo<'_>, base: Id, ours: Id, theirs: Id) -> Res<Merged> {
    let none = Pathspec::default();
    let our_changes = tree_diff::changes(repo, base, ours, &none)?;
    let their_changes = tree_diff::changes(repo, base, theirs, &none)?;
    refuse_renames(repo, &our_changes)?;
    refuse_renames(repo, &their_changes)?;
    let by_path: BTreeMap<&[u8], &Pair> = our_changes.iter().map(|p| (p.path(), p)).collect();
    let mut edits: Vec<(Bytes, Edit)> = Vec::new();
    let mut said = String::new();
    for pair in &their_changes {
        repo.cancel().check()?;
        let path = pair.path();
        let theirs = side(&pair.new);
        let Some(our) = by_path.get(path) else {
            edits.push((path.to_vec(), theirs));
            continue;
        };
        let ours = side(&our.new);
        if ours == theirs {
            continue;
        }
        let (Some(base), Some(ours), Some(theirs)) = (side(&pair.old), ours, theirs) else {
            return Err(conflict(path));
        };
        edits.push((path.to_vec(), Some(file(repo, path, base, ours, theirs)?)));
        if base.1 != ours.1 && base.1 != theirs.1 && ours.1 != theirs.1 {
            said.push_str(&format!("Auto-merging {}\n", lossy(path)));
        }
    }
    refuse_files_for_directories(repo, &our_changes, &edits)?;
    Ok(Merged {
        tree: tree_edit::write(repo, ours, &edits)?,
        said,
    })
}

fn side(side: &crate::compare::pair::Side) -> Edit {
    side.exists().then_some((side.mode, side.id))
}

fn conflict(path: &[u8]) -> Stop {
    Stop::NotNative(format!("a conflict in `{}`", lossy(path)))
}

/// Where a side has both lost and got files, git looks for renames; when there is one, the merge is git's.
fn refuse_renames(repo: &Repo<'_>, changes: &[Pair]) -> Res<()> {
    let lost = changes.iter().any(|p| !p.new.exists());
    let got = changes.iter().any(|p| !p.old.exists());
    if !lost || !got {
        return Ok(());
    }
    let attributes = Attributes::load(repo, None)?;
    let contents = Contents::new(repo, &attributes, None);
    let found = rename::detect(changes.to_vec(), &contents, RenameOptions::default())?;
    if found.iter().any(Pair::is_rename_or_copy) {
        return Err(Stop::not_native("a merge with renames"));
    }
    Ok(())
}

/// Merges one file that both sides changed.
fn file(
    repo: &Repo<'_>,
    path: &[u8],
    base: (u32, Id),
    ours: (u32, Id),
    theirs: (u32, Id),
) -> Res<(u32, Id)> {
    if ![base.0, ours.0, theirs.0].iter().all(|m| mode::is_file(*m)) {
        return Err(conflict(path));
    }
    let new_mode = match (ours.0 == base.0, theirs.0 == base.0) {
        (true, _) => theirs.0,
        (_, true) => ours.0,
        _ if ours.0 == theirs.0 => ours.0,
        _ => return Err(conflict(path)),
    };
    let id = if ours.1 == theirs.1 || theirs.1 == base.1 {
        ours.1
    } else if ours.1 == base.1 {
        theirs.1
    } else {
        let attributes = Attributes::load(repo, None)?;
        let [driver] = attributes.get(path, ["merge"])?;
        if driver.is_some() {
            return Err(Stop::not_native("a merge driver"));
        }
        let texts = (repo.blob(base.1)?, repo.blob(ours.1)?, repo.blob(theirs.1)?);
        let merged = merge_text::merge(&texts.0, &texts.1, &texts.2);
        let merged = merged.ok_or_else(|| conflict(path))?;
        repo.write_object(ObjectType::Blob, &merged)?
    };
    Ok((new_mode, id))
}

/// A new file must not lie where the other side has a directory, nor the other way round.
fn refuse_files_for_directories(
    repo: &Repo<'_>,
    our_changes: &[Pair],
    edits: &[(Bytes, Edit)],
) -> Res<()> {
    let refused = || Stop::not_native("a file in the place of a directory");
    let new_paths: Vec<&[u8]> = edits
        .iter()
        .filter(|(_, edit)| edit.is_some())
        .map(|(path, _)| path.as_slice())
        .collect();
    let ours: Vec<&[u8]> = our_changes
        .iter()
        .filter(|p| p.new.exists())
        .map(Pair::path)
        .collect();
    let is_below = |path: &[u8], dir: &[u8]| {
        path.strip_prefix(dir)
            .is_some_and(|rest| rest.first() == Some(&b'/'))
    };
    for a in &new_paths {
        repo.cancel().check()?;
        if ours.iter().any(|b| is_below(a, b) || is_below(b, a)) {
            return Err(refused());
        }
    }
    Ok(())
}

/// What takes index and work tree from one tree to a merged one, and what stands in the way.
pub(crate) fn steps(
    repo: &Repo<'_>,
    edit: &IndexEdit<'_>,
    (from, to): (Id, Id),
) -> Res<(Steps, Rejects)> {
    let (steps, rejects) = unpack::two_way(repo, edit, (from, to), Trust::Contents)?;
    steps.refuse(&crate::work::checkout_file::WorkTree::of(repo)?)?;
    Ok((steps, rejects))
}

/// Says what stands in the way.
pub(crate) fn say_rejects(repo: &Repo<'_>, rejects: &Rejects) -> Res<()> {
    let hints = repo
        .config
        .bool("advice.commitbeforemerge")?
        .unwrap_or(true);
    repo.call
        .warn(unpack::rejects_text(rejects, "merge", hints));
    Ok(())
}
