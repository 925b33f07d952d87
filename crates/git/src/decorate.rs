//! Which branches and tags point at a commit, as `--decorate` shows them.

use std::collections::{HashMap, HashSet};

use crate::bytes::Bytes;
use crate::id::Id;
use crate::outcome::{Res, Stop};
use crate::repo::Repo;

/// The decorations of all commits.
#[derive(Debug, Default)]
pub(crate) struct Decorations {
    by_id: HashMap<Id, Vec<Bytes>>,
    head_branch: Option<Bytes>,
    shallow: HashSet<Id>,
    /// Whether names are shown in full.
    full: bool,
}

impl Decorations {
    /// Reads all references git decorates with.
    pub(crate) fn load(repo: &Repo<'_>, full: bool) -> Res<Decorations> {
        for key in ["log.excludedecoration", "log.initialdecorationset"] {
            if repo.config.get(key).is_some() {
                return Err(Stop::NotNative(format!("the setting `{key}`")));
            }
        }
        let mut decorations = Decorations {
            shallow: repo.shallow().clone(),
            full,
            ..Decorations::default()
        };
        for reference in repo.refs(b"refs/")? {
            let name = &reference.name;
            let wanted = [b"refs/heads/".as_slice(), b"refs/remotes/", b"refs/tags/"]
                .iter()
                .any(|p| name.starts_with(p));
            if !wanted && name != b"refs/stash" {
                continue;
            }
            decorations.add(reference.id, name);
            if name.starts_with(b"refs/tags/")
                && let Some((peeled, _)) = repo.peel(reference.id)?
                && peeled != reference.id
            {
                decorations.add(peeled, name);
            }
        }
        let head = repo.head()?;
        if let Some(id) = head.id {
            decorations.add(id, b"HEAD");
            decorations.head_branch = head.branch;
        }
        Ok(decorations)
    }

    fn add(&mut self, id: Id, name: &[u8]) {
        self.by_id.entry(id).or_default().insert(0, name.to_vec());
    }

    /// Returns the short names at a commit, HEAD first.
    pub(crate) fn names(&self, id: Id) -> Vec<Bytes> {
        self.by_id
            .get(&id)
            .into_iter()
            .flatten()
            .filter(|n| *n != b"HEAD")
            .map(|n| short(n).to_vec())
            .collect()
    }

    /// Returns `HEAD -> main, tag: v1, origin/main`, or nothing.
    pub(crate) fn list(&self, id: Id) -> Bytes {
        let none = Vec::new();
        let names = self.by_id.get(&id).unwrap_or(&none);
        let show = |name: &[u8]| -> Bytes {
            let tag: &[u8] = if name.starts_with(b"refs/tags/") {
                b"tag: "
            } else {
                b""
            };
            [tag, if self.full { name } else { short(name) }].concat()
        };
        let head = names.iter().any(|n| n == b"HEAD");
        let current = self
            .head_branch
            .as_ref()
            .filter(|b| head && names.contains(b));
        let mut parts: Vec<Bytes> = Vec::new();
        if self.shallow.contains(&id) {
            parts.push(b"grafted".to_vec());
        }
        for name in names {
            if name == b"HEAD" {
                parts.push(match current {
                    Some(branch) => [b"HEAD -> ", show(branch).as_slice()].concat(),
                    None => b"HEAD".to_vec(),
                });
            } else if Some(name) != current {
                parts.push(show(name));
            }
        }
        parts.join(b", ".as_slice())
    }
}

fn short(name: &[u8]) -> &[u8] {
    [b"refs/heads/".as_slice(), b"refs/tags/", b"refs/remotes/"]
        .iter()
        .find_map(|prefix| name.strip_prefix(*prefix))
        .unwrap_or(name)
}
