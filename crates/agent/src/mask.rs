//! Takes secrets out of texts before they are kept: those we know by their value, those that stand
//! behind a name that says so, and those that look like a key.
//!
//! It works on whole texts, put together from however many pieces they came in. It errs on the side of
//! masking too much: the audit trail is kept for good.

use std::{borrow::Cow, sync::LazyLock};

use deskhand_protocol::Secret;
use regex::bytes::Regex;

/// Stands where a secret was.
const MASKED: &str = "***";

/// Shorter values are no secrets, and would mask half of every text.
const SHORTEST_VALUE: usize = 6;

/// The secrets of this computer that we know.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    values: Vec<Secret>,
}

struct Pattern {
    regex: Regex,
    replacement: &'static str,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    const NAME: &str =
        r"(?:key|token|secret|passw[a-z]*|passphrase|passwd|credential|authorization)";
    const VALUE: &str = r#"(?:'[^']*'|"[^"]*"|[^\s"'&;,]+)"#;
    let patterns = [
        (
            r"(?s-u)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)".to_owned(),
            MASKED,
        ),
        (r"(?i-u)(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}".to_owned(), "$1 ***"),
        (
            format!(r#"(?i-u)([A-Za-z0-9_.-]*{NAME}[A-Za-z0-9_.-]*["']?\s*[=:]\s*){VALUE}"#),
            "$1***",
        ),
        (
            format!(r"(?i-u)(--?[A-Za-z0-9-]*{NAME}[A-Za-z0-9-]*\s+){VALUE}"),
            "$1***",
        ),
        (r"(?i-u)([a-z][a-z0-9+.-]*://[^/\s:@]*:)[^@/\s]+@".to_owned(), "$1***@"),
        (
            concat!(
                r"(?-u)\b(?:d[hd]_[a-z0-9]{4,32}_[A-Za-z0-9_-]{16,}",
                r"|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}",
                r"|sk-[A-Za-z0-9_-]{16,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}",
                r"|npm_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{30,}",
                r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)",
            )
            .to_owned(),
            MASKED,
        ),
    ];
    patterns
        .into_iter()
        .map(|(pattern, replacement)| Pattern {
            regex: Regex::new(&pattern).expect("the pattern is one of the above"),
            replacement,
        })
        .collect()
});

impl Mask {
    /// Takes the values that must never be kept.
    pub(crate) fn new(values: &[Secret]) -> Self {
        let mut values = values.to_vec();
        values.retain(|value| value.expose().len() >= SHORTEST_VALUE);
        // One that holds another goes first.
        values.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
        Self { values }
    }

    /// Returns a text without its secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.expose()) {
                text = text.replace(value.expose(), MASKED);
            }
        }
        for pattern in &*PATTERNS {
            let masked = pattern
                .regex
                .replace_all(text.as_bytes(), pattern.replacement.as_bytes());
            if let Cow::Owned(masked) = masked {
                text = String::from_utf8_lossy(&masked).into_owned();
            }
        }
        text
    }

    /// Returns the beginning of a text without its secrets, at most `limit` bytes of it. A secret that
    /// the cut goes through is masked like any other.
    pub(crate) fn beginning(&self, text: &str, limit: usize) -> String {
        let longest = self.values.first().map_or(0, |value| value.expose().len());
        let looked_at = text.floor_char_boundary(limit.saturating_mul(8) + longest);
        let mut masked = self.mask(&text[..looked_at]);
        if looked_at < text.len() {
            // What stands at the cut may be the half of a secret, and would not be known.
            let cut = masked.len().saturating_sub(longest + limit);
            masked.truncate(masked.floor_char_boundary(cut));
        }
        masked.truncate(masked.floor_char_boundary(limit));
        masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        Mask::new(&[Secret::new("hunter2hunter2"), Secret::new("abc")])
    }

    #[test]
    fn secrets_are_masked_by_value_by_name_and_by_look() {
        for (text, masked) in [
            ("say hunter2hunter2 loud abc", "say *** loud abc"),
            ("PASSWORD=x1 run", "PASSWORD=*** run"),
            ("curl --api-key x1 u", "curl --api-key *** u"),
            ("curl --token='x 1' u", "curl --token=*** u"),
            (
                "{\"secret_key\": \"x1\", \"a\": 1}",
                "{\"secret_key\": ***, \"a\": 1}",
            ),
            (
                "curl -H 'Authorization: Bearer abcdef123'",
                "curl -H 'Authorization: *** ***'",
            ),
            (
                "git clone https://me:pw@host/x",
                "git clone https://me:***@host/x",
            ),
            ("use ghp_0123456789abcdefghij", "use ***"),
            ("dh_abcd_0123456789012345678901234567890123456789012", "***"),
            ("-----BEGIN RSA PRIVATE KEY-----\nx\ny", "***"),
            ("git log --oneline", "git log --oneline"),
        ] {
            assert_eq!(mask().mask(text), masked);
        }
    }

    #[test]
    fn a_secret_at_the_cut_is_masked_too() {
        for n in 0..700 {
            let text = format!("{}hunter2hunter2{}", "-".repeat(n), "=".repeat(100_000));
            let shown = mask().beginning(&text, 512);
            assert!(shown.len() <= 512 && !shown.contains("hunter"), "{n}");
        }
        assert_eq!(mask().beginning("short", 512), "short");
    }
}
