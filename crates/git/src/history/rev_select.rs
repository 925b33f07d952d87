//! Which commits a command line is about: revisions, ranges, groups of references, limits. Everything `log`,
//! `rev-list`, `shortlog` and `show` share.

use crate::history::rev_args::{self, RevArg};
use crate::history::revwalk::{Cherry, Order, Tip, Walk};
use crate::options::{Given, Parsed, Spec, flag, maybe, value};
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::approxidate;
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::wildmatch;
use crate::work::pathspec::Pathspec;

/// The options that say what is walked.
pub(crate) const OPTIONS: &[Spec] = &[
    value("max-count", Some(b'n')),
    value("skip", None),
    flag("reverse", None),
    flag("all", None),
    maybe("branches", None),
    maybe("tags", None),
    maybe("remotes", None),
    value("glob", None),
    value("exclude", None),
    flag("not", None),
    maybe("no-walk", None),
    flag("do-walk", None),
    flag("first-parent", None),
    flag("exclude-first-parent-only", None),
    maybe("ancestry-path", None),
    flag("merges", None),
    flag("no-merges", None),
    value("min-parents", None),
    value("max-parents", None),
    flag("no-min-parents", None),
    flag("no-max-parents", None),
    value("since", None),
    value("since-as-filter", None),
    value("after", None),
    value("until", None),
    value("before", None),
    value("max-age", None),
    value("min-age", None),
    flag("topo-order", None),
    flag("date-order", None),
    flag("author-date-order", None),
    flag("parents", None),
    flag("full-history", None),
    flag("dense", None),
    flag("sparse", None),
    flag("show-pulls", None),
    flag("boundary", None),
    flag("left-right", None),
    flag("left-only", None),
    flag("right-only", None),
    flag("cherry-pick", None),
    flag("cherry-mark", None),
    flag("cherry", None),
    flag("ignore-missing", None),
];

/// What was selected.
pub(crate) struct Selection {
    pub(crate) walk: Walk,
    /// The revisions as they were named.
    pub(crate) named: Vec<RevArg>,
    /// Whether any revision or group was given.
    pub(crate) any: bool,
    pub(crate) left_right: bool,
}

/// Reads revisions, groups and limits of a command line; the default revision is left to the caller.
pub(crate) fn select(repo: &Repo<'_>, parsed: &Parsed) -> Res<Selection> {
    if parsed.has("ignore-missing") {
        return Err(Stop::not_native("option `--ignore-missing`"));
    }
    let (named, paths, places) = rev_args::split_with_places(repo, parsed)?;
    let mut walk = Walk {
        paths: Pathspec::parse(repo, &paths)?,
        ..Walk::default()
    };
    let mut any = parsed.args.len() > paths.len();
    let mut flip = false;
    let mut excluded: Vec<Bytes> = Vec::new();
    let mut args = named.iter().zip(&places).peekable();
    for (given, place) in parsed.options.iter().zip(&parsed.places) {
        while let Some((rev, _)) = args.next_if(|(_, at)| *at < place) {
            add(repo, rev, flip, &mut walk)?;
        }
        any |= group(repo, given, flip, &mut excluded, &mut walk)?;
        if given.name == "not" {
            flip = !flip;
        }
        limit(repo, given, &mut walk)?;
    }
    for (rev, _) in args {
        add(repo, rev, flip, &mut walk)?;
    }
    if !walk.paths.is_empty()
        && (parsed.has("ancestry-path") || parsed.has("first-parent") && parsed.has("parents"))
    {
        return Err(Stop::not_native(
            "this way through the history of some paths",
        ));
    }
    if parsed.has("reflog") {
        return Err(Stop::not_native("option `--reflog`"));
    }
    if walk.left_only && walk.right_only {
        return Err(Stop::fatal(
            "options '--left-only' and '--right-only' cannot be used together",
        ));
    }
    if walk.boundary && walk.no_walk {
        return Err(Stop::not_native("boundaries without a walk"));
    }
    Ok(Selection {
        walk,
        named,
        any,
        left_right: parsed.has("left-right"),
    })
}

impl Selection {
    /// Walks from HEAD when nothing was named, or ends with git's error when there is no commit yet.
    pub(crate) fn or_head(&mut self, repo: &Repo<'_>) -> Res<()> {
        if self.any {
            return Ok(());
        }
        let head = repo.head()?;
        match head.id {
            Some(id) => self.walk.tips.push(Tip {
                id,
                name: b"HEAD".to_vec(),
                ..Tip::default()
            }),
            None => {
                let branch = lossy(head.short_branch().unwrap_or(b"HEAD")).into_owned();
                return Err(Stop::fatal(format!(
                    "your current branch '{branch}' does not have any commits yet"
                )));
            }
        }
        Ok(())
    }
}

/// Adds a revision that was named; what is no commit is passed over.
fn add(repo: &Repo<'_>, rev: &RevArg, flip: bool, walk: &mut Walk) -> Res<()> {
    let Some(id) = repo.peel_to_commit(rev.id)? else {
        return Ok(());
    };
    walk.tips.push(Tip {
        id,
        exclude: rev.exclude != flip,
        left: rev.left,
        name: rev.text.clone(),
    });
    Ok(())
}

/// Adds a group of references; says whether the option was one.
fn group(
    repo: &Repo<'_>,
    given: &Given,
    flip: bool,
    excluded: &mut Vec<Bytes>,
    walk: &mut Walk,
) -> Res<bool> {
    let (prefix, strip): (&[u8], bool) = match given.name {
        "exclude" => {
            excluded.push(given.text().to_vec());
            return Ok(false);
        }
        "all" => (b"refs/", false),
        "branches" => (b"refs/heads/", true),
        "tags" => (b"refs/tags/", true),
        "remotes" => (b"refs/remotes/", true),
        "glob" => (b"refs/", false),
        _ => return Ok(false),
    };
    if given.value.is_some() && strip && !excluded.is_empty() {
        return Err(Stop::not_native("exclusions from a pattern"));
    }
    let pattern = match &given.value {
        None => None,
        Some(text) => {
            let mut pattern = if text.starts_with(b"refs/") && !strip {
                text.clone()
            } else {
                [prefix, text].concat()
            };
            if !wildmatch::is_glob(&pattern) {
                if !pattern.ends_with(b"/") {
                    pattern.push(b'/');
                }
                pattern.push(b'*');
            }
            Some(pattern)
        }
    };
    for reference in repo.refs(prefix)? {
        if pattern
            .as_ref()
            .is_some_and(|p| !wildmatch::matches(p, &reference.name, 0))
        {
            continue;
        }
        let shown = if strip && pattern.is_none() {
            &reference.name[prefix.len()..]
        } else {
            &reference.name[..]
        };
        if excluded.iter().any(|p| wildmatch::matches(p, shown, 0)) {
            continue;
        }
        if let Some(id) = repo.peel_to_commit(reference.id)? {
            walk.tips.push(Tip {
                id,
                exclude: flip,
                name: shown.to_vec(),
                ..Tip::default()
            });
        }
    }
    if given.name == "all"
        && let Some(id) = repo.head()?.id
        && !excluded.iter().any(|p| wildmatch::matches(p, b"HEAD", 0))
    {
        walk.tips.push(Tip {
            id,
            exclude: flip,
            name: b"HEAD".to_vec(),
            ..Tip::default()
        });
    }
    if given.name == "all" {
        for tree in crate::repository::worktrees::list(repo)? {
            if tree.git_dir == repo.git_dir {
                continue;
            }
            let id = match tree.head.strip_prefix(b"ref: ") {
                Some(branch) => repo.ref_id(branch)?,
                None => Id::parse(&tree.head),
            };
            if let Some(id) = id {
                walk.tips.push(Tip {
                    id,
                    exclude: flip,
                    name: b"HEAD".to_vec(),
                    ..Tip::default()
                });
            }
        }
    }
    excluded.clear();
    Ok(true)
}

/// Reads an option that limits or orders the walk.
fn limit(repo: &Repo<'_>, given: &Given, walk: &mut Walk) -> Res<()> {
    let number = || -> Res<i64> {
        parse_int(given.text().trim_ascii_start())
            .ok_or_else(|| Stop::fatal(format!("'{}': not an integer", lossy(given.text()))))
    };
    let count = || number().map(|n| usize::try_from(n).ok());
    match given.name {
        "max-count" => walk.max_count = count()?,
        "skip" => walk.skip = count()?.unwrap_or(0),
        "reverse" => walk.reverse = !walk.reverse,
        "topo-order" => walk.order = Order::Topo,
        "date-order" => walk.order = Order::Date,
        "author-date-order" => walk.order = Order::AuthorDate,
        "first-parent" => walk.first_parent = true,
        "exclude-first-parent-only" => {
            return Err(Stop::not_native("option `--exclude-first-parent-only`"));
        }
        "ancestry-path" => {
            let named = walk.ancestry_path.get_or_insert_default();
            if let Some(text) = &given.value {
                let id = repo.resolve(text)?;
                let id = match id {
                    Some(id) => repo.peel_to_commit(id)?,
                    None => None,
                };
                let refusal = || {
                    Stop::fatal(format!(
                        "could not get commit for ancestry-path argument {}",
                        lossy(text)
                    ))
                };
                named.push(id.ok_or_else(refusal)?);
            }
        }
        "merges" => walk.min_parents = 2,
        "no-merges" => walk.max_parents = Some(1),
        "min-parents" => walk.min_parents = count()?.unwrap_or(0),
        "max-parents" => walk.max_parents = count()?,
        "no-min-parents" => walk.min_parents = 0,
        "no-max-parents" => walk.max_parents = None,
        "since" | "after" => walk.since = Some(approxidate::read(repo.call, given.text())?),
        "since-as-filter" => {
            walk.since_as_filter = Some(approxidate::read(repo.call, given.text())?)
        }
        "until" | "before" => walk.until = Some(approxidate::read(repo.call, given.text())?),
        "max-age" => walk.since = Some(number()?),
        "min-age" => walk.until = Some(number()?),
        "full-history" => walk.full_history = true,
        "dense" => walk.sparse = false,
        "sparse" => walk.sparse = true,
        "show-pulls" => walk.show_pulls = true,
        "no-walk" => {
            walk.no_walk = true;
            walk.unsorted = match given.value.as_deref() {
                None | Some(b"sorted") => false,
                Some(b"unsorted") => true,
                Some(_) => {
                    return Err(Stop::error(128, "invalid argument to --no-walk"));
                }
            };
        }
        "do-walk" => walk.no_walk = false,
        "parents" => walk.rewrite_parents = true,
        "boundary" => walk.boundary = true,
        "left-only" => walk.left_only = true,
        "right-only" => walk.right_only = true,
        "cherry-pick" => walk.cherry = Cherry::Omitted,
        "cherry-mark" => walk.cherry = Cherry::Marked,
        "cherry" => {
            walk.cherry = Cherry::Marked;
            walk.max_parents = Some(1);
            walk.right_only = true;
        }
        _ => {}
    }
    Ok(())
}
