//! Keys as they are given, and values read as the type asked for, with git's errors.

use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::repository::config;
use crate::text::bytes::{Bytes, lossy};

/// What a value is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    BoolOrInt,
    BoolOrText,
    Path,
}

impl Type {
    /// Reads the options; two different types are git's error.
    pub(crate) fn of(parsed: &Parsed) -> Res<Option<Type>> {
        let mut kind = None;
        for given in &parsed.options {
            let word = match given.name {
                "type" => given.text(),
                name @ ("bool" | "int" | "bool-or-int" | "bool-or-str" | "path") => name.as_bytes(),
                _ => continue,
            };
            let new = match word {
                b"bool" => Type::Bool,
                b"int" => Type::Int,
                b"bool-or-int" => Type::BoolOrInt,
                b"bool-or-str" => Type::BoolOrText,
                b"path" => Type::Path,
                b"expiry-date" | b"color" => return Err(Stop::not_native("a type of values")),
                other => {
                    return Err(Stop::fatal(format!(
                        "unrecognized --type argument, {}",
                        lossy(other)
                    )));
                }
            };
            if kind.is_some_and(|old| old != new) {
                return Err(Stop::error(129, "only one type at a time"));
            }
            kind = Some(new);
        }
        Ok(kind)
    }
}

/// Lowers section and name of a key, or returns git's exit code and words.
pub(crate) fn parse_key(key: &[u8]) -> Result<Bytes, (i32, String)> {
    let shown = lossy(key);
    let last = match key.iter().rposition(|b| *b == b'.') {
        None | Some(0) => return Err((2, format!("key does not contain a section: {shown}"))),
        Some(dot) if dot + 1 == key.len() => {
            return Err((2, format!("key does not contain variable name: {shown}")));
        }
        Some(dot) => dot,
    };
    let mut out = key.to_vec();
    let mut after_dot = false;
    for (i, c) in out.iter_mut().enumerate() {
        after_dot |= *c == b'.';
        if !after_dot || i > last {
            let fits = (c.is_ascii_alphanumeric() || *c == b'-')
                && (i != last + 1 || c.is_ascii_alphabetic());
            if !fits {
                return Err((1, format!("invalid key: {shown}")));
            }
            c.make_ascii_lowercase();
        } else if *c == b'\n' {
            return Err((1, format!("invalid key (newline): {shown}")));
        }
    }
    Ok(out)
}

/// Returns a value in the form it is shown in; `None` is a name without `=`. `file` is named where it cannot be read.
pub(crate) fn typed(
    kind: Option<Type>,
    key: &[u8],
    value: Option<&[u8]>,
    (home, file): (Option<&[u8]>, Option<&[u8]>),
) -> Res<Option<Bytes>> {
    let text = value.unwrap_or_default();
    Ok(Some(match kind {
        None => return Ok(value.map(<[u8]>::to_vec)),
        Some(Type::Int) => int(text)
            .ok_or_else(|| bad_number(key, text, file))?
            .to_string()
            .into(),
        Some(Type::Bool) => match maybe_bool(value) {
            Some(on) => on.to_string().into(),
            None => {
                return Err(Stop::fatal(format!(
                    "bad boolean config value '{}' for '{}'",
                    lossy(text),
                    lossy(key)
                )));
            }
        },
        Some(Type::BoolOrInt) => match bool_word(value) {
            Some(on) => on.to_string().into(),
            None => int(text)
                .and_then(|n| i32::try_from(n).ok())
                .ok_or_else(|| bad_number(key, text, file))?
                .to_string()
                .into(),
        },
        Some(Type::BoolOrText) => match maybe_bool(value) {
            Some(on) => on.to_string().into(),
            None => text.to_vec(),
        },
        Some(Type::Path) => {
            let text = value.ok_or_else(|| Stop::not_native("a path that is not there"))?;
            if text.first() == Some(&b'~') && home.is_none() {
                return Err(Stop::fatal(format!(
                    "failed to expand user dir in: '{}'",
                    lossy(text)
                )));
            }
            config::expand_home(text, home.unwrap_or_default())
                .ok_or_else(|| Stop::not_native("another user's home"))?
        }
    }))
}

/// Returns a value in the form it is stored in.
pub(crate) fn normalize(kind: Type, key: &[u8], value: &[u8]) -> Res<Bytes> {
    if kind == Type::Path {
        return Ok(value.to_vec());
    }
    let typed = typed(Some(kind), key, Some(value), (None, None))?;
    Ok(typed.unwrap_or_default())
}

fn bad_number(key: &[u8], value: &[u8], file: Option<&[u8]>) -> Stop {
    let place = file.map_or(String::new(), |file| format!(" in file {}", lossy(file)));
    Stop::fatal(format!(
        "bad numeric config value '{}' for '{}'{place}: invalid unit",
        lossy(value),
        lossy(key)
    ))
}

/// Reads a word that is a boolean; a name alone is true.
fn bool_word(value: Option<&[u8]>) -> Option<bool> {
    let Some(value) = value else {
        return Some(true);
    };
    match value.to_ascii_lowercase().as_slice() {
        b"true" | b"yes" | b"on" => Some(true),
        b"" | b"false" | b"no" | b"off" => Some(false),
        _ => None,
    }
}

fn maybe_bool(value: Option<&[u8]>) -> Option<bool> {
    bool_word(value).or_else(|| {
        let n = int(value.unwrap_or_default())?;
        i32::try_from(n).ok().map(|n| n != 0)
    })
}

/// Reads a number as C does: with a sign, in base 8, 10 or 16, with a unit.
fn int(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', next, ..] if next.is_ascii_hexdigit() => (16, &digits[2..]),
        [b'0', ..] => (8, digits),
        _ => (10, digits),
    };
    let end = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let factor: i64 = match digits[end..].to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    let n = i64::from_str_radix(&digits[..end], radix).ok()?;
    n.checked_mul(if negative { -factor } else { factor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, n) in [
            ("12", Some(12)),
            ("-1k", Some(-1024)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("1G", Some(1 << 30)),
            ("0", Some(0)),
            ("", None),
            ("x", None),
            ("1x", None),
        ] {
            assert_eq!(int(text.as_bytes()), n, "{text}");
        }
    }

    #[test]
    fn keys_keep_what_stands_between_the_dots() {
        assert_eq!(parse_key(b"A.B.C").unwrap(), b"a.B.c");
        assert_eq!(parse_key(b"a").unwrap_err().0, 2);
        assert_eq!(parse_key(b"a.").unwrap_err().0, 2);
        assert_eq!(parse_key(b"a.1b").unwrap_err().0, 1);
    }
}
