//! The viewer's pages, as whoever embeds the relay gives them to it.
//!
//! The pages run no script and no style but their own files: the policy below has no exception, so
//! that output of a task that found its way into a page as markup would still do nothing.

use axum::{
    extract::{Request, State as Extract},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::{health, not_found, problem, session};
use crate::{State, ViewerFile};

/// What is shown where the program was built without the viewer.
const NOT_BUILT: ViewerFile = ViewerFile {
    path: "index.html",
    content:
        b"<!doctype html><title>Deskhand</title><p>This program was built without the viewer. \
        Build it with <code>cargo xtask viewer</code>, then build the program again.",
    gzip: None,
};

/// `GET /`: the viewer for a browser, the relay's health for everybody else.
pub(super) async fn root(Extract(state): Extract<State>, request: Request) -> Response {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !accept.contains("text/html") {
        return health::root(Extract(state)).await.into_response();
    }
    let index = state.viewer.iter().find(|file| file.path == "index.html");
    let file = *index.unwrap_or(&NOT_BUILT);
    serve(&state, file, request)
}

/// Everything no other door answers: the other files of the viewer.
pub(super) async fn file(Extract(state): Extract<State>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let found = state.viewer.iter().find(|file| file.path == path).copied();
    match found {
        Some(file) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            serve(&state, file, request)
        }
        _ => not_found().await,
    }
}

fn serve(state: &State, file: ViewerFile, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let host = match session::asked_by_own_name(state, &parts) {
        Ok(host) => host,
        Err(refused) => return problem(refused),
    };
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| {
        // None of them holds anything but printable characters: the host was parsed.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    // Vite names what lies in `assets` by its content; everything else is asked for again.
    let is_named_by_content = file.path.starts_with("assets/");
    set(
        header::CACHE_CONTROL,
        match is_named_by_content {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        },
    );
    set(header::CONTENT_TYPE, content_type(file.path));
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::VARY, "Accept, Accept-Encoding");
    set(
        header::CONTENT_SECURITY_POLICY,
        // Safari 15 does not count sockets as `self`.
        &format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self' ws://{host} wss://{host}; manifest-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    );
    set(
        header::HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    let etag = format!("\"{}\"", hex(&Sha256::digest(file.content)[..12]));
    set(header::ETAG, &etag);
    let known = parts.headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let accepts_gzip = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    match file.gzip {
        Some(gzip) if accepts_gzip => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (headers, gzip).into_response()
        }
        _ => (headers, file.content).into_response(),
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
