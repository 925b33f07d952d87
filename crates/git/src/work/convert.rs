//! From the work tree to the repository and back: line ends and `$Id$`. Filter programs are never run.

use std::borrow::Cow;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};
use crate::work::attr::{Attributes, Value};
use crate::work::index::Index;

/// What happens to line ends.
#[expect(
    clippy::enum_variant_names,
    reason = "`AutoCrlf` and `TextCrlf` are git's names"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crlf {
    Binary,
    Text,
    TextInput,
    TextCrlf,
    Auto,
    AutoInput,
    AutoCrlf,
}

/// How a path is converted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conversion {
    crlf: Crlf,
    ident: bool,
}

impl Conversion {
    /// Returns what applies to a path; hands over where a filter program or another encoding would be used.
    pub(crate) fn of(repo: &Repo<'_>, attributes: &Attributes<'_>, path: &[u8]) -> Res<Conversion> {
        let [text, eol, crlf, ident, filter, encoding] = attributes.get(
            path,
            [
                "text",
                "eol",
                "crlf",
                "ident",
                "filter",
                "working-tree-encoding",
            ],
        )?;
        if let Some(Value::Text(name)) = filter {
            for kind in ["clean", "smudge", "process"] {
                let key = [b"filter.", name.as_slice(), b".", kind.as_bytes()].concat();
                if repo.config.get_bytes(&key).is_some_and(|v| !v.is_empty()) {
                    return Err(Stop::NotNative(format!("the filter `{}`", lossy(&name))));
                }
            }
            let key = [b"filter.", name.as_slice(), b".required"].concat();
            if repo.config.get_bytes(&key).is_some() {
                return Err(Stop::NotNative(format!("the filter `{}`", lossy(&name))));
            }
        }
        if matches!(encoding, Some(Value::Text(_))) {
            return Err(Stop::not_native("the attribute working-tree-encoding"));
        }
        let mut action = match text.or(crlf) {
            Some(Value::Set) => Some(Crlf::Text),
            Some(Value::Unset) => Some(Crlf::Binary),
            Some(Value::Text(v)) if v == b"input" => Some(Crlf::TextInput),
            Some(Value::Text(v)) if v == b"auto" => Some(Crlf::Auto),
            _ => None,
        };
        if action != Some(Crlf::Binary) {
            match eol {
                Some(Value::Text(v)) if v == b"lf" => {
                    action = Some(if action == Some(Crlf::Auto) {
                        Crlf::AutoInput
                    } else {
                        Crlf::TextInput
                    });
                }
                Some(Value::Text(v)) if v == b"crlf" => {
                    action = Some(if action == Some(Crlf::Auto) {
                        Crlf::AutoCrlf
                    } else {
                        Crlf::TextCrlf
                    });
                }
                _ => {}
            }
        }
        let auto = match repo.config.get("core.autocrlf") {
            Some(v) if v.eq_ignore_ascii_case(b"input") => Some(Crlf::AutoInput),
            Some(_) if repo.config.bool("core.autocrlf")? == Some(true) => Some(Crlf::AutoCrlf),
            _ => None,
        };
        let eol_is_crlf = auto == Some(Crlf::AutoCrlf)
            || (auto.is_none()
                && repo
                    .config
                    .get("core.eol")
                    .is_some_and(|v| v.eq_ignore_ascii_case(b"crlf")));
        let crlf = match action {
            None => auto.unwrap_or(Crlf::Binary),
            Some(Crlf::Text) if eol_is_crlf => Crlf::TextCrlf,
            Some(Crlf::Text) => Crlf::TextInput,
            Some(Crlf::Auto) if eol_is_crlf => Crlf::AutoCrlf,
            Some(Crlf::Auto) => Crlf::AutoInput,
            Some(other) => other,
        };
        Ok(Conversion {
            crlf,
            ident: ident == Some(Value::Set),
        })
    }

    /// Converts what lies in the work tree to what is stored.
    pub(crate) fn to_git<'d>(
        self,
        repo: &Repo<'_>,
        index: Option<&Index>,
        path: &[u8],
        data: Cow<'d, [u8]>,
    ) -> Res<Cow<'d, [u8]>> {
        let data = self.crlf_to_git(repo, index, path, data)?;
        if !self.ident || bytes::find(&data, b"$Id:").is_none() {
            return Ok(data);
        }
        Ok(Cow::Owned(ident_to_git(&data)))
    }

    fn crlf_to_git<'d>(
        self,
        repo: &Repo<'_>,
        index: Option<&Index>,
        path: &[u8],
        data: Cow<'d, [u8]>,
    ) -> Res<Cow<'d, [u8]>> {
        if self.crlf == Crlf::Binary || data.is_empty() {
            return Ok(data);
        }
        let stats = Stats::gather(&data);
        if stats.crlf == 0 {
            return Ok(data);
        }
        let auto = matches!(self.crlf, Crlf::Auto | Crlf::AutoInput | Crlf::AutoCrlf);
        if auto {
            if stats.is_binary() {
                return Ok(data);
            }
            // What was stored with CRLF stays so.
            if let Some(index) = index
                && has_crlf_in_index(repo, index, path)?
            {
                return Ok(data);
            }
        }
        let mut out = Vec::with_capacity(data.len());
        for (i, c) in data.iter().enumerate() {
            if *c != b'\r' || (!auto && data.get(i + 1) != Some(&b'\n')) {
                out.push(*c);
            }
        }
        Ok(Cow::Owned(out))
    }

    /// Returns the words of `ls-files --eol` for the attributes of a path.
    pub(crate) fn eol_attributes(
        repo: &Repo<'_>,
        attributes: &Attributes<'_>,
        path: &[u8],
    ) -> Res<&'static str> {
        Conversion::of(repo, attributes, path)?;
        let [text, eol, crlf] = attributes.get(path, ["text", "eol", "crlf"])?;
        let text = match text {
            None | Some(Value::Unspecified) => crlf,
            set => set,
        };
        let eol = match &eol {
            Some(Value::Text(t)) if t == b"lf" => Some(false),
            Some(Value::Text(t)) if t == b"crlf" => Some(true),
            _ => None,
        };
        Ok(match (&text, eol) {
            (Some(Value::Unset), _) => "-text",
            (Some(Value::Text(t)), None) if t == b"auto" => "text=auto",
            (Some(Value::Text(t)), Some(true)) if t == b"auto" => "text=auto eol=crlf",
            (Some(Value::Text(t)), Some(false)) if t == b"auto" => "text=auto eol=lf",
            (Some(Value::Text(t)), _) if t == b"input" => "text eol=lf",
            (_, Some(true)) => "text eol=crlf",
            (_, Some(false)) => "text eol=lf",
            (Some(Value::Set), None) => "text",
            _ => "",
        })
    }

    /// Converts what is stored to what lies in the work tree.
    pub(crate) fn to_work_tree(self, id: Id, data: Bytes) -> Bytes {
        let data = if self.ident {
            ident_to_work_tree(&data, id)
        } else {
            data
        };
        if !self.adds_cr(&Stats::gather(&data)) {
            return data;
        }
        let mut out = Vec::with_capacity(data.len() + data.len() / 16);
        for (i, c) in data.iter().enumerate() {
            if *c == b'\n' && (i == 0 || data[i - 1] != b'\r') {
                out.push(b'\r');
            }
            out.push(*c);
        }
        out
    }

    fn adds_cr(self, stats: &Stats) -> bool {
        match self.crlf {
            Crlf::TextCrlf => stats.lone_lf > 0,
            Crlf::AutoCrlf => {
                stats.lone_lf > 0 && stats.lone_cr == 0 && stats.crlf == 0 && !stats.is_binary()
            }
            _ => false,
        }
    }

    /// Says what git would warn about when a file is staged: that its line ends will be others the next time.
    ///
    /// The two words are what is replaced and by what.
    pub(crate) fn line_end_warning(
        self,
        repo: &Repo<'_>,
        index: Option<&Index>,
        path: &[u8],
        data: &[u8],
    ) -> Res<Option<(&'static str, &'static str)>> {
        if self.crlf == Crlf::Binary || data.is_empty() {
            return Ok(None);
        }
        let old = Stats::gather(data);
        let auto = matches!(self.crlf, Crlf::Auto | Crlf::AutoInput | Crlf::AutoCrlf);
        if auto && old.is_binary() {
            return Ok(None);
        }
        let stored = self.crlf_to_git(repo, index, path, Cow::Borrowed(data))?;
        let mut new = Stats::gather(&stored);
        if self.adds_cr(&new) {
            new.crlf += new.lone_lf;
            new.lone_lf = 0;
        }
        Ok(if old.crlf > 0 && new.crlf == 0 {
            Some(("CRLF", "LF"))
        } else if old.lone_lf > 0 && new.lone_lf == 0 {
            Some(("LF", "CRLF"))
        } else {
            None
        })
    }
}

/// Says whether a path is stored as text with CRLF.
fn has_crlf_in_index(repo: &Repo<'_>, index: &Index, path: &[u8]) -> Res<bool> {
    let Some(entry) = index.find(path).filter(|e| {
        e.stage == 0 && crate::repository::object::mode::is_file(e.mode) && !e.id.is_zero()
    }) else {
        return Ok(false);
    };
    let stats = Stats::gather(&repo.blob(entry.id)?);
    Ok(stats.crlf > 0 && !stats.is_binary())
}

/// Returns the word of `ls-files --eol` for the line ends of some contents.
pub(crate) fn eol_of(data: &[u8]) -> &'static str {
    let stats = Stats::gather(data);
    match (stats.lone_lf > 0, stats.crlf > 0) {
        _ if stats.is_binary() => "-text",
        (true, true) => "mixed",
        (true, false) => "lf",
        (false, true) => "crlf",
        (false, false) => "none",
    }
}

#[derive(Default)]
struct Stats {
    nul: usize,
    lone_cr: usize,
    lone_lf: usize,
    crlf: usize,
    printable: usize,
    odd: usize,
}

impl Stats {
    fn gather(data: &[u8]) -> Stats {
        let mut stats = Stats::default();
        let mut i = 0;
        while i < data.len() {
            match data[i] {
                b'\r' if data.get(i + 1) == Some(&b'\n') => {
                    stats.crlf += 1;
                    i += 1;
                }
                b'\r' => stats.lone_cr += 1,
                b'\n' => stats.lone_lf += 1,
                127 => stats.odd += 1,
                8 | b'\t' | 0x1b | 0x0c => stats.printable += 1,
                0 => {
                    stats.nul += 1;
                    stats.odd += 1;
                }
                c if c < 32 => stats.odd += 1,
                _ => stats.printable += 1,
            }
            i += 1;
        }
        if data.last() == Some(&0x1a) {
            stats.odd -= 1;
        }
        stats
    }

    fn is_binary(&self) -> bool {
        self.lone_cr > 0 || self.nul > 0 || (self.printable >> 7) < self.odd
    }
}

/// Fills in `$Id$`; what another system filled in, with blanks inside, is left alone.
fn ident_to_work_tree(data: &[u8], id: Id) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 64);
    let mut rest = data;
    while let Some(at) = bytes::find(rest, b"$Id") {
        let after = &rest[at + 3..];
        let end = match after.first() {
            Some(b'$') => Some(1),
            Some(b':') => after
                .iter()
                .position(|c| matches!(c, b'$' | b'\n'))
                .filter(|end| {
                    let inner = &after[1..*end];
                    let blank = inner.iter().skip(1).position(|c| *c == b' ').map(|i| i + 1);
                    after[*end] == b'$' && blank.is_none_or(|b| b + 1 >= inner.len())
                })
                .map(|end| end + 1),
            _ => None,
        };
        out.extend_from_slice(&rest[..at]);
        match end {
            Some(end) => {
                out.extend_from_slice(format!("$Id: {id} $").as_bytes());
                rest = &after[end..];
            }
            None => {
                out.extend_from_slice(b"$Id");
                rest = after;
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

fn ident_to_git(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = bytes::find(rest, b"$Id:") {
        let after = &rest[at + 4..];
        match after.iter().position(|c| matches!(c, b'$' | b'\n')) {
            Some(end) if after[end] == b'$' => {
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(b"$Id$");
                rest = &after[end + 1..];
            }
            _ => {
                out.extend_from_slice(&rest[..at + 4]);
                rest = after;
            }
        }
    }
    out.extend_from_slice(rest);
    out
}
