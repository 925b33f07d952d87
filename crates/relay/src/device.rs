//! Device links: who is connected, and one actor per link.

mod handshake;
mod registry;
mod session;

pub(crate) use handshake::link;
pub(crate) use registry::{Presence, Registry};
