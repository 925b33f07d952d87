//! Objects taken apart: commits, tags and trees from their raw bytes.

use crate::repository::id::Id;
use crate::text::bytes::{self, Bytes};

/// A commit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    pub(crate) tree: Id,
    pub(crate) parents: Vec<Id>,
    /// The parents it was stored with, where a shallow history ends here.
    pub(crate) cut_parents: Vec<Id>,
    /// The author line after its keyword.
    pub(crate) author: Bytes,
    /// The committer line after its keyword.
    pub(crate) committer: Bytes,
    pub(crate) encoding: Option<Bytes>,
    /// The other headers, as they are.
    pub(crate) extra: Vec<(Bytes, Bytes)>,
    /// The message as it is stored.
    pub(crate) message: Bytes,
}

impl Commit {
    /// Parses a commit; `None` when it has no tree.
    pub(crate) fn parse(data: &[u8]) -> Option<Commit> {
        let mut commit = Commit::default();
        let mut rest = data;
        let mut has_tree = false;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            if let Some(more) = line.strip_prefix(b" ") {
                if let Some((_, value)) = commit.extra.last_mut() {
                    value.push(b'\n');
                    value.extend_from_slice(more);
                }
                continue;
            }
            let (key, value) = bytes::split_once(line, b' ').unwrap_or((line, b""));
            match key {
                b"tree" => {
                    commit.tree = Id::parse(value)?;
                    has_tree = true;
                }
                b"parent" => commit.parents.push(Id::parse(value)?),
                b"author" => commit.author = value.to_vec(),
                b"committer" => commit.committer = value.to_vec(),
                _ => {
                    if key == b"encoding" {
                        commit.encoding = Some(value.to_vec());
                    }
                    commit.extra.push((key.to_vec(), value.to_vec()));
                }
            }
        }
        commit.message = rest.to_vec();
        has_tree.then_some(commit)
    }

    /// Returns the committer's time, 0 when there is none.
    pub(crate) fn time(&self) -> i64 {
        Person::parse(&self.committer).time.max(0)
    }
}

/// A name, an address and a time, as they stand in a commit or tag.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Person<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) email: &'a [u8],
    pub(crate) time: i64,
    /// Offset from UTC as written: `+0130` is 130.
    pub(crate) zone: i32,
    /// Whether there was a time at all.
    pub(crate) has_time: bool,
}

impl<'a> Person<'a> {
    /// Takes a line apart; what is missing is empty.
    pub(crate) fn parse(line: &'a [u8]) -> Person<'a> {
        let Some(open) = line.iter().position(|b| *b == b'<') else {
            return Person::default();
        };
        let Some(close) = line[open..]
            .iter()
            .position(|b| *b == b'>')
            .map(|i| i + open)
        else {
            return Person::default();
        };
        let mut person = Person {
            name: line[..open].trim_ascii(),
            email: line[open + 1..close].trim_ascii(),
            ..Person::default()
        };
        // The date follows the last `>`.
        let last = line.iter().rposition(|b| *b == b'>').unwrap_or(close);
        let mut words = line[last + 1..]
            .split(|b| *b == b' ')
            .filter(|w| !w.is_empty());
        let word = words.next().unwrap_or_default();
        let overflows = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
        let time = match bytes::parse_int(word) {
            // What does not fit is shown as the beginning of time.
            None if overflows => {
                person.has_time = true;
                return person;
            }
            time => time,
        };
        if let Some(time) = time {
            person.time = time;
            person.has_time = true;
            person.zone = words
                .next()
                .and_then(bytes::parse_int)
                .and_then(|z| i32::try_from(z).ok())
                .unwrap_or(0);
        }
        person
    }
}

/// An annotated tag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tag {
    pub(crate) object: Id,
    pub(crate) kind: Bytes,
    pub(crate) name: Bytes,
    pub(crate) tagger: Bytes,
    pub(crate) message: Bytes,
}

impl Tag {
    /// Parses a tag; `None` when it names no object.
    pub(crate) fn parse(data: &[u8]) -> Option<Tag> {
        let mut tag = Tag::default();
        let mut rest = data;
        let mut has_object = false;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            let (key, value) = bytes::split_once(line, b' ').unwrap_or((line, b""));
            match key {
                b"object" => {
                    tag.object = Id::parse(value)?;
                    has_object = true;
                }
                b"type" => tag.kind = value.to_vec(),
                b"tag" => tag.name = value.to_vec(),
                b"tagger" => tag.tagger = value.to_vec(),
                _ => {}
            }
        }
        tag.message = rest.to_vec();
        has_object.then_some(tag)
    }
}

/// The file modes git knows.
pub(crate) mod mode {
    pub(crate) const TREE: u32 = 0o040_000;
    pub(crate) const FILE: u32 = 0o100_644;
    pub(crate) const EXECUTABLE: u32 = 0o100_755;
    pub(crate) const LINK: u32 = 0o120_000;
    pub(crate) const COMMIT: u32 = 0o160_000;
    const TYPE: u32 = 0o170_000;

    pub(crate) fn is_tree(mode: u32) -> bool {
        mode & TYPE == TREE
    }
    pub(crate) fn is_file(mode: u32) -> bool {
        mode & TYPE == 0o100_000
    }
    pub(crate) fn is_link(mode: u32) -> bool {
        mode & TYPE == LINK
    }
    pub(crate) fn is_commit(mode: u32) -> bool {
        mode & TYPE == COMMIT
    }
    /// Says whether two modes are different kinds of thing.
    pub(crate) fn type_differs(a: u32, b: u32) -> bool {
        a & TYPE != b & TYPE
    }
    /// Reduces a mode as stored in a tree to the ones git uses.
    pub(crate) fn canonical(mode: u32) -> u32 {
        match mode & TYPE {
            0o100_000 => {
                if mode & 0o100 != 0 {
                    EXECUTABLE
                } else {
                    FILE
                }
            }
            LINK => LINK,
            TREE => TREE,
            _ => COMMIT,
        }
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TreeEntry<'a> {
    pub(crate) mode: u32,
    pub(crate) name: &'a [u8],
    pub(crate) id: Id,
}

/// Walks the raw bytes of a tree; stops at the first malformed entry.
pub(crate) fn tree_entries(data: &[u8]) -> impl Iterator<Item = TreeEntry<'_>> {
    let mut rest = data;
    let length = Id::raw_len();
    std::iter::from_fn(move || {
        let space = rest.iter().position(|b| *b == b' ')?;
        let mut mode = 0u32;
        for digit in &rest[..space] {
            mode = mode
                .checked_mul(8)?
                .checked_add(u32::from(digit.wrapping_sub(b'0')))?;
        }
        let nul = space + 1 + rest[space + 1..].iter().position(|b| *b == 0)?;
        let id = Id::from_raw(rest.get(nul + 1..)?)?;
        let name = &rest[space + 1..nul];
        rest = &rest[nul + 1 + length..];
        Some(TreeEntry {
            mode: mode::canonical(mode),
            name,
            id,
        })
    })
}
