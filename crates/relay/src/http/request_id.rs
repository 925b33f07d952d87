//! `X-Request-ID`: taken from the caller or minted, written into the log of everything a request
//! causes, handed to the device with its task, and given back in the answer.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a caller.
const MAX_BYTES: usize = 128;

/// Gives every request an id and answers with it.
pub(super) async fn name(mut request: Request, next: Next) -> Response {
    let id = of(request.headers()).unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id = %id, %method, path);
    let value = HeaderValue::from_str(&id);
    request.headers_mut().remove(&HEADER);
    if let Ok(value) = &value {
        request.headers_mut().insert(HEADER, value.clone());
    }
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = value {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// Returns the id of a request that came through [`name`].
pub(super) fn of(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(&HEADER)?.to_str().ok()?;
    let plain = id.bytes().all(|b| b.is_ascii_graphic());
    (plain && (1..=MAX_BYTES).contains(&id.len())).then(|| id.to_owned())
}
