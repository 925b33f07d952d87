//! A tree with some files changed, written as new trees for the directories they lie in.

use std::collections::BTreeMap;

use git2::ObjectType;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::{mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};

/// What becomes of a file: mode and id, or `None` when it leaves.
pub(crate) type Edit = Option<(u32, Id)>;

/// Writes a tree with files changed; the zero id is an empty tree. Nothing may be both a file and a directory.
pub(crate) fn write(repo: &Repo<'_>, tree: Id, edits: &[(Bytes, Edit)]) -> Res<Id> {
    let edits: Vec<(&[u8], Edit)> = edits.iter().map(|(p, e)| (p.as_slice(), *e)).collect();
    Ok(directory(repo, tree, &edits)?.unwrap_or(Id::empty_tree()))
}

/// Returns the new directory; `None` when nothing is left in it.
fn directory(repo: &Repo<'_>, tree: Id, edits: &[(&[u8], Edit)]) -> Res<Option<Id>> {
    let mut entries: BTreeMap<Bytes, (u32, Id)> = BTreeMap::new();
    if tree != Id::ZERO && tree != Id::empty_tree() {
        for entry in tree_entries(&repo.tree_data(tree)?) {
            entries.insert(entry.name.to_vec(), (entry.mode, entry.id));
        }
    }
    let mut below: BTreeMap<&[u8], Vec<(&[u8], Edit)>> = BTreeMap::new();
    for (path, edit) in edits {
        match bytes::split_once(path, b'/') {
            Some((name, rest)) => below.entry(name).or_default().push((rest, *edit)),
            None => {
                match edit {
                    Some(file) => entries.insert(path.to_vec(), *file),
                    None => entries.remove(*path),
                };
            }
        }
    }
    for (name, edits) in below {
        let old = entries.get(name).filter(|(m, _)| mode::is_tree(*m));
        let old = old.map_or(Id::ZERO, |(_, id)| *id);
        match directory(repo, old, &edits)? {
            Some(id) => {
                if entries.get(name).is_some_and(|(m, _)| !mode::is_tree(*m)) {
                    return Err(Stop::not_native("a file in the place of a directory"));
                }
                entries.insert(name.to_vec(), (mode::TREE, id));
            }
            // A file may have taken the directory's place.
            None => {
                if entries.get(name).is_some_and(|(m, _)| mode::is_tree(*m)) {
                    entries.remove(name);
                }
            }
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let mut sorted: Vec<(&Bytes, &(u32, Id))> = entries.iter().collect();
    // Directories are ordered as if their names ended with a slash.
    let key = |name: &Bytes, m: u32| {
        let end: &[u8] = if mode::is_tree(m) { b"/" } else { b"" };
        [name.as_slice(), end].concat()
    };
    sorted.sort_by_key(|(name, (m, _))| key(name, *m));
    let mut data = Vec::new();
    for (name, (m, id)) in sorted {
        data.extend_from_slice(format!("{m:o} ").as_bytes());
        data.extend_from_slice(name);
        data.push(0);
        data.extend_from_slice(id.raw());
    }
    Ok(Some(repo.write_object(ObjectType::Tree, &data)?))
}
