//! Which hosts a task may reach, and which addresses no name may lead to.
//!
//! Resolves names and connects; decides everything else by text alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpStream;

/// Ports that a rule without a port means.
const USUAL_PORTS: &[u16] = &[443, 80, 22];

/// What may be reached.
#[derive(Debug)]
pub(crate) struct AllowList {
    rules: Vec<Rule>,
    pub(super) resolver: Resolver,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    /// In lower case, without the leading `*.`.
    host: String,
    any_subdomain: bool,
    port: Option<u16>,
}

#[derive(Debug)]
pub(super) enum Resolver {
    /// The system's, and only addresses on the public internet are connected to.
    System,
    /// One address for every name, for tests of the proxy itself.
    #[cfg(test)]
    Fixed(IpAddr),
}

/// Why a connection was refused. The text goes to the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("not a host name")]
    NotAHost,
    #[error("an address instead of a host name")]
    Address,
    #[error("not on the list of allowed hosts")]
    NotAllowed,
    #[error("port not allowed")]
    Port,
    #[error("the name leads to an address that is not public")]
    NotPublic,
    #[error("the name cannot be resolved")]
    Unresolved,
    #[error("the host cannot be reached")]
    Unreachable,
    #[error("not a request this proxy understands")]
    Malformed,
}

impl AllowList {
    /// Reads the rules of a profile. One that makes no sense is an error: it must not silently allow less or more.
    pub(crate) fn new(rules: &[String]) -> Result<Self, String> {
        let rules = rules
            .iter()
            .map(|text| Rule::parse(text).ok_or_else(|| format!("`{text}` is not a host rule")));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            resolver: Resolver::System,
        })
    }

    fn check(&self, host: &str, port: u16) -> Result<(), Refused> {
        let mut matching = self
            .rules
            .iter()
            .filter(|rule| rule.matches(host))
            .peekable();
        matching.peek().ok_or(Refused::NotAllowed)?;
        let permitted = |rule: &Rule| {
            rule.port
                .map_or(USUAL_PORTS.contains(&port), |listed| listed == port)
        };
        if matching.any(permitted) {
            Ok(())
        } else {
            Err(Refused::Port)
        }
    }

    /// Connects to an allowed host, at an address that was checked.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Refused> {
        let host = host_name(host)?;
        self.check(&host, port)?;
        let addresses: Vec<SocketAddr> = match &self.resolver {
            Resolver::System => {
                let resolved = tokio::net::lookup_host((host.as_str(), port))
                    .await
                    .map_err(|_| Refused::Unresolved)?;
                resolved.filter(|address| is_public(address.ip())).collect()
            }
            #[cfg(test)]
            Resolver::Fixed(address) => vec![SocketAddr::new(*address, port)],
        };
        if addresses.is_empty() {
            return Err(Refused::NotPublic);
        }
        TcpStream::connect(&addresses[..])
            .await
            .map_err(|_| Refused::Unreachable)
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port != 0)?)),
            None => (text, None),
        };
        let (name, any_subdomain) = match name.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (name, false),
        };
        Some(Self {
            host: host_name(name).ok()?,
            any_subdomain,
            port,
        })
    }

    fn matches(&self, host: &str) -> bool {
        match self.any_subdomain {
            true => host
                .strip_suffix(&self.host)
                .is_some_and(|rest| rest.ends_with('.')),
            false => host == self.host,
        }
    }
}

/// Reads a host name: letters, digits and hyphens in labels, nothing else, and nothing any parser takes for an address.
pub(super) fn host_name(text: &str) -> Result<String, Refused> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.contains([':', '[']) {
        return Err(Refused::Address);
    }
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(Refused::NotAHost);
    }
    // No top-level domain is a number, in whatever notation: 127.0.0.1, 2130706433, 0x7f.1.
    let last = text.rsplit('.').next().unwrap_or_default();
    if last
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit())
    {
        return Err(Refused::Address);
    }
    Ok(text.to_ascii_lowercase())
}

/// Whether an address is on the public internet: not this machine, not its networks, not a tunnel to either.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || a == 10
        || a == 127
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 192 && b == 168)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113);
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only global unicast is public; within it, what carries an IPv4 address or is no host is not.
    let [first, second, ..] = address.segments();
    let global = (0x2000..0x4000).contains(&first);
    let special = first == 0x2002
        || (first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        || first == 0x3fff;
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &[&str]) -> AllowList {
        AllowList::new(
            &rules
                .iter()
                .map(|rule| (*rule).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap()
    }

    #[test]
    fn hosts_match_exactly_or_below_a_label() {
        let list = allowed(&["one.example", "*.two.example", "three.example:8443"]);
        for (host, port, expected) in [
            ("one.example", 443, Ok(())),
            ("one.example", 80, Ok(())),
            ("one.example", 22, Ok(())),
            ("one.example", 8080, Err(Refused::Port)),
            ("sub.one.example", 443, Err(Refused::NotAllowed)),
            ("a.two.example", 443, Ok(())),
            ("a.b.two.example", 443, Ok(())),
            ("two.example", 443, Err(Refused::NotAllowed)),
            ("eviltwo.example", 443, Err(Refused::NotAllowed)),
            ("three.example", 8443, Ok(())),
            ("three.example", 443, Err(Refused::Port)),
            ("one.example.evil", 443, Err(Refused::NotAllowed)),
        ] {
            assert_eq!(list.check(host, port), expected, "{host}:{port}");
        }
        assert_eq!(
            allowed(&[]).check("one.example", 443),
            Err(Refused::NotAllowed)
        );
    }

    #[test]
    fn only_plain_names_are_hosts() {
        assert_eq!(host_name("Example.COM"), Ok("example.com".into()));
        assert_eq!(
            host_name("xn--mnchen-3ya.example"),
            Ok("xn--mnchen-3ya.example".into())
        );
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a\0.example",
            "a%00b",
            "user@host.example",
            "a b",
            "ex_ample",
            "münchen.example",
            "-a.b",
            "a-.b",
            "a/b",
            "a\\b",
            "a?b",
            "a#b",
            "a\r\nb",
            "a\tb",
            &"a".repeat(64),
            &"a.".repeat(200),
        ] {
            assert_eq!(host_name(bad), Err(Refused::NotAHost), "{bad:?}");
        }
        for bad in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "[::1]",
            "::1",
            "1.2.3.4",
            "a.1",
        ] {
            assert_eq!(host_name(bad), Err(Refused::Address), "{bad:?}");
        }
    }

    #[test]
    fn rules_that_make_no_sense_are_errors() {
        for bad in [
            "",
            "*",
            "*.",
            "https://one.example",
            "one.example:0",
            "one.example:x",
            "one.example/path",
            "10.0.0.1",
            "*.1",
        ] {
            assert!(AllowList::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_public_internet_is_public() {
        for bad in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fec0::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
        for good in [
            "8.8.8.8",
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1",
            "2a00:1450::1",
        ] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let list = allowed(&["localhost"]);
        assert_eq!(
            list.connect("localhost", 80).await.err(),
            Some(Refused::NotPublic)
        );
    }
}
