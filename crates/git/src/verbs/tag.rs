//! `git tag`: listing tags.

use deskhand_protocol::git::{GitReport, MAX_REPORT_ENTRIES, TagEntry, TagReport};
use git2::ObjectType;

use crate::exec::{self, Call, Plan};
use crate::options::{Given, Numbers, Parsed, Spec, flag, maybe, parse_known, unless_last, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::ref_filter::{self, Sort};
use crate::references::ref_format;
use crate::references::refs::Ref;
use crate::repository::object::Tag;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::wildmatch;
use crate::verbs::known;
use crate::verbs::tag_edit;

const OPTIONS: &[Spec] = &[
    flag("list", Some(b'l')),
    maybe("", Some(b'n')),
    value("sort", None),
    unless_last("contains"),
    unless_last("no-contains"),
    flag("omit-empty", None),
    maybe("column", None).or_no(),
    maybe("color", None).or_no(),
    unless_last("merged"),
    unless_last("no-merged"),
    unless_last("points-at"),
    value("format", None),
    flag("ignore-case", Some(b'i')),
];

/// Says what a tag command would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = match parse_known(args, OPTIONS, Numbers::No, &known::TAG) {
        Ok(parsed) => parsed,
        Err(stop @ Stop::Fail { .. }) => return Err(stop),
        Err(_) => return tag_edit::plan(args),
    };
    if is_list(&parsed) {
        Ok(Plan::Read)
    } else {
        tag_edit::plan(args)
    }
}

fn is_list(parsed: &Parsed) -> bool {
    parsed.args.is_empty()
        || ["list", "", "contains", "merged", "no-merged", "points-at"]
            .iter()
            .any(|o| parsed.last(o).is_some())
        || parsed.last("no-contains").is_some()
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = match parse_known(args, OPTIONS, Numbers::No, &known::TAG) {
        Ok(parsed) if is_list(&parsed) => parsed,
        Err(stop @ Stop::Fail { .. }) => {
            return Err(exec::refusal_in_repository(call, stop, false));
        }
        _ => return tag_edit::run(call, args, out),
    };
    let repo = Repo::open(call)?;
    for key in ["column.ui", "column.tag"] {
        if repo
            .config
            .get(key)
            .is_some_and(|v| v != b"never" && v != b"auto")
        {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    let forced = |given: Option<&Given>, names: &[&[u8]]| {
        given.is_some_and(|g| !g.negated && g.value.as_deref().is_none_or(|v| !names.contains(&v)))
    };
    if forced(parsed.last("column"), &[b"never", b"auto"])
        || parsed.last("format").is_some() && forced(parsed.last("color"), &[b"never", b"auto"])
    {
        return Err(Stop::not_native("colours and columns"));
    }
    let mut refs: Vec<Ref> = repo.refs(b"refs/tags/")?;
    refs.retain(|r| {
        let short = &r.name[b"refs/tags/".len()..];
        let flags = if parsed.has("ignore-case") {
            wildmatch::CASEFOLD
        } else {
            0
        };
        parsed.args.is_empty()
            || parsed
                .args
                .iter()
                .any(|p| wildmatch::matches(p, short, flags))
    });
    let filter = crate::verbs::branch::Keep::new(&repo, &parsed)?;
    let mut kept = Vec::new();
    for reference in refs {
        let points_here = filter.points_at(&repo, &parsed, &reference)?;
        let commit = repo.peel_to_commit(reference.id)?;
        let keep = match commit {
            Some(id) => filter.keeps(&repo, id)?,
            None => {
                parsed.last("contains").is_none()
                    && parsed.last("no-contains").is_none()
                    && parsed.last("merged").is_none()
                    && parsed.last("no-merged").is_none()
            }
        };
        if points_here && keep {
            kept.push(reference);
        }
    }
    let sorts = Sort::given(&repo, &parsed, Some("tag.sort"))?;
    ref_filter::sort(&repo, &mut kept, &sorts)?;
    let lines = match parsed.last("") {
        None => 0,
        Some(given) => match &given.value {
            None => 1,
            Some(n) => parse_int(n)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Stop::not_native("the value of `-n`"))?,
        },
    };
    let format = parsed.last("format").map(|g| g.text().to_vec());
    let mut report = TagReport {
        truncated: kept.len() > MAX_REPORT_ENTRIES,
        ..TagReport::default()
    };
    for reference in &kept {
        let short = &reference.name[b"refs/tags/".len()..];
        if let Some(format) = &format {
            let line = ref_format::expand(&repo, reference, format)?;
            if line.is_empty() && parsed.has("omit-empty") {
                continue;
            }
            out.put(line);
        } else if lines > 0 {
            let name = lossy(short);
            out.put(format!("{name:<15} "));
            print_lines(&repo, reference, lines, out)?;
        } else {
            out.put(short);
        }
        out.put("\n");
        if report.tags.len() < MAX_REPORT_ENTRIES {
            let target = repo.peel(reference.id)?.map_or(reference.id, |(id, _)| id);
            report.tags.push(TagEntry {
                name: lossy(short).into_owned(),
                id: reference.id.hex(),
                target: target.hex(),
            });
        }
    }
    out.report = Some(GitReport::Tag(report));
    Ok(())
}

/// Prints the first lines of a tag's (or its commit's) message.
fn print_lines(repo: &Repo<'_>, reference: &Ref, count: usize, out: &mut Out) -> Res<()> {
    let message = repo.read(reference.id, |kind, data| match kind {
        ObjectType::Tag => Tag::parse(data).map(|t| t.message),
        _ => crate::repository::object::Commit::parse(data).map(|c| c.message),
    })?;
    let message = message.flatten().unwrap_or_default();
    let message = match crate::text::bytes::find(&message, b"-----BEGIN ") {
        Some(at) => &message[..at],
        None => &message[..],
    };
    let text = message.trim_ascii();
    // The subject is one line, whatever its length.
    for (i, line) in text.split(|b| *b == b'\n').take(count).enumerate() {
        if i > 0 {
            out.put("\n    ");
        }
        out.put(line);
    }
    Ok(())
}
