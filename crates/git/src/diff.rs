//! `git diff`: work tree, index, commits and blobs against each other.

use deskhand_protocol::git::GitReport;

use crate::attr::Attributes;
use crate::bytes::{self, Bytes, lossy};
use crate::combined::{self, CombinedFile};
use crate::diff_options::{self, DiffOptions, Forms};
use crate::diff_print;
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::index::Index;
use crate::object::mode;
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::pair::{Contents, Pair, Side};
use crate::pathspec::{Pathspec, from_top};
use crate::repo::Repo;
use crate::rev_args::{self, RevArg};
use crate::{refresh, tree_diff, tree_index, work_tree};

fn specs() -> Vec<Spec> {
    let mut specs = diff_options::OPTIONS.to_vec();
    specs.extend([
        flag("cached", None),
        flag("staged", None),
        flag("merge-base", None),
    ]);
    specs
}

/// Says what a diff would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, &specs(), Numbers::No).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, &specs(), Numbers::No)?;
    let Some(repo) = Repo::find(call)? else {
        return Err(Stop::not_native("a comparison outside a repository"));
    };
    let mut options = DiffOptions::new(&repo, &parsed)?;
    if !options.forms.any() && !options.forms.none {
        options.forms.patch = true;
    }
    let cached = parsed.has("cached") || parsed.has("staged");
    if parsed.has("merge-base") {
        return Err(Stop::not_native("option `--merge-base`"));
    }
    if (options.exit_code || options.quiet)
        && (options.compare.ignores_space()
            || repo
                .config
                .entries
                .iter()
                .any(|e| e.key.ends_with(b".trustexitcode")))
    {
        return Err(Stop::not_native("an exit code that depends on contents"));
    }
    if let [a, b] = parsed.args.as_slice()
        && (from_top(&repo, a)?.is_none() || from_top(&repo, b)?.is_none())
    {
        return Err(Stop::not_native("a comparison outside the repository"));
    }
    let (revs, paths) = rev_args::split(&repo, &parsed, "diff")?;
    let spec = Pathspec::parse(&repo, &paths)?;
    let index = repo.index()?;
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let mut refreshed = Vec::new();
    let mut combined_files = Vec::new();
    let sides = Sides::of(&repo, &revs, cached)?;
    let (pairs, letters) = match &sides {
        Sides::IndexAndWorkTree => {
            repo.need_work_tree()?;
            let (found, conflicts) =
                unmerged_and_changes(&repo, &index, &spec, &contents, &options, &mut refreshed)?;
            combined_files = conflicts;
            (found, (b"i/", b"w/"))
        }
        Sides::TreeAndIndex(id) => (
            tree_index::changes(&repo, *id, &index, &spec)?,
            (b"c/", b"i/"),
        ),
        Sides::TreeAndWorkTree(id) => {
            repo.need_work_tree()?;
            (
                tree_and_work_tree(&repo, *id, &index, &spec, &mut refreshed)?,
                (b"c/", b"w/"),
            )
        }
        Sides::Trees(old, new) => (
            tree_diff::changes(&repo, *old, *new, &spec)?,
            (b"a/", b"b/"),
        ),
        Sides::Blobs(old, new) if old.id == new.id && old.mode == new.mode => {
            (Vec::new(), (b"a/", b"b/"))
        }
        Sides::Blobs(old, new) => (vec![Pair::new(old.clone(), new.clone())], (b"a/", b"b/")),
    };
    let pairs = diff_print::prepare(pairs, &contents, &options)?;
    let prefixes = options.prefixes(letters.0, letters.1);
    for file in &combined_files {
        combined::print(&contents, file, &options, out)?;
    }
    let found = if options.quiet {
        !pairs.is_empty()
    } else {
        let report = diff_print::print(&contents, &pairs, &options, &prefixes, out)?;
        let found = !report.files.is_empty();
        out.report = Some(GitReport::Diff(report));
        found
    };
    if options.exit_code && found {
        out.code = 1;
    }
    drop(contents);
    drop(attributes);
    refresh::write(&repo, &index, &refreshed);
    Ok(())
}

/// What is compared.
enum Sides {
    IndexAndWorkTree,
    TreeAndIndex(Option<Id>),
    TreeAndWorkTree(Id),
    Trees(Id, Id),
    Blobs(Side, Side),
}

impl Sides {
    fn of(repo: &Repo<'_>, revs: &[RevArg], cached: bool) -> Res<Sides> {
        let tree = |arg: &RevArg| -> Res<Id> {
            repo.peel_to_tree(arg.id)?
                .ok_or_else(|| Stop::NotNative(format!("comparing `{}`", lossy(&arg.text))))
        };
        if revs.iter().any(|r| r.path.is_some() || r.is_blob) {
            return Sides::blobs(revs, cached);
        }
        match (revs, cached) {
            ([], false) => Ok(Sides::IndexAndWorkTree),
            ([], true) => Ok(Sides::TreeAndIndex(repo.head()?.id)),
            ([one], true) if !one.exclude => Ok(Sides::TreeAndIndex(Some(tree(one)?))),
            ([one], false) if !one.exclude => Ok(Sides::TreeAndWorkTree(tree(one)?)),
            // `A...B` gives merge bases first; `A..B` and `^A B` give the excluded side first.
            ([a, b], false) if a.symmetric && b.symmetric => {
                let base = repo.git.merge_bases(a.id.oid(), b.id.oid());
                match base {
                    Ok(bases) if bases.len() == 1 => Ok(Sides::Trees(
                        tree(&RevArg {
                            id: bases[0].into(),
                            ..a.clone()
                        })?,
                        tree(b)?,
                    )),
                    Ok(_) => Err(Stop::not_native("several merge bases")),
                    Err(_) => {
                        let range = [a.text.as_slice(), b"...", &b.text].concat();
                        Err(Stop::fatal(
                            [&range, b": no merge base".as_slice()].concat(),
                        ))
                    }
                }
            }
            ([a, b], false) if a.exclude && !b.exclude => Ok(Sides::Trees(tree(a)?, tree(b)?)),
            ([a, b], false) if !a.exclude && b.exclude => Ok(Sides::Trees(tree(b)?, tree(a)?)),
            ([a, b], false) if !a.exclude && !b.exclude => Ok(Sides::Trees(tree(a)?, tree(b)?)),
            _ => Err(Stop::not_native("comparing more than two")),
        }
    }

    fn blobs(revs: &[RevArg], cached: bool) -> Res<Sides> {
        let [a, b] = revs else {
            return Err(Stop::not_native("comparing a blob"));
        };
        if cached || !a.is_blob || !b.is_blob {
            return Err(Stop::not_native("comparing a blob with something else"));
        }
        let side = |arg: &RevArg| Side {
            path: arg.path.clone().unwrap_or_else(|| arg.text.clone()),
            mode: if arg.mode == 0 { mode::FILE } else { arg.mode },
            id: arg.id,
            dirty: false,
        };
        Ok(Sides::Blobs(side(a), side(b)))
    }
}

/// Lists conflicts and changes of the work tree against the index, in order of the paths.
fn unmerged_and_changes(
    repo: &Repo<'_>,
    index: &Index,
    spec: &Pathspec,
    contents: &Contents<'_>,
    options: &DiffOptions,
    refreshed: &mut Vec<(usize, crate::index::Stat)>,
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
        let new = work_tree_side(repo, path)?;
        if let (true, Some(ours), Some(theirs)) = (options.forms.patch, side(2), side(3)) {
            if options.forms
                != (Forms {
                    patch: true,
                    ..Forms::default()
                })
                || options.exit_code
                || options.reverse
            {
                return Err(Stop::not_native("this form of a combined diff"));
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

/// Returns a path as it is in the work tree.
fn work_tree_side(repo: &Repo<'_>, path: &[u8]) -> Res<Side> {
    let full = bytes::join(repo.need_work_tree()?, path);
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
    refreshed: &mut Vec<(usize, crate::index::Stat)>,
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
