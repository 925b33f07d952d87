//! What an assistant can ask for: nine tools, the same through every door that speaks to one.
//!
//! The tools add nothing to the task flow: they go the way every task goes, and put the answer into
//! words, sizes and next steps that a model can act on. A call never outlives its wait; the task does.

mod answer;
mod arguments;
mod schema;
pub(crate) mod texts;

use std::{sync::Arc, time::Duration};

use deskhand_protocol::{
    Action, Command, DeviceId, ErrorCode, Problem, TaskId, TaskRequest,
    device_request::{DeviceRequest, DeviceResponse},
    event::Stream,
    limits::ASK_DEVICE,
    relay_request::{DeviceView, Scope},
    task::{GitAction, OnOffline, ShellAction},
};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

pub(crate) use answer::Answer;
pub(crate) use arguments::Arguments;
pub(crate) use schema::{input, output};

use crate::{
    State,
    broker::Record,
    http::Caller,
    known_tasks::{self, ListQuery, visible},
    prompt::Computer,
    submit::{self, Submission, Submitted, output_so_far, reached_devices},
};

/// Characters of an answer when the call does not say.
pub(crate) const DEFAULT_CHARS: usize = 30_000;

/// Most characters of an answer. MCP sends an answer in two renditions, and some clients give both to
/// their model: together they stay below 90,000.
pub(crate) const MAX_CHARS: usize = 45_000;

/// How long a call waits when it does not say: the strictest clients give up at 30 s.
const DEFAULT_WAIT: Duration = Duration::from_secs(25);

/// Computers that are asked for their workspaces in one call.
const MAX_DEVICES: usize = 32;

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    ListDevices,
    GitInspect,
    GitRun,
    ShellRun,
    GetTask,
    WaitTask,
    ReadOutput,
    ListTasks,
    CancelTask,
}

impl Tool {
    /// Every tool, in the order in which they are listed.
    pub(crate) const ALL: [Self; 9] = [
        Self::ListDevices,
        Self::GitInspect,
        Self::GitRun,
        Self::ShellRun,
        Self::GetTask,
        Self::WaitTask,
        Self::ReadOutput,
        Self::ListTasks,
        Self::CancelTask,
    ];

    /// Returns the name by which it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ListDevices => "list_devices",
            Self::GitInspect => "git_inspect",
            Self::GitRun => "git_run",
            Self::ShellRun => "shell_run",
            Self::GetTask => "get_task",
            Self::WaitTask => "wait_task",
            Self::ReadOutput => "read_output",
            Self::ListTasks => "list_tasks",
            Self::CancelTask => "cancel_task",
        }
    }

    /// Returns the tool of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Tells whether a caller's key is good for the tool at all.
    pub(crate) fn is_open_to(self, caller: &Caller) -> bool {
        self.scopes().iter().any(|scope| caller.key.may(*scope))
    }

    /// The scopes of which one is needed.
    pub(crate) const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::GitInspect | Self::GitRun | Self::ShellRun | Self::CancelTask => {
                &[Scope::TasksRun]
            }
            Self::ListDevices | Self::GetTask | Self::WaitTask | Self::ReadOutput => {
                &[Scope::TasksRun, Scope::TasksRead, Scope::DevicesRead]
            }
            Self::ListTasks => &[Scope::TasksRead, Scope::DevicesRead],
        }
    }
}

/// Calls a tool. `begun` hears which task the call is about, as soon as that is known. Dropping the
/// future ends the wait and nothing else.
pub(crate) async fn call(
    state: &State,
    caller: &Caller,
    tool: Tool,
    arguments: Map<String, Value>,
    begun: oneshot::Sender<TaskId>,
) -> Answer {
    let called = async {
        if !tool.is_open_to(caller) {
            caller.needs(tool.scopes()[0])?;
        }
        let arguments = Arguments::read(tool, arguments)?;
        match tool {
            Tool::ListDevices => list_devices(state, caller).await,
            Tool::GitInspect | Tool::GitRun | Tool::ShellRun => {
                run(state, caller, tool, arguments, begun).await
            }
            Tool::GetTask => {
                let record = visible(state, caller, &arguments.task_id).await?;
                shown(state, &record, &arguments).await
            }
            Tool::WaitTask => {
                let record = visible(state, caller, &arguments.task_id).await?;
                // Whoever asked does not wait for it any more.
                let _ = begun.send(record.task.task_id);
                let record = known_tasks::wait(state, record, arguments.wait()).await?;
                shown(state, &record, &arguments).await
            }
            Tool::ReadOutput => {
                let record = visible(state, caller, &arguments.task_id).await?;
                let stream = arguments.stream.unwrap_or(Stream::Stdout);
                let limit = arguments.max_chars() as u64;
                let offset = arguments.offset.unwrap_or(0);
                let range = known_tasks::read_output(state, &record, stream, offset, limit).await?;
                Ok(answer::range(&record, stream, range, arguments.max_chars()))
            }
            Tool::ListTasks => list_tasks(state, caller, arguments).await,
            Tool::CancelTask => {
                let record = visible(state, caller, &arguments.task_id).await?;
                let record = known_tasks::cancel(state, record).await?;
                shown(state, &record, &arguments).await
            }
        }
    };
    called
        .await
        .unwrap_or_else(|problem| answer::problem(&problem))
}

/// Turns a call that began a task into one that goes on waiting for it, as long and as large.
pub(crate) fn waits_on(
    task_id: TaskId,
    arguments: Option<Map<String, Value>>,
) -> (Tool, Map<String, Value>) {
    let mut arguments = arguments.unwrap_or_default();
    let takes = texts::text(Tool::WaitTask).parameters;
    arguments.retain(|name, _| takes.iter().any(|parameter| parameter.name == name));
    arguments.insert("task_id".to_owned(), task_id.to_string().into());
    (Tool::WaitTask, arguments)
}

/// Returns the device a call is about, when it can be told.
pub(crate) fn device_of(
    state: &State,
    caller: &Caller,
    arguments: &Map<String, Value>,
) -> Option<DeviceId> {
    let named = arguments.get("device").and_then(Value::as_str);
    let device = submit::choose_device(state, &caller.key, named).ok()?;
    Some(device.device_id.clone())
}

async fn run(
    state: &State,
    caller: &Caller,
    tool: Tool,
    mut arguments: Arguments,
    begun: oneshot::Sender<TaskId>,
) -> Result<Answer, Problem> {
    let action = action(tool, &mut arguments)?;
    let wait = arguments.wait();
    let request = TaskRequest {
        device: arguments.device.take(),
        on_offline: Some(OnOffline::Fail),
        ..TaskRequest::new(action)
    };
    let submission = Submission {
        key: caller.key.clone(),
        source: caller.source,
        request_id: caller.request_id.clone(),
        request,
        wait: (!wait.is_zero()).then_some(wait),
        begun: Some(begun),
    };
    match submit::submit(state, submission).await {
        Ok(Submitted::Finished { record, .. }) => shown(state, &record, &arguments).await,
        Ok(Submitted::Accepted { record, .. }) => Ok(answer::task(
            &device_name(state, &record),
            &record,
            None,
            arguments.max_chars(),
        )),
        Ok(Submitted::WaitOver { record, output, .. }) => Ok(answer::task(
            &device_name(state, &record),
            &record,
            output.as_ref(),
            arguments.max_chars(),
        )),
        Err(refusal) => Err(refusal.problem),
    }
}

fn action(tool: Tool, arguments: &mut Arguments) -> Result<Action, Problem> {
    let timeout = match arguments.timeout_seconds {
        Some(seconds) => seconds
            .try_into()
            .map_err(|rule: &str| Problem::new(ErrorCode::InvalidRequest, rule))?,
        None => Default::default(),
    };
    let working_dir = arguments.working_dir.take();
    if tool == Tool::ShellRun {
        return Ok(Action::Shell(ShellAction {
            command: Command::Line(std::mem::take(&mut arguments.command)),
            working_dir,
            timeout,
            stdin: None,
            network: std::mem::take(&mut arguments.network),
            git_writes: false,
            read_only: arguments.read_only,
        }));
    }
    let mut words = std::mem::take(&mut arguments.args);
    if words.first().is_none_or(|word| word != "git") {
        words.insert(0, "git".to_owned());
    }
    Ok(Action::Git(GitAction {
        command: Command::Argv(words),
        working_dir,
        timeout,
        // What makes the tool's hint true: the agent holds the task to it.
        read_only: tool == Tool::GitInspect,
    }))
}

/// A task as it is, with what it printed so far.
async fn shown(state: &State, record: &Record, arguments: &Arguments) -> Result<Answer, Problem> {
    let so_far = match (&record.result, record.started_at) {
        (None, Some(_)) => output_so_far(state, &record.device, record.task.task_id).await,
        _ => None,
    };
    let output = record.result.as_ref().map(|result| &result.output);
    Ok(answer::task(
        &device_name(state, record),
        record,
        output.or(so_far.as_ref()),
        arguments.max_chars(),
    ))
}

fn device_name(state: &State, record: &Record) -> String {
    match state.devices.get(&record.device) {
        Some(device) => device.name.clone(),
        None => record.device.to_string(),
    }
}

async fn list_devices(state: &State, caller: &Caller) -> Result<Answer, Problem> {
    let devices = reached_devices(state, &caller.key);
    let n_more = devices.len().saturating_sub(MAX_DEVICES);
    let listed = devices.iter().take(MAX_DEVICES).map(async |device| {
        let view = state.device_view(device);
        let workspaces = workspaces(state, caller, &view).await;
        answer::device(&view, workspaces)
    });
    let listed = join_all(listed).await;
    Ok(answer::devices(listed, n_more))
}

/// The directories that are open to a caller on a computer; none are known while it is away.
async fn workspaces(state: &State, caller: &Caller, device: &DeviceView) -> Vec<Value> {
    let asked = state
        .registry
        .ask(&device.device_id, DeviceRequest::ListWorkspaces, ASK_DEVICE);
    let Ok(DeviceResponse::Workspaces { workspaces }) = asked.await else {
        return Vec::new();
    };
    let open = caller.key.view.limits.workspaces.as_deref();
    workspaces
        .iter()
        .filter(|workspace| {
            open.is_none_or(|open| open.contains(&workspace.name) || open.contains(&workspace.path))
        })
        .map(|workspace| json!({"name": workspace.name, "path": workspace.path}))
        .collect()
}

/// The computers of a caller and what is open to it there, as instructions name them.
pub(crate) async fn computers(state: &State, caller: &Caller) -> Result<Vec<Computer>, Problem> {
    if !Tool::ListDevices.is_open_to(caller) {
        caller.needs(Scope::DevicesRead)?;
    }
    let devices = reached_devices(state, &caller.key);
    let named = devices.iter().map(async |device| {
        let view = state.device_view(device);
        let open = workspaces(state, caller, &view).await;
        let paths = open.iter().filter_map(|one| one["path"].as_str());
        Computer {
            workspaces: paths.map(str::to_owned).collect(),
            name: view.device_name,
        }
    });
    Ok(join_all(named.take(MAX_DEVICES)).await)
}

async fn list_tasks(
    state: &State,
    caller: &Caller,
    arguments: Arguments,
) -> Result<Answer, Problem> {
    let query = ListQuery {
        status: arguments.status.map(|word| match word.as_str() {
            "running" => "in_progress".to_owned(),
            _ => word,
        }),
        device: arguments.device,
        limit: Some(arguments.limit.unwrap_or(20).clamp(1, 50)),
        cursor: arguments.cursor,
        ..ListQuery::default()
    };
    let (records, next_cursor) = known_tasks::list(state, caller, query).await?;
    let tasks = records
        .iter()
        .map(|record| answer::listed(&device_name(state, record), record))
        .collect();
    Ok(answer::tasks(tasks, next_cursor))
}

/// A task that has ended, as a call that waited for it is answered.
pub(crate) fn ended(state: &State, record: &Record) -> Answer {
    let output = record.result.as_ref().map(|result| &result.output);
    answer::task(&device_name(state, record), record, output, DEFAULT_CHARS)
}

/// How a task stands after a time, in one line of at most 200 characters.
pub(crate) fn stands(record: &Record, waited: Duration) -> String {
    answer::standing(Some(record), waited)
}

/// How a task that is waited for stands, in one line of at most 200 characters.
pub(crate) async fn standing(state: &State, task_id: TaskId, waited: Duration) -> String {
    let record = state.broker.get(task_id).await.ok().flatten().map(Arc::new);
    answer::standing(record.as_deref(), waited)
}
