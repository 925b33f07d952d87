//! The text of a configuration file, and single changes of it byte for byte as git makes them: comments, order and
//! blanks of what is not meant stay as they are.
//!
//! Pure text in, text out.

use regex::bytes::Regex;

use crate::repository::config;
use crate::text::bytes::{self, Bytes};

/// What a stretch of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Section,
    Entry,
    Comment,
    Blank,
}

/// A stretch of a file. The stretches follow each other without a gap.
#[derive(Debug, Clone, Copy)]
struct Event {
    kind: Kind,
    begin: usize,
    end: usize,
    /// A header of the section that is meant.
    is_meant: bool,
}

/// Which values of a key are meant.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// None: what is set is added.
    None,
    /// Those that are exactly this.
    Fixed(Bytes),
    /// Those a pattern matches, or with `true` those it does not match.
    Pattern(Regex, bool),
}

/// One change of a key.
#[derive(Debug, Clone)]
pub(crate) struct Change<'a> {
    /// As it is to be written.
    pub(crate) key: &'a [u8],
    /// `None` takes the key out.
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) which: Which,
    /// Replaces all values that are meant; otherwise more than one is an error.
    pub(crate) every: bool,
    /// What follows the value on its line, blanks and `#` included.
    pub(crate) comment: Option<Bytes>,
}

/// Why a text is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A line git would not read.
    Malformed,
    /// There is nothing to take out, or more than one value is meant.
    Nothing,
}

/// A text after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) text: Bytes,
    /// git warns of several values.
    pub(crate) has_several: bool,
}

/// Sets a key that has one value or none, or takes it out; `Nothing` leaves everything as it is.
pub(crate) fn set(text: &[u8], key: &[u8], value: Option<&[u8]>) -> Result<Bytes, Refusal> {
    let change = Change {
        key,
        value,
        which: Which::All,
        every: false,
        comment: None,
    };
    match apply(text, &change) {
        Ok(changed) => Ok(changed.text),
        Err(Refusal::Nothing) => Ok(text.to_vec()),
        Err(refusal) => Err(refusal),
    }
}

/// Adds a value to a key.
pub(crate) fn add(text: &[u8], key: &[u8], value: &[u8]) -> Result<Bytes, Refusal> {
    let change = Change {
        key,
        value: Some(value),
        which: Which::None,
        every: false,
        comment: None,
    };
    apply(text, &change).map(|changed| changed.text)
}

/// Makes one change.
pub(crate) fn apply(text: &[u8], change: &Change<'_>) -> Result<Changed, Refusal> {
    let dot = change
        .key
        .iter()
        .rposition(|b| *b == b'.')
        .ok_or(Refusal::Malformed)?;
    let found = Found::look(text, change, dot)?;
    let n = found.seen.len();
    if n == 0 && change.value.is_none() || n > 1 && !change.every {
        return Err(Refusal::Nothing);
    }
    let mut out = Bytes::new();
    let mut copied = 0;
    let places = match (n, found.place) {
        (0, Some(place)) => vec![place],
        (0, None) => vec![found.events.len().saturating_sub(1)],
        _ => found.seen.clone(),
    };
    let mut i = 0;
    while let Some(&j) = places.get(i) {
        let event = found.events.get(j).copied();
        let (mut end, mut resume);
        if n == 0 {
            end = event.map_or(0, |e| e.end);
            if end > 0 && text[end - 1] != b'\n' && text.get(end) == Some(&b'\n') {
                end += 1;
            }
            resume = end;
        } else {
            end = event.map_or(0, |e| e.begin);
            resume = event.map_or(0, |e| e.end);
            if change.value.is_none()
                && let Some((begin, after, last)) = found.whole_section(i)
            {
                (end, resume, i) = (begin, after, last);
            }
            while end > 0 && matches!(text[end - 1], b' ' | b'\t' | b'\r') {
                end -= 1;
            }
        }
        if end > copied {
            out.extend_from_slice(&text[copied..end]);
            if text[end - 1] != b'\n' {
                out.push(b'\n');
            }
        }
        copied = resume;
        i += 1;
    }
    if let Some(value) = change.value {
        if found.place.is_none() {
            out.extend_from_slice(&header(&change.key[..dot]));
        }
        out.extend_from_slice(&pair(
            &change.key[dot + 1..],
            value,
            change.comment.as_deref(),
        ));
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Ok(Changed {
        text: out,
        has_several: n > 1 && !change.every,
    })
}

/// Where a key stands in a text.
struct Found {
    events: Vec<Event>,
    /// The values that are meant, as indices of events.
    seen: Vec<usize>,
    /// The last header or entry of the section, before the key was seen.
    place: Option<usize>,
}

impl Found {
    fn look(text: &[u8], change: &Change<'_>, dot: usize) -> Result<Found, Refusal> {
        let mut section = change.key[..=dot].to_vec();
        let first = section.iter().position(|b| *b == b'.').unwrap_or(dot);
        section[..first].make_ascii_lowercase();
        let key = [
            section.as_slice(),
            &change.key[dot + 1..].to_ascii_lowercase(),
        ]
        .concat();
        let mut found = Found {
            events: Vec::new(),
            seen: Vec::new(),
            place: None,
        };
        let mut inside = false;
        for (event, part) in Parts::of(text)? {
            let i = found.events.len();
            let mut event = event;
            match part {
                Part::Header { name, extended } => {
                    inside = if extended {
                        name == section
                    } else {
                        name.eq_ignore_ascii_case(&section)
                    };
                    event.is_meant = inside;
                    if inside && found.seen.is_empty() {
                        found.place = Some(i);
                    }
                }
                Part::Variable { name, value } => {
                    let matches = name == key && change.which.matches(value.as_deref());
                    if inside && found.seen.is_empty() {
                        found.place = Some(i);
                    }
                    if matches && (inside || !found.seen.is_empty()) {
                        found.seen.push(i);
                    }
                }
                Part::Other => {}
            }
            found.events.push(event);
        }
        Ok(found)
    }

    /// Returns where the section of a value begins and ends when nothing is left in it and no comment is near, and the
    /// last of the values that leave with it.
    fn whole_section(&self, seen: usize) -> Option<(usize, usize, usize)> {
        let mut last = seen;
        let mut section_seen = false;
        let mut i = self.seen[seen];
        while i > 0 {
            let before = &self.events[i - 1];
            match before.kind {
                Kind::Comment => return None,
                Kind::Entry if !section_seen => return None,
                Kind::Entry => break,
                Kind::Section if !before.is_meant => break,
                Kind::Section => section_seen = true,
                Kind::Blank => {}
            }
            i -= 1;
        }
        let begin = self.events[i].begin;
        let mut i = self.seen[seen] + 1;
        while let Some(event) = self.events.get(i) {
            match event.kind {
                Kind::Comment => return None,
                Kind::Section if !event.is_meant => break,
                Kind::Section | Kind::Blank => {}
                Kind::Entry => {
                    last += 1;
                    if self.seen.get(last) != Some(&i) {
                        return None;
                    }
                }
            }
            i += 1;
        }
        let end = match self.events.get(i) {
            Some(event) => event.begin,
            None => self.events.last()?.end,
        };
        Some((begin, end, last))
    }
}

impl Which {
    fn matches(&self, value: Option<&[u8]>) -> bool {
        match self {
            Which::All => true,
            Which::None => false,
            Which::Fixed(wanted) => value.is_none_or(|v| v == wanted.as_slice()),
            Which::Pattern(pattern, negated) => {
                *negated ^ value.is_some_and(|v| pattern.is_match(v))
            }
        }
    }
}

/// Gives all sections of a name another one, or takes them out; `None` when there is none.
pub(crate) fn rename_section(text: &[u8], old: &[u8], new: Option<&[u8]>) -> Option<Bytes> {
    let mut out = Bytes::new();
    let (mut found, mut leaves) = (false, false);
    for line in text.split_inclusive(|b| *b == b'\n') {
        let blanks = line.iter().take_while(|c| is_space(**c)).count();
        if line.get(blanks) == Some(&b'[') {
            let length = header_length(&line[blanks..], old);
            if length > 0 {
                found = true;
                let Some(new) = new else {
                    leaves = true;
                    continue;
                };
                leaves = false;
                out.extend_from_slice(&header(new));
                // What follows the header on its line is a declaration, and gets a line of its own.
                let rest = &line[blanks + length..];
                if !rest.is_empty() {
                    out.push(b'\t');
                    out.extend_from_slice(rest);
                }
                continue;
            }
            leaves = false;
        }
        if !leaves {
            out.extend_from_slice(line);
        }
    }
    found.then_some(out)
}

/// Repeats all sections of a name under another one, right behind themselves; `None` when there is none.
pub(crate) fn copy_section(text: &[u8], old: &[u8], new: &[u8]) -> Option<Bytes> {
    let mut out = Bytes::new();
    let mut copy = Bytes::new();
    let mut found = false;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let blanks = line.iter().take_while(|c| is_space(**c)).count();
        if line.get(blanks) == Some(&b'[') {
            out.append(&mut copy);
            if header_length(&line[blanks..], old) > 0 {
                found = true;
                copy = header(new);
            }
        } else if !copy.is_empty() {
            copy.extend_from_slice(line);
        }
        out.extend_from_slice(line);
    }
    out.append(&mut copy);
    found.then_some(out)
}

/// Says whether a text is a configuration file git would read.
pub(crate) fn is_well_formed(text: &[u8]) -> bool {
    Parts::of(text).is_ok()
}

/// Returns the length of a header of a section, with the blanks after it; 0 when the line is no such header.
fn header_length(line: &[u8], name: &[u8]) -> usize {
    let at = |i: usize| line.get(i).copied().unwrap_or(0);
    let (mut i, mut j, mut dot) = (1, 0, false);
    let next_is = |j: &mut usize, c: u8| {
        *j += 1;
        name.get(*j - 1).copied().unwrap_or(0) == c
    };
    while at(i) != 0 && at(i) != b']' {
        if !dot && is_space(at(i)) {
            dot = true;
            if !next_is(&mut j, b'.') {
                break;
            }
            i += 1;
            while is_space(at(i)) {
                i += 1;
            }
            if at(i) != b'"' {
                break;
            }
            i += 1;
            continue;
        }
        if at(i) == b'\\' && dot {
            i += 1;
        } else if at(i) == b'"' && dot {
            i += 1;
            while is_space(at(i)) {
                i += 1;
            }
            break;
        }
        if !next_is(&mut j, at(i)) {
            break;
        }
        i += 1;
    }
    if at(i) != b']' || j != name.len() {
        return 0;
    }
    i += 1;
    while is_space(at(i)) {
        i += 1;
    }
    i
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns the header of a section.
fn header(section: &[u8]) -> Bytes {
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

/// Returns the line of a key in its section.
fn pair(name: &[u8], value: &[u8], comment: Option<&[u8]>) -> Bytes {
    let quotes = value.first() == Some(&b' ')
        || value.last() == Some(&b' ')
        || value.iter().any(|c| matches!(c, b';' | b'#' | b'\r'));
    let mut out = [b"\t", name, b" = "].concat();
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
    out.extend_from_slice(comment.unwrap_or_default());
    out.push(b'\n');
    out
}

/// What a stretch says.
enum Part {
    /// The section as it begins a key, with its dot; `extended` when it was written with quotes.
    Header {
        name: Bytes,
        extended: bool,
    },
    Variable {
        name: Bytes,
        value: Option<Bytes>,
    },
    Other,
}

struct Parts;

impl Parts {
    /// Takes a file apart.
    fn of(text: &[u8]) -> Result<Vec<(Event, Part)>, Refusal> {
        let mut found: Vec<(Event, Part)> = Vec::new();
        let mut section = Bytes::new();
        let mut at = if text.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        while let Some(&c) = text.get(at) {
            // A line break of two characters counts from its second one.
            let begin = if c == b'\r' && text.get(at + 1) == Some(&b'\n') {
                at + 1
            } else {
                at
            };
            let (kind, part) = match c {
                c if is_space(c) => {
                    at = begin + 1;
                    if let Some((
                        Event {
                            kind: Kind::Blank, ..
                        },
                        _,
                    )) = found.last()
                    {
                        continue;
                    }
                    (Kind::Blank, Part::Other)
                }
                b'#' | b';' => {
                    let line = text[at..].iter().position(|b| *b == b'\n');
                    at = line.map_or(text.len(), |i| at + i);
                    // The carriage return before the line break belongs to the comment.
                    if text[..at].ends_with(b"\r") && line.is_some() && at > begin + 1 {
                        at -= 1;
                    }
                    (Kind::Comment, Part::Other)
                }
                b'[' => {
                    let (name, end) = config::section_at(text, at + 1).ok_or(Refusal::Malformed)?;
                    let extended = text[at..end].contains(&b'"');
                    at = end;
                    section = name.clone();
                    (Kind::Section, Part::Header { name, extended })
                }
                c if c.is_ascii_alphabetic() => {
                    let (name, value, end) =
                        config::variable_at(text, at).ok_or(Refusal::Malformed)?;
                    at = end;
                    let name = [section.as_slice(), &name].concat();
                    (Kind::Entry, Part::Variable { name, value })
                }
                _ => return Err(Refusal::Malformed),
            };
            if let Some((last, _)) = found.last_mut() {
                last.end = begin;
            }
            let event = Event {
                kind,
                begin,
                end: text.len(),
                is_meant: false,
            };
            found.push((event, part));
        }
        Ok(found)
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
        assert_eq!(
            set(b"[a]\n\tb = 1\n[c]\n\td = 1\n", b"a.b", None).unwrap(),
            b"[c]\n\td = 1\n"
        );
    }

    #[test]
    fn several_values_are_replaced_only_when_asked_for() {
        let text = b"[a]\n\tb = 1\n\tb = 2\n\tc = 3\n";
        let mut change = Change {
            key: b"a.b",
            value: Some(b"9"),
            which: Which::All,
            every: false,
            comment: None,
        };
        assert_eq!(apply(text, &change), Err(Refusal::Nothing));
        change.every = true;
        assert_eq!(
            apply(text, &change).unwrap().text,
            b"[a]\n\tb = 9\n\tc = 3\n"
        );
        change.which = Which::Fixed(b"2".to_vec());
        assert_eq!(
            apply(text, &change).unwrap().text,
            b"[a]\n\tb = 1\n\tb = 9\n\tc = 3\n"
        );
        assert_eq!(
            add(text, b"a.b", b"x").unwrap(),
            b"[a]\n\tb = 1\n\tb = 2\n\tc = 3\n\tb = x\n"
        );
    }

    #[test]
    fn sections_are_renamed_and_taken_out() {
        let new = rename_section(TEXT, b"branch.one", Some(b"branch.two")).unwrap();
        assert!(
            String::from_utf8(new)
                .unwrap()
                .contains("[branch \"two\"]\n\tremote")
        );
        let new = rename_section(TEXT, b"branch.one", None).unwrap();
        assert!(
            String::from_utf8(new)
                .unwrap()
                .ends_with("# about one\n[x] a = 1\n")
        );
        assert_eq!(rename_section(TEXT, b"branch.none", None), None);
        let new = rename_section(TEXT, b"x", Some(b"y")).unwrap();
        assert!(String::from_utf8(new).unwrap().ends_with("[y]\n\ta = 1\n"));
    }
}
