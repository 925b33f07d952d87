//! What policy is told about an action before it decides, gathered by the agent.

use std::path::PathBuf;

use crate::{outcome::Engine, workspace::Workspace};

/// Everything a decision rests on besides the action itself.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Where the action would run.
    pub working_dir: WorkingDir,
    /// What a git action would do; none for other actions.
    pub git: Option<GitFacts>,
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
