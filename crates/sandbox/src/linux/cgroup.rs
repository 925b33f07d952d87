//! A control group for one tree, where systemd lends us its branch.
//!
//! Owns one directory below the unit this process runs in. The kernel then counts what the tree uses together, the memory
//! of its files in memory too, and ends all of it at once. A branch is ours to divide only when the unit says so
//! (`Delegate=memory pids`) and we stand in a group beneath it (`DelegateSubgroup=`); anything else is left alone. Only
//! version 2, see cgroups(7) and systemd's "Control Group APIs and Delegation".

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use crate::profile::Limits;
use crate::spawn::Limit;

const ROOT: &str = "/sys/fs/cgroup";

/// Of which magic number the file system there is, when it is version 2.
const VERSION_2: i64 = 0x6367_7270;

/// How our directories begin; the process id of the supervisor follows.
const NAME: &str = "task-";

/// How long the directory of a tree that has ended may be busy still.
const EMPTY_WITHIN: Duration = Duration::from_secs(1);

/// One control group. Dropping it removes its directory, which fails as long as something lives in it.
#[derive(Debug)]
pub(super) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Makes a group with these limits; nothing where no branch is lent to us.
    pub(super) fn new(limits: &Limits) -> Option<Self> {
        let branch = branch()?;
        remove_abandoned(&branch);
        // Already so for all but the first task.
        let _ = std::fs::write(branch.join("cgroup.subtree_control"), "+memory +pids");
        let dir = branch.join(format!("{NAME}{}", std::process::id()));
        std::fs::create_dir(&dir).ok()?;
        let group = Self { dir };
        group
            .write("memory.max", &limits.memory_bytes.to_string())
            .ok()?;
        group.write("memory.oom.group", "1").ok()?;
        // Not there when the kernel has no swap.
        let _ = group.write("memory.swap.max", "0");
        // A little more than is permitted, so that the watch sees it passed before the kernel refuses.
        let n = u64::from(limits.n_processes) + u64::from(limits.n_processes / 4).max(16);
        group.write("pids.max", &n.to_string()).ok()?;
        Some(group)
    }

    /// Opens the directory, for a process to be started in it.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&self.dir, flags, Mode::empty()).ok()
    }

    /// Returns the limits that the kernel refused something for, or ended the tree for.
    pub(super) fn limits_hit(&self) -> Vec<Limit> {
        let n = |file: &str, event: &str| -> u64 {
            let events = std::fs::read_to_string(self.dir.join(file)).unwrap_or_default();
            let mut pairs = events.lines().filter_map(|line| line.split_once(' '));
            pairs
                .find(|(name, _)| *name == event)
                .and_then(|(_, n)| n.parse().ok())
                .unwrap_or(0)
        };
        let mut hit = Vec::new();
        if n("memory.events", "oom_kill") > 0 {
            hit.push(Limit::MemoryLimit);
        }
        if n("pids.events", "max") > 0 {
            hit.push(Limit::ProcessLimit);
        }
        hit
    }

    /// Kills all in it at once (Linux 5.14; before, whoever asks has other means).
    pub(super) fn kill(&self) {
        let _ = self.write("cgroup.kill", "1");
    }

    fn write(&self, file: &str, value: &str) -> std::io::Result<()> {
        std::fs::write(self.dir.join(file), value)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + EMPTY_WITHIN;
        while std::fs::remove_dir(&self.dir).is_err() && Instant::now() < deadline {
            #[expect(
                clippy::disallowed_methods,
                reason = "the kernel tells nobody when the last of a dying process has left its group"
            )]
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Says why there is no branch for us, for whoever asks what this machine can do.
pub(super) fn why_not() -> Option<String> {
    match branch() {
        Some(_) => None,
        None => Some("this process stands in no unit whose control group is lent to it".into()),
    }
}

/// Returns the group of the unit we run in, when it is ours to divide.
fn branch() -> Option<PathBuf> {
    let file_system = rustix::fs::statfs(ROOT).ok()?;
    if file_system.f_type != VERSION_2 {
        return None;
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let branch = Path::new(ROOT).join(unit_above(&own)?);
    let controllers = std::fs::read_to_string(branch.join("cgroup.controllers")).ok()?;
    let has = |wanted: &str| controllers.split_whitespace().any(|name| name == wanted);
    let may_write =
        |file: &str| rustix::fs::access(branch.join(file), rustix::fs::Access::WRITE_OK).is_ok();
    // The second one is what starting a process in another group takes.
    let ours = may_write("cgroup.subtree_control") && may_write("cgroup.procs");
    (has("memory") && has("pids") && ours).then_some(branch)
}

/// From `/proc/self/cgroup`, the path of the unit that our group lies directly beneath.
fn unit_above(own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let unit = Path::new(path).parent()?;
    let kind = unit.extension()?.to_str()?;
    ["service", "scope"]
        .contains(&kind)
        .then(|| unit.to_owned())
}

/// Removes what supervisors that were killed have left.
fn remove_abandoned(branch: &Path) {
    for entry in std::fs::read_dir(branch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(NAME)) else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            let _ = std::fs::write(entry.path().join("cgroup.kill"), "1");
            // Still busy: the next task tries again.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directly_beneath_a_unit() {
        let unit = "user.slice/user-1.slice/user@1.service/app.slice/deskhand.service";
        let above = |own: &str| unit_above(own).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(above(&format!("0::/{unit}/agent\n")).unwrap(), unit);
        assert_eq!(
            above(&format!("1:name=x:/y\n0::/{unit}/agent\n")).unwrap(),
            unit
        );
        for other in [
            "0::/\n",
            "0::/user.slice/app.slice/app-gnome-x-1.scope\n",
            "4:memory:/a.service/b\n",
            "",
        ] {
            assert_eq!(above(other), None, "{other}");
        }
    }
}
