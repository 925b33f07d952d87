//! The index, read by itself: one pass over the file, all paths in one buffer.
//!
//! libgit2 takes longer to load a large index than git takes for the whole status.

use std::fs;
use std::ops::Range;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::work::split_index::Link;

/// What the index remembers of a file's state on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) ctime: (u32, u32),
    pub(crate) mtime: (u32, u32),
    pub(crate) dev: u32,
    pub(crate) ino: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u32,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    path: (u32, u32),
    /// Where the entry begins in the file.
    pub(crate) offset: u32,
    pub(crate) stat: Stat,
    pub(crate) mode: u32,
    pub(crate) id: Id,
    pub(crate) stage: u8,
    pub(crate) assume_valid: bool,
    pub(crate) skip_worktree: bool,
    pub(crate) intent_to_add: bool,
}

/// The index, sorted by path and stage.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    paths: Vec<u8>,
    /// When the file was written: what is not older is not to be trusted by its times alone.
    pub(crate) written: (u32, u32),
    /// The ids of trees that are known to equal a directory of the index.
    pub(crate) trees: Vec<CachedTree>,
    /// The version of the file; 0 when there is none.
    pub(crate) version: u32,
    /// What is remembered about conflicts that were resolved, as it is stored.
    pub(crate) resolve_undo: Bytes,
    /// Whether it remembers what is untracked, which git keeps up to date.
    has_untracked_cache: bool,
    /// Read from two files: entries have no place in one file.
    pub(crate) is_split: bool,
    link: Option<Link>,
}

/// A directory whose tree object is known.
#[derive(Debug, Clone)]
pub(crate) struct CachedTree {
    /// The path with a slash at its end, `""` for the top.
    pub(crate) path: Bytes,
    /// Number of entries below it; negative when the tree is not valid any more.
    pub(crate) entries: i64,
    pub(crate) id: Id,
}

impl Index {
    /// Returns the path of an entry.
    pub(crate) fn path(&self, entry: &Entry) -> &[u8] {
        let (start, len) = entry.path;
        &self.paths[start as usize..start as usize + len as usize]
    }

    /// Returns the first entry of a path, whatever its stage.
    pub(crate) fn find(&self, path: &[u8]) -> Option<&Entry> {
        let i = self.lower_bound(path);
        self.entries.get(i).filter(|e| self.path(e) == path)
    }

    /// Returns the position of the first entry whose path is not less.
    pub(crate) fn lower_bound(&self, path: &[u8]) -> usize {
        self.entries.partition_point(|e| self.path(e) < path)
    }

    /// Returns the entries below a directory given with its slash, looked for among `within`.
    pub(crate) fn below(&self, dir: &[u8], within: Range<usize>) -> Range<usize> {
        let entries = &self.entries[within.clone()];
        let start = entries.partition_point(|e| self.path(e) < dir);
        let len = entries[start..].partition_point(|e| self.path(e).starts_with(dir));
        within.start + start..within.start + start + len
    }

    /// Says whether a path has an entry among `within`.
    pub(crate) fn contains(&self, path: &[u8], within: Range<usize>) -> bool {
        self.entries[within]
            .binary_search_by(|e| self.path(e).cmp(path))
            .is_ok()
    }

    /// Says whether any entry lies below a directory given with its slash.
    pub(crate) fn has_below(&self, dir: &[u8]) -> bool {
        let i = self.lower_bound(dir);
        self.entries
            .get(i)
            .is_some_and(|e| self.path(e).starts_with(dir))
    }

    /// Returns a directory's tree if it is known to equal the index; the path ends with a slash.
    pub(crate) fn cached_tree(&self, dir: &[u8]) -> Option<&CachedTree> {
        let i = self
            .trees
            .binary_search_by(|t| t.path.as_slice().cmp(dir))
            .ok()?;
        Some(&self.trees[i]).filter(|t| t.entries >= 0)
    }

    /// Says whether an entry's file may have changed within the clock tick the index was written in.
    pub(crate) fn is_racy(&self, entry: &Entry) -> bool {
        self.written != (0, 0) && self.written <= entry.stat.mtime
    }

    /// Reads a file that says nothing of another one.
    pub(crate) fn parse_alone(data: &[u8]) -> Res<Index> {
        match Index::parse(data)? {
            Index { link: Some(_), .. } => Err(Stop::not_native("an index of three files")),
            index => Ok(index),
        }
    }

    /// Adds an entry at the end, with a path of its own.
    pub(crate) fn push(&mut self, entry: Entry, path: &[u8]) {
        let start = self.paths.len() as u32;
        self.paths.extend_from_slice(path);
        self.entries.push(Entry {
            path: (start, path.len() as u32),
            ..entry
        });
    }

    fn parse(data: &[u8]) -> Res<Index> {
        let bad = || Stop::not_native("an index file that cannot be read");
        let word = |at: usize| -> Res<u32> {
            let raw = data.get(at..at + 4).ok_or_else(bad)?;
            Ok(u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]))
        };
        if data.get(..4) != Some(b"DIRC") {
            return Err(bad());
        }
        let version = word(4)?;
        if !(2..=4).contains(&version) {
            return Err(Stop::NotNative(format!("index version {version}")));
        }
        let count = word(8)? as usize;
        let mut index = Index {
            version,
            ..Index::default()
        };
        // Ten words of what the file looked like, the id, the flags.
        let fixed_len = 40 + Id::raw_len() + 2;
        index.entries.reserve(count.min(data.len() / fixed_len));
        index.paths.reserve(data.len());
        let mut at = 12;
        let mut previous = 0..0usize;
        for _ in 0..count {
            let start = at;
            let fixed = data.get(at..at + fixed_len).ok_or_else(bad)?;
            let field =
                |i: usize| u32::from_be_bytes([fixed[i], fixed[i + 1], fixed[i + 2], fixed[i + 3]]);
            let flags = u16::from_be_bytes([fixed[fixed_len - 2], fixed[fixed_len - 1]]);
            let mut extended = 0;
            at += fixed_len;
            if flags & 0x4000 != 0 {
                let raw = data.get(at..at + 2).ok_or_else(bad)?;
                extended = u16::from_be_bytes([raw[0], raw[1]]);
                at += 2;
            }
            let path_start = index.paths.len();
            if version == 4 {
                let strip = read_varint(data, &mut at).ok_or_else(bad)?;
                let keep = previous.len().checked_sub(strip).ok_or_else(bad)?;
                index
                    .paths
                    .extend_from_within(previous.start..previous.start + keep);
            }
            // The length is in the flags unless it does not fit, or version 4 shares a beginning.
            let len = match usize::from(flags & 0xfff) {
                len if len < 0xfff && version < 4 && data.get(at + len) == Some(&0) => len,
                _ => data[at..].iter().position(|b| *b == 0).ok_or_else(bad)?,
            };
            index.paths.extend_from_slice(&data[at..at + len]);
            at += len;
            if version == 4 {
                at += 1;
            } else {
                // Entries are padded with one to eight NULs to a multiple of eight bytes.
                at = start + (at - start + 8) / 8 * 8;
            }
            previous = path_start..index.paths.len();
            index.entries.push(Entry {
                path: (path_start as u32, previous.len() as u32),
                offset: start as u32,
                stat: Stat {
                    ctime: (field(0), field(4)),
                    mtime: (field(8), field(12)),
                    dev: field(16),
                    ino: field(20),
                    uid: field(28),
                    gid: field(32),
                    size: field(36),
                },
                mode: field(24),
                id: Id::from_raw(&fixed[40..]).ok_or_else(bad)?,
                stage: (flags >> 12 & 3) as u8,
                assume_valid: flags & 0x8000 != 0,
                skip_worktree: extended & 0x4000 != 0,
                intent_to_add: extended & 0x2000 != 0,
            });
        }
        index.parse_extensions(data, at)?;
        Ok(index)
    }

    /// Hands over where git would bring up to date what the index remembers of untracked files.
    pub(crate) fn refuse_untracked_cache(&self, repo: &Repo<'_>) -> Res<()> {
        let wanted = repo
            .config
            .get("core.untrackedcache")
            .is_some_and(|v| crate::repository::config::parse_bool(v) == Some(true));
        if wanted || self.has_untracked_cache {
            return Err(Stop::not_native("an index that remembers untracked files"));
        }
        Ok(())
    }

    fn parse_extensions(&mut self, data: &[u8], mut at: usize) -> Res<()> {
        let end = data.len().saturating_sub(Id::raw_len());
        while at + 8 <= end {
            let name = &data[at..at + 4];
            let size = u32::from_be_bytes([data[at + 4], data[at + 5], data[at + 6], data[at + 7]])
                as usize;
            let body = data.get(at + 8..at + 8 + size).unwrap_or_default();
            match name {
                b"TREE" => self.trees = parse_trees(body),
                b"REUC" => self.resolve_undo = body.to_vec(),
                b"UNTR" => self.has_untracked_cache = true,
                b"link" => self.link = Some(Link::parse(body)?),
                b"sdir" => return Err(Stop::not_native("a sparse index")),
                _ if name[0].is_ascii_uppercase() => {}
                _ => return Err(Stop::not_native("an unknown index extension")),
            }
            at += 8 + size;
        }
        Ok(())
    }
}

/// Numbers in version 4 paths: seven bits a byte, each continuation adding one.
fn read_varint(data: &[u8], at: &mut usize) -> Option<usize> {
    let mut byte = *data.get(*at)?;
    *at += 1;
    let mut value = usize::from(byte & 127);
    while byte & 128 != 0 {
        byte = *data.get(*at)?;
        *at += 1;
        value = value.checked_add(1)?.checked_shl(7)? + usize::from(byte & 127);
    }
    Some(value)
}

fn parse_trees(body: &[u8]) -> Vec<CachedTree> {
    let mut trees = Vec::new();
    let mut rest = body;
    // Directories that are open, with how many of their subtrees are still to come.
    let mut open: Vec<(Bytes, usize)> = Vec::new();
    while let Some((name, after)) = bytes::split_once(rest, 0) {
        let Some((count, after)) = bytes::split_once(after, b' ') else {
            break;
        };
        let Some((subtrees, after)) = bytes::split_once(after, b'\n') else {
            break;
        };
        let (Some(entries), Some(subtrees)) = (bytes::parse_int(count), bytes::parse_int(subtrees))
        else {
            break;
        };
        let mut path = open.last().map(|(p, _)| p.clone()).unwrap_or_default();
        path.extend_from_slice(name);
        if !path.is_empty() {
            path.push(b'/');
        }
        rest = after;
        let mut id = Id::ZERO;
        if entries >= 0 {
            let Some(read) = Id::from_raw(rest) else {
                break;
            };
            id = read;
            rest = &rest[Id::raw_len()..];
        }
        if let Some((_, left)) = open.last_mut() {
            *left = left.saturating_sub(1);
        }
        trees.push(CachedTree {
            path: path.clone(),
            entries,
            id,
        });
        open.push((path, usize::try_from(subtrees).unwrap_or(0)));
        while open.last().is_some_and(|(_, left)| *left == 0) {
            open.pop();
        }
    }
    trees.sort_by(|a, b| a.path.cmp(&b.path));
    trees
}

impl Repo<'_> {
    /// Returns the path of the index file.
    pub(crate) fn index_path(&self) -> Bytes {
        match self.call.var("GIT_INDEX_FILE").filter(|v| !v.is_empty()) {
            Some(file) => {
                // Relative to the top of the work tree, where git runs by then.
                bytes::join(self.work_tree.as_deref().unwrap_or(&self.call.cwd), &file)
            }
            None => self.git_path("index"),
        }
    }

    /// Reads the index; a missing one is empty.
    pub(crate) fn index(&self) -> Res<Index> {
        let path = bytes::to_path(&self.index_path());
        let data = match fs::read(&path) {
            Ok(data) => data,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Index::default()),
            Err(e) => return Err(e.into()),
        };
        let mut index = Index::parse(&data)?;
        index.written = mtime(&fs::metadata(&path)?);
        let link = index.link.take();
        let to_split = self.config.bool("core.splitindex")?;
        if to_split.is_some_and(|wanted| wanted != link.is_some()) {
            return Err(Stop::not_native("an index that is to be split or joined"));
        }
        match link {
            None => Ok(index),
            Some(_) if !self.call.only_reads.get() => Err(Stop::not_native("a split index")),
            Some(link) => link.join(self, index),
        }
    }
}

/// Returns a file's time of change as the index stores it.
pub(crate) fn mtime(meta: &fs::Metadata) -> (u32, u32) {
    stat_of(meta).mtime
}

/// Returns what the index stores about a file.
#[cfg(unix)]
pub(crate) fn stat_of(meta: &fs::Metadata) -> Stat {
    use std::os::unix::fs::MetadataExt as _;
    Stat {
        ctime: (meta.ctime() as u32, meta.ctime_nsec() as u32),
        mtime: (meta.mtime() as u32, meta.mtime_nsec() as u32),
        dev: meta.dev() as u32,
        ino: meta.ino() as u32,
        uid: meta.uid(),
        gid: meta.gid(),
        size: meta.len() as u32,
    }
}

/// Returns what the index stores about a file.
#[cfg(not(unix))]
pub(crate) fn stat_of(meta: &fs::Metadata) -> Stat {
    let time = |t: std::io::Result<std::time::SystemTime>| {
        let since = t
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .unwrap_or_default();
        (since.as_secs() as u32, since.subsec_nanos())
    };
    Stat {
        ctime: time(meta.created()),
        mtime: time(meta.modified()),
        size: meta.len() as u32,
        ..Stat::default()
    }
}
