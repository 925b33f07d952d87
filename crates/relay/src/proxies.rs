//! Reverse proxies in front of the relay, and what they say of a request.
//!
//! A header that says where a request came from can be written by anybody. It counts only when the
//! connection comes from a proxy the owner named, and only the kind of header the owner said that
//! proxy writes: a proxy hands the other kind on as the caller wrote it.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, header, uri::Authority};
use ipnet::IpNet;
use serde::Deserialize;

use crate::listener::Peer;

/// The proxies whose word counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Where they are.
    pub trusted: Networks,
    /// Which headers they write.
    pub header: ForwardedHeader,
}

/// Networks, as CIDR blocks or single addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Networks(Vec<IpNet>);

impl TryFrom<Vec<String>> for Networks {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let net = |text: &String| {
            let one = text.parse::<IpAddr>().map(IpNet::from);
            one.or_else(|_| text.parse::<IpNet>())
                .map_err(|_| format!("`{text}` is no network such as `10.0.0.0/8` or `127.0.0.1`"))
        };
        texts.iter().map(net).collect::<Result<_, _>>().map(Self)
    }
}

impl Networks {
    fn include(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }
}

/// The headers by which a proxy says where a request came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// How a request reached the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Who sent it, as far as it is known.
    pub(crate) client: IpAddr,
    /// The name it was asked by, where a proxy says so.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) privacy: Privacy,
}

/// Whether others on the way could read a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// It came over TLS, or did not leave its computer.
    Private,
    /// It came in the clear.
    Clear,
    /// A proxy that counts does not say how it came.
    Unsaid,
    /// It came in the clear from somebody who says to be a proxy, and is not one that counts.
    Unnamed(IpAddr),
}

impl Proxies {
    /// Tells how a request reached the relay.
    pub(crate) fn arrival(&self, peer: Peer, headers: &HeaderMap) -> Arrival {
        let address = canonical(peer.address);
        if !self.trusted.include(address) {
            let privacy = match (peer.is_tls || address.is_loopback(), says_https(headers)) {
                (true, _) => Privacy::Private,
                (false, true) => Privacy::Unnamed(address),
                (false, false) => Privacy::Clear,
            };
            return Arrival {
                client: address,
                host: None,
                privacy,
            };
        }
        let said = match self.header {
            ForwardedHeader::XForwarded => self.x_forwarded(headers),
            ForwardedHeader::Forwarded => self.forwarded(headers),
        };
        let client = said.client.unwrap_or(address);
        let privacy = match said.proto.as_deref() {
            Some(proto) if proto.eq_ignore_ascii_case("https") => Privacy::Private,
            _ if client.is_loopback() => Privacy::Private,
            Some(_) => Privacy::Clear,
            None => Privacy::Unsaid,
        };
        Arrival {
            client,
            host: said.host.and_then(|host| host_value(&host)),
            privacy,
        }
    }

    fn x_forwarded(&self, headers: &HeaderMap) -> Said {
        let addresses = list(headers, "x-forwarded-for");
        Said {
            client: self.client(addresses.iter().map(|text| text.parse().ok())),
            proto: list(headers, "x-forwarded-proto").pop(),
            host: list(headers, "x-forwarded-host").pop(),
        }
    }

    fn forwarded(&self, headers: &HeaderMap) -> Said {
        let hops = list(headers, "forwarded");
        let client = self.client(hops.iter().map(|hop| node(&parameter(hop, "for")?)));
        let nearest = hops.last();
        Said {
            client,
            proto: nearest.and_then(|hop| parameter(hop, "proto")),
            host: nearest.and_then(|hop| parameter(hop, "host")),
        }
    }

    /// Goes back from the nearest hop to the first that is none of ours: what stands before it is
    /// hearsay. A hop that is no address ends the walk.
    fn client(&self, hops: impl DoubleEndedIterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut client = None;
        for hop in hops.rev() {
            let Some(hop) = hop else { break };
            client = Some(hop.to_canonical());
            if !self.trusted.include(hop.to_canonical()) {
                break;
            }
        }
        client
    }
}

/// What a proxy says of a request.
struct Said {
    client: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

/// IPv4 as it is, where it came through a socket of IPv6.
fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// The elements of a header that is a list, however many lines it has.
fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|element| element.trim().to_owned())
        .filter(|element| !element.is_empty())
        .collect()
}

/// A parameter of an element of `Forwarded` (RFC 7239 §4): a token or a quoted text.
fn parameter(hop: &str, name: &str) -> Option<String> {
    hop.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let is_it = key.trim().eq_ignore_ascii_case(name);
        is_it.then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The address of a node (RFC 7239 §6): `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    text.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

fn host_value(host: &str) -> Option<HeaderValue> {
    host.parse::<Authority>().ok()?;
    host.parse().ok()
}

/// Tells whether somebody says to be a proxy that speaks TLS.
fn says_https(headers: &HeaderMap) -> bool {
    let proto = headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
    proto == Some(b"https") || headers.contains_key(header::FORWARDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"].map(str::to_owned);
        Proxies {
            trusted: Networks::try_from(trusted.to_vec()).unwrap(),
            header,
        }
    }

    fn arrival(header: ForwardedHeader, from: &str, headers: &[(&'static str, &str)]) -> Arrival {
        let peer = Peer {
            address: SocketAddr::new(from.parse().unwrap(), 1),
            is_tls: false,
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        proxies(header).arrival(peer, &map)
    }

    fn x(from: &str, headers: &[(&'static str, &str)]) -> (String, Privacy) {
        let arrival = arrival(ForwardedHeader::XForwarded, from, headers);
        (arrival.client.to_string(), arrival.privacy)
    }

    #[test]
    fn only_a_proxy_that_counts_is_believed() {
        use Privacy::{Clear, Private, Unnamed, Unsaid};
        let said = [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-proto", "https"),
        ];
        let stranger = "203.0.113.9";
        assert_eq!(x(stranger, &[]), (stranger.into(), Clear));
        let unnamed = Unnamed(stranger.parse().unwrap());
        assert_eq!(x(stranger, &said), (stranger.into(), unnamed));
        assert_eq!(x("::1", &said), ("::1".into(), Private));
        assert_eq!(x("10.1.2.3", &said), ("198.51.100.7".into(), Private));
        assert_eq!(
            x("::ffff:10.1.2.3", &said),
            ("198.51.100.7".into(), Private)
        );
        assert_eq!(x("10.1.2.3", &said[..1]), ("198.51.100.7".into(), Unsaid));
        let plain = [said[0], ("x-forwarded-proto", "http")];
        assert_eq!(x("10.1.2.3", &plain), ("198.51.100.7".into(), Clear));
        // A proxy on this computer, asked from this computer.
        assert_eq!(x("127.0.0.1", &[]), ("127.0.0.1".into(), Private));
    }

    #[test]
    fn what_a_caller_wrote_itself_is_hearsay() {
        let client = |list: &str| x("10.1.2.3", &[("x-forwarded-for", list)]).0;
        assert_eq!(client("127.0.0.1, 198.51.100.7"), "198.51.100.7");
        assert_eq!(client("127.0.0.1, 198.51.100.7, 10.9.9.9"), "198.51.100.7");
        assert_eq!(client("127.0.0.1, nonsense, 10.9.9.9"), "10.9.9.9");
        assert_eq!(client("2001:db8::1, fd00::1"), "2001:db8::1");
        let lines = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", "198.51.100.7"),
        ];
        assert_eq!(x("10.1.2.3", &lines).0, "198.51.100.7");
        // The kind of header this proxy does not write.
        let forwarded = [("forwarded", "for=127.0.0.1;proto=https")];
        assert_eq!(
            x("10.1.2.3", &forwarded),
            ("10.1.2.3".into(), Privacy::Unsaid)
        );
    }

    #[test]
    fn forwarded_is_read_as_its_standard_says() {
        let read = |text: &str| {
            let arrival = arrival(
                ForwardedHeader::Forwarded,
                "10.1.2.3",
                &[("forwarded", text)],
            );
            let host = arrival.host.map(|host| host.to_str().unwrap().to_owned());
            (arrival.client.to_string(), arrival.privacy, host)
        };
        assert_eq!(
            read(
                r#"for=127.0.0.1;proto=http, For="[2001:db8:cafe::17]:4711";Proto=https;host=relay.example.com"#
            ),
            (
                "2001:db8:cafe::17".into(),
                Privacy::Private,
                Some("relay.example.com".into())
            )
        );
        assert_eq!(read("for=_hidden;proto=http").0, "10.1.2.3");
        assert_eq!(
            read("for=192.0.2.43:80;proto=http"),
            ("192.0.2.43".into(), Privacy::Clear, None)
        );
    }

    #[test]
    fn networks_are_checked() {
        for bad in ["10.0.0.0/33", "example.com", ""] {
            assert!(Networks::try_from(vec![bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
