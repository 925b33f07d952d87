//! A list of pairs in the forms that were asked for, in git's order: raw, counts, summary, patch.

use deskhand_protocol::git::{DiffReport, FileDiff, MAX_REPORT_ENTRIES};

use crate::compare::diff_options::DiffOptions;
use crate::compare::dirstat;
use crate::compare::pair::{Contents, Pair};
use crate::compare::patch;
use crate::compare::rename;
use crate::compare::stat::{self, Amount, FileStat};
use crate::compare::userdiff;
use crate::compare::whitespace;
use crate::outcome::{Out, Res, Stop};
use crate::repository::object::mode;
use crate::text::bytes::{Bytes, lossy};
use crate::text::quote;
use crate::text::wildmatch;

/// Finds renames, drops what a filter hides and turns sides around.
pub(crate) fn prepare(
    pairs: Vec<Pair>,
    contents: &Contents<'_>,
    options: &DiffOptions,
) -> Res<Vec<Pair>> {
    prepare_with(pairs, Found::Nothing, contents, options)
}

/// What is known besides the pairs that differ.
pub(crate) enum Found {
    Nothing,
    /// The list has unchanged files in it, as sources of copies.
    Unchanged,
    /// Renames were looked for already.
    Renames,
}

/// Like [`prepare`], with something known already.
pub(crate) fn prepare_with(
    pairs: Vec<Pair>,
    found: Found,
    contents: &Contents<'_>,
    options: &DiffOptions,
) -> Res<Vec<Pair>> {
    let mut pairs = pairs;
    let is_submodule = |p: &Pair| mode::is_commit(p.old.mode) || mode::is_commit(p.new.mode);
    if options.no_submodules && pairs.iter().any(is_submodule) {
        return Err(Stop::not_native("this way to show submodules"));
    }
    if let Some(base) = &options.relative {
        pairs.retain(|p| p.path().starts_with(base));
    }
    if options.reverse && pairs.iter().any(|p| p.old.dirty || p.new.dirty) {
        return Err(Stop::not_native("changed submodules turned around"));
    }
    if options.reverse {
        pairs = pairs.into_iter().map(Pair::reverse).collect();
    }
    if options.break_rewrites {
        for pair in &pairs {
            refuse_rewrite(contents, pair)?;
        }
    }
    if let (Some(renames), Found::Nothing | Found::Unchanged) = (options.renames, &found) {
        pairs = rename::detect(pairs, contents, renames)?;
    }
    if let Found::Unchanged = found {
        pairs.retain(|p| {
            p.status != b'M' || p.old.id != p.new.id || p.old.mode != p.new.mode || p.new.dirty
        });
    }
    if let Some(pickaxe) = &options.pickaxe {
        pairs = pickaxe.select(pairs, contents, options)?;
    }
    if !options.order.is_empty() {
        let rank = |pair: &Pair| {
            let path = pair.path();
            options
                .order
                .iter()
                .position(|pattern| is_below(pattern, path))
                .unwrap_or(options.order.len())
        };
        pairs.sort_by_key(rank);
    }
    if let Some((first, drops)) = &options.start_at {
        let at = pairs
            .iter()
            .position(|p| p.new.path == *first || !options.start_is_strict && p.new.path > *first);
        let Some(at) = at else {
            if pairs.is_empty() || !options.start_is_strict {
                return Ok(pairs);
            }
            return Err(Stop::fatal(
                [b"No such path '".as_slice(), first, b"' in the diff"].concat(),
            ));
        };
        if *drops {
            pairs.drain(..at);
        } else {
            pairs.rotate_left(at);
        }
    }
    if let Some(filter) = &options.filter {
        if filter.all_or_none {
            let mut only = filter.clone();
            only.all_or_none = false;
            if !pairs.iter().any(|p| only.shows(p.status)) {
                pairs.clear();
            }
        } else {
            pairs.retain(|p| filter.shows(p.status));
        }
    }
    Ok(pairs)
}

/// Hands over where `-B` might take a pair apart.
fn refuse_rewrite(contents: &Contents<'_>, pair: &Pair) -> Res<()> {
    /// git takes nothing apart that is smaller.
    const MINIMUM: usize = 400;
    if pair.status == b'U' || !pair.old.exists() || !pair.new.exists() {
        return Ok(());
    }
    let rewritten = || Stop::not_native("a file that was written anew");
    if mode::type_differs(pair.old.mode, pair.new.mode) {
        return Err(rewritten());
    }
    let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
    let largest = old.len().max(new.len());
    if largest < MINIMUM || old.is_empty() {
        return Ok(());
    }
    let (old_text, new_text) = (
        !userdiff::is_binary(contents, &pair.old, &old)?,
        !userdiff::is_binary(contents, &pair.new, &new)?,
    );
    let (copied, added) = rename::count_changes(&old, old_text, &new, new_text);
    let removed = (old.len() as u64).saturating_sub(copied);
    if removed * 2 > old.len() as u64 || (removed + added) * 2 >= largest as u64 {
        return Err(rewritten());
    }
    Ok(())
}

/// Says whether a pattern of an order file means a path or a directory above it.
fn is_below(pattern: &[u8], path: &[u8]) -> bool {
    let ends = path
        .iter()
        .enumerate()
        .filter(|(_, c)| **c == b'/')
        .map(|(i, _)| i)
        .chain([path.len()]);
    ends.into_iter()
        .any(|end| wildmatch::matches(pattern, &path[..end], 0))
}

/// What printing told.
#[derive(Default)]
pub(crate) struct Printed {
    pub(crate) report: DiffReport,
    /// `--check` found something.
    pub(crate) check_failed: bool,
    /// Anything was different, apart from what does not count.
    pub(crate) has_changes: bool,
}

/// Prints pairs; returns the report of what was printed.
pub(crate) fn print(
    contents: &Contents<'_>,
    pairs: &[Pair],
    options: &DiffOptions,
    prefixes: &(Bytes, Bytes),
    out: &mut Out,
) -> Res<Printed> {
    let before = if options.line_prefix.is_empty() || out.has_prefix() {
        None
    } else {
        Some(out.set_prefix(options.line_prefix.clone()))
    };
    let printed = print_forms(contents, pairs, options, prefixes, out);
    if let Some(before) = before {
        out.set_prefix(before);
    }
    printed
}

fn print_forms(
    contents: &Contents<'_>,
    pairs: &[Pair],
    options: &DiffOptions,
    prefixes: &(Bytes, Bytes),
    out: &mut Out,
) -> Res<Printed> {
    let forms = options.forms;
    let mut printed = Printed {
        has_changes: !pairs.is_empty(),
        ..Printed::default()
    };
    let report = &mut printed.report;
    for pair in pairs.iter().take(MAX_REPORT_ENTRIES) {
        report.files.push(file_report(pair));
    }
    report.truncated = pairs.len() > MAX_REPORT_ENTRIES;
    let mut separate = false;
    if forms.check {
        for pair in pairs {
            printed.check_failed |= whitespace::check(contents, pair, options, out)?;
        }
        separate = true;
    } else if forms.raw || forms.name_only || forms.name_status {
        // Where git looked for renames, it knows the ids of new files by now.
        let has = |letters: &[u8]| pairs.iter().any(|p| letters.contains(&p.status));
        let knows_ids = options.renames.is_some() && (has(b"RC") || has(b"A") && has(b"D"));
        for pair in pairs {
            print_name(contents, pair, options, knows_ids, out)?;
        }
        separate = true;
    }
    let dirstat_lines = forms.dirstat && options.dirstat.by_line;
    let mut amounts: Vec<(Bytes, Amount)> = Vec::new();
    if forms.counts() || dirstat_lines {
        let mut stats: Vec<(usize, FileStat)> = Vec::new();
        for (i, pair) in pairs.iter().enumerate() {
            contents.repo.cancel().check()?;
            if let Some(amount) = stat::measure(contents, pair, options)? {
                let mut name = stat::shown_name(pair, options);
                if options.compact_summary {
                    name.extend_from_slice(stat::compact_note(pair).as_bytes());
                }
                if let (Some(file), Amount::Lines(added, deleted)) =
                    (report.files.get_mut(i), amount)
                {
                    file.added = u32::try_from(added).ok();
                    file.deleted = u32::try_from(deleted).ok();
                }
                amounts.push((options.strip(pair.path()).to_vec(), amount));
                stats.push((i, FileStat { name, amount }));
            }
        }
        if forms.numstat {
            for (i, file) in &stats {
                stat::print_numstat(&pairs[*i], file.amount, options, out);
            }
        }
        let files: Vec<FileStat> = stats.into_iter().map(|(_, file)| file).collect();
        if forms.stat {
            stat::print_stat(&files, options.stat, options.color, out.prefix_width(), out);
        }
        if forms.shortstat && !files.is_empty() {
            stat::print_totals(&files, out);
        }
        separate = true;
    }
    if forms.dirstat {
        dirstat::print(contents, pairs, &amounts, options, out)?;
    }
    if forms.summary {
        stat::print_summary(pairs, options, out);
        separate |= pairs
            .iter()
            .any(|p| p.status != b'M' || p.old.mode != p.new.mode);
    }
    if forms.patch {
        if separate && !pairs.is_empty() {
            out.put(if options.nul { "\0" } else { "\n" });
        }
        let mut any = false;
        for (i, pair) in pairs.iter().enumerate() {
            contents.repo.cancel().check()?;
            let hunks = patch::print(contents, pair, options, prefixes, out)?;
            any |= hunks.is_some();
            if let (Some(file), Some(hunks)) = (report.files.get_mut(i), hunks) {
                file.hunks = hunks;
            }
        }
        if options.compares_loosely() {
            printed.has_changes = any;
        }
    }
    Ok(printed)
}

fn file_report(pair: &Pair) -> FileDiff {
    let path =
        |side: &crate::compare::pair::Side| side.exists().then(|| lossy(&side.path).into_owned());
    let unmerged = (pair.status == b'U').then(|| lossy(&pair.old.path).into_owned());
    FileDiff {
        old: path(&pair.old).or(unmerged.clone()),
        new: path(&pair.new).or(unmerged),
        status: char::from(pair.status),
        added: None,
        deleted: None,
        hunks: Vec::new(),
    }
}

fn print_name(
    contents: &Contents<'_>,
    pair: &Pair,
    options: &DiffOptions,
    knows_ids: bool,
    out: &mut Out,
) -> Res<()> {
    let forms = options.forms;
    let end: &[u8] = if options.nul { b"\0" } else { b"\n" };
    let name = |path: &[u8]| {
        let path = options.strip(path);
        if options.nul {
            path.to_vec()
        } else {
            quote::c_style(path, options.quote)
        }
    };
    if forms.name_only && !forms.raw {
        out.put(name(pair.path()));
        out.put(end);
        return Ok(());
    }
    if forms.raw && !forms.name_status {
        let short = |id| patch::listed_id(contents, id, options);
        out.put(format!(
            ":{:06o} {:06o} {} ",
            pair.old.mode,
            pair.new.mode,
            short(pair.old.id)?
        ));
        let new_id = if knows_ids && matches!(pair.status, b'A' | b'R' | b'C') {
            contents.id(&pair.new)?
        } else {
            pair.new.id
        };
        out.put(format!("{} ", short(new_id)?));
    }
    out.put([pair.status]);
    let separator: &[u8] = if options.nul { b"\0" } else { b"\t" };
    if pair.is_rename_or_copy() {
        out.put(format!("{:03}", pair.percent()));
        out.put(separator);
        out.put(name(&pair.old.path));
    }
    out.put(separator);
    out.put(name(pair.path()));
    out.put(end);
    Ok(())
}
