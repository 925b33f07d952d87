//! Combined diffs: a merge against all of its parents, or a conflict against both sides, hunk by hunk.

use std::collections::BTreeMap;

use crate::compare::diff_options::DiffOptions;
use crate::compare::diff_print::{self, Found};
use crate::compare::pair::{Contents, Pair, Side};
use crate::compare::patch::{listed_id, short_id};
use crate::compare::rename;
use crate::compare::userdiff;
use crate::compare::xdiff;
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::tree_diff;
use crate::text::bytes::Bytes;
use crate::text::color::{self, diff};
use crate::text::quote;
use crate::work::pathspec::Pathspec;

/// A file that differs from every parent.
#[derive(Debug, Clone)]
pub(crate) struct CombinedFile {
    pub(crate) path: Bytes,
    /// One side a parent; absent where the parent lacks the file.
    pub(crate) parents: Vec<Side>,
    pub(crate) result: Side,
    /// git's letter for each parent.
    statuses: Vec<u8>,
    is_conflict: bool,
}

impl CombinedFile {
    /// A conflict: our and their version, and what is in the work tree.
    pub(crate) fn of_conflict(ours: Side, theirs: Side, result: Side) -> CombinedFile {
        CombinedFile {
            path: result.path.clone(),
            parents: vec![ours, theirs],
            result,
            statuses: vec![b'M', b'M'],
            is_conflict: true,
        }
    }
}

/// Lists the files of a tree that differ from all parents' trees.
pub(crate) fn of_trees(
    contents: &Contents<'_>,
    parents: &[Id],
    tree: Id,
    spec: &Pathspec,
    options: &DiffOptions,
) -> Res<Vec<CombinedFile>> {
    let mut by_path: BTreeMap<Bytes, Vec<Pair>> = BTreeMap::new();
    for (i, parent) in parents.iter().enumerate() {
        let pairs = tree_diff::changes(contents.repo, *parent, tree, spec)?;
        let has = |letter: u8| pairs.iter().any(|p| p.status == letter);
        if let Some(renames) = options.renames
            && has(b'A')
            && (has(b'D') || renames.copies)
            && rename::detect(pairs.clone(), contents, renames)?
                .iter()
                .any(Pair::is_rename_or_copy)
        {
            // Renames would join paths that are apart here.
            return Err(Stop::not_native("renames in a combined diff"));
        }
        let pairs = if options.reverse || options.follow {
            return Err(Stop::not_native("this form of a combined diff"));
        } else {
            diff_print::prepare_with(pairs, Found::Renames, contents, options)?
        };
        for pair in pairs {
            let list = by_path.entry(pair.path().to_vec()).or_default();
            if list.len() == i {
                list.push(pair);
            }
        }
        by_path.retain(|_, list| list.len() == i + 1);
    }
    Ok(by_path
        .into_iter()
        .map(|(path, pairs)| CombinedFile {
            path,
            is_conflict: false,
            statuses: pairs.iter().map(|p| p.status).collect(),
            result: pairs.first().map(|p| p.new.clone()).unwrap_or_default(),
            parents: pairs.into_iter().map(|p| p.old).collect(),
        })
        .collect())
}

/// Prints one file in a list: raw, with letters, or only its name.
pub(crate) fn print_name(
    contents: &Contents<'_>,
    file: &CombinedFile,
    options: &DiffOptions,
    out: &mut Out,
) -> Res<()> {
    let forms = options.forms;
    let end: &[u8] = if options.nul { b"\0" } else { b"\n" };
    let path = options.strip(&file.path);
    let name = if options.nul {
        path.to_vec()
    } else {
        quote::c_style(path, options.quote)
    };
    if forms.raw {
        let mut line = ":".repeat(file.parents.len());
        for side in &file.parents {
            line.push_str(&format!("{:06o} ", side.mode));
        }
        line.push_str(&format!("{:06o}", file.result.mode));
        for side in &file.parents {
            line.push(' ');
            line.push_str(&listed_id(contents, side.id, options)?);
        }
        line.push_str(&format!(
            " {} ",
            listed_id(contents, file.result.id, options)?
        ));
        out.put(line);
    }
    if forms.raw || forms.name_status {
        out.put(&file.statuses);
        out.put(if options.nul { b"\0" } else { b"\t" });
    }
    out.put(&name);
    out.put(end);
    Ok(())
}

/// A line that some parents have and the result lacks.
#[derive(Debug, Clone)]
struct Lost {
    text: Bytes,
    /// A bit for each parent that has it.
    parents: u32,
}

/// A line of the result, with what was lost before it.
#[derive(Debug, Clone, Default)]
struct Line {
    /// A bit for each parent that lacks it.
    flag: u32,
    lost: Vec<Lost>,
    /// Where the line is in each parent, counted from 1.
    parent_line: Vec<usize>,
    shown: bool,
    /// Lost lines that are hidden as context.
    no_lost: bool,
}

/// Prints one file as a patch, dense (without what one side took over as it was) or not; says whether it did.
pub(crate) fn print_patch(
    contents: &Contents<'_>,
    file: &CombinedFile,
    options: &DiffOptions,
    dense: bool,
    out: &mut Out,
) -> Res<bool> {
    userdiff::refuse_programs(contents, &file.path)?;
    let n = file.parents.len();
    if n > 30 || options.words.is_some() || options.function_context || options.ignores_lines() {
        return Err(Stop::not_native("this form of a combined diff"));
    }
    let result = contents.get(&file.result)?;
    let mut parents = Vec::new();
    let mut binary = file.result.exists() && userdiff::is_binary(contents, &file.result, &result)?;
    for side in &file.parents {
        let data = contents.get(side)?;
        binary |= side.exists() && userdiff::is_binary(contents, side, &data)?;
        parents.push(data);
    }
    let mode_differs = file.parents.iter().any(|p| p.mode != file.result.mode);
    if binary && !options.text {
        if options.binary {
            return Err(Stop::not_native("binary files shown whole"));
        }
        header(contents, file, mode_differs, options, dense, false, out)?;
        out.put("Binary files differ\n");
        return Ok(true);
    }
    let mut lines = combine(
        if file.result.exists() { &parents } else { &[] },
        &result,
        n,
        options,
    )?;
    let texts = xdiff::lines(&result);
    let any = make_hunks(&mut lines, texts.len(), n, options.context, dense);
    // A conflict is shown even when the work tree agrees with one side.
    if !any && !mode_differs && !file.result.is_in_work_tree() && !file.is_conflict {
        return Ok(false);
    }
    header(contents, file, mode_differs, options, dense, true, out)?;
    if file.result.exists() {
        dump(&lines, &texts, n, options, out);
    }
    Ok(true)
}

/// Marks for every line of the result which parents lack it, and collects what they have instead.
fn combine(
    parents: &[std::rc::Rc<[u8]>],
    result: &[u8],
    n: usize,
    options: &DiffOptions,
) -> Res<Vec<Line>> {
    let count = xdiff::lines(result).len();
    // One more than there are lines: what was lost at the end; and one for line numbers behind it.
    let mut lines: Vec<Line> = (0..count + 2)
        .map(|_| Line {
            parent_line: vec![0; n],
            ..Line::default()
        })
        .collect();
    for (i, parent) in parents.iter().enumerate() {
        if let Some(same) = (0..i).find(|j| parents[*j] == *parent) {
            // The same version again: the same lines are missing and lost.
            let (bit, from) = (1u32 << i, 1u32 << same);
            for line in &mut lines {
                if line.flag & from != 0 {
                    line.flag |= bit;
                }
                for lost in &mut line.lost {
                    if lost.parents & from != 0 {
                        lost.parents |= bit;
                    }
                }
                line.parent_line[i] = line.parent_line[same];
            }
            continue;
        }
        let olds = xdiff::lines(parent);
        let changes = xdiff::changes_without_context(parent, result, options.compare)?;
        let mut fresh: BTreeMap<usize, Vec<Bytes>> = BTreeMap::new();
        for change in &changes {
            for line in &mut lines[change.new..change.new + change.n_new] {
                line.flag |= 1 << i;
            }
            // Lost lines hang on the line they stood before: behind what replaced them.
            let at = change.new;
            let lost = olds[change.old..change.old + change.n_old]
                .iter()
                .map(|l| l.to_vec());
            fresh.entry(at).or_default().extend(lost);
        }
        for (at, lost) in fresh {
            lines[at].lost = coalesce(
                std::mem::take(&mut lines[at].lost),
                lost,
                i,
                options.compare,
            );
        }
        let mut number = 1;
        for (at, line) in lines.iter_mut().enumerate() {
            line.parent_line[i] = number;
            number += line
                .lost
                .iter()
                .filter(|l| l.parents & (1 << i) != 0)
                .count();
            if at < count && line.flag & (1 << i) == 0 {
                number += 1;
            }
        }
    }
    Ok(lines)
}

/// Joins the lines one more parent lost with those lost before: common ones are one, in order.
fn coalesce(
    base: Vec<Lost>,
    fresh: Vec<Bytes>,
    parent: usize,
    compare: xdiff::Compare,
) -> Vec<Lost> {
    if fresh.is_empty() {
        return base;
    }
    let bit = 1u32 << parent;
    let (m, n) = (base.len(), fresh.len());
    let same =
        |i: usize, j: usize| is_same_line(strip_eol(&base[i].text), strip_eol(&fresh[j]), compare);
    let mut length = vec![vec![0u32; n + 1]; m + 1];
    #[derive(Clone, Copy, PartialEq)]
    enum Step {
        Match,
        Base,
        New,
    }
    let mut steps = vec![vec![Step::Base; n + 1]; m + 1];
    for step in steps[0].iter_mut().skip(1) {
        *step = Step::New;
    }
    for i in 1..=m {
        for j in 1..=n {
            if same(i - 1, j - 1) {
                length[i][j] = length[i - 1][j - 1] + 1;
                steps[i][j] = Step::Match;
            } else if length[i][j - 1] >= length[i - 1][j] {
                length[i][j] = length[i][j - 1];
                steps[i][j] = Step::New;
            } else {
                length[i][j] = length[i - 1][j];
                steps[i][j] = Step::Base;
            }
        }
    }
    let (mut i, mut j) = (m, n);
    let mut out = Vec::with_capacity(m + n);
    while i > 0 || j > 0 {
        match steps[i][j] {
            Step::Match => {
                i -= 1;
                j -= 1;
                out.push(Lost {
                    text: base[i].text.clone(),
                    parents: base[i].parents | bit,
                });
            }
            Step::New => {
                j -= 1;
                out.push(Lost {
                    text: fresh[j].clone(),
                    parents: bit,
                });
            }
            Step::Base => {
                i -= 1;
                out.push(base[i].clone());
            }
        }
    }
    out.reverse();
    out
}

/// Says whether lines are the same to git, which goes through them from their ends.
fn is_same_line(a: &[u8], b: &[u8], compare: xdiff::Compare) -> bool {
    let cut = |text: &mut &[u8]| {
        while let Some((_, rest)) = text.split_last().filter(|(last, _)| is_blank(last)) {
            *text = rest;
        }
    };
    let (mut a, mut b) = (a, b);
    if compare.ignores_space() {
        cut(&mut a);
        cut(&mut b);
    }
    if !compare.ignore_all_space && !compare.ignore_space_change {
        return a == b;
    }
    while let (Some((x, a_rest)), Some((y, b_rest))) = (a.split_last(), b.split_last()) {
        let (mut x, mut y) = (x, y);
        (a, b) = (a_rest, b_rest);
        if is_blank(x) || is_blank(y) {
            if compare.ignore_space_change && (!is_blank(x) || !is_blank(y)) {
                return false;
            }
            (x, a) = before_blanks(x, a);
            (y, b) = before_blanks(y, b);
        }
        if x != y {
            return false;
        }
    }
    if compare.ignore_all_space {
        cut(&mut a);
        cut(&mut b);
    }
    a.is_empty() && b.is_empty()
}

fn is_blank(c: &u8) -> bool {
    matches!(c, b' ' | b'\t'..=b'\r')
}

/// Passes over a run of blanks, from its last one down to what is before it.
fn before_blanks<'a>(mut last: &'a u8, mut text: &'a [u8]) -> (&'a u8, &'a [u8]) {
    while is_blank(last) {
        let Some(before) = text.split_last() else {
            break;
        };
        (last, text) = before;
    }
    (last, text)
}

fn strip_eol(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

fn is_interesting(line: &Line, all: u32) -> bool {
    line.flag & all != 0 || !line.lost.is_empty()
}

/// Decides what is shown: hunks in which the result agrees with no parent, and lines around them.
fn make_hunks(lines: &mut [Line], count: usize, n: usize, context: usize, dense: bool) -> bool {
    let all = (1u32 << n) - 1;
    for line in lines.iter_mut().take(count + 1) {
        line.shown = is_interesting(line, all);
    }
    if !dense {
        return give_context(lines, count, all, context);
    }
    // A hunk that takes one parent's side throughout says nothing about the merge.
    let mut i = 0;
    while i <= count {
        while i <= count && !lines[i].shown {
            i += 1;
        }
        if i > count {
            break;
        }
        let begin = i;
        let mut j = i + 1;
        while j <= count {
            if !lines[j].shown {
                // What follows within the context belongs to the same hunk.
                let reach = (adjust_tail(lines, all, begin, j) + context).min(count + 1);
                match (j..reach).rev().find(|k| lines[*k].shown) {
                    Some(next) => j = next,
                    None => break,
                }
            }
            j += 1;
        }
        let end = j.min(count + 1);
        // All the sets of parents that differ from the result in some line of the hunk.
        let sets = lines[begin..end]
            .iter()
            .flat_map(|l| {
                std::iter::once(l.flag & all).chain(l.lost.iter().map(|lost| lost.parents))
            })
            .filter(|set| *set != 0);
        let (mut same_diff, mut has_interesting) = (0u32, false);
        for set in sets {
            if same_diff == 0 {
                same_diff = set;
            } else if same_diff != set {
                has_interesting = true;
                break;
            }
        }
        if !has_interesting && same_diff != all {
            for line in &mut lines[begin..end] {
                line.shown = false;
            }
        }
        i = end;
    }
    give_context(lines, count, all, context)
}

fn adjust_tail(lines: &[Line], all: u32, begin: usize, i: usize) -> usize {
    // A hunk that ends with lost lines only is shown up to the line before.
    if begin < i && lines[i - 1].flag & all == 0 {
        i - 1
    } else {
        i
    }
}

fn give_context(lines: &mut [Line], count: usize, all: u32, context: usize) -> bool {
    let find = |lines: &[Line], mut at: usize, want: bool| {
        while at <= count && lines[at].shown != want {
            at += 1;
        }
        at
    };
    let mut i = find(lines, 0, true);
    if i > count {
        return false;
    }
    while i <= count {
        let mut j = i.saturating_sub(context);
        // Context before the first hunk hides what was lost there.
        while j < i {
            if !lines[j].shown {
                lines[j].no_lost = true;
            }
            lines[j].shown = true;
            j += 1;
        }
        loop {
            j = find(lines, i, false);
            if j > count {
                return true;
            }
            let k = find(lines, j, true);
            j = adjust_tail(lines, all, i, j);
            if k < j + context {
                for line in &mut lines[j..k] {
                    line.shown = true;
                }
                i = k;
                continue;
            }
            i = k;
            let end = (j + context).min(count + 1);
            for line in &mut lines[j..end] {
                line.shown = true;
            }
            break;
        }
    }
    true
}

fn header(
    contents: &Contents<'_>,
    file: &CombinedFile,
    mode_differs: bool,
    options: &DiffOptions,
    dense: bool,
    labels: bool,
    out: &mut Out,
) -> Res<()> {
    let path = options.strip(&file.path);
    let (meta, reset) = if options.color {
        (diff::META, color::RESET)
    } else {
        (&b""[..], &b""[..])
    };
    // Here `--abbrev` does not count.
    let plain = DiffOptions {
        abbrev: None,
        ..options.clone()
    };
    let quoted = quote::c_style(path, options.quote);
    let form = if dense {
        "diff --cc "
    } else {
        "diff --combined "
    };
    out.put([meta, form.as_bytes(), &quoted, reset, b"\n"].concat());
    let mut ids = Vec::new();
    for side in &file.parents {
        ids.push(short_id(
            contents,
            if side.exists() {
                contents.id(side)?
            } else {
                Id::ZERO
            },
            &plain,
        )?);
    }
    let in_work_tree = file.result.is_in_work_tree();
    let result = if in_work_tree || !file.result.exists() {
        Id::ZERO
    } else {
        file.result.id
    };
    out.put(meta);
    out.put(format!(
        "index {}..{}",
        ids.join(","),
        short_id(contents, result, &plain)?
    ));
    out.put([reset, b"\n"].concat());
    let added = file.parents.iter().all(|p| !p.exists());
    let deleted = !file.result.exists();
    if mode_differs {
        if added {
            out.put(meta);
            out.put(format!("new file mode {:06o}", file.result.mode));
        } else {
            let modes: Vec<String> = file
                .parents
                .iter()
                .map(|p| format!("{:06o}", p.mode))
                .collect();
            if deleted {
                out.put([meta, b"deleted file "].concat());
            }
            out.put(format!("mode {}", modes.join(",")));
            if !deleted {
                out.put(format!("..{:06o}", file.result.mode));
            }
        }
        out.put([reset, b"\n"].concat());
    }
    if labels {
        let (a, b) = if file.is_conflict {
            options.prefixes(b"i/", b"w/")
        } else {
            options.prefixes(b"a/", b"b/")
        };
        let label = |sign: &str, prefix: &[u8], absent: bool| -> Bytes {
            let name = if absent {
                b"/dev/null".to_vec()
            } else {
                quote::two(prefix, path, options.quote)
            };
            [meta, sign.as_bytes(), &name, reset, b"\n"].concat()
        };
        out.put(label("--- ", &a, added));
        out.put(label("+++ ", &b, deleted));
    }
    Ok(())
}

fn dump(lines: &[Line], texts: &[&[u8]], n: usize, options: &DiffOptions, out: &mut Out) {
    let count = texts.len();
    let all = (1u32 << n) - 1;
    let paint = |set: &'static [u8]| if options.color { set } else { b"" };
    let reset = paint(color::RESET);
    let mut at = 0;
    loop {
        let mut heading: Option<&[u8]> = None;
        while at <= count && !lines[at].shown {
            if at < count
                && let Some(first) = texts[at].first()
                && (first.is_ascii_alphabetic() || *first == b'_' || *first == b'$')
            {
                heading = Some(texts[at]);
            }
            at += 1;
        }
        if at > count {
            return;
        }
        let end = (at + 1..=count)
            .find(|i| !lines[*i].shown)
            .unwrap_or(count + 1);
        let mut rlines = end - at;
        if end > count {
            rlines -= 1;
        }
        let null_context = if options.context == 0 {
            // Lines that are only here because something was lost before them are not part of the result's range.
            lines[at..end]
                .iter()
                .enumerate()
                .filter(|(i, l)| at + i < count && l.flag & (all) == 0)
                .count()
        } else {
            0
        };
        rlines -= null_context.min(rlines);
        let signs = "@".repeat(n + 1);
        out.put(paint(diff::PLACE));
        out.put(&signs);
        for p in 0..n {
            let from = lines[at].parent_line[p];
            let to = lines[end].parent_line[p];
            out.put(format!(
                " -{from},{}",
                to.saturating_sub(from).saturating_sub(null_context)
            ));
        }
        out.put(format!(" +{},{rlines} {signs}", at + 1));
        if let Some(heading) = heading {
            // git looks at forty bytes, and shows what stands before the last one that is no blank.
            let cut = &heading[..heading.len().min(40)];
            let cut = cut
                .split(|b| *b == b'\n')
                .next()
                .unwrap_or_default()
                .trim_ascii_end();
            let cut = &cut[..cut.len().saturating_sub(1)];
            if !cut.is_empty() {
                out.put([reset, b" ", reset, cut].concat());
            }
        }
        out.put([reset, b"\n"].concat());
        while at < end {
            let line = &lines[at];
            if !line.no_lost {
                for lost in &line.lost {
                    let signs: Bytes = (0..n)
                        .map(|p| {
                            if lost.parents & (1 << p) != 0 {
                                b'-'
                            } else {
                                b' '
                            }
                        })
                        .collect();
                    out.put([paint(diff::OLD), &signs].concat());
                    put_line(&lost.text, reset, out);
                }
            }
            if at < count && (options.context > 0 || line.flag & all != 0) {
                let signs: Bytes = (0..n)
                    .map(|p| {
                        if line.flag & (1 << p) != 0 {
                            b'+'
                        } else {
                            b' '
                        }
                    })
                    .collect();
                let is_new = line.flag & all != 0;
                out.put(paint(if is_new { diff::NEW } else { b"" }));
                out.put(signs);
                put_line(texts[at], reset, out);
            }
            at += 1;
        }
    }
}

/// Prints a line whose colour ends before a carriage return.
fn put_line(text: &[u8], reset: &[u8], out: &mut Out) {
    let text = strip_eol(text);
    let (text, end): (_, &[u8]) = match text.strip_suffix(b"\r") {
        Some(text) => (text, b"\r\n"),
        None => (text, b"\n"),
    };
    out.put(text);
    out.put(reset);
    out.put(end);
}
