//! Making and deleting branches and tags, and going to a new branch.

use git2::ObjectType;

use crate::bytes::{Bytes, lossy};
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::identity::Identity;
use crate::options::{Numbers, Parsed, Spec, flag, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::ref_write::message_of;
use crate::refs::is_valid_short_name;
use crate::repo::Repo;
use crate::worktrees;

const BRANCH_OPTIONS: &[Spec] = &[
    flag("delete", Some(b'd')),
    flag("delete-force", Some(b'D')),
    flag("force", Some(b'f')),
    flag("quiet", Some(b'q')),
];

/// Says what a branch command that changes something would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args, BRANCH_OPTIONS, Numbers::No)?;
    if parsed.args.is_empty() || parsed.has("force") && !deletes(&parsed) {
        return Err(Stop::not_native("this form of `branch`"));
    }
    Ok(Plan::LocalWrite)
}

fn deletes(parsed: &Parsed) -> bool {
    parsed.has("delete") || parsed.has("delete-force")
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let parsed = parse(args, BRANCH_OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&[])?;
    if deletes(&parsed) {
        return delete(&repo, &parsed, out);
    }
    let (name, start) = match parsed.args.as_slice() {
        [name] => (name, None),
        [name, start] => (name, Some(start)),
        _ => return Err(Stop::not_native("this form of `branch`")),
    };
    let head = repo.head()?;
    let from = match start {
        Some(start) => start.clone(),
        None => head.short_branch().map_or(b"HEAD".to_vec(), <[u8]>::to_vec),
    };
    let id = new_branch_start(&repo, name, &from)?;
    let who = Identity::of(&repo, "COMMITTER")?;
    repo.set_ref(
        &[b"refs/heads/", name.as_slice()].concat(),
        None,
        id,
        &who,
        &[b"branch: Created from ", from.as_slice()].concat(),
    )
}

/// Checks a new branch's name and start; returns the commit it will be at.
fn new_branch_start(repo: &Repo<'_>, name: &[u8], start: &[u8]) -> Res<Id> {
    let full = [b"refs/heads/", name].concat();
    if name.starts_with(b"-")
        || name == b"HEAD"
        || !is_valid_short_name(name)
        || name.contains(&b'@')
    {
        return Err(Stop::not_native("a branch name git may not take"));
    }
    if repo.ref_id(&full)?.is_some() {
        return Err(Stop::fatal(format!(
            "a branch named '{}' already exists",
            lossy(name)
        )));
    }
    if repo.ref_conflicts(&full)? {
        return Err(Stop::not_native(
            "a branch name that is in the way of another",
        ));
    }
    // A start that is a remote's branch becomes the upstream; by setting, any branch does.
    if repo
        .config
        .get("branch.autosetupmerge")
        .is_some_and(|v| v != b"false" && v != b"true")
    {
        return Err(Stop::not_native("branch.autoSetupMerge"));
    }
    let found = repo.dwim(start)?;
    if found
        .iter()
        .any(|(name, _)| name.starts_with(b"refs/remotes/") || repo.is_tracking(name))
        || start.contains(&b'@')
    {
        return Err(Stop::not_native("a branch that follows another"));
    }
    if crate::bytes::find(start, b"...").is_some() {
        return Err(Stop::not_native("a start that is a merge base"));
    }
    let id = match repo.resolve(start)? {
        Some(id) => repo.peel_to_commit(id)?,
        None => {
            return Err(Stop::fatal(format!(
                "not a valid object name: '{}'",
                lossy(start)
            )));
        }
    };
    id.ok_or_else(|| Stop::not_native("a branch that is no commit"))
}

fn delete(repo: &Repo<'_>, parsed: &Parsed, out: &mut Out) -> Res<()> {
    let force = parsed.has("delete-force") || parsed.has("force");
    let head = repo.head()?;
    let others = worktrees::checked_out(repo)?;
    const BUSY: [&[u8]; 3] = [b"BISECT_LOG", b"rebase-merge", b"rebase-apply"];
    for tree in worktrees::list(repo)? {
        let is_busy =
            |name: &[u8]| crate::bytes::to_path(&crate::bytes::join(&tree.git_dir, name)).exists();
        if BUSY.iter().any(|name| is_busy(name)) {
            return Err(Stop::not_native(
                "deleting a branch in the middle of an operation",
            ));
        }
    }
    let mut doomed = Vec::new();
    // Everything is looked at first; with any doubt git does it.
    for name in &parsed.args {
        let full = [b"refs/heads/", name.as_slice()].concat();
        let settings = [b"branch.", name.as_slice(), b"."].concat();
        let odd = !is_valid_short_name(name)
            || name.contains(&b'@')
            || others.iter().any(|(b, _)| *b == full)
            || repo.symref(&full)?.is_some()
            || repo
                .config
                .entries
                .iter()
                .any(|e| e.key.starts_with(&settings));
        if odd {
            return Err(Stop::not_native("deleting a branch with settings"));
        }
        doomed.push((name, full));
    }
    let mut failed = false;
    for (name, full) in doomed {
        let Some(id) = repo.ref_id(&full)? else {
            repo.call
                .warn(format!("error: branch '{}' not found\n", lossy(name)));
            failed = true;
            continue;
        };
        if !repo.is_bare && head.branch.as_deref() == Some(&full) {
            let top = lossy(repo.work_tree.as_deref().unwrap_or(&repo.git_dir)).into_owned();
            repo.call.warn(format!(
                "error: cannot delete branch '{}' used by worktree at '{top}'\n",
                lossy(name)
            ));
            failed = true;
            continue;
        }
        let merged = match head.id {
            Some(head) => head == id || repo.git.graph_descendant_of(head.oid(), id.oid())?,
            None => false,
        };
        if !force && !merged {
            let name = lossy(name);
            repo.call
                .warn(format!("error: the branch '{name}' is not fully merged\n"));
            if repo
                .config
                .bool("advice.forcedeletebranch")?
                .unwrap_or(true)
            {
                repo.call.warn(format!(
                    "hint: If you are sure you want to delete it, run 'git branch -D {name}'\n\
                     hint: Disable this message with \"git config advice.forceDeleteBranch false\"\n"
                ));
            }
            failed = true;
            continue;
        }
        let short = repo.short(id)?;
        repo.delete_ref(&full)?;
        if !parsed.has("quiet") {
            out.put(format!("Deleted branch {} (was {short}).\n", lossy(name)));
        }
    }
    if failed { Err(Stop::exit(1)) } else { Ok(()) }
}

const TAG_OPTIONS: &[Spec] = &[
    flag("delete", Some(b'd')),
    flag("annotate", Some(b'a')),
    value("message", Some(b'm')),
];

/// Says what a tag command that changes something would do.
pub(crate) fn plan_tag(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args, TAG_OPTIONS, Numbers::No)?;
    let n = parsed.args.len();
    let annotated = parsed.has("annotate");
    if n == 0 || (annotated && !parsed.has("message")) || (!parsed.has("delete") && n > 2) {
        return Err(Stop::not_native("this form of `tag`"));
    }
    Ok(Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run_tag(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan_tag(args)?;
    let parsed = parse(args, TAG_OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&[])?;
    for key in [
        "tag.gpgsign",
        "tag.forcesignannotated",
        "core.commentchar",
        "core.commentstring",
        "i18n.commitencoding",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    if parsed.has("delete") {
        return delete_tags(&repo, &parsed.args, out);
    }
    let (name, target) = match parsed.args.as_slice() {
        [name] => (name, b"HEAD".to_vec()),
        [name, target] => (name, target.clone()),
        _ => return Err(Stop::not_native("this form of `tag`")),
    };
    if name.starts_with(b"-")
        || name == b"HEAD"
        || !is_valid_short_name(name)
        || name.contains(&b'@')
    {
        return Err(Stop::not_native("a tag name git may not take"));
    }
    let Some(object) = repo.resolve(&target)? else {
        return Err(Stop::fatal(format!(
            "Failed to resolve '{}' as a valid ref.",
            lossy(&target)
        )));
    };
    let full = [b"refs/tags/", name.as_slice()].concat();
    if repo.ref_id(&full)?.is_some() {
        return Err(Stop::fatal(format!("tag '{}' already exists", lossy(name))));
    }
    if repo.ref_conflicts(&full)? {
        return Err(Stop::not_native("a tag name that is in the way of another"));
    }
    let who = Identity::of(&repo, "COMMITTER")?;
    let parts: Vec<Bytes> = parsed
        .options
        .iter()
        .filter(|g| g.name == "message")
        .map(|g| g.text().to_vec())
        .collect();
    let id = if parts.is_empty() {
        object
    } else {
        let kind = repo
            .header(object)?
            .map(|(k, _)| k)
            .ok_or_else(|| Stop::not_native("a tag of nothing"))?;
        if kind == ObjectType::Tag {
            return Err(Stop::not_native("a tag of a tag"));
        }
        let message = message_of(&parts, true);
        if message.is_empty() {
            return Err(Stop::not_native("a tag without a message"));
        }
        let head = format!("object {object}\ntype {}\ntag ", kind.str());
        let data = [
            head.as_bytes(),
            name,
            b"\ntagger ",
            &who.line(),
            b"\n\n",
            &message,
        ]
        .concat();
        repo.write_object(ObjectType::Tag, &data)?
    };
    repo.set_ref(&full, None, id, &who, b"")
}

fn delete_tags(repo: &Repo<'_>, names: &[Bytes], out: &mut Out) -> Res<()> {
    let mut failed = false;
    for name in names {
        let full = [b"refs/tags/", name.as_slice()].concat();
        match repo.ref_id(&full)? {
            None => {
                repo.call
                    .warn(format!("error: tag '{}' not found.\n", lossy(name)));
                failed = true;
            }
            Some(id) => {
                let short = repo.short(id)?;
                repo.delete_ref(&full)?;
                out.put(format!("Deleted tag '{}' (was {short})\n", lossy(name)));
            }
        }
    }
    if failed { Err(Stop::exit(1)) } else { Ok(()) }
}

const CHECKOUT_OPTIONS: &[Spec] = &[value("new", Some(b'b')), flag("quiet", Some(b'q'))];
const SWITCH_OPTIONS: &[Spec] = &[value("create", Some(b'c')), flag("quiet", Some(b'q'))];

fn new_branch(args: &[Bytes], specs: &[Spec]) -> Res<(Bytes, bool)> {
    let parsed = parse(args, specs, Numbers::No)?;
    let name = parsed
        .options
        .iter()
        .find(|g| g.value.is_some())
        .map(|g| g.text().to_vec());
    match name {
        Some(name) if parsed.args.is_empty() => Ok((name, parsed.has("quiet"))),
        _ => Err(Stop::not_native("changing the work tree")),
    }
}

/// Says what a checkout would do: only `-b <new>` at HEAD is native.
pub(crate) fn plan_checkout(args: &[Bytes]) -> Res<Plan> {
    new_branch(args, CHECKOUT_OPTIONS).map(|_| Plan::LocalWrite)
}

/// Says what a switch would do: only `-c <new>` at HEAD is native.
pub(crate) fn plan_switch(args: &[Bytes]) -> Res<Plan> {
    new_branch(args, SWITCH_OPTIONS).map(|_| Plan::LocalWrite)
}

/// Carries out `git checkout -b <new>`.
pub(crate) fn run_checkout(call: &Call<'_>, args: &[Bytes], _out: &mut Out) -> Res<()> {
    go_to_new(call, new_branch(args, CHECKOUT_OPTIONS)?)
}

/// Carries out `git switch -c <new>`.
pub(crate) fn run_switch(call: &Call<'_>, args: &[Bytes], _out: &mut Out) -> Res<()> {
    go_to_new(call, new_branch(args, SWITCH_OPTIONS)?)
}

fn go_to_new(call: &Call<'_>, (name, quiet): (Bytes, bool)) -> Res<()> {
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-checkout"])?;
    let head = repo.head()?;
    let busy = [
        "MERGE_HEAD",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "BISECT_LOG",
        "rebase-apply",
        "rebase-merge",
    ];
    let (Some(branch), false) = (
        head.short_branch(),
        busy.iter().any(|f| repo.has_git_file(f)),
    ) else {
        return Err(Stop::not_native("leaving a detached HEAD or an operation"));
    };
    if head.id.is_none() || repo.index()?.entries.iter().any(|e| e.stage > 0) {
        return Err(Stop::not_native(
            "a new branch before the first commit or with conflicts",
        ));
    }
    let id = new_branch_start(&repo, &name, b"HEAD")?;
    let who = Identity::of(&repo, "COMMITTER")?;
    let full = [b"refs/heads/", name.as_slice()].concat();
    repo.set_ref(&full, None, id, &who, b"branch: Created from HEAD")?;
    let moved = [b"checkout: moving from ", branch, b" to ", name.as_slice()].concat();
    let file = crate::bytes::to_path(&repo.git_path("HEAD"));
    let lock = crate::bytes::to_path(&repo.git_path("HEAD.lock"));
    let text = [b"ref: ", full.as_slice(), b"\n"].concat();
    let failed = |e: std::io::Error| Stop::fatal(format!("unable to update HEAD: {e}"));
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&lock)
        .and_then(|mut f| std::io::Write::write_all(&mut f, &text))
        .and_then(|()| std::fs::rename(&lock, &file))
        .map_err(failed)?;
    repo.log_ref(b"HEAD", Some(id), id, &who, &moved);
    if !quiet {
        call.warn(format!("Switched to a new branch '{}'\n", lossy(&name)));
    }
    Ok(())
}
