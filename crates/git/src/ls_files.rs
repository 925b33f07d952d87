//! `git ls-files`: what is in the index, and what is not.

use crate::bytes::{Bytes, lossy};
use crate::exec::{Call, Plan};
use crate::index::Entry;
use crate::options::{Numbers, Spec, flag, maybe, parse};
use crate::outcome::{Out, Res, Stop};
use crate::pathspec::{Pathspec, from_top};
use crate::quote;
use crate::repo::Repo;
use crate::untracked::{self, Ignored, Wanted};
use crate::work_tree::{Look, State};

const OPTIONS: &[Spec] = &[
    flag("cached", Some(b'c')),
    flag("deleted", Some(b'd')),
    flag("modified", Some(b'm')),
    flag("others", Some(b'o')),
    flag("stage", Some(b's')),
    flag("unmerged", Some(b'u')),
    flag("zero", Some(b'z')),
    flag("exclude-standard", None),
    flag("full-name", None),
    flag("error-unmatch", None),
    flag("deduplicate", None),
    maybe("abbrev", None),
];

/// Says what an ls-files would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse(args, OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    let index = repo.index()?;
    let has = |name: &str| parsed.has(name);
    let others = has("others");
    if others && !has("exclude-standard") || has("deduplicate") {
        return Err(Stop::not_native("this form of `ls-files`"));
    }
    if others || has("deleted") || has("modified") {
        repo.need_work_tree()?;
    }
    let stages = has("stage") || has("unmerged");
    let any = others || has("deleted") || has("modified") || has("unmerged") || has("stage");
    let cached =
        has("cached") || !any || (has("stage") && !others && !has("deleted") && !has("modified"));
    let spec = Pathspec::parse(&repo, &parsed.args)?;
    // Without arguments the list is of the current directory.
    let here = repo.prefix.clone();
    let means = |path: &[u8]| {
        path.starts_with(&here) && spec.matches(path) || !spec.is_empty() && spec.matches(path)
    };
    if !spec.is_empty()
        && !stages
        && index
            .entries
            .iter()
            .any(|e| e.stage > 0 && spec.matches(index.path(e)))
    {
        return Err(Stop::not_native("a list of some conflicts"));
    }
    let printer = Printer {
        repo: &repo,
        nul: has("zero"),
        full: has("full-name"),
        stages,
        abbrev: abbrev(&repo, &parsed)?,
    };
    if others {
        let here_spec = if spec.is_empty() && !here.is_empty() {
            Pathspec::literal(&here)
        } else {
            spec.clone()
        };
        let wanted = Wanted {
            collapse: false,
            ignored: Ignored::No,
        };
        for path in untracked::list(&repo, &index, &here_spec, wanted)?.untracked {
            printer.name(&path, out)?;
        }
    }
    if cached || has("unmerged") {
        for entry in &index.entries {
            if means(index.path(entry)) && (!has("unmerged") || entry.stage > 0) {
                printer.entry(entry, index.path(entry), out)?;
            }
        }
    }
    if has("deleted") || has("modified") {
        let mut look = Look::new(&repo, &index)?;
        for entry in &index.entries {
            let path = index.path(entry);
            if !means(path) || entry.skip_worktree {
                continue;
            }
            if entry.stage > 0 {
                return Err(Stop::not_native("conflicts in a list of modified files"));
            }
            let differs = match look.at(entry, path)? {
                State::Same | State::Touched(_) => continue,
                State::Differs(side) => side,
                State::Submodule(side, state) => {
                    if !state.new_commits {
                        continue;
                    }
                    side
                }
            };
            let full = crate::bytes::join(repo.need_work_tree()?, path);
            let gone = std::fs::symlink_metadata(crate::bytes::to_path(&full)).is_err();
            if has("deleted") && !differs.exists() && gone {
                printer.entry(entry, path, out)?;
            }
            if has("modified") {
                printer.entry(entry, path, out)?;
            }
        }
    }
    if has("error-unmatch") {
        let mut unmatched = false;
        for arg in &parsed.args {
            if from_top(&repo, arg)?.is_none() {
                continue;
            }
            let one = Pathspec::parse(&repo, std::slice::from_ref(arg))?;
            if !index.entries.iter().any(|e| one.matches(index.path(e))) {
                call.warn(format!(
                    "error: pathspec '{}' did not match any file(s) known to git\n",
                    lossy(arg)
                ));
                unmatched = true;
            }
        }
        if unmatched {
            call.warn("Did you forget to 'git add'?\n");
            return Err(Stop::exit(1));
        }
    }
    Ok(())
}

fn abbrev(repo: &Repo<'_>, parsed: &crate::options::Parsed) -> Res<usize> {
    match parsed.last("abbrev") {
        None => Ok(40),
        Some(given) => match &given.value {
            None => repo.default_abbrev(),
            Some(text) => crate::bytes::parse_int(text)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Stop::not_native("the value of `--abbrev`")),
        },
    }
}

struct Printer<'r> {
    repo: &'r Repo<'r>,
    nul: bool,
    full: bool,
    stages: bool,
    abbrev: usize,
}

impl Printer<'_> {
    fn entry(&self, entry: &Entry, path: &[u8], out: &mut Out) -> Res<()> {
        if self.stages {
            let id = self.repo.abbreviate(entry.id, self.abbrev)?;
            out.put(format!("{:06o} {id} {}\t", entry.mode, entry.stage));
        }
        self.name(path, out)
    }

    fn name(&self, path: &[u8], out: &mut Out) -> Res<()> {
        let shown = if self.full {
            path.to_vec()
        } else {
            quote::relative(path, &self.repo.prefix)
        };
        out.put(if self.nul {
            shown
        } else {
            quote::c_style(&shown, self.repo.quote_path()?)
        });
        out.put(if self.nul { "\0" } else { "\n" });
        Ok(())
    }
}
