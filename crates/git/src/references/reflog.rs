//! Reference logs: what a reference pointed at before.

use std::fs;

use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};

/// One line of a log.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) old: Id,
    pub(crate) new: Id,
    /// Name, address and time, as in a commit.
    pub(crate) who: Bytes,
    pub(crate) message: Bytes,
}

/// Reads the log of a reference given by its full name, oldest first; empty when there is none.
pub(crate) fn read(repo: &Repo<'_>, name: &[u8]) -> Res<Vec<Line>> {
    if let Some(tables) = &repo.tables {
        return tables.log(name);
    }
    let file = path(repo, name);
    if !crate::repository::config::is_within(repo.call, &file) {
        return Ok(Vec::new());
    }
    let text = fs::read(bytes::to_path(&file)).unwrap_or_default();
    Ok(text.split(|b| *b == b'\n').filter_map(parse).collect())
}

/// Says whether a reference given by its full name has a log, be it empty.
pub(crate) fn exists(repo: &Repo<'_>, name: &[u8]) -> bool {
    if let Some(tables) = &repo.tables {
        return tables.has_log(name);
    }
    bytes::to_path(&path(repo, name)).is_file()
}

/// Returns where the log of a reference lies.
pub(crate) fn path(repo: &Repo<'_>, name: &[u8]) -> Bytes {
    let dir = if is_of_one_work_tree(name) {
        &repo.git_dir
    } else {
        &repo.common_dir
    };
    [dir.as_slice(), b"/logs/", name].concat()
}

/// Says whether a reference belongs to one work tree only; then it lies in that one's own directory.
pub(crate) fn is_of_one_work_tree(name: &[u8]) -> bool {
    !name.starts_with(b"refs/")
        || name.starts_with(b"refs/bisect/")
        || name.starts_with(b"refs/worktree/")
        || name.starts_with(b"refs/rewritten/")
}

fn parse(line: &[u8]) -> Option<Line> {
    let (head, message) = match line.iter().position(|b| *b == b'\t') {
        Some(tab) => (&line[..tab], &line[tab + 1..]),
        None => (line, &b""[..]),
    };
    Some(Line {
        old: Id::parse_start(head)?,
        new: Id::parse_start(head.get(Id::digits() + 1..)?)?,
        who: head.get(2 * Id::digits() + 2..)?.to_vec(),
        message: message.to_vec(),
    })
}
