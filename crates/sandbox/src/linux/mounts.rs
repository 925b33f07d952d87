//! The program's view of the files: everything read-only, the workspace writable, secrets covered, temporary directories,
//! devices and processes of its own.
//!
//! Works on the mount namespace it is called in, which must be a new one, and touches nothing else. It refuses rather than
//! builds half a view: any failed step is a [`Failure`].

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};

use super::{Failure, Step, Without, sys};
use crate::plan::Plan;
use crate::profile::{Limits, Profile};
use crate::protected::Protected;

/// Directories that get a memory file system of their own, when they exist.
pub(super) const TEMPORARY: &[&str] = &["/tmp", "/var/tmp", "/dev/shm"];

/// The devices a program gets. What else is in the host's `/dev` is not there.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// Parts of `/proc` that tell about the whole machine what no task needs to know.
const PROC_COVERED: &[&str] = &[
    "kcore",
    "keys",
    "key-users",
    "timer_list",
    "kallsyms",
    "kmsg",
    "sched_debug",
    "latency_stats",
];

/// Files and directories a memory file system may hold.
const TEMPORARY_INODES: u32 = 200_000;

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const HARMLESS: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Builds the view and returns what the program may write in it, beside devices.
///
/// `workspace` was opened before and says which directory is meant; `protected` says which paths in it stay read-only, and
/// which in those are writable again. It is asked last.
pub(super) fn build(
    profile: &Profile,
    workspace: BorrowedFd<'_>,
    protected: impl FnOnce() -> Result<Vec<Protected>, Failure>,
    without: &Without,
) -> Result<Vec<PathBuf>, Failure> {
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .step("mounts/private")?;
    let workspace_tree = take_workspace(&profile.workspace, workspace, profile.writable)?;
    let devices = take_devices()?;

    if !without.skips("read_only") {
        let root = open(Path::new("/")).step("mounts/root")?;
        sys::restrict_mount(root.as_fd(), READ_ONLY | HARMLESS, true).step("mounts/read_only")?;
    }
    mount_proc(&profile.limits)?;
    mount_dev(devices, profile.limits.private_tmp_bytes)?;
    let mut writable = Vec::new();
    if !without.skips("private_tmp") {
        writable = mount_temporary(profile.limits.private_tmp_bytes)?;
    }

    let masks = if without.skips("masks") {
        Vec::new()
    } else {
        existing(&profile.hidden)
    };
    let (inside, outside): (Vec<_>, Vec<_>) = masks
        .into_iter()
        .partition(|mask| mask.path.starts_with(&profile.workspace));
    // Either may lie beneath something hidden: our own data directory, or a folder that is kept in step with a cloud.
    let kept = [profile.workspace.as_path(), &profile.private_tmp];
    outside.iter().try_for_each(|mask| mask.cover(&kept))?;
    if !without.skips("private_tmp") {
        mount_private_tmp(
            &profile.private_tmp,
            profile.limits.private_tmp_bytes,
            &mut writable,
        )?;
    }
    put_workspace(&profile.workspace, workspace_tree)?;
    inside.iter().try_for_each(|mask| mask.cover(&kept))?;
    inside.iter().chain(&outside).try_for_each(Mask::check)?;
    if profile.writable {
        writable.push(profile.workspace.clone());
    }

    // Opened by path once more: the descriptors from before lead to the old mounts, which are writable.
    let workspace_here = open(&profile.workspace).step("mounts/workspace")?;
    same(&workspace_here, workspace, "mounts/workspace")?;
    let protected = protected()?;
    if !without.skips("protected") {
        protected
            .iter()
            .try_for_each(|protected| protect(&workspace_here, protected))?;
    }
    Ok(writable)
}

/// Opens the working directory in the view, and makes sure that it and the workspace are those that were opened before.
pub(super) fn enter(
    plan: &Plan,
    workspace: BorrowedFd<'_>,
    cwd: BorrowedFd<'_>,
) -> Result<OwnedFd, Failure> {
    let step = "mounts/workspace";
    let workspace_here = open(&plan.profile.workspace).step(step)?;
    same(&workspace_here, workspace, step)?;
    let step = "working directory";
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let here = rustix::fs::openat2(&workspace_here, &plan.cwd, flags, Mode::empty(), beneath)
        .step(step)?;
    same(&here, cwd, step)?;
    Ok(here)
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// Fails unless both descriptors mean the same directory.
fn same(one: &OwnedFd, other: BorrowedFd<'_>, step: &'static str) -> Result<(), Failure> {
    let (one, other) = (
        rustix::fs::fstat(one).step(step)?,
        rustix::fs::fstat(other).step(step)?,
    );
    match (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) {
        true => Ok(()),
        false => Err(Failure {
            step,
            errno: libc::ESTALE,
        }),
    }
}

/// Copies the tree of mounts at `path`, to be put somewhere later.
fn copy_tree(at: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let empty = if path.as_os_str().is_empty() {
        OpenTreeFlags::AT_EMPTY_PATH
    } else {
        OpenTreeFlags::empty()
    };
    rustix::mount::open_tree(at, path, flags | empty)
}

fn put_tree(tree: &OwnedFd, at: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", at, "", flags)
}

/// Copies the workspace before everything becomes read-only.
fn take_workspace(path: &Path, opened: BorrowedFd<'_>, writable: bool) -> Result<OwnedFd, Failure> {
    let here = open(path).step("mounts/workspace")?;
    same(&here, opened, "mounts/workspace")?;
    let tree = copy_tree(&here, Path::new("")).step("mounts/workspace")?;
    let attributes = if writable {
        HARMLESS
    } else {
        HARMLESS | READ_ONLY
    };
    sys::restrict_mount(tree.as_fd(), attributes, true).step("mounts/workspace")?;
    Ok(tree)
}

/// Puts the workspace at its path, which a memory file system or a mask may have covered.
fn put_workspace(path: &Path, tree: OwnedFd) -> Result<(), Failure> {
    make_dir(path, 0o755).step("mounts/workspace")?;
    let at = open(path).step("mounts/workspace")?;
    put_tree(&tree, &at).step("mounts/workspace")
}

/// Makes a directory with its parents, where they are not there: in a memory file system, or nothing happens.
fn make_dir(path: &Path, mode: u32) -> std::io::Result<()> {
    match path.is_dir() {
        true => Ok(()),
        false => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path),
    }
}

/// Copies the host's devices before nothing on the host's mounts counts as a device any more.
fn take_devices() -> Result<Vec<(&'static str, OwnedFd)>, Failure> {
    let mut devices = Vec::new();
    for name in DEVICES {
        match copy_tree(CWD, &Path::new("/dev").join(name)) {
            Ok(tree) => devices.push((*name, tree)),
            Err(Errno::NOENT) if *name != "null" => {}
            Err(errno) => {
                return Err(Failure {
                    step: "mounts/devices",
                    errno: errno.raw_os_error(),
                });
            }
        }
    }
    Ok(devices)
}

fn mount_dev(devices: Vec<(&'static str, OwnedFd)>, shm_bytes: u64) -> Result<(), Failure> {
    let step = "mounts/dev";
    let dev = Path::new("/dev");
    // Not nodev: that would be asked of the devices in it.
    mount_tmpfs(
        dev,
        MountFlags::NOSUID | MountFlags::NOEXEC,
        "mode=755,size=64k",
    )
    .step(step)?;
    for (name, device) in devices {
        let at = dev.join(name);
        std::fs::File::create(&at).step(step)?;
        put_tree(&device, open(&at).step(step)?).step(step)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).step(step)?;
    }
    for name in ["pts", "shm"] {
        std::fs::create_dir(dev.join(name)).step(step)?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount(
        "devpts",
        "/dev/pts",
        "devpts",
        flags,
        c"newinstance,ptmxmode=0666,mode=0620",
    )
    .step("mounts/devpts")?;
    temporary(Path::new("/dev/shm"), shm_bytes, 0o1777).step(step)?;
    sys::restrict_mount(open(dev).step(step)?.as_fd(), READ_ONLY, false).step(step)
}

fn mount_proc(limits: &Limits) -> Result<(), Failure> {
    let proc = Path::new("/proc");
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", proc, "proc", flags, None).step("mounts/proc")?;
    // Where process numbers are limited per namespace (Linux 6.14) this stops a fork bomb cold, root's as well, for whom
    // the kernel ignores RLIMIT_NPROC. 300 numbers are reserved, and reusing one at once confuses shells, hence the room.
    let _ = std::fs::write(
        "/proc/sys/kernel/pid_max",
        (300 + 4 * limits.n_processes.max(64)).to_string(),
    );
    // System V shared memory that nobody has attached counts for no process either.
    let pages = limits.private_tmp_bytes / rustix::param::page_size() as u64;
    let _ = std::fs::write("/proc/sys/kernel/shmall", pages.to_string());
    for name in PROC_COVERED {
        let path = proc.join(name);
        if path.exists() {
            rustix::mount::mount_bind("/dev/null", &path).step("mounts/proc")?;
        }
    }
    // Parts of it concern the whole machine, and root's task could write them: the kernel asks for the user there, not for a
    // capability. What a process may write of itself there is of no use to a task.
    sys::restrict_mount(open(proc).step("mounts/proc")?.as_fd(), READ_ONLY, false)
        .step("mounts/proc")
}

/// Covers the temporary directories with memory. Returns them.
fn mount_temporary(bytes: u64) -> Result<Vec<PathBuf>, Failure> {
    let step = "mounts/temporary";
    let mut mounted = Vec::new();
    for path in TEMPORARY {
        let Ok(path) = Path::new(path).canonicalize() else {
            continue;
        };
        if !mounted.contains(&path) && path != Path::new("/dev/shm") {
            temporary(&path, bytes, 0o1777).step(step)?;
        }
        mounted.push(path);
    }
    if Path::new("/run/user").is_dir() {
        temporary(Path::new("/run/user"), 1 << 20, 0o755).step(step)?;
    }
    Ok(mounted)
}

/// Gives the task its own temporary directory, within one of those that are memory already or by a mount of its own.
fn mount_private_tmp(path: &Path, bytes: u64, mounted: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let step = "mounts/private_tmp";
    let beneath = mounted.iter().any(|mounted| path.starts_with(mounted)) && !path.exists();
    match beneath {
        true => make_dir(path, 0o700).step(step)?,
        false => {
            temporary(path, bytes, 0o700).step(step)?;
            mounted.push(path.to_owned());
        }
    }
    Ok(())
}

fn temporary(path: &Path, bytes: u64, mode: u32) -> rustix::io::Result<()> {
    let options = format!("mode={mode:o},size={bytes},nr_inodes={TEMPORARY_INODES}");
    mount_tmpfs(path, MountFlags::NOSUID | MountFlags::NODEV, &options)
}

fn mount_tmpfs(path: &Path, flags: MountFlags, options: &str) -> rustix::io::Result<()> {
    let options = CString::new(options).map_err(|_| Errno::INVAL)?;
    rustix::mount::mount("tmpfs", path, "tmpfs", flags, Some::<&CStr>(&options))
}

/// A path nobody may see, resolved, with what was there before.
pub(super) struct Mask {
    pub(super) path: PathBuf,
    pub(super) directory: bool,
    device: u64,
}

/// Resolves the hidden paths. One that does not exist, or that we could not reach ourselves, has nothing to hide.
pub(super) fn existing(hidden: &[PathBuf]) -> Vec<Mask> {
    let resolve = |path: &PathBuf| {
        // One call tells whether it is there, and the kernel knows the resolved path of what is open.
        let opened = open(path).ok()?;
        let there = rustix::fs::fstat(&opened).ok()?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).ok()?;
        let directory = FileType::from_raw_mode(there.st_mode) == FileType::Directory;
        Some(Mask {
            path,
            directory,
            device: there.st_dev,
        })
    };
    let mut masks: Vec<Mask> = hidden.iter().filter_map(resolve).collect();
    // Parents first: what lies beneath a covered directory is gone already.
    masks.sort_by(|one, other| one.path.cmp(&other.path));
    masks.dedup_by(|next, kept| next.path.starts_with(&kept.path) && kept.directory);
    masks.dedup_by(|next, kept| next.path == kept.path);
    masks
}

impl Mask {
    /// Covers the path: a directory by an empty one that cannot be entered, a file by one that is always empty.
    ///
    /// Ways to what is `kept` beneath it stay, and lead nowhere else.
    fn cover(&self, kept: &[&Path]) -> Result<(), Failure> {
        if !self.directory {
            return rustix::mount::mount_bind("/dev/null", &self.path).step("masks/file");
        }
        let step = "masks/directory";
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount_tmpfs(
            &self.path,
            flags,
            if self.is_around(kept) {
                "mode=711,size=64k"
            } else {
                "mode=000,size=4k,nr_inodes=1"
            },
        )
        .step(step)?;
        for kept in kept.iter().filter(|kept| kept.starts_with(&self.path)) {
            make_dir(kept, 0o711).step(step)?;
        }
        sys::restrict_mount(open(&self.path).step(step)?.as_fd(), READ_ONLY, false).step(step)
    }

    /// Whether something that is kept lies beneath.
    pub(super) fn is_around(&self, kept: &[&Path]) -> bool {
        kept.iter().any(|kept| kept.starts_with(&self.path))
    }

    /// Looks again: what stands at the path now must not be what stood there before.
    fn check(&self) -> Result<(), Failure> {
        let now = self.path.symlink_metadata().step("masks/check")?;
        match now.dev() != self.device {
            true => Ok(()),
            false => Err(Failure {
                step: "masks/check",
                errno: libc::ESTALE,
            }),
        }
    }
}

/// Makes a path in the workspace read-only, or writable on its own so that it cannot be renamed away.
fn protect(workspace: &OwnedFd, protected: &Protected) -> Result<(), Failure> {
    let step = "protected/mount";
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let at = match rustix::fs::openat2(
        workspace,
        &protected.path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    ) {
        Ok(at) => at,
        // Gone, or replaced by a link, since it was looked for: another task works here, and its inventory will tell.
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Ok(()),
        Err(errno) => {
            return Err(Failure {
                step,
                errno: errno.raw_os_error(),
            });
        }
    };
    let tree = copy_tree(&at, Path::new("")).step(step)?;
    if !protected.writable {
        sys::restrict_mount(tree.as_fd(), READ_ONLY, true).step(step)?;
    }
    put_tree(&tree, &at).step(step)
}
