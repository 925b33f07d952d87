//! `git remote`: the list, with or without addresses.

use crate::bytes::Bytes;
use crate::config::Config;
use crate::exec::{Call, Plan};
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repo::Repo;

const OPTIONS: &[Spec] = &[flag("verbose", Some(b'v'))];

/// Says what a remote command would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    match parsed.args.first().map(Vec::as_slice) {
        None | Some(b"get-url") => Ok(Plan::Read),
        Some(_) => Err(Stop::not_native("changing remotes")),
    }
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    for dir in ["remotes", "branches"] {
        let path = crate::bytes::join(&repo.common_dir, dir.as_bytes());
        if std::fs::read_dir(crate::bytes::to_path(&path)).is_ok_and(|mut d| d.next().is_some()) {
            return Err(Stop::not_native("remotes in the old format"));
        }
    }
    let names = names(&repo.config);
    if let Some(verb) = parsed.args.first() {
        let ([_, name], b"get-url") = (parsed.args.as_slice(), verb.as_slice()) else {
            return Err(Stop::not_native("changing remotes"));
        };
        if !names.contains(name) {
            return Err(Stop::error(
                2,
                [b"No such remote '", name.as_slice(), b"'"].concat(),
            ));
        }
        let (fetch, _) = urls(&repo.config, name)?;
        out.put(fetch.first().cloned().unwrap_or_else(|| name.clone()));
        out.put("\n");
        return Ok(());
    }
    let mut sorted = names;
    sorted.sort();
    for name in sorted {
        if !parsed.has("verbose") {
            out.put([name.as_slice(), b"\n"].concat());
            continue;
        }
        let (fetch, push) = urls(&repo.config, &name)?;
        let first = fetch.first().cloned().unwrap_or_default();
        if fetch.is_empty() {
            out.put([name.as_slice(), b"\n"].concat());
        } else {
            out.put([name.as_slice(), b"\t", &first, b" (fetch)\n"].concat());
        }
        for url in if push.is_empty() { &fetch } else { &push } {
            out.put([name.as_slice(), b"\t", url, b" (push)\n"].concat());
        }
    }
    Ok(())
}

fn names(config: &Config) -> Vec<Bytes> {
    let set = |name: &Bytes| {
        ["url", "pushurl", "fetch"].iter().any(|k| {
            config
                .get_bytes(&[b"remote.", name.as_slice(), b".", k.as_bytes()].concat())
                .is_some()
        })
    };
    config
        .subsections("remote")
        .into_iter()
        .filter(set)
        .collect()
}

fn urls(config: &Config, name: &[u8]) -> Res<(Vec<Bytes>, Vec<Bytes>)> {
    if config.entries.iter().any(|e| e.key.starts_with(b"url.")) {
        return Err(Stop::not_native("rewritten addresses"));
    }
    for key in ["partialclonefilter", "vcs"] {
        if config
            .get_bytes(&[b"remote.", name, b".", key.as_bytes()].concat())
            .is_some()
        {
            return Err(Stop::not_native("a special remote"));
        }
    }
    let all = |key: &str| {
        config
            .get_all(&[b"remote.", name, b".", key.as_bytes()].concat())
            .map(<[u8]>::to_vec)
            .collect()
    };
    Ok((all("url"), all("pushurl")))
}
