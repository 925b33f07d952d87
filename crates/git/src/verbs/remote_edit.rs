//! `git remote add`, `remove`, `rename` and `set-url`: settings of remotes, and the references that go with them.

use crate::exec::Plan;
use crate::options::{Given, Numbers, Parsed, Spec, flag, parse, value};
use crate::outcome::{Res, Stop};
use crate::references::refs::{Ref, is_valid_short_name};
use crate::repository::config_edit;
use crate::repository::config_text::{self, Change, Refusal, Which};
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::regexes::{self, Dialect};
use crate::verbs::remote;

const ADD: &[Spec] = &[value("track", Some(b't'))];
const SET_URL: &[Spec] = &[flag("push", None), flag("add", None), flag("delete", None)];

/// What is changed, with its arguments.
pub(crate) enum Edit {
    Add(Parsed),
    Remove(Bytes),
    Rename(Bytes, Bytes),
    SetUrl(Parsed),
}

impl Edit {
    /// Reads what follows `remote`; `None` when it changes nothing here.
    pub(crate) fn parse(args: &[Bytes]) -> Res<Option<Edit>> {
        let Some((verb, rest)) = args.split_first() else {
            return Ok(None);
        };
        let wrong = || Stop::not_native("this form of `remote`");
        Ok(Some(match verb.as_slice() {
            b"add" => {
                let parsed = parse(rest, ADD, Numbers::No)?;
                if parsed.args.len() != 2 {
                    return Err(wrong());
                }
                Edit::Add(parsed)
            }
            b"remove" | b"rm" => match parse(rest, &[], Numbers::No)?.args.as_slice() {
                [name] => Edit::Remove(name.clone()),
                _ => return Err(wrong()),
            },
            b"rename" => match parse(rest, &[], Numbers::No)?.args.as_slice() {
                [old, new] => Edit::Rename(old.clone(), new.clone()),
                _ => return Err(wrong()),
            },
            b"set-url" => {
                let parsed = parse(rest, SET_URL, Numbers::No)?;
                let n = parsed.args.len();
                let special = parsed.has("add") || parsed.has("delete");
                if parsed.has("add") && parsed.has("delete") {
                    return Err(Stop::fatal("--add --delete doesn't make sense"));
                }
                if !(2..=3).contains(&n) || special && n != 2 {
                    return Err(wrong());
                }
                Edit::SetUrl(parsed)
            }
            _ => return Ok(None),
        }))
    }

    /// Says what it would do.
    pub(crate) fn plan(&self) -> Plan {
        Plan::LocalWrite
    }

    /// Carries it out.
    pub(crate) fn run(&self, repo: &Repo<'_>) -> Res<()> {
        repo.refuse_odd_writes()?;
        repo.refuse_hooks(&[])?;
        if repo.config.get("remote.pushdefault").is_some()
            || repo
                .config
                .entries
                .iter()
                .any(|e| e.key.starts_with(b"url.") || e.key.ends_with(b".vcs"))
        {
            return Err(Stop::not_native("remotes with these settings"));
        }
        match self {
            Edit::Add(parsed) => add(repo, parsed),
            Edit::Remove(name) => remove(repo, name),
            Edit::Rename(old, new) => rename(repo, old, new),
            Edit::SetUrl(parsed) => set_url(repo, parsed),
        }
    }
}

fn key(name: &[u8], what: &str) -> Bytes {
    [b"remote.", name, b".", what.as_bytes()].concat()
}

fn is_known(repo: &Repo<'_>, name: &[u8]) -> bool {
    remote::names(&repo.config).iter().any(|n| n == name)
}

/// Ends with git's error when a new remote cannot have this name.
fn refuse_name(repo: &Repo<'_>, name: &[u8]) -> Res<()> {
    if is_known(repo, name) {
        return Err(Stop::error(
            3,
            format!("remote {} already exists.", lossy(name)),
        ));
    }
    if !is_valid_short_name(name) {
        return Err(Stop::fatal(format!(
            "'{}' is not a valid remote name",
            lossy(name)
        )));
    }
    Ok(())
}

/// Puts a value in the place of an empty one, or adds it.
fn put(text: &[u8], key: &[u8], value: &[u8]) -> Result<Bytes, Refusal> {
    let change = Change {
        key,
        value: Some(value),
        which: Which::Fixed(Bytes::new()),
        every: false,
        comment: None,
    };
    config_text::apply(text, &change).map(|changed| changed.text)
}

fn add(repo: &Repo<'_>, parsed: &Parsed) -> Res<()> {
    let [name, url] = parsed.args.as_slice() else {
        return Err(Stop::not_native("this form of `remote`"));
    };
    refuse_name(repo, name)?;
    let mut tracked: Vec<&[u8]> = parsed.options.iter().map(Given::text).collect();
    if tracked.is_empty() {
        tracked.push(b"*");
    }
    repo.edit_config(|text| {
        let mut text = config_edit::set(text, &key(name, "url"), Some(url))?;
        for branch in tracked {
            let spec = [
                b"+refs/heads/",
                branch,
                b":refs/remotes/",
                name,
                b"/",
                branch,
            ]
            .concat();
            text = put(&text, &key(name, "fetch"), &spec)?;
        }
        Ok(text)
    })
}

fn no_such(name: &[u8], colon: &str) -> Stop {
    Stop::error(2, format!("No such remote{colon} '{}'", lossy(name)))
}

/// Lists the branches whose settings name a remote, with what names it.
fn followers(repo: &Repo<'_>, remote: &[u8], what: &str) -> Vec<Bytes> {
    let mut names: Vec<Bytes> = repo
        .config
        .subsections("branch")
        .into_iter()
        .filter(|branch| {
            let key = [b"branch.", branch.as_slice(), b".", what.as_bytes()].concat();
            repo.config.get_bytes(&key) == Some(remote)
        })
        .collect();
    names.sort();
    names
}

fn of_branch(branch: &[u8], what: &str) -> Bytes {
    [b"branch.", branch, b".", what.as_bytes()].concat()
}

fn remove(repo: &Repo<'_>, name: &[u8]) -> Res<()> {
    if !is_known(repo, name) {
        return Err(no_such(name, ":"));
    }
    let mut doomed: Vec<Ref> = Vec::new();
    for reference in repo.refs(b"refs/")? {
        let remotes = repo.remotes_tracking(&reference.name);
        if !remotes.iter().any(|(remote, _)| remote == name) || remotes.len() > 1 {
            continue;
        }
        if !reference.name.starts_with(b"refs/remotes/") {
            return Err(Stop::not_native("a remote that is kept elsewhere"));
        }
        doomed.push(reference);
    }
    let (following, pushing) = (
        followers(repo, name, "remote"),
        followers(repo, name, "pushremote"),
    );
    let section = [b"remote.", name].concat();
    if config_edit::rename_section(&repo.config_text()?, &section, None).is_none() {
        return Err(Stop::not_native("a remote that is set up elsewhere"));
    }
    repo.edit_config(|text| {
        let mut text = text.to_vec();
        for branch in &following {
            text = config_edit::set(&text, &of_branch(branch, "remote"), None)?;
            text = config_edit::set(&text, &of_branch(branch, "merge"), None)?;
        }
        for branch in &pushing {
            text = config_edit::set(&text, &of_branch(branch, "pushremote"), None)?;
        }
        Ok(config_edit::rename_section(&text, &section, None).unwrap_or(text))
    })?;
    for reference in doomed {
        repo.delete_ref(&reference.name)?;
    }
    Ok(())
}

fn rename(repo: &Repo<'_>, old: &[u8], new: &[u8]) -> Res<()> {
    if !is_known(repo, old) {
        return Err(no_such(old, ":"));
    }
    refuse_name(repo, new)?;
    let specs: Vec<Bytes> = repo
        .config
        .get_all(&key(old, "fetch"))
        .map(<[u8]>::to_vec)
        .collect();
    let from = [b":refs/remotes/", old, b"/"].concat();
    let to = [b":refs/remotes/", new, b"/"].concat();
    let mut renamed = Vec::new();
    for spec in &specs {
        let Some(at) = bytes::find(spec, &from) else {
            return Err(Stop::not_native("a remote that is kept elsewhere"));
        };
        renamed.push([&spec[..at], &to, &spec[at + from.len()..]].concat());
    }
    let prefix = [b"refs/remotes/", old, b"/"].concat();
    let references = if renamed.is_empty() {
        Vec::new()
    } else {
        repo.refs(&prefix)?
    };
    if references.iter().any(|r| r.symref.is_some()) {
        return Err(Stop::not_native("a remote with a HEAD of its own"));
    }
    let who = Identity::of(repo, "COMMITTER")?;
    let (following, pushing) = (
        followers(repo, old, "remote"),
        followers(repo, old, "pushremote"),
    );
    let sections = ([b"remote.", old].concat(), [b"remote.", new].concat());
    if config_edit::rename_section(&repo.config_text()?, &sections.0, None).is_none() {
        return Err(Stop::not_native("a remote that is set up elsewhere"));
    }
    repo.edit_config(|text| {
        let mut text = config_edit::rename_section(text, &sections.0, Some(&sections.1))
            .unwrap_or_else(|| text.to_vec());
        if !renamed.is_empty() {
            let change = Change {
                key: &key(new, "fetch"),
                value: None,
                which: Which::All,
                every: true,
                comment: None,
            };
            text = config_text::apply(&text, &change)?.text;
            for spec in &renamed {
                text = put(&text, &key(new, "fetch"), spec)?;
            }
        }
        for branch in &following {
            text = config_edit::set(&text, &of_branch(branch, "remote"), Some(new))?;
        }
        for branch in &pushing {
            text = config_edit::set(&text, &of_branch(branch, "pushRemote"), Some(new))?;
        }
        Ok(text)
    })?;
    for reference in references {
        let short = &reference.name[prefix.len()..];
        let target = [b"refs/remotes/", new, b"/", short].concat();
        let words = [
            b"remote: renamed ",
            reference.name.as_slice(),
            b" to ",
            &target,
        ]
        .concat();
        repo.rename_ref(&reference.name, &target, false, &who, &words)?;
    }
    Ok(())
}

fn set_url(repo: &Repo<'_>, parsed: &Parsed) -> Res<()> {
    let (name, url) = (&parsed.args[0], &parsed.args[1]);
    if !is_known(repo, name) {
        return Err(no_such(name, ""));
    }
    let what = if parsed.has("push") { "pushurl" } else { "url" };
    let key = key(name, what);
    let old = match (parsed.has("delete"), parsed.args.get(2)) {
        (true, _) => Some(url),
        (false, old) => old,
    };
    let Some(old) = old else {
        let several = repo.config.get_all(&key).count() > 1;
        if several && !parsed.has("add") {
            return Err(Stop::not_native("a remote with several addresses"));
        }
        return repo.edit_config(|text| {
            if parsed.has("add") {
                put(text, &key, url)
            } else {
                config_edit::set(text, &key, Some(url))
            }
        });
    };
    let pattern = regexes::compile(old, Dialect::Extended, false)?;
    let (matching, others): (Vec<&[u8]>, Vec<&[u8]>) = repo
        .config
        .get_all(&key)
        .partition(|url| pattern.is_match(url));
    let deletes = parsed.has("delete");
    if !deletes && matching.is_empty() {
        return Err(Stop::fatal(format!("No such URL found: {}", lossy(old))));
    }
    if deletes && others.is_empty() && !parsed.has("push") {
        return Err(Stop::fatal("Will not delete all non-push URLs"));
    }
    if matching.is_empty() || (!deletes && matching.len() > 1) {
        return Err(Stop::not_native("this change of addresses"));
    }
    repo.edit_config(|text| {
        let change = Change {
            key: &key,
            value: (!deletes).then_some(url.as_slice()),
            which: Which::Pattern(pattern, false),
            every: deletes,
            comment: None,
        };
        config_text::apply(text, &change).map(|changed| changed.text)
    })
}
