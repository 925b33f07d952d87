//! `POST /oauth/register`: dynamic registration (RFC 7591) that keeps nothing. The id is what the program
//! said, signed: some clients register each time they connect, and there is no table to fill.

use axum::{
    Json,
    extract::{Request, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deskhand_sqlite::{Database, Sync};
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;

use super::{clients::Client, exchange::refuse};
use crate::{
    State,
    clock::now,
    error::Fault,
    http::read_body,
    token::{self, Hash},
};

/// What an id begins with.
const PREFIX: &str = "dcr_";

/// Longest id: it travels in addresses.
const MAX_ID_BYTES: usize = 4_096;

/// What is in an id.
#[derive(Debug, Serialize, Deserialize)]
struct Registered {
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "r")]
    redirect_uris: Vec<String>,
    #[serde(rename = "t")]
    issued_at: i64,
}

/// What a program says of itself. The rest of RFC 7591 changes nothing here.
#[derive(Debug, Deserialize)]
struct Registration {
    redirect_uris: Vec<String>,
    #[serde(default)]
    client_name: Option<String>,
}

/// Registers a program.
pub(super) async fn register(Extract(state): Extract<State>, request: Request) -> Response {
    let registration = match read_body(request).await {
        Ok(body) => serde_json::from_slice::<Registration>(&body),
        Err(refused) => return refuse("invalid_client_metadata", &refused.error),
    };
    let Registration {
        redirect_uris,
        client_name,
    } = match registration {
        Ok(registration) => registration,
        Err(error) => return refuse("invalid_client_metadata", &error.to_string()),
    };
    let checked = Client::new(String::new(), client_name.as_deref(), None, redirect_uris);
    let client = match checked {
        Ok(client) => client,
        Err(refused) => return refuse("invalid_redirect_uri", &refused.error),
    };
    let registered = Registered {
        name: client.name,
        redirect_uris: client.redirect_uris,
        issued_at: now().as_second(),
    };
    let client_id = sign(&state.oauth.signing_key, &registered);
    if client_id.len() > MAX_ID_BYTES {
        return refuse("invalid_client_metadata", "redirect_uris: too long in all");
    }
    let answer = json!({
        "client_id": client_id,
        "client_id_issued_at": registered.issued_at,
        "client_name": registered.name,
        "redirect_uris": registered.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    (
        StatusCode::CREATED,
        [("cache-control", "no-store")],
        Json(answer),
    )
        .into_response()
}

/// Returns the program of an id that we signed.
pub(super) fn client(key: &Hash, client_id: &str) -> Option<Client> {
    if client_id.len() > MAX_ID_BYTES {
        return None;
    }
    let (body, signature) = client_id.strip_prefix(PREFIX)?.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    mac(key, body).verify_slice(&signature).ok()?;
    let body = URL_SAFE_NO_PAD.decode(body).ok()?;
    let Registered {
        name,
        redirect_uris,
        ..
    } = serde_json::from_slice(&body).ok()?;
    Client::new(client_id.to_owned(), Some(&name), None, redirect_uris).ok()
}

fn sign(key: &Hash, registered: &Registered) -> String {
    let body = serde_json::to_vec(registered).expect("texts and numbers are JSON");
    let body = URL_SAFE_NO_PAD.encode(body);
    let signature = URL_SAFE_NO_PAD.encode(mac(key, &body).finalize().into_bytes());
    format!("{PREFIX}{body}.{signature}")
}

fn mac(key: &Hash, body: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body.as_bytes());
    mac
}

/// Reads the key that signs, or makes it.
pub(super) async fn signing_key(db: &Database) -> Result<Hash, Fault> {
    let fresh = token::mint_signing_key()?;
    let key = db.write(Sync::Full, move |c| {
        let known = c
            .query_row("SELECT secret FROM oauth_signing_key", [], |row| row.get(0))
            .optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        c.execute(
            "INSERT INTO oauth_signing_key (id, secret) VALUES (1, ?1)",
            [fresh.as_slice()],
        )?;
        Ok(fresh)
    });
    Ok(key.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_good_as_it_was_signed_and_not_otherwise() {
        let key = [7; 32];
        let registered = Registered {
            name: "Editor".to_owned(),
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
            issued_at: 1_790_000_000,
        };
        let id = sign(&key, &registered);
        let found = client(&key, &id).unwrap();
        assert_eq!(found.name, "Editor");
        assert_eq!(found.host, "this computer");
        assert_eq!(found.redirect_uris, registered.redirect_uris);
        assert_eq!(client(&[8; 32], &id), None);
        let (body, signature) = id.strip_prefix(PREFIX).unwrap().split_once('.').unwrap();
        let other = Registered {
            redirect_uris: vec!["https://evil.example/".to_owned()],
            ..registered
        };
        let foreign = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        assert_eq!(
            client(&key, &format!("{PREFIX}{foreign}.{signature}")),
            None
        );
        assert_eq!(client(&key, &format!("{PREFIX}{body}.")), None);
        assert_eq!(client(&key, body), None);
    }
}
