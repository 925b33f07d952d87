//! POSIX regular expressions, basic and extended, turned into the ones the regex crate compiles.

use regex::bytes::{Regex, RegexBuilder};

use crate::outcome::{Res, Stop};
use crate::text::bytes::lossy;

/// The dialect of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Fixed,
    Basic,
    Extended,
}

/// Compiles a pattern; what cannot be translated with certainty is not native.
pub(crate) fn compile(pattern: &[u8], dialect: Dialect, ignore_case: bool) -> Res<Regex> {
    let odd = || Stop::NotNative(format!("the pattern `{}`", lossy(pattern)));
    let text = std::str::from_utf8(pattern).map_err(|_| odd())?;
    let translated = match dialect {
        Dialect::Fixed => regex::escape(text),
        Dialect::Basic => translate(text, true).ok_or_else(odd)?,
        Dialect::Extended => translate(text, false).ok_or_else(odd)?,
    };
    RegexBuilder::new(&translated)
        .unicode(false)
        .case_insensitive(ignore_case)
        .multi_line(true)
        .build()
        .map_err(|_| odd())
}

fn translate(text: &str, basic: bool) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    // At the beginning of the pattern or of a group, a star is only a star.
    let mut at_start = true;
    while let Some(c) = chars.next() {
        let was_start = std::mem::replace(&mut at_start, false);
        match c {
            '\\' => match chars.next()? {
                c @ ('(' | ')' | '{' | '}') if basic => {
                    out.push(c);
                    at_start = c == '(';
                }
                c @ ('|' | '+' | '?') if basic => {
                    out.push(c);
                    at_start = c == '|';
                }
                c @ ('w' | 'W' | 's' | 'S' | 'b' | 'B') => {
                    out.push('\\');
                    out.push(c);
                }
                '<' => out.push_str("\\b{start}"),
                '>' => out.push_str("\\b{end}"),
                c if c.is_ascii_alphanumeric() => return None,
                c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            },
            '[' => bracket(&mut chars, &mut out)?,
            '*' if was_start && basic => out.push_str("\\*"),
            '^' if basic && !was_start => out.push_str("\\^"),
            '$' if basic && chars.peek().is_some() && !remaining_closes(&mut chars.clone()) => {
                out.push_str("\\$")
            }
            '(' | ')' | '{' | '}' | '|' | '+' | '?' if basic => {
                out.push('\\');
                out.push(c);
            }
            '^' => {
                out.push('^');
                at_start = true;
            }
            '(' | '|' => {
                out.push(c);
                at_start = true;
            }
            '*' | '+' | '?' | '{' if was_start => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

fn remaining_closes(rest: &mut impl Iterator<Item = char>) -> bool {
    rest.next() == Some('\\') && matches!(rest.next(), Some(')' | '|'))
}

fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        out.push('^');
    }
    let mut first = true;
    loop {
        let c = chars.next()?;
        match c {
            ']' if !first => {
                out.push(']');
                return Some(());
            }
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                loop {
                    let c = chars.next()?;
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '[' if matches!(chars.peek(), Some('.' | '=')) => return None,
            '[' | ']' | '\\' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_expressions_keep_their_meaning() {
        for (pattern, text, expected) in [
            ("a+b", "a+b", true),
            ("a\\+b", "aab", true),
            ("^fix", "fix it", true),
            ("x(y)", "x(y)", true),
            ("\\(a\\|b\\)c", "bc", true),
            ("[]x]", "]", true),
            ("*a", "*a", true),
            ("a$b", "a$b", true),
            ("end$", "the end", true),
        ] {
            let regex = compile(pattern.as_bytes(), Dialect::Basic, false).unwrap();
            assert_eq!(regex.is_match(text.as_bytes()), expected, "{pattern}");
        }
    }
}
