//! The order in which history is shown, and what is left out of it: git's own walk.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::id::Id;
use crate::object::{Commit, Person};
use crate::outcome::{Res, Stop};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::tree_diff;

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

/// What is walked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    pub(crate) include: Vec<Id>,
    pub(crate) exclude: Vec<Id>,
    pub(crate) order: Order,
    pub(crate) first_parent: bool,
    pub(crate) paths: Pathspec,
    pub(crate) full_history: bool,
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) min_parents: usize,
    pub(crate) max_parents: Option<usize>,
    /// Only what was named, in the order it was named.
    pub(crate) no_walk: bool,
    /// Rewrite parents to what is shown, as `--graph` and `--parents` need.
    pub(crate) rewrite_parents: bool,
    /// Marks commits by the side of `A...B` they are reached from.
    pub(crate) left: Vec<Id>,
}

/// A commit the walk gives.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) id: Id,
    pub(crate) commit: Commit,
    /// Its parents after simplification.
    pub(crate) parents: Vec<Id>,
    pub(crate) is_left: bool,
}

struct Node {
    parents: Vec<Id>,
    tree: Id,
    time: i64,
    uninteresting: bool,
    seen: bool,
    added: bool,
    same_tree: bool,
    bottom: bool,
    left: bool,
}

/// A walk in progress.
pub(crate) struct Walker<'r> {
    repo: &'r Repo<'r>,
    walk: Walk,
    nodes: HashMap<Id, Node>,
    queue: BinaryHeap<(i64, Reverse<u64>, Id)>,
    counter: u64,
    /// The finished list of a limited walk, last first.
    list: Option<Vec<Id>>,
    prune: bool,
}

impl<'r> Walker<'r> {
    /// Starts a walk.
    pub(crate) fn new(repo: &'r Repo<'r>, walk: Walk) -> Res<Walker<'r>> {
        let mut walker = Walker {
            repo,
            nodes: HashMap::new(),
            queue: BinaryHeap::new(),
            counter: 0,
            list: None,
            prune: !walk.paths.is_empty(),
            walk,
        };
        walker.start()?;
        Ok(walker)
    }

    fn start(&mut self) -> Res<()> {
        let (include, exclude) = (self.walk.include.clone(), self.walk.exclude.clone());
        let left: HashSet<Id> = self.walk.left.iter().copied().collect();
        for id in &exclude {
            let node = self.node(*id)?;
            node.uninteresting = true;
            node.bottom = true;
            self.mark_parents(*id)?;
        }
        for id in &include {
            self.node(*id)?.left |= left.contains(id);
        }
        if self.walk.no_walk {
            let mut list: Vec<Id> = Vec::new();
            for id in include {
                if !std::mem::replace(&mut self.node(id)?.seen, true) {
                    list.push(id);
                }
            }
            list.reverse();
            self.list = Some(list);
            return Ok(());
        }
        // Excluded commits come first in the queue when dates are equal, as they are pushed first... by position.
        for id in exclude.iter().chain(&include) {
            self.push(*id)?;
        }
        let limited =
            !exclude.is_empty() || self.walk.order != Order::Default || self.walk.rewrite_parents;
        if limited {
            let mut list = self.limit()?;
            if self.walk.order != Order::Default {
                list = self.topological(list)?;
            }
            list.reverse();
            self.list = Some(list);
        }
        Ok(())
    }

    fn node(&mut self, id: Id) -> Res<&mut Node> {
        if !self.nodes.contains_key(&id) {
            let commit = self.repo.commit(id)?;
            let parents = commit.parents.clone();
            let node = Node {
                parents,
                tree: commit.tree,
                time: commit.time(),
                uninteresting: false,
                seen: false,
                added: false,
                same_tree: false,
                bottom: false,
                left: false,
            };
            self.nodes.insert(id, node);
        }
        self.nodes
            .get_mut(&id)
            .ok_or_else(|| Stop::not_native("a lost commit"))
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
        let mut stack: Vec<Id> = self
            .nodes
            .get(&id)
            .map(|n| n.parents.clone())
            .unwrap_or_default();
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
                let node = match self.repo_has(parent)? {
                    true => self.node(parent)?,
                    false => continue,
                };
                node.uninteresting = true;
                self.mark_parents(parent)?;
                self.push(parent)?;
            }
            return Ok(());
        }
        self.simplify(id)?;
        let node = self.node(id)?;
        let left = node.left;
        let mut parents = node.parents.clone();
        if self.walk.first_parent {
            parents.truncate(1);
        }
        for parent in parents {
            self.node(parent)?.left |= left;
            self.push(parent)?;
        }
        Ok(())
    }

    fn repo_has(&self, id: Id) -> Res<bool> {
        Ok(self.nodes.contains_key(&id) || self.repo.header(id)?.is_some())
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
        let (mut n_relevant, mut relevant_change, mut irrelevant_change) = (0, false, false);
        for (nth, parent) in parents.iter().enumerate() {
            let relevant = self.is_relevant(*parent);
            n_relevant += usize::from(relevant);
            if nth == 1 && self.walk.first_parent {
                break;
            }
            let parent_tree = self.node(*parent)?.tree;
            if !tree_diff::differ(self.repo, parent_tree, tree, &self.walk.paths)? {
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
        }
        let same = if n_relevant > 0 {
            !relevant_change
        } else {
            !irrelevant_change
        };
        self.node(id)?.same_tree = same;
        Ok(())
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
            if self.walk.until.is_some_and(|until| time > until) {
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

    /// Sorts a list so that children come before their parents.
    fn topological(&mut self, list: Vec<Id>) -> Res<Vec<Id>> {
        let mut degree: HashMap<Id, usize> = list.iter().map(|id| (*id, 1)).collect();
        for id in &list {
            for parent in self.parents_of(*id) {
                if let Some(n) = degree.get_mut(&parent) {
                    *n += 1;
                }
            }
        }
        let mut out = Vec::with_capacity(list.len());
        if self.walk.order == Order::Topo {
            // The last one pushed comes first; tips in their order.
            let mut stack: Vec<Id> = list
                .iter()
                .copied()
                .filter(|id| degree[id] == 1)
                .rev()
                .collect();
            while let Some(id) = stack.pop() {
                out.push(id);
                degree.insert(id, 0);
                for parent in self.parents_of(id) {
                    if let Some(n) = degree.get_mut(&parent).filter(|n| **n > 0) {
                        *n -= 1;
                        if *n == 1 {
                            stack.push(parent);
                        }
                    }
                }
            }
            return Ok(out);
        }
        let mut heap: BinaryHeap<(i64, Reverse<u64>, Id)> = BinaryHeap::new();
        let mut counter = 0;
        let mut ready: Vec<Id> = list.iter().copied().filter(|id| degree[id] == 1).collect();
        loop {
            for id in ready.drain(..) {
                counter += 1;
                let time = self.sort_time(id)?;
                heap.push((time, Reverse(counter), id));
            }
            let Some((_, _, id)) = heap.pop() else { break };
            out.push(id);
            degree.insert(id, 0);
            for parent in self.parents_of(id) {
                if let Some(n) = degree.get_mut(&parent).filter(|n| **n > 0) {
                    *n -= 1;
                    if *n == 1 {
                        ready.push(parent);
                    }
                }
            }
        }
        Ok(out)
    }

    fn parents_of(&self, id: Id) -> Vec<Id> {
        self.nodes
            .get(&id)
            .map(|n| n.parents.clone())
            .unwrap_or_default()
    }

    fn sort_time(&self, id: Id) -> Res<i64> {
        if self.walk.order == Order::AuthorDate {
            return Ok(Person::parse(&self.repo.commit(id)?.author).time);
        }
        Ok(self.nodes.get(&id).map_or(0, |n| n.time))
    }

    /// Gives the next commit that is shown.
    pub(crate) fn next(&mut self) -> Res<Option<Step>> {
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
            if let Some(step) = self.shown(id)? {
                return Ok(Some(step));
            }
        }
    }

    fn shown(&mut self, id: Id) -> Res<Option<Step>> {
        let (until, min, max) = (
            self.walk.until,
            self.walk.min_parents,
            self.walk.max_parents,
        );
        let (prune, rewrite, no_walk) = (self.prune, self.walk.rewrite_parents, self.walk.no_walk);
        if no_walk && prune {
            self.simplify(id)?;
        }
        let node = self.node(id)?;
        if node.uninteresting || until.is_some_and(|until| node.time > until) {
            return Ok(None);
        }
        let (n, same, left) = (node.parents.len(), node.same_tree, node.left);
        let commit = self.repo.commit(id)?;
        let original = if no_walk {
            n
        } else {
            commit
                .parents
                .len()
                .min(if n == 0 { 0 } else { usize::MAX })
        };
        let counted = if prune { n } else { original };
        if counted < min || max.is_some_and(|max| counted > max) {
            return Ok(None);
        }
        if prune && same {
            if !rewrite {
                return Ok(None);
            }
            let relevant = self
                .parents_of(id)
                .iter()
                .filter(|p| self.is_relevant(**p))
                .count();
            if relevant < 2 {
                return Ok(None);
            }
        }
        let parents = if rewrite && prune {
            self.rewritten(id)?
        } else {
            self.parents_of(id)
        };
        Ok(Some(Step {
            id,
            commit,
            parents,
            is_left: left,
        }))
    }

    /// Replaces parents that are not shown by the nearest ancestors that are.
    fn rewritten(&mut self, id: Id) -> Res<Vec<Id>> {
        let mut out: Vec<Id> = Vec::new();
        for mut parent in self.parents_of(id) {
            let kept = loop {
                if self.list.is_none() {
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
