//! Dates as people write them, for `--since` and `@{…}`: first read exactly, and if that fails by guessing, as git does.

use crate::exec::Call;
use crate::outcome::{Res, Stop};
use crate::text::bytes::lossy;
use crate::text::date::{self, days_from_civil, minutes_of};

/// Reads a point in time; nothing is refused, since git refuses nothing.
pub(crate) fn read(call: &Call<'_>, text: &[u8]) -> Res<i64> {
    read_checked(call, text).map(|(time, _)| time)
}

/// Reads a point in time, and says whether anything in the text was understood.
pub(crate) fn read_checked(call: &Call<'_>, text: &[u8]) -> Res<(i64, bool)> {
    if let Some((time, _)) = exact(call, text)? {
        return Ok((time, true));
    }
    guess(call, text)
}

/// A broken-down time; what is not known yet is -1.
#[derive(Debug, Clone, Copy)]
struct Parts {
    /// Years since 1900.
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: i64,
}

impl Parts {
    const UNKNOWN: Parts = Parts {
        year: -1,
        month: -1,
        day: -1,
        hour: -1,
        minute: -1,
        second: -1,
        weekday: 0,
    };

    fn of_local(call: &Call<'_>, time: i64) -> Res<Parts> {
        let zone = i64::from(minutes_of(date::local_zone(call, time)?)) * 60;
        Ok(Parts::of_utc(time + zone))
    }

    fn of_utc(time: i64) -> Parts {
        let (days, seconds) = (time.div_euclid(86_400), time.rem_euclid(86_400));
        let (year, month, day) = date::civil(days);
        Parts {
            year: year - 1900,
            month: i64::from(month) - 1,
            day: i64::from(day),
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            weekday: (days + 4).rem_euclid(7),
        }
    }

    /// Seconds since 1970 if this were UTC; what is too large carries over.
    fn naive(self) -> i64 {
        let (year, month) = (
            self.year + 1900 + self.month.div_euclid(12),
            self.month.rem_euclid(12),
        );
        (days_from_civil(year, month + 1, 1) + self.day - 1) * 86_400
            + self.hour * 3600
            + self.minute * 60
            + self.second
    }

    /// Seconds since 1970 in the reader's time zone.
    fn local(self, call: &Call<'_>) -> Res<i64> {
        let naive = self.naive();
        let first = naive - i64::from(minutes_of(date::local_zone(call, naive)?)) * 60;
        let zone = i64::from(minutes_of(date::local_zone(call, first)?)) * 60;
        Ok(naive - zone)
    }

    /// Like `naive`, but only for what is complete.
    fn complete(self) -> Option<i64> {
        let known = (0..200).contains(&self.year)
            && (0..12).contains(&self.month)
            && self.hour >= 0
            && self.minute >= 0
            && self.second >= 0
            && self.year >= 70;
        known.then(|| self.naive())
    }

    fn has_nothing(&self) -> bool {
        [
            self.year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
        ]
        .iter()
        .all(|n| *n < 0)
    }

    fn set_time(&mut self, hour: i64, minute: i64, second: i64) -> bool {
        let valid =
            (0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
        if valid {
            (self.hour, self.minute, self.second) = (hour, minute, second);
        }
        valid
    }

    /// Takes a date if it can be one; with `present`, one that is not more than ten days ahead.
    fn set_date(&mut self, year: i64, month: i64, day: i64, present: Option<i64>) -> bool {
        if !(1..13).contains(&month) || !(1..32).contains(&day) {
            return false;
        }
        let mut tried = *self;
        tried.month = month - 1;
        tried.day = day;
        tried.year = match year {
            -1 => match present {
                Some(now) => Parts::of_utc(now).year,
                None => return false,
            },
            1970..2100 => year - 1900,
            71..100 => year,
            n if n < 38 => year + 100,
            _ => return false,
        };
        if let Some(now) = present {
            if tried.complete().is_some_and(|t| now + 10 * 86_400 < t) {
                return false;
            }
            self.month = tried.month;
            self.day = tried.day;
            if year != -1 {
                self.year = tried.year;
            }
        } else {
            *self = tried;
        }
        true
    }
}

const MONTHS: [&str; 12] = [
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
const WEEKDAYS: [&str; 7] = [
    "Sundays",
    "Mondays",
    "Tuesdays",
    "Wednesdays",
    "Thursdays",
    "Fridays",
    "Saturdays",
];
/// Names of time zones: hours east of Greenwich, and whether the name itself means summer time.
const ZONES: &[(&str, i64, bool)] = &[
    ("IDLW", -12, false),
    ("NT", -11, false),
    ("CAT", -10, false),
    ("HST", -10, false),
    ("HDT", -10, true),
    ("YST", -9, false),
    ("YDT", -9, true),
    ("PST", -8, false),
    ("PDT", -8, true),
    ("MST", -7, false),
    ("MDT", -7, true),
    ("CST", -6, false),
    ("CDT", -6, true),
    ("EST", -5, false),
    ("EDT", -5, true),
    ("AST", -3, false),
    ("ADT", -3, true),
    ("WAT", -1, false),
    ("GMT", 0, false),
    ("UTC", 0, false),
    ("Z", 0, false),
    ("WET", 0, false),
    ("BST", 0, true),
    ("MET", 1, false),
    ("MEWT", 1, false),
    ("MEST", 1, true),
    ("CET", 1, false),
    ("CEST", 1, true),
    ("MESZ", 1, true),
    ("FWT", 1, false),
    ("FST", 1, true),
    ("EET", 2, false),
    ("EEST", 2, true),
    ("WAST", 7, false),
    ("WADT", 7, true),
    ("CCT", 8, false),
    ("JST", 9, false),
    ("EAST", 10, false),
    ("EADT", 10, true),
    ("GST", 10, false),
    ("NZT", 12, false),
    ("NZST", 12, false),
    ("NZDT", 12, true),
    ("IDLE", 12, false),
];

/// Returns how many letters of a name a text begins with; 0 when it goes on differently.
fn matched(text: &[u8], name: &str) -> usize {
    let mut n = 0;
    for (i, c) in text.iter().enumerate() {
        if name
            .as_bytes()
            .get(i)
            .is_some_and(|d| d.eq_ignore_ascii_case(c))
        {
            n = i + 1;
            continue;
        }
        if !c.is_ascii_alphanumeric() {
            break;
        }
        return 0;
    }
    n
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|c| c.is_ascii_digit()).count()
}

fn number(text: &[u8]) -> i64 {
    lossy(&text[..digits(text)]).parse().unwrap_or(i64::MAX)
}

fn letters(text: &[u8]) -> usize {
    text.iter().take_while(|c| c.is_ascii_alphabetic()).count()
}

/// Reads a full date and time; returns it and how many minutes its zone is ahead, where it names one.
pub(crate) fn exact(call: &Call<'_>, text: &[u8]) -> Res<Option<(i64, Option<i64>)>> {
    if let Some(rest) = text.strip_prefix(b"@") {
        let n = digits(rest);
        if n > 0 && (n == rest.len() || rest[n] == b' ') {
            return Ok(Some((number(rest), None)));
        }
    }
    let mut parts = Parts::UNKNOWN;
    let mut offset: Option<i64> = None;
    let mut is_utc = false;
    let mut rest = text;
    while let Some(&c) = rest.first().filter(|c| **c != b'\n') {
        let used = if c.is_ascii_alphabetic() {
            word(rest, &mut parts, &mut offset)
        } else if c.is_ascii_digit() {
            figure(rest, &mut parts, &mut offset, &mut is_utc)?
        } else if matches!(c, b'-' | b'+')
            && rest.get(1).is_some_and(u8::is_ascii_digit)
            && parts.hour != -1
        {
            zone(rest, &mut offset)
        } else {
            0
        };
        rest = &rest[used.max(1).min(rest.len())..];
    }
    let Some(naive) = parts.complete() else {
        return Ok(None);
    };
    let time = match offset {
        _ if is_utc => naive,
        Some(minutes) => naive - minutes * 60,
        None => parts.local(call)?,
    };
    Ok(Some((time, offset)))
}

fn word(text: &[u8], parts: &mut Parts, offset: &mut Option<i64>) -> usize {
    for (i, name) in MONTHS.iter().enumerate() {
        let n = matched(text, name);
        if n >= 3 {
            parts.month = i as i64;
            return n;
        }
    }
    for (i, name) in WEEKDAYS.iter().enumerate() {
        let n = matched(text, name);
        if n >= 3 {
            parts.weekday = i as i64;
            return n;
        }
    }
    for (name, hours, summer) in ZONES {
        let n = matched(text, name);
        if n >= 3 || n == name.len() {
            offset.get_or_insert((hours + i64::from(*summer)) * 60);
            return n;
        }
    }
    if matched(text, "PM") == 2 {
        parts.hour = parts.hour.rem_euclid(12) + 12;
        return 2;
    }
    if matched(text, "AM") == 2 {
        parts.hour = parts.hour.rem_euclid(12);
        return 2;
    }
    if text[0] == b'T' && text.get(1).is_some_and(u8::is_ascii_digit) && parts.hour == -1 {
        (parts.minute, parts.second) = (0, 0);
        return 1;
    }
    letters(text)
}

fn figure(
    text: &[u8],
    parts: &mut Parts,
    offset: &mut Option<i64>,
    is_utc: &mut bool,
) -> Res<usize> {
    let n = digits(text);
    let num = number(text);
    if num >= 100_000_000 && parts.has_nothing() {
        if num > 253_402_300_799 {
            return Err(Stop::not_native("a date out of range"));
        }
        *parts = Parts::of_utc(num);
        *is_utc = true;
        return Ok(n);
    }
    if let Some(used) = separated(text, parts, date::now()?) {
        return Ok(used);
    }
    if n == 8 || n == 6 {
        let (a, b, c) = (num / 10_000, num % 10_000 / 100, num % 100);
        if n == 8 {
            parts.set_date(a, b, c, None);
        } else if parts.set_time(a, b, c) {
            return Ok(n + fraction(&text[n..]));
        }
        return Ok(n);
    }
    // With a `T` before it, hours and minutes may be all there is.
    if parts.hour == -1 && parts.minute == 0 && parts.second == 0 {
        if n == 4 && parts.set_time(num / 100, num % 100, 0) {
            return Ok(n);
        }
        if n == 2 && parts.set_time(num, 0, 0) {
            return Ok(n);
        }
    }
    if n == 4 {
        if num <= 1400 && offset.is_none() {
            *offset = Some(num / 100 * 60 + num % 100);
        } else if num > 1900 && num < 2100 {
            parts.year = num - 1900;
        }
        return Ok(n);
    }
    if n > 2 {
        return Ok(n);
    }
    if num > 0 && num < 32 && parts.day < 0 {
        parts.day = num;
        return Ok(n);
    }
    if n == 2 && parts.year < 0 {
        if num < 10 && parts.day >= 0 {
            parts.year = num + 100;
            return Ok(n);
        }
        if num >= 70 {
            parts.year = num;
            return Ok(n);
        }
    }
    if num > 0 && num < 13 {
        parts.month = num - 1;
    }
    Ok(n)
}

fn fraction(text: &[u8]) -> usize {
    match text.first() {
        Some(b'.') if digits(&text[1..]) > 0 => 1 + digits(&text[1..]),
        _ => 0,
    }
}

/// Two or three numbers with a sign between them: a time or a date.
fn separated(text: &[u8], parts: &mut Parts, now: i64) -> Option<usize> {
    let mut at = digits(text);
    let sign = *text.get(at)?;
    if !matches!(sign, b':' | b'.' | b'/' | b'-') || digits(&text[at + 1..]) == 0 {
        return None;
    }
    let first = number(text);
    let second = number(&text[at + 1..]);
    at += 1 + digits(&text[at + 1..]);
    let mut third = -1;
    if text.get(at) == Some(&sign) && digits(&text[at + 1..]) > 0 {
        third = number(&text[at + 1..]);
        at += 1 + digits(&text[at + 1..]);
    }
    if sign == b':' {
        if !parts.set_time(first, second, third.max(0)) {
            return None;
        }
        if parts.year >= 0 && parts.month >= 0 && parts.day >= 0 {
            at += fraction(&text[at..]);
        }
        return Some(at);
    }
    let found = first > 70
        && (parts.set_date(first, second, third, None)
            || parts.set_date(first, third, second, None))
        || sign != b'.' && parts.set_date(third, first, second, Some(now))
        || parts.set_date(third, second, first, Some(now))
        || sign == b'.' && parts.set_date(third, first, second, Some(now));
    found.then_some(at)
}

fn zone(text: &[u8], offset: &mut Option<i64>) -> usize {
    let n = digits(&text[1..]);
    let num = number(&text[1..]);
    let mut used = 1 + n;
    let (hours, minutes) = if n == 1 || n == 2 {
        if text.get(used) == Some(&b':') && digits(&text[used + 1..]) > 0 {
            let minutes = number(&text[used + 1..]);
            let m = digits(&text[used + 1..]);
            used += 1 + m;
            if n == 2 && m != 2 {
                (num, 99)
            } else {
                (num, minutes)
            }
        } else {
            (num, 0)
        }
    } else if n == 3 || n == 4 {
        (num / 100, num % 100)
    } else {
        (99, 99)
    };
    if minutes < 60 && hours < 24 {
        let total = hours * 60 + minutes;
        *offset = Some(if text[0] == b'-' { -total } else { total });
    }
    used
}

/// The guessing reader's state.
struct Guess<'c> {
    call: &'c Call<'c>,
    parts: Parts,
    now: Parts,
    number: i64,
    touched: bool,
}

fn guess(call: &Call<'_>, text: &[u8]) -> Res<(i64, bool)> {
    let present = date::now()?;
    let now = Parts::of_local(call, present)?;
    let mut state = Guess {
        call,
        parts: Parts {
            year: -1,
            month: -1,
            day: -1,
            ..now
        },
        now,
        number: 0,
        touched: false,
    };
    let mut rest = text;
    while let Some(&c) = rest.first() {
        if c.is_ascii_digit() {
            state.pending();
            let used = match separated(rest, &mut state.parts, present) {
                Some(used) => used,
                None => {
                    let n = digits(rest);
                    if rest[0] != b'0' || n <= 2 {
                        state.number = number(rest);
                    }
                    n
                }
            };
            state.touched = true;
            rest = &rest[used..];
        } else if c.is_ascii_alphabetic() {
            state.word(rest)?;
            rest = &rest[letters(rest)..];
        } else {
            rest = &rest[1..];
        }
    }
    state.pending();
    let time = state.settle(0)?;
    Ok((time, state.touched))
}

impl Guess<'_> {
    /// Finds a use for a number nothing followed.
    fn pending(&mut self) {
        let n = std::mem::take(&mut self.number);
        if n == 0 {
            return;
        }
        let parts = &mut self.parts;
        if parts.day < 0 && n < 32 {
            parts.day = n;
        } else if parts.month < 0 && n < 13 {
            parts.month = n - 1;
        } else if parts.year < 0 {
            if n > 1969 && n < 2100 {
                parts.year = n - 1900;
            } else if n > 69 && n < 100 {
                parts.year = n;
            } else if n < 38 {
                parts.year = 100 + n;
            }
        }
    }

    /// Fills what is unknown from the present, and goes back some seconds.
    fn settle(&mut self, back: i64) -> Res<i64> {
        let (parts, now) = (&mut self.parts, &self.now);
        if parts.day < 0 {
            parts.day = now.day;
        }
        if parts.month < 0 {
            parts.month = now.month;
        }
        if parts.year < 0 {
            parts.year = now.year;
            if parts.month > now.month {
                parts.year -= 1;
            }
        }
        let time = parts.local(self.call)? - back;
        self.parts = Parts::of_local(self.call, time)?;
        Ok(time)
    }

    fn at_hour(&mut self, hour: i64) -> Res<()> {
        self.pending();
        if self.parts.hour < hour {
            self.settle(86_400)?;
        }
        (self.parts.hour, self.parts.minute, self.parts.second) = (hour, 0, 0);
        Ok(())
    }

    fn half_day(&mut self, afternoon: bool) {
        let n = std::mem::take(&mut self.number);
        let mut hour = self.parts.hour;
        if n > 0 {
            hour = n;
            (self.parts.minute, self.parts.second) = (0, 0);
        }
        self.parts.hour = hour % 12 + if afternoon { 12 } else { 0 };
    }

    fn word(&mut self, text: &[u8]) -> Res<()> {
        const NUMBERS: [&str; 10] = [
            "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        ];
        const LENGTHS: [(&str, i64); 5] = [
            ("seconds", 1),
            ("minutes", 60),
            ("hours", 3600),
            ("days", 86_400),
            ("weeks", 604_800),
        ];
        if let Some(i) = MONTHS.iter().position(|m| matched(text, m) >= 3) {
            self.parts.month = i as i64;
            self.touched = true;
            return Ok(());
        }
        let is = |name: &str| matched(text, name) == name.len();
        let special = [
            "yesterday",
            "noon",
            "midnight",
            "tea",
            "PM",
            "AM",
            "never",
            "now",
        ]
        .into_iter()
        .find(|n| is(n));
        if let Some(name) = special {
            self.touched = true;
            match name {
                "yesterday" => {
                    self.number = 0;
                    self.settle(86_400)?;
                }
                "noon" => self.at_hour(12)?,
                "midnight" => self.at_hour(0)?,
                "tea" => self.at_hour(17)?,
                "PM" => self.half_day(true),
                "AM" => self.half_day(false),
                "never" => {
                    self.number = 0;
                    self.parts = Parts::of_local(self.call, 0)?;
                }
                _ => {
                    self.number = 0;
                    self.settle(0)?;
                }
            }
            return Ok(());
        }
        if self.number == 0 {
            if let Some(i) = NUMBERS.iter().position(|n| is(n)) {
                self.number = i as i64 + 1;
                self.touched = true;
            } else if matched(text, "last") == 4 {
                self.number = 1;
                self.touched = true;
            }
            return Ok(());
        }
        for (name, length) in LENGTHS {
            if matched(text, name) >= name.len() - 1 {
                let back = length.saturating_mul(std::mem::take(&mut self.number));
                if back > 1 << 40 {
                    return Err(Stop::not_native("a date out of range"));
                }
                self.settle(back)?;
                self.touched = true;
                return Ok(());
            }
        }
        if let Some(i) = WEEKDAYS.iter().position(|d| matched(text, d) >= 3) {
            let mut n = std::mem::take(&mut self.number) - 1;
            let mut days = self.parts.weekday - i as i64;
            if days <= 0 {
                n += 1;
            }
            days += 7 * n;
            self.settle(days * 86_400)?;
            self.touched = true;
            return Ok(());
        }
        if matched(text, "months") >= 5 {
            self.settle(0)?;
            let months = self.parts.month - std::mem::take(&mut self.number);
            self.parts.year += months.div_euclid(12);
            self.parts.month = months.rem_euclid(12);
            self.touched = true;
        } else if matched(text, "years") >= 4 {
            self.settle(0)?;
            self.parts.year -= std::mem::take(&mut self.number);
            self.touched = true;
        }
        Ok(())
    }
}
