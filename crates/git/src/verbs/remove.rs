//! `git rm`: files out of the index, and out of the work tree unless they are to stay.

use std::fs;

use crate::exec::{Call, Plan, refusal_in_repository};
use crate::options::{Numbers, Spec, flag, parse_known};
use crate::outcome::{Out, Res, Stop};
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::known;
use crate::work::checkout_file::WorkTree;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec::Pathspec;
use crate::work::pathspec_file::{self, FILE_NUL, FROM_FILE};
use crate::work::tree_index;
use crate::work::work_tree::{Look, State};

const OPTIONS: &[Spec] = &[
    flag("dry-run", Some(b'n')),
    flag("quiet", Some(b'q')),
    flag("cached", None),
    flag("force", Some(b'f')),
    flag("recursive", Some(b'r')),
    flag("ignore-unmatch", None),
    flag("sparse", None),
    FROM_FILE,
    FILE_NUL,
];

/// Says what an rm would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse_known(args, OPTIONS, Numbers::No, &known::RM).map(|_| Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let mut parsed = parse_known(args, OPTIONS, Numbers::No, &known::RM)
        .map_err(|refusal| refusal_in_repository(call, refusal, false))?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-index-change"])?;
    parsed.args = pathspec_file::patterns(&repo, &parsed, &parsed.args)?;
    if parsed.args.is_empty() {
        return Err(Stop::fatal(
            "No pathspec was given. Which files should I remove?",
        ));
    }
    let cached = parsed.has("cached");
    let mut edit = IndexEdit::begin(&repo)?;
    let spec = Pathspec::parse(&repo, &parsed.args)?;
    if edit.sparse.is_on() && parsed.has("sparse") {
        return Err(Stop::not_native("removing what is not checked out"));
    }
    let doomed = meant(
        &repo,
        &edit,
        &parsed.args,
        &spec,
        parsed.has("recursive"),
        parsed.has("ignore-unmatch"),
    )?;
    if doomed.iter().any(|(_, m)| mode::is_commit(*m)) {
        return Err(Stop::not_native("removing a submodule"));
    }
    if !parsed.has("force") {
        let text = local_changes(&repo, &edit, &doomed, cached)?;
        if !text.is_empty() {
            repo.call.warn(text);
            return Err(Stop::exit(1));
        }
    }
    if !parsed.has("quiet") {
        for (path, _) in &doomed {
            let sides = (0..edit.sides(path)).filter(|n| spec.matches_side(path, *n));
            for _ in sides {
                out.put([b"rm '", path.as_slice(), b"'\n"].concat());
            }
        }
    }
    if parsed.has("dry-run") {
        return Ok(());
    }
    let mut work_tree = WorkTree::of(&repo)?;
    repo.call.wrote.set(true);
    for (path, _) in &doomed {
        edit.remove(path);
    }
    if !cached {
        let mut removed_any = false;
        for (path, mode) in &doomed {
            match work_tree.remove_tracked(path, *mode) {
                Ok(()) => removed_any = true,
                Err(text) if !removed_any => {
                    return Err(Stop::fatal(format!("git rm: {text}")));
                }
                Err(_) => {}
            }
        }
        work_tree.remove_empty_directories();
    }
    edit.commit()
}

/// Lists what the arguments mean, each path once.
fn meant(
    repo: &Repo<'_>,
    edit: &IndexEdit<'_>,
    args: &[Bytes],
    spec: &Pathspec,
    recursive: bool,
    unmatched_ok: bool,
) -> Res<Vec<(Bytes, u32)>> {
    let mut doomed: Vec<(Bytes, u32)> = Vec::new();
    let mut left_out = false;
    for ((path, stage), item) in edit.iter() {
        let before = edit.sides_before(path, *stage);
        if spec.matches_side(path, before) && doomed.last().is_none_or(|(p, _)| p != path) {
            if item.skip_worktree {
                left_out = true;
                continue;
            }
            doomed.push((path.clone(), item.mode));
        }
    }
    for arg in args {
        let one = Pathspec::parse(repo, std::slice::from_ref(arg))?;
        if one.only_excludes() {
            continue;
        }
        let hits: Vec<&Bytes> = doomed
            .iter()
            .map(|(p, _)| p)
            .filter(|p| one.matches_without_excludes(p))
            .collect();
        if hits.is_empty() {
            if unmatched_ok {
                continue;
            }
            if left_out {
                return Err(Stop::not_native("removing what is not checked out"));
            }
            return Err(Stop::fatal(
                [b"pathspec '".as_slice(), arg, b"' did not match any files"].concat(),
            ));
        }
        // A directory by its name needs `-r`; a pattern does not.
        let by_directory = hits.iter().any(|p| one.matches_as_directory(p));
        if !recursive && by_directory {
            return Err(Stop::fatal(
                [
                    b"not removing '".as_slice(),
                    if arg.is_empty() { b"." } else { arg },
                    b"' recursively without -r",
                ]
                .concat(),
            ));
        }
    }
    Ok(doomed)
}

/// Says what would be lost; empty when nothing would.
fn local_changes(
    repo: &Repo<'_>,
    edit: &IndexEdit<'_>,
    doomed: &[(Bytes, u32)],
    cached: bool,
) -> Res<String> {
    let head = repo.head()?.id;
    let staged: std::collections::BTreeSet<Bytes> =
        tree_index::changes(repo, head, &edit.base, &Pathspec::default())?
            .into_iter()
            .map(|p| p.path().to_vec())
            .collect();
    let mut look = Look::new(repo, &edit.base)?;
    let (mut both, mut in_index, mut in_files) = (Vec::new(), Vec::new(), Vec::new());
    for (path, _) in doomed {
        // A conflict is removed without a word.
        let Some(entry) = edit.base.find(path).filter(|e| e.stage == 0) else {
            continue;
        };
        let full = bytes::join(repo.need_work_tree()?, path);
        match fs::symlink_metadata(bytes::to_path(&full)) {
            Err(_) => continue,
            // A directory in its place is left alone.
            Ok(meta) if meta.is_dir() => continue,
            Ok(_) => {}
        }
        let changed = matches!(look.at(entry, path)?, State::Differs(_));
        let differs = head.is_none() || staged.contains(path);
        if changed && differs && !(cached && entry.intent_to_add) {
            both.push(path);
        } else if !cached && differs {
            in_index.push(path);
        } else if !cached && changed {
            in_files.push(path);
        }
    }
    let hints = repo.config.bool("advice.rmhints")?.unwrap_or(true);
    let mut text = String::new();
    let mut say = |paths: &[&Bytes], one: &str, many: &str, hint: &str| {
        if paths.is_empty() {
            return;
        }
        let title = if paths.len() == 1 { one } else { many };
        text.push_str(&format!("error: {title}\n"));
        for path in paths {
            text.push_str(&format!("    {}\n", lossy(path)));
        }
        if hints {
            text.push_str(&format!("({hint})\n"));
        }
    };
    say(
        &both,
        "the following file has staged content different from both the\nfile and the HEAD:",
        "the following files have staged content different from both the\nfile and the HEAD:",
        "use -f to force removal",
    );
    say(
        &in_index,
        "the following file has changes staged in the index:",
        "the following files have changes staged in the index:",
        "use --cached to keep the file, or -f to force removal",
    );
    say(
        &in_files,
        "the following file has local modifications:",
        "the following files have local modifications:",
        "use --cached to keep the file, or -f to force removal",
    );
    Ok(text)
}
