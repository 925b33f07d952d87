//! One text searched by `git grep`: which lines match, and how they are printed with what stands around them.

use regex::bytes::Regex;

use crate::compare::userdiff::Headings;
use crate::outcome::{Out, Res, Stop};
use crate::text::bytes::lossy;
use crate::text::regexes::{self, Dialect};

/// What becomes of binary files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    /// They are only named.
    Named,
    /// They are taken as text.
    AsText,
    /// They are passed over.
    Never,
}

/// What is printed.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) invert: bool,
    pub(crate) binary: Binary,
    pub(crate) line_number: bool,
    pub(crate) column: bool,
    pub(crate) names: bool,
    pub(crate) name_only: bool,
    pub(crate) without_match: bool,
    pub(crate) nul: bool,
    pub(crate) only_matching: bool,
    pub(crate) count: bool,
    pub(crate) file_break: bool,
    pub(crate) heading: bool,
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) function_line: bool,
    pub(crate) function_body: bool,
    pub(crate) quiet: bool,
    pub(crate) max_count: Option<usize>,
}

/// One pattern.
pub(crate) struct Pattern {
    regex: Regex,
    whole_words: bool,
}

impl Pattern {
    /// Compiles a pattern; with `ends_matter` it is handed over where the end of a match is not certain.
    pub(crate) fn new(
        text: &[u8],
        dialect: Dialect,
        ignore_case: bool,
        whole_words: bool,
        ends_matter: bool,
    ) -> Res<Pattern> {
        let odd = || Stop::NotNative(format!("the pattern `{}`", lossy(text)));
        if ignore_case && !text.is_ascii() {
            return Err(odd());
        }
        // Where there is a choice, POSIX wants the longest match, and these expressions take the first.
        let has_choice = text.iter().any(|c| matches!(c, b'|' | b'('));
        if ends_matter && has_choice && dialect != Dialect::Fixed {
            return Err(odd());
        }
        Ok(Pattern {
            regex: regexes::compile(text, dialect, ignore_case)?,
            whole_words,
        })
    }

    /// Finds the first match at or after a place of a line.
    fn find(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let is_word = |at: usize| {
            line.get(at)
                .is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_')
        };
        let mut at = from;
        loop {
            let found = self.regex.find_at(line, at)?;
            let (start, end) = (found.start(), found.end());
            if !self.whole_words {
                return Some((start, end));
            }
            // A word's beginning is looked for from where the search began.
            let begins = start == at || !is_word(start - 1);
            let ends = end == line.len() || !is_word(end);
            if begins && ends && start < end {
                return Some((start, end));
            }
            at = start + 1;
            while at < line.len() && is_word(at - 1) {
                at += 1;
            }
            if at >= line.len() {
                return None;
            }
        }
    }
}

/// One text.
pub(crate) struct Context<'c> {
    /// The name as it is printed.
    pub(crate) name: &'c [u8],
    pub(crate) text: &'c [u8],
    pub(crate) is_binary: bool,
    pub(crate) headings: &'c Headings,
}

/// A search through several texts.
pub(crate) struct Search {
    patterns: Vec<Pattern>,
    pub(crate) shown: Shown,
    /// Lines were shown of a text before this one.
    after_another: bool,
    /// The number of the last line shown of this text; 0 for none.
    last_shown: usize,
}

impl Search {
    pub(crate) fn new(patterns: Vec<Pattern>, shown: Shown) -> Search {
        Search {
            patterns,
            shown,
            after_another: false,
            last_shown: 0,
        }
    }

    /// Searches one text; says whether it counts as found.
    pub(crate) fn one(&mut self, context: &Context<'_>, out: &mut Out) -> Res<bool> {
        self.after_another |= self.last_shown > 0;
        self.last_shown = 0;
        if context.is_binary && self.shown.binary == Binary::Never {
            return Ok(false);
        }
        let lines: Vec<&[u8]> = context
            .text
            .split_inclusive(|b| *b == b'\n')
            .map(|l| l.strip_suffix(b"\n").unwrap_or(l))
            .collect();
        let mut count = 0;
        let mut last_hit = 0;
        let mut in_function = false;
        // Blank lines up to here were looked at already.
        let mut peeked = 0;
        for (i, line) in lines.iter().enumerate() {
            let number = i + 1;
            let found = self.first_match(line);
            let hit = found.is_some() != self.shown.invert;
            if self.shown.without_match {
                if hit {
                    return Ok(false);
                }
                continue;
            }
            if hit && self.shown.max_count.is_none_or(|max| count < max) {
                count += 1;
                if self.shown.quiet {
                    return Ok(true);
                }
                if self.shown.name_only {
                    self.show_name(context, out);
                    return Ok(true);
                }
                if self.shown.count {
                    continue;
                }
                if context.is_binary {
                    self.refuse_mark_before_binary()?;
                    out.put([b"Binary file ".as_slice(), context.name, b" matches\n"].concat());
                    return Ok(true);
                }
                if self.shown.before > 0 || self.shown.function_body {
                    self.show_before(context, &lines, i, out);
                } else if self.shown.function_line {
                    self.show_heading(context, &lines, i, out);
                }
                let column = if self.shown.invert {
                    0
                } else {
                    found.unwrap_or(0)
                };
                self.show_line(context, line, number, column + 1, b':', out);
                last_hit = number;
                in_function |= self.shown.function_body;
                continue;
            }
            if in_function && peeked <= i {
                let next = (i..lines.len()).find(|at| !is_blank(lines[*at]));
                peeked = next.unwrap_or(lines.len());
                if next.is_none_or(|at| is_heading(context, lines[at])) {
                    in_function = false;
                }
            }
            if in_function || last_hit > 0 && number <= last_hit + self.shown.after {
                let column = found.map_or(0, |at| at + 1);
                self.show_line(context, line, number, column, b'-', out);
            }
        }
        if self.shown.quiet {
            return Ok(self.shown.without_match);
        }
        if self.shown.without_match {
            self.show_name(context, out);
            return Ok(true);
        }
        if self.shown.count && count > 0 {
            if self.shown.names {
                out.put(context.name);
                self.separator(b':', out);
            }
            out.put(format!("{count}\n"));
            return Ok(true);
        }
        Ok(last_hit > 0)
    }

    /// git's threads cut the line before the first of several files, which is no mark when the first is binary.
    fn refuse_mark_before_binary(&self) -> Res<()> {
        let marks = self.shown.before > 0
            || self.shown.after > 0
            || self.shown.file_break
            || self.shown.function_body;
        if marks && !self.after_another {
            return Err(Stop::not_native("a binary file before the first mark"));
        }
        Ok(())
    }

    /// Returns where the first match of a line begins: with columns of all patterns, else of the first that matches.
    fn first_match(&self, line: &[u8]) -> Option<usize> {
        let mut starts = self
            .patterns
            .iter()
            .filter_map(|p| p.find(line, 0))
            .map(|(start, _)| start);
        if self.shown.column {
            starts.min()
        } else {
            starts.next()
        }
    }

    /// Finds the next match of any pattern: the first, and of those that begin there the longest.
    fn next_match(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        if from >= line.len() {
            return None;
        }
        self.patterns
            .iter()
            .filter_map(|p| p.find(line, from))
            .min_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)))
    }

    fn show_name(&self, context: &Context<'_>, out: &mut Out) {
        out.put(context.name);
        out.put(if self.shown.nul { "\0" } else { "\n" });
    }

    fn separator(&self, sign: u8, out: &mut Out) {
        out.put([if self.shown.nul { 0 } else { sign }]);
    }

    fn show_header(
        &mut self,
        context: &Context<'_>,
        number: usize,
        column: usize,
        sign: u8,
        out: &mut Out,
    ) {
        if self.shown.heading && self.last_shown == 0 {
            out.put(context.name);
            out.put("\n");
        }
        self.last_shown = number;
        if !self.shown.heading && self.shown.names {
            out.put(context.name);
            self.separator(sign, out);
        }
        if self.shown.line_number {
            out.put(number.to_string());
            self.separator(sign, out);
        }
        if self.shown.column && column > 0 {
            out.put(column.to_string());
            self.separator(sign, out);
        }
    }

    fn show_line(
        &mut self,
        context: &Context<'_>,
        line: &[u8],
        number: usize,
        column: usize,
        sign: u8,
        out: &mut Out,
    ) {
        let has_context = self.shown.before > 0 || self.shown.after > 0 || self.shown.function_body;
        if self.shown.file_break && self.last_shown == 0 {
            if self.after_another {
                out.put("\n");
            }
        } else if has_context {
            let apart = if self.last_shown == 0 {
                self.after_another
            } else {
                number > self.last_shown + 1
            };
            if apart {
                out.put("--\n");
            }
        }
        if !self.shown.only_matching {
            self.show_header(context, number, column, sign, out);
            out.put(line);
            out.put("\n");
            return;
        }
        let (mut at, mut column) = (0, column);
        while let Some((start, end)) = self.next_match(line, at) {
            if start == end {
                break;
            }
            self.show_header(context, number, column, sign, out);
            out.put(&line[start..end]);
            out.put("\n");
            column += end - at;
            at = end;
        }
    }

    /// Shows the nearest heading above a line that was not shown yet.
    fn show_heading(
        &mut self,
        context: &Context<'_>,
        lines: &[&[u8]],
        below: usize,
        out: &mut Out,
    ) {
        for i in (0..below).rev() {
            if i < self.last_shown {
                break;
            }
            if is_heading(context, lines[i]) {
                self.show_line(context, lines[i], i + 1, 0, b'=', out);
                break;
            }
        }
    }

    /// Shows what stands before a line that matches.
    fn show_before(&mut self, context: &Context<'_>, lines: &[&[u8]], at: usize, out: &mut Out) {
        let number = at + 1;
        let mut from = 1;
        if self.shown.before < number {
            from = number - self.shown.before;
        }
        from = from.max(self.last_shown + 1);
        let plain_from = from;
        let mut heading_needed = self.shown.function_line;
        let mut comment_needed = false;
        let mut heading = 0;
        if self.shown.function_body {
            if is_heading(context, lines[at]) {
                comment_needed = true;
            } else {
                heading_needed = true;
            }
            from = self.last_shown + 1;
        }
        let mut current = number;
        while current > 1 && current > from {
            current -= 1;
            let line = lines[current - 1];
            if comment_needed && (is_blank(line) || is_heading(context, line)) {
                comment_needed = false;
                from = plain_from;
                if current < from {
                    current += 1;
                    break;
                }
            }
            if heading_needed && is_heading(context, line) {
                heading = current;
                heading_needed = false;
                if self.shown.function_body {
                    comment_needed = true;
                } else {
                    from = plain_from;
                }
            }
        }
        if self.shown.function_line && heading_needed {
            self.show_heading(context, lines, current - 1, out);
        }
        while current < number {
            let sign = if current == heading { b'=' } else { b'-' };
            self.show_line(context, lines[current - 1], current, 0, sign, out);
            current += 1;
        }
    }
}

fn is_heading(context: &Context<'_>, line: &[u8]) -> bool {
    context.headings.of(line).is_some()
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|c| c.is_ascii_whitespace() || *c == 0x0b)
}
