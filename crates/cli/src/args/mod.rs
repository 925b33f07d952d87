//! The command line as types. Their doc comments are the help; `commands/` does what they say.

mod approvals;
mod audit;
mod callers;
mod config;
mod devices;
mod git_exec;
mod keys;
mod parts;
mod prompt;
#[cfg(test)]
mod reference;
mod rules;
mod run;
mod schedules;
mod tasks;
mod up;
mod viewer;
mod workspaces;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use approvals::ApprovalsCommand;
pub(crate) use audit::{AuditCommand, Format};
pub(crate) use callers::CallersCommand;
pub(crate) use config::{CompletionsArgs, ConfigCommand};
pub(crate) use devices::{DevicesArgs, DevicesCommand, EnrolArgs};
pub(crate) use git_exec::GitExecArgs;
pub(crate) use keys::{KeysCommand, KeysCreateArgs};
pub(crate) use parts::{AgentCommand, AgentRunArgs, RelayCommand, RelayServeArgs};
pub(crate) use prompt::PromptArgs;
pub(crate) use rules::{RulesAddArgs, RulesCommand, RulesTestArgs};
pub(crate) use run::RunArgs;
pub(crate) use schedules::{SchedulesAddArgs, SchedulesCommand};
pub(crate) use tasks::{TasksArgs, TasksCommand, TasksListArgs, TasksOutputArgs};
pub(crate) use up::{DownArgs, UpArgs};
pub(crate) use viewer::ViewerArgs;
pub(crate) use workspaces::WorkspacesCommand;

/// Lets an assistant, a script or a phone use this computer, under your rules.
///
/// Standard output is data, standard error is talk. Exit codes: 0 ok, 1 failed, 2 usage, 3 relay or
/// agent not reachable, 4 not authorised; `run` and `tasks watch` exit with the task's own code.
#[derive(Debug, Parser)]
#[command(
    name = "deskhand",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const COMMON: &str = "Common options";

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Directory that holds config, store, keys and logs of one installation
    #[arg(
        long,
        global = true,
        env = "DESKHAND_HOME",
        hide_env_values = true,
        value_name = "DIR",
        help_heading = COMMON
    )]
    pub(crate) home: Option<PathBuf>,
    /// Print data, and errors, as JSON
    #[arg(long, global = true, help_heading = COMMON)]
    pub(crate) json: bool,
}

/// Which relay to talk to.
#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// Relay to talk to, with the key in DESKHAND_API_KEY [default: DESKHAND_RELAY_URL, or the one
    /// that runs here]
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(UpArgs),
    Down(DownArgs),
    /// Show what is connected, what runs, what waits, and what this machine can enforce
    Status,
    Viewer(ViewerArgs),
    Run(RunArgs),
    Tasks(TasksArgs),
    Devices(DevicesArgs),
    Enrol(EnrolArgs),
    #[command(subcommand)]
    Workspaces(WorkspacesCommand),
    #[command(subcommand)]
    Rules(RulesCommand),
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    #[command(subcommand)]
    Audit(AuditCommand),
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    #[command(subcommand)]
    Keys(KeysCommand),
    #[command(subcommand)]
    Callers(CallersCommand),
    Prompt(PromptArgs),
    #[command(subcommand)]
    Relay(RelayCommand),
    #[command(subcommand)]
    Agent(AgentCommand),
    GitExec(GitExecArgs),
    /// Check everything that has to work, and say what mends what does not
    Doctor,
    #[command(subcommand)]
    Config(ConfigCommand),
    Completions(CompletionsArgs),
    /// Print the version
    Version,
}
