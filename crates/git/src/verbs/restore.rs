//! `git restore` and `git checkout -- <paths>`: paths from the index or a tree, into the index, the work tree or both.

use crate::exec::{Call, Plan, after_setup};
use crate::options::{Numbers, Spec, flag, maybe, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::repository::submodule;
use crate::repository::tree_diff;
use crate::text::bytes::{Bytes, lossy};
use crate::verbs::known;
use crate::work::checkout_file::WorkTree;
use crate::work::index_edit::{IndexEdit, Item};
use crate::work::pathspec::Pathspec;
use crate::work::pathspec_file::{self, FILE_NUL, FROM_FILE};
use crate::work::work_tree::Look;

const OPTIONS: &[Spec] = &[
    value("source", Some(b's')),
    flag("staged", Some(b'S')).or_no(),
    flag("worktree", Some(b'W')).or_no(),
    flag("quiet", Some(b'q')).or_no(),
    flag("progress", None).or_no(),
    flag("overlay", None).or_no(),
    flag("ours", Some(b'2')),
    flag("theirs", Some(b'3')),
    flag("merge", Some(b'm')).or_no(),
    flag("ignore-unmerged", None),
    flag("ignore-skip-worktree-bits", None),
    maybe("recurse-submodules", None).or_no(),
    FROM_FILE,
    FILE_NUL,
];

/// What is to be restored.
pub(crate) struct Paths<'a> {
    pub(crate) args: &'a [Bytes],
    /// The tree the paths come from; `None` is the index.
    pub(crate) source: Option<Id>,
    /// Whether the index is written.
    pub(crate) index: bool,
    pub(crate) work_tree: bool,
    /// Whether paths that the source does not have stay.
    pub(crate) overlay: bool,
    pub(crate) ours: bool,
    pub(crate) theirs: bool,
    /// Whether paths that are left out of the work tree are written as well.
    pub(crate) ignore_skip_bits: bool,
    /// Whether conflicts are made anew.
    pub(crate) merge: bool,
    /// The option that lets conflicts pass.
    pub(crate) ignore_unmerged: Option<&'static str>,
    pub(crate) quiet: bool,
    /// Whether to say how many paths were updated.
    pub(crate) count: bool,
}

/// Says what a restore would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse_known(args, OPTIONS, Numbers::No, &known::RESTORE).map(|_| Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let mut parsed = after_setup(
        call,
        parse_known(args, OPTIONS, Numbers::No, &known::RESTORE),
    )?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-checkout", "post-index-change"])?;
    let staged = parsed.has("staged");
    let asked = parsed.last("staged").is_some();
    let work_tree = parsed.last("worktree").map_or(!asked, |g| !g.negated);
    if !staged && !work_tree {
        return Err(Stop::fatal(
            "neither '--staged' or '--worktree' is specified",
        ));
    }
    let name = parsed.last("source").map(|g| g.text().to_vec());
    let name = name.or_else(|| staged.then(|| b"HEAD".to_vec()));
    let source = match &name {
        None => None,
        Some(name) => {
            let Some(id) = repo.resolve_place(name)? else {
                return Err(Stop::fatal(format!("could not resolve {}", lossy(name))));
            };
            match repo.peel_to_tree(id)? {
                Some(tree) => Some(tree),
                None => {
                    return Err(Stop::fatal(format!(
                        "reference is not a tree: {}",
                        lossy(name)
                    )));
                }
            }
        }
    };
    if parsed.has("recurse-submodules") {
        submodule::refuse_any(&repo)?;
    }
    parsed.args = pathspec_file::patterns(&repo, &parsed, &parsed.args)?;
    if parsed.args.is_empty() {
        return Err(Stop::fatal("you must specify path(s) to restore"));
    }
    let (ours, theirs) = (parsed.has("ours"), parsed.has("theirs"));
    if ours && theirs {
        return Err(Stop::not_native("this form of `restore`"));
    }
    let merges = parsed.has("merge");
    if staged && (ours || theirs || merges) {
        let options = if ours || theirs {
            "'--ours' or '--theirs'"
        } else {
            "'--merge' or '--conflict'"
        };
        return Err(Stop::fatal(format!(
            "{options} cannot be used with --staged"
        )));
    }
    update(
        &repo,
        &Paths {
            args: &parsed.args,
            source,
            index: staged,
            work_tree,
            overlay: parsed.has("overlay"),
            ours,
            theirs,
            merge: parsed.has("merge"),
            ignore_skip_bits: parsed.has("ignore-skip-worktree-bits"),
            ignore_unmerged: parsed.has("ignore-unmerged").then_some("--ignore-unmerged"),
            quiet: parsed.has("quiet"),
            count: false,
        },
        out,
    )
}

/// A path to be written, and what it gets.
struct Target {
    path: Bytes,
    item: Item,
}

/// Restores paths.
pub(crate) fn update(repo: &Repo<'_>, paths: &Paths<'_>, out: &mut Out) -> Res<()> {
    if paths.ours && paths.theirs {
        return Err(Stop::not_native("both sides of a conflict"));
    }
    let ways = [
        paths.ours || paths.theirs,
        paths.ignore_unmerged == Some("--force"),
        paths.merge,
    ];
    if ways.iter().filter(|w| **w).count() > 1 {
        return Err(Stop::fatal(
            "git checkout: --ours/--theirs, --force and --merge are incompatible when\n\
             checking out of the index.",
        ));
    }
    if paths.ignore_unmerged.is_some() && paths.merge {
        return Err(Stop::fatal(
            "options '--ignore-unmerged' and '-m' cannot be used together",
        ));
    }
    if (paths.ours || paths.theirs || paths.merge) && paths.source.is_some() {
        return Err(Stop::fatal(
            "'--merge', '--ours', or '--theirs' cannot be used when checking out of a tree",
        ));
    }
    let spec = Pathspec::parse(repo, paths.args)?;
    let mut edit = IndexEdit::begin(repo)?;
    let mut targets: Vec<Target> = Vec::new();
    let mut doomed: Vec<(Bytes, u32)> = Vec::new();
    let mut known: Vec<Bytes> = Vec::new();
    let mut from_tree: Vec<Target> = Vec::new();
    if let Some(tree) = paths.source {
        for pair in tree_diff::changes(repo, Id::ZERO, tree, &spec)? {
            let path = pair.new.path;
            if !spec.matches(&path) {
                continue;
            }
            let item = Item::new(pair.new.mode, pair.new.id);
            match edit.get(&path) {
                Some(old) if old.skip_worktree => {
                    if old.mode == item.mode && old.id == item.id {
                        continue;
                    }
                    return Err(Stop::not_native("paths that are not to be checked out"));
                }
                None if !edit.sparse.includes(&path) => {
                    return Err(Stop::not_native("paths that are not to be checked out"));
                }
                _ => {}
            }
            known.push(path.clone());
            from_tree.push(Target { path, item });
        }
    }
    // What is in the index and meant, one step for each path.
    let mut conflicts: Vec<Bytes> = Vec::new();
    for ((path, stage), item) in edit.iter() {
        let meant = spec.matches_side(path, edit.sides_before(path, *stage));
        if !meant || known.last() == Some(path) && *stage > 1 {
            continue;
        }
        if item.skip_worktree && paths.ignore_skip_bits {
            return Err(Stop::not_native("paths that are not to be checked out"));
        }
        if item.skip_worktree {
            continue;
        }
        if item.intent_to_add && paths.source.is_none() {
            return Err(Stop::not_native("restoring an announced file"));
        }
        let in_tree = from_tree
            .binary_search_by(|t| t.path.as_slice().cmp(path))
            .is_ok();
        if *stage > 0 {
            if paths.source.is_some() && (in_tree || paths.overlay) {
                continue;
            }
            if paths.source.is_some() && paths.ignore_unmerged.is_some() {
                return Err(Stop::not_native("conflicts that the source does not have"));
            }
            if conflicts.last() != Some(path) {
                conflicts.push(path.clone());
            }
            if !known.contains(path) {
                known.push(path.clone());
            }
            continue;
        }
        if paths.source.is_none() {
            known.push(path.clone());
            targets.push(Target {
                path: path.clone(),
                item: *item,
            });
        } else if !in_tree && !paths.overlay {
            known.push(path.clone());
            doomed.push((path.clone(), item.mode));
        }
    }
    targets.extend(from_tree);
    if report_unmatched(repo, paths.args, &known)? {
        out.code = 1;
        return Ok(());
    }
    if paths.merge && !conflicts.is_empty() {
        return Err(Stop::not_native("conflicts to be made anew"));
    }
    let sides = one_side(repo, paths, &edit, &conflicts)?;
    let Some(sides) = sides else {
        out.code = 1;
        return Ok(());
    };
    let mut work_tree = WorkTree::of(repo)?;
    for target in targets.iter().chain(&sides) {
        work_tree.refuse(&target.path, target.item.mode)?;
    }
    let before = if paths.work_tree {
        unchanged(repo, &edit, &targets)?
    } else {
        Vec::new()
    };
    repo.call.wrote.set(true);
    let mut failed = false;
    let mut n_written = 0;
    let has_attributes =
        |path: &[u8]| crate::text::bytes::basename(path) == b".gitattributes".as_slice();
    targets.sort_by_key(|t| !has_attributes(&t.path));
    for target in &targets {
        let path = target.path.as_slice();
        let mut item = match edit.get(path) {
            Some(old) if old.mode == target.item.mode && old.id == target.item.id => Item {
                intent_to_add: false,
                ..*old
            },
            _ => target.item,
        };
        if paths.work_tree && before.binary_search_by(|p| p.as_slice().cmp(path)).is_err() {
            match work_tree.write(path, target.item.mode, target.item.id)? {
                Ok(stat) => {
                    if !mode::is_commit(target.item.mode) {
                        item.stat = stat;
                        item.fresh = true;
                    }
                    n_written += 1;
                }
                Err(text) => {
                    repo.call.warn(format!("error: {text}\n"));
                    failed = true;
                }
            }
            if has_attributes(path) {
                work_tree = WorkTree::of(repo)?;
            }
        }
        edit.put(path, item);
    }
    for side in &sides {
        match work_tree.write(&side.path, side.item.mode, side.item.id)? {
            Ok(_) => n_written += 1,
            Err(text) => {
                repo.call.warn(format!("error: {text}\n"));
                failed = true;
            }
        }
    }
    for (path, mode) in &doomed {
        edit.remove(path);
        if paths.work_tree
            && let Err(text) = work_tree.remove(path, *mode)
        {
            repo.call.warn(format!("warning: {text}\n"));
        }
    }
    work_tree.remove_empty_directories();
    if paths.index {
        edit.commit()?;
    }
    if paths.count {
        print_count(repo, paths, n_written)?;
    }
    if failed {
        out.code = 1;
    }
    Ok(())
}

fn print_count(repo: &Repo<'_>, paths: &Paths<'_>, n: usize) -> Res<()> {
    let s = if n == 1 { "" } else { "s" };
    let from = match paths.source {
        Some(tree) => repo.short(tree)?,
        None => "the index".to_string(),
    };
    repo.call.warn(format!("Updated {n} path{s} from {from}\n"));
    Ok(())
}

/// Says which arguments mean nothing that is known; returns whether there was one.
fn report_unmatched(repo: &Repo<'_>, args: &[Bytes], known: &[Bytes]) -> Res<bool> {
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
    Ok(any)
}

/// Returns what is written for paths in conflict; `None` when that was refused.
fn one_side(
    repo: &Repo<'_>,
    paths: &Paths<'_>,
    edit: &IndexEdit<'_>,
    conflicts: &[Bytes],
) -> Res<Option<Vec<Target>>> {
    let stage = match (paths.ours, paths.theirs) {
        (true, _) => Some((2, "our")),
        (_, true) => Some((3, "their")),
        _ => None,
    };
    let mut sides = Vec::new();
    let mut refused = false;
    for path in conflicts {
        let shown = lossy(path);
        match (stage, paths.ignore_unmerged) {
            (_, Some(_)) => {
                if !paths.quiet {
                    repo.call
                        .warn(format!("warning: path '{shown}' is unmerged\n"));
                }
            }
            (None, None) => {
                repo.call
                    .warn(format!("error: path '{shown}' is unmerged\n"));
                refused = true;
            }
            (Some((stage, whose)), None) => match edit.stage(path, stage) {
                Some(item) => sides.push(Target {
                    path: path.clone(),
                    item: *item,
                }),
                None if paths.overlay => {
                    repo.call.warn(format!(
                        "error: path '{shown}' does not have {whose} version\n"
                    ));
                    refused = true;
                }
                None => return Err(Stop::not_native("a side that deletes a file")),
            },
        }
    }
    Ok((!refused).then_some(sides))
}

/// Lists the targets, sorted, whose files are already what they are to become.
fn unchanged(repo: &Repo<'_>, edit: &IndexEdit<'_>, targets: &[Target]) -> Res<Vec<Bytes>> {
    let mut look = Look::new(repo, &edit.base)?;
    let mut same = Vec::new();
    for target in targets {
        let Some(entry) = edit.base.find(&target.path).filter(|e| {
            e.stage == 0 && e.id == target.item.id && e.mode == target.item.mode && !e.intent_to_add
        }) else {
            continue;
        };
        let mut plain = *entry;
        plain.assume_valid = false;
        if look.is_clean_by_times(&plain, &target.path)? {
            same.push(target.path.clone());
        }
    }
    same.sort();
    Ok(same)
}
