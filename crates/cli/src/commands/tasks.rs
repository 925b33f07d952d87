//! `deskhand tasks`.

use std::{
    collections::HashMap,
    io::{self, BufRead, IsTerminal},
    time::Duration,
};

use anyhow::bail;
use deskhand_client::{Client, TaskPage, TaskQuery};
use deskhand_protocol::{
    Event, EventKind, Seq, TaskId, TaskStatus, Timestamp,
    device_request::{DeviceRequest, DeviceResponse},
    event::Stream,
    task::TaskView,
};

use crate::{
    args::{TasksArgs, TasksCommand, TasksListArgs, TasksOutputArgs},
    commands::{
        follow::{self, Show},
        output::Copy,
    },
    context::Context,
    exit::{self, UsageError},
    out::{Cell, Out, Tone},
};

/// Most tasks on a page of the relay.
const PAGE: u32 = 100;

/// How often `watch` looks at all tasks.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn run(context: &Context, args: TasksArgs) -> anyhow::Result<u8> {
    let out = context.out;
    let client = async || anyhow::Ok(context.relay(&args.relay).await?.client);
    match args.command {
        TasksCommand::List(args) => list(&client().await?, out, args).await,
        TasksCommand::Show { id } => show(&client().await?, out, &id).await,
        TasksCommand::Output(args) => output(&client().await?, out, &args).await,
        TasksCommand::Events { id, after } => events(&client().await?, out, &id, after).await,
        TasksCommand::Cancel { id } => cancel(&client().await?, out, &id).await,
        TasksCommand::Watch { id: Some(id) } => watch(&client().await?, out, &id).await,
        TasksCommand::Watch { id: None } => watch_all(&client().await?, out).await,
        TasksCommand::Clear { yes } => clear(context, yes).await,
    }
}

async fn list(client: &Client, out: Out, args: TasksListArgs) -> anyhow::Result<u8> {
    let tasks = newest(client, args).await?;
    if out.is_json() {
        out.json(&tasks)?;
    } else {
        let rows: Vec<Vec<Cell>> = tasks.iter().map(row).collect();
        out.table(
            &["TASK", "STATUS", "SOURCE", "ASKED", "TOOK", "ACTION"],
            &rows,
        )?;
    }
    Ok(exit::OK)
}

/// Reads as many pages as it takes. Tasks come newest first, so the first one that is too old ends it.
async fn newest(client: &Client, args: TasksListArgs) -> anyhow::Result<Vec<TaskView>> {
    let since = args.since.map(|since| since.timestamp(Timestamp::now()));
    let wanted = args.limit as usize;
    let mut tasks = Vec::new();
    let mut query = TaskQuery {
        status: args.status,
        source: args.source,
        device: args.device,
        limit: Some(args.limit.min(PAGE)),
        ..TaskQuery::default()
    };
    loop {
        let TaskPage {
            tasks: page,
            next_cursor,
        } = client.tasks(&query).await?;
        for task in page {
            let too_old = since.is_some_and(|since| task.created_at < since);
            if too_old || tasks.len() == wanted {
                return Ok(tasks);
            }
            tasks.push(task);
        }
        if next_cursor.is_none() {
            return Ok(tasks);
        }
        query.cursor = next_cursor;
    }
}

fn row(task: &TaskView) -> Vec<Cell> {
    let action = task
        .title
        .clone()
        .unwrap_or_else(|| task.action.to_string());
    vec![
        task.task_id.as_str().into(),
        status(task),
        task.source.as_str().into(),
        format!("{:.0}", task.created_at).into(),
        took(task).into(),
        shorten(&action).into(),
    ]
}

/// A list shows the beginning of a long command.
fn shorten(text: &str) -> String {
    const LONG: usize = 60;
    if text.chars().count() <= LONG {
        return text.to_owned();
    }
    text.chars().take(LONG - 1).chain(['…']).collect()
}

fn status(task: &TaskView) -> Cell {
    let returncode = task
        .result
        .as_ref()
        .and_then(|result| result.outcome.returncode);
    match (task.status, returncode) {
        (TaskStatus::Completed, Some(code)) if code != 0 => {
            Cell::new(format!("completed ({code})"), Tone::Warning)
        }
        (TaskStatus::Completed, _) => Cell::new("completed", Tone::Good),
        (TaskStatus::Failed | TaskStatus::Expired, _) => Cell::new(task.status.as_str(), Tone::Bad),
        (TaskStatus::Cancelled, _) => Cell::new("cancelled", Tone::Warning),
        (TaskStatus::Pending | TaskStatus::AwaitingApproval | TaskStatus::InProgress, _) => {
            Cell::from(task.status.as_str())
        }
    }
}

fn took(task: &TaskView) -> String {
    if let Some(result) = &task.result {
        return format!("{} ms", result.outcome.duration_ms);
    }
    match (task.started_at, task.completed_at) {
        (Some(started), Some(completed)) => {
            format!(
                "{} ms",
                completed.as_millisecond() - started.as_millisecond()
            )
        }
        _ => String::new(),
    }
}

async fn show(client: &Client, out: Out, id: &str) -> anyhow::Result<u8> {
    let task = client.task(id).await?;
    if out.is_json() {
        out.json(&task)?;
        return Ok(exit::OK);
    }
    let time = |at: Option<Timestamp>| at.map(|at| format!("{at:.3}"));
    let outcome = task.result.as_ref().map(|result| &result.outcome);
    let lines = [
        ("task", Some(task.task_id.to_string())),
        ("uid", Some(task.uid.to_string())),
        ("status", Some(task.status.to_string())),
        (
            "action",
            Some(format!("{}: {}", task.action.kind(), task.action)),
        ),
        ("directory", task.action.working_dir().map(str::to_owned)),
        ("device", Some(task.device.clone())),
        (
            "source",
            Some(format!("{} ({})", task.source.as_str(), task.caller)),
        ),
        ("title", task.title.clone()),
        ("asked", time(Some(task.created_at))),
        ("started", time(task.started_at)),
        ("ended", time(task.completed_at)),
        (
            "returncode",
            outcome
                .and_then(|outcome| outcome.returncode)
                .map(|code| code.to_string()),
        ),
        (
            "took",
            outcome.map(|outcome| format!("{} ms", outcome.duration_ms)),
        ),
        ("code", task.code.map(|code| code.to_string())),
        ("error", task.error.clone()),
        ("hint", outcome.and_then(|outcome| outcome.hint.clone())),
        (
            "printed",
            outcome.map(|outcome| {
                format!(
                    "{} bytes, {} on stderr",
                    outcome.n_stdout_bytes, outcome.n_stderr_bytes
                )
            }),
        ),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            let name = out.toned(&Cell::new(format!("{name:<11}"), Tone::Quiet));
            let value = out.toned(&Cell::from(value));
            out.line(format!("{name}{value}"))?;
        }
    }
    Ok(exit::OK)
}

async fn output(client: &Client, out: Out, args: &TasksOutputArgs) -> anyhow::Result<u8> {
    let task = client.task(&args.id).await?;
    let id = task.uid.to_string();
    let streams = match args.stream {
        Some(stream) => vec![stream],
        None => vec![Stream::Stdout, Stream::Stderr],
    };
    for stream in streams {
        // One stream alone is data, whichever it is.
        let to = if args.stream.is_some() {
            Stream::Stdout
        } else {
            stream
        };
        let mut copy = Copy::new(client, out, &id, stream, to, args.offset);
        let end = match &task.result {
            Some(result) => match stream {
                Stream::Stdout => result.outcome.n_stdout_bytes,
                Stream::Stderr => result.outcome.n_stderr_bytes,
            },
            // What there is of a task that runs: up to where its stream is now.
            None => client.output(&id, stream, 0, 1).await?.total.unwrap_or(0),
        };
        let end = args
            .limit
            .map_or(end, |limit| end.min(args.offset.saturating_add(limit)));
        copy.copy_exactly_to(end, task.status.is_terminal()).await?;
    }
    Ok(exit::OK)
}

async fn events(client: &Client, out: Out, id: &str, after: Seq) -> anyhow::Result<u8> {
    let mut events = client.events(id, None).await?;
    while let Some(event) = events.next().await? {
        if event.seq <= after {
            continue;
        }
        if out.is_json() {
            out.line(serde_json::to_string(&event)?)?;
        } else {
            let safe = Cell::from(describe(&event));
            out.line(format!(
                "{:>6}  {:.3}  {}",
                event.seq,
                event.at,
                out.toned(&safe)
            ))?;
        }
    }
    Ok(exit::OK)
}

fn describe(event: &Event) -> String {
    match &event.kind {
        EventKind::TaskAccepted {
            source,
            caller,
            action,
        } => {
            format!("accepted from {caller} ({}): {action}", source.as_str())
        }
        EventKind::AttemptStarted { attempt, allowed } => match allowed {
            Some(allowed) => format!(
                "attempt {attempt} started, allowed by {}: {}",
                allowed.by, allowed.reason
            ),
            None => format!("attempt {attempt} started"),
        },
        EventKind::OutputAppended {
            stream,
            offset,
            n_bytes,
            ..
        } => {
            format!("{} bytes on {} at {offset}", n_bytes, stream.as_str())
        }
        EventKind::ProgressMade { percent, message } => {
            let percent = percent
                .map(|percent| format!(" {percent} %"))
                .unwrap_or_default();
            let message = message
                .as_ref()
                .map(|message| format!(" {message}"))
                .unwrap_or_default();
            format!("progress{percent}{message}")
        }
        EventKind::AttemptFinished { attempt, outcome } => {
            match (outcome.returncode, &outcome.error) {
                (Some(code), _) => format!("attempt {attempt} ended with {code}"),
                (None, Some(error)) => format!("attempt {attempt} failed: {error}"),
                (None, None) => format!("attempt {attempt} ended"),
            }
        }
        EventKind::ApprovalRequested { reason, .. } => format!("the owner is asked: {reason}"),
        EventKind::ApprovalAnswered { answer, by, .. } => format!(
            "answered {} by {} ({})",
            answer.as_str(),
            by.name,
            by.door.as_str()
        ),
        EventKind::AttemptLost { attempt } => format!("attempt {attempt} was lost"),
        EventKind::TaskCancelled { .. } => "cancelled".to_owned(),
        EventKind::TaskExpired { .. } => "expired".to_owned(),
        EventKind::RunsLeftOut(runs) => {
            format!("{} runs of {} left out", runs.n_runs, runs.schedule)
        }
    }
}

async fn cancel(client: &Client, out: Out, id: &str) -> anyhow::Result<u8> {
    let task = client.cancel(id).await?;
    if out.is_json() {
        out.json(&task)?;
    } else if task.status.is_terminal() {
        out.talk(format!("{} is {}.", task.task_id, task.status));
    } else {
        out.talk(format!(
            "Asked {} to end; it is {} now.",
            task.task_id, task.status
        ));
    }
    Ok(exit::OK)
}

async fn watch(client: &Client, out: Out, id: &str) -> anyhow::Result<u8> {
    let task = client.task(id).await?;
    let followed = follow::follow(client, out, task.uid, Show::Output, None).await?;
    Ok(follow::conclude(out, &followed))
}

/// Prints a line for every task whose status has changed since the last look, until it is stopped.
async fn watch_all(client: &Client, out: Out) -> anyhow::Result<u8> {
    let query = TaskQuery {
        limit: Some(PAGE),
        ..TaskQuery::default()
    };
    let mut seen: HashMap<TaskId, TaskStatus> = HashMap::new();
    loop {
        let page = client.tasks(&query).await?.tasks;
        for task in page.iter().rev() {
            if seen.get(&task.uid) == Some(&task.status) {
                continue;
            }
            if out.is_json() {
                out.line(serde_json::to_string(task)?)?;
            } else {
                out.line(format!(
                    "{:.0}  {}  {}  {}",
                    task.completed_at
                        .or(task.started_at)
                        .unwrap_or(task.created_at),
                    task.task_id,
                    out.toned(&status(task)),
                    out.toned(&Cell::from(shorten(&task.action.to_string()))),
                ))?;
            }
        }
        seen = page.iter().map(|task| (task.uid, task.status)).collect();
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                return Ok(exit::OK);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn clear(context: &Context, yes: bool) -> anyhow::Result<u8> {
    let out = context.out;
    if !yes {
        if !io::stdin().is_terminal() {
            bail!(UsageError(
                "`tasks clear` asks first; say --yes where nobody can answer".to_owned()
            ));
        }
        out.talk("Forget what all finished tasks on this computer printed and did? [y/N]");
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if !answer.trim().eq_ignore_ascii_case("y") {
            out.talk("Nothing was forgotten.");
            return Ok(exit::FAILED);
        }
    }
    match context.control().device(DeviceRequest::ClearTasks).await? {
        DeviceResponse::Cleared { n_tasks } if out.is_json() => {
            out.json(&serde_json::json!({ "n_tasks": n_tasks }))?;
        }
        DeviceResponse::Cleared { n_tasks } => out.talk(format!("Forgot {n_tasks} tasks.")),
        _ => bail!("understand the agent's answer: it is to another request"),
    }
    Ok(exit::OK)
}
