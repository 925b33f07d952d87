//! The trailers at the end of a message, as `%(trailers)` shows them.

use crate::text::bytes::Bytes;

/// How trailers are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) keys: Vec<Bytes>,
    pub(crate) only: Option<bool>,
    pub(crate) unfold: bool,
    pub(crate) key_only: bool,
    pub(crate) value_only: bool,
    pub(crate) separator: Option<Bytes>,
    pub(crate) key_value_separator: Option<Bytes>,
}

const CUT: &[u8] = b"# ------------------------ >8 ------------------------";

/// Returns the trailers of a message in the form asked for.
pub(crate) fn show(message: &[u8], options: &Options) -> Bytes {
    let (start, end) = block(message);
    let text = &message[start..end];
    let plain = options.keys.is_empty()
        && !options.only.unwrap_or(false)
        && !options.unfold
        && !options.key_only
        && !options.value_only
        && options.separator.is_none()
        && options.key_value_separator.is_none();
    if plain {
        return text.to_vec();
    }
    let only = options.only.unwrap_or(!options.keys.is_empty());
    let mut out = Bytes::new();
    let begin = |out: &mut Bytes| {
        if let Some(separator) = &options.separator
            && !out.is_empty()
        {
            out.extend_from_slice(separator);
        }
    };
    for item in items(text) {
        match separator_at(&item) {
            Some(at) if at > 0 => {
                let key = item[..at].trim_ascii_end();
                let mut value = item[at + 1..].trim_ascii().to_vec();
                let wanted = options.keys.is_empty()
                    || options.keys.iter().any(|k| k.eq_ignore_ascii_case(key));
                if !wanted {
                    continue;
                }
                if options.unfold {
                    value = unfold(&value);
                }
                begin(&mut out);
                if !options.value_only {
                    out.extend_from_slice(key);
                }
                if !options.value_only && !options.key_only {
                    match &options.key_value_separator {
                        Some(separator) => out.extend_from_slice(separator),
                        None => out.extend_from_slice(b": "),
                    }
                }
                if !options.key_only {
                    out.extend_from_slice(&value);
                }
                if options.separator.is_none() {
                    out.push(b'\n');
                }
            }
            _ if !only => {
                begin(&mut out);
                let line = item.as_slice();
                if options.separator.is_some() {
                    out.extend_from_slice(line.trim_ascii_end());
                } else {
                    out.extend_from_slice(line);
                }
            }
            _ => {}
        }
    }
    out
}

/// Adds trailers at the end of a message, as `git interpret-trailers` does without any settings.
///
/// One that says what the last line says already is left out.
pub(crate) fn add(message: &[u8], new: &[(Bytes, Bytes)]) -> Bytes {
    let mut message = message.to_vec();
    if !message.is_empty() && !message.ends_with(b"\n") {
        message.push(b'\n');
    }
    let (start, end) = block(&message);
    let mut lines: Vec<(Option<Bytes>, Bytes)> = Vec::new();
    for item in items(&message[start..end]) {
        if item.starts_with(b"#") {
            continue;
        }
        match separator_at(&item) {
            Some(at) if at > 0 => lines.push((
                Some(item[..at].trim_ascii().to_vec()),
                item[at + 1..].trim_ascii().to_vec(),
            )),
            _ => lines.push((None, item.strip_suffix(b"\n").unwrap_or(&item).to_vec())),
        }
    }
    for (token, value) in new {
        let is_last = lines.last().is_some_and(|(last, said)| {
            let last = last.as_deref().unwrap_or_default();
            let n = last.len().min(token.len());
            n > 0 && last[..n].eq_ignore_ascii_case(&token[..n]) && said.eq_ignore_ascii_case(value)
        });
        if !is_last {
            lines.push((Some(token.clone()), value.clone()));
        }
    }
    let mut out = message[..start].to_vec();
    let blank_before = out
        .strip_suffix(b"\n")
        .is_some_and(|rest| rest.is_empty() || rest.ends_with(b"\n"));
    if !blank_before {
        out.push(b'\n');
    }
    for (token, value) in lines {
        if let Some(token) = token {
            out.extend_from_slice(&token);
            out.extend_from_slice(b": ");
        }
        out.extend_from_slice(&value);
        out.push(b'\n');
    }
    out.extend_from_slice(&message[end..]);
    out
}

fn unfold(value: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    let mut rest = value;
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        if c == b'\n' {
            rest = rest.trim_ascii_start();
            out.push(b' ');
        } else {
            out.push(c);
        }
    }
    out.trim_ascii().to_vec()
}

/// Lines with those that continue them.
fn items(text: &[u8]) -> Vec<Bytes> {
    let mut items: Vec<Bytes> = Vec::new();
    let mut can_go_on = false;
    for line in text.split_inclusive(|b| *b == b'\n') {
        if can_go_on
            && line.first().is_some_and(u8::is_ascii_whitespace)
            && let Some(last) = items.last_mut()
        {
            last.extend_from_slice(line);
            continue;
        }
        can_go_on = separator_at(line).is_some_and(|at| at > 0);
        items.push(line.to_vec());
    }
    items
}

/// Finds the colon after a word of letters, digits and dashes.
fn separator_at(line: &[u8]) -> Option<usize> {
    let mut after_space = false;
    for (i, c) in line.iter().enumerate() {
        if *c == b':' {
            return Some(i);
        }
        if !after_space && (c.is_ascii_alphanumeric() || *c == b'-') {
            continue;
        }
        if i > 0 && matches!(c, b' ' | b'\t') {
            after_space = true;
            continue;
        }
        return None;
    }
    None
}

/// Returns where the block of trailers begins and ends.
fn block(message: &[u8]) -> (usize, usize) {
    let end = end_of_log(message);
    (start_of_block(&message[..end]), end)
}

/// Comments, and everything below a scissors line, are not part of the message.
fn end_of_log(message: &[u8]) -> usize {
    let mut cut = message.len();
    let patch_start = {
        let mut at = 0;
        let mut found = None;
        for line in message.split_inclusive(|b| *b == b'\n') {
            if line.starts_with(CUT) {
                found = Some(at);
                break;
            }
            at += line.len();
        }
        found
    };
    if let Some(at) = patch_start {
        cut = at;
    }
    let mut boundary = 0;
    let mut at = 0;
    let mut in_conflicts = false;
    for line in message[..cut].split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b"#") || line == b"\n" {
            if boundary == 0 {
                boundary = at;
            }
        } else if line.starts_with(b"Conflicts:\n") {
            in_conflicts = true;
            if boundary == 0 {
                boundary = at;
            }
        } else if in_conflicts && line.starts_with(b"\t") {
            // A path in the list of conflicts.
        } else if boundary > 0 {
            boundary = 0;
            in_conflicts = false;
        }
        at += line.len();
    }
    if boundary > 0 { boundary } else { cut }
}

fn start_of_block(text: &[u8]) -> usize {
    const GENERATED: [&[u8]; 2] = [b"Signed-off-by: ", b"(cherry picked from commit "];
    let lines: Vec<(usize, &[u8])> = {
        let mut at = 0;
        text.split_inclusive(|b| *b == b'\n')
            .map(|line| {
                at += line.len();
                (at - line.len(), line)
            })
            .collect()
    };
    let is_blank = |line: &[u8]| line.trim_ascii().is_empty();
    // The first paragraph is the title and cannot be trailers.
    let Some(title_end) = lines
        .iter()
        .position(|(_, line)| !line.starts_with(b"#") && is_blank(line))
    else {
        return text.len();
    };
    let title_at = lines[title_end].0;
    let (mut only_spaces, mut recognized) = (true, false);
    let (mut trailers, mut others, mut continuations) = (0, 0, 0);
    for (at, line) in lines.iter().rev() {
        if *at < title_at {
            break;
        }
        if line.starts_with(b"#") {
            others += continuations;
            continuations = 0;
            continue;
        }
        if is_blank(line) {
            if only_spaces {
                continue;
            }
            others += continuations;
            let accepted = recognized && trailers * 3 >= others || trailers > 0 && others == 0;
            return if accepted {
                at + line.len()
            } else {
                text.len()
            };
        }
        only_spaces = false;
        if GENERATED.iter().any(|g| line.starts_with(g)) {
            trailers += 1;
            continuations = 0;
            recognized = true;
            continue;
        }
        match separator_at(line) {
            Some(colon) if colon > 0 && !line[0].is_ascii_whitespace() => {
                trailers += 1;
                continuations = 0;
            }
            _ if line[0].is_ascii_whitespace() => continuations += 1,
            _ => {
                others += 1 + continuations;
                continuations = 0;
            }
        }
    }
    text.len()
}
