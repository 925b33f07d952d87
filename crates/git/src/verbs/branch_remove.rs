//! `git branch -d`: branches and remotes' branches taken away, when nothing would be lost or when forced.

use crate::options::Parsed;
use crate::outcome::{Out, Res, Stop};
use crate::references::refs::is_valid_short_name;
use crate::repository::config_edit;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::verbs::branch_edit::{branch_name, used_by};

/// A reference to be deleted.
struct Doomed {
    full: Bytes,
    short: Bytes,
    /// As git shows it afterwards.
    was: String,
}

/// Deletes what is named.
pub(crate) fn run(repo: &Repo<'_>, parsed: &Parsed, out: &mut Out) -> Res<()> {
    if parsed.args.is_empty() {
        return Err(Stop::fatal("branch name required"));
    }
    let remotes = parsed.has("remotes");
    let force = parsed.has("delete-force") || parsed.has("force") || remotes;
    let (prefix, kind): (&[u8], &str) = if remotes {
        (b"refs/remotes/", "remote-tracking branch")
    } else {
        (b"refs/heads/", "branch")
    };
    let head = repo.head()?;
    let mut failed = false;
    let mut doomed: Vec<Doomed> = Vec::new();
    for name in &parsed.args {
        let short = branch_name(repo, name)?;
        let full = [prefix, &short].concat();
        let shown = lossy(&short).into_owned();
        if !remotes && let Some(path) = used_by(repo, &full)? {
            repo.call.warn(format!(
                "error: cannot delete branch '{shown}' used by worktree at '{}'\n",
                lossy(&path)
            ));
            failed = true;
            continue;
        }
        // A name git does not take is one that is not there.
        let valid = is_valid_short_name(&short);
        let target = if valid { repo.symref(&full)? } else { None };
        let id = if valid { repo.ref_id(&full)? } else { None };
        if id.is_none() && target.is_none() {
            repo.call.warn(format!(
                "error: {kind} '{shown}' not found{}\n",
                hint(repo, remotes, &short)?
            ));
            failed = true;
            continue;
        }
        if !force
            && let Some(id) = id
            && !may_go(repo, &full, &short, id, head.id)?
        {
            failed = true;
            continue;
        }
        let was = match target {
            Some(target) => lossy(&target).into_owned(),
            None => repo.short(id.unwrap_or_default())?,
        };
        doomed.push(Doomed { full, short, was });
    }
    let who = Identity::of(repo, "COMMITTER")?;
    repo.refuse_doubles(doomed.iter().map(|d| d.full.as_slice()))?;
    for one in &doomed {
        drop(repo.lock_ref(&one.full)?);
    }
    for one in doomed {
        repo.delete_ref_of_head(&one.full, &who)?;
        if !parsed.has("quiet") {
            out.put(format!(
                "Deleted {kind} {} (was {}).\n",
                lossy(&one.short),
                one.was
            ));
        }
        if !remotes {
            forget_settings(repo, &one.short)?;
        }
    }
    if failed { Err(Stop::exit(1)) } else { Ok(()) }
}

fn hint(repo: &Repo<'_>, remotes: bool, short: &[u8]) -> Res<&'static str> {
    let is_remote = repo.ref_id(&[b"refs/remotes/", short].concat())?.is_some();
    Ok(if !remotes && is_remote {
        ".\nDid you forget --remote?"
    } else {
        ""
    })
}

/// Says whether a branch is merged into what it follows, or into HEAD; says why not.
fn may_go(repo: &Repo<'_>, full: &[u8], short: &[u8], id: Id, head: Option<Id>) -> Res<bool> {
    let is_below = |id: Id, other: Option<Id>| -> Res<bool> {
        Ok(match other {
            Some(other) => {
                other == id || repo.graph()?.graph_descendant_of(other.oid(), id.oid())?
            }
            None => false,
        })
    };
    let Some(id) = repo.peel_to_commit(id)? else {
        return Err(Stop::not_native("a branch that is no commit"));
    };
    let upstream = match repo.upstream(full)? {
        Some(name) => repo.ref_id(&name)?.map(|id| (name, id)),
        None => None,
    };
    let reference = upstream.as_ref().map(|(_, id)| *id).or(head);
    let merged = is_below(id, reference)?;
    let shown = lossy(short);
    if let Some((name, _)) = &upstream
        && reference != head
        && is_below(id, head)? != merged
    {
        let name = lossy(name);
        repo.call.warn(if merged {
            format!(
                "warning: deleting branch '{shown}' that has been merged to\n         '{name}', but not yet merged to HEAD\n"
            )
        } else {
            format!(
                "warning: not deleting branch '{shown}' that is not yet merged to\n         '{name}', even though it is merged to HEAD\n"
            )
        });
    }
    if merged {
        return Ok(true);
    }
    repo.call
        .warn(format!("error: the branch '{shown}' is not fully merged\n"));
    if repo
        .config
        .bool("advice.forcedeletebranch")?
        .unwrap_or(true)
    {
        repo.call.warn(format!(
            "hint: If you are sure you want to delete it, run 'git branch -D {shown}'\n\
             hint: Disable this message with \"git config advice.forceDeleteBranch false\"\n"
        ));
    }
    Ok(false)
}

fn forget_settings(repo: &Repo<'_>, short: &[u8]) -> Res<()> {
    let section = [b"branch.", short].concat();
    if config_edit::rename_section(&repo.config_text()?, &section, None).is_none() {
        return Ok(());
    }
    repo.edit_config(|text| {
        let new = config_edit::rename_section(text, &section, None);
        Ok(new.unwrap_or_else(|| text.to_vec()))
    })
}
