//! Two changes of one text put together, as far as every way to compare lines agrees on it.
//!
//! git merges with an algorithm of its own for what changed, and others would take different lines for the unchanged
//! ones. Here only the outermost changed lines of each side count, which no algorithm sees otherwise; where the two
//! sides come near each other the merge is left to git.

use crate::text::bytes::Bytes;

/// Unchanged lines between the two sides' changes that make it certain that they do not touch.
const GAP: usize = 3;

/// Puts the changes of two texts together; `None` where that is left to git.
pub(crate) fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Bytes> {
    if [base, ours, theirs].iter().any(|text| is_binary(text)) {
        return None;
    }
    let (base, ours, theirs) = (lines(base), lines(ours), lines(theirs));
    let (a, b) = (Hull::of(&base, &ours), Hull::of(&base, &theirs));
    let (first, second, texts) = if a.begin <= b.begin {
        (a, b, (&ours, &theirs))
    } else {
        (b, a, (&theirs, &ours))
    };
    if first.end + GAP > second.begin {
        return None;
    }
    let mut out = Bytes::new();
    let mut put = |lines: &[&[u8]]| lines.iter().for_each(|line| out.extend_from_slice(line));
    put(&base[..first.begin]);
    put(&texts.0[first.begin..first.other_end]);
    put(&base[first.end..second.begin]);
    put(&texts.1[second.begin..second.other_end]);
    put(&base[second.end..]);
    Some(out)
}

/// git takes a text for binary when a NUL is among its first 8000 bytes.
fn is_binary(text: &[u8]) -> bool {
    text[..text.len().min(8000)].contains(&0)
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|b| *b == b'\n').collect()
}

/// The lines of the base that are not the same at the beginning and at the end of another text.
#[derive(Debug, Clone, Copy)]
struct Hull {
    begin: usize,
    end: usize,
    /// Where it ends in the other text; it begins at the same line in both.
    other_end: usize,
}

impl Hull {
    fn of(base: &[&[u8]], other: &[&[u8]]) -> Hull {
        let most = base.len().min(other.len());
        let begin = (0..most).take_while(|i| base[*i] == other[*i]).count();
        let tail = (0..most - begin)
            .take_while(|i| base[base.len() - 1 - i] == other[other.len() - 1 - i])
            .count();
        Hull {
            begin,
            end: base.len() - tail,
            other_end: other.len() - tail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_far_from_each_other_are_put_together_and_near_ones_are_not() {
        let base = b"1\n2\n3\n4\n5\n6\n7\n8\n";
        let merged = merge(
            base,
            b"1\nx\n3\n4\n5\n6\n7\n8\n",
            b"1\n2\n3\n4\n5\n6\n7\n8\n9\n",
        );
        assert_eq!(merged.unwrap(), b"1\nx\n3\n4\n5\n6\n7\n8\n9\n");
        let merged = merge(
            base,
            b"1\n2\n3\n4\n5\n6\n8\n",
            b"0\n1\n2\n3\n4\n5\n6\n7\n8\n",
        );
        assert_eq!(merged.unwrap(), b"0\n1\n2\n3\n4\n5\n6\n8\n");
        assert_eq!(
            merge(
                base,
                b"1\nx\n3\n4\n5\n6\n7\n8\n",
                b"1\n2\n3\ny\n5\n6\n7\n8\n"
            ),
            None
        );
        assert_eq!(merge(base, b"x\n", b"y\n"), None);
    }
}
