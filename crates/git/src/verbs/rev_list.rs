//! `git rev-list` and `git merge-base`.

use std::collections::HashSet;

use crate::exec::{Call, Plan};
use crate::history::log_filter::{self, Filter};
use crate::history::rev_select;
use crate::history::revwalk::Walker;
use crate::options::{Given, Numbers, Spec, flag, maybe, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy, parse_int};

fn specs() -> Vec<Spec> {
    let mut specs = vec![
        flag("count", None),
        flag("abbrev-commit", None).or_no(),
        maybe("abbrev", None).or_no(),
        flag("quiet", None),
        flag("timestamp", None),
        flag("children", None),
        flag("graph", None).or_no(),
        flag("oneline", None),
        maybe("pretty", None),
        value("format", None),
        value("date", None),
        flag("no-commit-header", None),
        flag("header", None),
    ];
    specs.extend_from_slice(rev_select::OPTIONS);
    specs.extend_from_slice(log_filter::OPTIONS);
    specs
}

/// Says what a rev-list would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, &specs(), Numbers::MaxCount).map(|_| Plan::Read)
}

/// Carries out `git rev-list`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, &specs(), Numbers::MaxCount)?;
    for name in [
        "children",
        "graph",
        "oneline",
        "pretty",
        "format",
        "no-commit-header",
        "header",
    ] {
        if parsed.has(name) {
            return Err(Stop::NotNative(format!("option `--{name}`")));
        }
    }
    let repo = Repo::open(call)?;
    let selection = rev_select::select(&repo, &parsed)?;
    if !selection.any {
        return Err(Stop::not_native("a rev-list without revisions"));
    }
    let left_right = selection.left_right;
    let cherry_mark = parsed.has("cherry-mark") || parsed.has("cherry");
    let filter = Filter::new(
        &repo,
        &parsed,
        repo.config.bool("log.mailmap")?.unwrap_or(true),
    )?;
    let mut walker = Walker::filtered(&repo, selection.walk, Some(&filter))?;
    let (mut counts, mut same) = ((0usize, 0usize), 0usize);
    let digits = match (parsed.has("abbrev-commit"), parsed.last("abbrev")) {
        (false, _) => None,
        (true, Some(g)) if g.negated => None,
        (true, Some(Given { value: Some(n), .. })) => Some(
            parse_int(n)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Stop::not_native("the value of `--abbrev`"))?,
        ),
        (true, _) => Some(repo.default_abbrev()?),
    };
    while let Some(step) = walker.next()? {
        if parsed.has("quiet") {
            continue;
        }
        if parsed.has("count") {
            if cherry_mark && step.is_same {
                same += 1;
            } else if left_right && step.is_left {
                counts.0 += 1;
            } else {
                counts.1 += 1;
            }
            continue;
        }
        let show = |id: Id| match digits {
            Some(n) => repo.abbreviate(id, n),
            None => Ok(id.hex()),
        };
        let mut line = String::new();
        if parsed.has("timestamp") {
            line.push_str(&format!("{} ", step.commit.time()));
        }
        line.push_str(if step.is_boundary {
            "-"
        } else if step.is_same && cherry_mark {
            "="
        } else if left_right {
            if step.is_left { "<" } else { ">" }
        } else if cherry_mark {
            "+"
        } else {
            ""
        });
        line.push_str(&show(step.id)?);
        if parsed.has("parents") {
            for parent in &step.parents {
                line.push(' ');
                line.push_str(&show(*parent)?);
            }
        }
        line.push('\n');
        out.put(line);
    }
    if parsed.has("count") && !parsed.has("quiet") {
        out.put(match (left_right, cherry_mark) {
            (true, true) => format!("{}\t{}\t{same}\n", counts.0, counts.1),
            (true, false) => format!("{}\t{}\n", counts.0, counts.1),
            (false, true) => format!("{}\t{same}\n", counts.1),
            (false, false) => format!("{}\n", counts.1),
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
        let is = a == b || repo.graph()?.graph_descendant_of(b.oid(), a.oid())?;
        return if is { Ok(()) } else { Err(Stop::exit(1)) };
    }
    let bases = match repo.graph()?.merge_bases(a.oid(), b.oid()) {
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
