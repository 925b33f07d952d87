//! `deskhand schedules`.

use clap::{Args, Subcommand, ValueEnum};
use deskhand_protocol::schedule::Missed;

/// Tasks that recur on this computer
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List them, and when each runs next
    List,
    /// Show one, with its next and its last runs
    Show {
        /// Which one
        name: String,
    },
    Add(Box<SchedulesAddArgs>),
    /// Start a run now, beside the planned ones
    Run {
        /// Which one
        name: String,
    },
    /// Have one run again, from now on
    Enable {
        /// Which one
        name: String,
    },
    /// Have one not run, until it is enabled
    Disable {
        /// Which one
        name: String,
    },
    /// Remove one; the tasks it made stay
    Remove {
        /// Which one
        name: String,
    },
}

/// Add a schedule
///
/// WHEN is `every(5 minute)`, `cron(0 9 * * 1-5)` or `at(2026-11-21 09:00)`. `git …` becomes a git
/// action, everything else a shell action, under the same rules as any other task.
#[derive(Debug, Args)]
pub(crate) struct SchedulesAddArgs {
    /// Its name
    pub(crate) name: String,
    /// When it runs
    pub(crate) when: String,
    /// IANA time zone in which `cron` and `at` are read [default: this computer's]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// What happens to runs that were due while this computer was off, asleep or paused
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = MissedArg::Skip)]
    pub(crate) missed: MissedArg,
    /// How late a missed run may still start, in seconds [default: 86400]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_age: Option<u32>,
    /// Start a run although an earlier one has not ended
    #[arg(long)]
    pub(crate) overlap: bool,
    /// Change the schedule of that name instead; its history stays
    #[arg(long)]
    pub(crate) replace: bool,
    /// Directory to run it in [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// How long a run may take, in seconds, 1 to 3600 [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: Option<u32>,
    /// A title for lists [default: the schedule's name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Run a line in a shell, with pipes and all
    #[arg(long, value_name = "LINE", conflicts_with = "argv")]
    pub(crate) line: Option<String>,
    /// The program and its arguments
    #[arg(
        value_name = "ARGV",
        required_unless_present = "line",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) argv: Vec<String>,
}

/// What happens to missed runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MissedArg {
    /// They are left out
    Skip,
    /// One run makes up for all of them
    Once,
    /// Each of them is run, oldest first
    All,
}

impl From<MissedArg> for Missed {
    fn from(missed: MissedArg) -> Self {
        match missed {
            MissedArg::Skip => Missed::Skip,
            MissedArg::Once => Missed::Once,
            MissedArg::All => Missed::All,
        }
    }
}
