//! Which files are ignored: `.gitignore` in every directory, `info/exclude`, `core.excludesFile`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::rc::Rc;

use crate::outcome::{Res, Stop};
use crate::repository::config;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::text::patterns::Pattern;
use crate::text::wildmatch;

/// One line of an ignore file, with where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    /// The line as written, without what was trimmed.
    pub(crate) text: Bytes,
    /// The file as git names it.
    pub(crate) file: Bytes,
    pub(crate) line: usize,
}

/// The ignore rules of a work tree, read as directories are visited.
pub(crate) struct Ignore {
    top: Bytes,
    /// From the command line: stronger than all others.
    first: Vec<Rule>,
    /// From the configuration, weakest first.
    global: Vec<Rc<Vec<Rule>>>,
    /// Whether `.gitignore` files are read.
    reads_directories: bool,
    by_dir: RefCell<HashMap<Bytes, Rc<Vec<Rule>>>>,
    flags: u8,
    met_link: Cell<bool>,
}

impl Ignore {
    /// Says whether an ignore file was a symbolic link: git does not follow it, and warns.
    pub(crate) fn met_link(&self) -> bool {
        self.met_link.get()
    }

    /// Reads the rules that hold everywhere.
    pub(crate) fn load(repo: &Repo<'_>) -> Res<Ignore> {
        let flags = if repo.config.bool("core.ignorecase")?.unwrap_or(false) {
            wildmatch::CASEFOLD
        } else {
            0
        };
        let excludes_file = match repo.config.get("core.excludesfile") {
            Some(path) => {
                let home = repo.call.var("HOME").unwrap_or_default();
                let path = config::expand_home(path, &home);
                let path = path
                    .ok_or_else(|| Stop::not_native("core.excludesFile in another user's home"))?;
                (!path.is_empty()).then_some(path)
            }
            None => config::xdg_file(repo.call, b"ignore"),
        };
        let mut global = Vec::new();
        if let Some(file) = excludes_file {
            let full = bytes::join(repo.work_tree.as_deref().unwrap_or(&repo.git_dir), &file);
            if repo.config.may_read(repo.call, "core.excludesfile", &full) {
                global.push(Rc::new(read(&full, &file, b"")));
            }
        }
        let info = bytes::join(&repo.common_dir, b"info/exclude");
        let shown = [repo.git_dir_shown.as_slice(), b"/info/exclude"].concat();
        if config::is_within(repo.call, &info) {
            global.push(Rc::new(read(&info, &shown, b"")));
        }
        let top = repo.work_tree.clone().unwrap_or_default();
        Ok(Ignore {
            top,
            first: Vec::new(),
            reads_directories: true,
            global,
            by_dir: RefCell::default(),
            flags,
            met_link: Cell::new(false),
        })
    }

    /// Takes the rules of a command line: single patterns, files of them, and whether `.gitignore` files count.
    ///
    /// Nothing else is read; a file that is not there is git's error.
    pub(crate) fn of_command_line(
        repo: &Repo<'_>,
        patterns: &[Bytes],
        files: &[Bytes],
        reads_directories: bool,
    ) -> Res<Ignore> {
        let mut ignore = Ignore {
            top: repo.work_tree.clone().unwrap_or_default(),
            first: Vec::new(),
            global: Vec::new(),
            reads_directories,
            by_dir: RefCell::default(),
            met_link: Cell::new(false),
            flags: if repo.config.bool("core.ignorecase")?.unwrap_or(false) {
                wildmatch::CASEFOLD
            } else {
                0
            },
        };
        ignore.add(repo, patterns, files)?;
        Ok(ignore)
    }

    /// Adds the rules of a command line.
    pub(crate) fn add(&mut self, repo: &Repo<'_>, patterns: &[Bytes], files: &[Bytes]) -> Res<()> {
        for text in patterns {
            self.first.push(Rule {
                pattern: Pattern::parse(text, b"", true),
                text: text.clone(),
                file: Bytes::new(),
                line: 0,
            });
        }
        for file in files {
            let full = bytes::join(&repo.call.cwd, file);
            if !bytes::to_path(&full).exists() {
                return Err(Stop::fatal(
                    [b"cannot use ".as_slice(), file, b" as exclude file"].concat(),
                ));
            }
            self.global.push(Rc::new(read(&full, file, b"")));
        }
        Ok(())
    }

    /// Returns the rule that decides about a path whose parents are not ignored; `None` when no rule does.
    pub(crate) fn deciding(&self, path: &[u8], is_directory: bool) -> Option<Rule> {
        if let Some(rule) = self.last_match(&self.first, path, is_directory) {
            return Some(rule);
        }
        let mut dir_end = path.iter().rposition(|b| *b == b'/').map(|i| i + 1);
        loop {
            let dir = &path[..dir_end.unwrap_or(0)];
            let rules = self.of_dir(dir);
            if let Some(rule) = self.last_match(&rules, path, is_directory) {
                return Some(rule);
            }
            match dir_end {
                None => break,
                Some(end) => {
                    dir_end = path[..end - 1]
                        .iter()
                        .rposition(|b| *b == b'/')
                        .map(|i| i + 1)
                }
            }
        }
        self.global
            .iter()
            .rev()
            .find_map(|rules| self.last_match(rules, path, is_directory))
    }

    /// Says whether a path whose parents are not ignored is.
    pub(crate) fn is_ignored(&self, path: &[u8], is_directory: bool) -> bool {
        self.deciding(path, is_directory)
            .is_some_and(|r| !r.pattern.negative)
    }

    /// Returns the rule that decides about a path, looking at its parents first, as `check-ignore` does.
    pub(crate) fn deciding_with_parents(&self, path: &[u8], is_directory: bool) -> Option<Rule> {
        for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            if let Some(rule) = self.deciding(&path[..i], true)
                && !rule.pattern.negative
            {
                return Some(rule);
            }
        }
        self.deciding(path, is_directory)
    }

    fn last_match(&self, rules: &[Rule], path: &[u8], is_directory: bool) -> Option<Rule> {
        rules
            .iter()
            .rev()
            .find(|r| r.pattern.matches(path, is_directory, self.flags))
            .cloned()
    }

    /// Tells what is in a directory's own ignore file, so that it need not be looked for.
    pub(crate) fn no_file_in(&self, dir: &[u8]) {
        self.by_dir.borrow_mut().entry(dir.to_vec()).or_default();
    }

    fn of_dir(&self, dir: &[u8]) -> Rc<Vec<Rule>> {
        if !self.reads_directories {
            return Rc::default();
        }
        if let Some(rules) = self.by_dir.borrow().get(dir) {
            return Rc::clone(rules);
        }
        let shown = [dir, b".gitignore"].concat();
        let full = bytes::join(&self.top, &shown);
        // git does not follow a symbolic link here.
        let meta = fs::symlink_metadata(bytes::to_path(&full));
        if meta.as_ref().is_ok_and(std::fs::Metadata::is_symlink) {
            self.met_link.set(true);
        }
        let is_file = meta.is_ok_and(|m| m.is_file());
        let rules = Rc::new(if is_file {
            read(&full, &shown, dir)
        } else {
            Vec::new()
        });
        self.by_dir
            .borrow_mut()
            .insert(dir.to_vec(), Rc::clone(&rules));
        rules
    }
}

/// Reads a file of patterns; one that is not there has none.
pub(crate) fn read(file: &[u8], shown: &[u8], base: &[u8]) -> Vec<Rule> {
    let Ok(text) = fs::read(bytes::to_path(file)) else {
        return Vec::new();
    };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let mut rules = Vec::new();
    for (i, line) in text.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let line = trim_trailing_spaces(line);
        if line.is_empty() || line == b"!" || line == b"/" {
            continue;
        }
        rules.push(Rule {
            pattern: Pattern::parse(line, base, true),
            text: line.to_vec(),
            file: shown.to_vec(),
            line: i + 1,
        });
    }
    rules
}

/// Drops blanks at the end unless a backslash holds them.
fn trim_trailing_spaces(line: &[u8]) -> &[u8] {
    let mut end = 0;
    let mut i = 0;
    while i < line.len() {
        match line[i] {
            b' ' => i += 1,
            b'\\' => {
                i += 2;
                end = i.min(line.len());
            }
            _ => {
                i += 1;
                end = i;
            }
        }
    }
    &line[..end]
}
