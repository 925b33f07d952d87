//! `git stash apply`, `pop`, `drop` and `clear`.

use std::fs;

use crate::exec::{Call, Plan};
use crate::options::{Known, Numbers, Parsed, Spec, flag, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::references::reflog;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::lock::LockFile;
use crate::repository::object::Commit;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::merge_trees;
use crate::verbs::stash_push::{refuse, refuse_locked, usage_is_gits};
use crate::verbs::status;
use crate::work::checkout_file::WorkTree;
use crate::work::index_edit::{IndexEdit, Item};
use crate::work::pathspec::Pathspec;

const OPTIONS: &[Spec] = &[
    flag("quiet", Some(b'q')).or_no(),
    flag("index", None).or_no(),
];

const KNOWN: Known = Known {
    long: "quiet index",
    short: "q",
    usage: Some(include_str!("usage/stash.txt")),
};

/// What is done with a stash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Apply,
    Pop,
    Drop,
    Clear,
}

impl Verb {
    /// Returns the verb of a name.
    pub(crate) fn named(name: &[u8]) -> Option<Verb> {
        match name {
            b"apply" => Some(Verb::Apply),
            b"pop" => Some(Verb::Pop),
            b"drop" => Some(Verb::Drop),
            b"clear" => Some(Verb::Clear),
            _ => None,
        }
    }
}

fn arguments(verb: Verb, args: &[Bytes]) -> Res<Parsed> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN).map_err(usage_is_gits)?;
    let only_quiet = verb == Verb::Drop && parsed.last("index").is_some();
    if only_quiet || verb == Verb::Clear && !args.is_empty() || parsed.args.len() > 1 {
        return Err(Stop::not_native("this form of `stash`"));
    }
    Ok(parsed)
}

/// Says what it would do; `args` follow the verb.
pub(crate) fn plan(verb: Verb, args: &[Bytes]) -> Res<Plan> {
    arguments(verb, args).map(|_| Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, verb: Verb, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = arguments(verb, args)?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    refuse(&repo, &repo.index()?)?;
    if verb == Verb::Clear {
        return clear(&repo);
    }
    let stash = Stash::find(&repo, &parsed)?;
    if verb != Verb::Apply && stash.place.is_none() {
        return Err(Stop::not_native("a stash that is not on the list"));
    }
    let quiet = parsed.has("quiet");
    let applied = verb == Verb::Drop || stash.apply(&repo, &parsed, out)?;
    if verb != Verb::Apply && applied {
        stash.drop_it(&repo)?;
        if !quiet && verb == Verb::Drop {
            out.put(stash.dropped());
        }
    }
    if verb != Verb::Drop && !quiet {
        status::run(call, &[], out)?;
        out.report = None;
    }
    match (verb, applied) {
        (Verb::Pop, true) if !quiet => out.put(stash.dropped()),
        (Verb::Pop, false) => {
            out.put("The stash entry is kept in case you need it again.\n");
        }
        _ => {}
    }
    if !applied {
        out.code = 1;
    }
    Ok(())
}

/// One stash.
struct Stash {
    /// As git names it.
    revision: Bytes,
    id: Id,
    commit: Commit,
    /// Its number on the list.
    place: Option<usize>,
}

impl Stash {
    fn find(repo: &Repo<'_>, parsed: &Parsed) -> Res<Stash> {
        let log = reflog::read(repo, b"refs/stash")?;
        let (revision, number) = match parsed.args.first() {
            None if repo.ref_id(b"refs/stash")?.is_none() => {
                repo.call.warn("No stash entries found.\n");
                return Err(Stop::exit(1));
            }
            None => (b"refs/stash@{0}".to_vec(), Some(0)),
            Some(n) if n.iter().all(u8::is_ascii_digit) && !n.is_empty() => (
                [b"refs/stash@{", n.as_slice(), b"}"].concat(),
                bytes::parse_int(n),
            ),
            Some(name) => {
                let inner = name
                    .strip_prefix(b"refs/")
                    .unwrap_or(name)
                    .strip_prefix(b"stash@{")
                    .and_then(|rest| rest.strip_suffix(b"}"));
                (name.clone(), inner.and_then(bytes::parse_int))
            }
        };
        let place = number.and_then(|n| usize::try_from(n).ok());
        let id = match place {
            Some(n) => log.iter().rev().nth(n).map(|line| line.new),
            None => repo.resolve(&revision)?,
        };
        let commit = match id {
            Some(id) => repo.try_commit(id)?.map(|commit| (id, commit)),
            None => None,
        };
        match commit {
            Some((id, commit)) if matches!(commit.parents.len(), 2 | 3) => Ok(Stash {
                revision,
                id,
                commit,
                place,
            }),
            _ => Err(Stop::not_native("what is no stash")),
        }
    }

    fn dropped(&self) -> String {
        format!("Dropped {} ({})\n", lossy(&self.revision), self.id)
    }

    /// Applies it; `false` when local changes are in the way, which is said.
    fn apply(&self, repo: &Repo<'_>, parsed: &Parsed, out: &mut Out) -> Res<bool> {
        merge_trees::refuse(repo)?;
        refuse_locked(repo)?;
        let base = repo.commit(self.commit.parents[0])?.tree;
        let staged = repo.commit(self.commit.parents[1])?.tree;
        let mut edit = IndexEdit::begin(repo)?;
        edit.refresh()?;
        let ours = edit.write_tree()?;
        if parsed.has("index") && staged != base && staged != ours {
            return Err(Stop::not_native("a stash with its index"));
        }
        let merged = merge_trees::merge(repo, base, ours, self.commit.tree)?;
        let (steps, rejects) = merge_trees::steps(repo, &edit, (ours, merged.tree))?;
        if !rejects.is_empty() {
            if self.commit.parents.len() > 2 || parsed.has("index") {
                return Err(Stop::not_native("local changes in the way of a stash"));
            }
            merge_trees::say_rejects(repo, &rejects)?;
            return Ok(false);
        }
        let untracked = self.untracked(repo, &steps.set)?;
        if !parsed.has("quiet") {
            out.put(&merged.said);
        }
        let changed = tree_diff::changes(repo, ours, merged.tree, &Pathspec::default())?;
        let whole = steps.carry_out(repo, &mut edit)?;
        repo.write_ref(b"AUTO_MERGE", format!("{}\n", merged.tree).as_bytes())?;
        // Only new files stay staged.
        for pair in changed.iter().filter(|p| p.old.exists()) {
            edit.put(pair.path(), Item::new(pair.old.mode, pair.old.id));
        }
        edit.forget_resolved();
        edit.commit()?;
        let mut work_tree = WorkTree::of(repo)?;
        for (path, mode, id) in untracked {
            if let Err(text) = work_tree.write(&path, mode, id)? {
                return Err(Stop::error(1, text));
            }
        }
        if !whole {
            return Err(Stop::exit(1));
        }
        Ok(true)
    }

    /// Returns the files that were not tracked; hands over when one of them is there again.
    fn untracked(&self, repo: &Repo<'_>, set: &[(Bytes, u32, Id)]) -> Res<Vec<(Bytes, u32, Id)>> {
        let Some(id) = self.commit.parents.get(2) else {
            return Ok(Vec::new());
        };
        let top = repo.need_work_tree()?;
        let work_tree = WorkTree::of(repo)?;
        let tree = repo.commit(*id)?.tree;
        let mut files = Vec::new();
        for pair in tree_diff::changes(repo, Id::ZERO, tree, &Pathspec::default())? {
            let path = pair.new.path;
            work_tree.refuse(&path, pair.new.mode)?;
            let full = bytes::to_path(&bytes::join(top, &path));
            let is_in_the_way = fs::symlink_metadata(full).is_ok()
                || !work_tree.is_below_real_directories(&path)
                || set.iter().any(|(other, ..)| *other == path);
            if is_in_the_way {
                return Err(Stop::not_native("an untracked file in the way of a stash"));
            }
            files.push((path, pair.new.mode, pair.new.id));
        }
        Ok(files)
    }

    /// Takes the stash off the list.
    fn drop_it(&self, repo: &Repo<'_>) -> Res<()> {
        let Some(place) = self.place else {
            return Err(Stop::not_native("a stash that is not on the list"));
        };
        let path = reflog::path(repo, b"refs/stash");
        let text = fs::read(bytes::to_path(&path))?;
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        let Some(doomed) = lines.len().checked_sub(place + 1) else {
            return Err(Stop::not_native("a stash that is not on the list"));
        };
        if lines.len() == 1 {
            return clear(repo);
        }
        let mut kept = Bytes::new();
        let mut last = Id::ZERO;
        for (i, line) in lines.iter().enumerate().filter(|(i, _)| *i != doomed) {
            let new = line.get(41..81).and_then(Id::parse);
            let new = new.ok_or_else(|| Stop::not_native("a malformed reference log"))?;
            kept.extend_from_slice(format!("{last} {new}").as_bytes());
            kept.extend_from_slice(&line[81..]);
            last = new;
            debug_assert!(i < lines.len());
        }
        repo.call.wrote.set(true);
        let lock = LockFile::take(&path)?;
        lock.commit(&kept)
            .map_err(|e| Stop::fatal(format!("unable to write the list of stashes: {e}")))?;
        repo.write_ref(b"refs/stash", format!("{last}\n").as_bytes())
    }
}

fn clear(repo: &Repo<'_>) -> Res<()> {
    if repo.ref_id(b"refs/stash")?.is_none() {
        return Ok(());
    }
    let who = Identity::of(repo, "COMMITTER")?;
    repo.delete_ref_of_head(b"refs/stash", &who)
}
