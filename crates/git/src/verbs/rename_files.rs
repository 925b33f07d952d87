//! `git mv`: tracked files and directories under another name, in the index and in the work tree.

use std::collections::BTreeSet;
use std::fs;

use crate::exec::{Call, Plan, after_setup};
use crate::options::{Numbers, Spec, flag, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::repository::lock::system_words;
use crate::repository::object::mode;
use crate::repository::repo::{Repo, prefix_below};
use crate::text::bytes::{self, Bytes, basename, lossy};
use crate::verbs::known;
use crate::work::checkout_file::refuse_name;
use crate::work::index::stat_of;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec::from_top;

const OPTIONS: &[Spec] = &[
    flag("verbose", Some(b'v')),
    flag("dry-run", Some(b'n')),
    flag("force", Some(b'f')),
    flag("skip", Some(b'k')),
    flag("sparse", None),
];

/// Says what a move would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &known::MV)?;
    if parsed.args.len() < 2 {
        return Err(Stop::not_native("a move without a destination"));
    }
    Ok(Plan::LocalWrite)
}

/// One move.
struct Move {
    from: Bytes,
    to: Bytes,
    /// A file that comes along with its directory is not moved on disk by itself.
    with_directory: bool,
    is_directory: bool,
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    after_setup(call, plan(args))?;
    let parsed = after_setup(call, parse_known(args, OPTIONS, Numbers::No, &known::MV))?;
    let repo = Repo::open(call)?;
    let top = repo.need_work_tree()?.to_vec();
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-index-change"])?;
    if repo.config.bool("core.ignorecase")? == Some(true) {
        return Err(Stop::not_native("moving where case does not count"));
    }
    let (skip, force) = (parsed.has("skip"), parsed.has("force"));
    let mut edit = IndexEdit::begin(&repo)?;
    let Some((last, sources)) = parsed.args.split_last() else {
        return Err(Stop::not_native("a move without a destination"));
    };
    let path_of = |arg: &Bytes| -> Res<Bytes> {
        match from_top(&repo, arg)? {
            Some(path) => Ok(path),
            None => Err(Stop::not_native("a path outside of the work tree")),
        }
    };
    let exists = |path: &[u8]| fs::symlink_metadata(bytes::to_path(&bytes::join(&top, path)));
    let dest = path_of(last)?;
    let dest_plain = dest.strip_suffix(b"/").unwrap_or(&dest).to_vec();
    let inside = [dest_plain.as_slice(), b"/file"].concat();
    if !edit.sparse.includes(&dest_plain) && !edit.sparse.includes(&inside) {
        return Err(Stop::not_native("moving in a sparse work tree"));
    }
    let dest_is_dir = dest_plain.is_empty() || exists(&dest_plain).is_ok_and(|m| m.is_dir());
    if !dest_is_dir && sources.len() > 1 {
        return Err(Stop::fatal(format!(
            "destination '{}' is not a directory",
            lossy(&dest_plain)
        )));
    }
    let mut moves: Vec<Move> = Vec::new();
    let mut taken: BTreeSet<Bytes> = BTreeSet::new();
    let mut queue: Vec<(Bytes, Bytes, bool)> = Vec::new();
    for source in sources {
        let from = path_of(source)?;
        let from = from.strip_suffix(b"/").unwrap_or(&from).to_vec();
        let to = if dest_is_dir {
            join_plain(&dest_plain, basename(&from))
        } else {
            dest.clone()
        };
        queue.push((from, to, false));
    }
    let mut next = 0;
    while let Some((from, to, with_directory)) = queue.get(next).cloned() {
        next += 1;
        if is_beyond_link(&top, &from) || is_beyond_link(&top, &to) {
            return Err(Stop::not_native("a path beyond a symbolic link"));
        }
        if parsed.has("dry-run") {
            out.put(
                [
                    b"Checking rename of '",
                    from.as_slice(),
                    b"' to '",
                    &to,
                    b"'\n",
                ]
                .concat(),
            );
        }
        let mut bad: Option<&str> = None;
        let mut is_directory = false;
        let meta = exists(&from);
        match &meta {
            Err(_) => {
                if edit.get(&from).is_some_and(|i| i.skip_worktree) {
                    return Err(Stop::not_native("moving what is not checked out"));
                }
                bad = Some("bad source");
            }
            Ok(_) if prefix_below(&to, &from).is_some() && !from.is_empty() => {
                bad = Some("can not move directory into itself");
            }
            Ok(meta) if meta.is_dir() => {
                is_directory = true;
                if edit.get(&from).is_some_and(|i| mode::is_commit(i.mode)) {
                    return Err(Stop::not_native("moving a submodule"));
                }
                let below = edit.below(&[from.as_slice(), b"/"].concat());
                if exists(to.strip_suffix(b"/").unwrap_or(&to)).is_ok() {
                    bad = Some("destination already exists");
                } else if below.is_empty() {
                    bad = Some("source directory is empty");
                } else {
                    let to = to.strip_suffix(b"/").unwrap_or(&to);
                    for path in below {
                        let target = [to, &path[from.len()..]].concat();
                        queue.push((path, target, true));
                    }
                }
            }
            Ok(_) => {
                let to_plain = to.strip_suffix(b"/").unwrap_or(&to);
                if !edit.has(&from) {
                    bad = Some("not under version control");
                } else if edit.get(&from).is_none() {
                    bad = Some("conflicted");
                } else if exists(to_plain).is_ok() && !with_directory {
                    let is_file = exists(to_plain).is_ok_and(|m| !m.is_dir());
                    if force && is_file {
                        if parsed.has("verbose") {
                            repo.call
                                .warn(format!("warning: overwriting '{}'\n", lossy(to_plain)));
                        }
                    } else if force {
                        bad = Some("Cannot overwrite");
                    } else {
                        bad = Some("destination exists");
                    }
                } else if taken.contains(&to) {
                    bad = Some("multiple sources for the same target");
                } else if to.ends_with(b"/") {
                    bad = Some("destination directory does not exist");
                }
            }
        }
        match bad {
            None => {
                refuse_name(&to, 0)?;
                taken.insert(to.clone());
                moves.push(Move {
                    from,
                    to: to.strip_suffix(b"/").unwrap_or(&to).to_vec(),
                    with_directory,
                    is_directory,
                });
            }
            Some(_) if skip => {}
            Some(why) => {
                return Err(Stop::fatal(
                    [
                        why.as_bytes(),
                        b", source=",
                        from.as_slice(),
                        b", destination=",
                        &to,
                    ]
                    .concat(),
                ));
            }
        }
    }
    let dry = parsed.has("dry-run");
    if parsed.has("sparse") && edit.sparse.is_on() {
        return Err(Stop::not_native("moving in a sparse work tree"));
    }
    for one in &moves {
        let left_out = edit.get(&one.from).is_some_and(|i| i.skip_worktree);
        if left_out || !one.is_directory && !edit.sparse.includes(&one.to) {
            return Err(Stop::not_native("moving what is not checked out"));
        }
    }
    if !dry {
        repo.call.wrote.set(true);
    }
    for one in &moves {
        if dry || parsed.has("verbose") {
            out.put([b"Renaming ", one.from.as_slice(), b" to ", &one.to, b"\n"].concat());
        }
        if dry {
            continue;
        }
        if !one.with_directory {
            let (a, b) = (bytes::join(&top, &one.from), bytes::join(&top, &one.to));
            if let Err(e) = fs::rename(bytes::to_path(&a), bytes::to_path(&b)) {
                if skip {
                    continue;
                }
                return Err(Stop::fatal(format!(
                    "renaming '{}' failed: {}",
                    lossy(&one.from),
                    system_words(&e)
                )));
            }
        }
        if one.is_directory {
            continue;
        }
        if let Some(item) = edit.get(&one.from).copied() {
            edit.forget(&one.from);
            let mut item = item;
            // Renaming changes what the system remembers of a file; its contents are the same.
            if let Ok(meta) = fs::symlink_metadata(bytes::to_path(&bytes::join(&top, &one.to))) {
                let now = stat_of(&meta);
                if now.mtime == item.stat.mtime && now.size == item.stat.size {
                    item.stat.ctime = now.ctime;
                }
            }
            edit.put(&one.to, item);
        }
    }
    if dry {
        return Ok(());
    }
    edit.commit()
}

/// Says whether a directory on the way to a path is a symbolic link, so that the path lies elsewhere.
fn is_beyond_link(top: &[u8], path: &[u8]) -> bool {
    path.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .any(|(end, _)| bytes::to_path(&bytes::join(top, &path[..end])).is_symlink())
}

fn join_plain(dir: &[u8], name: &[u8]) -> Bytes {
    if dir.is_empty() {
        name.to_vec()
    } else {
        [dir, b"/", name].concat()
    }
}
