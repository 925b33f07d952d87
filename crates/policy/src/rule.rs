//! The owner's rules: a TOML file of `[[rule]]` tables, each about one program.
//!
//! A file is taken whole or not at all: one unknown key, one example that does not hold, and the whole
//! is refused with the name and the line, so that nobody believes in a rule that is not there.

use std::path::Path;

use deskhand_protocol::{
    Command, Timestamp,
    policy::{NewRule, ProgramPath, RuleView, Verdict},
    workspace::Workspace,
};
use serde::Deserialize;

use crate::command_line::{
    self, Found,
    programs::{base_name, starts_unseen},
};

/// Longest rules file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 256 * 1024;

/// Most rules in a file.
pub const MAX_RULES: usize = 1_000;

/// The rules in force, in the order of the file.
#[derive(Debug, Default, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub id: String,
    program: String,
    pinned: Option<ProgramPath>,
    args: Option<Vec<String>>,
    options: Vec<String>,
    workspace: Option<String>,
    cwd: Option<String>,
    /// Hosts an allow rule lets the program reach.
    pub network: Vec<String>,
    /// Whether an allow rule lets the program write `.git`.
    pub git_writes: bool,
    /// What it says.
    pub verdict: Verdict,
    /// Why, in the owner's words.
    pub reason: String,
    expires_at: Option<Timestamp>,
}

/// What is wrong with a rules file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RulesError {
    /// Where, from 1.
    pub line: usize,
    /// What.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<toml::Spanned<Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: String,
    program: String,
    args: Option<Vec<String>>,
    #[serde(default)]
    options: Vec<String>,
    workspace: Option<String>,
    cwd: Option<String>,
    #[serde(default)]
    network: Network,
    #[serde(default)]
    git_writes: bool,
    verdict: Verdict,
    #[serde(default)]
    reason: String,
    expires_at: Option<Expiry>,
    #[serde(default, rename = "match")]
    matches: Vec<String>,
    #[serde(default)]
    not_match: Vec<String>,
}

/// `false`, or a list of hosts.
#[derive(Default)]
struct Network(Vec<String>);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Network;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("false, or a list of hosts")
            }
            fn visit_bool<E: serde::de::Error>(self, all: bool) -> Result<Network, E> {
                match all {
                    false => Ok(Network::default()),
                    true => Err(E::custom("network is false, or a list of hosts")),
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Network, A::Error> {
                let mut hosts = Vec::new();
                while let Some(host) = seq.next_element()? {
                    hosts.push(host);
                }
                Ok(Network(hosts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A time, as a string or as TOML's own.
struct Expiry(Timestamp);

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(at) => at.to_string(),
            _ => String::new(),
        };
        let at = text.parse().map_err(|_| {
            serde::de::Error::custom("expires_at is a time like 2027-01-01T00:00:00Z")
        })?;
        Ok(Self(at))
    }
}

impl Rules {
    /// Reads a file. `resolve` tells where a program lies on this computer.
    pub fn parse(
        text: &str,
        resolve: impl Fn(&str) -> Option<ProgramPath>,
    ) -> Result<Self, RulesError> {
        let fail = |line, what: &str| RulesError {
            line,
            what: what.to_owned(),
        };
        if text.len() > MAX_FILE_BYTES {
            return Err(fail(1, "the file is longer than 256 KiB"));
        }
        let file: File = toml::from_str(text).map_err(|error| RulesError {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })?;
        if file.rule.len() > MAX_RULES {
            return Err(fail(1, "the file holds more than 1000 rules"));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for spanned in file.rule {
            let line = line_of(text, spanned.span().start);
            let rule = Rule::of(spanned.into_inner(), &resolve)
                .map_err(|what| RulesError { line, what })?;
            if rules.iter().any(|other| other.id == rule.id) {
                let what = format!("there are two rules called `{}`", rule.id);
                return Err(RulesError { line, what });
            }
            rules.push(rule);
        }
        Ok(Self { rules })
    }

    /// Returns the rules that are in force in a directory of a workspace now.
    pub fn in_force<'a>(
        &'a self,
        now: Timestamp,
        workspace: &'a Workspace,
        dir: &'a Path,
    ) -> impl Iterator<Item = &'a Rule> {
        self.rules
            .iter()
            .filter(move |rule| rule.is_in_force(now, workspace, dir))
    }

    /// Returns every rule as a list shows it.
    pub fn views(&self) -> Vec<RuleView> {
        self.rules.iter().map(Rule::view).collect()
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.bytes().filter(|b| *b == b'\n').count() + 1
}

impl Rule {
    fn of(table: Table, resolve: impl Fn(&str) -> Option<ProgramPath>) -> Result<Self, String> {
        let Table {
            id,
            program,
            args,
            options,
            workspace,
            cwd,
            network: Network(network),
            git_writes,
            verdict,
            reason,
            expires_at,
            matches,
            not_match,
        } = table;
        let of_rule = |what: &str| format!("rule `{id}`: {what}");
        if id.is_empty() || id.len() > 128 || id.chars().any(char::is_control) {
            return Err("a rule's id is 1 to 128 characters".to_owned());
        }
        if program.is_empty() || (program.contains('/') && !program.starts_with('/')) {
            return Err(of_rule("the program is a name, or an absolute path"));
        }
        if verdict != Verdict::Allow && (git_writes || !network.is_empty()) {
            return Err(of_rule(
                "only an allow rule grants the network or writes to .git",
            ));
        }
        if verdict == Verdict::Allow
            && (git_writes || !network.is_empty())
            && starts_unseen(&program)
        {
            return Err(of_rule(
                "this program starts others that cannot be seen: no rule gives it more than the default",
            ));
        }
        let rule = Self {
            pinned: resolve(&program),
            id,
            program,
            args,
            options,
            workspace,
            cwd,
            network,
            git_writes,
            verdict,
            reason,
            expires_at: expires_at.map(|Expiry(at)| at),
        };
        for (examples, holds) in [(matches, true), (not_match, false)] {
            for example in examples {
                if rule.matches_text(&example) != holds {
                    let word = if holds { "match" } else { "not_match" };
                    return Err(format!(
                        "rule `{}`: the example `{example}` of `{word}` does not hold",
                        rule.id
                    ));
                }
            }
        }
        Ok(rule)
    }

    fn is_in_force(&self, now: Timestamp, workspace: &Workspace, dir: &Path) -> bool {
        self.expires_at.is_none_or(|at| now < at)
            && self
                .workspace
                .as_ref()
                .is_none_or(|name| *name == workspace.name || *name == workspace.path)
            && self
                .cwd
                .as_ref()
                .is_none_or(|cwd| dir.starts_with(Path::new(&workspace.path).join(cwd)))
    }

    /// Tells whether the rule is about a command that was found. For a rule that forbids or asks, what
    /// is not known counts as what the rule is about; for one that allows, as what it is not.
    pub fn is_about(&self, found: &Found, at: Option<&ProgramPath>) -> bool {
        match self.verdict {
            Verdict::Allow => self.pins(at) && self.closes(&found.args),
            Verdict::Ask | Verdict::Deny => {
                self.could_mean(&found.program, at) && self.could_take(&found.args)
            }
        }
    }

    fn matches_text(&self, example: &str) -> bool {
        let reading = command_line::read(&Command::Line(example.to_owned()));
        let same_name = |found: &Found| base_name(&found.program) == base_name(&self.program);
        reading.found.iter().any(|found| match self.verdict {
            Verdict::Allow => same_name(found) && self.closes(&found.args),
            Verdict::Ask | Verdict::Deny => same_name(found) && self.could_take(&found.args),
        })
    }

    fn pins(&self, at: Option<&ProgramPath>) -> bool {
        // Both: one program of many names is another one under another name.
        self.pinned.is_some() && self.pinned.as_ref() == at
    }

    fn could_mean(&self, program: &str, at: Option<&ProgramPath>) -> bool {
        if base_name(program) == base_name(&self.program) {
            return true;
        }
        let (Some(pinned), Some(at)) = (&self.pinned, at) else {
            return false;
        };
        // A link of another name to the same program; one program of many names is not meant by all.
        let own_name = pinned.canonical.file_name() == pinned.found.file_name();
        pinned.found == at.found || (own_name && pinned.canonical == at.canonical)
    }

    /// Tells whether the arguments are all that an allow rule lists.
    fn closes(&self, args: &[Option<String>]) -> bool {
        let mut words = Vec::new();
        let mut only_words = false;
        for arg in args {
            let Some(arg) = arg else { return false };
            if !only_words && arg == "--" {
                only_words = true;
            } else if !only_words && is_option(arg) {
                if !self.options.iter().any(|option| allows_option(option, arg)) {
                    return false;
                }
            } else {
                words.push(Some(arg.as_str()));
            }
        }
        self.fits(&words)
    }

    /// Tells whether the arguments could be those a rule forbids or asks about.
    fn could_take(&self, args: &[Option<String>]) -> bool {
        let is_word = |arg: &&Option<String>| arg.as_ref().is_none_or(|arg| !is_option(arg));
        let words: Vec<Option<&str>> = args.iter().filter(is_word).map(Option::as_deref).collect();
        let all: Vec<Option<&str>> = args.iter().map(Option::as_deref).collect();
        let has_option = self.options.is_empty()
            || args.iter().any(|arg| match arg {
                None => true,
                Some(arg) => self
                    .options
                    .iter()
                    .any(|option| could_be_option(option, arg)),
            });
        has_option && (self.fits(&words) || self.fits(&all))
    }

    /// Tells whether words fit the pattern; one that is not known fits anything.
    fn fits(&self, words: &[Option<&str>]) -> bool {
        let Some(pattern) = &self.args else {
            return true;
        };
        let fits = |token: &str, word: Option<&str>| {
            word.is_none_or(|word| token == "*" || token.split('|').any(|either| either == word))
        };
        if let Some((last, first)) = pattern.split_last()
            && last == "*"
        {
            return words.len() >= first.len()
                && first
                    .iter()
                    .zip(words)
                    .all(|(token, word)| fits(token, *word));
        }
        // What is not known may be several words, or none.
        let unknown = words.iter().any(Option::is_none);
        (words.len() == pattern.len() || unknown)
            && pattern
                .iter()
                .zip(words)
                .all(|(token, word)| fits(token, *word))
    }

    fn view(&self) -> RuleView {
        RuleView {
            id: self.id.clone(),
            program: self.program.clone(),
            pinned: self
                .pinned
                .as_ref()
                .map(|at| at.found.display().to_string()),
            args: self.args.clone(),
            options: self.options.clone(),
            workspace: self.workspace.clone(),
            cwd: self.cwd.clone(),
            network: self.network.clone(),
            git_writes: self.git_writes,
            verdict: self.verdict,
            reason: self.reason.clone(),
            expires_at: self.expires_at,
        }
    }
}

/// Tells whether a word is an option, by its look.
pub(crate) fn is_option(arg: &str) -> bool {
    arg.len() > 1 && arg.starts_with('-')
}

/// An allow rule lists an option as it is given, or as `--name=*` with any value.
fn allows_option(option: &str, arg: &str) -> bool {
    match option.strip_suffix('*').filter(|head| head.ends_with('=')) {
        Some(head) => arg.starts_with(head),
        None => option == arg,
    }
}

/// A rule that forbids `-f` means `-xf` too, and one that forbids `--force` means `--forc` and
/// `--force=now`.
fn could_be_option(option: &str, arg: &str) -> bool {
    if allows_option(option, arg) {
        return true;
    }
    match (option.strip_prefix("--"), arg.strip_prefix("--")) {
        (Some(long), Some(given)) => {
            let given = given.split('=').next().unwrap_or(given);
            !given.is_empty() && long.split('=').next().unwrap_or(long).starts_with(given)
        }
        (None, None) => match (option.strip_prefix('-'), arg.strip_prefix('-')) {
            (Some(letter), Some(letters)) => letter.len() == 1 && letters.contains(letter),
            _ => false,
        },
        _ => false,
    }
}

/// Writes a rule as it stands in the file.
pub fn to_toml(rule: &NewRule, id: &str) -> String {
    let list = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        format!("[{}]", words.join(", "))
    };
    let mut text = format!(
        "[[rule]]\nid = {}\nprogram = {}\n",
        quoted(id),
        quoted(&rule.program)
    );
    if let Some(args) = &rule.args {
        text.push_str(&format!("args = {}\n", list(args)));
    }
    if rule.verdict == Verdict::Allow || !rule.options.is_empty() {
        text.push_str(&format!("options = {}\n", list(&rule.options)));
    }
    for (key, value) in [("workspace", &rule.workspace), ("cwd", &rule.cwd)] {
        if let Some(value) = value {
            text.push_str(&format!("{key} = {}\n", quoted(value)));
        }
    }
    if !rule.network.is_empty() {
        text.push_str(&format!("network = {}\n", list(&rule.network)));
    }
    if rule.git_writes {
        text.push_str("git_writes = true\n");
    }
    text.push_str(&format!(
        "verdict = {}\nreason = {}\n",
        quoted(rule.verdict.as_str()),
        quoted(&rule.reason)
    ));
    if let Some(at) = rule.expires_at {
        text.push_str(&format!("expires_at = {}\n", quoted(&at.to_string())));
    }
    text
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(program: &str) -> Option<ProgramPath> {
        let name = base_name(program);
        (name != "missing").then(|| ProgramPath {
            found: format!("/usr/bin/{name}").into(),
            canonical: format!("/usr/bin/{name}").into(),
        })
    }

    fn error(text: &str) -> String {
        Rules::parse(text, resolve).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_is_named_with_its_line() {
        let rule = "[[rule]]\nid = \"a\"\nprogram = \"curl\"\nverdict = \"deny\"\n";
        let unknown = error(&format!("{rule}colour = 1\n"));
        assert!(
            unknown.starts_with("line 5: unknown field `colour`"),
            "{unknown}"
        );
        assert_eq!(
            error(&format!("{rule}\n{rule}")),
            "line 6: there are two rules called `a`"
        );
        assert_eq!(
            error(&format!("{rule}match = [\"wget x\"]")),
            "line 1: rule `a`: the example `wget x` of `match` does not hold"
        );
        assert_eq!(
            error(&format!("{rule}not_match = [\"echo $(curl x)\"]")),
            "line 1: rule `a`: the example `echo $(curl x)` of `not_match` does not hold"
        );
        assert!(error("[[rule]]\nid = 1").starts_with("line 2: "));
        assert!(error("rule = 1").starts_with("line 1: "));
        let granted = "[[rule]]\nid = \"a\"\nprogram = \"python3\"\nverdict = \"allow\"\nnetwork = [\"x.org\"]";
        assert!(error(granted).contains("cannot be seen"));
    }

    #[test]
    fn a_rule_that_is_written_reads_back() {
        let new = NewRule {
            id: None,
            program: "cargo".into(),
            args: Some(vec!["test".into(), "it's \"x\"\\".into()]),
            options: vec!["--all".into()],
            workspace: Some("site".into()),
            cwd: Some("sub".into()),
            network: Vec::new(),
            git_writes: false,
            verdict: Verdict::Allow,
            reason: "by the owner\nsaid".into(),
            expires_at: Some("2027-01-01T00:00:00Z".parse().unwrap()),
        };
        let rules = Rules::parse(&to_toml(&new, "x"), resolve).unwrap();
        let view = &rules.views()[0];
        assert_eq!(
            (
                &view.args,
                &view.options,
                &view.cwd,
                &view.reason,
                view.expires_at
            ),
            (
                &new.args,
                &new.options,
                &new.cwd,
                &new.reason,
                new.expires_at
            )
        );
    }
}
