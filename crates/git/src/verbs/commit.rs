//! `git commit`: the index (or some paths of it) as a new commit, where nothing but git itself has a say.
//!
//! The order is git's. Objects are written first, since nothing shows them; the references, the index and the notes of
//! an operation change only when it is certain that the commit is made here.

use git2::ObjectType;

use crate::exec::{Call, Plan, after_setup};
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::branch_state;
use crate::references::refs::Head;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::text::message;
use crate::verbs::add;
use crate::verbs::commit_editor::{self, Editor};
use crate::verbs::commit_stage::{Staged, stage};
use crate::verbs::commit_summary;
use crate::verbs::commit_task::Task;
use crate::verbs::known;
use crate::verbs::status;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec_file::{self, FILE_NUL, FROM_FILE};

const OPTIONS: &[Spec] = &[
    value("message", Some(b'm')),
    value("file", Some(b'F')),
    value("reuse-message", Some(b'C')),
    value("reedit-message", Some(b'c')),
    value("author", None),
    value("fixup", None),
    value("squash", None),
    value("trailer", None),
    value("date", None),
    value("cleanup", None),
    flag("all", Some(b'a')),
    flag("include", Some(b'i')),
    flag("only", Some(b'o')),
    flag("amend", None),
    flag("edit", Some(b'e')).or_no(),
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
    flag("verbose", Some(b'v')).or_no(),
    FROM_FILE,
    FILE_NUL,
];

/// Says what a commit would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &known::COMMIT)?;
    if parsed.has("gpg-sign") {
        return Err(Stop::not_native("a commit with a signature"));
    }
    Ok(if is_dry(&parsed) {
        Plan::Read
    } else {
        Plan::LocalWrite
    })
}

fn is_dry(parsed: &Parsed) -> bool {
    ["dry-run", "short", "porcelain", "long", "null"]
        .iter()
        .any(|o| parsed.has(o))
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    after_setup(call, plan(args))?;
    let mut parsed = after_setup(
        call,
        parse_known(args, OPTIONS, Numbers::No, &known::COMMIT),
    )?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    if parsed.has(FROM_FILE.name) && parsed.has("all") {
        return Err(Stop::fatal(
            "options '--pathspec-from-file' and '-a' cannot be used together",
        ));
    }
    parsed.args = pathspec_file::patterns(&repo, &parsed, &parsed.args)?;
    refuse(&repo, &parsed)?;
    let head = repo.head()?;
    repo.index()?.refuse_untracked_cache(&repo)?;
    let task = Task::of(&repo, &parsed, &head)?;
    let mut edit = IndexEdit::begin(&repo)?;
    let Some(staged) = stage(&repo, &parsed, &task, &mut edit, out)? else {
        return Ok(());
    };
    let for_status = || -> Res<status::ForCommit<'_>> {
        if task.searched {
            return Err(Stop::not_native("a status after a search for an author"));
        }
        Ok(status::ForCommit {
            index: staged.index(&edit)?,
            base: task.base(&head),
            amends: task.amends.is_some(),
            parsed: &parsed,
        })
    };
    if is_dry(&parsed) {
        let any = status::print_for_commit(&repo, for_status()?, out)?;
        out.code = i32::from(!any);
        return Ok(());
    }
    let committer = Identity::of(&repo, "COMMITTER")?;
    let author = task.author(&repo, &parsed)?;
    let mut noted = task.first_message(&repo, &parsed, &committer)?;
    let first = noted.clone();
    if task.edits {
        let who = (&author, &committer);
        noted.extend_from_slice(&commit_editor::below(
            &repo,
            &parsed,
            &task,
            who,
            for_status()?,
        )?);
    }
    if is_nothing(&repo, &parsed, &task, &head, &staged)? {
        let for_status = for_status()?;
        drop(edit);
        status::print_for_commit(&repo, for_status, out)?;
        advise_about_nothing(&repo, &task)?;
        note_message(&repo, &noted);
        out.code = 1;
        return Ok(());
    }
    if task.edits && commit_editor::find(&repo)? == Editor::Missing {
        drop(edit);
        note_message(&repo, &noted);
        return Err(Stop::error(
            1,
            "Terminal is dumb, but EDITOR unset\n\
             Please supply the message using either -m or -F option.",
        ));
    }
    // What an editor that does nothing was shown is commented out, and leaves with the comments.
    let text = if task.edits {
        task.cleanup.apply(&noted)
    } else {
        task.cleanup.apply(&first)
    };
    if std::str::from_utf8(&text).is_err() || text.contains(&0) {
        return Err(Stop::not_native("a message in another encoding"));
    }
    if message::is_empty(&text, task.cleanup) && !parsed.has("allow-empty-message") {
        note_message(&repo, &noted);
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
    note_message(&repo, &noted);
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

/// Says whether the commit would change nothing, and nobody said that this is meant.
fn is_nothing(
    repo: &Repo<'_>,
    parsed: &Parsed,
    task: &Task,
    head: &Head,
    staged: &Staged,
) -> Res<bool> {
    let amends_merge = task.amends.as_ref().is_some_and(|c| c.parents.len() > 1);
    if !task.merge_heads.is_empty() || parsed.has("allow-empty") || amends_merge {
        return Ok(false);
    }
    Ok(match task.base(head) {
        Some(id) => repo.commit(id)?.tree == staged.tree,
        None => staged.is_empty,
    })
}

fn advise_about_nothing(repo: &Repo<'_>, task: &Task) -> Res<()> {
    if task.amends.is_some() {
        repo.call.warn(
            "You asked to amend the most recent commit, but doing so would make\n\
             it empty. You can repeat your command with --allow-empty, or you can\n\
             remove the commit entirely with \"git reset HEAD^\".\n",
        );
    } else if task.picked.is_some() {
        repo.call.warn(format!(
            "The previous cherry-pick is now empty, possibly due to conflict resolution.\n\
             If you wish to commit it anyway, use:\n\n    git commit --allow-empty\n\n\
             Otherwise, please use 'git {} --skip'\n",
            task.picking
        ));
    }
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
    let rewrites = parsed.last("post-rewrite").is_none_or(|g| !g.negated);
    if parsed.has("amend") && rewrites {
        repo.refuse_hooks(&["post-rewrite"])?;
    }
    for key in ["commit.gpgsign", "rerere.enabled"] {
        if repo.config.bool(key)? == Some(true) {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    let rewrites: &[&str] = if parsed.has("amend") {
        &["notes.rewriteref", "notes.rewrite.amend"]
    } else {
        &[]
    };
    for key in ["trailer.separators"].iter().chain(rewrites) {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if repo.has_git_file("rr-cache") {
        return Err(Stop::not_native("remembered resolutions"));
    }
    branch_state::refuse_sequences(repo)?;
    Ok(())
}

fn write_commit(
    repo: &Repo<'_>,
    tree: Id,
    parents: &[Id],
    who: (&Identity, &Identity),
    message: &[u8],
) -> Res<Id> {
    repo.write_object(ObjectType::Commit, &object(tree, parents, who, message))
}

/// Returns the bytes of a commit.
pub(crate) fn object(
    tree: Id,
    parents: &[Id],
    (author, committer): (&Identity, &Identity),
    message: &[u8],
) -> Bytes {
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
    data
}
