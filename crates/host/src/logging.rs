//! What is logged, and where: standard error, and a file of bounded size.
//!
//! Other crates are heard from `info` on and never below, whatever the filter says: what libraries
//! log of their wire at `trace` includes headers, and with them tokens. One that logs its messages at
//! `info` is heard from `warn` on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    config::{Config, Origin},
    files,
};

/// Size at which the log begins anew; the one before is kept beside it as `deskhand.log.1`.
const MAX_LOG_BYTES: u64 = 4 * 1024 * 1024;

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error("understand the log filter `{filter}`: {reason}")]
    Filter {
        /// The filter.
        filter: String,
        /// Why.
        reason: String,
    },
    /// The file cannot be written.
    #[error("open the log `{}`", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else logs in this process.
    #[error("start logging twice in one process")]
    Twice,
}

/// Whether a process that stays logs to standard error besides its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToStderr {
    /// It does. A person at a terminal who asked for nothing gets warnings there and finds the rest
    /// in the file.
    Yes,
    /// It does not: nobody reads it, and where it goes has no bound.
    No,
}

/// Starts logging for a process that stays.
pub fn start(config: &Config, file: &Path, to_stderr: ToStderr) -> Result<(), LoggingError> {
    let wanted = config.log.value.as_str();
    let on_stderr = match to_stderr {
        ToStderr::No => "off",
        ToStderr::Yes if config.log.origin == Origin::Default && io::stderr().is_terminal() => {
            "warn"
        }
        ToStderr::Yes => wanted,
    };
    let log = BoundedFile::open(file, MAX_LOG_BYTES).map_err(|source| LoggingError::File {
        path: file.to_owned(),
        source,
    })?;
    let to_file = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Mutex::new(log))
        .with_filter(filter(wanted)?);
    let to_stderr = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .with_filter(filter(on_stderr)?);
    tracing_subscriber::registry()
        .with(filter_fn(may_be_heard))
        .with(to_file)
        .with(to_stderr)
        .try_init()
        .map_err(|_| LoggingError::Twice)
}

/// Starts logging for a command that ends: to standard error, warnings unless something was asked
/// for.
pub fn start_for_command(config: &Config) -> Result<(), LoggingError> {
    let filter = filter(match config.log.origin {
        Origin::Default => "warn",
        Origin::File { .. } | Origin::Variable(_) | Origin::Flag(_) => &config.log.value,
    })?;
    tracing_subscriber::registry()
        .with(filter_fn(may_be_heard))
        .with(
            tracing_subscriber::fmt::layer()
                .with_ansi(io::stderr().is_terminal())
                .with_writer(io::stderr)
                .with_filter(filter),
        )
        .try_init()
        .map_err(|_| LoggingError::Twice)
}

fn filter(wanted: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(wanted).map_err(|error| LoggingError::Filter {
        filter: wanted.to_owned(),
        reason: error.to_string(),
    })
}

fn may_be_heard(metadata: &tracing::Metadata<'_>) -> bool {
    let target = metadata.target();
    let finest = match target {
        _ if target.starts_with("deskhand") => return true,
        // It tells at `info` of every message it reads.
        _ if target.starts_with("rmcp") => Level::WARN,
        _ => Level::INFO,
    };
    *metadata.level() <= finest
}

/// A file that begins anew when it is full, keeping the one before.
struct BoundedFile {
    path: PathBuf,
    file: File,
    n_bytes: u64,
    max_bytes: u64,
}

impl BoundedFile {
    fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = files::private(OpenOptions::new().append(true).create(true)).open(path)?;
        let n_bytes = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            n_bytes,
            max_bytes,
        })
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let mut previous = self.path.clone().into_os_string();
        previous.push(".1");
        fs::rename(&self.path, previous)?;
        *self = Self::open(&self.path, self.max_bytes)?;
        Ok(())
    }
}

impl Write for BoundedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.n_bytes > 0 && self.n_bytes + bytes.len() as u64 > self.max_bytes {
            self.begin_anew()?;
        }
        let n = self.file.write(bytes)?;
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_keeps_the_one_before() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("deskhand.log");
        let mut log = BoundedFile::open(&path, 10).unwrap();
        for line in ["aaaaa\n", "bbb\n", "ccccc\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        drop(log);
        let mut log = BoundedFile::open(&path, 10).unwrap();
        log.write_all(b"dd\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ccccc\ndd\n");
        let previous = temp.path().join("deskhand.log.1");
        assert_eq!(fs::read_to_string(previous).unwrap(), "aaaaa\nbbb\n");
    }
}
