//! Starts the tasks of schedules when they are due.
//!
//! What it owns: the moment in which a planned instant becomes a task. The instant, as the key of a run,
//! and the task in the ledger are one commit, made before anything starts: whatever happens, an instant
//! is run once or left out, never twice.
//! What it waits on: the wall clock until the next instant, changed schedules, the ends of runs that
//! others wait for, and the owner who resumes the device.
//! What it never does: run a task (the dispatcher does, by the owner's rules like any other), or start
//! one while the device is paused. What was due meanwhile was missed.

mod when;

use std::sync::Arc;

use deskhand_protocol::{
    ErrorCode, Problem, Source, Task, TaskName, Timestamp,
    device_request::DeviceResponse,
    schedule::{LeftOut, LeftOutRuns, Missed, NewSchedule, ScheduleView},
};
use deskhand_sqlite::{Error, Sync};
use jiff::SignedDuration;
use rusqlite::Connection;
use tokio::sync::broadcast;

use self::when::Plan;
use crate::{
    born, clock,
    device::Device,
    dispatcher::{Dispatcher, Ticket},
    recorder::{Batch, Draft},
    requests,
    store::schedules::{self, Stored},
};

/// Most schedules of a device.
const MAX_SCHEDULES: usize = 100;

/// A run that starts this much after its instant is on time: the agent was busy, or just starting.
const ON_TIME: SignedDuration = SignedDuration::from_secs(60);

/// Most missed runs that are made up for at once; older ones are left out.
const MAX_CATCH_UP: usize = 100;

/// Most unfinished runs of one schedule whose runs may overlap.
const MAX_OVERLAP: u64 = 10;

/// Instants that are counted when many were left out; beyond, the count is that.
const MAX_COUNTED: usize = 10_000;

/// How far ahead of the clock an instant may be decided about: further, the clock was wrong then.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_hours(24);

/// When the store could not be read or written it is tried again after this.
const TRY_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// Instants and runs that are shown of one schedule.
const SHOWN_UPCOMING: usize = 5;
const SHOWN_RUNS: u32 = 20;

/// Starts what is due, until the agent stops.
pub(crate) async fn keep(device: Arc<Device>, dispatcher: Dispatcher) {
    let mut health = device.health.subscribe();
    let mut bus = device.recorder.subscribe();
    loop {
        let now = Timestamp::now();
        let paused = health.borrow_and_update().paused;
        let next = match tend(&device, &dispatcher, now, paused).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "cannot start what is due");
                Next {
                    at: Some(now + TRY_AGAIN_AFTER),
                    waits: false,
                }
            }
        };
        tokio::select! {
            () = device.stopping.cancelled() => return,
            () = device.schedules_changed.notified() => {}
            Ok(()) = health.changed() => {}
            () = run_ended(&mut bus), if next.waits => {}
            _ = clock::until(next.at.unwrap_or(Timestamp::MAX)), if next.at.is_some() => {}
        }
    }
}

/// Waits until some task has ended, or until that could have been missed.
async fn run_ended(bus: &mut broadcast::Receiver<Batch>) {
    loop {
        match bus.recv().await {
            Ok(batch) if batch.iter().any(|p| p.event.kind.outcome().is_some()) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    at: Option<Timestamp>,
    /// Some run waits for the end of another.
    waits: bool,
}

/// Starts or leaves out everything that is due, and tells when to look again.
async fn tend(
    device: &Device,
    dispatcher: &Dispatcher,
    now: Timestamp,
    paused: bool,
) -> Result<Next, Error> {
    let mut next = Next {
        at: None,
        waits: false,
    };
    if paused {
        return Ok(next);
    }
    for stored in device.db.read(schedules::all).await? {
        if !stored.enabled {
            continue;
        }
        let plan = match plan(
            &stored.schedule,
            &device.config.time_zone,
            stored.created_at,
        ) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::warn!(
                    schedule = stored.schedule.name,
                    error,
                    "cannot read a schedule"
                );
                continue;
            }
        };
        let settled = believed(stored.settled_through, now);
        if let Some(due) = due(&plan, &stored.schedule, settled, now) {
            next.waits |= start_due(device, dispatcher, stored, due).await?;
        }
        let later = plan.after(now.max(settled));
        next.at = [next.at, later].into_iter().flatten().min();
    }
    Ok(next)
}

/// An instant far ahead was decided about by a clock that was wrong. Its key stays.
fn believed(settled_through: Timestamp, now: Timestamp) -> Timestamp {
    match settled_through.duration_since(now) > CLOCK_ERROR {
        true => now,
        false => settled_through,
    }
}

fn plan(schedule: &NewSchedule, default_zone: &str, created_at: Timestamp) -> Result<Plan, String> {
    let zone = schedule.time_zone.as_deref().unwrap_or(default_zone);
    Plan::read(&schedule.when, when::zone(zone)?, created_at)
}

/// What to do about instants that have come.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Due {
    /// To be run, oldest first.
    run: Vec<Timestamp>,
    /// How many are left out since they were missed.
    n_missed: u64,
    /// The last one that is left out.
    last_missed: Option<Timestamp>,
}

/// Decides about the instants between two times, the second included; none when there are none.
fn due(plan: &Plan, schedule: &NewSchedule, settled: Timestamp, now: Timestamp) -> Option<Due> {
    let latest = plan.last_until(now).filter(|latest| *latest > settled)?;
    let oldest_wanted = when::earlier(now, schedule.max_age_seconds);
    let is_on_time = now.duration_since(latest) <= ON_TIME;
    let is_wanted = is_on_time || latest >= oldest_wanted;
    let run = match schedule.missed {
        Missed::Skip if is_on_time => vec![latest],
        Missed::Once if is_wanted => vec![latest],
        Missed::All if is_wanted => {
            let wanted = |time: &Timestamp| *time > settled && *time >= oldest_wanted;
            let earlier = |time: &Timestamp| before(plan, *time).filter(wanted);
            let mut run: Vec<Timestamp> = std::iter::successors(Some(latest), earlier)
                .take(MAX_CATCH_UP)
                .collect();
            run.reverse();
            run
        }
        Missed::Skip | Missed::Once | Missed::All => Vec::new(),
    };
    // One run makes up for all before it.
    let made_up = schedule.missed == Missed::Once && !run.is_empty();
    let last_missed = match run.first() {
        _ if made_up => None,
        Some(first) => before(plan, *first).filter(|missed| *missed > settled),
        None => Some(latest),
    };
    let n_missed = std::iter::successors(plan.after(settled), |time| plan.after(*time))
        .take_while(|time| last_missed.is_some_and(|last| *time <= last))
        .take(MAX_COUNTED)
        .count() as u64;
    Some(Due {
        run,
        n_missed,
        last_missed,
    })
}

/// Returns the last instant before a time.
fn before(plan: &Plan, time: Timestamp) -> Option<Timestamp> {
    let just_before = time.checked_sub(SignedDuration::from_nanos(1)).ok()?;
    plan.last_until(just_before)
}

/// Starts the runs that are due, in one commit with their keys. Returns whether some have to wait for
/// the end of another.
async fn start_due(
    device: &Device,
    dispatcher: &Dispatcher,
    stored: Stored,
    due: Due,
) -> Result<bool, Error> {
    let started = device.recorder.record(Sync::Full, move |draft| {
        let (name, schedule) = (&stored.schedule.name, &stored.schedule);
        // It may have been changed since it was read.
        let is_same = schedules::get(draft.conn(), name)?
            .is_some_and(|now| now.enabled && now.schedule == *schedule);
        if !is_same {
            return Ok((Vec::new(), false));
        }
        if let Some(last) = due.last_missed {
            leave_out(draft, name, LeftOut::Missed, last, due.n_missed)?;
        }
        let mut tickets = Vec::new();
        for planned_at in due.run {
            let n_unfinished = schedules::n_unfinished(draft.conn(), name)?;
            let is_free = n_unfinished < if schedule.overlap { MAX_OVERLAP } else { 1 };
            if !is_free && schedule.missed == Missed::All {
                return Ok((tickets, true));
            }
            if is_free {
                tickets.extend(start(draft, schedule, planned_at)?);
                schedules::settle(draft.conn(), name, planned_at, 0)?;
            } else {
                leave_out(draft, name, LeftOut::Overlap, planned_at, 1)?;
            }
        }
        Ok((tickets, false))
    });
    let (tickets, waits) = started.await?;
    if !tickets.is_empty() {
        dispatcher.enter(tickets).await;
    }
    Ok(waits)
}

/// Enters that runs are left out, the last of them at `planned_at`, and says so.
fn leave_out(
    draft: &mut Draft<'_>,
    name: &str,
    left_out: LeftOut,
    planned_at: Timestamp,
    n_runs: u64,
) -> rusqlite::Result<()> {
    let now = Timestamp::now();
    schedules::settle(draft.conn(), name, planned_at, n_runs)?;
    // An instant that was run before is no news.
    if schedules::enter(draft.conn(), name, planned_at, Err(left_out), now)? {
        draft.left_out(LeftOutRuns {
            schedule: name.to_owned(),
            left_out,
            n_runs,
            planned_at,
        })?;
    }
    Ok(())
}

/// Enters a run and its task; nothing when the instant has been run before.
fn start(
    draft: &mut Draft<'_>,
    schedule: &NewSchedule,
    planned_at: Timestamp,
) -> rusqlite::Result<Option<Ticket>> {
    let task = task(schedule, planned_at);
    let run = Ok(task.task_id);
    if !schedules::enter(
        draft.conn(),
        &schedule.name,
        planned_at,
        run,
        task.created_at,
    )? {
        return Ok(None);
    }
    let entered = draft.accepted(&task, &Default::default())?;
    Ok(entered.then(|| Ticket::from(&task)))
}

fn task(schedule: &NewSchedule, planned_at: Timestamp) -> Task {
    let named = format!(
        "{}-{}",
        schedule.name,
        planned_at.strftime("%Y%m%dT%H%M%SZ")
    );
    let mut request = schedule.request.clone();
    request.title.get_or_insert_with(|| schedule.name.clone());
    let named: Option<TaskName> = named.parse().ok();
    born::task(
        request,
        Source::Schedule,
        &schedule.name,
        named,
        Timestamp::now(),
    )
}

/// Lists the schedules.
pub(crate) async fn list(device: &Device) -> Result<DeviceResponse, Problem> {
    let zone = device.config.time_zone.clone();
    let listed = device.db.read(move |conn| {
        schedules::all(conn)?
            .into_iter()
            .map(|stored| view(conn, stored, &zone).map(|(view, _)| view))
            .collect()
    });
    let schedules = listed.await.map_err(requests::unreadable)?;
    Ok(DeviceResponse::Schedules { schedules })
}

/// Returns one schedule, with its next and its last runs.
pub(crate) async fn show(device: &Device, name: String) -> Result<DeviceResponse, Problem> {
    let zone = device.config.time_zone.clone();
    let found = device.db.read(move |conn| {
        let Some(stored) = schedules::get(conn, &name)? else {
            return Ok(None);
        };
        let (view, plan) = view(conn, stored, &zone)?;
        let upcoming = match (plan, view.next_run_at) {
            (Some(plan), Some(next)) => std::iter::successors(Some(next), |at| plan.after(*at))
                .take(SHOWN_UPCOMING)
                .collect(),
            _ => Vec::new(),
        };
        let runs = schedules::runs(conn, &name, SHOWN_RUNS)?;
        Ok(Some(DeviceResponse::Schedule {
            schedule: Box::new(view),
            upcoming,
            runs,
        }))
    });
    found
        .await
        .map_err(requests::unreadable)?
        .ok_or_else(unknown)
}

fn view(
    conn: &Connection,
    stored: Stored,
    default_zone: &str,
) -> rusqlite::Result<(ScheduleView, Option<Plan>)> {
    let plan = plan(&stored.schedule, default_zone, stored.created_at).ok();
    let now = Timestamp::now();
    let from = believed(stored.settled_through, now).max(now);
    let next = plan.as_ref().and_then(|plan| plan.after(from));
    let view = ScheduleView {
        next_run_at: next.filter(|_| stored.enabled),
        last_run: schedules::runs(conn, &stored.schedule.name, 1)?.pop(),
        schedule: stored.schedule,
        enabled: stored.enabled,
        created_at: stored.created_at,
        n_left_out: stored.n_left_out,
    };
    Ok((view, plan))
}

/// Adds a schedule, and returns it.
pub(crate) async fn add(
    device: &Device,
    mut schedule: NewSchedule,
) -> Result<DeviceResponse, Problem> {
    let now = Timestamp::now();
    check(device, &mut schedule, now)?;
    let name = schedule.name.clone();
    let added = device.db.write(Sync::Full, move |conn| {
        if schedules::all(conn)?.len() >= MAX_SCHEDULES {
            return Ok(Err(format!("there are {MAX_SCHEDULES} schedules already")));
        }
        match schedules::add(conn, &schedule, now)? {
            true => Ok(Ok(())),
            false => Ok(Err(format!(
                "there is a schedule `{}` already",
                schedule.name
            ))),
        }
    });
    added.await.map_err(requests::unreadable)?.map_err(wrong)?;
    device.schedules_changed.notify_one();
    show(device, name).await
}

/// Replaces the schedule of that name, and returns it.
pub(crate) async fn change(
    device: &Device,
    mut schedule: NewSchedule,
) -> Result<DeviceResponse, Problem> {
    let now = Timestamp::now();
    check(device, &mut schedule, now)?;
    let name = schedule.name.clone();
    write(device, move |conn| schedules::change(conn, &schedule, now)).await?;
    show(device, name).await
}

/// Tells whether a schedule can be one, and fills in its time zone.
fn check(device: &Device, schedule: &mut NewSchedule, now: Timestamp) -> Result<(), Problem> {
    if !is_name(&schedule.name) {
        return Err(wrong(
            "a schedule's name is 1 to 64 characters of A-Z a-z 0-9 . _ -",
        ));
    }
    born::check(device, &schedule.request)?;
    if schedule.request.task_id.is_some() {
        return Err(wrong(
            "a schedule makes many tasks: their request has no task_id",
        ));
    }
    // What it is read in now it is read in tomorrow, wherever the computer is then.
    let default_zone = &device.config.time_zone;
    schedule
        .time_zone
        .get_or_insert_with(|| default_zone.clone());
    let plan = plan(schedule, default_zone, now).map_err(wrong)?;
    match plan.after(now) {
        Some(_) => Ok(()),
        None => Err(wrong(format!("`{}` never comes", schedule.when))),
    }
}

fn wrong(text: impl Into<String>) -> Problem {
    Problem::new(ErrorCode::InvalidRequest, text.into())
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

/// Starts a run now, beside the planned ones.
pub(crate) async fn run(
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    name: String,
) -> Result<DeviceResponse, Problem> {
    let stored = device.db.read(move |conn| schedules::get(conn, &name));
    let stored = stored
        .await
        .map_err(requests::unreadable)?
        .ok_or_else(unknown)?;
    let now = Timestamp::now();
    let schedule = stored.schedule;
    let task = task(&schedule, now);
    let (task_id, limit) = (task.task_id, if schedule.overlap { MAX_OVERLAP } else { 1 });
    let name = schedule.name;
    requests::not_paused(device)?;
    let claimed = born::open(device, dispatcher, task, move |conn| {
        Ok(schedules::n_unfinished(conn, &name)? < limit
            && schedules::enter(conn, &name, now, Ok(task_id), now)?)
    });
    match claimed.await.map_err(requests::unreadable)? {
        true => requests::opened(device, task_id).await,
        false => Err(Problem::new(
            ErrorCode::InvalidRequest,
            "an earlier run has not ended, and its runs may not overlap",
        )),
    }
}

/// Has a schedule run, or not, and returns it.
pub(crate) async fn enable(
    device: &Device,
    name: String,
    enabled: bool,
) -> Result<DeviceResponse, Problem> {
    let named = name.clone();
    let enable =
        move |conn: &Connection| schedules::enable(conn, &named, enabled, Timestamp::now());
    write(device, enable).await?;
    show(device, name).await
}

/// Removes a schedule, and returns the others.
pub(crate) async fn remove(device: &Device, name: String) -> Result<DeviceResponse, Problem> {
    write(device, move |conn| schedules::remove(conn, &name)).await?;
    list(device).await
}

/// Changes a schedule in the store, and has it looked at anew.
async fn write(
    device: &Device,
    change: impl FnOnce(&Connection) -> rusqlite::Result<bool> + Send + 'static,
) -> Result<(), Problem> {
    let changed = device.db.write(Sync::Full, change);
    match changed.await.map_err(requests::unreadable)? {
        true => {
            device.schedules_changed.notify_one();
            Ok(())
        }
        false => Err(unknown()),
    }
}

fn unknown() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such schedule")
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::TaskRequest;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-20T{text}Z").parse().unwrap()
    }

    fn schedule(when: &str, missed: Missed, max_age_seconds: u32) -> NewSchedule {
        let action = serde_json::from_str(r#"{"type":"echo","text":"x"}"#).unwrap();
        NewSchedule {
            name: "s".into(),
            when: when.into(),
            time_zone: None,
            missed,
            max_age_seconds,
            overlap: false,
            request: TaskRequest::new(action),
        }
    }

    /// What is due at a time of a schedule that was added at midnight and settled through a time.
    fn decided(schedule: &NewSchedule, settled: &str, now: &str) -> Option<(Vec<String>, u64)> {
        let plan = plan(schedule, "UTC", at("00:00:00")).unwrap();
        let due = due(&plan, schedule, at(settled), at(now))?;
        let run = due.run.iter().map(|at| at.strftime("%H:%M:%S").to_string());
        assert_eq!(due.n_missed > 0, due.last_missed.is_some());
        Some((run.collect(), due.n_missed))
    }

    #[test]
    fn what_comes_on_time_is_run_by_every_policy() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            let hourly = schedule("every(1 hour)", missed, 0);
            assert_eq!(decided(&hourly, "03:00:00", "03:59:59"), None);
            let one = Some((vec!["04:00:00".to_owned()], 0));
            assert_eq!(decided(&hourly, "03:00:00", "04:00:00"), one);
            assert_eq!(
                decided(&hourly, "03:00:00", "04:01:00"),
                one,
                "a busy moment"
            );
            assert_eq!(decided(&hourly, "04:00:00", "04:01:00"), None, "settled");
        }
    }

    #[test]
    fn what_was_missed_is_left_out_or_made_up_for_once_or_each() {
        let hours = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let day = 24 * 3_600;
        let decided = |missed, max_age, now| {
            decided(&schedule("every(1 hour)", missed, max_age), "03:00:00", now).unwrap()
        };
        assert_eq!(decided(Missed::Skip, day, "07:30:00"), (vec![], 4));
        // The last one is on time, those before it were missed.
        assert_eq!(
            decided(Missed::Skip, day, "07:00:10"),
            (hours(&["07:00:00"]), 3)
        );
        assert_eq!(
            decided(Missed::Once, day, "07:30:00"),
            (hours(&["07:00:00"]), 0)
        );
        assert_eq!(decided(Missed::Once, 60, "07:30:00"), (vec![], 4));
        assert_eq!(
            decided(Missed::All, day, "07:30:00"),
            (hours(&["04:00:00", "05:00:00", "06:00:00", "07:00:00"]), 0)
        );
        assert_eq!(
            decided(Missed::All, 2 * 3_600, "07:30:00"),
            (hours(&["06:00:00", "07:00:00"]), 2)
        );
    }

    #[test]
    fn a_long_absence_is_bounded() {
        let every_second = schedule("every(1 second)", Missed::All, 24 * 3_600);
        let (run, n_missed) = decided(&every_second, "00:00:00", "23:00:00").unwrap();
        assert_eq!(run.len(), MAX_CATCH_UP);
        assert_eq!(run.last().unwrap(), "23:00:00");
        assert_eq!(n_missed, MAX_COUNTED as u64);
    }

    #[test]
    fn an_instant_decided_by_a_wrong_clock_does_not_stop_a_schedule() {
        let now = at("12:00:00");
        let ahead = |hours| now + SignedDuration::from_hours(hours);
        assert_eq!(believed(ahead(1), now), ahead(1));
        assert_eq!(believed(ahead(24 * 365), now), now);
    }
}
