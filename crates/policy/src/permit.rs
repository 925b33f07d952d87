//! The proof that one action may run, and the question that can become one.
//!
//! Both have private fields and no constructor outside this crate, and neither can be copied: what
//! runs is exactly what was judged, once.

use std::path::PathBuf;

use deskhand_protocol::{
    Action, Command, Task, Timestamp,
    approval::{ProfileView, QuestionView},
    characters::in_sight,
    outcome::Engine,
    policy::NewRule,
    task::Caller,
};
use sha2::{Digest, Sha256};

use crate::rule;

/// Proof that one action may run, within a grant. Only this crate makes one.
#[derive(Debug)]
pub struct Permit {
    action: Action,
    grant: Grant,
}

/// What an action may touch while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Nothing of this computer.
    Nothing,
    /// A directory beneath a workspace.
    Directory {
        /// Where it runs, canonical.
        dir: PathBuf,
        /// The workspace it lies beneath, canonical.
        workspace: PathBuf,
        /// Whether the workspace may be written.
        writable: bool,
        /// Whether `.git` may be written.
        git_writes: bool,
        /// Hosts that may be reached; `*` is any.
        network: Vec<String>,
    },
}

impl Permit {
    pub(crate) fn new(action: Action, grant: Grant) -> Self {
        Self { action, grant }
    }

    /// Gives up the permit for what it permits. Whoever calls this runs the action.
    pub fn into_parts(self) -> (Action, Grant) {
        (self.action, self.grant)
    }
}

/// An action the owner has to answer for. A question is consumed by its answer.
#[derive(Debug)]
pub struct Question {
    pub(crate) action: Action,
    pub(crate) grant: Grant,
    /// Who would carry out a git action.
    pub(crate) engine: Engine,
    pub(crate) workspace: String,
    pub(crate) programs: Vec<String>,
    pub(crate) reason: String,
    /// The rules that would make it unnecessary; none when rules cannot say it narrowly enough.
    pub(crate) always: Option<Vec<NewRule>>,
}

/// Bytes of a text that a question shows.
const SHOWN_BYTES: usize = 4 * 1024;

/// Words of a command that a question shows one by one.
const SHOWN_WORDS: usize = 256;

impl Question {
    /// Turns the owner's yes into a permit.
    pub fn approve(self) -> Permit {
        Permit::new(self.action, self.grant)
    }

    /// Returns why the owner is asked.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the rules that `always_here` writes.
    pub fn always(&self) -> Option<&[NewRule]> {
        self.always.as_deref()
    }

    /// Returns what an answer is bound to: SHA-256, in hex, of the action as it would run, where, with
    /// what profile, and for whom.
    pub fn digest(&self, caller: &Caller) -> String {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        let action = serde_json::to_vec(&self.action).expect("an action has only string keys");
        part(&action);
        part(format!("{:?}", self.engine).as_bytes());
        match &self.grant {
            Grant::Nothing => part(b"nothing"),
            Grant::Directory {
                dir,
                workspace,
                writable,
                git_writes,
                network,
            } => {
                part(dir.as_os_str().as_encoded_bytes());
                part(workspace.as_os_str().as_encoded_bytes());
                part(&[u8::from(*writable), u8::from(*git_writes)]);
                part(network.join("\n").as_bytes());
            }
        }
        part(caller.name.as_bytes());
        part(
            caller
                .key_id
                .as_ref()
                .map_or("", |id| id.as_str())
                .as_bytes(),
        );
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the question as its owner reads it.
    pub fn view(&self, task: &Task, asked_at: Timestamp, expires_at: Timestamp) -> QuestionView {
        let shown = |text: &str| {
            let mut text = in_sight(text);
            if text.len() > SHOWN_BYTES {
                text.truncate(text.floor_char_boundary(SHOWN_BYTES));
                text.push('…');
            }
            text
        };
        let (command, stdin) = match &self.action {
            Action::Git(git) => (&git.command, None),
            Action::Shell(shell) => (&shell.command, shell.stdin.as_deref()),
            Action::Echo(_) => (&Command::Argv(Vec::new()), None),
        };
        let argv = command.words().unwrap_or_default();
        let (dir, profile) = match &self.grant {
            Grant::Nothing => (
                String::new(),
                ProfileView {
                    writable: false,
                    git_writes: false,
                    network: Vec::new(),
                },
            ),
            Grant::Directory {
                dir,
                writable,
                git_writes,
                network,
                ..
            } => (
                dir.display().to_string(),
                ProfileView {
                    writable: *writable,
                    git_writes: *git_writes,
                    network: network.iter().map(|host| shown(host)).collect(),
                },
            ),
        };
        QuestionView {
            task_id: task.task_id,
            name: task.name.clone(),
            digest: self.digest(&task.caller),
            argv: argv
                .iter()
                .take(SHOWN_WORDS)
                .map(|word| shown(word))
                .collect(),
            command: shown(&command.to_string()),
            stdin: stdin.filter(|text| !text.is_empty()).map(shown),
            programs: self.programs.iter().map(|name| shown(name)).collect(),
            working_dir: shown(&dir),
            workspace: shown(&self.workspace),
            profile,
            caller: shown(&task.caller.name),
            source: task.source,
            reason: shown(&self.reason),
            always_here: self.always.as_ref().map(|rules| {
                let texts: Vec<String> = rules
                    .iter()
                    .map(|rule| rule::to_toml(rule, rule.id.as_deref().unwrap_or_default()))
                    .collect();
                texts.join("\n")
            }),
            asked_at,
            expires_at,
        }
    }
}
