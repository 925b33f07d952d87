//! `git stash push`: what is staged and what is changed, as commits that `refs/stash` keeps; then HEAD's state again.

use std::collections::BTreeMap;

use git2::ObjectType;

use crate::exec::{Call, Plan};
use crate::options::{Given, Known, Numbers, Parsed, Spec, flag, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::branch_state;
use crate::references::reflog;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::add;
use crate::verbs::clean;
use crate::verbs::reset;
use crate::work::index::Index;
use crate::work::index_edit::{self, IndexEdit};
use crate::work::pathspec::Pathspec;
use crate::work::staging::{How, Staging};
use crate::work::tree_index;
use crate::work::untracked::{self, Ignored, Wanted};
use crate::work::work_tree;

const OPTIONS: &[Spec] = &[
    flag("quiet", Some(b'q')).or_no(),
    flag("include-untracked", Some(b'u')).or_no(),
    value("message", Some(b'm')),
];

const KNOWN: Known = Known {
    long: "keep-index staged patch quiet include-untracked all message pathspec-from-file pathspec-file-nul",
    short: "kSpquam",
    usage: Some(include_str!("usage/stash.txt")),
};

/// Takes the arguments after `push` (or `save`) apart.
fn arguments(args: &[Bytes], is_save: bool) -> Res<Parsed> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN).map_err(usage_is_gits)?;
    if !is_save && !parsed.args.is_empty() {
        return Err(Stop::not_native("a stash of some paths"));
    }
    Ok(parsed)
}

/// Each verb has a usage of its own, which is left to git.
pub(crate) fn usage_is_gits(stop: Stop) -> Stop {
    match stop {
        Stop::Fail { code: 129, .. } => Stop::not_native("an option that git does not know"),
        other => other,
    }
}

/// Says what it would do; `args` follow `push` or `save`.
pub(crate) fn plan(args: &[Bytes], is_save: bool) -> Res<Plan> {
    arguments(args, is_save).map(|_| Plan::LocalWrite)
}

/// Hands over what no stash command does here.
pub(crate) fn refuse(repo: &Repo<'_>, index: &Index) -> Res<()> {
    add::refuse(repo)?;
    repo.refuse_sparse()?;
    branch_state::refuse_sequences(repo)?;
    index.refuse_untracked_cache(repo)?;
    if index.entries.iter().any(|e| mode::is_commit(e.mode)) {
        return Err(Stop::not_native("a stash with submodules"));
    }
    if index.entries.iter().any(|e| e.stage > 0) {
        return Err(Stop::not_native("a stash with conflicts"));
    }
    if index
        .entries
        .iter()
        .any(|e| e.intent_to_add || e.skip_worktree || e.assume_valid)
    {
        return Err(Stop::not_native("a stash with marked files"));
    }
    if repo.ref_id(b"refs/stash")?.is_some() != reflog::exists(repo, b"refs/stash") {
        return Err(Stop::not_native("a stash without its list"));
    }
    Ok(())
}

/// Ends with the words that stash commands have for an index somebody else has locked.
pub(crate) fn refuse_locked(repo: &Repo<'_>) -> Res<()> {
    let lock = [repo.index_path().as_slice(), b".lock"].concat();
    if bytes::to_path(&lock).exists() {
        return Err(Stop::error(1, "could not write index"));
    }
    Ok(())
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], is_save: bool, out: &mut Out) -> Res<()> {
    let parsed = arguments(args, is_save)?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    let message = match parsed.last("message").map(Given::text) {
        _ if is_save && !parsed.args.is_empty() => parsed.args.join(&b' '),
        Some(text) => text.to_vec(),
        None => Bytes::new(),
    };
    let index = repo.index()?;
    refuse(&repo, &index)?;
    refuse_locked(&repo)?;
    let head = repo.head()?;
    let quiet = parsed.has("quiet");
    let with_untracked = parsed.has("include-untracked");
    let Some(base) = head.id else {
        if !quiet {
            call.warn("You do not have the initial commit yet\n");
        }
        return Err(Stop::exit(1));
    };
    let untracked = if with_untracked {
        let wanted = Wanted {
            collapse: false,
            ignored: Ignored::No,
        };
        untracked::list(&repo, &index, &Pathspec::default(), wanted)?.untracked
    } else {
        Vec::new()
    };
    if untracked.iter().any(|path| path.ends_with(b"/")) {
        return Err(Stop::not_native("a repository in the work tree"));
    }
    let none = Pathspec::default();
    let staged = tree_index::changes(&repo, Some(base), &index, &none)?;
    let unstaged = work_tree::changes(&repo, &index, &none)?;
    if staged.is_empty() && unstaged.pairs.is_empty() && untracked.is_empty() {
        if !quiet {
            out.put("No local changes to save\n");
        }
        return Ok(());
    }
    let who = (
        Identity::of(&repo, "AUTHOR")?,
        Identity::of(&repo, "COMMITTER")?,
    );
    let rubbish = if with_untracked {
        clean::find(&repo, &index, false, true)?
    } else {
        Vec::new()
    };
    // Changed files, and those that are only taken out of the index.
    let mut paths: Vec<Bytes> = unstaged.pairs.iter().map(|p| p.path().to_vec()).collect();
    let gone = staged.iter().filter(|p| !p.new.exists());
    paths.extend(gone.map(|p| p.path().to_vec()).filter(|path| {
        let full = bytes::join(repo.work_tree.as_deref().unwrap_or_default(), path);
        std::fs::symlink_metadata(bytes::to_path(&full)).is_ok_and(|m| !m.is_dir())
    }));
    paths.sort();
    paths.dedup();
    let stash = Stash {
        repo: &repo,
        who: &who,
        base,
        branch: match &head.branch {
            Some(name) => name.strip_prefix(b"refs/heads/").unwrap_or(name).to_vec(),
            None => b"(no branch)".to_vec(),
        },
    };
    let untracked = with_untracked.then_some(untracked.as_slice());
    let (id, line) = stash.write(&index, &paths, untracked, &message)?;
    store(&repo, id, &who.1, &line)?;
    if !quiet {
        out.put("Saved working directory and index state ");
        out.put(&line);
        out.put("\n");
    }
    let top = repo.need_work_tree()?;
    for path in rubbish {
        let full = bytes::join(top, path.strip_suffix(b"/").unwrap_or(&path));
        if let Err(e) = clean::remove(&path, &bytes::to_path(&full)) {
            call.warn(format!("warning: failed to remove {}: {e}\n", lossy(&path)));
            return Err(Stop::exit(1));
        }
    }
    reset::hard_to_head(&repo, &who.1)
}

/// What is about to be stashed.
struct Stash<'a> {
    repo: &'a Repo<'a>,
    who: &'a (Identity, Identity),
    base: Id,
    branch: Bytes,
}

impl Stash<'_> {
    /// Writes the commits; returns the stash and what is said about it.
    fn write(
        &self,
        index: &Index,
        paths: &[Bytes],
        untracked: Option<&[Bytes]>,
        message: &[u8],
    ) -> Res<(Id, Bytes)> {
        let repo = self.repo;
        let title = branch_state::one_line(repo, self.base)?;
        let short = repo.short(self.base)?;
        let at = [
            &self.branch,
            b": ".as_slice(),
            short.as_bytes(),
            b" ",
            &title,
        ]
        .concat();
        let mut edit = IndexEdit::begin(repo)?;
        let index_tree = edit.write_tree()?;
        let staged = self.commit(
            index_tree,
            &[self.base],
            &[b"index on ".as_slice(), &at, b"\n"].concat(),
        )?;
        let mut parents = vec![self.base, staged];
        if let Some(untracked) = untracked {
            let staging = Staging::of_paths(repo, untracked)?;
            staging.refuse_filters(repo, index)?;
            let before: Vec<Bytes> = edit.iter().map(|((p, _), _)| p.clone()).collect();
            staging.apply(repo, &mut edit, How::default())?;
            let files: BTreeMap<Bytes, (u32, Id)> = untracked
                .iter()
                .filter_map(|path| Some((path.clone(), edit.get(path).map(|i| (i.mode, i.id))?)))
                .collect();
            let tree = index_edit::tree_of(repo, &files)?;
            let text = [b"untracked files on ".as_slice(), &at, b"\n"].concat();
            parents.push(self.commit(tree, &[], &text)?);
            for path in untracked.iter().filter(|p| !before.contains(p)) {
                edit.forget(path);
            }
        }
        let staging = Staging::of_paths(repo, paths)?;
        staging.refuse_filters(repo, index)?;
        staging.apply(repo, &mut edit, How::default())?;
        let tree = edit.write_tree()?;
        let line = if message.is_empty() {
            [b"WIP on ".as_slice(), &at].concat()
        } else {
            [b"On ", self.branch.as_slice(), b": ", message].concat()
        };
        Ok((self.commit(tree, &parents, &line)?, line))
    }

    fn commit(&self, tree: Id, parents: &[Id], message: &[u8]) -> Res<Id> {
        if std::str::from_utf8(message).is_err() || message.contains(&0) {
            return Err(Stop::not_native("a message in another encoding"));
        }
        let data = crate::verbs::commit::object(tree, parents, (&self.who.0, &self.who.1), message);
        self.repo.write_object(ObjectType::Commit, &data)
    }
}

/// Puts a stash on top of the list.
fn store(repo: &Repo<'_>, id: Id, who: &Identity, line: &[u8]) -> Res<()> {
    let log = bytes::to_path(&reflog::path(repo, b"refs/stash"));
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir)?;
    }
    // This one log is kept whatever the settings say.
    drop(
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log)?,
    );
    repo.set_ref(b"refs/stash", repo.ref_id(b"refs/stash")?, id, who, line)
}
