//! `git remote`: the list, with or without addresses. Changing remotes is in `remote_edit`.

use crate::exec::{self, Call, Plan};
use crate::options::{Known, Numbers, Spec, flag, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::repository::config::Config;
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;
use crate::verbs::remote_edit::Edit;

const OPTIONS: &[Spec] = &[
    flag("verbose", Some(b'v')).or_no(),
    flag("push", None),
    flag("all", None),
];

const KNOWN: Known = Known {
    long: "verbose push all add dry-run fetch mirror track master tags progress auto delete prune",
    short: "vfmtndap",
    usage: Some(include_str!("usage/remote.txt")),
};

/// What follows `remote`, besides `show` and `get-url`.
const WRITES: &[&[u8]] = &[
    b"add",
    b"rename",
    b"rm",
    b"remove",
    b"set-head",
    b"set-branches",
    b"set-url",
    b"prune",
    b"update",
];

/// Says what a remote command would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    if let Some(edit) = Edit::parse(args)? {
        return Ok(edit.plan());
    }
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN)?;
    let late = |name: &str| {
        let mut given = parsed.options.iter().zip(&parsed.places);
        given.any(|(g, at)| g.name == name && *at == 0)
    };
    if late("push") || late("all") {
        return Err(Stop::not_native("options of `remote`"));
    }
    match parsed.args.first().map(Vec::as_slice) {
        None | Some(b"get-url") => Ok(Plan::Read),
        Some(b"show") if parsed.args.len() == 1 => Ok(Plan::Read),
        Some(b"show") => Err(Stop::not_native("what a remote has")),
        Some(verb) if WRITES.contains(&verb) => Err(Stop::not_native("changing remotes")),
        Some(verb) => Err(Stop::Fail {
            code: 129,
            text: [
                b"error: unknown subcommand: `".as_slice(),
                verb,
                b"'\n",
                KNOWN.usage.unwrap_or_default().as_bytes(),
            ]
            .concat(),
        }),
    }
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    match plan(args) {
        Err(stop @ Stop::Fail { .. }) => {
            return Err(exec::refusal_in_repository(call, stop, false));
        }
        other => drop(other?),
    }
    let edit = Edit::parse(args)?;
    let repo = Repo::open(call)?;
    for dir in ["remotes", "branches"] {
        let path = crate::text::bytes::join(&repo.common_dir, dir.as_bytes());
        if std::fs::read_dir(crate::text::bytes::to_path(&path))
            .is_ok_and(|mut d| d.next().is_some())
        {
            return Err(Stop::not_native("remotes in the old format"));
        }
    }
    if let Some(edit) = edit {
        return edit.run(&repo);
    }
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN)?;
    let names = names(&repo.config);
    if let Some(verb) = parsed.args.first().filter(|v| *v != b"show") {
        let ([_, name], b"get-url") = (parsed.args.as_slice(), verb.as_slice()) else {
            return Err(Stop::not_native("changing remotes"));
        };
        if !names.contains(name) {
            return Err(Stop::error(
                2,
                [b"No such remote '", name.as_slice(), b"'"].concat(),
            ));
        }
        let (fetch, push) = urls(&repo.config, name)?;
        let mut list = if parsed.has("push") && !push.is_empty() {
            push
        } else {
            fetch
        };
        if list.is_empty() {
            list.push(name.clone());
        }
        let count = if parsed.has("all") { list.len() } else { 1 };
        for url in list.iter().take(count) {
            out.put([url.as_slice(), b"\n"].concat());
        }
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

/// Lists the remotes that are set up, in the order of the configuration.
pub(crate) fn names(config: &Config) -> Vec<Bytes> {
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
