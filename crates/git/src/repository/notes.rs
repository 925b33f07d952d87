//! Notes on commits, as `log` and `show` print them.

use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::{mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;

const DEFAULT: &[u8] = b"refs/notes/commits";

/// The notes that are shown.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The names of the references and their trees.
    trees: Vec<(Bytes, Id)>,
}

impl Notes {
    /// Decides from options and settings which notes are shown; `by_default` is what holds without any option.
    pub(crate) fn load(repo: &Repo<'_>, parsed: &Parsed, by_default: bool) -> Res<Notes> {
        let (mut shown, mut default, mut extra) = (by_default, None, Vec::new());
        for given in &parsed.options {
            match (given.name, given.negated, &given.value) {
                ("notes" | "show-notes", false, None) => {
                    (shown, default) = (true, Some(true));
                }
                ("notes" | "show-notes", false, Some(name)) => {
                    shown = true;
                    if given.name == "show-notes" && default.is_none() {
                        default = Some(true);
                    }
                    extra.push(full_name(name));
                }
                ("notes" | "show-notes", true, _) => {
                    shown = false;
                    default = None;
                    extra.clear();
                }
                ("standard-notes", negated, _) => {
                    if !negated {
                        shown = true;
                    }
                    default = Some(!negated);
                }
                _ => {}
            }
        }
        let mut notes = Notes::default();
        if !shown {
            return Ok(notes);
        }
        if repo.config.get("notes.displayref").is_some() {
            return Err(Stop::not_native("the setting `notes.displayref`"));
        }
        let mut names: Vec<Bytes> = Vec::new();
        if default.unwrap_or(extra.is_empty()) {
            let name = match repo.config.get("core.notesref") {
                Some(name) => name.to_vec(),
                None => DEFAULT.to_vec(),
            };
            names.push(name);
        }
        for name in extra {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for name in names {
            let Some(id) = repo.ref_id(&name)? else {
                continue;
            };
            let Some(tree) = repo.peel_to_tree(id)? else {
                continue;
            };
            notes.trees.push((name, tree));
        }
        Ok(notes)
    }

    /// Says whether there is nothing to show for any commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Writes the notes of a commit with their headings, or (raw) only their text.
    pub(crate) fn write(&self, repo: &Repo<'_>, id: Id, raw: bool, out: &mut Bytes) -> Res<()> {
        for (name, tree) in &self.trees {
            let Some(blob) = find(repo, *tree, id.hex().as_bytes())? else {
                continue;
            };
            let text = repo.blob(blob)?;
            if text.is_empty() {
                continue;
            }
            if !raw {
                if name == DEFAULT {
                    out.extend_from_slice(b"\nNotes:\n");
                } else {
                    let short = name.strip_prefix(b"refs/").unwrap_or(name);
                    let short = short.strip_prefix(b"notes/").unwrap_or(short);
                    out.extend_from_slice(&[b"\nNotes (".as_slice(), short, b"):\n"].concat());
                }
            }
            for line in text
                .strip_suffix(b"\n")
                .unwrap_or(&text)
                .split(|b| *b == b'\n')
            {
                if !raw {
                    out.extend_from_slice(b"    ");
                }
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        }
        Ok(())
    }
}

fn full_name(name: &[u8]) -> Bytes {
    if name.starts_with(b"refs/notes/") {
        name.to_vec()
    } else if name.starts_with(b"notes/") {
        [b"refs/", name].concat()
    } else {
        [b"refs/notes/", name].concat()
    }
}

/// Finds the note of a commit: directories may split its name after every two digits.
fn find(repo: &Repo<'_>, tree: Id, hex: &[u8]) -> Res<Option<Id>> {
    let data = repo.tree_data(tree)?;
    for entry in tree_entries(&data) {
        if entry.name == hex && !mode::is_tree(entry.mode) {
            return Ok(Some(entry.id));
        }
    }
    if hex.len() > 2
        && let Some(entry) =
            tree_entries(&data).find(|e| e.name == &hex[..2] && mode::is_tree(e.mode))
    {
        return find(repo, entry.id, &hex[2..]);
    }
    Ok(None)
}
