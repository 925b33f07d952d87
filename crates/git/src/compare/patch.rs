//! Patches as git prints them: headers, hunks, headings.

use deskhand_protocol::git::Hunk;

use crate::compare::diff_options::DiffOptions;
use crate::compare::pair::{Contents, Pair, Side};
use crate::compare::userdiff::{self, Headings};
use crate::compare::whitespace;
use crate::compare::word_diff::{self, Words};
use crate::compare::xdiff;
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::text::bytes::{Bytes, lossy};
use crate::text::color;
use crate::text::quote;

/// The largest part of a line that becomes a heading.
const MAX_HEADING: usize = 80;

/// Prints one pair as a patch; returns whether anything was printed and the hunks.
pub(crate) fn print(
    contents: &Contents<'_>,
    pair: &Pair,
    options: &DiffOptions,
    prefixes: &(Bytes, Bytes),
    out: &mut Out,
) -> Res<Option<Vec<Hunk>>> {
    if pair.status == b'U' {
        out.put("* Unmerged path ");
        out.put(options.strip(&pair.old.path));
        out.put("\n");
        return Ok(Some(Vec::new()));
    }
    if pair.old.exists() && pair.new.exists() && mode::type_differs(pair.old.mode, pair.new.mode) {
        // Another kind of thing is a deletion and a creation.
        let gone = Pair::new(pair.old.clone(), Side::absent(&pair.old.path));
        let made = Pair::new(Side::absent(&pair.new.path), pair.new.clone());
        print(contents, &gone, options, prefixes, out)?;
        print(contents, &made, options, prefixes, out)?;
        return Ok(Some(Vec::new()));
    }
    userdiff::refuse_programs(contents, pair.path())?;
    let mut header = Bytes::new();
    let must_show = write_header(contents, pair, options, prefixes, &mut header)?;
    let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
    let label = |side: &Side, prefix: &[u8]| {
        if side.exists() {
            quote::two(prefix, options.strip(&side.path), options.quote)
        } else {
            b"/dev/null".to_vec()
        }
    };
    let labels = (label(&pair.old, &prefixes.0), label(&pair.new, &prefixes.1));
    let binary = !options.text
        && (pair.old.exists() && userdiff::is_binary(contents, &pair.old, &old)?
            || pair.new.exists() && userdiff::is_binary(contents, &pair.new, &new)?);
    if binary {
        if old == new {
            if must_show {
                out.put(header);
            }
            return Ok(must_show.then(Vec::new));
        }
        if options.binary {
            return Err(Stop::not_native("binary files shown whole"));
        }
        out.put(header);
        out.put(
            [
                b"Binary files ".as_slice(),
                &labels.0,
                b" and ",
                &labels.1,
                b" differ\n",
            ]
            .concat(),
        );
        return Ok(Some(Vec::new()));
    }
    if options.irreversible_delete && !pair.new.exists() {
        out.put(header);
        return Ok(Some(Vec::new()));
    }
    let changes = options.changes(&old, &new)?;
    let ignored = ignored_changes(&old, &new, &changes, options);
    if changes.is_empty() || !ignored.is_empty() && ignored.iter().all(|i| *i) {
        if must_show {
            out.put(header);
        }
        return Ok(must_show.then(Vec::new));
    }
    let (meta, reset) = options.meta();
    for (label, sign) in [(&labels.0, "--- "), (&labels.1, "+++ ")] {
        header.extend_from_slice(meta);
        header.extend_from_slice(sign.as_bytes());
        header.extend_from_slice(label);
        header.extend_from_slice(reset);
        if label.contains(&b' ') {
            header.push(b'\t');
        }
        header.push(b'\n');
    }
    out.put(header);
    let headings = match userdiff::headings(contents, &pair.old)? {
        Headings::Default => userdiff::headings(contents, &pair.new)?,
        own => own,
    };
    let words = match &options.words {
        None => None,
        Some(how) => {
            let by_driver = userdiff::word_regex(contents, pair, how.regex.is_some())?;
            Some(Words {
                how,
                patterns: how.compile(by_driver.as_deref())?,
                color: options.color,
            })
        }
    };
    let rules = if options.color {
        Some(whitespace::Rules::of(contents, &pair.new.path)?)
    } else {
        None
    };
    let text = Texts {
        rules,
        old: &old,
        new: &new,
        changes: &changes,
        ignored: &ignored,
    };
    print_hunks(&text, options, &headings, words, out).map(Some)
}

/// Marks the changes that do not count: of blank lines, or of lines a pattern names. Empty when all count.
pub(crate) fn ignored_changes(
    old: &[u8],
    new: &[u8],
    changes: &[xdiff::Change],
    options: &DiffOptions,
) -> Vec<bool> {
    if !options.ignore_blank_lines && options.ignore_lines.is_empty() {
        return Vec::new();
    }
    let (olds, news) = (xdiff::lines(old), xdiff::lines(new));
    let loose = options.compare.ignores_space();
    let is_blank = |line: &&[u8]| {
        if loose {
            line.trim_ascii().is_empty()
        } else {
            line.len() <= 1
        }
    };
    let is_named = |line: &&[u8]| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        options.ignore_lines.iter().any(|p| p.is_match(line))
    };
    changes
        .iter()
        .map(|c| {
            let (a, b) = (&olds[c.old..c.old + c.n_old], &news[c.new..c.new + c.n_new]);
            options.ignore_blank_lines && a.iter().all(is_blank) && b.iter().all(is_blank)
                || !options.ignore_lines.is_empty()
                    && a.iter().all(is_named)
                    && b.iter().all(is_named)
        })
        .collect()
}

/// Two texts and what they differ in.
pub(crate) struct Texts<'t> {
    /// Which blanks stand out in added lines; `None` without colours.
    rules: Option<whitespace::Rules>,
    old: &'t [u8],
    new: &'t [u8],
    changes: &'t [xdiff::Change],
    ignored: &'t [bool],
}

/// Prints the hunks of two texts.
fn print_hunks(
    text: &Texts<'_>,
    options: &DiffOptions,
    headings: &Headings,
    words: Option<Words<'_>>,
    out: &mut Out,
) -> Res<Vec<Hunk>> {
    let changes = text.changes;
    let (olds, news) = (xdiff::lines(text.old), xdiff::lines(text.new));
    let begins = |line: &[u8]| headings.of(line).is_some();
    let functions = options.function_context.then_some(xdiff::Functions {
        olds: &olds,
        news: &news,
        begins: &begins,
    });
    let around = xdiff::Around {
        context: options.context,
        between: options.between,
    };
    let ranges = xdiff::hunks_with(
        changes,
        text.ignored,
        around,
        olds.len(),
        news.len(),
        functions.as_ref(),
    );
    let mut hunks = Vec::new();
    let mut heading = Bytes::new();
    // Lines before this one were looked at for a heading already.
    let mut looked = 0;
    for range in ranges {
        for line in olds[looked.min(range.old.start)..range.old.start]
            .iter()
            .rev()
        {
            if let Some(found) = headings.of(line) {
                let cut = found[..found.len().min(MAX_HEADING)].trim_ascii_end();
                // git shows it as far as it is UTF-8.
                let valid = std::str::from_utf8(cut).map_or_else(|e| e.valid_up_to(), str::len);
                heading = cut[..valid].to_vec();
                break;
            }
        }
        looked = range.old.start;
        let place = |range: &std::ops::Range<usize>| match range.len() {
            0 => format!("{},0", range.start),
            1 => format!("{}", range.start + 1),
            n => format!("{},{n}", range.start + 1),
        };
        let places = format!("@@ -{} +{} @@", place(&range.old), place(&range.new));
        if options.color {
            color::put_line(color::diff::PLACE, None, places.as_bytes(), out);
        } else {
            out.put(places);
        }
        let tail: Bytes = [b" ".as_slice(), &heading].concat();
        if heading.is_empty() {
            // Nothing stands behind the places.
        } else if options.color {
            // Of what stands before the heading, blanks have a colour of their own.
            let blanks = tail
                .iter()
                .take_while(|c| matches!(c, b' ' | b'\t'))
                .count();
            out.put([&tail[..blanks], color::RESET].concat());
            if blanks < tail.len() {
                out.put([&tail[blanks..], color::RESET].concat());
            }
        } else {
            out.put(&tail);
        }
        out.put("\n");
        match &words {
            Some(words) => word_diff::print_hunk(&olds, &news, changes, &range, words, out)?,
            None if options.color => print_colored(&olds, &news, text, &range, options, out),
            None => print_lines(&olds, &news, changes, &range, options, out),
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        hunks.push(Hunk {
            old_start: number(range.old.start + usize::from(!range.old.is_empty())),
            old_lines: number(range.old.len()),
            new_start: number(range.new.start + usize::from(!range.new.is_empty())),
            new_lines: number(range.new.len()),
            heading: lossy(&heading).into_owned(),
        });
    }
    Ok(hunks)
}

fn print_lines(
    olds: &[&[u8]],
    news: &[&[u8]],
    changes: &[xdiff::Change],
    range: &xdiff::HunkRange,
    options: &DiffOptions,
    out: &mut Out,
) {
    let [plus, minus, same] = options.indicators;
    let mut at = range.new.start;
    for change in &changes[range.changes.clone()] {
        for line in &news[at..change.new] {
            print_line(same, line, options, out);
        }
        for line in &olds[change.old..change.old + change.n_old] {
            print_line(minus, line, options, out);
        }
        for line in &news[change.new..change.new + change.n_new] {
            print_line(plus, line, options, out);
        }
        at = change.new + change.n_new;
    }
    for line in &news[at..range.new.end] {
        print_line(same, line, options, out);
    }
}

/// Prints the lines of a hunk with colours, and those of blanks where none should be.
fn print_colored(
    olds: &[&[u8]],
    news: &[&[u8]],
    text: &Texts<'_>,
    range: &xdiff::HunkRange,
    options: &DiffOptions,
    out: &mut Out,
) {
    let [plus, minus, same] = options.indicators;
    let rules = text.rules.unwrap_or_default();
    // Blank lines at the end that the old version did not have.
    let (old_tail, new_tail) = (whitespace::blank_tail(olds), whitespace::blank_tail(news));
    let new_blanks = rules.marks_blank_tail() && new_tail > old_tail;
    let put = |color: &[u8], sign: u8, line: &[u8], out: &mut Out| {
        if options.suppress_blank_empty && sign == b' ' && line == b"\n" {
            out.put("\n");
            return;
        }
        color::put_line(color, Some(sign), line, out);
        end_incomplete(line, out);
    };
    let mut at = range.new.start;
    for change in &text.changes[range.changes.clone()] {
        for line in &news[at..change.new] {
            put(b"", same, line, out);
        }
        for line in &olds[change.old..change.old + change.n_old] {
            put(color::diff::OLD, minus, line, out);
        }
        at = change.new + change.n_new;
        for (i, line) in news.iter().enumerate().take(at).skip(change.new) {
            let is_tail = new_blanks
                && line.iter().all(|c| c.is_ascii_whitespace() || *c == 0x0b)
                && olds.len() - old_tail + usize::from(range.old.is_empty())
                    <= change.old + change.n_old
                && news.len() - new_tail <= i + 1;
            if is_tail {
                color::put_line(color::diff::BLANKS, Some(plus), line, out);
            } else {
                color::put_line(color::diff::NEW, Some(plus), b"", out);
                rules.highlight(line, out);
            }
            end_incomplete(line, out);
        }
    }
    for line in &news[at..range.new.end] {
        put(b"", same, line, out);
    }
}

/// Says that a line, printed in colours, has no end.
fn end_incomplete(line: &[u8], out: &mut Out) {
    if !line.ends_with(b"\n") {
        out.put("\n");
        color::put_line(b"", None, b"\\ No newline at end of file\n", out);
    }
}

fn print_line(sign: u8, line: &[u8], options: &DiffOptions, out: &mut Out) {
    if options.suppress_blank_empty && sign == b' ' && line == b"\n" {
        out.put(b"\n");
        return;
    }
    out.put([sign]);
    out.put(line);
    if !line.ends_with(b"\n") {
        out.put("\n\\ No newline at end of file\n");
    }
}

/// Writes what stands above the hunks; returns whether it is shown even without any.
fn write_header(
    contents: &Contents<'_>,
    pair: &Pair,
    options: &DiffOptions,
    prefixes: &(Bytes, Bytes),
    header: &mut Bytes,
) -> Res<bool> {
    // A side that is not there is named like the other one.
    let old_path = if pair.old.exists() {
        &pair.old.path
    } else {
        &pair.new.path
    };
    let new_path = if pair.new.exists() {
        &pair.new.path
    } else {
        &pair.old.path
    };
    let (meta, reset) = options.meta();
    let mut line = |parts: &[&[u8]]| {
        header.extend_from_slice(meta);
        header.extend_from_slice(&parts.concat());
        header.extend_from_slice(reset);
        header.push(b'\n');
    };
    let (a, b) = (
        quote::two(&prefixes.0, options.strip(old_path), options.quote),
        quote::two(&prefixes.1, options.strip(new_path), options.quote),
    );
    line(&[b"diff --git ", &a, b" ", &b]);
    let (old, new) = (&pair.old, &pair.new);
    let mut must_show = true;
    if !old.exists() {
        line(&[format!("new file mode {:06o}", new.mode).as_bytes()]);
    } else if !new.exists() {
        line(&[format!("deleted file mode {:06o}", old.mode).as_bytes()]);
    } else if old.mode != new.mode {
        line(&[format!("old mode {:06o}", old.mode).as_bytes()]);
        line(&[format!("new mode {:06o}", new.mode).as_bytes()]);
    } else {
        must_show = false;
    }
    if pair.is_rename_or_copy() {
        let verb: &[u8] = if pair.status == b'R' {
            b"rename"
        } else {
            b"copy"
        };
        line(&[format!("similarity index {}%", pair.percent()).as_bytes()]);
        line(&[
            verb,
            b" from ",
            &quote::c_style(options.strip(&old.path), options.quote),
        ]);
        line(&[
            verb,
            b" to ",
            &quote::c_style(options.strip(&new.path), options.quote),
        ]);
        must_show = true;
    }
    let (old_id, new_id) = (side_id(contents, old)?, side_id(contents, new)?);
    if old_id != new_id {
        let short = |id: Id| short_id(contents, id, options);
        let mode = if old.mode == new.mode {
            format!(" {:06o}", old.mode)
        } else {
            String::new()
        };
        line(&[format!("index {}..{}{mode}", short(old_id)?, short(new_id)?).as_bytes()]);
    }
    Ok(must_show)
}

/// Returns a side's id; a file that is not there has the zero id.
pub(crate) fn side_id(contents: &Contents<'_>, side: &Side) -> Res<Id> {
    if side.exists() {
        contents.id(side)
    } else {
        Ok(Id::ZERO)
    }
}

/// Abbreviates an id for a list.
pub(crate) fn listed_id(contents: &Contents<'_>, id: Id, options: &DiffOptions) -> Res<String> {
    let plain = DiffOptions {
        full_index: options.whole_ids,
        ..options.clone()
    };
    short_id(contents, id, &plain)
}

/// Abbreviates an id for an `index` line.
pub(crate) fn short_id(contents: &Contents<'_>, id: Id, options: &DiffOptions) -> Res<String> {
    let length = if options.full_index {
        Id::digits()
    } else {
        match options.abbrev {
            Some(n) => n,
            None => contents.repo.default_abbrev()?,
        }
    };
    if id.is_zero() {
        return Ok("0".repeat(length));
    }
    contents.repo.abbreviate(id, length)
}
