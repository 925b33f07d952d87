//! Dates as git shows them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};

use crate::exec::Call;
use crate::outcome::{Res, Stop};
use crate::text::approxidate;
use crate::text::bytes::lossy;

/// A form of dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Style {
    Normal,
    Relative,
    Short,
    Iso,
    IsoStrict,
    Rfc,
    Raw,
    Unix,
    Human,
    /// `format:` with its template.
    Strftime(Vec<u8>),
}

/// A form, and whether times are shown in the reader's zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) style: Style,
    pub(crate) local: bool,
}

impl Default for Format {
    fn default() -> Self {
        Format {
            style: Style::Normal,
            local: false,
        }
    }
}

impl Format {
    /// Reads a value of `--date` or `log.date`.
    pub(crate) fn parse(text: &[u8]) -> Res<Format> {
        if let Some(template) = text.strip_prefix(b"format:") {
            return Ok(Format {
                style: Style::Strftime(template.to_vec()),
                local: false,
            });
        }
        if let Some(template) = text.strip_prefix(b"format-local:") {
            return Ok(Format {
                style: Style::Strftime(template.to_vec()),
                local: true,
            });
        }
        // Another format on a terminal, which there is none here.
        if text.starts_with(b"auto:") {
            return Format::parse(b"default");
        }
        if text == b"local" {
            return Ok(Format {
                style: Style::Normal,
                local: true,
            });
        }
        let (name, local) = match text.strip_suffix(b"-local") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let style = match name {
            b"default" => Style::Normal,
            b"relative" => Style::Relative,
            b"short" => Style::Short,
            b"iso" | b"iso8601" => Style::Iso,
            b"iso-strict" | b"iso8601-strict" => Style::IsoStrict,
            b"rfc" | b"rfc2822" => Style::Rfc,
            b"raw" => Style::Raw,
            b"unix" => Style::Unix,
            b"human" => Style::Human,
            _ => return Err(Stop::fatal(format!("unknown date format {}", lossy(text)))),
        };
        Ok(Format { style, local })
    }
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Shows a time that was written in a zone (`+0130` is 130).
pub(crate) fn show(call: &Call<'_>, time: i64, zone: i32, format: &Format) -> Res<String> {
    let zone = if format.local {
        local_zone(call, time)?
    } else {
        zone
    };
    Ok(match &format.style {
        Style::Unix => time.to_string(),
        Style::Relative => relative(now()? - time),
        Style::Raw => format!("{time} {zone:+05}"),
        Style::Human => human(call, time, zone)?,
        Style::Normal => {
            let t = Broken::new(time, zone);
            let zone = if format.local {
                String::new()
            } else {
                format!(" {zone:+05}")
            };
            format!(
                "{} {} {} {:02}:{:02}:{:02} {}{zone}",
                WEEKDAYS[t.weekday],
                MONTHS[t.month - 1],
                t.day,
                t.hour,
                t.minute,
                t.second,
                t.year
            )
        }
        Style::Short => {
            let t = Broken::new(time, zone);
            format!("{:04}-{:02}-{:02}", t.year, t.month, t.day)
        }
        Style::Iso => {
            let t = Broken::new(time, zone);
            format!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02} {zone:+05}",
                t.year, t.month, t.day, t.hour, t.minute, t.second
            )
        }
        Style::IsoStrict => {
            let t = Broken::new(time, zone);
            let zone = if zone == 0 {
                "Z".to_string()
            } else {
                format!("{:+03}:{:02}", zone / 100, (zone % 100).abs())
            };
            let zone = if (-99..0).contains(&t.zone) {
                format!("-00:{:02}", (t.zone % 100).abs())
            } else {
                zone
            };
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}",
                t.year, t.month, t.day, t.hour, t.minute, t.second
            )
        }
        Style::Rfc => {
            let t = Broken::new(time, zone);
            format!(
                "{}, {} {} {} {:02}:{:02}:{:02} {zone:+05}",
                WEEKDAYS[t.weekday],
                t.day,
                MONTHS[t.month - 1],
                t.year,
                t.hour,
                t.minute,
                t.second
            )
        }
        Style::Strftime(template) => strftime(template, time, zone)?,
    })
}

/// Shows a time as briefly as the distance to the present allows.
fn human(call: &Call<'_>, time: i64, zone: i32) -> Res<String> {
    let present = now()?;
    let now_zone = local_zone(call, present)?;
    let (t, now) = (Broken::new(time, zone), Broken::new(present, now_zone));
    let this_year = t.year == now.year;
    let this_month = this_year && t.month == now.month;
    if this_month && t.day == now.day {
        return Ok(relative(present - time));
    }
    // A few days ago, the weekday is enough.
    let only_weekday = this_month && t.day < now.day && t.day + 5 > now.day;
    let mut out = String::new();
    if this_year {
        out.push_str(&format!("{} ", WEEKDAYS[t.weekday]));
    }
    if !only_weekday {
        out.push_str(&format!("{} {} ", MONTHS[t.month - 1], t.day));
    }
    if this_year {
        out.push_str(&format!("{:02}:{:02}", t.hour, t.minute));
    } else {
        out.push_str(&t.year.to_string());
    }
    if only_weekday && zone != now_zone {
        out.push_str(&format!(" {zone:+05}"));
    }
    Ok(out)
}

/// Returns the present time in seconds.
pub(crate) fn now() -> Res<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .ok()
        .and_then(|d| i64::try_from(d.as_secs()).ok())
        .ok_or_else(|| Stop::not_native("a clock before 1970"))
}

/// Returns the reader's offset from UTC at a time, as `+0130` is 130.
pub(crate) fn local_zone(call: &Call<'_>, time: i64) -> Res<i32> {
    let zone = match call.var("TZ").map(|v| lossy(&v).into_owned()) {
        None => {
            TimeZone::try_system().map_err(|_| Stop::not_native("an unknown local time zone"))?
        }
        Some(name) if name.is_empty() || name == "UTC" || name == "UTC0" || name == "GMT" => {
            TimeZone::UTC
        }
        Some(name) => TimeZone::get(name.trim_start_matches(':'))
            .or_else(|_| TimeZone::posix(&name))
            .map_err(|_| Stop::NotNative(format!("the time zone `{name}`")))?,
    };
    let stamp =
        Timestamp::from_second(time).map_err(|_| Stop::not_native("a time out of range"))?;
    let minutes = zone.to_offset(stamp).seconds() / 60;
    Ok(minutes / 60 * 100 + minutes % 60)
}

/// A time taken apart.
pub(crate) struct Broken {
    year: i64,
    month: usize,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    weekday: usize,
    year_day: i64,
    zone: i32,
}

impl Broken {
    fn new(time: i64, zone: i32) -> Broken {
        let minutes = zone.abs() / 100 * 60 + zone.abs() % 100;
        let shifted = time + i64::from(minutes * zone.signum()) * 60;
        let (days, seconds) = (shifted.div_euclid(86_400), shifted.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let small = |n: i64| u32::try_from(n).unwrap_or(0);
        Broken {
            year,
            month: month as usize,
            day,
            hour: small(seconds / 3600),
            minute: small(seconds / 60 % 60),
            second: small(seconds % 60),
            weekday: (days + 4).rem_euclid(7) as usize,
            year_day: days - days_from_civil(year, 1, 1),
            zone,
        }
    }
}

/// Days since 1970 to year, month and day (proleptic Gregorian).
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + i64::from(month <= 2),
        month as u32,
        (doy - (153 * mp + 2) / 5 + 1) as u32,
    )
}

/// Year, month and day to days since 1970.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Shows how long ago something was.
pub(crate) fn relative(seconds: i64) -> String {
    let ago = |n: i64, unit: &str| format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" });
    if seconds < 0 {
        return "in the future".to_string();
    }
    if seconds < 90 {
        return ago(seconds, "second");
    }
    let minutes = (seconds + 30) / 60;
    if minutes < 90 {
        return ago(minutes, "minute");
    }
    let hours = (minutes + 30) / 60;
    if hours < 36 {
        return ago(hours, "hour");
    }
    let days = (hours + 12) / 24;
    if days < 14 {
        return ago(days, "day");
    }
    if days < 70 {
        return ago((days + 3) / 7, "week");
    }
    if days < 365 {
        return ago((days + 15) / 30, "month");
    }
    if days < 1825 {
        let months = (days * 12 * 2 + 365) / (365 * 2);
        let (years, months) = (months / 12, months % 12);
        if months > 0 {
            let years = format!("{years} year{}", if years == 1 { "" } else { "s" });
            return format!("{years}, {}", ago(months, "month"));
        }
        return ago(years, "year");
    }
    ago((days + 183) / 365, "year")
}

fn strftime(template: &[u8], time: i64, zone: i32) -> Res<String> {
    const FULL_WEEKDAYS: [&str; 7] = [
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
    ];
    const FULL_MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let t = Broken::new(time, zone);
    let template = lossy(template).into_owned();
    let mut out = String::new();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let hour12 = if t.hour.is_multiple_of(12) {
            12
        } else {
            t.hour % 12
        };
        let piece = match chars.next() {
            Some('Y') => t.year.to_string(),
            Some('y') => format!("{:02}", t.year % 100),
            Some('C') => format!("{:02}", t.year / 100),
            Some('m') => format!("{:02}", t.month),
            Some('d') => format!("{:02}", t.day),
            Some('e') => format!("{:2}", t.day),
            Some('H') => format!("{:02}", t.hour),
            Some('I') => format!("{hour12:02}"),
            Some('k') => format!("{:2}", t.hour),
            Some('l') => format!("{hour12:2}"),
            Some('M') => format!("{:02}", t.minute),
            Some('S') => format!("{:02}", t.second),
            Some('p') => if t.hour < 12 { "AM" } else { "PM" }.to_string(),
            Some('j') => format!("{:03}", t.year_day + 1),
            Some('a') => WEEKDAYS[t.weekday].to_string(),
            Some('A') => FULL_WEEKDAYS[t.weekday].to_string(),
            Some('b' | 'h') => MONTHS[t.month - 1].to_string(),
            Some('B') => FULL_MONTHS[t.month - 1].to_string(),
            Some('u') => if t.weekday == 0 { 7 } else { t.weekday }.to_string(),
            Some('w') => t.weekday.to_string(),
            Some('F') => format!("{}-{:02}-{:02}", t.year, t.month, t.day),
            Some('T') => format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second),
            Some('R') => format!("{:02}:{:02}", t.hour, t.minute),
            Some('D') => format!("{:02}/{:02}/{:02}", t.month, t.day, t.year % 100),
            Some('s') => time.to_string(),
            Some('z') => format!("{zone:+05}"),
            // As the C locale has it.
            Some('c') => strftime(b"%a %b %e %T %Y", time, zone)?,
            Some('x') => format!("{:02}/{:02}/{:02}", t.month, t.day, t.year % 100),
            Some('X') => format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second),
            Some('n') => "\n".to_string(),
            Some('t') => "\t".to_string(),
            Some('%') => "%".to_string(),
            other => {
                return Err(Stop::NotNative(format!(
                    "the date conversion `%{}`",
                    other.unwrap_or(' ')
                )));
            }
        };
        out.push_str(&piece);
    }
    Ok(out)
}

/// Reads a date as commits take it: seconds and zone, ISO 8601, RFC 2822 or what else git takes for a full date.
pub(crate) fn exact(call: &Call<'_>, text: &[u8]) -> Res<(i64, i32)> {
    let usual = usual(call, text);
    if usual.is_ok() || text.starts_with(b"@") {
        return usual;
    }
    match approxidate::exact(call, text)? {
        Some((time, None)) => Ok((time, local_zone(call, time)?)),
        Some((time, Some(ahead))) => {
            let zone = ahead.signum() * (ahead.abs() / 60 * 100 + ahead.abs() % 60);
            Ok((time, i32::try_from(zone).unwrap_or(0)))
        }
        None => usual,
    }
}

/// Reads the forms programs write.
fn usual(call: &Call<'_>, text: &[u8]) -> Res<(i64, i32)> {
    let shown = lossy(text).into_owned();
    let odd = || Stop::NotNative(format!("the date `{shown}`"));
    let raw = shown.strip_prefix('@').unwrap_or(&shown);
    if let Some((time, zone)) = raw.split_once(' ')
        && time.bytes().all(|c| c.is_ascii_digit())
        && (raw.len() < shown.len() || time.len() >= 9)
    {
        let time = time.parse().map_err(|_| odd())?;
        return Ok((time, exact_zone(zone).ok_or_else(odd)?));
    }
    let rest = shown
        .split_once(", ")
        .filter(|(day, _)| day.bytes().all(|c| c.is_ascii_alphabetic()))
        .map_or(shown.as_str(), |(_, rest)| rest);
    let words: Vec<&str> = rest.split([' ', 'T']).filter(|w| !w.is_empty()).collect();
    let (days, clock, zone) = match words.as_slice() {
        [day, month, year, clock, zone @ ..] if zone.len() < 2 && rest.contains(' ') => {
            let month = MONTHS
                .iter()
                .position(|m| m.eq_ignore_ascii_case(month))
                .ok_or_else(odd)?;
            let number = |t: &str| t.parse::<i64>().map_err(|_| odd());
            if year.len() != 4 {
                return Err(odd());
            }
            (
                days_from_civil(number(year)?, month as i64 + 1, number(day)?),
                *clock,
                zone.first().copied(),
            )
        }
        [date, clock, zone @ ..] if zone.len() < 2 => {
            let parts: Vec<&str> = date.split('-').collect();
            let [year, month, day] = parts.as_slice() else {
                return Err(odd());
            };
            if year.len() != 4 || month.len() != 2 || day.len() != 2 {
                return Err(odd());
            }
            let number = |t: &str| t.parse::<i64>().map_err(|_| odd());
            (
                days_from_civil(number(year)?, number(month)?, number(day)?),
                *clock,
                zone.first().copied(),
            )
        }
        _ => return Err(odd()),
    };
    let split = clock.find(['+', '-', 'Z', '.']);
    let (clock, attached) = match split {
        Some(i) => (&clock[..i], Some(&clock[i..])),
        None => (clock, None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let number = |t: &str| -> Res<i64> {
        if t.len() == 2 {
            t.parse::<i64>().map_err(|_| odd())
        } else {
            Err(odd())
        }
    };
    let seconds = match parts.as_slice() {
        [h, m] => number(h)? * 3600 + number(m)? * 60,
        [h, m, s] => number(h)? * 3600 + number(m)? * 60 + number(s)?,
        _ => return Err(odd()),
    };
    let naive = days * 86_400 + seconds;
    let zone = match zone.or(attached) {
        None => local_zone(call, naive)?,
        Some(zone) => exact_zone(zone).ok_or_else(odd)?,
    };
    Ok((naive - i64::from(minutes_of(zone)) * 60, zone))
}

/// `+0100`, `-07:00` or `Z` as a number of the form 130 for an hour and a half.
fn exact_zone(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let digits = text.replace(':', "");
    let is_zone = digits.len() == 5 && digits.starts_with(['+', '-']);
    is_zone.then(|| digits.parse().ok()).flatten()
}

/// Turns `+0130` as 130 into minutes.
pub(crate) fn minutes_of(zone: i32) -> i32 {
    zone / 100 * 60 + zone % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for days in [-719_468, -1, 0, 1, 59, 60, 11_016, 20_000, 100_000] {
            let (y, m, d) = civil(days);
            assert_eq!(days_from_civil(y, i64::from(m), i64::from(d)), days);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(20_777), (2026, 11, 20));
    }

    #[test]
    fn relative_dates_round_as_git_does() {
        for (seconds, text) in [
            (5, "5 seconds ago"),
            (1, "1 second ago"),
            (300, "5 minutes ago"),
            (18_000, "5 hours ago"),
            (432_000, "5 days ago"),
            (3_024_000, "5 weeks ago"),
            (13_000_000, "5 months ago"),
            (37_500_000, "1 year, 2 months ago"),
            (630_000_000, "20 years ago"),
        ] {
            assert_eq!(relative(seconds), text);
        }
    }
}
