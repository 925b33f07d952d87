//! Where a browser may be sent: exactly where the program said beforehand.

use url::{Host, Url};

/// Longest address, in bytes.
pub(super) const MAX_BYTES: usize = 1_024;

/// Schemes that a browser runs or reads itself instead of handing them to a program.
const NOT_A_PROGRAM: [&str; 13] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "javascript",
    "mailto",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// Tells whether an address may be registered: https anywhere, http on the program's own computer, or
/// a scheme of the program's own (RFC 8252); no fragment and no user.
pub(super) fn is_fit(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_plain = text.len() <= MAX_BYTES
        && text.bytes().all(|b| b.is_ascii_graphic())
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_plain
        && match url.scheme() {
            "https" => url.host().is_some(),
            "http" => is_loopback(&url),
            scheme => !NOT_A_PROGRAM.contains(&scheme),
        }
}

/// Tells whether an address is one of those that were registered, to the byte. On the program's own
/// computer the port may be another: it is given when the program runs (RFC 8252, section 7.3).
pub(super) fn is_registered(wanted: &str, registered: &[String]) -> bool {
    is_fit(wanted)
        && registered
            .iter()
            .any(|known| known == wanted || differs_in_port(wanted, known))
}

fn differs_in_port(wanted: &str, known: &str) -> bool {
    let portless = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        // What the parser would have made of it is not the same text.
        if url.scheme() != "http" || !is_loopback(&url) || !is_normal(&url, text) {
            return None;
        }
        url.set_port(None).ok()?;
        Some(url)
    };
    let (wanted, known) = (portless(wanted), portless(known));
    wanted.is_some() && wanted == known
}

/// Tells whether an address is written as its parser writes it.
fn is_normal(url: &Url, text: &str) -> bool {
    url.as_str() == text || url.as_str().strip_suffix('/') == Some(text)
}

/// Tells whether an address is on the computer of whoever opens it.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Returns where an address leads, as a person reads it.
pub(super) fn place(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if is_loopback(&url) => "this computer".to_owned(),
        Ok(url) => match (url.scheme(), url.host_str()) {
            ("https", Some(host)) => host.to_owned(),
            (scheme, _) => format!("the program for {scheme}:"),
        },
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_of_the_computer_itself_or_of_a_program() {
        for fit in [
            "https://claude.ai/api/mcp/auth_callback",
            "http://127.0.0.1:4000/callback",
            "http://[::1]/callback",
            "http://localhost:1/",
            "cursor://anysphere.cursor-retrieval/oauth/callback",
            "com.example.app:/callback",
        ] {
            assert!(is_fit(fit), "{fit}");
        }
        for unfit in [
            "http://example.com/callback",
            "http://localhost.example.com/",
            "https://user@example.com/",
            "https://example.com/#fragment",
            "https://exämple.com/",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "/callback",
            "",
        ] {
            assert!(!is_fit(unfit), "{unfit}");
        }
    }

    #[test]
    fn an_address_has_to_be_the_same_to_the_byte_but_for_the_port_at_home() {
        let known = [
            "https://app.example/cb".to_owned(),
            "http://127.0.0.1/cb?a=b".to_owned(),
            "http://localhost:7/cb".to_owned(),
        ];
        for same in [
            "https://app.example/cb",
            "http://127.0.0.1:5000/cb?a=b",
            "http://localhost:9/cb",
        ] {
            assert!(is_registered(same, &known), "{same}");
        }
        for other in [
            "https://app.example/cb/",
            "https://app.example:444/cb",
            "https://app.example/cb?x=1",
            "https://app.example/x/../cb",
            "https://APP.example/cb",
            "https://app.example.evil.example/cb",
            "http://app.example/cb",
            "http://127.0.0.1:5000/cb",
            "http://127.0.0.1:5000/x/../cb?a=b",
            "http://127.0.0.2:5000/cb?a=b",
            "http://user@localhost:9/cb",
            "http://localhost:9/cb#x",
        ] {
            assert!(!is_registered(other, &known), "{other}");
        }
    }
}
