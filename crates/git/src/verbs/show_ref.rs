//! `git show-ref`: references and what they point at.

use crate::exec::{Call, Plan};
use crate::options::{Numbers, Spec, flag, maybe, parse};
use crate::outcome::{Out, Res, Stop};
use crate::references::refs::{Ref, is_valid_short_name};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, parse_int};

const OPTIONS: &[Spec] = &[
    flag("heads", None),
    flag("branches", None),
    flag("tags", None),
    flag("head", None),
    flag("verify", None),
    flag("quiet", Some(b'q')),
    flag("dereference", Some(b'd')),
    maybe("hash", Some(b's')),
    maybe("abbrev", None),
    flag("exists", None),
];

/// Says what a show-ref would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries out `git show-ref`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    let quiet = parsed.has("quiet");
    let only_hash = parsed.has("hash");
    let mut digits = Id::digits();
    for given in parsed
        .options
        .iter()
        .filter(|g| matches!(g.name, "hash" | "abbrev"))
    {
        digits = match (&given.value, given.name) {
            (Some(n), _) => parse_int(n)
                .and_then(|n| usize::try_from(n).ok())
                .map(|n| {
                    if n == 0 {
                        Id::digits()
                    } else {
                        n.clamp(4, Id::digits())
                    }
                })
                .ok_or_else(|| Stop::not_native("a number of digits"))?,
            (None, "abbrev") => repo.default_abbrev()?,
            (None, _) => digits,
        };
    }
    if parsed.has("exists") && parsed.has("verify") {
        return Err(Stop::not_native(
            "options of `show-ref` that exclude each other",
        ));
    }
    if parsed.has("exists") {
        let [name] = parsed.args.as_slice() else {
            return Err(Stop::fatal("--exists requires exactly one reference"));
        };
        if !is_valid_short_name(name) || repo.symref(name)?.is_some() {
            return Err(Stop::not_native("a reference that may be broken"));
        }
        return match repo.ref_id(name)? {
            Some(_) => Ok(()),
            None => Err(Stop::error(2, "reference does not exist")),
        };
    }
    let hash = |id: Id| repo.abbreviate(id, digits);
    let mut show = |reference: &Ref| -> Res<()> {
        if repo.header(reference.id)?.is_none() {
            return Err(Stop::not_native("a reference to what is not there"));
        }
        if quiet {
            return Ok(());
        }
        let mut line = |id: Id, suffix: &[u8]| -> Res<()> {
            out.put(hash(id)?);
            if !only_hash {
                out.put([b" ", reference.name.as_slice(), suffix].concat());
            }
            out.put("\n");
            Ok(())
        };
        line(reference.id, b"")?;
        if parsed.has("dereference")
            && let Some((id, _)) = repo.peel(reference.id)?
            && id != reference.id
        {
            line(id, b"^{}")?;
        }
        Ok(())
    };
    if parsed.has("verify") {
        for name in &parsed.args {
            let is_root = name.iter().all(|c| c.is_ascii_uppercase() || *c == b'_');
            let full = name.starts_with(b"refs/") || is_root;
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
    if parsed.has("head")
        && let Some(id) = repo.head()?.id
    {
        any = true;
        show(&Ref {
            name: b"HEAD".to_vec(),
            id,
            symref: None,
        })?;
    }
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
