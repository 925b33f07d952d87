//! What programs read before they ask: who vouches for the MCP door (RFC 9728), and how to ask there
//! (RFC 8414). Both stand at addresses with a path, so that nothing at the root speaks of OAuth to a
//! client that was given a key.

use axum::{
    Json,
    extract::State as Extract,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use deskhand_protocol::relay_request::Scope;
use serde_json::{Value, json};

use super::{USUAL_SCOPES, issuer, words};
use crate::State;

/// `GET /.well-known/oauth-protected-resource/mcp`.
pub(super) async fn resource(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    document(json!({
        "resource": super::resource(&state, &headers),
        "authorization_servers": [issuer(&state, &headers)],
        "scopes_supported": USUAL_SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_name": "Deskhand",
    }))
}

/// `GET /.well-known/oauth-authorization-server/oauth`.
pub(super) async fn server(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    let issuer = issuer(&state, &headers);
    document(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "scopes_supported": USUAL_SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": true,
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// Anybody may read it, pages of other hosts as well: it says nothing that is not the same for all.
fn document(document: Value) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, Json(document)).into_response()
}

/// What a refused program is told: where to read how to ask, and for what. `needs` is what the refused
/// request needs, where a scope is what it lacks.
pub(crate) fn challenge(
    state: &State,
    headers: &HeaderMap,
    error: Option<&str>,
    needs: Option<&[Scope]>,
) -> HeaderValue {
    let base = state.url_for(headers);
    let scope = words(needs.unwrap_or(&USUAL_SCOPES));
    let error = error.map_or(String::new(), |error| format!("error=\"{error}\", "));
    let text = format!(
        "Bearer {error}resource_metadata=\"{base}/.well-known/oauth-protected-resource/mcp\", scope=\"{scope}\""
    );
    HeaderValue::try_from(text).expect("an address, a code and scopes are printable")
}
