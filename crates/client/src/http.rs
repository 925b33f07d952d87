//! One call to a relay: address, headers, time limit, size limit, and what an answer means.

use std::{sync::Arc, time::Duration};

use deskhand_protocol::{ErrorCode, Problem};
use reqwest::{Method, StatusCode, Url, header::HeaderMap};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Client, Error, OutputPart, Refusal, WebhookAnswer};

/// A relay is near, or it is not there.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an answer may take beyond what the caller asked the relay to wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Largest answer that is read: a page of 100 tasks is far below it.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

pub(crate) fn pool(trust: Option<&rustls::ClientConfig>) -> Result<reqwest::Client, Error> {
    let trust = trust.cloned().unwrap_or_else(nobody);
    reqwest::Client::builder()
        .tls_backend_preconfigured(trust)
        .connect_timeout(CONNECT)
        // A key goes to the relay that was named and nowhere else.
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .user_agent(concat!("deskhand/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::Address {
            url: String::new(),
            reason: causes(&error),
        })
}

/// Trusts nobody: for addresses without TLS.
fn nobody() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

pub(crate) fn relay_url(text: &str, trusts_somebody: bool) -> Result<Url, Error> {
    let bad = |reason: &str| Error::Address {
        url: text.to_owned(),
        reason: reason.to_owned(),
    };
    let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    match url.scheme() {
        "http" => Ok(url),
        "https" if trusts_somebody => Ok(url),
        "https" => Err(bad("this client was given nobody to trust over TLS")),
        _ => Err(bad("it begins with https:// or http://")),
    }
}

/// Returns what a reader knows a relay by.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub(crate) fn unreachable(url: &Url, error: &reqwest::Error) -> Error {
    let url = origin(url);
    if error.is_timeout() && !error.is_connect() {
        return Error::TimedOut { url };
    }
    Error::Unreachable {
        url,
        reason: causes(error),
    }
}

/// Returns the innermost cause: the outer ones repeat the address.
fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.to_string() {
        reason if reason.contains("UnknownIssuer") => format!(
            "{reason}; if the relay's certificate is of your own authority, name that in tls.ca_file"
        ),
        reason => reason,
    }
}

/// A call that is being put together.
pub(crate) struct Call {
    request: reqwest::RequestBuilder,
    url: Url,
    query: Vec<(&'static str, String)>,
    limit: Option<Duration>,
}

impl Call {
    pub(crate) fn new(client: &Client, method: Method, path: &[&str]) -> Self {
        let mut url = client.relay_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = client.http.request(method, url.clone());
        if let Some(key) = &client.key {
            request = request.header("x-api-key", key.expose());
        }
        if let Some(source) = client.source {
            request = request.header("x-deskhand-source", source.as_str());
        }
        Self {
            request,
            url,
            query: Vec::new(),
            limit: Some(PATIENCE),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.query.extend(value.map(|value| (name, value.into())));
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// Allows the answer to take as long as the relay was asked to wait.
    pub(crate) fn patience(mut self, wait: Duration) -> Self {
        self.limit = Some(wait + PATIENCE);
        self
    }

    /// For an answer that goes on; its reader has a limit of its own.
    pub(crate) fn without_time_limit(mut self) -> Self {
        self.limit = None;
        self
    }

    /// Sends it and returns a response that is no refusal.
    pub(crate) async fn response(self) -> Result<reqwest::Response, Error> {
        let url = self.url.clone();
        let response = self.send().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = read(response).await?;
        Err(Error::Refused(Box::new(refusal(&url, status, &body)?)))
    }

    /// Sends it and returns what the body holds.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T, Error> {
        let url = self.url.clone();
        let body = read(self.response().await?).await?;
        serde_json::from_slice(&body).map_err(|error| bad_answer(&url, &error))
    }

    /// Sends it and returns exact bytes.
    pub(crate) async fn output_part(self) -> Result<OutputPart, Error> {
        let url = self.url.clone();
        let response = self.send().await?;
        let (status, total) = (response.status(), total(response.headers()));
        let bytes = read(response).await?;
        match status {
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let refusal = refusal(&url, status, &bytes)?;
                Err(Error::RangeNotKept {
                    reason: refusal.problem.error,
                    hint: refusal.problem.hint,
                })
            }
            status if status.is_success() => Ok(OutputPart { bytes, total }),
            status => Err(Error::Refused(Box::new(refusal(&url, status, &bytes)?))),
        }
    }

    /// Sends it and returns the answer as it is, a refusal too.
    pub(crate) async fn whatever(self) -> Result<WebhookAnswer, Error> {
        let url = self.url.clone();
        let response = self.send().await?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = read(response).await?;
        let body = serde_json::from_slice(&body).map_err(|error| bad_answer(&url, &error))?;
        Ok(WebhookAnswer {
            status,
            retry_after,
            body,
        })
    }

    async fn send(self) -> Result<reqwest::Response, Error> {
        let (client, request) = self.request.build_split();
        let mut request = request.map_err(|error| unreachable(&self.url, &error))?;
        if !self.query.is_empty() {
            request
                .url_mut()
                .query_pairs_mut()
                .extend_pairs(&self.query);
        }
        *request.timeout_mut() = self.limit;
        // The head of an answer that goes on is not allowed to take longer than another's.
        let limit = self.limit.unwrap_or(PATIENCE);
        match tokio::time::timeout(limit, client.execute(request)).await {
            Ok(answer) => answer.map_err(|error| unreachable(&self.url, &error)),
            Err(_) => Err(Error::TimedOut {
                url: origin(&self.url),
            }),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                return Err(Error::BadAnswer {
                    url: origin(response.url()),
                    reason: "it is larger than 8 MiB".to_owned(),
                });
            }
            Ok(None) => return Ok(body),
            Err(error) => return Err(unreachable(response.url(), &error)),
        }
    }
}

fn bad_answer(url: &Url, error: &serde_json::Error) -> Error {
    Error::BadAnswer {
        url: origin(url),
        reason: error.to_string(),
    }
}

/// Reads a problem; a newer relay may know codes that this client does not.
pub(crate) fn refusal(url: &Url, status: StatusCode, body: &[u8]) -> Result<Refusal, Error> {
    let body: serde_json::Value = serde_json::from_slice(body).map_err(|_| Error::BadAnswer {
        url: origin(url),
        reason: format!("HTTP status {status} without a problem in the body"),
    })?;
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let code = serde_json::from_value(body["code"].clone()).unwrap_or(match status {
        StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
        StatusCode::FORBIDDEN => ErrorCode::Forbidden,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::RANGE_NOT_SATISFIABLE => ErrorCode::RangeNotSatisfiable,
        _ => ErrorCode::Internal,
    });
    let error = text("error")
        .or_else(|| text("detail"))
        .unwrap_or_else(|| format!("the relay answered {status}"));
    let mut problem = Problem::new(code, error);
    problem.hint = text("hint");
    Ok(Refusal {
        status: status.as_u16(),
        problem,
        task_id: text("task_id"),
    })
}

/// Reads the length out of `bytes a-b/length` or `bytes */length`; there is none in `bytes a-b/*`.
fn total(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split_once('/')?
        .1
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_says_how_long_the_stream_is() {
        let read = |text: &str| {
            total(&HeaderMap::from_iter([(
                reqwest::header::CONTENT_RANGE,
                text.parse().unwrap(),
            )]))
        };
        assert_eq!(read("bytes 5-9/10"), Some(10));
        assert_eq!(read("bytes */0"), Some(0));
        assert_eq!(read("bytes 5-9/*"), None);
        assert_eq!(read("lines 1-2/3"), None);
    }

    #[test]
    fn an_unknown_code_is_told_by_its_status() {
        let url = Url::parse("http://relay").unwrap();
        let body = br#"{"code":"from_the_future","error":"no","hint":"wait","task_id":"t"}"#;
        let refusal = refusal(&url, StatusCode::FORBIDDEN, body).unwrap();
        assert_eq!(
            refusal,
            Refusal {
                status: 403,
                problem: Problem::new(ErrorCode::Forbidden, "no").with_hint("wait"),
                task_id: Some("t".into()),
            }
        );
        assert!(super::refusal(&url, StatusCode::BAD_GATEWAY, b"<html>").is_err());
    }

    #[test]
    fn only_an_address_of_a_relay_is_taken() {
        for good in ["http://127.0.0.1:1", "http://host/prefix/", "https://host"] {
            assert!(relay_url(good, true).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:1", "ftp://host"] {
            assert!(relay_url(bad, true).is_err(), "{bad}");
        }
        assert!(relay_url("https://host", false).is_err());
    }
}
