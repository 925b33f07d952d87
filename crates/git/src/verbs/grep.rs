//! `git grep`: lines that match, in the work tree, the index or trees.
//!
//! This module says what is searched and in which files; `grep_print` searches one text and prints what it found.
//! Searches outside the index (`--untracked`, `--no-index`), expressions (`--and`, `--not`) and submodules are handed over.

use git2::ObjectType;

use crate::compare::pair::{Contents, Side};
use crate::compare::userdiff::{self, Headings};
use crate::exec::{Call, Plan};
use crate::history::rev_args::{self, RevArg};
use crate::options::{Numbers, Parsed, Spec, flag, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::repository::config::Config;
use crate::repository::id::Id;
use crate::repository::object::{mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy, parse_int};
use crate::text::quote;
use crate::text::regexes::Dialect;
use crate::verbs::grep_print::{Binary, Context, Pattern, Search, Shown};
use crate::work::attr::Attributes;
use crate::work::index::Index;
use crate::work::pathspec::Pathspec;
use crate::work::work_tree;

const OPTIONS: &[Spec] = &[
    flag("cached", None).or_no(),
    flag("invert-match", Some(b'v')).or_no(),
    flag("ignore-case", Some(b'i')).or_no(),
    flag("word-regexp", Some(b'w')).or_no(),
    flag("text", Some(b'a')),
    flag("skip-binary", Some(b'I')),
    flag("recursive", Some(b'r')),
    flag("extended-regexp", Some(b'E')),
    flag("basic-regexp", Some(b'G')),
    flag("fixed-strings", Some(b'F')),
    flag("line-number", Some(b'n')).or_no(),
    flag("column", None).or_no(),
    flag("no-names", Some(b'h')),
    flag("names", Some(b'H')),
    flag("full-name", None).or_no(),
    flag("files-with-matches", Some(b'l')).or_no(),
    flag("name-only", None).or_no(),
    flag("files-without-match", Some(b'L')).or_no(),
    flag("null", Some(b'z')).or_no(),
    flag("only-matching", Some(b'o')).or_no(),
    flag("count", Some(b'c')).or_no(),
    flag("no-color", None),
    flag("break", None).or_no(),
    flag("heading", None).or_no(),
    value("context", Some(b'C')),
    value("before-context", Some(b'B')),
    value("after-context", Some(b'A')),
    value("threads", None),
    flag("show-function", Some(b'p')).or_no(),
    flag("function-context", Some(b'W')).or_no(),
    value("pattern", Some(b'e')),
    flag("or", None),
    flag("quiet", Some(b'q')).or_no(),
    value("max-count", Some(b'm')),
    flag("no-textconv", None),
];

/// Names of this table that git does not have as long options.
const SHORT_ONLY: &[&[u8]] = &[b"skip-binary", b"no-names", b"names", b"pattern"];

/// Says what a grep would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    arguments(args).map(|_| Plan::Read)
}

/// Takes the options apart; they end with the first argument that is none. Returns the rest as it stands.
fn arguments(args: &[Bytes]) -> Res<(Parsed, &[Bytes])> {
    let mut options = Vec::new();
    let mut i = 0;
    while let Some(arg) = args.get(i) {
        if arg == b"(" || arg == b")" {
            return Err(Stop::not_native("an expression of patterns"));
        }
        if arg == b"--" || arg.first() != Some(&b'-') || arg == b"-" {
            break;
        }
        i += 1;
        let word = arg.strip_prefix(b"--").unwrap_or_default();
        if SHORT_ONLY.contains(&word) || matches!(arg.as_slice(), b"-(" | b"-)") {
            return Err(Stop::NotNative(format!("option `{}`", lossy(arg))));
        }
        if arg.len() > 1 && arg[1..].iter().all(u8::is_ascii_digit) {
            options.push([b"-C".as_slice(), &arg[1..]].concat());
            continue;
        }
        options.push(arg.clone());
        if takes_next(arg) {
            let Some(next) = args.get(i) else {
                return Err(Stop::not_native("an option without its value"));
            };
            options.push(next.clone());
            i += 1;
        }
    }
    Ok((parse(&options, OPTIONS, Numbers::No)?, &args[i..]))
}

/// Says whether an option's value is the next argument.
fn takes_next(arg: &[u8]) -> bool {
    let has_value = |spec: &&Spec| spec.takes == crate::options::Takes::Value;
    if let Some(long) = arg.strip_prefix(b"--") {
        return OPTIONS
            .iter()
            .filter(has_value)
            .any(|s| s.name.as_bytes() == long);
    }
    let at = arg.iter().skip(1).position(|letter| {
        OPTIONS
            .iter()
            .filter(has_value)
            .any(|s| s.short == Some(*letter))
    });
    at.is_some_and(|at| at + 2 == arg.len())
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let (parsed, rest) = arguments(args)?;
    if Repo::find(call)?.is_none()
        && Config::load(call, None, None)?
            .get("grep.fallbacktonoindex")
            .is_some()
    {
        return Err(Stop::not_native("a search outside of a repository"));
    }
    let repo = Repo::open(call)?;
    refuse_settings(&repo)?;
    let has = |name: &str| parsed.has(name);
    let mut rest = rest;
    let mut texts: Vec<&[u8]> = parsed
        .options
        .iter()
        .filter(|g| g.name == "pattern")
        .map(|g| g.text())
        .collect();
    if texts.is_empty() {
        if rest.first().is_some_and(|a| a == b"--") {
            rest = &rest[1..];
        }
        let Some((first, more)) = rest.split_first() else {
            return Err(Stop::fatal("no pattern given"));
        };
        (texts, rest) = (vec![first.as_slice()], more);
    }
    let shown = shown(&repo, &parsed)?;
    let patterns = patterns(&repo, &parsed, &texts, &shown)?;
    let (revs, spec) = places(&repo, rest)?;
    if shown.max_count == Some(0) {
        out.code = 1;
        return Ok(());
    }
    let index = repo.index()?;
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let mut grep = Grep {
        repo: &repo,
        contents: &contents,
        search: Search::new(patterns, shown),
        spec: &spec,
        real_dir: Bytes::new(),
        full_name: parsed
            .last("full-name")
            .map_or(repo.config.bool("grep.fullname")? == Some(true), |g| {
                !g.negated
            }),
    };
    let hit = if revs.is_empty() {
        if !has("cached") {
            repo.need_work_tree()?;
        }
        grep.index(&index, has("cached"), out)?
    } else if has("cached") {
        return Err(Stop::fatal("both --cached and trees are given"));
    } else {
        grep.objects(&revs, out)?
    };
    out.code = i32::from(!hit);
    Ok(())
}

fn refuse_settings(repo: &Repo<'_>) -> Res<()> {
    for (key, harmless) in [
        (
            "color.ui",
            &[b"auto".as_slice(), b"true", b"false", b"never"] as &[&[u8]],
        ),
        ("color.grep", &[b"auto", b"true", b"false", b"never"]),
        ("submodule.recurse", &[b"false"]),
    ] {
        if let Some(value) = repo.config.get(key)
            && !harmless.contains(&value)
        {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    Ok(())
}

/// Reads what is printed of what is found.
fn shown(repo: &Repo<'_>, parsed: &Parsed) -> Res<Shown> {
    let has = |name: &str| parsed.has(name);
    let number = |name: &str| -> Res<Option<usize>> {
        match parsed.last(name) {
            None => Ok(None),
            Some(given) => parse_int(given.text())
                .and_then(|n| usize::try_from(n).ok())
                .map(Some)
                .ok_or_else(|| Stop::NotNative(format!("the value of `--{name}`"))),
        }
    };
    let or_setting = |name: &str, key: &str| -> Res<bool> {
        match parsed.last(name) {
            Some(given) => Ok(!given.negated),
            None => Ok(repo.config.bool(key)? == Some(true)),
        }
    };
    // The last of `-C`, `-A` and `-B` counts for its side.
    let side = |name: &str| -> Res<usize> {
        let given = parsed
            .options
            .iter()
            .rev()
            .find(|g| g.name == name || g.name == "context");
        match given {
            None => Ok(0),
            Some(given) => parse_int(given.text())
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Stop::NotNative(format!("the value of `--{name}`"))),
        }
    };
    number("threads")?;
    let invert = has("invert-match");
    let kind = parsed
        .options
        .iter()
        .rev()
        .find(|g| matches!(g.name, "text" | "skip-binary"));
    Ok(Shown {
        invert,
        binary: match kind.map(|g| g.name) {
            Some("text") => Binary::AsText,
            Some(_) => Binary::Never,
            None => Binary::Named,
        },
        line_number: or_setting("line-number", "grep.linenumber")?,
        column: or_setting("column", "grep.column")?,
        names: parsed
            .options
            .iter()
            .rev()
            .find(|g| matches!(g.name, "names" | "no-names"))
            .is_none_or(|g| g.name == "names"),
        name_only: has("files-with-matches") || has("name-only"),
        without_match: has("files-without-match"),
        nul: has("null"),
        only_matching: has("only-matching") && !invert,
        count: has("count"),
        file_break: has("break"),
        heading: has("heading"),
        before: side("before-context")?,
        after: side("after-context")?,
        function_line: has("show-function"),
        function_body: has("function-context"),
        quiet: has("quiet"),
        max_count: match parsed.last("max-count") {
            Some(given) if given.text().starts_with(b"-") => None,
            _ => number("max-count")?,
        },
    })
}

/// Compiles what is searched for.
fn patterns(repo: &Repo<'_>, parsed: &Parsed, texts: &[&[u8]], shown: &Shown) -> Res<Vec<Pattern>> {
    let by_option = parsed
        .options
        .iter()
        .rev()
        .find(|g| matches!(g.name, "extended-regexp" | "basic-regexp" | "fixed-strings"));
    let extended = repo.config.bool("grep.extendedregexp")? == Some(true);
    let dialect = match (
        by_option.map(|g| g.name),
        repo.config.get("grep.patterntype"),
    ) {
        (Some("extended-regexp"), _) | (None, Some(b"extended")) => Dialect::Extended,
        (Some("fixed-strings"), _) | (None, Some(b"fixed")) => Dialect::Fixed,
        (Some(_), _) | (None, Some(b"basic")) => Dialect::Basic,
        (None, None | Some(b"default")) if extended => Dialect::Extended,
        (None, None | Some(b"default")) => Dialect::Basic,
        // Whether git has Perl's expressions depends on how it was built.
        (None, Some(_)) => return Err(Stop::not_native("the value of grep.patternType")),
    };
    let ends_matter = shown.only_matching || parsed.has("word-regexp");
    let mut patterns = Vec::new();
    for text in texts {
        for line in text.split(|b| *b == b'\n') {
            patterns.push(Pattern::new(
                line,
                dialect,
                parsed.has("ignore-case"),
                parsed.has("word-regexp"),
                ends_matter,
            )?);
        }
    }
    Ok(patterns)
}

/// Tells revisions from paths.
fn places(repo: &Repo<'_>, rest: &[Bytes]) -> Res<(Vec<RevArg>, Pathspec)> {
    let dashes = rest.iter().position(|a| a == b"--");
    if let Some(n) = dashes {
        for arg in &rest[..n] {
            if repo.resolve_quietly(arg)?.is_none() {
                return Err(Stop::fatal(
                    [b"unable to resolve revision: ".as_slice(), arg].concat(),
                ));
            }
        }
    } else if rest.iter().any(|a| a.starts_with(b"-")) {
        return Err(Stop::not_native("an option after the pattern"));
    }
    let mut args = rest.to_vec();
    if let Some(n) = dashes {
        args.remove(n);
    }
    let parsed = Parsed {
        args,
        before_dashes: dashes,
        ..Parsed::default()
    };
    let (revs, mut paths) = rev_args::split(repo, &parsed, "grep")?;
    if revs.iter().any(|r| r.exclude || r.symmetric || r.is_parent) {
        return Err(Stop::not_native("a search in a range"));
    }
    if paths.is_empty() && !repo.prefix.is_empty() {
        paths.push(b".".to_vec());
    }
    Ok((revs, Pathspec::parse(repo, &paths)?))
}

struct Grep<'g> {
    repo: &'g Repo<'g>,
    contents: &'g Contents<'g>,
    search: Search,
    spec: &'g Pathspec,
    full_name: bool,
    /// The last directory that was found to be in the work tree.
    real_dir: Bytes,
}

impl Grep<'_> {
    /// Searches what the index lists, in the work tree or as it is staged.
    fn index(&mut self, index: &Index, cached: bool, out: &mut Out) -> Res<bool> {
        let mut hit = false;
        let mut last: &[u8] = b"";
        // In a sparse checkout a file that is there after all counts again.
        let sparse = self.repo.config.bool("core.sparsecheckout")? == Some(true);
        for entry in &index.entries {
            let path = index.path(entry);
            if entry.stage > 0 && path == last || !cached && entry.skip_worktree && !sparse {
                continue;
            }
            last = if entry.stage > 0 { path } else { b"" };
            if !mode::is_file(entry.mode) || !self.spec.matches(path) {
                continue;
            }
            self.repo.cancel().check()?;
            let text = if cached || entry.assume_valid {
                if entry.stage > 0 || entry.intent_to_add {
                    continue;
                }
                self.repo.blob(entry.id)?
            } else {
                match self.file(path)? {
                    Some(text) => text,
                    None => continue,
                }
            };
            let name = self.name(b"", path)?;
            hit |= self.text(&name, Some(path), &text, out)?;
            if hit && self.search.shown.quiet {
                break;
            }
        }
        Ok(hit)
    }

    /// Reads a file of the work tree; `None` where there is none.
    fn file(&mut self, path: &[u8]) -> Res<Option<Bytes>> {
        let dir = path
            .iter()
            .rposition(|c| *c == b'/')
            .map_or(&b""[..], |at| &path[..at]);
        if self.real_dir != dir {
            if work_tree::is_behind_link(self.repo, path)? {
                return Err(Stop::not_native("a file behind a symbolic link"));
            }
            self.real_dir = dir.to_vec();
        }
        let full = bytes::to_path(&bytes::join(self.repo.need_work_tree()?, path));
        match std::fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_file() => Ok(Some(std::fs::read(&full)?)),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn objects(&mut self, revs: &[RevArg], out: &mut Out) -> Res<bool> {
        let mut hit = false;
        for rev in revs {
            let Some((id, kind)) = self.repo.peel(rev.id)? else {
                return Err(Stop::not_native("an object that cannot be read"));
            };
            match kind {
                ObjectType::Blob => {
                    if !self.repo.prefix.is_empty() {
                        return Err(Stop::not_native("a file of a tree seen from a directory"));
                    }
                    let text = self.repo.blob(id)?;
                    let name = self.name(b"", &rev.text)?;
                    hit |= self.text(&name, rev.path.as_deref(), &text, out)?;
                }
                ObjectType::Commit | ObjectType::Tree => {
                    let tree = self.repo.peel_to_tree(id)?.unwrap_or_default();
                    let prefix = [rev.text.as_slice(), b":"].concat();
                    let attributes = kind == ObjectType::Commit;
                    hit |= self.tree(tree, &prefix, attributes, &mut Bytes::new(), out)?;
                }
                _ => return Err(Stop::not_native("an object that cannot be searched")),
            }
            if hit && self.search.shown.quiet {
                break;
            }
        }
        Ok(hit)
    }

    fn tree(
        &mut self,
        tree: Id,
        prefix: &[u8],
        attributes: bool,
        dir: &mut Bytes,
        out: &mut Out,
    ) -> Res<bool> {
        let mut hit = false;
        let data = self.repo.tree_data(tree)?;
        let len = dir.len();
        for entry in tree_entries(&data) {
            self.repo.cancel().check()?;
            dir.extend_from_slice(entry.name);
            if mode::is_tree(entry.mode) {
                dir.push(b'/');
                if self.spec.is_empty() || self.spec.may_match_below(dir) {
                    hit |= self.tree(entry.id, prefix, attributes, dir, out)?;
                }
            } else if mode::is_file(entry.mode) && self.spec.matches(dir) {
                let text = self.repo.blob(entry.id)?;
                let name = self.name(prefix, dir)?;
                hit |= self.text(&name, attributes.then_some(dir.as_slice()), &text, out)?;
            }
            dir.truncate(len);
            if hit && self.search.shown.quiet {
                break;
            }
        }
        Ok(hit)
    }

    /// Returns a name as it is printed.
    fn name(&self, prefix: &[u8], path: &[u8]) -> Res<Bytes> {
        let shown = if self.full_name {
            path.to_vec()
        } else {
            quote::relative(path, &self.repo.prefix)
        };
        if self.search.shown.nul {
            return Ok([prefix, &shown].concat());
        }
        Ok([prefix, &quote::c_style(&shown, self.repo.quote_path()?)].concat())
    }

    fn text(&mut self, name: &[u8], path: Option<&[u8]>, text: &[u8], out: &mut Out) -> Res<bool> {
        let side = Side {
            path: path.unwrap_or_default().to_vec(),
            mode: if path.is_some() {
                mode::FILE
            } else {
                mode::LINK
            },
            ..Side::default()
        };
        let is_binary = match self.search.shown.binary {
            Binary::AsText => false,
            _ => userdiff::is_binary(self.contents, &side, text)?,
        };
        let functions = self.search.shown.function_line || self.search.shown.function_body;
        let headings = if functions && path.is_some() {
            userdiff::headings(self.contents, &side)?
        } else {
            Headings::Default
        };
        let context = Context {
            name,
            text,
            is_binary,
            headings: &headings,
        };
        self.search.one(&context, out)
    }
}
