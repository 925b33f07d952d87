//! What `git commit` says about the commit it made: a line, who and when, and what changed.

use crate::compare::diff_options::DiffOptions;
use crate::compare::pair::Contents;
use crate::compare::rename;
use crate::compare::stat::{self, FileStat};
use crate::history::pretty;
use crate::options::Parsed;
use crate::outcome::{Out, Res};
use crate::references::refs::Head;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::{Bytes, lossy};
use crate::text::date;
use crate::work::attr::Attributes;
use crate::work::pathspec::Pathspec;

/// A commit that was just made, on what HEAD was before.
pub(crate) struct Made<'a> {
    pub(crate) head: &'a Head,
    pub(crate) id: Id,
    pub(crate) author: &'a Identity,
    pub(crate) committer: &'a Identity,
    pub(crate) shows_date: bool,
}

/// Prints the summary.
pub(crate) fn print(repo: &Repo<'_>, made: &Made<'_>, out: &mut Out) -> Res<()> {
    let commit = repo.commit(made.id)?;
    let name = match &made.head.branch {
        Some(branch) => lossy(branch.strip_prefix(b"refs/heads/").unwrap_or(branch)).into_owned(),
        None => "detached HEAD".to_string(),
    };
    let root = if made.head.id.is_none() {
        " (root-commit)"
    } else {
        ""
    };
    out.put(format!("[{name}{root} {}] ", repo.short(made.id)?));
    out.put([pretty::title(&commit.message, b" ").as_slice(), b"\n"].concat());
    let (author, committer) = (made.author, made.committer);
    if author.name != committer.name || author.email != committer.email {
        let line: [&[u8]; 5] = [b" Author: ", &author.name, b" <", &author.email, b">\n"];
        out.put(line.concat());
    }
    if made.shows_date {
        let shown = date::show(
            repo.call,
            author.time,
            author.zone,
            &date::Format::default(),
        )?;
        out.put(format!(" Date: {shown}\n"));
    }
    if commit.parents.len() > 1 {
        return Ok(());
    }
    let old = match commit.parents.first() {
        Some(parent) => repo.commit(*parent)?.tree,
        None => Id::ZERO,
    };
    changes(repo, old, commit.tree, out)
}

fn changes(repo: &Repo<'_>, old: Id, new: Id, out: &mut Out) -> Res<()> {
    let options = DiffOptions::new(repo, &Parsed::default())?;
    let attributes = Attributes::load(repo, None)?;
    let contents = Contents::new(repo, &attributes, None);
    let mut pairs = tree_diff::changes(repo, old, new, &Pathspec::default())?;
    if let Some(renames) = options.renames {
        pairs = rename::detect(pairs, &contents, renames)?;
    }
    let mut files = Vec::new();
    for pair in &pairs {
        if let Some(amount) = stat::measure(&contents, pair, &options)? {
            files.push(FileStat {
                name: Bytes::new(),
                amount,
            });
        }
    }
    if !files.is_empty() {
        stat::print_totals(&files, out);
    }
    stat::print_summary(&pairs, &options, out);
    Ok(())
}
