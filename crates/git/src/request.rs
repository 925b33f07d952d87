//! What a caller asks and what it gets: the public types of this crate.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::PathBuf;

use deskhand_protocol::git::GitReport;

/// One git command to answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// The whole command line; the first element is `git`.
    pub argv: Vec<OsString>,
    /// The absolute directory the command runs in.
    pub cwd: PathBuf,
    /// A canonical directory that the repository has to lie in, with its work tree and its objects: one that reaches
    /// outside is not native. Its own configuration could point anywhere.
    pub within: Option<PathBuf>,
    /// The variables git would read.
    pub env: Environment,
    /// What the command would read from standard input; `None` is an empty input.
    pub stdin: Option<Input>,
    /// How much output is kept.
    pub limits: OutputLimits,
}

/// Where standard input comes from. Nothing is read before the command asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The standard input of this process, read to its end.
    Process,
}

impl Input {
    /// The most that is read.
    const MAX_BYTES: u64 = 256 << 20;

    /// Reads everything; more than the limit is an error.
    pub(crate) fn read(&self) -> std::io::Result<Vec<u8>> {
        match self {
            Input::Bytes(bytes) => Ok(bytes.clone()),
            Input::Process => {
                let mut bytes = Vec::new();
                let mut input = std::io::stdin().lock().take(Input::MAX_BYTES + 1);
                input.read_to_end(&mut bytes)?;
                if bytes.len() as u64 > Input::MAX_BYTES {
                    return Err(std::io::Error::other("too much input"));
                }
                Ok(bytes)
            }
        }
    }
}

/// The environment of a command: only what is in here is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    vars: BTreeMap<OsString, OsString>,
    terminal: bool,
}

impl Environment {
    /// Returns the value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.vars.insert(name.into(), value.into());
    }

    /// Says that somebody sits at a terminal, whom git may ask for a message with an editor.
    pub fn set_terminal(&mut self) {
        self.terminal = true;
    }

    /// Returns whether somebody sits at a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns all variables in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Says whether a variable matters to git, so that a caller can copy only those.
    pub fn is_relevant(name: &OsStr) -> bool {
        let Some(name) = name.to_str() else {
            return false;
        };
        name.starts_with("GIT_")
            || name.starts_with("LC_")
            || matches!(
                name,
                "HOME"
                    | "XDG_CONFIG_HOME"
                    | "COLUMNS"
                    | "TZ"
                    | "LANG"
                    | "LANGUAGE"
                    | "TERM"
                    | "NO_COLOR"
                    | "EMAIL"
                    | "USER"
                    | "LOGNAME"
                    | "PATH"
                    | "PWD"
                    | "PAGER"
                    | "EDITOR"
                    | "VISUAL"
            )
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(vars: I) -> Self {
        Environment {
            vars: vars
                .into_iter()
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
            terminal: false,
        }
    }
}

/// How much of standard output is kept while it is made: the first `head` and the last `tail` bytes.
///
/// Standard error is kept up to `head` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Bytes kept from the beginning.
    pub head: usize,
    /// Bytes kept from the end.
    pub tail: usize,
}

impl Default for OutputLimits {
    /// 4 MiB and 4 MiB, what a device keeps of an output.
    fn default() -> Self {
        OutputLimits {
            head: 4 << 20,
            tail: 4 << 20,
        }
    }
}

/// How a request was dealt with.
#[derive(Debug)]
pub enum Exec {
    /// Answered in process.
    Answer(Answer),
    /// Not implemented natively; nothing was written and nothing printed.
    NotNative(NotNative),
}

/// A command's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What git prints on standard output; at most `limits.head + limits.tail` bytes.
    pub stdout: Vec<u8>,
    /// What git prints on standard error.
    pub stderr: Vec<u8>,
    /// git's exit code; 130 when the command was cancelled.
    pub returncode: i32,
    /// Bytes of standard output left out after the first `limits.head`; 0 when `stdout` is whole.
    pub omitted: u64,
    /// The same as data, where the command has a report.
    pub data: Option<GitReport>,
}

/// Why a command is not native, as a fragment that reads after "not native: ".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotNative {
    /// The reason, for example ``option `--word-diff` ``.
    pub reason: String,
}
