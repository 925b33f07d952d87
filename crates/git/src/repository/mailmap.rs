//! `.mailmap`: the names and addresses people want to be shown with.

use std::collections::HashMap;
use std::fs;

use crate::outcome::{Res, Stop};
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};

/// What an address, or a name with an address, is replaced by.
#[derive(Debug, Default, Clone)]
struct Replacement {
    name: Option<Bytes>,
    email: Option<Bytes>,
}

/// The map, by lower-case address.
#[derive(Debug, Default)]
pub(crate) struct Mailmap {
    by_email: HashMap<Bytes, (Replacement, HashMap<Bytes, Replacement>)>,
}

impl Mailmap {
    /// Reads the map of a repository.
    pub(crate) fn load(repo: &Repo<'_>) -> Res<Mailmap> {
        let mut map = Mailmap::default();
        if repo.config.get("mailmap.blob").is_some() {
            return Err(Stop::not_native("mailmap.blob"));
        }
        match &repo.work_tree {
            Some(top) => {
                let file = bytes::to_path(&bytes::join(top, b".mailmap"));
                // git does not follow a symbolic link here.
                let is_file = fs::symlink_metadata(&file).is_ok_and(|m| m.is_file());
                if is_file {
                    map.read(&fs::read(&file).unwrap_or_default());
                }
            }
            None => {
                if let Ok(Some(found)) = repo.resolve_full(b"HEAD:.mailmap") {
                    map.read(&repo.blob(found.id)?);
                }
            }
        }
        if let Some(file) = repo.config.get("mailmap.file") {
            let home = repo.call.var("HOME").unwrap_or_default();
            let file = crate::repository::config::expand_home(file, &home)
                .ok_or_else(|| Stop::not_native("mailmap.file"))?;
            let base = repo.work_tree.as_deref().unwrap_or(&repo.git_dir);
            let full = bytes::join(base, &file);
            if repo.config.may_read(repo.call, "mailmap.file", &full) {
                map.read(&fs::read(bytes::to_path(&full)).unwrap_or_default());
            }
        }
        Ok(map)
    }

    fn read(&mut self, text: &[u8]) {
        for line in text.split(|b| *b == b'\n') {
            if line.first() == Some(&b'#') {
                continue;
            }
            let Some((name1, email1, rest)) = name_and_email(line) else {
                continue;
            };
            if email1.is_empty() {
                continue;
            }
            match name_and_email(rest) {
                None => self.add(None, email1, Some(name1), None),
                Some((name2, email2, _)) => {
                    self.add(Some(name2), email2, Some(name1), Some(email1))
                }
            }
        }
    }

    fn add(
        &mut self,
        old_name: Option<&[u8]>,
        old_email: &[u8],
        new_name: Option<&[u8]>,
        new_email: Option<&[u8]>,
    ) {
        let entry = self
            .by_email
            .entry(old_email.to_ascii_lowercase())
            .or_default();
        let target = match old_name.filter(|n| !n.is_empty()) {
            None => &mut entry.0,
            Some(name) => entry.1.entry(name.to_ascii_lowercase()).or_default(),
        };
        if let Some(name) = new_name.filter(|n| !n.is_empty()) {
            target.name = Some(name.to_vec());
        }
        if let Some(email) = new_email.filter(|e| !e.is_empty()) {
            target.email = Some(email.to_vec());
        }
    }

    /// Returns the name and address to show.
    pub(crate) fn map(&self, name: &[u8], email: &[u8]) -> (Bytes, Bytes) {
        let Some((plain, by_name)) = self.by_email.get(&email.to_ascii_lowercase()) else {
            return (name.to_vec(), email.to_vec());
        };
        let found = by_name.get(&name.to_ascii_lowercase()).unwrap_or(plain);
        (
            found.name.clone().unwrap_or_else(|| name.to_vec()),
            found.email.clone().unwrap_or_else(|| email.to_vec()),
        )
    }
}

fn name_and_email(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let open = text.iter().position(|b| *b == b'<')?;
    let close = open + text[open..].iter().position(|b| *b == b'>')?;
    Some((
        text[..open].trim_ascii(),
        &text[open + 1..close],
        &text[close + 1..],
    ))
}
