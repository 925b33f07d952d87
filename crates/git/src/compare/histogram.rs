//! Lines matched by how rare they are (`--histogram`), and changes slid to where they read best.
//!
//! libgit2 has git's other ways to compare, with the sliding built in, but not this one.

use std::collections::HashMap;

use crate::compare::xdiff::{Change, Compare};
use crate::outcome::{Res, Stop};

/// Lines that occur more often are no landmarks.
const MAX_OCCURRENCES: usize = 64;

/// Compares two lists of lines.
pub(crate) fn changes(olds: &[&[u8]], news: &[&[u8]], how: Compare) -> Res<Vec<Change>> {
    let mut classes = HashMap::new();
    let mut class = |line: &&[u8]| -> usize {
        let n = classes.len();
        *classes.entry(canonical(line, how)).or_insert(n)
    };
    let old: Vec<usize> = olds.iter().map(&mut class).collect();
    let new: Vec<usize> = news.iter().map(&mut class).collect();
    let mut both = Both {
        old_changed: vec![false; old.len()],
        new_changed: vec![false; new.len()],
        old: &old,
        new: &new,
    };
    both.compare(Region {
        old: 0..old.len(),
        new: 0..new.len(),
    })?;
    let Both {
        mut old_changed,
        mut new_changed,
        ..
    } = both;
    let indent = !how.no_indent_heuristic;
    slide(&old, olds, &mut old_changed, &new_changed, indent);
    slide(&new, news, &mut new_changed, &old_changed, indent);
    Ok(script(&old_changed, &new_changed))
}

/// Returns what is left of a line when what does not count is taken away.
fn canonical(line: &[u8], how: Compare) -> Vec<u8> {
    let is_blank = |c: u8| c.is_ascii_whitespace() || c == 0x0b;
    let trimmed = || {
        let end = line
            .iter()
            .rposition(|c| !is_blank(*c))
            .map_or(0, |i| i + 1);
        &line[..end]
    };
    if how.ignore_all_space {
        return line.iter().copied().filter(|c| !is_blank(*c)).collect();
    }
    if how.ignore_space_change {
        let mut out = Vec::new();
        let mut gap = false;
        for &c in trimmed() {
            if is_blank(c) {
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                out.push(b' ');
            }
            out.push(c);
        }
        return out;
    }
    if how.ignore_space_at_eol {
        return trimmed().to_vec();
    }
    line.to_vec()
}

#[derive(Debug, Clone)]
struct Region {
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
}

struct Both<'l> {
    old: &'l [usize],
    new: &'l [usize],
    old_changed: Vec<bool>,
    new_changed: Vec<bool>,
}

/// Lines both sides have; the ends are inclusive.
#[derive(Debug, Clone, Copy, Default)]
struct Common {
    old: (usize, usize),
    new: (usize, usize),
}

impl Both<'_> {
    fn compare(&mut self, region: Region) -> Res<()> {
        let mut open = vec![region];
        while let Some(region) = open.pop() {
            let Region { old, new } = region;
            if old.is_empty() || new.is_empty() {
                self.old_changed[old].fill(true);
                self.new_changed[new].fill(true);
                continue;
            }
            match self.rarest(&old, &new)? {
                None => {
                    self.old_changed[old].fill(true);
                    self.new_changed[new].fill(true);
                }
                Some(common) => {
                    open.push(Region {
                        old: common.old.1 + 1..old.end,
                        new: common.new.1 + 1..new.end,
                    });
                    open.push(Region {
                        old: old.start..common.old.0,
                        new: new.start..common.new.0,
                    });
                }
            }
        }
        Ok(())
    }

    /// Finds the run of common lines with the rarest line in it, the longest of those; `None` when nothing is common.
    fn rarest(
        &self,
        old: &std::ops::Range<usize>,
        new: &std::ops::Range<usize>,
    ) -> Res<Option<Common>> {
        // Where each kind of line occurs, in order.
        let mut places: HashMap<usize, Vec<usize>> = HashMap::new();
        for i in old.clone() {
            places.entry(self.old[i]).or_default().push(i);
        }
        let count_of = |at: usize| places.get(&self.old[at]).map_or(0, Vec::len);
        let mut best: Option<Common> = None;
        let mut rarest = MAX_OCCURRENCES + 1;
        let mut has_common = false;
        let mut b = new.start;
        while b < new.end {
            let mut next = b + 1;
            if let Some(occurrences) = places.get(&self.new[b]) {
                has_common = true;
                let mut from = if occurrences.len() > rarest {
                    occurrences.len()
                } else {
                    0
                };
                while from < occurrences.len() {
                    let (mut a_start, mut b_start) = (occurrences[from], b);
                    let (mut a_end, mut b_end) = (a_start, b);
                    let mut count = occurrences.len();
                    while old.start < a_start
                        && new.start < b_start
                        && self.old[a_start - 1] == self.new[b_start - 1]
                    {
                        a_start -= 1;
                        b_start -= 1;
                        if count > 1 {
                            count = count.min(count_of(a_start));
                        }
                    }
                    while a_end + 1 < old.end
                        && b_end + 1 < new.end
                        && self.old[a_end + 1] == self.new[b_end + 1]
                    {
                        a_end += 1;
                        b_end += 1;
                        if count > 1 {
                            count = count.min(count_of(a_end));
                        }
                    }
                    next = next.max(b_end + 1);
                    let length = best.map_or(0, |c| c.old.1 - c.old.0);
                    if length < a_end - a_start || count < rarest {
                        best = Some(Common {
                            old: (a_start, a_end),
                            new: (b_start, b_end),
                        });
                        rarest = count;
                    }
                    from += occurrences[from..]
                        .iter()
                        .take_while(|p| **p <= a_end)
                        .count();
                }
            }
            b = next;
        }
        if has_common && rarest > MAX_OCCURRENCES {
            // git takes its ordinary way here, without the sliding.
            return Err(Stop::not_native("lines that are all too common"));
        }
        Ok(best)
    }
}

/// Lists the runs of lines that differ.
fn script(old: &[bool], new: &[bool]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let run = |flags: &[bool], from: usize| flags[from..].iter().take_while(|c| **c).count();
        let (n_old, n_new) = (run(old, i), run(new, j));
        if n_old > 0 || n_new > 0 {
            changes.push(Change {
                old: i,
                n_old,
                new: j,
                n_new,
            });
        }
        i += n_old + 1;
        j += n_new + 1;
    }
    changes
}

/// A run of changed lines, empty where two unchanged lines meet.
#[derive(Debug, Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

impl Group {
    fn first(changed: &[bool]) -> Group {
        Group {
            start: 0,
            end: changed.iter().take_while(|c| **c).count(),
        }
    }

    fn next(&mut self, changed: &[bool]) -> bool {
        if self.end == changed.len() {
            return false;
        }
        self.start = self.end + 1;
        self.end = self.start + changed[self.start..].iter().take_while(|c| **c).count();
        true
    }

    fn previous(&mut self, changed: &[bool]) -> bool {
        if self.start == 0 {
            return false;
        }
        self.end = self.start - 1;
        self.start = self.end - changed[..self.end].iter().rev().take_while(|c| **c).count();
        true
    }

    fn slide_down(&mut self, kinds: &[usize], changed: &mut [bool]) -> bool {
        if self.end >= kinds.len() || kinds[self.start] != kinds[self.end] {
            return false;
        }
        changed[self.start] = false;
        changed[self.end] = true;
        self.start += 1;
        self.end += 1;
        self.end += changed[self.end..].iter().take_while(|c| **c).count();
        true
    }

    fn slide_up(&mut self, kinds: &[usize], changed: &mut [bool]) -> bool {
        if self.start == 0 || kinds[self.start - 1] != kinds[self.end - 1] {
            return false;
        }
        self.start -= 1;
        self.end -= 1;
        changed[self.start] = true;
        changed[self.end] = false;
        self.start -= changed[..self.start]
            .iter()
            .rev()
            .take_while(|c| **c)
            .count();
        true
    }
}

/// Slides runs of changed lines to where they meet those of the other side, or else to where they read best.
fn slide(kinds: &[usize], lines: &[&[u8]], changed: &mut [bool], other: &[bool], indent: bool) {
    /// How far a run slides at most for its looks.
    const MAX_SLIDING: usize = 100;
    let mut group = Group::first(changed);
    let mut beside = Group::first(other);
    loop {
        if group.end > group.start {
            let mut earliest;
            let mut meets;
            let mut size;
            loop {
                size = group.end - group.start;
                while group.slide_up(kinds, changed) {
                    beside.previous(other);
                }
                earliest = group.end;
                meets = beside.end > beside.start;
                while group.slide_down(kinds, changed) {
                    beside.next(other);
                    meets |= beside.end > beside.start;
                }
                if size == group.end - group.start {
                    break;
                }
            }
            if group.end == earliest {
                // There is nowhere to slide to.
            } else if meets {
                while beside.end == beside.start && group.slide_up(kinds, changed) {
                    beside.previous(other);
                }
            } else if indent {
                let from = earliest
                    .max((group.end).saturating_sub(size + 1))
                    .max(group.end.saturating_sub(MAX_SLIDING));
                let mut best: Option<(usize, Score)> = None;
                for end in from..=group.end {
                    let mut score = Score::default();
                    score.add(lines, end);
                    score.add(lines, end - size);
                    if best.is_none_or(|(_, b)| !score.is_worse_than(b)) {
                        best = Some((end, score));
                    }
                }
                let best = best.map_or(group.end, |(end, _)| end);
                while group.end > best && group.slide_up(kinds, changed) {
                    beside.previous(other);
                }
            }
        }
        if !group.next(changed) {
            return;
        }
        beside.next(other);
    }
}

/// How badly a text is split above some lines.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    indent: i64,
    penalty: i64,
}

impl Score {
    fn is_worse_than(self, other: Score) -> bool {
        let by_indent = match self.indent.cmp(&other.indent) {
            std::cmp::Ordering::Less => -60,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 60,
        };
        by_indent + (self.penalty - other.penalty) > 0
    }

    /// Adds what is bad about a split above a line.
    fn add(&mut self, lines: &[&[u8]], split: usize) {
        let at = lines.get(split).and_then(|l| indent_of(l));
        let (before_blank, before) = nearest(lines[..split.min(lines.len())].iter().rev());
        let (after_blank, after) = nearest(lines.get(split + 1..).unwrap_or_default().iter());
        if before.is_none() && before_blank == 0 {
            self.penalty += 1;
        }
        if split >= lines.len() {
            self.penalty += 21;
        }
        let after_blank = if at.is_none() { 1 + after_blank } else { 0 };
        let blank = before_blank + after_blank;
        self.penalty += -30 * blank + 6 * after_blank;
        let indent = at.or(after);
        self.indent += indent.unwrap_or(-1);
        let (Some(indent), Some(before)) = (indent, before) else {
            return;
        };
        let any_blank = blank != 0;
        self.penalty += if indent > before {
            if any_blank { 10 } else { -4 }
        } else if indent == before {
            0
        } else if after.is_some_and(|after| after > indent) {
            if any_blank { 17 } else { 24 }
        } else if any_blank {
            17
        } else {
            23
        };
    }
}

/// Counts blank lines and returns the indent of the first line that is not blank.
fn nearest<'l>(lines: impl Iterator<Item = &'l &'l [u8]>) -> (i64, Option<i64>) {
    const MAX_BLANKS: i64 = 20;
    let mut blank = 0;
    for line in lines {
        if let Some(indent) = indent_of(line) {
            return (blank, Some(indent));
        }
        blank += 1;
        if blank == MAX_BLANKS {
            return (blank, Some(0));
        }
    }
    (blank, None)
}

/// Returns a line's indent in columns, a tab to the next eighth; `None` for a blank line.
fn indent_of(line: &[u8]) -> Option<i64> {
    const MAX_INDENT: i64 = 200;
    let mut columns = 0;
    for c in line {
        match c {
            b' ' => columns += 1,
            b'\t' => columns += 8 - columns % 8,
            b'\n' | b'\r' | 0x0b | 0x0c => {}
            _ => return Some(columns),
        }
        if columns >= MAX_INDENT {
            return Some(MAX_INDENT);
        }
    }
    None
}
