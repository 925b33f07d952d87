//! `/api/session`: a browser signs in with a key or with the code of a link, and gets a cookie no
//! script can read.
//!
//! A browser sends its cookie whoever made the page that asks, so a request that rests on a cookie is
//! heard only when it comes from a page of ours: what changes something has to say so itself
//! (`Origin`), and the name it was asked by has to be one of the relay's own (`Host`), so that no
//! foreign name that was made to point here is taken for it. A key in a header needs none of this: no
//! foreign page has it.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{Request, State as Extract},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts, uri::Authority},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{
    ErrorCode, Problem,
    relay_request::{SessionRequest, SessionView},
};

use super::{auth::Caller, read_json, respond};
use crate::{Shared, State, keys::Key, sessions::SESSION_LIFETIME};

/// `POST /api/session`: signs a browser in.
pub(super) async fn begin(Extract(state): Extract<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let begun = async {
        from_own_page(&state, &parts)?;
        let request: SessionRequest = read_json(Request::new(body)).await?;
        let key = match (request.key, request.code) {
            (Some(key), None) => state.keys.check(key.trim()).ok_or_else(wrong_key)?,
            (None, Some(code)) => {
                let key = state.sessions.redeem(&code)?;
                state.keys.get(&key).ok_or_else(wrong_key)?
            }
            _ => {
                let error = "one of `key` and `code` is needed";
                return Err(Problem::new(ErrorCode::InvalidRequest, error));
            }
        };
        let secret = state.sessions.create(key.view.key_id.clone()).await?;
        let cookie = cookie(
            &state,
            &parts.headers,
            secret.expose(),
            SESSION_LIFETIME.as_secs(),
        );
        let view = Json(view(&state, &key));
        Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], view))
    };
    respond(begun.await)
}

fn wrong_key() -> Problem {
    Problem::new(
        ErrorCode::Unauthorized,
        "This is not a key of this relay, or no longer one",
    )
}

/// `GET /api/session`: who is signed in.
pub(super) async fn show(caller: Caller, Extract(state): Extract<State>) -> Response {
    Json(view(&state, &caller.key)).into_response()
}

/// `DELETE /api/session`: signs the browser out.
pub(super) async fn end(Extract(state): Extract<State>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let ended = async {
        from_own_page(&state, &parts)?;
        if let Some(secret) = presented(&parts.headers) {
            state.sessions.end(secret).await?;
        }
        let cookie = cookie(&state, &parts.headers, "", 0);
        Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]))
    };
    respond(ended.await)
}

fn view(state: &State, key: &Key) -> SessionView {
    SessionView {
        key: key.view.clone(),
        relay_version: env!("CARGO_PKG_VERSION").to_owned(),
        relay_url: state.url(),
    }
}

/// Returns the key behind the cookie of a request; nothing when it has no cookie of ours.
pub(super) fn key(state: &State, parts: &Parts) -> Option<Result<Arc<Key>, Problem>> {
    let key = key_of(state, &parts.headers)?;
    Some(from_own_page(state, parts).map(|()| key))
}

/// Returns the key behind a cookie, whoever sent it: enough to count, not to act.
pub(super) fn key_of(state: &State, headers: &HeaderMap) -> Option<Arc<Key>> {
    state.keys.get(&state.sessions.check(presented(headers)?)?)
}

/// Refuses what a foreign page asks for in the name of the browser's owner.
fn from_own_page(state: &State, parts: &Parts) -> Result<(), Problem> {
    let foreign = |error: &str| Err(Problem::new(ErrorCode::Forbidden, error));
    let Some(host) = host(parts) else {
        return foreign("a browser names the host it asks");
    };
    if !is_own_name(state, &host) {
        return Err(foreign_name(&host));
    }
    let text = |name: &str| {
        let value = parts.headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default())
    };
    // Fetch Metadata: what a browser says itself of where a request comes from.
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return foreign("another page asked for this");
    }
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    match text("origin") {
        Some(origin) if !is_own_origin(state, origin, &host) => {
            foreign("another page asked for this")
        }
        None if !is_safe => foreign("a browser says from which page it asks"),
        _ => Ok(()),
    }
}

fn host(parts: &Parts) -> Option<Authority> {
    let named = parts.headers.get(header::HOST)?.to_str().ok()?;
    named.parse().ok()
}

fn is_own_origin(state: &State, origin: &str, host: &Authority) -> bool {
    if state.public_url() == Some(origin) {
        return true;
    }
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
}

/// Tells whether a host is the relay by a name that nobody else can point here: an address, this
/// machine's own name for itself, or the name the owner gave it.
pub(super) fn is_own_name(state: &Shared, host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    let public = state.public_url().and_then(|url| url.split_once("://"));
    let public = public.and_then(|(_, rest)| rest.split('/').next()?.parse::<Authority>().ok());
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || public.is_some_and(|public| public.host().eq_ignore_ascii_case(host.host()))
}

/// What a browser hears that asks by a name we do not know.
pub(super) fn foreign_name(host: &Authority) -> Problem {
    let error = format!(
        "this relay does not know itself by the name `{}`",
        host.host()
    );
    Problem::new(ErrorCode::Forbidden, error)
        .with_hint("set relay.public_url to the address you use")
}

/// Refuses a page to a browser that asks by a foreign name.
pub(crate) fn asked_by_own_name(state: &State, parts: &Parts) -> Result<Authority, Problem> {
    let Some(host) = host(parts) else {
        let error = "a browser names the host it asks";
        return Err(Problem::new(ErrorCode::InvalidRequest, error));
    };
    match is_own_name(state, &host) {
        true => Ok(host),
        false => Err(foreign_name(&host)),
    }
}

/// Cookies do not know ports: relays on one computer have names of their own.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.parse::<Authority>().ok()?.port_u16())
        .unwrap_or(0);
    format!("deskhand_{port}")
}

fn cookie(state: &State, headers: &HeaderMap, secret: &str, seconds: u64) -> HeaderValue {
    let secure = match state.public_url() {
        Some(url) if url.starts_with("https://") => "; Secure",
        _ => "",
    };
    let name = cookie_name(headers);
    let text =
        format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).expect("name and secret are letters and digits")
}

/// Returns the secret in our cookie.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(name.as_str())?.strip_prefix('='))
        .filter(|secret| !secret.is_empty())
}
