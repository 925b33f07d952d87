//! `POST /oauth/token` and `POST /oauth/revoke`: a program exchanges a code or a refresh token for tokens,
//! and gives them back. Every program is public: what it proves itself with is the verifier of its code,
//! and its refresh token.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Request, State as Extract},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{Problem, relay_request::Scope};
use serde_json::json;
use url::form_urlencoded;

use super::{
    ACCESS,
    codes::{self, Redeemed},
    resource,
    tokens::{ACCESS_LIFETIME, Pair, Rotated},
    words,
};
use crate::{
    State,
    error::Fault,
    http::read_body,
    keys::{Client, Key},
};

/// A refusal in the words of RFC 6749, section 5.2.
struct Refused(&'static str, &'static str);

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Problem::from(fault).into()
    }
}

impl From<Problem> for Refused {
    fn from(_: Problem) -> Self {
        // It was logged where it became a problem.
        Refused("server_error", "the relay failed; its log says why")
    }
}

/// Gives tokens for a code or a refresh token.
pub(super) async fn token(Extract(state): Extract<State>, request: Request) -> Response {
    let headers = request.headers().clone();
    let given = async {
        let form = form(request).await?;
        let get = |name: &str| form.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let need =
            |name: &str| get(name).ok_or(Refused("invalid_request", "a parameter is missing"));
        let wanted = resource(&state, &headers);
        if get("resource").is_some_and(|named| named != wanted) {
            let description = "resource: this relay vouches for its own MCP address only";
            return Err(Refused("invalid_target", description));
        }
        match need("grant_type")? {
            "authorization_code" => {
                let proof = Proof {
                    code: need("code")?,
                    client_id: need("client_id")?,
                    redirect_uri: get("redirect_uri"),
                    verifier: get("code_verifier").unwrap_or_default(),
                };
                redeem(&state, &headers, proof).await
            }
            "refresh_token" => {
                refresh(&state, &headers, need("refresh_token")?, get("client_id")).await
            }
            _ => Err(Refused(
                "unsupported_grant_type",
                "grant_type is authorization_code or refresh_token",
            )),
        }
    };
    match given.await {
        Ok((pair, scopes)) => tokens(&pair, &scopes),
        Err(Refused(error, description)) => refuse(error, description),
    }
}

/// What comes with a code.
struct Proof<'a> {
    code: &'a str,
    client_id: &'a str,
    redirect_uri: Option<&'a str>,
    verifier: &'a str,
}

async fn redeem(
    state: &State,
    headers: &HeaderMap,
    proof: Proof<'_>,
) -> Result<(Pair, Vec<Scope>), Refused> {
    let refused = |why| Err(Refused("invalid_grant", why));
    let wanted = match state.oauth.codes.redeem(proof.code) {
        Redeemed::Good(wanted) => wanted,
        Redeemed::Unknown => return refused("the code is wrong or has ended"),
        Redeemed::Replayed(gave) => {
            if let Some(key_id) = gave {
                tracing::warn!(%key_id, "a code was shown twice; what it gave is revoked");
                state.end_caller(&key_id).await?;
            }
            return refused("the code was used before");
        }
    };
    if wanted.client.client_id != proof.client_id {
        return refused("the code is another program's");
    }
    if proof
        .redirect_uri
        .is_some_and(|uri| uri != wanted.redirect_uri)
    {
        return refused("redirect_uri is not the one the code was sent to");
    }
    if !codes::proves(proof.verifier, &wanted.challenge) {
        return refused("code_verifier does not fit the code's challenge");
    }
    if wanted.resource != resource(state, headers) {
        return refused("the code is good for another address of this relay");
    }
    let client = Client {
        client_id: wanted.client.client_id,
        name: wanted.client.name,
        host: wanted.client.host,
        resource: wanted.resource,
    };
    let key = state
        .keys
        .let_in(client, wanted.scopes, wanted.devices)
        .await?;
    let pair = state.oauth.tokens.issue(&key.view.key_id).await?;
    if !state.oauth.codes.gave(proof.code, &key.view.key_id) {
        state.end_caller(&key.view.key_id).await?;
        return refused("the code was used before");
    }
    tracing::info!(caller = key.view.name, "a program was let in");
    Ok((pair, key.view.scopes.clone()))
}

async fn refresh(
    state: &State,
    headers: &HeaderMap,
    refresh: &str,
    client_id: Option<&str>,
) -> Result<(Pair, Vec<Scope>), Refused> {
    let refused = || {
        Err(Refused(
            "invalid_grant",
            "the refresh token is wrong or has ended",
        ))
    };
    let Some(key) = family(state, refresh).await? else {
        return refused();
    };
    let is_its_own = |client: &Client| {
        client.resource == resource(state, headers)
            && client_id.is_none_or(|named| named == client.client_id)
    };
    if !key.client.as_ref().is_some_and(is_its_own) {
        return refused();
    }
    match state.oauth.tokens.rotate(&key.view.key_id, refresh).await? {
        Rotated::Fresh(pair) => Ok((pair, key.view.scopes.clone())),
        Rotated::Unknown => refused(),
        Rotated::Reused => {
            let caller = &key.view.name;
            tracing::warn!(
                caller,
                "a refresh token was shown twice; its program is let in no more"
            );
            state.end_caller(&key.view.key_id).await?;
            refused()
        }
    }
}

/// Returns the program of a refresh token.
async fn family(state: &State, refresh: &str) -> Result<Option<std::sync::Arc<Key>>, Fault> {
    let key_id = state.oauth.tokens.family(refresh).await?;
    Ok(key_id.and_then(|key_id| state.keys.get(&key_id)))
}

/// Takes a token back (RFC 7009). A refresh token takes all of its program with it. What is no token is
/// none afterwards either: the answer is the same.
pub(super) async fn revoke(Extract(state): Extract<State>, request: Request) -> Response {
    let revoked = async {
        let form = form(request).await?;
        let Some(token) = form.get("token").filter(|token| !token.is_empty()) else {
            return Err(Refused("invalid_request", "token is missing"));
        };
        let is_its_own = |key: &Key| {
            let client = key.client.as_ref();
            let named = form.get("client_id");
            client.is_some_and(|client| named.is_none_or(|named| *named == client.client_id))
        };
        if token.starts_with(ACCESS) {
            let key_id = state.oauth.tokens.check(token);
            let key = key_id.and_then(|key_id| state.keys.get(&key_id));
            if key.is_some_and(|key| is_its_own(&key)) {
                state.oauth.tokens.end_access(token).await?;
            }
        } else if let Some(key) = family(&state, token).await?
            && is_its_own(&key)
        {
            state.end_caller(&key.view.key_id).await?;
        }
        Ok(())
    };
    match revoked.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(Refused(error, description)) => refuse(error, description),
    }
}

async fn form(request: Request) -> Result<HashMap<String, String>, Refused> {
    let body = read_body(request).await;
    let body =
        body.map_err(|_| Refused("invalid_request", "the body is too large or broke off"))?;
    let mut fields = HashMap::new();
    for (name, value) in form_urlencoded::parse(&body) {
        if fields.insert(name.to_string(), value.to_string()).is_some() {
            return Err(Refused("invalid_request", "a parameter is there twice"));
        }
    }
    Ok(fields)
}

fn tokens(pair: &Pair, scopes: &[Scope]) -> Response {
    let answer = json!({
        "access_token": pair.access.expose(),
        "token_type": "Bearer",
        "expires_in": ACCESS_LIFETIME.as_secs(),
        "refresh_token": pair.refresh.expose(),
        "scope": words(scopes),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// Refuses in the words of RFC 6749.
pub(super) fn refuse(error: &str, description: &str) -> Response {
    let status = match error {
        "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let answer = json!({ "error": error, "error_description": description });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
