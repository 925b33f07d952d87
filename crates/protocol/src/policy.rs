//! What decides whether an action may run: levels, verdicts, what a caller's key is held to, and what
//! policy is told about an action before it decides, gathered by the agent.

use std::{collections::HashMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Command, Timestamp, outcome::Engine, workspace::Workspace};

/// How much a workspace lets happen without asking.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum Level {
    /// Reads only: nothing in the workspace can be changed.
    Observe,
    /// Reads and writes in the workspace; what goes beyond asks.
    #[default]
    Work,
    /// Everything but native git reads asks, unless a rule allows it.
    Ask,
}

impl Level {
    /// Returns the word, as on the wire and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Observe => "observe",
            Level::Work => "work",
            Level::Ask => "ask",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Level::Observe, Level::Work, Level::Ask]
            .into_iter()
            .find(|level| level.as_str() == word)
    }
}

/// What is decided about an action; the later, the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub enum Verdict {
    /// It may run.
    Allow,
    /// The owner has to answer first.
    Ask,
    /// It may not run.
    Deny,
}

impl Verdict {
    /// Returns the word, as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Ask => "ask",
            Verdict::Deny => "deny",
        }
    }
}

/// What a caller's key is held to. The relay says it with each task, the agent enforces it; it only
/// narrows what the owner's rules say.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct CallerLimits {
    /// Workspaces it may work in, by name or path; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub workspaces: Option<Vec<String>>,
    /// Kinds of action it may ask for (`git`, `shell`, `echo`); all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub actions: Option<Vec<String>>,
    /// Whether it may only read, as if every workspace were at `observe`.
    #[serde(default)]
    pub read_only: bool,
    /// Whether the key may answer questions, its own among them.
    #[serde(default)]
    pub can_approve: bool,
}

/// What the owner's rules and levels say about an action, as `rules test` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Explanation {
    /// What is decided.
    pub verdict: Verdict,
    /// The rule, the level or the limit that decided.
    pub by: String,
    /// Why, as a sentence.
    pub reason: String,
    /// The programs it names, as far as they can be told.
    pub programs: Vec<String>,
    /// What would run, word by word: the canonical form of what was asked.
    pub argv: Vec<String>,
}

/// One rule, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct RuleView {
    /// Its name.
    pub id: String,
    /// The program it is about, as it is written.
    pub program: String,
    /// Where that program lies on this computer; absent when it is not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub pinned: Option<String>,
    /// The arguments it is about; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub args: Option<Vec<String>>,
    /// The options an allow rule is closed to.
    #[serde(default)]
    pub options: Vec<String>,
    /// The workspace it is about; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub workspace: Option<String>,
    /// The directory in the workspace it is about; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub cwd: Option<String>,
    /// Hosts an allow rule lets the program reach.
    #[serde(default)]
    pub network: Vec<String>,
    /// Whether an allow rule lets the program write `.git`.
    #[serde(default)]
    pub git_writes: bool,
    /// What it says.
    pub verdict: Verdict,
    /// Why, in the owner's words.
    pub reason: String,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional, type = "string"))]
    pub expires_at: Option<Timestamp>,
}

/// A rule the owner adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct NewRule {
    /// Its name; made from the program when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub id: Option<String>,
    /// A name that is found on `PATH`, or an absolute path.
    pub program: String,
    /// Ordered words that are no options; `a|b` for alternatives, `*` for any rest. Any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub args: Option<Vec<String>>,
    /// For an allow rule: every option the program may be given.
    #[serde(default)]
    pub options: Vec<String>,
    /// Name of a workspace; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub workspace: Option<String>,
    /// A directory in the workspace; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub cwd: Option<String>,
    /// For an allow rule: hosts the program may reach.
    #[serde(default)]
    pub network: Vec<String>,
    /// For an allow rule: whether the program may write `.git`.
    #[serde(default)]
    pub git_writes: bool,
    /// What it says.
    pub verdict: Verdict,
    /// Why, in the owner's words.
    pub reason: String,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional, type = "string"))]
    pub expires_at: Option<Timestamp>,
}

/// Everything a decision rests on besides the action itself and the rules.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When it is decided.
    pub now: Timestamp,
    /// Where the action would run.
    pub working_dir: WorkingDir,
    /// What a git action would do; none for other actions.
    pub git: Option<GitFacts>,
    /// Where the programs lie that the action names, by name; what is not there was not found.
    pub programs: HashMap<String, ProgramPath>,
    /// What the caller's key is held to.
    pub limits: CallerLimits,
    /// Why this computer cannot confine a program as required; none when it can.
    pub unconfinable: Option<String>,
}

impl Facts {
    /// Starts with where the action would run, and nothing else that is known.
    pub fn new(now: Timestamp, working_dir: WorkingDir) -> Self {
        Self {
            now,
            working_dir,
            git: None,
            programs: HashMap::new(),
            limits: CallerLimits::default(),
            unconfinable: None,
        }
    }
}

/// Where a program lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramPath {
    /// As it was found on `PATH`, absolute.
    pub found: PathBuf,
    /// After following symbolic links.
    pub canonical: PathBuf,
}

/// What is known of a git action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GitFacts {
    /// What it would do.
    pub nature: GitNature,
    /// Who would do it. An action is judged for the native engine first; when that hands it over it
    /// is judged again, for the real git, which runs in the sandbox as a shell action does.
    pub engine: Engine,
}

/// The working directory, resolved through symlinks before it is judged.
#[derive(Debug, Clone)]
pub enum WorkingDir {
    /// The action needs none.
    NotNeeded,
    /// It lies beneath a workspace.
    Within {
        /// The directory, canonical.
        dir: PathBuf,
        /// The workspace.
        workspace: Workspace,
    },
    /// It does not exist, or is no directory.
    Missing {
        /// As it was asked for.
        asked: String,
    },
    /// It lies beneath no workspace.
    Outside {
        /// As it was asked for.
        asked: String,
    },
    /// None was asked for, and there is no workspace.
    NoWorkspace,
}

/// What a git command would do, decided from its words alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitNature {
    /// It reads.
    Read,
    /// It changes the repository or the work tree.
    LocalWrite,
    /// It reaches a remote.
    Remote,
}

/// What `rules test` asks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct TestedCommand {
    /// The words, or the line.
    pub command: Command,
    /// Where it would run; the default workspace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub working_dir: Option<String>,
}
