//! `--pathspec-from-file`: path patterns from a file instead of the command line.

use std::fs;

use crate::options::{Parsed, Spec, flag, value};
use crate::outcome::{Res, Stop};
use crate::repository::lock::system_words;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::work::attr;

/// `--pathspec-from-file`.
pub(crate) const FROM_FILE: Spec = value("pathspec-from-file", None);

/// `--pathspec-file-nul`.
pub(crate) const FILE_NUL: Spec = flag("pathspec-file-nul", None);

/// Returns the patterns of the file, or `given` where no file is named.
pub(crate) fn patterns(repo: &Repo<'_>, parsed: &Parsed, given: &[Bytes]) -> Res<Vec<Bytes>> {
    let by_nul = parsed.has(FILE_NUL.name);
    let Some(file) = parsed.last(FROM_FILE.name).map(|g| g.text()) else {
        if by_nul {
            return Err(Stop::fatal(
                "the option '--pathspec-file-nul' requires '--pathspec-from-file'",
            ));
        }
        return Ok(given.to_vec());
    };
    if !given.is_empty() {
        return Err(Stop::fatal(
            "'--pathspec-from-file' and pathspec arguments cannot be used together",
        ));
    }
    if file == b"-" {
        return Err(Stop::not_native("paths from standard input"));
    }
    let path = bytes::join(&repo.call.cwd, file);
    if repo.call.within.is_some() && !crate::repository::config::is_within(repo.call, &path) {
        return Err(Stop::not_native("a file outside of the workspace"));
    }
    let text = fs::read(bytes::to_path(&path)).map_err(|e| {
        Stop::fatal(format!(
            "could not open '{}' for reading: {}",
            lossy(&[repo.prefix.as_slice(), file].concat()),
            system_words(&e)
        ))
    })?;
    let end = if by_nul { 0 } else { b'\n' };
    let text = text.strip_suffix(&[end]).unwrap_or(&text);
    let patterns: Vec<Bytes> = text
        .split(|b| *b == end)
        .map(|line| match line.strip_prefix(b"\"") {
            _ if by_nul => Ok(line.to_vec()),
            Some(quoted) => match attr::unquote(quoted) {
                Some((name, b"" | b"\r")) => Ok(name),
                _ => Err(Stop::fatal(format!(
                    "line is badly quoted: {}",
                    lossy(line)
                ))),
            },
            None => Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec()),
        })
        .collect::<Res<_>>()?;
    if text.is_empty() {
        return Err(Stop::not_native("a list of no paths"));
    }
    Ok(patterns)
}
