//! `git check-ignore`: which rule, if any, ignores a path.

use crate::exec::{Call, Plan};
use crate::options::{Numbers, Spec, flag, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::text::quote;
use crate::work::ignore::Ignore;
use crate::work::pathspec::from_top;

const OPTIONS: &[Spec] = &[
    flag("verbose", Some(b'v')),
    flag("quiet", Some(b'q')),
    flag("non-matching", Some(b'n')),
    flag("no-index", None),
];

/// Says what a check-ignore would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    let top = repo.need_work_tree()?.to_vec();
    if parsed.args.is_empty() || parsed.has("quiet") {
        return Err(Stop::not_native("this form of `check-ignore`"));
    }
    let index = repo.index()?;
    let ignore = Ignore::load(&repo)?;
    let mut any = false;
    for arg in &parsed.args {
        let Some(path) = from_top(&repo, arg)? else {
            return Err(Stop::not_native("a path outside the repository"));
        };
        let full = bytes::to_path(&bytes::join(&top, &path));
        if is_beyond_link(&top, &path) {
            return Err(Stop::fatal(
                [
                    b"pathspec '".as_slice(),
                    arg,
                    b"' is beyond a symbolic link",
                ]
                .concat(),
            ));
        }
        let is_directory = arg.ends_with(b"/") || full.is_dir();
        let path = path.strip_suffix(b"/").unwrap_or(&path).to_vec();
        let in_submodule = index.entries.iter().any(|e| {
            let top = index.path(e);
            crate::repository::object::mode::is_commit(e.mode)
                && path.starts_with(top)
                && path.get(top.len()) == Some(&b'/')
        });
        if in_submodule {
            return Err(Stop::not_native("a path in a submodule"));
        }
        let tracked = !parsed.has("no-index")
            && (index.find(&path).is_some() || index.has_below(&[path.as_slice(), b"/"].concat()));
        let rule = if tracked || path.is_empty() {
            None
        } else {
            ignore.deciding_with_parents(&path, is_directory)
        };
        let verbose = parsed.has("verbose");
        // Without -v a rule that takes something back is as good as none.
        let rule = rule.filter(|r| verbose || !r.pattern.negative);
        any |= rule
            .as_ref()
            .is_some_and(|r| verbose || !r.pattern.negative);
        if rule.is_none() && !parsed.has("non-matching") {
            continue;
        }
        let name = quote::c_style(arg, repo.quote_path()?);
        if verbose {
            match &rule {
                Some(rule) => {
                    out.put(quote::c_style(&rule.file, repo.quote_path()?));
                    out.put(format!(":{}:", rule.line));
                    out.put([rule.text.as_slice(), b"\t"].concat());
                }
                None => out.put("::\t"),
            }
        }
        out.put([name.as_slice(), b"\n"].concat());
    }
    if ignore.met_link() {
        return Err(Stop::not_native("a .gitignore that is a symbolic link"));
    }
    if any { Ok(()) } else { Err(Stop::exit(1)) }
}

/// Says whether one of the directories above a path is a symbolic link.
fn is_beyond_link(top: &[u8], path: &[u8]) -> bool {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let slashes = path.iter().enumerate().filter(|(_, c)| **c == b'/');
    slashes
        .map(|(at, _)| bytes::to_path(&bytes::join(top, &path[..at])))
        .any(|dir| dir.is_symlink())
}
