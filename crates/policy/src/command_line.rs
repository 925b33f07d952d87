//! What a command would start, as far as its text tells.
//!
//! A list of words is what it says. A line is read twice: by the strict [`lexer`], which accepts plain
//! words and four operators and nothing else, and when that refuses by the [`grammar`], which follows
//! the whole language of the shell but expands nothing. What the lexer accepts is written anew, every
//! word quoted, so that the text that was judged is the text that runs; what only the grammar can read
//! is never granted anything on the strength of its text.
//!
//! Both are linear in the length of the line, bounded in depth, and cannot fail but by saying so.

pub mod grammar;
pub mod lexer;
pub mod programs;

use deskhand_protocol::{Command, characters::is_hidden};

/// Longest command that is read, in bytes; beyond, it counts as unreadable.
pub const MAX_BYTES: usize = 16 * 1024;

/// Most commands in one line; beyond, it counts as unreadable.
pub const MAX_COMMANDS: usize = 32;

/// The shell that runs a line.
pub const SHELL: &str = "/bin/sh";

/// What a command would start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What runs: the words, or the shell with a line of ours, or the shell with the line as it came.
    pub canonical: Vec<String>,
    /// How much its text tells.
    pub shape: Shape,
    /// Every command in it that could be told, outermost first, inner ones of wrappers behind them.
    pub found: Vec<Found>,
}

/// How much the text of a command tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Plain words: it starts what it names and nothing else that the shell would start.
    Simple,
    /// More of the shell's language, with every program named in plain letters.
    Complex,
    /// Something in it names a program only when it runs; why.
    Undecided(&'static str),
    /// It cannot be read, or not by a person; why.
    Unreadable(&'static str),
}

/// One command within a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The program, as it is named.
    pub program: String,
    /// Its arguments; none where an argument is known only when it runs.
    pub args: Vec<Option<String>>,
    /// How it was come by.
    pub role: Role,
}

/// How a command within a line was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It stands there itself.
    Named,
    /// It stands there and starts another, which is found too: `env`, `timeout`.
    Wrapper,
    /// It is part of the shell and starts nothing.
    Builtin,
    /// Another program may start it: a word of `xargs`, `find -exec`, `sudo`.
    Candidate,
}

/// Reads a command.
pub fn read(command: &Command) -> Reading {
    match command {
        Command::Argv(words) => read_words(words),
        Command::Line(line) => read_line(line),
    }
}

fn read_words(words: &[String]) -> Reading {
    let mut found = Vec::new();
    let args = words.iter().skip(1).cloned().map(Some).collect();
    let program = words.first().cloned().unwrap_or_default();
    let mut shape = programs::look_into(program, args, 0, &mut found);
    if words.iter().any(|word| word.chars().any(is_hidden)) {
        shape = Shape::Unreadable("it holds control or invisible characters");
    }
    Reading {
        canonical: words.to_vec(),
        shape,
        found,
    }
}

fn read_line(line: &str) -> Reading {
    let as_it_came = || vec![SHELL.to_owned(), "-c".to_owned(), line.to_owned()];
    let unreadable = |why| Reading {
        canonical: as_it_came(),
        shape: Shape::Unreadable(why),
        found: Vec::new(),
    };
    if line.len() > MAX_BYTES {
        return unreadable("it is longer than 16 KiB");
    }
    if line.chars().any(is_hidden) {
        return unreadable("it holds control or invisible characters");
    }
    if let Ok(script) = lexer::lex(line) {
        return read_script(&script);
    }
    match grammar::read(line) {
        Ok(outline) => Reading {
            canonical: as_it_came(),
            shape: outline.shape(),
            found: outline.found,
        },
        Err(why) => unreadable(why),
    }
}

fn read_script(script: &lexer::Script) -> Reading {
    let mut found = Vec::new();
    let mut shape = Shape::Simple;
    for words in &script.commands {
        let args = words.iter().skip(1).cloned().map(Some).collect();
        shape = shape.or(programs::look_into(words[0].clone(), args, 0, &mut found));
    }
    let one = (script.commands.len() == 1).then(|| &script.commands[0]);
    if one.is_none() {
        for command in &mut found {
            let named = command.role == Role::Named;
            if named && programs::is_harmless_builtin(&command.program) {
                command.role = Role::Builtin;
            }
        }
    }
    // A builtin that has no program of its own name needs the shell.
    let canonical = match one {
        Some(words) if !programs::needs_shell(&words[0]) => words.clone(),
        _ => vec![SHELL.to_owned(), "-c".to_owned(), script.quoted()],
    };
    Reading {
        canonical,
        shape,
        found,
    }
}

impl Shape {
    /// Returns the one of two that tells less.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let rank = |shape: &Self| match shape {
            Shape::Simple => 0,
            Shape::Complex => 1,
            Shape::Undecided(_) => 2,
            Shape::Unreadable(_) => 3,
        };
        match rank(&other) > rank(&self) {
            true => other,
            false => self,
        }
    }
}

impl Reading {
    /// Returns the programs it names, each once, in the order they were found.
    pub fn programs(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for found in &self.found {
            if found.role != Role::Candidate && !names.contains(&found.program) {
                names.push(found.program.clone());
            }
        }
        names
    }
}
