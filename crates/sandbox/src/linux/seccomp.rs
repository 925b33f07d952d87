//! The system call filter: what no task needs and what leads around the other layers.
//!
//! Pure but for [`install`]: [`filter`] returns a program for the kernel's packet filter machine. It is written here
//! because a library's would have to be taken apart again for the two things that matter most: refusing the second system
//! call table of x86-64, and asking the supervisor about one call.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD,
    BPF_RET, BPF_W,
};
use libc::{c_long, sock_filter};

use super::{Failure, Step, sys};

/// Which sockets may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sockets {
    /// None at all; socket pairs stay.
    Refused,
    /// Internet families and routing information.
    Internet,
    /// These and sockets in the file system.
    InternetAndUnix,
}

/// Installs the filter. With `large_mapping` the kernel asks on the returned descriptor before it maps that much at once.
pub(super) fn install(
    sockets: Sockets,
    large_mapping: Option<u64>,
) -> Result<Option<OwnedFd>, Failure> {
    sys::install_filter(&filter(sockets, large_mapping), large_mapping.is_some())
        .step("seccomp/install")
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// From here on the numbers of x86-64 mean the x32 table, which the rules by number would all miss.
const X32_BIT: u32 = 0x4000_0000;

/// Refused whatever the arguments: other processes' memory, kernel interfaces with a history, mounts, namespaces, the
/// machine's state. Nothing on this list is needed to build, test or run programs.
const REFUSED: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_process_madvise,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
    // Newer than the C library's list: open_tree_attr, mount attributes at opening.
    467,
];

const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// A query that changes nothing.
const PERSONALITY_QUERY: u32 = 0xffff_ffff;

/// Largest segment of System V shared memory.
const SEGMENT_BYTES: u32 = 1 << 20;

const SYSTEM_CALL: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// Where the low and the high half of argument `n` are in what the filter sees, on a little-endian machine.
const fn low(n: u32) -> u32 {
    16 + 8 * n
}
const fn high(n: u32) -> u32 {
    low(n) + 4
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSPC: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSPC as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// What becomes of the system calls from one number to another; the instructions must return on every path.
struct Rule {
    first: u32,
    last: u32,
    decide: Vec<sock_filter>,
}

/// Returns the filter's program.
///
/// The calls stand in a search tree: the kernel runs the filter for every number there is when it is installed, and then
/// for the calls it could not decide by number alone.
fn filter(sockets: Sockets, large_mapping: Option<u64>) -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE_AT),
        jump(BPF_JEQ, ARCHITECTURE, 1, 0),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
        load(SYSTEM_CALL),
    ];
    if cfg!(target_arch = "x86_64") {
        program.extend([jump(BPF_JGE, X32_BIT, 0, 1), ret(ENOSYS)]);
    }
    search(&rules(sockets, large_mapping), &mut program);
    program
}

fn rules(sockets: Sockets, large_mapping: Option<u64>) -> Vec<Rule> {
    let mut rules: BTreeMap<u32, Vec<sock_filter>> = BTreeMap::new();
    let mut rule = |call: c_long, decide: &[sock_filter]| {
        rules.insert(call as u32, decide.into());
    };
    for call in REFUSED {
        rule(*call, &[ret(EPERM)]);
    }
    // Memory files count for no process and lie on no file system whose size we set. Who asks has a way without.
    for call in [libc::SYS_memfd_create, libc::SYS_memfd_secret] {
        rule(call, &[ret(ENOSYS)]);
    }
    // Its flags are in memory, out of a filter's sight; every C library falls back to clone.
    rule(libc::SYS_clone3, &[ret(ENOSYS)]);
    rule(
        libc::SYS_clone,
        &[
            load(low(0)),
            jump(BPF_JSET, NEW_NAMESPACES, 0, 1),
            ret(EPERM),
            ret(ALLOW),
        ],
    );
    let to_terminal = [
        load(low(1)),
        // Typing into a terminal from behind, and pasting on a console.
        jump(BPF_JEQ, libc::TIOCSTI as u32, 1, 0),
        jump(BPF_JEQ, libc::TIOCLINUX as u32, 0, 1),
        ret(EPERM),
        ret(ALLOW),
    ];
    rule(libc::SYS_ioctl, &to_terminal);
    let personality = [
        load(low(0)),
        jump(BPF_JEQ, 0, 1, 0),
        jump(BPF_JEQ, PERSONALITY_QUERY, 0, 1),
        ret(ALLOW),
        ret(EPERM),
    ];
    rule(libc::SYS_personality, &personality);
    // Shared memory that nobody has attached counts for no process. A namespace holds 4,096 segments at most, so small ones
    // are bounded; who needs large ones has /dev/shm.
    let segment = [
        load(high(1)),
        jump(BPF_JEQ, 0, 0, 2),
        load(low(1)),
        jump(BPF_JGT, SEGMENT_BYTES, 0, 1),
        ret(ENOSPC),
        ret(ALLOW),
    ];
    rule(libc::SYS_shmget, &segment);
    rule(libc::SYS_socket, &socket(sockets));
    if let Some(bytes) = large_mapping {
        rule(libc::SYS_mmap, &mapping(bytes));
    }
    let mut joined: Vec<Rule> = Vec::new();
    for (call, decide) in rules {
        match joined.last_mut() {
            Some(before) if before.last + 1 == call && before.decides_like(&decide) => {
                before.last = call;
            }
            _ => joined.push(Rule {
                first: call,
                last: call,
                decide,
            }),
        }
    }
    joined
}

impl Rule {
    /// Whether both give one answer, the same, whatever the arguments.
    fn decides_like(&self, other: &[sock_filter]) -> bool {
        match (self.decide.as_slice(), other) {
            ([one], [other]) => (one.code, one.k) == (other.code, other.k),
            _ => false,
        }
    }
}

/// Appends a search for the number that is loaded among `rules`, sorted by number. What is not found is allowed.
fn search(rules: &[Rule], program: &mut Vec<sock_filter>) {
    const LEAF: usize = 3;
    if rules.len() <= LEAF {
        for rule in rules {
            let n = rule.decide.len() as u8;
            if rule.first == rule.last {
                program.push(jump(BPF_JEQ, rule.first, 0, n));
            } else {
                program.push(jump(BPF_JGE, rule.first, 0, n + 1));
                program.push(jump(BPF_JGT, rule.last, n, 0));
            }
            program.extend_from_slice(&rule.decide);
        }
        return program.push(ret(ALLOW));
    }
    let (below, from) = rules.split_at(rules.len() / 2);
    program.push(jump(BPF_JGE, from[0].first, 0, 1));
    let at = program.len();
    // A conditional jump reaches 255 instructions, this one any number.
    program.push(instruction(BPF_JMP | BPF_JA, 0, 0, 0));
    search(below, program);
    program[at].k = (program.len() - at - 1) as u32;
    search(from, program);
}

fn socket(sockets: Sockets) -> Vec<sock_filter> {
    let family = |family: i32| [jump(BPF_JEQ, family as u32, 0, 1), ret(ALLOW)];
    let mut rule = Vec::new();
    if sockets != Sockets::Refused {
        rule.push(load(low(0)));
        rule.extend(family(libc::AF_INET));
        rule.extend(family(libc::AF_INET6));
        if sockets == Sockets::InternetAndUnix {
            rule.extend(family(libc::AF_UNIX));
        }
        // Routing information, protocol 0, which resolvers ask for; the other netlink protocols stay out of reach.
        rule.extend([
            jump(BPF_JEQ, libc::AF_NETLINK as u32, 0, 3),
            load(low(2)),
            jump(BPF_JEQ, libc::NETLINK_ROUTE as u32, 0, 1),
            ret(ALLOW),
        ]);
    }
    rule.push(ret(EPERM));
    rule
}

/// Asks about anonymous writable memory of `bytes` or more, unless it is only reserved.
fn mapping(bytes: u64) -> Vec<sock_filter> {
    let (high_half, low_half) = ((bytes >> 32) as u32, bytes as u32);
    let kind = (libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as u32;
    vec![
        load(high(1)),
        jump(BPF_JGT, high_half, 3, 0),
        jump(BPF_JEQ, high_half, 0, 8),
        load(low(1)),
        jump(BPF_JGE, low_half, 0, 6),
        load(low(2)),
        jump(BPF_JSET, libc::PROT_WRITE as u32, 0, 4),
        load(low(3)),
        instruction(BPF_ALU | BPF_AND | BPF_K, kind, 0, 0),
        jump(BPF_JEQ, libc::MAP_ANONYMOUS as u32, 0, 1),
        ret(libc::SECCOMP_RET_USER_NOTIF),
        ret(ALLOW),
    ]
}

fn load(at: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, at, 0, 0)
}

fn jump(test: u32, against: u32, when_true: u8, when_false: u8) -> sock_filter {
    instruction(BPF_JMP | test | BPF_K, against, when_true, when_false)
}

fn ret(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would see of a call.
    struct Call {
        architecture: u32,
        number: u32,
        arguments: [u64; 6],
    }

    fn call(number: c_long, arguments: &[u64]) -> Call {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        Call {
            architecture: ARCHITECTURE,
            number: number as u32,
            arguments: all,
        }
    }

    /// The kernel's packet filter machine, as far as this filter uses it.
    fn judge(program: &[sock_filter], call: &Call) -> u32 {
        let load = |at: u32| match at {
            SYSTEM_CALL => call.number,
            ARCHITECTURE_AT => call.architecture,
            at => {
                let argument = call.arguments[(at as usize - 16) / 8];
                if at % 8 == 0 {
                    argument as u32
                } else {
                    (argument >> 32) as u32
                }
            }
        };
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let code = u32::from(step.code);
            let branch = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
            match code & !BPF_K {
                code if code == BPF_LD | BPF_W | BPF_ABS => accumulator = load(step.k),
                code if code == BPF_ALU | BPF_AND => accumulator &= step.k,
                code if code == BPF_JMP | BPF_JA => at += step.k as usize,
                code if code == BPF_JMP | BPF_JEQ => at += branch(accumulator == step.k),
                code if code == BPF_JMP | BPF_JGE => at += branch(accumulator >= step.k),
                code if code == BPF_JMP | BPF_JGT => at += branch(accumulator > step.k),
                code if code == BPF_JMP | BPF_JSET => at += branch(accumulator & step.k != 0),
                code if code == BPF_RET => return step.k,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn ordinary_calls_pass() {
        let program = filter(Sockets::Internet, Some(1 << 32));
        for number in [
            libc::SYS_read,
            libc::SYS_openat,
            libc::SYS_execve,
            libc::SYS_futex,
            libc::SYS_socketpair,
        ] {
            assert_eq!(judge(&program, &call(number, &[])), ALLOW);
        }
        assert_eq!(
            judge(&program, &call(libc::SYS_clone, &[libc::SIGCHLD as u64])),
            ALLOW
        );
        assert_eq!(
            judge(&program, &call(libc::SYS_ioctl, &[0, libc::TIOCGWINSZ])),
            ALLOW
        );
        assert_eq!(judge(&program, &call(libc::SYS_personality, &[0])), ALLOW);
        assert_eq!(
            judge(
                &program,
                &call(libc::SYS_personality, &[u64::from(PERSONALITY_QUERY)])
            ),
            ALLOW
        );
    }

    #[test]
    fn what_leads_around_is_refused() {
        let program = filter(Sockets::Internet, None);
        for number in REFUSED {
            assert_eq!(judge(&program, &call(*number, &[])), EPERM, "{number}");
        }
        let namespace = libc::CLONE_NEWUSER as u64 | libc::SIGCHLD as u64;
        assert_eq!(judge(&program, &call(libc::SYS_clone, &[namespace])), EPERM);
        assert_eq!(judge(&program, &call(libc::SYS_clone3, &[])), ENOSYS);
        assert_eq!(judge(&program, &call(libc::SYS_memfd_create, &[])), ENOSYS);
        assert_eq!(
            judge(&program, &call(libc::SYS_ioctl, &[0, libc::TIOCSTI])),
            EPERM
        );
        assert_eq!(
            judge(&program, &call(libc::SYS_ioctl, &[0, libc::TIOCLINUX])),
            EPERM
        );
        // High bits that the kernel ignores do not hide it.
        assert_eq!(
            judge(
                &program,
                &call(libc::SYS_ioctl, &[0, 1 << 32 | libc::TIOCSTI])
            ),
            EPERM
        );
        assert_eq!(
            judge(&program, &call(libc::SYS_personality, &[0x0004_0000])),
            EPERM
        );
    }

    #[test]
    fn the_other_system_call_tables_are_closed() {
        let program = filter(Sockets::Internet, None);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(
                judge(&program, &call(X32_BIT as c_long | libc::SYS_ptrace, &[])),
                ENOSYS
            );
        }
        let foreign = Call {
            architecture: 0x4000_0003,
            ..call(libc::SYS_read, &[])
        };
        assert_eq!(judge(&program, &foreign), libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn sockets_follow_the_mode() {
        let verdict = |sockets, family: i32, protocol: i32| {
            judge(
                &filter(sockets, None),
                &call(libc::SYS_socket, &[family as u64, 1, protocol as u64]),
            ) == ALLOW
        };
        for (family, protocol, internet, unix) in [
            (libc::AF_INET, 0, true, true),
            (libc::AF_INET6, 0, true, true),
            (libc::AF_NETLINK, libc::NETLINK_ROUTE, true, true),
            (libc::AF_NETLINK, libc::NETLINK_AUDIT, false, false),
            (libc::AF_UNIX, 0, false, true),
            (libc::AF_PACKET, 0, false, false),
            (libc::AF_VSOCK, 0, false, false),
            (libc::AF_ALG, 0, false, false),
        ] {
            assert!(!verdict(Sockets::Refused, family, protocol));
            assert_eq!(
                verdict(Sockets::Internet, family, protocol),
                internet,
                "{family} {protocol}"
            );
            assert_eq!(
                verdict(Sockets::InternetAndUnix, family, protocol),
                unix,
                "{family} {protocol}"
            );
        }
    }

    #[test]
    fn segments_of_shared_memory_are_small() {
        let program = filter(Sockets::Internet, None);
        let verdict = |bytes: u64| judge(&program, &call(libc::SYS_shmget, &[0, bytes, 0]));
        assert_eq!(verdict(0), ALLOW);
        assert_eq!(verdict(1 << 20), ALLOW);
        assert_eq!(verdict((1 << 20) + 1), ENOSPC);
        assert_eq!(verdict(1 << 32), ENOSPC);
    }

    #[test]
    fn only_large_writable_anonymous_memory_is_asked_about() {
        let limit = (5 << 32) + 10;
        let program = filter(Sockets::Internet, Some(limit));
        let (write, anonymous) = (
            libc::PROT_WRITE as u64,
            (libc::MAP_ANONYMOUS | libc::MAP_PRIVATE) as u64,
        );
        let asked = |len, prot, flags| {
            judge(&program, &call(libc::SYS_mmap, &[0, len, prot, flags]))
                == libc::SECCOMP_RET_USER_NOTIF
        };
        assert!(asked(limit, write, anonymous));
        assert!(asked(6 << 32, write, anonymous));
        assert!(!asked(limit - 1, write, anonymous));
        assert!(!asked(1 << 20, write, anonymous));
        assert!(!asked(limit, libc::PROT_READ as u64, anonymous));
        assert!(!asked(limit, write, libc::MAP_PRIVATE as u64));
        assert!(!asked(limit, write, anonymous | libc::MAP_NORESERVE as u64));
    }
}
