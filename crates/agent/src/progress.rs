//! Finds the lines by which a program says how far it is: `deskhand:progress 40 building` or
//! `::progress 40::building`, on either stream, or what git shows while it counts:
//! `Receiving objects:  42% (420/1000)`. A line ends with a line feed, or with the carriage return by
//! which it is written over.

use std::time::Duration;

use deskhand_protocol::limits::PREVIEW_BYTES;
use tokio::time::Instant;

/// Between two that are stored. With the last one, which is always stored, it makes ten in a second.
const EVERY: Duration = Duration::from_millis(112);

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
        while let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
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

/// What a task said of its progress, so far as it is to be stored: the last one, and not too often.
#[derive(Debug, Default)]
pub(crate) struct Unsaid {
    next: Option<Progress>,
    last: Option<(Instant, Progress)>,
}

impl Unsaid {
    /// Takes what the task said last. The same again says nothing.
    pub(crate) fn take(&mut self, progress: Progress) {
        let is_news = self.last.as_ref().is_none_or(|(_, last)| *last != progress);
        self.next = is_news.then_some(progress);
    }

    /// Returns when something is to be stored, if there is something.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.next.as_ref()?;
        let since_last = self.last.as_ref().map(|(at, _)| *at + EVERY);
        Some(since_last.unwrap_or_else(Instant::now))
    }

    /// Returns what is to be stored now.
    pub(crate) fn due(&self) -> Option<Progress> {
        let is_due = self.due_at().is_some_and(|at| at <= Instant::now());
        self.next.clone().filter(|_| is_due)
    }

    /// Notes that it was stored.
    pub(crate) fn stored(&mut self, progress: Progress) {
        self.next = self.next.take().filter(|next| *next != progress);
        self.last = Some((Instant::now(), progress));
    }

    /// Returns what is left to be stored when the task has ended.
    pub(crate) fn into_rest(self) -> Option<Progress> {
        self.next
    }
}

fn parse(line: &[u8]) -> Option<Progress> {
    // Most lines are not about progress: tell that from their first byte.
    match line.first() {
        Some(b'd' | b':') => said_to_us(line),
        Some(b'A'..=b'Z' | b'r') => counted_by_git(line),
        _ => None,
    }
}

fn said_to_us(line: &[u8]) -> Option<Progress> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (percent, message) = if let Some(rest) = line.strip_prefix("deskhand:progress ") {
        rest.trim_start()
            .split_once(' ')
            .unwrap_or((rest.trim_start(), ""))
    } else {
        let rest = line.strip_prefix("::progress ")?;
        rest.split_once("::").unwrap_or((rest, ""))
    };
    progress(percent, message)
}

/// Reads `Phase:  42% (420/1000)`, as git's `progress.c` writes it.
fn counted_by_git(line: &[u8]) -> Option<Progress> {
    let line = std::str::from_utf8(line).ok()?;
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    let (phase, rest) = line.split_once(": ")?;
    let (percent, rest) = rest.split_once("% (")?;
    let (count, _) = rest.split_once(')')?;
    let (n, total) = count.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_phase = phase.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ');
    if !is_phase || !is_number(n) || !is_number(total) {
        return None;
    }
    progress(percent, phase)
}

fn progress(percent: &str, message: &str) -> Option<Progress> {
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

    #[test]
    fn what_git_counts_is_progress() {
        let mut lines = Lines::default();
        // As `git clone --progress` prints it: written over until it is done.
        assert_eq!(
            lines.push(b"Cloning into 'x'...\nremote: Counting objects:   3% (1/28)\x1b[K\r"),
            said(3, "Counting objects")
        );
        assert_eq!(
            lines.push(b"Receiving objects:  42% (420/1000), 1.20 MiB | 2.00 MiB/s\r"),
            said(42, "Receiving objects")
        );
        assert_eq!(
            lines.push(b"Writing objects: 100% (5/5), 431 bytes, done.\nTotal 5 (delta 2)\n"),
            said(100, "Writing objects")
        );
        for other in [
            "Enumerating objects: 5, done.\n",
            "Score: 40% (good/bad)\n",
            "Done: 400% (4/1)\n",
            "Reading: 40%\n",
            "See http://x: 4% (1/2)\n",
        ] {
            assert_eq!(lines.push(other.as_bytes()), None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_ten_are_stored_in_a_second_and_the_last_one_is() {
        let mut unsaid = Unsaid::default();
        let mut n_stored = 0;
        let said = |ms: u32| Progress {
            percent: 50,
            message: Some(ms.to_string()),
        };
        for ms in 0..1_000_u32 {
            unsaid.take(said(ms));
            if let Some(progress) = unsaid.due() {
                unsaid.stored(progress);
                n_stored += 1;
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(n_stored, 9);
        assert_eq!(unsaid.into_rest(), Some(said(999)));
    }

    #[tokio::test]
    async fn the_same_again_is_not_said_again() {
        let mut unsaid = Unsaid::default();
        let half = Progress {
            percent: 50,
            message: None,
        };
        unsaid.take(half.clone());
        unsaid.stored(unsaid.due().unwrap());
        unsaid.take(half);
        assert_eq!(unsaid.due_at(), None);
    }
}
