//! Documents by which programs name themselves (draft-ietf-oauth-client-id-metadata-document): the id is
//! the address of the document, and whoever holds that host vouches for it.
//!
//! Somebody else says what is fetched here, so it is fetched with care: https only, from an address that
//! belongs to the public internet, without following anybody, 64 KiB within 5 seconds.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use deskhand_protocol::{ErrorCode, Problem};
use reqwest::{
    Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
    redirect::Policy,
};
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::clients::{Client, invalid};

/// How long reading one may take in all.
const WITHIN: Duration = Duration::from_secs(5);

/// Largest document.
const MAX_BYTES: usize = 64 * 1024;

/// Longest address of one.
const MAX_ADDRESS_BYTES: usize = 1_024;

/// Documents that are read at once.
const AT_ONCE: usize = 4;

/// Documents that are remembered; the one that is stale first gives way.
const MAX_KEPT: usize = 64;

/// The longest a document is taken for fresh, whatever its host says.
const LONGEST_FRESH: Duration = Duration::from_secs(24 * 3_600);

/// The documents that were read.
#[derive(Debug)]
pub(super) struct Documents {
    kept: Mutex<HashMap<String, Kept>>,
    turns: Semaphore,
    private_hosts: Arc<[String]>,
}

#[derive(Debug, Clone)]
struct Kept {
    client: Client,
    until: Instant,
}

#[derive(Debug, Deserialize)]
struct Document {
    client_id: String,
    #[serde(default)]
    client_name: Option<String>,
    redirect_uris: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

impl Documents {
    /// Remembers none yet. Of the named hosts, documents are read even at private addresses.
    pub(super) fn new(private_hosts: Vec<String>) -> Self {
        Self {
            kept: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            private_hosts: private_hosts.into(),
        }
    }

    fn fresh(&self, client_id: &str) -> Option<Client> {
        let mut kept = self.lock();
        kept.retain(|_, kept| kept.until > Instant::now());
        kept.get(client_id).map(|kept| kept.client.clone())
    }

    fn keep(&self, client: &Client, fresh_for: Duration) {
        if fresh_for.is_zero() {
            return;
        }
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT
            && let Some((stalest, _)) = kept.iter().min_by_key(|(_, kept)| kept.until)
        {
            let stalest = stalest.clone();
            kept.remove(&stalest);
        }
        let until = Instant::now() + fresh_for.min(LONGEST_FRESH);
        let client = client.clone();
        kept.insert(client.client_id.clone(), Kept { client, until });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the program whose document is at an address.
pub(super) async fn client(documents: &Documents, client_id: &str) -> Result<Client, Problem> {
    let url = address(client_id)?;
    if let Some(client) = documents.fresh(client_id) {
        return Ok(client);
    }
    let _turn = documents.turns.try_acquire().map_err(|_| {
        let error = "too many programs ask to be let in at once";
        Problem::new(ErrorCode::RateLimited, error)
    })?;
    let (document, fresh_for) = fetch(&url, &documents.private_hosts).await?;
    let client = described(&url, client_id, &document)?;
    documents.keep(&client, fresh_for);
    Ok(client)
}

/// Returns the program a document describes.
fn described(url: &Url, client_id: &str, document: &[u8]) -> Result<Client, Problem> {
    let document: Document = serde_json::from_slice(document).map_err(|error| {
        invalid(&format!(
            "client_id: the document there is not one: {error}"
        ))
    })?;
    if document.client_id != client_id {
        return Err(invalid(
            "client_id: the document there is of another program",
        ));
    }
    let method = document.token_endpoint_auth_method.as_deref();
    if method.is_some_and(|method| method.starts_with("client_secret")) {
        return Err(invalid("client_id: a program that is public has no secret"));
    }
    Client::new(
        client_id.to_owned(),
        document.client_name.as_deref(),
        url.host_str(),
        document.redirect_uris,
    )
}

/// Reads the address of a document: https with a path, and nothing that hides where it leads.
fn address(client_id: &str) -> Result<Url, Problem> {
    let unfit = || invalid("client_id: an https address with a path, without user or fragment");
    if client_id.len() > MAX_ADDRESS_BYTES {
        return Err(unfit());
    }
    let url = Url::parse(client_id).map_err(|_| unfit())?;
    let is_fit = url.scheme() == "https"
        && url.as_str() == client_id
        && url.path() != "/"
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match is_fit {
        true => Ok(url),
        false => Err(unfit()),
    }
}

/// Fetches a document; returns it and for how long it is fresh.
async fn fetch(url: &Url, private_hosts: &Arc<[String]>) -> Result<(Vec<u8>, Duration), Problem> {
    // Says too little to tell a stranger what there is in the owner's network.
    let failed = || {
        invalid(
            "client_id: the document cannot be read: it has to be JSON of at most 64 KiB, at a public address, without redirects",
        )
    };
    let is_private_ok = url
        .host_str()
        .is_some_and(|host| private_hosts.iter().any(|known| known == host));
    // A name is looked up by the guard, and an address is not.
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    if literal.is_some_and(|address| !is_private_ok && !is_public(address)) {
        return Err(failed());
    }
    // Fails when the process has a TLS provider already, and then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .https_only(true)
        .redirect(Policy::none())
        .timeout(WITHIN)
        .no_proxy()
        .dns_resolver(Arc::new(Guard { is_private_ok }))
        .build()
        .map_err(|error| {
            tracing::error!(%error, "cannot make an HTTPS client");
            failed()
        })?;
    let answered = http
        .get(url.clone())
        .header(ACCEPT, "application/json")
        .send()
        .await;
    let mut response = match answered {
        Ok(response) if response.status() == 200 && is_json(&response) => response,
        Ok(response) => {
            tracing::info!(%url, status = %response.status(), "no client document there");
            return Err(failed());
        }
        Err(error) => {
            tracing::info!(%url, %error, "cannot read a client document");
            return Err(failed());
        }
    };
    let fresh_for = fresh_for(&response);
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| failed())? {
        document.extend_from_slice(&chunk);
        if document.len() > MAX_BYTES {
            return Err(failed());
        }
    }
    Ok((document, fresh_for))
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

fn fresh_for(response: &Response) -> Duration {
    let values = response.headers().get_all(CACHE_CONTROL).iter();
    let text: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    max_age(&text.join(","))
}

/// Returns for how long an answer is fresh, by RFC 9111; not at all where nothing says so.
fn max_age(cache_control: &str) -> Duration {
    let mut seconds = 0;
    for directive in cache_control.split(',') {
        let directive = directive.trim().to_ascii_lowercase();
        match directive.split_once('=') {
            None if matches!(directive.as_str(), "no-store" | "no-cache") => return Duration::ZERO,
            Some(("max-age", value)) => seconds = value.trim_matches('"').parse().unwrap_or(0),
            _ => {}
        }
    }
    Duration::from_secs(seconds)
}

/// Looks names up, and refuses those that lead anywhere but the public internet. The connection goes to
/// the address that was looked at, so a name cannot lead elsewhere a moment later.
#[derive(Debug)]
struct Guard {
    is_private_ok: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let is_private_ok = self.is_private_ok;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            match is_private_ok || found.iter().all(|address| is_public(address.ip())) {
                true => Ok(Box::new(found.into_iter()) as Addrs),
                false => Err("the name leads to an address that is not public".into()),
            }
        })
    }
}

/// Tells whether an address belongs to the public internet, by the registries of special-purpose
/// addresses (RFC 6890 and its successors).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            let is_special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (18..20).contains(&b));
            !is_special
        }
        IpAddr::V6(address) => {
            if let Some(v4) = address.to_ipv4_mapped() {
                return is_public(v4.into());
            }
            let [a, b, ..] = address.segments();
            // What is given out, without tunnels into other networks and examples.
            let is_tunnel = a == 0x2002 || (a == 0x2001 && b < 0x0200);
            let is_example = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
            (0x2000..0x4000).contains(&a) && !is_tunnel && !is_example
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let public = |address: &str| is_public(address.parse().unwrap());
        for address in [
            "1.1.1.1",
            "93.184.215.14",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
        ] {
            assert!(public(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn a_document_lies_at_an_https_address_that_hides_nothing() {
        assert!(address("https://client.example/oauth.json?v=1").is_ok());
        for unfit in [
            "http://client.example/oauth.json",
            "https://client.example/",
            "https://client.example",
            "https://user@client.example/x",
            "https://client.example/x#y",
            "https://client.example/x/../y",
            "https://CLIENT.example/x",
            "https://0x7f000001/x",
        ] {
            assert!(address(unfit).is_err(), "{unfit}");
        }
    }

    #[test]
    fn a_document_names_its_own_address() {
        let id = "https://client.example/oauth.json";
        let url = Url::parse(id).unwrap();
        let document = |id: &str, more: &str| {
            format!(
                r#"{{"client_id":"{id}","client_name":"Chat","redirect_uris":["https://client.example/cb"]{more}}}"#
            )
        };
        let found = described(&url, id, document(id, "").as_bytes()).unwrap();
        assert_eq!(
            (found.name.as_str(), found.host.as_str()),
            ("Chat", "client.example")
        );
        let other = document("https://client.example/other.json", "");
        assert!(described(&url, id, other.as_bytes()).is_err());
        let secret = document(id, r#","token_endpoint_auth_method":"client_secret_post""#);
        assert!(described(&url, id, secret.as_bytes()).is_err());
        assert!(described(&url, id, b"<html>").is_err());
    }

    #[test]
    fn a_document_is_fresh_as_long_as_its_host_says() {
        assert_eq!(max_age("public, max-age=600"), Duration::from_secs(600));
        for never in [
            "",
            "no-store",
            "max-age=600, no-cache",
            "private",
            "max-age=x",
        ] {
            assert_eq!(max_age(never), Duration::ZERO, "{never}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused() {
        let guard = Guard {
            is_private_ok: false,
        };
        let found = guard.resolve("localhost".parse().unwrap()).await;
        assert!(found.is_err());
    }
}
