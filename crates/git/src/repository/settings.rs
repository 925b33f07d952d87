//! The settings git judges in every command, whether or not the command uses them.
//!
//! A value git would reject ends any of its commands with its error, so here such a repository is handed over. The same
//! goes for a few settings that change what many commands print or write and that this crate does not follow.

use crate::outcome::{Res, Stop};
use crate::repository::config::{Config, parse_bool, parse_number};
use crate::text::bytes::lossy;

/// What git takes as a value.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Number,
    /// A number that is not negative.
    Natural,
    /// Anything, but not a name alone.
    Text,
    /// A boolean or one of these words.
    BoolOr(&'static [&'static [u8]]),
    /// One of these words.
    Word(&'static [&'static [u8]]),
    /// Unset or false; anything else is not followed here.
    Off,
}

const JUDGED: &[(&str, Kind)] = &[
    ("author.email", Kind::Text),
    ("author.name", Kind::Text),
    (
        "branch.autosetupmerge",
        Kind::BoolOr(&[b"always", b"inherit", b"simple"]),
    ),
    (
        "branch.autosetuprebase",
        Kind::Word(&[b"never", b"local", b"remote", b"always"]),
    ),
    ("color.diff", Kind::BoolOr(&[b"auto", b"always", b"never"])),
    ("color.ui", Kind::BoolOr(&[b"auto", b"always", b"never"])),
    ("committer.email", Kind::Text),
    ("committer.name", Kind::Text),
    ("core.attributesfile", Kind::Text),
    ("core.autocrlf", Kind::BoolOr(&[b"input"])),
    ("core.bare", Kind::Bool),
    ("core.bigfilethreshold", Kind::Number),
    ("core.checkroundtripencoding", Kind::Text),
    ("core.commentchar", Kind::Text),
    ("core.commentstring", Kind::Text),
    ("core.compression", Kind::Number),
    ("core.editor", Kind::Text),
    ("core.eol", Kind::Text),
    ("core.excludesfile", Kind::Text),
    ("core.filemode", Kind::Bool),
    ("core.hookspath", Kind::Text),
    ("core.ignorecase", Kind::Bool),
    ("core.ignorestat", Kind::Off),
    ("core.logallrefupdates", Kind::BoolOr(&[b"always"])),
    ("core.loosecompression", Kind::Number),
    ("core.notesref", Kind::Text),
    ("core.prefersymlinkrefs", Kind::Bool),
    ("core.quotepath", Kind::Bool),
    ("core.safecrlf", Kind::BoolOr(&[b"warn"])),
    ("core.sparsecheckout", Kind::Bool),
    ("core.sparsecheckoutcone", Kind::Bool),
    ("core.symlinks", Kind::Bool),
    ("core.trustctime", Kind::Bool),
    ("core.warnambiguousrefs", Kind::Bool),
    ("core.whitespace", Kind::Text),
    ("diff.autorefreshindex", Kind::Bool),
    (
        "diff.colormoved",
        Kind::BoolOr(&[
            b"default",
            b"plain",
            b"blocks",
            b"zebra",
            b"dimmed-zebra",
            b"dimmed_zebra",
        ]),
    ),
    ("diff.context", Kind::Natural),
    ("diff.interhunkcontext", Kind::Natural),
    ("diff.mnemonicprefix", Kind::Bool),
    ("diff.noprefix", Kind::Bool),
    ("diff.orderfile", Kind::Text),
    ("diff.renamelimit", Kind::Number),
    ("diff.renames", Kind::BoolOr(&[b"copies", b"copy"])),
    ("diff.statgraphwidth", Kind::Number),
    ("diff.suppressblankempty", Kind::Bool),
    ("diff.wordregex", Kind::Text),
    ("format.pretty", Kind::Text),
    ("i18n.commitencoding", Kind::Word(&[b"utf-8", b"utf8"])),
    (
        "i18n.logoutputencoding",
        Kind::Word(&[b"utf-8", b"utf8", b"iso-8859-1", b"latin1"]),
    ),
    ("log.date", Kind::Text),
    ("log.excludedecoration", Kind::Text),
    ("log.initialdecorationset", Kind::Text),
    ("mailmap.blob", Kind::Text),
    ("mailmap.file", Kind::Text),
    (
        "push.default",
        Kind::Word(&[
            b"nothing",
            b"matching",
            b"simple",
            b"upstream",
            b"tracking",
            b"current",
        ]),
    ),
    ("user.email", Kind::Text),
    ("user.name", Kind::Text),
    ("user.useconfigonly", Kind::Bool),
];

/// Hands over when git would reject a setting.
pub(crate) fn refuse(config: &Config) -> Res<()> {
    for entry in &config.entries {
        let Ok(at) = JUDGED.binary_search_by(|(key, _)| key.as_bytes().cmp(&entry.key)) else {
            if entry.key.starts_with(b"advice.")
                && entry
                    .value
                    .as_deref()
                    .is_some_and(|v| parse_bool(v).is_none())
            {
                return Err(refused(&entry.key));
            }
            continue;
        };
        let value = entry.value.as_deref();
        let is_bool = value.is_none_or(|v| parse_bool(v).is_some());
        let is_one_of = |words: &[&[u8]]| {
            value.is_some_and(|v| words.iter().any(|word| v.eq_ignore_ascii_case(word)))
        };
        let accepted = match JUDGED[at].1 {
            Kind::Bool => is_bool,
            Kind::Number => value.is_some_and(|v| parse_number(v).is_some()),
            Kind::Natural => value.and_then(parse_number).is_some_and(|n| n >= 0),
            Kind::Text => value.is_some(),
            Kind::BoolOr(words) => is_bool || is_one_of(words),
            Kind::Word(words) => is_one_of(words),
            Kind::Off => value.is_some_and(|v| parse_bool(v) == Some(false)),
        };
        if !accepted {
            return Err(refused(&entry.key));
        }
    }
    Ok(())
}

fn refused(key: &[u8]) -> Stop {
    Stop::NotNative(format!("the value of the setting `{}`", lossy(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_its_search() {
        assert!(JUDGED.is_sorted_by(|a, b| a.0 < b.0));
    }
}
