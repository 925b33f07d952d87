//! The long form of `git status`: sentences, hints and lists as git words them.

use crate::outcome::{Out, Res};
use crate::repository::operation::Operation;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::quote;
use crate::verbs::status::{Change, Counts, Options, Status, Tracking};
use crate::work::untracked::Ignored;

/// Prints a status in the long form.
pub(crate) fn print(repo: &Repo<'_>, status: &Status, options: &Options, out: &mut Out) -> Res<()> {
    let mut page = Page {
        repo,
        status,
        options,
        out,
    };
    page.branch();
    page.operation()?;
    if status.base.is_none() {
        page.line("");
        page.line(if options.for_commit {
            "Initial commit"
        } else {
            "No commits yet"
        });
        page.line("");
    }
    let staged = page.staged();
    page.unmerged();
    let unstaged = page.unstaged();
    let committable = staged || (status.operation.merge && !status.has_conflicts());
    page.others(committable);
    if options.verbose > 0 {
        crate::verbs::status::print_patches(repo, status, options, committable, page.out)?;
    }
    page.conclusion(committable, unstaged);
    if options.show_stash && status.n_stashes > 0 {
        let n = status.n_stashes;
        page.line(&format!(
            "Your stash currently has {n} {}",
            if n == 1 { "entry" } else { "entries" }
        ));
    }
    Ok(())
}

/// Says how a branch stands to its upstream, a line each.
pub(crate) fn tracking_lines(tracking: &Tracking, hints: bool, for_commit: bool) -> Vec<String> {
    let upstream = lossy(&tracking.upstream);
    let mut lines = Vec::new();
    let hint = |lines: &mut Vec<String>, text: &str| {
        if hints {
            lines.push(format!("  ({text})"));
        }
    };
    let plural = |n: usize| if n == 1 { "commit" } else { "commits" };
    match tracking.counts {
        None => {
            lines.push(format!(
                "Your branch is based on '{upstream}', but the upstream is gone."
            ));
            hint(&mut lines, "use \"git branch --unset-upstream\" to fixup");
        }
        Some(Counts::Different) => {
            lines.push(format!(
                "Your branch and '{upstream}' refer to different commits."
            ));
            hint(&mut lines, "use \"git status --ahead-behind\" for details");
        }
        Some(Counts::Exact(0, 0)) => {
            lines.push(format!("Your branch is up to date with '{upstream}'."))
        }
        Some(Counts::Exact(n, 0)) => {
            lines.push(format!(
                "Your branch is ahead of '{upstream}' by {n} {}.",
                plural(n)
            ));
            hint(&mut lines, "use \"git push\" to publish your local commits");
        }
        Some(Counts::Exact(0, n)) => {
            lines.push(format!(
                "Your branch is behind '{upstream}' by {n} {}, and can be fast-forwarded.",
                plural(n)
            ));
            hint(&mut lines, "use \"git pull\" to update your local branch");
        }
        Some(Counts::Exact(ours, theirs)) => {
            lines.push(format!("Your branch and '{upstream}' have diverged,"));
            lines.push(format!(
                "and have {ours} and {theirs} different {} each, respectively.",
                plural(ours + theirs)
            ));
            if for_commit {
                return lines;
            }
            hint(
                &mut lines,
                "use \"git pull\" if you want to integrate the remote branch with yours",
            );
        }
    }
    lines
}

struct Page<'a> {
    repo: &'a Repo<'a>,
    status: &'a Status,
    options: &'a Options,
    out: &'a mut Out,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.put(text);
        self.out.put("\n");
    }

    fn hint(&mut self, text: &str) {
        if self.options.hints {
            self.line(&format!("  ({text})"));
        }
    }

    fn name(&self, path: &[u8]) -> Bytes {
        quote::c_style(
            &quote::relative(path, &self.options.prefix),
            self.options.quote,
        )
    }

    fn branch(&mut self) {
        let state = &self.status.operation;
        match self.status.head.short_branch() {
            Some(branch) => {
                self.out.put("On branch ");
                self.out.put(branch);
                self.line("");
            }
            None if state.is_rebasing() => {
                self.out.put(if state.rebase_interactive {
                    "interactive "
                } else {
                    ""
                });
                self.out.put("rebase in progress; onto ");
                self.out.put(state.onto.as_deref().unwrap_or_default());
                self.line("");
            }
            None => match &state.detached {
                Some(detached) => {
                    self.out.put(if detached.at {
                        "HEAD detached at "
                    } else {
                        "HEAD detached from "
                    });
                    self.out.put(&detached.from);
                    self.line("");
                }
                None => self.line("Not currently on any branch."),
            },
        }
        if self.status.base.is_some()
            && let Some(tracking) = &self.status.tracking
        {
            for line in tracking_lines(
                tracking,
                self.options.tracking_hints,
                self.options.for_commit,
            ) {
                self.line(&line);
            }
            self.line("");
        }
    }

    fn operation(&mut self) -> Res<()> {
        let state = &self.status.operation;
        let conflicts = self.status.has_conflicts();
        if state.merge {
            if state.rebase_interactive {
                self.rebase_steps()?;
                self.line("");
            }
            if conflicts {
                self.line("You have unmerged paths.");
                self.hint("fix conflicts and run \"git commit\"");
                self.hint("use \"git merge --abort\" to abort the merge");
            } else {
                self.line("All conflicts fixed but you are still merging.");
                self.hint("use \"git commit\" to conclude merge");
            }
            self.line("");
        } else if state.am {
            self.am(state.am_empty_patch);
        } else if state.is_rebasing() {
            self.rebase(conflicts)?;
        } else if let Some(id) = state.cherry_pick {
            match id {
                Some(id) => {
                    let id = self.repo.short(id)?;
                    self.line(&format!("You are currently cherry-picking commit {id}."));
                }
                None => self.line("Cherry-pick currently in progress."),
            }
            self.sequence("cherry-pick", conflicts, id.is_some());
        } else if let Some(id) = state.revert {
            match id {
                Some(id) => {
                    let id = self.repo.short(id)?;
                    self.line(&format!("You are currently reverting commit {id}."));
                }
                None => self.line("Revert currently in progress."),
            }
            self.sequence("revert", conflicts, id.is_some());
        }
        if state.bisect {
            match &state.branch {
                Some(branch) => {
                    self.line(&format!(
                        "You are currently bisecting, started from branch '{}'.",
                        lossy(branch)
                    ));
                }
                None => self.line("You are currently bisecting."),
            }
            self.hint("use \"git bisect reset\" to get back to the original branch");
            self.line("");
        }
        if self
            .repo
            .config
            .bool("core.sparsecheckout")?
            .unwrap_or(false)
            && !self.status.index.entries.is_empty()
        {
            let total = self.status.index.entries.len();
            let skipped = self
                .status
                .index
                .entries
                .iter()
                .filter(|e| e.skip_worktree)
                .count();
            let percent = 100 - 100 * skipped / total;
            self.line(&format!(
                "You are in a sparse checkout with {percent}% of tracked files present."
            ));
            self.line("");
        }
        Ok(())
    }

    fn am(&mut self, empty: bool) {
        self.line("You are in the middle of an am session.");
        if empty {
            self.line("The current patch is empty.");
        } else {
            self.hint("fix conflicts and then run \"git am --continue\"");
        }
        self.hint("use \"git am --skip\" to skip this patch");
        if empty {
            self.hint("use \"git am --allow-empty\" to record this patch as an empty commit");
        }
        self.hint("use \"git am --abort\" to restore the original branch");
        self.line("");
    }

    fn sequence(&mut self, verb: &str, conflicts: bool, has_head: bool) {
        if conflicts {
            self.hint(&format!("fix conflicts and run \"git {verb} --continue\""));
        } else if has_head {
            self.hint(&format!(
                "all conflicts fixed: run \"git {verb} --continue\""
            ));
        } else {
            self.hint(&format!("run \"git {verb} --continue\" to continue"));
        }
        self.hint(&format!("use \"git {verb} --skip\" to skip this patch"));
        self.hint(&format!(
            "use \"git {verb} --abort\" to cancel the {verb} operation"
        ));
        self.line("");
    }

    fn rebase(&mut self, conflicts: bool) -> Res<()> {
        self.rebase_steps()?;
        let state = &self.status.operation;
        let names = match (&state.branch, &state.onto) {
            (Some(branch), onto) => Some((
                lossy(branch).into_owned(),
                lossy(onto.as_deref().unwrap_or_default()).into_owned(),
            )),
            (None, _) => None,
        };
        let doing = match &names {
            Some((branch, onto)) => {
                format!("You are currently rebasing branch '{branch}' on '{onto}'.")
            }
            None => "You are currently rebasing.".to_string(),
        };
        if conflicts {
            self.line(&doing);
            self.hint("fix conflicts and then run \"git rebase --continue\"");
            self.hint("use \"git rebase --skip\" to skip this patch");
            self.hint("use \"git rebase --abort\" to check out the original branch");
        } else if state.rebase || self.repo.has_git_file("MERGE_MSG") {
            self.line(&doing);
            self.hint("all conflicts fixed: run \"git rebase --continue\"");
        } else if self.is_splitting() {
            self.line(&match names {
                Some((branch, onto)) => format!(
                    "You are currently splitting a commit while rebasing branch '{branch}' on '{onto}'."
                ),
                None => "You are currently splitting a commit during a rebase.".to_string(),
            });
            self.hint("Once your working directory is clean, run \"git rebase --continue\"");
        } else {
            self.line(&match names {
                Some((branch, onto)) => {
                    format!("You are currently editing a commit while rebasing branch '{branch}' on '{onto}'.")
                }
                None => "You are currently editing a commit during a rebase.".to_string(),
            });
            if !self.options.amends {
                self.hint("use \"git commit --amend\" to amend the current commit");
                self.hint("use \"git rebase --continue\" once you are satisfied with your changes");
            }
        }
        self.line("");
        Ok(())
    }

    fn is_splitting(&self) -> bool {
        let dirty = self
            .status
            .changes
            .values()
            .any(|c| c.work_tree != 0 || c.stages != 0);
        if !dirty || self.status.head.branch.is_some() {
            return false;
        }
        let line = |name: &str| {
            self.repo
                .git_file(name)
                .map(|t| t.split(|b| *b == b'\n').next().unwrap_or_default().to_vec())
        };
        let files = (
            line("HEAD"),
            line("ORIG_HEAD"),
            line("rebase-merge/amend"),
            line("rebase-merge/orig-head"),
        );
        let (Some(head), Some(orig), Some(amend), Some(rebase_orig)) = files else {
            return false;
        };
        if amend == rebase_orig {
            head != amend
        } else {
            orig != rebase_orig
        }
    }

    fn rebase_steps(&mut self) -> Res<()> {
        if !self.status.operation.rebase_interactive {
            return Ok(());
        }
        const SHOWN: usize = 2;
        let done = self.todo("rebase-merge/done")?.unwrap_or_default();
        let todo = self.todo("rebase-merge/git-rebase-todo")?;
        if todo.is_none() {
            self.line("git-rebase-todo is missing.");
        }
        let todo = todo.unwrap_or_default();
        if done.is_empty() {
            self.line("No commands done.");
        } else {
            let n = done.len();
            let (s, c) = if n == 1 {
                ("", "command")
            } else {
                ("s", "commands")
            };
            self.line(&format!("Last command{s} done ({n} {c} done):"));
            for step in &done[n.saturating_sub(SHOWN)..] {
                self.line(&format!("   {step}"));
            }
            if n > SHOWN {
                let file = [self.repo.git_dir_shown.as_slice(), b"/rebase-merge/done"].concat();
                self.hint(&format!("see more in file {}", lossy(&file)));
            }
        }
        if todo.is_empty() {
            self.line("No commands remaining.");
        } else {
            let n = todo.len();
            let (s, c) = if n == 1 {
                ("", "command")
            } else {
                ("s", "commands")
            };
            self.line(&format!("Next command{s} to do ({n} remaining {c}):"));
            for step in todo.iter().take(SHOWN) {
                self.line(&format!("   {step}"));
            }
            self.hint("use \"git rebase --edit-todo\" to view and edit");
        }
        Ok(())
    }

    /// Reads a list of rebase commands with abbreviated ids; `None` when the file is missing.
    fn todo(&self, file: &str) -> Res<Option<Vec<String>>> {
        let Some(text) = self.repo.git_file(file) else {
            return Ok(None);
        };
        let mut steps = Vec::new();
        for line in text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii) {
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let line = lossy(line).into_owned();
            let mut words = line.splitn(3, ' ');
            let (command, id, rest) =
                (words.next().unwrap_or_default(), words.next(), words.next());
            let named = matches!(command, "exec" | "x" | "label" | "l");
            let step = match id
                .filter(|_| !named)
                .map(|id| self.repo.resolve(id.as_bytes()))
            {
                Some(Ok(Some(found))) => {
                    let short = self.repo.short(found)?;
                    format!("{command} {short} {}", rest.unwrap_or_default())
                }
                _ => line.clone(),
            };
            steps.push(step);
        }
        Ok(Some(steps))
    }

    /// While a merge or a cherry-pick waits for its commit, git does not say how to unstage.
    fn unstage_hint(&mut self) {
        let state: &Operation = &self.status.operation;
        if state.merge || self.repo.has_git_file("CHERRY_PICK_HEAD") {
            return;
        }
        if self.status.base.is_some() && self.options.amends {
            self.hint("use \"git restore --source=HEAD^1 --staged <file>...\" to unstage");
        } else if self.status.base.is_some() {
            self.hint("use \"git restore --staged <file>...\" to unstage");
        } else {
            self.hint("use \"git rm --cached <file>...\" to unstage");
        }
    }

    fn staged(&mut self) -> bool {
        let status = self.status;
        let mut any = false;
        for (path, change) in &status.changes {
            if change.index == 0 || change.stages != 0 {
                continue;
            }
            if !any {
                any = true;
                self.line("Changes to be committed:");
                self.unstage_hint();
            }
            self.change(change.index, path, change, "");
        }
        if any {
            self.line("");
        }
        any
    }

    fn unmerged(&mut self) {
        let status = self.status;
        let conflicts: Vec<_> = status
            .changes
            .iter()
            .filter(|(_, c)| c.stages != 0)
            .collect();
        if conflicts.is_empty() {
            return;
        }
        self.line("Unmerged paths:");
        self.unstage_hint();
        let both_deleted = conflicts.iter().any(|(_, c)| c.stages == 1);
        let del_mod = conflicts.iter().any(|(_, c)| matches!(c.stages, 3 | 5));
        let not_deleted = conflicts
            .iter()
            .any(|(_, c)| !matches!(c.stages, 1 | 3 | 5));
        if !both_deleted && !del_mod {
            self.hint("use \"git add <file>...\" to mark resolution");
        } else if both_deleted && !del_mod && !not_deleted {
            self.hint("use \"git rm <file>...\" to mark resolution");
        } else {
            self.hint("use \"git add/rm <file>...\" as appropriate to mark resolution");
        }
        for (path, change) in conflicts {
            let how = match change.stages {
                1 => "both deleted:",
                2 => "added by us:",
                3 => "deleted by them:",
                4 => "added by them:",
                5 => "deleted by us:",
                6 => "both added:",
                _ => "both modified:",
            };
            let name = self.name(path);
            self.out.put(format!("\t{how:<17}"));
            self.out.put(name);
            self.line("");
        }
        self.line("");
    }

    fn unstaged(&mut self) -> bool {
        let status = self.status;
        let changed: Vec<_> = status
            .changes
            .iter()
            .filter(|(_, c)| c.work_tree != 0 && c.stages == 0)
            .collect();
        if changed.is_empty() {
            return status.has_conflicts();
        }
        self.line("Changes not staged for commit:");
        let deleted = changed.iter().any(|(_, c)| c.work_tree == b'D');
        let add = if deleted { "add/rm" } else { "add" };
        self.hint(&format!(
            "use \"git {add} <file>...\" to update what will be committed"
        ));
        self.hint("use \"git restore <file>...\" to discard changes in working directory");
        if changed
            .iter()
            .any(|(_, c)| c.submodule.is_some_and(|s| s.modified || s.untracked))
        {
            self.hint("commit or discard the untracked or modified content in submodules");
        }
        for (path, change) in changed {
            let mut extra = Vec::new();
            if let Some(state) = change.submodule {
                if state.new_commits {
                    extra.push("new commits");
                }
                if state.modified {
                    extra.push("modified content");
                }
                if state.untracked {
                    extra.push("untracked content");
                }
            }
            let extra = if extra.is_empty() {
                String::new()
            } else {
                format!(" ({})", extra.join(", "))
            };
            self.change(change.work_tree, path, change, &extra);
        }
        self.line("");
        true
    }

    fn change(&mut self, letter: u8, path: &[u8], change: &Change, extra: &str) {
        let what = match letter {
            b'A' => "new file:",
            b'C' => "copied:",
            b'D' => "deleted:",
            b'M' => "modified:",
            b'R' => "renamed:",
            b'T' => "typechange:",
            _ => "unknown:",
        };
        self.out.put(format!("\t{what:<12}"));
        if let (b'R' | b'C', Some(source)) = (letter, &change.source) {
            let source = self.name(source);
            self.out.put(source);
            self.out.put(" -> ");
        }
        let name = self.name(path);
        self.out.put(name);
        self.line(extra);
    }

    fn others(&mut self, staged: bool) {
        if self.options.untracked.is_none() {
            if staged {
                let more = if self.options.hints {
                    " (use -u option to show untracked files)"
                } else {
                    ""
                };
                self.line(&format!("Untracked files not listed{more}"));
            }
            return;
        }
        self.list("Untracked files:", "add", &self.status.untracked);
        if self.options.ignored != Ignored::No {
            self.list("Ignored files:", "add -f", &self.status.ignored);
        }
    }

    fn list(&mut self, title: &str, verb: &str, paths: &[Bytes]) {
        if paths.is_empty() {
            return;
        }
        self.line(title);
        self.hint(&format!(
            "use \"git {verb} <file>...\" to include in what will be committed"
        ));
        for path in paths {
            let name = self.name(path);
            self.out.put("\t");
            self.out.put(name);
            self.line("");
        }
        self.line("");
    }

    fn conclusion(&mut self, staged: bool, unstaged: bool) {
        if staged {
            return;
        }
        if self.options.amends {
            self.line("No changes");
            return;
        }
        if self.options.in_editor {
            return;
        }
        let (text, hint) = if unstaged {
            (
                "no changes added to commit",
                " (use \"git add\" and/or \"git commit -a\")",
            )
        } else if !self.status.untracked.is_empty() {
            (
                "nothing added to commit but untracked files present",
                " (use \"git add\" to track)",
            )
        } else if self.status.base.is_none() {
            (
                "nothing to commit",
                " (create/copy files and use \"git add\" to track)",
            )
        } else if self.options.untracked.is_none() {
            ("nothing to commit", " (use -u to show untracked files)")
        } else {
            self.line("nothing to commit, working tree clean");
            return;
        };
        let hint = if self.options.hints { hint } else { "" };
        self.line(&format!("{text}{hint}"));
    }
}
