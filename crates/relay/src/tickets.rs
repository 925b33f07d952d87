//! Stream tickets: a key for one WebSocket, where no header can be set. In memory; a relay that
//! restarts forgets them, and their holders ask for others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use deskhand_protocol::{
    ErrorCode, Problem, Timestamp, limits::TICKET_LIFETIME, timeline::StreamTicket,
};

use crate::{
    clock::now,
    error::Fault,
    keys::Key,
    token::{self, Hash},
};

/// Tickets that are open at once; they live for 30 s.
const MOST: usize = 4_096;

/// The open tickets of a relay.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<Hash, (Arc<Key>, Timestamp)>>);

impl Tickets {
    /// Makes a ticket that stands for a key once.
    pub(crate) fn issue(&self, key: Arc<Key>) -> Result<StreamTicket, Problem> {
        let ticket = token::mint_ticket().map_err(Fault::from)?;
        let expires_at = now() + TICKET_LIFETIME;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST {
            let at = now();
            open.retain(|_, (_, expires_at)| *expires_at > at);
        }
        if open.len() >= MOST {
            return Err(Problem::new(
                ErrorCode::RateLimited,
                "4096 stream tickets are open already",
            ));
        }
        open.insert(token::hash(&ticket), (key, expires_at));
        Ok(StreamTicket { ticket, expires_at })
    }

    /// Takes a ticket: whoever shows it again is a stranger.
    pub(crate) fn take(&self, ticket: &str) -> Option<Arc<Key>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, expires_at) = open.remove(&token::hash(ticket))?;
        (expires_at > now()).then_some(key)
    }
}
