//! The fields of `%(…)`: what a format can say about a reference.

use git2::ObjectType;

use crate::history::pretty;
use crate::history::pretty_template::trailer_options;
use crate::outcome::{Res, Stop};
use crate::references::refs::Ref;
use crate::repository::id::Id;
use crate::repository::mailmap::Mailmap;
use crate::repository::object::{Commit, Person, Tag};
use crate::repository::repo::Repo;
use crate::repository::worktrees;
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::date::{self, Style};
use crate::text::trailers;
use crate::verbs::status::{Counts, Tracking};

/// Fields git knows; any other name is refused as git does.
const KNOWN: &[&str] = &[
    "refname",
    "objecttype",
    "objectsize",
    "objectname",
    "deltabase",
    "tree",
    "parent",
    "numparent",
    "object",
    "type",
    "tag",
    "author",
    "authorname",
    "authoremail",
    "authordate",
    "committer",
    "committername",
    "committeremail",
    "committerdate",
    "tagger",
    "taggername",
    "taggeremail",
    "taggerdate",
    "creator",
    "creatordate",
    "describe",
    "subject",
    "body",
    "trailers",
    "contents",
    "signature",
    "raw",
    "upstream",
    "push",
    "symref",
    "flag",
    "HEAD",
    "color",
    "worktreepath",
    "align",
    "end",
    "if",
    "then",
    "else",
    "rest",
    "ahead-behind",
    "is-base",
];

/// An object a reference leads to.
pub(crate) enum Object {
    Commit(Commit),
    Tag(Tag),
    Other(ObjectType),
}

/// Reads an object.
pub(crate) fn object(repo: &Repo<'_>, id: crate::repository::id::Id) -> Res<Object> {
    let read = repo.read(id, |kind, data| match kind {
        ObjectType::Commit => Commit::parse(data).map(Object::Commit),
        ObjectType::Tag => Tag::parse(data).map(Object::Tag),
        other => Some(Object::Other(other)),
    })?;
    let found = match read.flatten() {
        // Where a shallow history ends, a commit has no parents.
        Some(Object::Commit(_)) => repo.try_commit(id)?.map(Object::Commit),
        other => other,
    };
    found.ok_or_else(|| Stop::NotNative(format!("object {id} cannot be read")))
}

impl Object {
    fn message(&self) -> &[u8] {
        match self {
            Object::Commit(c) => &c.message,
            Object::Tag(t) => &t.message,
            Object::Other(_) => b"",
        }
    }

    /// Returns the line with a person's name and time.
    fn person(&self, who: &[u8]) -> &[u8] {
        match (self, who) {
            (Object::Commit(c), b"author") => &c.author,
            (Object::Commit(c), b"committer" | b"creator") => &c.committer,
            (Object::Tag(t), b"tagger" | b"creator") => &t.tagger,
            _ => b"",
        }
    }
}

/// Returns the time of a field such as `committerdate`.
pub(crate) fn date_of(repo: &Repo<'_>, reference: &Ref, key: &[u8]) -> Res<Option<(i64, i32)>> {
    let who = key.strip_suffix(b"date").unwrap_or(key);
    let object = object(repo, reference.id)?;
    let person = Person::parse(object.person(who));
    Ok(person.has_time.then_some((person.time, person.zone)))
}

/// Returns the value of one field; `shown` stands in for the name of what is no reference.
pub(crate) fn field(
    repo: &Repo<'_>,
    reference: &Ref,
    name: &[u8],
    shown: Option<&[u8]>,
) -> Res<Bytes> {
    let unsupported = || Stop::NotNative(format!("the field `%({})`", lossy(name)));
    let (deref, plain) = match name.strip_prefix(b"*") {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    let (base, modifier) = match plain.iter().position(|b| *b == b':') {
        Some(i) => (&plain[..i], Some(&plain[i + 1..])),
        None => (plain, None),
    };
    if !KNOWN.iter().any(|k| k.as_bytes() == base) {
        return Err(Stop::fatal(
            [b"unknown field name: ".as_slice(), name].concat(),
        ));
    }
    if deref {
        let Object::Tag(tag) = object(repo, reference.id)? else {
            return Ok(Bytes::new());
        };
        let (id, _) = repo.peel(reference.id)?.ok_or_else(unsupported)?;
        // A tag that lies about what it is a tag of is an error in git.
        let (kind, _) = repo.header(tag.object)?.ok_or_else(unsupported)?;
        if kind.str().as_bytes() != tag.kind {
            return Err(unsupported());
        }
        let target = Ref {
            id,
            ..reference.clone()
        };
        return field(repo, &target, plain, shown);
    }
    Ok(match (base, modifier) {
        (b"refname" | b"symref" | b"upstream" | b"push", _) => {
            return name_field(repo, reference, base, modifier, shown)?.ok_or_else(unsupported);
        }
        (b"objectname", None) => reference.id.hex().into_bytes(),
        (b"objectname", Some(b"short")) => repo.short(reference.id)?.into_bytes(),
        (b"objectname", Some(m)) => {
            let n = m.strip_prefix(b"short=").and_then(parse_int);
            let n = n.filter(|n| *n > 0).ok_or_else(unsupported)?;
            let n = usize::try_from(n)
                .unwrap_or(usize::MAX)
                .clamp(4, Id::digits());
            repo.abbreviate(reference.id, n)?.into_bytes()
        }
        (b"objecttype", None) => match object(repo, reference.id)? {
            Object::Commit(_) => b"commit".to_vec(),
            Object::Tag(_) => b"tag".to_vec(),
            Object::Other(kind) => kind.str().as_bytes().to_vec(),
        },
        (b"objectsize", None) => {
            let (_, size) = repo.header(reference.id)?.ok_or_else(unsupported)?;
            size.to_string().into_bytes()
        }
        (b"HEAD", None) => {
            let head = repo.head()?;
            let is_head = match &head.branch {
                Some(branch) => *branch == reference.name,
                None => reference.name == b"HEAD",
            };
            if is_head { b"*" } else { b" " }.to_vec()
        }
        (b"color", Some(name)) => {
            if crate::text::color::parse(name).is_none() {
                return Err(Stop::fatal(format!(
                    "invalid color value: {0}\nfatal: unrecognized color: %(color:{0})",
                    lossy(name)
                )));
            }
            Bytes::new()
        }
        (b"tree", m) => match object(repo, reference.id)? {
            Object::Commit(c) => short_or_whole(repo, c.tree, m)?.ok_or_else(unsupported)?,
            _ => Bytes::new(),
        },
        (b"parent", m) => match object(repo, reference.id)? {
            Object::Commit(c) => {
                let mut parts = Vec::new();
                for parent in c.parents {
                    parts.push(short_or_whole(repo, parent, m)?.ok_or_else(unsupported)?);
                }
                parts.join(b" ".as_slice())
            }
            _ => Bytes::new(),
        },
        (b"numparent", None) => match object(repo, reference.id)? {
            Object::Commit(c) => c.parents.len().to_string().into_bytes(),
            _ => Bytes::new(),
        },
        (b"tag" | b"type" | b"object", None) => match object(repo, reference.id)? {
            Object::Tag(t) => match base {
                b"tag" => t.name,
                b"type" => t.kind,
                _ => t.object.hex().into_bytes(),
            },
            _ => Bytes::new(),
        },
        (b"subject" | b"body" | b"contents" | b"trailers", m) => {
            let object = object(repo, reference.id)?;
            if matches!(object, Object::Other(_)) {
                return Ok(Bytes::new());
            }
            return text_field(object.message(), base, m)?.ok_or_else(unsupported);
        }
        (b"author" | b"committer" | b"tagger" | b"creator", None) => {
            object(repo, reference.id)?.person(base).to_vec()
        }
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
        (b"worktreepath", None) => worktree_of(repo, &reference.name)?,
        (b"ahead-behind", Some(other)) => {
            let theirs = repo.resolve(other)?;
            let theirs = match theirs {
                Some(id) => repo.peel_to_commit(id)?,
                None => None,
            };
            let Some(theirs) = theirs else {
                return Err(Stop::fatal(format!("failed to find '{}'", lossy(other))));
            };
            match repo.peel_to_commit(reference.id)? {
                Some(ours) => {
                    let (ahead, behind) = repo.ahead_behind(ours, theirs)?;
                    format!("{ahead} {behind}").into_bytes()
                }
                None => Bytes::new(),
            }
        }
        _ => {
            let person = [b"author".as_slice(), b"committer", b"tagger"]
                .into_iter()
                .find_map(|who| base.strip_prefix(who).map(|part| (who, part)));
            let Some((who, part @ (b"name" | b"email"))) = person else {
                return Err(unsupported());
            };
            let object = object(repo, reference.id)?;
            return person_field(repo, object.person(who), part == b"name", modifier)?
                .ok_or_else(unsupported);
        }
    })
}

fn short_or_whole(
    repo: &Repo<'_>,
    id: crate::repository::id::Id,
    modifier: Option<&[u8]>,
) -> Res<Option<Bytes>> {
    Ok(match modifier {
        None => Some(id.hex().into_bytes()),
        Some(b"short") => Some(repo.short(id)?.into_bytes()),
        Some(_) => None,
    })
}

fn person_field(
    repo: &Repo<'_>,
    line: &[u8],
    is_name: bool,
    modifier: Option<&[u8]>,
) -> Res<Option<Bytes>> {
    let person = Person::parse(line);
    if line.is_empty() {
        return Ok(Some(Bytes::new()));
    }
    let (mut name, mut email) = (person.name.to_vec(), person.email.to_vec());
    let (mut trim, mut local) = (false, false);
    for word in modifier.unwrap_or_default().split(|b| *b == b',') {
        match word {
            b"" if modifier.is_none() => {}
            b"mailmap" => (name, email) = Mailmap::load(repo)?.map(&name, &email),
            b"trim" if !is_name => trim = true,
            b"localpart" if !is_name => local = true,
            _ => return Ok(None),
        }
    }
    if is_name {
        return Ok(Some(name));
    }
    if local {
        let end = email.iter().position(|b| *b == b'@').unwrap_or(email.len());
        return Ok(Some(email[..end].to_vec()));
    }
    Ok(Some(if trim {
        email
    } else {
        [b"<".as_slice(), &email, b">"].concat()
    }))
}

/// Fields that are names of references.
fn name_field(
    repo: &Repo<'_>,
    reference: &Ref,
    base: &[u8],
    modifier: Option<&[u8]>,
    shown: Option<&[u8]>,
) -> Res<Option<Bytes>> {
    let name = match base {
        b"refname" => match shown {
            Some(shown) => return Ok(Some(shown.to_vec())),
            None => reference.name.clone(),
        },
        b"symref" => reference.symref.clone().unwrap_or_default(),
        _ => {
            if !reference.name.starts_with(b"refs/heads/") {
                return Ok(Some(Bytes::new()));
            }
            let found = if base == b"upstream" {
                repo.upstream(&reference.name)?
            } else {
                let short = &reference.name[b"refs/heads/".len()..];
                match repo.push_target(short) {
                    Ok(name) => Some(name),
                    Err(Stop::Fail { .. }) => None,
                    Err(other) => return Err(other),
                }
            };
            let Some(found) = found else {
                return Ok(Some(Bytes::new()));
            };
            match modifier {
                Some(m) if m.starts_with(b"track") => {
                    return track(repo, reference, &found, m);
                }
                Some(b"remotename" | b"remoteref") => return Ok(None),
                _ => found,
            }
        }
    };
    if name.is_empty() {
        return Ok(Some(name));
    }
    Ok(match modifier {
        None => Some(name),
        Some(b"short") => Some(repo.shorten(
            &name,
            repo.config.bool("core.warnambiguousrefs")?.unwrap_or(true),
        )?),
        Some(m) => {
            let (from_left, n) = match m
                .strip_prefix(b"lstrip=")
                .or_else(|| m.strip_prefix(b"strip="))
            {
                Some(n) => (true, n),
                None => match m.strip_prefix(b"rstrip=") {
                    Some(n) => (false, n),
                    None => return Ok(None),
                },
            };
            let Some(n) = parse_int(n) else {
                return Ok(None);
            };
            let parts: Vec<&[u8]> = name.split(|b| *b == b'/').collect();
            let total = parts.len() as i64;
            // A negative number says how many parts are left.
            let cut = if n < 0 { (total + n).max(0) } else { n }.clamp(0, total) as usize;
            let kept = if from_left {
                &parts[cut..]
            } else {
                &parts[..parts.len() - cut]
            };
            Some(kept.join(&b'/'))
        }
    })
}

fn track(repo: &Repo<'_>, reference: &Ref, found: &[u8], modifier: &[u8]) -> Res<Option<Bytes>> {
    let words: Vec<&[u8]> = modifier.split(|b| *b == b',').collect();
    let counts = match Tracking::of(repo, &reference.name, reference.id, true)? {
        Some(tracking) if repo.upstream(&reference.name)?.as_deref() == Some(found) => {
            tracking.counts
        }
        _ => return Ok(None),
    };
    let bare = words.contains(&b"nobracket".as_slice());
    let text = match (words.first().copied(), counts) {
        (Some(b"trackshort"), None) => return Ok(Some(Bytes::new())),
        (Some(b"trackshort"), Some(Counts::Exact(a, b))) => {
            return Ok(Some(
                match (a, b) {
                    (0, 0) => "=",
                    (_, 0) => ">",
                    (0, _) => "<",
                    _ => "<>",
                }
                .into(),
            ));
        }
        (Some(b"track"), None) => "gone".to_string(),
        (Some(b"track"), Some(Counts::Exact(0, 0))) => return Ok(Some(Bytes::new())),
        (Some(b"track"), Some(Counts::Exact(a, 0))) => format!("ahead {a}"),
        (Some(b"track"), Some(Counts::Exact(0, b))) => format!("behind {b}"),
        (Some(b"track"), Some(Counts::Exact(a, b))) => format!("ahead {a}, behind {b}"),
        _ => return Ok(None),
    };
    Ok(Some(if bare {
        text.into_bytes()
    } else {
        format!("[{text}]").into_bytes()
    }))
}

/// Fields of the message.
fn text_field(message: &[u8], base: &[u8], modifier: Option<&[u8]>) -> Res<Option<Bytes>> {
    const SIGNATURES: [&[u8]; 4] = [
        b"-----BEGIN PGP SIGNATURE-----",
        b"-----BEGIN PGP MESSAGE-----",
        b"-----BEGIN SIGNED MESSAGE-----",
        b"-----BEGIN SSH SIGNATURE-----",
    ];
    // A signature begins with a line of its own.
    let mut at = 0;
    let mut signature_at = message.len();
    for line in message.split_inclusive(|b| *b == b'\n') {
        if SIGNATURES.iter().any(|s| line.starts_with(s)) {
            signature_at = at;
            break;
        }
        at += line.len();
    }
    let (text, signature) = message.split_at(signature_at);
    let subject = || pretty::title(text, b" ");
    Ok(match (base, modifier) {
        (b"subject", None) | (b"contents", Some(b"subject")) => Some(subject()),
        (b"subject", Some(b"sanitize"))
            if text
                .split(|c| *c == b'\n')
                .nth(1)
                .is_some_and(|line| !line.is_empty()) =>
        {
            None
        }
        (b"subject", Some(b"sanitize")) => Some(pretty::sanitized(text)),
        (b"body", None) => Some([pretty::body(text), signature].concat()),
        (b"contents", None) => {
            let start = message
                .iter()
                .position(|c| *c != b'\n')
                .unwrap_or(message.len());
            Some(message[start..].to_vec())
        }
        (b"contents", Some(b"body")) => Some(pretty::body(text).to_vec()),
        (b"contents", Some(b"signature")) => Some(signature.to_vec()),
        (b"contents", Some(b"size")) => Some(message.len().to_string().into_bytes()),
        (b"contents", Some(m)) if m.starts_with(b"lines=") => {
            let Some(n) = parse_int(&m[6..]).and_then(|n| usize::try_from(n).ok()) else {
                return Err(Stop::fatal(format!(
                    "positive value expected contents:lines={}",
                    lossy(&m[6..])
                )));
            };
            let start = text.iter().position(|c| *c != b'\n').unwrap_or(text.len());
            let lines: Vec<&[u8]> = text[start..].split(|b| *b == b'\n').collect();
            let end = if lines.last() == Some(&b"".as_slice()) {
                lines.len() - 1
            } else {
                lines.len()
            };
            Some(lines[..end.min(n)].join(b"\n    ".as_slice()))
        }
        (b"trailers", m) => {
            trailer_options(m.unwrap_or_default()).map(|o| trailers::show(text, &o))
        }
        (b"contents", Some(m)) if m == b"trailers" || m.starts_with(b"trailers:") => {
            let rest = &m[8..];
            trailer_options(rest.strip_prefix(b":").unwrap_or(rest))
                .map(|o| trailers::show(text, &o))
        }
        _ => None,
    })
}

fn worktree_of(repo: &Repo<'_>, name: &[u8]) -> Res<Bytes> {
    for tree in worktrees::list(repo)? {
        if tree.head.strip_prefix(b"ref: ") == Some(name) {
            return Ok(tree.path);
        }
    }
    Ok(Bytes::new())
}
