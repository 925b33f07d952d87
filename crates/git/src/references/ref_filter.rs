//! Lists of references with formats and orders: `for-each-ref`, and what `tag` and `branch` share with it.

use std::cmp::Ordering;

use crate::exec::{Call, Plan};
use crate::options::{Numbers, Parsed, Spec, flag, parse, unless_last, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::ref_fields::{date_of, field};
use crate::references::ref_format::{self, Quoting};
use crate::references::refs::Ref;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, parse_int};
use crate::text::wildmatch;

const OPTIONS: &[Spec] = &[
    value("format", None),
    value("sort", None),
    value("count", None),
    unless_last("points-at"),
    unless_last("contains"),
    unless_last("no-contains"),
    unless_last("merged"),
    unless_last("no-merged"),
    value("exclude", None),
    flag("ignore-case", None),
    flag("omit-empty", None),
    flag("shell", Some(b's')),
    flag("perl", Some(b'p')),
    flag("python", None),
    flag("tcl", None),
];

/// Says what a for-each-ref would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries out `git for-each-ref`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    repo.refuse_broken_refs()?;
    let filter = crate::verbs::branch::Keep::new(&repo, &parsed)?;
    let mut refs = Vec::new();
    for reference in repo.refs(b"refs/")? {
        let named = parsed.args.is_empty()
            || parsed
                .args
                .iter()
                .any(|p| matches_pattern(p, &reference.name));
        let excluded = parsed
            .options
            .iter()
            .any(|g| g.name == "exclude" && matches_pattern(g.text(), &reference.name));
        if !named || excluded || !filter.points_at(&repo, &parsed, &reference)? {
            continue;
        }
        let needs_commit = ["contains", "no-contains", "merged", "no-merged"]
            .iter()
            .any(|o| parsed.last(o).is_some());
        match repo.peel_to_commit(reference.id)? {
            Some(id) if filter.keeps(&repo, id)? => refs.push(reference),
            None if !needs_commit => refs.push(reference),
            _ => {}
        }
    }
    if parsed.has("ignore-case") && !parsed.args.is_empty() {
        return Err(Stop::not_native("patterns without regard to case"));
    }
    let sorts = Sort::given(&repo, &parsed, None)?;
    sort(&repo, &mut refs, &sorts)?;
    let count = match parsed.last("count") {
        None => usize::MAX,
        Some(given) => match parse_int(given.text()) {
            Some(0) => usize::MAX,
            Some(n) => {
                usize::try_from(n).map_err(|_| Stop::not_native("the value of `--count`"))?
            }
            None => return Err(Stop::not_native("the value of `--count`")),
        },
    };
    let format = parsed
        .last("format")
        .map_or(b"%(objectname) %(objecttype)\t%(refname)".to_vec(), |g| {
            g.text().to_vec()
        });
    if crate::text::bytes::find(&format, b"%(describe").is_some() {
        return Err(Stop::not_native("the field `%(describe)`"));
    }
    let quoting = match ["shell", "perl", "python", "tcl"].map(|o| parsed.has(o)) {
        [false, false, false, false] => Quoting::None,
        [true, false, false, false] => Quoting::Shell,
        [false, true, false, false] => Quoting::Perl,
        [false, false, true, false] => Quoting::Python,
        [false, false, false, true] => Quoting::Tcl,
        _ => return Err(Stop::error(129, "more than one quoting style?")),
    };
    if refs.is_empty() && parsed.last("format").is_some() {
        return Err(Stop::not_native("a format of nothing"));
    }
    for reference in refs.iter().take(count) {
        let line = ref_format::expand_with(&repo, reference, &format, None, quoting)?;
        if line.is_empty() && parsed.has("omit-empty") {
            continue;
        }
        out.put(line);
        out.put("\n");
    }
    Ok(())
}

/// A pattern is a full name, a directory of names, or has wildcards.
fn matches_pattern(pattern: &[u8], name: &[u8]) -> bool {
    if let Some(rest) = name.strip_prefix(pattern)
        && (rest.is_empty() || rest[0] == b'/' || pattern.ends_with(b"/"))
    {
        return true;
    }
    wildmatch::matches(pattern, name, wildmatch::PATHNAME)
}

/// One key of an order.
#[derive(Debug, Clone)]
pub(crate) struct Sort {
    reverse: bool,
    /// Numbers in texts are compared as numbers.
    version: bool,
    ignore_case: bool,
    key: Bytes,
}

impl Sort {
    /// Returns the keys of a command line, or those of a setting.
    pub(crate) fn given(repo: &Repo<'_>, parsed: &Parsed, setting: Option<&str>) -> Res<Vec<Sort>> {
        let given: Vec<&[u8]> = parsed
            .options
            .iter()
            .filter(|g| g.name == "sort")
            .map(|g| g.text())
            .collect();
        let configured: Vec<&[u8]> = match setting {
            Some(key) => repo.config.get_all(key.as_bytes()).collect(),
            None => Vec::new(),
        };
        let texts = if given.is_empty() { configured } else { given };
        let mut sorts: Vec<Sort> = texts.into_iter().map(Sort::parse).collect::<Res<_>>()?;
        if sorts.is_empty() && parsed.has("ignore-case") {
            sorts.push(Sort::parse(b"refname")?);
        }
        for sort in &mut sorts {
            sort.ignore_case = parsed.has("ignore-case");
        }
        let suffixes = ["versionsort.suffix", "versionsort.prereleasesuffix"];
        if sorts.iter().any(|s| s.version)
            && suffixes.iter().any(|key| repo.config.get(key).is_some())
        {
            return Err(Stop::not_native("versionsort.suffix"));
        }
        Ok(sorts)
    }

    /// Reads a value of `--sort`.
    pub(crate) fn parse(text: &[u8]) -> Res<Sort> {
        let (reverse, key) = match text.strip_prefix(b"-") {
            Some(key) => (true, key),
            None => (false, text),
        };
        if key.contains(&b':') && crate::text::bytes::find(key, b"date:").is_some() {
            return Err(Stop::not_native("an order by written dates"));
        }
        let (version, key) = match key
            .strip_prefix(b"v:")
            .or_else(|| key.strip_prefix(b"version:"))
        {
            Some(key) => (true, key),
            None => (false, key),
        };
        Ok(Sort {
            reverse,
            version,
            key: key.to_vec(),
            ignore_case: false,
        })
    }
}

/// The keys by which references are usually ordered.
const KEYS: [&[u8]; 12] = [
    b"HEAD",
    b"authordate",
    b"committerdate",
    b"committername",
    b"creatordate",
    b"objectname",
    b"objectsize",
    b"objecttype",
    b"refname",
    b"refname:short",
    b"taggerdate",
    b"upstream",
];

/// What a key says about one reference.
enum Value {
    Text(Bytes),
    Number(i64),
}

/// Sorts references by the last key given, then by the ones before, then by name.
pub(crate) fn sort(repo: &Repo<'_>, refs: &mut Vec<Ref>, sorts: &[Sort]) -> Res<()> {
    if refs.is_empty() && sorts.iter().any(|s| !KEYS.contains(&s.key.as_slice())) {
        // Whether the keys are any is not found out here.
        return Err(Stop::not_native("an order of nothing"));
    }
    if sorts.is_empty() {
        refs.sort_by(|a, b| a.name.cmp(&b.name));
        return Ok(());
    }
    let mut keyed = Vec::with_capacity(refs.len());
    for reference in refs.drain(..) {
        let mut values = Vec::new();
        for sort in sorts {
            let plain = sort.key.strip_prefix(b"*").unwrap_or(&sort.key);
            let base = plain.split(|b| *b == b':').next().unwrap_or_default();
            values.push(if base.ends_with(b"date") && plain == sort.key.as_slice() {
                // Checked as a field first, so that a bad name is refused.
                field(repo, &reference, base, None)?;
                Value::Number(date_of(repo, &reference, base)?.map_or(0, |(time, _)| time))
            } else if base == b"objectsize" || base == b"numparent" {
                let text = field(repo, &reference, &sort.key, None)?;
                Value::Number(parse_int(&text).unwrap_or(0))
            } else {
                Value::Text(field(repo, &reference, &sort.key, None)?)
            });
        }
        keyed.push((reference, values));
    }
    keyed.sort_by(|(a, a_values), (b, b_values)| {
        for (i, sort) in sorts.iter().enumerate().rev() {
            let order = match (&a_values[i], &b_values[i]) {
                (Value::Number(x), Value::Number(y)) => x.cmp(y),
                (Value::Text(x), Value::Text(y)) if sort.version => compare_versions(x, y),
                (Value::Text(x), Value::Text(y)) if sort.ignore_case => {
                    x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase())
                }
                (Value::Text(x), Value::Text(y)) => x.cmp(y),
                _ => Ordering::Equal,
            };
            let order = if sort.reverse { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        let ignore_case = sorts.iter().any(|s| s.ignore_case);
        if ignore_case {
            let lower = |r: &Ref| r.name.to_ascii_lowercase();
            return lower(a).cmp(&lower(b));
        }
        a.name.cmp(&b.name)
    });
    refs.extend(keyed.into_iter().map(|(r, _)| r));
    Ok(())
}

/// Compares names with numbers in them, as glibc's `strverscmp` does.
fn compare_versions(a: &[u8], b: &[u8]) -> Ordering {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let digits = |t: &[u8]| t.iter().take_while(|c| c.is_ascii_digit()).count();
            let (x, y) = (&a[i..i + digits(&a[i..])], &b[j..j + digits(&b[j..])]);
            if x[0] == b'0' || y[0] == b'0' {
                // Fractions: leading zeros count.
                match x.cmp(y) {
                    Ordering::Equal => {}
                    other => return other,
                }
            } else {
                match x.len().cmp(&y.len()).then(x.cmp(y)) {
                    Ordering::Equal => {}
                    other => return other,
                }
            }
            i += x.len();
            j += y.len();
        } else if a[i] != b[j] {
            return a[i].cmp(&b[j]);
        } else {
            i += 1;
            j += 1;
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}
