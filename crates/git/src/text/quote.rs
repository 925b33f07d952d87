//! Names as git prints them: quoted like C strings where they hold odd bytes, relative to the current directory.

use crate::text::bytes::Bytes;

/// Quotes a name like a C string if it has to be; `high` also quotes bytes above 127 (`core.quotePath`).
pub(crate) fn c_style(name: &[u8], high: bool) -> Bytes {
    if !needs_quotes(name, high) {
        return name.to_vec();
    }
    let mut out = vec![b'"'];
    append_escaped(&mut out, name, high);
    out.push(b'"');
    out
}

/// Says whether [`c_style`] would quote a name.
pub(crate) fn needs_quotes(name: &[u8], high: bool) -> bool {
    name.iter()
        .any(|c| *c < 0x20 || *c == b'"' || *c == b'\\' || *c == 0x7f || (high && *c >= 0x80))
}

/// Quotes two joined names as one, as git does for `a/` and a path.
pub(crate) fn two(prefix: &[u8], name: &[u8], high: bool) -> Bytes {
    c_style(&[prefix, name].concat(), high)
}

fn append_escaped(out: &mut Bytes, name: &[u8], high: bool) {
    for &c in name {
        let letter = match c {
            7 => b'a',
            8 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0b => b'v',
            0x0c => b'f',
            b'\r' => b'r',
            b'"' => b'"',
            b'\\' => b'\\',
            c if c < 0x20 || c == 0x7f || (high && c >= 0x80) => {
                out.extend_from_slice(format!("\\{c:03o}").as_bytes());
                continue;
            }
            c => {
                out.push(c);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}

/// Returns a path relative to a directory prefix (`""` or `dir/`), both relative to the top of the work tree.
pub(crate) fn relative(path: &[u8], prefix: &[u8]) -> Bytes {
    if prefix.is_empty() {
        return path.to_vec();
    }
    if prefix.strip_suffix(b"/") == Some(path) {
        return b"./".to_vec();
    }
    // Length of the common part that ends with a slash in both.
    let mut common = 0;
    for i in 0..path.len().min(prefix.len()) {
        if path[i] != prefix[i] {
            break;
        }
        if path[i] == b'/' {
            common = i + 1;
        }
    }
    let ups = prefix[common..].iter().filter(|c| **c == b'/').count();
    let mut out = Bytes::new();
    for _ in 0..ups {
        out.extend_from_slice(b"../");
    }
    out.extend_from_slice(&path[common..]);
    if out.is_empty() {
        out.extend_from_slice(b"./");
    }
    out
}

/// Quotes for a POSIX shell: always in single quotes.
pub(crate) fn shell(text: &[u8]) -> Bytes {
    let mut out = vec![b'\''];
    for &c in text {
        if c == b'\'' || c == b'!' {
            out.extend_from_slice(&[b'\'', b'\\', c, b'\'']);
        } else {
            out.push(c);
        }
    }
    out.push(b'\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_in_c() {
        assert_eq!(c_style(b"plain name", true), b"plain name");
        assert_eq!(c_style(b"tab\tname", true), b"\"tab\\tname\"");
        assert_eq!(c_style("\u{e4}".as_bytes(), true), b"\"\\303\\244\"");
        assert_eq!(c_style("\u{e4}".as_bytes(), false), "\u{e4}".as_bytes());
    }

    #[test]
    fn paths_are_relative_to_the_prefix() {
        assert_eq!(relative(b"a/b", b"a/"), b"b");
        assert_eq!(relative(b"c", b"a/b/"), b"../../c");
        assert_eq!(relative(b"a/b/", b"a/b/"), b"./");
        assert_eq!(relative(b"ab/c", b"a/"), b"../ab/c");
    }
}
