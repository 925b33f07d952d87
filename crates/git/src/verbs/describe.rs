//! `git describe` of one commit: the nearest tag, and how far it is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use git2::ObjectType;

use crate::exec::{Call, Plan};
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::{Person, Tag};
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};

const OPTIONS: &[Spec] = &[
    flag("tags", None),
    flag("all", None),
    flag("always", None),
    flag("long", None),
];

/// git compares at most this many tags.
const MAX_CANDIDATES: usize = 10;

/// Says what a describe would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::Read)
}

struct Name {
    /// 2 for an annotated tag, 1 for a lightweight one.
    priority: u8,
    name: Bytes,
    /// The reference's own name.
    short: Bytes,
    time: i64,
}

struct Candidate {
    commit: Id,
    depth: usize,
    bit: u32,
    order: usize,
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    if parsed.has("all") || parsed.args.len() > 1 {
        return Err(Stop::not_native("this form of `describe`"));
    }
    let name = parsed
        .args
        .first()
        .cloned()
        .unwrap_or_else(|| b"HEAD".to_vec());
    let Some(found) = repo.resolve(&name)? else {
        return Err(Stop::fatal(format!(
            "Not a valid object name {}",
            lossy(&name)
        )));
    };
    let Some(start) = repo.peel_to_commit(found)? else {
        return Err(Stop::not_native("describing what is no commit"));
    };
    let tags = parsed.has("tags");
    let names = names(&repo)?;
    if names.is_empty() {
        if parsed.has("always") {
            out.put(format!("{}\n", repo.short(start)?));
            return Ok(());
        }
        return Err(Stop::fatal("No names found, cannot describe anything."));
    }
    let warn_of_alias = |name: &Name| {
        if name.name != name.short {
            let (short, known) = (lossy(&name.short), lossy(&name.name));
            call.warn(format!(
                "warning: tag '{short}' is externally known as '{known}'\n"
            ));
        }
    };
    let usable = |id: Id| names.get(&id).filter(|n| tags || n.priority == 2);
    if let Some(name) = usable(start) {
        warn_of_alias(name);
        out.put(&name.name);
        if parsed.has("long") {
            out.put(format!("-0-g{}", repo.short(start)?));
        }
        out.put("\n");
        return Ok(());
    }
    let mut flags: HashMap<Id, u32> = HashMap::from([(start, 0)]);
    let mut queue: BinaryHeap<(i64, Reverse<usize>, Id)> =
        BinaryHeap::from([(repo.commit(start)?.time(), Reverse(0), start)]);
    let (mut counter, mut seen) = (0usize, 0usize);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut gave_up: Option<Id> = None;
    while let Some((time, order, id)) = queue.pop() {
        repo.cancel().check()?;
        seen += 1;
        if usable(id).is_some() {
            if candidates.len() < MAX_CANDIDATES {
                let bit = 1u32 << candidates.len();
                candidates.push(Candidate {
                    commit: id,
                    depth: seen - 1,
                    bit,
                    order: candidates.len(),
                });
                *flags.entry(id).or_default() |= bit;
            } else {
                gave_up = Some(id);
                queue.push((time, order, id));
                break;
            }
        }
        let have = flags.get(&id).copied().unwrap_or(0);
        for candidate in &mut candidates {
            if have & candidate.bit == 0 {
                candidate.depth += 1;
            }
        }
        for parent in repo.parents(id)? {
            let fresh = !flags.contains_key(&parent);
            *flags.entry(parent).or_default() |= have;
            if fresh {
                counter += 1;
                queue.push((repo.commit(parent)?.time(), Reverse(counter), parent));
            }
        }
    }
    let _ = gave_up;
    if candidates.is_empty() {
        if parsed.has("always") {
            out.put(format!("{}\n", repo.short(start)?));
            return Ok(());
        }
        let id = start;
        return Err(if !tags && names.values().any(|n| n.priority == 1) {
            Stop::fatal(format!(
                "No annotated tags can describe '{id}'.\nHowever, there were unannotated tags: try --tags."
            ))
        } else {
            Stop::fatal(format!(
                "No tags can describe '{id}'.\nTry --always, or create some tags."
            ))
        });
    }
    candidates.sort_by_key(|c| (c.depth, c.order));
    let Some(best) = candidates.first() else {
        return Ok(());
    };
    // The walk above ends with the whole history, so that the depth of the best one is complete.
    if gave_up.is_some() {
        return Err(Stop::not_native("a history with many tags"));
    }
    if let Some(name) = names.get(&best.commit) {
        warn_of_alias(name);
        out.put(&name.name);
    }
    out.put(format!("-{}-g{}\n", best.depth, repo.short(start)?));
    Ok(())
}

/// Finds the best name of every tagged commit.
fn names(repo: &Repo<'_>) -> Res<HashMap<Id, Name>> {
    let mut names: HashMap<Id, Name> = HashMap::new();
    for reference in repo.refs(b"refs/tags/")? {
        let Some(commit) = repo.peel_to_commit(reference.id)? else {
            continue;
        };
        let tag = repo
            .read(reference.id, |kind, data| {
                if kind == ObjectType::Tag {
                    Tag::parse(data)
                } else {
                    None
                }
            })?
            .flatten();
        let short = reference.name[b"refs/tags/".len()..].to_vec();
        let name = match tag {
            // An annotated tag is known by the name inside it.
            Some(tag) => Name {
                priority: 2,
                time: Person::parse(&tag.tagger).time,
                name: if tag.name.is_empty() {
                    short.clone()
                } else {
                    tag.name
                },
                short,
            },
            None => Name {
                priority: 1,
                time: 0,
                name: short.clone(),
                short,
            },
        };
        let better = names.get(&commit).is_none_or(|old| {
            old.priority < name.priority
                || (old.priority == 2 && name.priority == 2 && old.time < name.time)
        });
        if better {
            names.insert(commit, name);
        }
    }
    Ok(names)
}
