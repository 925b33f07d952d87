//! The strict lexer: accepts only what means the same to every shell and to a person.
//!
//! Words are made of `[A-Za-z0-9_./:=@%+,-]`, single quotes, and double quotes without `$`, a back
//! quote, a backslash or `!`. Between commands stand `&&`, `||`, `;`, `|` and newline. Everything else
//! of the shell's language is refused, not interpreted: globs, braces, tildes, comments, redirections,
//! assignments, reserved words, here-documents, the background.

use super::{MAX_BYTES, MAX_COMMANDS, programs};
use deskhand_protocol::characters::is_hidden;

/// A line of plain commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The commands; none is empty.
    pub commands: Vec<Vec<String>>,
    /// What stands between them: one less.
    pub operators: Vec<Operator>,
}

/// What stands between two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;` or a newline
    Then,
    /// `|`
    Pipe,
}

/// Why the lexer refuses a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

impl Script {
    /// Writes the script anew, every word quoted where a shell could see more in it.
    pub fn quoted(&self) -> String {
        let mut text = String::new();
        for (i, words) in self.commands.iter().enumerate() {
            if i > 0 {
                text.push_str(match self.operators[i - 1] {
                    Operator::And => " && ",
                    Operator::Or => " || ",
                    Operator::Then => "; ",
                    Operator::Pipe => " | ",
                });
            }
            for (j, word) in words.iter().enumerate() {
                if j > 0 {
                    text.push(' ');
                }
                // A quoted name is no reserved word, no alias and no assignment.
                text.push('\'');
                text.push_str(&word.replace('\'', r"'\''"));
                text.push('\'');
            }
        }
        text
    }
}

/// Reads a line.
pub fn lex(line: &str) -> Result<Script, Refused> {
    if line.len() > MAX_BYTES {
        return Err(Refused("it is longer than 16 KiB"));
    }
    let mut script = Script {
        commands: Vec::new(),
        operators: Vec::new(),
    };
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    // What stands before the command that is being read.
    let mut before: Option<Operator> = None;
    let mut chars = line.chars().peekable();
    loop {
        let next = chars.next();
        let operator = match next {
            Some(' ' | '\t') => {
                words.extend(word.take());
                continue;
            }
            Some('\'') => {
                let word = word.get_or_insert_default();
                word.quoted = true;
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c)?,
                        None => return Err(Refused("a single quote is not closed")),
                    }
                }
                continue;
            }
            Some('"') => {
                let word = word.get_or_insert_default();
                word.quoted = true;
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('$' | '`' | '\\' | '!') => {
                            return Err(Refused("double quotes hold more than text"));
                        }
                        Some(c) => word.push(c)?,
                        None => return Err(Refused("a double quote is not closed")),
                    }
                }
                continue;
            }
            Some(c) if is_plain(c) => {
                let word = word.get_or_insert_default();
                if c == '=' {
                    // `=cmd` is a path to some shells.
                    if word.text.is_empty() && !word.quoted {
                        return Err(Refused("a word begins with ="));
                    }
                    word.has_bare_equals = true;
                }
                word.push(c)?;
                continue;
            }
            Some('&') if chars.next_if_eq(&'&').is_some() => Some(Operator::And),
            Some('|') if chars.next_if_eq(&'|').is_some() => Some(Operator::Or),
            Some('|') => Some(Operator::Pipe),
            Some(';' | '\n') => Some(Operator::Then),
            Some(_) => return Err(Refused("it holds more than plain words and operators")),
            None => None,
        };
        words.extend(word.take());
        if words.is_empty() {
            match (next, before) {
                // A line break may follow an operator, and blank lines anything.
                (Some('\n'), _) => continue,
                (None, None | Some(Operator::Then)) => break,
                _ => return Err(Refused("an operator has no command")),
            }
        }
        let command = check(std::mem::take(&mut words))?;
        if let (Some(operator), false) = (before, script.commands.is_empty()) {
            script.operators.push(operator);
        }
        script.commands.push(command);
        if script.commands.len() > MAX_COMMANDS {
            return Err(Refused("it holds more than 32 commands"));
        }
        before = operator;
        if operator.is_none() {
            break;
        }
    }
    match script.commands.is_empty() {
        true => Err(Refused("there is no command")),
        false => Ok(script),
    }
}

#[derive(Default)]
struct Word {
    text: String,
    quoted: bool,
    has_bare_equals: bool,
}

impl Word {
    fn push(&mut self, c: char) -> Result<(), Refused> {
        if is_hidden(c) {
            return Err(Refused("it holds control or invisible characters"));
        }
        self.text.push(c);
        Ok(())
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c)
}

fn check(words: Vec<Word>) -> Result<Vec<String>, Refused> {
    let Some(first) = words.first() else {
        return Err(Refused("there is no command"));
    };
    if first.text.is_empty() {
        return Err(Refused("a program has no name"));
    }
    if first.has_bare_equals {
        return Err(Refused("it assigns a variable"));
    }
    if !first.quoted && programs::is_reserved(&first.text) {
        return Err(Refused("it uses a reserved word"));
    }
    if programs::is_other_builtin(&first.text) {
        return Err(Refused("it changes the shell that runs it"));
    }
    Ok(words.into_iter().map(|word| word.text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(line: &str) -> Result<String, &'static str> {
        lex(line)
            .map(|script| script.quoted())
            .map_err(|refused| refused.0)
    }

    #[test]
    fn what_is_accepted_is_written_anew() {
        assert_eq!(
            quoted("ls  -la 'a b'\t\"c d\"x && echo it''s;\n\n./run --x=1 |\n wc -l;\n").unwrap(),
            r"'ls' '-la' 'a b' 'c dx' && 'echo' 'its'; './run' '--x=1' | 'wc' '-l'"
        );
        assert_eq!(
            quoted(r#"echo "it's" '' "#).unwrap(),
            r"'echo' 'it'\''s' ''"
        );
    }

    #[test]
    fn operators_stand_between_commands() {
        for bad in [
            "",
            " ",
            ";",
            "&& ls",
            "ls &&",
            "ls |",
            "ls ;; ls",
            "ls || || ls",
            "| ls",
            "ls & ls",
            "ls &",
            "ls |& wc",
            "\n",
            "ls && ; ls",
        ] {
            assert!(lex(bad).is_err(), "{bad:?}");
        }
        for good in [
            "ls;",
            "ls\n",
            "\nls",
            "ls &&\n\nwc",
            "ls ;\n wc",
            "ls;\n\n;",
        ] {
            assert_eq!(lex(good).is_ok(), good != "ls;\n\n;", "{good:?}");
        }
    }
}
