//! Finds the lines by which a program says how far it is: `deskhand:progress 40 building` or
//! `::progress 40::building`, on either stream.

use deskhand_protocol::limits::PREVIEW_BYTES;

/// How far a program says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// 0 to 100.
    pub(crate) percent: u8,
    /// What it is doing.
    pub(crate) message: Option<String>,
}

/// Follows one stream line by line; a line that is longer than any progress line is skipped.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Takes the next bytes and returns the last progress said in them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Progress> {
        let mut last = None;
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.extend(&rest[..end]);
            if !self.too_long {
                last = parse(&self.line).or(last);
            }
            self.line.clear();
            self.too_long = false;
            rest = &rest[end + 1..];
        }
        self.extend(rest);
        last
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.too_long || self.line.len() + bytes.len() > PREVIEW_BYTES {
            self.too_long = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

fn parse(line: &[u8]) -> Option<Progress> {
    // Most lines are not about progress: tell that from their first byte.
    if !matches!(line.first(), Some(b'd' | b':')) {
        return None;
    }
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (percent, message) = if let Some(rest) = line.strip_prefix("deskhand:progress ") {
        rest.trim_start()
            .split_once(' ')
            .unwrap_or((rest.trim_start(), ""))
    } else {
        let rest = line.strip_prefix("::progress ")?;
        rest.split_once("::").unwrap_or((rest, ""))
    };
    let percent: u8 = percent.trim().parse().ok().filter(|n| *n <= 100)?;
    let message = message.trim();
    Some(Progress {
        percent,
        message: (!message.is_empty()).then(|| message.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(percent: u8, message: &str) -> Option<Progress> {
        let message = (!message.is_empty()).then(|| message.to_owned());
        Some(Progress { percent, message })
    }

    #[test]
    fn both_spellings_are_read() {
        let mut lines = Lines::default();
        assert_eq!(
            lines.push(b"deskhand:progress 40 building it\n"),
            said(40, "building it")
        );
        assert_eq!(
            lines.push(b"::progress 41::linking\r\n"),
            said(41, "linking")
        );
        assert_eq!(lines.push(b"deskhand:progress 100\n"), said(100, ""));
        assert_eq!(
            lines.push(b"deskhand:progress 101 x\ndeskhand:progress x\n"),
            None
        );
        assert_eq!(lines.push(b"plain\n"), None);
    }

    #[test]
    fn a_line_may_come_in_pieces_and_the_last_one_counts() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"x\ndeskhand:prog"), None);
        assert_eq!(
            lines.push(b"ress 1 a\ndeskhand:progress 2 b\ny"),
            said(2, "b")
        );
        assert_eq!(lines.push(&[b'z'; 10_000]), None);
        assert_eq!(lines.push(b"\ndeskhand:progress 3 c\n"), said(3, "c"));
    }
}
