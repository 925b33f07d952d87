//! `-L`: the lines of a file a command is about.

use std::ops::Range;

use crate::compare::userdiff::Headings;
use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::text::bytes::{Bytes, lossy};
use crate::text::regexes::{self, Dialect};

/// Reads every `-L`; lines are counted from 0, ranges are in order and do not touch. Without one, all lines are meant.
pub(crate) fn all(
    parsed: &Parsed,
    lines: &[&[u8]],
    path: &[u8],
    headings: &Headings,
) -> Res<Vec<Range<usize>>> {
    let count = lines.len();
    let mut texts: Vec<Bytes> = parsed
        .options
        .iter()
        .filter(|g| g.name == "lines")
        .map(|g| g.text().to_vec())
        .collect();
    if texts.is_empty() && count > 0 {
        texts.push(b"1".to_vec());
    }
    let mut anchor = 1;
    let mut ranges = Vec::new();
    for text in &texts {
        let reader = Reader {
            lines,
            headings,
            count: count as i64,
        };
        let Some((bottom, top)) = reader.range(text, anchor)? else {
            return Err(Stop::Fail {
                code: 129,
                text: b"usage: git blame [<options>] [<rev-opts>] [<rev>] [--] <file>\n".to_vec(),
            });
        };
        let n = count as i64;
        if n == 0 && (top != 0 || bottom != 0) || n < bottom {
            return Err(Stop::fatal(format!(
                "file {} has only {n} line{}",
                lossy(path),
                if n == 1 { "" } else { "s" }
            )));
        }
        let bottom = bottom.max(1);
        let top = if top < 1 || n < top { n } else { top };
        anchor = top + 1;
        let at = |n: i64| usize::try_from(n).unwrap_or(0);
        ranges.push(at(bottom - 1)..at(top));
    }
    Ok(merged(ranges))
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|r| !r.is_empty());
    ranges.sort_by_key(|r| r.start);
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

struct Reader<'l> {
    lines: &'l [&'l [u8]],
    headings: &'l Headings,
    count: i64,
}

impl Reader<'_> {
    /// Reads `begin,end` or `:name`; 0 stands for what was not given, `None` for what is no range.
    fn range(&self, text: &[u8], anchor: i64) -> Res<Option<(i64, i64)>> {
        let anchor = if anchor > self.count {
            self.count + 1
        } else {
            anchor.max(1)
        };
        if text.starts_with(b":") || text.starts_with(b"^:") {
            return self.function(text, anchor);
        }
        let (mut begin, rest) = self.place(text, -anchor)?;
        let (mut end, mut rest) = (0, rest);
        if let Some(after) = rest.strip_prefix(b",") {
            (end, rest) = self.place(after, begin + 1)?;
        }
        if !rest.is_empty() {
            return Ok(None);
        }
        if begin != 0 && end != 0 && end < begin {
            std::mem::swap(&mut begin, &mut end);
        }
        Ok(Some((begin, end)))
    }

    /// Reads one end of a range. `begin` is negative for the first end, else the line after the first end.
    fn place<'t>(&self, text: &'t [u8], begin: i64) -> Res<(i64, &'t [u8])> {
        if begin >= 1 && matches!(text.first(), Some(b'+' | b'-')) {
            let Some((number, rest)) = number(&text[1..]) else {
                return Ok((0, text));
            };
            if number == 0 {
                return Err(Stop::fatal("-L invalid empty range"));
            }
            return Ok(if text[0] == b'-' {
                ((begin - number).max(1), rest)
            } else {
                (begin + number - 2, rest)
            });
        }
        if let Some((number, rest)) = number(text) {
            if number <= 0 {
                return Err(Stop::fatal(format!("-L invalid line number: {number}")));
            }
            return Ok((number, rest));
        }
        let (mut begin, mut text) = (begin, text);
        if begin < 0 {
            if let Some(rest) = text.strip_prefix(b"^") {
                (begin, text) = (1, rest);
            } else {
                begin = -begin;
            }
        }
        let Some(pattern) = text.strip_prefix(b"/") else {
            return Ok((0, text));
        };
        let mut end = 0;
        while end < pattern.len() && pattern[end] != b'/' {
            end += if pattern[end] == b'\\' { 2 } else { 1 };
        }
        if end >= pattern.len() {
            return Ok((0, text));
        }
        let (pattern, rest) = (&pattern[..end], &pattern[end + 1..]);
        let regex = regexes::compile(pattern, Dialect::Basic, false)?;
        let from = usize::try_from(begin - 1)
            .unwrap_or(0)
            .min(self.lines.len());
        let found = self.lines[from..]
            .iter()
            .position(|l| regex.is_match(bare(l)));
        match found {
            Some(at) => Ok(((from + at + 1) as i64, rest)),
            None => Err(no_match(pattern, begin)),
        }
    }

    /// `:name`: from the heading that matches to the next one.
    fn function(&self, text: &[u8], anchor: i64) -> Res<Option<(i64, i64)>> {
        let (text, anchor) = match text.strip_prefix(b"^") {
            Some(rest) => (rest, 1),
            None => (text, anchor),
        };
        let pattern = &text[1..];
        let mut end = 0;
        while end < pattern.len() && pattern[end] != b':' {
            end += if pattern[end] == b'\\' && end + 1 < pattern.len() {
                2
            } else {
                1
            };
        }
        if end == 0 || end < pattern.len() {
            return Ok(None);
        }
        let regex = regexes::compile(pattern, Dialect::Basic, false)?;
        let from = usize::try_from(anchor - 1)
            .unwrap_or(0)
            .min(self.lines.len());
        let is_heading = |line: &[u8]| self.headings.of(line).is_some();
        let found = self.lines[from..]
            .iter()
            .position(|l| regex.is_match(bare(l)) && is_heading(l));
        let Some(at) = found else {
            return Err(Stop::fatal(format!(
                "-L parameter '{}' starting at line {anchor}: no match",
                lossy(pattern)
            )));
        };
        let begin = from + at;
        let end = (begin + 1..self.lines.len())
            .find(|i| is_heading(self.lines[*i]))
            .unwrap_or(self.lines.len());
        Ok(Some((begin as i64 + 1, end as i64)))
    }
}

fn no_match(pattern: &[u8], line: i64) -> Stop {
    Stop::fatal(format!(
        "-L parameter '{}' starting at line {line}: No match",
        lossy(pattern)
    ))
}

fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Reads the number a text begins with, with its sign.
fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let blanks = text.iter().take_while(|c| c.is_ascii_whitespace()).count();
    let signed = usize::from(matches!(text.get(blanks), Some(b'+' | b'-')));
    let digits = text[blanks + signed..]
        .iter()
        .take_while(|c| c.is_ascii_digit())
        .count();
    if digits == 0 {
        return None;
    }
    let end = blanks + signed + digits;
    Some((
        crate::text::bytes::parse_int(&text[blanks..end])?,
        &text[end..],
    ))
}
