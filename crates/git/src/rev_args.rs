//! Arguments that are revisions, ranges or paths: told apart as git does.

use git2::ObjectType;

use crate::bytes::{self, Bytes, lossy};
use crate::id::Id;
use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::repo::Repo;
use crate::rev::{self, Found};

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
}

/// Splits arguments into revisions and paths, or ends with git's error.
pub(crate) fn split(
    repo: &Repo<'_>,
    parsed: &Parsed,
    _verb: &str,
) -> Res<(Vec<RevArg>, Vec<Bytes>)> {
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
                });
            }
            revs.extend(sides);
            return Ok(true);
        }
        if symmetric || bytes::find(arg, b"/").is_none_or(|i| i >= 3) {
            return Ok(false);
        }
    }
    for suffix in [b"^@".as_slice(), b"^!", b"^-"] {
        if bytes::find(arg, suffix).is_some() {
            return Err(Stop::NotNative(format!("the revision `{}`", lossy(arg))));
        }
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
        symmetric: false,
        path: found.path,
        mode: found.mode,
        is_blob,
    });
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
