//! Which branches and tags point at a commit, as `--decorate` shows them.

use std::collections::{HashMap, HashSet};

use crate::options::{Parsed, Spec, flag, maybe, value};
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;
use crate::text::color::{RESET, diff};
use crate::text::wildmatch;

/// The options this module reads.
pub(crate) const OPTIONS: &[Spec] = &[
    maybe("decorate", None).or_no(),
    value("decorate-refs", None).or_no(),
    value("decorate-refs-exclude", None).or_no(),
    flag("clear-decorations", None),
];

/// The decorations of all commits.
#[derive(Debug, Default)]
pub(crate) struct Decorations {
    by_id: HashMap<Id, Vec<Bytes>>,
    head_branch: Option<Bytes>,
    shallow: HashSet<Id>,
}

/// Which references decorate.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) include: Vec<Bytes>,
    pub(crate) exclude: Vec<Bytes>,
    /// Excluded by configuration; what is included by name is shown all the same.
    pub(crate) exclude_by_config: Vec<Bytes>,
}

impl Choice {
    /// Reads `--decorate-refs`, `--decorate-refs-exclude`, `--clear-decorations` and the settings behind them.
    pub(crate) fn new(repo: &Repo<'_>, parsed: &Parsed) -> Res<Choice> {
        let mut choice = Choice::default();
        let mut cleared = match repo.config.get("log.initialdecorationset") {
            Some(b"all") => true,
            Some(_) => return Err(Stop::not_native("a bad value of log.initialDecorationSet")),
            None => false,
        };
        for given in &parsed.options {
            match (given.name, given.negated) {
                ("decorate-refs", false) => choice.include.push(normal(given.text())),
                ("decorate-refs", true) => choice.include.clear(),
                ("decorate-refs-exclude", false) => choice.exclude.push(normal(given.text())),
                ("decorate-refs-exclude", true) => choice.exclude.clear(),
                ("clear-decorations", _) => {
                    choice = Choice::default();
                    cleared = true;
                }
                _ => {}
            }
        }
        let by_config: Vec<Bytes> = repo
            .config
            .get_all(b"log.excludedecoration")
            .map(normal)
            .collect();
        let by_default = !cleared
            && choice.include.is_empty()
            && choice.exclude.is_empty()
            && by_config.is_empty();
        choice.exclude_by_config = by_config;
        if by_default {
            choice.include = [
                b"refs/heads/".as_slice(),
                b"refs/remotes/",
                b"refs/replace/",
                b"refs/stash",
                b"refs/tags/",
                b"HEAD",
            ]
            .iter()
            .map(|name| name.to_vec())
            .collect();
        }
        Ok(choice)
    }

    fn shows(&self, name: &[u8]) -> bool {
        let any = |patterns: &[Bytes]| patterns.iter().any(|p| matches(name, p));
        if any(&self.exclude) {
            return false;
        }
        if !self.include.is_empty() {
            return any(&self.include);
        }
        !any(&self.exclude_by_config)
    }
}

/// Completes a pattern as git does: below `refs/`, and everything below it unless it has special characters.
fn normal(text: &[u8]) -> Bytes {
    let mut pattern = if text.starts_with(b"refs/") || text == b"HEAD" {
        text.to_vec()
    } else {
        [b"refs/", text].concat()
    };
    while pattern.ends_with(b"/") {
        pattern.pop();
    }
    pattern
}

fn matches(name: &[u8], pattern: &[u8]) -> bool {
    if pattern.iter().any(|c| b"*?[".contains(c)) {
        return wildmatch::matches(pattern, name, 0);
    }
    let pattern = pattern.strip_suffix(b"/").unwrap_or(pattern);
    name == pattern
        || name
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.starts_with(b"/"))
}

/// What stands around and between decorations.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) prefix: Bytes,
    pub(crate) suffix: Bytes,
    pub(crate) separator: Bytes,
    pub(crate) pointer: Bytes,
    pub(crate) tag: Bytes,
    pub(crate) color: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            prefix: b" (".to_vec(),
            suffix: b")".to_vec(),
            separator: b", ".to_vec(),
            pointer: b" -> ".to_vec(),
            tag: b"tag: ".to_vec(),
            color: false,
        }
    }
}

impl Decorations {
    /// Reads the references that decorate.
    pub(crate) fn load(repo: &Repo<'_>, choice: &Choice) -> Res<Decorations> {
        let mut decorations = Decorations {
            shallow: repo.shallow().clone(),
            ..Decorations::default()
        };
        for reference in repo.refs(b"refs/")? {
            let name = &reference.name;
            if !choice.shows(name) {
                continue;
            }
            if let Some(hex) = name.strip_prefix(b"refs/replace/") {
                if let Some(id) = Id::parse(hex).filter(|id| repo.replaces(*id)) {
                    decorations.add(id, b"replaced");
                }
                continue;
            }
            decorations.add(reference.id, name);
            // A tag decorates what it leads to as well.
            if let Some((peeled, _)) = repo.peel(reference.id)?
                && peeled != reference.id
            {
                decorations.add(peeled, name);
            }
        }
        let head = repo.head()?;
        if let Some(id) = head.id
            && choice.shows(b"HEAD")
        {
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

    /// Returns the decorations of a commit with what is to stand around them; nothing when there are none.
    pub(crate) fn styled(&self, id: Id, full: bool, style: &Style) -> Bytes {
        let none = Vec::new();
        let names = self.by_id.get(&id).unwrap_or(&none);
        let show = |name: &[u8]| -> Bytes {
            let tag: &[u8] = if name.starts_with(b"refs/tags/") {
                &style.tag
            } else {
                b""
            };
            [tag, if full { name } else { short(name) }].concat()
        };
        let head = names.iter().any(|n| n == b"HEAD");
        let current = self
            .head_branch
            .as_ref()
            .filter(|b| head && names.contains(b));
        if style.color {
            return self.colored(names, id, current, full, style);
        }
        let mut parts: Vec<Bytes> = Vec::new();
        if self.shallow.contains(&id) {
            parts.push(b"grafted".to_vec());
        }
        for name in names {
            if name == b"HEAD" {
                parts.push(match current {
                    Some(branch) => [b"HEAD".as_slice(), &style.pointer, &show(branch)].concat(),
                    None => b"HEAD".to_vec(),
                });
            } else if Some(name) != current {
                parts.push(show(name));
            }
        }
        if parts.is_empty() {
            return Bytes::new();
        }
        [
            style.prefix.as_slice(),
            &parts.join(style.separator.as_slice()),
            &style.suffix,
        ]
        .concat()
    }
}

impl Decorations {
    /// Like [`Decorations::styled`], each piece in the colour of its kind.
    fn colored(
        &self,
        names: &[Bytes],
        id: Id,
        current: Option<&Bytes>,
        full: bool,
        style: &Style,
    ) -> Bytes {
        let mut out = Bytes::new();
        let mut put = |color: &[u8], text: &[u8]| {
            out.extend_from_slice(&[color, text, RESET].concat());
        };
        let shown = |name: &[u8]| {
            if full {
                name.to_vec()
            } else {
                short(name).to_vec()
            }
        };
        let grafted: &[u8] = b"grafted";
        let all = self
            .shallow
            .contains(&id)
            .then_some(grafted)
            .into_iter()
            .chain(names.iter().map(Vec::as_slice));
        let mut prefix = style.prefix.as_slice();
        let mut any = false;
        for name in all {
            if current.is_some_and(|c| c == name) {
                continue;
            }
            any = true;
            let color = kind_color(name);
            if !prefix.is_empty() {
                put(diff::COMMIT, prefix);
            }
            if name.starts_with(b"refs/tags/") && !style.tag.is_empty() {
                put(color, &style.tag);
            }
            put(color, &shown(name));
            if let (b"HEAD", Some(branch)) = (name, current) {
                put(diff::COMMIT, &style.pointer);
                put(kind_color(branch), &shown(branch));
            }
            prefix = &style.separator;
        }
        if any && !style.suffix.is_empty() {
            put(diff::COMMIT, &style.suffix);
        }
        out
    }
}

/// Returns the colour of a kind of reference.
fn kind_color(name: &[u8]) -> &'static [u8] {
    match name {
        b"HEAD" => b"\x1b[1;36m",
        b"refs/stash" => b"\x1b[1;35m",
        b"grafted" | b"replaced" => b"\x1b[1;34m",
        _ if name.starts_with(b"refs/heads/") => b"\x1b[1;32m",
        _ if name.starts_with(b"refs/remotes/") => b"\x1b[1;31m",
        _ if name.starts_with(b"refs/tags/") => b"\x1b[1;33m",
        _ => RESET,
    }
}

fn short(name: &[u8]) -> &[u8] {
    [b"refs/heads/".as_slice(), b"refs/tags/", b"refs/remotes/"]
        .iter()
        .find_map(|prefix| name.strip_prefix(*prefix))
        .unwrap_or(name)
}
