//! What is going on in a repository: a merge, a rebase, a bisection; and where a detached HEAD came from.

use crate::outcome::Res;
use crate::references::reflog;
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};

/// The operations in progress.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    pub(crate) merge: bool,
    pub(crate) am: bool,
    pub(crate) am_empty_patch: bool,
    pub(crate) rebase: bool,
    pub(crate) rebase_interactive: bool,
    /// `Some(None)` when one goes on without a commit being picked right now.
    pub(crate) cherry_pick: Option<Option<Id>>,
    pub(crate) revert: Option<Option<Id>>,
    pub(crate) bisect: bool,
    /// The branch being rebased or bisected from.
    pub(crate) branch: Option<Bytes>,
    pub(crate) onto: Option<Bytes>,
    pub(crate) detached: Option<Detached>,
}

/// Where a detached HEAD came from.
#[derive(Debug)]
pub(crate) struct Detached {
    pub(crate) from: Bytes,
    /// Whether HEAD is still there.
    pub(crate) at: bool,
}

impl Operation {
    /// Looks at the files in the git directory.
    pub(crate) fn look(repo: &Repo<'_>) -> Res<Operation> {
        let mut state = Operation::default();
        let rebasing = state.look_for_rebase(repo)?;
        if repo.has_git_file("MERGE_HEAD") {
            state.merge = true;
        } else if !rebasing && repo.has_git_file("CHERRY_PICK_HEAD") {
            state.cherry_pick = repo.ref_id(b"CHERRY_PICK_HEAD")?.map(Some);
        }
        if repo.has_git_file("BISECT_LOG") {
            state.bisect = true;
            state.branch = branch_in(repo, "BISECT_START")?;
        }
        if repo.has_git_file("REVERT_HEAD") {
            state.revert = repo.ref_id(b"REVERT_HEAD")?.map(Some);
        }
        match last_command(repo) {
            Some(b'p') if state.cherry_pick.is_none() => state.cherry_pick = Some(None),
            Some(b'r') if state.revert.is_none() => state.revert = Some(None),
            _ => {}
        }
        let head = repo.head()?;
        if head.branch.is_none() {
            state.detached = detached(repo, head.id)?;
        }
        Ok(state)
    }

    fn look_for_rebase(&mut self, repo: &Repo<'_>) -> Res<bool> {
        if repo.has_git_file("rebase-apply") {
            if repo.has_git_file("rebase-apply/applying") {
                self.am = true;
                self.am_empty_patch = repo
                    .git_file("rebase-apply/patch")
                    .is_some_and(|p| p.is_empty());
            } else {
                self.rebase = true;
                self.branch = branch_in(repo, "rebase-apply/head-name")?;
                self.onto = branch_in(repo, "rebase-apply/onto")?;
            }
            return Ok(true);
        }
        if repo.has_git_file("rebase-merge") {
            if repo.has_git_file("rebase-merge/interactive") {
                self.rebase_interactive = true;
            } else {
                self.rebase = true;
            }
            self.branch = branch_in(repo, "rebase-merge/head-name")?;
            self.onto = branch_in(repo, "rebase-merge/onto")?;
            return Ok(true);
        }
        Ok(false)
    }

    pub(crate) fn is_rebasing(&self) -> bool {
        self.rebase || self.rebase_interactive
    }

    /// Names the operation for a report.
    pub(crate) fn name(&self) -> Option<&'static str> {
        if self.merge {
            Some("merge")
        } else if self.am {
            Some("am")
        } else if self.is_rebasing() {
            Some("rebase")
        } else if self.cherry_pick.is_some() {
            Some("cherry_pick")
        } else if self.revert.is_some() {
            Some("revert")
        } else if self.bisect {
            Some("bisect")
        } else {
            None
        }
    }
}

/// Returns the command of a sequence in progress: `p` for pick, `r` for revert.
fn last_command(repo: &Repo<'_>) -> Option<u8> {
    let todo = repo.git_file("sequencer/todo")?;
    let line = todo
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|l| !l.is_empty() && l[0] != b'#')?;
    let word = line.split(|b| b.is_ascii_whitespace()).next()?;
    match word {
        b"pick" | b"p" => Some(b'p'),
        b"revert" => Some(b'r'),
        _ => None,
    }
}

fn branch_in(repo: &Repo<'_>, file: &str) -> Res<Option<Bytes>> {
    let Some(text) = repo.git_file(file) else {
        return Ok(None);
    };
    let end = text.iter().rposition(|b| *b != b'\n').map_or(0, |i| i + 1);
    let text = &text[..end];
    if text.is_empty() || text == b"detached HEAD" {
        return Ok(None);
    }
    if let Some(short) = text.strip_prefix(b"refs/heads/") {
        return Ok(Some(short.to_vec()));
    }
    if !text.starts_with(b"refs/")
        && let Some(id) = Id::parse_start(text)
    {
        return Ok(Some(repo.short(id)?.into_bytes()));
    }
    Ok(Some(text.to_vec()))
}

fn detached(repo: &Repo<'_>, head: Option<Id>) -> Res<Option<Detached>> {
    let log = reflog::read(repo, b"HEAD")?;
    for line in log.iter().rev() {
        let Some(moves) = line.message.strip_prefix(b"checkout: moving from ") else {
            continue;
        };
        let Some(to) = bytes::find(moves, b" to ") else {
            continue;
        };
        let target = &moves[to + 4..];
        let mut from = repo.short(line.new)?.into_bytes();
        if target != b"HEAD" {
            let found = repo.dwim(target)?;
            if let [(name, id)] = found.as_slice()
                && (*id == line.new || repo.peel_to_commit(*id)? == Some(line.new))
            {
                from = name.clone();
                for prefix in [b"refs/tags/".as_slice(), b"refs/remotes/", b"refs/heads/"] {
                    // A branch keeps its full name here, as git leaves it.
                    if prefix != b"refs/heads/"
                        && let Some(short) = name.strip_prefix(prefix)
                    {
                        from = short.to_vec();
                        break;
                    }
                }
            }
        }
        return Ok(Some(Detached {
            from,
            at: head == Some(line.new),
        }));
    }
    Ok(None)
}
