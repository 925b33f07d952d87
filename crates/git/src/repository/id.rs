//! Object ids: compared and hashed without asking libgit2.
//!
//! Of which length they are is a matter of the repository that is open, and known to the thread that opened it.

use std::cell::Cell;
use std::fmt;

/// The hash of which a repository's object ids are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

thread_local! {
    static CURRENT: Cell<Hash> = const { Cell::new(Hash::Sha1) };
}

impl Hash {
    /// The hash of the repository this thread has open.
    pub(crate) fn current() -> Hash {
        CURRENT.get()
    }

    /// Bytes of an id.
    pub(crate) fn len(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
        }
    }

    fn format(self) -> git2::ObjectFormat {
        match self {
            Hash::Sha1 => git2::ObjectFormat::Sha1,
            Hash::Sha256 => git2::ObjectFormat::Sha256,
        }
    }
}

/// Makes a hash the thread's until it is dropped; then the one before is it again.
#[derive(Debug)]
pub(crate) struct Using(Hash);

impl Using {
    pub(crate) fn hash(hash: Hash) -> Using {
        Using(CURRENT.replace(hash))
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// The name of an object; a SHA-1 one has zeros after its twenty bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Id([u8; 32]);

impl Id {
    /// What stands for "no object".
    pub(crate) const ZERO: Id = Id([0; 32]);

    /// The tree with nothing in it, which git knows without storing it.
    pub(crate) fn empty_tree() -> Id {
        match Hash::current() {
            Hash::Sha1 => EMPTY_TREE,
            Hash::Sha256 => EMPTY_TREE_256,
        }
    }

    /// The file with nothing in it.
    pub(crate) fn empty_blob() -> Id {
        match Hash::current() {
            Hash::Sha1 => EMPTY_BLOB,
            Hash::Sha256 => EMPTY_BLOB_256,
        }
    }

    /// Hexadecimal digits of an id.
    pub(crate) fn digits() -> usize {
        Id::raw_len() * 2
    }

    /// Bytes of an id.
    pub(crate) fn raw_len() -> usize {
        Hash::current().len()
    }

    /// Parses exactly as many hexadecimal digits as an id has.
    pub(crate) fn parse(hex: &[u8]) -> Option<Id> {
        if hex.len() != Id::digits() {
            return None;
        }
        let mut id = [0; 32];
        for (i, pair) in hex.chunks_exact(2).enumerate() {
            id[i] = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        Some(Id(id))
    }

    /// Parses the id a text begins with.
    pub(crate) fn parse_start(text: &[u8]) -> Option<Id> {
        Id::parse(text.get(..Id::digits())?)
    }

    /// Reads raw bytes, as many as an id has.
    pub(crate) fn from_raw(raw: &[u8]) -> Option<Id> {
        let raw = raw.get(..Id::raw_len())?;
        let mut id = [0; 32];
        id[..raw.len()].copy_from_slice(raw);
        Some(Id(id))
    }

    /// The bytes of the id.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.0[..Id::raw_len()]
    }

    /// Names a file of these bytes.
    pub(crate) fn of_blob(data: &[u8]) -> Result<Id, git2::Error> {
        let format = Hash::current().format();
        Ok(git2::Oid::hash_object_ext(git2::ObjectType::Blob, data, format)?.into())
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Id::ZERO
    }

    pub(crate) fn hex(self) -> String {
        self.to_string()
    }

    pub(crate) fn oid(self) -> git2::Oid {
        git2::Oid::from_bytes(self.raw()).unwrap_or(git2::Oid::ZERO_SHA1)
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
        let mut text = [0; 64];
        for (i, byte) in self.raw().iter().enumerate() {
            text[i * 2] = DIGITS[usize::from(byte >> 4)];
            text[i * 2 + 1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text[..Id::digits()]).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const EMPTY_TREE: Id = known("4b825dc642cb6eb9a060e54bf8d69288fbee4904");
const EMPTY_BLOB: Id = known("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
const EMPTY_TREE_256: Id =
    known("6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321");
const EMPTY_BLOB_256: Id =
    known("473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813");

const fn known(hex: &str) -> Id {
    let hex = hex.as_bytes();
    let mut id = [0; 32];
    let mut i = 0;
    while i * 2 < hex.len() {
        match (digit(hex[i * 2]), digit(hex[i * 2 + 1])) {
            (Some(high), Some(low)) => id[i] = high << 4 | low,
            _ => panic!("hexadecimal digits"),
        }
        i += 1;
    }
    Id(id)
}

const fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}
