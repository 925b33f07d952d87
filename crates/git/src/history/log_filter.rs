//! `--author`, `--committer` and `--grep`: which commits a log is about, by their text.

use crate::history::pretty;
use crate::options::{Parsed, Spec, flag, value};
use crate::outcome::{Res, Stop};
use crate::repository::mailmap::Mailmap;
use crate::repository::object::{Commit, Person};
use crate::repository::repo::Repo;
use crate::text::regexes::{self, Dialect};

/// The options this module reads.
pub(crate) const OPTIONS: &[Spec] = &[
    value("author", None),
    value("committer", None),
    value("grep", None),
    flag("regexp-ignore-case", Some(b'i')),
    flag("basic-regexp", None),
    flag("extended-regexp", Some(b'E')),
    flag("fixed-strings", Some(b'F')),
    flag("perl-regexp", Some(b'P')),
    flag("all-match", None),
    flag("invert-grep", None),
];

/// What was asked for.
#[derive(Default)]
pub(crate) struct Filter {
    author: Vec<regex::bytes::Regex>,
    committer: Vec<regex::bytes::Regex>,
    message: Vec<regex::bytes::Regex>,
    invert: bool,
    all: bool,
    mailmap: Option<Mailmap>,
}

impl Filter {
    /// Reads the options.
    pub(crate) fn new(repo: &Repo<'_>, parsed: &Parsed, use_mailmap: bool) -> Res<Filter> {
        let mut dialect = by_config(repo)?;
        for given in &parsed.options {
            match given.name {
                "basic-regexp" => dialect = Dialect::Basic,
                "extended-regexp" => dialect = Dialect::Extended,
                "fixed-strings" => dialect = Dialect::Fixed,
                // Not every git has them, and they are not the ones compiled here.
                "perl-regexp" => return Err(Stop::not_native("Perl's regular expressions")),
                _ => {}
            }
        }
        let ignore_case = parsed.has("regexp-ignore-case");
        let mut filter = Filter {
            invert: parsed.has("invert-grep"),
            all: parsed.has("all-match"),
            ..Filter::default()
        };
        for given in &parsed.options {
            let list = match given.name {
                "author" => &mut filter.author,
                "committer" => &mut filter.committer,
                "grep" => &mut filter.message,
                _ => continue,
            };
            for line in given.text().split(|b| *b == b'\n') {
                list.push(regexes::compile(line, dialect, ignore_case)?);
            }
        }
        if use_mailmap && !(filter.author.is_empty() && filter.committer.is_empty()) {
            filter.mailmap = Some(Mailmap::load(repo)?);
        }
        Ok(filter)
    }

    /// Says whether everything passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.author.is_empty() && self.committer.is_empty() && self.message.is_empty()
    }

    /// Says whether messages are searched.
    pub(crate) fn reads_messages(&self) -> bool {
        !self.message.is_empty()
    }

    /// Says whether a commit passes.
    pub(crate) fn passes(&self, commit: &Commit) -> Res<bool> {
        if self.is_empty() {
            return Ok(true);
        }
        if !(self.is_anyone(&self.author, &commit.author)
            && self.is_anyone(&self.committer, &commit.committer))
        {
            return Ok(false);
        }
        if self.message.is_empty() {
            return Ok(true);
        }
        let message = pretty::in_utf8(commit)?;
        let text = message.strip_suffix(b"\n").unwrap_or(&message);
        let hit = |p: &regex::bytes::Regex| text.split(|b| *b == b'\n').any(|l| p.is_match(l));
        Ok(if self.invert {
            !self.message.iter().any(hit)
        } else if self.all {
            self.message.iter().all(hit)
        } else {
            self.message.iter().any(hit)
        })
    }

    fn is_anyone(&self, patterns: &[regex::bytes::Regex], line: &[u8]) -> bool {
        if patterns.is_empty() {
            return true;
        }
        // The time is not part of what is searched.
        let person = Person::parse(line);
        let (name, email) = match &self.mailmap {
            Some(map) => map.map(person.name, person.email),
            None => (person.name.to_vec(), person.email.to_vec()),
        };
        let line = [&name, b" <".as_slice(), &email, b">"].concat();
        patterns.iter().any(|p| p.is_match(&line))
    }
}

fn by_config(repo: &Repo<'_>) -> Res<Dialect> {
    let extended = repo.config.bool("grep.extendedregexp")?.unwrap_or(false);
    let default = if extended {
        Dialect::Extended
    } else {
        Dialect::Basic
    };
    match repo.config.get("grep.patterntype") {
        None | Some(b"default") => Ok(default),
        Some(b"basic") => Ok(Dialect::Basic),
        Some(b"extended") => Ok(Dialect::Extended),
        Some(b"fixed") => Ok(Dialect::Fixed),
        Some(b"perl") => Err(Stop::not_native("Perl's regular expressions")),
        Some(_) => Err(Stop::not_native("a bad value of grep.patternType")),
    }
}
