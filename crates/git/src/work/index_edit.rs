//! The index while it is changed: locked, all entries at hand, written back in one step.
//!
//! Owns `index.lock` from the beginning, so nothing can change between reading and writing. Dropped without
//! [`IndexEdit::commit`] it leaves everything as it was.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

use git2::ObjectType;
use sha1::{Digest as _, Sha1};

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::lock::{LockFile, system_words};
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::work::index::{Index, Stat};
use crate::work::pathspec::Pathspec;
use crate::work::sparse::Sparse;
use crate::work::work_tree::{Look, State};

/// One entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) stat: Stat,
    pub(crate) mode: u32,
    pub(crate) id: Id,
    pub(crate) assume_valid: bool,
    pub(crate) skip_worktree: bool,
    pub(crate) intent_to_add: bool,
    /// The file was looked at or written just now: its times need no second look.
    pub(crate) fresh: bool,
}

impl Item {
    /// An entry whose file was not looked at.
    pub(crate) fn new(mode: u32, id: Id) -> Item {
        Item {
            mode,
            id,
            ..Item::default()
        }
    }
}

/// What was in conflict before a path was resolved: mode and id of each stage.
type Undo = [Option<(u32, Id)>; 3];

/// The index, locked.
pub(crate) struct IndexEdit<'r> {
    repo: &'r Repo<'r>,
    lock: LockFile,
    /// Which of its paths are in the work tree.
    pub(crate) sparse: Sparse,
    /// As it was read.
    pub(crate) base: Index,
    items: BTreeMap<(Bytes, u8), Item>,
    /// Directories (with a slash at the end) whose tree is known: number of entries and id.
    trees: BTreeMap<Bytes, (usize, Id)>,
    undo: BTreeMap<Bytes, Undo>,
}

impl<'r> IndexEdit<'r> {
    /// Locks and reads the index.
    pub(crate) fn begin(repo: &'r Repo<'r>) -> Res<IndexEdit<'r>> {
        let lock = LockFile::take(&repo.index_path())?;
        let base = repo.index()?;
        let sparse = Sparse::load(repo)?;
        sparse.refuse_inconsistent(repo, &base)?;
        let items = base
            .entries
            .iter()
            .map(|e| {
                let item = Item {
                    stat: e.stat,
                    mode: e.mode,
                    id: e.id,
                    assume_valid: e.assume_valid,
                    skip_worktree: e.skip_worktree,
                    intent_to_add: e.intent_to_add,
                    fresh: false,
                };
                ((base.path(e).to_vec(), e.stage), item)
            })
            .collect();
        let trees = base
            .trees
            .iter()
            .filter_map(|t| Some((t.path.clone(), (usize::try_from(t.entries).ok()?, t.id))))
            .collect();
        let undo = parse_undo(&base.resolve_undo);
        Ok(IndexEdit {
            repo,
            lock,
            sparse,
            base,
            items,
            trees,
            undo,
        })
    }

    /// Returns the resolved entry of a path.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Item> {
        self.items.get(&(path.to_vec(), 0))
    }

    /// Returns one stage of a conflict.
    pub(crate) fn stage(&self, path: &[u8], stage: u8) -> Option<&Item> {
        self.items.get(&(path.to_vec(), stage))
    }

    /// Counts the entries of a path: one, or one for each side of a conflict.
    pub(crate) fn sides(&self, path: &[u8]) -> usize {
        self.items
            .range((path.to_vec(), 0)..=(path.to_vec(), 3))
            .count()
    }

    /// Counts the entries of a path below a stage.
    pub(crate) fn sides_before(&self, path: &[u8], stage: u8) -> usize {
        match stage {
            0 => 0,
            _ => self
                .items
                .range((path.to_vec(), 0)..(path.to_vec(), stage))
                .count(),
        }
    }

    /// Says whether a path has any entry.
    pub(crate) fn has(&self, path: &[u8]) -> bool {
        self.items
            .range((path.to_vec(), 0)..=(path.to_vec(), 3))
            .next()
            .is_some()
    }

    /// Returns all entries in order.
    pub(crate) fn iter(&self) -> btree_map::Iter<'_, (Bytes, u8), Item> {
        self.items.iter()
    }

    /// Says whether any path has conflicts.
    pub(crate) fn has_conflicts(&self) -> bool {
        self.items.keys().any(|(_, stage)| *stage > 0)
    }

    /// Lists the paths below a directory given with its slash.
    pub(crate) fn below(&self, dir: &[u8]) -> Vec<Bytes> {
        let mut paths: Vec<Bytes> = self
            .items
            .range((Bound::Included((dir.to_vec(), 0)), Bound::Unbounded))
            .take_while(|((path, _), _)| path.starts_with(dir))
            .map(|((path, _), _)| path.clone())
            .collect();
        paths.dedup();
        paths
    }

    /// Sets the resolved entry of a path. What stands in its way, as a file or a directory, leaves; so do conflicts.
    pub(crate) fn put(&mut self, path: &[u8], item: Item) {
        let same = self
            .get(path)
            .is_some_and(|old| old.mode == item.mode && old.id == item.id && !old.intent_to_add);
        if !same || item.intent_to_add {
            self.invalidate(path);
            self.clear_way(path);
        }
        self.remember_conflict(path);
        for stage in 1..=3 {
            self.items.remove(&(path.to_vec(), stage));
        }
        self.items.insert((path.to_vec(), 0), item);
    }

    /// Takes a path out, whatever its stage.
    pub(crate) fn remove(&mut self, path: &[u8]) {
        self.remember_conflict(path);
        self.forget(path);
    }

    /// Takes a path out without remembering that it was in conflict.
    pub(crate) fn forget(&mut self, path: &[u8]) {
        self.invalidate(path);
        for stage in 0..=3 {
            self.items.remove(&(path.to_vec(), stage));
        }
    }

    /// Forgets what was resolved.
    pub(crate) fn forget_resolved(&mut self) {
        self.undo.clear();
    }

    fn clear_way(&mut self, path: &[u8]) {
        for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            if self.has(&path[..i]) {
                self.forget(&path[..i]);
            }
        }
        for below in self.below(&[path, b"/"].concat()) {
            self.forget(&below);
        }
    }

    fn remember_conflict(&mut self, path: &[u8]) {
        let stages: Undo = std::array::from_fn(|i| {
            let item = self.items.get(&(path.to_vec(), i as u8 + 1))?;
            Some((item.mode, item.id))
        });
        if stages.iter().any(Option::is_some) {
            self.undo.insert(path.to_vec(), stages);
        }
    }

    fn invalidate(&mut self, path: &[u8]) {
        self.trees.remove(&b""[..]);
        for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            self.trees.remove(&path[..=i]);
        }
        self.trees.remove(&[path, b"/"].concat());
    }

    /// Brings the remembered times of unchanged files up to date.
    pub(crate) fn refresh(&mut self) -> Res<()> {
        self.refresh_matching(&Pathspec::default())
    }

    /// The same for the files a pathspec means.
    pub(crate) fn refresh_matching(&mut self, spec: &Pathspec) -> Res<()> {
        let found = crate::work::work_tree::changes(self.repo, &self.base, spec)?;
        for (i, stat) in &found.refreshed {
            let Some(entry) = self.base.entries.get(*i) else {
                continue;
            };
            let key = (self.base.path(entry).to_vec(), 0);
            if let Some(item) = self.items.get_mut(&key)
                && item.id == entry.id
            {
                item.stat = *stat;
                item.fresh = true;
            }
        }
        Ok(())
    }

    /// Writes the trees that are not known yet and returns the one of the top.
    pub(crate) fn write_tree(&mut self) -> Res<Id> {
        let entries: Vec<(&[u8], Item)> = self
            .items
            .iter()
            .map(|((path, _), item)| (path.as_slice(), *item))
            .collect();
        let mut known = std::mem::take(&mut self.trees);
        let written = write_directory(self.repo, &entries, b"", &mut known);
        self.trees = known;
        Ok(written?.0)
    }

    /// Writes the index and gives the lock back.
    pub(crate) fn commit(mut self) -> Res<()> {
        self.smudge_racy()?;
        let data = self.serialize();
        self.lock.commit(&data).map_err(|e| {
            Stop::fatal(format!(
                "unable to write new index file: {}",
                system_words(&e)
            ))
        })
    }

    /// A file that changed within the clock tick of the old index must not look unchanged by its times to the new one.
    fn smudge_racy(&mut self) -> Res<()> {
        let mut look = Look::new(self.repo, &self.base)?;
        for entry in &self.base.entries {
            if entry.stage != 0 || !self.base.is_racy(entry) || entry.stat.size == 0 {
                continue;
            }
            let path = self.base.path(entry);
            let Some(item) = self.items.get_mut(&(path.to_vec(), 0)) else {
                continue;
            };
            if item.fresh || item.id != entry.id || item.stat != entry.stat {
                continue;
            }
            let mut plain = *entry;
            plain.assume_valid = false;
            plain.skip_worktree = false;
            if matches!(look.at(&plain, path), Ok(State::Differs(side)) if side.exists()) {
                item.stat.size = 0;
            }
        }
        Ok(())
    }

    /// Returns the index as it would be written now.
    pub(crate) fn preview(&self) -> Res<Index> {
        self.read_back(&self.serialize())
    }

    /// Returns an index of just these files, with what is known here of those that are the same.
    pub(crate) fn preview_of(&self, files: &BTreeMap<Bytes, (u32, Id)>) -> Res<Index> {
        let items = files
            .iter()
            .map(|(path, (mode, id))| {
                let known = self.get(path).filter(|i| i.mode == *mode && i.id == *id);
                let item = known.copied().unwrap_or_else(|| Item::new(*mode, *id));
                ((path.clone(), 0), item)
            })
            .collect();
        self.read_back(&self.serialize_items(&items, &BTreeMap::new()))
    }

    fn read_back(&self, data: &[u8]) -> Res<Index> {
        let mut index = Index::parse_alone(data)?;
        index.written = self.base.written;
        Ok(index)
    }

    fn serialize(&self) -> Vec<u8> {
        self.serialize_items(&self.items, &self.trees)
    }

    fn serialize_items(
        &self,
        items: &BTreeMap<(Bytes, u8), Item>,
        trees: &BTreeMap<Bytes, (usize, Id)>,
    ) -> Vec<u8> {
        let extended = items.values().any(|i| i.skip_worktree || i.intent_to_add);
        let version: u32 = match (self.base.version, extended) {
            (4, _) => 4,
            (_, true) => 3,
            (_, false) => 2,
        };
        let mut data = Vec::with_capacity(items.len() * 100 + 1024);
        data.extend_from_slice(b"DIRC");
        data.extend_from_slice(&version.to_be_bytes());
        data.extend_from_slice(&(items.len() as u32).to_be_bytes());
        let mut previous: &[u8] = b"";
        for ((path, stage), item) in items {
            write_entry(&mut data, version, path, *stage, item, previous);
            previous = path;
        }
        if !trees.is_empty() {
            let mut body = Vec::new();
            write_cached_trees(trees, b"", &mut body);
            write_extension(&mut data, b"TREE", &body);
        }
        if !self.undo.is_empty() {
            write_extension(&mut data, b"REUC", &undo_bytes(&self.undo));
        }
        let hash = Sha1::digest(&data);
        data.extend_from_slice(&hash);
        data
    }
}

fn write_entry(
    data: &mut Vec<u8>,
    version: u32,
    path: &[u8],
    stage: u8,
    item: &Item,
    previous: &[u8],
) {
    let start = data.len();
    let stat = &item.stat;
    for word in [
        stat.ctime.0,
        stat.ctime.1,
        stat.mtime.0,
        stat.mtime.1,
        stat.dev,
        stat.ino,
        item.mode,
        stat.uid,
        stat.gid,
        stat.size,
    ] {
        data.extend_from_slice(&word.to_be_bytes());
    }
    data.extend_from_slice(item.id.raw());
    let extra = u16::from(item.skip_worktree) << 14 | u16::from(item.intent_to_add) << 13;
    let flags = u16::from(item.assume_valid) << 15
        | u16::from(extra != 0) << 14
        | u16::from(stage) << 12
        | (path.len().min(0xfff) as u16);
    data.extend_from_slice(&flags.to_be_bytes());
    if extra != 0 {
        data.extend_from_slice(&extra.to_be_bytes());
    }
    if version == 4 {
        let shared = path
            .iter()
            .zip(previous)
            .take_while(|(a, b)| a == b)
            .count();
        write_varint(data, previous.len() - shared);
        data.extend_from_slice(&path[shared..]);
        data.push(0);
    } else {
        data.extend_from_slice(path);
        let length = data.len() - start;
        data.resize(start + (length + 8) / 8 * 8, 0);
    }
}

/// Numbers in version 4 paths: seven bits a byte, each continuation adding one.
fn write_varint(data: &mut Vec<u8>, mut value: usize) {
    let mut digits = vec![(value & 127) as u8];
    while value > 127 {
        value = (value >> 7) - 1;
        digits.push(128 | (value & 127) as u8);
    }
    data.extend(digits.iter().rev());
}

fn write_extension(data: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    data.extend_from_slice(name);
    data.extend_from_slice(&(body.len() as u32).to_be_bytes());
    data.extend_from_slice(body);
}

/// Writes a directory and those below it. Directories that are not known but have known ones below are written as unknown.
fn write_cached_trees(trees: &BTreeMap<Bytes, (usize, Id)>, dir: &[u8], body: &mut Vec<u8>) {
    let mut children: Vec<Bytes> = Vec::new();
    for path in trees
        .range((Bound::Excluded(dir.to_vec()), Bound::Unbounded))
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(dir))
    {
        let rest = &path[dir.len()..];
        let end = rest
            .iter()
            .position(|b| *b == b'/')
            .map_or(rest.len(), |i| i + 1);
        let child = path[..dir.len() + end].to_vec();
        if children.last() != Some(&child) {
            children.push(child);
        }
    }
    // git orders subtrees by length first.
    children.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let name = dir.strip_suffix(b"/").unwrap_or(dir);
    body.extend_from_slice(bytes::basename(name));
    body.push(0);
    let known = trees.get(dir);
    let count = known.map_or("-1".to_string(), |(n, _)| n.to_string());
    body.extend_from_slice(format!("{count} {}\n", children.len()).as_bytes());
    if let Some((_, id)) = known {
        body.extend_from_slice(id.raw());
    }
    for child in children {
        write_cached_trees(trees, &child, body);
    }
}

/// Writes the trees of a directory; returns its id, how many index entries it holds, and whether it may be remembered.
fn write_directory(
    repo: &Repo<'_>,
    entries: &[(&[u8], Item)],
    dir: &[u8],
    known: &mut BTreeMap<Bytes, (usize, Id)>,
) -> Res<(Id, bool)> {
    if let Some((count, id)) = known.get(dir)
        && *count == entries.len()
        && (*id == Id::empty_tree() || repo.header(*id)?.is_some())
    {
        return Ok((*id, true));
    }
    let mut data = Vec::new();
    let mut complete = true;
    let mut at = 0;
    while let Some((path, item)) = entries.get(at) {
        let rest = &path[dir.len()..];
        if let Some(slash) = rest.iter().position(|b| *b == b'/') {
            let sub = &path[..dir.len() + slash + 1];
            let len = entries[at..].partition_point(|(p, _)| p.starts_with(sub));
            let below = &entries[at..at + len];
            at += len;
            if below.iter().all(|(_, i)| i.intent_to_add) {
                complete = false;
                continue;
            }
            let (id, whole) = write_directory(repo, below, sub, known)?;
            complete &= whole;
            append_entry(&mut data, mode::TREE, &rest[..slash], id);
            continue;
        }
        at += 1;
        if item.intent_to_add {
            complete = false;
            continue;
        }
        if !mode::is_commit(item.mode) && repo.header(item.id)?.is_none() {
            return Err(Stop::NotNative(format!(
                "the missing object of `{}`",
                lossy(path)
            )));
        }
        append_entry(&mut data, item.mode, rest, item.id);
    }
    let id = repo.write_object(ObjectType::Tree, &data)?;
    if complete {
        known.insert(dir.to_vec(), (entries.len(), id));
    } else {
        known.remove(dir);
    }
    Ok((id, complete))
}

/// Writes the trees of a list of files and returns the one of the top.
pub(crate) fn tree_of(repo: &Repo<'_>, files: &BTreeMap<Bytes, (u32, Id)>) -> Res<Id> {
    let entries: Vec<(&[u8], Item)> = files
        .iter()
        .map(|(path, (mode, id))| (path.as_slice(), Item::new(*mode, *id)))
        .collect();
    Ok(write_directory(repo, &entries, b"", &mut BTreeMap::new())?.0)
}

fn append_entry(data: &mut Vec<u8>, mode: u32, name: &[u8], id: Id) {
    data.extend_from_slice(format!("{mode:o} ").as_bytes());
    data.extend_from_slice(name);
    data.push(0);
    data.extend_from_slice(id.raw());
}

fn parse_undo(body: &[u8]) -> BTreeMap<Bytes, Undo> {
    let mut all = BTreeMap::new();
    let mut rest = body;
    while let Some((path, after)) = bytes::split_once(rest, 0) {
        let mut modes = [0; 3];
        rest = after;
        for mode in &mut modes {
            let Some((digits, after)) = bytes::split_once(rest, 0) else {
                return all;
            };
            let text = std::str::from_utf8(digits).unwrap_or_default();
            *mode = u32::from_str_radix(text, 8).unwrap_or(0);
            rest = after;
        }
        let mut stages: Undo = [None; 3];
        for (stage, mode) in stages.iter_mut().zip(modes) {
            if mode == 0 {
                continue;
            }
            let Some(id) = Id::from_raw(rest) else {
                return all;
            };
            rest = &rest[Id::raw_len()..];
            *stage = Some((mode, id));
        }
        all.insert(path.to_vec(), stages);
    }
    all
}

fn undo_bytes(undo: &BTreeMap<Bytes, Undo>) -> Vec<u8> {
    let mut body = Vec::new();
    for (path, stages) in undo {
        body.extend_from_slice(path);
        body.push(0);
        for stage in stages {
            body.extend_from_slice(format!("{:o}", stage.map_or(0, |(m, _)| m)).as_bytes());
            body.push(0);
        }
        for (_, id) in stages.iter().flatten() {
            body.extend_from_slice(id.raw());
        }
    }
    body
}
