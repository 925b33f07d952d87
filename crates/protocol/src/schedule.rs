//! Schedules: task requests that recur, kept and carried out by the device itself.

use serde::{Deserialize, Serialize};

use crate::{TaskId, TaskRequest, TaskStatus, Timestamp};

/// A schedule as its owner writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewSchedule {
    /// Its name: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// When it runs: `every(5 minute)`, `cron(0 9 * * 1-5)` or `at(2026-11-21 09:00)`.
    pub when: String,
    /// The IANA time zone in which `cron` and `at` are read; the device's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub time_zone: Option<String>,
    /// What happens to runs that were due while the device could not start them.
    #[serde(default)]
    pub missed: Missed,
    /// How late a missed run may still start, in seconds; a day when absent.
    #[serde(default = "default_max_age_seconds")]
    pub max_age_seconds: u32,
    /// Whether a run may start while an earlier one has not ended.
    #[serde(default)]
    pub overlap: bool,
    /// The task of each run. It names no device and no `task_id`.
    pub request: TaskRequest,
}

/// A day: what was due yesterday is of use to few.
pub fn default_max_age_seconds() -> u32 {
    24 * 3_600
}

/// What happens to runs that were due while the device was off, asleep or paused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Missed {
    /// They are left out.
    #[default]
    Skip,
    /// One run makes up for all of them.
    Once,
    /// Each of them is run, oldest first.
    All,
}

/// A schedule as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleView {
    /// What the owner wrote, with the time zone filled in.
    pub schedule: NewSchedule,
    /// Whether it runs.
    pub enabled: bool,
    /// When it was added.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub created_at: Timestamp,
    /// When it runs next; none when it is disabled or has no more runs.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub next_run_at: Option<Timestamp>,
    /// Its last run, or the last one that was left out.
    pub last_run: Option<ScheduledRun>,
    /// How many due runs were left out, since it was added.
    pub n_left_out: u64,
}

/// One run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduledRun {
    /// When it was due.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub planned_at: Timestamp,
    /// Its task; none when it was left out.
    pub task_id: Option<TaskId>,
    /// Where the task is; none when it was left out or its task was forgotten.
    pub status: Option<TaskStatus>,
    /// Its exit code, once it ran to its end.
    #[serde(default)]
    pub returncode: Option<i32>,
    /// Why it was left out.
    pub left_out: Option<LeftOut>,
    /// When it was started, or left out.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub decided_at: Option<Timestamp>,
}

/// Runs of a schedule that were left out together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftOutRuns {
    /// The schedule's name.
    pub schedule: String,
    /// Why.
    pub left_out: LeftOut,
    /// How many.
    pub n_runs: u64,
    /// When the last of them was due.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub planned_at: Timestamp,
}

/// Why a due run was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LeftOut {
    /// The device could not start it in time.
    Missed,
    /// An earlier run had not ended.
    Overlap,
}

impl LeftOut {
    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            LeftOut::Missed => "missed",
            LeftOut::Overlap => "overlap",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [LeftOut::Missed, LeftOut::Overlap]
            .into_iter()
            .find(|left_out| left_out.as_str() == word)
    }
}
