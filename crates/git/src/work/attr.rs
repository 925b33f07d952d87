//! Attributes of paths: `.gitattributes` in every directory, `info/attributes`, `core.attributesFile`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::rc::Rc;

use crate::outcome::{Res, Stop};
use crate::repository::config;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::text::patterns::Pattern;
use crate::text::wildmatch;
use crate::work::index::Index;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Set,
    Unset,
    /// Given back to the default with `!`.
    Unspecified,
    Text(Bytes),
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    states: Vec<(Bytes, Value)>,
}

#[derive(Debug, Default)]
struct File {
    rules: Vec<Rule>,
    macros: Vec<(Bytes, Vec<(Bytes, Value)>)>,
}

/// The attributes of a repository, read as paths are asked for.
pub(crate) struct Attributes<'r> {
    repo: &'r Repo<'r>,
    index: Option<&'r Index>,
    system: Rc<File>,
    user: Rc<File>,
    info: Rc<File>,
    by_dir: RefCell<HashMap<Bytes, Rc<File>>>,
    flags: u8,
}

impl<'r> Attributes<'r> {
    /// Reads what holds everywhere. Files missing from the work tree are looked for in `index`.
    pub(crate) fn load(repo: &'r Repo<'r>, index: Option<&'r Index>) -> Res<Attributes<'r>> {
        let flags = if repo.config.bool("core.ignorecase")?.unwrap_or(false) {
            wildmatch::CASEFOLD
        } else {
            0
        };
        let read = |path: Option<Bytes>| match path.and_then(|p| fs::read(bytes::to_path(&p)).ok())
        {
            Some(text) => Rc::new(parse(&text, b"", true)),
            None => Rc::default(),
        };
        let user = match repo.config.get("core.attributesfile") {
            Some(path) => {
                let home = repo.call.var("HOME").unwrap_or_default();
                let path = config::expand_home(path, &home);
                let path = path.ok_or_else(|| {
                    Stop::not_native("core.attributesFile in another user's home")
                })?;
                let full = bytes::join(repo.work_tree.as_deref().unwrap_or(&repo.git_dir), &path);
                repo.config
                    .may_read(repo.call, "core.attributesfile", &full)
                    .then_some(full)
            }
            None => config::xdg_file(repo.call, b"attributes"),
        };
        let no_system = repo.call.var_bool("GIT_ATTR_NOSYSTEM", false);
        if repo.config.get("attr.tree").is_some() {
            return Err(Stop::not_native("attr.tree"));
        }
        Ok(Attributes {
            repo,
            index,
            system: read((!no_system).then(|| b"/etc/gitattributes".to_vec())),
            user: read(user),
            info: read(
                Some(bytes::join(&repo.common_dir, b"info/attributes"))
                    .filter(|path| config::is_within(repo.call, path)),
            ),
            by_dir: RefCell::default(),
            flags,
        })
    }

    /// Returns the values of some attributes of a path; `None` where nothing says anything.
    pub(crate) fn get<const N: usize>(
        &self,
        path: &[u8],
        names: [&str; N],
    ) -> Res<[Option<Value>; N]> {
        let mut found: [Option<Value>; N] = std::array::from_fn(|_| None);
        let mut files = vec![Rc::clone(&self.info)];
        let mut end = path.iter().rposition(|b| *b == b'/');
        loop {
            let dir = end.map_or(&b""[..], |i| &path[..=i]);
            files.push(self.of_dir(dir)?);
            match end {
                None => break,
                Some(i) => end = path[..i].iter().rposition(|b| *b == b'/'),
            }
        }
        files.push(Rc::clone(&self.user));
        files.push(Rc::clone(&self.system));
        // Macros may be defined in the top directory and the global files only.
        let macros = [
            &files[0],
            &files[files.len() - 3],
            &files[files.len() - 2],
            &files[files.len() - 1],
        ];
        let macros: Vec<_> = macros.iter().flat_map(|f| f.macros.iter().rev()).collect();
        let mut seen: Vec<&[u8]> = Vec::new();
        for file in &files {
            for rule in file.rules.iter().rev() {
                if rule.pattern.matches(path, false, self.flags) {
                    apply(&rule.states, &macros, &names, &mut found, &mut seen);
                }
            }
        }
        Ok(found.map(|v| v.filter(|v| *v != Value::Unspecified)))
    }

    fn of_dir(&self, dir: &[u8]) -> Res<Rc<File>> {
        if let Some(file) = self.by_dir.borrow().get(dir) {
            return Ok(Rc::clone(file));
        }
        let name = [dir, b".gitattributes"].concat();
        let mut text = None;
        if let Some(top) = &self.repo.work_tree {
            let full = bytes::to_path(&bytes::join(top, &name));
            if fs::symlink_metadata(&full).is_ok_and(|m| m.is_file()) {
                text = fs::read(&full).ok();
            }
        }
        if text.is_none()
            && let Some(index) = self.index
            && let Some(entry) = index.find(&name).filter(|e| e.stage == 0)
        {
            text = Some(self.repo.blob(entry.id)?);
        }
        let file = Rc::new(text.map_or_else(File::default, |t| parse(&t, dir, dir.is_empty())));
        self.by_dir
            .borrow_mut()
            .insert(dir.to_vec(), Rc::clone(&file));
        Ok(file)
    }
}

type Macro = (Bytes, Vec<(Bytes, Value)>);

fn apply<'a, const N: usize>(
    states: &'a [(Bytes, Value)],
    macros: &[&'a Macro],
    names: &[&str; N],
    found: &mut [Option<Value>; N],
    seen: &mut Vec<&'a [u8]>,
) {
    for (name, value) in states.iter().rev() {
        if seen.contains(&name.as_slice()) {
            continue;
        }
        seen.push(name);
        if let Some(i) = names.iter().position(|n| n.as_bytes() == name.as_slice()) {
            found[i] = Some(value.clone());
        }
        if *value == Value::Set {
            if let Some((_, states)) = macros.iter().find(|(n, _)| n == name) {
                apply(states, macros, names, found, seen);
            } else if name == b"binary" {
                for unset in ["diff", "merge", "text"] {
                    if !seen.contains(&unset.as_bytes()) {
                        seen.push(unset.as_bytes());
                        if let Some(i) = names.iter().position(|n| *n == unset) {
                            found[i] = Some(Value::Unset);
                        }
                    }
                }
            }
        }
    }
}

fn parse(text: &[u8], base: &[u8], macros_allowed: bool) -> File {
    let mut file = File::default();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for line in text.split(|b| *b == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        if let Some(rest) = line.strip_prefix(b"[attr]") {
            let mut words = words(rest);
            if let (true, Some(name)) = (macros_allowed, words.next()) {
                file.macros
                    .push((name.to_vec(), words.map(state).collect()));
            }
            continue;
        }
        let (pattern, rest) = match line.strip_prefix(b"\"") {
            Some(quoted) => match unquote(quoted) {
                Some((name, rest)) => (name, rest),
                None => continue,
            },
            None => {
                let end = line.iter().position(|b| is_blank(*b)).unwrap_or(line.len());
                (line[..end].to_vec(), &line[end..])
            }
        };
        if pattern.starts_with(b"!") {
            continue;
        }
        let states = words(rest).map(state).collect();
        file.rules.push(Rule {
            pattern: Pattern::parse(&pattern, base, false),
            states,
        });
    }
    file
}

fn is_blank(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r')
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| is_blank(*b)).filter(|w| !w.is_empty())
}

fn state(word: &[u8]) -> (Bytes, Value) {
    match word[0] {
        b'-' => (word[1..].to_vec(), Value::Unset),
        b'!' => (word[1..].to_vec(), Value::Unspecified),
        _ => match bytes::split_once(word, b'=') {
            Some((name, value)) => (name.to_vec(), Value::Text(value.to_vec())),
            None => (word.to_vec(), Value::Set),
        },
    }
}

/// Reads a C-style quoted string after its opening quote; returns it and what follows.
pub(crate) fn unquote(text: &[u8]) -> Option<(Bytes, &[u8])> {
    let mut out = Bytes::new();
    let mut i = 0;
    loop {
        let c = *text.get(i)?;
        i += 1;
        match c {
            b'"' => return Some((out, &text[i..])),
            b'\\' => {
                let c = *text.get(i)?;
                i += 1;
                out.push(match c {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    b'r' => b'\r',
                    b'"' | b'\\' => c,
                    b'0'..=b'3' => {
                        let rest = text.get(i..i + 2)?;
                        i += 2;
                        let mut n = c - b'0';
                        for d in rest {
                            if !(b'0'..=b'7').contains(d) {
                                return None;
                            }
                            n = n.wrapping_mul(8).wrapping_add(d - b'0');
                        }
                        n
                    }
                    _ => return None,
                });
            }
            c => out.push(c),
        }
    }
}
