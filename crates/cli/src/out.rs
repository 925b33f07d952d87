//! The only way to standard output and standard error.
//!
//! Standard output is data: a failure to write it is an error, and one that means "nobody reads any
//! more" ends the command without a word. Standard error is talk: it is worth no error. Colour is for
//! terminals only.

use std::io::{self, IsTerminal, Write};

use deskhand_protocol::event::Stream;
use serde::Serialize;

use crate::exit;

/// How this command speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    json: bool,
    colour: bool,
    progress: bool,
}

/// How a word is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Quiet,
    Plain,
}

/// One cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            colour: io::stdout().is_terminal(),
            progress: io::stderr().is_terminal(),
        }
    }

    /// Switches colour off, as `NO_COLOR` asks for.
    pub(crate) fn without_colour(mut self) -> Self {
        self.colour = false;
        self
    }

    /// Tells whether data is to be JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Writes a line of data.
    pub(crate) fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_ref().as_bytes())?;
        stdout.write_all(b"\n")?;
        stdout.flush()
    }

    /// Writes data as JSON: pretty for a person at a terminal, one line for a program.
    pub(crate) fn json(self, data: &impl Serialize) -> io::Result<()> {
        let text = if io::stdout().is_terminal() {
            serde_json::to_string_pretty(data)
        } else {
            serde_json::to_string(data)
        };
        self.line(text?)
    }

    /// Writes exactly these bytes.
    pub(crate) fn bytes(self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            Stream::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Stream::Stderr => io::stderr().lock().write_all(bytes),
        }
    }

    /// Writes rows under a head, in columns.
    pub(crate) fn table(self, head: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
        let head: Vec<Cell> = head
            .iter()
            .map(|title| Cell::new(*title, Tone::Quiet))
            .collect();
        let mut widths = vec![0; head.len()];
        for row in std::iter::once(&head).chain(rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        for row in std::iter::once(&head).chain(rows) {
            let mut line = String::new();
            for (i, (width, cell)) in widths.iter().zip(row).enumerate() {
                if i > 0 {
                    line.push_str("  ");
                }
                line.push_str(&self.toned(cell));
                let padding = width - cell.text.chars().count();
                if i + 1 < row.len() {
                    line.extend(std::iter::repeat_n(' ', padding));
                }
            }
            self.line(line)?;
        }
        Ok(())
    }

    /// Returns a text in colour, if there is any.
    pub(crate) fn toned(self, cell: &Cell) -> String {
        let code = match cell.tone {
            _ if !self.colour => return cell.text.clone(),
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Plain => return cell.text.clone(),
        };
        format!("\x1b[{code}m{}\x1b[0m", cell.text)
    }

    /// Says something to a person.
    pub(crate) fn talk(self, text: impl AsRef<str>) {
        // That nobody listens changes nothing.
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Shows how far something is, on a terminal, in a line that is written over. Empty wipes it.
    pub(crate) fn progress(self, text: &str) {
        if self.progress && !self.json {
            let text: String = text.chars().filter(|c| !c.is_control()).take(78).collect();
            let _ = write!(io::stderr().lock(), "\r\x1b[K{text}");
        }
    }

    /// Tells why a command did not succeed.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let (code, hint) = (exit::code(error), exit::hint(error));
        let sentence = sentence(error);
        if self.json {
            let problem = serde_json::json!({ "error": sentence, "code": code, "hint": hint });
            self.talk(problem.to_string());
            return;
        }
        self.talk(format!("deskhand: {sentence}"));
        if let Some(hint) = hint {
            self.talk(format!("  {hint}"));
        }
    }
}

impl Cell {
    /// A text that is meant somehow. Control characters are shown as U+FFFD: what a caller sent must
    /// not move the cursor of a terminal.
    pub(crate) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Self {
            text: text.as_ref().chars().map(safe).collect(),
            tone,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Counts things: `1 device`, `2 devices`.
pub(crate) fn count(n: impl Into<u64>, one: &str) -> String {
    match n.into() {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

/// Tells whether a command ended because nobody reads any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Joins an error and its causes. Our errors are fragments that read after "failed to", those of a
/// relay or an agent are sentences.
fn sentence(error: &anyhow::Error) -> String {
    let is_fragment = error
        .to_string()
        .starts_with(|c: char| c.is_ascii_lowercase());
    let is_ours = exit::code(error).is_none() && !error.is::<exit::UsageError>();
    let prefix = if is_fragment && is_ours {
        "failed to "
    } else {
        ""
    };
    format!("{prefix}{error:#}")
}
