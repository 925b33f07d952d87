//! The lines of history drawn beside a log: `--graph`.
//!
//! One row is made at a time; which commits follow is told by the caller. The layout is git's: every line of history
//! has a column, merges open columns to their right, and columns that became free are closed by lines that move left.

use crate::repository::id::Id;
use crate::text::bytes::Bytes;

/// What the next row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Only the lines as they are.
    Padding,
    /// That rows were left out.
    Skip,
    /// More room for a merge of many.
    PreCommit,
    Commit,
    PostMerge,
    /// Lines on their way to the left.
    Collapsing,
}

/// A graph that is being drawn.
#[derive(Debug)]
pub(crate) struct Graph {
    commit: Id,
    mark: u8,
    /// The parents that have a place in the graph.
    parents: Vec<Id>,
    width: usize,
    expansion_row: usize,
    state: State,
    previous: State,
    commit_index: usize,
    previous_commit_index: usize,
    /// 0 when a merge leans to the left, 1 when to the right.
    merge_layout: Option<usize>,
    edges_added: i64,
    previous_edges_added: i64,
    columns: Vec<Id>,
    new_columns: Vec<Id>,
    /// For each place of a row, the column the line there is on its way to.
    mapping: Vec<Option<usize>>,
    old_mapping: Vec<Option<usize>>,
    mapping_size: usize,
}

impl Graph {
    pub(crate) fn new() -> Graph {
        Graph {
            commit: Id::ZERO,
            mark: b'*',
            parents: Vec::new(),
            width: 0,
            expansion_row: 0,
            state: State::Padding,
            previous: State::Padding,
            commit_index: 0,
            previous_commit_index: 0,
            merge_layout: None,
            edges_added: 0,
            previous_edges_added: 0,
            columns: Vec::new(),
            new_columns: Vec::new(),
            mapping: Vec::new(),
            old_mapping: Vec::new(),
            mapping_size: 0,
        }
    }

    /// Goes on to the next commit: its sign, and those of its parents that are shown.
    pub(crate) fn update(&mut self, commit: Id, mark: u8, parents: Vec<Id>) {
        self.commit = commit;
        self.mark = mark;
        self.parents = parents;
        self.previous_commit_index = self.commit_index;
        self.update_columns();
        self.expansion_row = 0;
        self.state = if self.state != State::Padding {
            State::Skip
        } else if self.needs_room() {
            State::PreCommit
        } else {
            State::Commit
        };
    }

    fn update_columns(&mut self) {
        self.columns = std::mem::take(&mut self.new_columns);
        let most = 2 * (self.columns.len() + self.parents.len()) + 4;
        self.mapping.clear();
        self.mapping.resize(most, None);
        self.old_mapping
            .resize(self.old_mapping.len().max(most), None);
        self.mapping_size = 2 * (self.columns.len() + self.parents.len());
        self.width = 0;
        self.previous_edges_added = self.edges_added;
        self.edges_added = 0;
        let mut seen = false;
        for i in 0..=self.columns.len() {
            let here = match self.columns.get(i) {
                Some(commit) => *commit,
                None if seen => break,
                None => self.commit,
            };
            if here == self.commit {
                seen = true;
                self.commit_index = i;
                self.merge_layout = None;
                for parent in self.parents.clone() {
                    self.insert(parent, Some(i));
                }
                if self.parents.is_empty() {
                    self.width += 2;
                }
            } else {
                self.insert(here, None);
            }
        }
        while self.mapping_size > 1 && self.mapping[self.mapping_size - 1].is_none() {
            self.mapping_size -= 1;
        }
    }

    fn insert(&mut self, commit: Id, parent_of: Option<usize>) {
        let column = self.column_of(commit).unwrap_or_else(|| {
            self.new_columns.push(commit);
            self.new_columns.len() - 1
        });
        let place = match parent_of {
            Some(index) if self.parents.len() > 1 && self.merge_layout.is_none() => {
                // The first parent of a merge decides to which side it leans.
                let leans_left = index > column;
                let distance = index.saturating_sub(column);
                let shift = if distance > 1 { 2 * distance - 3 } else { 1 };
                let layout = usize::from(!leans_left);
                self.merge_layout = Some(layout);
                self.edges_added = self.parents.len() as i64 + layout as i64 - 2;
                let place = if leans_left {
                    self.width.saturating_sub(shift)
                } else {
                    self.width
                };
                self.width += 2 * layout;
                place
            }
            _ if self.edges_added > 0
                && self.width >= 2
                && self.mapping[self.width - 2] == Some(column) =>
            {
                // The last line added leads to the same commit: they join at once.
                self.edges_added = -1;
                self.width - 2
            }
            _ => {
                self.width += 2;
                self.width - 2
            }
        };
        self.mapping[place] = Some(column);
    }

    fn column_of(&self, commit: Id) -> Option<usize> {
        self.new_columns.iter().position(|c| *c == commit)
    }

    fn dashed_parents(&self) -> usize {
        (self.parents.len() + self.merge_layout.unwrap_or(0)).saturating_sub(3)
    }

    fn needs_room(&self) -> bool {
        self.parents.len() >= 3
            && self.commit_index + 1 < self.columns.len()
            && self.expansion_row < self.dashed_parents() * 2
    }

    fn is_settled(&self) -> bool {
        self.mapping[..self.mapping_size]
            .iter()
            .enumerate()
            .all(|(i, target)| target.is_none_or(|t| t == i / 2))
    }

    fn go_on(&mut self, state: State) {
        self.previous = self.state;
        self.state = state;
    }

    /// Says whether everything that belongs to this commit was drawn.
    pub(crate) fn is_finished(&self) -> bool {
        self.state == State::Padding
    }

    /// Returns the columns the graph takes beside the present commit.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Makes the next row; says whether it is the one with the commit.
    pub(crate) fn next_row(&mut self) -> (Bytes, bool) {
        let mut row = Bytes::new();
        let is_commit = self.state == State::Commit;
        match self.state {
            State::Padding => self.padding(&mut row),
            State::Skip => {
                row.extend_from_slice(b"...");
                let next = if self.needs_room() {
                    State::PreCommit
                } else {
                    State::Commit
                };
                self.go_on(next);
            }
            State::PreCommit => self.pre_commit(&mut row),
            State::Commit => self.commit_row(&mut row),
            State::PostMerge => self.post_merge(&mut row),
            State::Collapsing => self.collapsing(&mut row),
        }
        self.pad(&mut row);
        (row, is_commit)
    }

    /// Makes a row that leaves everything as it is.
    pub(crate) fn padding_row(&mut self) -> Bytes {
        if self.state != State::Commit {
            return self.next_row().0;
        }
        let mut row = Bytes::new();
        for commit in &self.columns {
            row.push(b'|');
            let blanks = if *commit == self.commit && self.parents.len() > 2 {
                (self.parents.len() - 2) * 2
            } else {
                1
            };
            row.extend(std::iter::repeat_n(b' ', blanks));
        }
        self.pad(&mut row);
        self.previous = State::Padding;
        row
    }

    fn pad(&self, row: &mut Bytes) {
        if row.len() < self.width {
            row.resize(self.width, b' ');
        }
    }

    fn padding(&self, row: &mut Bytes) {
        for _ in &self.new_columns {
            row.extend_from_slice(b"| ");
        }
    }

    fn pre_commit(&mut self, row: &mut Bytes) {
        let mut seen = false;
        for (i, commit) in self.columns.iter().enumerate() {
            if *commit == self.commit {
                seen = true;
                row.push(b'|');
                row.extend(std::iter::repeat_n(b' ', self.expansion_row));
            } else if seen && self.expansion_row == 0 {
                let came_down = self.previous == State::PostMerge && self.previous_commit_index < i;
                row.push(if came_down { b'\\' } else { b'|' });
            } else if seen {
                row.push(b'\\');
            } else {
                row.push(b'|');
            }
            row.push(b' ');
        }
        self.expansion_row += 1;
        if !self.needs_room() {
            self.go_on(State::Commit);
        }
    }

    fn commit_row(&mut self, row: &mut Bytes) {
        let mut seen = false;
        for i in 0..=self.columns.len() {
            let here = match self.columns.get(i) {
                Some(commit) => *commit,
                None if seen => break,
                None => self.commit,
            };
            if here == self.commit {
                seen = true;
                row.push(self.mark);
                for dash in 0..self.dashed_parents() {
                    row.push(b'-');
                    row.push(if dash + 1 == self.dashed_parents() {
                        b'.'
                    } else {
                        b'-'
                    });
                }
            } else if seen && self.edges_added > 1 {
                row.push(b'\\');
            } else if seen && self.edges_added == 1 {
                let came_down = self.previous == State::PostMerge
                    && self.previous_edges_added > 0
                    && self.previous_commit_index < i;
                row.push(if came_down { b'\\' } else { b'|' });
            } else if self.previous == State::Collapsing
                && self.old_mapping.get(2 * i + 1).copied().flatten() == Some(i)
                && self
                    .mapping
                    .get(2 * i)
                    .is_some_and(|t| t.is_none_or(|t| t < i))
            {
                row.push(b'/');
            } else {
                row.push(b'|');
            }
            row.push(b' ');
        }
        let next = if self.parents.len() > 1 {
            State::PostMerge
        } else if self.is_settled() {
            State::Padding
        } else {
            State::Collapsing
        };
        self.go_on(next);
    }

    fn post_merge(&mut self, row: &mut Bytes) {
        const SIGNS: [u8; 3] = *b"/|\\";
        let mut seen = false;
        let mut below_first_parent = false;
        let layout = self.merge_layout.unwrap_or(1);
        for i in 0..=self.columns.len() {
            let here = match self.columns.get(i) {
                Some(commit) => *commit,
                None if seen => break,
                None => self.commit,
            };
            if here == self.commit {
                seen = true;
                let mut sign = layout;
                for j in 0..self.parents.len() {
                    row.push(SIGNS[sign]);
                    if sign == 2 {
                        if self.edges_added > 0 || j + 1 < self.parents.len() {
                            row.push(b' ');
                        }
                    } else {
                        sign += 1;
                    }
                }
                if self.edges_added == 0 {
                    row.push(b' ');
                }
            } else if seen {
                row.push(if self.edges_added > 0 { b'\\' } else { b'|' });
                row.push(b' ');
            } else {
                row.push(b'|');
                if layout != 0 || i + 1 != self.commit_index {
                    row.push(if below_first_parent { b'_' } else { b' ' });
                }
            }
            if self.parents.first() == Some(&here) {
                below_first_parent = true;
            }
        }
        let next = if self.is_settled() {
            State::Padding
        } else {
            State::Collapsing
        };
        self.go_on(next);
    }

    fn collapsing(&mut self, row: &mut Bytes) {
        std::mem::swap(&mut self.mapping, &mut self.old_mapping);
        let size = self.mapping_size;
        let longest = self.mapping.len().max(self.old_mapping.len());
        self.mapping.clear();
        self.mapping.resize(longest, None);
        self.old_mapping.resize(longest, None);
        let mut edge: Option<usize> = None;
        let mut edge_target: Option<usize> = None;
        for i in 0..size {
            let Some(target) = self.old_mapping[i] else {
                continue;
            };
            if target * 2 >= i {
                self.mapping[i] = Some(target);
                continue;
            }
            let mut moves = None;
            if self.mapping[i - 1].is_none() {
                self.mapping[i - 1] = Some(target);
                moves = Some(i);
            } else if self.mapping[i - 1] != Some(target) {
                // There is another line in between: cross it.
                self.mapping[i - 2] = Some(target);
                moves = Some(i - 1);
            }
            if let (Some(at), None) = (moves, edge) {
                edge = Some(at);
                edge_target = Some(target);
                for j in (target * 2 + 3..i.saturating_sub(2)).step_by(2) {
                    self.mapping[j] = Some(target);
                }
            }
        }
        self.old_mapping[..size].copy_from_slice(&self.mapping[..size]);
        if self.mapping[size - 1].is_none() {
            self.mapping_size -= 1;
        }
        let mut used_edge = false;
        for i in 0..self.mapping_size {
            let Some(target) = self.mapping[i] else {
                row.push(b' ');
                continue;
            };
            if target * 2 == i {
                row.push(b'|');
            } else if edge_target == Some(target) && edge != Some(i + 1) {
                // Only the first piece goes on in the next row.
                if i != target * 2 + 3 {
                    self.mapping[i] = None;
                }
                used_edge = true;
                row.push(b'_');
            } else {
                if used_edge && edge.is_some_and(|e| i < e) {
                    self.mapping[i] = None;
                }
                row.push(b'/');
            }
        }
        if self.is_settled() {
            self.go_on(State::Padding);
        }
    }
}
