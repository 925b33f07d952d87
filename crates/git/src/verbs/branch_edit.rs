//! Making branches and saying what they follow; deleting and renaming is in `branch_remove` and `branch_rename`.

use crate::exec::{Call, Plan};
use crate::history::rev::At;
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::refs::is_valid_short_name;
use crate::repository::config_edit;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::repository::worktrees;
use crate::text::bytes::{self, Bytes, lossy};
use crate::verbs::branch_remove;
use crate::verbs::branch_rename;

const OPTIONS: &[Spec] = &[
    flag("delete", Some(b'd')),
    flag("delete-force", Some(b'D')),
    flag("move", Some(b'm')),
    flag("move-force", Some(b'M')),
    flag("copy", Some(b'c')),
    flag("copy-force", Some(b'C')),
    flag("force", Some(b'f')).or_no(),
    flag("quiet", Some(b'q')).or_no(),
    flag("remotes", Some(b'r')),
    flag("create-reflog", None),
    maybe("track", Some(b't')).or_no(),
    value("set-upstream-to", Some(b'u')),
    flag("unset-upstream", None),
    flag("set-upstream", None),
];

/// What a command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Create,
    Delete,
    Rename,
    Copy,
    Follow,
    FollowNothing,
}

/// Says what a branch command that changes something would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    task(&parse(args, OPTIONS, Numbers::No)?)?;
    Ok(Plan::LocalWrite)
}

fn task(parsed: &Parsed) -> Res<Task> {
    let given = |a: &str, b: &str| parsed.has(a) || parsed.has(b);
    let tasks = [
        (given("delete", "delete-force"), Task::Delete),
        (given("move", "move-force"), Task::Rename),
        (given("copy", "copy-force"), Task::Copy),
        (parsed.last("set-upstream-to").is_some(), Task::Follow),
        (parsed.has("unset-upstream"), Task::FollowNothing),
    ];
    let mut wanted = tasks.iter().filter(|(given, _)| *given).map(|(_, t)| *t);
    let task = wanted.next().unwrap_or(Task::Create);
    let n = parsed.args.len();
    let fits = match task {
        Task::Create => (1..=2).contains(&n) && !parsed.has("remotes"),
        Task::Delete => true,
        Task::Rename | Task::Copy => n <= 2 && !parsed.has("remotes"),
        Task::Follow | Task::FollowNothing => n <= 1,
    };
    let track = parsed.last("track");
    if task == Task::Create && n > 2 && !parsed.has("remotes") {
        return Err(Stop::Fail {
            code: 129,
            text: crate::verbs::known::BRANCH.usage.unwrap_or_default().into(),
        });
    }
    if wanted.next().is_some() || !fits || (track.is_some() && task != Task::Create) {
        return Err(Stop::not_native("this form of `branch`"));
    }
    Ok(task)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, OPTIONS, Numbers::No)?;
    let task = task(&parsed)?;
    let repo = Repo::open(call)?;
    if parsed.has("set-upstream") {
        return Err(Stop::fatal(
            "the '--set-upstream' option is no longer supported. Please use '--track' or '--set-upstream-to' instead",
        ));
    }
    repo.refuse_odd_writes()?;
    repo.refuse_hooks(&[])?;
    if parsed.has("create-reflog") && repo.config.bool("core.logallrefupdates")? == Some(false) {
        return Err(Stop::not_native("a log for one branch only"));
    }
    match task {
        Task::Create => create(&repo, &parsed, out),
        Task::Delete => branch_remove::run(&repo, &parsed, out),
        Task::Rename => branch_rename::run(&repo, &parsed, false),
        Task::Copy => branch_rename::run(&repo, &parsed, true),
        Task::Follow => follow(&repo, &parsed, out),
        Task::FollowNothing => follow_nothing(&repo, &parsed),
    }
}

fn create(repo: &Repo<'_>, parsed: &Parsed, out: &mut Out) -> Res<()> {
    let head = repo.head()?;
    let (name, start) = match parsed.args.as_slice() {
        [name, start] => (name, start.clone()),
        [name, ..] => (
            name,
            head.short_branch()
                .map_or_else(|| b"HEAD".to_vec(), <[u8]>::to_vec),
        ),
        [] => return Err(Stop::fatal("branch name required")),
    };
    let name = branch_name(repo, name)?;
    let forced = parsed.has("force");
    let full = valid_new_branch(repo, &name, forced)?;
    let track = Track::of(repo, parsed)?;
    let start = Start::find(repo, &start, track)?;
    start.create(repo, &name, &full, forced, track)?;
    start.set_up(repo, &name, track, parsed.has("quiet"), out)
}

/// Resolves `@{-1}` where a branch's name stands.
pub(crate) fn branch_name(repo: &Repo<'_>, name: &[u8]) -> Res<Bytes> {
    let Some(inner) = name
        .strip_prefix(b"@{")
        .and_then(|rest| rest.strip_suffix(b"}"))
    else {
        return if bytes::find(name, b"@{").is_some() || name == b"@" {
            Err(Stop::not_native("a branch named by a revision"))
        } else {
            Ok(name.to_vec())
        };
    };
    match repo.at_name(b"", inner)? {
        Some(At::Ref(full)) => match full.strip_prefix(b"refs/heads/") {
            Some(short) => Ok(short.to_vec()),
            None => Err(Stop::not_native("a branch named by a revision")),
        },
        _ => Err(Stop::not_native("a branch named by a revision")),
    }
}

/// Checks a name for a branch; returns the full one.
pub(crate) fn valid_branch(repo: &Repo<'_>, name: &[u8]) -> Res<Bytes> {
    if name.starts_with(b"@{") {
        return Err(Stop::not_native("a branch named by a revision"));
    }
    if name.starts_with(b"-") || name == b"HEAD" || !is_valid_short_name(name) {
        let mut text = format!("fatal: '{}' is not a valid branch name\n", lossy(name));
        if repo.config.bool("advice.refsyntax")?.unwrap_or(true) {
            text.push_str(
                "hint: See `man git check-ref-format`\n\
                 hint: Disable this message with \"git config advice.refSyntax false\"\n",
            );
        }
        return Err(Stop::Fail {
            code: 128,
            text: text.into_bytes(),
        });
    }
    Ok([b"refs/heads/", name].concat())
}

/// Checks a name for a branch that is to be made, or moved when forced; returns the full one.
pub(crate) fn valid_new_branch(repo: &Repo<'_>, name: &[u8], forced: bool) -> Res<Bytes> {
    let full = valid_branch(repo, name)?;
    if repo.ref_id(&full)?.is_none() {
        return Ok(full);
    }
    if repo.symref(&full)?.is_some() {
        return Err(Stop::not_native("a branch that is another's name"));
    }
    if !forced {
        return Err(Stop::fatal(format!(
            "a branch named '{}' already exists",
            lossy(name)
        )));
    }
    if let Some(path) = used_by(repo, &full)? {
        return Err(Stop::fatal(format!(
            "cannot force update the branch '{}' used by worktree at '{}'",
            lossy(name),
            lossy(&path)
        )));
    }
    Ok(full)
}

/// Returns the work tree that has a branch checked out (or is rebasing or bisecting it).
pub(crate) fn used_by(repo: &Repo<'_>, full: &[u8]) -> Res<Option<Bytes>> {
    user(repo, full, worktrees::list(repo)?)
}

/// The same for work trees other than this one.
pub(crate) fn used_elsewhere(repo: &Repo<'_>, full: &[u8]) -> Res<Option<Bytes>> {
    let mut trees = worktrees::list(repo)?;
    trees.retain(|t| t.git_dir != repo.git_dir);
    user(repo, full, trees)
}

fn user(repo: &Repo<'_>, full: &[u8], trees: Vec<worktrees::WorkTree>) -> Res<Option<Bytes>> {
    for tree in trees {
        let is_here = tree.head.strip_prefix(b"ref:").map(<[u8]>::trim_ascii) == Some(full);
        if is_here && !(repo.is_bare && tree.git_dir == repo.common_dir) {
            return Ok(Some(tree.path));
        }
        if tree.claims().iter().any(|(_, name)| name == full) {
            return Ok(Some(tree.path));
        }
    }
    Ok(None)
}

/// Whether a new branch follows what it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Track {
    Never,
    /// When it starts at a remote's branch.
    Remote,
    /// When it starts at a remote's branch of the same name.
    Simple,
    /// When it starts at any branch.
    Always,
    /// Asked for on the command line.
    Explicit,
}

impl Track {
    /// Reads the options and the configuration.
    pub(crate) fn of(repo: &Repo<'_>, parsed: &Parsed) -> Res<Track> {
        if let Some(given) = parsed.last("track") {
            return match given.value.as_deref() {
                _ if given.negated => Ok(Track::Never),
                None | Some(b"direct") => Ok(Track::Explicit),
                Some(_) => Err(Stop::not_native("this value of `--track`")),
            };
        }
        match repo.config.get("branch.autosetupmerge") {
            None => Ok(Track::Remote),
            Some(b"always") => Ok(Track::Always),
            Some(b"simple") => Ok(Track::Simple),
            Some(b"inherit") => Err(Stop::not_native("branch.autoSetupMerge=inherit")),
            Some(_) => Ok(match repo.config.bool("branch.autosetupmerge")? {
                Some(false) => Track::Never,
                _ => Track::Remote,
            }),
        }
    }
}

/// Where a branch starts.
pub(crate) struct Start {
    /// As it was written.
    pub(crate) text: Bytes,
    pub(crate) id: Id,
    /// The branch it is, which the new one may follow.
    branch: Option<Bytes>,
}

impl Start {
    /// Finds out where a branch starts, or ends with git's error.
    pub(crate) fn find(repo: &Repo<'_>, text: &[u8], track: Track) -> Res<Start> {
        let shown = lossy(text);
        let explicit = track == Track::Explicit;
        let Some(id) = repo.resolve_place(text)? else {
            let head = [b"refs/remotes/", text, b"/HEAD"].concat();
            if repo.symref(&head)?.is_some() {
                return Err(Stop::not_native("a remote whose HEAD leads nowhere"));
            }
            if explicit {
                return Err(missing_upstream(repo, text)?);
            }
            return Err(Stop::fatal(format!("not a valid object name: '{shown}'")));
        };
        let named = named_reference(repo, text)?;
        let branch = match named.as_slice() {
            [] if explicit => {
                return Err(Stop::fatal(format!(
                    "cannot set up tracking information; starting point '{shown}' is not a branch"
                )));
            }
            [] => None,
            [one] => {
                let is_branch =
                    one.starts_with(b"refs/heads/") || !repo.remotes_tracking(one).is_empty();
                if !is_branch && explicit {
                    return Err(Stop::fatal(format!(
                        "cannot set up tracking information; starting point '{shown}' is not a branch"
                    )));
                }
                is_branch.then(|| one.clone())
            }
            _ => return Err(Stop::fatal(format!("ambiguous object name: '{shown}'"))),
        };
        let Some(id) = repo.peel_to_commit(id)? else {
            let (id, kind) = repo
                .peel(id)?
                .ok_or_else(|| Stop::not_native("a start that cannot be read"))?;
            repo.call.warn(format!(
                "error: object {id} is a {}, not a commit\n",
                kind.str()
            ));
            return Err(Stop::fatal(format!("not a valid branch point: '{shown}'")));
        };
        Ok(Start {
            text: text.to_vec(),
            id,
            branch,
        })
    }

    /// Makes the branch, or moves it.
    pub(crate) fn create(
        &self,
        repo: &Repo<'_>,
        name: &[u8],
        full: &[u8],
        forced: bool,
        track: Track,
    ) -> Res<()> {
        self.following(repo, name, track)?;
        let old = repo.ref_id(full)?;
        if old.is_none() {
            repo.verify_ref_available(full, None)?;
        }
        let who = Identity::of(repo, "COMMITTER")?;
        let what: &[u8] = if forced && old.is_some() {
            b"branch: Reset to "
        } else {
            b"branch: Created from "
        };
        if old == Some(self.id) && !forced {
            return Ok(());
        }
        repo.set_ref(full, old, self.id, &who, &[what, &self.text].concat())
    }

    /// Returns what the new branch follows: the remote and the branch's full name there.
    fn following(&self, repo: &Repo<'_>, name: &[u8], track: Track) -> Res<Option<(Bytes, Bytes)>> {
        let Some(branch) = self.branch.as_ref().filter(|_| track != Track::Never) else {
            return Ok(None);
        };
        let remotes = repo.remotes_tracking(branch);
        match remotes.as_slice() {
            [] if matches!(track, Track::Always | Track::Explicit) => {
                Ok(Some((b".".to_vec(), branch.clone())))
            }
            [] => Ok(None),
            [(_, there)]
                if track == Track::Simple && there.strip_prefix(b"refs/heads/") != Some(name) =>
            {
                Ok(None)
            }
            [one] => Ok(Some(one.clone())),
            _ => Err(Stop::not_native("a branch of several remotes")),
        }
    }

    /// Writes down what the branch follows, and says so.
    pub(crate) fn set_up(
        &self,
        repo: &Repo<'_>,
        name: &[u8],
        track: Track,
        quiet: bool,
        out: &mut Out,
    ) -> Res<()> {
        let Some((remote, branch)) = self.following(repo, name, track)? else {
            return Ok(());
        };
        write_upstream(repo, name, &remote, &branch, quiet, out)
    }
}

/// Returns the full names a short one may stand for; `@{u}` and its like count as the name they lead to.
fn named_reference(repo: &Repo<'_>, text: &[u8]) -> Res<Vec<Bytes>> {
    if text == b"@" {
        return Ok(vec![b"HEAD".to_vec()]);
    }
    if text.ends_with(b"}")
        && let Some(at) = bytes::find(text, b"@{")
    {
        return Ok(
            match repo.at_name(&text[..at], &text[at + 2..text.len() - 1])? {
                Some(At::Ref(name)) => vec![name],
                _ => Vec::new(),
            },
        );
    }
    let mut names: Vec<Bytes> = repo.dwim(text)?.into_iter().map(|(n, _)| n).collect();
    for name in &mut names {
        if let Some(target) = repo.symref(name)? {
            *name = target;
        }
    }
    Ok(names)
}

fn missing_upstream(repo: &Repo<'_>, text: &[u8]) -> Res<Stop> {
    let mut words = format!(
        "fatal: the requested upstream branch '{}' does not exist\n",
        lossy(text)
    );
    if repo
        .config
        .bool("advice.setupstreamfailure")?
        .unwrap_or(true)
    {
        words.push_str(
            "hint:\n\
             hint: If you are planning on basing your work on an upstream\n\
             hint: branch that already exists at the remote, you may need to\n\
             hint: run \"git fetch\" to retrieve it.\n\
             hint:\n\
             hint: If you are planning to push out a new local branch that\n\
             hint: will track its remote counterpart, you may want to use\n\
             hint: \"git push -u\" to set the upstream config as you push.\n\
             hint: Disable this message with \"git config advice.setUpstreamFailure false\"\n",
        );
    }
    Ok(Stop::Fail {
        code: 128,
        text: words.into_bytes(),
    })
}

fn write_upstream(
    repo: &Repo<'_>,
    name: &[u8],
    remote: &[u8],
    branch: &[u8],
    quiet: bool,
    out: &mut Out,
) -> Res<()> {
    let short = branch.strip_prefix(b"refs/heads/").unwrap_or(branch);
    if remote == b"." && short == name {
        repo.call.warn(format!(
            "warning: not setting branch '{}' as its own upstream\n",
            lossy(name)
        ));
        return Ok(());
    }
    let rebasing = match repo.config.get("branch.autosetuprebase") {
        Some(b"always") => true,
        Some(b"local") => remote == b".",
        Some(b"remote") => remote != b".",
        _ => false,
    };
    let key = |what: &str| [b"branch.", name, b".", what.as_bytes()].concat();
    repo.edit_config(|text| {
        let mut text = config_edit::set(text, &key("remote"), Some(remote))?;
        text = config_edit::set(&text, &key("merge"), None)?;
        text = config_edit::add(&text, &key("merge"), branch)?;
        if rebasing {
            text = config_edit::set(&text, &key("rebase"), Some(b"true"))?;
        }
        Ok(text)
    })?;
    if !quiet {
        let shown = if remote == b"." {
            short.to_vec()
        } else {
            [remote, b"/", short].concat()
        };
        out.put(format!(
            "branch '{}' set up to track '{}'{}.\n",
            lossy(name),
            lossy(&shown),
            if rebasing { " by rebasing" } else { "" }
        ));
    }
    Ok(())
}

/// Returns the branch an option is about: the one named, or HEAD's.
fn branch_meant(repo: &Repo<'_>, parsed: &Parsed, detached: &str) -> Res<Bytes> {
    let head = repo.head()?;
    match parsed.args.first() {
        Some(name) => branch_name(repo, name),
        None => match head
            .branch
            .as_deref()
            .and_then(|b| b.strip_prefix(b"refs/heads/"))
        {
            Some(short) => Ok(short.to_vec()),
            None => Err(Stop::fatal(detached)),
        },
    }
}

fn follow(repo: &Repo<'_>, parsed: &Parsed, out: &mut Out) -> Res<()> {
    let upstream = parsed
        .last("set-upstream-to")
        .map(|g| g.text().to_vec())
        .unwrap_or_default();
    let detached = format!(
        "could not set upstream of HEAD to {} when it does not point to any branch",
        lossy(&upstream)
    );
    let name = branch_meant(repo, parsed, &detached)?;
    let full = [b"refs/heads/", name.as_slice()].concat();
    if repo.ref_id(&full)?.is_none() {
        let shown = lossy(&name);
        return Err(Stop::fatal(
            if repo.head()?.branch.as_deref() == Some(&full) {
                format!("no commit on branch '{shown}' yet")
            } else {
                format!("branch '{shown}' does not exist")
            },
        ));
    }
    let start = Start::find(repo, &upstream, Track::Explicit)?;
    start.set_up(repo, &name, Track::Explicit, parsed.has("quiet"), out)
}

fn follow_nothing(repo: &Repo<'_>, parsed: &Parsed) -> Res<()> {
    let name = branch_meant(
        repo,
        parsed,
        "could not unset upstream of HEAD when it does not point to any branch",
    )?;
    let key = |what: &str| [b"branch.", name.as_slice(), b".", what.as_bytes()].concat();
    let full = [b"refs/heads/", name.as_slice()].concat();
    let has = repo.config.get_bytes(&key("merge")).is_some();
    if !has || repo.upstream(&full)?.is_none() && repo.config.get_bytes(&key("remote")).is_none() {
        return Err(Stop::fatal(format!(
            "branch '{}' has no upstream information",
            lossy(&name)
        )));
    }
    repo.edit_config(|text| {
        let text = config_edit::set(text, &key("remote"), None)?;
        config_edit::set(&text, &key("merge"), None)
    })
}
