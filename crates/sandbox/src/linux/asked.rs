//! What the kernel asks the supervisor about: calls that want so much that a limit will refuse them.
//!
//! A program that is refused goes on or ends as it likes, and nothing tells that it met a limit. So the filter has the kernel
//! ask before such a call, the supervisor takes note and lets it go on to be refused. Nothing is decided here: another thread
//! of the program could change what was asked about.

use std::os::unix::fs::FileTypeExt;

use libc::{BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JSET, BPF_K, c_long, sock_filter};

use super::seccomp::{ALLOW, high, instruction, jump, load, low, ret};
use crate::spawn::Limit;

/// From how much on the kernel asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Large {
    /// Private memory mapped at once.
    pub(super) mapping_bytes: u64,
    /// The length of a file.
    pub(super) file_bytes: u64,
}

/// A call that is waiting for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) id: u64,
    pub(super) pid: u32,
    pub(super) call: c_long,
    pub(super) arguments: [u64; 6],
}

const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;

/// An argument with its highest bit set is negative, and refused without us.
const NEGATIVE: u32 = 0x8000_0000;

/// Returns the rules of the filter that ask.
pub(super) fn rules(large: Large) -> Vec<(c_long, Vec<sock_filter>)> {
    let (memory, file) = (large.mapping_bytes, large.file_bytes);
    // Shared memory that is only reserved is not counted by the kernel either.
    const SHARED: u32 = (libc::MAP_SHARED | libc::MAP_NORESERVE) as u32;
    let mapping = [
        load(low(2)),
        jump(BPF_JSET, libc::PROT_WRITE as u32, 0, 5),
        load(low(3)),
        jump(BPF_JSET, libc::MAP_ANONYMOUS as u32, 0, 3),
        instruction(BPF_ALU | BPF_AND | BPF_K, SHARED, 0, 0),
        jump(BPF_JEQ, SHARED, 1, 0),
        ret(ASK),
    ];
    let made_writable = [
        load(low(2)),
        jump(BPF_JSET, libc::PROT_WRITE as u32, 0, 1),
        ret(ASK),
    ];
    let from_start = [
        load(low(2)),
        jump(BPF_JEQ, libc::SEEK_SET as u32, 0, 1),
        ret(ASK),
    ];
    vec![
        (libc::SYS_mmap, when_large(1, memory, &mapping)),
        (libc::SYS_mprotect, when_large(1, memory, &made_writable)),
        (libc::SYS_mremap, when_large(2, memory, &[ret(ASK)])),
        (libc::SYS_truncate, when_large(1, file, &[ret(ASK)])),
        (libc::SYS_ftruncate, when_large(1, file, &[ret(ASK)])),
        (libc::SYS_fallocate, when_large(3, file, &[ret(ASK)])),
        (libc::SYS_pwrite64, when_large(3, file, &[ret(ASK)])),
        (libc::SYS_lseek, when_large(1, file, &from_start)),
    ]
}

/// Goes on with `then`, which must end with an answer, when argument `n` is `bytes` or more, and else allows.
fn when_large(n: u32, bytes: u64, then: &[sock_filter]) -> Vec<sock_filter> {
    let (high_half, low_half) = ((bytes >> 32) as u32, bytes as u32);
    let past = then.len() as u8;
    let mut rule = vec![
        load(high(n)),
        jump(BPF_JGE, NEGATIVE, past + 4, 0),
        jump(BPF_JGT, high_half, 3, 0),
        jump(BPF_JEQ, high_half, 0, past + 2),
        load(low(n)),
        jump(BPF_JGE, low_half, 0, past),
    ];
    rule.extend_from_slice(then);
    rule.push(ret(ALLOW));
    rule
}

/// Returns the limit that the call is about to meet.
pub(super) fn limit_of(question: &Question) -> Option<Limit> {
    match question.call {
        libc::SYS_mmap | libc::SYS_mprotect | libc::SYS_mremap => Some(Limit::MemoryLimit),
        libc::SYS_lseek => leads_past_the_end(question).then_some(Limit::FileSizeLimit),
        _ => Some(Limit::FileSizeLimit),
    }
}

/// Whether it is a file that may be written and that ends before: who only reads has no business there.
fn leads_past_the_end(question: &Question) -> bool {
    let [descriptor, to, ..] = question.arguments;
    let of_process = |what: &str| format!("/proc/{}/{what}/{}", question.pid, descriptor as i32);
    let opened = std::fs::read_to_string(of_process("fdinfo")).unwrap_or_default();
    let mut flags = opened
        .lines()
        .filter_map(|line| line.strip_prefix("flags:"));
    let flags = flags
        .next()
        .and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    let writable = flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY);
    writable
        && std::fs::metadata(of_process("fd"))
            .is_ok_and(|file| !file.file_type().is_block_device() && file.len() < to)
}
