//! `git clean`: files that are not tracked, taken away.
//!
//! A directory leaves whole when nothing in it is tracked or ignored. Repositories in the work tree are left to git.

use std::fs;
use std::path::Path;

use crate::exec::{self, Call, Plan};
use crate::options::{Known, Numbers, Parsed, Spec, flag, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::repository::lock::system_words;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::quote;
use crate::work::ignore::Ignore;
use crate::work::index::Index;

const OPTIONS: &[Spec] = &[
    flag("quiet", Some(b'q')).or_no(),
    flag("dry-run", Some(b'n')).or_no(),
    flag("force", Some(b'f')).or_no(),
    Spec {
        name: "",
        ..flag("", Some(b'd'))
    },
    Spec {
        name: "all",
        ..flag("all", Some(b'x'))
    },
];

const KNOWN: Known = Known {
    long: "quiet dry-run force interactive exclude",
    short: "qnfidexX",
    usage: Some(include_str!("usage/clean.txt")),
};

/// Says what a clean would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args)?;
    Ok(if parsed.has("dry-run") {
        Plan::Read
    } else {
        Plan::LocalWrite
    })
}

fn parse(args: &[Bytes]) -> Res<Parsed> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN)?;
    if args.iter().any(|a| a == b"--all") {
        return Err(Stop::not_native("option `--all`"));
    }
    Ok(parsed)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = exec::after_setup(call, parse(args))?;
    let repo = Repo::open(call)?;
    let top = repo.need_work_tree()?.to_vec();
    let forces = parsed.options.iter().filter(|g| g.name == "force").count();
    let dry = parsed.has("dry-run");
    if repo.config.bool("clean.requireforce")? != Some(false) && forces == 0 && !dry {
        return Err(Stop::fatal(
            "clean.requireForce is true and -f not given: refusing to clean",
        ));
    }
    if !parsed.args.is_empty() || !repo.prefix.is_empty() || call.started_in != top {
        return Err(Stop::not_native("cleaning a part of the work tree"));
    }
    if forces > 1 || parsed.last("force").is_some_and(|g| g.negated) {
        return Err(Stop::not_native("cleaning repositories away"));
    }
    repo.refuse_odd_writes()?;
    repo.refuse_sparse()?;
    let index = repo.index()?;
    index.refuse_untracked_cache(&repo)?;
    if index.entries.iter().any(|e| e.skip_worktree) {
        return Err(Stop::not_native("files that are left out of the work tree"));
    }
    let found = find(
        &repo,
        &index,
        parsed.has("all"),
        parsed.options.iter().any(|g| g.name.is_empty()),
    )?;
    call.wrote.set(!dry);
    let quotes = repo.quote_path()?;
    for path in found {
        let shown = quote::c_style(&path, quotes);
        let full = bytes::to_path(&bytes::join(&top, path.strip_suffix(b"/").unwrap_or(&path)));
        if !dry && let Err(e) = remove(&path, &full) {
            call.warn(format!(
                "warning: failed to remove {}: {}\n",
                lossy(&shown),
                system_words(&e)
            ));
            out.code = 1;
            continue;
        }
        if !parsed.has("quiet") {
            out.put(if dry { "Would remove " } else { "Removing " });
            out.put([shown.as_slice(), b"\n"].concat());
        }
    }
    Ok(())
}

/// Takes a file or a whole directory away.
pub(crate) fn remove(path: &[u8], full: &Path) -> std::io::Result<()> {
    if path.ends_with(b"/") {
        fs::remove_dir_all(full)
    } else {
        fs::remove_file(full)
    }
}

/// Lists what is not tracked, in order; directories, which are looked for only when asked, end with a slash.
pub(crate) fn find(
    repo: &Repo<'_>,
    index: &Index,
    ignored_too: bool,
    directories: bool,
) -> Res<Vec<Bytes>> {
    let mut find = Find {
        repo,
        top: repo.need_work_tree()?,
        index,
        ignore: (!ignored_too).then(|| Ignore::load(repo)).transpose()?,
        directories,
        found: Vec::new(),
    };
    find.walk(b"")?;
    find.found.sort();
    Ok(find.found)
}

/// Looks for what is not tracked.
struct Find<'a> {
    repo: &'a Repo<'a>,
    top: &'a [u8],
    index: &'a Index,
    /// `None` when ignored files leave too.
    ignore: Option<Ignore>,
    /// Whether directories leave.
    directories: bool,
    /// What leaves; directories end with a slash.
    found: Vec<Bytes>,
}

impl Find<'_> {
    /// Walks a directory that holds tracked files; it ends with a slash, or is the top.
    fn walk(&mut self, dir: &[u8]) -> Res<()> {
        for (name, is_dir) in self.entries(dir)? {
            let path = [dir, name.as_slice()].concat();
            if name == b".git" || self.index.find(&path).is_some() || self.is_conflict(&path) {
                continue;
            }
            if !is_dir {
                if !self.is_ignored(&path, false) {
                    self.found.push(path);
                }
                continue;
            }
            let below = [path.as_slice(), b"/"].concat();
            if self.index.has_below(&below) {
                self.walk(&below)?;
            } else if self.directories && !self.is_ignored(&path, true) {
                let from = self.found.len();
                if self.walk_untracked(&below)? {
                    self.found.truncate(from);
                    self.found.push(below);
                }
            }
        }
        Ok(())
    }

    /// Walks a directory without tracked files; returns whether it leaves whole.
    fn walk_untracked(&mut self, dir: &[u8]) -> Res<bool> {
        let mut whole = true;
        for (name, is_dir) in self.entries(dir)? {
            let path = [dir, name.as_slice()].concat();
            if name == b".git" {
                return Err(Stop::not_native("a repository in the work tree"));
            }
            if self.is_ignored(&path, is_dir) {
                whole = false;
                continue;
            }
            if !is_dir {
                self.found.push(path);
                continue;
            }
            let below = [path.as_slice(), b"/"].concat();
            let from = self.found.len();
            if self.walk_untracked(&below)? {
                self.found.truncate(from);
                self.found.push(below);
            } else {
                whole = false;
            }
        }
        Ok(whole)
    }

    fn entries(&self, dir: &[u8]) -> Res<Vec<(Bytes, bool)>> {
        self.repo.cancel().check()?;
        let full = bytes::to_path(&bytes::join(self.top, dir));
        let mut entries = Vec::new();
        for entry in fs::read_dir(full)? {
            let entry = entry?;
            entries.push((
                bytes::from_os(&entry.file_name()),
                entry.file_type()?.is_dir(),
            ));
        }
        Ok(entries)
    }

    fn is_conflict(&self, path: &[u8]) -> bool {
        let at = self.index.lower_bound(path);
        let entry = self.index.entries.get(at);
        entry.is_some_and(|e| self.index.path(e) == path)
    }

    fn is_ignored(&self, path: &[u8], is_dir: bool) -> bool {
        self.ignore
            .as_ref()
            .is_some_and(|ignore| ignore.is_ignored(path, is_dir))
    }
}
