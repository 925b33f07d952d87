//! `GET /oauth/authorize`: a program sends the owner's browser here. What is wrong about the program or
//! about where to answer is said on a page; everything else is told to the program, where it asked to be
//! answered.

use std::{collections::HashMap, net::IpAddr};

use axum::{
    Extension,
    extract::{Path, Request, State as Extract},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{ErrorCode, Problem, relay_request::Scope};
use url::{Url, form_urlencoded};

use super::{
    USUAL_SCOPES, clients,
    consents::{self, Look, Wanted},
    issuer, page, redirects, resource,
};
use crate::{State, http::asked_by_own_name, proxies::Arrival};

/// Longest word of its own that a program gets back.
const MAX_STATE_BYTES: usize = 2_048;

/// Where and with what to answer a program.
struct Answer<'a> {
    redirect_uri: &'a str,
    state: Option<&'a str>,
    issuer: &'a str,
}

/// Opens a page for what a program wants.
pub(super) async fn begin(
    Extract(state): Extract<State>,
    Extension(arrival): Extension<Arrival>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    match try_begin(&state, arrival.client, &parts).await {
        Ok(response) => response,
        Err(refused) => page::refused(&refused),
    }
}

async fn try_begin(state: &State, from: IpAddr, parts: &Parts) -> Result<Response, Problem> {
    asked_by_own_name(state, parts)?;
    let query = parts.uri.query().unwrap_or_default();
    let asked = Parameters::read(query)?;
    state.oauth.consents.begin(from)?;
    let client_id = asked.get("client_id");
    let client_id = client_id.ok_or_else(|| clients::invalid("client_id is missing"))?;
    let client = clients::find(state, client_id).await?;
    let redirect_uri = match asked.get("redirect_uri") {
        Some(wanted) if redirects::is_registered(wanted, &client.redirect_uris) => wanted,
        Some(_) => {
            let error = "redirect_uri: not one the program has registered";
            return Err(clients::invalid(error));
        }
        None => return Err(clients::invalid("redirect_uri is missing")),
    };
    let issuer = issuer(state, &parts.headers);
    let answer = Answer {
        redirect_uri,
        state: asked.get("state"),
        issuer: &issuer,
    };
    let checked = match asked.check(&resource(state, &parts.headers)) {
        Ok(checked) => checked,
        Err((error, description)) => return Ok(answer.error(error, description)),
    };
    let wanted = Wanted {
        redirect_uri: redirect_uri.to_owned(),
        challenge: checked.challenge,
        resource: resource(state, &parts.headers),
        scopes: checked.scopes,
        devices: state
            .devices
            .list()
            .iter()
            .map(|device| device.device_id.clone())
            .collect(),
        state: asked.get("state").map(str::to_owned),
        issuer: issuer.clone(),
        client,
    };
    let secret = state.oauth.consents.open(wanted, from)?;
    Ok(see(&format!("{issuer}/consent/{}", secret.expose())))
}

/// `GET /oauth/consent/{secret}`: how the page stands. It looks again by itself.
pub(super) async fn look(
    Extract(state): Extract<State>,
    Path(secret): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let looked = async {
        asked_by_own_name(&state, &parts)?;
        match consents::look(&state, &secret).await? {
            Look::Waiting(waiting) => Ok(page::waiting(&state, &waiting)),
            Look::Allowed(wanted) => {
                let code = state.oauth.codes.make((*wanted).clone())?;
                Ok(Answer::to(&wanted).with(&[("code", code.expose())]))
            }
            Look::Refused(wanted) => {
                let description = "the owner refused, or did not answer within ten minutes";
                Ok(Answer::to(&wanted).error("access_denied", description))
            }
            Look::Unknown => Err(Problem::new(
                ErrorCode::NotFound,
                "this page is over; go back to the program and connect again",
            )),
        }
    };
    looked
        .await
        .unwrap_or_else(|refused: Problem| page::refused(&refused))
}

impl<'a> Answer<'a> {
    fn to(wanted: &'a Wanted) -> Self {
        Self {
            redirect_uri: &wanted.redirect_uri,
            state: wanted.state.as_deref(),
            issuer: &wanted.issuer,
        }
    }

    fn error(&self, error: &str, description: &str) -> Response {
        self.with(&[("error", error), ("error_description", description)])
    }

    /// Sends the browser to the program, with our name (RFC 9207).
    fn with(&self, fields: &[(&str, &str)]) -> Response {
        let mut url = Url::parse(self.redirect_uri).expect("it was registered, and so parsed");
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(fields);
            if let Some(state) = self.state {
                query.append_pair("state", state);
            }
            query.append_pair("iss", self.issuer);
        }
        see(url.as_str())
    }
}

/// Sends a browser elsewhere. Nobody keeps it, and the next page does not hear where it came from.
fn see(address: &str) -> Response {
    let mut headers = HeaderMap::new();
    let location = HeaderValue::try_from(address).expect("addresses are printable");
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    (StatusCode::FOUND, headers).into_response()
}

/// What a program asks for, each once.
struct Parameters(HashMap<String, String>);

/// What was asked for, and can be had.
struct Checked {
    challenge: String,
    scopes: Vec<Scope>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if fields.insert(name.to_string(), value.to_string()).is_some() {
                let error = "a parameter is there twice";
                return Err(clients::invalid(error));
            }
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn check(&self, resource: &str) -> Result<Checked, (&'static str, &'static str)> {
        if self.get("response_type") != Some("code") {
            let description = "response_type is `code`";
            return Err(("unsupported_response_type", description));
        }
        let is_challenge = |text: &str| {
            let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            text.len() == 43 && text.bytes().all(is_base64url)
        };
        // Without a method it would be `plain`, which shows the verifier to whoever sees the address.
        let challenge = match (
            self.get("code_challenge_method"),
            self.get("code_challenge"),
        ) {
            (Some("S256"), Some(challenge)) if is_challenge(challenge) => challenge.to_owned(),
            _ => {
                let description = "a code_challenge by the code_challenge_method `S256` is needed";
                return Err(("invalid_request", description));
            }
        };
        if self
            .get("resource")
            .is_some_and(|wanted| wanted != resource)
        {
            let description = "resource: this relay vouches for its own MCP address only";
            return Err(("invalid_target", description));
        }
        if self
            .get("state")
            .is_some_and(|state| state.len() > MAX_STATE_BYTES)
        {
            return Err(("invalid_request", "state: longer than 2048 bytes"));
        }
        let scopes = scopes(self.get("scope")).ok_or((
            "invalid_scope",
            "scope: none of tasks:read, tasks:run, devices:read, approve",
        ))?;
        Ok(Checked { challenge, scopes })
    }
}

/// Returns what of the wanted scopes a program can have; none when that is nothing. Words we do not know,
/// such as `offline_access`, are left out, and the answer says what was given.
fn scopes(wanted: Option<&str>) -> Option<Vec<Scope>> {
    let Some(wanted) = wanted else {
        return Some(USUAL_SCOPES.to_vec());
    };
    let mut scopes: Vec<Scope> = Vec::new();
    for scope in wanted.split_ascii_whitespace().filter_map(Scope::parse) {
        if scope != Scope::Admin && !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    (!scopes.is_empty()).then_some(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_what_it_names_and_never_everything() {
        assert_eq!(scopes(None), Some(USUAL_SCOPES.to_vec()));
        let named = scopes(Some("tasks:read offline_access approve tasks:read"));
        assert_eq!(named, Some(vec![Scope::TasksRead, Scope::Approve]));
        assert_eq!(scopes(Some("admin")), None);
        assert_eq!(scopes(Some("openid")), None);
    }
}
