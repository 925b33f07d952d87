//! `deskhand run`.

use clap::Args;
use deskhand_protocol::TaskName;

use super::RelayArgs;

/// Run a command as a task: stream its output and exit with its code
///
/// `git …` becomes a git action, everything else a shell action. Its standard output goes to standard
/// output, its standard error to standard error. Exits with the command's own code (128+n when signal
/// n ended it); its own failures are 121 denied, 122 not reachable, 123 not authorised, 124 wait over
/// and still running, 125 the task failed to run. Ctrl-C asks to cancel the task; a second one leaves
/// it to itself.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Computer to run it on, by id or name [default: this one]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// Directory to run it in [default: the current one; another computer's default workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// How long it may run, in seconds, 1 to 3600 [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: Option<u32>,
    /// How long to wait for its end, in seconds; it runs on afterwards [default: until it ends]
    #[arg(long, value_name = "SECONDS", conflicts_with = "detach")]
    pub(crate) wait: Option<u64>,
    /// Print the task's id and return; an offline computer gets the task when it comes back
    #[arg(long)]
    pub(crate) detach: bool,
    /// Your own name for the task; the same name with the same command is not run twice
    #[arg(long, value_name = "NAME")]
    pub(crate) task_id: Option<TaskName>,
    /// Host it wants to reach; may be given more than once. The owner's rules decide, or the owner
    #[arg(long, value_name = "HOST")]
    pub(crate) network: Vec<String>,
    /// Say that it wants to write `.git`
    #[arg(long)]
    pub(crate) git_writes: bool,
    /// Hold it to reading
    #[arg(long)]
    pub(crate) read_only: bool,
    /// A title for lists
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
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
