//! What a revision means: names, abbreviations, `^`, `~`, `@{…}`, `:/text` and `rev:path`.

use std::collections::{HashSet, VecDeque};

use git2::{ErrorCode, ObjectType};

use crate::history::rev_args;
use crate::outcome::{Res, Stop};
use crate::references::reflog;
use crate::repository::id::Id;
use crate::repository::object::{Person, mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::approxidate;
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::date;
use crate::text::regexes::{self, Dialect};

/// What a name led to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) id: Id,
    /// The path, when the name was `rev:path` or `:path`.
    pub(crate) path: Option<Bytes>,
    pub(crate) mode: u32,
}

impl Repo<'_> {
    /// Resolves a revision; `None` when it names nothing.
    pub(crate) fn resolve(&self, name: &[u8]) -> Res<Option<Id>> {
        Ok(self.resolve_full(name)?.map(|f| f.id))
    }

    /// Resolves a revision, or `a...b`, which is the one merge base of the two; `HEAD` is what is left out.
    pub(crate) fn resolve_place(&self, name: &[u8]) -> Res<Option<Id>> {
        let Some(dots) = bytes::find(name, b"...") else {
            return self.resolve(name);
        };
        let side = |text: &[u8]| -> Res<Option<Id>> {
            let text = if text.is_empty() { b"HEAD" } else { text };
            match self.resolve(text)? {
                Some(id) => self.peel_to_commit(id),
                None => Ok(None),
            }
        };
        let (Some(a), Some(b)) = (side(&name[..dots])?, side(&name[dots + 3..])?) else {
            return Ok(None);
        };
        match rev_args::merge_bases(self, a, b)?.as_slice() {
            [only] => Ok(Some(*only)),
            _ => Ok(None),
        }
    }

    /// Resolves a revision or a path in one; one that is not there is no error.
    pub(crate) fn resolve_quietly(&self, name: &[u8]) -> Res<Option<Id>> {
        match self.resolve(name) {
            Err(Stop::Fail { .. }) if name.contains(&b':') => Ok(None),
            other => other,
        }
    }

    /// Resolves a revision or a path in one.
    pub(crate) fn resolve_full(&self, name: &[u8]) -> Res<Option<Found>> {
        if let Some(id) = self.resolve_plain(name, 0)? {
            return Ok(Some(Found {
                id,
                ..Found::default()
            }));
        }
        if let Some(rest) = name.strip_prefix(b":") {
            if rest == b"/" {
                return Ok(None);
            }
            if let Some(text) = rest.strip_prefix(b"/") {
                let found = self.commit_by_message(text, None)?;
                return Ok(found.map(|id| Found {
                    id,
                    ..Found::default()
                }));
            }
            return self.resolve_in_index(rest);
        }
        let Some(colon) = colon_outside_braces(name) else {
            return Ok(None);
        };
        let (rev, path) = (&name[..colon], &name[colon + 1..]);
        let Some(id) = self.resolve_plain(rev, 0)? else {
            return Ok(None);
        };
        let Some(tree) = self.peel_to_tree(id)? else {
            return Ok(None);
        };
        let path = self.tree_path(path)?;
        match self.path_in_tree(tree, &path)? {
            Some((mode, id)) => Ok(Some(Found {
                id,
                mode,
                path: Some(path),
            })),
            None => Err(self.missing_in_tree(rev, tree, &path)?),
        }
    }

    /// Makes the path of `rev:path` relative to the top: only `./` and `../` are relative to the directory.
    fn tree_path(&self, path: &[u8]) -> Res<Bytes> {
        if !(path.starts_with(b"./") || path.starts_with(b"../") || path == b"." || path == b"..") {
            return Ok(path.to_vec());
        }
        if !self.is_inside_work_tree() {
            return Err(Stop::fatal(
                "relative path syntax can't be used outside working tree",
            ));
        }
        if crate::work::pathspec::from_top(self, path)?.is_none() {
            return Err(Stop::not_native("a path outside the repository"));
        }
        let full = bytes::normalize(&[b"/", self.prefix.as_slice(), path].concat());
        Ok(full[1..].to_vec())
    }

    fn missing_in_tree(&self, rev: &[u8], tree: Id, path: &[u8]) -> Res<Stop> {
        let on_disk = self.work_tree.as_deref().is_some_and(|top| {
            std::fs::symlink_metadata(bytes::to_path(&bytes::join(top, path))).is_ok()
        });
        let full = [&self.prefix, path].concat();
        let is_below = !self.prefix.is_empty() && self.path_in_tree(tree, &full)?.is_some();
        let (rev, path, full) = (lossy(rev), lossy(path), lossy(&full));
        Ok(if on_disk {
            Stop::fatal(format!("path '{path}' exists on disk, but not in '{rev}'"))
        } else if is_below {
            Stop::fatal(format!(
                "path '{full}' exists, but not '{path}'\n\
                 hint: Did you mean '{rev}:{full}' aka '{rev}:./{path}'?"
            ))
        } else {
            Stop::fatal(format!("path '{path}' does not exist in '{rev}'"))
        })
    }

    fn resolve_in_index(&self, rest: &[u8]) -> Res<Option<Found>> {
        let (stage, path) = match rest {
            [n @ b'0'..=b'3', b':', path @ ..] => (n - b'0', path),
            _ => (0, rest),
        };
        let path = self.tree_path(path)?;
        let index = self.index()?;
        let from = index.lower_bound(&path);
        for entry in &index.entries[from..] {
            if index.path(entry) != path.as_slice() {
                break;
            }
            if entry.stage == stage {
                return Ok(Some(Found {
                    id: entry.id,
                    mode: entry.mode,
                    path: Some(path),
                }));
            }
        }
        let shown = lossy(&path).into_owned();
        if index.find(&path).is_some() {
            let first = index.find(&path).map_or(0, |e| e.stage);
            return Err(Stop::fatal(format!(
                "path '{shown}' is in the index, but not at stage {stage}\nhint: Did you mean ':{first}:{shown}'?"
            )));
        }
        let full = [self.prefix.as_slice(), &path].concat();
        if let Some(below) = index.find(&full) {
            let (stage, full) = (below.stage, lossy(&full));
            return Err(Stop::fatal(format!(
                "path '{full}' is in the index, but not '{shown}'\n\
                 hint: Did you mean ':{stage}:{full}' aka ':{stage}:./{shown}'?"
            )));
        }
        let on_disk = self
            .work_tree
            .as_deref()
            .is_some_and(|top| bytes::to_path(&bytes::join(top, &path)).exists());
        Err(if on_disk {
            Stop::fatal(format!(
                "path '{shown}' exists on disk, but not in the index"
            ))
        } else {
            Stop::fatal(format!(
                "path '{shown}' does not exist (neither on disk nor in the index)"
            ))
        })
    }

    /// Finds a path in a tree; the empty path is the tree itself.
    pub(crate) fn path_in_tree(&self, tree: Id, path: &[u8]) -> Res<Option<(u32, Id)>> {
        let mut at = (mode::TREE, tree);
        for part in path.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
            if !mode::is_tree(at.0) {
                return Ok(None);
            }
            let data = self.tree_data(at.1)?;
            match tree_entries(&data).find(|e| e.name == part) {
                Some(entry) => at = (entry.mode, entry.id),
                None => return Ok(None),
            }
        }
        if path.ends_with(b"/") && !mode::is_tree(at.0) {
            return Ok(None);
        }
        Ok(Some(at))
    }

    fn resolve_plain(&self, name: &[u8], depth: u32) -> Res<Option<Id>> {
        if name.is_empty() || depth > 1000 {
            return Ok(None);
        }
        // A suffix ^, ^N, ~ or ~N.
        let digits = name.iter().rev().take_while(|c| c.is_ascii_digit()).count();
        let head = &name[..name.len() - digits];
        if let Some((&op @ (b'^' | b'~'), base)) = head.split_last() {
            let number = if digits == 0 {
                Some(1)
            } else {
                bytes::parse_int(&name[name.len() - digits..])
            };
            let Some(number) = number else {
                return Ok(None);
            };
            let Some(id) = self.resolve_plain(base, depth + 1)? else {
                return Ok(None);
            };
            let Some(commit) = self.peel_to_commit(id)? else {
                return Ok(None);
            };
            return if op == b'^' {
                self.nth_parent(commit, number)
            } else {
                self.ancestor(commit, number)
            };
        }
        if name.ends_with(b"}")
            && let Some(open) = bytes::find(name, b"^{")
        {
            let open = name.windows(2).rposition(|w| w == b"^{").unwrap_or(open);
            return self.peel_as(&name[..open], &name[open + 2..name.len() - 1], depth);
        }
        if let Some(id) = self.resolve_basic(name)? {
            return Ok(Some(id));
        }
        if let Some(at) = name.windows(2).rposition(|w| w == b"-g") {
            let hex = &name[at + 2..];
            if at > 0 && hex.len() >= 4 && hex.iter().all(u8::is_ascii_hexdigit) {
                return match self.resolve_abbreviated(hex)? {
                    Some(id) => self.peel_to_commit(id),
                    None => Ok(None),
                };
            }
        }
        self.resolve_abbreviated(name)
    }

    fn nth_parent(&self, id: Id, n: i64) -> Res<Option<Id>> {
        if n == 0 {
            return Ok(Some(id));
        }
        let parents = self.parents(id)?;
        Ok(usize::try_from(n - 1)
            .ok()
            .and_then(|i| parents.get(i).copied()))
    }

    fn ancestor(&self, mut id: Id, n: i64) -> Res<Option<Id>> {
        for _ in 0..n {
            self.cancel().check()?;
            match self.parents(id)?.first() {
                Some(parent) => id = *parent,
                None => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    /// Returns a commit's parents, none at the edge of a shallow history.
    pub(crate) fn parents(&self, id: Id) -> Res<Vec<Id>> {
        Ok(self.commit(id)?.parents)
    }

    fn peel_as(&self, base: &[u8], kind: &[u8], depth: u32) -> Res<Option<Id>> {
        let Some(id) = self.resolve_plain(base, depth + 1)? else {
            return Ok(None);
        };
        if let Some(text) = kind.strip_prefix(b"/") {
            let Some(commit) = self.peel_to_commit(id)? else {
                return Ok(None);
            };
            if text.is_empty() {
                return Ok(Some(commit));
            }
            return self.commit_by_message(text, Some(commit));
        }
        Ok(match kind {
            b"" => self.peel(id)?.map(|(id, _)| id),
            b"commit" => self.peel_to_commit(id)?,
            b"tree" => self.peel_to_tree(id)?,
            b"object" => self.header(id)?.map(|_| id),
            b"blob" => self
                .peel(id)?
                .and_then(|(id, k)| (k == ObjectType::Blob).then_some(id)),
            b"tag" => self
                .header(id)?
                .and_then(|(k, _)| (k == ObjectType::Tag).then_some(id)),
            _ => None,
        })
    }

    /// Finds the youngest commit whose message matches; from everything there is, or from one commit on.
    fn commit_by_message(&self, text: &[u8], from: Option<Id>) -> Res<Option<Id>> {
        let (negated, pattern) = match text.strip_prefix(b"!") {
            Some(rest) => match rest {
                [b'-', pattern @ ..] => (true, pattern),
                [b'!', ..] => (false, rest),
                _ => return Ok(None),
            },
            None => (false, text),
        };
        let pattern = regexes::compile(pattern, Dialect::Extended, false)?;
        let mut list: Vec<(i64, Id)> = Vec::new();
        match from {
            Some(id) => list.push((0, id)),
            None => {
                let mut tips = Vec::new();
                for reference in self.refs(b"refs/")? {
                    tips.extend(self.peel_to_commit(reference.id)?);
                }
                tips.extend(self.head()?.id);
                for id in tips.into_iter().rev() {
                    list.push((self.commit(id)?.time(), id));
                }
            }
        }
        // git begins with the oldest of the tips, and takes what lies behind them by date.
        list.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        list.reverse();
        let mut seen: HashSet<Id> = list.iter().map(|(_, id)| *id).collect();
        let mut list = VecDeque::from(list);
        while let Some((_, id)) = list.pop_front() {
            self.cancel().check()?;
            let commit = self.commit(id)?;
            for parent in &commit.parents {
                if seen.insert(*parent) {
                    let time = self.commit(*parent)?.time();
                    let at = list.iter().position(|(t, _)| *t < time);
                    list.insert(at.unwrap_or(list.len()), (time, *parent));
                }
            }
            if pattern.is_match(&commit.message) != negated {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn resolve_basic(&self, name: &[u8]) -> Res<Option<Id>> {
        let warns = self.config.bool("core.warnambiguousrefs")?.unwrap_or(true);
        if let Some(id) = Id::parse(name) {
            if warns && !self.dwim(name)?.is_empty() {
                return Err(Stop::not_native("a reference that looks like an id"));
            }
            return Ok(Some(id));
        }
        if name == b"@" {
            return Ok(self.head()?.id);
        }
        if name.ends_with(b"}")
            && let Some(at) = name.windows(2).rposition(|w| w == b"@{")
            && !name[..at].contains(&b':')
        {
            return self.resolve_at(&name[..at], &name[at + 2..name.len() - 1]);
        }
        let found = self.dwim(name)?;
        let is_short_id = found.len() == 1 && matches!(self.resolve_abbreviated(name), Ok(Some(_)));
        if warns && (found.len() > 1 || is_short_id) {
            self.call.warn(format!(
                "warning: refname '{}' is ambiguous.\n",
                lossy(name)
            ));
        }
        Ok(found.first().map(|(_, id)| *id))
    }

    /// `base@{inner}`.
    fn resolve_at(&self, base: &[u8], inner: &[u8]) -> Res<Option<Id>> {
        if let Some(full) = self.at_name(base, inner)? {
            return match full {
                At::Ref(name) => self.ref_id(&name),
                At::Commit(id) => Ok(Some(id)),
            };
        }
        if inner.starts_with(b"-") {
            return Ok(None);
        }
        let name = if base.is_empty() {
            self.head()?.branch.unwrap_or_else(|| b"HEAD".to_vec())
        } else if base == b"@" {
            b"HEAD".to_vec()
        } else if let Some(name) = self.branch_by_at(base)? {
            name
        } else {
            match self.dwim_log(base)? {
                Some(name) => name,
                None => return Ok(None),
            }
        };
        let nth = bytes::parse_int(inner).filter(|n| (0..=100_000_000).contains(n));
        let Some(n) = nth else {
            return self.resolve_at_time(base, &name, inner);
        };
        let log = reflog::read(self, &name)?;
        if let Some(line) = usize::try_from(n)
            .ok()
            .and_then(|n| log.iter().rev().nth(n))
        {
            return Ok(Some(line.new));
        }
        // One more than there are entries: the value before the oldest.
        if usize::try_from(n).ok() == Some(log.len())
            && let Some(oldest) = log.first()
            && !oldest.old.is_zero()
        {
            return Ok(Some(oldest.old));
        }
        if n == 0 && log.is_empty() {
            return self.ref_id(&name);
        }
        let shown = if base.is_empty() {
            name.strip_prefix(b"refs/heads/").unwrap_or(&name).to_vec()
        } else {
            base.to_vec()
        };
        if log.is_empty() {
            return Err(Stop::fatal(format!("log for '{}' is empty", lossy(&shown))));
        }
        Err(Stop::fatal(format!(
            "log for '{}' only has {} entries",
            lossy(&shown),
            log.len()
        )))
    }

    /// Returns the reference a text like `@{-1}` or `main@{upstream}` stands for, if it is one.
    fn branch_by_at(&self, text: &[u8]) -> Res<Option<Bytes>> {
        let Some(at) = text.windows(2).rposition(|w| w == b"@{") else {
            return Ok(None);
        };
        let Some(inner) = text[at + 2..].strip_suffix(b"}") else {
            return Ok(None);
        };
        Ok(match self.at_name(&text[..at], inner)? {
            Some(At::Ref(name)) => Some(name),
            Some(At::Commit(_)) | None => None,
        })
    }

    /// Finds the reference a short name means, among those that have a log.
    fn dwim_log(&self, base: &[u8]) -> Res<Option<Bytes>> {
        for (name, _) in self.dwim(base)? {
            let target = self.symref(&name)?.filter(|t| *t != name);
            for candidate in [Some(name), target].into_iter().flatten() {
                if reflog::exists(self, &candidate) {
                    return Ok(Some(candidate));
                }
            }
        }
        Ok(None)
    }

    /// `base@{date}`: what a reference pointed at then.
    fn resolve_at_time(&self, base: &[u8], name: &[u8], inner: &[u8]) -> Res<Option<Id>> {
        let (time, understood) = approxidate::read_checked(self.call, inner)?;
        if !understood {
            return Ok(None);
        }
        let log = reflog::read(self, name)?;
        let Some(oldest) = log.first() else {
            let shown = if base.is_empty() { name } else { base };
            return Err(Stop::fatal(format!("log for {} is empty", lossy(shown))));
        };
        let at = |line: &reflog::Line| Person::parse(&line.who).time;
        if let Some(i) = log.iter().rposition(|line| at(line) <= time) {
            // git warns of a gap, or of a value the log does not know.
            let next = match log.get(i + 1) {
                Some(line) => Some(line.old),
                None => self.ref_id(name)?,
            };
            if next != Some(log[i].new) {
                return Err(Stop::not_native("a reference log with gaps"));
            }
            return Ok(Some(log[i].new));
        }
        let shown = if base.is_empty() { name } else { base };
        let person = Person::parse(&oldest.who);
        let format = date::Format {
            style: date::Style::Rfc,
            local: false,
        };
        self.call.warn(format!(
            "warning: log for '{}' only goes back to {}\n",
            lossy(shown),
            date::show(self.call, person.time, person.zone, &format)?
        ));
        Ok(Some(if oldest.old.is_zero() {
            oldest.new
        } else {
            oldest.old
        }))
    }

    /// Resolves the forms of `@{…}` that name a branch rather than an old value.
    pub(crate) fn at_name(&self, base: &[u8], inner: &[u8]) -> Res<Option<At>> {
        if let Some(n) = inner.strip_prefix(b"-").and_then(bytes::parse_int) {
            if !base.is_empty() || n <= 0 {
                return Ok(None);
            }
            let log = reflog::read(self, b"HEAD")?;
            let mut left = n;
            for line in log.iter().rev() {
                let Some(moves) = line.message.strip_prefix(b"checkout: moving from ") else {
                    continue;
                };
                let Some(to) = bytes::find(moves, b" to ") else {
                    continue;
                };
                left -= 1;
                if left == 0 {
                    let from = &moves[..to];
                    let name = [b"refs/heads/", from].concat();
                    if self.ref_id(&name)?.is_some() {
                        return Ok(Some(At::Ref(name)));
                    }
                    return Ok(self.resolve(from)?.map(At::Commit));
                }
            }
            return Ok(None);
        }
        let lower = inner.to_ascii_lowercase();
        if lower == b"push" {
            return self.push_target(base).map(|name| Some(At::Ref(name)));
        }
        if lower != b"u" && lower != b"upstream" {
            return Ok(None);
        }
        let branch = if base.is_empty() || base == b"@" || base == b"HEAD" {
            match self.head()?.branch {
                Some(branch) => branch,
                None => return Err(Stop::fatal("HEAD does not point to a branch")),
            }
        } else if let Some(name) = self.branch_by_at(base)? {
            name
        } else {
            [b"refs/heads/", base].concat()
        };
        let short = lossy(branch.strip_prefix(b"refs/heads/").unwrap_or(&branch)).into_owned();
        if self.ref_id(&branch)?.is_none() && !base.is_empty() && base != b"@" && base != b"HEAD" {
            return Err(Stop::fatal(format!("no such branch: '{short}'")));
        }
        match self.upstream(&branch)? {
            None if self
                .config
                .entries
                .iter()
                .any(|e| e.key == [b"branch.", short.as_bytes(), b".merge"].concat()) =>
            {
                Err(Stop::not_native("an upstream that is not fetched"))
            }
            None => Err(Stop::fatal(format!(
                "no upstream configured for branch '{short}'"
            ))),
            Some(name) => {
                if self.ref_id(&name)?.is_none() && !name.starts_with(b"refs/heads/") {
                    return Err(Stop::not_native("an upstream that is gone"));
                }
                Ok(Some(At::Ref(name)))
            }
        }
    }

    fn resolve_abbreviated(&self, name: &[u8]) -> Res<Option<Id>> {
        if !(4..=Id::digits()).contains(&name.len()) || !name.iter().all(u8::is_ascii_hexdigit) {
            return Ok(None);
        }
        let mut padded = name.to_vec();
        padded.resize(Id::digits(), b'0');
        let short = Id::parse(&padded).unwrap_or_default();
        match self.git.odb()?.exists_prefix(short.oid(), name.len()) {
            Ok(oid) => Ok(Some(oid.into())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) if e.code() == ErrorCode::Ambiguous => {
                Err(Stop::not_native("an ambiguous abbreviation"))
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// What `@{-1}` or `@{upstream}` stands for.
#[derive(Debug, Clone)]
pub(crate) enum At {
    Ref(Bytes),
    Commit(Id),
}

/// git's error for an argument that is neither a revision nor a path.
pub(crate) fn ambiguous_argument(name: &[u8]) -> Stop {
    Stop::fatal(
        [
            b"ambiguous argument '".as_slice(),
            name,
            b"': unknown revision or path not in the working tree.\n\
              Use '--' to separate paths from revisions, like this:\n\
              'git <command> [<revision>...] -- [<file>...]'",
        ]
        .concat(),
    )
}

/// Finds the colon of `rev:path`.
pub(crate) fn colon_outside_braces(name: &[u8]) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in name.iter().enumerate() {
        match c {
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b':' if depth == 0 => return Some(i),
            _ => {}
        }
    }
    None
}
