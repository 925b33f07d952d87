//! `git stash show`: what one stash changed, as a diff.

use deskhand_protocol::git::GitReport;

use crate::compare::diff_options::{self, DiffOptions};
use crate::compare::diff_print;
use crate::compare::pair::Contents;
use crate::exec::Call;
use crate::options::{Numbers, Parsed, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::Bytes;
use crate::work::attr::Attributes;
use crate::work::pathspec::Pathspec;

/// Takes the arguments after `show` apart.
pub(crate) fn arguments(args: &[Bytes]) -> Res<Parsed> {
    parse(args, diff_options::OPTIONS, Numbers::No)
}

/// Carries it out; `args` follow `show`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = arguments(args)?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    for key in [
        "stash.showstat",
        "stash.showpatch",
        "stash.showincludeuntracked",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    let name = match parsed.args.as_slice() {
        [] => b"refs/stash@{0}".to_vec(),
        [n] if n.iter().all(u8::is_ascii_digit) => [b"refs/stash@{", n.as_slice(), b"}"].concat(),
        [name] => name.clone(),
        _ => return Err(Stop::not_native("several stashes")),
    };
    if repo.ref_id(b"refs/stash")?.is_none() && parsed.args.is_empty() {
        return Err(Stop::Fail {
            code: 1,
            text: b"No stash entries found.\n".to_vec(),
        });
    }
    let found = match repo.resolve(&name) {
        Err(Stop::Fail { .. }) => None,
        other => other?,
    };
    if found.is_none() {
        return Err(Stop::error(
            1,
            [name.as_slice(), b" is not a valid reference"].concat(),
        ));
    }
    let commit = match found {
        Some(id) => repo.try_commit(id)?,
        None => None,
    };
    let Some(commit) = commit.filter(|c| matches!(c.parents.len(), 2 | 3)) else {
        return Err(Stop::not_native("what is no stash"));
    };
    let mut options = DiffOptions::new(&repo, &parsed)?;
    if !options.forms.any() && !options.forms.none {
        if parsed.options.is_empty() {
            options.forms.stat = true;
        } else {
            options.forms.patch = true;
        }
    }
    if parsed.has("patch-u") || options.with_copies_harder() || options.follow || options.quiet {
        return Err(Stop::not_native("this form of `stash show`"));
    }
    let index = repo.index()?;
    let attributes = Attributes::load(&repo, Some(&index))?;
    let contents = Contents::new(&repo, &attributes, Some(&index));
    let base = repo.commit(commit.parents[0])?.tree;
    let pairs = tree_diff::changes(&repo, base, commit.tree, &Pathspec::default())?;
    let pairs = diff_print::prepare(pairs, &contents, &options)?;
    let prefixes = options.prefixes(b"a/", b"b/");
    let printed = diff_print::print(&contents, &pairs, &options, &prefixes, out)?;
    if printed.check_failed {
        out.code = 2;
    }
    if options.exit_code && printed.has_changes {
        out.code |= 1;
    }
    out.report = Some(GitReport::Diff(printed.report));
    Ok(())
}
