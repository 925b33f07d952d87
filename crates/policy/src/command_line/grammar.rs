//! Follows the language of a shell without expanding anything: finds every program that is named in
//! plain letters, at any depth, and notices where one is not.
//!
//! It reads what `sh` and `bash` have in common and most of what bash adds. Where the two differ it
//! takes the reading that finds more. It serves to find reasons to ask or to deny and to show a line to
//! its owner; nothing is allowed because it was read here.
//!
//! One pass, left to right, with recursion only where the language nests, to [`MAX_DEPTH`].

use super::{Found, MAX_COMMANDS, Shape, programs};

/// How deep a line may nest.
pub const MAX_DEPTH: usize = 24;

/// What a line holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The commands it names.
    pub found: Vec<Found>,
    undecided: Option<&'static str>,
    n_commands: usize,
}

impl Outline {
    /// Tells how much is known.
    pub fn shape(&self) -> Shape {
        match self.undecided {
            Some(why) => Shape::Undecided(why),
            None => Shape::Complex,
        }
    }
}

/// Reads a line. An error says why it cannot be read.
pub fn read(line: &str) -> Result<Outline, &'static str> {
    read_at(line, 0)
}

/// Reads a text that was found at a depth.
pub(super) fn read_at(text: &str, depth: usize) -> Result<Outline, &'static str> {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
        depth,
        outline: Outline::default(),
        heredocs: Vec::new(),
    };
    reader.list(&[])?;
    match reader.peek() {
        None => Ok(reader.outline),
        Some(')') => Err("a parenthesis closes nothing"),
        Some(_) => Err("an operator stands where none may"),
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    outline: Outline,
    /// Here-documents whose text begins at the next line.
    heredocs: Vec<Heredoc>,
}

struct Heredoc {
    end: String,
    strips_tabs: bool,
    expands: bool,
}

/// A word; what it will be is known when nothing in it is expanded.
#[derive(Default)]
struct Word {
    text: String,
    quoted: bool,
    expanded: bool,
    /// Where an unquoted `=` stands.
    equals: Option<usize>,
}

impl Word {
    fn literal(&self) -> Option<String> {
        (!self.expanded).then(|| self.text.clone())
    }

    /// Returns the variable it assigns, when it is an assignment.
    fn assigned(&self) -> Option<&str> {
        let name = self.text.get(..self.equals?)?;
        let name = name.strip_suffix('+').unwrap_or(name);
        let name = name.split('[').next()?;
        is_name(name).then_some(name)
    }

    /// Returns it as a reserved word could stand.
    fn bare(&self) -> Option<&str> {
        (!self.quoted && !self.expanded).then_some(self.text.as_str())
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

type Step = Result<(), &'static str>;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let matches = text
            .chars()
            .enumerate()
            .all(|(i, c)| self.peek_at(i) == Some(c));
        if matches {
            self.at += text.chars().count();
        }
        matches
    }

    fn undecided(&mut self, why: &'static str) {
        self.outline.undecided.get_or_insert(why);
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, &'static str>,
    ) -> Result<T, &'static str> {
        if self.depth >= MAX_DEPTH {
            return Err("it nests too deep");
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Skips blanks, continued lines and comments.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t') => self.at += 1,
                Some('\\') if self.peek_at(1) == Some('\n') => self.at += 2,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Skips blanks and line ends, reading the here-documents that begin there.
    fn lines(&mut self) -> Step {
        loop {
            self.blanks();
            if self.peek() != Some('\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    fn newline(&mut self) -> Step {
        self.at += 1;
        for heredoc in std::mem::take(&mut self.heredocs) {
            self.heredoc(&heredoc)?;
        }
        Ok(())
    }

    fn heredoc(&mut self, heredoc: &Heredoc) -> Step {
        let mut body = String::new();
        loop {
            if self.at >= self.chars.len() {
                // Shells end it with the text, and warn.
                break;
            }
            let begin = self.at;
            while self.peek().is_some_and(|c| c != '\n') {
                self.at += 1;
            }
            let line: String = self.chars[begin..self.at].iter().collect();
            self.at = (self.at + 1).min(self.chars.len());
            let shown = match heredoc.strips_tabs {
                true => line.trim_start_matches('\t'),
                false => &line,
            };
            if shown == heredoc.end {
                break;
            }
            body.push_str(&line);
            body.push('\n');
        }
        if !heredoc.expands {
            return Ok(());
        }
        // The rest of the language is not spoken there, only its expansions.
        let rest = std::mem::replace(&mut self.chars, body.chars().collect());
        let at = std::mem::replace(&mut self.at, 0);
        let read = self.deeper(|this| {
            let mut word = Word::default();
            while this.peek().is_some() {
                this.expansion_or_char(&mut word)?;
            }
            Ok(())
        });
        self.chars = rest;
        self.at = at;
        read
    }

    /// Reads commands until one of `ends` stands in the place of a program, or `)`, `;;`, or the end.
    /// Returns the word that ended it.
    fn list(&mut self, ends: &[&'static str]) -> Result<Option<&'static str>, &'static str> {
        let mut is_empty = true;
        loop {
            self.lines()?;
            match self.peek() {
                None | Some(')') => break,
                Some(';') if self.peek_at(1) == Some(';') || self.peek_at(1) == Some('&') => break,
                _ => {}
            }
            if let Some(end) = self.reserved(ends) {
                return match is_empty {
                    true => Err("a compound command is empty"),
                    false => Ok(Some(end)),
                };
            }
            self.and_or()?;
            is_empty = false;
            self.blanks();
            match self.peek() {
                Some(';') if self.peek_at(1) == Some(';') || self.peek_at(1) == Some('&') => break,
                Some(';') => self.at += 1,
                Some('&') => self.at += 1,
                Some('\n') => self.newline()?,
                None | Some(')') => break,
                // `{ ls; } }`: after a compound command its end may stand at once.
                Some(_) => match self.reserved(ends) {
                    Some(end) => return Ok(Some(end)),
                    None => return Err("a command is followed by what cannot follow it"),
                },
            }
        }
        match ends.is_empty() {
            true => Ok(None),
            false => Err("a compound command is not closed"),
        }
    }

    /// Takes one of these words when it stands here as a reserved word would.
    fn reserved(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let begin = self.at;
        for word in words {
            if self.take(word) {
                if self.peek().is_none_or(ends_word) {
                    return Some(word);
                }
                self.at = begin;
            }
        }
        None
    }

    fn expect(&mut self, word: &'static str) -> Step {
        self.lines()?;
        match self.reserved(&[word]) {
            Some(_) => Ok(()),
            None => Err("a compound command lacks a part"),
        }
    }

    fn and_or(&mut self) -> Step {
        loop {
            self.pipeline()?;
            self.blanks();
            if !(self.take("&&") || self.take("||")) {
                return Ok(());
            }
            self.lines()?;
        }
    }

    fn pipeline(&mut self) -> Step {
        loop {
            self.blanks();
            if self.reserved(&["!"]).is_some() {
                continue;
            }
            break;
        }
        loop {
            self.deeper(Self::command)?;
            self.blanks();
            let another = self.peek() == Some('|') && self.peek_at(1) != Some('|');
            if !another {
                return Ok(());
            }
            self.at += 1;
            // `|&` of bash.
            if self.peek() == Some('&') {
                self.at += 1;
            }
            self.lines()?;
        }
    }

    fn command(&mut self) -> Step {
        self.blanks();
        match self.peek() {
            None => return Err("an operator has no command"),
            Some('(') if self.peek_at(1) == Some('(') => {
                self.undecided("it computes");
                self.at += 1;
                self.parentheses()?;
                return self.redirections();
            }
            Some('(') => {
                self.at += 1;
                self.subshell()?;
                return self.redirections();
            }
            Some(';' | '&' | '|' | ')' | '\n') => return Err("an operator has no command"),
            Some(_) => {}
        }
        const OPENING: &[&str] = &[
            "if", "while", "until", "for", "select", "case", "function", "{", "[[", "coproc",
        ];
        const CLOSING: &[&str] = &[
            "then", "elif", "else", "fi", "do", "done", "esac", "}", "]]",
        ];
        match self.reserved(OPENING) {
            Some("if") => self.if_clause()?,
            Some("while" | "until") => {
                self.list(&["do"])?;
                self.list(&["done"])?;
            }
            Some("for" | "select") => self.for_clause()?,
            Some("case") => self.case_clause()?,
            Some("{") => {
                self.list(&["}"])?;
            }
            Some("function") => {
                self.blanks();
                self.word()?;
                self.blanks();
                if self.take("(") {
                    self.blanks();
                    self.take(")");
                }
                self.lines()?;
                return self.deeper(Self::command);
            }
            Some("[[") => self.test_clause()?,
            Some("coproc") => {
                self.undecided("it starts a coprocess");
                return self.deeper(Self::command);
            }
            _ => {
                if self.reserved(CLOSING).is_some() {
                    return Err("a compound command is closed that is not open");
                }
                return self.simple();
            }
        }
        self.redirections()
    }

    fn if_clause(&mut self) -> Step {
        self.list(&["then"])?;
        loop {
            match self.list(&["elif", "else", "fi"])? {
                Some("elif") => {
                    self.list(&["then"])?;
                }
                Some("else") => {
                    self.list(&["fi"])?;
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    fn for_clause(&mut self) -> Step {
        self.blanks();
        if self.peek() == Some('(') {
            self.undecided("it computes");
            self.at += 1;
            self.parentheses()?;
        } else {
            let variable = self.word()?;
            if !variable.bare().is_some_and(is_name) {
                return Err("a loop has no variable");
            }
            if programs::is_leading(&variable.text) {
                self.undecided("it sets a variable that leads programs to others");
            }
            self.lines()?;
            if self.reserved(&["in"]).is_some() {
                loop {
                    self.blanks();
                    match self.peek() {
                        Some(';' | '\n') => break,
                        Some(c) if !ends_word(c) => {
                            self.word()?;
                        }
                        _ => return Err("a loop is not closed"),
                    }
                }
            }
        }
        self.blanks();
        if self.peek() == Some(';') {
            self.at += 1;
        }
        self.lines()?;
        match self.reserved(&["do", "{"]) {
            Some("do") => self.list(&["done"])?,
            Some(_) => self.list(&["}"])?,
            None => return Err("a loop has no body"),
        };
        Ok(())
    }

    fn case_clause(&mut self) -> Step {
        self.blanks();
        self.word()?;
        self.expect("in")?;
        loop {
            self.lines()?;
            if self.reserved(&["esac"]).is_some() {
                return Ok(());
            }
            self.take("(");
            loop {
                self.blanks();
                self.word()?;
                self.blanks();
                match self.next() {
                    Some('|') => {}
                    Some(')') => break,
                    _ => return Err("a pattern is not closed"),
                }
            }
            if self.list_of_case()? {
                return Ok(());
            }
        }
    }

    /// Reads what follows a pattern and returns whether the whole clause is closed.
    fn list_of_case(&mut self) -> Result<bool, &'static str> {
        loop {
            self.lines()?;
            if self.reserved(&["esac"]).is_some() {
                return Ok(true);
            }
            if self.take(";;&") || self.take(";;") || self.take(";&") {
                return Ok(false);
            }
            if matches!(self.peek(), None | Some(')')) {
                return Err("a compound command is not closed");
            }
            self.and_or()?;
            self.blanks();
            match self.peek() {
                Some(';') if matches!(self.peek_at(1), Some(';' | '&')) => {}
                Some(';' | '&') => self.at += 1,
                Some('\n') => self.newline()?,
                _ => {}
            }
        }
    }

    /// Reads `[[ … ]]`, in which words are compared and nothing is started but by expansions.
    fn test_clause(&mut self) -> Step {
        loop {
            self.lines()?;
            if self.reserved(&["]]"]).is_some() {
                return Ok(());
            }
            match self.peek() {
                None => return Err("a compound command is not closed"),
                Some('(' | ')' | '<' | '>' | '|' | '&' | ';') => self.at += 1,
                Some(_) => {
                    self.word()?;
                }
            }
        }
    }

    fn subshell(&mut self) -> Step {
        self.deeper(|this| {
            this.list(&[])?;
            match this.next() {
                Some(')') => Ok(()),
                _ => Err("a parenthesis is not closed"),
            }
        })
    }

    /// Reads to the parenthesis that closes the one just taken, and what is expanded on the way.
    fn parentheses(&mut self) -> Step {
        self.deeper(|this| {
            let mut n_open = 1;
            let mut word = Word::default();
            while n_open > 0 {
                match this.peek() {
                    None => return Err("a parenthesis is not closed"),
                    Some('(') => {
                        n_open += 1;
                        this.at += 1;
                    }
                    Some(')') => {
                        n_open -= 1;
                        this.at += 1;
                    }
                    Some('\'') => this.single_quotes(&mut word)?,
                    Some('"') => this.double_quotes(&mut word)?,
                    Some(_) => this.expansion_or_char(&mut word)?,
                }
            }
            Ok(())
        })
    }

    fn simple(&mut self) -> Step {
        let mut words: Vec<Word> = Vec::new();
        loop {
            self.blanks();
            if self.redirection()? {
                continue;
            }
            match self.peek() {
                Some('(') if words.len() == 1 && words[0].bare().is_some() => {
                    return self.function();
                }
                Some('(') => return Err("a parenthesis stands where none may"),
                Some(c) if !ends_word(c) || self.is_substitution() => {
                    let word = self.word()?;
                    let assigned = words.is_empty().then(|| word.assigned().map(str::to_owned));
                    match assigned.flatten() {
                        Some(variable) => {
                            if programs::is_leading(&variable) {
                                self.undecided("it sets a variable that leads programs to others");
                            }
                            // `a=(x y)` of bash.
                            if self.peek() == Some('(') && word.text.ends_with('=') {
                                self.at += 1;
                                self.array()?;
                            }
                        }
                        None => words.push(word),
                    }
                }
                _ => break,
            }
        }
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        self.outline.n_commands += 1;
        if self.outline.n_commands > MAX_COMMANDS {
            return Err("it holds more than 32 commands");
        }
        let args: Vec<Option<String>> = rest.iter().map(Word::literal).collect();
        match first.literal() {
            Some(program) if !program.is_empty() => {
                let depth = self.depth;
                match programs::look_into(program, args, depth, &mut self.outline.found) {
                    Shape::Undecided(why) => self.undecided(why),
                    Shape::Unreadable(why) => return Err(why),
                    Shape::Simple | Shape::Complex => {}
                }
            }
            Some(_) => return Err("a program has no name"),
            None => self.undecided("a program is named only when it runs"),
        }
        Ok(())
    }

    fn function(&mut self) -> Step {
        self.at += 1;
        self.blanks();
        if !self.take(")") {
            return Err("a parenthesis stands where none may");
        }
        self.lines()?;
        self.deeper(Self::command)
    }

    fn array(&mut self) -> Step {
        loop {
            self.lines()?;
            match self.peek() {
                Some(')') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(c) if !ends_word(c) => {
                    self.word()?;
                }
                _ => return Err("a parenthesis is not closed"),
            }
        }
    }

    fn redirections(&mut self) -> Step {
        loop {
            self.blanks();
            if !self.redirection()? {
                return Ok(());
            }
        }
    }

    /// Reads one redirection, if one stands here.
    fn redirection(&mut self) -> Result<bool, &'static str> {
        let begin = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let is_substitution = self.at == begin && self.is_substitution();
        let heredoc = match () {
            () if is_substitution => return Ok(false),
            () if self.take("<<<") => None,
            () if self.take("<<-") => Some(true),
            () if self.take("<<") => Some(false),
            () if ["<>", "<&", ">>", ">|", ">&", "<", ">"]
                .iter()
                .any(|operator| self.take(operator)) =>
            {
                None
            }
            () if self.at == begin && (self.take("&>>") || self.take("&>")) => None,
            () => {
                self.at = begin;
                return Ok(false);
            }
        };
        self.blanks();
        if self
            .peek()
            .is_none_or(|c| ends_word(c) && c != '<' && c != '>')
        {
            return Err("a redirection leads nowhere");
        }
        let target = self.word()?;
        if let Some(strips_tabs) = heredoc {
            self.heredocs.push(Heredoc {
                end: target.text,
                strips_tabs,
                expands: !target.quoted,
            });
        }
        Ok(true)
    }

    /// Tells whether `<(` or `>(` of bash stands here.
    fn is_substitution(&self) -> bool {
        matches!(self.peek(), Some('<' | '>')) && self.peek_at(1) == Some('(')
    }

    fn word(&mut self) -> Result<Word, &'static str> {
        let mut word = Word::default();
        let begin = self.at;
        loop {
            match self.peek() {
                Some('\'') => self.single_quotes(&mut word)?,
                Some('"') => self.double_quotes(&mut word)?,
                Some('<' | '>') if self.peek_at(1) == Some('(') => {
                    self.at += 2;
                    word.expanded = true;
                    self.subshell()?;
                }
                Some('*' | '?' | '[' | '{') => {
                    // A glob or braces; `[` alone is a program.
                    let alone = self.at == begin
                        && self.peek() == Some('[')
                        && self.peek_at(1).is_none_or(ends_word);
                    word.expanded |= !alone;
                    word.text.extend(self.next());
                }
                Some('~') if self.at == begin => {
                    word.expanded = true;
                    self.at += 1;
                }
                Some('=') => {
                    if word.equals.is_none() && !word.quoted && !word.expanded {
                        word.equals = Some(word.text.len());
                    }
                    // `=cmd` is a path to some shells.
                    word.expanded |= self.at == begin;
                    self.at += 1;
                    word.text.push('=');
                }
                Some(c) if ends_word(c) => break,
                Some(_) => self.expansion_or_char(&mut word)?,
                None => break,
            }
        }
        match self.at == begin {
            true => Err("a word is missing"),
            false => Ok(word),
        }
    }

    fn single_quotes(&mut self, word: &mut Word) -> Step {
        self.at += 1;
        word.quoted = true;
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => word.text.push(c),
                None => return Err("a single quote is not closed"),
            }
        }
    }

    fn double_quotes(&mut self, word: &mut Word) -> Step {
        self.at += 1;
        word.quoted = true;
        loop {
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                // Only these are escaped within double quotes.
                Some('\\') if !matches!(self.peek_at(1), Some('$' | '`' | '"' | '\\' | '\n')) => {
                    self.at += 1;
                    word.text.push('\\');
                }
                Some(_) => self.expansion_or_char(word)?,
                None => return Err("a double quote is not closed"),
            }
        }
    }

    /// Reads one expansion, escaped character, or plain character.
    fn expansion_or_char(&mut self, word: &mut Word) -> Step {
        match self.next() {
            Some('\\') => match self.next() {
                Some('\n') => {}
                Some(c) => {
                    word.quoted = true;
                    word.text.push(c);
                }
                None => return Err("a backslash quotes nothing"),
            },
            Some('`') => {
                word.expanded = true;
                self.back_quotes()?;
            }
            Some('$') => self.dollar(word)?,
            Some(c) => word.text.push(c),
            None => {}
        }
        Ok(())
    }

    fn back_quotes(&mut self) -> Step {
        let mut inner = String::new();
        loop {
            match self.next() {
                Some('`') => break,
                Some('\\') => match self.next() {
                    Some(c @ ('`' | '\\' | '$')) => inner.push(c),
                    Some(c) => inner.extend(['\\', c]),
                    None => return Err("a back quote is not closed"),
                },
                Some(c) => inner.push(c),
                None => return Err("a back quote is not closed"),
            }
        }
        self.substituted(&inner)
    }

    /// Reads a text that is run in the place of an expansion.
    fn substituted(&mut self, text: &str) -> Step {
        let depth = self.depth;
        if depth >= MAX_DEPTH {
            return Err("it nests too deep");
        }
        let inner = read_at(text, depth + 1)?;
        self.outline.n_commands += inner.n_commands;
        if self.outline.n_commands > MAX_COMMANDS {
            return Err("it holds more than 32 commands");
        }
        self.outline.found.extend(inner.found);
        if let Some(why) = inner.undecided {
            self.undecided(why);
        }
        Ok(())
    }

    fn dollar(&mut self, word: &mut Word) -> Step {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                word.expanded = true;
                if self.peek() == Some('(') && self.is_arithmetic() {
                    self.parentheses()
                } else {
                    self.subshell()
                }
            }
            Some('{') => {
                self.at += 1;
                word.expanded = true;
                self.deeper(Self::braces)
            }
            Some('\'') => {
                // `$'…'` of bash: a quote escaped by a backslash does not close it.
                word.expanded = true;
                self.at += 1;
                loop {
                    match self.next() {
                        Some('\'') => return Ok(()),
                        Some('\\') => drop(self.next()),
                        Some(_) => {}
                        None => return Err("a single quote is not closed"),
                    }
                }
            }
            Some('"') => {
                word.expanded = true;
                Ok(())
            }
            Some(c) if c.is_ascii_alphanumeric() || "_@*#?-$!".contains(c) => {
                word.expanded = true;
                self.at += 1;
                if c.is_ascii_alphabetic() || c == '_' {
                    while self
                        .peek()
                        .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                    {
                        self.at += 1;
                    }
                }
                Ok(())
            }
            _ => {
                word.text.push('$');
                Ok(())
            }
        }
    }

    /// Tells whether `$((` is closed by `))`, as against a subshell within a substitution.
    fn is_arithmetic(&self) -> bool {
        let (mut n_open, mut inner_closed_at) = (1, None);
        let mut at = self.at;
        while let Some(c) = self.chars.get(at) {
            match c {
                '(' => n_open += 1,
                ')' => {
                    n_open -= 1;
                    if n_open == 1 && inner_closed_at.is_none() {
                        inner_closed_at = Some(at);
                    }
                    if n_open == 0 {
                        return inner_closed_at.is_some_and(|inner| inner + 1 == at);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        false
    }

    /// Reads to the brace that closes `${`.
    fn braces(&mut self) -> Step {
        let mut word = Word::default();
        loop {
            match self.peek() {
                Some('}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\'') => self.single_quotes(&mut word)?,
                Some('"') => self.double_quotes(&mut word)?,
                Some(_) => self.expansion_or_char(&mut word)?,
                None => return Err("a brace is not closed"),
            }
        }
    }
}

fn ends_word(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>'
    )
}
