//! What a tree uses, looked at now and then, against what it may use.
//!
//! The kernel limits each process by itself; the sums over a tree are only to be had by looking. Reads `/proc` and the
//! file system of the workspace, ends nothing: it says which limits are passed.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::sys;
use crate::profile::Profile;
use crate::spawn::Limit;
use crate::tree::{self, Process};

/// How often a tree is looked at. Soon after its start too, for a task that goes wrong at once.
const INTERVAL: Duration = Duration::from_millis(200);
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// How often the number of processes on the machine is read, which costs next to nothing. A fork bomb goes off in a
/// moment, so when that number has grown the tree is looked at early.
const GLANCE: Duration = Duration::from_millis(10);

/// How often in a task that has run for a while, so that long ones do not keep the processor awake.
const LATER_GLANCE: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(2);

/// Files looked at to tell whether it was this task that filled the disk.
const MAX_FILES: usize = 200_000;

/// The limits of one tree and what has to be remembered between two looks.
pub(super) struct Watch {
    began_at: Instant,
    next_look: Instant,
    next_glance: Instant,
    /// Processes and threads on the machine when the tree was last looked at.
    n_on_machine: u64,
    /// Before the tree was: what changed later may be its work.
    before: SystemTime,
    /// Free bytes on the workspace's file system at first.
    free_bytes_before: u64,
    /// The same, and bytes the tree had written, when files were last counted.
    free_bytes: u64,
    written_bytes: u64,
    ticks_per_second: u64,
    page_bytes: u64,
}

impl Watch {
    /// Begins to watch a tree that was just started, later than `before`.
    pub(super) fn new(profile: &Profile, before: SystemTime) -> Self {
        let free_bytes = free_bytes(&profile.workspace);
        Self {
            began_at: Instant::now(),
            next_look: Instant::now() + FIRST_LOOK,
            next_glance: Instant::now() + GLANCE,
            n_on_machine: n_on_machine(),
            before,
            free_bytes_before: free_bytes,
            free_bytes,
            written_bytes: 0,
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
        }
    }

    /// Returns when to look or glance next.
    pub(super) fn next_at(&self) -> Instant {
        self.next_look.min(self.next_glance)
    }

    /// Says whether it is time for a look.
    pub(super) fn is_due(&mut self, profile: &Profile) -> bool {
        let now = Instant::now();
        if self.next_glance > now {
            return self.next_look <= now;
        }
        let later = now.duration_since(self.began_at) > LATER;
        self.next_glance = now + if later { LATER_GLANCE } else { GLANCE };
        self.next_look <= now || self.is_crowded(profile)
    }

    /// Says whether there are so many more processes on the machine that it may be this tree.
    pub(super) fn is_crowded(&self, profile: &Profile) -> bool {
        n_on_machine().saturating_sub(self.n_on_machine)
            >= u64::from(profile.limits.n_processes) / 2
    }

    /// Looks at the descendants of this process, one of which, `spared`, is ours and not the task's.
    pub(super) fn look(&mut self, profile: &Profile, spared: Option<i32>) -> Vec<Limit> {
        let limits = &profile.limits;
        let root = rustix::process::getpid().as_raw_nonzero().get();
        let tree = tree::descendants(root);
        let mut passed = Vec::new();

        // As the kernel counts: threads, and what has ended but was not waited for.
        let of_task = tree.iter().filter(|process| Some(process.pid) != spared);
        let n_processes: u64 = of_task.map(|process| process.n_threads.max(1)).sum();
        if n_processes >= u64::from(limits.n_processes) {
            // Now is the time to end it: to look at the memory of processes that fork without pause takes minutes.
            return vec![Limit::ProcessLimit];
        }
        let living: Vec<&Process> = tree.iter().filter(|process| !process.ended).collect();
        let resident: u64 = living
            .iter()
            .map(|process| process.resident_pages * self.page_bytes)
            .sum();
        // The sum counts shared pages for each that shares them; only when it is too large is it worth knowing better.
        if resident > limits.memory_bytes
            && living
                .iter()
                .map(|process| self.own_share(process))
                .sum::<u64>()
                > limits.memory_bytes
        {
            passed.push(Limit::MemoryLimit);
        }
        if let Some(cpu) = limits.cpu {
            let ticks = tree.iter().map(|process| process.cpu_ticks).sum::<u64>()
                + tree::ticks_of_reaped(root);
            if Duration::from_millis(ticks * 1000 / self.ticks_per_second) >= cpu {
                passed.push(Limit::CpuLimit);
            }
        }
        let of_tree = tree.iter().map(|process| written_bytes(process.pid));
        let written = of_tree.sum::<u64>() + sys::written_by_reaped();
        passed.extend(self.look_at_disk(profile, written));
        self.next_look = Instant::now() + INTERVAL;
        self.n_on_machine = n_on_machine();
        passed
    }

    /// Looks at the disk once more when the tree is gone, as if for the first time.
    pub(super) fn look_back_at_disk(
        &mut self,
        profile: &Profile,
        written_inside: u64,
    ) -> Vec<Limit> {
        (self.free_bytes, self.written_bytes) = (self.free_bytes_before, 0);
        self.look_at_disk(profile, sys::written_by_reaped() + written_inside)
    }

    /// Says whether the task, which has sent `written` bytes to disks, filled one. Counting files is slow, so it is done only
    /// when that has grown a lot since the last time, or when the file system has shrunk, because not every file system keeps
    /// that account.
    fn look_at_disk(&mut self, profile: &Profile, written: u64) -> Vec<Limit> {
        let limits = &profile.limits;
        let free = free_bytes(&profile.workspace);
        let worth_a_look = limits.workspace_growth_bytes.min(limits.file_size_bytes) / 2;
        if self
            .free_bytes
            .saturating_sub(free)
            .max(written.saturating_sub(self.written_bytes))
            < worth_a_look
        {
            return Vec::new();
        }
        (self.free_bytes, self.written_bytes) = (free, written);
        let (total, largest) = written_since(&profile.workspace, self.before);
        let mut passed = Vec::new();
        if total >= limits.workspace_growth_bytes {
            passed.push(Limit::WorkspaceGrowthLimit);
        }
        if largest >= limits.file_size_bytes {
            passed.push(Limit::FileSizeLimit);
        }
        passed
    }

    /// Bytes of memory that are there because of this process: what it shares is divided by those it shares it with.
    fn own_share(&self, process: &Process) -> u64 {
        let Ok(rollup) = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid))
        else {
            // It ended meanwhile, or it is not for us to see: then the larger count is the safe one.
            let there = tree::descendants(process.parent);
            let there = there
                .iter()
                .find(|there| there.pid == process.pid && !there.ended);
            return there.map_or(0, |there| there.resident_pages * self.page_bytes);
        };
        let pss = rollup.lines().find_map(|line| {
            line.strip_prefix("Pss:")?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse::<u64>()
                .ok()
        });
        pss.unwrap_or(0) * 1024
    }
}

/// Returns how many processes and threads there are on the whole machine.
fn n_on_machine() -> u64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split([' ', '/'])
        .nth(4)
        .and_then(|total| total.parse().ok())
        .unwrap_or(0)
}

/// Returns what a process and the children it waited for have sent to disks.
fn written_bytes(pid: i32) -> u64 {
    let account = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    account
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
        .unwrap_or(0)
}

fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |stat| stat.f_bfree * stat.f_frsize)
}

/// Returns the bytes on disk of the files that changed since `then`, and the length of the longest of them.
fn written_since(workspace: &Path, then: SystemTime) -> (u64, u64) {
    let then = then.duration_since(UNIX_EPOCH).map_or((0, 0), |since| {
        (since.as_secs() as i64, since.subsec_nanos().into())
    });
    let (mut total, mut largest, mut n_files) = (0, 0, 0);
    let mut open = VecDeque::from([workspace.to_owned()]);
    while let Some(dir) = open.pop_front() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            n_files += 1;
            let Ok(there) = entry.metadata() else {
                continue;
            };
            if there.is_dir() {
                open.push_back(entry.path());
            } else if (there.ctime(), there.ctime_nsec()) > then {
                total += there.blocks() * 512;
                largest = largest.max(there.size());
            }
        }
        if n_files > MAX_FILES {
            break;
        }
    }
    (total, largest)
}
