//! What each command does, one file each.

mod announce;
mod approvals;
mod audit;
mod callers;
mod completions;
mod config;
mod devices;
mod doctor;
mod down;
mod enrol;
mod follow;
pub(crate) mod git_exec;
mod keys;
mod output;
mod parts;
mod prompt;
mod rules;
mod run;
mod schedules;
mod status;
mod stay;
mod tasks;
mod up;
mod version;
mod viewer;
mod workspaces;

use crate::{
    args::{Command, TasksCommand},
    context::Context,
};

/// Does what was typed and returns the exit code.
pub(crate) async fn run(context: Context, command: Command) -> anyhow::Result<u8> {
    if !stays(&command) {
        // A setting that is wrong is told by the command that needs it.
        if let Ok(config) = context.config(&[]) {
            deskhand_host::logging::start_for_command(&config)?;
        }
    }
    match command {
        Command::Up(args) => up::run(&context, args).await,
        Command::Down(args) => down::run(&context, &args).await,
        Command::Status => status::run(&context).await,
        Command::Viewer(args) => viewer::run(&context, args).await,
        Command::Run(args) => run::run(&context, args).await,
        Command::Tasks(args) => tasks::run(&context, args).await,
        Command::Devices(args) => devices::run(&context, args).await,
        Command::Enrol(args) => enrol::run(&context, args).await,
        Command::Workspaces(command) => workspaces::run(&context, command).await,
        Command::Rules(command) => rules::run(&context, command).await,
        Command::Approvals(command) => approvals::run(&context, command).await,
        Command::Audit(command) => audit::run(&context, command).await,
        Command::Schedules(command) => schedules::run(&context, command).await,
        Command::Keys(command) => keys::run(&context, command).await,
        Command::Callers(command) => callers::run(&context, command).await,
        Command::Prompt(args) => prompt::run(&context, args).await,
        Command::Relay(command) => parts::relay(&context, command).await,
        Command::Agent(command) => parts::agent(&context, command).await,
        Command::GitExec(args) => git_exec::run(&context.environment, context.out, args),
        Command::Doctor => doctor::run(&context).await,
        Command::Config(command) => config::run(&context, &command),
        Command::Completions(args) => completions::run(&args),
        Command::Version => version::run(&context),
    }
}

/// Tells whether a command stands for a task and so exits with the task's codes.
pub(crate) fn runs_a_task(command: &Command) -> bool {
    match command {
        Command::Run(_) => true,
        Command::Tasks(tasks) => matches!(tasks.command, TasksCommand::Watch { id: Some(_) }),
        _ => false,
    }
}

/// Tells whether a command stays and keeps a log of its own.
fn stays(command: &Command) -> bool {
    match command {
        Command::Up(args) => !args.detach,
        Command::Relay(_) | Command::Agent(_) => true,
        _ => false,
    }
}
