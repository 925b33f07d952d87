//! `git shortlog`: commits by author.

use std::collections::BTreeMap;

use crate::exec::{Call, Plan};
use crate::history::pretty;
use crate::history::rev_select;
use crate::history::revwalk::Walker;
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::mailmap::Mailmap;
use crate::repository::object::Person;
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;

const OPTIONS: &[Spec] = &[
    flag("summary", Some(b's')),
    flag("numbered", Some(b'n')),
    flag("email", Some(b'e')),
    flag("committer", Some(b'c')),
    flag("no-merges", None),
    flag("all", None),
];

/// Says what a shortlog would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let Some(repo) = Repo::find(call)? else {
        return Err(Stop::not_native("a shortlog outside a repository"));
    };
    let selection = rev_select::select(&repo, &parsed)?;
    if !selection.any {
        // Without a revision git reads a log from standard input here.
        return Err(Stop::not_native("a shortlog of standard input"));
    }
    let walk = selection.walk;
    let mailmap = Mailmap::load(&repo)?;
    let mut walker = Walker::new(&repo, walk)?;
    let mut groups: BTreeMap<Bytes, Vec<Bytes>> = BTreeMap::new();
    while let Some(step) = walker.next()? {
        if step.commit.encoding.is_some() {
            return Err(Stop::not_native("a commit in another encoding"));
        }
        let line = if parsed.has("committer") {
            &step.commit.committer
        } else {
            &step.commit.author
        };
        let person = Person::parse(line);
        let (name, email) = mailmap.map(person.name, person.email);
        let who = if parsed.has("email") {
            [&name, b" <".as_slice(), &email, b">"].concat()
        } else {
            name
        };
        let title = pretty::title(&step.commit.message, b" ");
        // What format-patch writes before a subject is left out.
        let title = match title.strip_prefix(b"[PATCH") {
            Some(rest) => match rest.iter().position(|b| *b == b']') {
                Some(close) => rest[close + 1..].trim_ascii_start().to_vec(),
                None => title.clone(),
            },
            None => title,
        };
        let title = title.trim_ascii_start().to_vec();
        groups.entry(who).or_default().push(if title.is_empty() {
            b"<none>".to_vec()
        } else {
            title
        });
    }
    let mut groups: Vec<(Bytes, Vec<Bytes>)> = groups.into_iter().collect();
    if parsed.has("numbered") {
        groups.sort_by_key(|(_, titles)| std::cmp::Reverse(titles.len()));
    }
    for (who, titles) in groups {
        if parsed.has("summary") {
            out.put(format!("{:6}\t", titles.len()));
            out.put([who.as_slice(), b"\n"].concat());
            continue;
        }
        out.put(&who);
        out.put(format!(" ({}):\n", titles.len()));
        for title in titles.iter().rev() {
            out.put([b"      ".as_slice(), title, b"\n"].concat());
        }
        out.put("\n");
    }
    Ok(())
}
