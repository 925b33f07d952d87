//! `deskhand tasks`.

use std::str::FromStr;

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use deskhand_protocol::{Seq, Source, TaskStatus, Timestamp, event::Stream};

use super::RelayArgs;

/// List, read, follow and cancel tasks
///
/// ID is a task's uid, or your own name for it.
#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
    #[command(subcommand)]
    pub(crate) command: TasksCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    List(TasksListArgs),
    /// Show one task and how it ended
    Show {
        /// Which task
        id: String,
    },
    Output(TasksOutputArgs),
    /// Print what happened to a task, and what happens until it ends
    Events {
        /// Which task
        id: String,
        /// Only what came after this number
        #[arg(long, value_name = "SEQ", default_value = "0", value_parser = seq)]
        after: Seq,
    },
    /// Ask to end a task, gently first
    Cancel {
        /// Which task
        id: String,
    },
    /// Follow a task as `run` does and exit with its code; without ID, every task as it changes
    Watch {
        /// Which task
        id: Option<String>,
    },
    /// Forget what finished tasks on this computer printed and did
    Clear {
        /// Do not ask first
        #[arg(long)]
        yes: bool,
    },
}

/// List tasks, newest first
#[derive(Debug, Args)]
pub(crate) struct TasksListArgs {
    /// Only tasks that are there
    #[arg(long, value_parser = status())]
    pub(crate) status: Option<TaskStatus>,
    /// Only tasks that came through this door
    #[arg(long, value_parser = source())]
    pub(crate) source: Option<Source>,
    /// Only tasks asked for since: a length of time such as 90s, 15m, 2h, 7d, or a point in time
    /// such as 2026-11-20T08:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Since>,
    /// Only tasks of this computer, by id or name
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

/// Print exactly what a task has printed
///
/// Each stream to its own; with --stream, that one to standard output.
#[derive(Debug, Args)]
pub(crate) struct TasksOutputArgs {
    /// Which task
    pub(crate) id: String,
    /// Only this stream [default: each to its own]
    #[arg(long, value_parser = stream())]
    pub(crate) stream: Option<Stream>,
    /// Where to begin, in bytes
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: u64,
    /// How many bytes at most [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

/// A length of time before now, or a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Seconds(i64),
    At(Timestamp),
}

impl Since {
    pub(crate) fn timestamp(self, now: Timestamp) -> Timestamp {
        match self {
            Since::At(at) => at,
            Since::Seconds(seconds) => {
                Timestamp::from_second(now.as_second().saturating_sub(seconds))
                    .unwrap_or(Timestamp::MIN)
            }
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "use a length of time such as 90s, 15m, 2h or 7d, or a point in time \
                            such as 2026-11-20T08:00:00Z";
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return text.parse().map(Since::At).map_err(|_| RULE),
        };
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| RULE)?;
        Ok(Since::Seconds(i64::from(count) * unit))
    }
}

fn seq(text: &str) -> Result<Seq, std::num::ParseIntError> {
    text.parse().map(Seq)
}

fn status() -> impl TypedValueParser<Value = TaskStatus> {
    PossibleValuesParser::new(TaskStatus::ALL.map(TaskStatus::as_str))
        .map(|word| TaskStatus::parse(&word).expect("the words are those of TaskStatus"))
}

fn source() -> impl TypedValueParser<Value = Source> {
    PossibleValuesParser::new(Source::ALL.map(Source::as_str))
        .map(|word| Source::parse(&word).expect("the words are those of Source"))
}

fn stream() -> impl TypedValueParser<Value = Stream> {
    PossibleValuesParser::new(["stdout", "stderr"]).map(|word| match word.as_str() {
        "stdout" => Stream::Stdout,
        _ => Stream::Stderr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_length_or_a_point() {
        assert_eq!("15m".parse(), Ok(Since::Seconds(900)));
        assert_eq!("7d".parse(), Ok(Since::Seconds(604_800)));
        assert!(matches!("2026-11-20T08:00:00Z".parse(), Ok(Since::At(_))));
        for bad in ["", "m", "1w", "-1h", "yesterday", "99999999999d", "ü"] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
    }
}
