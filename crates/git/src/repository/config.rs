//! Configuration, read as git reads it: every file in git's order, includes, the environment and `-c` on top.
//!
//! libgit2 reads configuration too, but only from files, and without `includeIf "hasconfig:…"`.

use std::fs;
use std::rc::Rc;

use crate::exec::Call;
use crate::outcome::{Res, Stop};
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::wildmatch;

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    System,
    Global,
    Local,
    Worktree,
    Command,
}

impl Scope {
    /// Says whether configuration of this origin may have a file read.
    fn may_read(self, call: &Call<'_>, path: &[u8]) -> bool {
        !matches!(self, Scope::Local | Scope::Worktree) || is_within(call, path)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scope::System => "system",
            Scope::Global => "global",
            Scope::Local => "local",
            Scope::Worktree => "worktree",
            Scope::Command => "command",
        }
    }
}

/// One line of configuration.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// `section.subsection.name`, section and name in lower case.
    pub(crate) key: Bytes,
    /// `None` for a name without `=`, which means true.
    pub(crate) value: Option<Bytes>,
    pub(crate) scope: Scope,
    /// The file it stands in; `None` for one given on the command line.
    pub(crate) file: Option<Rc<Bytes>>,
}

/// All entries in the order of increasing precedence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) entries: Vec<Entry>,
}

/// How deep includes may nest, as in git.
const MAX_INCLUDE_DEPTH: usize = 10;

/// What conditional includes are judged by.
#[derive(Default)]
struct Where {
    home: Bytes,
    /// The git directory by the way the user went, where symbolic links are on it.
    git_dir_by_links: Option<Bytes>,
    git_dir: Option<Bytes>,
    branch: Option<Bytes>,
}

impl Config {
    /// Reads everything that applies; `git_dir` and `common_dir` are absolute, or `None` outside a repository.
    pub(crate) fn load(
        call: &Call<'_>,
        git_dir: Option<&[u8]>,
        common_dir: Option<&[u8]>,
    ) -> Res<Config> {
        let mut config = Config::default();
        let home = call.var("HOME").unwrap_or_default();
        let at = Where {
            git_dir_by_links: git_dir.and_then(|dir| by_links(call, dir)),
            branch: git_dir.and_then(current_branch),
            git_dir: git_dir.map(<[u8]>::to_vec),
            home: home.clone(),
        };
        if !call.var_bool("GIT_CONFIG_NOSYSTEM", false) {
            let system = call
                .var("GIT_CONFIG_SYSTEM")
                .unwrap_or_else(|| b"/etc/gitconfig".to_vec());
            config.read_file(call, &system, Scope::System, &at, 0)?;
        }
        match call.var("GIT_CONFIG_GLOBAL") {
            Some(file) => config.read_file(call, &file, Scope::Global, &at, 0)?,
            None => {
                if let Some(file) = xdg_file(call, b"config") {
                    config.read_file(call, &file, Scope::Global, &at, 0)?;
                }
                if !home.is_empty() {
                    config.read_file(
                        call,
                        &bytes::join(&home, b".gitconfig"),
                        Scope::Global,
                        &at,
                        0,
                    )?;
                }
            }
        }
        if let Some(dir) = common_dir {
            config.read_file(call, &bytes::join(dir, b"config"), Scope::Local, &at, 0)?;
            if config.bool("extensions.worktreeconfig")?.unwrap_or(false)
                && let Some(dir) = git_dir
            {
                config.read_file(
                    call,
                    &bytes::join(dir, b"config.worktree"),
                    Scope::Worktree,
                    &at,
                    0,
                )?;
            }
        }
        config.read_command_line(call)?;
        Ok(config)
    }

    fn read_command_line(&mut self, call: &Call<'_>) -> Res<()> {
        let mut given: Vec<(Bytes, Option<Bytes>)> = Vec::new();
        if let Some(count) = call.var("GIT_CONFIG_COUNT").filter(|v| !v.is_empty()) {
            let count = bytes::parse_int(&count).filter(|n| (0..1000).contains(n));
            for i in 0..count.ok_or_else(|| Stop::not_native("an odd GIT_CONFIG_COUNT"))? {
                let key = call.var(&format!("GIT_CONFIG_KEY_{i}"));
                let value = call.var(&format!("GIT_CONFIG_VALUE_{i}"));
                let (Some(key), Some(value)) = (key, value) else {
                    return Err(Stop::not_native("an incomplete GIT_CONFIG_COUNT"));
                };
                given.push((key, Some(value)));
            }
        }
        if let Some(text) = call.var("GIT_CONFIG_PARAMETERS") {
            let found = parse_parameters(&text);
            given.extend(found.ok_or_else(|| Stop::not_native("an odd GIT_CONFIG_PARAMETERS"))?);
        }
        given.extend(call.globals.config.iter().cloned());
        for (key, value) in given {
            let key = canonical_key(&key).ok_or_else(|| bad_key(&key))?;
            if key.starts_with(b"include.") || key.starts_with(b"includeif.") {
                return Err(Stop::not_native("an include on the command line"));
            }
            self.entries.push(Entry {
                key,
                value,
                scope: Scope::Command,
                file: None,
            });
        }
        Ok(())
    }

    fn read_file(
        &mut self,
        call: &Call<'_>,
        path: &[u8],
        scope: Scope,
        at: &Where,
        depth: usize,
    ) -> Res<()> {
        if !scope.may_read(call, path) {
            return Ok(());
        }
        let text = match fs::read(bytes::to_path(path)) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Stop::not_native("an unreadable configuration file"));
            }
            Err(_) => return Ok(()),
        };
        let file = Rc::new(path.to_vec());
        let mut parsed = Vec::new();
        parse(&text, &mut parsed).map_err(|line| {
            Stop::NotNative(format!(
                "bad line {line} in the configuration file {}",
                lossy(path)
            ))
        })?;
        for (key, value) in parsed {
            let included = if depth > MAX_INCLUDE_DEPTH {
                None
            } else {
                include_path(&key, value.as_deref(), path, at)?
            };
            self.entries.push(Entry {
                key,
                value,
                scope,
                file: Some(Rc::clone(&file)),
            });
            if let Some(file) = included {
                if depth == MAX_INCLUDE_DEPTH {
                    return Err(Stop::not_native(
                        "configuration includes that nest too deep",
                    ));
                }
                self.read_file(call, &file, scope, at, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Reads one file alone, without what it includes; `None` when it cannot be read.
    pub(crate) fn of_file(path: &[u8], scope: Scope) -> Res<Option<Config>> {
        let Ok(text) = fs::read(bytes::to_path(path)) else {
            return Ok(None);
        };
        let mut parsed = Vec::new();
        parse(&text, &mut parsed).map_err(|line| {
            Stop::NotNative(format!(
                "bad line {line} in the configuration file {}",
                lossy(path)
            ))
        })?;
        let file = Some(Rc::new(path.to_vec()));
        let entries = parsed.into_iter().map(|(key, value)| Entry {
            key,
            value,
            scope,
            file: file.clone(),
        });
        Ok(Some(Config {
            entries: entries.collect(),
        }))
    }

    /// Returns the last value of a key (in its canonical form); a key without `=` counts as `true`.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        let entry = self
            .entries
            .iter()
            .rev()
            .find(|e| e.key == key.as_bytes())?;
        Some(entry.value.as_deref().unwrap_or(b"true"))
    }

    /// Says whether a file that a key names may be read.
    ///
    /// A repository's own configuration could name any file of the user; where the caller said how far it may look,
    /// such a file counts as missing, as it is for git in the sandbox. The user's own configuration may name any.
    pub(crate) fn may_read(&self, call: &Call<'_>, key: &str, path: &[u8]) -> bool {
        let named_by = self
            .entries
            .iter()
            .rev()
            .find(|e| e.key == key.as_bytes())
            .map(|e| e.scope);
        match named_by {
            Some(scope) => scope.may_read(call, path),
            None => true,
        }
    }

    /// Returns the last value of a key in the repository's own file: what says what the repository is counts only there.
    pub(crate) fn own(&self, key: &str) -> Option<&[u8]> {
        let mut own = self.entries.iter().rev();
        let entry = own.find(|e| {
            matches!(e.scope, Scope::Local | Scope::Worktree) && e.key == key.as_bytes()
        })?;
        Some(entry.value.as_deref().unwrap_or(b"true"))
    }

    /// Returns a boolean of the repository's own file, or hands over when the value is not one.
    pub(crate) fn own_bool(&self, key: &str) -> Res<Option<bool>> {
        match self.own(key) {
            None => Ok(None),
            Some(v) => parse_bool(v)
                .map(Some)
                .ok_or_else(|| Stop::NotNative(format!("a bad value of {key}"))),
        }
    }

    /// Returns the last value of a key given as bytes.
    pub(crate) fn get_bytes(&self, key: &[u8]) -> Option<&[u8]> {
        let entry = self.entries.iter().rev().find(|e| e.key == key)?;
        Some(entry.value.as_deref().unwrap_or(b"true"))
    }

    /// Returns all values of a key, oldest first.
    pub(crate) fn get_all(&self, key: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.entries
            .iter()
            .filter(move |e| e.key == key)
            .map(|e| e.value.as_deref().unwrap_or(b"true"))
    }

    /// Returns a boolean, or hands over when the value is not one.
    pub(crate) fn bool(&self, key: &str) -> Res<Option<bool>> {
        let Some(entry) = self.entries.iter().rev().find(|e| e.key == key.as_bytes()) else {
            return Ok(None);
        };
        match &entry.value {
            None => Ok(Some(true)),
            Some(v) => parse_bool(v)
                .map(Some)
                .ok_or_else(|| Stop::NotNative(format!("a bad value of {key}"))),
        }
    }

    /// Returns a number (`k`, `m`, `g` allowed), or hands over when the value is not one.
    pub(crate) fn int(&self, key: &str) -> Res<Option<i64>> {
        match self.get(key) {
            None => Ok(None),
            Some(v) => parse_number(v)
                .map(Some)
                .ok_or_else(|| Stop::NotNative(format!("a bad value of {key}"))),
        }
    }

    /// Returns the distinct middle parts of keys `section.<middle>.…`, in order of appearance.
    pub(crate) fn subsections(&self, section: &str) -> Vec<Bytes> {
        let prefix = format!("{section}.");
        let mut names: Vec<Bytes> = Vec::new();
        for entry in &self.entries {
            let Some(rest) = entry.key.strip_prefix(prefix.as_bytes()) else {
                continue;
            };
            let Some(dot) = rest.iter().rposition(|b| *b == b'.') else {
                continue;
            };
            if !names.iter().any(|n| n == &rest[..dot]) {
                names.push(rest[..dot].to_vec());
            }
        }
        names
    }
}

/// Reads `GIT_CONFIG_PARAMETERS`: quoted words `'key=value'`, or `'key'='value'`, between blanks.
fn parse_parameters(text: &[u8]) -> Option<Vec<(Bytes, Option<Bytes>)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = quoted_word(rest)?;
        match after.first() {
            None | Some(b' ' | b'\t' | b'\n') => {
                rest = after;
                found.push(match bytes::split_once(&word, b'=') {
                    Some((key, value)) => (key.trim_ascii().to_vec(), Some(value.to_vec())),
                    None => (word.trim_ascii().to_vec(), None),
                });
            }
            Some(b'=') if after.get(1) == Some(&b'\'') => {
                let (value, after) = quoted_word(&after[1..])?;
                rest = after;
                found.push((word, Some(value)));
            }
            Some(b'=') => {
                rest = &after[1..];
                found.push((word, None));
            }
            Some(_) => return None,
        }
        if rest.first().is_some_and(|c| !c.is_ascii_whitespace()) {
            return None;
        }
        rest = rest.trim_ascii_start();
    }
    Some(found)
}

/// Reads a word in single quotes, where `'\''` stands for a quote; returns what follows.
fn quoted_word(text: &[u8]) -> Option<(Bytes, &[u8])> {
    let mut rest = text.strip_prefix(b"'")?;
    let mut word = Bytes::new();
    loop {
        let end = rest.iter().position(|c| *c == b'\'')?;
        word.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest {
            [b'\\', c @ (b'\'' | b'!'), b'\'', after @ ..] => {
                word.push(*c);
                rest = after;
            }
            _ => return Some((word, rest)),
        }
    }
}

/// Says whether a path leads to where the caller may look; anywhere will do where it did not say.
pub(crate) fn is_within(call: &Call<'_>, path: &[u8]) -> bool {
    call.within.is_none_or(|within| {
        fs::canonicalize(bytes::to_path(path)).is_ok_and(|path| path.starts_with(within))
    })
}

/// Returns a file in git's XDG directory.
pub(crate) fn xdg_file(call: &Call<'_>, name: &[u8]) -> Option<Bytes> {
    if let Some(dir) = call.var("XDG_CONFIG_HOME").filter(|v| !v.is_empty()) {
        return Some([&dir, b"/git/".as_slice(), name].concat());
    }
    let home = call.var("HOME").filter(|v| !v.is_empty())?;
    Some([&home, b"/.config/git/".as_slice(), name].concat())
}

/// Replaces a leading `~/` as git does in path values; `None` when it names another user.
pub(crate) fn expand_home(path: &[u8], home: &[u8]) -> Option<Bytes> {
    match path {
        b"~" => Some(home.to_vec()),
        _ if path.starts_with(b"~/") => Some([home, &path[1..]].concat()),
        _ if path.starts_with(b"~") || path.starts_with(b"%(prefix)/") => None,
        _ => Some(path.to_vec()),
    }
}

/// Reads a boolean as git does; `None` when it is none.
pub(crate) fn parse_bool(value: &[u8]) -> Option<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"true" | b"yes" | b"on" => Some(true),
        b"false" | b"no" | b"off" | b"" => Some(false),
        _ => parse_number(value).map(|n| n != 0),
    }
}

/// Reads a number with an optional unit.
pub(crate) fn parse_number(value: &[u8]) -> Option<i64> {
    let (digits, factor) = match value.last()? {
        b'k' | b'K' => (&value[..value.len() - 1], 1 << 10),
        b'm' | b'M' => (&value[..value.len() - 1], 1 << 20),
        b'g' | b'G' => (&value[..value.len() - 1], 1 << 30),
        _ => (value, 1),
    };
    bytes::parse_int(digits)?.checked_mul(factor)
}

/// Lowers section and name of a key; `None` when it is not a key.
pub(crate) fn canonical_key(key: &[u8]) -> Option<Bytes> {
    let first = key.iter().position(|b| *b == b'.')?;
    let last = key.iter().rposition(|b| *b == b'.')?;
    let (section, name) = (&key[..first], &key[last + 1..]);
    let plain = |part: &[u8]| part.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if section.is_empty() || !plain(section) || !name.first()?.is_ascii_alphabetic() || !plain(name)
    {
        return None;
    }
    let mut out = key.to_vec();
    out[..first].make_ascii_lowercase();
    out[last + 1..].make_ascii_lowercase();
    Some(out)
}

fn include_path(key: &[u8], value: Option<&[u8]>, file: &[u8], at: &Where) -> Res<Option<Bytes>> {
    let applies = if key == b"include.path" {
        true
    } else if let Some(condition) = key
        .strip_prefix(b"includeif.")
        .and_then(|k| k.strip_suffix(b".path"))
    {
        condition_holds(condition, file, at)?
    } else {
        return Ok(None);
    };
    let (true, Some(value)) = (applies, value) else {
        return Ok(None);
    };
    let value = expand_home(value, &at.home)
        .ok_or_else(|| Stop::not_native("an include of another user's file"))?;
    Ok(Some(bytes::join(directory_of(file), &value)))
}

fn directory_of(file: &[u8]) -> &[u8] {
    match file.iter().rposition(|b| *b == b'/') {
        Some(0) => b"/",
        Some(i) => &file[..i],
        None => b".",
    }
}

/// git's complaint about a key of the command line.
fn bad_key(key: &[u8]) -> Stop {
    let complaint = match key.iter().position(|b| *b == b'.') {
        None | Some(0) => "key does not contain a section",
        Some(at) if key.get(at + 1..).is_none_or(<[u8]>::is_empty) => {
            "key does not contain variable name"
        }
        Some(_) => return Stop::NotNative(format!("the key `{}`", lossy(key))),
    };
    Stop::Fail {
        code: 128,
        text: format!(
            "error: {complaint}: {}\nfatal: unable to parse command-line config\n",
            lossy(key)
        )
        .into_bytes(),
    }
}

fn condition_holds(condition: &[u8], file: &[u8], at: &Where) -> Res<bool> {
    if let Some(pattern) = condition.strip_prefix(b"onbranch:") {
        let Some(branch) = &at.branch else {
            return Ok(false);
        };
        if branch == b".invalid" {
            return Err(Stop::not_native(
                "a condition on the branch where references are in tables",
            ));
        }
        let mut pattern = pattern.to_vec();
        if pattern.ends_with(b"/") {
            pattern.extend_from_slice(b"**");
        }
        return Ok(wildmatch::matches(&pattern, branch, wildmatch::PATHNAME));
    }
    let (pattern, flags) = match (
        condition.strip_prefix(b"gitdir:"),
        condition.strip_prefix(b"gitdir/i:"),
    ) {
        (Some(p), _) => (p, wildmatch::PATHNAME),
        (_, Some(p)) => (p, wildmatch::PATHNAME | wildmatch::CASEFOLD),
        _ if condition.starts_with(b"hasconfig:") => {
            return Err(Stop::not_native(
                "a configuration that includes by remote URL",
            ));
        }
        _ => return Ok(false),
    };
    let Some(git_dir) = &at.git_dir else {
        return Ok(false);
    };
    let home = fs::canonicalize(bytes::to_path(&at.home));
    let home = home.map_or_else(|_| at.home.clone(), |home| bytes::from_path(&home));
    let mut pattern = expand_home(pattern, &home)
        .ok_or_else(|| Stop::not_native("an include by another user's home"))?;
    if let Some(rest) = pattern.strip_prefix(b"./") {
        let real = fs::canonicalize(bytes::to_path(directory_of(file)))?;
        pattern = [&bytes::from_path(&real), b"/".as_slice(), rest].concat();
    } else if !pattern.starts_with(b"/") {
        pattern = [b"**/", pattern.as_slice()].concat();
    }
    if pattern.ends_with(b"/") {
        pattern.extend_from_slice(b"**");
    }
    Ok([Some(git_dir), at.git_dir_by_links.as_ref()]
        .into_iter()
        .flatten()
        .any(|dir| wildmatch::matches(&pattern, dir, flags)))
}

/// Returns the git directory below the current one as `PWD` names it.
fn by_links(call: &Call<'_>, git_dir: &[u8]) -> Option<Bytes> {
    let way = call.var("PWD").filter(|way| *way != call.cwd)?;
    let real = fs::canonicalize(bytes::to_path(&way)).ok()?;
    let below = git_dir.strip_prefix(call.cwd.as_slice())?;
    (bytes::from_path(&real) == call.cwd).then(|| [&way, below].concat())
}

fn current_branch(git_dir: &[u8]) -> Option<Bytes> {
    let head = fs::read(bytes::to_path(&bytes::join(git_dir, b"HEAD"))).ok()?;
    Some(
        head.strip_prefix(b"ref: refs/heads/")?
            .trim_ascii_end()
            .to_vec(),
    )
}

/// Parses a configuration file into keys and values; the error is the number of the bad line.
fn parse(text: &[u8], out: &mut Vec<(Bytes, Option<Bytes>)>) -> Result<(), usize> {
    let mut text = Reader {
        bytes: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
        at: 0,
        line: 1,
    };
    let mut section = Bytes::new();
    while let Some(c) = text.next() {
        match c {
            b'#' | b';' => text.skip_line(),
            b'[' => section = parse_section(&mut text).ok_or(text.line)?,
            c if c.is_ascii_whitespace() || c == 0x0b => {}
            c if c.is_ascii_alphabetic() && !section.is_empty() => {
                let line = text.line;
                let mut key = section.clone();
                key.push(c.to_ascii_lowercase());
                let value = parse_variable(&mut text, &mut key).ok_or(line)?;
                out.push((key, value));
            }
            _ => return Err(text.line),
        }
    }
    Ok(())
}

/// Reads a header from behind its bracket; returns the beginning of its keys, with the dot, and where it ends.
pub(crate) fn section_at(text: &[u8], at: usize) -> Option<(Bytes, usize)> {
    let mut reader = Reader {
        bytes: text,
        at,
        line: 1,
    };
    let name = parse_section(&mut reader)?;
    Some((name, reader.at))
}

/// Reads a variable; returns its name in lower case, its value, and where it ends: behind the line break.
pub(crate) fn variable_at(text: &[u8], at: usize) -> Option<(Bytes, Option<Bytes>, usize)> {
    let mut reader = Reader {
        bytes: text,
        at,
        line: 1,
    };
    let mut name = Bytes::new();
    let value = parse_variable(&mut reader, &mut name)?;
    Some((name, value, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let mut c = *self.bytes.get(self.at)?;
        self.at += 1;
        if c == b'\r' && self.bytes.get(self.at) == Some(&b'\n') {
            c = b'\n';
            self.at += 1;
        }
        if c == b'\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn skip_line(&mut self) {
        while let Some(c) = self.next() {
            if c == b'\n' {
                break;
            }
        }
    }
}

/// Reads the rest of `[section "subsection"]`; returns the key's beginning with its dot.
fn parse_section(text: &mut Reader<'_>) -> Option<Bytes> {
    let mut name = Bytes::new();
    loop {
        let c = text.next()?;
        match c {
            b']' => break,
            b' ' | b'\t' => {
                while text
                    .bytes
                    .get(text.at)
                    .is_some_and(|c| matches!(c, b' ' | b'\t'))
                {
                    text.at += 1;
                }
                if text.next()? != b'"' {
                    return None;
                }
                name.push(b'.');
                loop {
                    match text.next()? {
                        b'"' => break,
                        b'\n' => return None,
                        b'\\' => match text.next()? {
                            b'\n' => return None,
                            c => name.push(c),
                        },
                        c => name.push(c),
                    }
                }
                if text.next()? != b']' {
                    return None;
                }
                break;
            }
            c if c.is_ascii_alphanumeric() || c == b'-' || c == b'.' => {
                name.push(c.to_ascii_lowercase())
            }
            _ => return None,
        }
    }
    name.push(b'.');
    Some(name)
}

/// Reads the rest of a name and its value.
fn parse_variable(text: &mut Reader<'_>, key: &mut Bytes) -> Option<Option<Bytes>> {
    let mut c = text.next();
    while let Some(letter) = c.filter(|c| c.is_ascii_alphanumeric() || *c == b'-') {
        key.push(letter.to_ascii_lowercase());
        c = text.next();
    }
    while matches!(c, Some(b' ' | b'\t')) {
        c = text.next();
    }
    match c {
        None | Some(b'\n') => Some(None),
        Some(b'=') => parse_value(text).map(Some),
        Some(_) => None,
    }
}

fn parse_value(text: &mut Reader<'_>) -> Option<Bytes> {
    let mut value = Bytes::new();
    let (mut quoted, mut comment) = (false, false);
    // Length of the value without trailing blanks that stood outside quotes.
    let mut trimmed = 0;
    loop {
        let Some(c) = text.next() else {
            if quoted {
                return None;
            }
            value.truncate(trimmed);
            return Some(value);
        };
        if c == b'\n' {
            if quoted {
                return None;
            }
            value.truncate(trimmed);
            return Some(value);
        }
        if comment {
            continue;
        }
        if (c.is_ascii_whitespace() || c == 0x0b) && !quoted {
            if !value.is_empty() {
                value.push(c);
            }
            continue;
        }
        if !quoted && (c == b';' || c == b'#') {
            comment = true;
            continue;
        }
        match c {
            b'\\' => match text.next() {
                Some(b'\n') => continue,
                Some(b't') => value.push(b'\t'),
                Some(b'b') => value.push(8),
                Some(b'n') => value.push(b'\n'),
                Some(c @ (b'\\' | b'"')) => value.push(c),
                _ => return None,
            },
            b'"' => quoted = !quoted,
            c => value.push(c),
        }
        trimmed = value.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_both_forms_are_read() {
        let read = |text: &str| parse_parameters(text.as_bytes());
        let pair = |k: &str, v: Option<&str>| (k.into(), v.map(|v| v.as_bytes().to_vec()));
        assert_eq!(
            read("'a.b=c' 'd.e'='f g'  'h.i'= 'j.k'"),
            Some(vec![
                pair("a.b", Some("c")),
                pair("d.e", Some("f g")),
                pair("h.i", None),
                pair("j.k", None),
            ])
        );
        assert_eq!(
            read(r"'a.b'='it'\''s'"),
            Some(vec![pair("a.b", Some("it's"))])
        );
        assert_eq!(read("a.b=c"), None);
        assert_eq!(read("'a.b'x"), None);
    }
}
