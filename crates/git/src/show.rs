//! `git show`: commits with their diffs, tags, trees and blobs.

use deskhand_protocol::git::{GitReport, LogReport};
use git2::ObjectType;

use crate::attr::Attributes;
use crate::bytes::{Bytes, lossy};
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::log::{Printer, Settings, index_for_attributes, specs, walk_of};
use crate::object::{Tag, mode, tree_entries};
use crate::options::{Numbers, parse};
use crate::outcome::{Out, Res, Stop};
use crate::pair::Contents;
use crate::pathspec::Pathspec;
use crate::pretty::Pretty;
use crate::repo::Repo;
use crate::rev_args::{self, RevArg};
use crate::revwalk::{Step, Walker};
use crate::{date, object, quote, tree_diff};

/// Says what a show would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, &specs(), Numbers::MaxCount).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, &specs(), Numbers::MaxCount)?;
    if [
        "max-count",
        "skip",
        "reverse",
        "all",
        "branches",
        "tags",
        "remotes",
        "since",
        "until",
        "author",
        "grep",
    ]
    .iter()
    .any(|o| parsed.last(o).is_some())
    {
        return Err(Stop::not_native("a show that walks history"));
    }
    let repo = Repo::open(call)?;
    let settings = Settings::new(&repo, &parsed, true)?;
    let (mut revs, paths) = rev_args::split(&repo, &parsed, "show")?;
    let spec = Pathspec::parse(&repo, &paths)?;
    if revs.is_empty() {
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
    let index = index_for_attributes(&repo, &settings)?;
    let attributes = Attributes::load(&repo, index.as_ref())?;
    let contents = Contents::new(&repo, &attributes, index.as_ref());
    let mut show = Show {
        repo: &repo,
        settings: &settings,
        printer: Printer::new(&settings, &contents, spec.clone()),
        shown_one: false,
        commits: true,
        spec,
    };
    if revs.iter().any(|r| r.exclude || r.symmetric) {
        // A range is walked like a log.
        let mut walker = Walker::new(&repo, walk_of(&repo, &parsed, &revs)?)?;
        while let Some(step) = walker.next()? {
            show.printer.commit(&step, None, out)?;
        }
    } else {
        for rev in &revs {
            show.object(rev, out)?;
        }
    }
    let (commits, report): (bool, LogReport) = (show.commits, show.printer.report);
    if commits {
        out.report = Some(GitReport::Show(report));
    }
    Ok(())
}

struct Show<'s> {
    repo: &'s Repo<'s>,
    settings: &'s Settings<'s>,
    printer: Printer<'s>,
    shown_one: bool,
    commits: bool,
    spec: Pathspec,
}

impl Show<'_> {
    fn object(&mut self, rev: &RevArg, out: &mut Out) -> Res<()> {
        let kind = self.repo.header(rev.id)?.map(|(kind, _)| kind);
        match kind {
            Some(ObjectType::Commit) => self.commit(rev.id, out),
            Some(ObjectType::Tag) => self.tag(rev, out),
            Some(ObjectType::Tree) => self.tree(rev, out),
            Some(ObjectType::Blob) => {
                self.commits = false;
                self.shown_one = true;
                out.put(self.repo.blob(rev.id)?);
                Ok(())
            }
            _ => Err(Stop::fatal([b"bad object ".as_slice(), &rev.text].concat())),
        }
    }

    fn commit(&mut self, id: Id, out: &mut Out) -> Res<()> {
        let commit = self.repo.commit(id)?;
        let parents = self.repo.parents(id)?;
        if !self.spec.is_empty() && self.is_same_as_a_parent(commit.tree, &parents)? {
            return Ok(());
        }
        self.shown_one = true;
        self.printer.commit(
            &Step {
                id,
                commit,
                parents,
                is_left: false,
            },
            None,
            out,
        )
    }

    /// Says whether a commit changed nothing in the paths that were asked for.
    fn is_same_as_a_parent(&self, tree: Id, parents: &[Id]) -> Res<bool> {
        if parents.is_empty() {
            return Ok(!tree_diff::differ(self.repo, Id::ZERO, tree, &self.spec)?);
        }
        for parent in parents {
            let parent_tree = self.repo.commit(*parent)?.tree;
            if !tree_diff::differ(self.repo, parent_tree, tree, &self.spec)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tag(&mut self, rev: &RevArg, out: &mut Out) -> Res<()> {
        let tag = self
            .repo
            .read(rev.id, |_, data| Tag::parse(data))?
            .flatten();
        let tag = tag.ok_or_else(|| Stop::not_native("a malformed tag"))?;
        if self.shown_one {
            out.put("\n");
        }
        self.shown_one = true;
        out.put("tag ");
        out.put(&tag.name);
        out.put("\n");
        if !tag.tagger.is_empty() {
            let person = object::Person::parse(&tag.tagger);
            let context = &self.settings.context;
            out.put([b"Tagger: ", person.name, b" <", person.email, b">\n"].concat());
            let shown = match self.settings.pretty {
                Pretty::Medium => Some("Date:   "),
                Pretty::Fuller => Some("TaggerDate: "),
                Pretty::Short | Pretty::Full => None,
                _ => return Err(Stop::not_native("a tag in this format")),
            };
            if self.settings.pretty == Pretty::Fuller {
                return Err(Stop::not_native("a tag in this format"));
            }
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
            Some(ObjectType::Commit) => {
                // The commit follows a blank line, as after any other entry.
                out.put("\n");
                self.commit(target.id, out)
            }
            _ => self.object(&target, out),
        }
    }

    fn tree(&mut self, rev: &RevArg, out: &mut Out) -> Res<()> {
        self.commits = false;
        if self.shown_one {
            out.put("\n");
        }
        self.shown_one = true;
        out.put([b"tree ".as_slice(), &rev.text, b"\n\n"].concat());
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
