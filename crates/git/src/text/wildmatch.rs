//! git's file name patterns: `*`, `?`, `[…]`, and `**` across directories.

/// `*` and `?` do not match a slash, `**` does.
pub(crate) const PATHNAME: u8 = 1;
/// Letters match in either case (ASCII).
pub(crate) const CASEFOLD: u8 = 2;

/// Says whether a pattern matches a whole text.
pub(crate) fn matches(pattern: &[u8], text: &[u8], flags: u8) -> bool {
    // Exponential patterns are cut short: what needs more steps than this is taken for no match.
    let mut budget = 1_000_000;
    go(pattern, 0, text, flags, &mut budget) == Match::Yes
}

/// Says whether a pattern has any character with a meaning.
pub(crate) fn is_glob(pattern: &[u8]) -> bool {
    pattern
        .iter()
        .any(|c| matches!(c, b'*' | b'?' | b'[' | b'\\'))
}

/// Returns the length of the part before the first character with a meaning.
pub(crate) fn literal_prefix(pattern: &[u8]) -> usize {
    pattern
        .iter()
        .position(|c| matches!(c, b'*' | b'?' | b'[' | b'\\'))
        .unwrap_or(pattern.len())
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Match {
    Yes,
    No,
    /// No, and no shorter text could match either.
    AbortAll,
    /// No, and no text up to the next slash could.
    AbortToSlash,
}

fn go(pattern: &[u8], mut p: usize, mut text: &[u8], flags: u8, budget: &mut u32) -> Match {
    let fold = |c: u8| {
        if flags & CASEFOLD != 0 {
            c.to_ascii_lowercase()
        } else {
            c
        }
    };
    while p < pattern.len() {
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            return Match::AbortAll;
        }
        let c = fold(pattern[p]);
        if text.is_empty() && c != b'*' {
            return Match::AbortAll;
        }
        let t = text.first().map_or(0, |t| fold(*t));
        match c {
            b'\\' => {
                p += 1;
                if pattern.get(p).map(|c| fold(*c)) != Some(t) {
                    return Match::No;
                }
            }
            b'?' => {
                if flags & PATHNAME != 0 && t == b'/' {
                    return Match::No;
                }
            }
            b'*' => return star(pattern, p, text, flags, budget),
            b'[' => match class(pattern, p + 1, t, flags) {
                None => return Match::AbortAll,
                Some((matched, next)) => {
                    if !matched || (flags & PATHNAME != 0 && t == b'/') {
                        return Match::No;
                    }
                    p = next - 1;
                }
            },
            _ => {
                if t != c {
                    return Match::No;
                }
            }
        }
        p += 1;
        text = &text[1..];
    }
    if text.is_empty() {
        Match::Yes
    } else {
        Match::No
    }
}

fn star(pattern: &[u8], at: usize, mut text: &[u8], flags: u8, budget: &mut u32) -> Match {
    let mut p = at + 1;
    let mut match_slash = flags & PATHNAME == 0;
    if pattern.get(p) == Some(&b'*') {
        while pattern.get(p) == Some(&b'*') {
            p += 1;
        }
        let opens = at == 0 || pattern[at - 1] == b'/';
        let closes = p == pattern.len()
            || pattern[p] == b'/'
            || (pattern[p] == b'\\' && pattern.get(p + 1) == Some(&b'/'));
        if flags & PATHNAME == 0 {
            match_slash = true;
        } else if opens && closes {
            // `**/` matches nothing at all as well.
            if pattern.get(p) == Some(&b'/')
                && go(pattern, p + 1, text, flags, budget) == Match::Yes
            {
                return Match::Yes;
            }
            match_slash = true;
        } else {
            match_slash = false;
        }
    }
    if p == pattern.len() {
        return if !match_slash && text.contains(&b'/') {
            Match::AbortToSlash
        } else {
            Match::Yes
        };
    }
    if !match_slash && pattern[p] == b'/' {
        // One star followed by a slash matches up to the next slash.
        let Some(slash) = text.iter().position(|c| *c == b'/') else {
            return Match::AbortAll;
        };
        return go(pattern, p, &text[slash..], flags, budget);
    }
    while !text.is_empty() {
        match go(pattern, p, text, flags, budget) {
            Match::No => {
                if !match_slash && text[0] == b'/' {
                    return Match::AbortToSlash;
                }
            }
            Match::AbortToSlash if match_slash => {}
            other => return other,
        }
        text = &text[1..];
    }
    // What is left of the pattern may still match nothing.
    if pattern[p..].iter().all(|c| *c == b'*') {
        Match::Yes
    } else {
        Match::AbortAll
    }
}

/// Reads a bracket expression whose first character is at `p`; returns whether `t` is in it and where it ends.
fn class(pattern: &[u8], mut p: usize, t: u8, flags: u8) -> Option<(bool, usize)> {
    let mut negated = false;
    if matches!(pattern.get(p), Some(b'!' | b'^')) {
        negated = true;
        p += 1;
    }
    let mut matched = false;
    let mut previous = 0u8;
    let mut first = true;
    loop {
        let mut c = *pattern.get(p)?;
        if c == b']' && !first {
            return Some((matched != negated, p + 1));
        }
        first = false;
        if c == b'\\' {
            p += 1;
            c = *pattern.get(p)?;
            matched |= c == t;
            previous = c;
        } else if c == b'-' && previous != 0 && pattern.get(p + 1).is_some_and(|n| *n != b']') {
            p += 1;
            let mut end = *pattern.get(p)?;
            if end == b'\\' {
                p += 1;
                end = *pattern.get(p)?;
            }
            matched |= (previous..=end).contains(&t);
            if flags & CASEFOLD != 0 && t.is_ascii_lowercase() {
                matched |= (previous..=end).contains(&t.to_ascii_uppercase());
            }
            previous = 0;
        } else if c == b'[' && pattern.get(p + 1) == Some(&b':') {
            let start = p + 2;
            let len = pattern[start..].iter().position(|c| *c == b']')?;
            let name = &pattern[start..start + len];
            if let Some(name) = name.strip_suffix(b":") {
                matched |= match name {
                    b"alnum" => t.is_ascii_alphanumeric(),
                    b"alpha" => t.is_ascii_alphabetic(),
                    b"blank" => matches!(t, b' ' | b'\t'),
                    b"cntrl" => t.is_ascii_control(),
                    b"digit" => t.is_ascii_digit(),
                    b"graph" => t.is_ascii_graphic(),
                    b"lower" => t.is_ascii_lowercase(),
                    b"print" => t.is_ascii_graphic() || t == b' ',
                    b"punct" => t.is_ascii_punctuation(),
                    b"space" => t.is_ascii_whitespace() || t == 0x0b,
                    b"upper" => {
                        t.is_ascii_uppercase() || (flags & CASEFOLD != 0 && t.is_ascii_lowercase())
                    }
                    b"xdigit" => t.is_ascii_hexdigit(),
                    _ => return None,
                };
                p = start + len;
                previous = 0;
            } else {
                matched |= t == b'[';
                previous = b'[';
            }
        } else {
            matched |= c == t;
            previous = c;
        }
        p += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_git() {
        for (pattern, text, flags, expected) in [
            ("foo", "foo", 0, true),
            ("*f", "foo", 0, false),
            ("*foo*", "foo", PATHNAME, true),
            ("**/foo", "a/b/foo", PATHNAME, true),
            ("**/foo", "foo", PATHNAME, true),
            ("a/**/b", "a/b", PATHNAME, true),
            ("a/**/b", "a/x/y/b", PATHNAME, true),
            ("a**b", "a/b", PATHNAME, false),
            ("*.c", "a/x.c", PATHNAME, false),
            ("*.c", "a/x.c", 0, true),
            ("foo/**", "foo/a/b", PATHNAME, true),
            ("[a-c]x", "bx", 0, true),
            ("[!a-c]x", "bx", 0, false),
            ("[[:digit:]]", "5", 0, true),
            ("\\*", "*", 0, true),
            ("FOO", "foo", CASEFOLD, true),
            ("foo/*/bar", "foo/x/y/bar", PATHNAME, false),
            ("", "", 0, true),
            ("[]]", "]", 0, true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), flags),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
