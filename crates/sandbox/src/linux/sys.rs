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

use super::asked::Question;

/// As in the kernel's `sched.h`; the C library's number does not hold it everywhere.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What [`fork`] returns to each side.
pub(super) enum Forked {
    Child,
    Parent { child: i32 },
}

/// Forks, with the child in the new namespaces of `flags` (`CLONE_NEW…`), or plainly when they are 0, and in the control
/// group `group` (Linux 5.7).
pub(super) fn fork(flags: libc::c_int, group: Option<&OwnedFd>) -> io::Result<Forked> {
    if let Some(group) = group {
        // SAFETY: a struct of numbers, for which zero means "nothing of this".
        let mut wanted: libc::clone_args = unsafe { std::mem::zeroed() };
        wanted.flags = (flags as libc::c_uint).into();
        wanted.flags |= CLONE_INTO_CGROUP;
        wanted.exit_signal = libc::SIGCHLD as u64;
        wanted.cgroup = group.as_raw_fd() as u64;
        // SAFETY: as below; the kernel reads the struct, which is of its layout and as long as is said.
        let child = check(unsafe {
            libc::syscall(libc::SYS_clone3, &wanted, size_of::<libc::clone_args>())
        })?;
        return Ok(forked(child));
    }
    let flags = libc::c_ulong::from((flags | libc::SIGCHLD) as libc::c_uint);
    // SAFETY: without CLONE_VM and with a null stack this is fork: the child goes on with a copy of our memory. The helper
    // has one thread, so no lock is held by a thread that the child lacks.
    let child =
        check(unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) })?;
    Ok(forked(child))
}

fn forked(child: libc::c_long) -> Forked {
    match child {
        0 => Forked::Child,
        child => Forked::Parent {
            child: child as i32,
        },
    }
}

/// Puts this process, which has one thread, into a new network namespace.
pub(super) fn new_network() -> io::Result<()> {
    // SAFETY: an integer; the flag concerns nothing that our memory or descriptors depend on.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) }.into()).map(drop)
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

/// Returns the bytes that the ended descendants of this process have sent to disks.
pub(super) fn written_by_reaped() -> u64 {
    // SAFETY: a struct of numbers, which the kernel fills.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut used);
        used
    };
    // In blocks of 512 bytes, whatever the file system's are.
    u64::try_from(used.ru_oublock).unwrap_or(0) * 512
}

/// Takes over a descriptor that this process was started with.
pub(super) fn adopt(number: i32) -> OwnedFd {
    // SAFETY: whoever started us left it open for us, and it is taken over once; a number that is not open gives a value
    // whose every use fails.
    unsafe { OwnedFd::from_raw_fd(number.max(3)) }
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

/// Closes every descriptor from 3 on but those in `keep`.
pub(super) fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep
        .iter()
        .map(|descriptor| descriptor.as_raw_fd() as u32)
        .filter(|fd| *fd > 2)
        .collect();
    keep.sort_unstable();
    let mut first = 3;
    for kept in keep {
        if kept > first {
            // SAFETY: for a process that was just forked and that never returns into the code that owned the others.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, kept - 1, 0) })?;
        }
        first = kept + 1;
    }
    close_from(first)
}

/// Adds mount attributes (`MOUNT_ATTR_…`) to the mount that `tree` is the root of, and to all beneath it when `recursive`.
pub(super) fn restrict_mount(
    tree: BorrowedFd<'_>,
    attributes: u64,
    recursive: bool,
) -> io::Result<()> {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let (tree, size) = (tree.as_raw_fd(), size_of::<libc::mount_attr>());
    // SAFETY: the path is an empty string that ends with a NUL, and `change` outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree,
            c"".as_ptr(),
            flags,
            &change,
            size,
        )
    })
    .map(drop)
}

/// Brings up the loopback interface of this network namespace.
pub(super) fn loopback_up() -> io::Result<()> {
    // SAFETY: the request is fully initialised, and the kernel reads the union member that belongs to the call.
    unsafe {
        let socket = OwnedFd::from_raw_fd(check(
            libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into(),
        )? as i32);
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request).into()).map(drop)
    }
}

/// Installs a filter for this process and all it starts; returns the descriptor on which the kernel asks.
pub(super) fn install_filter(program: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let len = program
        .len()
        .try_into()
        .map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut(),
    };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the kernel copies the program, which outlives the call; what it returns with the flag is a new descriptor.
    unsafe {
        let result = check(libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &program,
        ))?;
        Ok(OwnedFd::from_raw_fd(result as i32))
    }
}

/// Says whether this kernel has filters that can ask.
pub(super) fn filters_are_possible() -> bool {
    const SECCOMP_GET_ACTION_AVAIL: u32 = 2;
    let action = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: the kernel reads one integer that outlives the call.
    unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 }
}

/// Takes one question from a filter's descriptor.
pub(super) fn next_question(listener: &OwnedFd) -> Option<Question> {
    // SAFETY: the kernel wants the struct zeroed, and fills it; it is of the kernel's layout.
    let question = unsafe {
        let mut question: libc::seccomp_notif = std::mem::zeroed();
        if libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV as _,
            &mut question,
        ) < 0
        {
            return None;
        }
        question
    };
    Some(Question {
        id: question.id,
        pid: question.pid,
        call: question.data.nr.into(),
        arguments: question.data.args,
    })
}

/// Answers a question by letting the call go on.
pub(super) fn let_call_go_on(listener: &OwnedFd, question: &Question) {
    // SAFETY: the kernel reads the struct, which is of the kernel's layout.
    unsafe {
        let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
        answer.id = question.id;
        answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        // The caller may have been killed since: then nobody waits for the answer.
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND as _,
            &answer,
        );
    }
}

/// Returns the version of Landlock this kernel has, 0 for none.
pub(super) fn landlock_abi() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads nothing through the null pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            0usize,
            0usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(result).unwrap_or(0)
}

/// What a Landlock rule set governs, as the kernel lays it out.
#[repr(C)]
pub(super) struct LandlockHandled {
    pub(super) access_fs: u64,
    pub(super) access_net: u64,
    pub(super) scoped: u64,
}

/// Makes a Landlock rule set. `abi` decides how much of the struct this kernel knows.
pub(super) fn landlock_ruleset(handled: &LandlockHandled, abi: u32) -> io::Result<OwnedFd> {
    let size = match abi {
        0..4 => 8usize,
        4..6 => 16,
        _ => 24,
    };
    // SAFETY: the struct is at least `size` bytes long and outlives the call; the result is a new descriptor.
    unsafe {
        let result = check(libc::syscall(
            libc::SYS_landlock_create_ruleset,
            handled,
            size,
            0,
        ))?;
        Ok(OwnedFd::from_raw_fd(result as i32))
    }
}

/// Permits `access` on what `at` refers to and everything beneath.
pub(super) fn landlock_allow(ruleset: &OwnedFd, access: u64, at: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        access: u64,
        parent: i32,
    }
    const LANDLOCK_RULE_PATH_BENEATH: u32 = 1;
    let rule = PathBeneath {
        access,
        parent: at.as_raw_fd(),
    };
    let ruleset = ruleset.as_raw_fd();
    // SAFETY: the rule has the kernel's layout and outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset,
            LANDLOCK_RULE_PATH_BENEATH,
            &rule,
            0,
        )
    })
    .map(drop)
}

/// Puts this process and all it starts under a rule set.
pub(super) fn landlock_restrict_self(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: two integers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })
        .map(drop)
}
