//! What both binaries need of the machine: where files lie, settings, secrets, logging; starts agent
//! and relay, and opens the control socket by which a running installation is reached.
//!
//! Only this crate reads the environment, the home directory and the keyring. The other libraries get
//! values.

pub mod config;
pub mod control;
pub mod desktop_session;
mod dirs;
pub mod enrolment;
mod environment;
pub mod files;
mod identity;
mod instance;
pub mod keyring;
mod local;
pub mod logging;
pub mod machine;
mod ready;
pub mod secrets;
pub mod start;
pub mod trust;

pub use config::Config;
pub use control::{Control, ControlError};
pub use deskhand_relay::TlsError;
pub use dirs::{Dirs, DirsError};
pub use enrolment::Enrolment;
pub use environment::Environment;
pub use identity::{Identity, IdentityError};
pub use instance::{Instance, InstanceError};
#[cfg(unix)]
pub use instance::{leave_terminal, terminate};
pub use local::{Local, LocalEvents};
pub use ready::Ready;
pub use secrets::{Credentials, Secrets, SecretsError, Vault};
pub use start::{Options, Parts, Running, StartError, start};
pub use trust::TrustError;
