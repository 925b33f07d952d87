//! Characters that cannot be seen, or that change how others are seen.

/// Tells whether a person reading a text would miss the character, or be misled by it: controls other
/// than newline and tab, blanks other than the space, what has no width, what changes the direction of
/// writing, and what is assigned to nobody in common.
pub fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c if c.is_control() => true,
        '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}' => true,
        '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        // Blanks of every width, joiners, marks of direction, line separators, embeddings, isolates.
        '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' => true,
        '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{ffa0}' => true,
        // Variation selectors, byte order mark, interlinear annotation, replacement of what was no text.
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' => true,
        '\u{e000}'..='\u{f8ff}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        // Tags, more variation selectors, private use.
        '\u{e0000}'..='\u{10ffff}' => true,
        _ => false,
    }
}

/// Returns a text as it can be shown to whoever decides on it: on one line, every character in sight.
pub fn in_sight(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            c if is_hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_spelled_out() {
        assert_eq!(
            in_sight("ls\u{a0}-la\u{202e}\r\n\u{200b}ü\t€"),
            r"ls\u{a0}-la\u{202e}\u{d}\n\u{200b}ü\t€"
        );
        assert!(!"Grüße, 世界 🚀 é".chars().any(is_hidden));
    }
}
