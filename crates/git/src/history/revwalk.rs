//! The order in which history is shown, and what is left out of it: git's own walk.
//!
//! Waits on the object store only. What is walked comes from `rev_select`; the sorting that needs a whole list is in
//! `topo`, the search for equal changes in `cherry`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::history::log_filter::Filter;
use crate::history::topo;
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::Commit;
use crate::repository::repo::Repo;
use crate::repository::tree_diff;
use crate::text::bytes::Bytes;
use crate::verbs::cherry;
use crate::work::pathspec::Pathspec;

/// In which order commits come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// By date as they are found.
    #[default]
    Default,
    /// No parent before all its children, lines of history together.
    Topo,
    /// No parent before all its children, otherwise by commit date.
    Date,
    /// The same by author date.
    AuthorDate,
}

/// One commit a walk begins at, or one that is left out with all before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tip {
    pub(crate) id: Id,
    pub(crate) exclude: bool,
    /// The left side of `A...B`.
    pub(crate) left: bool,
    /// What it was named by.
    pub(crate) name: Bytes,
}

/// What becomes of changes that both sides of `A...B` have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Cherry {
    #[default]
    Ignored,
    /// Left out.
    Omitted,
    /// Marked.
    Marked,
}

/// What is walked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    /// In the order they were named.
    pub(crate) tips: Vec<Tip>,
    pub(crate) order: Order,
    pub(crate) first_parent: bool,
    pub(crate) exclude_first_parent: bool,
    pub(crate) paths: Pathspec,
    pub(crate) full_history: bool,
    /// `--sparse`: commits that change nothing in the paths are shown too.
    pub(crate) sparse: bool,
    pub(crate) since: Option<i64>,
    /// `--since-as-filter`: older commits are left out, but what is below them is not.
    pub(crate) since_as_filter: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) min_parents: usize,
    pub(crate) max_parents: Option<usize>,
    /// Only what was named.
    pub(crate) no_walk: bool,
    /// With `no_walk`: in the order it was named, not by date.
    pub(crate) unsorted: bool,
    /// Rewrite parents to what is shown, as `--graph` and `--parents` need.
    pub(crate) rewrite_parents: bool,
    pub(crate) boundary: bool,
    pub(crate) cherry: Cherry,
    pub(crate) left_only: bool,
    pub(crate) right_only: bool,
    /// `--ancestry-path`: the commits it leads from; empty for what is excluded.
    pub(crate) ancestry_path: Option<Vec<Id>>,
    pub(crate) show_pulls: bool,
    pub(crate) reverse: bool,
    pub(crate) skip: usize,
    pub(crate) max_count: Option<usize>,
    /// Remember by which name each commit was reached.
    pub(crate) sources: bool,
}

/// A commit the walk gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    pub(crate) id: Id,
    pub(crate) commit: Commit,
    /// Its parents after simplification.
    pub(crate) parents: Vec<Id>,
    /// The parents it is compared with: those before simplification where everything is shown.
    pub(crate) compared: Vec<Id>,
    pub(crate) is_left: bool,
    pub(crate) is_boundary: bool,
    /// The other side has the same change.
    pub(crate) is_same: bool,
    pub(crate) source: Option<Bytes>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) parents: Vec<Id>,
    /// For each parent of a merge whether it has the same contents; kept only where parents may be left out later.
    same_as: Vec<bool>,
    tree: Id,
    pub(crate) time: i64,
    pub(crate) uninteresting: bool,
    seen: bool,
    added: bool,
    same_tree: bool,
    pull_merge: bool,
    bottom: bool,
    pub(crate) left: bool,
    pub(crate) patch_same: bool,
    shown: bool,
    child_shown: bool,
    pub(crate) on_path: bool,
    source: Option<usize>,
}

type Queue = BinaryHeap<(i64, Reverse<u64>, Id)>;

/// A walk in progress.
pub(crate) struct Walker<'r> {
    pub(crate) repo: &'r Repo<'r>,
    pub(crate) walk: Walk,
    filter: Option<&'r Filter>,
    nodes: HashMap<Id, Node>,
    queue: Queue,
    counter: u64,
    /// The finished list of a limited walk, last first.
    list: Option<Vec<Id>>,
    limited: bool,
    prune: bool,
    left_to_show: Option<usize>,
    left_to_skip: usize,
    /// Parents of what was shown, in the order they turned up.
    boundary: Vec<Id>,
    /// The boundary commits, once everything else was given; last first.
    tail: Option<Vec<Id>>,
    /// Everything, last first, when it is given in reverse.
    reversed: Option<Vec<Step>>,
}

impl<'r> Walker<'r> {
    /// Starts a walk.
    pub(crate) fn new(repo: &'r Repo<'r>, walk: Walk) -> Res<Walker<'r>> {
        Walker::filtered(repo, walk, None)
    }

    /// Starts a walk that leaves out what a filter does not pass.
    pub(crate) fn filtered(
        repo: &'r Repo<'r>,
        walk: Walk,
        filter: Option<&'r Filter>,
    ) -> Res<Walker<'r>> {
        if repo
            .common_file("info/grafts")
            .is_some_and(|g| !g.is_empty())
        {
            return Err(Stop::not_native("grafted commits"));
        }
        let mut walker = Walker {
            repo,
            filter: filter.filter(|f| !f.is_empty()),
            nodes: HashMap::new(),
            queue: BinaryHeap::new(),
            counter: 0,
            list: None,
            limited: false,
            prune: !walk.paths.is_empty(),
            left_to_show: walk.max_count,
            left_to_skip: walk.skip,
            boundary: Vec::new(),
            tail: None,
            reversed: None,
            walk,
        };
        walker.start()?;
        Ok(walker)
    }

    fn start(&mut self) -> Res<()> {
        let tips = self.walk.tips.clone();
        let mut order: Vec<Id> = Vec::new();
        let mut named: HashSet<Id> = HashSet::new();
        for (i, tip) in tips.iter().enumerate() {
            let node = self.node(tip.id)?;
            if tip.exclude {
                node.uninteresting = true;
                node.bottom = true;
                self.limited = true;
                self.mark_parents(tip.id)?;
            }
            let node = self.node(tip.id)?;
            node.left |= tip.left;
            node.source.get_or_insert(i);
            if named.insert(tip.id) {
                order.push(tip.id);
            }
        }
        if self.walk.no_walk {
            let mut list = order;
            if !self.walk.unsorted {
                list.sort_by_key(|id| Reverse(self.nodes.get(id).map_or(0, |n| n.time)));
            }
            let since = self.walk.since;
            list.retain(|id| {
                since.is_none_or(|since| self.nodes.get(id).is_some_and(|n| n.time >= since))
            });
            for id in &list {
                self.simplify(*id)?;
            }
            list.reverse();
            self.list = Some(list);
            return Ok(());
        }
        let bottoms: Vec<Id> = match &self.walk.ancestry_path {
            Some(named) if named.is_empty() => {
                tips.iter().filter(|t| t.exclude).map(|t| t.id).collect()
            }
            Some(named) => named.clone(),
            None => Vec::new(),
        };
        for id in &order {
            self.push(*id)?;
        }
        self.limited |= self.walk.order != Order::Default
            || self.walk.cherry != Cherry::Ignored
            || self.walk.left_only
            || self.walk.right_only
            || self.walk.ancestry_path.is_some();
        if self.limited {
            let mut list = self.limit()?;
            if self.walk.cherry != Cherry::Ignored {
                cherry::mark(self, &list)?;
            }
            if self.walk.left_only || self.walk.right_only {
                let wanted = self.walk.left_only;
                list.retain(|id| self.nodes.get(id).is_some_and(|n| n.left == wanted));
            }
            if self.walk.ancestry_path.is_some() {
                self.limit_to_path(&bottoms, &list);
            }
            self.update_same_trees(&list);
            if self.walk.order != Order::Default {
                list = topo::sort(self, list, self.walk.order)?;
            }
            list.reverse();
            self.list = Some(list);
        }
        Ok(())
    }

    pub(crate) fn node(&mut self, id: Id) -> Res<&mut Node> {
        if !self.nodes.contains_key(&id) {
            let commit = self.repo.commit(id)?;
            let node = Node {
                tree: commit.tree,
                time: commit.time(),
                parents: commit.parents,
                same_as: Vec::new(),
                uninteresting: false,
                seen: false,
                added: false,
                same_tree: false,
                pull_merge: false,
                bottom: false,
                left: false,
                patch_same: false,
                shown: false,
                child_shown: false,
                on_path: false,
                source: None,
            };
            self.nodes.insert(id, node);
        }
        self.nodes
            .get_mut(&id)
            .ok_or_else(|| Stop::not_native("a lost commit"))
    }

    /// Returns what is known about a commit.
    pub(crate) fn known(&self, id: Id) -> Option<&Node> {
        self.nodes.get(&id)
    }

    fn push(&mut self, id: Id) -> Res<()> {
        let node = self.node(id)?;
        if std::mem::replace(&mut node.seen, true) {
            return Ok(());
        }
        let time = node.time;
        self.counter += 1;
        self.queue.push((time, Reverse(self.counter), id));
        Ok(())
    }

    /// Marks everything known below a commit as excluded.
    fn mark_parents(&mut self, id: Id) -> Res<()> {
        let mut stack: Vec<Id> = self.parents_of(id);
        while let Some(id) = stack.pop() {
            if let Some(node) = self.nodes.get_mut(&id) {
                if node.uninteresting {
                    continue;
                }
                node.uninteresting = true;
                stack.extend(node.parents.iter().copied());
            }
        }
        Ok(())
    }

    fn process_parents(&mut self, id: Id) -> Res<()> {
        self.repo.cancel().check()?;
        let node = self.node(id)?;
        if std::mem::replace(&mut node.added, true) {
            return Ok(());
        }
        if node.uninteresting {
            for parent in node.parents.clone() {
                if !self.nodes.contains_key(&parent) && self.repo.header(parent)?.is_none() {
                    continue;
                }
                self.node(parent)?.uninteresting = true;
                self.mark_parents(parent)?;
                self.push(parent)?;
                if self.walk.exclude_first_parent {
                    break;
                }
            }
            return Ok(());
        }
        self.simplify(id)?;
        let node = self.node(id)?;
        let (left, source) = (node.left, node.source);
        let mut parents = node.parents.clone();
        if self.walk.first_parent {
            parents.truncate(1);
        }
        for parent in parents {
            let node = self.node(parent)?;
            node.left |= left;
            if let Some(source) = source {
                node.source.get_or_insert(source);
            }
            self.push(parent)?;
        }
        Ok(())
    }

    fn is_relevant(&self, id: Id) -> bool {
        self.nodes
            .get(&id)
            .is_none_or(|n| !n.uninteresting || n.bottom)
    }

    /// Compares a commit with its parents in the paths that matter.
    fn simplify(&mut self, id: Id) -> Res<()> {
        if !self.prune {
            return Ok(());
        }
        let node = self.node(id)?;
        let (tree, parents) = (node.tree, node.parents.clone());
        if parents.is_empty() {
            let same = !tree_diff::differ(self.repo, Id::ZERO, tree, &self.walk.paths)?;
            self.node(id)?.same_tree = same;
            return Ok(());
        }
        if self.walk.sparse && parents.len() == 1 {
            return Ok(());
        }
        let (mut n_relevant, mut relevant_change, mut irrelevant_change) = (0, false, false);
        let mut same_as = vec![false; parents.len()];
        for (nth, parent) in parents.iter().enumerate() {
            let relevant = self.is_relevant(*parent);
            n_relevant += usize::from(relevant);
            if nth == 1 && self.walk.first_parent {
                break;
            }
            let parent_tree = self.node(*parent)?.tree;
            if !tree_diff::differ(self.repo, parent_tree, tree, &self.walk.paths)? {
                same_as[nth] = true;
                if self.walk.full_history || !relevant {
                    continue;
                }
                let node = self.node(id)?;
                node.parents = vec![*parent];
                node.same_tree = true;
                return Ok(());
            }
            if relevant {
                relevant_change = true;
            } else {
                irrelevant_change = true;
            }
            if nth == 0 {
                self.node(id)?.pull_merge = true;
            }
        }
        let same = if n_relevant > 0 {
            !relevant_change
        } else {
            !irrelevant_change
        };
        let keeps = self.walk.full_history && parents.len() > 1 && !self.walk.first_parent;
        let node = self.node(id)?;
        node.same_tree = same;
        if keeps {
            node.same_as = same_as;
        }
        Ok(())
    }

    /// A merge may turn out to have changed nothing once some of its parents are known to be left out.
    fn update_same_trees(&mut self, list: &[Id]) {
        for id in list {
            let Some(node) = self.nodes.get(id) else {
                continue;
            };
            if node.uninteresting || node.same_tree || node.same_as.is_empty() {
                continue;
            }
            let (mut n_relevant, mut relevant_change, mut irrelevant_change) = (0, false, false);
            for (parent, same) in node.parents.iter().zip(&node.same_as) {
                if self.is_relevant(*parent) {
                    n_relevant += 1;
                    relevant_change |= !same;
                } else {
                    irrelevant_change |= !same;
                }
            }
            let same = if n_relevant > 0 {
                !relevant_change
            } else {
                !irrelevant_change
            };
            if let Some(node) = self.nodes.get_mut(id) {
                node.same_tree = same;
            }
        }
    }

    /// Walks until nothing that is wanted can turn up any more.
    fn limit(&mut self) -> Res<Vec<Id>> {
        /// git looks at this many more commits when only excluded ones are left.
        const SLOP: i32 = 5;
        let mut slop = SLOP;
        let mut date = i64::MAX;
        let mut list = Vec::new();
        let mut interesting_hint: Option<Id> = None;
        while let Some((time, _, id)) = self.queue.pop() {
            if self.walk.since.is_some_and(|since| time < since) {
                self.node(id)?.uninteresting = true;
            }
            self.process_parents(id)?;
            if self.node(id)?.uninteresting {
                self.mark_parents(id)?;
                let Some((next, _, _)) = self.queue.peek() else {
                    break;
                };
                if date <= *next || self.has_interesting(&mut interesting_hint) {
                    slop = SLOP;
                } else {
                    slop -= 1;
                }
                if slop > 0 {
                    continue;
                }
                break;
            }
            if self.walk.until.is_some_and(|until| time > until)
                || self.walk.since_as_filter.is_some_and(|since| time < since)
            {
                continue;
            }
            date = time;
            list.push(id);
        }
        Ok(list)
    }

    fn has_interesting(&self, hint: &mut Option<Id>) -> bool {
        let interesting = |id: &Id| self.nodes.get(id).is_some_and(|n| !n.uninteresting);
        if hint.is_some_and(|id| interesting(&id) && self.queue.iter().any(|(_, _, q)| *q == id)) {
            return true;
        }
        *hint = self
            .queue
            .iter()
            .map(|(_, _, id)| *id)
            .find(|id| interesting(id));
        hint.is_some()
    }

    /// Excludes what is not on a way from one of some commits.
    fn limit_to_path(&mut self, bottoms: &[Id], list: &[Id]) {
        let on_path: HashSet<Id> = bottoms.iter().copied().collect();
        for id in &on_path {
            if let Some(node) = self.nodes.get_mut(id) {
                node.on_path = true;
            }
        }
        let mut progress = true;
        while progress {
            progress = false;
            // From the oldest on, so that one turn is nearly always enough.
            for id in list.iter().rev() {
                let Some(node) = self.nodes.get(id) else {
                    continue;
                };
                if node.on_path || node.uninteresting {
                    continue;
                }
                let parents = if self.walk.first_parent {
                    &node.parents[..node.parents.len().min(1)]
                } else {
                    &node.parents[..]
                };
                let reaches = parents
                    .iter()
                    .any(|p| self.nodes.get(p).is_some_and(|n| n.on_path));
                if reaches && let Some(node) = self.nodes.get_mut(id) {
                    node.on_path = true;
                    progress = true;
                }
            }
        }
        // With commits named on the command line, what leads up to them counts too.
        let mut wanted: HashSet<Id> = HashSet::new();
        if self
            .walk
            .ancestry_path
            .as_ref()
            .is_some_and(|n| !n.is_empty())
        {
            let mut stack: Vec<Id> = bottoms.to_vec();
            while let Some(id) = stack.pop() {
                if wanted.insert(id) {
                    stack.extend(self.parents_of(id));
                }
            }
        }
        for id in list {
            if let Some(node) = self.nodes.get_mut(id)
                && !node.on_path
                && !wanted.contains(id)
            {
                node.uninteresting = true;
            }
        }
    }

    pub(crate) fn parents_of(&self, id: Id) -> Vec<Id> {
        self.nodes
            .get(&id)
            .map(|n| n.parents.clone())
            .unwrap_or_default()
    }

    /// Gives the next commit that is shown, with counting, skipping, boundaries and the direction asked for.
    pub(crate) fn next(&mut self) -> Res<Option<Step>> {
        if !self.walk.reverse {
            return self.next_forward();
        }
        if self.reversed.is_none() {
            let mut all = Vec::new();
            while let Some(step) = self.next_forward()? {
                all.push(step);
            }
            self.reversed = Some(all);
        }
        Ok(self.reversed.as_mut().and_then(Vec::pop))
    }

    /// Takes back that the last commit was counted: in the end nothing was shown for it.
    pub(crate) fn uncount(&mut self) {
        if let Some(n) = &mut self.left_to_show {
            *n += 1;
        }
    }

    fn next_forward(&mut self) -> Res<Option<Step>> {
        if let Some(tail) = &mut self.tail {
            return match tail.pop() {
                Some(id) => self.step(id, true).map(Some),
                None => Ok(None),
            };
        }
        let mut found = None;
        if self.left_to_show != Some(0) {
            if let Some(n) = &mut self.left_to_show {
                *n -= 1;
            }
            found = self.next_selected()?;
            while found.is_some() && self.left_to_skip > 0 {
                self.left_to_skip -= 1;
                found = self.next_selected()?;
            }
        }
        let Some(id) = found else {
            if !self.walk.boundary {
                return Ok(None);
            }
            self.collect_boundary()?;
            return self.next_forward();
        };
        self.node(id)?.shown = true;
        let step = self.step(id, false)?;
        if self.walk.boundary {
            for parent in self.parents_of(id) {
                let node = self.node(parent)?;
                if node.child_shown || node.shown {
                    continue;
                }
                node.child_shown = true;
                self.boundary.push(parent);
            }
        }
        Ok(Some(step))
    }

    fn collect_boundary(&mut self) -> Res<()> {
        let mut list: Vec<Id> = Vec::new();
        for id in std::mem::take(&mut self.boundary) {
            let node = self.node(id)?;
            if node.shown || list.contains(&id) {
                continue;
            }
            list.insert(0, id);
        }
        let mut list = topo::sort(self, list, topo::boundary_order(self.walk.order))?;
        list.reverse();
        self.tail = Some(list);
        Ok(())
    }

    fn step(&mut self, id: Id, is_boundary: bool) -> Res<Step> {
        let commit = self.repo.commit(id)?;
        let node = self.node(id)?;
        let (is_left, is_same, source) = (node.left, node.patch_same, node.source);
        let parents = node.parents.clone();
        let source = match source {
            Some(i) if self.walk.sources => self.walk.tips.get(i).map(|t| t.name.clone()),
            _ => None,
        };
        Ok(Step {
            id,
            compared: if self.prune {
                parents.clone()
            } else {
                commit.parents.clone()
            },
            commit,
            parents,
            is_left,
            is_boundary,
            is_same,
            source,
        })
    }

    fn next_selected(&mut self) -> Res<Option<Id>> {
        loop {
            self.repo.cancel().check()?;
            let id = match &mut self.list {
                Some(list) => match list.pop() {
                    Some(id) => id,
                    None => return Ok(None),
                },
                None => match self.queue.pop() {
                    Some((time, _, id)) => {
                        if self.walk.since.is_some_and(|since| time < since) {
                            continue;
                        }
                        self.process_parents(id)?;
                        id
                    }
                    None => return Ok(None),
                },
            };
            if !self.is_selected(id)? {
                continue;
            }
            if self.prune && !self.walk.sparse && self.walk.rewrite_parents {
                let parents = self.rewritten(id)?;
                self.node(id)?.parents = parents;
            }
            return Ok(Some(id));
        }
    }

    /// Says whether a commit is shown, apart from counting and skipping.
    pub(crate) fn is_selected(&mut self, id: Id) -> Res<bool> {
        let (since, until) = (self.walk.since_as_filter, self.walk.until);
        let (min, max) = (self.walk.min_parents, self.walk.max_parents);
        let node = self.node(id)?;
        if node.shown
            || node.uninteresting
            || until.is_some_and(|until| node.time > until)
            || since.is_some_and(|since| node.time < since)
        {
            return Ok(false);
        }
        let n = node.parents.len();
        let (same, pull_merge, patch_same) = (node.same_tree, node.pull_merge, node.patch_same);
        if n < min || max.is_some_and(|max| n > max) {
            return Ok(false);
        }
        if patch_same && self.walk.cherry == Cherry::Omitted {
            return Ok(false);
        }
        if let Some(filter) = self.filter
            && !filter.passes(&self.repo.commit(id)?)?
        {
            return Ok(false);
        }
        if !self.prune || self.walk.sparse || !same {
            return Ok(true);
        }
        if !self.walk.rewrite_parents {
            return Ok(false);
        }
        if self.walk.show_pulls && pull_merge {
            return Ok(true);
        }
        let relevant = self
            .parents_of(id)
            .iter()
            .filter(|p| self.is_relevant(**p))
            .count();
        Ok(relevant >= 2)
    }

    /// Says whether a parent has a place in a graph.
    pub(crate) fn is_in_graph(&mut self, id: Id) -> Res<bool> {
        if self.walk.boundary && self.node(id)?.child_shown {
            return Ok(true);
        }
        self.is_selected(id)
    }

    /// Replaces parents that are not shown by the nearest ancestors that are.
    fn rewritten(&mut self, id: Id) -> Res<Vec<Id>> {
        let mut out: Vec<Id> = Vec::new();
        for mut parent in self.parents_of(id) {
            let kept = loop {
                if !self.limited {
                    self.process_parents(parent)?;
                }
                let node = self.node(parent)?;
                if node.uninteresting || !node.same_tree {
                    break Some(parent);
                }
                let up = node.parents.clone();
                if up.is_empty() {
                    break None;
                }
                let relevant: Vec<Id> = up
                    .iter()
                    .copied()
                    .filter(|p| self.is_relevant(*p))
                    .collect();
                match (up.as_slice(), relevant.as_slice()) {
                    ([first, ..], _) if self.walk.first_parent => parent = *first,
                    ([only], _) | (_, [only]) => parent = *only,
                    _ => break Some(parent),
                }
            };
            if let Some(parent) = kept
                && !out.contains(&parent)
            {
                out.push(parent);
            }
        }
        Ok(out)
    }
}
