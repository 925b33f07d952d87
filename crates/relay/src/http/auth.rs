//! Turns the key of a request into a caller.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::Response,
};
use deskhand_protocol::{
    ErrorCode, Problem, Source, relay_request::Scope, timeline::TICKET_SUBPROTOCOL,
};

use super::{error::problem, request_id, session};
use crate::{State, keys::Key, oauth};

/// The caller behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key: Arc<Key>,
    /// The door a first-party client names.
    pub(crate) source: Source,
    /// The `X-Request-ID` of the request, its own or ours.
    pub(crate) request_id: Option<String>,
}

impl Caller {
    /// Returns the caller of a request, whatever bytes its headers hold.
    pub(crate) fn of(state: &State, headers: &HeaderMap) -> Result<Self, Problem> {
        let key = key_of(state, headers).ok_or_else(unauthorized)?;
        Ok(Self::with(key, headers))
    }

    /// Returns the caller a key stands for, that a request has proven.
    pub(crate) fn with(key: Arc<Key>, headers: &HeaderMap) -> Self {
        Self {
            key,
            source: source(headers),
            request_id: request_id::of(headers),
        }
    }

    /// Returns the caller behind a WebSocket: a key in a header, or a ticket as its subprotocol, which
    /// has to be named in the answer.
    pub(crate) fn of_socket(
        state: &State,
        headers: &HeaderMap,
    ) -> Result<(Self, Option<String>), Problem> {
        let Some((subprotocol, ticket)) = ticket(headers) else {
            return Ok((Self::of(state, headers)?, None));
        };
        let key = state.tickets.take(ticket).ok_or_else(|| {
            Problem::new(
                ErrorCode::Unauthorized,
                "the stream ticket is used or ended",
            )
            .with_hint("ask for another: POST /api/stream-tickets")
        })?;
        Ok((Self::with(key, headers), Some(subprotocol.to_owned())))
    }

    /// Refuses a caller whose key lacks a scope.
    pub(crate) fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.key.may(scope) {
            return Ok(());
        }
        let error = format!("this key lacks the scope `{}`", scope.as_str());
        Err(Problem::new(ErrorCode::Forbidden, error))
    }
}

impl FromRequestParts<State> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        // A key that is there counts; a browser that signed in has none.
        if presented(&parts.headers).is_none()
            && let Some(key) = session::key(state, parts)
        {
            let key = key.map_err(problem)?;
            return Ok(Self {
                key,
                source: Source::Viewer,
                request_id: request_id::of(&parts.headers),
            });
        }
        Caller::of(state, &parts.headers).map_err(problem)
    }
}

/// Returns the key a request shows, or the program whose access token it shows.
pub(super) fn key_of(state: &State, headers: &HeaderMap) -> Option<Arc<Key>> {
    match access_token(headers) {
        Some(token) => oauth::authenticate(state, headers, token),
        None => state.keys.check(presented(headers)?),
    }
}

/// Returns the access token a request shows, whatever it is worth.
pub(crate) fn access_token(headers: &HeaderMap) -> Option<&str> {
    let is_only = !headers.contains_key("x-api-key");
    bearer(headers).filter(|token| is_only && token.starts_with(oauth::ACCESS))
}

/// Returns the key a request shows, whatever it is worth.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("x-api-key")
        .and_then(|value| value.to_str().ok())
        .or_else(|| bearer(headers))
}

/// Returns the token of an `Authorization: Bearer` header; the scheme's case does not matter.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns the subprotocol that carries a ticket, and the ticket.
pub(super) fn ticket(headers: &HeaderMap) -> Option<(&str, &str)> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find_map(|name| Some((name, name.strip_prefix(TICKET_SUBPROTOCOL)?)))
}

fn source(headers: &HeaderMap) -> Source {
    match headers
        .get("x-deskhand-source")
        .map(|value| value.as_bytes())
    {
        Some(b"cli") => Source::Cli,
        Some(b"viewer") => Source::Viewer,
        _ => Source::Relay,
    }
}

fn unauthorized() -> Problem {
    Problem::new(ErrorCode::Unauthorized, "Invalid or missing API key")
}
