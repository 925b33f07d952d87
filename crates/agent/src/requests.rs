//! Answers what a window, the command line or the relay asks the agent.
//!
//! The door a request came through decides what it may change: what changes the owner's rules is
//! local, so that a relay that was taken over can ask for tasks and nothing else.

use std::{path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use deskhand_policy::workspace;
use deskhand_protocol::{
    Action, Command, ErrorCode, Problem, Seq, Source, TaskId, TaskRequest, Timestamp,
    device_request::{DeviceRequest, DeviceResponse, DeviceStatus, OutputRange, TaskFilter},
    event::Stream,
    history::TaskHit,
    limits::{ANSWER_HEAD_BYTES, ANSWER_TAIL_BYTES, MAX_RANGE_BYTES, MAX_TEXT_BYTES},
    outcome::{Engine, Excerpt},
    policy::{CallerLimits, Explanation, Level, TestedCommand},
    task::{GitAction, ShellAction, TaskView},
};
use deskhand_sqlite::Sync;
use rusqlite::Connection;

use crate::{
    approvals, born, callers,
    device::Device,
    dispatcher::Dispatcher,
    excerpt::{self, Ends},
    health, judge, schedules,
    store::{
        audit, events,
        history::{self, Listed},
        ledger::{self, Entry},
        output::{self, Read},
        search::{self, TEXT_BYTES, Words},
        workspaces,
    },
};

/// The door a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// This computer's window or control socket.
    Local,
    /// The link: a relay asks.
    Link,
}

/// The longest a cancelled task may take to end gently.
const LONGEST_GRACE: Duration = Duration::from_secs(60);

/// Most rows of the audit trail in one answer.
const AUDIT_ROWS: u32 = 1_000;

/// Most events in one answer.
const EVENTS: u32 = 1_000;

/// Returns a grace as it was asked for, within its bound.
pub(crate) fn grace(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()).min(LONGEST_GRACE)
}

/// Answers one request.
pub(crate) async fn answer(
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    request: DeviceRequest,
    door: Door,
) -> DeviceResponse {
    let refused = door == Door::Link && request.is_local();
    let answered = match refused {
        true => Err(Problem::new(
            ErrorCode::LocalOnly,
            "only this computer's window and command line may do this",
        )),
        false => try_answer(device, dispatcher, request, door).await,
    };
    answered.unwrap_or_else(|problem| DeviceResponse::Problem { problem })
}

async fn try_answer(
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    request: DeviceRequest,
    door: Door,
) -> Result<DeviceResponse, Problem> {
    match request {
        DeviceRequest::Status => Ok(DeviceResponse::Status(status(device, dispatcher).await)),
        DeviceRequest::ListTasks(filter) => {
            let listed = read(device, move |conn| {
                let n_total = filter.count.then(|| history::count(conn, &filter));
                Ok((history::list(conn, &filter)?, n_total.transpose()?))
            });
            let (listed, n_total) = listed.await?;
            let tasks = listed
                .into_iter()
                .map(|task| listed_view(task, device))
                .collect();
            Ok(DeviceResponse::Tasks { tasks, n_total })
        }
        DeviceRequest::SearchTasks { text, filter } => search(device, text, filter).await,
        DeviceRequest::Statistics { hours } => {
            let now = Timestamp::now();
            let read = read(device, move |conn| history::statistics(conn, now, hours));
            Ok(DeviceResponse::Statistics(read.await?))
        }
        DeviceRequest::GetTask { task_id } => {
            let entry = read(device, move |conn| ledger::get(conn, task_id)).await?;
            let task = Box::new(view(entry.ok_or_else(unknown_task)?, device));
            Ok(DeviceResponse::Task { task })
        }
        DeviceRequest::Excerpt { task_id } => {
            let output = read(device, move |conn| excerpt(conn, task_id)).await?;
            let output = output.ok_or_else(unknown_task)?;
            Ok(DeviceResponse::Excerpt { output })
        }
        DeviceRequest::Output {
            task_id,
            stream,
            offset,
            limit,
        } => range(device, task_id, stream, offset, limit).await,
        DeviceRequest::Events { task_id, after } => task_events(device, task_id, after).await,
        DeviceRequest::Cancel {
            task_id,
            grace_seconds,
        } => {
            let status = read(device, move |conn| ledger::status(conn, task_id)).await?;
            let status = status.ok_or_else(unknown_task)?;
            dispatcher.cancel(task_id, grace(grace_seconds)).await;
            Ok(DeviceResponse::Cancelling { status })
        }
        DeviceRequest::ClearTasks => {
            let stored = device.recorder.stored_through();
            let clear = move |conn: &Connection| ledger::clear(conn, stored);
            let n_tasks = device
                .db
                .write(Sync::Normal, clear)
                .await
                .map_err(unreadable)?;
            Ok(DeviceResponse::Cleared { n_tasks })
        }
        DeviceRequest::ListWorkspaces => Ok(open_workspaces(device)),
        DeviceRequest::AddWorkspace { path, name, level } => {
            add_workspace(device, path, name, level).await
        }
        DeviceRequest::RemoveWorkspace { workspace } => {
            let how = format!("closed `{workspace}`");
            let removed =
                change_workspaces(device, move |conn| workspaces::remove(conn, &workspace));
            match removed.await? {
                true => {
                    device.note_change("workspaces", how);
                    Ok(open_workspaces(device))
                }
                false => Err(Problem::new(
                    ErrorCode::NotFound,
                    "there is no such workspace",
                )),
            }
        }
        DeviceRequest::ListApprovals => Ok(DeviceResponse::Approvals {
            questions: approvals::list(device, door).await?,
        }),
        DeviceRequest::Attend { seconds } => {
            let by = Duration::from_secs(seconds.into());
            device.attendance.extend(by);
            Ok(DeviceResponse::Attending {
                n_approvers: device.attendance.n_approvers(),
            })
        }
        DeviceRequest::AnswerApproval {
            task_id,
            digest,
            answer,
            by,
        } => approvals::answer(device, dispatcher, door, task_id, digest, answer, by).await,
        DeviceRequest::ConfirmCaller(request) => Ok(DeviceResponse::CallerConfirmation {
            answer: device.caller_requests.ask(request, Timestamp::now())?,
        }),
        DeviceRequest::ListCallerRequests => Ok(DeviceResponse::CallerRequests {
            requests: device.caller_requests.open(Timestamp::now()),
        }),
        DeviceRequest::AnswerCaller { request_id, code } => {
            let answer = callers::answer(device, &request_id, code.as_deref())?;
            Ok(DeviceResponse::CallerConfirmation { answer })
        }
        DeviceRequest::ListRules => listed_rules(device).await,
        DeviceRequest::AddRule { rule } => {
            device.add_rules(vec![rule]).await?;
            listed_rules(device).await
        }
        DeviceRequest::RemoveRule { id } => {
            blocking(device, move |device| {
                let workspaces = device.workspaces.borrow().clone();
                device.rules.remove(&id, &workspaces)?;
                device.note_change("rules", format!("removed {id}"));
                Ok(())
            })
            .await?;
            listed_rules(device).await
        }
        DeviceRequest::TestRules(tested) => Ok(DeviceResponse::Explanation(
            explained(device, tested).await?,
        )),
        DeviceRequest::VerifyAudit => {
            let (n_rows, fault) = read(device, audit::verify).await?;
            Ok(DeviceResponse::AuditVerified { n_rows, fault })
        }
        DeviceRequest::ListAudit { after, limit } => {
            let limit = match limit {
                0 => AUDIT_ROWS,
                limit => limit.min(AUDIT_ROWS),
            };
            let (rows, has_more) =
                read(device, move |conn| audit::after(conn, after, limit)).await?;
            Ok(DeviceResponse::Audit { rows, has_more })
        }
        DeviceRequest::Pause => pause(device, true).await,
        DeviceRequest::Resume => pause(device, false).await,
        DeviceRequest::OpenTask { request, source } => {
            open_task(device, dispatcher, request, source).await
        }
        DeviceRequest::ListSchedules => schedules::list(device).await,
        DeviceRequest::GetSchedule { name } => schedules::show(device, name).await,
        DeviceRequest::AddSchedule { schedule } => schedules::add(device, schedule).await,
        DeviceRequest::ChangeSchedule { schedule } => schedules::change(device, schedule).await,
        DeviceRequest::RunSchedule { name } => schedules::run(device, dispatcher, name).await,
        DeviceRequest::EnableSchedule { name, enabled } => {
            schedules::enable(device, name, enabled).await
        }
        DeviceRequest::RemoveSchedule { name } => schedules::remove(device, name).await,
    }
}

async fn pause(device: &Device, paused: bool) -> Result<DeviceResponse, Problem> {
    health::set_paused(device, paused).await?;
    Ok(DeviceResponse::Paused { paused })
}

/// Opens a task that the owner asks for on this computer.
async fn open_task(
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    request: TaskRequest,
    source: Source,
) -> Result<DeviceResponse, Problem> {
    if !matches!(source, Source::Cli | Source::Viewer) {
        let error = "only the command line and the viewer open tasks here";
        return Err(Problem::new(ErrorCode::InvalidRequest, error));
    }
    born::check(device, &request)?;
    not_paused(device)?;
    if !born::has_room(dispatcher).await {
        let error = "1000 tasks have not ended yet";
        return Err(Problem::new(ErrorCode::MailboxFull, error));
    }
    let task = born::task(request, source, "owner", None, Timestamp::now());
    let task_id = task.task_id;
    let entered = born::open(device, dispatcher, task, |_| Ok(true));
    entered.await.map_err(unreadable)?;
    opened(device, task_id).await
}

/// Refuses a task while the device is paused.
pub(crate) fn not_paused(device: &Device) -> Result<(), Problem> {
    match device.health.borrow().paused {
        false => Ok(()),
        true => Err(
            Problem::new(ErrorCode::DevicePaused, "this computer is paused")
                .with_hint("deskhand devices resume"),
        ),
    }
}

/// Returns a task that was just opened.
pub(crate) async fn opened(device: &Device, task_id: TaskId) -> Result<DeviceResponse, Problem> {
    let entry = read(device, move |conn| ledger::get(conn, task_id)).await?;
    let task = Box::new(view(entry.ok_or_else(unknown_task)?, device));
    Ok(DeviceResponse::TaskOpened { task })
}

async fn listed_rules(device: &Arc<Device>) -> Result<DeviceResponse, Problem> {
    blocking(device, |device| {
        let standing = device.rules();
        Ok(DeviceResponse::Rules {
            rules: standing.rules.views(),
            path: device.rules.path().display().to_string(),
            problem: standing.problem,
        })
    })
    .await
}

/// Explains what would be decided about a command: words that begin with `git` are a git action, and
/// everything else a shell action, as `run` sends them.
async fn explained(device: &Arc<Device>, tested: TestedCommand) -> Result<Explanation, Problem> {
    let TestedCommand {
        command,
        working_dir,
    } = tested;
    let is_git =
        matches!(&command, Command::Argv(words) if words.first().is_some_and(|w| w == "git"));
    let action = match is_git {
        true => Action::Git(GitAction {
            command,
            working_dir,
            timeout: Default::default(),
            read_only: false,
        }),
        false => Action::Shell(ShellAction {
            command,
            working_dir,
            timeout: Default::default(),
            stdin: None,
            network: Vec::new(),
            git_writes: false,
            read_only: false,
        }),
    };
    if !matches!(&action, Action::Shell(_)) {
        action.check()?;
    }
    let limits = CallerLimits::default();
    Ok(judge::judge(device, action, Engine::Native, limits)
        .await
        .explanation)
}

async fn blocking<T: Send + 'static>(
    device: &Arc<Device>,
    f: impl FnOnce(&Device) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let device = device.clone();
    let done = tokio::task::spawn_blocking(move || f(&device));
    done.await.unwrap_or_else(|_| {
        Err(Problem::new(
            ErrorCode::Internal,
            "a part of the agent broke",
        ))
    })
}

async fn read<T: Send + 'static>(
    device: &Device,
    f: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    device.db.read(f).await.map_err(unreadable)
}

pub(crate) fn unreadable(error: deskhand_sqlite::Error) -> Problem {
    tracing::error!(%error, "the store failed");
    Problem::new(
        ErrorCode::Internal,
        "the device's store failed; its log knows more",
    )
}

fn unknown_task() -> Problem {
    Problem::new(ErrorCode::NotFound, "this device knows no such task")
}

async fn status(device: &Device, dispatcher: &Dispatcher) -> DeviceStatus {
    let health = device.health.borrow().clone();
    let sandbox = device.sandbox.borrow().clone();
    let counts = dispatcher.counts().await;
    let (last, stored) = (device.recorder.last_seq(), device.recorder.stored_through());
    DeviceStatus {
        device_id: device.device_id.borrow().clone(),
        device_name: device.config.device_name.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        link: device.link.borrow().clone(),
        can_execute: health.can_execute,
        reason: health.reason,
        paused: health.paused,
        n_running: counts.n_running,
        n_waiting: counts.n_waiting,
        n_asking: counts.n_asking,
        n_unsent_events: last.0.saturating_sub(stored.0),
        started_at: device.started_at,
        sandbox_tier: sandbox.tier.to_string(),
        sandbox_require: device.config.sandbox_require.to_string(),
        sandbox_layers: sandbox.layers,
        workspaces: device.workspaces.borrow().to_vec(),
    }
}

pub(crate) fn view(entry: Entry, device: &Device) -> TaskView {
    let Entry {
        task,
        limits: _,
        status,
        attempt: _,
        started_at,
        finished_at,
        result,
    } = entry;
    let outcome = result.as_ref().map(|result| &result.outcome);
    let listed = Listed {
        task,
        status,
        started_at,
        finished_at,
        returncode: outcome.and_then(|outcome| outcome.returncode),
        code: outcome.and_then(|outcome| outcome.code),
        error: outcome.and_then(|outcome| outcome.error.clone()),
    };
    TaskView {
        result,
        ..listed_view(listed, device)
    }
}

/// The same without the result, as a list shows it.
fn listed_view(listed: Listed, device: &Device) -> TaskView {
    let Listed {
        task,
        status,
        started_at,
        finished_at,
        returncode,
        code,
        error,
    } = listed;
    TaskView {
        task_id: task.name,
        uid: task.task_id,
        status,
        action: task.action,
        source: task.source,
        caller: task.caller.name,
        device: device.config.device_name.clone(),
        title: task.title,
        created_at: task.created_at,
        started_at,
        completed_at: finished_at,
        returncode,
        code,
        error,
        result: None,
    }
}

/// Most bytes of hits in one answer, as they are in memory: they fit a frame as JSON.
const HIT_BYTES: usize = 384 * 1024;

async fn search(
    device: &Device,
    text: String,
    filter: TaskFilter,
) -> Result<DeviceResponse, Problem> {
    if text.len() > TEXT_BYTES {
        let error = format!("a text to search for is at most {TEXT_BYTES} bytes long");
        return Err(Problem::new(ErrorCode::InvalidRequest, error));
    }
    let words = Words::of(&text);
    if words.is_empty() {
        return Ok(DeviceResponse::Found {
            hits: Vec::new(),
            has_more: false,
        });
    }
    let found = read(device, move |conn| {
        let mut found = Vec::new();
        if filter.before.is_none() {
            let open = search::open(conn, &words, &filter)?;
            found.extend(open.into_iter().map(|task| (task, None)));
        }
        let ended = search::ended(conn, &words, &filter)?;
        let page = history::page(filter.limit) as usize;
        let mut has_more = ended.len() > page;
        let mut n_bytes = 0;
        for task_id in ended.into_iter().take(page) {
            let Some(hit) = search::hit(conn, &words, task_id)? else {
                continue;
            };
            n_bytes += hit.0.task.action.to_string().len();
            if n_bytes > HIT_BYTES && !found.is_empty() {
                has_more = true;
                break;
            }
            found.push(hit);
        }
        Ok((found, has_more))
    });
    let (found, has_more) = found.await?;
    let hits = found
        .into_iter()
        .map(|(listed, found_in)| TaskHit {
            task: listed_view(listed, device),
            found_in,
        })
        .collect();
    Ok(DeviceResponse::Found { hits, has_more })
}

/// Returns what a task has printed so far; nothing when it is unknown or forgotten.
pub(crate) fn excerpt(conn: &Connection, task_id: TaskId) -> rusqlite::Result<Option<Excerpt>> {
    match ledger::get(conn, task_id)? {
        None => Ok(None),
        Some(Entry {
            result: Some(result),
            ..
        }) => Ok(Some(result.output)),
        Some(_) => Ok(Some(excerpt::excerpt(
            ends(conn, task_id, Stream::Stdout)?,
            ends(conn, task_id, Stream::Stderr)?,
        ))),
    }
}

fn ends(conn: &Connection, task_id: TaskId, stream: Stream) -> rusqlite::Result<Ends> {
    let total = output::total(conn, task_id, stream)?;
    let bytes = |offset, limit| -> rusqlite::Result<Vec<u8>> {
        match output::read(conn, task_id, stream, offset, limit)? {
            Read::Bytes(bytes) => Ok(bytes),
            // Head and tail are kept; a task that was made forgotten meanwhile has nothing.
            Read::Hole(_) | Read::BehindTheEnd => Ok(Vec::new()),
        }
    };
    let all = ANSWER_HEAD_BYTES + ANSWER_TAIL_BYTES;
    if total <= all as u64 {
        return Ok(Ends {
            head: bytes(0, all)?,
            tail: Vec::new(),
            total,
        });
    }
    Ok(Ends {
        head: bytes(0, ANSWER_HEAD_BYTES)?,
        tail: bytes(total - ANSWER_TAIL_BYTES as u64, ANSWER_TAIL_BYTES)?,
        total,
    })
}

async fn range(
    device: &Device,
    task_id: TaskId,
    stream: Stream,
    offset: u64,
    limit: u64,
) -> Result<DeviceResponse, Problem> {
    let limit = limit.min(MAX_RANGE_BYTES) as usize;
    // A negative offset in SQLite would be another offset.
    let offset = offset.min(i64::MAX as u64);
    let found = read(device, move |conn| {
        let Some(status) = ledger::status(conn, task_id)? else {
            return Ok(None);
        };
        let bytes = output::read(conn, task_id, stream, offset, limit)?;
        let total = output::total(conn, task_id, stream)?;
        Ok(Some((status, bytes, total)))
    });
    let (status, bytes, total) = found.await?.ok_or_else(unknown_task)?;
    let not_there = |what: String| Problem::new(ErrorCode::RangeNotSatisfiable, what);
    match bytes {
        Read::Bytes(bytes) => Ok(DeviceResponse::Output(OutputRange {
            offset,
            base64: BASE64_STANDARD.encode(bytes),
            total,
            complete: status.is_terminal(),
        })),
        Read::Hole(hole) => Err(not_there(format!(
            "bytes {} to {} of {} were not kept",
            hole.start,
            hole.end - 1,
            stream.as_str()
        ))
        .with_hint(format!("go on at offset {}", hole.end))),
        Read::BehindTheEnd => Err(not_there(format!(
            "{} has {total} bytes so far",
            stream.as_str()
        ))),
    }
}

async fn task_events(
    device: &Device,
    task_id: TaskId,
    after: Seq,
) -> Result<DeviceResponse, Problem> {
    let after = Seq(after.0.min(i64::MAX as u64));
    let found = read(device, move |conn| {
        if ledger::status(conn, task_id)?.is_none() {
            return Ok(None);
        }
        let events = events::of_task(conn, task_id, after, EVENTS)?;
        let last = events.last().map_or(after, |event| event.seq);
        let has_more = !events::of_task(conn, task_id, last, 1)?.is_empty();
        Ok(Some((events, has_more)))
    });
    let (events, has_more) = found.await?.ok_or_else(unknown_task)?;
    Ok(DeviceResponse::Events { events, has_more })
}

fn open_workspaces(device: &Device) -> DeviceResponse {
    DeviceResponse::Workspaces {
        workspaces: device.workspaces.borrow().to_vec(),
    }
}

/// Opens a directory to tasks at the start of the agent, as its owner wishes.
pub(crate) async fn open_workspace(device: &Device, path: &Path) -> Result<(), Problem> {
    let Some(path) = path.to_str() else {
        let error = "the path is not UTF-8";
        return Err(Problem::new(ErrorCode::InvalidRequest, error));
    };
    add_workspace(device, path.to_owned(), None, None)
        .await
        .map(drop)
}

async fn add_workspace(
    device: &Device,
    path: String,
    name: Option<String>,
    level: Option<Level>,
) -> Result<DeviceResponse, Problem> {
    let wrong = |text: &str| Problem::new(ErrorCode::InvalidRequest, text.to_owned());
    if path.len() > MAX_TEXT_BYTES || !Path::new(&path).is_absolute() {
        return Err(wrong("a workspace is named by its absolute path"));
    }
    if name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(wrong(
            "a workspace's name is 1 to 64 characters without `/` and control characters",
        ));
    }
    let resolved = tokio::task::spawn_blocking(move || {
        let dir = std::fs::canonicalize(&path)?;
        let is_dir = dir.is_dir();
        Ok::<_, std::io::Error>((dir, is_dir))
    });
    let (dir, is_dir) = match resolved.await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            return Err(Problem::new(
                ErrorCode::WorkingDirMissing,
                format!("the directory cannot be opened: {error}"),
            ));
        }
        Err(_) => {
            return Err(Problem::new(
                ErrorCode::Internal,
                "looking at the directory failed",
            ));
        }
    };
    if !is_dir {
        return Err(wrong("a workspace is a directory, and this is none"));
    }
    // The helper confines tasks: none may write where it lies.
    let mut private = device.config.hidden.clone();
    private.push(device.config.sandbox_path.clone());
    workspace::may_be_opened(&dir, &device.config.task_environment.home, &private)
        .map_err(|error| wrong(&error.to_string()))?;
    let open = device.workspaces.borrow().clone();
    if let Some(other) = workspace::at_odds(&open, &dir, level) {
        let error = format!(
            "it and workspace `{}` lie in one another, and their levels differ",
            other.name
        );
        return Err(wrong(&error));
    }
    let Some(path) = dir.to_str().map(str::to_owned) else {
        return Err(wrong("the directory's path is not UTF-8"));
    };
    let name = name.unwrap_or_else(|| {
        let own = dir
            .file_name()
            .map(|own| own.to_string_lossy().into_owned());
        own.filter(|own| is_name(own))
            .unwrap_or_else(|| "workspace".to_owned())
    });
    let how = match level {
        Some(level) => format!("opened `{path}` at level {}", level.as_str()),
        None => format!("opened `{path}`"),
    };
    change_workspaces(device, move |conn| {
        workspaces::add(conn, &name, &path, level, Timestamp::now())
    })
    .await?;
    device.note_change("workspaces", how);
    Ok(open_workspaces(device))
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.chars().count()) && !name.chars().any(|c| c.is_control() || c == '/')
}

/// Changes the workspaces in the store, and then in memory.
async fn change_workspaces<T: Send + 'static>(
    device: &Device,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let changed = device.db.write(Sync::Full, move |conn| {
        let value = change(conn)?;
        Ok((value, workspaces::all(conn)?))
    });
    let (value, all) = changed.await.map_err(unreadable)?;
    device.workspaces.send_replace(Arc::from(all));
    Ok(value)
}
