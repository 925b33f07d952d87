//! The message of a commit or tag: where it comes from, and how it is cleaned.

use std::fs;

use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::repository::identity::Identity;
use crate::repository::lock::system_words;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};

/// How a message is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleanup {
    /// Not at all.
    Verbatim,
    /// Blanks at the ends of lines, and blank lines at the ends and more than one between.
    Whitespace,
    /// Comments too.
    Strip,
}

impl Cleanup {
    /// Returns the cleaned message.
    pub(crate) fn apply(self, text: &[u8]) -> Bytes {
        match self {
            Cleanup::Verbatim => text.to_vec(),
            Cleanup::Whitespace => strip_space(text, false),
            Cleanup::Strip => strip_space(text, true),
        }
    }
}

impl Cleanup {
    /// What is done before the message is shown to anybody: comments stay.
    pub(crate) fn apply_first(self, text: &[u8]) -> Bytes {
        match self {
            Cleanup::Verbatim => text.to_vec(),
            _ => strip_space(text, false),
        }
    }
}

/// Says whether a message says nothing but who signed it off.
pub(crate) fn is_empty(text: &[u8], cleanup: Cleanup) -> bool {
    if cleanup == Cleanup::Verbatim {
        return text.is_empty();
    }
    text.split(|b| *b == b'\n')
        .all(|line| line.trim_ascii().is_empty() || line.starts_with(b"Signed-off-by: "))
}

/// Adds the committer's `Signed-off-by` where it is not the last line already.
///
/// Hands over when the last paragraph is only partly made of such lines.
pub(crate) fn signed_off(text: &[u8], who: &Identity) -> Res<Bytes> {
    let line = [
        b"Signed-off-by: ".as_slice(),
        &who.name,
        b" <",
        &who.email,
        b">\n",
    ]
    .concat();
    let mut out = text.to_vec();
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    if out.ends_with(&line) {
        return Ok(out);
    }
    let body = out.trim_ascii_end();
    let start = bytes::rfind(body, b"\n\n").map(|at| at + 2);
    let is_trailer = |l: &[u8]| {
        let colon = l.iter().position(|b| *b == b':');
        colon.is_some_and(|c| {
            c > 0
                && l[..c]
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        })
    };
    let (mut n, mut n_trailers) = (0, 0);
    for l in start
        .map_or(&b""[..], |s| &body[s..])
        .split(|b| *b == b'\n')
    {
        n += 1;
        n_trailers += usize::from(is_trailer(l));
    }
    if n_trailers > 0 && n_trailers < n {
        return Err(Stop::not_native("signing off a message of this form"));
    }
    if n_trailers == 0 {
        // An empty message keeps its place for a title.
        out.extend_from_slice(if out.is_empty() { b"\n\n" } else { b"\n" });
    }
    out.extend_from_slice(&line);
    Ok(out)
}

/// Takes blanks away as `git stripspace` does; with `drop_comments` also the lines that begin with `#`.
pub(crate) fn strip_space(text: &[u8], drop_comments: bool) -> Bytes {
    let mut out = Bytes::new();
    let mut blank = false;
    for line in text.split(|b| *b == b'\n') {
        if drop_comments && line.first() == Some(&b'#') {
            continue;
        }
        let end = line
            .iter()
            .rposition(|c| !c.is_ascii_whitespace() && *c != 0x0b)
            .map_or(0, |i| i + 1);
        let line = &line[..end];
        if line.is_empty() {
            blank = true;
            continue;
        }
        if blank && !out.is_empty() {
            out.push(b'\n');
        }
        blank = false;
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

/// Returns the text of `-m`, a paragraph each; `None` when there is none.
pub(crate) fn paragraphs(parsed: &Parsed) -> Option<Bytes> {
    let mut text: Option<Bytes> = None;
    for part in parsed.options.iter().filter(|g| g.name == "message") {
        match &mut text {
            None => text = Some(part.text().to_vec()),
            Some(text) => {
                if !text.is_empty() {
                    if !text.ends_with(b"\n") {
                        text.push(b'\n');
                    }
                    text.push(b'\n');
                }
                text.extend_from_slice(part.text());
            }
        }
    }
    text
}

/// Returns the text of `-m` as a merge takes it: paragraphs, with nothing at the end.
pub(crate) fn given_for_merge(parsed: &Parsed) -> Option<Bytes> {
    let parts: Vec<&[u8]> = parsed
        .options
        .iter()
        .filter(|g| g.name == "message")
        .map(|g| g.text())
        .collect();
    (!parts.is_empty()).then(|| parts.join(&b"\n\n"[..]))
}

/// Reads the file of `-F`, `-` being standard input. `doing` is how git's error begins.
pub(crate) fn read_file(repo: &Repo<'_>, file: &[u8], doing: &str) -> Res<Bytes> {
    if file == b"-" {
        return repo.call.read_input();
    }
    let path = bytes::join(&repo.call.cwd, file);
    let may_read = crate::repository::config::is_within(repo.call, &path);
    if !may_read && bytes::to_path(&path).exists() {
        return Err(Stop::not_native("a message from outside of the workspace"));
    }
    fs::read(bytes::to_path(&path))
        .map_err(|e| Stop::fatal(format!("{doing} '{}': {}", lossy(file), system_words(&e))))
}

/// Hands over where lines that begin with something else are comments.
pub(crate) fn refuse_comment_settings(repo: &Repo<'_>) -> Res<()> {
    for key in ["core.commentchar", "core.commentstring"] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    Ok(())
}
