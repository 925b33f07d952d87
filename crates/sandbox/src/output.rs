//! Capped capture of one stream: the first bytes, the last bytes, and how many there were in all.
//!
//! Owns nothing but memory, waits on nothing, and never grows beyond the two bounds it was made with.

use std::collections::VecDeque;
use std::ops::Range;

/// Keeps the head and the tail of a stream and counts the whole of it.
///
/// Bytes are addressed by their offset in the stream. What lies between head and tail is gone; [`Capture::hole`] names it.
#[derive(Debug, Clone)]
pub struct Capture {
    head: Vec<u8>,
    head_limit: usize,
    tail: VecDeque<u8>,
    tail_limit: usize,
    n_bytes: u64,
}

impl Capture {
    /// Makes a capture that keeps at most `head_limit` bytes of the start and `tail_limit` bytes of the end.
    pub fn new(head_limit: usize, tail_limit: usize) -> Self {
        Self {
            head: Vec::new(),
            head_limit,
            tail: VecDeque::new(),
            tail_limit,
            n_bytes: 0,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.n_bytes += bytes.len() as u64;
        let to_head = bytes.len().min(self.head_limit - self.head.len());
        self.head.extend_from_slice(&bytes[..to_head]);

        let rest = &bytes[to_head..];
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Returns how many bytes the stream had so far, kept or not.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Returns the kept bytes from the start of the stream.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the kept bytes from the end of the stream; nothing of the head is in it.
    pub fn tail(&self) -> Vec<u8> {
        self.tail.iter().copied().collect()
    }

    /// Returns the offsets that were not kept, or nothing when the whole stream is here.
    pub fn hole(&self) -> Option<Range<u64>> {
        let start = self.head.len() as u64;
        let end = self.n_bytes - self.tail.len() as u64;
        (start < end).then_some(start..end)
    }

    /// Returns the whole stream when nothing was left out.
    pub fn whole(&self) -> Option<Vec<u8>> {
        self.hole().is_none().then(|| {
            self.head
                .iter()
                .copied()
                .chain(self.tail.iter().copied())
                .collect()
        })
    }

    /// Returns the bytes of `range` as far as the stream goes, or the hole when one of them was not kept.
    pub fn range(&self, range: Range<u64>) -> Result<Vec<u8>, Range<u64>> {
        let end = range.end.min(self.n_bytes);
        let start = range.start.min(end);
        if let Some(hole) = self.hole()
            && start < hole.end
            && end > hole.start
        {
            return Err(hole);
        }
        let tail_at = self.n_bytes - self.tail.len() as u64;
        let cut = |at: u64, from: u64, len: usize| (at.saturating_sub(from) as usize).min(len);
        let mut bytes =
            self.head[cut(start, 0, self.head.len())..cut(end, 0, self.head.len())].to_vec();
        bytes.extend(
            self.tail
                .range(cut(start, tail_at, self.tail.len())..cut(end, tail_at, self.tail.len())),
        );
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(pushes: &[&[u8]]) -> Capture {
        let mut capture = Capture::new(4, 3);
        pushes.iter().for_each(|bytes| capture.push(bytes));
        capture
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let capture = capture(&[b"ab", b"cdef"]);
        assert_eq!(capture.whole(), Some(b"abcdef".to_vec()));
        assert_eq!(capture.hole(), None);
        assert_eq!(capture.range(1..5), Ok(b"bcde".to_vec()));
        assert_eq!(capture.range(5..99), Ok(b"f".to_vec()));
        assert_eq!(capture.range(50..99), Ok(Vec::new()));
    }

    #[test]
    fn a_long_stream_loses_its_middle_and_says_so() {
        let capture = capture(&[b"0123456", b"789", b"ab"]);
        assert_eq!(capture.n_bytes(), 12);
        assert_eq!(capture.head(), b"0123");
        assert_eq!(capture.tail(), b"9ab");
        assert_eq!(capture.hole(), Some(4..9));
        assert_eq!(capture.whole(), None);
        assert_eq!(capture.range(0..4), Ok(b"0123".to_vec()));
        assert_eq!(capture.range(9..12), Ok(b"9ab".to_vec()));
        assert_eq!(capture.range(3..5), Err(4..9));
        assert_eq!(capture.range(8..9), Err(4..9));
    }

    #[test]
    fn any_split_of_the_same_stream_gives_the_same_capture() {
        let stream: Vec<u8> = (0..=255).collect();
        let whole = capture(&[&stream]);
        for step in 1..20 {
            let pushes: Vec<&[u8]> = stream.chunks(step).collect();
            let split = capture(&pushes);
            assert_eq!(
                (split.head(), split.tail(), split.hole()),
                (whole.head(), whole.tail(), whole.hole())
            );
        }
    }

    #[test]
    fn without_limits_nothing_is_kept_but_the_count() {
        let mut capture = Capture::new(0, 0);
        capture.push(b"abc");
        assert_eq!((capture.n_bytes(), capture.hole()), (3, Some(0..3)));
    }
}
