//! How a verb ends early, and where its output goes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use deskhand_protocol::git::GitReport;

use crate::request::{Answer, OutputLimits};

/// Why a verb stopped before its natural end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The command has to be handed over; the reason is a fragment.
    NotNative(String),
    /// git's own error: the text goes to standard error as it is.
    Fail {
        /// The exit code.
        code: i32,
        /// The whole text, with prefix and newline.
        text: Vec<u8>,
    },
    /// The caller asked to stop.
    Cancelled,
}

/// The result of everything inside this crate.
pub(crate) type Res<T> = Result<T, Stop>;

impl Stop {
    /// git's `die()`: `fatal: …`, exit code 128.
    pub(crate) fn fatal(message: impl AsRef<[u8]>) -> Stop {
        Stop::prefixed(128, "fatal: ", message)
    }

    /// git's `error()` as the last word of a command.
    pub(crate) fn error(code: i32, message: impl AsRef<[u8]>) -> Stop {
        Stop::prefixed(code, "error: ", message)
    }

    /// Hands the command over.
    pub(crate) fn not_native(reason: impl Into<String>) -> Stop {
        Stop::NotNative(reason.into())
    }

    /// Ends with a code; what is to be said was written already.
    pub(crate) fn exit(code: i32) -> Stop {
        Stop::Fail {
            code,
            text: Vec::new(),
        }
    }

    fn prefixed(code: i32, prefix: &str, message: impl AsRef<[u8]>) -> Stop {
        let mut text = prefix.as_bytes().to_vec();
        text.extend_from_slice(message.as_ref());
        text.push(b'\n');
        Stop::Fail { code, text }
    }
}

impl From<git2::Error> for Stop {
    /// What libgit2 cannot do is left to git, which also words the error.
    fn from(error: git2::Error) -> Stop {
        Stop::NotNative(format!("libgit2 says: {}", error.message()))
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::NotNative(format!("reading failed: {error}"))
    }
}

/// Where a verb writes.
pub(crate) struct Out {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    omitted: u64,
    limits: OutputLimits,
    /// What every line begins with while it is not empty: the columns of a graph, `--line-prefix`.
    prefix: Vec<u8>,
    /// Whether the next byte begins a line.
    at_line_start: bool,
    /// Standard error.
    pub(crate) stderr: Vec<u8>,
    /// The exit code, 0 unless set.
    pub(crate) code: i32,
    /// The report, if the verb makes one.
    pub(crate) report: Option<GitReport>,
}

impl Out {
    pub(crate) fn new(limits: OutputLimits) -> Out {
        Out {
            head: Vec::new(),
            tail: VecDeque::new(),
            omitted: 0,
            limits,
            prefix: Vec::new(),
            at_line_start: true,
            stderr: Vec::new(),
            code: 0,
            report: None,
        }
    }

    /// Appends to standard output.
    pub(crate) fn put(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if self.prefix.is_empty() {
            self.append(bytes);
            return;
        }
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            if self.at_line_start {
                let prefix = std::mem::take(&mut self.prefix);
                self.append(&prefix);
                self.prefix = prefix;
            }
            self.append(line);
            self.at_line_start = line.ends_with(b"\n");
        }
    }

    /// Sets what the lines that follow begin with; returns what it was.
    pub(crate) fn set_prefix(&mut self, prefix: Vec<u8>) -> Vec<u8> {
        self.at_line_start = true;
        std::mem::replace(&mut self.prefix, prefix)
    }

    /// Says whether lines begin with something.
    pub(crate) fn has_prefix(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Returns the columns every line begins with.
    pub(crate) fn prefix_width(&self) -> usize {
        crate::compare::stat::width_of(&self.prefix)
    }

    fn append(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        let room = self.limits.head.saturating_sub(self.head.len());
        if room >= bytes.len() {
            self.head.extend_from_slice(bytes);
            return;
        }
        self.head.extend_from_slice(&bytes[..room]);
        bytes = &bytes[room..];
        if bytes.len() > self.limits.tail {
            let cut = bytes.len() - self.limits.tail;
            self.omitted += cut as u64;
            bytes = &bytes[cut..];
        }
        let over = (self.tail.len() + bytes.len()).saturating_sub(self.limits.tail);
        self.omitted += over as u64;
        self.tail.drain(..over);
        self.tail.extend(bytes);
    }

    /// Appends to standard error, up to the head limit.
    pub(crate) fn warn(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let room = self.limits.head.saturating_sub(self.stderr.len());
        self.stderr
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(crate) fn into_answer(mut self) -> Answer {
        self.head.extend(self.tail);
        Answer {
            stdout: self.head,
            stderr: self.stderr,
            returncode: self.code,
            omitted: self.omitted,
            data: self.report,
        }
    }
}

/// The caller's wish to stop, looked at inside long loops.
#[derive(Clone, Copy)]
pub(crate) struct Cancel<'a>(pub(crate) &'a AtomicBool);

impl Cancel<'_> {
    /// Ends the verb when the caller asked for it.
    pub(crate) fn check(self) -> Res<()> {
        if self.0.load(Ordering::Relaxed) {
            Err(Stop::Cancelled)
        } else {
            Ok(())
        }
    }
}
