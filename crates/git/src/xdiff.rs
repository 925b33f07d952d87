//! The lines two texts differ in. libgit2 carries git's own algorithm; the grouping into hunks is ours.

use git2::{DiffOptions, Patch};

use crate::outcome::Res;

/// Which lines count as equal, and how hard is searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) ignore_all_space: bool,
    pub(crate) ignore_space_change: bool,
    pub(crate) ignore_space_at_eol: bool,
    pub(crate) minimal: bool,
    pub(crate) patience: bool,
    pub(crate) no_indent_heuristic: bool,
}

impl Compare {
    /// Says whether lines that differ in blanks only may be taken for equal.
    pub(crate) fn ignores_space(self) -> bool {
        self.ignore_all_space || self.ignore_space_change || self.ignore_space_at_eol
    }
}

/// A run of old lines that a run of new lines replaces; lines are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) old: usize,
    pub(crate) n_old: usize,
    pub(crate) new: usize,
    pub(crate) n_new: usize,
}

/// Compares two texts line by line.
pub(crate) fn changes(old: &[u8], new: &[u8], how: Compare) -> Res<Vec<Change>> {
    if old == new {
        return Ok(Vec::new());
    }
    let mut options = DiffOptions::new();
    options
        .context_lines(0)
        .interhunk_lines(0)
        .force_text(true)
        .indent_heuristic(!how.no_indent_heuristic)
        .minimal(how.minimal)
        .patience(how.patience)
        .ignore_whitespace(how.ignore_all_space)
        .ignore_whitespace_change(how.ignore_space_change)
        .ignore_whitespace_eol(how.ignore_space_at_eol);
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options))?;
    let mut changes = Vec::with_capacity(patch.num_hunks());
    for i in 0..patch.num_hunks() {
        let (hunk, _) = patch.hunk(i)?;
        let at = |start: u32, lines: u32| {
            if lines == 0 {
                start as usize
            } else {
                (start as usize).saturating_sub(1)
            }
        };
        changes.push(Change {
            old: at(hunk.old_start(), hunk.old_lines()),
            n_old: hunk.old_lines() as usize,
            new: at(hunk.new_start(), hunk.new_lines()),
            n_new: hunk.new_lines() as usize,
        });
    }
    Ok(changes)
}

/// Splits a text into lines that keep their ends.
pub(crate) fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|b| *b == b'\n').collect()
}

/// Counts the lines that were added and deleted.
pub(crate) fn count(changes: &[Change]) -> (usize, usize) {
    changes.iter().fold((0, 0), |(added, deleted), c| {
        (added + c.n_new, deleted + c.n_old)
    })
}

/// Changes that are shown together, with the lines around them; the ends are exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HunkRange {
    pub(crate) changes: std::ops::Range<usize>,
    pub(crate) old: std::ops::Range<usize>,
    pub(crate) new: std::ops::Range<usize>,
}

/// Groups changes whose context touches.
pub(crate) fn hunks(
    changes: &[Change],
    context: usize,
    between: usize,
    n_old: usize,
    n_new: usize,
) -> Vec<HunkRange> {
    let mut hunks = Vec::new();
    let mut i = 0;
    while i < changes.len() {
        let first = i;
        while i + 1 < changes.len()
            && changes[i + 1].old - (changes[i].old + changes[i].n_old) <= 2 * context + between
        {
            i += 1;
        }
        let (a, b) = (changes[first], changes[i]);
        let before = context.min(a.old).min(a.new);
        let (old_end, new_end) = (b.old + b.n_old, b.new + b.n_new);
        let after = context
            .min(n_old.saturating_sub(old_end))
            .min(n_new.saturating_sub(new_end));
        hunks.push(HunkRange {
            changes: first..i + 1,
            old: a.old - before..old_end + after,
            new: a.new - before..new_end + after,
        });
        i += 1;
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_with_touching_context_are_one() {
        let old: String = (0..30).map(|i| format!("{i}\n")).collect();
        let new = old.replace("5\n", "five\n").replace("12\n", "twelve\n");
        let changes = changes(old.as_bytes(), new.as_bytes(), Compare::default()).unwrap();
        assert!(changes.len() >= 2);
        assert_eq!(hunks(&changes, 0, 0, 30, 30).len(), changes.len());
    }
}
