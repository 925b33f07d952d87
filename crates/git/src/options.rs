//! Command line options, by tables: what a verb accepts here, and nothing else.
//!
//! git's rules: `--name=value` and `--name value`, `--no-name`, clusters of short flags, `-n5`, options after
//! arguments, `--` ends options. What is not in the table is not native, so abbreviated names are handed over.

use crate::outcome::{Res, Stop};
use crate::text::bytes::{Bytes, lossy};

/// What follows an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing.
    Nothing,
    /// A value, attached or as the next argument.
    Value,
    /// A value only when attached.
    Maybe,
    /// A value, attached or as the next argument; none only at the end of the command line.
    UnlessLast,
}

/// One option a verb accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// The name by which the verb's code knows it, and its long form.
    pub(crate) name: &'static str,
    /// The one-letter form.
    pub(crate) short: Option<u8>,
    pub(crate) takes: Takes,
    /// Whether `--no-<name>` exists.
    pub(crate) negatable: bool,
}

/// An option without value.
pub(crate) const fn flag(name: &'static str, short: Option<u8>) -> Spec {
    Spec {
        name,
        short,
        takes: Takes::Nothing,
        negatable: false,
    }
}

/// An option with a value.
pub(crate) const fn value(name: &'static str, short: Option<u8>) -> Spec {
    Spec {
        name,
        short,
        takes: Takes::Value,
        negatable: false,
    }
}

/// An option whose value may be missing at the end of the command line.
pub(crate) const fn unless_last(name: &'static str) -> Spec {
    Spec {
        name,
        short: None,
        takes: Takes::UnlessLast,
        negatable: false,
    }
}

/// An option that may have a value attached.
pub(crate) const fn maybe(name: &'static str, short: Option<u8>) -> Spec {
    Spec {
        name,
        short,
        takes: Takes::Maybe,
        negatable: false,
    }
}

impl Spec {
    /// Accepts `--no-<name>` too.
    pub(crate) const fn or_no(mut self) -> Spec {
        self.negatable = true;
        self
    }
}

/// One option as it was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) name: &'static str,
    pub(crate) value: Option<Bytes>,
    /// Given as `--no-<name>`.
    pub(crate) negated: bool,
}

impl Given {
    /// Returns the option as it may have been written; a short form is not remembered.
    pub(crate) fn shown(&self) -> Bytes {
        let no = if self.negated { "no-" } else { "" };
        let name = format!("--{no}{}", self.name).into_bytes();
        match &self.value {
            Some(value) => [&name, b"=".as_slice(), value].concat(),
            None => name,
        }
    }

    /// Returns the value of an option that always has one.
    pub(crate) fn text(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }
}

/// A command line, taken apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parsed {
    pub(crate) options: Vec<Given>,
    /// What is no option, in order.
    pub(crate) args: Vec<Bytes>,
    /// How many of `args` stood before `--`; `None` when there was none.
    pub(crate) before_dashes: Option<usize>,
    /// For each option, how many of `args` stood before it.
    pub(crate) places: Vec<usize>,
    /// The first option git does not know either, where git says so only after it looked at everything else.
    pub(crate) unknown: Option<Bytes>,
}

impl Parsed {
    /// Says whether an option was given (and not taken back by its `--no-` form afterwards).
    pub(crate) fn has(&self, name: &str) -> bool {
        self.last(name).is_some_and(|g| !g.negated)
    }

    /// Returns the last occurrence of an option.
    pub(crate) fn last(&self, name: &str) -> Option<&Given> {
        self.options.iter().rev().find(|g| g.name == name)
    }
}

/// How arguments that look like numbers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// `-5` is not an option here.
    No,
    /// `-5` is the option `max-count` with the value 5.
    MaxCount,
}

/// The options git itself knows for a verb, so that one it would refuse is told from one that is not implemented here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Long names, separated by blanks; each may also be given with `no-` before it.
    pub(crate) long: &'static str,
    /// One-letter forms.
    pub(crate) short: &'static str,
    /// What git prints after its complaint; `None` where it complains in other words, after everything else.
    pub(crate) usage: Option<&'static str>,
}

impl Known {
    fn refusal(&self, complaint: Bytes) -> Stop {
        let usage = self.usage.unwrap_or_default();
        Stop::Fail {
            code: 129,
            text: [b"error: ".as_slice(), &complaint, b"\n", usage.as_bytes()].concat(),
        }
    }

    /// Returns the long names that begin with some text, with and without `no-`.
    fn completions(&self, name: &[u8]) -> Vec<Bytes> {
        let mut found = Vec::new();
        for long in self.long.split_ascii_whitespace() {
            let negative = format!("no-{long}");
            for candidate in [long.to_string(), negative] {
                if candidate.as_bytes().starts_with(name) {
                    found.push(candidate.into_bytes());
                }
            }
        }
        found
    }
}

/// Takes a command line apart, knowing which other options git has.
///
/// Names may be abbreviated as far as git lets them. What git does not know either ends with git's error, or is noted
/// in `unknown`; what git knows and the table lacks is not native.
pub(crate) fn parse_known(
    args: &[Bytes],
    specs: &[Spec],
    numbers: Numbers,
    known: &Known,
) -> Res<Parsed> {
    let mut kept: Vec<Bytes> = Vec::with_capacity(args.len());
    let mut unknown: Option<Bytes> = None;
    let mut i = 0;
    while let Some(arg) = args.get(i) {
        i += 1;
        if arg == b"--end-of-options" {
            return Err(Stop::not_native("option `--end-of-options`"));
        }
        if arg == b"--" {
            kept.extend_from_slice(&args[i - 1..]);
            break;
        }
        if let Some(long) = arg.strip_prefix(b"--") {
            let (name, value) = match long.iter().position(|b| *b == b'=') {
                Some(at) => (&long[..at], &long[at..]),
                None => (long, &b""[..]),
            };
            let exact = specs.iter().find(|s| s.name.as_bytes() == name);
            if let Some(spec) = exact {
                if spec.takes == Takes::Nothing && !value.is_empty() && known.usage.is_some() {
                    let name = lossy(name);
                    return Err(known.plain(format!("option `{name}' takes no value")));
                }
                kept.push(arg.clone());
                if spec.takes == Takes::Value && value.is_empty() {
                    match args.get(i) {
                        Some(next) => kept.push(next.clone()),
                        None if known.usage.is_some() => {
                            let name = lossy(name);
                            return Err(known.plain(format!("option `{name}' requires a value")));
                        }
                        None => {}
                    }
                    i += 1;
                } else if spec.takes == Takes::UnlessLast && value.is_empty() {
                    kept.extend(args.get(i).cloned());
                    i += 1;
                }
                continue;
            }
            let candidates = known.completions(name);
            let is_exact = candidates.iter().any(|c| c == name);
            match candidates.as_slice() {
                [] => {
                    let complaint = match known.usage {
                        Some(_) => [b"unknown option `".as_slice(), long, b"'"].concat(),
                        None => Bytes::new(),
                    };
                    if known.usage.is_some() {
                        return Err(known.refusal(complaint));
                    }
                    unknown.get_or_insert_with(|| arg.clone());
                }
                _ if is_exact || known.usage.is_none() => kept.push(arg.clone()),
                [only] => {
                    let full = [b"--".as_slice(), only, value].concat();
                    kept.push(full);
                    let takes = specs
                        .iter()
                        .find(|s| s.name.as_bytes() == only.as_slice())
                        .map(|s| s.takes);
                    if value.is_empty() && matches!(takes, Some(Takes::Value | Takes::UnlessLast)) {
                        kept.extend(args.get(i).cloned());
                        i += 1;
                    }
                }
                _ => {
                    return Err(Stop::NotNative(format!(
                        "the abbreviated option `{}`",
                        lossy(arg)
                    )));
                }
            }
            continue;
        }
        if arg.len() > 1 && arg[0] == b'-' {
            let is_number = numbers == Numbers::MaxCount && arg[1..].iter().all(u8::is_ascii_digit);
            let mut at = 1;
            while !is_number && at < arg.len() {
                let letter = arg[at];
                at += 1;
                match specs.iter().find(|s| s.short == Some(letter)) {
                    Some(spec) if spec.takes == Takes::Nothing => {}
                    Some(spec) => {
                        if spec.takes == Takes::Value && at == arg.len() {
                            match args.get(i) {
                                Some(next) => {
                                    kept.push(arg.clone());
                                    kept.push(next.clone());
                                    i += 1;
                                }
                                None if known.usage.is_some() => {
                                    return Err(known.plain(format!(
                                        "switch `{}' requires a value",
                                        char::from(letter)
                                    )));
                                }
                                None => kept.push(arg.clone()),
                            }
                            at = usize::MAX;
                        }
                        break;
                    }
                    None if known.short.as_bytes().contains(&letter) => break,
                    None => {
                        if known.usage.is_some() {
                            let complaint = format!("unknown switch `{}'", char::from(letter));
                            return Err(known.refusal(complaint.into_bytes()));
                        }
                        unknown.get_or_insert_with(|| arg.clone());
                        at = usize::MAX;
                    }
                }
            }
            if at != usize::MAX {
                kept.push(arg.clone());
            }
            continue;
        }
        kept.push(arg.clone());
    }
    let mut parsed = parse(&kept, specs, numbers)?;
    parsed.unknown = unknown;
    Ok(parsed)
}

impl Known {
    /// A complaint that no usage follows.
    fn plain(&self, complaint: String) -> Stop {
        Stop::error(129, complaint)
    }
}

/// Takes a command line apart.
pub(crate) fn parse(args: &[Bytes], specs: &[Spec], numbers: Numbers) -> Res<Parsed> {
    let mut out = Parsed::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == b"--" {
            out.before_dashes = Some(out.args.len());
            out.args.extend(rest.cloned());
            return Ok(out);
        }
        if let Some(long) = arg.strip_prefix(b"--") {
            out.options.push(long_option(long, specs, &mut rest)?);
        } else if arg.len() > 1 && arg[0] == b'-' {
            if numbers == Numbers::MaxCount && arg[1..].iter().all(u8::is_ascii_digit) {
                out.options.push(Given {
                    name: "max-count",
                    value: Some(arg[1..].to_vec()),
                    negated: false,
                });
            } else {
                cluster(&arg[1..], specs, &mut rest, &mut out.options)?;
            }
        } else {
            out.args.push(arg.clone());
            continue;
        }
        out.places.resize(out.options.len(), out.args.len());
    }
    Ok(out)
}

fn unknown(option: &[u8]) -> Stop {
    Stop::NotNative(format!("option `{}`", lossy(option)))
}

fn long_option<'a>(
    long: &[u8],
    specs: &[Spec],
    rest: &mut impl Iterator<Item = &'a Bytes>,
) -> Res<Given> {
    let (name, attached) = match long.iter().position(|b| *b == b'=') {
        Some(i) => (&long[..i], Some(long[i + 1..].to_vec())),
        None => (long, None),
    };
    let dashed = || [b"--", long].concat();
    if let Some(spec) = specs
        .iter()
        .find(|s| s.name.as_bytes() == name && !s.name.is_empty())
    {
        let value = match (spec.takes, attached) {
            (Takes::Nothing, None) => None,
            (Takes::Nothing, Some(_)) => return Err(unknown(&dashed())),
            (Takes::Value, None) => Some(rest.next().ok_or_else(|| unknown(&dashed()))?.clone()),
            (Takes::UnlessLast, None) => rest.next().cloned(),
            (_, attached) => attached,
        };
        return Ok(Given {
            name: spec.name,
            value,
            negated: false,
        });
    }
    if let Some(positive) = name.strip_prefix(b"no-")
        && attached.is_none()
        && let Some(spec) = specs
            .iter()
            .find(|s| s.negatable && s.name.as_bytes() == positive)
    {
        return Ok(Given {
            name: spec.name,
            value: None,
            negated: true,
        });
    }
    Err(unknown(&dashed()))
}

fn cluster<'a>(
    letters: &[u8],
    specs: &[Spec],
    rest: &mut impl Iterator<Item = &'a Bytes>,
    options: &mut Vec<Given>,
) -> Res<()> {
    let mut i = 0;
    while i < letters.len() {
        let spec = specs
            .iter()
            .find(|s| s.short == Some(letters[i]))
            .ok_or_else(|| unknown(&[b"-", &letters[i..=i]].concat()))?;
        i += 1;
        let attached = &letters[i..];
        let value = match spec.takes {
            Takes::Nothing => {
                options.push(Given {
                    name: spec.name,
                    value: None,
                    negated: false,
                });
                continue;
            }
            Takes::Maybe | Takes::UnlessLast => (!attached.is_empty()).then(|| attached.to_vec()),
            Takes::Value if attached.is_empty() => Some(
                rest.next()
                    .ok_or_else(|| unknown(&[b"-", letters].concat()))?
                    .clone(),
            ),
            Takes::Value => Some(attached.to_vec()),
        };
        options.push(Given {
            name: spec.name,
            value,
            negated: false,
        });
        return Ok(());
    }
    Ok(())
}
