//! Which paths a command is about: literal paths, patterns, and the magic `:(…)` forms.

use crate::outcome::{Res, Stop};
use crate::repository::object::mode;
use crate::repository::repo::{Repo, prefix_below};
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::wildmatch;

/// A list of path patterns; an empty one matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pathspec {
    items: Vec<Item>,
    excludes: Vec<Item>,
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The pattern from the top of the work tree.
    pub(crate) pattern: Bytes,
    /// How much of the pattern is literal.
    literal: usize,
    icase: bool,
    glob: bool,
}

impl Pathspec {
    /// Parses arguments that stand in the repository's current directory.
    pub(crate) fn parse(repo: &Repo<'_>, args: &[Bytes]) -> Res<Pathspec> {
        let mut spec = Pathspec::default();
        for arg in args {
            let (mut item, exclude) = Item::parse(repo, arg)?;
            item.drop_slash_after_submodule(repo)?;
            if exclude {
                spec.excludes.push(item)
            } else {
                spec.items.push(item)
            }
        }
        if spec.items.is_empty() && !spec.excludes.is_empty() && !repo.prefix.is_empty() {
            return Err(Stop::not_native("only excluding paths below the top"));
        }
        Ok(spec)
    }

    /// Returns a pathspec of one literal path.
    pub(crate) fn literal(path: &[u8]) -> Pathspec {
        let item = Item {
            pattern: path.to_vec(),
            literal: path.len(),
            icase: false,
            glob: false,
        };
        Pathspec {
            items: vec![item],
            excludes: Vec::new(),
        }
    }

    /// Returns the one literal path this is about, if it is that.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        match (self.items.as_slice(), self.excludes.as_slice()) {
            ([only], []) if only.literal == only.pattern.len() => Some(&only.pattern),
            _ => None,
        }
    }

    /// Says whether anything but where the path begins was asked for.
    pub(crate) fn has_magic(&self) -> bool {
        !self.excludes.is_empty() || self.items.iter().any(|i| i.icase || i.glob)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.excludes.is_empty()
    }

    /// Says whether a path (a file, or a directory taken as one thing) is meant.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        (self.items.is_empty() || self.items.iter().any(|i| i.matches(path)))
            && !self.excludes.iter().any(|i| i.matches(path))
    }

    /// Says whether there are only paths that are not meant.
    pub(crate) fn only_excludes(&self) -> bool {
        self.items.is_empty() && !self.excludes.is_empty()
    }

    /// Says whether a path is meant, were nothing excluded.
    pub(crate) fn matches_without_excludes(&self, path: &[u8]) -> bool {
        self.items.is_empty() || self.items.iter().any(|i| i.matches(path))
    }

    /// Says whether a path is meant only because a directory above it is named.
    pub(crate) fn matches_as_directory(&self, path: &[u8]) -> bool {
        self.items
            .iter()
            .filter(|i| i.matches(path))
            .any(|i| i.matches_as_directory(path))
    }

    /// Says whether the `n`th index entry of a path in conflict is meant, counted from 0.
    ///
    /// git does not ask an item again that has met exactly its path before: of `rm a` it lists one side only, and with
    /// `:!a` it leaves out one side only.
    pub(crate) fn matches_side(&self, path: &[u8], n: usize) -> bool {
        let asked = |i: &&Item| n == 0 || i.pattern != path;
        (self.items.is_empty() || self.items.iter().filter(asked).any(|i| i.matches(path)))
            && !self.excludes.iter().filter(asked).any(|i| i.matches(path))
    }

    /// Says whether anything below a directory (given with its slash) could be meant.
    pub(crate) fn may_match_below(&self, dir: &[u8]) -> bool {
        self.items.is_empty() || self.items.iter().any(|i| i.may_match_below(dir))
    }
}

impl Item {
    /// A submodule may be given with a slash, though it is no directory of this repository.
    fn drop_slash_after_submodule(&mut self, repo: &Repo<'_>) -> Res<()> {
        let Some(plain) = self.pattern.strip_suffix(b"/").filter(|p| !p.is_empty()) else {
            return Ok(());
        };
        let index = repo.index()?;
        if index.find(plain).is_some_and(|e| mode::is_commit(e.mode)) {
            self.pattern.pop();
            self.literal = self.literal.min(self.pattern.len());
        }
        Ok(())
    }

    fn parse(repo: &Repo<'_>, arg: &[u8]) -> Res<(Item, bool)> {
        let (mut top, mut exclude, mut icase, mut glob, mut literal) =
            (false, false, false, false, false);
        let mut rest = arg;
        let rules = repo.call.globals.pathspecs;
        if rules.literal && (rules.glob || rules.icase || rules.no_glob)
            || rules.glob && rules.no_glob
        {
            return Err(Stop::not_native("contradictory pathspec options"));
        }
        icase |= rules.icase;
        glob |= rules.glob;
        if rules.literal {
            literal = true;
        } else if let Some(long) = arg.strip_prefix(b":(") {
            let close = long
                .iter()
                .position(|b| *b == b')')
                .ok_or_else(|| Stop::not_native("an unclosed pathspec"))?;
            for word in long[..close]
                .split(|b| *b == b',')
                .filter(|w| !w.is_empty())
            {
                match word {
                    b"top" => top = true,
                    b"exclude" => exclude = true,
                    b"icase" => icase = true,
                    b"glob" => glob = true,
                    b"literal" => literal = true,
                    _ => return Err(Stop::NotNative(format!("the pathspec `{}`", lossy(arg)))),
                }
            }
            rest = &long[close + 1..];
        } else if let Some(mut short) = arg.strip_prefix(b":") {
            while let Some(c) = short.first() {
                match c {
                    b'/' => top = true,
                    b'!' | b'^' => exclude = true,
                    b':' => {
                        short = &short[1..];
                        break;
                    }
                    c if c.is_ascii_alphanumeric() || b"*?[]\\._-~ ".contains(c) => break,
                    _ => return Err(Stop::NotNative(format!("the pathspec `{}`", lossy(arg)))),
                }
                short = &short[1..];
            }
            rest = short;
        }
        if rest.is_empty() && arg.is_empty() {
            return Err(Stop::fatal(
                "empty string is not a valid pathspec. please use . instead if you meant to match all paths",
            ));
        }
        // A pattern that asks for wildcards has them all the same.
        if rules.no_glob && !glob {
            literal = true;
        }
        if literal && glob && rules.glob {
            glob = false;
        }
        if icase && !repo.prefix.is_empty() {
            return Err(Stop::not_native(
                "a pattern whose directory counts in its case",
            ));
        }
        if literal && glob {
            return Err(Stop::not_native("a contradictory pathspec"));
        }
        let pattern = if top {
            normalize_below(b"", rest)
        } else {
            from_top(repo, rest)?
        };
        let pattern = pattern.ok_or_else(|| outside(repo, rest))?;
        let literal = if literal {
            pattern.len()
        } else {
            wildmatch::literal_prefix(&pattern)
        };
        Ok((
            Item {
                pattern,
                literal,
                icase,
                glob,
            },
            exclude,
        ))
    }

    /// Says whether this pattern means a path.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let pattern = self.pattern.as_slice();
        if pattern.is_empty() {
            return true;
        }
        let starts = if self.icase {
            path.len() >= pattern.len() && path[..pattern.len()].eq_ignore_ascii_case(pattern)
        } else {
            path.starts_with(pattern)
        };
        if starts
            && (path.len() == pattern.len()
                || pattern.ends_with(b"/")
                || path[pattern.len()] == b'/')
        {
            return true;
        }
        if self.literal == pattern.len() {
            return false;
        }
        let flags = if self.glob { wildmatch::PATHNAME } else { 0 }
            | if self.icase { wildmatch::CASEFOLD } else { 0 };
        wildmatch::matches(pattern, path, flags)
    }

    fn matches_as_directory(&self, path: &[u8]) -> bool {
        let pattern = self.pattern.as_slice();
        let dir = pattern.strip_suffix(b"/").unwrap_or(pattern);
        pattern.is_empty() || path.starts_with(dir) && path.get(dir.len()) == Some(&b'/')
    }

    fn may_match_below(&self, dir: &[u8]) -> bool {
        let literal = &self.pattern[..self.literal];
        let n = literal.len().min(dir.len());
        let same = if self.icase {
            literal[..n].eq_ignore_ascii_case(&dir[..n])
        } else {
            literal[..n] == dir[..n]
        };
        // A literal directory given with or without its slash.
        let inside = literal.len() >= dir.len()
            || self.literal < self.pattern.len()
            || literal.is_empty()
            || literal.ends_with(b"/")
            || dir.get(literal.len()) == Some(&b'/');
        same && inside
    }
}

fn outside(repo: &Repo<'_>, given: &[u8]) -> Stop {
    let top = repo.work_tree.as_deref().unwrap_or(&repo.git_dir);
    let given = lossy(given);
    Stop::fatal(format!(
        "{given}: '{given}' is outside repository at '{}'",
        lossy(top)
    ))
}

/// Makes an argument relative to the top of the work tree; `None` when it leads out of it.
pub(crate) fn from_top(repo: &Repo<'_>, arg: &[u8]) -> Res<Option<Bytes>> {
    if arg.first() != Some(&b'/') {
        return Ok(normalize_below(&repo.prefix, arg));
    }
    let Some(top) = repo.work_tree.as_deref() else {
        return Err(Stop::not_native("an absolute path without a work tree"));
    };
    let full = bytes::normalize(arg);
    let found = match prefix_below(&full, top) {
        Some(rest) => Some(rest),
        // The argument may lead to the work tree through symbolic links.
        None => std::fs::canonicalize(bytes::to_path(&full))
            .ok()
            .and_then(|p| prefix_below(&bytes::from_path(&p), top)),
    };
    Ok(found.map(|mut path| {
        if !arg.ends_with(b"/") {
            path.pop();
        }
        path
    }))
}

/// Joins a path to a prefix and resolves `.` and `..`; `None` when it leads out.
fn normalize_below(prefix: &[u8], path: &[u8]) -> Option<Bytes> {
    let mut parts: Vec<&[u8]> = prefix
        .split(|b| *b == b'/')
        .filter(|p| !p.is_empty())
        .collect();
    let mut slash = path.is_empty();
    for part in path.split(|b| *b == b'/') {
        slash = true;
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            _ => {
                parts.push(part);
                slash = false;
            }
        }
    }
    let mut out = parts.join(&b'/');
    if slash && !out.is_empty() {
        out.push(b'/');
    }
    Some(out)
}
