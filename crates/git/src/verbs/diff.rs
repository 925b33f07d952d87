//! `git diff`: work tree, index, commits and blobs against each other.

use deskhand_protocol::git::GitReport;

use crate::compare::combined::{self, CombinedFile};
use crate::compare::diff_options::{self, DiffOptions, Forms};
use crate::compare::diff_print::{self, Found};
use crate::compare::pair::{Contents, Pair, Side};
use crate::exec::{Call, Plan};
use crate::history::follow;
use crate::history::rev_args::{self, RevArg};
use crate::options::{Known, Numbers, Parsed, Spec, flag, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::repository::submodule;
use crate::repository::tree_diff;
use crate::request::OutputLimits;
use crate::text::bytes::{self, Bytes, lossy};
use crate::work::attr::Attributes;
use crate::work::index::Index;
use crate::work::pathspec::{Pathspec, from_top};
use crate::work::refresh;
use crate::work::tree_index;
use crate::work::work_tree;

fn specs() -> Vec<Spec> {
    let mut specs = diff_options::OPTIONS.to_vec();
    specs.extend([
        flag("cached", None),
        flag("staged", None),
        flag("merge-base", None),
        flag("no-index", None),
        flag("cc", None),
        flag("c", Some(b'c')),
        flag("base", Some(b'1')),
        flag("ours", Some(b'2')),
        flag("theirs", Some(b'3')),
        flag("unmerged", Some(b'0')),
    ]);
    specs
}

/// What `git diff` knows; what walks history it takes too, and does nothing with.
const KNOWN: Known = Known {
    long: concat!(
        "cached staged merge-base no-index base ours theirs max-count cc combined-all-paths diff-merges ignore-missing ",
        "textconv ext-diff all not branches tags remotes glob exclude root full-diff pretty format ",
        "patch unified function-context raw patch-with-raw patch-with-stat numstat shortstat dirstat cumulative ",
        "dirstat-by-file check summary name-only name-status stat stat-width stat-name-width stat-graph-width ",
        "stat-count compact-summary binary full-index color ws-error-highlight src-prefix dst-prefix line-prefix ",
        "prefix default-prefix inter-hunk-context output-indicator-new output-indicator-old ",
        "output-indicator-context break-rewrites find-renames irreversible-delete find-copies find-copies-harder ",
        "renames rename-empty follow minimal ignore-all-space ignore-space-change ignore-space-at-eol ",
        "ignore-cr-at-eol ignore-blank-lines ignore-matching-lines indent-heuristic patience histogram ",
        "diff-algorithm anchored word-diff word-diff-regex color-words color-moved color-moved-ws relative text ",
        "exit-code quiet ignore-submodules submodule ita-invisible-in-index ita-visible-in-index pickaxe-all ",
        "pickaxe-regex rotate-to skip-to find-object diff-filter output abbrev diff-tree since until after before ",
        "left-right left-only right-only cherry-pick cherry-mark cherry merges topo-order date-order reverse first-parent"
    ),
    short: "pusUXWBMDCRawbGSOzlIrtmc0123qnvh",
    usage: None,
};

fn parse_arguments(args: &[Bytes]) -> Res<Parsed> {
    parse_known(args, &specs(), Numbers::No, &KNOWN)
}

/// Says what a diff would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse_arguments(args).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse_arguments(args)?;
    if parsed.has("no-index") {
        return Err(Stop::not_native("option `--no-index`"));
    }
    let Some(repo) = Repo::find(call)? else {
        if !call.globals.config.is_empty() {
            return Err(Stop::not_native(
                "settings of a comparison outside a repository",
            ));
        }
        return Err(outside(&parsed));
    };
    let mut options = DiffOptions::new(&repo, &parsed)?;
    if !options.forms.any() && !options.forms.none {
        options.forms.patch = true;
    }
    let cached = parsed.has("cached") || parsed.has("staged");
    if let [a, b] = parsed.args.as_slice()
        && (from_top(&repo, a)?.is_none() || from_top(&repo, b)?.is_none())
    {
        return Err(Stop::not_native("a comparison outside the repository"));
    }
    if repo
        .config
        .entries
        .iter()
        .any(|e| e.key.ends_with(b".trustexitcode"))
        && (options.exit_code || options.quiet)
    {
        return Err(Stop::not_native("an exit code that depends on a program"));
    }
    let (revs, paths) = rev_args::split(&repo, &parsed, "diff")?;
    if let Some(option) = &parsed.unknown {
        let usage = include_str!("usage/diff.txt");
        return Err(Stop::Fail {
            code: 129,
            text: [
                b"error: invalid option: ".as_slice(),
                option,
                b"\n",
                usage.as_bytes(),
            ]
            .concat(),
        });
    }
    let names_only = options.forms.raw || options.forms.name_only || options.forms.name_status;
    if (options.exit_code || options.quiet) && options.compare.ignores_space() && names_only {
        return Err(Stop::not_native("an exit code that depends on contents"));
    }
    let colours = parsed
        .options
        .iter()
        .filter(|g| g.name.starts_with("color-moved"));
    for word in colours.flat_map(|g| g.text().split(|c| *c == b',')) {
        const KNOWN: &[&[u8]] = &[
            b"",
            b"no",
            b"default",
            b"plain",
            b"blocks",
            b"zebra",
            b"dimmed-zebra",
        ];
        if !KNOWN.contains(&word) {
            return Err(Stop::not_native("a kind of moved lines"));
        }
    }
    let spec = Pathspec::parse(&repo, &paths)?;
    if options.follow && spec.single().is_none() {
        return Err(Stop::fatal("--follow requires exactly one pathspec"));
    }
    let index = repo.index()?;
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let mut refreshed = Vec::new();
    let mut combined_files = Vec::new();
    let mut unchanged_in: Option<Id> = None;
    let sides = Sides::of(&repo, &revs, &paths, cached, parsed.has("merge-base"))?;
    if (parsed.has("c") || parsed.has("cc"))
        && !matches!(sides, Sides::IndexAndWorkTree | Sides::Trees(..))
    {
        return Err(Stop::not_native("this form of a combined diff"));
    }
    let stages = ["base", "ours", "theirs", "unmerged"];
    if let Some(stage) = stages.iter().find(|s| parsed.has(s)) {
        // Where there are no conflicts, all of them are the same.
        let is_conflict = |e: &crate::work::index::Entry| e.stage > 0;
        if !matches!(sides, Sides::IndexAndWorkTree) || index.entries.iter().any(is_conflict) {
            return Err(Stop::NotNative(format!("option `--{stage}`")));
        }
    }
    let (mut pairs, letters) = match &sides {
        Sides::IndexAndWorkTree => {
            repo.need_work_tree()?;
            let (found, conflicts) =
                unmerged_and_changes(&repo, &index, &spec, &contents, &options, &mut refreshed)?;
            combined_files = conflicts;
            if options.with_copies_harder() {
                return Err(Stop::not_native("copies from unchanged files"));
            }
            (found, (b"i/", b"w/"))
        }
        Sides::TreeAndIndex(id) => {
            unchanged_in = *id;
            (
                tree_index::changes(&repo, *id, &index, &spec)?,
                (b"c/", b"i/"),
            )
        }
        Sides::TreeAndWorkTree(id) => {
            repo.need_work_tree()?;
            unchanged_in = Some(*id);
            (
                tree_and_work_tree(&repo, *id, &index, &spec, &mut refreshed)?,
                (b"c/", b"w/"),
            )
        }
        Sides::Trees(old, new) => {
            unchanged_in = Some(*old);
            (
                tree_diff::changes(&repo, *old, *new, &spec)?,
                (b"a/", b"b/"),
            )
        }
        Sides::Blobs(old, new) if old.id == new.id && old.mode == new.mode => {
            (Vec::new(), (b"a/", b"b/"))
        }
        Sides::Blobs(old, new) if new.is_in_work_tree() => {
            (vec![Pair::new(old.clone(), new.clone())], (b"o/", b"w/"))
        }
        Sides::Blobs(old, new) => (vec![Pair::new(old.clone(), new.clone())], (b"a/", b"b/")),
        Sides::Combined(parents, result) => {
            if options.forms.counts() || options.forms.summary || options.forms.dirstat {
                return Err(Stop::not_native("this form of a combined diff"));
            }
            combined_files = combined::of_trees(&contents, parents, *result, &spec, &options)?;
            if combined_files.iter().any(|f| !f.result.exists()) {
                return Err(Stop::not_native("a file that is gone in a combined diff"));
            }
            (Vec::new(), (b"a/", b"b/"))
        }
    };
    let mut found = Found::Nothing;
    if options.with_copies_harder()
        && let Some(id) = unchanged_in
    {
        let tree = repo.peel_to_tree(id)?.unwrap_or_default();
        pairs = follow::with_unchanged(&repo, tree, pairs, &spec)?;
        found = Found::Unchanged;
    }
    let is_submodule = |p: &Pair| mode::is_commit(p.old.mode) || mode::is_commit(p.new.mode);
    let of_work_tree = matches!(sides, Sides::IndexAndWorkTree | Sides::TreeAndWorkTree(_));
    if options.forms.raw
        && of_work_tree
        && pairs
            .iter()
            .any(|p| is_submodule(p) && p.old.id != p.new.id)
    {
        // git shows no id there, and which one it has is known here.
        return Err(Stop::not_native("raw output of a submodule"));
    }
    if repo.work_tree.is_some() && pairs.iter().any(is_submodule) {
        submodule::refuse_ignore_settings(&repo)?;
    }
    let pairs = diff_print::prepare_with(pairs, found, &contents, &options)?;
    let prefixes = options.prefixes(letters.0, letters.1);
    // A merge has no direction to turn around.
    let forward = DiffOptions {
        reverse: false,
        ..options.clone()
    };
    let lists = options.forms.raw || options.forms.name_only || options.forms.name_status;
    for file in &combined_files {
        if lists {
            combined::print_name(&contents, file, &forward, out)?;
        } else if options.forms.patch && !options.quiet {
            let dense = parsed
                .options
                .iter()
                .rev()
                .find(|g| matches!(g.name, "c" | "cc"))
                .is_none_or(|g| g.name == "cc");
            combined::print_patch(&contents, file, &forward, dense, out)?;
        }
    }
    let found = if options.quiet {
        has_changes(&contents, &pairs, &options, &prefixes)?
    } else {
        let printed = diff_print::print(&contents, &pairs, &options, &prefixes, out)?;
        out.report = Some(GitReport::Diff(printed.report));
        if printed.check_failed {
            out.code = 2;
        }
        if options.forms.patch {
            printed.has_changes
        } else {
            has_changes(&contents, &pairs, &options, &prefixes)?
        }
    };
    if options.exit_code && found {
        out.code |= 1;
    }
    drop(contents);
    drop(attributes);
    refresh::write(&repo, &index, &refreshed);
    Ok(())
}

/// Ends a comparison outside of any repository, unless two files are compared.
fn outside(parsed: &Parsed) -> Stop {
    if parsed.args.len() == 2 {
        return Stop::not_native("a comparison outside a repository");
    }
    let in_repositories = ["cached", "staged", "merge-base", "c", "cc"];
    let complaint = match parsed.options.iter().find(|g| in_repositories.contains(&g.name)) {
        Some(given) => format!("error: unknown option `{}'\n", given.name),
        None => "warning: Not a git repository. Use --no-index to compare two paths outside a working tree\n"
            .to_string(),
    };
    let usage = include_str!("usage/diff-no-index.txt");
    Stop::Fail {
        code: 129,
        text: [complaint.as_bytes(), usage.as_bytes()].concat(),
    }
}

/// Says whether there is any difference that counts.
fn has_changes(
    contents: &Contents<'_>,
    pairs: &[Pair],
    options: &DiffOptions,
    prefixes: &(Bytes, Bytes),
) -> Res<bool> {
    if pairs.is_empty() || !options.exit_code || !options.compares_loosely() {
        return Ok(!pairs.is_empty());
    }
    let mut only_patch = options.clone();
    only_patch.forms = Forms {
        patch: true,
        ..Forms::default()
    };
    let mut nowhere = Out::new(OutputLimits { head: 0, tail: 0 });
    Ok(diff_print::print(contents, pairs, &only_patch, prefixes, &mut nowhere)?.has_changes)
}

/// What is compared.
enum Sides {
    IndexAndWorkTree,
    TreeAndIndex(Option<Id>),
    TreeAndWorkTree(Id),
    Trees(Id, Id),
    Blobs(Side, Side),
    /// Several trees with the first one.
    Combined(Vec<Id>, Id),
}

impl Sides {
    fn of(
        repo: &Repo<'_>,
        revs: &[RevArg],
        paths: &[Bytes],
        cached: bool,
        merge_base: bool,
    ) -> Res<Sides> {
        let tree = |arg: &RevArg| -> Res<Id> {
            repo.peel_to_tree(arg.id)?
                .ok_or_else(|| Stop::NotNative(format!("comparing `{}`", lossy(&arg.text))))
        };
        if revs.iter().any(|r| r.is_blob) {
            return Sides::blobs(repo, revs, paths, cached);
        }
        if merge_base {
            return Sides::from_merge_base(repo, revs, cached);
        }
        match (revs, cached) {
            ([], false) => Ok(Sides::IndexAndWorkTree),
            ([], true) => Ok(Sides::TreeAndIndex(repo.head()?.id)),
            ([one], true) if !one.exclude => Ok(Sides::TreeAndIndex(Some(tree(one)?))),
            ([one], false) if !one.exclude => Ok(Sides::TreeAndWorkTree(tree(one)?)),
            // `A...B` gives merge bases first; `A..B` and `^A B` give the excluded side first.
            ([a, b], false) if a.symmetric && b.symmetric => {
                let commit = |rev: &RevArg| repo.peel_to_commit(rev.id);
                let (Some(left), Some(right)) = (commit(a)?, commit(b)?) else {
                    return Err(Stop::not_native("a range of what are no commits"));
                };
                match rev_args::merge_bases(repo, left, right)?.as_slice() {
                    [base] => Ok(Sides::Trees(repo.commit(*base)?.tree, tree(b)?)),
                    [] => {
                        let range = [a.text.as_slice(), b"...", &b.text].concat();
                        Err(Stop::fatal(
                            [&range, b": no merge base".as_slice()].concat(),
                        ))
                    }
                    _ => Err(Stop::not_native("several merge bases")),
                }
            }
            ([a, b], false) if a.exclude && !b.exclude => Ok(Sides::Trees(tree(a)?, tree(b)?)),
            ([a, b], false) if !a.exclude && b.exclude => Ok(Sides::Trees(tree(b)?, tree(a)?)),
            ([a, b], false) if !a.exclude && !b.exclude => Ok(Sides::Trees(tree(a)?, tree(b)?)),
            _ if revs.len() > 2 && revs.iter().all(|r| r.is_parent) => {
                Err(Stop::fatal("no merge given, only parents."))
            }
            ([result, parents @ ..], false)
                if parents.len() > 1
                    && !result.is_parent
                    && revs.iter().all(|r| !r.exclude && !r.symmetric) =>
            {
                let parents: Res<Vec<Id>> = parents.iter().map(tree).collect();
                Ok(Sides::Combined(parents?, tree(result)?))
            }
            _ => Err(Stop::not_native("comparing more than two")),
        }
    }

    /// `--merge-base`: the first side is where both came from.
    fn from_merge_base(repo: &Repo<'_>, revs: &[RevArg], cached: bool) -> Res<Sides> {
        let commit = |id: Id| -> Res<Id> {
            repo.peel_to_commit(id)?
                .ok_or_else(|| Stop::fatal("--merge-base only works with commits"))
        };
        let base = |a: Id, b: Id| -> Res<Id> {
            match rev_args::merge_bases(repo, a, b)?.as_slice() {
                [only] => Ok(repo.commit(*only)?.tree),
                [] => Err(Stop::fatal("no merge base found")),
                _ => Err(Stop::fatal("multiple merge bases found")),
            }
        };
        match revs {
            [one] if !one.exclude => {
                let head = repo.head()?.id.ok_or_else(|| {
                    Stop::not_native("a merge base with a branch without commits")
                })?;
                let base = base(head, commit(one.id)?)?;
                Ok(if cached {
                    Sides::TreeAndIndex(Some(base))
                } else {
                    Sides::TreeAndWorkTree(base)
                })
            }
            [a, b] if !cached && !a.exclude && !b.exclude && !a.symmetric => {
                let (a, b) = (commit(a.id)?, commit(b.id)?);
                Ok(Sides::Trees(base(a, b)?, repo.commit(b)?.tree))
            }
            _ => Err(Stop::not_native("this form of `--merge-base`")),
        }
    }

    fn blobs(repo: &Repo<'_>, revs: &[RevArg], paths: &[Bytes], cached: bool) -> Res<Sides> {
        let side = |arg: &RevArg| Side {
            path: arg.path.clone().unwrap_or_else(|| arg.text.clone()),
            mode: if arg.mode == 0 { mode::FILE } else { arg.mode },
            id: arg.id,
            dirty: false,
        };
        match (revs, paths) {
            ([a, b], []) if !cached && a.is_blob && b.is_blob => Ok(Sides::Blobs(side(a), side(b))),
            ([a], [path]) if !cached && a.is_blob => {
                let Some(path) = crate::work::pathspec::from_top(repo, path)? else {
                    return Err(Stop::not_native("comparing a blob with something else"));
                };
                let new = work_tree_side(repo, &path)?;
                if !new.exists() {
                    return Err(Stop::not_native("comparing a blob with something else"));
                }
                let mut old = side(a);
                if a.mode == 0 {
                    old.mode = new.mode;
                }
                if a.path.is_none() {
                    old.path = new.path.clone();
                }
                Ok(Sides::Blobs(old, new))
            }
            _ => Err(Stop::not_native("comparing a blob with something else")),
        }
    }
}

/// Lists conflicts and changes of the work tree against the index, in order of the paths.
fn unmerged_and_changes(
    repo: &Repo<'_>,
    index: &Index,
    spec: &Pathspec,
    contents: &Contents<'_>,
    options: &DiffOptions,
    refreshed: &mut Vec<(usize, crate::work::index::Stat)>,
) -> Res<(Vec<Pair>, Vec<CombinedFile>)> {
    let mut found = work_tree::changes(repo, index, spec)?;
    found.forget_untracked_in_submodules();
    refreshed.extend(found.refreshed);
    let mut pairs = found.pairs;
    let mut conflicts: Vec<Pair> = Vec::new();
    let mut combined = Vec::new();
    let mut at = 0;
    while let Some(entry) = index.entries.get(at) {
        let path = index.path(entry);
        let group: Vec<_> = index.entries[at..]
            .iter()
            .take_while(|e| index.path(e) == path)
            .collect();
        at += group.len();
        if entry.stage == 0 || !spec.matches(path) {
            continue;
        }
        let side = |stage: u8| {
            let found = group.iter().find(|e| e.stage == stage)?;
            Some(Side {
                path: path.to_vec(),
                mode: found.mode,
                id: found.id,
                dirty: false,
            })
        };
        if options
            .relative
            .as_ref()
            .is_some_and(|base| !path.starts_with(base))
        {
            continue;
        }
        let new = work_tree_side(repo, path)?;
        if let (true, Some(ours), Some(theirs)) =
            (options.forms.patch && !options.quiet, side(2), side(3))
        {
            if mode::is_commit(ours.mode) || mode::is_commit(theirs.mode) {
                return Err(Stop::not_native("a conflict about a submodule"));
            }
            combined.push(CombinedFile::of_conflict(ours, theirs, new));
            continue;
        }
        let mut pair = Pair::unmerged(path);
        pair.new.mode = new.mode;
        conflicts.push(pair);
        if let Some(old) = side(2)
            && (new.mode != old.mode || contents.id(&new)? != old.id)
        {
            conflicts.push(Pair::new(old, new));
        }
    }
    pairs.extend(conflicts);
    pairs.sort_by(|a, b| a.path().cmp(b.path()));
    Ok((pairs, combined))
}

/// Lists what differs between a tree and the work tree, a letter and a path each, as a checkout does at its end.
pub(crate) fn print_local_changes(repo: &Repo<'_>, tree: Id, out: &mut Out) -> Res<()> {
    let parsed = crate::options::Parsed::default();
    let mut options = DiffOptions::new(repo, &parsed)?;
    options.forms.name_status = true;
    options.renames = None;
    let index = repo.index()?;
    let spec = Pathspec::default();
    let mut refreshed = Vec::new();
    let pairs = tree_and_work_tree(repo, tree, &index, &spec, &mut refreshed)?;
    let attributes = Attributes::load(repo, Some(&index))?;
    let contents = Contents::new(repo, &attributes, Some(&index));
    let pairs = diff_print::prepare(pairs, &contents, &options)?;
    let prefixes = options.prefixes(b"c/", b"w/");
    diff_print::print(&contents, &pairs, &options, &prefixes, out)?;
    Ok(())
}

/// Returns a path as it is in the work tree.
pub(crate) fn work_tree_side(repo: &Repo<'_>, path: &[u8]) -> Res<Side> {
    let full = bytes::join(repo.need_work_tree()?, path);
    if work_tree::is_behind_link(repo, path)? {
        return Ok(Side::absent(path));
    }
    let mode = match std::fs::symlink_metadata(bytes::to_path(&full)) {
        Ok(meta) if meta.is_symlink() => mode::LINK,
        Ok(meta) if meta.is_file() && work_tree::is_executable(&meta) => mode::EXECUTABLE,
        Ok(meta) if meta.is_file() => mode::FILE,
        _ => 0,
    };
    Ok(Side {
        path: path.to_vec(),
        mode,
        id: Id::ZERO,
        dirty: false,
    })
}

/// Compares a tree with the work tree, through the index: what is not in the index is not there.
fn tree_and_work_tree(
    repo: &Repo<'_>,
    tree: Id,
    index: &Index,
    spec: &Pathspec,
    refreshed: &mut Vec<(usize, crate::work::index::Stat)>,
) -> Res<Vec<Pair>> {
    let staged = tree_index::changes(repo, Some(tree), index, spec)?;
    let mut found = work_tree::changes(repo, index, spec)?;
    found.forget_untracked_in_submodules();
    refreshed.extend(found.refreshed);
    // What was only announced with `add -N` and is gone again is on neither side.
    let was_there =
        |pair: &Pair| pair.new.exists() || index.find(pair.path()).is_none_or(|e| !e.intent_to_add);
    let mut unstaged = found.pairs.into_iter().filter(was_there).peekable();
    let mut pairs = Vec::new();
    for pair in staged {
        while let Some(change) = unstaged.next_if(|c| c.path() < pair.old.path.as_slice()) {
            pairs.push(change);
        }
        let path = pair.old.path.clone();
        let change = unstaged.next_if(|c| c.path() == path.as_slice());
        let new = match change {
            _ if pair.status == b'U' => work_tree_side(repo, &path)?,
            Some(change) => change.new,
            None => pair.new,
        };
        if !pair.old.exists() && !new.exists() {
            continue;
        }
        if new.is_in_work_tree() && pair.old.exists() && new.mode == pair.old.mode {
            // The work tree may be back at what the tree has.
            let attributes = Attributes::load(repo, Some(index))?;
            if Contents::new(repo, &attributes, Some(index)).id(&new)? == pair.old.id {
                continue;
            }
        }
        pairs.push(Pair::new(pair.old, new));
    }
    pairs.extend(unstaged);
    Ok(pairs)
}
