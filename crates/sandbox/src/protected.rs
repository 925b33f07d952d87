//! Paths in a workspace that other programs execute or obey: what stays read-only, and what a task changed of it.
//!
//! Reads directories, bounded in number and depth; writes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Read-only in the workspace, wherever in it they stand: settings that name programs to run.
const READ_ONLY_NAMES: &[&str] = &[
    ".deskhand",
    ".vscode",
    ".idea",
    ".claude",
    ".codex",
    ".cursor",
    ".gemini",
    ".zed",
    ".mcp.json",
    ".envrc",
    ".githooks",
];
const READ_ONLY_IN_CARGO: &[&str] = &["config", "config.toml"];

/// Writable, since editing them is ordinary work, but told of afterwards.
const TOLD_NAMES: &[&str] = &[
    ".husky",
    ".devcontainer",
    ".gitmodules",
    ".gitattributes",
    ".pre-commit-config.yaml",
    ".npmrc",
    ".yarnrc.yml",
    ".exrc",
    ".nvim.lua",
    ".nvimrc",
    ".dir-locals.el",
    ".bashrc",
    ".profile",
    ".zshrc",
];

/// What git executes or obeys in a repository's own directory, and in those of its submodules and worktrees.
const IN_GIT_DIR: &[&str] = &["hooks", "config", "config.worktree", "info"];

/// What a directory holds beside `HEAD` that git takes for a repository.
const BESIDE_HEAD: &[&str] = &["objects", "refs"];

/// Entries looked at before the task, which waits for it, and in what the task made or changed.
const ENTRIES_BEFORE: usize = 4_000;
const ENTRIES_AFTER: usize = 40_000;
const MAX_DEPTH: usize = 6;

/// Most paths told of; a task that made more has made its point.
const MAX_TOLD: usize = 100;

/// Where links may lead without being told of: system directories that the owner's own writes do not reach.
const SYSTEM: &[&str] = &[
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/nix", "/proc", "/dev", "/tmp",
];

/// A path in the workspace that is mounted on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protected {
    /// Relative to the workspace.
    pub(crate) path: PathBuf,
    /// Whether it may be written, and is only kept from being renamed away.
    pub(crate) writable: bool,
}

/// Writes a list for [`from_bytes`]: names may hold any byte but 0.
pub(crate) fn to_bytes(list: &[Protected]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for protected in list {
        bytes.push(if protected.writable { b'w' } else { b'r' });
        bytes.extend_from_slice(protected.path.as_os_str().as_bytes());
        bytes.push(0);
    }
    bytes.push(b'.');
    bytes
}

/// Reads a list; nothing when it is not whole.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Vec<Protected>> {
    let entries = bytes.strip_suffix(b".")?;
    let entries = entries
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (kind, path) = entry.split_first()?;
            Some(Protected {
                path: OsStr::from_bytes(path).into(),
                writable: match kind {
                    b'w' => true,
                    b'r' => false,
                    _ => return None,
                },
            })
        })
        .collect()
}

/// A directory that changed less than this before it was looked at may change again without its time changing.
const CLOCK_TICK: Duration = Duration::from_millis(20);

/// What was found in a workspace at one time.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// What is executed or obeyed, with a fingerprint that changes when the file does.
    items: BTreeMap<PathBuf, Fingerprint>,
    /// The paths that led to items.
    tops: BTreeSet<PathBuf>,
    git_dirs: BTreeSet<PathBuf>,
    read_only: BTreeSet<PathBuf>,
    /// Every directory seen, with the time at which its entries last changed; none when that is not certain.
    dirs: HashMap<PathBuf, Option<(i64, i64)>>,
}

/// Device, inode, size and times, or nothing for a directory whose entries are items themselves.
type Fingerprint = Option<(u64, u64, u64, i64, i64)>;

impl Inventory {
    /// Looks through the workspace before the task.
    pub(crate) fn before(workspace: &Path) -> Self {
        let mut found = Self::default();
        let rest = found.walk(
            workspace,
            VecDeque::from([(PathBuf::new(), 0)]),
            ENTRIES_BEFORE,
        );
        for (dir, _) in rest {
            found.note_dir(workspace, &dir);
        }
        found
    }

    /// Looks again and returns what was made or changed since, relative to the workspace.
    ///
    /// A name that is not text comes back with its odd bytes replaced: the record of a task's end must not depend on it.
    /// Only directories whose entries changed are read again. In a workspace too large to be seen whole before, changes
    /// deep in what was not seen stay unseen.
    pub(crate) fn changed_since(&self, workspace: &Path) -> Vec<PathBuf> {
        let mut now = Self {
            dirs: self.dirs.clone(),
            ..Self::default()
        };
        for top in &self.tops {
            if let Ok(there) = workspace.join(top).symlink_metadata() {
                now.look_at(workspace, top, there.file_type());
            }
        }
        let changed = self
            .dirs
            .iter()
            .filter(|(dir, at)| at.is_none() || entries_changed_at(workspace, dir) != **at);
        let changed = changed
            .map(|(dir, _)| (dir.clone(), dir.components().count()))
            .collect();
        now.walk(workspace, changed, ENTRIES_AFTER);
        let changed = now
            .items
            .into_iter()
            .filter(|(path, fingerprint)| self.items.get(path) != Some(fingerprint));
        changed
            .take(MAX_TOLD)
            .map(|(path, _)| PathBuf::from(path.to_string_lossy().into_owned()))
            .collect()
    }

    /// Returns what is to be mounted on its own, parents before what lies in them.
    pub(crate) fn protected(&self, git_writes: bool) -> Vec<Protected> {
        let mut protected = Vec::new();
        for path in &self.git_dirs {
            protected.push(Protected {
                path: path.clone(),
                writable: git_writes,
            });
        }
        let read_only = |path: &PathBuf| Protected {
            path: path.clone(),
            writable: false,
        };
        if git_writes {
            protected.extend(
                self.items
                    .keys()
                    .filter(|path| self.is_of_git(path))
                    .map(read_only),
            );
        }
        protected.extend(self.read_only.iter().map(read_only));
        protected.sort_by(|one, other| one.path.cmp(&other.path));
        protected.dedup_by(|next, kept| {
            next.path == kept.path || (!kept.writable && next.path.starts_with(&kept.path))
        });
        protected
    }

    /// Whether a path is one of [`IN_GIT_DIR`] itself.
    fn is_of_git(&self, path: &Path) -> bool {
        let named = path
            .file_name()
            .is_some_and(|name| IN_GIT_DIR.iter().any(|known| name == *known));
        named && self.git_dirs.iter().any(|dir| path.starts_with(dir))
    }

    /// Reads directories and those in them that are not known yet; returns what was left when `n_left` entries were seen.
    fn walk(
        &mut self,
        workspace: &Path,
        mut open: VecDeque<(PathBuf, usize)>,
        mut n_left: usize,
    ) -> VecDeque<(PathBuf, usize)> {
        // Breadth first: what is near the root matters most and is seen even in a huge workspace.
        while n_left > 0 {
            let Some((dir, depth)) = open.pop_front() else {
                break;
            };
            self.note_dir(workspace, &dir);
            let Ok(entries) = std::fs::read_dir(workspace.join(&dir)) else {
                continue;
            };
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                let path = dir.join(entry.file_name());
                self.look_at(workspace, &path, kind);
                n_left = n_left.saturating_sub(1);
                if kind.is_dir()
                    && depth < MAX_DEPTH
                    && entry.file_name() != ".git"
                    && !self.dirs.contains_key(&path)
                {
                    open.push_back((path, depth + 1));
                }
            }
        }
        open
    }

    fn note_dir(&mut self, workspace: &Path, dir: &Path) {
        let changed_at = entries_changed_at(workspace, dir).filter(|(seconds, nanoseconds)| {
            let changed_at = UNIX_EPOCH
                + Duration::new(
                    (*seconds).try_into().unwrap_or(0),
                    (*nanoseconds).try_into().unwrap_or(0),
                );
            SystemTime::now()
                .duration_since(changed_at)
                .is_ok_and(|since| since > CLOCK_TICK)
        });
        self.dirs.insert(dir.to_owned(), changed_at);
    }

    fn look_at(&mut self, workspace: &Path, path: &Path, kind: std::fs::FileType) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return;
        };
        let in_cargo = path
            .parent()
            .and_then(Path::file_name)
            .is_some_and(|parent| parent == ".cargo");
        let n_before = self.items.len();
        if name == "HEAD" {
            // A repository without a work tree has its hooks and configuration right there.
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            let is_repository = |dir: &&Path| {
                BESIDE_HEAD
                    .iter()
                    .all(|name| workspace.join(dir).join(name).is_dir())
            };
            if let Some(dir) = dir.filter(is_repository) {
                self.look_at_git_dir(workspace, dir);
            }
        } else if name == ".git" {
            self.git_dirs.insert(path.to_owned());
            match kind.is_dir() {
                true => self.look_at_git_dir(workspace, path),
                false => self.add(workspace, path),
            }
        } else if READ_ONLY_NAMES.contains(&name)
            || (in_cargo && READ_ONLY_IN_CARGO.contains(&name))
        {
            self.read_only.insert(path.to_owned());
            self.add_tree(workspace, path, kind.is_dir());
        } else if TOLD_NAMES.contains(&name) {
            self.add_tree(workspace, path, kind.is_dir());
        } else if kind.is_symlink() && leaves(workspace, path) {
            self.add(workspace, path);
        }
        if self.items.len() > n_before {
            self.tops.insert(path.to_owned());
        }
    }

    /// Notes what git obeys in `.git`, and in the repositories of submodules and worktrees beneath it.
    fn look_at_git_dir(&mut self, workspace: &Path, git_dir: &Path) {
        self.items.insert(git_dir.to_owned(), None);
        let beneath = |name: &str| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(workspace.join(git_dir).join(name))
                .into_iter()
                .flatten()
                .flatten();
            entries
                .take(ENTRIES_BEFORE)
                .map(|entry| git_dir.join(name).join(entry.file_name()))
                .collect()
        };
        let nested = beneath("modules").into_iter().chain(beneath("worktrees"));
        for repository in [git_dir.to_owned()].into_iter().chain(nested) {
            for name in IN_GIT_DIR {
                let path = repository.join(name);
                if let Ok(there) = workspace.join(&path).symlink_metadata() {
                    self.add_tree(workspace, &path, there.is_dir());
                }
            }
        }
    }

    /// Notes a file, or a directory and the files directly in it.
    fn add_tree(&mut self, workspace: &Path, path: &Path, directory: bool) {
        if !directory {
            return self.add(workspace, path);
        }
        self.items.insert(path.to_owned(), None);
        let entries = std::fs::read_dir(workspace.join(path))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries.take(ENTRIES_BEFORE) {
            self.add(workspace, &path.join(entry.file_name()));
        }
    }

    fn add(&mut self, workspace: &Path, path: &Path) {
        let Ok(there) = workspace.join(path).symlink_metadata() else {
            return;
        };
        let fingerprint = (
            there.dev(),
            there.ino(),
            there.size(),
            there.ctime(),
            there.ctime_nsec(),
        );
        self.items
            .insert(path.to_owned(), (!there.is_dir()).then_some(fingerprint));
    }
}

/// Returns when the entries of a directory last changed.
fn entries_changed_at(workspace: &Path, dir: &Path) -> Option<(i64, i64)> {
    let there = workspace.join(dir).symlink_metadata().ok()?;
    Some((there.ctime(), there.ctime_nsec()))
}

/// Whether a link points out of the workspace at something the owner's own programs might then write or run.
fn leaves(workspace: &Path, link: &Path) -> bool {
    let Ok(target) = std::fs::read_link(workspace.join(link)) else {
        return false;
    };
    let from = workspace.join(link.parent().unwrap_or(Path::new("")));
    let mut resolved = PathBuf::new();
    // By name only: the target need not exist, and what is on the way may change later.
    for component in from.join(target).components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    !resolved.starts_with(workspace) && !SYSTEM.iter().any(|system| resolved.starts_with(system))
}
