//! Our own OAuth 2.1 authorization server, for programs that let nobody type a key: assistants in a
//! vendor's cloud, and editors that sign in by themselves.
//!
//! 1. A program that was refused at `/mcp` reads where to ask ([`well_known`]).
//! 2. It names itself by the address of a document, or by an id that it registered for ([`clients`]).
//! 3. The owner's browser comes to [`authorize`] and is shown two digits; the owner's computer asks for them
//!    ([`consents`]). There are no passwords and no accounts.
//! 4. The program exchanges the code the browser brings it for tokens ([`exchange`], [`codes`],
//!    [`tokens`]).
//!
//! A program that was let in is a key that nobody holds: its tasks, scopes, devices and limits are those of
//! any caller. Tokens are random, kept as hashes, and good for one resource, byte for byte. Everything
//! that waits for an answer is in memory and bounded: a relay that starts again has forgotten it, and the
//! program asks again.

mod authorize;
mod clients;
mod codes;
mod consents;
mod documents;
mod exchange;
mod page;
mod redirects;
mod registration;
mod tokens;
mod well_known;

use std::sync::Arc;

use axum::{
    Router,
    http::HeaderMap,
    routing::{get, post},
};
use deskhand_protocol::{KeyId, Problem, caller::CallerView, relay_request::Scope};
use deskhand_sqlite::Database;

pub(crate) use self::tokens::{ACCESS, MIGRATION};
pub(crate) use well_known::challenge;

use self::{codes::Codes, consents::Consents, documents::Documents, tokens::Tokens};
use crate::{OauthOptions, State, error::Fault, keys::Key, token::Hash};

/// What a program gets that does not say what it wants, and all that is advertised. `approve` is given to
/// who names it: programs ask for everything that is advertised, and one that answers its own questions
/// should not come about by habit. `admin` is for keys.
const USUAL_SCOPES: [Scope; 3] = [Scope::TasksRead, Scope::TasksRun, Scope::DevicesRead];

/// What the authorization server keeps.
#[derive(Debug)]
pub(crate) struct Oauth {
    tokens: Tokens,
    codes: Codes,
    consents: Consents,
    documents: Documents,
    /// Signs the ids of programs that register.
    signing_key: Hash,
    root_alias: bool,
}

impl Oauth {
    /// Reads the tokens into memory.
    pub(crate) async fn load(db: Database, options: OauthOptions) -> Result<Self, Fault> {
        Ok(Self {
            signing_key: registration::signing_key(&db).await?,
            tokens: Tokens::load(db).await?,
            codes: Codes::default(),
            consents: Consents::default(),
            documents: Documents::new(options.private_clients),
            root_alias: options.root_alias,
        })
    }
}

/// Mounts the doors.
pub(crate) fn router(state: &State) -> Router<State> {
    let router = Router::new()
        .route(
            "/.well-known/oauth-protected-resource/mcp",
            get(well_known::resource),
        )
        .route(
            "/.well-known/oauth-authorization-server/oauth",
            get(well_known::server),
        )
        .route("/oauth/register", post(registration::register))
        .route("/oauth/authorize", get(authorize::begin))
        .route("/oauth/consent/{consent}", get(authorize::look))
        .route("/oauth/token", post(exchange::token))
        .route("/oauth/revoke", post(exchange::revoke));
    match state.oauth.root_alias {
        false => router,
        true => router
            .route(
                "/.well-known/oauth-protected-resource",
                get(well_known::resource),
            )
            .route(
                "/.well-known/oauth-authorization-server",
                get(well_known::server),
            ),
    }
}

/// Returns the program behind an access token, if the token is good for this relay by the name it was
/// called.
pub(crate) fn authenticate(state: &State, headers: &HeaderMap, token: &str) -> Option<Arc<Key>> {
    let key_id = state.oauth.tokens.check(token)?;
    let key = state.keys.get(&key_id)?;
    let client = key.client.as_ref()?;
    (client.resource == resource(state, headers)).then_some(key)
}

/// Returns what tokens are good for: the address of the MCP door, as it was dialled.
fn resource(state: &State, headers: &HeaderMap) -> String {
    format!("{}/mcp", state.url_for(headers))
}

/// Returns the name of the authorization server.
fn issuer(state: &State, headers: &HeaderMap) -> String {
    format!("{}/oauth", state.url_for(headers))
}

/// Returns scopes as OAuth writes them.
fn words(scopes: &[Scope]) -> String {
    let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    words.join(" ")
}

impl State {
    /// Lists the programs that were let in, oldest first.
    pub(crate) fn callers(&self) -> Vec<CallerView> {
        let clients = self.keys.clients();
        clients.iter().filter_map(|key| self.caller(key)).collect()
    }

    fn caller(&self, key: &Key) -> Option<CallerView> {
        let client = key.client.as_ref()?;
        Some(CallerView {
            caller_id: key.view.key_id.clone(),
            name: key.view.name.clone(),
            client_name: client.name.clone(),
            client_host: client.host.clone(),
            scopes: key.view.scopes.clone(),
            devices: self.device_names(key.view.devices.as_deref().unwrap_or_default()),
            connected_at: key.view.created_at,
            last_used_at: key.view.last_used_at,
        })
    }

    /// Ends a program's access, named by its id or name. Its tokens are worth nothing from then on.
    pub(crate) async fn revoke_caller(&self, caller: &str) -> Result<KeyId, Problem> {
        let found = self.keys.client(caller);
        let unknown = || {
            let error = format!("there is no connected caller `{caller}`");
            Problem::new(deskhand_protocol::ErrorCode::NotFound, error)
        };
        let key_id = found.ok_or_else(unknown)?.view.key_id.clone();
        self.end_caller(&key_id).await?;
        Ok(key_id)
    }

    /// Forgets the programs that cannot come back: they did not call for as long as a refresh token lasts.
    pub(crate) async fn forget_idle_callers(&self) -> Result<(), Fault> {
        for key_id in self.oauth.tokens.idle().await? {
            self.end_caller(&key_id).await?;
        }
        Ok(())
    }

    async fn end_caller(&self, key_id: &KeyId) -> Result<(), Fault> {
        self.keys.remove(key_id).await?;
        self.quotas.forget(key_id);
        self.oauth.tokens.forget(key_id).await
    }
}
