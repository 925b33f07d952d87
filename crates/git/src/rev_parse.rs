//! `git rev-parse`: names into ids, and where things are.

use crate::bytes::{self, Bytes, lossy};
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::outcome::{Out, Res, Stop};
use crate::repo::Repo;
use crate::rev::{At, ambiguous_argument};
use crate::{quote, rev_args};

/// Says what a rev-parse would do: it only ever reads.
pub(crate) fn plan(_args: &[Bytes]) -> Res<Plan> {
    Ok(Plan::Read)
}

#[derive(Default)]
struct State {
    verify: bool,
    quiet: bool,
    /// Digits, when abbreviated.
    short: Option<usize>,
    /// `--abbrev-ref`; true is strict.
    abbrev_ref: Option<bool>,
    symbolic: bool,
    symbolic_full: bool,
    is_path: bool,
    only_revs: bool,
    absolute: bool,
    n_revs: usize,
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    if args.iter().any(|a| {
        a == b"--parseopt"
            || a == b"--sq-quote"
            || a == b"--sq"
            || a == b"--local-env-vars"
            || a == b"--resolve-git-dir"
    }) {
        return Err(Stop::not_native("options of `rev-parse`"));
    }
    let repo = Repo::open(call)?;
    let mut state = State::default();
    let mut pending = Pending::default();
    let mut after_dashes = false;
    for (i, arg) in args.iter().enumerate() {
        if state.is_path {
            if !state.only_revs {
                out.put([arg.as_slice(), b"\n"].concat());
                if !after_dashes {
                    rev_args::verify_path(&repo, arg, false)?;
                }
            }
            continue;
        }
        if arg == b"--" {
            state.is_path = true;
            after_dashes = true;
            if !state.only_revs && !state.verify {
                out.put("--\n");
            }
            continue;
        }
        if arg.first() == Some(&b'-') {
            option(&repo, arg, &mut state, out)?;
            continue;
        }
        if argument(&repo, arg, &mut state, &mut pending, out)? {
            continue;
        }
        if state.verify {
            return Err(bad_single(&state));
        }
        if args[i..].iter().any(|a| a == b"--") {
            return Err(Stop::fatal(
                [b"bad revision '".as_slice(), arg, b"'"].concat(),
            ));
        }
        if state.only_revs {
            // Nothing is said of what is none, and of what follows.
            state.is_path = true;
            continue;
        }
        // What is no revision is a path, and so is all that follows; paths are printed before they are checked.
        state.is_path = true;
        if repo.prefix.is_empty() || args[i..].iter().all(|a| !a.is_empty()) {
            for path in &args[i..i + 1] {
                out.put([path.as_slice(), b"\n"].concat());
                match rev_args::verify_path(&repo, path, true) {
                    Err(Stop::Fail { .. }) if !path.contains(&b':') => {
                        return Err(ambiguous_argument(path));
                    }
                    other => other?,
                }
            }
        }
    }
    if state.verify {
        return pending.finish(&repo, &state, out);
    }
    Ok(())
}

/// With `--verify`, the only revision waits until the end.
#[derive(Default)]
struct Pending(Option<(Bytes, Id)>);

impl Pending {
    fn finish(self, repo: &Repo<'_>, state: &State, out: &mut Out) -> Res<()> {
        match self.0 {
            Some((name, id)) if state.n_revs == 1 => show(repo, &name, id, false, state, out),
            _ => Err(bad_single(state)),
        }
    }
}

fn bad_single(state: &State) -> Stop {
    if state.quiet {
        Stop::exit(1)
    } else {
        Stop::fatal("Needed a single revision")
    }
}

fn option(repo: &Repo<'_>, arg: &[u8], state: &mut State, out: &mut Out) -> Res<()> {
    let yes_no = |b: bool| if b { "true\n" } else { "false\n" };
    let mut line = |text: &[u8]| out.put([text, b"\n"].concat());
    match arg {
        b"--verify" => state.verify = true,
        b"-q" | b"--quiet" => state.quiet = true,
        b"--short" => (state.short, state.verify) = (Some(repo.default_abbrev()?), true),
        b"--abbrev-ref" | b"--abbrev-ref=loose" => {
            state.abbrev_ref =
                Some(repo.config.bool("core.warnambiguousrefs")?.unwrap_or(true) && arg.len() < 14);
        }
        b"--abbrev-ref=strict" => state.abbrev_ref = Some(true),
        b"--symbolic" => state.symbolic = true,
        b"--symbolic-full-name" => state.symbolic_full = true,
        b"--revs-only" => state.only_revs = true,
        b"--git-dir" | b"--absolute-git-dir" => {
            let absolute = arg == b"--absolute-git-dir" || state.absolute;
            let shown = if absolute {
                repo.git_dir.clone()
            } else {
                shown_git_dir(repo)
            };
            line(&shown);
        }
        b"--path-format=absolute" => state.absolute = true,
        b"--git-common-dir" => {
            let shown = if state.absolute {
                repo.common_dir.clone()
            } else if repo.common_dir == repo.git_dir {
                match repo.git_dir_shown.as_slice() {
                    b".git" | b"." => repo.git_dir_shown.clone(),
                    _ => relative_to_cwd(repo, &repo.common_dir),
                }
            } else {
                repo.common_dir.clone()
            };
            line(&shown);
        }
        b"--show-toplevel" => match &repo.work_tree {
            Some(top) if !repo.is_inside_git_dir() || repo.is_inside_work_tree() => line(top),
            _ => return Err(Stop::fatal("this operation must be run in a work tree")),
        },
        b"--show-prefix" => line(&repo.prefix),
        b"--show-cdup" => {
            let ups = repo.prefix.iter().filter(|b| **b == b'/').count();
            if repo.work_tree.is_some() {
                line("../".repeat(ups).as_bytes());
            }
        }
        b"--is-inside-work-tree" => out.put(yes_no(repo.is_inside_work_tree())),
        b"--is-inside-git-dir" => out.put(yes_no(
            repo.is_inside_git_dir() && !repo.is_inside_work_tree() || repo.is_inside_git_dir(),
        )),
        b"--is-bare-repository" => out.put(yes_no(repo.is_bare)),
        b"--is-shallow-repository" => out.put(yes_no(!repo.shallow().is_empty())),
        b"--show-object-format" | b"--show-object-format=storage" => line(b"sha1"),
        b"--show-ref-format" => line(b"files"),
        b"--show-superproject-working-tree" => {
            return Err(Stop::not_native("options of `rev-parse`"));
        }
        b"--all" | b"--branches" | b"--tags" | b"--remotes" => {
            let prefix: &[u8] = match arg {
                b"--all" => b"refs/",
                b"--branches" => b"refs/heads/",
                b"--tags" => b"refs/tags/",
                _ => b"refs/remotes/",
            };
            for reference in repo.refs(prefix)? {
                show(repo, &reference.name, reference.id, false, state, out)?;
            }
        }
        _ => {
            if let Some(n) = arg.strip_prefix(b"--short=") {
                let n = bytes::parse_int(n)
                    .ok_or_else(|| Stop::not_native("the value of `--short`"))?;
                state.verify = true;
                state.short = Some(usize::try_from(n).unwrap_or(0).clamp(4, 40));
            } else {
                return Err(Stop::NotNative(format!("option `{}`", lossy(arg))));
            }
        }
    }
    Ok(())
}

fn shown_git_dir(repo: &Repo<'_>) -> Bytes {
    repo.git_dir_shown.clone()
}

fn relative_to_cwd(repo: &Repo<'_>, dir: &[u8]) -> Bytes {
    match (&repo.work_tree, repo.prefix.is_empty()) {
        (Some(top), false) => match crate::repo::prefix_below(dir, top) {
            Some(mut below) => {
                below.pop();
                quote::relative(&below, &repo.prefix)
            }
            None => dir.to_vec(),
        },
        _ => dir.to_vec(),
    }
}

fn argument(
    repo: &Repo<'_>,
    arg: &[u8],
    state: &mut State,
    pending: &mut Pending,
    out: &mut Out,
) -> Res<bool> {
    if let Some(dots) = bytes::find(arg, b"..") {
        let symmetric = arg.get(dots + 2) == Some(&b'.');
        let or_head = |t: &[u8]| {
            if t.is_empty() {
                b"HEAD".to_vec()
            } else {
                t.to_vec()
            }
        };
        let (left, right) = (
            or_head(&arg[..dots]),
            or_head(&arg[dots + if symmetric { 3 } else { 2 }..]),
        );
        if arg != b".."
            && let (Some(a), Some(b)) =
                (repo.resolve_quietly(&left)?, repo.resolve_quietly(&right)?)
        {
            if state.verify {
                state.n_revs += 2;
                return Ok(true);
            }
            show(repo, &right, b, false, state, out)?;
            show(repo, &left, a, !symmetric, state, out)?;
            if symmetric {
                let (Some(a), Some(b)) = (repo.peel_to_commit(a)?, repo.peel_to_commit(b)?) else {
                    return Err(Stop::not_native("a range of what are no commits"));
                };
                if let Ok(bases) = repo.git.merge_bases(a.oid(), b.oid()) {
                    for base in bases.iter() {
                        let id: Id = (*base).into();
                        out.put(format!("^{id}\n"));
                    }
                }
            }
            return Ok(true);
        }
    }
    if [b"^@".as_slice(), b"^!", b"^-"]
        .iter()
        .any(|s| bytes::find(arg, s).is_some())
    {
        return Err(Stop::not_native("parents of a revision"));
    }
    let (excluded, name) = match arg.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, arg),
    };
    let found = match repo.resolve(name) {
        Err(Stop::Fail { .. }) if state.verify && state.quiet => return Ok(false),
        Err(Stop::Fail { .. }) if (state.verify || state.only_revs) && name.contains(&b':') => {
            return Ok(false);
        }
        Err(stop @ Stop::Fail { .. }) if !state.verify && name.contains(&b':') => {
            // It is taken for a path, which is printed before it is found missing.
            out.put([arg, b"\n"].concat());
            return Err(stop);
        }
        other => other?,
    };
    let Some(id) = found else { return Ok(false) };
    if state.verify {
        state.n_revs += 1;
        if excluded {
            return Err(Stop::not_native("an excluded revision to verify"));
        }
        pending.0 = Some((name.to_vec(), id));
        return Ok(true);
    }
    show(repo, name, id, excluded, state, out)?;
    Ok(true)
}

fn show(
    repo: &Repo<'_>,
    name: &[u8],
    id: Id,
    excluded: bool,
    state: &State,
    out: &mut Out,
) -> Res<()> {
    let sign: &[u8] = if excluded { b"^" } else { b"" };
    let mut line = |text: &[u8]| out.put([sign, text, b"\n"].concat());
    if state.symbolic || state.symbolic_full || state.abbrev_ref.is_some() {
        if state.symbolic && !state.symbolic_full && state.abbrev_ref.is_none() {
            line(name);
            return Ok(());
        }
        let full = full_name(repo, name)?;
        match (full, state.abbrev_ref) {
            (Some(full), Some(strict)) => line(&repo.shorten(&full, strict)?),
            (Some(full), None) => line(&full),
            (None, Some(_)) => {}
            (None, None) => {}
        }
        return Ok(());
    }
    match state.short {
        Some(n) => line(repo.abbreviate(id, n)?.as_bytes()),
        None => line(id.hex().as_bytes()),
    }
    Ok(())
}

/// Returns the full name of the reference a text names, following HEAD to its branch.
fn full_name(repo: &Repo<'_>, name: &[u8]) -> Res<Option<Bytes>> {
    if name == b"HEAD" || name == b"@" {
        return Ok(Some(
            repo.head()?.branch.unwrap_or_else(|| b"HEAD".to_vec()),
        ));
    }
    if name.ends_with(b"}")
        && let Some(at) = name.windows(2).rposition(|w| w == b"@{")
        && let Some(At::Ref(full)) = repo.at_name(&name[..at], &name[at + 2..name.len() - 1])?
    {
        return Ok(Some(full));
    }
    let found = repo.dwim(name)?;
    match found.as_slice() {
        [] => Ok(None),
        [(full, _)] => Ok(Some(repo.symref(full)?.unwrap_or_else(|| full.clone()))),
        _ => Err(Stop::not_native("an ambiguous name")),
    }
}
