//! Colours as git's settings name them, turned into terminal sequences.

use crate::options::Given;
use crate::outcome::{Out, Res, Stop};
use crate::repository::config::{Config, parse_bool};
use crate::text::bytes::{Bytes, lossy};

const NAMES: [&str; 8] = [
    "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
];
const ATTRIBUTES: [(&str, u8); 7] = [
    ("bold", 1),
    ("dim", 2),
    ("italic", 3),
    ("ul", 4),
    ("blink", 5),
    ("reverse", 7),
    ("strike", 9),
];

/// The colours of diffs and of the commits above them; a repository with its own is handed over.
pub(crate) mod diff {
    /// Headers of files.
    pub(crate) const META: &[u8] = b"\x1b[1m";
    /// Places of hunks.
    pub(crate) const PLACE: &[u8] = b"\x1b[36m";
    pub(crate) const OLD: &[u8] = b"\x1b[31m";
    pub(crate) const NEW: &[u8] = b"\x1b[32m";
    pub(crate) const COMMIT: &[u8] = b"\x1b[33m";
    /// Blanks where none should be.
    pub(crate) const BLANKS: &[u8] = b"\x1b[41m";
}

/// Prints a line in a colour, which ends before the line does; `sign` stands before it in the same colour.
pub(crate) fn put_line(color: &[u8], sign: Option<u8>, line: &[u8], out: &mut Out) {
    let bare = line.strip_suffix(b"\n").unwrap_or(line);
    let body = bare.strip_suffix(b"\r").unwrap_or(bare);
    if !body.is_empty() || sign.is_some() {
        out.put(color);
        if let Some(sign) = sign {
            out.put([sign]);
        }
        out.put(body);
        out.put(RESET);
    }
    out.put(&bare[body.len()..]);
    out.put(&line[bare.len()..]);
}

/// Says whether colours are wanted where there is no terminal: by an option, else by the first setting that is there.
pub(crate) fn is_forced(config: &Config, given: Option<&Given>, keys: &[&str]) -> Res<bool> {
    let is_always = |value: &[u8]| value.eq_ignore_ascii_case(b"always");
    if let Some(given) = given {
        let value = given.value.as_deref();
        return match value {
            _ if given.negated => Ok(false),
            None => Ok(true),
            Some(value) if is_always(value) => Ok(true),
            Some(b"never" | b"auto") => Ok(false),
            Some(value) if parse_bool(value).is_some() => Ok(false),
            Some(_) => Err(Stop::not_native("the value of `--color`")),
        };
    }
    let setting = keys.iter().find_map(|key| config.get(key));
    Ok(setting.is_some_and(is_always))
}

/// Hands over where the configuration has colours of its own for one of some groups.
pub(crate) fn refuse_own(config: &Config, groups: &[&str]) -> Res<()> {
    let own = config.entries.iter().find(|entry| {
        groups
            .iter()
            .any(|group| entry.key.starts_with(group.as_bytes()))
    });
    match own {
        Some(entry) => Err(Stop::NotNative(format!(
            "the setting `{}`",
            lossy(&entry.key)
        ))),
        None => Ok(()),
    }
}

/// What ends every colour.
pub(crate) const RESET: &[u8] = b"\x1b[m";

/// Reads a colour such as `bold red` or `#ff0000 ul`; `None` when it is not one.
pub(crate) fn parse(text: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let mut codes: Vec<String> = Vec::new();
    let (mut foreground, mut background): (Option<String>, Option<String>) = (None, None);
    let mut reset = false;
    let mut n_colours = 0;
    for word in text.split_ascii_whitespace() {
        let lower = word.to_ascii_lowercase();
        if lower == "reset" {
            reset = true;
            continue;
        }
        if let Some(code) = colour(&lower, n_colours == 1) {
            match n_colours {
                0 => foreground = code,
                1 => background = code,
                _ => return None,
            }
            n_colours += 1;
            continue;
        }
        let (name, negated) = match lower.strip_prefix("no") {
            Some(rest) => (rest.strip_prefix('-').unwrap_or(rest), true),
            None => (lower.as_str(), false),
        };
        let (_, code) = ATTRIBUTES.iter().find(|(n, _)| *n == name)?;
        let code = match (*code, negated) {
            (1 | 2, true) => 22,
            (n, true) => n + 20,
            (n, false) => n,
        };
        codes.push(code.to_string());
    }
    if text.is_empty() {
        return Some(Bytes::new());
    }
    codes.sort_by_key(|c| c.parse::<u8>().unwrap_or(0));
    codes.dedup();
    codes.extend(foreground);
    codes.extend(background);
    if codes.is_empty() && !reset {
        return Some(Bytes::new());
    }
    let body = codes.join(";");
    Some(match (reset, body.is_empty()) {
        (true, true) => RESET.to_vec(),
        (true, false) => format!("\x1b[;{body}m").into_bytes(),
        (false, _) => format!("\x1b[{body}m").into_bytes(),
    })
}

/// Reads one colour; the inner `None` is `normal`.
fn colour(word: &str, background: bool) -> Option<Option<String>> {
    let shift = if background { 10 } else { 0 };
    if word == "normal" || word == "-1" {
        return Some(None);
    }
    if word == "default" {
        return Some(Some((39 + shift).to_string()));
    }
    let (name, base) = match word.strip_prefix("bright") {
        Some(name) => (name, 90),
        None => (word, 30),
    };
    if let Some(i) = NAMES.iter().position(|n| *n == name) {
        return Some(Some((base + i + shift).to_string()));
    }
    if let Some(hex) = word.strip_prefix('#') {
        let byte = |i: usize, n: usize| u8::from_str_radix(hex.get(i..i + n)?, 16).ok();
        let rgb = match hex.len() {
            6 => [byte(0, 2)?, byte(2, 2)?, byte(4, 2)?],
            3 => [byte(0, 1)? * 17, byte(1, 1)? * 17, byte(2, 1)? * 17],
            _ => return None,
        };
        return Some(Some(format!(
            "{};2;{};{};{}",
            38 + shift,
            rgb[0],
            rgb[1],
            rgb[2]
        )));
    }
    match word.parse::<i64>().ok()? {
        n @ 0..8 => Some(Some((30 + n as usize + shift).to_string())),
        n @ 8..16 => Some(Some((82 + n as usize + shift).to_string())),
        n @ 16..256 => Some(Some(format!("{};5;{n}", 38 + shift))),
        _ => None,
    }
}
