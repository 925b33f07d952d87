//! How a path's contents are to be shown: as text or not, and which lines are headings of hunks.

use crate::compare::pair::{Contents, Pair, Side};
use crate::outcome::{Res, Stop};
use crate::repository::object::mode;
use crate::text::bytes::{Bytes, lossy};
use crate::work::attr::Value;

/// Bytes that are looked at to find a NUL.
const FIRST_FEW_BYTES: usize = 8000;

/// What the `diff` attribute of a path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Nothing: text unless there is a NUL.
    Unspecified,
    /// `diff`: text in any case.
    Text,
    /// `-diff`: never text.
    Binary,
    /// `diff=name`.
    Named(Bytes),
}

/// Returns the driver of a path.
pub(crate) fn driver(contents: &Contents<'_>, path: &[u8]) -> Res<Driver> {
    let [diff] = contents.attributes.get(path, ["diff"])?;
    Ok(match diff {
        None | Some(Value::Unspecified) => Driver::Unspecified,
        Some(Value::Set) => Driver::Text,
        Some(Value::Unset) => Driver::Binary,
        Some(Value::Text(name)) => Driver::Named(name),
    })
}

/// Returns the driver of one side: only files have one.
fn driver_of(contents: &Contents<'_>, side: &Side) -> Res<Driver> {
    if mode::is_file(side.mode) {
        driver(contents, &side.path)
    } else {
        Ok(Driver::Unspecified)
    }
}

/// Says whether one side is binary.
pub(crate) fn is_binary(contents: &Contents<'_>, side: &Side, data: &[u8]) -> Res<bool> {
    Ok(match driver_of(contents, side)? {
        Driver::Text => false,
        Driver::Binary => true,
        Driver::Unspecified => has_nul(data),
        Driver::Named(name) => {
            let key = format!("diff.{}.binary", lossy(&name));
            match contents.repo.config.bool(&key)? {
                Some(binary) => binary,
                None => has_nul(data),
            }
        }
    })
}

/// Returns what a word of a path's contents is, by its driver or the configuration.
pub(crate) fn word_regex(contents: &Contents<'_>, pair: &Pair, given: bool) -> Res<Option<Bytes>> {
    if given {
        return Ok(None);
    }
    for side in [&pair.old, &pair.new] {
        if let Driver::Named(name) = driver(contents, &side.path)? {
            let name = lossy(&name).into_owned();
            let key = format!("diff.{name}.wordregex");
            if let Some(text) = contents.repo.config.get(&key) {
                return Ok(Some(text.to_vec()));
            }
            if crate::compare::userdiff_builtin::patterns(&name).is_some() {
                return Err(Stop::not_native("the words of a built-in driver"));
            }
        }
    }
    Ok(contents
        .repo
        .config
        .get("diff.wordregex")
        .map(<[u8]>::to_vec))
}

fn has_nul(data: &[u8]) -> bool {
    data[..data.len().min(FIRST_FEW_BYTES)].contains(&0)
}

/// Hands over when showing a path would run a program the configuration names.
pub(crate) fn refuse_programs(contents: &Contents<'_>, path: &[u8]) -> Res<()> {
    if contents
        .repo
        .config
        .get("diff.external")
        .is_some_and(|v| !v.is_empty())
    {
        return Err(Stop::not_native("diff.external"));
    }
    if let Driver::Named(name) = driver(contents, path)? {
        for kind in ["textconv", "command"] {
            let key = format!("diff.{}.{kind}", lossy(&name));
            if contents
                .repo
                .config
                .get(&key)
                .is_some_and(|v| !v.is_empty())
            {
                return Err(Stop::NotNative(format!("the setting `{key}`")));
            }
        }
    }
    Ok(())
}

/// Which lines are headings of hunks.
pub(crate) enum Headings {
    /// Those that begin with a letter, `_` or `$`.
    Default,
    /// Those a list of expressions picks: whether it refuses the line, and the expression.
    Patterns(Vec<(bool, regex::bytes::Regex)>),
}

impl Headings {
    /// Returns the heading a line (with its end) makes.
    pub(crate) fn of<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        match self {
            Headings::Default => {
                let first = *line.first()?;
                (first.is_ascii_alphabetic() || first == b'_' || first == b'$').then_some(line)
            }
            Headings::Patterns(patterns) => {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                for (refuses, pattern) in patterns {
                    if let Some(found) = pattern.captures(line) {
                        if *refuses {
                            return None;
                        }
                        let range = found.get(1).or_else(|| found.get(0))?.range();
                        return Some(&line[range]);
                    }
                }
                None
            }
        }
    }
}

/// Returns how headings of a side are found.
pub(crate) fn headings(contents: &Contents<'_>, side: &Side) -> Res<Headings> {
    let Driver::Named(name) = driver_of(contents, side)? else {
        return Ok(Headings::Default);
    };
    let name = lossy(&name).into_owned();
    for kind in ["xfuncname", "funcname"] {
        if contents
            .repo
            .config
            .get(&format!("diff.{name}.{kind}"))
            .is_some()
        {
            return Err(Stop::NotNative(format!("the setting `diff.{name}.{kind}`")));
        }
    }
    match crate::compare::userdiff_builtin::patterns(&name) {
        None => Ok(Headings::Default),
        Some(patterns) => compile(patterns).map(Headings::Patterns),
    }
}

/// Compiles a list of expressions, one a line; `!` at the beginning refuses a line.
fn compile(patterns: (&str, bool)) -> Res<Vec<(bool, regex::bytes::Regex)>> {
    let (text, ignore_case) = patterns;
    let mut compiled = Vec::new();
    for line in text.split('\n') {
        let (refuses, pattern) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let regex = regex::bytes::RegexBuilder::new(pattern)
            .unicode(false)
            .case_insensitive(ignore_case)
            .build()
            .map_err(|_| Stop::not_native("a heading pattern"))?;
        compiled.push((refuses, regex));
    }
    Ok(compiled)
}
