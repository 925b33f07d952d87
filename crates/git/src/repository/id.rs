//! Object ids: twenty bytes, compared and hashed without asking libgit2.

use std::fmt;

/// The name of an object (SHA-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Id(pub(crate) [u8; 20]);

impl Id {
    /// What stands for "no object".
    pub(crate) const ZERO: Id = Id([0; 20]);

    /// The tree with nothing in it, which git knows without storing it.
    pub(crate) const EMPTY_TREE: Id = Id([
        0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6, 0x92,
        0x88, 0xfb, 0xee, 0x49, 0x04,
    ]);

    /// The file with nothing in it.
    pub(crate) const EMPTY_BLOB: Id = Id([
        0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b, 0x29, 0xae, 0x77, 0x5a, 0xd8,
        0xc2, 0xe4, 0x8c, 0x53, 0x91,
    ]);

    /// Parses exactly forty hexadecimal digits.
    pub(crate) fn parse(hex: &[u8]) -> Option<Id> {
        if hex.len() != 40 {
            return None;
        }
        let mut id = [0; 20];
        for (i, pair) in hex.chunks_exact(2).enumerate() {
            id[i] = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        Some(Id(id))
    }

    /// Reads twenty raw bytes.
    pub(crate) fn from_raw(raw: &[u8]) -> Option<Id> {
        Some(Id(raw.get(..20)?.try_into().ok()?))
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Id::ZERO
    }

    pub(crate) fn hex(self) -> String {
        self.to_string()
    }

    pub(crate) fn oid(self) -> git2::Oid {
        git2::Oid::from_bytes(&self.0).unwrap_or(git2::Oid::ZERO_SHA1)
    }
}

impl From<git2::Oid> for Id {
    fn from(oid: git2::Oid) -> Id {
        Id::from_raw(oid.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 40];
        for (i, byte) in self.0.iter().enumerate() {
            text[i * 2] = DIGITS[usize::from(byte >> 4)];
            text[i * 2 + 1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}
