//! Paths and arguments as bytes: git's names are bytes, the standard library's are the platform's.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A path, name or message as git has it.
pub(crate) type Bytes = Vec<u8>;

/// Returns the bytes of a platform string (UTF-8, with replacement characters, where the platform has no bytes).
pub(crate) fn from_os(text: &OsStr) -> Bytes {
    #[cfg(unix)]
    {
        std::os::unix::ffi::OsStrExt::as_bytes(text).to_vec()
    }
    #[cfg(not(unix))]
    {
        text.to_string_lossy().replace('\\', "/").into_bytes()
    }
}

/// Returns the platform string for some bytes.
pub(crate) fn to_os(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    {
        <OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes.to_vec())
    }
    #[cfg(not(unix))]
    {
        OsString::from(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Returns the platform path for some bytes.
pub(crate) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(to_os(bytes))
}

/// Returns some bytes as a path, without a copy where the platform's paths are bytes.
pub(crate) fn as_path(bytes: &[u8]) -> Cow<'_, Path> {
    #[cfg(unix)]
    {
        Cow::Borrowed(Path::new(
            <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes),
        ))
    }
    #[cfg(not(unix))]
    {
        Cow::Owned(to_path(bytes))
    }
}

/// Returns the bytes of a path.
pub(crate) fn from_path(path: &Path) -> Bytes {
    from_os(path.as_os_str())
}

/// Returns text for a report or an error message.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Splits at the first occurrence of a byte.
pub(crate) fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let i = bytes.iter().position(|b| *b == at)?;
    Some((&bytes[..i], &bytes[i + 1..]))
}

/// Finds a byte string in another.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Finds the last occurrence of a byte string in another.
pub(crate) fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|w| w == needle)
}

/// Parses a decimal number that fills the whole slice.
pub(crate) fn parse_int(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Returns the text after the last slash.
pub(crate) fn basename(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|b| *b == b'/') {
        Some(i) => &path[i + 1..],
        None => path,
    }
}

/// Returns a path without `.`, `..` and doubled slashes, purely by text; it must be absolute.
pub(crate) fn normalize(path: &[u8]) -> Bytes {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for part in parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

/// Joins a path to a directory unless it is absolute.
pub(crate) fn join(dir: &[u8], path: &[u8]) -> Bytes {
    if path.first() == Some(&b'/') {
        return path.to_vec();
    }
    let mut out = dir.to_vec();
    if !out.ends_with(b"/") {
        out.push(b'/');
    }
    out.extend_from_slice(path);
    out
}
