//! One repository: how it is found and opened, its configuration, objects and trees, and what it is in the middle of.

pub(crate) mod config;
pub(crate) mod config_edit;
pub(crate) mod config_text;
pub(crate) mod config_value;
pub(crate) mod id;
pub(crate) mod identity;
pub(crate) mod lock;
pub(crate) mod mailmap;
pub(crate) mod notes;
pub(crate) mod object;
pub(crate) mod operation;
pub(crate) mod pool;
pub(crate) mod repo;
pub(crate) mod settings;
pub(crate) mod submodule;
pub(crate) mod tree_diff;
pub(crate) mod tree_edit;
pub(crate) mod worktrees;
