//! How a request reached the relay, and whether it may show a key: one that others could read on its
//! way is refused.
//!
//! It is refused and not redirected: a caller that is redirected goes on sending its key in the clear
//! and never notices (draft-ietf-httpapi-privacy, *Protecting Credentials in HTTP APIs*).

use axum::{
    extract::{ConnectInfo, Request, State as Extract},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};
use deskhand_protocol::{ErrorCode, Problem};

use super::{auth, error::problem, session};
use crate::{State, listener::Peer, proxies::Privacy};

/// Finds out how a request came and lets it pass, or refuses it.
pub(super) async fn admit(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrival = state.proxies.arrival(peer, request.headers());
    if arrival.privacy != Privacy::Private && !state.allow_plain_http && shows_a_secret(&request) {
        return problem(insecure(&state, arrival.privacy));
    }
    if let Some(host) = arrival.host.clone() {
        request.headers_mut().insert(header::HOST, host);
    }
    request.extensions_mut().insert(arrival);
    next.run(request).await
}

/// Tells whether a request has a key, or may have one in its body: a pairing code, a key that signs a
/// browser in, an OAuth code. A hook's body is signed, and the signature gives nothing away.
fn shows_a_secret(request: &Request) -> bool {
    let headers = request.headers();
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let in_body = !reads && !request.uri().path().starts_with("/hooks/");
    in_body || has_a_key(headers)
}

fn has_a_key(headers: &HeaderMap) -> bool {
    auth::presented(headers).is_some()
        || headers.contains_key(header::AUTHORIZATION)
        || auth::ticket(headers).is_some()
        || session::presented(headers).is_some()
}

fn insecure(state: &State, privacy: Privacy) -> Problem {
    let (error, hint) = match privacy {
        Privacy::Unsaid => (
            "the proxy does not say whether this came over TLS".to_owned(),
            "have it set X-Forwarded-Proto, or Forwarded, as relay.forwarded_header says"
                .to_owned(),
        ),
        Privacy::Unnamed(proxy) => (
            format!("this came in the clear from {proxy}, which is no proxy the owner named"),
            format!("if it is your proxy, add it to relay.trusted_proxies: [\"{proxy}\"]"),
        ),
        Privacy::Clear | Privacy::Private => (
            "this relay takes no keys over plain HTTP".to_owned(),
            match state.public_url().filter(|url| url.starts_with("https://")) {
                Some(url) => format!("use {url}, and replace the key that was sent in the clear"),
                None => {
                    "give it a certificate (--tls-cert, --tls-key) or a proxy that speaks TLS; \
                         relay.allow_plain_http is for networks you trust"
                        .to_owned()
                }
            },
        ),
    };
    Problem::new(ErrorCode::InsecureTransport, error).with_hint(hint)
}
