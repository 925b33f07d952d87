//! `git add`: what is in the work tree, into the index.

use std::fs;

use crate::exec::{Call, Plan, after_setup};
use crate::options::{Numbers, Parsed, Spec, flag, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::known;
use crate::work::ignore::Ignore;
use crate::work::index::Index;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec::{Pathspec, from_top};
use crate::work::pathspec_file::{self, FILE_NUL, FROM_FILE};
use crate::work::staging::{Done, How, Staging};
use crate::work::untracked::{self, Ignored, Wanted};

const OPTIONS: &[Spec] = &[
    flag("all", Some(b'A')).or_no(),
    flag("update", Some(b'u')),
    flag("dry-run", Some(b'n')),
    flag("verbose", Some(b'v')),
    flag("force", Some(b'f')),
    flag("intent-to-add", Some(b'N')),
    flag("ignore-errors", None),
    flag("ignore-removal", None).or_no(),
    value("chmod", None),
    flag("sparse", None),
    FROM_FILE,
    FILE_NUL,
];

/// Says what an add would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse_known(args, OPTIONS, Numbers::No, &known::ADD).map(|_| Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let mut parsed = after_setup(call, parse_known(args, OPTIONS, Numbers::No, &known::ADD))?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    refuse(&repo)?;
    if parsed.has("all") && parsed.has("update") {
        return Err(Stop::fatal("options '-A' and '-u' cannot be used together"));
    }
    parsed.args = pathspec_file::patterns(&repo, &parsed, &parsed.args)?;
    let chmod = chmod(&parsed)?;
    if chmod.is_some() && parsed.has("dry-run") {
        return Err(Stop::not_native("trying a change of modes"));
    }
    let everything = parsed.has("all") || parsed.has("update");
    if parsed.args.is_empty() && !everything {
        call.warn("Nothing specified, nothing added.\n");
        if repo.config.bool("advice.addemptypathspec")?.unwrap_or(true) {
            call.warn(
                "hint: Maybe you wanted to say 'git add .'?\n\
                 hint: Disable this message with \"git config advice.addEmptyPathspec false\"\n",
            );
        }
        return Ok(());
    }
    repo.index()?.refuse_untracked_cache(&repo)?;
    let mut edit = IndexEdit::begin(&repo)?;
    let spec = Pathspec::parse(&repo, &parsed.args)?;
    for arg in &parsed.args {
        refuse_way(&repo, &edit.base, arg)?;
    }
    let found = Others::find(&repo, &edit.base, &spec, &parsed)?;
    refuse_left_out(&repo, &edit, &parsed, &found.others)?;
    for arg in &parsed.args {
        verify_match(&repo, &edit.base, arg, &found.others)?;
    }
    let keeps_removed =
        parsed.has("ignore-removal") || parsed.last("all").is_some_and(|g| g.negated);
    let how = How {
        dry: parsed.has("dry-run"),
        announce: parsed.has("intent-to-add"),
    };
    let mut staging = Staging::tracked(&repo, &edit.base, &spec, !keeps_removed)?;
    if how.announce && !staging.is_empty() {
        return Err(Stop::not_native("announcing over changes of tracked files"));
    }
    staging.refuse_filters(&repo, &edit.base)?;
    if parsed.has("update") && unknown_to_index(&repo, &edit.base, &parsed.args)? {
        return Err(Stop::exit(128));
    }
    let mut embedded = Embedded::default();
    for dir in found.others.iter().filter_map(|p| p.strip_suffix(b"/")) {
        embedded.warn(&repo, dir)?;
    }
    staging.add_others(&repo, &found.others)?;
    staging.refuse_filters(&repo, &edit.base)?;
    call.wrote.set(!how.dry);
    let done = staging.apply(&repo, &mut edit, how)?;
    if parsed.has("verbose") || how.dry {
        for (path, what) in &done {
            let word: &[u8] = match what {
                Done::Added => b"add '",
                Done::Removed => b"remove '",
            };
            out.put([word, path, b"'\n"].concat());
        }
    }
    if !found.ignored.is_empty() {
        tell_ignored(&repo, &found.ignored)?;
        out.code = 1;
    }
    if how.dry {
        return Ok(());
    }
    if let Some(executable) = chmod {
        change_modes(&repo, &mut edit, &spec, executable, out);
    }
    edit.refresh_matching(&spec)?;
    edit.commit()
}

/// Hands over what is not staged here.
pub(crate) fn refuse(repo: &Repo<'_>) -> Res<()> {
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-index-change"])?;
    if repo.config.bool("core.symlinks")? == Some(false) {
        return Err(Stop::not_native("a work tree without symbolic links"));
    }
    for key in [
        "core.bigfilethreshold",
        "add.ignoreerrors",
        "add.ignore-errors",
        "core.protecthfs",
        "core.protectntfs",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    Ok(())
}

fn chmod(parsed: &Parsed) -> Res<Option<bool>> {
    match parsed.last("chmod").map(|g| g.text().to_vec()) {
        None => Ok(None),
        Some(v) if v == b"+x" => Ok(Some(true)),
        Some(v) if v == b"-x" => Ok(Some(false)),
        Some(v) => Err(Stop::fatal(format!(
            "--chmod param '{}' must be either -x or +x",
            lossy(&v)
        ))),
    }
}

fn change_modes(
    repo: &Repo<'_>,
    edit: &mut IndexEdit<'_>,
    spec: &Pathspec,
    executable: bool,
    out: &mut Out,
) {
    let paths: Vec<Bytes> = edit
        .iter()
        .filter(|((path, stage), _)| *stage == 0 && spec.matches(path))
        .map(|((path, _), _)| path.clone())
        .collect();
    for path in paths {
        let Some(item) = edit.get(&path).copied() else {
            continue;
        };
        if !mode::is_file(item.mode) {
            let sign = if executable { '+' } else { '-' };
            repo.call
                .warn(format!("cannot chmod {sign}x '{}'\n", lossy(&path)));
            out.code = 1;
            continue;
        }
        let mut item = item;
        item.mode = if executable {
            mode::EXECUTABLE
        } else {
            mode::FILE
        };
        edit.put(&path, item);
    }
}

/// A path behind a symbolic link or inside of a submodule is refused.
fn refuse_way(repo: &Repo<'_>, index: &Index, arg: &[u8]) -> Res<()> {
    if arg.first() == Some(&b':') {
        return Ok(());
    }
    let Some(path) = from_top(repo, arg)? else {
        return Ok(());
    };
    let top = repo.need_work_tree()?;
    for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
        let above = &path[..i];
        if index.find(above).is_some_and(|e| mode::is_commit(e.mode)) && i + 1 < path.len() {
            return Err(Stop::fatal(format!(
                "Pathspec '{}' is in submodule '{}'",
                lossy(arg),
                lossy(above)
            )));
        }
        let full = bytes::to_path(&bytes::join(top, above));
        if i + 1 < path.len() && fs::symlink_metadata(full).is_ok_and(|m| m.is_symlink()) {
            return Err(Stop::fatal(format!(
                "pathspec '{}' is beyond a symbolic link",
                lossy(arg)
            )));
        }
    }
    Ok(())
}

/// Hands over what git would say about paths that are left out of a sparse work tree.
fn refuse_left_out(
    repo: &Repo<'_>,
    edit: &IndexEdit<'_>,
    parsed: &Parsed,
    others: &[Bytes],
) -> Res<()> {
    let refused = || Stop::not_native("adding what is left out of the work tree");
    let outside = others.iter().any(|path| !edit.sparse.includes(path));
    if outside || edit.sparse.is_on() && parsed.has("sparse") {
        return Err(refused());
    }
    if !edit.iter().any(|(_, item)| item.skip_worktree) {
        return Ok(());
    }
    for arg in &parsed.args {
        let one = Pathspec::parse(repo, std::slice::from_ref(arg))?;
        let mut known = edit.iter().filter(|((path, _), _)| one.matches(path));
        let meant = others.iter().any(|path| one.matches(path))
            || known.clone().any(|(_, item)| !item.skip_worktree);
        if !meant && known.next().is_some() {
            return Err(refused());
        }
    }
    Ok(())
}

/// Files that are not tracked: those to be added, and ignored ones that were named.
struct Others {
    others: Vec<Bytes>,
    ignored: Vec<Bytes>,
}

impl Others {
    fn find(repo: &Repo<'_>, index: &Index, spec: &Pathspec, parsed: &Parsed) -> Res<Others> {
        let mut found = Others {
            others: Vec::new(),
            ignored: Vec::new(),
        };
        if parsed.has("update") {
            return Ok(found);
        }
        let force = parsed.has("force");
        let wanted = Wanted {
            collapse: false,
            ignored: if force {
                Ignored::Traditional
            } else {
                Ignored::No
            },
        };
        let lists = untracked::list(repo, index, spec, wanted)?;
        found.others = lists.untracked;
        found.others.extend(lists.ignored);
        found.others.sort();
        if force {
            return Ok(found);
        }
        let ignore = Ignore::load(repo)?;
        let top = repo.need_work_tree()?;
        for arg in &parsed.args {
            if arg.first() == Some(&b':') || arg.iter().any(|c| b"*?[\\".contains(c)) {
                continue;
            }
            let Some(path) = from_top(repo, arg)? else {
                continue;
            };
            let path = path.strip_suffix(b"/").unwrap_or(&path);
            let ends = path
                .iter()
                .enumerate()
                .filter(|(_, b)| **b == b'/')
                .map(|(i, _)| i)
                .chain([path.len()]);
            let mut inside_ignored = false;
            for end in ends.filter(|end| *end > 0) {
                let part = &path[..end];
                let full = bytes::to_path(&bytes::join(top, part));
                let Ok(meta) = fs::symlink_metadata(&full) else {
                    break;
                };
                inside_ignored |= ignore.is_ignored(part, meta.is_dir());
                let tracked = index.find(part).is_some() || index.has_below(&[part, b"/"].concat());
                if inside_ignored && !tracked {
                    if !found.ignored.iter().any(|p| p == part) {
                        found.ignored.push(part.to_vec());
                    }
                    break;
                }
            }
        }
        found.ignored.sort();
        Ok(found)
    }
}

fn tell_ignored(repo: &Repo<'_>, ignored: &[Bytes]) -> Res<()> {
    repo.call
        .warn("The following paths are ignored by one of your .gitignore files:\n");
    for path in ignored {
        repo.call.warn([path.as_slice(), b"\n"].concat());
    }
    if repo.config.bool("advice.addignoredfile")?.unwrap_or(true) {
        repo.call.warn(
            "hint: Use -f if you really want to add them.\n\
             hint: Disable this message with \"git config advice.addIgnoredFile false\"\n",
        );
    }
    Ok(())
}

/// Ends with git's error when an argument means nothing that is there.
fn verify_match(repo: &Repo<'_>, index: &Index, arg: &Bytes, others: &[Bytes]) -> Res<()> {
    let one = Pathspec::parse(repo, std::slice::from_ref(arg))?;
    if one.only_excludes() {
        return Ok(());
    }
    let known = others
        .iter()
        .any(|p| one.matches(p) || one.matches(p.strip_suffix(b"/").unwrap_or(p)))
        || index.entries.iter().any(|e| one.matches(index.path(e)));
    let magic = arg.first() == Some(&b':');
    if known || magic && arg.as_slice() == b":/" {
        return Ok(());
    }
    let path = if magic { None } else { from_top(repo, arg)? };
    let exists = path.is_some_and(|path| {
        let top = repo.work_tree.clone().unwrap_or_default();
        path.is_empty() || fs::symlink_metadata(bytes::to_path(&bytes::join(&top, &path))).is_ok()
    });
    if exists {
        return Ok(());
    }
    Err(Stop::fatal(
        [b"pathspec '".as_slice(), arg, b"' did not match any files"].concat(),
    ))
}

/// With `-u`, a path that exists but is not tracked is an error.
fn unknown_to_index(repo: &Repo<'_>, index: &Index, args: &[Bytes]) -> Res<bool> {
    let mut any = false;
    for arg in args {
        let one = Pathspec::parse(repo, std::slice::from_ref(arg))?;
        let known = index.entries.iter().any(|e| one.matches(index.path(e)));
        if !known && !one.only_excludes() {
            repo.call.warn(
                [
                    b"error: pathspec '".as_slice(),
                    arg,
                    b"' did not match any file(s) known to git\n",
                ]
                .concat(),
            );
            any = true;
        }
    }
    Ok(any)
}

/// Repositories that are added as such; the advice is given once.
#[derive(Default)]
struct Embedded {
    advised: bool,
}

impl Embedded {
    fn warn(&mut self, repo: &Repo<'_>, dir: &[u8]) -> Res<()> {
        if crate::repository::submodule::head_of(repo, dir)?.is_none() {
            return Ok(());
        }
        let dir = lossy(dir);
        repo.call
            .warn(format!("warning: adding embedded git repository: {dir}\n"));
        if !self.advised && repo.config.bool("advice.addembeddedrepo")?.unwrap_or(true) {
            self.advised = true;
            repo.call.warn(format!(
                "hint: You've added another git repository inside your current repository.\n\
                 hint: Clones of the outer repository will not contain the contents of\n\
                 hint: the embedded repository and will not know how to obtain it.\n\
                 hint: If you meant to add a submodule, use:\n\
                 hint:\n\
                 hint: \tgit submodule add <url> {dir}\n\
                 hint:\n\
                 hint: If you added this path by mistake, you can remove it from the\n\
                 hint: index with:\n\
                 hint:\n\
                 hint: \tgit rm --cached {dir}\n\
                 hint:\n\
                 hint: See \"git help submodule\" for more information.\n\
                 hint: Disable this message with \"git config advice.addEmbeddedRepo false\"\n"
            ));
        }
        Ok(())
    }
}
