//! The last stage: the process that becomes the program.
//!
//! Owns nothing. Sets what the program inherits (session, limits, working directory, signals) and executes it; a failure
//! goes through a pipe to whoever forked, which an executed program closes by itself.

use std::ffi::{CString, OsStr, OsString};
use std::io::{PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, Signal};

use super::{Failure, Step, sys};
use crate::plan::Plan;
use crate::profile::Limits;
use crate::tree;

/// Open files a program may have; what it raises itself ends at `MAX_OPEN_FILES`.
const OPEN_FILES: u64 = 1024;
const MAX_OPEN_FILES: u64 = 4096;

/// Processes that others of the same user may start beside a task without a user namespace.
const ROOM_FOR_OTHERS: u64 = 1024;

/// The step name that says the program itself could not be executed.
pub(super) const EXECUTE: &str = "execute";

/// A process that is on its way to become the program.
pub(super) struct Starting {
    child: i32,
    /// Says what failed, or closes without a word when the program is executed.
    failed: PipeReader,
}

impl Starting {
    /// Waits until the program runs and returns its process id.
    pub(super) fn executed(mut self) -> Result<i32, Failure> {
        let mut word = String::new();
        self.failed.read_to_string(&mut word).step("pipe")?;
        match word.split_once(' ') {
            None => Ok(self.child),
            Some((errno, step)) => Err(Failure::from_words(errno, step)),
        }
    }
}

/// Forks a process, into the control group `group`, that becomes the program after `confine`, which runs last in it and
/// returns the working directory.
pub(super) fn start(
    plan: &Plan,
    group: Option<&OwnedFd>,
    confine: impl FnOnce() -> Result<OwnedFd, Failure>,
) -> Result<Starting, Failure> {
    let (failed, mut failing) = std::io::pipe().step("pipe")?;
    let parent = rustix::process::getpid();
    match sys::fork(0, group).step("fork")? {
        sys::Forked::Child => {
            let failure = match become_program(plan, parent, confine) {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            // The other side takes a pipe that closes without a word for a program that runs, so the word must get out.
            let _ = failing.write_all(format!("{} {}", failure.errno, failure.step).as_bytes());
            sys::exit_now(127);
        }
        sys::Forked::Parent { child } => Ok(Starting { child, failed }),
    }
}

fn become_program(
    plan: &Plan,
    parent: rustix::process::Pid,
    confine: impl FnOnce() -> Result<OwnedFd, Failure>,
) -> Result<std::convert::Infallible, Failure> {
    // Should the supervisor be killed, the program goes with it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .step("parent death signal")?;
    if rustix::process::getppid() != Some(parent) {
        return Err(Failure {
            step: "parent death signal",
            errno: libc::ESRCH,
        });
    }
    rustix::process::setsid().step("setsid")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // Only the first process of a namespace has that number, and with it comes a user namespace.
    let own_user_namespace = parent.is_init();
    set_limits(&plan.profile.limits, own_user_namespace).step("limits")?;
    rustix::thread::set_no_new_privs(true).step("no_new_privs")?;
    sys::default_signals();
    let argv = strings(plan.argv.iter().cloned())?;
    let env = strings(plan.env.iter().map(|(name, value)| {
        let mut pair = name.clone();
        pair.push("=");
        pair.push(value);
        pair
    }))?;
    let path = plan
        .env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.as_os_str());
    sys::close_on_exec_from(3).step("close descriptors")?;
    let cwd = confine()?;
    rustix::process::fchdir(&cwd).step("working directory")?;
    Err(execute(
        plan.argv
            .first()
            .map_or(OsStr::new(""), OsString::as_os_str),
        path,
        &argv,
        &env,
    ))
}

/// Executes the program, looking along `path` when its name has no slash.
fn execute(program: &OsStr, path: Option<&OsStr>, argv: &[CString], env: &[CString]) -> Failure {
    let mut candidates = Vec::new();
    if program.as_bytes().contains(&b'/') {
        candidates.push(program.to_owned());
    } else {
        let dirs = std::env::split_paths(path.unwrap_or_default()).filter(|dir| dir.is_absolute());
        candidates.extend(dirs.map(|dir| dir.join(program).into_os_string()));
    }
    let mut errno = libc::ENOENT;
    for candidate in candidates {
        let Ok(candidate) = CString::new(candidate.into_vec()) else {
            continue;
        };
        let error = sys::execve(&candidate, argv, env)
            .raw_os_error()
            .unwrap_or(libc::EINVAL);
        match error {
            // Not in this directory; what an earlier one had but would not execute is the better answer.
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => errno = libc::EACCES,
            other => {
                return Failure {
                    step: EXECUTE,
                    errno: other,
                };
            }
        }
    }
    Failure {
        step: EXECUTE,
        errno,
    }
}

fn strings(from: impl Iterator<Item = OsString>) -> Result<Vec<CString>, Failure> {
    from.map(|string| CString::new(string.into_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| Failure {
            step: EXECUTE,
            errno: libc::EINVAL,
        })
}

fn set_limits(limits: &Limits, own_user_namespace: bool) -> rustix::io::Result<()> {
    set_limit(Resource::Core, 0, 0)?;
    set_limit(Resource::Nofile, OPEN_FILES, MAX_OPEN_FILES)?;
    set_limit(
        Resource::Fsize,
        limits.file_size_bytes,
        limits.file_size_bytes,
    )?;
    let data = data_limit(limits.memory_bytes);
    set_limit(Resource::Data, data, data)?;
    // Counted per user and user namespace; outside of one of its own the owner's whole desktop is in it, and what else that
    // starts must not stop the task. Root is exempt.
    let others = match own_user_namespace {
        true => 0,
        false => tree::n_of_user(rustix::process::getuid().as_raw()) + ROOM_FOR_OTHERS,
    };
    // A little more than is permitted, so that the watch sees it passed before the kernel refuses.
    let n = u64::from(limits.n_processes) + u64::from(limits.n_processes / 4).max(16);
    set_limit(Resource::Nproc, others + n, others + n)?;
    if let Some(cpu) = limits.cpu {
        // The signal at the soft limit can be caught; the one a second later cannot.
        let seconds = cpu.as_secs_f64().ceil() as u64;
        set_limit(Resource::Cpu, seconds.max(1), seconds.max(1) + 1)?;
    }
    Ok(())
}

/// Private writable address space a process may have, when its tree may have `memory_bytes` in memory: twice that, because
/// much of what programs reserve they never touch.
pub(super) fn data_limit(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_mul(2)
}

/// Sets a limit, or the hard limit that is there already when that is lower.
fn set_limit(resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    let present = rustix::process::getrlimit(resource)
        .maximum
        .unwrap_or(u64::MAX);
    let limit = Rlimit {
        current: Some(soft.min(present)),
        maximum: Some(hard.min(present)),
    };
    rustix::process::setrlimit(resource, limit)
}
