//! `git reset`: HEAD, index and work tree to a commit, or some paths of the index.

use crate::exec::{Call, Plan, refusal_in_repository};
use crate::history::rev::ambiguous_argument;
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::references::branch_state;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::repository::submodule;
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::known;
use crate::work::index_edit::{IndexEdit, Item};
use crate::work::pathspec::{Pathspec, from_top};
use crate::work::pathspec_file::{self, FILE_NUL, FROM_FILE};
use crate::work::tree_index;
use crate::work::unpack;
use crate::work::work_tree;

const OPTIONS: &[Spec] = &[
    flag("soft", None),
    flag("mixed", None),
    flag("hard", None),
    flag("keep", None),
    flag("merge", None),
    flag("quiet", Some(b'q')).or_no(),
    flag("refresh", None).or_no(),
    flag("intent-to-add", Some(b'N')),
    maybe("recurse-submodules", None).or_no(),
    FROM_FILE,
    FILE_NUL,
];

/// How far the reset goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Soft,
    Mixed,
    Hard,
    Keep,
    Merge,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Soft => "soft",
            Kind::Mixed => "mixed",
            Kind::Hard => "hard",
            Kind::Keep => "keep",
            Kind::Merge => "merge",
        }
    }

    fn of(parsed: &Parsed) -> Option<Kind> {
        parsed.options.iter().rev().find_map(|g| match g.name {
            "soft" => Some(Kind::Soft),
            "mixed" => Some(Kind::Mixed),
            "hard" => Some(Kind::Hard),
            "keep" => Some(Kind::Keep),
            "merge" => Some(Kind::Merge),
            _ => None,
        })
    }
}

/// Says what a reset would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse_known(args, OPTIONS, Numbers::No, &known::RESET).map(|_| Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &known::RESET)
        .map_err(|refusal| refusal_in_repository(call, refusal, false))?;
    let repo = Repo::open(call)?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-index-change"])?;
    for key in ["submodule.recurse", "reset.quiet", "reset.refresh"] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if parsed.has("recurse-submodules") {
        submodule::refuse_any(&repo)?;
    }
    let kind = Kind::of(&parsed).unwrap_or(Kind::Mixed);
    let (rev, paths) = split_arguments(&repo, &parsed)?;
    let paths = pathspec_file::patterns(&repo, &parsed, &paths)?;
    let unborn = rev == b"HEAD" && repo.head()?.id.is_none();
    let target = find_target(&repo, &rev, paths.is_empty(), unborn)?;
    if !paths.is_empty() {
        if Kind::of(&parsed) == Some(Kind::Mixed) {
            call.warn(
                "warning: --mixed with paths is deprecated; use 'git reset -- <paths>' instead.\n",
            );
        } else if kind != Kind::Mixed {
            return Err(Stop::fatal(format!(
                "Cannot do {} reset with paths.",
                kind.name()
            )));
        }
    }
    if kind == Kind::Mixed && repo.is_bare {
        return Err(Stop::fatal(
            "mixed reset is not allowed in a bare repository",
        ));
    }
    if kind != Kind::Soft {
        repo.need_work_tree()?;
    }
    if parsed.has("intent-to-add") && kind != Kind::Mixed {
        return Err(Stop::fatal("the option '-N' requires '--mixed'"));
    }
    if matches!(kind, Kind::Soft | Kind::Keep) {
        let conflicts = repo.index()?.entries.iter().any(|e| e.stage > 0);
        if repo.has_git_file("MERGE_HEAD") || conflicts {
            return Err(Stop::fatal(format!(
                "Cannot do a {} reset in the middle of a merge.",
                kind.name()
            )));
        }
    }
    if paths.is_empty() {
        branch_state::refuse_sequences(&repo)?;
    }
    let who = if paths.is_empty() && !unborn {
        Some(Identity::of(&repo, "COMMITTER")?)
    } else {
        None
    };
    let quiet = parsed.has("quiet");
    // What is said at the end has to be sayable before anything is changed.
    let said = match target.commit {
        Some(commit) if kind == Kind::Hard && !quiet => {
            let at = format!("HEAD is now at {} ", repo.short(commit)?);
            let title = branch_state::one_line(&repo, commit)?;
            Some([at.as_bytes(), &title, b"\n"].concat())
        }
        _ => None,
    };
    match kind {
        Kind::Soft => {}
        Kind::Mixed => {
            let spec = Pathspec::parse(&repo, &paths)?;
            let announce = parsed.has("intent-to-add");
            let refresh = parsed.last("refresh").is_none_or(|g| !g.negated);
            mixed(&repo, target.tree, &spec, announce, refresh, quiet, out)?;
        }
        Kind::Hard | Kind::Keep | Kind::Merge => files(&repo, kind, &target, &rev)?,
    }
    if let (Some(who), Some(commit)) = (who, target.commit) {
        move_head(&repo, &rev, commit, &who)?;
        out.put(said.unwrap_or_default());
    }
    if paths.is_empty() {
        branch_state::forget(&repo, false);
    }
    Ok(())
}

/// Makes index and work tree HEAD's again, as `git reset --hard --quiet` does.
pub(crate) fn hard_to_head(repo: &Repo<'_>, who: &Identity) -> Res<()> {
    let target = find_target(repo, b"HEAD", true, false)?;
    files(repo, Kind::Hard, &target, b"HEAD")?;
    if let Some(commit) = target.commit {
        move_head(repo, b"HEAD", commit, who)?;
    }
    branch_state::forget(repo, false);
    Ok(())
}

/// Tells the revision from the paths by git's rules.
fn split_arguments(repo: &Repo<'_>, parsed: &Parsed) -> Res<(Bytes, Vec<Bytes>)> {
    let args = &parsed.args;
    let rev_of = |text: &Bytes| {
        if text == b"@" {
            b"HEAD".to_vec()
        } else {
            text.clone()
        }
    };
    match parsed.before_dashes {
        Some(0) => return Ok((b"HEAD".to_vec(), args.clone())),
        Some(1) => return Ok((rev_of(&args[0]), args[1..].to_vec())),
        _ => {}
    }
    let Some(first) = args.first() else {
        return Ok((b"HEAD".to_vec(), Vec::new()));
    };
    let is_rev = match repo.resolve(first)? {
        Some(id) if args.len() == 1 => repo.peel_to_commit(id)?.is_some(),
        Some(id) => repo.peel_to_tree(id)?.is_some(),
        None => false,
    };
    let is_file = match from_top(repo, first) {
        Ok(Some(path)) if first.first() != Some(&b':') => {
            let top = repo.work_tree.clone().unwrap_or_default();
            std::fs::symlink_metadata(bytes::to_path(&bytes::join(&top, &path))).is_ok()
        }
        _ => false,
    };
    if is_rev {
        if is_file && repo.is_inside_work_tree() {
            return Err(Stop::fatal(format!(
                "ambiguous argument '{}': both revision and filename\n\
                 Use '--' to separate paths from revisions, like this:\n\
                 'git <command> [<revision>...] -- [<file>...]'",
                lossy(first)
            )));
        }
        return Ok((rev_of(first), args[1..].to_vec()));
    }
    let has_magic = first.first() == Some(&b':') || first.iter().any(|c| b"*?[\\".contains(c));
    if !is_file && !has_magic {
        return Err(ambiguous_argument(first));
    }
    if let Some(dashes) = parsed.before_dashes.filter(|n| *n > 1) {
        return Err(Stop::NotNative(format!("{dashes} arguments before `--`")));
    }
    Ok((b"HEAD".to_vec(), args.clone()))
}

/// What is reset to.
struct Target {
    commit: Option<Id>,
    tree: Id,
}

fn find_target(repo: &Repo<'_>, rev: &[u8], whole: bool, unborn: bool) -> Res<Target> {
    if unborn {
        return Ok(Target {
            commit: None,
            tree: Id::empty_tree(),
        });
    }
    let what = if whole { "revision" } else { "tree" };
    let failed = || {
        Stop::fatal(format!(
            "Failed to resolve '{}' as a valid {what}.",
            lossy(rev)
        ))
    };
    let id = repo.resolve(rev)?.ok_or_else(failed)?;
    if whole {
        let Some(commit) = repo.peel_to_commit(id)? else {
            return Err(Stop::not_native("a reset to what is no commit"));
        };
        return Ok(Target {
            commit: Some(commit),
            tree: repo.commit(commit)?.tree,
        });
    }
    let tree = repo.peel_to_tree(id)?.ok_or_else(failed)?;
    Ok(Target { commit: None, tree })
}

/// The index as the tree has it, and what is different in the work tree then.
fn mixed(
    repo: &Repo<'_>,
    tree: Id,
    spec: &Pathspec,
    announce: bool,
    refresh: bool,
    quiet: bool,
    out: &mut Out,
) -> Res<()> {
    let mut edit = IndexEdit::begin(repo)?;
    let tree_or_nothing = (tree != Id::empty_tree()).then_some(tree);
    let pairs = tree_index::changes(repo, tree_or_nothing, &edit.base, spec)?;
    // Announced files are different from every tree.
    let announced: Vec<Bytes> = edit
        .iter()
        .filter(|((path, _), item)| item.intent_to_add && (spec.is_empty() || spec.matches(path)))
        .map(|((path, _), _)| path.clone())
        .collect();
    for pair in &pairs {
        let path = pair.path().to_vec();
        let old = match pair.status {
            b'U' => match repo.path_in_tree(tree, &path) {
                Ok(Some((mode, id))) if !crate::repository::object::mode::is_tree(mode) => {
                    Some((mode, id))
                }
                _ => None,
            },
            _ => pair.old.exists().then_some((pair.old.mode, pair.old.id)),
        };
        // What is left out of the work tree stays so.
        let skip_worktree = match edit.get(&path) {
            Some(old) => old.skip_worktree,
            None => !edit.has(&path) && !edit.sparse.includes(&path),
        };
        match old {
            Some((mode, id)) => {
                let item = Item {
                    skip_worktree,
                    ..Item::new(mode, id)
                };
                edit.put(&path, item);
            }
            None if announce => {
                // What kind of file it was is forgotten.
                let mut item = Item::new(crate::repository::object::mode::FILE, Id::empty_blob());
                item.intent_to_add = true;
                item.skip_worktree = skip_worktree;
                edit.put(&path, item);
            }
            None => edit.remove(&path),
        }
    }
    for path in announced {
        let in_tree = repo.path_in_tree(tree, &path).ok().flatten();
        match in_tree {
            Some((mode, id)) => edit.put(&path, Item::new(mode, id)),
            None if announce => {}
            None => edit.remove(&path),
        }
    }
    repo.call.wrote.set(true);
    edit.commit()?;
    if !refresh {
        return Ok(());
    }
    print_unstaged(repo, quiet, out)
}

/// Refreshes the index and lists what is different in the work tree.
fn print_unstaged(repo: &Repo<'_>, quiet: bool, out: &mut Out) -> Res<()> {
    let index = repo.index()?;
    let found = work_tree::changes(repo, &index, &Pathspec::default())?;
    let mut lines: Vec<(Bytes, u8)> = Vec::new();
    for entry in index.entries.iter().filter(|e| e.stage > 0) {
        let path = index.path(entry).to_vec();
        if lines.last().is_none_or(|(p, _)| *p != path) {
            lines.push((path, b'U'));
        }
    }
    for pair in &found.pairs {
        let path = pair.path().to_vec();
        let entry = index.find(&path);
        let announced = entry.is_some_and(|e| e.intent_to_add);
        let only_dirty = pair.new.dirty && pair.new.id == pair.old.id;
        if only_dirty {
            continue;
        }
        let letter = match pair.status {
            b'D' => letter_of_missing(repo, &path)?,
            _ if announced => b'A',
            other => other,
        };
        lines.push((path, letter));
    }
    lines.sort();
    if !quiet && !lines.is_empty() {
        out.put("Unstaged changes after reset:\n");
    }
    for (path, letter) in &lines {
        if !quiet {
            out.put([&[*letter], b"\t".as_slice(), path, b"\n"].concat());
        } else if *letter == b'U' {
            out.put([path.as_slice(), b": needs merge\n"].concat());
        }
    }
    crate::work::refresh::write_always(repo, &index, &found.refreshed);
    Ok(())
}

/// A file that is not there may have made way for something else, which counts as a change.
fn letter_of_missing(repo: &Repo<'_>, path: &[u8]) -> Res<u8> {
    let full = bytes::join(repo.need_work_tree()?, path);
    Ok(match std::fs::symlink_metadata(bytes::to_path(&full)) {
        Ok(_) => b'T',
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => b'M',
        Err(_) => b'D',
    })
}

/// Index and work tree as the target has them.
fn files(repo: &Repo<'_>, kind: Kind, target: &Target, rev: &[u8]) -> Res<()> {
    let mut edit = IndexEdit::begin(repo)?;
    let (steps, rejects) = match kind {
        Kind::Keep => {
            let head = repo.head()?.id;
            let Some(head) = head else {
                return Err(Stop::fatal("You do not have a valid HEAD."));
            };
            let old = repo.commit(head)?.tree;
            unpack::two_way(repo, &edit, (old, target.tree), unpack::Trust::Times)?
        }
        Kind::Merge => unpack::one_way(repo, &edit, target.tree, true)?,
        _ => unpack::one_way(repo, &edit, target.tree, false)?,
    };
    if !rejects.is_empty() {
        repo.call.warn(unpack::first_reject_text(&rejects));
        return Err(Stop::fatal(format!(
            "Could not reset index file to revision '{}'.",
            lossy(rev)
        )));
    }
    let whole = steps.carry_out(repo, &mut edit)?;
    if kind == Kind::Keep {
        // What was staged and carried along is unstaged.
        let pairs = {
            let mut wanted = std::collections::BTreeMap::new();
            for pair in crate::repository::tree_diff::changes(
                repo,
                Id::ZERO,
                target.tree,
                &Pathspec::default(),
            )? {
                wanted.insert(pair.new.path, (pair.new.mode, pair.new.id));
            }
            wanted
        };
        let paths: Vec<Bytes> = edit.iter().map(|((path, _), _)| path.clone()).collect();
        for path in paths {
            if !pairs.contains_key(&path) {
                edit.forget(&path);
            }
        }
        for (path, (mode, id)) in pairs {
            if edit.get(&path).is_none_or(|i| i.mode != mode || i.id != id) {
                edit.put(&path, Item::new(mode, id));
            }
        }
    }
    edit.write_tree()?;
    edit.commit()?;
    if !whole {
        return Err(Stop::fatal(format!(
            "Could not reset index file to revision '{}'.",
            lossy(rev)
        )));
    }
    Ok(())
}

fn move_head(repo: &Repo<'_>, rev: &[u8], commit: Id, who: &Identity) -> Res<()> {
    let head = repo.head()?;
    if let Some(old) = head.id {
        repo.write_ref(b"ORIG_HEAD", format!("{old}\n").as_bytes())?;
        repo.log_ref(b"ORIG_HEAD", None, old, who, b"reset: updating ORIG_HEAD");
    }
    let message = [b"reset: moving to ".as_slice(), rev].concat();
    match &head.branch {
        Some(branch) => repo.set_ref(branch, head.id, commit, who, &message),
        None => repo.detach_head(commit, head.id, who, &message),
    }
}
