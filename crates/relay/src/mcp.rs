//! The door for MCP clients: streamable HTTP, for the revisions that begin with `initialize` and for
//! 2026-07-28, which has no sessions, on one path; at `/mcp` with an OAuth token, at `/key/mcp` with a key.
//!
//! A request goes through three gates before the protocol sees it: the key or token, which is checked on
//! every request; the owner of the session it names, who has to be the same; and the size of its body.
//! The names the relay may be called by (`Host`) and the pages it may be called from (`Origin`) are
//! checked behind them. The mount that takes a key advertises nothing else: a client that finds out about
//! OAuth drops the key it was given.
//!
//! Nothing here knows what a task is: see [`crate::tools`]. Only this module knows `rmcp`.

mod approval;
mod calls;
mod server;
mod sessions;
mod tasks;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as Extract},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{ErrorCode, Problem, relay_request::Scope};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};

use serde::Deserialize;

pub(crate) use self::approval::Seal;
use self::{
    server::Server,
    sessions::{SESSION_HEADER, Sessions},
};
use crate::{
    State,
    http::{Caller, access_token, problem, read_body},
    oauth,
    tools::Tool,
};

/// How often a quiet stream shows that it is alive; a client that went away is noticed by it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a session may be idle. Clients that are told that theirs is over do not all begin another
/// by themselves, and one costs little.
const IDLE: Duration = Duration::from_secs(4 * 3_600);

/// Mounts the door.
pub(crate) fn router(state: &State) -> Router<State> {
    let mut manager = LocalSessionManager::default();
    manager.session_config.keep_alive = Some(IDLE);
    let manager = Arc::new(manager);
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(allowed_hosts(state))
        .with_allowed_origins(own_origins(state))
        .enforce_origin_validation()
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_cancellation_token(state.stopping.child_token());
    let behind = state.clone();
    let service = StreamableHttpService::new(
        move || Ok(Server::new(behind.clone())),
        manager.clone(),
        config,
    );
    let sessions = Sessions::new(manager);
    let mount = |path, takes| {
        let gate = Gate {
            state: state.clone(),
            sessions: sessions.clone(),
            takes,
        };
        Router::new()
            .route_service(path, service.clone())
            .layer(from_fn_with_state(gate, pass))
    };
    mount("/key/mcp", Takes::Key).merge(mount("/mcp", Takes::Token))
}

/// What a mount takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// A caller key.
    Key,
    /// An OAuth access token.
    Token,
}

/// What the gates look at.
#[derive(Clone)]
struct Gate {
    state: State,
    sessions: Sessions,
    takes: Takes,
}

impl Gate {
    /// Returns who asks, or how whoever it is is told that this mount is not for them.
    #[expect(
        clippy::result_large_err,
        reason = "the refusal is the response, made once and sent at once"
    )]
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        let token = access_token(headers);
        match (self.takes, token) {
            (Takes::Key, None) => Caller::of(&self.state, headers).map_err(needs_key),
            (Takes::Key, Some(_)) => {
                let error = "this address takes a caller key; OAuth tokens are for /mcp";
                Err(needs_key(Problem::new(ErrorCode::Unauthorized, error)))
            }
            (Takes::Token, Some(token)) => match oauth::authenticate(&self.state, headers, token) {
                Some(key) => Ok(Caller::with(key, headers)),
                None => Err(self.needs_token(headers, Some("invalid_token"))),
            },
            (Takes::Token, None) => Err(self.needs_token(headers, None)),
        }
    }

    /// Says where a program that needs a token asks for one.
    fn needs_token(&self, headers: &HeaderMap, error: Option<&str>) -> Response {
        let problem = Problem::new(ErrorCode::Unauthorized, "an OAuth access token is needed")
            .with_hint("with a caller key, use /key/mcp");
        let challenge = oauth::challenge(&self.state, headers, error, None);
        challenged(problem, challenge)
    }

    /// Refuses a call that a program's scopes do not cover, and says which would.
    fn lacks_scope(&self, caller: &Caller, headers: &HeaderMap, body: &[u8]) -> Option<Response> {
        if self.takes == Takes::Key {
            return None;
        }
        let lacks = lacking(caller, body)?;
        let error = format!("this program lacks the scope `{}`", lacks.as_str());
        let mut scopes = caller.key.view.scopes.clone();
        scopes.push(lacks);
        let challenge = oauth::challenge(
            &self.state,
            headers,
            Some("insufficient_scope"),
            Some(&scopes),
        );
        let problem = Problem::new(ErrorCode::Forbidden, error);
        Some(challenged(problem, challenge))
    }
}

/// Returns the scope a tool call needs that its caller has not.
fn lacking(caller: &Caller, body: &[u8]) -> Option<Scope> {
    #[derive(Deserialize)]
    struct Call {
        method: String,
        params: Params,
    }
    #[derive(Deserialize)]
    struct Params {
        name: String,
    }
    let call: Call = serde_json::from_slice(body).ok()?;
    let tool = Tool::named(&call.params.name).filter(|_| call.method == "tools/call")?;
    (!tool.is_open_to(caller)).then(|| tool.scopes()[0])
}

async fn pass(Extract(gate): Extract<Gate>, request: Request, next: Next) -> Response {
    let caller = match gate.caller(request.headers()) {
        Ok(caller) => caller,
        Err(refused) => return refused,
    };
    let named = request
        .headers()
        .get(SESSION_HEADER)
        .map(|id| id.to_str().unwrap_or_default().to_owned());
    if let Some(session) = &named
        && !gate.sessions.is_of(session, &caller)
    {
        return no_such_session();
    }
    let (mut parts, body) = request.into_parts();
    // What goes further needs no secret, and cannot log one.
    strip(&mut parts.headers);
    parts.extensions.insert(caller.clone());
    let body = match parts.method {
        Method::POST => match read_body(Request::new(body)).await {
            Ok(body) => match gate.lacks_scope(&caller, &parts.headers, &body) {
                Some(refused) => return refused,
                None => Body::from(body),
            },
            Err(refused) => return problem(refused),
        },
        _ => Body::empty(),
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    let opened = response.headers().get(SESSION_HEADER);
    if let (None, Some(id)) = (named, opened.and_then(|id| id.to_str().ok())) {
        gate.sessions.opened(id, &caller).await;
    }
    response
}

fn strip(headers: &mut HeaderMap) {
    for name in ["authorization", "x-api-key", "cookie"] {
        headers.remove(name);
    }
}

/// A key is needed, and no other way in is spoken of.
fn needs_key(refused: Problem) -> Response {
    challenged(
        refused,
        HeaderValue::from_static("Bearer realm=\"deskhand\""),
    )
}

fn challenged(refused: Problem, challenge: HeaderValue) -> Response {
    let mut response = problem(refused);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// What somebody else's session looks like: the same as none. The client begins a new one.
fn no_such_session() -> Response {
    let mut response = problem(Problem::new(
        ErrorCode::NotFound,
        "there is no such session; begin one with `initialize`",
    ));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.into_response()
}

/// The names by which the relay may be called: the one its owner gave it, the one it listens at, and
/// this computer's own.
fn allowed_hosts(state: &State) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut hosts = Vec::from(own);
    hosts.extend(authority(&state.url()).map(|authority| authority.host().to_owned()));
    hosts
}

/// The only pages that may call: the relay's own. Clients that are no pages send no `Origin`.
fn own_origins(state: &State) -> Vec<String> {
    let url = state.url();
    let Some(authority) = authority(&url) else {
        return Vec::new();
    };
    let (scheme, usual_port) = match url.starts_with("https:") {
        true => ("https", 443),
        false => ("http", 80),
    };
    let port = authority.port_u16().unwrap_or(usual_port);
    let hosts = match authority.host() {
        // One page by two names.
        host @ "127.0.0.1" => vec![host, "localhost"],
        host => vec![host],
    };
    hosts
        .iter()
        .map(|host| format!("{scheme}://{host}:{port}"))
        .collect()
}

fn authority(url: &str) -> Option<Authority> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?']).next()?.parse().ok()
}
