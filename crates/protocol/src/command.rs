//! A command as a caller gives it: a list of words, or a line.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::MAX_ARGS;

/// What to run: words that are passed as they are, or a line that has to be split or given to a shell.
/// On the wire it is a list of strings, or a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The program and its arguments.
    Argv(Vec<String>),
    /// One line of text.
    Line(String),
}

impl Command {
    /// Returns the words; a line is split as a shell splits plain words: blanks separate, single
    /// quotes, double quotes and backslash quote. Nothing is expanded.
    pub fn words(&self) -> Result<Vec<String>, SplitError> {
        match self {
            Command::Argv(words) => Ok(words.clone()),
            Command::Line(line) => split(line),
        }
    }

    /// Tells whether it contains a NUL, which no program can be passed.
    pub fn has_nul(&self) -> bool {
        match self {
            Command::Argv(words) => words.iter().any(|word| word.contains('\0')),
            Command::Line(line) => line.contains('\0'),
        }
    }

    /// Tells whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        match self {
            Command::Argv(words) => words.first().is_none_or(String::is_empty),
            Command::Line(line) => line.trim().is_empty(),
        }
    }
}

impl fmt::Display for Command {
    /// Writes the command as a line that a shell would read back to the same words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Line(line) => f.write_str(line),
            Command::Argv(words) => {
                for (i, word) in words.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" ")?;
                    }
                    f.write_str(&quoted(word))?;
                }
                Ok(())
            }
        }
    }
}

fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:=@%+,-".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A line whose quotes do not close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("split the command: {0}")]
pub struct SplitError(&'static str);

fn split(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err(SplitError("a single quote is not closed")),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        // POSIX 2.2.3: inside double quotes a backslash quotes only these.
                        Some('\\') => match chars.next() {
                            Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                            Some('\n') => {}
                            Some(c) => word.extend(['\\', c]),
                            None => return Err(SplitError("a double quote is not closed")),
                        },
                        Some(c) => word.push(c),
                        None => return Err(SplitError("a double quote is not closed")),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(SplitError("a backslash quotes nothing")),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Command {}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Command {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
        let text = || ObjectBuilder::new().schema_type(Type::String);
        OneOfBuilder::new()
            .item(ArrayBuilder::new().items(text()).max_items(Some(MAX_ARGS)))
            .item(text())
            .description(Some("Words that are passed as they are, or a line."))
            .into()
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Command::Argv(words) => words.serialize(serializer),
            Command::Line(line) => line.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Command;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: de::Error>(self, line: &str) -> Result<Command, E> {
                Ok(Command::Line(line.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Command, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element::<String>()? {
                    if words.len() == MAX_ARGS {
                        return Err(de::Error::invalid_length(
                            MAX_ARGS + 1,
                            &"at most 4096 words",
                        ));
                    }
                    words.push(word);
                }
                Ok(Command::Argv(words))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "ts")]
impl ts_rs::TS for Command {
    type WithoutGenerics = Self;
    type OptionInnerType = Self;

    fn name(_: &ts_rs::Config) -> String {
        "string | Array<string>".to_owned()
    }

    fn inline(config: &ts_rs::Config) -> String {
        Self::name(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        Command::Line(line.to_owned()).words().unwrap()
    }

    #[test]
    fn a_line_is_split_like_plain_words() {
        assert_eq!(
            words("git  log\t--format='%h %s' \"a b\""),
            ["git", "log", "--format=%h %s", "a b"]
        );
        assert_eq!(words(r#"a\ b "c\"d\e" '' f"#), ["a b", r#"c"d\e"#, "", "f"]);
        assert_eq!(words(r"a'b'c"), ["abc"]);
        assert_eq!(words("  "), Vec::<String>::new());
        for open in ["'a", "\"a", "a\\"] {
            assert!(Command::Line(open.to_owned()).words().is_err(), "{open}");
        }
    }

    #[test]
    fn a_shown_command_reads_back_to_the_same_words() {
        let argv = ["git", "log", "it's", "", "a b", "$HOME", "ü\n"]
            .map(str::to_owned)
            .to_vec();
        let shown = Command::Argv(argv.clone()).to_string();
        assert_eq!(words(&shown), argv);
    }

    #[test]
    fn a_command_is_a_string_or_a_list() {
        let argv: Command = serde_json::from_str(r#"["git","status"]"#).unwrap();
        assert_eq!(argv, Command::Argv(vec!["git".into(), "status".into()]));
        let line: Command = serde_json::from_str(r#""git status""#).unwrap();
        assert_eq!(line, Command::Line("git status".into()));
        for other in ["1", "null", "{}", "[1]"] {
            assert!(serde_json::from_str::<Command>(other).is_err(), "{other}");
        }
    }
}
