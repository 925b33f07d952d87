//! An index in two files: one that is shared and stays, and one that says what became of its entries.

use std::fs;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::work::index::Index;

/// What the second file says of the first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link {
    /// The shared file; zero for none.
    base: Id,
    /// Its entries that are gone.
    deleted: Vec<u32>,
    /// Its entries that the first ones of the second file replace, all but their names.
    replaced: Vec<u32>,
}

/// A bound on how many entries a forged file makes.
const MAX_ENTRIES: u32 = 1 << 26;

fn bad() -> Stop {
    Stop::not_native("an index file that cannot be read")
}

impl Link {
    /// Reads the extension.
    pub(crate) fn parse(body: &[u8]) -> Res<Link> {
        let base = Id::from_raw(body).ok_or_else(bad)?;
        let mut rest = &body[Id::raw_len()..];
        if rest.is_empty() {
            return Ok(Link {
                base,
                ..Link::default()
            });
        }
        let deleted = bitmap(&mut rest)?;
        let replaced = bitmap(&mut rest)?;
        Ok(Link {
            base,
            deleted,
            replaced,
        })
    }

    /// Returns the whole index: the shared file's entries as `own` changes them.
    pub(crate) fn join(&self, repo: &Repo<'_>, own: Index) -> Res<Index> {
        if self.base.is_zero() {
            return Ok(own);
        }
        let name = format!("sharedindex.{}", self.base);
        let path = bytes::join(&repo.git_dir, name.as_bytes());
        if repo.call.within.is_some() && !crate::repository::config::is_within(repo.call, &path) {
            return Err(Stop::not_native("a shared index outside of the workspace"));
        }
        let shared = Index::parse_alone(&fs::read(bytes::to_path(&path))?)?;
        let mut gone = vec![false; shared.entries.len()];
        for at in &self.deleted {
            *gone.get_mut(*at as usize).ok_or_else(bad)? = true;
        }
        let mut from_own: Vec<Option<usize>> = vec![None; shared.entries.len()];
        for (i, at) in self.replaced.iter().enumerate() {
            let entry = own.entries.get(i).ok_or_else(bad)?;
            if !own.path(entry).is_empty() {
                return Err(bad());
            }
            *from_own.get_mut(*at as usize).ok_or_else(bad)? = Some(i);
        }
        // A name and a stage, with where the rest is: true for the second file.
        let mut order: Vec<(Bytes, u8, bool, usize)> = Vec::new();
        for (i, entry) in shared.entries.iter().enumerate().filter(|(i, _)| !gone[*i]) {
            let path = shared.path(entry).to_vec();
            match from_own[i] {
                Some(own_at) => order.push((path, own.entries[own_at].stage, true, own_at)),
                None => order.push((path, entry.stage, false, i)),
            }
        }
        for (i, entry) in own.entries.iter().enumerate().skip(self.replaced.len()) {
            let path = own.path(entry).to_vec();
            if path.is_empty() {
                return Err(bad());
            }
            order.push((path, entry.stage, true, i));
        }
        // What the second file has takes the place of what has the same name.
        order.sort_by(|a, b| (&a.0, a.1, !a.2).cmp(&(&b.0, b.1, !b.2)));
        order.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
        let mut whole = Index::default();
        whole.written = own.written;
        whole.trees.clone_from(&own.trees);
        whole.version = own.version;
        whole.resolve_undo.clone_from(&own.resolve_undo);
        whole.is_split = true;
        for (path, _, is_own, at) in order {
            let entry = if is_own {
                own.entries[at]
            } else {
                shared.entries[at]
            };
            whole.push(entry, &path);
        }
        Ok(whole)
    }
}

/// Reads the positions a compressed bitmap has set.
fn bitmap(rest: &mut &[u8]) -> Res<Vec<u32>> {
    let mut word = || -> Res<u32> {
        let (head, tail) = rest.split_at_checked(4).ok_or_else(bad)?;
        *rest = tail;
        Ok(u32::from_be_bytes([head[0], head[1], head[2], head[3]]))
    };
    let _bits = word()?;
    let count = word()?;
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(u64::from(word()?) << 32 | u64::from(word()?));
    }
    let _last_marker = word()?;
    let mut set = Vec::new();
    let mut position: u32 = 0;
    let mut words = words.into_iter();
    while let Some(marker) = words.next() {
        // One bit that is repeated, how many words of it, and how many words as they are follow.
        let run = u32::try_from(marker >> 1 & 0xffff_ffff).map_err(|_| bad())?;
        let end = run
            .checked_mul(64)
            .and_then(|n| n.checked_add(position))
            .filter(|n| *n <= MAX_ENTRIES)
            .ok_or_else(bad)?;
        if marker & 1 == 1 {
            set.extend(position..end);
        }
        position = end;
        for _ in 0..marker >> 33 {
            let literal = words.next().ok_or_else(bad)?;
            set.extend(
                (0..64)
                    .filter(|bit| literal >> bit & 1 == 1)
                    .map(|bit| position + bit),
            );
            position = position
                .checked_add(64)
                .filter(|n| *n <= MAX_ENTRIES)
                .ok_or_else(bad)?;
        }
    }
    Ok(set)
}
