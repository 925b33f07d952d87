//! When a schedule runs: `every(5 minute)`, `cron(0 9 * * 1-5)`, `at(2026-11-21 09:00)`. Pure: the time
//! is an argument.
//!
//! Daylight saving: `every` counts elapsed time and knows no zone. A `cron` with one fixed time of day
//! runs once a day whatever the clock does: a time that is skipped runs when the gap ends, one that
//! comes twice runs the first time. A `cron` with a range, a list or a step in its time runs whenever
//! the clock shows a time of it. `at` names one instant: in a gap as far behind it as it lies in it, and
//! the first of two.

use std::time::Duration;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use deskhand_protocol::Timestamp;
use jiff::{Span, civil, tz::TimeZone};

/// The longest `every`: what is rarer has a date.
const LONGEST_EVERY: Duration = Duration::from_secs(366 * 24 * 3_600);

/// The instants at which a schedule is due.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    when: When,
    zone: TimeZone,
    /// `every` counts from here.
    anchor: Timestamp,
}

#[derive(Debug, Clone)]
enum When {
    Every(i64),
    Cron(Box<Cron>),
    At(Timestamp),
}

impl Plan {
    /// Reads when a schedule runs that was added at `anchor`. The error is a sentence for its owner.
    pub(crate) fn read(when: &str, zone: TimeZone, anchor: Timestamp) -> Result<Self, String> {
        let text = when.trim();
        let inner = |word: &str| {
            let rest = text.strip_prefix(word)?.trim_start();
            rest.strip_prefix('(')?.strip_suffix(')').map(str::trim)
        };
        let when = if let Some(interval) = inner("every") {
            When::Every(seconds(interval)?)
        } else if let Some(pattern) = inner("cron") {
            When::Cron(Box::new(cron(pattern)?))
        } else if let Some(at) = inner("at") {
            When::At(instant(at, &zone)?)
        } else {
            return Err(format!(
                "`{text}` is not `every(5 minute)`, `cron(0 9 * * 1-5)` or `at(2026-11-21 09:00)`"
            ));
        };
        // Planned instants are whole seconds, and so is what they count from.
        let anchor = Timestamp::from_second(anchor.as_second()).unwrap_or(anchor);
        Ok(Self { when, zone, anchor })
    }

    /// Returns the first instant after a time; none when there is no more.
    pub(crate) fn after(&self, time: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Every(every) => {
                let since = time.as_second() - self.anchor.as_second();
                let n = since.div_euclid(*every).checked_add(1)?.max(1);
                self.nth(n, *every)
            }
            When::Cron(cron) => {
                let time = time.to_zoned(self.zone.clone());
                let next = cron.find_next_occurrence(&time, false).ok()?;
                Timestamp::from_second(next.timestamp().as_second()).ok()
            }
            When::At(at) => (*at > time).then_some(*at),
        }
    }

    /// Returns the last instant up to a time, and with it.
    pub(crate) fn last_until(&self, time: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Every(every) => {
                let n = (time.as_second() - self.anchor.as_second()).div_euclid(*every);
                (n >= 1).then(|| self.nth(n, *every)).flatten()
            }
            When::Cron(cron) => {
                let time = time.to_zoned(self.zone.clone());
                let last = cron.find_previous_occurrence(&time, true).ok()?;
                Timestamp::from_second(last.timestamp().as_second()).ok()
            }
            When::At(at) => (*at <= time).then_some(*at),
        }
    }

    fn nth(&self, n: i64, every: i64) -> Option<Timestamp> {
        let second = self.anchor.as_second().checked_add(n.checked_mul(every)?)?;
        Timestamp::from_second(second).ok()
    }
}

fn seconds(interval: &str) -> Result<i64, String> {
    let wrong = || format!("`{interval}` is not a number and a unit, as in `5 minute`");
    let mut words = interval.split_whitespace();
    let (number, unit) = match (words.next(), words.next(), words.next()) {
        (Some(number), Some(unit), None) => (number.parse::<u64>().map_err(|_| wrong())?, unit),
        (Some(unit), None, None) => (1, unit),
        _ => return Err(wrong()),
    };
    let unit = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 24 * 3_600,
        "week" => 7 * 24 * 3_600,
        _ => {
            return Err(format!(
                "{}: the unit is second, minute, hour, day or week",
                wrong()
            ));
        }
    };
    let seconds = number.saturating_mul(unit);
    match seconds {
        0 => Err("an interval is at least a second".to_owned()),
        n if n > LONGEST_EVERY.as_secs() => Err("an interval is at most 366 days".to_owned()),
        n => Ok(n.cast_signed()),
    }
}

fn cron(pattern: &str) -> Result<Cron, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build();
    parser
        .parse(pattern)
        .map_err(|error| format!("`{pattern}` is no cron pattern: {error}"))
}

fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let at = text.parse::<Timestamp>().or_else(|_| {
        let at: civil::DateTime = text.parse()?;
        zone.to_ambiguous_zoned(at)
            .compatible()
            .map(|at| at.timestamp())
    });
    let at = at.map_err(|error: jiff::Error| format!("`{text}` is no point in time: {error}"))?;
    Timestamp::from_second(at.as_second()).map_err(|error| error.to_string())
}

/// Reads the name of a time zone.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone of the IANA database"))
}

/// Returns a point in time some seconds earlier, however far that is.
pub(crate) fn earlier(time: Timestamp, seconds: u32) -> Timestamp {
    time.checked_sub(Span::new().seconds(i64::from(seconds)))
        .unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(when: &str, zone_name: &str) -> Plan {
        Plan::read(when, zone(zone_name).unwrap(), at("2026-01-01T00:00:30Z")).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The next instants, in the zone's own time.
    fn next(plan: &Plan, from: &str, n: usize) -> Vec<String> {
        let mut time = at(from);
        let mut found = Vec::new();
        for _ in 0..n {
            let Some(next) = plan.after(time) else { break };
            assert!(next > time, "{next} after {time}");
            assert_eq!(plan.last_until(next), Some(next));
            time = next;
            let shown = next.to_zoned(plan.zone.clone());
            found.push(shown.strftime("%m-%d %H:%M:%S %z").to_string());
        }
        found
    }

    #[test]
    fn an_interval_counts_from_when_it_was_added() {
        let every = plan("every(5 minute)", "UTC");
        assert_eq!(
            every.after(at("2025-01-01T00:00:00Z")),
            Some(at("2026-01-01T00:05:30Z"))
        );
        assert_eq!(
            every.after(at("2026-01-01T00:05:30Z")),
            Some(at("2026-01-01T00:10:30Z"))
        );
        assert_eq!(every.last_until(at("2026-01-01T00:05:29Z")), None);
        assert_eq!(
            every.last_until(at("2026-01-01T00:12:00Z")),
            Some(at("2026-01-01T00:10:30Z"))
        );
        for same in ["every(300 seconds)", " every( 5  minutes ) "] {
            let same = plan(same, "UTC");
            assert_eq!(
                same.after(at("2026-01-01T00:00:30Z")),
                Some(at("2026-01-01T00:05:30Z"))
            );
        }
        assert_eq!(
            plan("every(hour)", "UTC").after(every.anchor),
            Some(at("2026-01-01T01:00:30Z"))
        );
    }

    #[test]
    fn an_interval_is_elapsed_time_whatever_the_clock_does() {
        let every = plan("every(12 hours)", "Europe/Berlin");
        let mut instants = vec![at("2026-03-28T12:00:30Z")];
        for _ in 0..4 {
            instants.push(every.after(*instants.last().unwrap()).unwrap());
        }
        let gaps: Vec<i64> = instants
            .windows(2)
            .map(|pair| pair[1].as_second() - pair[0].as_second())
            .collect();
        assert_eq!(gaps, [12 * 3_600; 4]);
    }

    #[test]
    fn a_fixed_time_runs_once_a_day_whatever_the_clock_does() {
        // Berlin skips 02:00 to 03:00 on 29 March and shows it twice on 25 October.
        let daily = plan("cron(30 2 * * *)", "Europe/Berlin");
        assert_eq!(
            next(&daily, "2026-03-27T12:00:00Z", 3),
            [
                "03-28 02:30:00 +0100",
                "03-29 03:00:00 +0200",
                "03-30 02:30:00 +0200"
            ]
        );
        assert_eq!(
            next(&daily, "2026-10-24T12:00:00Z", 2),
            ["10-25 02:30:00 +0200", "10-26 02:30:00 +0100"]
        );
    }

    #[test]
    fn a_step_runs_whenever_the_clock_shows_it() {
        let half_hours = plan("cron(*/30 * * * *)", "Europe/Berlin");
        assert_eq!(
            next(&half_hours, "2026-03-29T00:15:00Z", 3),
            [
                "03-29 01:30:00 +0100",
                "03-29 03:00:00 +0200",
                "03-29 03:30:00 +0200"
            ]
        );
        assert_eq!(
            next(&half_hours, "2026-10-25T00:15:00Z", 4),
            [
                "10-25 02:30:00 +0200",
                "10-25 02:00:00 +0100",
                "10-25 02:30:00 +0100",
                "10-25 03:00:00 +0100"
            ]
        );
    }

    #[test]
    fn a_cron_is_read_in_its_zone() {
        let mornings = plan("cron(0 9 * * 1-5)", "America/New_York");
        assert_eq!(
            next(&mornings, "2026-11-20T20:00:00Z", 2),
            ["11-23 09:00:00 -0500", "11-24 09:00:00 -0500"]
        );
        assert_eq!(
            mornings.last_until(at("2026-11-23T13:59:59Z")),
            Some(at("2026-11-20T14:00:00Z"))
        );
        let seconds = plan("cron(*/20 * * * * *)", "UTC");
        assert_eq!(
            seconds.after(at("2026-11-20T20:00:05Z")),
            Some(at("2026-11-20T20:00:20Z"))
        );
    }

    #[test]
    fn one_instant_is_due_once() {
        let once = plan("at(2026-11-21 09:00)", "Europe/Berlin");
        let due = at("2026-11-21T08:00:00Z");
        assert_eq!(once.after(at("2026-11-20T00:00:00Z")), Some(due));
        assert_eq!(once.after(due), None);
        assert_eq!(once.last_until(due), Some(due));
        assert_eq!(once.last_until(at("2026-11-21T07:59:59Z")), None);
        let in_utc = plan("at(2026-11-21T08:00:00Z)", "Asia/Tokyo");
        assert_eq!(in_utc.after(at("2026-11-20T00:00:00Z")), Some(due));
        let in_a_gap = plan("at(2026-03-29T02:30)", "Europe/Berlin");
        assert_eq!(
            in_a_gap.after(Timestamp::UNIX_EPOCH),
            Some(at("2026-03-29T01:30:00Z"))
        );
        let twice = plan("at(2026-10-25T02:30)", "Europe/Berlin");
        assert_eq!(
            twice.after(Timestamp::UNIX_EPOCH),
            Some(at("2026-10-25T00:30:00Z"))
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for wrong in [
            "",
            "5 minutes",
            "every()",
            "every(0 second)",
            "every(-1 minute)",
            "every(5 fortnights)",
            "every(367 day)",
            "every(99999999999999999999 day)",
            "cron()",
            "cron(61 * * * *)",
            "cron(* * * *)",
            "cron(0 0 0 1 1 * 2030)",
            "at(tomorrow)",
            "at(2026-13-01 09:00)",
            "every(5 minute",
            "cron 0 9 * * *",
        ] {
            let read = Plan::read(wrong, TimeZone::UTC, Timestamp::UNIX_EPOCH);
            assert!(read.is_err(), "{wrong}: {read:?}");
        }
        assert!(zone("Europe/Atlantis").is_err());
    }

    #[test]
    fn a_pattern_that_never_comes_has_no_next() {
        assert_eq!(
            plan("cron(0 0 30 2 *)", "UTC").after(at("2026-01-01T00:00:00Z")),
            None
        );
    }
}
