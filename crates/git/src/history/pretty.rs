//! A commit in words: the named formats and the `%` placeholders.

use crate::history::decorate::Decorations;
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::mailmap::Mailmap;
use crate::repository::notes::Notes;
use crate::repository::object::{Commit, Person};
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::date::{self, Format as DateFormat};

/// A format of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pretty {
    Oneline,
    Short,
    Medium,
    Full,
    Fuller,
    Reference,
    Raw,
    /// A template, and whether every commit ends with a newline (or they are separated by one).
    Template(Bytes, bool),
}

impl Pretty {
    /// Reads a value of `--pretty` or `--format`; `None` when it is a name git may know from configuration.
    pub(crate) fn parse(repo: &Repo<'_>, text: &[u8]) -> Res<Pretty> {
        if let Some(template) = text.strip_prefix(b"format:") {
            return Ok(Pretty::Template(template.to_vec(), false));
        }
        if let Some(template) = text.strip_prefix(b"tformat:") {
            return Ok(Pretty::Template(template.to_vec(), true));
        }
        if text.contains(&b'%') || text.is_empty() {
            return Ok(Pretty::Template(text.to_vec(), true));
        }
        let key = [b"pretty.", text].concat();
        Ok(match text {
            b"oneline" => Pretty::Oneline,
            b"short" => Pretty::Short,
            b"medium" => Pretty::Medium,
            b"full" => Pretty::Full,
            b"fuller" => Pretty::Fuller,
            b"reference" => Pretty::Reference,
            b"raw" => Pretty::Raw,
            b"email" | b"mboxrd" => return Err(Stop::not_native("the e-mail format")),
            _ => match repo.config.get_bytes(&key) {
                Some(value) if value != text => {
                    let value = value.to_vec();
                    let is_name = !value.contains(&b'%')
                        && !value.starts_with(b"format:")
                        && !value.starts_with(b"tformat:");
                    if is_name
                        && repo
                            .config
                            .get_bytes(&[b"pretty.", value.as_slice()].concat())
                            .is_some()
                    {
                        return Err(Stop::not_native("an alias of a format alias"));
                    }
                    return Pretty::parse(repo, &value);
                }
                _ => match by_beginning(repo, text)? {
                    Some(pretty) => pretty,
                    None => {
                        return Err(Stop::fatal(format!(
                            "invalid --pretty format: {}",
                            lossy(text)
                        )));
                    }
                },
            },
        })
    }

    /// Says whether commits end with a newline rather than being separated by one.
    pub(crate) fn terminates(&self) -> bool {
        matches!(
            self,
            Pretty::Oneline | Pretty::Reference | Pretty::Template(_, true)
        )
    }
}

/// Finds a format by the beginning of its name: the shortest name that has it, the first of equals.
fn by_beginning(repo: &Repo<'_>, text: &[u8]) -> Res<Option<Pretty>> {
    if repo
        .config
        .entries
        .iter()
        .any(|e| e.key.starts_with(b"pretty."))
    {
        return Err(Stop::not_native("an abbreviated format name"));
    }
    let names: [(&[u8], Option<Pretty>); 9] = [
        (b"raw", Some(Pretty::Raw)),
        (b"medium", Some(Pretty::Medium)),
        (b"short", Some(Pretty::Short)),
        (b"email", None),
        (b"mboxrd", None),
        (b"fuller", Some(Pretty::Fuller)),
        (b"full", Some(Pretty::Full)),
        (b"oneline", Some(Pretty::Oneline)),
        (b"reference", Some(Pretty::Reference)),
    ];
    let found = names
        .into_iter()
        .filter(|(name, _)| name.starts_with(text))
        .min_by_key(|(name, _)| name.len());
    match found {
        None => Ok(None),
        Some((_, Some(pretty))) => Ok(Some(pretty)),
        Some((_, None)) => Err(Stop::not_native("the e-mail format")),
    }
}

/// Everything a format may need besides the commit.
pub(crate) struct Context<'r> {
    pub(crate) repo: &'r Repo<'r>,
    pub(crate) date: DateFormat,
    pub(crate) date_given: bool,
    /// Digits of abbreviated ids.
    pub(crate) abbrev: usize,
    pub(crate) mailmap: Mailmap,
    /// Whether the named formats use the map.
    pub(crate) use_mailmap: bool,
    pub(crate) decorations: Option<Decorations>,
    pub(crate) expand_tabs: Option<usize>,
    pub(crate) notes: Notes,
    /// Whether decorations have their full names.
    pub(crate) full_names: bool,
    /// Whether placeholders for colours print them.
    pub(crate) color: bool,
}

/// What a template can say about one commit.
pub(crate) struct Subject<'c> {
    pub(crate) id: Id,
    pub(crate) commit: &'c Commit,
    /// The parents as they are to be shown.
    pub(crate) parents: &'c [Id],
    /// What `%m` shows: `<`, `>`, `-`, `=` or `+`.
    pub(crate) mark: &'static str,
    /// The name it was reached by.
    pub(crate) source: Option<&'c [u8]>,
    /// Columns a graph takes to its left.
    pub(crate) graph_width: usize,
    /// `stash@{0}` and the message beside it, when a reference log is walked.
    pub(crate) reflog: Option<&'c ReflogNames>,
}

/// The names of a reference log entry.
#[derive(Debug, Clone)]
pub(crate) struct ReflogNames {
    pub(crate) full: Bytes,
    pub(crate) short: Bytes,
    /// As headers name it: by what the log was asked for.
    pub(crate) named: Bytes,
    pub(crate) message: Bytes,
    pub(crate) who: Bytes,
}

impl Context<'_> {
    /// Returns the message in UTF-8, as git shows it.
    pub(crate) fn message(&self, commit: &Commit) -> Res<Bytes> {
        in_utf8(commit)
    }

    pub(crate) fn person_line(&self, commit: &Commit, line: &[u8]) -> Bytes {
        if commit.encoding.as_deref().is_some_and(is_latin1) {
            from_latin1(line)
        } else {
            line.to_vec()
        }
    }

    pub(crate) fn show_date(&self, person: &Person<'_>, format: &DateFormat) -> Res<String> {
        date::show(self.repo.call, person.time, person.zone, format)
    }

    /// Writes a named format's part below the `commit` line.
    pub(crate) fn write_named(
        &self,
        subject: &Subject<'_>,
        pretty: &Pretty,
        out: &mut Bytes,
    ) -> Res<()> {
        let commit = subject.commit;
        let message = self.message(commit)?;
        if *pretty == Pretty::Oneline {
            out.extend_from_slice(&title(&message, b" "));
            return Ok(());
        }
        if *pretty == Pretty::Raw {
            self.write_raw_headers(subject, out);
        } else {
            if subject.parents.len() > 1 {
                out.extend_from_slice(b"Merge:");
                for parent in subject.parents {
                    out.push(b' ');
                    out.extend_from_slice(self.repo.abbreviate(*parent, self.abbrev)?.as_bytes());
                }
                out.push(b'\n');
            }
            let wide = *pretty == Pretty::Fuller;
            self.write_person(commit, &commit.author, "Author", wide, out);
            match pretty {
                Pretty::Medium => self.write_date(commit, &commit.author, "Date:   ", out)?,
                Pretty::Full => self.write_person(commit, &commit.committer, "Commit", false, out),
                Pretty::Fuller => {
                    self.write_date(commit, &commit.author, "AuthorDate: ", out)?;
                    self.write_person(commit, &commit.committer, "Commit", true, out);
                    self.write_date(commit, &commit.committer, "CommitDate: ", out)?;
                }
                _ => {}
            }
        }
        out.push(b'\n');
        let tabs = match pretty {
            Pretty::Medium | Pretty::Full | Pretty::Fuller => self.expand_tabs.unwrap_or(8),
            _ => self.expand_tabs.unwrap_or(0),
        };
        write_body(&message, *pretty == Pretty::Short, tabs, out);
        while out.last().is_some_and(u8::is_ascii_whitespace) {
            out.pop();
        }
        out.push(b'\n');
        Ok(())
    }

    fn write_person(&self, commit: &Commit, line: &[u8], what: &str, wide: bool, out: &mut Bytes) {
        let line = self.person_line(commit, line);
        let person = Person::parse(&line);
        let (name, email) = if self.use_mailmap {
            self.mailmap.map(person.name, person.email)
        } else {
            (person.name.to_vec(), person.email.to_vec())
        };
        out.extend_from_slice(what.as_bytes());
        out.extend_from_slice(if wide { b":     " } else { b": " });
        out.extend_from_slice(&name);
        out.extend_from_slice(b" <");
        out.extend_from_slice(&email);
        out.extend_from_slice(b">\n");
    }

    fn write_date(&self, commit: &Commit, line: &[u8], what: &str, out: &mut Bytes) -> Res<()> {
        let line = self.person_line(commit, line);
        let person = Person::parse(&line);
        out.extend_from_slice(what.as_bytes());
        out.extend_from_slice(self.show_date(&person, &self.date)?.as_bytes());
        out.push(b'\n');
        Ok(())
    }

    fn write_raw_headers(&self, subject: &Subject<'_>, out: &mut Bytes) {
        let commit = subject.commit;
        let mut line = |key: &[u8], value: &[u8]| {
            out.extend_from_slice(key);
            out.push(b' ');
            // Continuation lines begin with a blank.
            for (i, part) in value.split(|b| *b == b'\n').enumerate() {
                if i > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(part);
                out.push(b'\n');
            }
        };
        line(b"tree", commit.tree.hex().as_bytes());
        let parents = if commit.cut_parents.is_empty() {
            subject.parents
        } else {
            &commit.cut_parents
        };
        for parent in parents {
            line(b"parent", parent.hex().as_bytes());
        }
        line(b"author", &commit.author);
        line(b"committer", &commit.committer);
        for (key, value) in &commit.extra {
            line(key, value);
        }
    }
}

/// Returns a commit's message in UTF-8.
pub(crate) fn in_utf8(commit: &Commit) -> Res<Bytes> {
    match &commit.encoding {
        None => Ok(commit.message.clone()),
        Some(name) if is_utf8(name) => Ok(commit.message.clone()),
        Some(name) if is_latin1(name) => Ok(from_latin1(&commit.message)),
        Some(name) => Err(Stop::NotNative(format!(
            "a message in the encoding `{}`",
            lossy(name)
        ))),
    }
}

fn is_utf8(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"utf-8") || name.eq_ignore_ascii_case(b"utf8")
}

fn is_latin1(name: &[u8]) -> bool {
    [
        b"iso-8859-1".as_slice(),
        b"iso8859-1",
        b"latin1",
        b"latin-1",
    ]
    .iter()
    .any(|n| name.eq_ignore_ascii_case(n))
}

fn from_latin1(text: &[u8]) -> Bytes {
    text.iter()
        .map(|b| char::from(*b))
        .collect::<String>()
        .into_bytes()
}

fn skip_blank_lines(mut text: &[u8]) -> &[u8] {
    loop {
        let end = text
            .iter()
            .position(|b| *b == b'\n')
            .map_or(text.len(), |i| i + 1);
        if end == 0 || !text[..end].trim_ascii().is_empty() {
            return text;
        }
        text = &text[end..];
    }
}

/// Splits a message into the lines of its first paragraph and what follows the blank lines after it.
fn split_title(message: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut rest = skip_blank_lines(message);
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(rest.len(), |i| i + 1);
        let line = rest[..end].trim_ascii_end();
        if line.is_empty() {
            break;
        }
        lines.push(line);
        rest = &rest[end..];
    }
    (lines, skip_blank_lines(rest))
}

/// Returns a message without the blank lines it begins with.
pub(crate) fn body_with_title(message: &[u8]) -> Bytes {
    skip_blank_lines(message).to_vec()
}

/// Returns the first paragraph as one line.
pub(crate) fn title(message: &[u8], separator: &[u8]) -> Bytes {
    split_title(message).0.join(separator)
}

/// Returns what follows the first paragraph.
pub(crate) fn body(message: &[u8]) -> &[u8] {
    split_title(message).1
}

/// The title as a file name.
pub(crate) fn sanitized(message: &[u8]) -> Bytes {
    let title = split_title(message)
        .0
        .first()
        .map(|l| l.to_vec())
        .unwrap_or_default();
    let mut out = Bytes::new();
    let mut space = 2;
    let mut i = 0;
    while i < title.len() {
        let c = title[i];
        if c.is_ascii_alphanumeric() || c == b'.' || c == b'_' {
            if space == 1 {
                out.push(b'-');
            }
            space = 0;
            out.push(c);
            if c == b'.' {
                while title.get(i + 1) == Some(&b'.') {
                    i += 1;
                }
            }
        } else {
            space |= 1;
        }
        i += 1;
    }
    while matches!(out.last(), Some(b'.' | b'-')) {
        out.pop();
    }
    out
}

fn write_body(message: &[u8], short: bool, tabs: usize, out: &mut Bytes) {
    let mut first = true;
    for line in message.split_inclusive(|b| *b == b'\n') {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            if first {
                continue;
            }
            if short {
                break;
            }
        }
        first = false;
        out.extend_from_slice(b"    ");
        if tabs > 0 {
            expand_tabs(line, tabs, out);
        } else {
            out.extend_from_slice(line);
        }
        out.push(b'\n');
    }
}

fn expand_tabs(line: &[u8], tabs: usize, out: &mut Bytes) {
    let mut rest = line;
    while let Some(tab) = rest.iter().position(|b| *b == b'\t') {
        let Ok(text) = std::str::from_utf8(&rest[..tab]) else {
            break;
        };
        let width: usize = text.chars().map(crate::text::columns::width).sum();
        out.extend_from_slice(&rest[..tab]);
        out.extend(std::iter::repeat_n(b' ', tabs - width % tabs));
        rest = &rest[tab + 1..];
    }
    out.extend_from_slice(rest);
}
