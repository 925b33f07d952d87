//! What a viewer asks of a device's past: what a search found, and how tasks went lately.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, event::Stream, task::TaskView};

/// A task that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct TaskHit {
    /// The task, without its result.
    pub task: TaskView,
    /// Where the text is in its output; none when it is in the command.
    pub found_in: Option<FoundIn>,
}

/// A line of output that holds what was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct FoundIn {
    /// On which stream.
    pub stream: Stream,
    /// The line, clipped around the first word that was found.
    pub line: String,
}

/// How tasks went in the last hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct TaskStatistics {
    /// From when on: the beginning of an hour.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub since: Timestamp,
    /// One entry per hour from then on, up to the hour that is not over.
    pub hours: Vec<HourOfTasks>,
    /// How long tasks ran.
    pub durations: Vec<DurationCount>,
    /// Per kind of action, most tasks first.
    pub actions: Vec<GroupOfTasks>,
    /// Per caller, most tasks first; 20 at most.
    pub callers: Vec<GroupOfTasks>,
}

/// The tasks that were asked for in one hour.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct HourOfTasks {
    /// Ended with exit code 0.
    pub n_succeeded: u64,
    /// Ended in any other way.
    pub n_failed: u64,
    /// Have not ended.
    pub n_open: u64,
}

/// How many tasks ran about this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct DurationCount {
    /// Shorter than this, in milliseconds, and not shorter than the entry before; none is the rest.
    pub under_ms: Option<u64>,
    /// How many.
    pub n_tasks: u64,
}

/// Tasks that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct GroupOfTasks {
    /// What they have in common.
    pub name: String,
    /// How many.
    pub n_tasks: u64,
    /// How many of them ended in another way than with exit code 0.
    pub n_failed: u64,
    /// Half of them ran no longer, in milliseconds.
    pub p50_ms: Option<u64>,
    /// All but one in twenty ran no longer, in milliseconds.
    pub p95_ms: Option<u64>,
}
