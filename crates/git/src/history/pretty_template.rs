//! The `%` placeholders of `--format`.

use crate::history::decorate;
use crate::history::pretty::{self, Context, Subject};
use crate::outcome::{Res, Stop};
use crate::repository::object::{Commit, Person};
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::color;
use crate::text::date::{Format as DateFormat, Style};
use crate::text::trailers;
use crate::text::wrap;

/// The most columns a placeholder can be padded to, as in git.
const MAX_PADDING: i64 = 16 * 1024;

/// What is done with the next placeholder's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Blanks to the right.
    Right,
    Left,
    /// Blanks to the left, but those before it are used first.
    LeftAndSteal,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    No,
    Right,
    Left,
    Middle,
}

/// What is remembered between placeholders.
#[derive(Default)]
struct State {
    /// Side, columns (negative: up to that column), and what happens to longer text.
    padding: Option<(Side, i64, Option<Cut>)>,
    wrap_start: usize,
    wrap: (i64, i64, i64),
    auto_color: bool,
}

impl Context<'_> {
    /// Fills a template.
    pub(crate) fn write_template(
        &self,
        subject: &Subject<'_>,
        template: &[u8],
        out: &mut Bytes,
    ) -> Res<()> {
        let mut state = State {
            wrap_start: out.len(),
            ..State::default()
        };
        let mut rest = template;
        while let Some(at) = rest.iter().position(|b| *b == b'%') {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(b"%") {
                out.push(b'%');
                rest = after;
                continue;
            }
            let used = self.item(subject, rest, &mut state, out)?;
            if used == 0 {
                out.push(b'%');
            }
            rest = &rest[used..];
        }
        out.extend_from_slice(rest);
        rewrap(&mut state, (0, 0, 0), out);
        Ok(())
    }

    /// Expands one placeholder with its sign; returns the bytes used.
    fn item(
        &self,
        subject: &Subject<'_>,
        text: &[u8],
        state: &mut State,
        out: &mut Bytes,
    ) -> Res<usize> {
        let sign = match text.first() {
            Some(c @ (b'-' | b'+' | b' ')) => Some(*c),
            _ => None,
        };
        let body = if sign.is_some() { &text[1..] } else { text };
        if sign.is_some() && body.first() == Some(&b'w') {
            return Ok(0);
        }
        let start = out.len();
        let used = match state.padding {
            None => self.placeholder(subject, body, state, out)?,
            Some(_) => self.padded(subject, body, state, out)?,
        };
        let Some(sign) = sign else { return Ok(used) };
        if out.len() == start {
            if sign == b'-' {
                while out.last() == Some(&b'\n') {
                    out.pop();
                }
            }
        } else if sign == b'+' {
            out.insert(start, b'\n');
        } else if sign == b' ' {
            out.insert(start, b' ');
        }
        Ok(used + 1)
    }

    fn padded(
        &self,
        subject: &Subject<'_>,
        text: &[u8],
        state: &mut State,
        out: &mut Bytes,
    ) -> Res<usize> {
        let Some((mut side, columns, cut)) = state.padding else {
            return Ok(0);
        };
        let mut columns = columns;
        if columns < 0 {
            let line = out.iter().rposition(|b| *b == b'\n').unwrap_or(0);
            let occupied = wrap::width(&out[line..]) + subject.graph_width;
            columns = -columns - occupied as i64;
        }
        let mut local = Bytes::new();
        let mut total = 0;
        let mut rest = text;
        loop {
            let is_color = rest.first() == Some(&b'C');
            let used = self.placeholder(subject, rest, state, &mut local)?;
            total += used;
            if !is_color {
                break;
            }
            rest = &rest[used..];
            if rest.first() != Some(&b'%') {
                break;
            }
            rest = &rest[1..];
            total += 1;
        }
        let len = wrap::width(&local) as i64;
        if side == Side::LeftAndSteal {
            while len > columns && out.len() > 1 {
                if out.last() != Some(&b' ') {
                    break;
                }
                out.pop();
                columns += 1;
            }
            side = Side::Left;
        }
        if len > columns {
            match cut {
                Some(Cut::Left) => replace(&mut local, 0, len - (columns - 2)),
                Some(Cut::Middle) => replace(&mut local, columns / 2 - 1, len - (columns - 2)),
                Some(Cut::Right) => replace(&mut local, columns - 2, len - (columns - 2)),
                _ => {}
            }
            out.extend_from_slice(&local);
        } else {
            let blanks = (columns - len) as usize;
            let before = match side {
                Side::Left => blanks,
                Side::Both => blanks / 2,
                _ => 0,
            };
            out.extend(std::iter::repeat_n(b' ', before));
            out.extend_from_slice(&local);
            out.extend(std::iter::repeat_n(b' ', blanks - before));
        }
        state.padding = None;
        Ok(total)
    }

    /// Expands the placeholder a text begins with; returns its length, 0 when there is none.
    fn placeholder(
        &self,
        subject: &Subject<'_>,
        text: &[u8],
        state: &mut State,
        out: &mut Bytes,
    ) -> Res<usize> {
        let commit = subject.commit;
        let Some(&first) = text.first() else {
            return Ok(0);
        };
        let auto = |hex: String| -> Bytes {
            if state.auto_color {
                [b"\x1b[33m".as_slice(), hex.as_bytes(), color::RESET].concat()
            } else {
                hex.into_bytes()
            }
        };
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
        match first {
            b'n' => put(b"\n"),
            b'x' => {
                let hex = text.get(1..3).and_then(|h| std::str::from_utf8(h).ok());
                let Some(byte) = hex.and_then(|h| u8::from_str_radix(h, 16).ok()) else {
                    return Ok(0);
                };
                put(&[byte]);
                return Ok(3);
            }
            b'C' => return self.colour(text, state, out),
            b'w' => return wrapping(text, state, out),
            b'<' | b'>' => {
                let columns = self.repo.call.var("COLUMNS").and_then(|v| parse_int(&v));
                let width = columns.filter(|n| *n > 0).unwrap_or(80);
                return Ok(padding(text, state, width).unwrap_or(0));
            }
            b'H' => put(&auto(subject.id.hex())),
            b'h' => put(&auto(self.repo.abbreviate(subject.id, self.abbrev)?)),
            b'T' => put(commit.tree.hex().as_bytes()),
            b't' => put(self.repo.abbreviate(commit.tree, self.abbrev)?.as_bytes()),
            b'P' | b'p' => {
                for (i, parent) in subject.parents.iter().enumerate() {
                    if i > 0 {
                        put(b" ");
                    }
                    if first == b'P' {
                        put(parent.hex().as_bytes());
                    } else {
                        put(self.repo.abbreviate(*parent, self.abbrev)?.as_bytes());
                    }
                }
            }
            b'a' => return self.person(commit, &commit.author, text, out),
            b'c' => return self.person(commit, &commit.committer, text, out),
            b'm' => put(subject.mark.as_bytes()),
            b'e' => put(commit.encoding.as_deref().unwrap_or_default()),
            b's' => put(&pretty::title(&self.message(commit)?, b" ")),
            b'f' => put(&pretty::sanitized(&self.message(commit)?)),
            b'b' => put(pretty::body(&self.message(commit)?)),
            b'B' => put(&self.message(commit)?),
            b'd' | b'D' => {
                let Some(decorations) = &self.decorations else {
                    return Ok(1);
                };
                let mut style = decorate::Style {
                    color: state.auto_color,
                    ..decorate::Style::default()
                };
                if first == b'D' {
                    style.prefix.clear();
                    style.suffix.clear();
                }
                put(&decorations.styled(subject.id, self.full_names, &style));
            }
            b'S' => {
                let Some(source) = subject.source else {
                    return Ok(0);
                };
                put(source);
            }
            b'g' => {
                let Some(log) = subject.reflog else {
                    return Ok(if text.get(1).is_some_and(|c| b"dDsnNeE".contains(c)) {
                        2
                    } else {
                        0
                    });
                };
                let who = Person::parse(&log.who);
                match text.get(1) {
                    Some(b'd') => put(&log.short),
                    Some(b'D') => put(&log.full),
                    Some(b's') => put(&log.message),
                    Some(b'n') => put(who.name),
                    Some(b'e') => put(who.email),
                    Some(b'N') => put(&self.mailmap.map(who.name, who.email).0),
                    Some(b'E') => put(&self.mailmap.map(who.name, who.email).1),
                    _ => return Ok(0),
                }
                return Ok(2);
            }
            b'N' => {
                let mut text = Bytes::new();
                self.notes.write(self.repo, subject.id, true, &mut text)?;
                put(&text);
            }
            b'G' => {
                if commit.extra.iter().any(|(key, _)| key == b"gpgsig") {
                    return Err(Stop::not_native("a signed commit"));
                }
                match text.get(1) {
                    Some(b'?') => put(b"N"),
                    Some(b'T') => put(b"undefined"),
                    Some(b'G' | b'S' | b'K' | b'F' | b'P') => {}
                    _ => return Ok(0),
                }
                return Ok(2);
            }
            b'(' => return self.named(subject, text, state.auto_color, out),
            _ => return Ok(0),
        }
        Ok(1)
    }

    /// `%(…)`.
    fn named(
        &self,
        subject: &Subject<'_>,
        text: &[u8],
        with_color: bool,
        out: &mut Bytes,
    ) -> Res<usize> {
        let Some(close) = text.iter().position(|b| *b == b')') else {
            return Ok(0);
        };
        let inside = &text[1..close];
        if let Some(arguments) = after_name(inside, b"trailers") {
            let Some(options) = trailer_options(arguments) else {
                return Ok(0);
            };
            let message = self.message(subject.commit)?;
            out.extend_from_slice(&trailers::show(&message, &options));
            return Ok(close + 1);
        }
        if let Some(arguments) = after_name(inside, b"decorate") {
            let mut style = decorate::Style {
                color: with_color,
                ..decorate::Style::default()
            };
            for argument in arguments.split(|b| *b == b',').filter(|a| !a.is_empty()) {
                let Some(eq) = argument.iter().position(|b| *b == b'=') else {
                    return Ok(0);
                };
                let value = literal(&argument[eq + 1..]);
                match &argument[..eq] {
                    b"prefix" => style.prefix = value,
                    b"suffix" => style.suffix = value,
                    b"separator" => style.separator = value,
                    b"pointer" => style.pointer = value,
                    b"tag" => style.tag = value,
                    _ => return Ok(0),
                }
            }
            if let Some(decorations) = &self.decorations {
                out.extend_from_slice(&decorations.styled(subject.id, self.full_names, &style));
            }
            return Ok(close + 1);
        }
        Err(Stop::NotNative(format!(
            "the placeholder `%{}`",
            lossy(&text[..close + 1])
        )))
    }

    /// Colours print nothing unless they are wanted even where there is no terminal.
    fn colour(&self, text: &[u8], state: &mut State, out: &mut Bytes) -> Res<usize> {
        if let Some(rest) = text.strip_prefix(b"C(") {
            let Some(close) = rest.iter().position(|b| *b == b')') else {
                return Ok(0);
            };
            let mut name = &rest[..close];
            let used = close + 3;
            let mut wanted = self.color;
            if name == b"auto" {
                state.auto_color = self.color;
                if self.color && !out.is_empty() {
                    out.extend_from_slice(color::RESET);
                }
                return Ok(used);
            }
            if let Some(rest) = name.strip_prefix(b"auto,") {
                name = rest;
            } else if let Some(rest) = name.strip_prefix(b"always,") {
                name = rest;
                wanted = true;
            }
            let Some(sequence) = color::parse(name) else {
                return Err(Stop::fatal(format!(
                    "invalid color value: {0}\nfatal: unable to parse --pretty format",
                    lossy(name)
                )));
            };
            if wanted {
                out.extend_from_slice(&sequence);
            }
            return Ok(used);
        }
        for (name, sequence) in [
            (b"Cred".as_slice(), b"\x1b[31m".as_slice()),
            (b"Cgreen", b"\x1b[32m"),
            (b"Cblue", b"\x1b[34m"),
            (b"Creset", color::RESET),
        ] {
            if text.starts_with(name) {
                state.auto_color = false;
                if self.color {
                    out.extend_from_slice(sequence);
                }
                return Ok(name.len());
            }
        }
        Ok(0)
    }

    fn person(&self, commit: &Commit, line: &[u8], text: &[u8], out: &mut Bytes) -> Res<usize> {
        let line = self.person_line(commit, line);
        let person = Person::parse(&line);
        let local = |email: &[u8]| {
            email
                .split(|b| *b == b'@')
                .next()
                .unwrap_or_default()
                .to_vec()
        };
        let style = |style: Style| DateFormat {
            style,
            local: false,
        };
        let Some(&part) = text.get(1) else {
            return Ok(0);
        };
        match part {
            b'n' => out.extend_from_slice(person.name),
            b'e' => out.extend_from_slice(person.email),
            b'l' => out.extend_from_slice(&local(person.email)),
            b'N' | b'E' | b'L' => {
                let (name, email) = self.mailmap.map(person.name, person.email);
                out.extend_from_slice(&match part {
                    b'N' => name,
                    b'E' => email,
                    _ => local(&email),
                });
            }
            b't' if person.has_time => out.extend_from_slice(person.time.to_string().as_bytes()),
            b'd' | b'D' | b'r' | b'i' | b'I' | b's' | b'h' if person.has_time => {
                let format = match part {
                    b'd' => self.date.clone(),
                    b'D' => style(Style::Rfc),
                    b'r' => style(Style::Relative),
                    b'i' => style(Style::Iso),
                    b'I' => style(Style::IsoStrict),
                    b's' => style(Style::Short),
                    _ => style(Style::Human),
                };
                out.extend_from_slice(self.show_date(&person, &format)?.as_bytes());
            }
            b't' | b'd' | b'D' | b'r' | b'i' | b'I' | b's' | b'h' => {}
            _ => return Ok(0),
        }
        Ok(2)
    }
}

/// Takes what follows `name` or `name:`.
fn after_name<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    let rest = text.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(b":")
}

/// Expands `%n`, `%%` and `%x2c`.
pub(crate) fn literal(text: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    let mut rest = text;
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        if c != b'%' {
            out.push(c);
            continue;
        }
        match rest {
            [b'n', more @ ..] => {
                out.push(b'\n');
                rest = more;
            }
            [b'%', more @ ..] => {
                out.push(b'%');
                rest = more;
            }
            [b'x', a, b, more @ ..] => {
                let hex = [*a, *b];
                match std::str::from_utf8(&hex)
                    .ok()
                    .and_then(|h| u8::from_str_radix(h, 16).ok())
                {
                    Some(byte) => {
                        out.push(byte);
                        rest = more;
                    }
                    None => out.push(b'%'),
                }
            }
            _ => out.push(b'%'),
        }
    }
    out
}

/// Reads the arguments of `%(trailers:…)`; `None` when git would not take them.
pub(crate) fn trailer_options(arguments: &[u8]) -> Option<trailers::Options> {
    let mut options = trailers::Options::default();
    for argument in arguments.split(|b| *b == b',').filter(|a| !a.is_empty()) {
        let (name, value) = match argument.iter().position(|b| *b == b'=') {
            Some(eq) => (&argument[..eq], Some(&argument[eq + 1..])),
            None => (argument, None),
        };
        let switch = || match value {
            None => Some(true),
            Some(text) => crate::repository::config::parse_bool(text),
        };
        match name {
            b"key" => {
                let key = value?;
                let key = key.strip_suffix(b":").unwrap_or(key);
                options.keys.push(key.to_vec());
            }
            b"separator" => options.separator = Some(literal(value?)),
            b"key_value_separator" => options.key_value_separator = Some(literal(value?)),
            b"only" => options.only = Some(switch()?),
            b"unfold" => options.unfold = switch()?,
            b"keyonly" => options.key_only = switch()?,
            b"valueonly" => options.value_only = switch()?,
            _ => return None,
        }
    }
    Some(options)
}

/// Wraps what was written since the last `%w`, and notes the next width.
fn rewrap(state: &mut State, next: (i64, i64, i64), out: &mut Bytes) {
    if state.wrap == next {
        return;
    }
    if state.wrap_start < out.len() {
        let tail = out.split_off(state.wrap_start);
        let (width, first, others) = state.wrap;
        wrap::wrap(&tail, first, others, width, out);
    }
    state.wrap_start = out.len();
    state.wrap = next;
}

fn wrapping(text: &[u8], state: &mut State, out: &mut Bytes) -> Res<usize> {
    let Some(rest) = text.strip_prefix(b"w(") else {
        return Ok(0);
    };
    let Some(close) = rest.iter().position(|b| *b == b')') else {
        return Ok(0);
    };
    let mut numbers = [0i64; 3];
    if close > 0 {
        for (i, part) in rest[..close].split(|b| *b == b',').enumerate() {
            // A number that is left out is zero.
            let part = part.trim_ascii();
            let number = if part.is_empty() {
                Some(0)
            } else {
                parse_int(part)
            };
            match (numbers.get_mut(i), number) {
                (Some(slot), Some(n)) if (0..=MAX_PADDING).contains(&n) => *slot = n,
                _ => return Ok(0),
            }
        }
    }
    rewrap(state, (numbers[0], numbers[1], numbers[2]), out);
    Ok(close + 3)
}

/// Reads `%<(…)`, `%>(…)`, `%>>(…)` and `%><(…)`.
fn padding(text: &[u8], state: &mut State, screen: i64) -> Option<usize> {
    let (side, mut at) = match text {
        [b'<', ..] => (Side::Right, 1),
        [b'>', b'<', ..] => (Side::Both, 2),
        [b'>', b'>', ..] => (Side::LeftAndSteal, 2),
        _ => (Side::Left, 1),
    };
    let to_column = text.get(at) == Some(&b'|');
    at += usize::from(to_column);
    if text.get(at) != Some(&b'(') {
        return None;
    }
    let close = at + text[at..].iter().position(|b| *b == b')')?;
    let inside = &text[at + 1..close];
    let (width, cut) = match inside.iter().position(|b| *b == b',') {
        Some(comma) => (&inside[..comma], Some(inside[comma + 1..].trim_ascii())),
        None => (inside, None),
    };
    let mut columns = parse_int(width.trim_ascii())?;
    if columns == 0 || columns.abs() > MAX_PADDING {
        return None;
    }
    if columns < 0 {
        if to_column {
            columns += screen;
        }
        if columns < 0 {
            return None;
        }
    }
    let cut = match cut {
        None => Some(Cut::No),
        Some(b"trunc") => Some(Cut::Right),
        Some(b"ltrunc") => Some(Cut::Left),
        Some(b"mtrunc") => Some(Cut::Middle),
        Some(_) => return None,
    };
    state.padding = Some((side, if to_column { -columns } else { columns }, cut));
    Some(close + 1)
}

/// Puts `..` in the place of some columns.
fn replace(text: &mut Bytes, from: i64, columns: i64) {
    let (from, columns) = (from.max(0) as usize, columns.max(0) as usize);
    let mut out = Bytes::new();
    let (mut at, mut position, mut put) = (0, 0, false);
    while at < text.len() {
        let skip = wrap::escape(&text[at..]);
        if skip > 0 {
            out.extend_from_slice(&text[at..at + skip]);
            at += skip;
            continue;
        }
        let (n, width) = wrap::next_char(&text[at..]);
        // What takes no column stays.
        if width > 0 && position >= from && position < from + columns {
            if !put {
                out.extend_from_slice(b"..");
                put = true;
            }
        } else {
            out.extend_from_slice(&text[at..at + n]);
        }
        position += width;
        at += n;
    }
    *text = out;
}
