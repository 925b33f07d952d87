//! Tier full: the program in namespaces of its own, under a small first process that reaps and outlives nothing.
//!
//! The first process is forked by the supervisor into all namespaces but that of the network. It forks at once what becomes
//! the program, which makes its network meanwhile; builds the view, lets the program go, and then only reaps. When it ends, by itself or killed, the kernel ends everything in its process namespace.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{DumpableBehavior, Signal};

use super::asked::Large;
use super::landlock::{self, Rights, Ruleset};
use super::report::{self, Report};
use super::seccomp::{self, Sockets};
use super::{Failure, Received, Step, Without, capabilities, mounts, program, sys};
use crate::plan::Plan;
use crate::profile::{Limits, Network, PROXY_PORT, Profile};
use crate::protected::{self, Protected};

/// Forks the first process and returns its process id. What becomes of it is told through `report`.
///
/// It builds the view while `protected` is looked for here.
pub(super) fn start(
    received: &Received,
    protected: impl FnOnce() -> Vec<Protected>,
    report: &OwnedFd,
    without: &Without,
) -> Result<i32, Failure> {
    without.check("userns")?;
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // Inside, these are unmapped until the map is written.
    let user = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let (listed, mut listing) = std::io::pipe().step("protected/pipe")?;
    match sys::fork(flags, received.group.as_ref()).step("userns/clone")? {
        sys::Forked::Parent { child } => {
            drop(listed);
            // Should it have failed, it says so itself.
            let _ = listing.write_all(&protected::to_bytes(&protected()));
            Ok(child)
        }
        sys::Forked::Child => {
            let failure = match first_process(received, listed, report, without, user) {
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
    listed: PipeReader,
    report: &OwnedFd,
    without: &Without,
    (uid, gid): (u32, u32),
) -> Result<Infallible, Failure> {
    let plan = &received.plan;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("userns/parent")?;
    sys::close_all_but(&[
        report.as_fd(),
        listed.as_fd(),
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
    without.check("mounts")?;
    // The other half of the work: what becomes the program makes its network while the view is built here.
    let (built, building) = std::io::pipe().step("mounts/pipe")?;
    let starting = program::start(plan, None, || {
        make_network(&plan.profile, report, without)?;
        let writable = wait_for_view(built)?;
        let cwd = mounts::enter(plan, received.workspace.as_fd(), received.cwd.as_fd())?;
        confine(plan, &writable, report, without)?;
        Ok(cwd)
    })?;
    let protected = || read_protected(listed);
    let writable = mounts::build(
        &plan.profile,
        received.workspace.as_fd(),
        protected,
        without,
    )?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .step("userns/dumpable")?;
    say_built(building, &writable);
    reap_all(starting.executed()?, report)
}

/// Reads what is to be protected; the list that was cut short because its writer died is followed by our own death.
fn read_protected(mut listed: PipeReader) -> Result<Vec<Protected>, Failure> {
    let mut bytes = Vec::new();
    listed.read_to_end(&mut bytes).step("protected/pipe")?;
    protected::from_bytes(&bytes).ok_or(Failure {
        step: "protected/list",
        errno: libc::EINVAL,
    })
}

/// Tells the process that becomes the program that the view is built, and what in it may be written.
fn say_built(mut to: PipeWriter, writable: &[PathBuf]) {
    let mut paths = Vec::new();
    for path in writable {
        paths.extend_from_slice(path.as_os_str().as_bytes());
        paths.push(0);
    }
    // Its length goes first: a list that is cut short must not pass for a shorter one.
    let length = (paths.len() as u32).to_ne_bytes();
    // Nobody there: then it has said why in the other pipe.
    let _ = to.write_all(&[length.as_slice(), paths.as_slice()].concat());
}

/// Waits for the view. Should the first process give up instead, it takes this one with it.
fn wait_for_view(mut from: PipeReader) -> Result<Vec<PathBuf>, Failure> {
    let mut length = [0; 4];
    from.read_exact(&mut length).step("mounts/pipe")?;
    let mut bytes = vec![0; u32::from_ne_bytes(length) as usize];
    from.read_exact(&mut bytes).step("mounts/pipe")?;
    let paths = bytes
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    Ok(paths.map(|path| OsStr::from_bytes(path).into()).collect())
}

/// Gives this process the network the profile asks for, with a loopback of its own where it is not the host's.
fn make_network(profile: &Profile, report: &OwnedFd, without: &Without) -> Result<(), Failure> {
    if profile.network != Network::On && !without.skips("netns") {
        sys::new_network().step("netns/unshare")?;
        sys::loopback_up().step("netns/loopback")?;
    }
    match profile.network {
        Network::Allow(_) => listen_for_proxy(report),
        Network::Off | Network::On => Ok(()),
    }
}

/// Makes the socket that the proxy answers, in this network namespace, and hands it over.
pub(super) fn listen_for_proxy(report: &OwnedFd) -> Result<(), Failure> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, PROXY_PORT));
    let listener = std::net::TcpListener::bind(at).step("netns/proxy")?;
    report::send(report, &Report::Proxy(listener.into()));
    Ok(())
}

/// The last layers, within the finished view: after this only executing the program is left.
pub(super) fn confine(
    plan: &Plan,
    writable: &[PathBuf],
    report: &OwnedFd,
    without: &Without,
) -> Result<(), Failure> {
    capabilities::drop_all(without)?;
    let abi = sys::landlock_abi();
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
        filter(sockets, &plan.profile.limits, report)?;
    }
    Ok(())
}

/// Says that the program runs, and reaps until nothing is left.
pub(super) fn reap_all(program: i32, report: &OwnedFd) -> Result<Infallible, Failure> {
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
                written_bytes: sys::written_by_reaped(),
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

/// Installs the filter, and hands the supervisor the descriptor on which the kernel asks about what is large.
pub(super) fn filter(sockets: Sockets, limits: &Limits, report: &OwnedFd) -> Result<(), Failure> {
    let large = Large {
        mapping_bytes: program::data_limit(limits.memory_bytes),
        file_bytes: limits.file_size_bytes.saturating_add(1),
    };
    report::send(report, &Report::Asks(seccomp::install(sockets, large)?));
    Ok(())
}
