//! The process tree of one task, seen from its supervisor: who is in it, what it uses, and how it is ended.
//!
//! Reads `/proc`, sends signals. Never starts anything. Membership is descent from the supervisor, which is the subreaper
//! of its descendants: a process that daemonises is still found.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

/// How long a sweep tries while nothing ends; a process in an uninterruptible wait cannot be ended by anyone.
const WITHOUT_CHANGE: Duration = Duration::from_secs(5);

/// How long to wait before looking again at processes that were killed and are not gone yet.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// One process as `/proc/PID/stat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    group: i32,
    session: i32,
    pub(crate) ended: bool,
    pub(crate) n_threads: u64,
    /// Of this process and of those of its children that it waited for.
    pub(crate) cpu_ticks: u64,
    cpu_ticks_of_reaped: u64,
    pub(crate) resident_pages: u64,
    started_at_tick: u64,
}

impl Process {
    /// Says whether its number still is its own.
    fn is_still_there(&self) -> bool {
        process(self.pid).is_some_and(|now| now.started_at_tick == self.started_at_tick)
    }
}

/// Returns all descendants of `root`, zombies included, parents before children.
pub(crate) fn descendants(root: i32) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<Process> = names.filter_map(process).collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = HashSet::from([root]);
    loop {
        let n_before = found.len();
        for process in &all {
            if parents.contains(&process.parent) && parents.insert(process.pid) {
                found.push(*process);
            }
        }
        if found.len() == n_before {
            return found;
        }
    }
}

/// Returns how many processes and threads of a user there are on this machine.
pub(crate) fn n_of_user(uid: u32) -> u64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_user = entries.filter(|entry| entry.metadata().is_ok_and(|there| there.uid() == uid));
    let pids = of_user.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process)
        .map(|process| process.n_threads.max(1))
        .sum()
}

/// Returns the processor time of those children of `pid` that it has waited for.
pub(crate) fn ticks_of_reaped(pid: i32) -> u64 {
    process(pid).map_or(0, |process| process.cpu_ticks_of_reaped)
}

/// Returns one process, when it is there.
fn process(pid: i32) -> Option<Process> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(pid, &String::from_utf8_lossy(&text))
}

fn parse_stat(pid: i32, stat: &str) -> Option<Process> {
    // The name stands in parentheses and may hold any byte, parentheses too: only the last one ends it.
    let fields: Vec<&str> = stat
        .get(stat.rfind(')')? + 1..)?
        .split_ascii_whitespace()
        .collect();
    // Field numbers as in proc(5), where the state is number 3.
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |at: usize| field(at)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        ended: matches!(field(3)?, "Z" | "X"),
        n_threads: number(20)?,
        cpu_ticks: (14..=17).filter_map(number).sum(),
        cpu_ticks_of_reaped: (16..=17).filter_map(number).sum(),
        resident_pages: number(24)?,
        started_at_tick: number(22)?,
    })
}

/// Sends `signal` to a process found before, unless another took its number since.
fn send(to: &Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(to.pid) else {
        return;
    };
    let Ok(descriptor) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if to.is_still_there() {
        // It may have ended or belong to someone else by a set-user-id program: both are seen by the next look.
        let _ = rustix::process::pidfd_send_signal(&descriptor, signal);
    }
}

/// Asks every descendant of `root` but `spared` to end.
pub(crate) fn terminate(root: i32, spared: Option<i32>) {
    for process in descendants(root)
        .iter()
        .filter(|process| !process.ended && Some(process.pid) != spared)
    {
        send(process, Signal::TERM);
        send(process, Signal::CONT);
    }
}

/// Kills one child of this process, which must not have been reaped.
pub(crate) fn kill_child(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Already dead is as good.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Kills a process group, all at once; one of its members must not have been reaped.
pub(crate) fn kill_group(group: i32) {
    if let Some(group) = Pid::from_raw(group) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

/// Kills every descendant of this process and reaps those that become its children; returns whether none is left.
///
/// A signal to a process group reaches all that are in it at once, and no process with a signal pending starts another: so
/// what forks without pause ends with its group, however many they are. Goes on for as long as anything changes.
pub(crate) fn sweep(mut reap_all: impl FnMut() -> bool) -> bool {
    // Orphans of the tree become our children: without a child there is no tree, and nothing to look for.
    if reap_all() {
        return true;
    }
    let root = rustix::process::getpid().as_raw_nonzero().get();
    let own_session = process(root).map(|own| own.session);
    let mut before = HashSet::new();
    let mut deadline = Instant::now() + WITHOUT_CHANGE;
    while Instant::now() < deadline {
        let mut killed = HashSet::new();
        let mut living = HashSet::new();
        for process in descendants(root) {
            if process.ended {
                continue;
            }
            living.insert((process.pid, process.started_at_tick));
            // In a session that was begun within the tree there is nobody else.
            if Some(process.session) == own_session {
                send(&process, Signal::KILL);
            } else if killed.insert(process.group) && process.is_still_there() {
                kill_group(process.group);
            }
        }
        if reap_all() {
            return true;
        }
        if living != before {
            (before, deadline) = (living, Instant::now() + WITHOUT_CHANGE);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a descendant that is not our child tells nobody when it ends"
        )]
        std::thread::sleep(LOOK_AGAIN);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) R 1 (b) S 7 41 40 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 5 0 12345 1000 77 18446744073709551615";
        let expected = Process {
            pid: 42,
            parent: 7,
            group: 41,
            session: 40,
            ended: false,
            n_threads: 5,
            cpu_ticks: 100,
            cpu_ticks_of_reaped: 70,
            resident_pages: 77,
            started_at_tick: 12345,
        };
        assert_eq!(parse_stat(42, stat), Some(expected));
        assert_eq!(parse_stat(42, "42 (a"), None);
        assert_eq!(parse_stat(42, ""), None);
    }

    #[test]
    fn this_process_is_a_descendant_of_its_parent() {
        let own = std::process::id() as i32;
        let parent = process(own).unwrap().parent;
        assert!(descendants(parent).iter().any(|process| process.pid == own));
        assert!(!descendants(own).iter().any(|process| process.pid == own));
    }
}
