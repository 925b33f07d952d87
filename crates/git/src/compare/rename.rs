//! Renames and copies, found by git's rule: same contents first, then same names, then the most similar.

use std::collections::HashMap;
use std::rc::Rc;

use crate::compare::pair::{Contents, MAX_SCORE, Pair, Side};
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::text::bytes::{Bytes, basename};

/// Counts the bytes of one text that another took over, and those it added.
pub(crate) fn count_changes(old: &[u8], old_text: bool, new: &[u8], new_text: bool) -> (u64, u64) {
    let (a, b) = (Spans::of(old, old_text), Spans::of(new, new_text));
    let mut added = 0;
    let mut olds = a.0.iter().peekable();
    for (hash, count) in &b.0 {
        while olds.peek().is_some_and(|(h, _)| h < hash) {
            olds.next();
        }
        let kept = olds.next_if(|(h, _)| h == hash).map_or(0, |(_, n)| *n);
        added += u64::from(count.saturating_sub(kept));
    }
    (a.copied_to(&b), added)
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RenameOptions {
    /// Least similarity, up to [`MAX_SCORE`].
    pub(crate) minimum: u32,
    /// Modified files are sources too.
    pub(crate) copies: bool,
    /// Unchanged files are sources too, where the caller lists them.
    pub(crate) harder: bool,
    /// Empty files are compared too.
    pub(crate) empty: bool,
    /// Nothing inexact is looked for when sources × destinations is more than the square of this; 0 is no limit.
    pub(crate) limit: usize,
}

impl Default for RenameOptions {
    fn default() -> Self {
        RenameOptions {
            minimum: MAX_SCORE / 2,
            copies: false,
            harder: false,
            empty: true,
            limit: 1000,
        }
    }
}

/// Joins deletions and additions that are renames; the list keeps the order of the new paths.
pub(crate) fn detect(
    pairs: Vec<Pair>,
    contents: &Contents<'_>,
    options: RenameOptions,
) -> Res<Vec<Pair>> {
    detect_among(pairs, None, contents, options)
}

/// Like [`detect`]; pairs whose sides are the same are sources only, and with `only` nothing but that path is a target.
pub(crate) fn detect_among(
    pairs: Vec<Pair>,
    only: Option<&[u8]>,
    contents: &Contents<'_>,
    options: RenameOptions,
) -> Res<Vec<Pair>> {
    let is_empty = |side: &Side| side.id == Id::empty_blob();
    let mut search = Search {
        contents,
        options,
        sources: Vec::new(),
        targets: Vec::new(),
        kept: HashMap::new(),
    };
    for (i, pair) in pairs.iter().enumerate() {
        if pair.status == b'U' {
            continue;
        }
        match (pair.old.exists(), pair.new.exists()) {
            (false, true) => {
                let wanted = only.is_none_or(|path| path == pair.new.path.as_slice())
                    && (options.empty || !is_empty(&pair.new));
                if wanted {
                    search.targets.push(Target {
                        pair: i,
                        source: None,
                    });
                }
            }
            (true, false) if !options.empty && is_empty(&pair.old) => {}
            (true, false) => search.sources.push(Source {
                pair: i,
                used: 0,
                gone: true,
            }),
            _ if options.copies => search.sources.push(Source {
                pair: i,
                used: 1,
                gone: false,
            }),
            _ => {}
        }
    }
    if search.sources.is_empty() || search.targets.is_empty() {
        return Ok(pairs);
    }
    search.exact(&pairs)?;
    if options.minimum < MAX_SCORE {
        if !options.copies {
            search.by_name(&pairs)?;
        }
        search.by_similarity(&pairs)?;
    }
    Ok(search.finish(pairs))
}

struct Source {
    pair: usize,
    /// How many renames and copies lead from here; one more if the file stays.
    used: u32,
    gone: bool,
}

struct Target {
    pair: usize,
    source: Option<(usize, u32)>,
}

struct Search<'c> {
    contents: &'c Contents<'c>,
    options: RenameOptions,
    sources: Vec<Source>,
    targets: Vec<Target>,
    kept: HashMap<(Id, Bytes), Rc<Spans>>,
}

impl Search<'_> {
    fn record(&mut self, target: usize, source: usize, score: u32) {
        self.sources[source].used += 1;
        self.targets[target].source = Some((source, score));
    }

    fn exact(&mut self, pairs: &[Pair]) -> Res<()> {
        let mut by_id: HashMap<Id, Vec<usize>> = HashMap::new();
        for (i, source) in self.sources.iter().enumerate() {
            let id = self.contents.id(&pairs[source.pair].old)?;
            by_id.entry(id).or_default().push(i);
        }
        for t in 0..self.targets.len() {
            let new = &pairs[self.targets[t].pair].new;
            let Some(candidates) = by_id.get(&self.contents.id(new)?) else {
                continue;
            };
            let mut best: Option<(usize, u32)> = None;
            for &s in candidates.iter().take(100) {
                let old = &pairs[self.sources[s].pair].old;
                if !(mode::is_file(old.mode) && mode::is_file(new.mode)) && old.mode != new.mode {
                    continue;
                }
                let unused = self.sources[s].used == 0;
                if !unused && !self.options.copies {
                    continue;
                }
                let score =
                    u32::from(unused) + u32::from(basename(&old.path) == basename(&new.path));
                if best.is_none_or(|(_, b)| score > b) {
                    best = Some((s, score));
                    if score == 2 {
                        break;
                    }
                }
            }
            if let Some((s, _)) = best {
                self.record(t, s, MAX_SCORE);
            }
        }
        Ok(())
    }

    /// Pairs files whose names are unique on both sides, if they are similar enough.
    fn by_name(&mut self, pairs: &[Pair]) -> Res<()> {
        let minimum = self.options.minimum + (MAX_SCORE - self.options.minimum) / 2;
        let free: Vec<usize> = (0..self.sources.len())
            .filter(|s| self.sources[*s].used == 0)
            .collect();
        let mut sources: HashMap<&[u8], Option<usize>> = HashMap::new();
        for &s in &free {
            let name = basename(&pairs[self.sources[s].pair].old.path);
            sources
                .entry(name)
                .and_modify(|e| *e = None)
                .or_insert(Some(s));
        }
        let mut targets: HashMap<&[u8], Option<usize>> = HashMap::new();
        for t in (0..self.targets.len()).filter(|t| self.targets[*t].source.is_none()) {
            let name = basename(&pairs[self.targets[t].pair].new.path);
            targets
                .entry(name)
                .and_modify(|e| *e = None)
                .or_insert(Some(t));
        }
        for s in free {
            let name = basename(&pairs[self.sources[s].pair].old.path);
            let (Some(Some(_)), Some(Some(t))) = (sources.get(name), targets.get(name)) else {
                continue;
            };
            if self.targets[*t].source.is_some() {
                continue;
            }
            let (old, new) = (
                &pairs[self.sources[s].pair].old,
                &pairs[self.targets[*t].pair].new,
            );
            let score = self.similarity(old, new, minimum)?;
            if score >= minimum {
                self.record(*t, s, score);
            }
        }
        Ok(())
    }

    fn by_similarity(&mut self, pairs: &[Pair]) -> Res<()> {
        /// git keeps this many candidates for every new file.
        const CANDIDATES: usize = 4;
        let sources: Vec<usize> = (0..self.sources.len())
            .filter(|s| self.options.copies || self.sources[*s].used == 0)
            .collect();
        let targets: Vec<usize> = (0..self.targets.len())
            .filter(|t| self.targets[*t].source.is_none())
            .collect();
        let limit = self.options.limit;
        if limit > 0 && sources.len() * targets.len() > limit * limit {
            return Ok(());
        }
        let mut matrix: Vec<Candidate> = Vec::new();
        for t in targets {
            self.contents.repo.cancel().check()?;
            let new = &pairs[self.targets[t].pair].new;
            let mut best: [Option<Candidate>; CANDIDATES] = [None; CANDIDATES];
            for &s in &sources {
                let old = &pairs[self.sources[s].pair].old;
                let score = self.similarity(old, new, self.options.minimum)?;
                let same_name = basename(&old.path) == basename(&new.path);
                let candidate = Candidate {
                    target: t,
                    source: s,
                    score,
                    same_name,
                };
                let mut worst = 0;
                for i in 1..CANDIDATES {
                    if Candidate::order(&best[i], &best[worst]).is_gt() {
                        worst = i;
                    }
                }
                if Candidate::order(&best[worst], &Some(candidate)).is_gt() {
                    best[worst] = Some(candidate);
                }
            }
            matrix.extend(best.into_iter().flatten());
        }
        let minimum = self.options.minimum;
        matrix.sort_by(|a, b| Candidate::order(&Some(*a), &Some(*b)));
        for copies in [false, true] {
            if copies && !self.options.copies {
                break;
            }
            for c in matrix.iter().take_while(|c| c.score >= minimum) {
                if self.targets[c.target].source.is_some()
                    || (!copies && self.sources[c.source].used > 0)
                {
                    continue;
                }
                self.record(c.target, c.source, c.score);
            }
        }
        Ok(())
    }

    fn similarity(&mut self, old: &Side, new: &Side, minimum: u32) -> Res<u32> {
        if !mode::is_file(old.mode) || !mode::is_file(new.mode) {
            return Ok(0);
        }
        let (a, b) = (self.contents.get(old)?, self.contents.get(new)?);
        let (largest, smallest) = (a.len().max(b.len()) as u64, a.len().min(b.len()) as u64);
        if largest * u64::from(MAX_SCORE - minimum) < (largest - smallest) * u64::from(MAX_SCORE)
            || largest == 0
        {
            return Ok(0);
        }
        let (a, b) = (self.spans(old, &a)?, self.spans(new, &b)?);
        Ok((a.copied_to(&b) * u64::from(MAX_SCORE) / largest) as u32)
    }

    fn spans(&mut self, side: &Side, data: &[u8]) -> Res<Rc<Spans>> {
        let path = if side.id.is_zero() {
            side.path.clone()
        } else {
            Bytes::new()
        };
        let key = (side.id, path);
        if let Some(spans) = self.kept.get(&key) {
            return Ok(Rc::clone(spans));
        }
        let is_text = !crate::compare::userdiff::is_binary(self.contents, side, data)?;
        let spans = Rc::new(Spans::of(data, is_text));
        self.kept.insert(key, Rc::clone(&spans));
        Ok(spans)
    }

    fn finish(mut self, pairs: Vec<Pair>) -> Vec<Pair> {
        let mut out = Vec::with_capacity(pairs.len());
        let by_pair: HashMap<usize, usize> = self
            .targets
            .iter()
            .enumerate()
            .map(|(i, t)| (t.pair, i))
            .collect();
        let gone: HashMap<usize, usize> = self
            .sources
            .iter()
            .enumerate()
            .filter(|(_, s)| s.gone)
            .map(|(i, s)| (s.pair, i))
            .collect();
        let dropped: Vec<bool> = self.sources.iter().map(|s| s.gone && s.used > 0).collect();
        for (i, pair) in pairs.iter().enumerate() {
            if let Some((source, score)) = by_pair.get(&i).and_then(|t| self.targets[*t].source) {
                let used = &mut self.sources[source].used;
                *used -= 1;
                let status = if *used > 0 { b'C' } else { b'R' };
                out.push(Pair {
                    old: pairs[self.sources[source].pair].old.clone(),
                    new: pair.new.clone(),
                    status,
                    score,
                });
            } else if !gone.get(&i).is_some_and(|s| dropped[*s]) {
                out.push(pair.clone());
            }
        }
        out
    }
}

#[derive(Clone, Copy)]
struct Candidate {
    target: usize,
    source: usize,
    score: u32,
    same_name: bool,
}

impl Candidate {
    /// Best first; empty places last.
    fn order(a: &Option<Candidate>, b: &Option<Candidate>) -> std::cmp::Ordering {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (a, b) {
            (None, None) => Equal,
            (None, Some(_)) => Greater,
            (Some(_), None) => Less,
            (Some(a), Some(b)) => b.score.cmp(&a.score).then(b.same_name.cmp(&a.same_name)),
        }
    }
}

/// A text as git weighs it: how many bytes each distinct line (or run of 64 bytes) accounts for.
struct Spans(Vec<(u32, u32)>);

impl Spans {
    fn of(data: &[u8], is_text: bool) -> Spans {
        const BASE: u32 = 107_927;
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let (mut a, mut b, mut n) = (0u32, 0u32, 0u32);
        let mut close = |a: u32, b: u32, n: u32| {
            *counts
                .entry(a.wrapping_add(b.wrapping_mul(0x61)) % BASE)
                .or_default() += n;
        };
        for (i, &c) in data.iter().enumerate() {
            if is_text && c == b'\r' && data.get(i + 1) == Some(&b'\n') {
                continue;
            }
            let before = a;
            a = (a << 7) ^ (b >> 25);
            b = (b << 7) ^ (before >> 25);
            a = a.wrapping_add(u32::from(c));
            n += 1;
            if n < 64 && c != b'\n' {
                continue;
            }
            close(a, b, n);
            (a, b, n) = (0, 0, 0);
        }
        if n > 0 {
            close(a, b, n);
        }
        let mut spans: Vec<(u32, u32)> = counts.into_iter().collect();
        spans.sort_unstable();
        Spans(spans)
    }

    /// Counts the bytes of this text that are found in another.
    fn copied_to(&self, other: &Spans) -> u64 {
        let mut copied = 0;
        let mut theirs = other.0.iter().peekable();
        for (hash, count) in &self.0 {
            while theirs.peek().is_some_and(|(h, _)| h < hash) {
                theirs.next();
            }
            if let Some((_, n)) = theirs.next_if(|(h, _)| h == hash) {
                copied += u64::from(*count.min(n));
            }
        }
        copied
    }
}
