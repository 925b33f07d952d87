//! `git blame` and `git annotate`: which commit each line of a file came from.
//!
//! The search is git's: lines are handed from a version to the same file (or the one it was renamed from) in each
//! parent, the youngest commit first, until a commit has lines no parent knows. Printing is in `blame_print`, the
//! meaning of `-L` in `line_range`. Moved and copied lines (`-M`, `-C`), ignored revisions and `--reverse` are handed over.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::rc::Rc;

use crate::compare::pair::{Contents, Pair, Side};
use crate::compare::rename::{self, RenameOptions};
use crate::compare::userdiff;
use crate::compare::xdiff::{self, Compare};
use crate::exec::{Call, Plan};
use crate::history::line_range;
use crate::history::rev_select;
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::date;
use crate::verbs::blame_print;
use crate::work::attr::Attributes;
use crate::work::index::Index;
use crate::work::pathspec::{Pathspec, from_top};
use crate::work::tree_index;
use crate::work::work_tree;

const OPTIONS: &[Spec] = &[
    flag("blank", Some(b'b')),
    flag("root", None).or_no(),
    flag("progress", None).or_no(),
    flag("show-name", Some(b'f')).or_no(),
    flag("show-number", Some(b'n')).or_no(),
    flag("porcelain", Some(b'p')).or_no(),
    flag("line-porcelain", None).or_no(),
    flag("compatible", Some(b'c')),
    flag("raw-time", Some(b't')),
    flag("long", Some(b'l')),
    flag("no-author", Some(b's')),
    flag("show-email", Some(b'e')).or_no(),
    flag("ignore-space", Some(b'w')),
    flag("minimal", None).or_no(),
    value("lines", Some(b'L')),
    maybe("abbrev", None).or_no(),
    value("date", None),
    flag("follow", None).or_no(),
    flag("first-parent", None),
];

/// Letters and words that are options of git under the names this table gives them, not as long options.
const SHORT_ONLY: &[&str] = &[
    "blank",
    "compatible",
    "raw-time",
    "long",
    "no-author",
    "ignore-space",
    "lines",
];

/// Says what a blame would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    arguments(args).map(|_| Plan::Read)
}

fn arguments(args: &[Bytes]) -> Res<Parsed> {
    for arg in args.iter().take_while(|a| *a != b"--") {
        let word = arg.strip_prefix(b"--").unwrap_or_default();
        let word = word.split(|b| *b == b'=').next().unwrap_or_default();
        if SHORT_ONLY.iter().any(|name| name.as_bytes() == word) {
            return Err(Stop::NotNative(format!("option `{}`", lossy(arg))));
        }
    }
    parse(args, OPTIONS, Numbers::No)
}

/// Carries out `git blame`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    blame(call, args, false, out)
}

/// Carries out `git annotate`.
pub(crate) fn run_annotate(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    blame(call, args, true, out)
}

fn blame(call: &Call<'_>, args: &[Bytes], annotate: bool, out: &mut Out) -> Res<()> {
    let parsed = arguments(args)?;
    let repo = Repo::open(call)?;
    for key in [
        "blame.ignorerevsfile",
        "blame.markunblamablelines",
        "blame.markignoredlines",
        "blame.coloring",
        "color.blame.repeatedlines",
        "color.blame.highlightrecent",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    let style = blame_print::Style::new(&repo, &parsed, annotate)?;
    let (revs, path) = subject(&repo, &parsed)?;
    let shown = path;
    let Some(path) = from_top(&repo, &shown)? else {
        return Err(Stop::not_native("a path outside the repository"));
    };
    let selection = rev_select::select(
        &repo,
        &Parsed {
            before_dashes: Some(revs.len()),
            args: revs,
            ..Parsed::default()
        },
    )?;
    let tips = &selection.walk.tips;
    if selection.named.len() != tips.len() {
        return Err(Stop::not_native("a blame from what is no commit"));
    }
    let mut positive = tips.iter().filter(|t| !t.exclude);
    let mut end = positive.next().map(|tip| (tip.id, tip.name.clone()));
    if positive.next().is_some() {
        return Err(Stop::not_native("a blame from several commits"));
    }
    let no_head = || Stop::fatal("no such ref: HEAD");
    if end.is_none() && tips.is_empty() && repo.is_bare {
        let id = repo.head()?.id.ok_or_else(no_head)?;
        end = Some((id, b"HEAD".to_vec()));
    }
    let index = repo.index()?;
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let mut board = Board {
        repo: &repo,
        contents: &contents,
        index: &index,
        compare: Compare {
            ignore_all_space: parsed.has("ignore-space"),
            minimal: parsed.has("minimal"),
            no_indent_heuristic: repo.config.bool("diff.indentheuristic")? == Some(false),
            ..Compare::default()
        },
        renames: parsed.last("follow").is_none_or(|g| !g.negated),
        first_parent: parsed.has("first-parent"),
        show_root: parsed.has("root")
            || parsed.last("root").is_none() && repo.config.bool("blame.showroot")? == Some(true),
        before: HashSet::new(),
        commits: Vec::new(),
        by_id: HashMap::new(),
        origins: Vec::new(),
        queue: BinaryHeap::new(),
        queued: 0,
        done: Vec::new(),
    };
    let first = match &end {
        Some((id, name)) => board.begin_at(*id, name, &path)?,
        None => {
            repo.need_work_tree()?;
            let head = repo.head()?.id.ok_or_else(no_head)?;
            board.begin_in_work_tree(head, &path)?
        }
    };
    let excluded: Vec<Id> = tips.iter().filter(|t| t.exclude).map(|t| t.id).collect();
    board.before = ancestors(&repo, excluded)?;
    let text = board.text(first)?;
    let lines = xdiff::lines(&text);
    let headings = userdiff::headings(&contents, &board.origins[first].side)?;
    let ranges = line_range::all(&parsed, &lines, &path, &headings)?;
    board.origins[first].lines = ranges
        .into_iter()
        .map(|range| Entry {
            line: range.start,
            count: range.len(),
            source: range.start,
            origin: first,
        })
        .collect();
    let commit = board.origins[first].commit;
    board.enqueue(commit);
    board.assign()?;
    board.finish();
    blame_print::print(&board, &style, &lines, &path, out)
}

/// Tells revisions from the path.
fn subject(repo: &Repo<'_>, parsed: &Parsed) -> Res<(Vec<Bytes>, Bytes)> {
    let odd = || Stop::not_native("this form of `blame`");
    let args = parsed.args.as_slice();
    if let Some(n) = parsed.before_dashes {
        return match (&args[..n], &args[n..]) {
            (revs, [path]) => Ok((revs.to_vec(), path.clone())),
            ([], [path, rev]) => Ok((vec![rev.clone()], path.clone())),
            _ => Err(odd()),
        };
    }
    match args {
        [path, rev] if repo.resolve_quietly(rev)?.is_some() => {
            Ok((vec![rev.clone()], path.clone()))
        }
        [one] if repo.work_tree.is_none() && repo.resolve_quietly(one)?.is_some() => {
            Err(Stop::fatal("missing <path> to blame"))
        }
        [revs @ .., path] => Ok((revs.to_vec(), path.clone())),
        [] => Err(odd()),
    }
}

/// Lists commits and all before them.
fn ancestors(repo: &Repo<'_>, from: Vec<Id>) -> Res<HashSet<Id>> {
    let mut found = HashSet::new();
    let mut open = from;
    while let Some(id) = open.pop() {
        if found.insert(id) {
            repo.cancel().check()?;
            open.extend(repo.commit(id)?.parents);
        }
    }
    Ok(found)
}

/// Lines that came from one version of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// The first line in the file that was asked about, from 0.
    pub(crate) line: usize,
    pub(crate) count: usize,
    /// The first line in the version they came from.
    pub(crate) source: usize,
    pub(crate) origin: usize,
}

/// A file in a commit.
pub(crate) struct Origin {
    pub(crate) commit: usize,
    pub(crate) side: Side,
    /// The version before this one, as far as it was looked at.
    pub(crate) previous: Option<usize>,
    /// Has lines that came from nowhere else.
    pub(crate) guilty: bool,
    /// Lines whose origin is looked for, in order of `source`.
    lines: Vec<Entry>,
    text: Option<Rc<[u8]>>,
}

/// A commit on the way.
pub(crate) struct Version {
    /// Zero for the work tree.
    pub(crate) id: Id,
    pub(crate) time: i64,
    pub(crate) parents: Vec<Id>,
    tree: Id,
    /// Where the search ends: shown with a sign.
    pub(crate) boundary: bool,
    pub(crate) origins: Vec<usize>,
}

/// The state of a search.
pub(crate) struct Board<'r> {
    pub(crate) repo: &'r Repo<'r>,
    contents: &'r Contents<'r>,
    index: &'r Index,
    compare: Compare,
    renames: bool,
    first_parent: bool,
    show_root: bool,
    /// Commits that are not looked into.
    before: HashSet<Id>,
    pub(crate) commits: Vec<Version>,
    by_id: HashMap<Id, usize>,
    pub(crate) origins: Vec<Origin>,
    /// Commits by time, the first queued first.
    queue: BinaryHeap<(i64, std::cmp::Reverse<usize>, usize)>,
    queued: usize,
    pub(crate) done: Vec<Entry>,
}

impl Board<'_> {
    fn begin_at(&mut self, id: Id, name: &[u8], path: &[u8]) -> Res<usize> {
        let commit = self.commit(id)?;
        let found = self.repo.path_in_tree(self.commits[commit].tree, path)?;
        let Some((mode, blob)) = found.filter(|(m, _)| mode::is_file(*m) || mode::is_link(*m))
        else {
            return Err(Stop::fatal(
                [b"no such path ".as_slice(), path, b" in ", name].concat(),
            ));
        };
        self.origin(commit, path, mode, blob)
    }

    /// Puts a version on top of history that has what is in the work tree.
    fn begin_in_work_tree(&mut self, head: Id, path: &[u8]) -> Res<usize> {
        let mut parents = vec![head];
        let merged = self.repo.git_file("MERGE_HEAD").unwrap_or_default();
        for line in merged.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            parents.push(Id::parse(line).ok_or_else(|| Stop::not_native("an odd MERGE_HEAD"))?);
        }
        let mut is_known = self.index.find(path).is_some();
        for parent in &parents {
            let tree = self.repo.commit(*parent)?.tree;
            is_known |= self
                .repo
                .path_in_tree(tree, path)?
                .is_some_and(|(m, _)| mode::is_file(m) || mode::is_link(m));
        }
        if !is_known {
            return Err(Stop::fatal(
                [b"no such path '".as_slice(), path, b"' in HEAD"].concat(),
            ));
        }
        if work_tree::is_behind_link(self.repo, path)? {
            return Err(Stop::not_native("a file behind a symbolic link"));
        }
        let full = bytes::to_path(&bytes::join(self.repo.need_work_tree()?, path));
        let mode = match std::fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_symlink() => mode::LINK,
            Ok(meta) if meta.is_file() => mode::FILE,
            Ok(_) => {
                return Err(Stop::fatal(
                    [b"unsupported file type ".as_slice(), path].concat(),
                ));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Stop::fatal(
                    [
                        b"Cannot lstat '".as_slice(),
                        path,
                        b"': No such file or directory",
                    ]
                    .concat(),
                ));
            }
            Err(e) => return Err(e.into()),
        };
        self.commits.push(Version {
            id: Id::ZERO,
            time: date::now()?,
            parents,
            tree: Id::ZERO,
            boundary: false,
            origins: Vec::new(),
        });
        let commit = self.commits.len() - 1;
        self.by_id.insert(Id::ZERO, commit);
        let side = Side {
            path: path.to_vec(),
            mode,
            ..Side::default()
        };
        userdiff::refuse_programs(self.contents, path)?;
        let text = self.contents.get(&side)?;
        let id = self.contents.id(&side)?;
        let origin = self.origin(commit, path, mode, id)?;
        self.origins[origin].text = Some(text);
        Ok(origin)
    }

    fn commit(&mut self, id: Id) -> Res<usize> {
        if let Some(known) = self.by_id.get(&id) {
            return Ok(*known);
        }
        let read = self.repo.commit(id)?;
        self.commits.push(Version {
            id,
            time: read.time(),
            parents: read.parents,
            tree: read.tree,
            boundary: false,
            origins: Vec::new(),
        });
        self.by_id.insert(id, self.commits.len() - 1);
        Ok(self.commits.len() - 1)
    }

    /// Returns a path's version in a commit, a new one if it was not met yet.
    fn origin(&mut self, commit: usize, path: &[u8], mode: u32, id: Id) -> Res<usize> {
        if let Some(known) = self.known_origin(commit, path) {
            return Ok(known);
        }
        userdiff::refuse_programs(self.contents, path)?;
        let side = Side {
            path: path.to_vec(),
            mode,
            id,
            dirty: false,
        };
        self.origins.push(Origin {
            commit,
            side,
            previous: None,
            guilty: false,
            lines: Vec::new(),
            text: None,
        });
        let new = self.origins.len() - 1;
        self.commits[commit].origins.push(new);
        Ok(new)
    }

    fn known_origin(&self, commit: usize, path: &[u8]) -> Option<usize> {
        let mut origins = self.commits[commit].origins.iter().copied();
        origins.find(|o| self.origins[*o].side.path == path)
    }

    fn text(&mut self, origin: usize) -> Res<Rc<[u8]>> {
        if let Some(text) = &self.origins[origin].text {
            return Ok(Rc::clone(text));
        }
        let text = self.contents.get(&self.origins[origin].side)?;
        self.origins[origin].text = Some(Rc::clone(&text));
        Ok(text)
    }

    fn enqueue(&mut self, commit: usize) {
        self.queued += 1;
        self.queue.push((
            self.commits[commit].time,
            std::cmp::Reverse(self.queued),
            commit,
        ));
    }

    /// Looks into one version after another until every line has its origin.
    fn assign(&mut self) -> Res<()> {
        while let Some((_, _, commit)) = self.queue.pop() {
            loop {
                let mut open = self.commits[commit].origins.iter().rev().copied();
                let Some(origin) = open.find(|o| !self.origins[*o].lines.is_empty()) else {
                    break;
                };
                self.repo.cancel().check()?;
                if self.before.contains(&self.commits[commit].id) {
                    self.commits[commit].boundary = true;
                } else {
                    self.pass(origin)?;
                }
                if self.commits[commit].parents.is_empty() && !self.show_root {
                    self.commits[commit].boundary = true;
                }
                let rest = std::mem::take(&mut self.origins[origin].lines);
                if !rest.is_empty() {
                    self.origins[origin].guilty = true;
                    self.done.extend(rest);
                }
                self.origins[origin].text = None;
            }
        }
        Ok(())
    }

    /// Hands lines to the versions before this one.
    fn pass(&mut self, origin: usize) -> Res<()> {
        let commit = self.origins[origin].commit;
        let mut parents = self.commits[commit].parents.clone();
        if self.first_parent {
            parents.truncate(1);
        }
        let mut from: Vec<Option<usize>> = vec![None; parents.len()];
        for by_rename in [false, true] {
            if by_rename && !self.renames {
                break;
            }
            for (i, parent) in parents.iter().enumerate() {
                if from[i].is_some() {
                    continue;
                }
                let parent = self.commit(*parent)?;
                let found = if by_rename {
                    self.renamed(parent, origin)?
                } else {
                    self.same_path(parent, origin)?
                };
                let Some(found) = found else { continue };
                let id = self.origins[found].side.id;
                if id == self.origins[origin].side.id {
                    let lines = std::mem::take(&mut self.origins[origin].lines);
                    self.give(found, lines);
                    return Ok(());
                }
                let is_new =
                    |other: &Option<usize>| other.is_none_or(|o| self.origins[o].side.id != id);
                if from[..i].iter().all(is_new) {
                    from[i] = Some(found);
                }
            }
        }
        for parent in from.into_iter().flatten() {
            self.origins[origin].previous.get_or_insert(parent);
            self.pass_to(origin, parent)?;
            if self.origins[origin].lines.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Finds the same path in a parent, if it is the same kind of thing there.
    fn same_path(&mut self, parent: usize, origin: usize) -> Res<Option<usize>> {
        let side = self.origins[origin].side.clone();
        if let Some(known) = self.known_origin(parent, &side.path) {
            return Ok(Some(known));
        }
        match self
            .repo
            .path_in_tree(self.commits[parent].tree, &side.path)?
        {
            Some((mode, id)) if !mode::type_differs(mode, side.mode) => {
                self.origin(parent, &side.path, mode, id).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Finds the path in a parent this one was renamed from.
    fn renamed(&mut self, parent: usize, origin: usize) -> Res<Option<usize>> {
        let side = self.origins[origin].side.clone();
        let commit = &self.commits[self.origins[origin].commit];
        let (old, everywhere) = (self.commits[parent].tree, Pathspec::default());
        let pairs = if commit.id.is_zero() {
            let mut pairs = tree_index::changes(
                self.repo,
                Some(self.commits[parent].id),
                self.index,
                &everywhere,
            )?;
            pairs.retain(|p| p.old.path != side.path && p.new.path != side.path);
            let new = Side {
                id: Id::ZERO,
                ..side.clone()
            };
            pairs.push(Pair::new(Side::absent(&side.path), new));
            pairs.sort_by(|a, b| a.path().cmp(b.path()));
            pairs
        } else {
            tree_diff::changes(self.repo, old, commit.tree, &everywhere)?
        };
        let found = rename::detect_among(
            pairs,
            Some(&side.path),
            self.contents,
            RenameOptions::default(),
        )?;
        let found = found
            .into_iter()
            .find(|p| p.is_rename_or_copy() && p.new.path == side.path);
        match found {
            Some(pair) => {
                let old = pair.old;
                self.origin(parent, &old.path, old.mode, old.id).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Hands the lines a parent's version has too to that version.
    fn pass_to(&mut self, origin: usize, parent: usize) -> Res<()> {
        let (old, new) = (self.text(parent)?, self.text(origin)?);
        let changes = xdiff::changes_without_context(&old, &new, self.compare)?;
        let lines = std::mem::take(&mut self.origins[origin].lines);
        let (mut kept, mut passed) = (Vec::new(), Vec::new());
        for entry in lines {
            let end = entry.source + entry.count;
            let mut at = entry.source;
            let mut next = changes.partition_point(|c| c.new + c.n_new <= at);
            while at < end {
                // Up to the next change the lines are the parent's, in it they are not.
                let (stop, place) = match changes.get(next) {
                    Some(c) if c.new <= at => (c.new + c.n_new, None),
                    Some(c) => (c.new, Some((at + c.old).saturating_sub(c.new))),
                    None => {
                        let shifted = changes.last().map_or(at, |c| {
                            (at + c.old + c.n_old).saturating_sub(c.new + c.n_new)
                        });
                        (end, Some(shifted))
                    }
                };
                let stop = stop.min(end);
                if stop > at {
                    let part = Entry {
                        line: entry.line + (at - entry.source),
                        count: stop - at,
                        source: place.unwrap_or(at),
                        origin: if place.is_some() { parent } else { origin },
                    };
                    if place.is_some() {
                        passed.push(part);
                    } else {
                        kept.push(part);
                    }
                }
                at = stop;
                if changes.get(next).is_some_and(|c| c.new + c.n_new <= at) {
                    next += 1;
                }
            }
        }
        self.origins[origin].lines = kept;
        self.give(parent, passed);
        Ok(())
    }

    /// Adds lines to those whose origin is looked for in a version.
    fn give(&mut self, origin: usize, mut lines: Vec<Entry>) {
        if lines.is_empty() {
            return;
        }
        for line in &mut lines {
            line.origin = origin;
        }
        let commit = self.origins[origin].commit;
        let waits = self.commits[commit]
            .origins
            .iter()
            .any(|o| !self.origins[*o].lines.is_empty());
        let open = &mut self.origins[origin].lines;
        open.extend(lines);
        open.sort_by_key(|e| e.source);
        if !waits {
            self.enqueue(commit);
        }
    }

    /// Sorts what was found, and joins what belongs together.
    fn finish(&mut self) {
        let mut entries = std::mem::take(&mut self.done);
        entries.sort_by_key(|e| e.line);
        for entry in entries {
            match self.done.last_mut() {
                Some(last)
                    if last.origin == entry.origin
                        && last.source + last.count == entry.source
                        && last.line + last.count == entry.line =>
                {
                    last.count += entry.count;
                }
                _ => self.done.push(entry),
            }
        }
    }
}
