//! The index against the work tree: one `lstat` per entry, and the contents only where the times say nothing.

use std::borrow::Cow;
use std::fs::{self, Metadata};

use crate::compare::pair::{Pair, Side};
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::repository::submodule::{self, SubmoduleState};
use crate::text::bytes::{self, Bytes};
use crate::work::attr::Attributes;
use crate::work::convert::Conversion;
use crate::work::index::{Entry, Index, stat_of};
use crate::work::pathspec::Pathspec;

/// What a comparison of index and work tree found.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// What differs, in order of the paths; conflicts are not in here.
    pub(crate) pairs: Vec<Pair>,
    /// The states of submodules that differ, in the order of `pairs` that are submodules.
    pub(crate) submodules: Vec<(Bytes, SubmoduleState)>,
    /// Entries whose times were wrong though their contents are right: position and what the file shows now.
    pub(crate) refreshed: Vec<(usize, crate::work::index::Stat)>,
    /// Of these, the ones that look changed by their times.
    pub(crate) touched: Vec<usize>,
}

impl Changes {
    /// Drops what is only untracked inside submodules.
    pub(crate) fn forget_untracked_in_submodules(&mut self) {
        for (path, state) in &mut self.submodules {
            state.untracked = false;
            for pair in self.pairs.iter_mut().filter(|p| p.new.path == *path) {
                pair.new.dirty = state.modified;
            }
        }
        let clean: Vec<Bytes> = self
            .submodules
            .iter()
            .filter(|(_, s)| !s.new_commits && !s.modified)
            .map(|(path, _)| path.clone())
            .collect();
        self.submodules.retain(|(path, _)| !clean.contains(path));
        self.pairs.retain(|p| !clean.contains(&p.new.path));
    }
}

/// Compares all stage 0 entries that a pathspec means with the work tree.
pub(crate) fn changes(repo: &Repo<'_>, index: &Index, spec: &Pathspec) -> Res<Changes> {
    let mut found = Changes::default();
    let mut look = Look::new(repo, index)?;
    let unchanged = if spec.is_empty() {
        preload(repo, &look, index)
    } else {
        Vec::new()
    };
    for (i, entry) in index.entries.iter().enumerate() {
        if i % 1024 == 0 {
            repo.cancel().check()?;
        }
        if entry.stage != 0 {
            continue;
        }
        let path = index.path(entry);
        if !spec.is_empty() && !spec.matches(path) {
            continue;
        }
        // Times say nothing about a directory above that became a symbolic link.
        if unchanged.get(i) == Some(&true) && look.is_below_real_directory(path) {
            continue;
        }
        match look.at(entry, path)? {
            State::Same => {}
            State::Touched(stat) => {
                if !look.rules.stat_matches_roughly(entry, &stat) {
                    found.touched.push(i);
                }
                found.refreshed.push((i, stat));
            }
            State::Differs(new) => {
                let old = if entry.intent_to_add && new.exists() {
                    Side::absent(path)
                } else {
                    Side {
                        path: path.to_vec(),
                        mode: entry.mode,
                        id: entry.id,
                        dirty: false,
                    }
                };
                found.pairs.push(Pair::new(old, new));
            }
            State::Submodule(new, state) => {
                let old = Side {
                    path: path.to_vec(),
                    mode: entry.mode,
                    id: entry.id,
                    dirty: false,
                };
                found.pairs.push(Pair::new(old, new));
                found.submodules.push((path.to_vec(), state));
            }
        }
    }
    Ok(found)
}

/// Says whether a directory above a path is a symbolic link: what lies behind one is not in the work tree.
pub(crate) fn is_behind_link(repo: &Repo<'_>, path: &[u8]) -> Res<bool> {
    let top = repo.need_work_tree()?;
    let mut slashes = path.iter().enumerate().filter(|(_, c)| **c == b'/');
    Ok(slashes.any(|(at, _)| {
        let dir = bytes::to_path(&bytes::join(top, &path[..at]));
        fs::symlink_metadata(dir).is_ok_and(|m| m.is_symlink())
    }))
}

/// Fewest entries for which a second thread is worth its start.
const PRELOAD_FROM: usize = 2_000;

/// Looks at all files from several threads at once; says for each entry whether its times show that it is unchanged.
///
/// Empty when there are too few entries. What is not known to be unchanged is looked at again, in order.
fn preload(repo: &Repo<'_>, look: &Look<'_>, index: &Index) -> Vec<bool> {
    let n = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    if index.entries.len() < PRELOAD_FROM || n < 2 {
        return Vec::new();
    }
    let rules = look.rules;
    let Ok(top) = Top::open(&look.top) else {
        return Vec::new();
    };
    let top = &top;
    let cancel = repo.cancel();
    let mut unchanged = vec![false; index.entries.len()];
    let share = index.entries.len().div_ceil(n);
    std::thread::scope(|scope| {
        for (entries, results) in index.entries.chunks(share).zip(unchanged.chunks_mut(share)) {
            scope.spawn(move || {
                for (entry, result) in entries.iter().zip(results) {
                    if entry.stage != 0 || entry.intent_to_add || cancel.check().is_err() {
                        continue;
                    }
                    let Some((kind, stat)) = top.look(index.path(entry)) else {
                        continue;
                    };
                    *result = rules.mode_of(entry, kind) == Some(entry.mode)
                        && rules.stat_matches(entry, &stat)
                        && !index.is_racy(entry);
                }
            });
        }
    });
    unchanged
}

/// What a path in the work tree is, as far as the index cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Link,
    Executable,
    File,
    Other,
}

impl FileKind {
    fn of(meta: &Metadata) -> FileKind {
        if meta.is_symlink() {
            FileKind::Link
        } else if !meta.is_file() {
            FileKind::Other
        } else if is_executable(meta) {
            FileKind::Executable
        } else {
            FileKind::File
        }
    }
}

/// The top of the work tree, held open so that the way to it is walked once.
#[cfg(unix)]
struct Top(rustix::fd::OwnedFd);

#[cfg(unix)]
impl Top {
    fn open(path: &[u8]) -> std::io::Result<Top> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Top(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Looks at a path below, without following a symbolic link.
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the fields differ between platforms; the index has 32 bits for each"
    )]
    fn look(&self, path: &[u8]) -> Option<(FileKind, crate::work::index::Stat)> {
        use rustix::fs::{AtFlags, FileType};
        let stat = rustix::fs::statat(&self.0, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => FileKind::Link,
            FileType::RegularFile if stat.st_mode & 0o100 != 0 => FileKind::Executable,
            FileType::RegularFile => FileKind::File,
            _ => FileKind::Other,
        };
        let found = crate::work::index::Stat {
            ctime: (stat.st_ctime as u32, stat.st_ctime_nsec as u32),
            mtime: (stat.st_mtime as u32, stat.st_mtime_nsec as u32),
            dev: stat.st_dev as u32,
            ino: stat.st_ino as u32,
            uid: stat.st_uid as u32,
            gid: stat.st_gid as u32,
            size: stat.st_size as u32,
        };
        Some((kind, found))
    }
}

/// The top of the work tree.
#[cfg(not(unix))]
struct Top(Bytes);

#[cfg(not(unix))]
impl Top {
    fn open(path: &[u8]) -> std::io::Result<Top> {
        Ok(Top(path.to_vec()))
    }

    /// Looks at a path below, without following a symbolic link.
    fn look(&self, path: &[u8]) -> Option<(FileKind, crate::work::index::Stat)> {
        let full = [self.0.as_slice(), path].concat();
        let meta = fs::symlink_metadata(bytes::as_path(&full)).ok()?;
        Some((FileKind::of(&meta), stat_of(&meta)))
    }
}

/// What one entry's file is like.
pub(crate) enum State {
    Same,
    /// The contents are right, the remembered times are not.
    Touched(crate::work::index::Stat),
    Differs(Side),
    Submodule(Side, SubmoduleState),
}

/// How a file's state is compared with what the index remembers.
#[derive(Debug, Clone, Copy)]
struct Rules {
    trust_mode: bool,
    has_links: bool,
    check_stat: bool,
    trust_ctime: bool,
}

impl Rules {
    /// Returns the mode a file would have in the index; `None` for what is no file.
    fn mode_of(self, entry: &Entry, kind: FileKind) -> Option<u32> {
        Some(match kind {
            FileKind::Other => return None,
            FileKind::Link => mode::LINK,
            _ if !self.has_links && mode::is_link(entry.mode) => entry.mode,
            _ if !self.trust_mode && mode::is_file(entry.mode) => entry.mode,
            _ if !self.trust_mode => mode::FILE,
            FileKind::Executable => mode::EXECUTABLE,
            FileKind::File => mode::FILE,
        })
    }

    /// Like [`Rules::stat_matches`], by whole seconds: all that git looks at.
    fn stat_matches_roughly(self, entry: &Entry, now: &crate::work::index::Stat) -> bool {
        let whole = |stat: &crate::work::index::Stat| crate::work::index::Stat {
            ctime: (stat.ctime.0, 0),
            mtime: (stat.mtime.0, 0),
            ..*stat
        };
        self.stats_match(&whole(&entry.stat), &whole(now))
    }

    fn stat_matches(self, entry: &Entry, now: &crate::work::index::Stat) -> bool {
        self.stats_match(&entry.stat, now)
    }

    fn stats_match(self, was: &crate::work::index::Stat, now: &crate::work::index::Stat) -> bool {
        was.mtime == now.mtime
            && was.size == now.size
            && (!self.trust_ctime || !self.check_stat || was.ctime == now.ctime)
            && (!self.check_stat
                || (was.uid == now.uid && was.gid == now.gid && was.ino == now.ino))
    }
}

/// Compares entries with their files.
pub(crate) struct Look<'r> {
    repo: &'r Repo<'r>,
    index: &'r Index,
    attributes: Attributes<'r>,
    top: Bytes,
    rules: Rules,
    sparse: bool,
    /// The last directory that was found to be a real one, or not.
    last_dir: (Bytes, bool),
    full: Bytes,
}

impl<'r> Look<'r> {
    pub(crate) fn new(repo: &'r Repo<'r>, index: &'r Index) -> Res<Look<'r>> {
        let mut top = repo.need_work_tree()?.to_vec();
        if !top.ends_with(b"/") {
            top.push(b'/');
        }
        Ok(Look {
            repo,
            index,
            attributes: Attributes::load(repo, Some(index))?,
            full: top.clone(),
            top,
            rules: Rules {
                trust_mode: repo.config.bool("core.filemode")?.unwrap_or(true),
                has_links: repo.config.bool("core.symlinks")?.unwrap_or(true),
                check_stat: !repo
                    .config
                    .get("core.checkstat")
                    .is_some_and(|v| v.eq_ignore_ascii_case(b"minimal")),
                trust_ctime: repo.config.bool("core.trustctime")?.unwrap_or(true),
            },
            sparse: repo.config.bool("core.sparsecheckout")?.unwrap_or(false),
            last_dir: (Bytes::new(), true),
        })
    }

    /// Compares one entry with its file.
    pub(crate) fn at(&mut self, entry: &Entry, path: &[u8]) -> Res<State> {
        if entry.assume_valid || (entry.skip_worktree && !self.sparse) {
            return Ok(State::Same);
        }
        self.full.truncate(self.top.len());
        self.full.extend_from_slice(path);
        let meta = fs::symlink_metadata(bytes::as_path(&self.full)).ok();
        let meta = match meta {
            Some(meta) if self.is_below_real_directory(path) => meta,
            // With a sparse checkout, a file that is there after all counts again.
            _ if entry.skip_worktree => return Ok(State::Same),
            _ => return Ok(State::Differs(Side::absent(path))),
        };
        if mode::is_commit(entry.mode) {
            if !meta.is_dir() {
                return Ok(State::Differs(self.side(entry, path, &meta)));
            }
            return self.submodule(entry, path);
        }
        if meta.is_dir() {
            // A repository in the place of a file is a type change; any other directory means the file is gone.
            return Ok(match submodule::head_of(self.repo, path)? {
                Some(id) => State::Differs(Side {
                    path: path.to_vec(),
                    mode: mode::COMMIT,
                    id,
                    dirty: false,
                }),
                None => State::Differs(Side::absent(path)),
            });
        }
        if !meta.is_file() && !meta.is_symlink() {
            return Ok(State::Differs(Side::absent(path)));
        }
        let now = self.side(entry, path, &meta);
        if entry.intent_to_add || now.mode != entry.mode {
            return Ok(State::Differs(now));
        }
        let stat = stat_of(&meta);
        if self.rules.stat_matches(entry, &stat) && !self.index.is_racy(entry) {
            return Ok(State::Same);
        }
        // git does not look at what a conversion would make of another size.
        if entry.stat.size != 0 && entry.stat.size != stat.size {
            return Ok(State::Differs(now));
        }
        let data = if meta.is_symlink() {
            bytes::from_path(&fs::read_link(bytes::to_path(&self.full))?)
        } else {
            let data = fs::read(bytes::to_path(&self.full))?;
            let conversion = Conversion::of(self.repo, &self.attributes, path)?;
            conversion
                .to_git(self.repo, Some(self.index), path, Cow::Owned(data))?
                .into_owned()
        };
        let id: Id = Id::of_blob(&data)?;
        if id != entry.id {
            return Ok(State::Differs(now));
        }
        Ok(State::Touched(stat))
    }

    /// Says whether a file's times alone show it unchanged; where they say nothing, its contents are looked at.
    pub(crate) fn is_clean_by_times(&mut self, entry: &Entry, path: &[u8]) -> Res<bool> {
        Ok(match self.at(entry, path)? {
            State::Same | State::Submodule(..) => true,
            State::Touched(stat) => self.rules.stat_matches(entry, &stat),
            State::Differs(_) => false,
        })
    }

    /// Returns the file as it is on disk.
    fn side(&self, entry: &Entry, path: &[u8], meta: &Metadata) -> Side {
        Side {
            path: path.to_vec(),
            mode: self
                .rules
                .mode_of(entry, FileKind::of(meta))
                .unwrap_or(mode::FILE),
            id: Id::ZERO,
            dirty: false,
        }
    }

    /// Says whether no directory above a path is a symbolic link.
    fn is_below_real_directory(&mut self, path: &[u8]) -> bool {
        let Some(slash) = path.iter().rposition(|b| *b == b'/') else {
            return true;
        };
        let dir = &path[..slash];
        if self.last_dir.0 == dir {
            return self.last_dir.1;
        }
        let mut real = true;
        let shared = common_directory(&self.last_dir.0, dir);
        let from = if self.last_dir.1 { shared } else { 0 };
        let ends = dir
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'/')
            .map(|(i, _)| i)
            .chain([dir.len()]);
        for end in ends.filter(|end| *end > from) {
            let full = [self.top.as_slice(), &dir[..end]].concat();
            if fs::symlink_metadata(bytes::as_path(&full)).is_ok_and(|m| m.is_symlink()) {
                real = false;
                break;
            }
        }
        self.last_dir = (dir.to_vec(), real);
        real
    }

    fn submodule(&self, entry: &Entry, path: &[u8]) -> Res<State> {
        let state = submodule::state(self.repo, path, entry.id)?;
        if !state.new_commits && !state.modified && !state.untracked {
            return Ok(State::Same);
        }
        let dirty = state.modified || state.untracked;
        let side = Side {
            path: path.to_vec(),
            mode: mode::COMMIT,
            id: state.head,
            dirty,
        };
        Ok(State::Submodule(side, state))
    }
}

/// Returns the length of the last directory two paths have in common.
fn common_directory(a: &[u8], b: &[u8]) -> usize {
    let mut end = 0;
    for i in 0..=a.len().min(b.len()) {
        let (x, y) = (a.get(i).unwrap_or(&b'/'), b.get(i).unwrap_or(&b'/'));
        if x != y {
            break;
        }
        if *x == b'/' {
            end = i;
        }
    }
    end
}

#[cfg(unix)]
pub(crate) fn is_executable(meta: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
pub(crate) fn is_executable(_meta: &Metadata) -> bool {
    false
}
