//! What `git blame` prints: lines with where they came from, or the porcelain form.

use std::collections::HashSet;

use crate::compare::stat::width_of;
use crate::options::Parsed;
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::mailmap::Mailmap;
use crate::repository::object::{Commit, Person};
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::date;
use crate::text::quote;
use crate::verbs::blame::{Board, Entry, Origin};

/// How lines are shown.
pub(crate) struct Style {
    porcelain: bool,
    every_line: bool,
    annotate: bool,
    blank_boundary: bool,
    name: bool,
    number: bool,
    no_author: bool,
    email: bool,
    raw_time: bool,
    long: bool,
    date: date::Format,
    date_width: usize,
    /// Digits of ids, one more than asked for; `None` for as many as are needed.
    abbrev: Option<usize>,
}

impl Style {
    pub(crate) fn new(repo: &Repo<'_>, parsed: &Parsed, annotate: bool) -> Res<Style> {
        let has = |name: &str| parsed.has(name);
        let config = &repo.config;
        let iso = || date::Format {
            style: date::Style::Iso,
            local: false,
        };
        let date = match (parsed.last("date"), config.get("blame.date")) {
            _ if annotate => iso(),
            (Some(given), _) => date::Format::parse(given.text())?,
            (None, Some(text)) => date::Format::parse(text)?,
            (None, None) => iso(),
        };
        let abbrev = match parsed.last("abbrev") {
            None => None,
            Some(given) if given.negated => Some(Id::digits()),
            Some(given) => match &given.value {
                None => None,
                Some(text) => match parse_int(text) {
                    Some(0) => Some(Id::digits()),
                    Some(n @ 1..) => Some(
                        usize::try_from(n)
                            .unwrap_or(usize::MAX)
                            .clamp(4, Id::digits()),
                    ),
                    _ => return Err(Stop::not_native("the value of `--abbrev`")),
                },
            },
        };
        let email = match parsed.last("show-email") {
            Some(given) => !given.negated,
            None => config.bool("blame.showemail")? == Some(true),
        };
        let porcelain = has("porcelain") || has("line-porcelain");
        if porcelain && has("progress") {
            return Err(Stop::fatal(
                "--progress can't be used with --incremental or porcelain formats",
            ));
        }
        if has("progress") {
            return Err(Stop::not_native("option `--progress`"));
        }
        Ok(Style {
            porcelain,
            every_line: has("line-porcelain"),
            annotate: annotate || has("compatible"),
            blank_boundary: has("blank") || config.bool("blame.blankboundary")? == Some(true),
            name: has("show-name"),
            number: has("show-number"),
            no_author: has("no-author"),
            email,
            raw_time: has("raw-time"),
            long: has("long"),
            date_width: date_width(repo, &date)?,
            date,
            abbrev: abbrev.map(|n| (n + 1).min(Id::digits())),
        })
    }
}

/// The columns every date of a form fits in.
fn date_width(repo: &Repo<'_>, format: &date::Format) -> Res<usize> {
    Ok(match &format.style {
        date::Style::Rfc => 31,
        date::Style::IsoStrict | date::Style::Iso => 25,
        date::Style::Raw => 16,
        date::Style::Unix => 10,
        date::Style::Short => 10,
        date::Style::Relative => 22,
        date::Style::Human => 16,
        date::Style::Normal => 30,
        date::Style::Strftime(_) => date::show(repo.call, 0, 0, format)?.len(),
    })
}

/// What is shown of a commit.
struct Info {
    author: Bytes,
    author_email: Bytes,
    author_time: i64,
    author_zone: Bytes,
    committer: Bytes,
    committer_email: Bytes,
    committer_time: i64,
    committer_zone: Bytes,
    summary: Bytes,
}

struct Printer<'b> {
    board: &'b Board<'b>,
    style: &'b Style,
    lines: &'b [&'b [u8]],
    path: &'b [u8],
    mailmap: Mailmap,
    /// Commits whose details were shown.
    told: HashSet<usize>,
    infos: Vec<Option<Info>>,
}

/// Prints everything that was found.
pub(crate) fn print(
    board: &Board<'_>,
    style: &Style,
    lines: &[&[u8]],
    path: &[u8],
    out: &mut Out,
) -> Res<()> {
    let mut printer = Printer {
        board,
        style,
        lines,
        path,
        mailmap: Mailmap::load(board.repo)?,
        told: HashSet::new(),
        infos: board.commits.iter().map(|_| None).collect(),
    };
    for entry in &board.done {
        printer.learn(board.origins[entry.origin].commit)?;
    }
    if style.porcelain {
        printer.porcelain(out);
        Ok(())
    } else {
        printer.plain(out)
    }
}

impl Printer<'_> {
    fn learn(&mut self, commit: usize) -> Res<()> {
        if self.infos[commit].is_some() {
            return Ok(());
        }
        let repo = self.board.repo;
        let version = &self.board.commits[commit];
        let info = if version.id.is_zero() {
            let zone = date::local_zone(repo.call, version.time)?;
            let zone = format!("{zone:+05}").into_bytes();
            let (name, email) = self.mailmap.map(b"Not Committed Yet", b"not.committed.yet");
            let email = [b"<".as_slice(), &email, b">"].concat();
            Info {
                author: name.clone(),
                author_email: email.clone(),
                author_time: version.time,
                author_zone: zone.clone(),
                committer: name,
                committer_email: email,
                committer_time: version.time,
                committer_zone: zone,
                summary: [b"Version of ".as_slice(), self.path, b" from ", self.path].concat(),
            }
        } else {
            self.read(&repo.commit(version.id)?, version.id)?
        };
        self.infos[commit] = Some(info);
        Ok(())
    }

    fn read(&self, commit: &Commit, id: Id) -> Res<Info> {
        let is_utf8 =
            |e: &Bytes| e.eq_ignore_ascii_case(b"utf-8") || e.eq_ignore_ascii_case(b"utf8");
        if !commit.encoding.as_ref().is_none_or(is_utf8) {
            return Err(Stop::not_native("a commit in another encoding"));
        }
        let person = |line: &[u8]| -> Res<(Bytes, Bytes, i64, Bytes)> {
            let person = Person::parse(line);
            if !person.has_time {
                return Err(Stop::not_native("a commit without its time"));
            }
            let (name, email) = self.mailmap.map(person.name, person.email);
            let zone = line.split(|b| *b == b' ').next_back().unwrap_or_default();
            let email = [b"<".as_slice(), &email, b">"].concat();
            Ok((name, email, person.time, zone.to_vec()))
        };
        let (author, author_email, author_time, author_zone) = person(&commit.author)?;
        let (committer, committer_email, committer_time, committer_zone) =
            person(&commit.committer)?;
        let subject = commit
            .message
            .split(|b| *b == b'\n')
            .find(|line| !line.trim_ascii().is_empty());
        let summary = match subject {
            Some(line) => line.to_vec(),
            None => format!("({id})").into_bytes(),
        };
        Ok(Info {
            author,
            author_email,
            author_time,
            author_zone,
            committer,
            committer_email,
            committer_time,
            committer_zone,
            summary,
        })
    }

    fn origin(&self, entry: &Entry) -> &Origin {
        &self.board.origins[entry.origin]
    }

    fn info(&self, commit: usize) -> Option<&Info> {
        self.infos.get(commit).and_then(Option::as_ref)
    }

    fn content(&self, at: usize, out: &mut Out) {
        let line = self.lines.get(at).copied().unwrap_or_default();
        out.put(line);
        if !line.ends_with(b"\n") {
            out.put("\n");
        }
    }

    fn porcelain(&mut self, out: &mut Out) {
        let board = self.board;
        for entry in &board.done {
            let origin = &board.origins[entry.origin];
            let commit = &board.commits[origin.commit];
            let guilty = commit.origins.iter().filter(|o| board.origins[**o].guilty);
            let several_paths = guilty.count() > 1;
            let (source, line) = (entry.source + 1, entry.line + 1);
            for i in 0..entry.count {
                if i == 0 {
                    out.put(format!("{} {source} {line} {}\n", commit.id, entry.count));
                } else {
                    out.put(format!("{} {} {}\n", commit.id, source + i, line + i));
                }
                let details = self.style.every_line || i == 0 && self.told.insert(origin.commit);
                if details && let Some(info) = self.info(origin.commit) {
                    details_of(info, commit.boundary, out);
                }
                if details || i == 0 && several_paths {
                    self.file_name(origin, out);
                }
                out.put("\t");
                self.content(entry.line + i, out);
            }
        }
    }

    fn file_name(&self, origin: &Origin, out: &mut Out) {
        let high = self.board.repo.quote_path().unwrap_or(true);
        if let Some(previous) = origin.previous.and_then(|p| self.board.origins.get(p)) {
            let id = self.board.commits[previous.commit].id;
            out.put(format!("previous {id} "));
            out.put(quote::c_style(&previous.side.path, high));
            out.put("\n");
        }
        out.put("filename ");
        out.put(quote::c_style(&origin.side.path, high));
        out.put("\n");
    }

    fn plain(&mut self, out: &mut Out) -> Res<()> {
        let (style, board) = (self.style, self.board);
        let mut names = style.name;
        let (mut longest_file, mut longest_author) = (0, 0);
        let (mut last_source, mut last_line) = (0, 0);
        let mut auto = board.repo.default_abbrev()?;
        for entry in &board.done {
            let origin = self.origin(entry);
            let id = board.commits[origin.commit].id;
            if style.abbrev.is_none() {
                auto = auto.max(board.repo.abbreviate(id, auto)?.len());
            }
            names |= origin.side.path != self.path;
            longest_file = longest_file.max(origin.side.path.len());
            if let Some(info) = self.info(origin.commit) {
                longest_author = longest_author.max(width_of(self.author(info)));
            }
            last_source = last_source.max(entry.source + entry.count);
            last_line = last_line.max(entry.line + entry.count);
        }
        let abbrev = style.abbrev.unwrap_or(auto + 1);
        let (source_width, line_width) = (digits(last_source), digits(last_line));
        for entry in &board.done {
            let origin = self.origin(entry);
            let commit = &board.commits[origin.commit];
            let Some(info) = self.info(origin.commit) else {
                continue;
            };
            let when = self.time(info)?;
            let mut hex = commit.id.hex();
            let length = if style.long { Id::digits() } else { abbrev };
            let mut mark = "";
            let mut shown = length;
            if commit.boundary {
                if style.blank_boundary {
                    hex = " ".repeat(length.min(Id::digits()))
                        + hex.get(length..).unwrap_or_default();
                } else if !style.annotate {
                    (mark, shown) = ("^", length - 1);
                }
            }
            let id = hex
                .get(..shown.min(Id::digits()))
                .unwrap_or_default()
                .to_string();
            for i in 0..entry.count {
                out.put(format!("{mark}{id}"));
                let line = entry.line + i + 1;
                if style.annotate {
                    let author = self.author(info);
                    out.put("\t(");
                    out.put(" ".repeat(10usize.saturating_sub(author.len())));
                    out.put(author);
                    out.put(format!("\t{when:>10}\t{line})"));
                } else {
                    if names {
                        let path = &origin.side.path;
                        out.put(" ");
                        out.put(path);
                        out.put(" ".repeat(longest_file.saturating_sub(path.len())));
                    }
                    if style.number {
                        out.put(format!(" {:>source_width$}", entry.source + i + 1));
                    }
                    if !style.no_author {
                        let author = self.author(info);
                        out.put(" (");
                        out.put(author);
                        out.put(" ".repeat(longest_author.saturating_sub(width_of(author))));
                        out.put(format!(" {when:>10}"));
                    }
                    out.put(format!(" {line:>line_width$}) "));
                }
                self.content(entry.line + i, out);
            }
        }
        Ok(())
    }

    fn author<'i>(&self, info: &'i Info) -> &'i [u8] {
        if self.style.email {
            &info.author_email
        } else {
            &info.author
        }
    }

    fn time(&self, info: &Info) -> Res<String> {
        if self.style.raw_time {
            return Ok(format!("{} {}", info.author_time, lossy(&info.author_zone)));
        }
        let zone = parse_int(&info.author_zone).and_then(|z| i32::try_from(z).ok());
        let call = self.board.repo.call;
        let text = date::show(call, info.author_time, zone.unwrap_or(0), &self.style.date)?;
        let width = width_of(text.as_bytes());
        Ok(text + &" ".repeat(self.style.date_width.saturating_sub(width)))
    }
}

fn details_of(info: &Info, boundary: bool, out: &mut Out) {
    let mut line = |name: &str, value: &[u8]| {
        out.put(name);
        out.put(" ");
        out.put(value);
        out.put("\n");
    };
    line("author", &info.author);
    line("author-mail", &info.author_email);
    line("author-time", info.author_time.to_string().as_bytes());
    line("author-tz", &info.author_zone);
    line("committer", &info.committer);
    line("committer-mail", &info.committer_email);
    line("committer-time", info.committer_time.to_string().as_bytes());
    line("committer-tz", &info.committer_zone);
    line("summary", &info.summary);
    if boundary {
        out.put("boundary\n");
    }
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |d| d as usize + 1)
}
