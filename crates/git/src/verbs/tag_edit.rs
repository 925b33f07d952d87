//! Making and deleting tags. Listing is in `tag`.

use git2::ObjectType;

use crate::exec::{Call, Plan};
use crate::options::{Numbers, Parsed, Spec, flag, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::refs::is_valid_short_name;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::message::{self, Cleanup};

const OPTIONS: &[Spec] = &[
    flag("delete", Some(b'd')),
    flag("annotate", Some(b'a')),
    flag("force", Some(b'f')),
    value("message", Some(b'm')),
    value("file", Some(b'F')),
    value("cleanup", None),
    value("trailer", None),
    flag("create-reflog", None).or_no(),
    flag("sign", None).or_no(),
];

/// Says what a tag command that changes something would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let has_text = parsed.has("message") || parsed.has("file");
    if parsed.has("sign") || parsed.has("create-reflog") || parsed.has("trailer") {
        return Err(Stop::not_native("this form of `tag`"));
    }
    if parsed.has("annotate") && !has_text && !parsed.has("delete") {
        return Err(Stop::not_native("a message from an editor"));
    }
    if parsed.args.is_empty() && !parsed.has("delete") {
        return Err(Stop::not_native("this form of `tag`"));
    }
    Ok(Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&[])?;
    for key in [
        "tag.gpgsign",
        "tag.forcesignannotated",
        "i18n.commitencoding",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    message::refuse_comment_settings(&repo)?;
    if parsed.has("delete") {
        return delete(&repo, &parsed.args, out);
    }
    create(&repo, &parsed, out)
}

fn create(repo: &Repo<'_>, parsed: &Parsed, out: &mut Out) -> Res<()> {
    if parsed.has("message") && parsed.has("file") {
        return Err(Stop::fatal("options '-F' and '-m' cannot be used together"));
    }
    let (name, target) = match parsed.args.as_slice() {
        [name] => (name, b"HEAD".to_vec()),
        [name, target] => (name, target.clone()),
        _ => return Err(Stop::fatal("too many arguments")),
    };
    let text = match parsed.last("file") {
        Some(file) => Some(message::read_file(
            repo,
            file.text(),
            "could not open or read",
        )?),
        None => message::paragraphs(parsed),
    };
    let Some(object) = repo.resolve(&target)? else {
        return Err(Stop::fatal(format!(
            "Failed to resolve '{}' as a valid ref.",
            lossy(&target)
        )));
    };
    if name.starts_with(b"-") || !is_valid_short_name(name) {
        return Err(Stop::fatal(format!(
            "'{}' is not a valid tag name.",
            lossy(name)
        )));
    }
    let full = [b"refs/tags/", name.as_slice()].concat();
    let old = repo.ref_id(&full)?;
    if old.is_some() && !parsed.has("force") {
        return Err(Stop::fatal(format!("tag '{}' already exists", lossy(name))));
    }
    let cleanup = match parsed.last("cleanup").map(|g| g.text().to_vec()) {
        None => Cleanup::Strip,
        Some(mode) => match mode.as_slice() {
            b"strip" => Cleanup::Strip,
            b"whitespace" => Cleanup::Whitespace,
            b"verbatim" => Cleanup::Verbatim,
            other => {
                return Err(Stop::fatal(format!(
                    "Invalid cleanup mode {}",
                    lossy(other)
                )));
            }
        },
    };
    if old.is_none() {
        repo.verify_ref_available(&full, None)?;
    }
    let who = Identity::of(repo, "COMMITTER")?;
    let id = match text {
        None => object,
        Some(text) => {
            let message = cleanup.apply(&text);
            annotate(repo, name, (object, &target), &who, &message)?
        }
    };
    repo.set_ref(&full, old, id, &who, &log_message(repo, id)?)?;
    if let Some(old) = old.filter(|old| *old != id) {
        out.put(format!(
            "Updated tag '{}' (was {})\n",
            lossy(name),
            repo.short(old)?
        ));
    }
    Ok(())
}

/// What the log of a tag says, where one is kept at all.
fn log_message(repo: &Repo<'_>, id: Id) -> Res<Bytes> {
    let always = repo
        .config
        .get("core.logallrefupdates")
        .is_some_and(|v| v.eq_ignore_ascii_case(b"always"));
    if always {
        return Err(Stop::NotNative(format!("the log of a tag of {id}")));
    }
    Ok(Bytes::new())
}

fn annotate(
    repo: &Repo<'_>,
    name: &[u8],
    (object, target): (Id, &[u8]),
    who: &Identity,
    message: &[u8],
) -> Res<Id> {
    let kind = repo
        .header(object)?
        .map(|(k, _)| k)
        .ok_or_else(|| Stop::not_native("a tag of nothing"))?;
    if kind == ObjectType::Tag && repo.config.bool("advice.nestedtag")?.unwrap_or(true) {
        let (name, shown) = (lossy(name), lossy(target));
        repo.call.warn(format!(
            "hint: You have created a nested tag. The object referred to by your new tag is\n\
             hint: already a tag. If you meant to tag the object that it points to, use:\n\
             hint:\n\
             hint: \tgit tag -f {name} {shown}^{{}}\n\
             hint: Disable this message with \"git config advice.nestedTag false\"\n"
        ));
    }
    let head = format!("object {object}\ntype {}\ntag ", kind.str());
    let data = [
        head.as_bytes(),
        name,
        b"\ntagger ",
        &who.line(),
        b"\n\n",
        message,
    ]
    .concat();
    repo.write_object(ObjectType::Tag, &data)
}

fn delete(repo: &Repo<'_>, names: &[Bytes], out: &mut Out) -> Res<()> {
    let mut failed = false;
    let mut doomed = Vec::new();
    for name in names {
        let full = [b"refs/tags/", name.as_slice()].concat();
        match repo.ref_id(&full)? {
            None => {
                repo.call
                    .warn(format!("error: tag '{}' not found.\n", lossy(name)));
                failed = true;
            }
            Some(id) => doomed.push((name, full, id)),
        }
    }
    repo.refuse_doubles(doomed.iter().map(|(_, full, _)| full.as_slice()))?;
    for (_, full, _) in &doomed {
        drop(repo.lock_ref(full)?);
    }
    for (name, full, id) in doomed {
        let short = repo.short(id)?;
        repo.delete_ref(&full)?;
        out.put(format!("Deleted tag '{}' (was {short})\n", lossy(name)));
    }
    if failed { Err(Stop::exit(1)) } else { Ok(()) }
}
