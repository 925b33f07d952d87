//! Tier full: the program in namespaces of its own, under a small first process that reaps and outlives nothing.
//!
//! The first process is forked by the supervisor into all namespaces at once. It builds the view, starts the program and
//! then only reaps. When it ends, by itself or killed, the kernel ends everything in its process namespace.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{DumpableBehavior, Signal};

use super::landlock::{self, Rights, Ruleset};
use super::report::{self, Report};
use super::seccomp::{self, Sockets};
use super::{Failure, Received, Step, Without, capabilities, mounts, program, sys};
use crate::plan::Plan;
use crate::profile::{Network, PROXY_PORT};
use crate::protected::Protected;

/// Forks the first process and returns its process id. What becomes of it is told through `report`.
pub(super) fn start(
    received: &Received,
    protected: &[Protected],
    report: &OwnedFd,
    without: &Without,
) -> Result<i32, Failure> {
    without.check("userns")?;
    let mut flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    if received.plan.profile.network != Network::On && !without.skips("netns") {
        flags |= libc::CLONE_NEWNET;
    }
    // Inside, these are unmapped until the map is written.
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    match sys::fork(flags).step("userns/clone")? {
        sys::Forked::Parent { child } => Ok(child),
        sys::Forked::Child => {
            let failure = match first_process(received, protected, report, without, (uid, gid)) {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            report::send(report, &Report::Failed(failure));
            sys::exit_now(1);
        }
    }
}

fn first_process(
    received: &Received,
    protected: &[Protected],
    report: &OwnedFd,
    without: &Without,
    (uid, gid): (u32, u32),
) -> Result<Infallible, Failure> {
    let profile = &received.plan.profile;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("userns/parent")?;
    sys::close_all_but(&[
        report.as_fd(),
        received.workspace.as_fd(),
        received.cwd.as_fd(),
    ])
    .step("userns/close")?;
    if hung_up(report) {
        // The supervisor died before it could be followed into death.
        return Err(Failure {
            step: "userns/parent",
            errno: libc::ESRCH,
        });
    }
    map_user(uid, gid).step("userns/map")?;
    if profile.network != Network::On && !without.skips("netns") {
        sys::loopback_up().step("netns/loopback")?;
    }
    if let Network::Allow(_) = profile.network {
        listen_for_proxy(report)?;
    }
    without.check("mounts")?;
    let view = mounts::build(
        &received.plan,
        received.workspace.as_fd(),
        received.cwd.as_fd(),
        protected,
        without,
    )?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .step("userns/dumpable")?;

    run_program(
        &received.plan,
        view.cwd.as_fd(),
        &view.writable,
        report,
        without,
    )
}

/// Makes the socket that the proxy answers, in this network namespace, and hands it over.
pub(super) fn listen_for_proxy(report: &OwnedFd) -> Result<(), Failure> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", PROXY_PORT)).step("netns/proxy")?;
    report::send(report, &Report::Proxy(listener.into()));
    Ok(())
}

/// Starts the program within the finished view, says so, and reaps until nothing is left.
pub(super) fn run_program(
    plan: &Plan,
    cwd: BorrowedFd<'_>,
    writable: &[PathBuf],
    report: &OwnedFd,
    without: &Without,
) -> Result<Infallible, Failure> {
    let abi = sys::landlock_abi();
    let program = program::start(plan, cwd, || {
        capabilities::drop_all(without)?;
        if without.applies("landlock")? {
            govern(abi, writable)?;
        }
        if without.applies("seccomp")? {
            let unix = abi >= landlock::GOVERNS_UNIX_SOCKETS;
            let sockets = if unix {
                Sockets::InternetAndUnix
            } else {
                Sockets::Internet
            };
            filter(sockets, plan.profile.limits.memory_bytes, report)?;
        }
        Ok(())
    })?;
    report::send(report, &Report::Started);
    super::supervisor::let_go_of_output()?;
    let mut ended = None;
    loop {
        // Waits for the program, then takes what else has ended, then waits for the rest.
        match sys::reap(ended.is_none_or(|(_, told)| told)) {
            sys::Reaped::Ended { pid, status } if pid == program => ended = Some((status, false)),
            sys::Reaped::Ended { .. } => {}
            sys::Reaped::AllRunning => tell_end(report, &mut ended, false),
            sys::Reaped::NoChildren => {
                tell_end(report, &mut ended, true);
                sys::exit_now(0);
            }
        }
    }
}

/// Says how the program ended, once.
fn tell_end(report: &OwnedFd, ended: &mut Option<(i32, bool)>, last: bool) {
    if let Some((status, told @ false)) = ended {
        report::send(
            report,
            &Report::Ended {
                status: *status,
                last,
            },
        );
        *told = true;
    }
}

/// Says whether nobody is at the other end any more.
fn hung_up(socket: &OwnedFd) -> bool {
    let mut waiting = [PollFd::new(socket, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut waiting, Some(&now)).is_ok()
        && waiting[0].revents().contains(PollFlags::HUP)
}

/// Keeps the user and group as they are, and nothing else: every other one becomes "nobody".
fn map_user(uid: u32, gid: u32) -> std::io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Tier full's rules: read what the view shows, write what it leaves writable, use devices.
fn govern(abi: u32, writable: &[PathBuf]) -> Result<(), Failure> {
    if abi == 0 {
        return Err(Failure {
            step: "landlock/unknown to this kernel",
            errno: 0,
        });
    }
    let rights = Rights::of(abi);
    // The network namespace governs TCP here, and what is inside of it may talk.
    let rules = Ruleset::new(&rights, true)?;
    rules.allow(Path::new("/"), rights.read)?;
    rules.allow(Path::new("/dev"), rights.use_only)?;
    rules.allow(Path::new("/dev/shm"), rights.write)?;
    writable
        .iter()
        .try_for_each(|path| rules.allow(path, rights.write))?;
    rules.restrict_self()
}

/// Installs the filter, and hands the supervisor the descriptor on which the kernel asks about large mappings.
pub(super) fn filter(sockets: Sockets, memory_bytes: u64, report: &OwnedFd) -> Result<(), Failure> {
    // What no limit on resident memory ever sees, because the limit on address space refuses it at once.
    let large_mapping = program::data_limit(memory_bytes);
    if let Some(listener) = seccomp::install(sockets, Some(large_mapping))? {
        report::send(report, &Report::Mappings(listener));
    }
    Ok(())
}
