//! The system calls that no safe library offers, each behind a function that cannot be misused by its arguments.
//!
//! All of them are for the helper, which has one thread. Nothing here allocates between a fork and what follows it in a way
//! that would need another thread to go on, because there is none.

#![expect(
    unsafe_code,
    reason = "fork, exec and a few system calls are only to be had raw; this is the one file for them"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What [`fork`] returns to each side.
pub(super) enum Forked {
    Child,
    Parent { child: i32 },
}

/// Forks, with the child in the new namespaces of `flags` (`CLONE_NEW…`), or plainly when they are 0.
pub(super) fn fork(flags: libc::c_int) -> io::Result<Forked> {
    let flags = libc::c_ulong::from((flags | libc::SIGCHLD) as libc::c_uint);
    // SAFETY: without CLONE_VM and with a null stack this is fork: the child goes on with a copy of our memory. The helper
    // has one thread, so no lock is held by a thread that the child lacks.
    let child =
        check(unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) })?;
    Ok(if child == 0 {
        Forked::Child
    } else {
        Forked::Parent {
            child: child as i32,
        }
    })
}

/// Replaces this process by `program`; returns only when that failed.
pub(super) fn execve(program: &CString, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer and point to strings that live until the call returns.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Closes every descriptor from `first` on.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: called first thing in the helper, when nothing owns a descriptor beyond the standard three, and in the last
    // stage before exec, which runs nothing afterwards that uses one.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Marks every descriptor from `first` on to be closed by exec.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: changes a flag of descriptors, not what they refer to.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Blocks the signals the supervisor hears of and returns a descriptor that becomes readable when one came.
pub(super) fn signal_descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before it is read, and signalfd returns a descriptor of our own.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()).into())?;
        let descriptor =
            check(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
        Ok(OwnedFd::from_raw_fd(descriptor as i32))
    }
}

/// Returns the next signal that came in through a [`signal_descriptor`], with nothing when there is none.
pub(super) fn next_signal(descriptor: &OwnedFd) -> Option<i32> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(descriptor, &mut info).ok()?;
    let number: [u8; 4] = info.get(..4)?.try_into().ok()?;
    (read == info.len()).then(|| i32::from_ne_bytes(number))
}

/// Gives every signal its default effect and blocks none, as a program expects to be started.
pub(super) fn default_signals() {
    // SAFETY: no handler of ours is installed, so none is lost; failures concern signals that cannot be changed.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
    }
}

/// What [`reap`] found.
pub(super) enum Reaped {
    Ended { pid: i32, status: i32 },
    AllRunning,
    NoChildren,
}

/// Takes note of one ended child, waiting for one when `block` says so.
pub(super) fn reap(block: bool) -> Reaped {
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call. No other code in the helper holds a child by its process id while reaping.
        let pid = unsafe { libc::waitpid(-1, &mut status, if block { 0 } else { libc::WNOHANG }) };
        match pid {
            0 => return Reaped::AllRunning,
            -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            -1 => return Reaped::NoChildren,
            pid => return Reaped::Ended { pid, status },
        }
    }
}

/// Makes descriptor `to` (0, 1 or 2) refer to what `from` refers to.
pub(super) fn replace_standard(from: BorrowedFd<'_>, to: i32) -> io::Result<()> {
    // SAFETY: 0 to 2 are never owned by a value of ours.
    check(unsafe { libc::dup2(from.as_raw_fd(), to) }.into()).map(drop)
}

/// Ends this process without running anything on the way out.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: nothing of ours needs to be flushed or dropped: the kernel closes what is open.
    unsafe { libc::_exit(code) }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
