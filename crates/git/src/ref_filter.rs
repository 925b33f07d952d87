//! Lists of references with formats and orders: `for-each-ref`, `show-ref`, and what `tag` and `branch` share with them.

use std::cmp::Ordering;

use git2::ObjectType;

use crate::bytes::{Bytes, find, lossy, parse_int};
use crate::date::{self, Style};
use crate::exec::{Call, Plan};
use crate::object::{Commit, Person, Tag};
use crate::options::{Numbers, Spec, flag, maybe, parse, unless_last, value};
use crate::outcome::{Out, Res, Stop};
use crate::pretty;
use crate::refs::Ref;
use crate::repo::Repo;
use crate::status::{Counts, Tracking};
use crate::wildmatch;

const OPTIONS: &[Spec] = &[
    value("format", None),
    value("sort", None),
    value("count", None),
    unless_last("points-at"),
    unless_last("contains"),
    unless_last("merged"),
    unless_last("no-merged"),
];

/// Says what a for-each-ref would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries out `git for-each-ref`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    let filter = crate::branch::Keep::new(&repo, &parsed)?;
    let mut refs = Vec::new();
    for reference in repo.refs(b"refs/")? {
        let named = parsed.args.is_empty()
            || parsed
                .args
                .iter()
                .any(|p| matches_pattern(p, &reference.name));
        if !named || !filter.points_at(&repo, &parsed, &reference)? {
            continue;
        }
        let needs_commit = ["contains", "merged", "no-merged"]
            .iter()
            .any(|o| parsed.last(o).is_some());
        match repo.peel_to_commit(reference.id)? {
            Some(id) if filter.keeps(&repo, id)? => refs.push(reference),
            None if !needs_commit => refs.push(reference),
            _ => {}
        }
    }
    let sorts: Vec<Sort> = parsed
        .options
        .iter()
        .filter(|g| g.name == "sort")
        .map(|g| Sort::parse(g.text()))
        .collect::<Res<_>>()?;
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
    check_format(&format)?;
    for reference in refs.iter().take(count) {
        out.put(expand(&repo, reference, &format)?);
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
    key: Bytes,
}

impl Sort {
    /// Reads a value of `--sort`.
    pub(crate) fn parse(text: &[u8]) -> Res<Sort> {
        let (reverse, key) = match text.strip_prefix(b"-") {
            Some(key) => (true, key),
            None => (false, text),
        };
        let key = match key
            .strip_prefix(b"v:")
            .or_else(|| key.strip_prefix(b"version:"))
        {
            Some(b"refname") => b"version:refname",
            Some(_) => return Err(Stop::NotNative(format!("the order `{}`", lossy(text)))),
            None => key,
        };
        const KNOWN: &[&[u8]] = &[
            b"refname",
            b"version:refname",
            b"committerdate",
            b"authordate",
            b"creatordate",
            b"taggerdate",
            b"objectname",
            b"refname:short",
        ];
        if !KNOWN.contains(&key) {
            return Err(Stop::NotNative(format!("the order `{}`", lossy(text))));
        }
        Ok(Sort {
            reverse,
            key: key.to_vec(),
        })
    }
}

/// Sorts references by the last key given, then by the ones before, then by name.
pub(crate) fn sort(repo: &Repo<'_>, refs: &mut Vec<Ref>, sorts: &[Sort]) -> Res<()> {
    if sorts.is_empty() {
        refs.sort_by(|a, b| a.name.cmp(&b.name));
        return Ok(());
    }
    let mut keyed = Vec::with_capacity(refs.len());
    for reference in refs.drain(..) {
        let mut dates = Vec::new();
        for sort in sorts {
            dates.push(if sort.key.ends_with(b"date") {
                date_of(repo, &reference, &sort.key)?.map_or(0, |(t, _)| t)
            } else {
                0
            });
        }
        keyed.push((reference, dates));
    }
    keyed.sort_by(|(a, a_dates), (b, b_dates)| {
        for (i, sort) in sorts.iter().enumerate().rev() {
            let order = match sort.key.as_slice() {
                b"refname" | b"refname:short" => a.name.cmp(&b.name),
                b"version:refname" => compare_versions(&a.name, &b.name),
                b"objectname" => a.id.cmp(&b.id),
                _ => a_dates[i].cmp(&b_dates[i]),
            };
            let order = if sort.reverse { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
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

enum Object {
    Commit(Commit),
    Tag(Tag),
    Other(ObjectType),
}

fn object(repo: &Repo<'_>, id: crate::id::Id) -> Res<Object> {
    let read = repo.read(id, |kind, data| match kind {
        ObjectType::Commit => Commit::parse(data).map(Object::Commit),
        ObjectType::Tag => Tag::parse(data).map(Object::Tag),
        other => Some(Object::Other(other)),
    })?;
    read.flatten()
        .ok_or_else(|| Stop::NotNative(format!("object {id} cannot be read")))
}

fn date_of(repo: &Repo<'_>, reference: &Ref, key: &[u8]) -> Res<Option<(i64, i32)>> {
    let line = match (object(repo, reference.id)?, key) {
        (Object::Commit(c), b"committerdate" | b"creatordate") => c.committer,
        (Object::Commit(c), b"authordate") => c.author,
        (Object::Tag(t), b"taggerdate" | b"creatordate") => t.tagger,
        _ => return Ok(None),
    };
    let person = Person::parse(&line);
    Ok(person.has_time.then_some((person.time, person.zone)))
}

/// Hands over a format with a field that is not known here, though there may be nothing to fill it for.
fn check_format(format: &[u8]) -> Res<()> {
    const KNOWN: &[&[u8]] = &[
        b"refname",
        b"objectname",
        b"objecttype",
        b"HEAD",
        b"symref",
        b"upstream",
        b"subject",
        b"contents",
        b"authorname",
        b"authoremail",
        b"authordate",
        b"committername",
        b"committeremail",
        b"committerdate",
        b"taggername",
        b"taggeremail",
        b"taggerdate",
        b"creatordate",
    ];
    let mut rest = format;
    while let Some(at) = find(rest, b"%(") {
        let name = &rest[at + 2..];
        let end = name
            .iter()
            .position(|b| *b == b')')
            .ok_or_else(|| Stop::not_native("an unclosed field"))?;
        let base = name[..end].split(|b| *b == b':').next().unwrap_or_default();
        if !KNOWN.contains(&base.strip_prefix(b"*").unwrap_or(base)) {
            return Err(Stop::NotNative(format!(
                "the field `%({})`",
                lossy(&name[..end])
            )));
        }
        rest = &name[end..];
    }
    Ok(())
}

/// Fills a format for one reference.
pub(crate) fn expand(repo: &Repo<'_>, reference: &Ref, format: &[u8]) -> Res<Bytes> {
    let mut out = Bytes::new();
    let mut rest = format;
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(inner) = rest.strip_prefix(b"(") {
            let close = inner
                .iter()
                .position(|b| *b == b')')
                .ok_or_else(|| Stop::not_native("an unclosed field"))?;
            out.extend_from_slice(&field(repo, reference, &inner[..close])?);
            rest = &inner[close + 1..];
        } else if let Some(after) = rest.strip_prefix(b"%") {
            out.push(b'%');
            rest = after;
        } else if let Some(byte) = rest
            .get(..2)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok())
        {
            out.push(byte);
            rest = &rest[2..];
        } else {
            out.push(b'%');
        }
    }
    out.extend_from_slice(rest);
    Ok(out)
}

fn field(repo: &Repo<'_>, reference: &Ref, name: &[u8]) -> Res<Bytes> {
    let unknown = || Stop::NotNative(format!("the field `%({})`", lossy(name)));
    let (deref, plain) = match name.strip_prefix(b"*") {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    let (base, modifier) = match plain.iter().position(|b| *b == b':') {
        Some(i) => (&plain[..i], Some(&plain[i + 1..])),
        None => (plain, None),
    };
    if deref {
        let Object::Tag(tag) = object(repo, reference.id)? else {
            return Ok(Bytes::new());
        };
        let (id, _) = repo.peel(reference.id)?.ok_or_else(unknown)?;
        // A tag that lies about what it is a tag of is an error in git.
        let (kind, _) = repo.header(tag.object)?.ok_or_else(unknown)?;
        if kind.str().as_bytes() != tag.kind {
            return Err(unknown());
        }
        return field(
            repo,
            &Ref {
                id,
                ..reference.clone()
            },
            plain,
        );
    }
    let person = |line: &[u8], part: &[u8]| -> Bytes {
        let p = Person::parse(line);
        match part {
            b"name" => p.name.to_vec(),
            _ if p.email.is_empty() && p.name.is_empty() => Bytes::new(),
            _ => [b"<", p.email, b">"].concat(),
        }
    };
    Ok(match (base, modifier) {
        (b"refname", None) => reference.name.clone(),
        (b"refname", Some(b"short")) => repo.shorten(
            &reference.name,
            repo.config.bool("core.warnambiguousrefs")?.unwrap_or(true),
        )?,
        (b"refname", Some(m)) if m.starts_with(b"lstrip=") || m.starts_with(b"strip=") => {
            let n = parse_int(m.split(|b| *b == b'=').nth(1).unwrap_or_default())
                .filter(|n| *n > 0)
                .ok_or_else(unknown)?;
            let parts: Vec<&[u8]> = reference.name.split(|b| *b == b'/').collect();
            parts
                .get(usize::try_from(n).unwrap_or(0)..)
                .unwrap_or_default()
                .join(&b'/')
        }
        (b"objectname", None) => reference.id.hex().into_bytes(),
        (b"objectname", Some(b"short")) => repo.short(reference.id)?.into_bytes(),
        (b"objecttype", None) => match object(repo, reference.id)? {
            Object::Commit(_) => b"commit".to_vec(),
            Object::Tag(_) => b"tag".to_vec(),
            Object::Other(kind) => kind.str().as_bytes().to_vec(),
        },
        (b"HEAD", None) => {
            if repo.head()?.branch.as_deref() == Some(&reference.name) {
                b"*".to_vec()
            } else {
                b" ".to_vec()
            }
        }
        (b"symref", None) => reference.symref.clone().unwrap_or_default(),
        (b"upstream", None) => repo.upstream(&reference.name)?.unwrap_or_default(),
        (b"upstream", Some(b"short")) => match repo.upstream(&reference.name)? {
            Some(name) => repo.shorten(&name, false)?,
            None => Bytes::new(),
        },
        (b"upstream", Some(b"track")) => {
            match Tracking::of(repo, &reference.name, reference.id, true)?.map(|t| t.counts) {
                None | Some(Some(Counts::Exact(0, 0) | Counts::Different)) => Bytes::new(),
                Some(None) => b"[gone]".to_vec(),
                Some(Some(Counts::Exact(a, 0))) => format!("[ahead {a}]").into_bytes(),
                Some(Some(Counts::Exact(0, b))) => format!("[behind {b}]").into_bytes(),
                Some(Some(Counts::Exact(a, b))) => format!("[ahead {a}, behind {b}]").into_bytes(),
            }
        }
        (b"subject" | b"contents", m)
            if base == b"subject" && m.is_none() || m == Some(b"subject") =>
        {
            let message = match object(repo, reference.id)? {
                Object::Commit(c) => c.message,
                Object::Tag(t) => t.message,
                Object::Other(_) => Bytes::new(),
            };
            if find(&message, b"-----BEGIN ").is_some() {
                return Err(unknown());
            }
            pretty::title(&message, b" ")
        }
        (b"authorname" | b"authoremail", None) => match object(repo, reference.id)? {
            Object::Commit(c) => person(&c.author, &base[6..]),
            _ => Bytes::new(),
        },
        (b"committername" | b"committeremail", None) => match object(repo, reference.id)? {
            Object::Commit(c) => person(&c.committer, &base[9..]),
            _ => Bytes::new(),
        },
        (b"taggername" | b"taggeremail", None) => match object(repo, reference.id)? {
            Object::Tag(t) => person(&t.tagger, &base[6..]),
            _ => Bytes::new(),
        },
        (b"authordate" | b"committerdate" | b"creatordate" | b"taggerdate", m) => {
            let format = match m {
                None => date::Format {
                    style: Style::Normal,
                    local: false,
                },
                Some(text) => date::Format::parse(text)?,
            };
            match date_of(repo, reference, base)? {
                Some((time, zone)) => date::show(repo.call, time, zone, &format)?.into_bytes(),
                None => Bytes::new(),
            }
        }
        _ => return Err(unknown()),
    })
}

const SHOW_OPTIONS: &[Spec] = &[
    flag("heads", None),
    flag("branches", None),
    flag("tags", None),
    flag("head", None),
    flag("verify", None),
    flag("quiet", Some(b'q')),
    flag("dereference", Some(b'd')),
    maybe("hash", Some(b's')),
];

/// Says what a show-ref would do.
pub(crate) fn plan_show_ref(args: &[Bytes]) -> Res<Plan> {
    parse(args, SHOW_OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries out `git show-ref`.
pub(crate) fn run_show_ref(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, SHOW_OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    if parsed.has("hash") || parsed.has("head") {
        return Err(Stop::not_native("options of `show-ref`"));
    }
    let quiet = parsed.has("quiet");
    let mut show = |reference: &Ref| -> Res<()> {
        if repo.header(reference.id)?.is_none() {
            return Err(Stop::not_native("a reference to what is not there"));
        }
        if quiet {
            return Ok(());
        }
        out.put([reference.id.hex().as_bytes(), b" ", &reference.name, b"\n"].concat());
        if parsed.has("dereference")
            && let Some((id, _)) = repo.peel(reference.id)?
            && id != reference.id
        {
            out.put([id.hex().as_bytes(), b" ", &reference.name, b"^{}\n"].concat());
        }
        Ok(())
    };
    if parsed.has("verify") {
        for name in &parsed.args {
            let full = name.starts_with(b"refs/") || name == b"HEAD";
            match if full { repo.ref_id(name)? } else { None } {
                Some(id) => show(&Ref {
                    name: name.clone(),
                    id,
                    symref: None,
                })?,
                None if quiet => return Err(Stop::exit(1)),
                None => {
                    return Err(Stop::fatal(
                        [b"'".as_slice(), name, b"' - not a valid ref"].concat(),
                    ));
                }
            }
        }
        return Ok(());
    }
    let mut any = false;
    let (heads, tags) = (
        parsed.has("heads") || parsed.has("branches"),
        parsed.has("tags"),
    );
    for reference in repo.refs(b"refs/")? {
        let name = &reference.name;
        if (heads || tags)
            && !(heads && name.starts_with(b"refs/heads/")
                || tags && name.starts_with(b"refs/tags/"))
        {
            continue;
        }
        // A pattern is whole parts at the end of the name.
        let matches = |p: &Bytes| {
            name.ends_with(p) && (name.len() == p.len() || name[name.len() - p.len() - 1] == b'/')
        };
        if !parsed.args.is_empty() && !parsed.args.iter().any(matches) {
            continue;
        }
        any = true;
        show(&reference)?;
    }
    if any { Ok(()) } else { Err(Stop::exit(1)) }
}
