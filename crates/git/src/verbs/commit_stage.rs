//! What `git commit` stages before it commits: everything that changed, some paths, or nothing.

use std::collections::BTreeMap;

use crate::options::Parsed;
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::{Bytes, lossy};
use crate::verbs::commit_task::Task;
use crate::work::index::Index;
use crate::work::index_edit::{self, IndexEdit};
use crate::work::pathspec::Pathspec;
use crate::work::staging::{How, Staging};

/// What the commit will have.
pub(crate) struct Staged {
    pub(crate) tree: Id,
    /// Nothing at all is in it.
    pub(crate) is_empty: bool,
    /// The files of a commit of some paths; `None` when it has all that is staged.
    only: Option<BTreeMap<Bytes, (u32, Id)>>,
}

impl Staged {
    /// Returns the index as the commit has it.
    pub(crate) fn index(&self, edit: &IndexEdit<'_>) -> Res<Index> {
        match &self.only {
            Some(files) => edit.preview_of(files),
            None => edit.preview(),
        }
    }
}

/// Stages what the options ask for; `None` when that was refused, with the words said.
pub(crate) fn stage(
    repo: &Repo<'_>,
    parsed: &Parsed,
    task: &Task,
    edit: &mut IndexEdit<'_>,
    out: &mut Out,
) -> Res<Option<Staged>> {
    let spec = Pathspec::parse(repo, &parsed.args)?;
    let all = parsed.has("all");
    if all && !parsed.args.is_empty() {
        return Err(Stop::fatal(format!(
            "paths '{} ...' with -a does not make sense",
            lossy(&parsed.args[0])
        )));
    }
    let include = parsed.has("include");
    let shows = ["dry-run", "short", "porcelain", "long", "null"]
        .iter()
        .any(|o| parsed.has(o));
    // Nothing at all is staged for a commit that only says something else.
    let only_words = parsed.has("only") && (parsed.has("amend") || parsed.has("allow-empty"));
    if (include || parsed.has("only") && !only_words) && parsed.args.is_empty() {
        return Err(Stop::fatal(
            "No paths with --include/--only does not make sense.",
        ));
    }
    if (!parsed.args.is_empty() || only_words) && !include {
        return partial(repo, task, &parsed.args, &spec, edit, out);
    }
    if all || include {
        let staging = Staging::tracked(repo, &edit.base, &spec, true)?;
        staging.refuse_filters(repo, &edit.base)?;
        if include && unmatched(repo, &parsed.args, &known_paths(edit), true, out)? {
            return Ok(None);
        }
        staging.apply(repo, edit, How::default())?;
    }
    edit.refresh()?;
    if edit.has_conflicts() {
        if shows {
            // Only a status is asked for, which has its own words for that.
            return Ok(Some(Staged {
                tree: Id::empty_tree(),
                is_empty: false,
                only: None,
            }));
        }
        return Err(unresolved(repo, edit, out)?);
    }
    let is_empty = !edit.iter().any(|(_, item)| !item.intent_to_add);
    let tree = edit.write_tree()?;
    Ok(Some(Staged {
        tree,
        is_empty,
        only: None,
    }))
}

fn known_paths(edit: &IndexEdit<'_>) -> Vec<Bytes> {
    edit.iter().map(|((path, _), _)| path.clone()).collect()
}

/// Says which arguments mean nothing; returns whether there was one.
fn unmatched(
    repo: &Repo<'_>,
    args: &[Bytes],
    known: &[Bytes],
    deadly: bool,
    out: &mut Out,
) -> Res<bool> {
    let mut any = false;
    for arg in args {
        let one = Pathspec::parse(repo, std::slice::from_ref(arg))?;
        if one.only_excludes() || known.iter().any(|p| one.matches_without_excludes(p)) {
            continue;
        }
        repo.call.warn(
            [
                b"error: pathspec '".as_slice(),
                arg,
                b"' did not match any file(s) known to git\n",
            ]
            .concat(),
        );
        any = true;
    }
    if any {
        // git dies of it with `-i`, and just ends otherwise.
        out.code = if deadly { 128 } else { 1 };
    }
    Ok(any)
}

/// The index keeps what else is staged; the commit gets HEAD's tree with these paths as they are on disk.
fn partial(
    repo: &Repo<'_>,
    task: &Task,
    args: &[Bytes],
    spec: &Pathspec,
    edit: &mut IndexEdit<'_>,
    out: &mut Out,
) -> Res<Option<Staged>> {
    if !task.merge_heads.is_empty() {
        return Err(Stop::fatal("cannot do a partial commit during a merge."));
    }
    if task.picked.is_some() {
        return Err(Stop::fatal(format!(
            "cannot do a partial commit during a {}.",
            task.picking
        )));
    }
    let head_tree = match repo.head()?.id {
        Some(id) => repo.commit(id)?.tree,
        None => Id::empty_tree(),
    };
    let mut tree: BTreeMap<Bytes, (u32, Id)> =
        tree_diff::changes(repo, Id::ZERO, head_tree, &Pathspec::default())?
            .into_iter()
            .map(|p| (p.new.path, (p.new.mode, p.new.id)))
            .collect();
    let mut known = known_paths(edit);
    known.extend(tree.keys().cloned());
    known.sort();
    known.dedup();
    if unmatched(repo, args, &known, false, out)? {
        return Ok(None);
    }
    // What is left out of the work tree stays as HEAD has it.
    let left_out = |p: &Bytes| edit.get(p).is_some_and(|item| item.skip_worktree);
    let meant = |p: &Bytes| !args.is_empty() && spec.matches(p) && !left_out(p);
    let paths: Vec<Bytes> = known.into_iter().filter(meant).collect();
    let staging = Staging::of_paths(repo, &paths)?;
    staging.refuse_filters(repo, &edit.base)?;
    staging.apply(repo, edit, How::default())?;
    edit.refresh()?;
    if edit.has_conflicts() {
        return Err(Stop::not_native("a partial commit with conflicts"));
    }
    for path in &paths {
        match edit.get(path) {
            Some(item) => {
                tree.insert(path.clone(), (item.mode, item.id));
            }
            None => {
                tree.remove(path);
            }
        }
    }
    let is_empty = tree.is_empty();
    let id = index_edit::tree_of(repo, &tree)?;
    edit.write_tree()?;
    Ok(Some(Staged {
        tree: id,
        is_empty,
        only: Some(tree),
    }))
}

fn unresolved(repo: &Repo<'_>, edit: &IndexEdit<'_>, out: &mut Out) -> Res<Stop> {
    let mut last: Option<&Bytes> = None;
    for ((path, stage), _) in edit.iter() {
        if *stage > 0 && last != Some(path) {
            out.put([b"U\t", path.as_slice(), b"\n"].concat());
            last = Some(path);
        }
    }
    repo.call
        .warn("error: Committing is not possible because you have unmerged files.\n");
    if repo.config.bool("advice.resolveconflict")?.unwrap_or(true) {
        repo.call.warn(
            "hint: Fix them up in the work tree, and then use 'git add/rm <file>'\n\
             hint: as appropriate to mark resolution and make a commit.\n",
        );
    }
    Ok(Stop::fatal("Exiting because of an unresolved conflict."))
}
