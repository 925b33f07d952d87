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
//! Where to look: [`mod@exec`] takes an argv to its verb; [`verbs`] has a file for each command, [`history`] revisions and
//! commits, [`compare`] differences, [`work`] index and work tree, [`references`] and [`repository`] what their names
//! say, [`text`] what knows no repository.
//!
//! This crate starts no program, reads no environment of its own and keeps no state but repository handles, one set per
//! thread. It runs no hook, no filter, no text conversion, no signing program; a command that
//! would need one is not native.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod command_names;
mod compare;
mod exec;
mod fallback;
mod history;
mod nature;
mod options;
mod outcome;
mod references;
mod repository;
mod request;
mod text;
mod verbs;
mod work;

pub use exec::{Plan, exec, plan};
pub use fallback::{FallbackCommand, FallbackError, common_dir, fallback_command};
pub use nature::{Nature, nature};
pub use request::{Answer, Environment, Exec, Input, NotNative, OutputLimits, Request};
pub use verbs::init::init;

/// The version of git whose output is reproduced.
pub const GIT_VERSION_EMULATED: &str = "2.47.3";
