//! Whose a session is. Only its owner may use it, and a key that opens too many loses its oldest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use deskhand_protocol::KeyId;
use rmcp::transport::streamable_http_server::{
    SessionManager, session::local::LocalSessionManager,
};

use crate::http::Caller;

/// The header that names a session.
pub(super) const SESSION_HEADER: &str = "mcp-session-id";

/// Sessions one key may hold: as many programs of one person as run at a time, and more.
const MAX_PER_KEY: usize = 32;

/// The sessions that are open, and their owners.
#[derive(Clone)]
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    owners: Arc<Mutex<HashMap<String, Owned>>>,
}

struct Owned {
    key: KeyId,
    used_at: Instant,
}

impl Sessions {
    pub(super) fn new(manager: Arc<LocalSessionManager>) -> Self {
        Self {
            manager,
            owners: Arc::default(),
        }
    }

    /// Tells whether a session is the caller's own.
    pub(super) fn is_of(&self, session: &str, caller: &Caller) -> bool {
        match self.lock().get_mut(session) {
            Some(owned) if owned.key == caller.key.view.key_id => {
                owned.used_at = Instant::now();
                true
            }
            Some(_) | None => false,
        }
    }

    /// Notes whose a new session is. Those that ended are forgotten, and of a key's too many the one
    /// that was used the longest ago is ended.
    pub(super) async fn opened(&self, session: &str, caller: &Caller) {
        let open: Vec<String> = {
            let sessions = self.manager.sessions.read().await;
            sessions.keys().map(|id| id.to_string()).collect()
        };
        let key = &caller.key.view.key_id;
        let oldest = {
            let mut owners = self.lock();
            owners.retain(|id, _| open.contains(id));
            let own = owners.iter().filter(|(_, owned)| owned.key == *key);
            let oldest = match own.clone().count() >= MAX_PER_KEY {
                true => own
                    .min_by_key(|(_, owned)| owned.used_at)
                    .map(|(id, _)| id.clone()),
                false => None,
            };
            if let Some(oldest) = &oldest {
                owners.remove(oldest);
            }
            let owned = Owned {
                key: key.clone(),
                used_at: Instant::now(),
            };
            owners.insert(session.to_owned(), owned);
            oldest
        };
        if let Some(oldest) = oldest
            && let Err(error) = self.manager.close_session(&oldest.into()).await
        {
            tracing::warn!(%error, "cannot end the oldest session of a key");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Owned>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
