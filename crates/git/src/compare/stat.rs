//! `--stat`, `--numstat`, `--shortstat`, `--summary`, and the lists of names.

use crate::compare::diff_options::{DiffOptions, StatWidths};
use crate::compare::pair::{Contents, Pair};
use crate::compare::patch;
use crate::compare::userdiff;
use crate::compare::xdiff;
use crate::outcome::{Out, Res};
use crate::repository::object::mode;
use crate::text::bytes::Bytes;
use crate::text::color;
use crate::text::quote;

/// How much a file changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStat {
    /// The name as it is printed: quoted, or `a => b`.
    pub(crate) name: Bytes,
    pub(crate) amount: Amount,
}

/// The amount of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// Lines added and deleted.
    Lines(usize, usize),
    /// Bytes after and before.
    Binary(usize, usize),
    Unmerged,
}

/// Counts one pair's lines; `None` when it turns out to differ in nothing that counts.
pub(crate) fn measure(
    contents: &Contents<'_>,
    pair: &Pair,
    options: &DiffOptions,
) -> Res<Option<Amount>> {
    if pair.status == b'U' {
        return Ok(Some(Amount::Unmerged));
    }
    userdiff::refuse_programs(contents, pair.path())?;
    let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
    let same_id = pair.old.id == pair.new.id && !pair.old.id.is_zero();
    let same = (same_id || old == new) && pair.old.exists() && pair.new.exists();
    let binary = pair.old.exists() && userdiff::is_binary(contents, &pair.old, &old)?
        || pair.new.exists() && userdiff::is_binary(contents, &pair.new, &new)?;
    if binary {
        return Ok(Some(if same {
            Amount::Binary(0, 0)
        } else {
            Amount::Binary(new.len(), old.len())
        }));
    }
    if same {
        // A file whose times alone changed is left out.
        let touched =
            pair.status == b'M' && pair.old.mode == pair.new.mode && pair.new.is_in_work_tree();
        return Ok((!touched).then_some(Amount::Lines(0, 0)));
    }
    let changes = options.changes(&old, &new)?;
    let ignored = patch::ignored_changes(&old, &new, &changes, options);
    let (added, deleted) = if ignored.is_empty() {
        xdiff::count(&changes)
    } else {
        // What is ignored counts where it would be shown beside something else.
        let (n_old, n_new) = (xdiff::lines(&old).len(), xdiff::lines(&new).len());
        let around = xdiff::Around::default();
        xdiff::hunks_with(&changes, &ignored, around, n_old, n_new, None)
            .into_iter()
            .map(|h| xdiff::count(&changes[h.changes]))
            .fold((0, 0), |(a, d), (x, y)| (a + x, d + y))
    };
    let nothing =
        added == 0 && deleted == 0 && pair.status == b'M' && pair.old.mode == pair.new.mode;
    Ok((!nothing).then_some(Amount::Lines(added, deleted)))
}

/// Returns the name of a pair as `--stat` shows it.
pub(crate) fn shown_name(pair: &Pair, options: &DiffOptions) -> Bytes {
    let (old, new) = (options.strip(&pair.old.path), options.strip(&pair.new.path));
    if pair.is_rename_or_copy() && old != new {
        renamed(old, new, options.quote)
    } else {
        quote::c_style(options.strip(pair.path()), options.quote)
    }
}

/// Writes `a/{b => c}/d` for two names.
pub(crate) fn renamed(a: &[u8], b: &[u8], quote_high: bool) -> Bytes {
    if quote::needs_quotes(a, quote_high) || quote::needs_quotes(b, quote_high) {
        return [
            &quote::c_style(a, quote_high),
            b" => ".as_slice(),
            &quote::c_style(b, quote_high),
        ]
        .concat();
    }
    let mut prefix = 0;
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        if x != y {
            break;
        }
        if *x == b'/' {
            prefix = i + 1;
        }
    }
    // The common end begins with a slash; it may share the slash the common beginning ends with.
    let floor = prefix.saturating_sub(1);
    let mut suffix = 0;
    let (mut i, mut j) = (a.len(), b.len());
    while i > floor && j > floor {
        i -= 1;
        j -= 1;
        if a[i] != b[j] {
            break;
        }
        if a[i] == b'/' {
            suffix = a.len() - i;
        }
    }
    let middle = |name: &[u8]| -> Bytes {
        let end = name
            .len()
            .saturating_sub(suffix)
            .max(prefix.min(name.len()));
        name[prefix.min(end)..end].to_vec()
    };
    let mut out = Bytes::new();
    let braces = prefix + suffix > 0;
    if braces {
        out.extend_from_slice(&a[..prefix]);
        out.push(b'{');
    }
    out.extend_from_slice(&middle(a));
    out.extend_from_slice(b" => ");
    out.extend_from_slice(&middle(b));
    if braces {
        out.push(b'}');
        out.extend_from_slice(&a[a.len() - suffix..]);
    }
    out
}

/// Prints the histogram and its last line; nothing when there are no files.
pub(crate) fn print_stat(
    files: &[FileStat],
    widths: StatWidths,
    color: bool,
    indent: usize,
    out: &mut Out,
) {
    if files.is_empty() {
        return;
    }
    let shown = &files[..widths.count.unwrap_or(files.len()).min(files.len())];
    let (mut longest, mut max_change, mut bin_width, mut number_width) = (0, 0, 0, 0);
    for file in shown {
        longest = longest.max(width_of(&file.name));
        match file.amount {
            Amount::Unmerged => bin_width = bin_width.max(8),
            Amount::Binary(added, deleted) => {
                bin_width = bin_width.max(14 + digits(added) + digits(deleted));
                number_width = 3;
            }
            Amount::Lines(added, deleted) => max_change = max_change.max(added + deleted),
        }
    }
    let mut width = widths.width.saturating_sub(indent);
    number_width = number_width.max(digits(max_change));
    width = width.max(16 + 6 + number_width);
    let mut graph = if max_change + 4 > bin_width {
        max_change
    } else {
        bin_width - 4
    };
    let graph_limit = widths.graph.filter(|n| *n > 0);
    if let Some(limit) = graph_limit {
        graph = graph.min(limit);
    }
    let mut name = widths
        .name
        .filter(|n| *n > 0 && *n < longest)
        .unwrap_or(longest);
    if name + number_width + 6 + graph > width {
        let room = (width * 3 / 8).saturating_sub(number_width + 6);
        if graph > room {
            graph = room.max(6);
        }
        if let Some(limit) = graph_limit {
            graph = graph.min(limit);
        }
        let left = width.saturating_sub(number_width + 6 + graph);
        if name > left {
            name = left;
        } else {
            graph = width - number_width - 6 - name;
        }
    }
    for file in shown {
        print_line(file, name, number_width, graph, max_change, color, out);
    }
    if shown.len() < files.len() {
        out.put(" ...\n");
    }
    print_totals(files, out);
}

fn print_line(
    file: &FileStat,
    name_width: usize,
    number_width: usize,
    graph: usize,
    max_change: usize,
    color: bool,
    out: &mut Out,
) {
    let painted = |set: &[u8], text: &str| -> Bytes {
        if color && !text.is_empty() {
            [set, text.as_bytes(), color::RESET].concat()
        } else {
            text.as_bytes().to_vec()
        }
    };
    let (old, new) = (color::diff::OLD, color::diff::NEW);
    let (dots, name) = fit(&file.name, name_width);
    let used = dots.len() + width_of(name);
    out.put(b" ");
    out.put(dots);
    out.put(name);
    out.put(" ".repeat(name_width.saturating_sub(used)));
    out.put(" | ");
    match file.amount {
        Amount::Unmerged => out.put(format!("{:>number_width$}\n", "Unmerged")),
        Amount::Binary(added, deleted) => {
            out.put(format!("{:>number_width$}", "Bin"));
            if added > 0 || deleted > 0 {
                out.put(" ");
                out.put(painted(old, &deleted.to_string()));
                out.put(" -> ");
                out.put(painted(new, &added.to_string()));
                out.put(" bytes");
            }
            out.put("\n");
        }
        Amount::Lines(added, deleted) => {
            let (mut add, mut del) = (added, deleted);
            if graph <= max_change {
                let mut total = scale(add + del, graph, max_change);
                if total < 2 && add > 0 && del > 0 {
                    total = 2;
                }
                if add < del {
                    add = scale(add, graph, max_change);
                    del = total - add;
                } else {
                    del = scale(del, graph, max_change);
                    add = total - del;
                }
            }
            let n = added + deleted;
            out.put(format!(
                "{n:>number_width$}{}",
                if n > 0 { " " } else { "" }
            ));
            out.put(painted(new, &"+".repeat(add)));
            out.put(painted(old, &"-".repeat(del)));
            out.put("\n");
        }
    }
}

/// Cuts a name from the left to fit a width.
fn fit(name: &[u8], width: usize) -> (&'static [u8], &[u8]) {
    if width_of(name) <= width {
        return (b"", name);
    }
    let len = width.saturating_sub(3);
    let mut rest = name;
    while width_of(rest) > len && !rest.is_empty() {
        let step = rest
            .iter()
            .skip(1)
            .position(|b| b & 0xc0 != 0x80)
            .map_or(rest.len(), |i| i + 1);
        rest = &rest[step..];
    }
    if let Some(slash) = rest.iter().position(|b| *b == b'/') {
        rest = &rest[slash..];
    }
    (b"...", rest)
}

/// Prints ` 2 files changed, 3 insertions(+), 1 deletion(-)`.
pub(crate) fn print_totals(files: &[FileStat], out: &mut Out) {
    let (mut n, mut added, mut deleted) = (0, 0, 0);
    for file in files {
        match file.amount {
            Amount::Unmerged => {}
            Amount::Binary(..) => n += 1,
            Amount::Lines(a, d) => {
                n += 1;
                added += a;
                deleted += d;
            }
        }
    }
    if n == 0 {
        out.put(" 0 files changed\n");
        return;
    }
    out.put(format!(
        " {n} file{} changed",
        if n == 1 { "" } else { "s" }
    ));
    if added > 0 || deleted == 0 {
        out.put(format!(
            ", {added} insertion{}(+)",
            if added == 1 { "" } else { "s" }
        ));
    }
    if deleted > 0 || added == 0 {
        out.put(format!(
            ", {deleted} deletion{}(-)",
            if deleted == 1 { "" } else { "s" }
        ));
    }
    out.put("\n");
}

fn scale(n: usize, width: usize, max: usize) -> usize {
    if n == 0 { 0 } else { 1 + n * (width - 1) / max }
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |d| d as usize + 1)
}

/// Columns a name takes on a terminal.
pub(crate) fn width_of(name: &[u8]) -> usize {
    match std::str::from_utf8(name) {
        Ok(text) => text.chars().map(crate::text::columns::width).sum(),
        Err(_) => name.len(),
    }
}

/// Prints added, deleted and the name, separated by tabs.
pub(crate) fn print_numstat(pair: &Pair, amount: Amount, options: &DiffOptions, out: &mut Out) {
    match amount {
        Amount::Binary(..) => out.put("-\t-\t"),
        Amount::Lines(added, deleted) => out.put(format!("{added}\t{deleted}\t")),
        Amount::Unmerged => out.put("0\t0\t"),
    }
    if !options.nul {
        out.put(shown_name(pair, options));
        out.put("\n");
    } else if pair.is_rename_or_copy() {
        out.put(
            [
                b"\0",
                options.strip(&pair.old.path),
                b"\0",
                options.strip(&pair.new.path),
                b"\0",
            ]
            .concat(),
        );
    } else {
        out.put(options.strip(pair.path()));
        out.put("\0");
    }
}

/// Prints what was created, deleted, renamed or given another mode.
pub(crate) fn print_summary(pairs: &[Pair], options: &DiffOptions, out: &mut Out) {
    for pair in pairs {
        let quoted = |path: &[u8]| quote::c_style(options.strip(path), options.quote);
        match pair.status {
            b'A' => {
                out.put(format!(" create mode {:06o} ", pair.new.mode));
                out.put(quoted(&pair.new.path));
                out.put("\n");
            }
            b'D' => {
                out.put(format!(" delete mode {:06o} ", pair.old.mode));
                out.put(quoted(&pair.old.path));
                out.put("\n");
            }
            b'R' | b'C' => {
                out.put(if pair.status == b'R' {
                    " rename "
                } else {
                    " copy "
                });
                out.put(renamed(
                    options.strip(&pair.old.path),
                    options.strip(&pair.new.path),
                    options.quote,
                ));
                out.put(format!(" ({}%)\n", pair.percent()));
                print_mode_change(pair, false, options, out);
            }
            b'U' => {}
            _ => print_mode_change(pair, true, options, out),
        }
    }
}

fn print_mode_change(pair: &Pair, with_name: bool, options: &DiffOptions, out: &mut Out) {
    if pair.old.mode != 0 && pair.new.mode != 0 && pair.old.mode != pair.new.mode {
        out.put(format!(
            " mode change {:06o} => {:06o}",
            pair.old.mode, pair.new.mode
        ));
        if with_name {
            out.put(" ");
            out.put(quote::c_style(options.strip(&pair.new.path), options.quote));
        }
        out.put("\n");
    }
}

/// Returns what `--compact-summary` adds to a name.
pub(crate) fn compact_note(pair: &Pair) -> &'static str {
    let (old, new) = (pair.old.mode, pair.new.mode);
    match pair.status {
        b'A' if mode::is_link(new) => " (new +l)",
        b'A' if new == mode::EXECUTABLE => " (new +x)",
        b'A' => " (new)",
        b'D' => " (gone)",
        _ if mode::is_link(old) && !mode::is_link(new) => " (mode -l)",
        _ if !mode::is_link(old) && mode::is_link(new) => " (mode +l)",
        _ if old == mode::FILE && new == mode::EXECUTABLE => " (mode +x)",
        _ if old == mode::EXECUTABLE && new == mode::FILE => " (mode -x)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_share_beginning_and_end() {
        let show = |a: &str, b: &str| {
            String::from_utf8(renamed(a.as_bytes(), b.as_bytes(), true)).unwrap()
        };
        assert_eq!(show("a", "b"), "a => b");
        assert_eq!(show("d/a", "d/b"), "d/{a => b}");
        assert_eq!(show("d/a/f", "d/b/f"), "d/{a => b}/f");
        assert_eq!(show("a/f", "b/f"), "{a => b}/f");
        assert_eq!(show("d/f", "d/x/f"), "d/{ => x}/f");
        assert_eq!(show("f", "x/f"), "f => x/f");
    }
}
