//! `git commit -m`: the index as a new commit, where nothing but git itself has a say.

use git2::ObjectType;

use crate::add::{self, Staging};
use crate::attr::Attributes;
use crate::bytes::{self, Bytes, lossy};
use crate::diff_options::DiffOptions;
use crate::exec::{Call, Plan};
use crate::id::Id;
use crate::identity::Identity;
use crate::object::mode;
use crate::options::{Numbers, Parsed, Spec, flag, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::pair::{Contents, Pair};
use crate::pathspec::Pathspec;
use crate::ref_write::message_of;
use crate::repo::Repo;
use crate::stat::{self, FileStat};
use crate::{pretty, rename, status, tree_diff, tree_index};

const OPTIONS: &[Spec] = &[
    value("message", Some(b'm')),
    flag("all", Some(b'a')),
    flag("allow-empty", None),
    flag("quiet", Some(b'q')),
];

/// Says what a commit would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    if !parsed.has("message") || !parsed.args.is_empty() {
        return Err(Stop::not_native(
            "a commit without `-m`, or of some paths only",
        ));
    }
    Ok(Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    refuse(&repo)?;
    let parts: Vec<Bytes> = parsed
        .options
        .iter()
        .filter(|g| g.name == "message")
        .map(|g| g.text().to_vec())
        .collect();
    let message = message_of(&parts, false);
    if message.is_empty() || std::str::from_utf8(&message).is_err() {
        return Err(Stop::not_native("a commit without a message"));
    }
    let (author, committer) = (
        Identity::of(&repo, "AUTHOR")?,
        Identity::of(&repo, "COMMITTER")?,
    );
    let head = repo.head()?;
    let index = repo.index()?;
    index.refuse_untracked_cache(&repo)?;
    if index.entries.iter().any(|e| e.stage > 0 || e.intent_to_add) {
        return Err(Stop::not_native(
            "a commit with conflicts or announced files",
        ));
    }
    let staging = if parsed.has("all") {
        Staging::of(&repo, &index, &Pathspec::default(), &[])?
    } else {
        Staging::default()
    };
    let staged = tree_index::changes(&repo, head.id, &index, &Pathspec::default())?;
    if staging.is_empty() && staged.is_empty() && !parsed.has("allow-empty") {
        status::print_for_commit(&repo, out)?;
        let _ = std::fs::write(bytes::to_path(&repo.git_path("COMMIT_EDITMSG")), &message);
        out.code = 1;
        return Ok(());
    }
    if !staging.is_empty() && !staged.is_empty() && !parsed.has("allow-empty") {
        // Staging everything may take back what was staged; then there may be nothing to commit.
        return Err(Stop::not_native("staging everything over staged changes"));
    }
    if !staging.is_empty() {
        refuse_rewrites_in_work_tree(&repo, &index)?;
    } else {
        refuse_rewrites(&repo, &staged)?;
    }
    // From here on things are written.
    staging.write(&repo)?;
    let tree = write_tree(&repo)?;
    let id = write_commit(&repo, tree, head.id, &author, &committer, &message)?;
    let title = pretty::title(&message, b" ");
    let what: &[u8] = if head.id.is_none() {
        b"commit (initial): "
    } else {
        b"commit: "
    };
    let branch = head.branch.clone().unwrap_or_else(|| b"HEAD".to_vec());
    let subject = message.split(|b| *b == b'\n').next().unwrap_or_default();
    repo.set_ref(&branch, head.id, id, &committer, &[what, subject].concat())?;
    let _ = std::fs::write(bytes::to_path(&repo.git_path("COMMIT_EDITMSG")), &message);
    if !parsed.has("quiet") {
        summary(
            &repo,
            &branch,
            head.id,
            id,
            tree,
            &title,
            (&author, &committer),
            out,
        )?;
    }
    Ok(())
}

fn refuse(repo: &Repo<'_>) -> Res<()> {
    add::refuse(repo)?;
    // The summary is printed when everything is written; what it needs is judged before.
    DiffOptions::new(repo, &Parsed::default())?;
    repo.refuse_hooks(&[
        "pre-commit",
        "prepare-commit-msg",
        "commit-msg",
        "post-commit",
    ])?;
    for key in [
        "commit.gpgsign",
        "commit.template",
        "commit.cleanup",
        "commit.status",
        "commit.verbose",
        "i18n.commitencoding",
        "status.short",
        "trailer.separators",
        "diff.renames",
        "diff.renamelimit",
        "status.renames",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    const BUSY: &[&str] = &[
        "MERGE_HEAD",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "BISECT_LOG",
        "rebase-apply",
        "rebase-merge",
        "sequencer",
        "SQUASH_MSG",
        "MERGE_MSG",
    ];
    if BUSY.iter().any(|f| repo.has_git_file(f)) {
        return Err(Stop::not_native("a commit in the middle of an operation"));
    }
    Ok(())
}

/// git says of a file that was rewritten that it was; those summaries are left to git.
fn refuse_rewrites(repo: &Repo<'_>, pairs: &[Pair]) -> Res<()> {
    let attributes = Attributes::load(repo, None)?;
    let contents = Contents::new(repo, &attributes, None);
    for pair in pairs.iter().filter(|p| matches!(p.status, b'M' | b'T')) {
        if pair.status == b'T' || mode::is_commit(pair.new.mode) {
            return Err(Stop::not_native("a summary of a type change"));
        }
        let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
        if old.len().max(new.len()) >= 400 && rename::is_largely_rewritten(&old, &new) {
            return Err(Stop::not_native("a summary of a rewritten file"));
        }
    }
    Ok(())
}

fn refuse_rewrites_in_work_tree(repo: &Repo<'_>, index: &crate::index::Index) -> Res<()> {
    let found = crate::work_tree::changes(repo, index, &Pathspec::default())?;
    let attributes = Attributes::load(repo, Some(index))?;
    let contents = Contents::new(repo, &attributes, Some(index));
    for pair in found
        .pairs
        .iter()
        .filter(|p| p.old.exists() && p.new.exists())
    {
        if pair.status == b'T' {
            return Err(Stop::not_native("a summary of a type change"));
        }
        let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
        if old.len().max(new.len()) >= 400 && rename::is_largely_rewritten(&old, &new) {
            return Err(Stop::not_native("a summary of a rewritten file"));
        }
    }
    Ok(())
}

fn write_tree(repo: &Repo<'_>) -> Res<Id> {
    let failed = |e: git2::Error| Stop::fatal(format!("unable to write the tree: {}", e.message()));
    let mut index = repo.git.index().map_err(failed)?;
    index.read(true).map_err(failed)?;
    let tree = index.write_tree().map_err(failed)?;
    // Keeps the trees that are known now.
    index.write().map_err(failed)?;
    Ok(tree.into())
}

fn write_commit(
    repo: &Repo<'_>,
    tree: Id,
    parent: Option<Id>,
    author: &Identity,
    committer: &Identity,
    message: &[u8],
) -> Res<Id> {
    let mut data = format!("tree {tree}\n").into_bytes();
    if let Some(parent) = parent {
        data.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    for (role, who) in [("author ", author), ("committer ", committer)] {
        data.extend_from_slice(role.as_bytes());
        data.extend_from_slice(&who.line());
        data.push(b'\n');
    }
    data.push(b'\n');
    data.extend_from_slice(message);
    repo.write_object(ObjectType::Commit, &data)
}

#[expect(
    clippy::too_many_arguments,
    reason = "one sentence with all that was just made"
)]
fn summary(
    repo: &Repo<'_>,
    branch: &[u8],
    parent: Option<Id>,
    id: Id,
    tree: Id,
    title: &[u8],
    (author, committer): (&Identity, &Identity),
    out: &mut Out,
) -> Res<()> {
    let name = match branch.strip_prefix(b"refs/heads/") {
        Some(short) => lossy(short).into_owned(),
        None => "detached HEAD".to_string(),
    };
    let root = if parent.is_none() {
        " (root-commit)"
    } else {
        ""
    };
    out.put(format!("[{name}{root} {}] ", repo.short(id)?));
    out.put([title, b"\n"].concat());
    if author.name != committer.name || author.email != committer.email {
        out.put(
            [
                b" Author: ".as_slice(),
                &author.name,
                b" <",
                &author.email,
                b">\n",
            ]
            .concat(),
        );
    }
    let options = DiffOptions::new(repo, &Parsed::default())?;
    let attributes = Attributes::load(repo, None)?;
    let contents = Contents::new(repo, &attributes, None);
    let old = match parent {
        Some(parent) => repo.commit(parent)?.tree,
        None => Id::ZERO,
    };
    let pairs = tree_diff::changes(repo, old, tree, &Pathspec::default())?;
    let pairs = rename::detect(pairs, &contents, rename::RenameOptions::default())?;
    let mut files = Vec::new();
    for pair in &pairs {
        if let Some(amount) = stat::measure(&contents, pair, &options)? {
            files.push(FileStat {
                name: Bytes::new(),
                amount,
            });
        }
    }
    if !files.is_empty() {
        stat::print_totals(&files, out);
    }
    stat::print_summary(&pairs, &options, out);
    Ok(())
}
