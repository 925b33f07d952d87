//! The lines two texts differ in. libgit2 carries git's own algorithm; the grouping into hunks is ours.

use git2::{DiffOptions, Patch};

use crate::outcome::Res;

/// Which lines count as equal, and how hard is searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) ignore_all_space: bool,
    pub(crate) ignore_space_change: bool,
    pub(crate) ignore_space_at_eol: bool,
    pub(crate) ignore_cr_at_eol: bool,
    pub(crate) histogram: bool,
    pub(crate) minimal: bool,
    pub(crate) patience: bool,
    pub(crate) no_indent_heuristic: bool,
}

impl Compare {
    /// Says whether lines are equal that differ in blanks.
    pub(crate) fn ignores_space(self) -> bool {
        self.ignore_all_space
            || self.ignore_space_change
            || self.ignore_space_at_eol
            || self.ignore_cr_at_eol
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
    if how.ignore_cr_at_eol {
        if !(old.ends_with(b"\n") && new.ends_with(b"\n")) {
            return Err(crate::outcome::Stop::not_native(
                "a last line without an end",
            ));
        }
        // Without these, the lines compare as if they were not there; their number stays.
        let plain = Compare {
            ignore_cr_at_eol: false,
            ..how
        };
        return changes(&without_cr(old), &without_cr(new), plain);
    }
    if how.histogram {
        return crate::compare::histogram::changes(&lines(old), &lines(new), how);
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

/// Compares like [`changes`], as git does where nothing is shown around the changes: what both texts end with is left
/// out first, so that no change slides into it.
pub(crate) fn changes_without_context(old: &[u8], new: &[u8], how: Compare) -> Res<Vec<Change>> {
    const BLOCK: usize = 1024;
    let shorter = old.len().min(new.len());
    let mut same = 0;
    while same + BLOCK <= shorter {
        let (a, b) = (old.len() - same, new.len() - same);
        if old[a - BLOCK..a] != new[b - BLOCK..b] {
            break;
        }
        same += BLOCK;
    }
    // The rest of the line the cut is in stays.
    let tail = &old[old.len() - same..];
    let kept = tail
        .iter()
        .position(|b| *b == b'\n')
        .map_or(same, |i| i + 1);
    let cut = same - kept;
    changes(&old[..old.len() - cut], &new[..new.len() - cut], how)
}

fn without_cr(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(bare) => {
                out.extend_from_slice(bare);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }
    out
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

/// How much stands around changes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    pub(crate) context: usize,
    /// More lines that may lie between two changes of one hunk.
    pub(crate) between: usize,
}

/// Whole functions around changes: which lines begin one.
pub(crate) struct Functions<'f> {
    pub(crate) olds: &'f [&'f [u8]],
    pub(crate) news: &'f [&'f [u8]],
    pub(crate) begins: &'f dyn Fn(&[u8]) -> bool,
}

impl Functions<'_> {
    /// Finds the line that begins a function, from `start` on until `limit` (not included).
    fn find(&self, start: i64, limit: i64) -> i64 {
        let step = if start > limit { -1 } else { 1 };
        let mut at = start;
        while at != limit && at >= 0 && (at as usize) < self.olds.len() {
            if (self.begins)(self.olds[at as usize]) {
                return at;
            }
            at += step;
        }
        -1
    }
}

/// Groups changes whose context touches.
pub(crate) fn hunks(
    changes: &[Change],
    context: usize,
    between: usize,
    n_old: usize,
    n_new: usize,
) -> Vec<HunkRange> {
    hunks_with(
        changes,
        &[],
        Around { context, between },
        n_old,
        n_new,
        None,
    )
}

/// Groups changes; those marked in `ignored` are shown only beside others, and whole functions where asked for.
pub(crate) fn hunks_with(
    changes: &[Change],
    ignored: &[bool],
    around: Around,
    n_old: usize,
    n_new: usize,
    functions: Option<&Functions<'_>>,
) -> Vec<HunkRange> {
    let context = around.context;
    let mut hunks = Vec::new();
    let mut next = 0;
    while next < changes.len() {
        let floor = next;
        let Some((mut first, mut last)) = group(changes, ignored, around, next) else {
            break;
        };
        let (mut s1, mut s2);
        'before: loop {
            s1 = changes[first].old.saturating_sub(context);
            s2 = changes[first].new.saturating_sub(context);
            let Some(functions) = functions else { break };
            let mut i1 = changes[first].old as i64;
            if i1 >= n_old as i64 {
                // A whole function at the end needs nothing before it.
                if functions.news[changes[first].new.min(n_new)..]
                    .iter()
                    .any(|l| (functions.begins)(l))
                {
                    break;
                }
                i1 = n_old as i64 - 1;
            }
            let mut begin = functions.find(i1, -1);
            while begin > 0 {
                let above = functions.olds[begin as usize - 1];
                if above.trim_ascii().is_empty() || (functions.begins)(above) {
                    break;
                }
                begin -= 1;
            }
            let begin = begin.max(0) as usize;
            if begin < s1 {
                s2 = s2.saturating_sub(s1 - begin);
                s1 = begin;
                let reached = (floor..first).find(|i| {
                    let c = &changes[*i];
                    c.old + c.n_old > s1 || c.new + c.n_new > s2
                });
                if let Some(reached) = reached {
                    first = reached;
                    continue 'before;
                }
            }
            break;
        }
        let (mut e1, mut e2);
        loop {
            let c = &changes[last];
            let (old_end, new_end) = (c.old + c.n_old, c.new + c.n_new);
            let after = context
                .min(n_old.saturating_sub(old_end))
                .min(n_new.saturating_sub(new_end));
            (e1, e2) = (old_end + after, new_end + after);
            let Some(functions) = functions else { break };
            let mut end = functions.find(old_end as i64, n_old as i64);
            while end > 0 && functions.olds[end as usize - 1].trim_ascii().is_empty() {
                end -= 1;
            }
            let end = if end < 0 { n_old } else { end as usize };
            if end > e1 {
                e2 = (e2 + (end - e1)).min(n_new);
                e1 = end;
            }
            let Some(following) = changes.get(last + 1) else {
                break;
            };
            let line = following.old.min(n_old.saturating_sub(1)) as i64;
            if line - context as i64 <= e1 as i64 || functions.find(line, e1 as i64) < 0 {
                last += 1;
                continue;
            }
            break;
        }
        hunks.push(HunkRange {
            changes: first..last + 1,
            old: s1..e1,
            new: s2..e2,
        });
        next = last + 1;
    }
    hunks
}

/// Finds the first and last change of the next hunk.
fn group(
    changes: &[Change],
    ignored: &[bool],
    around: Around,
    from: usize,
) -> Option<(usize, usize)> {
    let is_ignored = |i: usize| ignored.get(i).copied().unwrap_or(false);
    let end = |i: usize| changes[i].old + changes[i].n_old;
    let max_common = 2 * around.context + around.between;
    let max_ignorable = around.context;
    // What is ignored and too far before anything else is left out.
    let mut first = from;
    let mut i = from;
    while i < changes.len() && is_ignored(i) {
        if i + 1 == changes.len() || changes[i + 1].old - end(i) >= max_ignorable {
            first = i + 1;
        }
        i += 1;
    }
    if first >= changes.len() {
        return None;
    }
    let mut last = first;
    let mut skipped = 0;
    for (i, change) in changes.iter().enumerate().skip(first + 1) {
        let distance = change.old - end(i - 1);
        if distance > max_common {
            break;
        }
        if distance < max_ignorable && (!is_ignored(i) || last == i - 1) {
            last = i;
            skipped = 0;
        } else if distance < max_ignorable && is_ignored(i) {
            skipped += change.n_new;
        } else if last != i - 1 && change.old + skipped - end(last) > max_common {
            break;
        } else if !is_ignored(i) {
            last = i;
            skipped = 0;
        } else {
            skipped += change.n_new;
        }
    }
    Some((first, last))
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
