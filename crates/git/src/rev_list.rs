//! `git rev-list` and `git merge-base`.

use std::collections::HashSet;

use crate::bytes::{Bytes, lossy, parse_int};
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::log;
use crate::options::{Numbers, Spec, flag, maybe, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::rev_args;
use crate::revwalk::Walker;

const OPTIONS: &[Spec] = &[
    value("max-count", Some(b'n')),
    value("skip", None),
    flag("count", None),
    flag("left-right", None),
    flag("parents", None),
    flag("all", None),
    flag("branches", None),
    flag("tags", None),
    flag("remotes", None),
    flag("reverse", None),
    flag("first-parent", None),
    flag("merges", None),
    flag("no-merges", None),
    value("min-parents", None),
    value("max-parents", None),
    flag("topo-order", None),
    flag("date-order", None),
    flag("full-history", None),
    flag("abbrev-commit", None),
    flag("no-walk", None),
    value("since", None),
    value("after", None),
    value("until", None),
    value("before", None),
    maybe("abbrev", None),
];

/// Says what a rev-list would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::MaxCount).map(|_| Plan::Read)
}

/// Carries out `git rev-list`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::MaxCount)?;
    let repo = Repo::open(call)?;
    let (revs, paths) = rev_args::split(&repo, &parsed, "rev-list")?;
    let mut walk = log::walk_of(&repo, &parsed, &revs)?;
    let mut by_group = false;
    for (name, prefix) in [
        ("branches", "refs/heads/"),
        ("tags", "refs/tags/"),
        ("remotes", "refs/remotes/"),
        ("all", "refs/"),
    ] {
        if !parsed.has(name) {
            continue;
        }
        by_group = true;
        for reference in repo.refs(prefix.as_bytes())? {
            if let Some(id) = repo.peel_to_commit(reference.id)? {
                walk.include.push(id);
            }
        }
        if name == "all"
            && let Some(id) = repo.head()?.id
        {
            walk.include.push(id);
        }
    }
    if revs.is_empty() && !by_group {
        return Err(Stop::not_native("a rev-list without revisions"));
    }
    walk.paths = Pathspec::parse(&repo, &paths)?;
    let left_right = parsed.has("left-right");
    if left_right {
        walk.left = revs
            .iter()
            .find(|r| r.symmetric)
            .map(|r| vec![r.id])
            .unwrap_or_default();
        if walk.left.is_empty() {
            return Err(Stop::not_native("sides without a symmetric range"));
        }
    }
    let number = |name: &str| match parsed.last(name) {
        None => Ok(None),
        Some(g) => parse_int(g.text())
            .map(|n| usize::try_from(n).ok())
            .ok_or_else(|| Stop::NotNative(format!("the value of `--{name}`"))),
    };
    let mut left = number("max-count")?;
    let mut skip = number("skip")?.unwrap_or(0);
    let mut walker = Walker::new(&repo, walk)?;
    let (mut counts, mut kept) = ((0usize, 0usize), Vec::new());
    let digits = if parsed.has("abbrev-commit") {
        Some(repo.default_abbrev()?)
    } else {
        None
    };
    while left != Some(0) {
        let Some(step) = walker.next()? else { break };
        if skip > 0 {
            skip -= 1;
            continue;
        }
        left = left.map(|n| n - 1);
        if parsed.has("count") {
            if left_right && step.is_left {
                counts.0 += 1
            } else {
                counts.1 += 1
            }
            continue;
        }
        let show = |id: Id| match digits {
            Some(n) => repo.abbreviate(id, n),
            None => Ok(id.hex()),
        };
        let mut line = String::new();
        if left_right {
            line.push(if step.is_left { '<' } else { '>' });
        }
        line.push_str(&show(step.id)?);
        if parsed.has("parents") {
            for parent in &step.parents {
                line.push(' ');
                line.push_str(&show(*parent)?);
            }
        }
        line.push('\n');
        if parsed.has("reverse") {
            kept.push(line)
        } else {
            out.put(line)
        }
    }
    for line in kept.iter().rev() {
        out.put(line);
    }
    if parsed.has("count") {
        out.put(if left_right {
            format!("{}\t{}\n", counts.0, counts.1)
        } else {
            format!("{}\n", counts.1)
        });
    }
    Ok(())
}

const BASE_OPTIONS: &[Spec] = &[flag("all", Some(b'a')), flag("is-ancestor", None)];

/// Says what a merge-base would do.
pub(crate) fn plan_merge_base(args: &[Bytes]) -> Res<Plan> {
    parse(args, BASE_OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries out `git merge-base` for two commits.
pub(crate) fn run_merge_base(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, BASE_OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    let [a, b] = parsed.args.as_slice() else {
        return Err(Stop::not_native("merge bases of other than two commits"));
    };
    let commit = |name: &Bytes| -> Res<Id> {
        let id = repo
            .resolve(name)?
            .ok_or_else(|| Stop::fatal(format!("Not a valid object name {}", lossy(name))))?;
        repo.peel_to_commit(id)?
            .ok_or_else(|| Stop::not_native("a merge base of what is no commit"))
    };
    let (a, b) = (commit(a)?, commit(b)?);
    if parsed.has("is-ancestor") {
        let is = a == b || repo.git.graph_descendant_of(b.oid(), a.oid())?;
        return if is { Ok(()) } else { Err(Stop::exit(1)) };
    }
    let bases = match repo.git.merge_bases(a.oid(), b.oid()) {
        Ok(bases) => bases,
        Err(e) if e.code() == git2::ErrorCode::NotFound => return Err(Stop::exit(1)),
        Err(e) => return Err(e.into()),
    };
    let ids: HashSet<Id> = bases.iter().map(|o| Id::from(*o)).collect();
    if ids.len() > 1 {
        return Err(Stop::not_native("several merge bases"));
    }
    for id in ids {
        out.put(format!("{id}\n"));
    }
    Ok(())
}
