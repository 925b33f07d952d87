//! Git in process on git2: what git prints, without starting it.
//!
//! [`mod@exec`] takes a [`Request`] (argv, directory, environment) and gives either an [`Answer`] — exactly the standard
//! output, exit code and repository state that git 2.47.3 would have given — or [`NotNative`], in which case nothing
//! was written and the caller may run the real git instead.
//!
//! The rule of this crate is *never natively wrong*: an argv with one option that is not implemented, or a repository
//! with one feature that is not understood, is handed over whole.
//!
//! libgit2 supplies objects, references, the writing of indexes and trees, and the lines two texts differ in. What git
//! *prints*, and how it decides (status, renames, history order, ignore rules, configuration), is in the modules here.
//!
//! This crate starts no program, reads no environment of its own and keeps no state but repository handles, one set per
//! thread. It runs no hook, no filter, no text conversion, no signing program; a command that
//! would need one is not native.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod add;
mod approxidate;
mod attr;
mod blame;
mod blame_print;
mod branch;
mod branch_edit;
mod branch_remove;
mod branch_rename;
mod branch_state;
mod bytes;
mod cat_file;
mod check_ignore;
mod checkout_file;
mod cherry;
mod clean;
mod color;
mod columns;
mod combined;
mod command_names;
mod commit;
mod commit_editor;
mod commit_stage;
mod commit_summary;
mod commit_task;
mod config;
mod config_cmd;
mod config_edit;
mod config_show;
mod config_text;
mod config_value;
mod convert;
mod date;
mod decorate;
mod describe;
mod diff;
mod diff_options;
mod diff_plumbing;
mod diff_print;
mod dirstat;
mod exec;
mod fallback;
mod follow;
mod graph;
mod grep;
mod grep_print;
mod histogram;
mod id;
mod identity;
mod ignore;
mod index;
mod index_edit;
mod init;
mod init_repository;
mod known;
mod line_range;
mod lock;
mod log;
mod log_filter;
mod log_print;
mod log_settings;
mod ls_files;
mod mailmap;
mod merge;
mod merge_text;
mod merge_trees;
mod message;
mod nature;
mod notes;
mod object;
mod operation;
mod options;
mod outcome;
mod pair;
mod patch;
mod pathspec;
mod patterns;
mod pick;
mod pickaxe;
mod pool;
mod pretty;
mod pretty_template;
mod quote;
mod ref_fields;
mod ref_filter;
mod ref_format;
mod ref_write;
mod reflog;
mod refresh;
mod refs;
mod regexes;
mod remote;
mod remote_edit;
mod remove;
mod rename;
mod rename_files;
mod repo;
mod request;
mod reset;
mod restore;
mod rev;
mod rev_args;
mod rev_list;
mod rev_parse;
mod rev_select;
mod revwalk;
mod settings;
mod shortlog;
mod show;
mod show_ref;
mod split_index;
mod staging;
mod stash;
mod stash_apply;
mod stash_push;
mod stash_show;
mod stat;
mod status;
mod status_long;
mod submodule;
mod switch;
mod tag;
mod tag_edit;
mod topo;
mod trailers;
mod tree_diff;
mod tree_edit;
mod tree_index;
mod unpack;
mod untracked;
mod userdiff;
mod userdiff_builtin;
mod whitespace;
mod wildmatch;
mod word_diff;
mod work_tree;
mod worktree_list;
mod worktrees;
mod wrap;
mod xdiff;

pub use exec::{Plan, exec, plan};
pub use fallback::{FallbackCommand, FallbackError, common_dir, fallback_command};
pub use init::init;
pub use nature::{Nature, nature};
pub use request::{Answer, Environment, Exec, Input, NotNative, OutputLimits, Request};

/// The version of git whose output is reproduced.
pub const GIT_VERSION_EMULATED: &str = "2.47.3";
