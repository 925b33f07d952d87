//! `git show`: commits with their diffs, tags, trees and blobs.

use std::collections::HashSet;

use deskhand_protocol::git::{GitReport, LogReport};
use git2::ObjectType;

use crate::compare::pair::Contents;
use crate::exec::{Call, Plan};
use crate::history::pretty::Pretty;
use crate::history::rev_args::RevArg;
use crate::history::rev_select;
use crate::history::revwalk::{Tip, Walk, Walker};
use crate::options::Parsed;
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object;
use crate::repository::object::{Tag, mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::color;
use crate::text::date;
use crate::text::quote;
use crate::verbs::log::{self, index_for_attributes};
use crate::verbs::log_print::Printer;
use crate::verbs::log_settings::{self, Settings};
use crate::work::attr::Attributes;
use crate::work::pathspec::Pathspec;

/// Says what a show would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    log_settings::parse(args).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = log_settings::parse(args)?;
    let repo = Repo::open(call)?;
    let settings = Settings::new(&repo, &parsed, true)?;
    let selection = rev_select::select(&repo, &parsed)?;
    if parsed.has("walk-reflogs") {
        return Err(Stop::not_native("option `--walk-reflogs`"));
    }
    let spec = selection.walk.paths.clone();
    let mut revs = selection.named.clone();
    // What walks history makes a log of it.
    let bounded = parsed.last("max-count").is_some();
    if bounded && parsed.last("no-walk").is_some() {
        return Err(Stop::not_native("a bounded walk of what was named"));
    }
    let walks = revs.iter().any(|r| r.exclude || r.symmetric) || parsed.has("do-walk") || bounded;
    let counts = ["skip", "boundary", "since-as-filter"];
    if !walks && revs.len() > 1 && counts.iter().any(|o| parsed.last(o).is_some()) {
        return Err(Stop::not_native("a show of some of several"));
    }
    if !walks {
        groups(&repo, &parsed, &mut revs)?;
    }
    if !walks && settings.graph {
        return Err(Stop::fatal(
            "options '--no-walk' and '--graph' cannot be used together",
        ));
    }
    if revs.is_empty() && !selection.any {
        let head = repo.head()?;
        let Some(id) = head.id else {
            let branch = lossy(head.short_branch().unwrap_or(b"HEAD")).into_owned();
            return Err(Stop::fatal(format!(
                "your current branch '{branch}' does not have any commits yet"
            )));
        };
        revs.push(RevArg {
            text: b"HEAD".to_vec(),
            id,
            ..RevArg::default()
        });
    }
    log_settings::refuse_unknown(&parsed)?;
    let mut selection = selection;
    settings.adjust(&mut selection);
    if walks {
        selection.or_head(&repo)?;
        let report = log::print_history(&repo, &settings, selection.walk, &spec, out)?;
        out.report = Some(GitReport::Show(report));
        return Ok(());
    }
    let walk = selection.walk;
    let index = index_for_attributes(&repo, &settings)?;
    let attributes = Attributes::load(&repo, index.as_ref())?;
    let contents = Contents::new(&repo, &attributes, index.as_ref());
    let mut show = Show {
        repo: &repo,
        settings: &settings,
        printer: Printer::new(&settings, &contents, spec.clone()),
        commits: true,
        walk,
        shown: HashSet::new(),
    };
    for rev in &revs {
        show.object(rev, out)?;
    }
    if show.printer.check_failed {
        out.code = 2;
    } else if settings.diff.exit_code && show.printer.found_changes {
        out.code = 1;
    }
    let (commits, report): (bool, LogReport) = (show.commits, show.printer.report);
    if commits {
        out.report = Some(GitReport::Show(report));
    }
    Ok(())
}

/// Adds the references of `--all`, `--branches`, `--tags` and `--remotes`.
fn groups(repo: &Repo<'_>, parsed: &Parsed, revs: &mut Vec<RevArg>) -> Res<()> {
    const GROUPS: [(&str, &[u8]); 4] = [
        ("all", b"refs/"),
        ("branches", b"refs/heads/"),
        ("tags", b"refs/tags/"),
        ("remotes", b"refs/remotes/"),
    ];
    let mixed = !revs.is_empty() || parsed.last("exclude").is_some() || parsed.has("not");
    for given in &parsed.options {
        if given.name == "glob" {
            return Err(Stop::not_native("a show of all references"));
        }
        let Some((_, prefix)) = GROUPS.iter().find(|(name, _)| *name == given.name) else {
            continue;
        };
        if mixed || given.value.is_some() {
            return Err(Stop::not_native("a show of all references"));
        }
        for reference in repo.refs(prefix)? {
            revs.push(RevArg {
                text: reference.name.clone(),
                id: reference.id,
                ..RevArg::default()
            });
        }
        if given.name == "all" {
            if crate::repository::worktrees::list(repo)?.len() > 1 {
                return Err(Stop::not_native("a show of all references"));
            }
            if let Some(id) = repo.head()?.id {
                revs.push(RevArg {
                    text: b"HEAD".to_vec(),
                    id,
                    ..RevArg::default()
                });
            }
        }
    }
    Ok(())
}

struct Show<'s> {
    repo: &'s Repo<'s>,
    settings: &'s Settings<'s>,
    printer: Printer<'s>,
    commits: bool,
    walk: Walk,
    /// A commit is shown once, however often it is named.
    shown: HashSet<Id>,
}

impl Show<'_> {
    fn object(&mut self, rev: &RevArg, out: &mut Out) -> Res<()> {
        let kind = self.repo.header(rev.id)?.map(|(kind, _)| kind);
        match kind {
            Some(ObjectType::Commit) => self.commit(rev, out),
            Some(ObjectType::Tag) => self.tag(rev, out),
            Some(ObjectType::Tree) => self.tree(rev, out),
            Some(ObjectType::Blob) => {
                self.commits = false;
                out.put(self.repo.blob(rev.id)?);
                Ok(())
            }
            _ => Err(Stop::fatal([b"bad object ".as_slice(), &rev.text].concat())),
        }
    }

    /// Shows one commit as a walk of nothing else would.
    fn commit(&mut self, rev: &RevArg, out: &mut Out) -> Res<()> {
        let id = rev.id;
        if !self.shown.insert(id) {
            return Ok(());
        }
        let mut walk = self.walk.clone();
        walk.tips = vec![Tip {
            id,
            name: rev.text.clone(),
            ..Tip::default()
        }];
        walk.no_walk = true;
        if self.settings.diff.follow {
            walk.paths = Pathspec::default();
        }
        walk.skip = 0;
        walk.reverse = false;
        let mut walker = Walker::filtered(self.repo, walk, Some(&self.settings.filter))?;
        while let Some(step) = walker.next()? {
            self.printer.commit(&step, None, None, out)?;
        }
        Ok(())
    }

    fn tag(&mut self, rev: &RevArg, out: &mut Out) -> Res<()> {
        let tag = self
            .repo
            .read(rev.id, |_, data| Tag::parse(data))?
            .flatten();
        let tag = tag.ok_or_else(|| Stop::not_native("a malformed tag"))?;
        if self.printer.has_shown() {
            out.put("\n");
        }
        self.printer.follows_something();
        let (set, reset) = self.colors();
        out.put([set, b"tag ", &tag.name, reset, b"\n"].concat());
        if !tag.tagger.is_empty() {
            let person = object::Person::parse(&tag.tagger);
            let context = &self.settings.context;
            let blanks: &[u8] = if self.settings.pretty == Pretty::Fuller {
                b"    "
            } else {
                b""
            };
            let who = [person.name, b" <", person.email, b">\n"].concat();
            if self.settings.pretty != Pretty::Oneline {
                out.put([b"Tagger: ", blanks, &who].concat());
            }
            let shown = match self.settings.pretty {
                Pretty::Medium => Some("Date:   "),
                Pretty::Fuller => Some("TaggerDate: "),
                _ => None,
            };
            if let Some(label) = shown {
                out.put(label);
                out.put(date::show(
                    context.repo.call,
                    person.time,
                    person.zone,
                    &context.date,
                )?);
                out.put("\n");
            }
        }
        out.put("\n");
        out.put(&tag.message);
        let target = RevArg {
            id: tag.object,
            ..rev.clone()
        };
        match self.repo.header(tag.object)?.map(|(k, _)| k) {
            Some(ObjectType::Commit) => self.commit(&target, out),
            _ => self.object(&target, out),
        }
    }

    /// Returns what stands around the first line of what is no commit.
    fn colors(&self) -> (&'static [u8], &'static [u8]) {
        if self.settings.diff.color {
            (color::diff::COMMIT, color::RESET)
        } else {
            (b"", b"")
        }
    }

    fn tree(&mut self, rev: &RevArg, out: &mut Out) -> Res<()> {
        self.commits = false;
        if self.printer.has_shown() {
            out.put("\n");
        }
        self.printer.follows_something();
        let (set, reset) = self.colors();
        out.put([set, b"tree ", &rev.text, reset, b"\n\n"].concat());
        let data = self.repo.tree_data(rev.id)?;
        for entry in tree_entries(&data) {
            out.put(quote_name(entry.name, self.repo.quote_path()?));
            out.put(if mode::is_tree(entry.mode) {
                "/\n"
            } else {
                "\n"
            });
        }
        Ok(())
    }
}

fn quote_name(name: &[u8], _high: bool) -> Bytes {
    // git prints these names as they are.
    let _ = quote::needs_quotes;
    name.to_vec()
}
