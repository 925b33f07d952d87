//! `git commit`: the index (or some paths of it) as a new commit, where nothing but git itself has a say.
//!
//! The order is git's. Objects are written first, since nothing shows them; the references, the index and the notes of
//! an operation change only when it is certain that the commit is made here.

use git2::ObjectType;

use crate::bytes::{self, Bytes, lossy};
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::identity::Identity;
use crate::index_edit::{self, IndexEdit};
use crate::known;
use crate::message::{self, Cleanup};
use crate::object::{Commit, Person};
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::pathspec::Pathspec;
use crate::refs::Head;
use crate::repo::Repo;
use crate::staging::{How, Staging};
use crate::{add, branch_state, commit_summary, status, tree_diff};

const OPTIONS: &[Spec] = &[
    value("message", Some(b'm')),
    value("file", Some(b'F')),
    value("reuse-message", Some(b'C')),
    value("author", None),
    value("date", None),
    value("cleanup", None),
    flag("all", Some(b'a')),
    flag("include", Some(b'i')),
    flag("only", Some(b'o')),
    flag("amend", None),
    flag("edit", None).or_no(),
    flag("reset-author", None),
    flag("signoff", Some(b's')).or_no(),
    flag("verify", None).or_no(),
    flag("no-verify", Some(b'n')),
    flag("allow-empty", None).or_no(),
    flag("allow-empty-message", None).or_no(),
    flag("quiet", Some(b'q')).or_no(),
    flag("dry-run", None),
    flag("short", None),
    flag("branch", None),
    flag("porcelain", None),
    flag("long", None),
    flag("null", Some(b'z')),
    maybe("untracked-files", Some(b'u')),
    flag("gpg-sign", None).or_no(),
    flag("post-rewrite", None).or_no(),
    flag("status", None).or_no(),
];

/// Says what a commit would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &known::COMMIT)?;
    if parsed.last("edit").is_some_and(|g| !g.negated) || parsed.has("gpg-sign") {
        return Err(Stop::not_native("a commit with an editor or a signature"));
    }
    Ok(if is_dry(&parsed) {
        Plan::Read
    } else {
        Plan::LocalWrite
    })
}

fn is_dry(parsed: &Parsed) -> bool {
    ["dry-run", "short", "porcelain", "long"]
        .iter()
        .any(|o| parsed.has(o))
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let parsed = parse_known(args, OPTIONS, Numbers::No, &known::COMMIT)?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    refuse(&repo, &parsed)?;
    let head = repo.head()?;
    repo.index()?.refuse_untracked_cache(&repo)?;
    let mut task = Task::of(&repo, &parsed, &head)?;
    if is_dry(&parsed) {
        return dry_run(&repo, &parsed, &task, out);
    }
    let mut edit = IndexEdit::begin(&repo)?;
    let Some(staged) = stage(&repo, &parsed, &task, &mut edit, out)? else {
        return Ok(());
    };
    if let Some(file) = parsed.last("file") {
        let text = message::read_file(&repo, file.text(), "could not read log file")?;
        task.raw_message = Some(text);
    }
    let committer = Identity::of(&repo, "COMMITTER")?;
    let mut first = task
        .raw_message
        .as_deref()
        .map(|raw| task.cleanup.apply_first(raw));
    if parsed.has("signoff")
        && let Some(text) = &first
    {
        first = Some(message::signed_off(text, &committer)?);
    }
    let parent_tree = task.parent_tree(&repo)?;
    let empty = match parent_tree {
        Some(tree) => tree == staged.tree,
        None => staged.is_empty,
    };
    let amends_merge = task.amends.as_ref().is_some_and(|c| c.parents.len() > 1);
    let nothing =
        empty && task.merge_heads.is_empty() && !parsed.has("allow-empty") && !amends_merge;
    if nothing {
        if task.amends.is_some() || staged.changed || task.picked.is_some() || first.is_none() {
            return Err(Stop::not_native("a commit that turns out to be empty"));
        }
        drop(edit);
        status::print_for_commit(&repo, out)?;
        note_message(&repo, &first.unwrap_or_default());
        out.code = 1;
        return Ok(());
    }
    let Some(first) = first else {
        return Err(Stop::not_native("a message from an editor"));
    };
    let author = task.author(&repo, &parsed)?;
    let text = task.cleanup.apply(&first);
    if std::str::from_utf8(&text).is_err() || text.contains(&0) {
        return Err(Stop::not_native("a message in another encoding"));
    }
    if message::is_empty(&text, task.cleanup) && !parsed.has("allow-empty-message") {
        note_message(&repo, &first);
        call.warn("Aborting commit due to empty commit message.\n");
        return Err(Stop::exit(1));
    }
    let parents = task.parents(&repo, &head)?;
    let id = write_commit(&repo, staged.tree, &parents, (&author, &committer), &text)?;
    let mut summary = Out::new(Default::default());
    if !parsed.has("quiet") {
        let shows_date =
            task.source.is_some() && !parsed.has("reset-author") || parsed.last("date").is_some();
        commit_summary::print(
            &repo,
            &commit_summary::Made {
                head: &head,
                id,
                author: &author,
                committer: &committer,
                shows_date,
            },
            &mut summary,
        )?;
    }
    // From here on things are written.
    call.wrote.set(true);
    note_message(&repo, &first);
    let subject = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let words = [task.reflog_words(&head), b": ", subject].concat();
    match &head.branch {
        Some(branch) => repo.set_ref(branch, head.id, id, &committer, &words)?,
        None => repo.detach_head(id, head.id, &committer, &words)?,
    }
    branch_state::forget(&repo, false);
    edit.commit()?;
    out.put(summary.into_answer().stdout);
    Ok(())
}

fn note_message(repo: &Repo<'_>, text: &[u8]) {
    let _ = std::fs::write(bytes::to_path(&repo.git_path("COMMIT_EDITMSG")), text);
}

fn refuse(repo: &Repo<'_>, parsed: &Parsed) -> Res<()> {
    add::refuse(repo)?;
    repo.refuse_hooks(&["prepare-commit-msg", "post-commit"])?;
    let skips = parsed.has("no-verify") || parsed.last("verify").is_some_and(|g| g.negated);
    if !skips {
        repo.refuse_hooks(&["pre-commit", "commit-msg", "pre-merge-commit"])?;
    }
    if parsed.has("amend") {
        repo.refuse_hooks(&["post-rewrite"])?;
    }
    for key in [
        "commit.gpgsign",
        "commit.template",
        "commit.cleanup",
        "commit.status",
        "commit.verbose",
        "i18n.commitencoding",
        "status.short",
        "trailer.separators",
        "notes.rewriteref",
        "notes.rewrite.amend",
        "gpg.format",
        "rerere.enabled",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if repo.has_git_file("rr-cache") {
        return Err(Stop::not_native("remembered resolutions"));
    }
    message::refuse_comment_settings(repo)?;
    branch_state::refuse_sequences(repo)?;
    if repo.has_git_file("CHERRY_PICK_HEAD")
        && (repo.has_git_file("rebase-merge") || repo.has_git_file("rebase-apply"))
    {
        return Err(Stop::not_native("a commit in the middle of a rebase"));
    }
    Ok(())
}

/// What the commit is made of besides the tree.
struct Task {
    cleanup: Cleanup,
    /// Before it is cleaned; `None` when an editor would be asked.
    raw_message: Option<Bytes>,
    /// The commit that is replaced.
    amends: Option<Commit>,
    merge_heads: Vec<Id>,
    /// The commit that is being picked.
    picked: Option<Id>,
    /// The commit author and date are taken from.
    source: Option<Commit>,
}

impl Task {
    fn of(repo: &Repo<'_>, parsed: &Parsed, head: &Head) -> Res<Task> {
        let amend = parsed.has("amend");
        let given = ["message", "file", "reuse-message"]
            .iter()
            .filter(|o| parsed.has(o))
            .count();
        if parsed.has("message") && parsed.has("file") && given == 2 {
            return Err(Stop::fatal("options '-m' and '-F' cannot be used together"));
        }
        if given > 1 {
            return Err(Stop::not_native("several sources of the message"));
        }
        let merge_heads: Vec<Id> = repo
            .git_file("MERGE_HEAD")
            .unwrap_or_default()
            .split(|b| *b == b'\n')
            .filter_map(Id::parse)
            .collect();
        let picked = repo
            .git_file("CHERRY_PICK_HEAD")
            .and_then(|t| Id::parse(t.get(..40)?));
        let amends = match (amend, head.id) {
            (false, _) => None,
            (true, None) => return Err(Stop::fatal("You have nothing to amend.")),
            (true, Some(_)) if !merge_heads.is_empty() => {
                return Err(Stop::fatal(
                    "You are in the middle of a merge -- cannot amend.",
                ));
            }
            (true, Some(_)) if picked.is_some() => {
                return Err(Stop::fatal(
                    "You are in the middle of a cherry-pick -- cannot amend.",
                ));
            }
            (true, Some(id)) => Some(repo.commit(id)?),
        };
        if parsed.has("reset-author") && !amend && !parsed.has("reuse-message") && picked.is_none()
        {
            return Err(Stop::fatal(
                "--reset-author can be used only with -C, -c or --amend.",
            ));
        }
        if parsed.has("reset-author") && parsed.has("author") {
            return Err(Stop::fatal(
                "options '--reset-author' and '--author' cannot be used together",
            ));
        }
        let reused = match parsed.last("reuse-message") {
            None => None,
            Some(name) => {
                let found = match repo.resolve(name.text())? {
                    Some(id) => repo.peel_to_commit(id)?,
                    None => None,
                };
                let Some(id) = found else {
                    return Err(Stop::fatal(format!(
                        "could not lookup commit '{}'",
                        lossy(name.text())
                    )));
                };
                Some(repo.commit(id)?)
            }
        };
        for commit in amends.iter().chain(&reused) {
            if commit.encoding.is_some() || (!commit.extra.is_empty() && amend) {
                return Err(Stop::not_native("a commit with other headers"));
            }
        }
        let no_edit = parsed.last("edit").is_some_and(|g| g.negated);
        if parsed
            .last("author")
            .is_some_and(|a| !a.text().contains(&b'<'))
        {
            return Err(Stop::not_native("an author to be looked for"));
        }
        // A file is read when everything is staged.
        let raw_message = if parsed.has("file") {
            None
        } else if parsed.has("message") {
            message::paragraphs(parsed).map(|mut text| {
                if !text.is_empty() && !text.ends_with(b"\n") {
                    text.push(b'\n');
                }
                text
            })
        } else if let Some(reused) = &reused {
            Some(crate::pretty::body_with_title(&reused.message))
        } else if !no_edit {
            None
        } else if let Some(amends) = &amends {
            Some(crate::pretty::body_with_title(&amends.message))
        } else {
            match (repo.git_file("SQUASH_MSG"), repo.git_file("MERGE_MSG")) {
                (None, Some(text)) => Some(text),
                (Some(_), _) => return Err(Stop::not_native("a squashed message")),
                (None, None) => Some(Bytes::new()),
            }
        };
        let source = match (reused, &amends, picked) {
            (Some(commit), ..) => Some(commit),
            (None, Some(commit), _) => Some(commit.clone()),
            (None, None, Some(id)) => Some(repo.commit(id)?),
            (None, None, None) => None,
        };
        let cleanup = match parsed.last("cleanup").map(|g| g.text().to_vec()) {
            None => Cleanup::Whitespace,
            Some(mode) => match mode.as_slice() {
                b"default" | b"whitespace" => Cleanup::Whitespace,
                b"strip" => Cleanup::Strip,
                b"verbatim" => Cleanup::Verbatim,
                b"scissors" => Cleanup::Whitespace,
                other => {
                    return Err(Stop::fatal(format!(
                        "Invalid cleanup mode {}",
                        lossy(other)
                    )));
                }
            },
        };
        Ok(Task {
            cleanup,
            raw_message,
            amends,
            merge_heads,
            picked,
            source,
        })
    }

    /// Returns the tree the new one is compared with; `None` when there is no commit before.
    fn parent_tree(&self, repo: &Repo<'_>) -> Res<Option<Id>> {
        let parent = match &self.amends {
            Some(commit) => commit.parents.first().copied(),
            None => repo.head()?.id,
        };
        match parent {
            Some(id) => Ok(Some(repo.commit(id)?.tree)),
            None => Ok(None),
        }
    }

    fn parents(&self, repo: &Repo<'_>, head: &Head) -> Res<Vec<Id>> {
        if let Some(commit) = &self.amends {
            if !commit.cut_parents.is_empty() {
                return Ok(commit.cut_parents.clone());
            }
            return Ok(commit.parents.clone());
        }
        let mut parents: Vec<Id> = head.id.into_iter().collect();
        let no_ff = repo
            .git_file("MERGE_MODE")
            .is_some_and(|t| t.trim_ascii() == b"no-ff");
        for id in &self.merge_heads {
            if !no_ff {
                for parent in &parents {
                    let related = parent == id
                        || repo.git.graph_descendant_of(parent.oid(), id.oid())?
                        || repo.git.graph_descendant_of(id.oid(), parent.oid())?;
                    if related {
                        return Err(Stop::not_native("a merge of what is merged already"));
                    }
                }
            }
            parents.push(*id);
        }
        Ok(parents)
    }

    fn author(&self, repo: &Repo<'_>, parsed: &Parsed) -> Res<Identity> {
        let source = self.source.as_ref().filter(|_| !parsed.has("reset-author"));
        let mut author = match source {
            Some(commit) => {
                let person = Person::parse(&commit.author);
                if !person.has_time {
                    return Err(Stop::not_native("a commit without a date"));
                }
                Identity {
                    name: person.name.to_vec(),
                    email: person.email.to_vec(),
                    time: person.time,
                    zone: person.zone,
                }
            }
            None if parsed.has("author") => Identity::dated(repo, "AUTHOR")?,
            None => Identity::of(repo, "AUTHOR")?,
        };
        if let Some(given) = parsed.last("author") {
            let person = Person::parse(given.text());
            if person.name.is_empty() || person.email.is_empty() {
                return Err(Stop::not_native("an author to be looked for"));
            }
            author.name = crate::identity::without_crud(person.name);
            author.email = crate::identity::without_crud(person.email);
        }
        if let Some(date) = parsed.last("date") {
            (author.time, author.zone) = crate::date::exact(repo.call, date.text())?;
        }
        Ok(author)
    }

    fn reflog_words(&self, head: &Head) -> &'static [u8] {
        if self.amends.is_some() {
            b"commit (amend)"
        } else if head.id.is_none() {
            b"commit (initial)"
        } else if !self.merge_heads.is_empty() {
            b"commit (merge)"
        } else if self.picked.is_some() {
            b"commit (cherry-pick)"
        } else {
            b"commit"
        }
    }
}

/// What the commit will have.
struct Staged {
    tree: Id,
    /// Nothing at all is in it.
    is_empty: bool,
    /// Something was staged by this command.
    changed: bool,
}

/// Stages what the options ask for; `None` when that was refused, with the words said.
fn stage(
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
    let only = parsed.has("only") && !parsed.has("amend");
    if (include || only) && parsed.args.is_empty() {
        return Err(Stop::fatal(
            "No paths with --include/--only does not make sense.",
        ));
    }
    if !parsed.args.is_empty() && !include {
        return partial(repo, task, &parsed.args, &spec, edit, out);
    }
    let mut changed = false;
    if all || include {
        let staging = Staging::tracked(repo, &edit.base, &spec, true)?;
        staging.refuse_filters(repo, &edit.base)?;
        if include && unmatched(repo, &parsed.args, &known_paths(edit), true, out)? {
            return Ok(None);
        }
        changed = !staging.is_empty();
        staging.apply(repo, edit, How::default())?;
    }
    edit.refresh()?;
    if edit.has_conflicts() {
        return Err(unresolved(repo, edit, out)?);
    }
    let is_empty = !edit.iter().any(|(_, item)| !item.intent_to_add);
    let tree = edit.write_tree()?;
    Ok(Some(Staged {
        tree,
        is_empty,
        changed,
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
        return Err(Stop::fatal(
            "cannot do a partial commit during a cherry-pick.",
        ));
    }
    let head_tree = match repo.head()?.id {
        Some(id) => repo.commit(id)?.tree,
        None => Id::EMPTY_TREE,
    };
    let mut tree: std::collections::BTreeMap<Bytes, (u32, Id)> =
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
    let paths: Vec<Bytes> = known.into_iter().filter(|p| spec.matches(p)).collect();
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
    let whole = edit.write_tree()?;
    let announces = edit.iter().any(|(_, item)| item.intent_to_add);
    Ok(Some(Staged {
        tree: id,
        is_empty,
        changed: whole != head_tree || announces,
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

/// Says what would be committed.
fn dry_run(repo: &Repo<'_>, parsed: &Parsed, task: &Task, out: &mut Out) -> Res<()> {
    if parsed.has("all")
        || !parsed.args.is_empty()
        || task.amends.is_some()
        || ["short", "porcelain", "null", "branch", "untracked-files"]
            .iter()
            .any(|o| parsed.last(o).is_some())
    {
        return Err(Stop::not_native("this form of a trial commit"));
    }
    let index = repo.index()?;
    if index.entries.iter().any(|e| e.stage > 0) {
        return Err(Stop::not_native("a trial commit with conflicts"));
    }
    status::print_for_commit(repo, out)?;
    let head = repo.head()?;
    let staged = crate::tree_index::changes(repo, head.id, &index, &Pathspec::default())?;
    if staged.is_empty() && task.merge_heads.is_empty() {
        out.code = 1;
    }
    Ok(())
}

fn write_commit(
    repo: &Repo<'_>,
    tree: Id,
    parents: &[Id],
    (author, committer): (&Identity, &Identity),
    message: &[u8],
) -> Res<Id> {
    let mut data = format!("tree {tree}\n").into_bytes();
    for parent in parents {
        data.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    for (role, who) in [("author ", author), ("committer ", committer)] {
        data.extend_from_slice(role.as_bytes());
        data.extend_from_slice(&who.line());
        data.push(b'\n');
    }
    data.push(b'\n');
    data.extend_from_slice(message);
    repo.write_object(ObjectType::Commit, &data)
}
