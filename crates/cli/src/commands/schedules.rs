//! `deskhand schedules`.

use anyhow::bail;
use deskhand_protocol::{
    TaskRequest, TaskStatus, Timestamp,
    device_request::{DeviceRequest, DeviceResponse},
    schedule::{self, NewSchedule, ScheduleView, ScheduledRun},
};

use crate::{
    args::{SchedulesAddArgs, SchedulesCommand},
    commands::run::{absolute, action},
    context::Context,
    exit::{self, UsageError},
    out::{Cell, Out, Tone},
};

pub(crate) async fn run(context: &Context, command: SchedulesCommand) -> anyhow::Result<u8> {
    let out = context.out;
    let request = match command {
        SchedulesCommand::List => DeviceRequest::ListSchedules,
        SchedulesCommand::Show { name } => DeviceRequest::GetSchedule { name },
        SchedulesCommand::Add(args) if args.replace => DeviceRequest::ChangeSchedule {
            schedule: new_schedule(*args)?,
        },
        SchedulesCommand::Add(args) => DeviceRequest::AddSchedule {
            schedule: new_schedule(*args)?,
        },
        SchedulesCommand::Run { name } => DeviceRequest::RunSchedule { name },
        SchedulesCommand::Enable { name } => DeviceRequest::EnableSchedule {
            name,
            enabled: true,
        },
        SchedulesCommand::Disable { name } => DeviceRequest::EnableSchedule {
            name,
            enabled: false,
        },
        SchedulesCommand::Remove { name } => DeviceRequest::RemoveSchedule { name },
    };
    match context.control().device(request).await? {
        DeviceResponse::Schedules { schedules } if out.is_json() => out.json(&schedules)?,
        DeviceResponse::Schedules { schedules } if schedules.is_empty() => {
            out.talk("There is no schedule. Add one: deskhand schedules add NAME WHEN COMMAND…");
        }
        DeviceResponse::Schedules { schedules } => {
            let rows: Vec<Vec<Cell>> = schedules.iter().map(row).collect();
            out.table(
                &["NAME", "WHEN", "ZONE", "NEXT RUN", "LAST RUN", "COMMAND"],
                &rows,
            )?;
        }
        DeviceResponse::Schedule {
            schedule,
            upcoming,
            runs,
        } => {
            if out.is_json() {
                out.json(&serde_json::json!({
                    "schedule": schedule, "upcoming": upcoming, "runs": runs,
                }))?;
            } else {
                show(out, &schedule, &upcoming, &runs)?;
            }
        }
        DeviceResponse::TaskOpened { task } if out.is_json() => out.json(&task)?,
        DeviceResponse::TaskOpened { task } => {
            out.talk(format!("Follow it: deskhand tasks watch {}", task.uid));
            out.line(task.uid.to_string())?;
        }
        _ => bail!("understand the agent's answer: it is to another request"),
    }
    Ok(exit::OK)
}

fn new_schedule(args: SchedulesAddArgs) -> anyhow::Result<NewSchedule> {
    let dir = match &args.cwd {
        Some(dir) => absolute(dir.as_ref())?,
        None => absolute(&std::env::current_dir()?)?,
    };
    let action = action(args.line.as_deref(), &args.argv, Some(dir), args.timeout)?;
    let max_age_seconds = args
        .max_age
        .unwrap_or_else(schedule::default_max_age_seconds);
    if args.name.is_empty() {
        bail!(UsageError("a schedule has a name".to_owned()));
    }
    Ok(NewSchedule {
        name: args.name,
        when: args.when,
        time_zone: args.time_zone,
        missed: args.missed.into(),
        max_age_seconds,
        overlap: args.overlap,
        request: TaskRequest {
            title: args.title,
            ..TaskRequest::new(action)
        },
    })
}

fn row(view: &ScheduleView) -> Vec<Cell> {
    let schedule = &view.schedule;
    vec![
        schedule.name.as_str().into(),
        schedule.when.as_str().into(),
        schedule.time_zone.as_deref().unwrap_or_default().into(),
        next(view),
        view.last_run.as_ref().map_or("".into(), last),
        schedule.request.action.to_string().into(),
    ]
}

fn next(view: &ScheduleView) -> Cell {
    match view.next_run_at {
        Some(at) => format!("{at:.0}").into(),
        None if view.enabled => Cell::new("no more", Tone::Quiet),
        None => Cell::new("disabled", Tone::Warning),
    }
}

fn last(run: &ScheduledRun) -> Cell {
    let failed = run.returncode.filter(|code| *code != 0);
    let failed = failed.map(|code| format!("exit code {code}"));
    let (word, tone) = match (run.left_out, run.status) {
        (Some(left_out), _) => (left_out.as_str(), Tone::Warning),
        (None, Some(TaskStatus::Completed)) => match &failed {
            Some(exit) => (exit.as_str(), Tone::Bad),
            None => ("completed", Tone::Good),
        },
        (None, Some(status @ (TaskStatus::Failed | TaskStatus::Expired))) => {
            (status.as_str(), Tone::Bad)
        }
        (None, Some(status)) => (status.as_str(), Tone::Plain),
        (None, None) => ("forgotten", Tone::Quiet),
    };
    Cell::new(format!("{:.0} {word}", run.planned_at), tone)
}

fn show(
    out: Out,
    view: &ScheduleView,
    upcoming: &[Timestamp],
    runs: &[ScheduledRun],
) -> anyhow::Result<()> {
    let schedule = &view.schedule;
    let zone = schedule.time_zone.as_deref().unwrap_or_default();
    let missed = serde_json::to_value(schedule.missed)?;
    let overlap = if schedule.overlap { "may" } else { "do not" };
    let facts = [
        ("name", schedule.name.clone()),
        ("command", schedule.request.action.to_string()),
        ("when", format!("{}, {zone}", schedule.when)),
        (
            "missed runs",
            format!(
                "{}, at most {} s late",
                missed.as_str().unwrap_or_default(),
                schedule.max_age_seconds
            ),
        ),
        (
            "runs",
            format!("{overlap} overlap; {} left out", view.n_left_out),
        ),
    ];
    for (name, text) in facts {
        line(out, name, &text.into())?;
    }
    if upcoming.is_empty() {
        line(out, "next", &next(view))?;
    }
    for (i, at) in upcoming.iter().enumerate() {
        line(
            out,
            if i == 0 { "next" } else { "" },
            &format!("{at:.0}").into(),
        )?;
    }
    for (i, run) in runs.iter().enumerate() {
        line(out, if i == 0 { "last" } else { "" }, &last(run))?;
    }
    Ok(())
}

fn line(out: Out, name: &str, text: &Cell) -> std::io::Result<()> {
    let name = out.toned(&Cell::new(format!("{name:<13}"), Tone::Quiet));
    out.line(format!("{name}{}", out.toned(text)))
}
