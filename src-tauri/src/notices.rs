//! What the owner is told: which ends of tasks, in which words. Pure.

use std::time::Duration;

use deskhand_host::config::{NotifySuccess, QuietHours};
use deskhand_protocol::{
    Outcome, TaskId, Timestamp,
    characters::is_hidden,
    outcome::EndStatus,
    schedule::{LeftOut, ScheduledRun},
};

/// A task that ran longer than this counts as long.
const LONG: Duration = Duration::from_secs(10);

/// More ends than this at once are told in one notification.
const TOLD_APART: usize = 2;

/// More questions than this that wait are told in one notification.
pub(crate) const ASKED_APART: usize = 3;

/// Longest text of a notification, in characters.
const MAX_TEXT: usize = 200;

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) summary: String,
    /// Plain text; it is escaped where a server takes it for markup.
    pub(crate) body: String,
    pub(crate) about: About,
}

/// What a click on it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// A task that ended.
    Task(TaskId),
    /// A question; its digest binds the answer to what was shown.
    Question { task_id: TaskId, digest: String },
    /// The questions that wait.
    Questions,
    /// The list of tasks.
    Tasks,
    /// What the device does by itself.
    Schedules,
    /// How the device is.
    Device,
}

impl About {
    /// Tells whether the owner has to answer.
    pub(crate) fn asks(&self) -> bool {
        match self {
            About::Question { .. } | About::Questions => true,
            About::Task(_) | About::Tasks | About::Schedules | About::Device => false,
        }
    }
}

/// A task that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) task_id: TaskId,
    pub(crate) succeeded: bool,
    pub(crate) duration: Duration,
    /// How it ended, in a few words.
    pub(crate) how: String,
}

impl Ending {
    /// Makes an ending of an outcome; none for one the owner brought about.
    pub(crate) fn of(task_id: TaskId, outcome: &Outcome) -> Option<Self> {
        let how = match (outcome.status, outcome.returncode, &outcome.error) {
            (EndStatus::Cancelled, _, _) => return None,
            (EndStatus::Completed, Some(0), _) => "done".to_owned(),
            (EndStatus::Completed, Some(code @ 1..), _) => format!("ended with exit code {code}"),
            (EndStatus::Completed, Some(signal), _) => format!("ended by signal {}", -signal),
            (_, _, Some(error)) => error.clone(),
            (EndStatus::Expired, _, _) => "expired".to_owned(),
            _ => "failed".to_owned(),
        };
        Some(Self {
            task_id,
            succeeded: outcome.status == EndStatus::Completed && outcome.returncode == Some(0),
            duration: Duration::from_millis(outcome.duration_ms),
            how,
        })
    }

    /// Tells whether the owner wants to hear of it.
    pub(crate) fn is_told(&self, success: NotifySuccess) -> bool {
        match success {
            _ if !self.succeeded => true,
            NotifySuccess::All => true,
            NotifySuccess::Long => self.duration > LONG,
            NotifySuccess::None => false,
        }
    }
}

/// Tells whether it is quiet now.
pub(crate) fn is_quiet(hours: QuietHours) -> bool {
    let now = jiff::Zoned::now();
    u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute()))
        .is_ok_and(|minute| hours.include(minute))
}

/// Returns what is said of tasks that ended together. `command` names a task.
pub(crate) fn of_endings(
    endings: &[Ending],
    command: impl Fn(TaskId) -> Option<String>,
) -> Vec<Notice> {
    if endings.len() > TOLD_APART {
        let n_failed = endings.iter().filter(|ending| !ending.succeeded).count();
        let n_done = endings.len() - n_failed;
        let summary = match (n_done, n_failed) {
            (0, failed) => format!("{failed} tasks failed"),
            (done, 0) => format!("{done} tasks done"),
            (done, failed) => format!("{done} tasks done, {failed} failed"),
        };
        return vec![Notice {
            summary,
            body: String::new(),
            about: About::Tasks,
        }];
    }
    let told = |ending: &Ending| Notice {
        summary: match (ending.succeeded, length(ending.duration)) {
            (true, None) => "Done".to_owned(),
            (true, Some(length)) => format!("Done in {length}"),
            (false, None) => "Failed".to_owned(),
            (false, Some(length)) => format!("Failed after {length}"),
        },
        body: match (command(ending.task_id), ending.succeeded) {
            (Some(command), true) => clip(&command),
            (Some(command), false) => clip(&format!("{command}: {}", ending.how)),
            (None, _) => clip(&ending.how),
        },
        about: About::Task(ending.task_id),
    };
    endings.iter().map(told).collect()
}

/// Returns what is said of a question.
pub(crate) fn of_question(task_id: TaskId, digest: &str, command: &str, reason: &str) -> Notice {
    Notice {
        summary: "May this run?".to_owned(),
        body: clip(&format!("{command}\n{reason}")),
        about: About::Question {
            task_id,
            digest: digest.to_owned(),
        },
    }
}

/// Returns what is said of so many questions that wait.
pub(crate) fn of_questions(n: usize) -> Notice {
    Notice {
        summary: format!("{n} questions wait for you"),
        body: String::new(),
        about: About::Questions,
    }
}

/// Returns what is said of runs of a schedule that were left out.
pub(crate) fn of_left_out(schedule: &str, left_out: LeftOut) -> Notice {
    let why = match left_out {
        LeftOut::Missed => "this computer was off, asleep or paused",
        LeftOut::Overlap => "an earlier run had not ended",
    };
    Notice {
        summary: format!("{} did not run", clip(schedule)),
        body: format!("Left out: {why}"),
        about: About::Schedules,
    }
}

/// Tells why one of the runs, newest first, was left out, if one was since a time.
pub(crate) fn left_out_since(runs: &[ScheduledRun], since: Timestamp) -> Option<LeftOut> {
    let is_late = |run: &&ScheduledRun| run.decided_at.is_some_and(|at| at >= since);
    runs.iter().filter(is_late).find_map(|run| run.left_out)
}

/// Returns what is said of a device that has been offline for a while.
pub(crate) fn of_offline(detail: &str) -> Notice {
    Notice {
        summary: "Deskhand is offline".to_owned(),
        body: clip(detail),
        about: About::Device,
    }
}

/// Escapes what a notification server takes for markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Returns how long something took; nothing where nobody would have looked at the clock.
fn length(duration: Duration) -> Option<String> {
    match duration.as_secs() {
        0 => None,
        seconds @ 1..120 => Some(format!("{seconds} s")),
        seconds => Some(format!("{} min", seconds / 60)),
    }
}

/// Shortens a text that a caller chose, and spells out what cannot be seen in it.
fn clip(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(MAX_TEXT) {
        match c {
            c if is_hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    if text.chars().nth(MAX_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::ErrorCode;

    use super::*;

    fn id(n: u8) -> TaskId {
        format!("01a1f969-29df-7501-94af-5504fa2d02{n:02}")
            .parse()
            .unwrap()
    }

    fn ending(n: u8, outcome: &Outcome) -> Ending {
        Ending::of(id(n), outcome).unwrap()
    }

    fn done(seconds: u64) -> Outcome {
        let mut outcome = Outcome::completed(0);
        outcome.duration_ms = seconds * 1000;
        outcome
    }

    #[test]
    fn failures_are_always_told_and_successes_as_the_owner_likes() {
        let told = |outcome: &Outcome, success| ending(1, outcome).is_told(success);
        for success in [NotifySuccess::All, NotifySuccess::Long, NotifySuccess::None] {
            assert!(told(&Outcome::completed(1), success));
            assert!(told(
                &Outcome::failed(ErrorCode::TimedOut, "too long"),
                success
            ));
        }
        assert!(told(&done(1), NotifySuccess::All));
        assert!(!told(&done(1), NotifySuccess::Long));
        assert!(told(&done(11), NotifySuccess::Long));
        assert!(!told(&done(11), NotifySuccess::None));
        let cancelled = Outcome::ended(EndStatus::Cancelled, ErrorCode::Cancelled, "");
        assert_eq!(Ending::of(id(1), &cancelled), None);
    }

    #[test]
    fn a_burst_is_told_once() {
        let name = |_| Some("make".to_owned());
        let mut endings: Vec<Ending> = (0..12).map(|n| ending(n, &done(1))).collect();
        endings.extend((12..14).map(|n| ending(n, &Outcome::completed(2))));
        let notices = of_endings(&endings, name);
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].summary, "12 tasks done, 2 failed");
        let notices = of_endings(&endings[11..13], name);
        assert_eq!(notices[0].summary, "Done in 1 s");
        assert_eq!(notices[0].body, "make");
        assert_eq!(notices[1].body, "make: ended with exit code 2");
        assert_eq!(notices[1].about, About::Task(id(12)));
    }

    #[test]
    fn what_a_schedule_left_out_is_told_with_the_reason() {
        let notice = of_left_out("nightly", LeftOut::Overlap);
        assert_eq!(notice.summary, "nightly did not run");
        assert_eq!(notice.body, "Left out: an earlier run had not ended");
        assert_eq!(notice.about, About::Schedules);

        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let run = |left_out, seconds| ScheduledRun {
            planned_at: at(0),
            task_id: None,
            status: None,
            returncode: None,
            left_out,
            decided_at: Some(at(seconds)),
        };
        let runs = [
            run(None, 90),
            run(Some(LeftOut::Missed), 60),
            run(Some(LeftOut::Overlap), 10),
        ];
        assert_eq!(left_out_since(&runs, at(50)), Some(LeftOut::Missed));
        assert_eq!(left_out_since(&runs, at(70)), None);
    }

    #[test]
    fn what_a_caller_chose_is_shown_as_text() {
        let notice = of_question(id(1), "d", "rm <b>x</b> & \u{202e}y\u{7}", "because");
        assert_eq!(notice.body, "rm <b>x</b> & \\u{202e}y\\u{7}\nbecause");
        let osc = clip("\u{1b}]8;;http://x\u{7}here\u{61c}\u{9b}");
        assert_eq!(osc, r"\u{1b}]8;;http://x\u{7}here\u{61c}\u{9b}");
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=\"x\"&gt;&amp;");
        assert_eq!(clip(&"x".repeat(500)).chars().count(), MAX_TEXT + 1);
    }
}
