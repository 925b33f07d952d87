//! `--check`: added lines with blanks where none should be, and left-over conflict markers.

use crate::compare::diff_options::DiffOptions;
use crate::compare::pair::{Contents, Pair};
use crate::compare::userdiff;
use crate::compare::xdiff;
use crate::outcome::{Out, Res, Stop};
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::color::{RESET, diff};
use crate::text::quote;
use crate::work::attr::Value;

/// What counts as a mistake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    blank_at_eol: bool,
    blank_at_eof: bool,
    space_before_tab: bool,
    indent_with_non_tab: bool,
    tab_in_indent: bool,
    cr_at_eol: bool,
    tab_width: usize,
}

const DEFAULT: Rules = Rules {
    blank_at_eol: true,
    blank_at_eof: true,
    space_before_tab: true,
    indent_with_non_tab: false,
    tab_in_indent: false,
    cr_at_eol: false,
    tab_width: 8,
};

impl Default for Rules {
    fn default() -> Rules {
        DEFAULT
    }
}

/// Counts the blank lines a text ends with.
pub(crate) fn blank_tail(lines: &[&[u8]]) -> usize {
    let is_blank = |line: &&&[u8]| line.iter().all(|c| c.is_ascii_whitespace() || *c == 0x0b);
    lines.iter().rev().take_while(is_blank).count()
}

impl Rules {
    /// Says whether new blank lines at the end are mistakes.
    pub(crate) fn marks_blank_tail(self) -> bool {
        self.blank_at_eof
    }

    /// Prints an added line in its colour, with the mistakes in theirs.
    pub(crate) fn highlight(self, line: &[u8], out: &mut Out) {
        let whole = line.strip_suffix(b"\n").unwrap_or(line);
        let text = if self.cr_at_eol {
            whole.strip_suffix(b"\r").unwrap_or(whole)
        } else {
            whole
        };
        let wrong = |part: &[u8], out: &mut Out| {
            out.put([diff::BLANKS, part, RESET].concat());
        };
        let is_blank = |c: &u8| c.is_ascii_whitespace() || *c == 0x0b;
        let end = if self.blank_at_eol {
            text.iter().rposition(|c| !is_blank(c)).map_or(0, |i| i + 1)
        } else {
            text.len()
        };
        let (mut written, mut i) = (0, 0);
        while i < end {
            match text[i] {
                b' ' => {}
                b'\t' => {
                    if self.space_before_tab && written < i {
                        wrong(&text[written..i], out);
                        out.put(&text[i..=i]);
                    } else if self.tab_in_indent {
                        out.put(&text[written..i]);
                        wrong(&text[i..=i], out);
                    } else {
                        out.put(&text[written..=i]);
                    }
                    written = i + 1;
                }
                _ => break,
            }
            i += 1;
        }
        if self.indent_with_non_tab && i - written >= self.tab_width {
            wrong(&text[written..i], out);
            written = i;
        }
        if end > written {
            out.put([diff::NEW, &text[written..end], RESET].concat());
        }
        if end < text.len() {
            wrong(&text[end..], out);
        }
        out.put(&line[text.len()..]);
    }

    fn parse(text: &[u8]) -> Res<Rules> {
        let mut rules = DEFAULT;
        for word in text
            .split(|b| *b == b',' || b.is_ascii_whitespace())
            .filter(|w| !w.is_empty())
        {
            let (name, on) = match word.strip_prefix(b"-") {
                Some(name) => (name, false),
                None => (word, true),
            };
            match name {
                b"trailing-space" => (rules.blank_at_eol, rules.blank_at_eof) = (on, on),
                b"blank-at-eol" => rules.blank_at_eol = on,
                b"blank-at-eof" => rules.blank_at_eof = on,
                b"space-before-tab" => rules.space_before_tab = on,
                b"indent-with-non-tab" => rules.indent_with_non_tab = on,
                b"tab-in-indent" => rules.tab_in_indent = on,
                b"cr-at-eol" => rules.cr_at_eol = on,
                _ => match name.strip_prefix(b"tabwidth=").and_then(parse_int) {
                    Some(n @ 1..=63) => rules.tab_width = n as usize,
                    // git takes names by their beginnings, and warns of odd widths.
                    _ => return Err(Stop::NotNative(format!("the rule `{}`", lossy(word)))),
                },
            }
        }
        if rules.tab_in_indent && rules.indent_with_non_tab {
            return Err(Stop::fatal(
                "cannot enforce both tab-in-indent and indent-with-non-tab",
            ));
        }
        Ok(rules)
    }

    /// Returns the rules for a path.
    pub(crate) fn of(contents: &Contents<'_>, path: &[u8]) -> Res<Rules> {
        let [found] = contents.attributes.get(path, ["whitespace"])?;
        let configured = match contents.repo.config.get("core.whitespace") {
            Some(text) => Rules::parse(text)?,
            None => DEFAULT,
        };
        match found {
            None | Some(Value::Unspecified) => Ok(configured),
            Some(Value::Set) => Ok(Rules {
                indent_with_non_tab: true,
                // Tabs in the indent are refused only by name.
                tab_in_indent: false,
                cr_at_eol: false,
                ..configured
            }),
            Some(Value::Unset) => Ok(Rules {
                blank_at_eol: false,
                blank_at_eof: false,
                space_before_tab: false,
                ..DEFAULT
            }),
            Some(Value::Text(text)) => Rules::parse(&text),
        }
    }

    /// Returns git's words for what is wrong with a line; empty when nothing is.
    fn complaint(self, line: &[u8]) -> String {
        let mut text = line.strip_suffix(b"\n").unwrap_or(line);
        if self.cr_at_eol {
            text = text.strip_suffix(b"\r").unwrap_or(text);
        }
        let mut wrong = Vec::new();
        let is_blank = |c: &u8| c.is_ascii_whitespace() || *c == 0x0b;
        let end = text.iter().rposition(|c| !is_blank(c)).map_or(0, |i| i + 1);
        let trailing = self.blank_at_eol && end < text.len();
        let checked = if trailing { &text[..end] } else { text };
        if trailing {
            wrong.push("trailing whitespace");
        }
        let (mut written, mut space_tab, mut tab) = (0, false, false);
        let mut i = 0;
        while let Some(c) = checked.get(i) {
            match c {
                b' ' => {}
                b'\t' => {
                    if self.space_before_tab && written < i {
                        space_tab = true;
                    } else {
                        tab |= self.tab_in_indent;
                    }
                    written = i + 1;
                }
                _ => break,
            }
            i += 1;
        }
        let spaces = self.indent_with_non_tab && i - written >= self.tab_width;
        if space_tab {
            wrong.push("space before tab in indent");
        }
        if spaces {
            wrong.push("indent with spaces");
        }
        if tab {
            wrong.push("tab in indent");
        }
        wrong.join(", ")
    }
}

/// Checks the added lines of one file and prints what is wrong; says whether anything is.
pub(crate) fn check(
    contents: &Contents<'_>,
    pair: &Pair,
    options: &DiffOptions,
    out: &mut Out,
) -> Res<bool> {
    if !pair.new.exists() || pair.status == b'U' {
        return Ok(false);
    }
    userdiff::refuse_programs(contents, pair.path())?;
    let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
    if userdiff::is_binary(contents, &pair.new, &new)? {
        return Ok(false);
    }
    let rules = Rules::of(contents, &pair.new.path)?;
    let name: Bytes = quote::c_style(options.strip(pair.path()), options.quote);
    let marker = match contents
        .attributes
        .get(&pair.new.path, ["conflict-marker-size"])?
    {
        [Some(Value::Text(text))] => parse_int(&text)
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0)
            .unwrap_or(7),
        _ => 7,
    };
    let news = xdiff::lines(&new);
    let changes = xdiff::changes(&old, &new, options.compare)?;
    let mut failed = false;
    for change in &changes {
        for (i, line) in news[change.new..change.new + change.n_new]
            .iter()
            .enumerate()
        {
            let number = change.new + i + 1;
            let say = |what: &str, out: &mut Out| {
                out.put(&name);
                out.put(format!(":{number}: {what}\n"));
            };
            if is_marker(line, marker) {
                failed = true;
                say("leftover conflict marker", out);
            }
            let complaint = rules.complaint(line);
            if !complaint.is_empty() {
                failed = true;
                say(&format!("{complaint}."), out);
                out.put("+");
                out.put(line);
                if !line.ends_with(b"\n") {
                    out.put("\n");
                }
            }
        }
    }
    if rules.blank_at_eof {
        let blank_from = |lines: &[&[u8]]| {
            lines
                .iter()
                .rposition(|l| !l.trim_ascii().is_empty())
                .map_or(0, |i| i + 1)
        };
        let olds = xdiff::lines(&old);
        let (had, has) = (
            olds.len() - blank_from(&olds),
            news.len() - blank_from(&news),
        );
        if has > had && !news.is_empty() {
            failed = true;
            out.put(&name);
            out.put(format!(
                ":{}: new blank line at EOF.\n",
                news.len() - has + 1
            ));
        }
    }
    Ok(failed)
}

fn is_marker(line: &[u8], size: usize) -> bool {
    let Some(&first) = line.first() else {
        return false;
    };
    if !matches!(first, b'=' | b'>' | b'<' | b'|') || line.len() < size + 1 {
        return false;
    }
    if line[..size].iter().any(|c| *c != first) {
        return false;
    }
    // The one in the middle stands alone; the others are followed by a name.
    if first == b'=' {
        line[size].is_ascii_whitespace()
    } else {
        line[size] == b' ' || line[size] == b'\t' || line[size] == b'\n'
    }
}
