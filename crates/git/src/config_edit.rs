//! A configuration file, changed in place: comments, order and blanks of what is not meant stay as they are.
//!
//! Pure text in, text out; [`Repo::edit_config`] wraps it in git's lock.

use std::fs;
use std::ops::Range;

use crate::bytes::{self, Bytes, lossy};
use crate::lock::{LockFile, system_words};
use crate::outcome::{Res, Stop};
use crate::repo::Repo;

/// What a stretch of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A header; the section as it begins a key: `branch.main.`.
    Header(Bytes),
    /// A variable: its key, and whether its value is the one given.
    Variable(Bytes, Option<Bytes>),
    /// A comment.
    Comment,
}

/// A stretch of a file that is not blank.
#[derive(Debug, Clone)]
struct Event {
    part: Part,
    range: Range<usize>,
}

/// A file whose lines are none git would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Sets a key (as it is to be written) to a value, in the place of all it had; without a value they are taken out.
pub(crate) fn set(text: &[u8], key: &[u8], value: Option<&[u8]>) -> Result<Bytes, Malformed> {
    let events = events(text)?;
    let dot = key.iter().rposition(|b| *b == b'.').ok_or(Malformed)?;
    let (section, name) = (canonical_section(&key[..=dot]), &key[dot + 1..]);
    let canonical = [section.as_slice(), &name.to_ascii_lowercase()].concat();
    let meant: Vec<usize> = (0..events.len())
        .filter(|i| matches!(&events[*i].part, Part::Variable(k, _) if *k == canonical))
        .collect();
    let line = value.map(|v| [b"\t", name, b" = ", &written(v), b"\n"].concat());
    let mut out = Bytes::new();
    if let (Some(last), Some(line)) = (meant.last(), &line) {
        // The last one is replaced, the others leave.
        let mut at = 0;
        for i in &meant {
            let range = whole_line(text, &events[*i].range);
            out.extend_from_slice(&text[at..range.start]);
            if i == last {
                if !out.is_empty() && !out.ends_with(b"\n") {
                    out.push(b'\n');
                }
                out.extend_from_slice(line);
            }
            at = range.end;
        }
        out.extend_from_slice(&text[at..]);
        return Ok(out);
    }
    if let Some(line) = line {
        return Ok(add(text, &events, &section, key, &line));
    }
    Ok(take_out(text, &events, &meant))
}

/// Adds a line at the end of the last section of a name, or with a new header at the end of the file.
fn add(text: &[u8], events: &[Event], section: &[u8], key: &[u8], line: &[u8]) -> Bytes {
    let mut place = None;
    let mut inside = false;
    for event in events {
        match &event.part {
            Part::Header(name) => {
                inside = name == section;
                if inside {
                    place = Some(whole_line(text, &event.range).end);
                }
            }
            Part::Variable(..) if inside => place = Some(whole_line(text, &event.range).end),
            _ => {}
        }
    }
    let mut out = Bytes::new();
    let at = place.unwrap_or(text.len());
    out.extend_from_slice(&text[..at]);
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    if place.is_none() {
        out.extend_from_slice(&header(key));
    }
    out.extend_from_slice(line);
    out.extend_from_slice(&text[at..]);
    out
}

/// Takes variables out, and headers that have nothing left and no comment near them.
fn take_out(text: &[u8], events: &[Event], meant: &[usize]) -> Bytes {
    let mut doomed: Vec<Range<usize>> = Vec::new();
    for i in meant {
        doomed.push(whole_line(text, &events[*i].range));
    }
    for (i, event) in events.iter().enumerate() {
        if !matches!(event.part, Part::Header(_)) {
            continue;
        }
        let body = events[i + 1..]
            .iter()
            .take_while(|e| !matches!(e.part, Part::Header(_)))
            .count();
        let emptied = body > 0 && (i + 1..=i + body).all(|j| meant.contains(&j));
        // A comment right before the header is taken to belong to it.
        let commented = i > 0 && events[i - 1].part == Part::Comment;
        if emptied && !commented {
            doomed.push(whole_line(text, &event.range));
        }
    }
    doomed.sort_by_key(|r| r.start);
    let mut out = Bytes::new();
    let mut at = 0;
    for range in doomed {
        if range.start >= at {
            out.extend_from_slice(&text[at..range.start]);
        }
        at = at.max(range.end);
    }
    out.extend_from_slice(&text[at.min(text.len())..]);
    out
}

/// Gives all sections of a name another one, or takes them out; `None` when there is none.
pub(crate) fn rename_section(
    text: &[u8],
    old: &[u8],
    new: Option<&[u8]>,
) -> Result<Option<Bytes>, Malformed> {
    let events = events(text)?;
    let section = canonical_section(&[old, b"."].concat());
    let mut out = Bytes::new();
    let mut at = 0;
    let mut found = false;
    for (i, event) in events.iter().enumerate() {
        if event.part != Part::Header(section.clone()) {
            continue;
        }
        found = true;
        let line = whole_line(text, &event.range);
        out.extend_from_slice(&text[at..line.start]);
        match new {
            Some(new) => {
                out.extend_from_slice(&header(&[new, b".x"].concat()));
                at = line.end;
            }
            None => {
                at = events[i + 1..]
                    .iter()
                    .find(|e| matches!(e.part, Part::Header(_)))
                    .map_or(text.len(), |e| whole_line(text, &e.range).start);
            }
        }
    }
    out.extend_from_slice(&text[at..]);
    Ok(found.then_some(out))
}

/// Repeats all sections of a name under another one, right behind themselves; `None` when there is none.
pub(crate) fn copy_section(
    text: &[u8],
    old: &[u8],
    new: &[u8],
) -> Result<Option<Bytes>, Malformed> {
    let events = events(text)?;
    let section = canonical_section(&[old, b"."].concat());
    let mut out = Bytes::new();
    let mut at = 0;
    let mut found = false;
    for (i, event) in events.iter().enumerate() {
        if event.part != Part::Header(section.clone()) {
            continue;
        }
        found = true;
        let line = whole_line(text, &event.range);
        let end = events[i + 1..]
            .iter()
            .find(|e| matches!(e.part, Part::Header(_)))
            .map_or(text.len(), |e| whole_line(text, &e.range).start);
        out.extend_from_slice(&text[at..end]);
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        out.extend_from_slice(&header(&[new, b".x"].concat()));
        out.extend_from_slice(&text[line.end..end]);
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    Ok(found.then_some(out))
}

/// Returns the header a key stands under.
fn header(key: &[u8]) -> Bytes {
    let end = key.iter().rposition(|b| *b == b'.').unwrap_or(key.len());
    let section = &key[..end];
    let Some((name, sub)) = bytes::split_once(section, b'.') else {
        return [b"[", section, b"]\n"].concat();
    };
    let mut out = [b"[", name, b" \""].concat();
    for c in sub {
        if matches!(c, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*c);
    }
    out.extend_from_slice(b"\"]\n");
    out
}

/// Returns a value as it is written.
fn written(value: &[u8]) -> Bytes {
    let quotes = value.first() == Some(&b' ')
        || value.last() == Some(&b' ')
        || value.iter().any(|c| matches!(c, b';' | b'#'));
    let mut out = Bytes::new();
    if quotes {
        out.push(b'"');
    }
    for c in value {
        match c {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *c]),
            c => out.push(*c),
        }
    }
    if quotes {
        out.push(b'"');
    }
    out
}

/// Lowers the section's name; what stands between the dots keeps its letters.
fn canonical_section(section: &[u8]) -> Bytes {
    let mut out = section.to_vec();
    let end = out.iter().position(|b| *b == b'.').unwrap_or(out.len());
    out[..end].make_ascii_lowercase();
    out
}

/// Widens a stretch to its line: the blanks before it, and what follows up to the line break.
fn whole_line(text: &[u8], range: &Range<usize>) -> Range<usize> {
    let mut start = range.start;
    while start > 0 && matches!(text[start - 1], b' ' | b'\t') {
        start -= 1;
    }
    let mut end = range.end;
    while end < text.len() && matches!(text[end], b' ' | b'\t' | b'\r') {
        end += 1;
    }
    if text.get(end) == Some(&b'\n') {
        end += 1;
    }
    start..end
}

fn events(text: &[u8]) -> Result<Vec<Event>, Malformed> {
    let mut found = Vec::new();
    let mut section = Bytes::new();
    let mut at = if text.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    while let Some(c) = text.get(at) {
        let start = at;
        match c {
            c if c.is_ascii_whitespace() || *c == 0x0b => {
                at += 1;
                continue;
            }
            b'#' | b';' => {
                at = line_end(text, at);
                found.push(Event {
                    part: Part::Comment,
                    range: start..at,
                });
            }
            b'[' => {
                let (name, end) = crate::config::section_at(text, at + 1).ok_or(Malformed)?;
                section = name;
                at = end;
                found.push(Event {
                    part: Part::Header(section.clone()),
                    range: start..at,
                });
            }
            c if c.is_ascii_alphabetic() && !section.is_empty() => {
                let (name, value, end) = crate::config::variable_at(text, at).ok_or(Malformed)?;
                at = end;
                let key = [section.as_slice(), &name].concat();
                found.push(Event {
                    part: Part::Variable(key, value),
                    range: start..at,
                });
            }
            _ => return Err(Malformed),
        }
    }
    Ok(found)
}

fn line_end(text: &[u8], at: usize) -> usize {
    text[at..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |i| at + i)
}

impl Repo<'_> {
    /// Hands over when the repository's configuration file is not one that can be changed here.
    pub(crate) fn config_text(&self) -> Res<Bytes> {
        let path = bytes::to_path(&self.config_path());
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Bytes::new(),
            Err(e) => return Err(e.into()),
        };
        events(&text).map_err(|Malformed| Stop::not_native("a malformed configuration file"))?;
        Ok(text)
    }

    fn config_path(&self) -> Bytes {
        bytes::join(&self.common_dir, b"config")
    }

    /// Changes the repository's configuration file under git's lock; nothing is written when nothing changes.
    pub(crate) fn edit_config(
        &self,
        change: impl FnOnce(&[u8]) -> Result<Bytes, Malformed>,
    ) -> Res<()> {
        let path = self.config_path();
        let lock = LockFile::try_take(&path).map_err(|e| {
            let shown = bytes::join(&self.git_dir_shown, b"config");
            Stop::error(
                255,
                format!(
                    "could not lock config file {}: {}",
                    lossy(&shown),
                    system_words(&e)
                ),
            )
        })?;
        let text = self.config_text()?;
        let new = change(&text)
            .map_err(|Malformed| Stop::not_native("a malformed configuration file"))?;
        self.call.wrote.set(true);
        lock.commit(&new).map_err(|e| {
            Stop::fatal(format!(
                "could not write config file {}: {}",
                lossy(&path),
                system_words(&e)
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"[core]\n\tbare = false\n# about one\n[branch \"one\"]\n\tremote = .\n\tmerge = refs/heads/main\n[x] a = 1\n";

    fn changed(key: &str, value: Option<&str>) -> String {
        let new = set(TEXT, key.as_bytes(), value.map(str::as_bytes)).unwrap();
        String::from_utf8(new).unwrap()
    }

    #[test]
    fn values_are_replaced_in_place_and_added_at_the_end_of_their_section() {
        assert!(changed("core.bare", Some("true")).starts_with("[core]\n\tbare = true\n# about"));
        assert!(
            changed("core.abbrev", Some("12"))
                .starts_with("[core]\n\tbare = false\n\tabbrev = 12\n#")
        );
        assert!(changed("new.sec.Key", Some("a;b")).ends_with("[new \"sec\"]\n\tKey = \"a;b\"\n"));
        assert!(changed("x.a", Some("2")).ends_with("[x]\n\ta = 2\n"));
    }

    #[test]
    fn an_emptied_section_leaves_unless_a_comment_is_near() {
        assert!(changed("core.bare", None).starts_with("[core]\n# about one\n"));
        let one = set(TEXT, b"branch.one.remote", None).unwrap();
        let none = set(&one, b"branch.one.merge", None).unwrap();
        assert!(
            String::from_utf8(none)
                .unwrap()
                .contains("[branch \"one\"]\n[x]")
        );
    }

    #[test]
    fn sections_are_renamed_and_taken_out() {
        let new = rename_section(TEXT, b"branch.one", Some(b"branch.two"))
            .unwrap()
            .unwrap();
        assert!(
            String::from_utf8(new)
                .unwrap()
                .contains("[branch \"two\"]\n\tremote")
        );
        let new = rename_section(TEXT, b"branch.one", None).unwrap().unwrap();
        assert!(
            String::from_utf8(new)
                .unwrap()
                .ends_with("# about one\n[x] a = 1\n")
        );
    }
}
