//! Files that are not in the index: untracked ones, and ignored ones where they are asked for.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::Range;

use crate::outcome::{Res, Stop};
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::work::ignore::Ignore;
use crate::work::index::Index;
use crate::work::pathspec::Pathspec;

/// What is to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A directory without tracked files is one entry.
    pub(crate) collapse: bool,
    pub(crate) ignored: Ignored,
}

/// Whether and how ignored files are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    No,
    /// A directory with nothing but ignored files is one entry, if `collapse` is set.
    Traditional,
    /// What a rule names is one entry.
    Matching,
}

impl Wanted {
    /// What `git status` lists by itself.
    pub(crate) const NORMAL: Wanted = Wanted {
        collapse: true,
        ignored: Ignored::No,
    };
}

/// The two lists, sorted; directories end with a slash.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) untracked: Vec<Bytes>,
    pub(crate) ignored: Vec<Bytes>,
}

/// Lists what is not in the index, as far as a pathspec means it.
pub(crate) fn list(repo: &Repo<'_>, index: &Index, spec: &Pathspec, wanted: Wanted) -> Res<Lists> {
    list_with(repo, index, spec, wanted, Ignore::load(repo)?)
}

/// Like [`list`], by other rules than the repository's.
pub(crate) fn list_with(
    repo: &Repo<'_>,
    index: &Index,
    spec: &Pathspec,
    wanted: Wanted,
    ignore: Ignore,
) -> Res<Lists> {
    let top = repo.need_work_tree()?;
    let listed = if spec.is_empty() {
        list_directories(repo, index, top)
    } else {
        HashMap::new()
    };
    let walk = Walk {
        repo,
        index,
        spec,
        wanted,
        ignore,
        listed: RefCell::new(listed),
        top: top.to_vec(),
    };
    let mut lists = Lists::default();
    walk.tracked_directory(b"", 0..index.entries.len(), false, &mut lists)?;
    if walk.ignore.met_link() {
        return Err(Stop::not_native("a .gitignore that is a symbolic link"));
    }
    if repo.config.bool("core.ignorecase")? == Some(true) {
        refuse_other_case(index, lists.untracked.iter().chain(&lists.ignored))?;
    }
    // A directory in the place of a tracked file is that file's deletion, nothing else.
    let is_other =
        |path: &Bytes| path.last() != Some(&b'/') || index.find(&path[..path.len() - 1]).is_none();
    lists.untracked.retain(is_other);
    lists.ignored.retain(is_other);
    lists.untracked.sort_unstable();
    lists.ignored.sort_unstable();
    Ok(lists)
}

/// Hands over where case does not count and a name differs from a tracked one by case alone.
fn refuse_other_case<'p>(index: &Index, others: impl Iterator<Item = &'p Bytes>) -> Res<()> {
    let mut tracked = HashSet::new();
    for entry in &index.entries {
        for part in parts(index.path(entry)) {
            tracked.insert(part.to_ascii_lowercase());
        }
    }
    for path in others {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        for part in parts(path) {
            let exact = index.find(part).is_some() || index.has_below(&[part, b"/"].concat());
            if !exact && tracked.contains(&part.to_ascii_lowercase()) {
                return Err(Stop::not_native("names that differ by case alone"));
            }
        }
    }
    Ok(())
}

/// Lists the directories above a path, and the path.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/');
    slashes
        .map(|(i, _)| &path[..i])
        .chain(std::iter::once(path))
}

struct Walk<'r> {
    repo: &'r Repo<'r>,
    index: &'r Index,
    spec: &'r Pathspec,
    wanted: Wanted,
    ignore: Ignore,
    top: Bytes,
    /// Directories that were read ahead; each is looked at once.
    listed: RefCell<HashMap<Bytes, Listing>>,
}

/// What is in a directory.
#[derive(Default)]
struct Listing {
    /// Where it was read ahead, without the files that are tracked.
    children: Vec<Child>,
    has_rules: bool,
}

/// Fewest entries in the index for which reading ahead is worth starting threads.
const READ_AHEAD_FROM: usize = 2_000;

/// Reads all directories with tracked files from several threads at once; empty when there are few.
fn list_directories(repo: &Repo<'_>, index: &Index, top: &[u8]) -> HashMap<Bytes, Listing> {
    let n = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    if index.entries.len() < READ_AHEAD_FROM || n < 2 {
        return HashMap::new();
    }
    // The index is sorted, so what is below a directory stands together.
    let mut directories: Vec<&[u8]> = vec![b""];
    let mut last: &[u8] = b"";
    for entry in &index.entries {
        let path = index.path(entry);
        let end = path.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
        let dir = &path[..end];
        if dir == last {
            continue;
        }
        let shared = dir.iter().zip(last).take_while(|(a, b)| a == b).count();
        for (i, _) in dir.iter().enumerate().filter(|(_, b)| **b == b'/') {
            if i + 1 > shared || i >= last.len() {
                directories.push(&dir[..=i]);
            }
        }
        last = dir;
    }
    let cancel = repo.cancel();
    let share = directories.len().div_ceil(n);
    let mut listed = HashMap::with_capacity(directories.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = directories
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || {
                    let mut found = Vec::with_capacity(chunk.len());
                    for dir in chunk {
                        if cancel.check().is_err() {
                            break;
                        }
                        found.push((dir.to_vec(), untracked_in(index, top, dir)));
                    }
                    found
                })
            })
            .collect();
        for worker in workers {
            listed.extend(worker.join().unwrap_or_default());
        }
    });
    listed
}

/// Lists a directory without its tracked files.
fn untracked_in(index: &Index, top: &[u8], dir: &[u8]) -> Listing {
    let entries = index.below(dir, 0..index.entries.len());
    let mut path = dir.to_vec();
    read_directory(top, dir, |name| {
        path.truncate(dir.len());
        path.extend_from_slice(name);
        !index.contains(&path, entries.clone())
    })
}

/// Reads a directory; of its files, only those that are wanted.
fn read_directory(top: &[u8], dir: &[u8], mut wanted: impl FnMut(&[u8]) -> bool) -> Listing {
    let mut listing = Listing::default();
    // What cannot be opened is as good as empty; git warns on standard error.
    for entry in fs::read_dir(bytes::to_path(&bytes::join(top, dir)))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let name = bytes::from_os(&name);
        if name == b".git" {
            continue;
        }
        listing.has_rules |= name == b".gitignore";
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let is_directory = kind.is_dir();
        if is_directory || (kind.is_file() || kind.is_symlink()) && wanted(&name) {
            listing.children.push(Child { name, is_directory });
        }
    }
    listing
}

struct Child {
    name: Bytes,
    is_directory: bool,
}

/// Whether a directory without tracked files is ignored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shade {
    None,
    /// A rule names it.
    Named,
    /// It lies in one without tracked files that is ignored.
    Inherited,
}

/// What a directory without tracked files turned out to hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    Nothing,
    Ignored,
    Untracked,
}

impl Walk<'_> {
    fn children(&self, dir: &[u8]) -> Res<Vec<Child>> {
        self.repo.cancel().check()?;
        let listing = match self.listed.borrow_mut().remove(dir) {
            Some(listing) => listing,
            None => read_directory(&self.top, dir, |_| true),
        };
        if !listing.has_rules {
            self.ignore.no_file_in(dir);
        }
        Ok(listing.children)
    }

    /// Visits a directory that has tracked files (or is the top); `ignored` when a rule names it or one above it.
    fn tracked_directory(
        &self,
        dir: &[u8],
        entries: Range<usize>,
        ignored: bool,
        lists: &mut Lists,
    ) -> Res<()> {
        for child in self.children(dir)? {
            let mut path = [dir, child.name.as_slice()].concat();
            if !child.is_directory {
                if !self.index.contains(&path, entries.clone()) && self.means(&path) {
                    self.file(path, ignored, lists);
                }
                continue;
            }
            path.push(b'/');
            if !self.spec.is_empty() && !self.spec.may_match_below(&path) && !self.means(&path) {
                continue;
            }
            let below = self.index.below(&path, entries.clone());
            let by_rule = ignored || self.ignore.is_ignored(&path[..path.len() - 1], true);
            if !below.is_empty() {
                self.tracked_directory(&path, below, by_rule, lists)?;
            } else if self
                .index
                .find(&path[..path.len() - 1])
                .is_none_or(|e| !crate::repository::object::mode::is_commit(e.mode))
            {
                let shade = if by_rule { Shade::Named } else { Shade::None };
                self.other_directory(&path, shade, lists)?;
            }
        }
        Ok(())
    }

    fn file(&self, path: Bytes, ignored: bool, lists: &mut Lists) -> Holds {
        if !ignored && !self.ignore.is_ignored(&path, false) {
            lists.untracked.push(path);
            return Holds::Untracked;
        }
        if self.wanted.ignored != Ignored::No {
            lists.ignored.push(path);
        }
        Holds::Ignored
    }

    /// Says whether the pathspec means a path itself.
    fn means(&self, path: &[u8]) -> bool {
        self.spec.is_empty()
            || self.spec.matches(path)
            || (path.ends_with(b"/") && self.spec.matches(&path[..path.len() - 1]))
    }

    /// Visits a directory (with its slash) without tracked files, and lists it or what is in it.
    fn other_directory(&self, dir: &[u8], shade: Shade, lists: &mut Lists) -> Res<Holds> {
        let by_rule = shade == Shade::Named;
        let ignored = shade != Shade::None;
        if ignored && self.wanted.ignored == Ignored::No {
            return Ok(Holds::Ignored);
        }
        if self.is_repository(dir) {
            let list = if ignored {
                &mut lists.ignored
            } else {
                &mut lists.untracked
            };
            if self.means(dir) {
                list.push(dir.to_vec());
            }
            return Ok(if ignored {
                Holds::Ignored
            } else {
                Holds::Untracked
            });
        }
        if ignored
            && self.means(dir)
            && (self.wanted.collapse || (by_rule && self.wanted.ignored == Ignored::Matching))
        {
            // Only a directory that holds something is listed.
            let mut scratch = Lists::default();
            let holds = self.contents(dir, true, &mut scratch)?;
            if holds != Holds::Nothing || self.wanted.ignored == Ignored::Matching {
                lists.ignored.push(dir.to_vec());
            }
            return Ok(Holds::Ignored);
        }
        if !self.wanted.collapse || !self.means(dir) {
            return self.contents(dir, ignored, lists);
        }
        if self.wanted.ignored == Ignored::No {
            let holds = if self.any_untracked(dir)? {
                Holds::Untracked
            } else {
                Holds::Nothing
            };
            if holds == Holds::Untracked {
                lists.untracked.push(dir.to_vec());
            }
            return Ok(holds);
        }
        let mut inner = Lists::default();
        let holds = self.contents(dir, false, &mut inner)?;
        match holds {
            Holds::Nothing => {}
            Holds::Untracked => {
                lists.untracked.push(dir.to_vec());
                lists.ignored.extend(inner.ignored);
            }
            Holds::Ignored if self.wanted.ignored == Ignored::Traditional => {
                lists.ignored.push(dir.to_vec())
            }
            Holds::Ignored => lists.ignored.extend(inner.ignored),
        }
        Ok(holds)
    }

    fn contents(&self, dir: &[u8], ignored: bool, lists: &mut Lists) -> Res<Holds> {
        let mut holds = Holds::Nothing;
        for child in self.children(dir)? {
            let mut path = [dir, child.name.as_slice()].concat();
            let found = if child.is_directory {
                path.push(b'/');
                if !self.spec.is_empty() && !self.spec.may_match_below(&path) && !self.means(&path)
                {
                    continue;
                }
                let shade = if ignored {
                    Shade::Inherited
                } else if self.ignore.is_ignored(&path[..path.len() - 1], true) {
                    Shade::Named
                } else {
                    Shade::None
                };
                self.other_directory(&path, shade, lists)?
            } else if !self.means(&path) {
                continue;
            } else {
                self.file(path, ignored, lists)
            };
            holds = holds.max(found);
        }
        Ok(holds)
    }

    /// Says whether a directory holds any file that is not ignored; stops at the first.
    fn any_untracked(&self, dir: &[u8]) -> Res<bool> {
        let children = self.children(dir)?;
        for child in children.iter().filter(|c| !c.is_directory) {
            if !self
                .ignore
                .is_ignored(&[dir, child.name.as_slice()].concat(), false)
            {
                return Ok(true);
            }
        }
        for child in children.iter().filter(|c| c.is_directory) {
            let path = [dir, child.name.as_slice()].concat();
            if self.ignore.is_ignored(&path, true) {
                continue;
            }
            let path = [path.as_slice(), b"/"].concat();
            if self.is_repository(&path) || self.any_untracked(&path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says whether a directory is a repository of its own.
    fn is_repository(&self, dir: &[u8]) -> bool {
        let dot_git = bytes::to_path(&bytes::join(&self.top, &[dir, b".git"].concat()));
        match fs::metadata(&dot_git) {
            Ok(meta) if meta.is_file() => {
                fs::read(&dot_git).is_ok_and(|t| t.starts_with(b"gitdir: "))
            }
            Ok(meta) if meta.is_dir() => {
                crate::repository::repo::is_git_directory(&bytes::from_path(&dot_git))
            }
            _ => false,
        }
    }
}
