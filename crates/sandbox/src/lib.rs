//! Starts and ends a confined process tree.
//!
//! What it owns: the helper executable `deskhand-sandbox`, every process started through it, and the pipes between.
//! What it waits on: the output pipes and the control socket of one helper per task.
//! What it never does: decide whether something may run (that is the policy's), own a time limit (the agent's), read the
//! environment or the home directory (both are passed in), or start anything without the helper.
//!
//! # How a task runs
//!
//! 1. [`spawn()`] checks the helper, opens the workspace and the working directory, writes the plan into a sealed memory
//!    file and starts the helper with a control socket as its standard input and two pipes for the output.
//! 2. The helper becomes the supervisor: it closes everything it inherited, builds the confinement the profile asks for,
//!    starts the program and reports which layers it applied. Nothing but that report counts as "confined".
//! 3. Output is read with [`Child::next_output`], the end with [`Child::wait`], and [`Stopper::stop`] ends the tree.
//! 4. When the main process ended the rest gets half a second, then the helper kills it, daemonised processes included.
//!    The same happens at once when the [`Child`] is dropped or the process that holds it dies, because the helper sees
//!    its control socket close.
//!
//! # Where to look
//!
//! [`profile`] what is permitted, [`support`] what this machine can enforce, [`spawn`](crate::spawn()) how a task is
//! started, [`output`] how much of its output is kept.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(any(target_os = "macos", test))]
pub mod macos;
pub mod output;
pub mod profile;
pub mod support;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod protected;
#[cfg(target_os = "linux")]
mod proxy;
mod spawn;
#[cfg(target_os = "linux")]
mod tree;

pub use output::Capture;
pub use profile::{
    Command, EnvironmentInputs, Limits, Network, Profile, base_environment, default_hidden,
};
#[doc(hidden)]
#[cfg(all(target_os = "linux", any(debug_assertions, feature = "testing")))]
pub use spawn::spawn_without;
pub use spawn::{Child, Chunk, Exit, Limit, SpawnError, Stopper, Stream, spawn};
pub use support::{Layer, Missing, Support, Tier, probe};

/// The whole program of the helper executable. Not for anyone else: it never returns and takes the process over.
#[doc(hidden)]
#[cfg(target_os = "linux")]
pub fn helper_main() -> ! {
    linux::helper_main()
}
