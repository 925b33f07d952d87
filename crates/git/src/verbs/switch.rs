//! `git checkout <branch>` and `git switch`: HEAD, index and work tree to another commit, local changes carried along.
//!
//! The order is git's: everything that can be refused is refused before the first file is written. Paths are
//! `restore`'s business.

use crate::exec::{Call, Plan, after_setup};
use crate::history::rev::At;
use crate::history::revwalk::{Tip, Walk, Walker};
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::branch_state;
use crate::references::reflog;
use crate::references::refs::Head;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::operation::Operation;
use crate::repository::repo::Repo;
use crate::repository::submodule;
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::branch_edit::{Start, Track, used_elsewhere, valid_branch, valid_new_branch};
use crate::verbs::diff;
use crate::verbs::known;
use crate::verbs::restore::{self, Paths};
use crate::verbs::status::Tracking;
use crate::verbs::status_long;
use crate::work::index_edit::IndexEdit;
use crate::work::pathspec::from_top;
use crate::work::pathspec_file::{self, FILE_NUL, FROM_FILE};
use crate::work::unpack;
use crate::work::unpack::Trust;

const CHECKOUT: &[Spec] = &[
    value("branch", Some(b'b')),
    value("force-branch", Some(b'B')),
    value("orphan", None),
    flag("quiet", Some(b'q')).or_no(),
    flag("force", Some(b'f')).or_no(),
    flag("detach", Some(b'd')).or_no(),
    maybe("track", Some(b't')).or_no(),
    flag("guess", None).or_no(),
    flag("progress", None).or_no(),
    flag("overlay", None).or_no(),
    flag("ours", Some(b'2')),
    flag("theirs", Some(b'3')),
    flag("merge", Some(b'm')).or_no(),
    flag("ignore-other-worktrees", None).or_no(),
    flag("overwrite-ignore", None),
    maybe("recurse-submodules", None).or_no(),
    flag("reflog", Some(b'l')),
    flag("ignore-skip-worktree-bits", None),
    FROM_FILE,
    FILE_NUL,
];

const SWITCH: &[Spec] = &[
    value("create", Some(b'c')),
    value("force-create", Some(b'C')),
    value("orphan", None),
    flag("quiet", Some(b'q')).or_no(),
    flag("force", Some(b'f')).or_no(),
    flag("discard-changes", None).or_no(),
    flag("detach", Some(b'd')).or_no(),
    maybe("track", Some(b't')).or_no(),
    flag("guess", None).or_no(),
    flag("progress", None).or_no(),
    flag("merge", Some(b'm')).or_no(),
    flag("ignore-other-worktrees", None).or_no(),
    flag("overwrite-ignore", None),
    maybe("recurse-submodules", None).or_no(),
];

/// The two commands differ in what they allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Checkout,
    Switch,
}

/// What was asked for.
struct Wish {
    command: Command,
    parsed: Parsed,
    /// The branch to make, and whether an old one of that name is moved.
    new: Option<(Bytes, bool)>,
    orphan: Option<Bytes>,
    quiet: bool,
    force: bool,
    detach: bool,
    guess: bool,
    has_dashes: bool,
}

impl Wish {
    fn parse(command: Command, args: &[Bytes]) -> Res<Wish> {
        let (specs, known) = match command {
            Command::Checkout => (CHECKOUT, &known::CHECKOUT),
            Command::Switch => (SWITCH, &known::SWITCH),
        };
        let parsed = parse_known(args, specs, Numbers::No, known)?;
        let text = |name: &str| parsed.last(name).map(|g| g.text().to_vec());
        let (new, forced) = match command {
            Command::Checkout => (text("branch"), text("force-branch")),
            Command::Switch => (text("create"), text("force-create")),
        };
        let orphan = text("orphan");
        let n = [&new, &forced, &orphan]
            .iter()
            .filter(|o| o.is_some())
            .count();
        if n > 1 {
            return Err(Stop::not_native("several new branches"));
        }
        let new = new.map(|n| (n, false)).or(forced.map(|n| (n, true)));
        let has_dashes = parsed.before_dashes.is_some();
        if command == Command::Switch && has_dashes {
            return Err(Stop::not_native("`--` with `switch`"));
        }
        Ok(Wish {
            command,
            new,
            orphan,
            quiet: parsed.has("quiet"),
            force: parsed.has("force") || parsed.has("discard-changes"),
            detach: parsed.has("detach"),
            guess: parsed.last("guess").is_none_or(|g| !g.negated),
            has_dashes,
            parsed,
        })
    }
}

/// Says what a checkout would do.
pub(crate) fn plan_checkout(args: &[Bytes]) -> Res<Plan> {
    Wish::parse(Command::Checkout, args).map(|_| Plan::LocalWrite)
}

/// Says what a switch would do.
pub(crate) fn plan_switch(args: &[Bytes]) -> Res<Plan> {
    Wish::parse(Command::Switch, args).map(|_| Plan::LocalWrite)
}

/// Carries out `git checkout`.
pub(crate) fn run_checkout(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    run(
        call,
        after_setup(call, Wish::parse(Command::Checkout, args))?,
        out,
    )
}

/// Carries out `git switch`.
pub(crate) fn run_switch(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    run(
        call,
        after_setup(call, Wish::parse(Command::Switch, args))?,
        out,
    )
}

fn run(call: &Call<'_>, wish: Wish, out: &mut Out) -> Res<()> {
    let repo = Repo::open(call)?;
    repo.need_work_tree()?;
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&["post-checkout", "post-index-change"])?;
    for key in [
        "checkout.guess",
        "checkout.defaultremote",
        "submodule.recurse",
    ] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    let mut wish = wish;
    if wish.parsed.has("recurse-submodules") {
        submodule::refuse_any(&repo)?;
    }
    name_by_tracking(&mut wish)?;
    let (place, paths) = find_place(&repo, &mut wish)?;
    let paths = pathspec_file::patterns(&repo, &wish.parsed, &paths)?;
    if !paths.is_empty() {
        return update_paths(&repo, &wish, place, &paths, out);
    }
    switch(&repo, &wish, place, out)
}

/// `-t origin/x` without a name makes the branch `x`.
fn name_by_tracking(wish: &mut Wish) -> Res<()> {
    let tracks = wish.parsed.last("track").is_some_and(|g| !g.negated);
    if !tracks || wish.new.is_some() || wish.orphan.is_some() {
        return Ok(());
    }
    let Some(arg) = wish.parsed.args.first().filter(|a| *a != b"--") else {
        return Err(Stop::fatal("--track needs a branch name"));
    };
    let name = arg.strip_prefix(b"refs/").unwrap_or(arg);
    let name = name.strip_prefix(b"remotes/").unwrap_or(name);
    match bytes::split_once(name, b'/') {
        Some((_, rest)) if !rest.is_empty() => wish.new = Some((rest.to_vec(), false)),
        _ => return Err(Stop::fatal("missing branch name; try -b")),
    }
    Ok(())
}

/// Where to go.
#[derive(Debug, Clone)]
struct Place {
    /// As it was written, `-` resolved.
    name: Bytes,
    /// The branch's full name, when it is a branch.
    branch: Option<Bytes>,
    commit: Option<Id>,
    tree: Id,
}

/// Takes the first argument for a place where it is one; returns it and the paths that are left.
fn find_place(repo: &Repo<'_>, wish: &mut Wish) -> Res<(Option<Place>, Vec<Bytes>)> {
    let args = wish.parsed.args.clone();
    let is_switch = wish.command == Command::Switch;
    let before = wish.parsed.before_dashes;
    if is_switch && args.len() > 1 {
        return Err(Stop::fatal("only one reference expected"));
    }
    match before {
        Some(0) => return Ok((None, args)),
        Some(n) if n > 1 => {
            return Err(Stop::fatal(format!(
                "only one reference expected, {n} given."
            )));
        }
        _ => {}
    }
    let Some(given) = args.first() else {
        return Ok((None, Vec::new()));
    };
    let certain = is_switch || before == Some(1);
    let name = if given == b"-" {
        b"@{-1}".to_vec()
    } else {
        given.clone()
    };
    let mut name = name;
    let is_previous = given == b"-" || given.starts_with(b"@{-");
    let mut id = if is_previous && no_previous(repo, &name)? {
        None
    } else {
        repo.resolve_place(&name)?
    };
    if id.is_none() {
        let is_file = !certain && names_file(repo, &name)?;
        let alone = args.len() == 1;
        let may_guess = wish.command == Command::Switch || alone;
        let has_wildcard = !certain && name.iter().any(|c| b"*?[\\".contains(c));
        let tracks = wish.parsed.last("track").is_some();
        let guesses = wish.guess && may_guess && !has_wildcard && wish.new.is_none() && !tracks;
        if guesses && let Some(remote) = remote_branch(repo, &name)? {
            if is_file {
                return Err(Stop::fatal(format!(
                    "'{name}' could be both a local file and a tracking branch.\n\
                         Please use -- (and optionally --no-guess) to disambiguate",
                    name = lossy(&name)
                )));
            }
            id = repo.resolve(&remote)?;
            wish.new = Some((name, false));
            name = remote;
        }
        if id.is_none() {
            if certain {
                return Err(Stop::fatal(format!("invalid reference: {}", lossy(&name))));
            }
            return Ok((None, args));
        }
    }
    let rest = args[1..].to_vec();
    let place = Place::at(repo, &name, id.unwrap_or_default())?;
    if !certain && !rest.is_empty() && names_file(repo, given)? {
        return Err(Stop::fatal(format!(
            "ambiguous argument '{}': both revision and filename\n\
             Use '--' to separate paths from revisions, like this:\n\
             'git <command> [<revision>...] -- [<file>...]'",
            lossy(given)
        )));
    }
    Ok((Some(place), rest))
}

/// Says whether HEAD has not been elsewhere that often.
fn no_previous(repo: &Repo<'_>, name: &[u8]) -> Res<bool> {
    let inner = name.strip_prefix(b"@{").and_then(|r| r.strip_suffix(b"}"));
    match inner {
        Some(inner) => Ok(repo.at_name(b"", inner)?.is_none()),
        None => Ok(false),
    }
}

fn names_file(repo: &Repo<'_>, arg: &[u8]) -> Res<bool> {
    if arg.first() == Some(&b':') {
        return Ok(false);
    }
    let Some(path) = from_top(repo, arg)? else {
        return Ok(false);
    };
    let full = bytes::join(repo.need_work_tree()?, &path);
    Ok(std::fs::symlink_metadata(bytes::to_path(&full)).is_ok())
}

/// Returns the one remote branch of a name.
fn remote_branch(repo: &Repo<'_>, name: &[u8]) -> Res<Option<Bytes>> {
    let mut found = Vec::new();
    for remote in repo.config.subsections("remote") {
        let full = [b"refs/heads/", name].concat();
        if let Some(tracking) = repo.tracking_reference(&remote, &full)
            && repo.resolve(&tracking)?.is_some()
        {
            found.push(tracking);
        }
    }
    match found.len() {
        0 => Ok(None),
        1 => Ok(found.pop()),
        _ => Err(Stop::not_native("a branch of several remotes")),
    }
}

impl Place {
    fn at(repo: &Repo<'_>, name: &[u8], id: Id) -> Res<Place> {
        let mut name = if name == b"@" {
            b"HEAD".to_vec()
        } else {
            name.to_vec()
        };
        if let Some(inner) = name.strip_prefix(b"@{").and_then(|r| r.strip_suffix(b"}")) {
            match repo.at_name(b"", inner)? {
                // Only a branch here gives its name.
                Some(At::Ref(full)) => {
                    if let Some(short) = full.strip_prefix(b"refs/heads/") {
                        name = short.to_vec();
                    }
                }
                Some(At::Commit(id)) => name = id.hex().into_bytes(),
                None => {}
            }
        }
        let full = [b"refs/heads/", name.as_slice()].concat();
        let on_branch = if crate::references::refs::is_valid_short_name(&name) {
            repo.ref_id(&full)?
        } else {
            None
        };
        let id = on_branch.unwrap_or(id);
        let Some(tree) = repo.peel_to_tree(id)? else {
            return Err(Stop::fatal(format!(
                "reference is not a tree: {}",
                lossy(&name)
            )));
        };
        Ok(Place {
            commit: repo.peel_to_commit(id)?,
            branch: on_branch.map(|_| full),
            name,
            tree,
        })
    }
}

fn update_paths(
    repo: &Repo<'_>,
    wish: &Wish,
    place: Option<Place>,
    paths: &[Bytes],
    out: &mut Out,
) -> Res<()> {
    if let (Some((new, _)), None) = (&wish.new, &place)
        && paths.len() == 1
    {
        return Err(Stop::fatal(format!(
            "'{}' is not a commit and a branch '{}' cannot be created from it",
            lossy(&paths[0]),
            lossy(new)
        )));
    }
    if wish.detach {
        return Err(Stop::fatal(format!(
            "git checkout: --detach does not take a path argument '{}'",
            lossy(&paths[0])
        )));
    }
    if wish.new.is_some() || wish.orphan.is_some() || wish.parsed.last("track").is_some() {
        return Err(Stop::not_native("a new branch and paths"));
    }
    if wish.parsed.has("reflog") {
        return Err(Stop::fatal("'-l' cannot be used with updating paths"));
    }
    restore::update(
        repo,
        &Paths {
            args: paths,
            source: place.map(|p| p.tree),
            index: true,
            work_tree: true,
            overlay: wish.parsed.last("overlay").is_none_or(|g| !g.negated),
            ours: wish.parsed.has("ours"),
            theirs: wish.parsed.has("theirs"),
            merge: wish.parsed.has("merge"),
            ignore_skip_bits: wish.parsed.has("ignore-skip-worktree-bits"),
            ignore_unmerged: wish.force.then_some("--force"),
            quiet: wish.quiet,
            count: !wish.quiet && !wish.has_dashes,
        },
        out,
    )
}

fn switch(repo: &Repo<'_>, wish: &Wish, place: Option<Place>, out: &mut Out) -> Res<()> {
    let is_switch = wish.command == Command::Switch;
    const OF_PATHS: &[&str] = &["ours", "theirs", "ignore-skip-worktree-bits"];
    let of_paths = OF_PATHS.iter().any(|o| wish.parsed.has(o));
    if of_paths || wish.parsed.last("overlay").is_some() {
        return Err(Stop::not_native("options of paths"));
    }
    let makes = wish.new.is_some() || wish.orphan.is_some();
    if wish.parsed.has("reflog") && repo.config.bool("core.logallrefupdates")? == Some(false) {
        return Err(Stop::not_native("a log for one branch only"));
    }
    if wish.parsed.has("merge") && (wish.force || wish.orphan.is_some()) {
        return Err(Stop::not_native("a merge of what is thrown away"));
    }
    if wish.detach && makes {
        return Err(Stop::not_native("a new branch that is detached"));
    }
    if is_switch && place.is_none() && !makes && !wish.detach {
        return Err(Stop::fatal("missing branch or commit argument"));
    }
    if is_switch && wish.orphan.is_some() && place.is_some() {
        return Err(Stop::fatal("'--orphan' cannot take <start-point>"));
    }
    if let Some(place) = &place
        && place.commit.is_none()
    {
        return Err(Stop::fatal(format!(
            "Cannot switch branch to a non-commit '{}'",
            lossy(&place.name)
        )));
    }
    let head = repo.head()?;
    if let Some(name) = &wish.orphan {
        valid_new_branch(repo, name, false)?;
    }
    let new_full = match &wish.new {
        Some((name, forced)) => Some(if *forced {
            valid_branch(repo, name)?;
            let full = [b"refs/heads/", name.as_slice()].concat();
            if head.branch.as_deref() == Some(&full) {
                full
            } else {
                valid_new_branch(repo, name, true)?
            }
        } else {
            valid_new_branch(repo, name, false)?
        }),
        None => None,
    };
    if is_switch {
        refuse_operation(repo)?;
    }
    if is_switch
        && !wish.detach
        && !makes
        && let Some(place) = &place
        && place.branch.is_none()
    {
        return Err(expects_a_branch(repo, place)?);
    }
    if let Some(branch) = place.as_ref().and_then(|p| p.branch.as_ref())
        && !wish.detach
        && !makes
        && !wish.parsed.has("ignore-other-worktrees")
        && head.branch.as_ref() != Some(branch)
        && let Some(path) = used_elsewhere(repo, branch)?
    {
        return Err(Stop::fatal(format!(
            "'{}' is already used by worktree at '{}'",
            lossy(&place.as_ref().map(|p| p.name.clone()).unwrap_or_default()),
            lossy(&path)
        )));
    }
    if head.id.is_none() && place.is_none() {
        return match new_full.or_else(|| {
            wish.orphan
                .as_ref()
                .map(|n| [b"refs/heads/", n.as_slice()].concat())
        }) {
            Some(full) => unborn(repo, wish, &full),
            None => Err(Stop::fatal("You are on a branch yet to be born")),
        };
    }
    go(repo, wish, &head, place, new_full, out)
}

/// Before the first commit, only the name of the branch to be changes.
fn unborn(repo: &Repo<'_>, wish: &Wish, full: &[u8]) -> Res<()> {
    let who = Identity::of(repo, "COMMITTER")?;
    repo.set_head_to_branch(full, None, &who, b"")?;
    if !wish.quiet {
        let name = full.strip_prefix(b"refs/heads/").unwrap_or(full);
        repo.call
            .warn(format!("Switched to a new branch '{}'\n", lossy(name)));
    }
    Ok(())
}

fn refuse_operation(repo: &Repo<'_>) -> Res<()> {
    let state = Operation::look(repo)?;
    let what = if state.merge {
        Some(("merging", "git merge --quit"))
    } else if state.am {
        Some(("in the middle of an am session", "git am --quit"))
    } else if state.is_rebasing() {
        Some(("rebasing", "git rebase --quit"))
    } else if state.cherry_pick.is_some() {
        Some(("cherry-picking", "git cherry-pick --quit"))
    } else if state.revert.is_some() {
        Some(("reverting", "git revert --quit"))
    } else {
        None
    };
    match what {
        Some((doing, quit)) if state.am => Err(Stop::fatal(format!(
            "cannot switch branch {doing}\nConsider \"{quit}\" or \"git worktree add\"."
        ))),
        Some((doing, quit)) => Err(Stop::fatal(format!(
            "cannot switch branch while {doing}\nConsider \"{quit}\" or \"git worktree add\"."
        ))),
        None if state.bisect => {
            repo.call
                .warn("warning: you are switching branch while bisecting\n");
            Ok(())
        }
        None => Ok(()),
    }
}

fn expects_a_branch(repo: &Repo<'_>, place: &Place) -> Res<Stop> {
    let found = repo.dwim(&place.name)?;
    let mut text = match found.as_slice() {
        [(full, _)] => {
            let (kind, name) = if let Some(short) = full.strip_prefix(b"refs/tags/") {
                ("tag ", short)
            } else if let Some(short) = full.strip_prefix(b"refs/remotes/") {
                ("remote branch ", short)
            } else {
                ("", full.as_slice())
            };
            format!("fatal: a branch is expected, got {kind}'{}'\n", lossy(name))
        }
        _ => format!(
            "fatal: a branch is expected, got commit '{}'\n",
            lossy(&place.name)
        ),
    };
    if repo
        .config
        .bool("advice.suggestdetachinghead")?
        .unwrap_or(true)
    {
        text.push_str(
            "hint: If you want to detach HEAD at the commit, try again with the --detach option.\n",
        );
    }
    Ok(Stop::Fail {
        code: 128,
        text: text.into_bytes(),
    })
}

/// Goes there.
fn go(
    repo: &Repo<'_>,
    wish: &Wish,
    head: &Head,
    place: Option<Place>,
    new_full: Option<Bytes>,
    out: &mut Out,
) -> Res<()> {
    branch_state::refuse_sequences(repo)?;
    if head.id.is_some() && !bytes::to_path(&repo.index_path()).exists() {
        return Err(Stop::not_native("a work tree that was never checked out"));
    }
    let named = place.is_some();
    let mut place = match (place, head.id) {
        (Some(place), _) => place,
        (None, Some(id)) => Place {
            name: b"HEAD".to_vec(),
            branch: None,
            commit: Some(id),
            tree: repo.commit(id)?.tree,
        },
        (None, None) => return Err(Stop::fatal("You are on a branch yet to be born")),
    };
    let Some(commit) = place.commit else {
        return Err(Stop::not_native("a place that is no commit"));
    };
    let who = Identity::of(repo, "COMMITTER")?;
    let track = Track::of(repo, &wish.parsed)?;
    let start = match &wish.new {
        Some(_) => {
            let text = if named { &place.name } else { &b"HEAD"[..] };
            Some(Start::find(repo, text, track)?)
        }
        None => None,
    };
    if let (Some(full), Some(_)) = (&new_full, &start)
        && repo.ref_id(full)?.is_none()
    {
        repo.verify_ref_available(full, None)?;
    }
    // Making a branch where we are leaves everything else alone.
    let stays = !named
        && wish.orphan.is_none()
        && !wish.force
        && !wish.parsed.has("merge")
        && !wish.parsed.has("reflog")
        && match wish.command {
            Command::Checkout => wish.new.as_ref().is_some_and(|(_, forced)| !forced),
            Command::Switch => true,
        };
    let shows_changes = !wish.force && !wish.quiet;
    let leaves = !wish.quiet && head.branch.is_none() && head.id.is_some_and(|old| old != commit);
    let farewell = if leaves {
        farewell(repo, head.id.unwrap_or_default(), commit)?
    } else {
        String::new()
    };
    if !stays {
        let empties = wish.orphan.is_some() && wish.command == Command::Switch;
        let target = if empties {
            Id::empty_tree()
        } else {
            place.tree
        };
        if !move_files(repo, wish, head, target, out)? {
            return Ok(());
        }
        if shows_changes && !empties {
            diff::print_local_changes(repo, place.tree, out)?;
        }
    }
    repo.call.warn(farewell);
    let old_name = match (&head.branch, head.id) {
        (Some(_), _) => head.short_branch().unwrap_or_default().to_vec(),
        (None, Some(id)) => id.hex().into_bytes(),
        (None, None) => b"(invalid)".to_vec(),
    };
    let mut existed = false;
    if let (Some(start), Some(full), Some((name, forced))) = (&start, &new_full, &wish.new) {
        existed = repo.ref_id(full)?.is_some();
        if head.branch.as_deref() == Some(full) && *forced {
            let what = [b"branch: Reset to ".as_slice(), &start.text].concat();
            repo.set_ref(full, head.id, start.id, &who, &what)?;
        } else {
            start.create(repo, name, full, *forced, track)?;
        }
        start.set_up(repo, name, track, wish.quiet, out)?;
        place.name = name.clone();
        place.branch = Some(full.clone());
    }
    if let Some(name) = &wish.orphan {
        place.name = name.clone();
        place.branch = Some([b"refs/heads/", name.as_slice()].concat());
    }
    let message = [
        b"checkout: moving from ",
        old_name.as_slice(),
        b" to ",
        &place.name,
    ]
    .concat();
    let makes = wish.new.is_some() || wish.orphan.is_some();
    match &place.branch {
        None if place.name == b"HEAD" && !wish.detach => {}
        Some(branch) if !wish.detach => {
            repo.set_head_to_branch(branch, head.id, &who, &message)?;
            if !wish.quiet {
                let same = head.branch.as_ref() == Some(branch);
                let words = match (same, makes, existed) {
                    (true, true, _) => "Reset branch",
                    (true, false, _) => "Already on",
                    (false, true, true) => "Switched to and reset branch",
                    (false, true, false) => "Switched to a new branch",
                    (false, false, _) => "Switched to branch",
                };
                repo.call
                    .warn(format!("{words} '{}'\n", lossy(&place.name)));
            }
            forget_log_of_unborn(repo, head)?;
        }
        _ => {
            repo.detach_head(commit, head.id, &who, &message)?;
            if !wish.quiet {
                if head.branch.is_some()
                    && !wish.detach
                    && repo.config.bool("advice.detachedhead")?.unwrap_or(true)
                {
                    repo.call.warn(detach_advice(&place.name));
                }
                repo.call.warn(position(repo, "HEAD is now at", commit)?);
            }
        }
    }
    branch_state::forget(repo, !wish.quiet);
    if !wish.quiet && !wish.detach && (place.branch.is_some() || place.name == b"HEAD") {
        print_tracking(repo, out)?;
    }
    Ok(())
}

/// A branch that never came to be takes its log with it.
fn forget_log_of_unborn(repo: &Repo<'_>, head: &Head) -> Res<()> {
    if let Some(branch) = &head.branch
        && repo.ref_id(branch)?.is_none()
    {
        let _ = std::fs::remove_file(bytes::to_path(&reflog::path(repo, branch)));
    }
    Ok(())
}

/// Changes index and work tree; `false` when that was refused, with the words said.
fn move_files(repo: &Repo<'_>, wish: &Wish, head: &Head, target: Id, out: &mut Out) -> Res<bool> {
    let mut edit = IndexEdit::begin(repo)?;
    let (steps, rejects) = if wish.force {
        unpack::one_way(repo, &edit, target, false)?
    } else {
        edit.refresh()?;
        if edit.has_conflicts() {
            let mut paths: Vec<&[u8]> = edit
                .iter()
                .filter(|((_, stage), _)| *stage > 0)
                .map(|((path, _), _)| path.as_slice())
                .collect();
            paths.dedup();
            for path in paths {
                out.put([path, b": needs merge\n"].concat());
            }
            repo.call
                .warn("error: you need to resolve your current index first\n");
            out.code = 1;
            return Ok(false);
        }
        let old = match head.id {
            Some(id) => repo.commit(id)?.tree,
            None => Id::empty_tree(),
        };
        unpack::two_way(repo, &edit, (old, target), Trust::Contents)?
    };
    if wish.parsed.has("recurse-submodules") && steps.sets_submodule() {
        return Err(Stop::not_native("submodules that are checked out along"));
    }
    if !rejects.is_empty() && wish.parsed.has("merge") {
        return Err(Stop::not_native("local changes to be merged"));
    }
    if !rejects.is_empty() {
        let hints = repo
            .config
            .bool("advice.commitbeforemerge")?
            .unwrap_or(true);
        repo.call
            .warn(unpack::rejects_text(&rejects, "checkout", hints));
        out.code = 1;
        return Ok(false);
    }
    let whole = steps.carry_out(repo, &mut edit)?;
    edit.write_tree()?;
    edit.commit()?;
    if !whole {
        out.code = 1;
    }
    Ok(true)
}

/// Says how the branch that is checked out stands to its upstream.
fn print_tracking(repo: &Repo<'_>, out: &mut Out) -> Res<()> {
    let head = repo.head()?;
    let (Some(branch), Some(id)) = (&head.branch, head.id) else {
        return Ok(());
    };
    if let Some(tracking) = Tracking::of(repo, branch, id, true)? {
        let hints = repo.config.bool("advice.statushints")?.unwrap_or(true);
        for line in status_long::tracking_lines(&tracking, hints, false) {
            out.put(line);
            out.put("\n");
        }
    }
    Ok(())
}

fn position(repo: &Repo<'_>, words: &str, id: Id) -> Res<Bytes> {
    let title = branch_state::one_line(repo, id)?;
    Ok([
        format!("{words} {} ", repo.short(id)?).as_bytes(),
        &title,
        b"\n",
    ]
    .concat())
}

/// What is said about the commit a detached HEAD leaves.
fn farewell(repo: &Repo<'_>, old: Id, new: Id) -> Res<String> {
    let tip = |id: Id, exclude: bool| Tip {
        id,
        exclude,
        ..Tip::default()
    };
    let mut tips = vec![tip(old, false), tip(new, true)];
    for reference in repo.refs(b"refs/")? {
        if let Some(id) = repo.peel_to_commit(reference.id)? {
            tips.push(tip(id, true));
        }
    }
    let walk = Walk {
        tips,
        ..Walk::default()
    };
    let mut walker = Walker::new(repo, walk)?;
    let mut lost = Vec::new();
    while let Some(step) = walker.next()? {
        lost.push(step.id);
    }
    if lost.is_empty() {
        let text = position(repo, "Previous HEAD position was", old)?;
        return Ok(lossy(&text).into_owned());
    }
    let n = lost.len();
    let line = |id: Id| -> Res<String> {
        let title = branch_state::one_line(repo, id)?;
        Ok(format!("  {} {}\n", repo.short(id)?, lossy(&title)))
    };
    let mut list = String::new();
    for id in lost.iter().take(4) {
        list.push_str(&line(*id)?);
    }
    match (n, lost.last()) {
        (5, Some(last)) => list.push_str(&line(*last)?),
        (6.., _) => list.push_str(&format!(" ... and {} more.\n", n - 4)),
        _ => {}
    }
    let commits = if n == 1 { "commit" } else { "commits" };
    let mut text = format!(
        "Warning: you are leaving {n} {commits} behind, not connected to\nany of your branches:\n\n{list}\n"
    );
    if repo.config.bool("advice.detachedhead")?.unwrap_or(true) {
        let it = if n == 1 { "it" } else { "them" };
        text.push_str(&format!(
            "If you want to keep {it} by creating a new branch, this may be a good time\n\
             to do so with:\n\n git branch <new-branch-name> {}\n\n",
            repo.short(old)?
        ));
    }
    Ok(text)
}

fn detach_advice(name: &[u8]) -> Bytes {
    let text = "'.\n\n\
        You are in 'detached HEAD' state. You can look around, make experimental\n\
        changes and commit them, and you can discard any commits you make in this\n\
        state without impacting any branches by switching back to a branch.\n\n\
        If you want to create a new branch to retain commits you create, you may\n\
        do so (now or later) by using -c with the switch command. Example:\n\n\
        \x20 git switch -c <new-branch-name>\n\n\
        Or undo this operation with:\n\n\
        \x20 git switch -\n\n\
        Turn off this advice by setting config variable advice.detachedHead to false\n\n";
    [b"Note: switching to '", name, text.as_bytes()].concat()
}
