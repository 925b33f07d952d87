//! `git diff-tree`, `diff-index` and `diff-files`: the comparisons for programs.
//!
//! They take no notice of most settings, show whole ids, look for no renames unless asked to, and do not look into
//! files whose times changed: those count as different.

use crate::compare::combined;
use crate::compare::diff_options::{self, DiffOptions};
use crate::compare::diff_print;
use crate::compare::pair::{Contents, Pair, Side};
use crate::exec::{Call, Plan};
use crate::history::rev_args::{self, RevArg};
use crate::options::{Numbers, Parsed, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::{TreeEntry, mode, tree_entries};
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::{Bytes, lossy};
use crate::verbs::diff;
use crate::work::attr::Attributes;
use crate::work::index::{Entry, Index};
use crate::work::pathspec::Pathspec;
use crate::work::tree_index;
use crate::work::work_tree;

const TREE: &[Spec] = &[
    flag("r", Some(b'r')),
    flag("root", None),
    flag("no-commit-id", None),
    flag("m", Some(b'm')),
    flag("c", Some(b'c')),
    flag("cc", None),
    flag("merge-base", None),
];
const INDEX: &[Spec] = &[
    flag("cached", None),
    flag("merge-base", None),
    flag("missing", Some(b'm')),
];
const FILES: &[Spec] = &[flag("silent", Some(b'q'))];

fn arguments(args: &[Bytes], more: &[Spec]) -> Res<Parsed> {
    let mut specs = more.to_vec();
    specs.extend_from_slice(diff_options::OPTIONS);
    let parsed = parse(args, &specs, Numbers::No)?;
    // What is written out in these tables is not always an option of git under that name.
    let only_short = ["--missing", "--silent", "--r", "--m", "--c"];
    if let Some(odd) = args
        .iter()
        .find(|a| only_short.iter().any(|o| o.as_bytes() == a.as_slice()))
    {
        return Err(Stop::NotNative(format!("option `{}`", lossy(odd))));
    }
    Ok(parsed)
}

/// Says what a diff-tree would do.
pub(crate) fn plan_tree(args: &[Bytes]) -> Res<Plan> {
    arguments(args, TREE).map(|_| Plan::Read)
}

/// Says what a diff-index would do.
pub(crate) fn plan_index(args: &[Bytes]) -> Res<Plan> {
    arguments(args, INDEX).map(|_| Plan::Read)
}

/// Says what a diff-files would do.
pub(crate) fn plan_files(args: &[Bytes]) -> Res<Plan> {
    arguments(args, FILES).map(|_| Plan::Read)
}

/// Carries out `git diff-tree`.
pub(crate) fn run_tree(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = arguments(args, TREE)?;
    let repo = Repo::open(call)?;
    let mut options = options(&repo, &parsed)?;
    let has = |name: &str| parsed.has(name);
    if !options.forms.any() && !options.forms.none {
        options.forms.patch = has("cc");
        options.forms.raw = !options.forms.patch;
    }
    let (revs, paths) = rev_args::split(&repo, &parsed, "diff-tree")?;
    let spec = Pathspec::parse(&repo, &paths)?;
    let index = repo.index()?;
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let recursive = has("r")
        || options.forms.needs_contents()
        || options.forms.summary
        || options.pickaxe.is_some();
    let job = Job {
        repo: &repo,
        contents: &contents,
        options: &options,
        spec: &spec,
        letters: (b"a/", b"b/"),
    };
    if let [one] = revs.as_slice()
        && !one.exclude
    {
        let Some(id) = repo.peel_to_commit(one.id)? else {
            return Err(Stop::not_native("a comparison of one tree"));
        };
        return job.commit(id, &parsed, recursive, out);
    }
    if has("c") || has("cc") {
        return Err(Stop::not_native("a combined diff of two trees"));
    }
    let (old, new) = two_trees(&repo, &revs, has("merge-base"))?;
    let pairs = job.tree_pairs(old, new, recursive)?;
    job.print(pairs, out)
}

/// Says which two trees are compared.
fn two_trees(repo: &Repo<'_>, revs: &[RevArg], merge_base: bool) -> Res<(Id, Id)> {
    let tree = |arg: &RevArg| -> Res<Id> {
        repo.peel_to_tree(arg.id)?
            .ok_or_else(|| Stop::NotNative(format!("comparing `{}`", lossy(&arg.text))))
    };
    let [a, b] = revs else {
        return Err(Stop::not_native("this form of `diff-tree`"));
    };
    if a.symmetric || a.is_blob || b.is_blob {
        return Err(Stop::not_native("this form of `diff-tree`"));
    }
    if merge_base {
        let (Some(left), Some(right)) = (repo.peel_to_commit(a.id)?, repo.peel_to_commit(b.id)?)
        else {
            return Err(Stop::fatal("--merge-base only works with commits"));
        };
        return match rev_args::merge_bases(repo, left, right)?.as_slice() {
            [base] => Ok((repo.commit(*base)?.tree, tree(b)?)),
            [] => Err(Stop::fatal("no merge base found")),
            _ => Err(Stop::fatal("multiple merge bases found")),
        };
    }
    if b.exclude && !a.exclude {
        return Ok((tree(b)?, tree(a)?));
    }
    Ok((tree(a)?, tree(b)?))
}

/// Carries out `git diff-index`.
pub(crate) fn run_index(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = arguments(args, INDEX)?;
    let repo = Repo::open(call)?;
    let mut options = options(&repo, &parsed)?;
    options.forms.raw |= !options.forms.any() && !options.forms.none;
    let (revs, paths) = rev_args::split(&repo, &parsed, "diff-index")?;
    let [rev] = revs.as_slice() else {
        return Err(Stop::not_native("this form of `diff-index`"));
    };
    if rev.exclude || rev.is_blob || parsed.has("merge-base") || options.with_copies_harder() {
        return Err(Stop::not_native("this form of `diff-index`"));
    }
    let tree = repo
        .peel_to_tree(rev.id)?
        .ok_or_else(|| Stop::not_native("a comparison with what is no tree"))?;
    let spec = Pathspec::parse(&repo, &paths)?;
    let cached = parsed.has("cached");
    if !cached {
        repo.need_work_tree()?;
    }
    let index = repo.index()?;
    if index.entries.iter().any(|e| e.intent_to_add) {
        return Err(Stop::not_native("files that were only announced"));
    }
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let staged = tree_index::changes(&repo, Some(tree), &index, &spec)?;
    let pairs = if cached {
        staged
    } else {
        on_disk(&repo, &index, &spec, staged, parsed.has("missing"))?
    };
    refuse_submodules(&pairs)?;
    let job = Job {
        repo: &repo,
        contents: &contents,
        options: &options,
        spec: &spec,
        letters: if cached {
            (b"c/", b"i/")
        } else {
            (b"c/", b"w/")
        },
    };
    job.print(pairs, out)
}

/// Replaces what is staged by what is in the work tree; with `missing`, what is gone there counts as unchanged.
fn on_disk(
    repo: &Repo<'_>,
    index: &Index,
    spec: &Pathspec,
    staged: Vec<Pair>,
    missing: bool,
) -> Res<Vec<Pair>> {
    let mut unstaged = unstaged(repo, index, spec)?;
    if missing {
        unstaged.retain(|pair| pair.new.exists());
    }
    let mut pairs = Vec::new();
    for pair in staged {
        let path = pair.old.path.clone();
        let found = unstaged.iter().position(|p| p.path() == path);
        let new = match found {
            _ if pair.status == b'U' => diff::work_tree_side(repo, &path)?,
            Some(at) => unstaged.remove(at).new,
            None => pair.new.clone(),
        };
        if pair.status == b'U' && missing && !new.exists() {
            return Err(Stop::not_native("conflicts about files that are gone"));
        }
        if pair.old.exists() || new.exists() {
            pairs.push(Pair::new(pair.old, new));
        }
    }
    pairs.extend(unstaged);
    pairs.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(pairs)
}

/// Lists what differs between index and work tree, files with other times among them.
fn unstaged(repo: &Repo<'_>, index: &Index, spec: &Pathspec) -> Res<Vec<Pair>> {
    let mut found = work_tree::changes(repo, index, spec)?;
    found.forget_untracked_in_submodules();
    let mut pairs = found.pairs;
    let converts = |key: &str| repo.config.get(key).is_some();
    if !found.touched.is_empty() && (converts("core.autocrlf") || converts("core.eol")) {
        return Err(Stop::not_native("converted files with other times"));
    }
    for at in found.touched {
        let entry: &Entry = &index.entries[at];
        let path = index.path(entry);
        let side = |id: Id| Side {
            path: path.to_vec(),
            mode: entry.mode,
            id,
            dirty: false,
        };
        pairs.push(Pair::new(side(entry.id), side(Id::ZERO)));
    }
    pairs.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(pairs)
}

/// Carries out `git diff-files`.
pub(crate) fn run_files(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = arguments(args, FILES)?;
    let repo = Repo::open(call)?;
    let mut options = options(&repo, &parsed)?;
    options.forms.raw |= !options.forms.any() && !options.forms.none;
    let (revs, paths) = rev_args::split(&repo, &parsed, "diff-files")?;
    if !revs.is_empty() || parsed.has("silent") || options.with_copies_harder() {
        return Err(Stop::not_native("this form of `diff-files`"));
    }
    repo.need_work_tree()?;
    let spec = Pathspec::parse(&repo, &paths)?;
    let index = repo.index()?;
    if index
        .entries
        .iter()
        .any(|e| e.stage > 0 && spec.matches(index.path(e)))
    {
        return Err(Stop::not_native("conflicts"));
    }
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let pairs = unstaged(&repo, &index, &spec)?;
    refuse_submodules(&pairs)?;
    let job = Job {
        repo: &repo,
        contents: &contents,
        options: &options,
        spec: &spec,
        letters: (b"i/", b"w/"),
    };
    job.print(pairs, out)
}

fn options(repo: &Repo<'_>, parsed: &Parsed) -> Res<DiffOptions> {
    let options = DiffOptions::plumbing(repo, parsed)?;
    if options.follow {
        return Err(Stop::not_native("following a file"));
    }
    Ok(options)
}

fn refuse_submodules(pairs: &[Pair]) -> Res<()> {
    let is_submodule = |p: &Pair| mode::is_commit(p.old.mode) || mode::is_commit(p.new.mode);
    if pairs.iter().any(is_submodule) {
        return Err(Stop::not_native("submodules that differ"));
    }
    Ok(())
}

struct Job<'j> {
    repo: &'j Repo<'j>,
    contents: &'j Contents<'j>,
    options: &'j DiffOptions,
    spec: &'j Pathspec,
    letters: (&'static [u8], &'static [u8]),
}

impl Job<'_> {
    fn print(&self, pairs: Vec<Pair>, out: &mut Out) -> Res<()> {
        let pairs = diff_print::prepare(pairs, self.contents, self.options)?;
        self.flush(&pairs, out)
    }

    fn flush(&self, pairs: &[Pair], out: &mut Out) -> Res<()> {
        let options = self.options;
        if options.compares_loosely() && (options.exit_code || options.quiet) {
            return Err(Stop::not_native("an exit code that depends on contents"));
        }
        if !options.quiet {
            let prefixes = options.prefixes(self.letters.0, self.letters.1);
            let printed = diff_print::print(self.contents, pairs, options, &prefixes, out)?;
            if printed.check_failed {
                out.code |= 2;
            }
        }
        if options.exit_code && !pairs.is_empty() {
            out.code |= 1;
        }
        Ok(())
    }

    /// Prints a commit's id and what it changed; nothing for one that changed nothing.
    fn commit(&self, id: Id, parsed: &Parsed, recursive: bool, out: &mut Out) -> Res<()> {
        let commit = self.repo.commit(id)?;
        let end: &[u8] = if self.options.nul { b"\0" } else { b"\n" };
        let id_line = if parsed.has("no-commit-id") {
            Bytes::new()
        } else {
            [id.hex().as_bytes(), end].concat()
        };
        let mut parents = Vec::new();
        for parent in &commit.parents {
            parents.push(self.repo.commit(*parent)?.tree);
        }
        if parents.len() > 1 && (parsed.has("c") || parsed.has("cc")) {
            return self.merge(&parents, commit.tree, &id_line, parsed.has("cc"), out);
        }
        match parents.as_slice() {
            [] if parsed.has("root") => parents.push(Id::ZERO),
            [_, _, ..] if !parsed.has("m") => parents.clear(),
            _ => {}
        }
        for old in parents {
            let pairs = self.tree_pairs(old, commit.tree, recursive)?;
            let pairs = diff_print::prepare(pairs, self.contents, self.options)?;
            if pairs.is_empty() {
                continue;
            }
            if self.options.quiet && !id_line.is_empty() {
                return Err(Stop::not_native("a quiet comparison of one commit"));
            }
            out.put(&id_line);
            self.flush(&pairs, out)?;
        }
        Ok(())
    }

    /// Prints what a merge has that none of its parents has.
    fn merge(
        &self,
        parents: &[Id],
        tree: Id,
        id_line: &[u8],
        dense: bool,
        out: &mut Out,
    ) -> Res<()> {
        let options = self.options;
        let forms = options.forms;
        if options.exit_code
            || forms.counts()
            || forms.summary
            || forms.dirstat
            || forms.check
            || forms.none
        {
            return Err(Stop::not_native("this form of a combined diff"));
        }
        let files = combined::of_trees(self.contents, parents, tree, self.spec, options)?;
        out.put(id_line);
        let lists = forms.raw || forms.name_only || forms.name_status;
        if lists {
            for file in &files {
                combined::print_name(self.contents, file, options, out)?;
            }
        }
        if !forms.patch || files.is_empty() {
            return Ok(());
        }
        if lists {
            out.put(if options.nul { "\0" } else { "\n" });
        }
        for file in &files {
            combined::print_patch(self.contents, file, options, dense, out)?;
        }
        Ok(())
    }

    fn tree_pairs(&self, old: Id, new: Id, recursive: bool) -> Res<Vec<Pair>> {
        if recursive {
            return tree_diff::changes(self.repo, old, new, self.spec);
        }
        if !self.spec.is_empty() && self.spec.single().is_none() {
            return Err(Stop::not_native("patterns at the top of a tree"));
        }
        self.top_level(old, new)
    }

    /// Compares two trees without what is below them.
    fn top_level(&self, old: Id, new: Id) -> Res<Vec<Pair>> {
        let (old_data, new_data) = (self.repo.tree_data(old)?, self.repo.tree_data(new)?);
        let mut olds = tree_entries(&old_data).peekable();
        let mut news = tree_entries(&new_data).peekable();
        let mut pairs = Vec::new();
        loop {
            use std::cmp::Ordering::{Equal, Greater, Less};
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return Ok(pairs),
                (Some(_), None) => Less,
                (None, Some(_)) => Greater,
                (Some(a), Some(b)) => tree_diff::compare_names(a, b),
            };
            let a = if matches!(order, Less | Equal) {
                olds.next()
            } else {
                None
            };
            let b = if matches!(order, Greater | Equal) {
                news.next()
            } else {
                None
            };
            let Some(entry) = a.or(b) else {
                return Ok(pairs);
            };
            let below = [entry.name, b"/"].concat();
            let wanted = self.spec.matches(entry.name)
                || mode::is_tree(entry.mode) && self.spec.may_match_below(&below);
            let same = a
                .zip(b)
                .is_some_and(|(a, b)| a.id == b.id && a.mode == b.mode);
            if !wanted || same {
                continue;
            }
            let side = |e: Option<TreeEntry<'_>>| match e {
                Some(e) => Side {
                    path: e.name.to_vec(),
                    mode: e.mode,
                    id: e.id,
                    dirty: false,
                },
                None => Side::absent(entry.name),
            };
            pairs.push(Pair::new(side(a), side(b)));
        }
    }
}
