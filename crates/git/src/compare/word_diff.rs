//! `--word-diff`: changed lines shown word by word.

use crate::compare::xdiff::{self, Change, Compare, HunkRange};
use crate::outcome::{Out, Res};
use crate::text::bytes::Bytes;
use crate::text::color::{self, RESET, diff};
use crate::text::regexes::{self, Dialect};

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordMode {
    /// `[-old-]{+new+}`.
    Plain,
    /// A line for each piece.
    Porcelain,
    /// Nothing but colours.
    Color,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct WordDiff {
    pub(crate) mode: WordMode,
    /// What a word is; otherwise everything between blanks.
    pub(crate) regex: Option<Bytes>,
}

impl WordDiff {
    /// Compiles what a word is, one expression for each alternative; `None` when words are what stands between blanks.
    pub(crate) fn compile(&self, text: Option<&[u8]>) -> Res<Option<Vec<regex::bytes::Regex>>> {
        let Some(text) = self.regex.as_deref().or(text) else {
            return Ok(None);
        };
        let mut parts: Vec<Bytes> = vec![Bytes::new()];
        let (mut depth, mut in_bracket, mut escaped) = (0, 0, false);
        for &c in text {
            let plain = !escaped && in_bracket == 0;
            match c {
                b'|' if plain && depth == 0 => {
                    parts.push(Bytes::new());
                    continue;
                }
                b'(' if plain => depth += 1,
                b')' if plain => depth -= 1,
                b'[' if !escaped => in_bracket += 1,
                b']' if !escaped && in_bracket > 0 => in_bracket -= 1,
                _ => {}
            }
            escaped = !escaped && c == b'\\';
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        let compiled: Res<Vec<_>> = parts
            .iter()
            .map(|part| regexes::compile(part, Dialect::Extended, false))
            .collect();
        compiled.map(Some)
    }
}

/// What stands around the pieces of one kind.
struct Marks {
    before: &'static str,
    after: &'static str,
}

struct Style {
    new: Marks,
    old: Marks,
    same: Marks,
    newline: &'static str,
}

const PLAIN: Style = Style {
    new: Marks {
        before: "{+",
        after: "+}",
    },
    old: Marks {
        before: "[-",
        after: "-]",
    },
    same: Marks {
        before: "",
        after: "",
    },
    newline: "\n",
};
const PORCELAIN: Style = Style {
    new: Marks {
        before: "+",
        after: "\n",
    },
    old: Marks {
        before: "-",
        after: "\n",
    },
    same: Marks {
        before: " ",
        after: "\n",
    },
    newline: "~\n",
};

const COLOR: Style = Style {
    new: Marks {
        before: "",
        after: "",
    },
    old: Marks {
        before: "",
        after: "",
    },
    same: Marks {
        before: "",
        after: "",
    },
    newline: "\n",
};

/// How words are told apart and shown.
pub(crate) struct Words<'w> {
    pub(crate) how: &'w WordDiff,
    pub(crate) patterns: Option<Vec<regex::bytes::Regex>>,
    pub(crate) color: bool,
}

/// Prints the lines of one hunk.
pub(crate) fn print_hunk(
    olds: &[&[u8]],
    news: &[&[u8]],
    changes: &[Change],
    range: &HunkRange,
    words: &Words<'_>,
    out: &mut Out,
) -> Res<()> {
    let (how, with_color) = (words.how, words.color);
    let patterns = words.patterns.as_deref();
    let style = match how.mode {
        WordMode::Plain => &PLAIN,
        WordMode::Porcelain => &PORCELAIN,
        WordMode::Color => &COLOR,
    };
    let mut at = range.new.start;
    let (mut minus, mut plus) = (Bytes::new(), Bytes::new());
    let context = |line: &[u8], out: &mut Out| {
        // A line both sides have is a line of its own.
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let sign = (how.mode == WordMode::Porcelain).then_some(b' ');
        if with_color {
            color::put_line(b"", sign, bare, out);
        } else {
            out.put(if sign.is_some() { " " } else { "" });
            out.put(bare);
        }
        out.put("\n");
        if how.mode == WordMode::Porcelain {
            out.put("~\n");
        }
    };
    for change in &changes[range.changes.clone()] {
        if at < change.new {
            show(&mut minus, &mut plus, style, patterns, with_color, out)?;
        }
        for line in &news[at..change.new] {
            context(line, out);
        }
        for line in &olds[change.old..change.old + change.n_old] {
            minus.extend_from_slice(line);
            end_line(&mut minus);
        }
        at = change.new + change.n_new;
        for line in &news[change.new..at] {
            plus.extend_from_slice(line);
            end_line(&mut plus);
        }
    }
    show(&mut minus, &mut plus, style, patterns, with_color, out)?;
    for line in &news[at..range.new.end] {
        context(line, out);
    }
    Ok(())
}

fn end_line(text: &mut Bytes) {
    if text.last().is_some_and(|c| *c != b'\n') {
        text.push(b'\n');
    }
}

/// Prints some text of one kind; every line gets its marks.
fn piece(text: &[u8], marks: &Marks, color: &[u8], style: &Style, out: &mut Out) {
    for line in text.split_inclusive(|b| *b == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        if !bare.is_empty() {
            out.put(color);
            out.put(marks.before);
            out.put(bare);
            out.put(marks.after);
            if !color.is_empty() {
                out.put(RESET);
            }
        }
        if line.ends_with(b"\n") {
            out.put(style.newline);
        }
    }
}

/// Where the words of a text are.
fn words(text: &[u8], patterns: Option<&[regex::bytes::Regex]>) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    match patterns {
        Some(patterns) => {
            while at < text.len() {
                // The first match, and of those that begin there the longest.
                let first = patterns
                    .iter()
                    .filter_map(|p| p.find_at(text, at))
                    .min_by_key(|m| (m.start(), std::cmp::Reverse(m.end())));
                let Some(m) = first else {
                    break;
                };
                // A word ends with its line.
                let piece = &text[m.start()..m.end()];
                let len = piece
                    .iter()
                    .position(|b| *b == b'\n')
                    .unwrap_or(piece.len());
                if len == 0 {
                    at = m.start() + 1;
                    continue;
                }
                found.push((m.start(), m.start() + len));
                at = m.start() + len;
            }
        }
        None => {
            let is_blank = |c: u8| c.is_ascii_whitespace() || c == 0x0b;
            while at < text.len() {
                if is_blank(text[at]) {
                    at += 1;
                    continue;
                }
                let len = text[at..]
                    .iter()
                    .position(|c| is_blank(*c))
                    .unwrap_or(text.len() - at);
                found.push((at, at + len));
                at += len;
            }
        }
    }
    found
}

/// Compares what was removed with what was added, and prints both as one.
fn show(
    minus: &mut Bytes,
    plus: &mut Bytes,
    style: &Style,
    patterns: Option<&[regex::bytes::Regex]>,
    color: bool,
    out: &mut Out,
) -> Res<()> {
    let paint = |set: &'static [u8]| if color { set } else { b"" };
    let (red, green) = (paint(diff::OLD), paint(diff::NEW));
    let (old, new) = (std::mem::take(minus), std::mem::take(plus));
    if old.is_empty() && new.is_empty() {
        return Ok(());
    }
    if new.is_empty() {
        piece(&old, &style.old, red, style, out);
        return Ok(());
    }
    let (old_words, new_words) = (words(&old, patterns), words(&new, patterns));
    let lines = |text: &[u8], words: &[(usize, usize)]| -> Bytes {
        let mut lines = Bytes::new();
        for (start, end) in words {
            lines.extend_from_slice(&text[*start..*end]);
            lines.push(b'\n');
        }
        lines
    };
    let compare = Compare {
        no_indent_heuristic: true,
        ..Compare::default()
    };
    let changes = xdiff::changes_without_context(
        &lines(&old, &old_words),
        &lines(&new, &new_words),
        compare,
    )?;
    let mut current = 0;
    for change in &changes {
        let reach = |words: &[(usize, usize)], first: usize, n: usize| -> (usize, usize) {
            if n > 0 {
                (words[first].0, words[first + n - 1].1)
            } else {
                let end = first.checked_sub(1).map_or(0, |i| words[i].1);
                (end, end)
            }
        };
        let (old_start, old_end) = reach(&old_words, change.old, change.n_old);
        let (new_start, new_end) = reach(&new_words, change.new, change.n_new);
        if current < new_start {
            piece(&new[current..new_start], &style.same, b"", style, out);
        }
        if old_start < old_end {
            piece(&old[old_start..old_end], &style.old, red, style, out);
        }
        if new_start < new_end {
            piece(&new[new_start..new_end], &style.new, green, style, out);
        }
        current = new_end;
    }
    if current < new.len() {
        piece(&new[current..], &style.same, b"", style, out);
    }
    Ok(())
}
