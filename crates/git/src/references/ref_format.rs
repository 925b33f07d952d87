//! Formats of references: `%(field)` with alignment and conditions around it.

use crate::outcome::{Res, Stop};
use crate::references::ref_fields::field;
use crate::references::refs::Ref;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::quote;
use crate::text::wrap;

/// For which language values are quoted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Quoting {
    #[default]
    None,
    Shell,
    Perl,
    Python,
    Tcl,
}

/// What is being written: the whole, or what stands between `%(align)` or `%(if)` and `%(end)`.
struct Level {
    out: Bytes,
    kind: Kind,
}

enum Kind {
    Whole,
    Align {
        width: usize,
        side: Side,
    },
    If {
        /// What the condition is compared with, and whether it has to be equal.
        compare: Option<(Bytes, bool)>,
        holds: Option<bool>,
        /// What was written between `%(then)` and `%(else)`.
        then: Option<Bytes>,
    },
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Middle,
}

/// Fills a format for one reference.
pub(crate) fn expand(repo: &Repo<'_>, reference: &Ref, format: &[u8]) -> Res<Bytes> {
    expand_with(repo, reference, format, None, Quoting::None)
}

/// Like [`expand`]; `shown` stands in for the name of what is no reference.
pub(crate) fn expand_with(
    repo: &Repo<'_>,
    reference: &Ref,
    format: &[u8],
    shown: Option<&[u8]>,
    quoting: Quoting,
) -> Res<Bytes> {
    if crate::text::bytes::find(format, b"%(ahead-behind").is_some()
        || repo.config.get("color.ui") == Some(b"always")
            && crate::text::bytes::find(format, b"%(color").is_some()
    {
        return Err(Stop::not_native("a field of this format"));
    }
    let mut levels = vec![Level {
        out: Bytes::new(),
        kind: Kind::Whole,
    }];
    let mut rest = format;
    while !rest.is_empty() {
        let top = levels.len() == 1;
        if let Some(inner) = rest.strip_prefix(b"%(") {
            let Some(close) = inner.iter().position(|b| *b == b')') else {
                return Err(Stop::fatal(
                    [b"malformed format string ".as_slice(), rest].concat(),
                ));
            };
            let name = &inner[..close];
            rest = &inner[close + 1..];
            if control(name, &mut levels, quoting)? {
                continue;
            }
            let value = field(repo, reference, name, shown)?;
            let value = if top { quoted(&value, quoting) } else { value };
            put(&mut levels, &value);
            continue;
        }
        let (piece, used) = literal(rest);
        put(&mut levels, &piece);
        rest = &rest[used..];
    }
    if levels.len() > 1 {
        return Err(Stop::fatal("format: %(end) atom missing"));
    }
    Ok(levels.pop().map(|l| l.out).unwrap_or_default())
}

fn put(levels: &mut [Level], text: &[u8]) {
    if let Some(level) = levels.last_mut() {
        level.out.extend_from_slice(text);
    }
}

/// Reads one character, `%%` or `%0a`.
fn literal(text: &[u8]) -> (Bytes, usize) {
    if text[0] != b'%' {
        let n = text.iter().position(|b| *b == b'%').unwrap_or(text.len());
        return (text[..n].to_vec(), n);
    }
    if text.get(1) == Some(&b'%') {
        return (b"%".to_vec(), 2);
    }
    let byte = text
        .get(1..3)
        .and_then(|h| std::str::from_utf8(h).ok())
        .and_then(|h| u8::from_str_radix(h, 16).ok());
    match byte {
        Some(byte) => (vec![byte], 3),
        None => (b"%".to_vec(), 1),
    }
}

/// Carries out `%(align)`, `%(if)`, `%(then)`, `%(else)` and `%(end)`; says whether the field was one of them.
fn control(name: &[u8], levels: &mut Vec<Level>, quoting: Quoting) -> Res<bool> {
    if name == b"align" || name.starts_with(b"align:") {
        let kind = alignment(name.get(6..).unwrap_or_default())?;
        levels.push(Level {
            out: Bytes::new(),
            kind,
        });
        return Ok(true);
    }
    if name == b"if" || name.starts_with(b"if:") {
        let compare = match name.get(3..) {
            None => None,
            Some(text) => match (
                text.strip_prefix(b"equals="),
                text.strip_prefix(b"notequals="),
            ) {
                (Some(text), _) => Some((text.to_vec(), true)),
                (_, Some(text)) => Some((text.to_vec(), false)),
                _ => {
                    return Err(Stop::fatal(format!(
                        "unrecognized %(if) argument: {}",
                        lossy(text)
                    )));
                }
            },
        };
        levels.push(Level {
            out: Bytes::new(),
            kind: Kind::If {
                compare,
                holds: None,
                then: None,
            },
        });
        return Ok(true);
    }
    match name {
        b"then" => {
            let Some(Level {
                out,
                kind: Kind::If { compare, holds, .. },
            }) = levels.last_mut()
            else {
                return Err(Stop::fatal(
                    "format: %(then) atom used without a %(if) atom",
                ));
            };
            if holds.is_some() {
                return Err(Stop::fatal("format: %(then) atom used more than once"));
            }
            let text = std::mem::take(out);
            *holds = Some(match compare {
                Some((other, equal)) => (*other == text) == *equal,
                None => !text.trim_ascii().is_empty(),
            });
        }
        b"else" => {
            let Some(Level {
                out,
                kind: Kind::If { holds, then, .. },
            }) = levels.last_mut()
            else {
                return Err(Stop::fatal(
                    "format: %(else) atom used without a %(if) atom",
                ));
            };
            if holds.is_none() {
                return Err(Stop::fatal(
                    "format: %(else) atom used without a %(then) atom",
                ));
            }
            if then.is_some() {
                return Err(Stop::fatal("format: %(else) atom used more than once"));
            }
            *then = Some(std::mem::take(out));
        }
        b"end" => {
            if levels.len() < 2 {
                return Err(Stop::fatal(
                    "format: %(end) atom used without corresponding atom",
                ));
            }
            let Some(level) = levels.pop() else {
                return Ok(true);
            };
            let text = match level.kind {
                Kind::Whole => level.out,
                Kind::Align { width, side } => align(&level.out, width, side),
                Kind::If { holds: None, .. } => {
                    return Err(Stop::fatal(
                        "format: %(if) atom used without a %(then) atom",
                    ));
                }
                Kind::If { holds, then, .. } => match (holds == Some(true), then) {
                    (true, Some(then)) => then,
                    (true, None) => level.out,
                    (false, Some(_)) => level.out,
                    (false, None) => Bytes::new(),
                },
            };
            let text = if levels.len() == 1 {
                quoted(&text, quoting)
            } else {
                text
            };
            put(levels, &text);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn alignment(text: &[u8]) -> Res<Kind> {
    let (mut width, mut side) = (None, Side::Left);
    for part in text.split(|b| *b == b',').filter(|p| !p.is_empty()) {
        let number = part.strip_prefix(b"width=").unwrap_or(part);
        match part.strip_prefix(b"position=").unwrap_or(part) {
            b"left" => side = Side::Left,
            b"right" => side = Side::Right,
            b"middle" => side = Side::Middle,
            _ => match parse_int(number).and_then(|n| usize::try_from(n).ok()) {
                Some(n) => width = Some(n),
                None => {
                    return Err(Stop::fatal(format!(
                        "unrecognized %(align) argument: {}",
                        lossy(part)
                    )));
                }
            },
        }
    }
    match width {
        Some(width) => Ok(Kind::Align { width, side }),
        None => Err(Stop::fatal(
            "positive width expected with the %(align) atom",
        )),
    }
}

fn align(text: &[u8], width: usize, side: Side) -> Bytes {
    let blanks = width.saturating_sub(wrap::width(text));
    let before = match side {
        Side::Left => 0,
        Side::Right => blanks,
        Side::Middle => blanks / 2,
    };
    let mut out = vec![b' '; before];
    out.extend_from_slice(text);
    out.extend(std::iter::repeat_n(b' ', blanks - before));
    out
}

fn quoted(text: &[u8], quoting: Quoting) -> Bytes {
    let escape = |special: &[u8]| -> Bytes {
        let mut out = Bytes::new();
        for c in text {
            if special.contains(c) {
                out.push(b'\\');
            }
            out.push(*c);
        }
        out
    };
    match quoting {
        Quoting::None => text.to_vec(),
        Quoting::Shell => quote::shell(text),
        Quoting::Perl => [b"'".as_slice(), &escape(b"'\\"), b"'"].concat(),
        Quoting::Python => {
            let mut out = b"'".to_vec();
            for c in text {
                match c {
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\'' | b'\\' => out.extend_from_slice(&[b'\\', *c]),
                    c => out.push(*c),
                }
            }
            out.push(b'\'');
            out
        }
        Quoting::Tcl => {
            let mut out = b"\"".to_vec();
            for c in text {
                match c {
                    b'\x0c' => out.extend_from_slice(b"\\f"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\t' => out.extend_from_slice(b"\\t"),
                    0x0b => out.extend_from_slice(b"\\v"),
                    b'[' | b']' | b'{' | b'}' | b'$' | b'\\' | b'"' => {
                        out.extend_from_slice(&[b'\\', *c])
                    }
                    c => out.push(*c),
                }
            }
            out.push(b'"');
            out
        }
    }
}
