//! Arguments that are revisions, ranges or paths: told apart as git does.

use git2::ObjectType;

use crate::history::rev::{self, Found};
use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};

/// One revision of a command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct RevArg {
    pub(crate) text: Bytes,
    pub(crate) id: Id,
    /// `^rev`, or the left side of `A..B`.
    pub(crate) exclude: bool,
    /// A side of `A...B`.
    pub(crate) symmetric: bool,
    pub(crate) path: Option<Bytes>,
    pub(crate) mode: u32,
    pub(crate) is_blob: bool,
    /// Named by `rev^@`.
    pub(crate) is_parent: bool,
    /// The left side of `A...B`.
    pub(crate) left: bool,
}

/// Splits arguments into revisions and paths, or ends with git's error.
pub(crate) fn split(
    repo: &Repo<'_>,
    parsed: &Parsed,
    _verb: &str,
) -> Res<(Vec<RevArg>, Vec<Bytes>)> {
    refuse_late_options(repo, parsed)?;
    let mut revs = Vec::new();
    if let Some(n) = parsed.before_dashes {
        for arg in &parsed.args[..n] {
            if !add(repo, arg, &mut revs)? {
                return Err(Stop::fatal(
                    [b"bad revision '".as_slice(), arg, b"'"].concat(),
                ));
            }
        }
        return Ok((revs, parsed.args[n..].to_vec()));
    }
    for (i, arg) in parsed.args.iter().enumerate() {
        if !add(repo, arg, &mut revs)? {
            // From here on everything is a path and has to be there.
            for path in &parsed.args[i..] {
                verify_path(repo, path, path == arg)?;
            }
            return Ok((revs, parsed.args[i..].to_vec()));
        }
        verify_not_path(repo, arg)?;
    }
    Ok((revs, Vec::new()))
}

/// Like [`split`], with the merge bases of symmetric ranges, and for each revision which argument it came from.
pub(crate) fn split_with_places(
    repo: &Repo<'_>,
    parsed: &Parsed,
) -> Res<(Vec<RevArg>, Vec<Bytes>, Vec<usize>)> {
    let (mut named, mut places) = (Vec::new(), Vec::new());
    let split_at = match parsed.before_dashes {
        Some(n) => n,
        None => {
            let mut n = 0;
            while n < parsed.args.len() && is_revision(repo, &parsed.args[n])? {
                n += 1;
            }
            n
        }
    };
    // Every argument is looked at again, so that errors come in their order.
    let (_, paths) = split(repo, parsed, "")?;
    for (i, arg) in parsed.args[..split_at].iter().enumerate() {
        let mut found = Vec::new();
        add(repo, arg, &mut found)?;
        if let [a, b] = found.as_mut_slice()
            && a.symmetric
            && b.symmetric
        {
            a.left = true;
            let commit = |rev: &RevArg| -> Res<Id> {
                repo.peel_to_commit(rev.id)?
                    .ok_or_else(|| Stop::not_native("a range of what are no commits"))
            };
            let (left, right) = (commit(a)?, commit(b)?);
            for base in merge_bases(repo, left, right)? {
                named.push(RevArg {
                    text: base.hex().into_bytes(),
                    id: base,
                    exclude: true,
                    ..RevArg::default()
                });
                places.push(i);
            }
        }
        places.extend(found.iter().map(|_| i));
        named.extend(found);
    }
    Ok((named, paths, places))
}

fn is_revision(repo: &Repo<'_>, arg: &[u8]) -> Res<bool> {
    add(repo, arg, &mut Vec::new())
}

/// Returns all merge bases of two commits, none when they are not related.
pub(crate) fn merge_bases(repo: &Repo<'_>, a: Id, b: Id) -> Res<Vec<Id>> {
    match repo.graph()?.merge_bases(a.oid(), b.oid()) {
        Ok(bases) => Ok(bases.iter().map(|oid| Id::from(*oid)).collect()),
        Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(Vec::new()),
        Err(e) => Err(e.into()),
    }
}

/// After the first path, everything is a path.
fn refuse_late_options(repo: &Repo<'_>, parsed: &Parsed) -> Res<()> {
    // These git reads before it looks at revisions and paths.
    const EARLY: &[&str] = &[
        "quiet",
        "source",
        "mailmap",
        "use-mailmap",
        "decorate",
        "decorate-refs",
        "decorate-refs-exclude",
        "clear-decorations",
        "cached",
        "staged",
        "line-range",
    ];
    if parsed.before_dashes.is_some() {
        return Ok(());
    }
    let late = parsed
        .options
        .iter()
        .zip(&parsed.places)
        .filter(|(g, at)| **at > 0 && !EARLY.contains(&g.name));
    for (given, at) in late {
        for arg in &parsed.args[..*at] {
            if is_revision(repo, arg)? {
                continue;
            }
            // An argument that is neither is complained about first.
            verify_path(repo, arg, true)?;
            if given.name.is_empty() {
                return Err(Stop::not_native("an option after a path"));
            }
            let name = given.shown();
            return Err(Stop::fatal(
                [
                    b"option '".as_slice(),
                    &name,
                    b"' must come before non-option arguments",
                ]
                .concat(),
            ));
        }
    }
    Ok(())
}

/// Adds what an argument means; `false` when it is no revision.
fn add(repo: &Repo<'_>, arg: &[u8], revs: &mut Vec<RevArg>) -> Res<bool> {
    if let Some(dots) = bytes::find(arg, b"..") {
        let symmetric = arg.get(dots + 2) == Some(&b'.');
        let (left, right) = (&arg[..dots], &arg[dots + if symmetric { 3 } else { 2 }..]);
        if arg == b".." {
            return Ok(false);
        }
        let or_head = |text: &[u8]| {
            if text.is_empty() {
                b"HEAD".to_vec()
            } else {
                text.to_vec()
            }
        };
        let (left, right) = (or_head(left), or_head(right));
        if let (Some(a), Some(b)) = (quietly(repo, &left)?, quietly(repo, &right)?) {
            let mut sides = Vec::new();
            for (text, found, exclude) in [(left, a, !symmetric), (right, b, false)] {
                // Ranges are of commits, except that `diff` takes trees and files too.
                let is_blob = matches!(repo.peel(found.id)?, Some((_, ObjectType::Blob)));
                sides.push(RevArg {
                    text,
                    id: found.id,
                    exclude,
                    symmetric,
                    is_blob,
                    path: found.path.filter(|_| is_blob),
                    mode: found.mode,
                    ..RevArg::default()
                });
            }
            revs.extend(sides);
            return Ok(true);
        }
        if symmetric || bytes::find(arg, b"/").is_none_or(|i| i >= 3) {
            return Ok(false);
        }
    }
    if parents_of(repo, arg, revs)? {
        return Ok(true);
    }
    let (exclude, name) = match arg.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, arg),
    };
    let found = match repo.resolve_full(name) {
        Ok(Some(found)) => found,
        // What is no revision may be a path; the error comes when it is none either.
        Ok(None) | Err(Stop::Fail { .. }) => return Ok(false),
        Err(other) => return Err(other),
    };
    let Some((kind, _)) = repo.header(found.id)? else {
        return Err(Stop::fatal([b"bad object ".as_slice(), name].concat()));
    };
    let is_blob = kind == ObjectType::Blob;
    revs.push(RevArg {
        text: name.to_vec(),
        id: found.id,
        exclude,
        path: found.path,
        mode: found.mode,
        is_blob,
        ..RevArg::default()
    });
    Ok(true)
}

/// Adds what `rev^@`, `rev^!` and `rev^-n` mean; `false` when the argument is none of them.
fn parents_of(repo: &Repo<'_>, arg: &[u8], revs: &mut Vec<RevArg>) -> Res<bool> {
    let (flip, arg) = match arg.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, arg),
    };
    let Some(at) = arg
        .windows(2)
        .rposition(|w| matches!(w, b"^@" | b"^!" | b"^-"))
    else {
        return Ok(false);
    };
    let (base, tail) = (&arg[..at], &arg[at + 2..]);
    let kind = arg[at + 1];
    if kind != b'-' && !tail.is_empty() {
        return Ok(false);
    }
    let nth = match (kind, tail) {
        (b'-', []) => Some(1),
        (b'-', digits) => match bytes::parse_int(digits).and_then(|n| usize::try_from(n).ok()) {
            Some(n) if n > 0 => Some(n),
            _ => return Ok(false),
        },
        _ => None,
    };
    let Some(found) = quietly(repo, base)? else {
        return Ok(false);
    };
    let Some(id) = repo.peel_to_commit(found.id)? else {
        return Ok(false);
    };
    let parents = repo.parents(id)?;
    if nth.is_some_and(|n| n > parents.len()) {
        return Ok(false);
    }
    let excludes = (kind != b'@') != flip;
    for (i, parent) in parents.iter().enumerate() {
        if nth.is_none_or(|n| n == i + 1) {
            revs.push(RevArg {
                text: base.to_vec(),
                id: *parent,
                exclude: excludes,
                is_parent: kind == b'@',
                ..RevArg::default()
            });
        }
    }
    if kind != b'@' {
        revs.push(RevArg {
            text: base.to_vec(),
            id,
            exclude: flip,
            ..RevArg::default()
        });
    }
    Ok(true)
}

fn quietly(repo: &Repo<'_>, name: &[u8]) -> Res<Option<Found>> {
    match repo.resolve_full(name) {
        Ok(found) => Ok(found),
        Err(Stop::Fail { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Ends with git's error when an argument is no path in the work tree.
pub(crate) fn verify_path(repo: &Repo<'_>, arg: &[u8], may_be_revision: bool) -> Res<()> {
    if looks_like_pathspec(arg) || exists(repo, arg) {
        return Ok(());
    }
    if may_be_revision {
        let is_magic =
            arg.first() == Some(&b':') && !arg.get(1).is_some_and(u8::is_ascii_alphanumeric);
        if !is_magic {
            repo.resolve_full(arg)?;
            if let Some(colon) = rev::colon_outside_braces(arg).filter(|at| *at > 0)
                && quietly(repo, &arg[..colon])?.is_none()
            {
                return Err(Stop::fatal(
                    [b"invalid object name '".as_slice(), &arg[..colon], b"'."].concat(),
                ));
            }
        }
        return Err(rev::ambiguous_argument(arg));
    }
    Err(Stop::fatal(
        [
            arg,
            b": no such path in the working tree.\nUse 'git <command> -- <path>...' to specify paths that do not exist locally.",
        ]
        .concat(),
    ))
}

fn verify_not_path(repo: &Repo<'_>, arg: &[u8]) -> Res<()> {
    if !repo.is_inside_work_tree()
        || repo.is_inside_git_dir()
        || arg.first() == Some(&b'-')
        || !exists(repo, arg)
    {
        return Ok(());
    }
    Err(Stop::fatal(
        [
            b"ambiguous argument '".as_slice(),
            arg,
            b"': both revision and filename\nUse '--' to separate paths from revisions, like this:\n\
              'git <command> [<revision>...] -- [<file>...]'",
        ]
        .concat(),
    ))
}

fn exists(repo: &Repo<'_>, arg: &[u8]) -> bool {
    if matches!(arg, b":/" | b":!" | b":^") {
        return true;
    }
    let excluded = arg.strip_prefix(b":!").or_else(|| arg.strip_prefix(b":^"));
    let arg = match arg.strip_prefix(b":/") {
        Some(rest) => bytes::join(repo.work_tree.as_deref().unwrap_or(b"/"), rest),
        None => bytes::join(&repo.call.cwd, excluded.unwrap_or(arg)),
    };
    std::fs::symlink_metadata(bytes::to_path(&arg)).is_ok()
}

fn looks_like_pathspec(arg: &[u8]) -> bool {
    if arg.starts_with(b":(") {
        return true;
    }
    // A pattern with a character that is special and not escaped.
    let mut escaped = false;
    for &c in arg {
        if escaped {
            escaped = false;
        } else if c == b'\\' {
            escaped = true;
        } else if matches!(c, b'*' | b'?' | b'[') {
            return true;
        }
    }
    false
}
