//! `git cherry-pick` and `git revert` of one commit, where its changes and HEAD's do not meet.

use git2::ObjectType;

use crate::exec::{self, Call, Plan};
use crate::history::pretty;
use crate::options::{Known, Numbers, Parsed, Spec, flag, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::references::branch_state;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::object::{Commit, Person};
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::message::{self, Cleanup};
use crate::verbs::add;
use crate::verbs::commit;
use crate::verbs::commit_summary;
use crate::verbs::merge_trees;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec::Pathspec;
use crate::work::tree_index;

const OPTIONS: &[Spec] = &[
    flag("edit", Some(b'e')).or_no(),
    flag("record-origin", Some(b'x')),
    flag("signoff", Some(b's')),
];

const PICK: Known = Known {
    long: "quit continue abort skip cleanup no-commit commit edit signoff mainline rerere-autoupdate strategy \
        strategy-option gpg-sign ff allow-empty allow-empty-message keep-redundant-commits empty",
    short: "nesmxXS",
    usage: Some(include_str!("usage/cherry-pick.txt")),
};

const REVERT: Known = Known {
    long: "quit continue abort skip cleanup no-commit commit edit signoff mainline rerere-autoupdate strategy \
        strategy-option gpg-sign reference",
    short: "nesmXS",
    usage: Some(include_str!("usage/revert.txt")),
};

/// What is done with the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Pick,
    Revert,
}

fn arguments(action: Action, args: &[Bytes]) -> Res<Parsed> {
    let known = match action {
        Action::Pick => &PICK,
        Action::Revert => &REVERT,
    };
    if args.iter().any(|a| a == b"--record-origin") {
        return Err(Stop::not_native("option `--record-origin`"));
    }
    let parsed = parse_known(args, OPTIONS, Numbers::No, known)?;
    let both = parsed.has("record-origin") && parsed.has("signoff");
    if parsed.has("edit") || both || parsed.args.len() != 1 {
        return Err(Stop::not_native("this form of picking commits"));
    }
    Ok(parsed)
}

/// Says what a cherry-pick would do.
pub(crate) fn plan_pick(args: &[Bytes]) -> Res<Plan> {
    arguments(Action::Pick, args).map(|_| Plan::LocalWrite)
}

/// Says what a revert would do.
pub(crate) fn plan_revert(args: &[Bytes]) -> Res<Plan> {
    arguments(Action::Revert, args).map(|_| Plan::LocalWrite)
}

/// Carries out `git cherry-pick`.
pub(crate) fn run_pick(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    run(call, Action::Pick, args, out)
}

/// Carries out `git revert`.
pub(crate) fn run_revert(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    run(call, Action::Revert, args, out)
}

fn run(call: &Call<'_>, action: Action, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = exec::after_setup(call, arguments(action, args))?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    refuse(&repo)?;
    if action == Action::Revert && parsed.last("edit").is_none() && call.env.is_terminal() {
        return Err(Stop::not_native("a message from an editor"));
    }
    let head = repo.head()?;
    let name = &parsed.args[0];
    let is_range = crate::text::bytes::find(name, b"..").is_some() || name.starts_with(b"^");
    let found = if is_range { None } else { repo.resolve(name)? };
    let (Some(ours), Some(id)) = (head.id, found) else {
        return Err(Stop::not_native("this form of picking commits"));
    };
    let id = repo
        .peel_to_commit(id)?
        .ok_or_else(|| Stop::not_native("what is no commit"))?;
    let picked = repo.commit(id)?;
    let parent = match picked.parents.as_slice() {
        [] => Id::empty_tree(),
        [parent] => repo.commit(*parent)?.tree,
        _ => return Err(Stop::not_native("picking a merge")),
    };
    if picked.encoding.is_some() || (picked.parents.is_empty() && action == Action::Revert) {
        return Err(Stop::not_native("a commit of this form"));
    }
    let ours_tree = repo.commit(ours)?.tree;
    let committer = Identity::of(&repo, "COMMITTER")?;
    let author = match action {
        Action::Pick => author_of(&picked)?,
        Action::Revert => Identity::of(&repo, "AUTHOR")?,
    };
    let text = message_of(action, &parsed, id, &picked, &committer)?;
    let mut edit = IndexEdit::begin(&repo)?;
    edit.refresh()?;
    let staged = tree_index::changes(&repo, Some(ours), &edit.base, &Pathspec::default())?;
    if !staged.is_empty() || edit.iter().any(|(_, item)| item.intent_to_add) {
        return Err(Stop::not_native("picking over what is staged"));
    }
    let merged = match action {
        Action::Pick => merge_trees::merge(&repo, parent, ours_tree, picked.tree)?,
        Action::Revert => merge_trees::merge(&repo, picked.tree, ours_tree, parent)?,
    };
    if merged.tree == ours_tree {
        return Err(Stop::not_native("a pick that changes nothing"));
    }
    let (steps, rejects) = merge_trees::steps(&repo, &edit, (ours_tree, merged.tree))?;
    if !rejects.is_empty() {
        return Err(Stop::not_native("local changes in the way of a pick"));
    }
    let data = commit::object(merged.tree, &[ours], (&author, &committer), &text);
    let new = repo.write_object(ObjectType::Commit, &data)?;
    let mut summary = Out::new(Default::default());
    let made = commit_summary::Made {
        head: &head,
        id: new,
        author: &author,
        committer: &committer,
        shows_date: true,
    };
    commit_summary::print(&repo, &made, &mut summary)?;
    let whole = steps.carry_out(&repo, &mut edit)?;
    edit.write_tree()?;
    edit.commit()?;
    if !whole {
        return Err(Stop::exit(1));
    }
    out.put(&merged.said);
    let title = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let verb: &[u8] = match action {
        Action::Pick => b"cherry-pick: ",
        Action::Revert => b"revert: ",
    };
    let words = [verb, title].concat();
    match &head.branch {
        Some(branch) => repo.set_ref(branch, Some(ours), new, &committer, &words)?,
        None => repo.detach_head(new, Some(ours), &committer, &words)?,
    }
    // git leaves this one behind.
    repo.write_ref(b"AUTO_MERGE", format!("{}\n", merged.tree).as_bytes())?;
    out.put(summary.into_answer().stdout);
    Ok(())
}

fn refuse(repo: &Repo<'_>) -> Res<()> {
    add::refuse(repo)?;
    repo.refuse_sparse()?;
    repo.refuse_hooks(&[
        "prepare-commit-msg",
        "post-commit",
        "commit-msg",
        "pre-commit",
    ])?;
    for key in ["commit.gpgsign", "rerere.enabled", "revert.reference"] {
        if repo.config.bool(key)? == Some(true) {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if repo.config.get("commit.cleanup").is_some() {
        return Err(Stop::not_native("the setting `commit.cleanup`"));
    }
    message::refuse_comment_settings(repo)?;
    branch_state::refuse_sequences(repo)?;
    for file in [
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "MERGE_HEAD",
        "rebase-merge",
        "rebase-apply",
    ] {
        if repo.has_git_file(file) {
            return Err(Stop::not_native(
                "picking while something else is in progress",
            ));
        }
    }
    if repo.index()?.entries.iter().any(|e| e.stage > 0) {
        return Err(Stop::not_native("picking with conflicts"));
    }
    merge_trees::refuse(repo)
}

fn author_of(picked: &Commit) -> Res<Identity> {
    let person = Person::parse(&picked.author);
    if !person.has_time || person.name.is_empty() {
        return Err(Stop::not_native("a commit without an author"));
    }
    Ok(Identity {
        name: person.name.to_vec(),
        email: person.email.to_vec(),
        time: person.time,
        zone: person.zone,
    })
}

fn message_of(
    action: Action,
    parsed: &Parsed,
    id: Id,
    picked: &Commit,
    committer: &Identity,
) -> Res<Bytes> {
    let mut text = match action {
        Action::Pick => picked.message.clone(),
        Action::Revert => {
            let title = pretty::title(&picked.message, b" ");
            let begin: Bytes = match title.strip_prefix(b"Revert \"") {
                // What was reverted before comes back.
                Some(rest) if !rest.starts_with(b"Revert \"") => [b"Reapply \"", rest].concat(),
                Some(_) => return Err(Stop::not_native("a revert of a revert of a revert")),
                None => [b"Revert \"".as_slice(), &title, b"\""].concat(),
            };
            let end = format!("\n\nThis reverts commit {id}.\n");
            [begin, end.into_bytes()].concat()
        }
    };
    if parsed.has("record-origin") {
        if action == Action::Revert {
            return Err(Stop::not_native("option `-x`"));
        }
        let ends_in_trailers = text
            .trim_ascii_end()
            .rsplit(|b| *b == b'\n')
            .next()
            .is_some_and(|line| line.contains(&b':') || line.starts_with(b"(cherry picked"));
        if ends_in_trailers {
            return Err(Stop::not_native("the origin below trailers"));
        }
        text = Cleanup::Whitespace.apply(&text);
        text.extend_from_slice(format!("\n(cherry picked from commit {id})\n").as_bytes());
    }
    if parsed.has("signoff") {
        text = message::signed_off(&Cleanup::Whitespace.apply(&text), committer)?;
    }
    let usable = std::str::from_utf8(&text).is_ok()
        && !text.contains(&0)
        && text.first().is_some_and(|c| !c.is_ascii_whitespace());
    if !usable {
        return Err(Stop::NotNative(format!(
            "the message of {}",
            lossy(id.hex().as_bytes())
        )));
    }
    Ok(text)
}
