//! Lines of `.gitignore` and `.gitattributes`: how one pattern is read and matched.

use crate::text::bytes::{Bytes, basename};
use crate::text::wildmatch;

/// One pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: Bytes,
    pub(crate) negative: bool,
    /// Ended with a slash: means directories only.
    directory: bool,
    /// Held no slash: compared with the last part of the path.
    name_only: bool,
    /// Directory of the file the pattern is in: `""`, or with a slash at its end.
    base: Bytes,
    /// How much of `text` is literal.
    literal: usize,
}

impl Pattern {
    /// Parses a pattern; `!` at the beginning negates if allowed.
    pub(crate) fn parse(text: &[u8], base: &[u8], may_negate: bool) -> Pattern {
        let (negative, mut text) = match text.strip_prefix(b"!") {
            Some(rest) if may_negate => (true, rest),
            _ => (false, text),
        };
        let mut directory = false;
        if text.len() > 1 && text.ends_with(b"/") {
            directory = true;
            text = &text[..text.len() - 1];
        }
        let name_only = !text.contains(&b'/');
        let text = if name_only {
            text
        } else {
            text.strip_prefix(b"/").unwrap_or(text)
        };
        Pattern {
            text: text.to_vec(),
            negative,
            directory,
            name_only,
            base: base.to_vec(),
            literal: wildmatch::literal_prefix(text),
        }
    }

    /// Says whether the pattern means a path from the top of the work tree.
    pub(crate) fn matches(&self, path: &[u8], is_directory: bool, flags: u8) -> bool {
        if self.directory && !is_directory {
            return false;
        }
        if self.name_only {
            if !path.starts_with(&self.base) {
                return false;
            }
            return self.matches_name(basename(path), flags);
        }
        let Some(rest) = path.strip_prefix(self.base.as_slice()) else {
            return false;
        };
        if rest.is_empty() {
            return false;
        }
        if self.literal == self.text.len() && flags & wildmatch::CASEFOLD == 0 {
            return rest == self.text.as_slice();
        }
        wildmatch::matches(&self.text, rest, flags | wildmatch::PATHNAME)
    }

    fn matches_name(&self, name: &[u8], flags: u8) -> bool {
        if flags & wildmatch::CASEFOLD == 0 {
            if self.literal == self.text.len() {
                return name == self.text.as_slice();
            }
            // The most frequent form, `*.ext`.
            if self.text[0] == b'*' && !wildmatch::is_glob(&self.text[1..]) {
                return name.ends_with(&self.text[1..]);
            }
        }
        wildmatch::matches(&self.text, name, flags)
    }
}
