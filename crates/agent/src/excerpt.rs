//! Output as an answer shows it: the first 16 KiB and the last 48 KiB of each stream, and a line
//! between them that says what is left out.

use deskhand_protocol::{
    limits::{ANSWER_HEAD_BYTES, ANSWER_TAIL_BYTES},
    outcome::{Excerpt, Truncated},
};

/// What is at hand of one stream: its first bytes, its last bytes, and how many there were in all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
    pub(crate) total: u64,
}

impl Ends {
    /// Cuts the ends from a stream of which `omitted` bytes are missing between its first `head_limit`
    /// bytes and the rest.
    pub(crate) fn of(bytes: &[u8], omitted: u64) -> Self {
        let total = bytes.len() as u64 + omitted;
        if total <= (ANSWER_HEAD_BYTES + ANSWER_TAIL_BYTES) as u64 {
            return Self {
                head: bytes.to_vec(),
                tail: Vec::new(),
                total,
            };
        }
        let head = bytes.len().min(ANSWER_HEAD_BYTES);
        let tail = bytes.len().saturating_sub(ANSWER_TAIL_BYTES).max(head);
        Self {
            head: bytes[..head].to_vec(),
            tail: bytes[tail..].to_vec(),
            total,
        }
    }
}

/// Makes the excerpt of both streams.
pub(crate) fn excerpt(stdout: Ends, stderr: Ends) -> Excerpt {
    let (stdout, stdout_bytes) = text(stdout);
    let (stderr, stderr_bytes) = text(stderr);
    let truncated = (stdout_bytes + stderr_bytes > 0).then_some(Truncated {
        stdout_bytes,
        stderr_bytes,
    });
    Excerpt {
        stdout,
        stderr,
        truncated,
    }
}

/// Returns the text of a stream and how many of its bytes are not in it.
fn text(ends: Ends) -> (String, u64) {
    let Ends {
        mut head,
        tail,
        total,
    } = ends;
    if total == (head.len() + tail.len()) as u64 {
        head.extend_from_slice(&tail);
        return (into_text(head), 0);
    }
    // A character that the cut went through is left out whole.
    let whole = head.len() - incomplete_end(&head);
    let begin = tail
        .iter()
        .take(3)
        .take_while(|b| *b & 0xC0 == 0x80)
        .count();
    head.truncate(whole);
    let left_out = total - (head.len() + tail.len() - begin) as u64;
    let text = format!(
        "{}\n[… {left_out} bytes left out …]\n{}",
        String::from_utf8_lossy(&head),
        String::from_utf8_lossy(&tail[begin..])
    );
    (text, left_out)
}

/// Returns how many bytes at the end begin a character and do not finish it.
fn incomplete_end(bytes: &[u8]) -> usize {
    match std::str::from_utf8(&bytes[bytes.len().saturating_sub(3)..]) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_none() => bytes.len().min(3) - error.valid_up_to(),
        // The window began within a character: look behind its first continuation bytes.
        Err(_) => (1..=bytes.len().min(3))
            .find(|n| bytes[bytes.len() - n] & 0xC0 == 0xC0)
            .filter(|n| {
                std::str::from_utf8(&bytes[bytes.len() - n..])
                    .is_err_and(|error| error.error_len().is_none())
            })
            .unwrap_or(0),
    }
}

/// Turns bytes into text without copying them when they are UTF-8.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = ANSWER_HEAD_BYTES + ANSWER_TAIL_BYTES;

    #[test]
    fn what_fits_is_shown_whole() {
        let bytes = vec![b'x'; KEPT];
        let shown = excerpt(Ends::of(&bytes, 0), Ends::of(b"\xff", 0));
        assert_eq!(shown.stdout.len(), KEPT);
        assert_eq!(shown.stderr, "\u{fffd}");
        assert_eq!(shown.truncated, None);
    }

    #[test]
    fn the_middle_of_what_does_not_fit_is_counted() {
        let mut bytes = vec![b'h'; ANSWER_HEAD_BYTES];
        bytes.extend(vec![b'm'; 1000]);
        bytes.extend(vec![b't'; ANSWER_TAIL_BYTES]);
        let shown = excerpt(Ends::of(&bytes, 0), Ends::default());
        assert_eq!(
            shown.stdout,
            format!(
                "{}\n[… 1000 bytes left out …]\n{}",
                "h".repeat(ANSWER_HEAD_BYTES),
                "t".repeat(ANSWER_TAIL_BYTES)
            )
        );
        let truncated = shown.truncated.unwrap();
        assert_eq!((truncated.stdout_bytes, truncated.stderr_bytes), (1000, 0));
    }

    #[test]
    fn bytes_lost_before_count_as_left_out() {
        let shown = excerpt(Ends::of(&vec![b'x'; KEPT], 5), Ends::default());
        assert_eq!(shown.truncated.unwrap().stdout_bytes, 5);
    }

    #[test]
    fn a_cut_never_goes_through_a_character() {
        for shift in 0..4 {
            let mut bytes = vec![b'x'; shift];
            bytes.extend("😀".repeat(KEPT).bytes());
            let shown = excerpt(Ends::of(&bytes, 0), Ends::default());
            assert!(!shown.stdout.contains('\u{fffd}'), "shift {shift}");
            let left_out = shown.truncated.unwrap().stdout_bytes as usize;
            let line = format!("\n[… {left_out} bytes left out …]\n").len();
            assert_eq!(shown.stdout.len() - line + left_out, bytes.len());
        }
    }
}
