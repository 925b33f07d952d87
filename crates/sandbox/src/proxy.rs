//! The allow-list proxy: the only thing a task with `network: allow` can reach.
//!
//! It answers a socket that listens inside the task's network namespace and connects from ours. It owns those connections
//! and waits on nothing else; it ends with the [`Child`](crate::Child). HTTP `CONNECT`, absolute-form HTTP and SOCKS5 with
//! host names are understood. Names are resolved here, once, and the connection goes to the address that was checked.
//! What travels is never looked into: an allowed host is a way out for anything the task can read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections of one task at a time; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to say where it wants to go, and a server to accept.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(15);

/// Longest head of an HTTP request.
const HEAD_BYTES: usize = 16 * 1024;

/// Ports that a rule without a port means.
const USUAL_PORTS: &[u16] = &[443, 80, 22];

/// What may be reached.
#[derive(Debug)]
pub(crate) struct AllowList {
    rules: Vec<Rule>,
    resolver: Resolver,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    /// In lower case, without the leading `*.`.
    host: String,
    any_subdomain: bool,
    port: Option<u16>,
}

#[derive(Debug)]
enum Resolver {
    /// The system's, and only addresses on the public internet are connected to.
    System,
    /// One address for every name, for tests of the proxy itself.
    #[cfg(test)]
    Fixed(IpAddr),
}

/// Why a connection was refused. The text goes to the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
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

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Refused> {
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
fn host_name(text: &str) -> Result<String, Refused> {
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

/// Answers `listener` until the task that runs this is aborted.
pub(crate) async fn serve(listener: TcpListener, allowed: AllowList) {
    let allowed = Arc::new(allowed);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut running = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        // An error concerns one connection that is gone already.
        if let Ok((client, _)) = listener.accept().await {
            let allowed = Arc::clone(&allowed);
            running.spawn(async move {
                answer(client, &allowed).await;
                drop(permit);
            });
        }
        while running.try_join_next().is_some() {}
    }
}

/// Serves one connection and logs what was decided: host, port and byte counts, nothing of what travelled.
async fn answer(mut client: TcpStream, allowed: &AllowList) {
    let Ok(Ok(request)) = tokio::time::timeout(HANDSHAKE_WITHIN, Request::read(&mut client)).await
    else {
        return;
    };
    let Request {
        kind,
        host,
        port,
        head,
    } = request;
    let connected = tokio::time::timeout(HANDSHAKE_WITHIN, allowed.connect(&host, port));
    let connected = match kind {
        Kind::Unknown => Err(Refused::Malformed),
        _ => connected.await.unwrap_or(Err(Refused::Unreachable)),
    };
    let shown = host_name(&host).unwrap_or_else(|_| "(not a host name)".into());
    let server = match connected {
        Ok(server) => server,
        Err(reason) => {
            tracing::info!(host = shown, port, %reason, "network refused");
            return kind.refuse(&mut client, reason).await;
        }
    };
    let (sent, received) = kind.relay(client, server, &head).await;
    tracing::info!(host = shown, port, sent, received, "network allowed");
}

/// What a client asked for.
#[derive(Debug)]
struct Request {
    kind: Kind,
    host: String,
    port: u16,
    /// What goes to the server before anything else.
    head: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Http,
    Socks,
    Unknown,
}

impl Request {
    async fn read(client: &mut TcpStream) -> std::io::Result<Self> {
        let mut first = [0];
        client.read_exact(&mut first).await?;
        match first[0] {
            5 => Self::read_socks(client).await,
            first => Self::read_http(client, first).await,
        }
    }

    fn unknown() -> Self {
        Self {
            kind: Kind::Unknown,
            host: String::new(),
            port: 0,
            head: Vec::new(),
        }
    }

    async fn read_http(client: &mut TcpStream, first: u8) -> std::io::Result<Self> {
        let mut head = vec![first];
        // Byte by byte: what follows the head is not ours to read. It is small, and comes once per connection.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= HEAD_BYTES {
                return Ok(Self::unknown());
            }
            head.push(client.read_u8().await?);
        }
        Ok(parse_http(&head).unwrap_or_else(Self::unknown))
    }

    async fn read_socks(client: &mut TcpStream) -> std::io::Result<Self> {
        const NO_AUTHENTICATION: u8 = 0;
        let mut methods = vec![0; client.read_u8().await?.into()];
        client.read_exact(&mut methods).await?;
        if !methods.contains(&NO_AUTHENTICATION) {
            client.write_all(&[5, 0xff]).await?;
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        client.write_all(&[5, NO_AUTHENTICATION]).await?;
        let mut start = [0; 4];
        client.read_exact(&mut start).await?;
        let host = match start {
            [5, 1, 0, 3] => {
                let mut name = vec![0; client.read_u8().await?.into()];
                client.read_exact(&mut name).await?;
                String::from_utf8(name).unwrap_or_default()
            }
            // An address: the name it came from is unknown, so no rule can allow it.
            [5, 1, 0, 1] => {
                let mut octets = [0; 4];
                client.read_exact(&mut octets).await?;
                Ipv4Addr::from(octets).to_string()
            }
            [5, 1, 0, 4] => {
                let mut octets = [0; 16];
                client.read_exact(&mut octets).await?;
                Ipv6Addr::from(octets).to_string()
            }
            _ => {
                return Ok(Self {
                    kind: Kind::Socks,
                    ..Self::unknown()
                });
            }
        };
        let port = client.read_u16().await?;
        Ok(Self {
            kind: Kind::Socks,
            host,
            port,
            head: Vec::new(),
        })
    }
}

/// Reads an HTTP request's head. One in absolute form is rewritten for the server: the path alone, the host we checked,
/// and no second request on the same connection.
fn parse_http(head: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(head).ok()?;
    if text
        .bytes()
        .any(|byte| byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t'))
    {
        return None;
    }
    let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
    let words: Vec<&str> = lines.next()?.split(' ').collect();
    let &[method, target, version] = words.as_slice() else {
        return None;
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0")
        || text.replace("\r\n", "").contains(['\r', '\n'])
    {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = target.rsplit_once(':')?;
        return Some(Request {
            kind: Kind::Connect,
            host: host.into(),
            port: port.parse().ok()?,
            head: Vec::new(),
        });
    }
    let rest = target.strip_prefix("http://")?;
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, 80),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut rewritten =
        format!("{method} {slash}{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for line in lines {
        let name = line.split_once(':')?.0.trim().to_ascii_lowercase();
        let hop = ["host", "connection", "keep-alive", "upgrade", "te"].contains(&name.as_str())
            || name.starts_with("proxy-");
        // A line that begins with a blank continues the one before, which we may have left out.
        if line.starts_with([' ', '\t']) {
            return None;
        }
        if !hop {
            rewritten.push_str(line);
            rewritten.push_str("\r\n");
        }
    }
    rewritten.push_str("\r\n");
    Some(Request {
        kind: Kind::Http,
        host: host.into(),
        port,
        head: rewritten.into_bytes(),
    })
}

impl Kind {
    /// Says no in the client's language. It may be gone, and nobody minds.
    async fn refuse(self, client: &mut TcpStream, reason: Refused) {
        const NOT_ALLOWED: u8 = 2;
        let answer = match self {
            Kind::Socks => vec![5, NOT_ALLOWED, 0, 1, 0, 0, 0, 0, 0, 0],
            Kind::Connect | Kind::Http | Kind::Unknown => {
                let status = match reason {
                    Refused::Malformed => "400 Bad Request",
                    Refused::Unresolved | Refused::Unreachable => "502 Bad Gateway",
                    _ => "403 Forbidden",
                };
                let text = format!("deskhand: {reason}\n");
                let length = text.len();
                format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}")
                    .into_bytes()
            }
        };
        let _ = client.write_all(&answer).await;
        let _ = client.shutdown().await;
    }

    /// Passes bytes both ways until both are done; returns how many went out and came in.
    async fn relay(self, mut client: TcpStream, mut server: TcpStream, head: &[u8]) -> (u64, u64) {
        let greeting: &[u8] = match self {
            Kind::Connect => b"HTTP/1.1 200 Connection Established\r\n\r\n",
            Kind::Socks => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            Kind::Http | Kind::Unknown => b"",
        };
        if client.write_all(greeting).await.is_err() || server.write_all(head).await.is_err() {
            return (0, 0);
        }
        let mut counted = (head.len() as u64, 0);
        if let Ok((sent, received)) = tokio::io::copy_bidirectional(&mut client, &mut server).await
        {
            counted = (counted.0 + sent, received);
        }
        counted
    }
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

    #[test]
    fn http_requests_are_read_strictly_and_rewritten() {
        let read = |text: &str| {
            parse_http(text.as_bytes()).map(|request| (request.kind, request.host, request.port))
        };
        assert_eq!(
            read("CONNECT a.example:443 HTTP/1.1\r\n\r\n"),
            Some((Kind::Connect, "a.example".into(), 443))
        );
        assert_eq!(
            read("GET http://a.example/x HTTP/1.1\r\n\r\n"),
            Some((Kind::Http, "a.example".into(), 80))
        );
        for bad in [
            "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET https://a.example/ HTTP/1.1\r\n\r\n",
            "GET  http://a.example/ HTTP/1.1\r\n\r\n",
            "CONNECT a.example HTTP/1.1\r\n\r\n",
            "CONNECT a.example:443 HTTP/2\r\n\r\n",
            "GET http://a.example/ HTTP/1.1\r\nA: b\nHost: c\r\n\r\n",
            "GET http://a.example/ HTTP/1.1\r\nHost: b\r\n c\r\n\r\n",
            "GET http://a.example/\0 HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        // Whatever stands before an @ is part of what is checked as a name, and refused there.
        assert_eq!(
            read("GET http://ok@evil.example/ HTTP/1.1\r\n\r\n")
                .unwrap()
                .1,
            "ok@evil.example"
        );
        let head = "POST http://a.example:80?q HTTP/1.1\r\nHost: evil\r\nProxy-Authorization: x\r\nConnection: keep-alive\r\nA: b\r\n\r\n";
        let rewritten = String::from_utf8(parse_http(head.as_bytes()).unwrap().head).unwrap();
        assert_eq!(
            rewritten,
            "POST /?q HTTP/1.1\r\nHost: a.example:80\r\nConnection: close\r\nA: b\r\n\r\n"
        );
    }

    /// A proxy for `rules` before a server that answers what it was sent, in capitals.
    async fn proxy(rules: &[&str]) -> (SocketAddr, u16) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                tokio::spawn(async move {
                    let mut bytes = [0; 1024];
                    let n = client.read(&mut bytes).await.unwrap();
                    client
                        .write_all(&bytes[..n].to_ascii_uppercase())
                        .await
                        .unwrap();
                });
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rules: Vec<String> = rules
            .iter()
            .map(|rule| rule.replace("PORT", &port.to_string()))
            .collect();
        let mut list = AllowList::new(&rules).unwrap();
        list.resolver = Resolver::Fixed(Ipv4Addr::LOCALHOST.into());
        tokio::spawn(serve(listener, list));
        (address, port)
    }

    async fn exchange(address: SocketAddr, parts: &[&[u8]]) -> Vec<u8> {
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut answer = Vec::new();
        for part in parts {
            client.write_all(part).await.unwrap();
            let mut bytes = [0; 1024];
            let n = client.read(&mut bytes).await.unwrap();
            answer.extend_from_slice(&bytes[..n]);
        }
        answer
    }

    #[tokio::test]
    async fn connect_http_and_socks_reach_an_allowed_host_and_no_other() {
        let (address, port) = proxy(&["ok.example:PORT"]).await;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();

        let connect = format!("CONNECT ok.example:{port} HTTP/1.1\r\n\r\n");
        assert!(
            text(exchange(address, &[connect.as_bytes(), b"hello"]).await)
                .ends_with("\r\n\r\nHELLO")
        );
        let http = format!("GET http://ok.example:{port}/ HTTP/1.1\r\n\r\n");
        assert!(
            text(exchange(address, &[http.as_bytes()]).await)
                .starts_with("GET / HTTP/1.1\r\nHOST: OK.EXAMPLE")
        );
        let socks = |host: &[u8]| {
            [
                &[5, 1, 0, 3, host.len() as u8][..],
                host,
                &port.to_be_bytes(),
            ]
            .concat()
        };
        let answer = exchange(address, &[&[5, 1, 0], &socks(b"ok.example"), b"hello"]).await;
        assert_eq!(
            answer,
            [&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"HELLO"].concat()
        );

        for host in [
            "no.example",
            "ok.example.",
            "ok.example@no.example",
            "127.0.0.1",
            "ok.example%00.no.example",
        ] {
            let connect = format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n");
            assert!(
                text(exchange(address, &[connect.as_bytes()]).await).starts_with("HTTP/1.1 403 "),
                "{host}"
            );
        }
        assert!(
            text(exchange(address, &[b"CONNECT ok.example:1 HTTP/1.1\r\n\r\n"]).await)
                .contains("port not allowed")
        );
        for host in [&b"no.example"[..], b"ok.example\0no.example", b"127.0.0.1"] {
            assert_eq!(
                exchange(address, &[&[5, 1, 0], &socks(host)]).await[2..4],
                [5, 2]
            );
        }
        let by_address = [&[5, 1, 0, 1, 127, 0, 0, 1][..], &port.to_be_bytes()].concat();
        assert_eq!(
            exchange(address, &[&[5, 1, 0], &by_address]).await[2..4],
            [5, 2]
        );
        assert_eq!(exchange(address, &[&[5, 1, 2]]).await, [5, 0xff]);
        assert!(text(exchange(address, &[b"nonsense\r\n\r\n"]).await).starts_with("HTTP/1.1 400 "));
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
