//! Text broken into lines of a width, as `%w()` and `shortlog -w` do.

use crate::text::bytes::Bytes;

/// Returns how many columns a text takes; escape sequences for colours take none.
pub(crate) fn width(text: &[u8]) -> usize {
    let mut rest = text;
    let mut total = 0;
    while !rest.is_empty() {
        let skip = escape(rest);
        if skip > 0 {
            rest = &rest[skip..];
            continue;
        }
        let (n, columns) = next_char(rest);
        total += columns;
        rest = &rest[n..];
    }
    total
}

/// Returns the length of the escape sequence a text begins with.
pub(crate) fn escape(text: &[u8]) -> usize {
    let Some(rest) = text.strip_prefix(b"\x1b[") else {
        return 0;
    };
    let n = rest
        .iter()
        .take_while(|c| c.is_ascii_digit() || **c == b';')
        .count();
    if rest.get(n) == Some(&b'm') { n + 3 } else { 0 }
}

/// Returns the bytes and columns of the first character.
pub(crate) fn next_char(text: &[u8]) -> (usize, usize) {
    let n = match text[0] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    match text
        .get(..n)
        .and_then(|c| std::str::from_utf8(c).ok())
        .and_then(|c| c.chars().next())
    {
        Some(c) => (n, crate::text::columns::width(c)),
        None => (1, 1),
    }
}

/// Writes a text in lines of a width; the first line and the others are indented.
pub(crate) fn wrap(text: &[u8], first: i64, others: i64, width: i64, out: &mut Bytes) {
    if width <= 0 {
        let mut indent = first.max(0) as usize;
        for line in text.split_inclusive(|b| *b == b'\n') {
            out.extend(std::iter::repeat_n(b' ', indent));
            out.extend_from_slice(line);
            indent = others.max(0) as usize;
        }
        return;
    }
    let at = |i: usize| text.get(i).copied();
    let is_space = |c: u8| c.is_ascii_whitespace() || c == 0x0b;
    let (mut pos, mut line_start) = (0, 0);
    let mut indent = first;
    let mut column = first;
    let mut space: Option<usize> = None;
    if first < 0 {
        column = -first;
        space = Some(0);
    }
    loop {
        loop {
            let skip = escape(&text[pos..]);
            if skip == 0 {
                break;
            }
            pos += skip;
        }
        let c = at(pos);
        if c.is_some_and(|c| !is_space(c)) {
            let (n, columns) = next_char(&text[pos..]);
            pos += n;
            column += columns as i64;
            continue;
        }
        let mut break_at = space;
        if column <= width || space.is_none() {
            if c.is_none() && pos == line_start {
                return;
            }
            match space {
                Some(space) => out.extend_from_slice(&text[space..pos]),
                None => {
                    out.extend(std::iter::repeat_n(b' ', indent.max(0) as usize));
                    out.extend_from_slice(&text[line_start..pos]);
                }
            }
            let Some(c) = c else { return };
            space = Some(pos);
            let mut breaks = false;
            if c == b'\t' {
                column |= 7;
            } else if c == b'\n' {
                let next = pos + 1;
                space = Some(next);
                match at(next) {
                    Some(b'\n') => {
                        out.push(b'\n');
                        breaks = true;
                    }
                    Some(n) if n.is_ascii_alphanumeric() => out.push(b' '),
                    _ => breaks = true,
                }
            }
            if !breaks {
                column += 1;
                pos += 1;
                continue;
            }
            break_at = space;
        }
        let from = break_at.unwrap_or(pos);
        out.push(b'\n');
        pos = from + usize::from(at(from).is_some_and(is_space));
        line_start = pos;
        space = None;
        indent = others;
        column = others;
    }
}
