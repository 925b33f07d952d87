//! `git worktree list`.

use crate::compare::stat;
use crate::exec::{Call, Plan};
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::repository::worktrees;
use crate::text::bytes::Bytes;

const OPTIONS: &[Spec] = &[flag("porcelain", None)];

/// Says what a worktree command would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    match args.split_first() {
        Some((verb, rest)) if verb == b"list" => {
            parse(rest, OPTIONS, Numbers::No).map(|_| Plan::Read)
        }
        _ => Err(Stop::not_native("changing work trees")),
    }
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let parsed = parse(args.get(1..).unwrap_or_default(), OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    let trees = worktrees::list(&repo)?;
    let mut rows = Vec::new();
    for (i, tree) in trees.iter().enumerate() {
        let there = crate::text::bytes::to_path(&tree.path).exists();
        let odd = ["locked", "rebase-merge", "rebase-apply", "BISECT_LOG"]
            .iter()
            .any(|f| {
                crate::text::bytes::to_path(&crate::text::bytes::join(&tree.git_dir, f.as_bytes()))
                    .exists()
            });
        if !there
            || (i > 0 && odd)
            || (odd
                && crate::text::bytes::to_path(&crate::text::bytes::join(&tree.git_dir, b"locked"))
                    .exists())
        {
            return Err(Stop::not_native("work trees that are locked or gone"));
        }
        let branch = tree.head.strip_prefix(b"ref: ").map(<[u8]>::to_vec);
        if branch.as_ref().is_some_and(|b| !b.starts_with(b"refs/")) {
            return Err(Stop::not_native("a work tree with a broken HEAD"));
        }
        let id = match &branch {
            Some(branch) => repo.ref_id(branch)?.unwrap_or_default(),
            None => Id::parse_start(&tree.head).unwrap_or_default(),
        };
        rows.push((
            tree,
            branch,
            id,
            i == 0 && repo.config.bool("core.bare")?.unwrap_or(false),
        ));
    }
    if parsed.has("porcelain") {
        for (tree, branch, id, bare) in &rows {
            out.put([b"worktree ".as_slice(), &tree.path, b"\n"].concat());
            if *bare {
                out.put("bare\n\n");
                continue;
            }
            out.put(format!("HEAD {id}\n"));
            match branch {
                Some(branch) => out.put([b"branch ".as_slice(), branch, b"\n"].concat()),
                None => out.put("detached\n"),
            }
            out.put("\n");
        }
        return Ok(());
    }
    let width = rows
        .iter()
        .map(|r| stat::width_of(&r.0.path))
        .max()
        .unwrap_or(0);
    let mut digits = repo.default_abbrev()?;
    for (_, _, id, bare) in &rows {
        if !bare && !id.is_zero() {
            digits = digits.max(repo.abbreviate(*id, digits)?.len());
        }
    }
    for (tree, branch, id, bare) in &rows {
        out.put(&tree.path);
        out.put(" ".repeat(width - stat::width_of(&tree.path) + 1));
        if *bare {
            out.put(" (bare)\n");
            continue;
        }
        let shown = if id.is_zero() {
            "0".repeat(digits)
        } else {
            repo.abbreviate(*id, digits)?
        };
        out.put(format!(" {shown:<digits$} "));
        match branch {
            Some(branch) => out.put(
                [
                    b"[".as_slice(),
                    branch.strip_prefix(b"refs/heads/").unwrap_or(branch),
                    b"]",
                ]
                .concat(),
            ),
            None => out.put("(detached HEAD)"),
        }
        out.put("\n");
    }
    Ok(())
}
