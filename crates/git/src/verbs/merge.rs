//! `git merge` of one commit: nothing to do, a fast-forward, or both sides' changes where they do not meet.
//!
//! A merge with conflicts or renames, of several commits, or with a strategy of its own is left to git, which is found
//! out before anything is written.

use git2::ObjectType;

use crate::compare::diff_options::DiffOptions;
use crate::compare::diff_print;
use crate::compare::pair::Contents;
use crate::compare::rename::RenameOptions;
use crate::exec::{self, Call, Plan};
use crate::options::{Known, Numbers, Parsed, Spec, flag, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::refs::Head;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::message;
use crate::verbs::add;
use crate::verbs::commit;
use crate::verbs::merge_trees;
use crate::verbs::reset;
use crate::work::attr::Attributes;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec::Pathspec;
use crate::work::tree_index;

const OPTIONS: &[Spec] = &[
    flag("ff", None).or_no(),
    flag("ff-only", None),
    flag("commit", None).or_no(),
    flag("edit", Some(b'e')).or_no(),
    flag("stat", None).or_no(),
    flag("no-diffstat", Some(b'n')),
    flag("squash", None).or_no(),
    flag("quiet", Some(b'q')).or_no(),
    flag("progress", None).or_no(),
    flag("verify", None).or_no(),
    flag("abort", None),
    value("message", Some(b'm')),
];

const KNOWN: Known = Known {
    long: "stat summary compact-summary log squash commit edit cleanup ff ff-only rerere-autoupdate verify-signatures \
        strategy strategy-option message file into-name verbose quiet abort quit continue allow-unrelated-histories \
        progress gpg-sign autostash overwrite-ignore signoff verify",
    short: "nesXmFvqS",
    usage: Some(include_str!("usage/merge.txt")),
};

/// Says what a merge would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN)?;
    if parsed.has("squash") || parsed.has("edit") || args.iter().any(|a| a == b"--no-diffstat") {
        return Err(Stop::not_native("this form of `merge`"));
    }
    if parsed.has("abort") && args.len() > 1 || parsed.args.len() > 1 {
        return Err(Stop::not_native("this form of `merge`"));
    }
    Ok(Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    exec::after_setup(call, plan(args))?;
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN)?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    refuse(&repo)?;
    if parsed.has("abort") {
        if !repo.has_git_file("MERGE_HEAD") {
            return Err(Stop::fatal(
                "There is no merge to abort (MERGE_HEAD missing).",
            ));
        }
        return reset::run(call, &[b"--merge".to_vec()], out);
    }
    refuse_unfinished(&repo)?;
    let head = repo.head()?;
    let (Some(ours), [name]) = (head.id, parsed.args.as_slice()) else {
        return Err(Stop::not_native("this form of `merge`"));
    };
    let name = if name == b"-" {
        b"@{-1}".to_vec()
    } else {
        name.clone()
    };
    let merge = Merge::of(&repo, &parsed, &head, ours, name)?;
    merge.run(out)
}

fn refuse(repo: &Repo<'_>) -> Res<()> {
    add::refuse(repo)?;
    repo.refuse_sparse()?;
    repo.refuse_hooks(&[
        "pre-merge-commit",
        "prepare-commit-msg",
        "commit-msg",
        "post-merge",
        "post-checkout",
    ])?;
    if repo.config.bool("commit.gpgsign")? == Some(true) {
        return Err(Stop::not_native("the setting `commit.gpgsign`"));
    }
    for entry in &repo.config.entries {
        let key = entry.key.as_slice();
        let harmless = matches!(
            key,
            b"merge.ff" | b"merge.stat" | b"merge.conflictstyle" | b"merge.tool"
        );
        let options = key.starts_with(b"branch.") && key.ends_with(b".mergeoptions");
        let unknown = key.starts_with(b"merge.") && !harmless && !key.ends_with(b".driver");
        if options || unknown || key == b"commit.cleanup" || key.starts_with(b"pull.twohead") {
            return Err(Stop::NotNative(format!("the setting `{}`", lossy(key))));
        }
    }
    let edits = match repo.call.var("GIT_MERGE_AUTOEDIT") {
        Some(value) => crate::repository::config::parse_bool(&value) != Some(false),
        None => repo.call.env.is_terminal(),
    };
    if edits {
        return Err(Stop::not_native("a merge that may ask an editor"));
    }
    crate::references::branch_state::refuse_sequences(repo)?;
    merge_trees::refuse(repo)
}

/// Ends with git's error when an operation is not finished.
fn refuse_unfinished(repo: &Repo<'_>) -> Res<()> {
    let advises =
        repo.config.bool("advice.resolveconflict")?.unwrap_or(true) && !repo.call.globals.no_advice;
    if repo.index()?.entries.iter().any(|e| e.stage > 0) {
        repo.call
            .warn("error: Merging is not possible because you have unmerged files.\n");
        if advises {
            repo.call.warn(
                "hint: Fix them up in the work tree, and then use 'git add/rm <file>'\n\
                 hint: as appropriate to mark resolution and make a commit.\n",
            );
        }
        return Err(Stop::fatal("Exiting because of an unresolved conflict."));
    }
    for (file, what) in [("MERGE_HEAD", "merge"), ("CHERRY_PICK_HEAD", "cherry-pick")] {
        if repo.has_git_file(file) {
            let more = if advises {
                "\nPlease, commit your changes before you merge."
            } else {
                ""
            };
            return Err(Stop::fatal(format!(
                "You have not concluded your {what} ({file} exists).{more}"
            )));
        }
    }
    Ok(())
}

/// One merge.
struct Merge<'a> {
    repo: &'a Repo<'a>,
    parsed: &'a Parsed,
    head: &'a Head,
    ours: Id,
    /// The other side as it was written.
    name: Bytes,
    theirs: Id,
    base: Id,
    message: Bytes,
    who: Identity,
}

impl<'a> Merge<'a> {
    fn of(
        repo: &'a Repo<'a>,
        parsed: &'a Parsed,
        head: &'a Head,
        ours: Id,
        name: Bytes,
    ) -> Res<Merge<'a>> {
        let id = match repo.resolve(&name) {
            // What has no upstream is said in those words.
            Err(Stop::Fail { .. }) if bytes::find(&name, b"@{").is_none() => None,
            other => other?,
        };
        let Some(id) = id else {
            return Err(Stop::Fail {
                code: 1,
                text: [
                    b"merge: ".as_slice(),
                    &name,
                    b" - not something we can merge\n",
                ]
                .concat(),
            });
        };
        if repo.try_commit(id)?.is_none() || name == b"FETCH_HEAD" {
            return Err(Stop::not_native("a merge of a tag"));
        }
        let bases = repo.graph()?.merge_bases(ours.oid(), id.oid());
        let bases: Vec<Id> = match bases {
            Ok(bases) => bases.iter().map(|id| Id::from(*id)).collect(),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Vec::new(),
            Err(e) => return Err(e.into()),
        };
        let [base] = bases.as_slice() else {
            return Err(Stop::not_native("a merge without one merge base"));
        };
        Ok(Merge {
            repo,
            parsed,
            head,
            ours,
            theirs: id,
            base: *base,
            message: match message::given_for_merge(parsed) {
                Some(text) => text,
                None => title(repo, head, &name)?,
            },
            name,
            who: Identity::of(repo, "COMMITTER")?,
        })
    }

    /// How far fast-forwards are wanted: always, never, only.
    fn wants_forward(&self) -> Res<Forward> {
        let by_option = self
            .parsed
            .options
            .iter()
            .rev()
            .find_map(|g| match (g.name, g.negated) {
                ("ff", false) => Some(Forward::Yes),
                ("ff", true) => Some(Forward::No),
                ("ff-only", _) => Some(Forward::Only),
                _ => None,
            });
        if let Some(forward) = by_option {
            return Ok(forward);
        }
        Ok(match self.repo.config.get("merge.ff") {
            None => Forward::Yes,
            Some(b"only") => Forward::Only,
            Some(_) => match self.repo.config.bool("merge.ff")? {
                Some(false) => Forward::No,
                _ => Forward::Yes,
            },
        })
    }

    fn run(&self, out: &mut Out) -> Res<()> {
        let forward = self.wants_forward()?;
        if self.base == self.theirs {
            self.note_head()?;
            if !self.parsed.has("quiet") {
                out.put("Already up to date.\n");
            }
            forget(self.repo);
            return Ok(());
        }
        if self.base == self.ours && forward != Forward::No {
            return self.forward(out);
        }
        if forward == Forward::Only {
            self.note_head()?;
            if self.repo.config.bool("advice.diverging")?.unwrap_or(true) {
                self.repo.call.warn(
                    "hint: Diverging branches can't be fast-forwarded, you need to either:\n\
                     hint:\n\
                     hint: \tgit merge --no-ff\n\
                     hint:\n\
                     hint: or:\n\
                     hint:\n\
                     hint: \tgit rebase\n\
                     hint:\n\
                     hint: Disable this message with \"git config advice.diverging false\"\n",
                );
            }
            return Err(Stop::fatal("Not possible to fast-forward, aborting."));
        }
        self.join(out)
    }

    /// Remembers where HEAD was.
    fn note_head(&self) -> Res<()> {
        let text = format!("{}\n", self.ours);
        self.repo.write_ref(b"ORIG_HEAD", text.as_bytes())?;
        self.repo.log_ref(
            b"ORIG_HEAD",
            None,
            self.ours,
            &self.who,
            b"updating ORIG_HEAD",
        );
        Ok(())
    }

    fn forward(&self, out: &mut Out) -> Res<()> {
        let repo = self.repo;
        let quiet = self.parsed.has("quiet");
        let (from, to) = (repo.commit(self.ours)?.tree, repo.commit(self.theirs)?.tree);
        let mut edit = IndexEdit::begin(repo)?;
        edit.refresh()?;
        let (steps, rejects) = merge_trees::steps(repo, &edit, (from, to))?;
        let stat = self.stat(self.theirs)?;
        if !quiet {
            out.put(format!(
                "Updating {}..{}\n",
                repo.short(self.ours)?,
                repo.short(self.theirs)?
            ));
        }
        if !rejects.is_empty() {
            self.note_head()?;
            merge_trees::say_rejects(repo, &rejects)?;
            out.code = 1;
            return Ok(());
        }
        self.note_head()?;
        let whole = steps.carry_out(repo, &mut edit)?;
        edit.write_tree()?;
        edit.commit()?;
        if !whole {
            return Err(Stop::exit(1));
        }
        let said = if self.parsed.has("message") {
            "Fast-forward (no commit created; -m option ignored)"
        } else {
            "Fast-forward"
        };
        self.finish(self.theirs, said, stat, out)
    }

    fn join(&self, out: &mut Out) -> Res<()> {
        let repo = self.repo;
        let trees = [self.base, self.ours, self.theirs];
        let [base, ours, theirs] = trees.map(|id| repo.commit(id).map(|c| c.tree));
        let (base, ours, theirs) = (base?, ours?, theirs?);
        let author = Identity::of(repo, "AUTHOR")?;
        let mut edit = IndexEdit::begin(repo)?;
        edit.refresh()?;
        let staged = tree_index::changes(repo, Some(self.ours), &edit.base, &Pathspec::default())?;
        if !staged.is_empty() || edit.iter().any(|(_, item)| item.intent_to_add) {
            return Err(Stop::not_native("a merge over what is staged"));
        }
        let merged = merge_trees::merge(repo, base, ours, theirs)?;
        let (steps, rejects) = merge_trees::steps(repo, &edit, (ours, merged.tree))?;
        if !rejects.is_empty() {
            return Err(Stop::not_native("local changes in the way of a merge"));
        }
        let text = message::Cleanup::Whitespace.apply(&self.message);
        if text.is_empty() || std::str::from_utf8(&text).is_err() {
            return Err(Stop::not_native("a message of this form"));
        }
        let data = commit::object(
            merged.tree,
            &[self.ours, self.theirs],
            (&author, &self.who),
            &text,
        );
        let commits = self.parsed.last("commit").is_none_or(|g| !g.negated);
        let id = repo.write_object(ObjectType::Commit, &data)?;
        let stat = self.stat(id)?;
        self.note_head()?;
        let whole = steps.carry_out(repo, &mut edit)?;
        edit.write_tree()?;
        edit.commit()?;
        if !whole {
            return Err(Stop::exit(2));
        }
        if !self.parsed.has("quiet") {
            out.put(&merged.said);
        }
        if !commits {
            return self.leave_uncommitted(merged.tree);
        }
        self.finish(id, "Merge made by the 'ort' strategy.", stat, out)
    }

    /// Leaves what `git commit` needs to conclude the merge.
    fn leave_uncommitted(&self, tree: Id) -> Res<()> {
        let repo = self.repo;
        let put = |name: &str, text: &[u8]| {
            std::fs::write(bytes::to_path(&repo.git_path(name)), text)
                .map_err(|e| Stop::fatal(format!("could not write to '{name}': {e}")))
        };
        repo.write_ref(b"AUTO_MERGE", format!("{tree}\n").as_bytes())?;
        put("MERGE_HEAD", format!("{}\n", self.theirs).as_bytes())?;
        let no_forward = self.wants_forward()? == Forward::No;
        put("MERGE_MODE", if no_forward { b"no-ff" } else { b"" })?;
        put("MERGE_MSG", &[self.message.as_slice(), b"\n"].concat())?;
        repo.call
            .warn("Automatic merge went well; stopped before committing as requested\n");
        Ok(())
    }

    /// Moves HEAD, and says what the merge brought.
    fn finish(&self, id: Id, said: &str, stat: Bytes, out: &mut Out) -> Res<()> {
        let repo = self.repo;
        if !self.parsed.has("quiet") {
            out.put(format!("{said}\n"));
        }
        let words = [b"merge ".as_slice(), &self.name, b": ", said.as_bytes()].concat();
        match &self.head.branch {
            Some(branch) => repo.set_ref(branch, Some(self.ours), id, &self.who, &words)?,
            None => repo.detach_head(id, Some(self.ours), &self.who, &words)?,
        }
        out.put(stat);
        forget(repo);
        Ok(())
    }

    /// Returns what changed from HEAD to a commit, as a list with bars.
    fn stat(&self, id: Id) -> Res<Bytes> {
        let repo = self.repo;
        let shows = match self
            .parsed
            .options
            .iter()
            .rev()
            .find(|g| matches!(g.name, "stat" | "no-diffstat"))
        {
            Some(given) => given.name == "stat" && !given.negated,
            None => repo.config.bool("merge.stat")?.unwrap_or(true),
        };
        if !shows || self.parsed.has("quiet") {
            return Ok(Bytes::new());
        }
        let mut options = DiffOptions::new(repo, &Parsed::default())?;
        options.forms.stat = true;
        options.forms.summary = true;
        options.renames = Some(RenameOptions::default());
        let attributes = Attributes::load(repo, None)?;
        let contents = Contents::new(repo, &attributes, None);
        let (old, new) = (repo.commit(self.ours)?.tree, repo.commit(id)?.tree);
        let pairs = tree_diff::changes(repo, old, new, &Pathspec::default())?;
        let pairs = diff_print::prepare(pairs, &contents, &options)?;
        let prefixes = options.prefixes(b"a/", b"b/");
        let mut page = Out::new(Default::default());
        diff_print::print(&contents, &pairs, &options, &prefixes, &mut page)?;
        Ok(page.into_answer().stdout)
    }
}

/// What is wanted where HEAD could just be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forward {
    Yes,
    No,
    Only,
}

/// Forgets a merge, and nothing else that may be in progress.
fn forget(repo: &Repo<'_>) {
    for file in [
        "MERGE_HEAD",
        "MERGE_RR",
        "MERGE_MSG",
        "MERGE_MODE",
        "AUTO_MERGE",
    ] {
        let _ = std::fs::remove_file(bytes::to_path(&repo.git_path(file)));
    }
}

/// Returns the message git makes up.
fn title(repo: &Repo<'_>, head: &Head, name: &[u8]) -> Res<Bytes> {
    if name.contains(&b'@') || name.iter().any(|c| matches!(c, b'^' | b'~' | b':')) {
        return Err(Stop::not_native("a merge of a revision"));
    }
    let found = repo.dwim(name)?;
    let what: &[u8] = match found.first() {
        Some((full, _)) if full.starts_with(b"refs/heads/") => b"branch",
        Some((full, _)) if full.starts_with(b"refs/tags/") => b"tag",
        Some((full, _)) if full.starts_with(b"refs/remotes/") => b"remote-tracking branch",
        _ => b"commit",
    };
    let mut text = [b"Merge ", what, b" '", name, b"'"].concat();
    let current = head.short_branch().unwrap_or(b"HEAD");
    if current != b"main" && current != b"master" {
        text.extend_from_slice(b" into ");
        text.extend_from_slice(current);
    }
    Ok(text)
}
