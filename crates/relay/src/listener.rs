//! Where connections come from: a TCP listener, plain or behind TLS, and who is at the other end.
//!
//! A TLS handshake is carried out beside the others, so that a slow one holds up nobody; there is a
//! bound on how many are under way, and on how long each may take.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use deskhand_protocol::ErrorCode;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::task::AbortOnDropHandle;

/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Handshakes that may be under way at the same time; who comes later waits in the system's queue.
const MAX_HANDSHAKES: usize = 256;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether it speaks TLS with us.
    pub(crate) is_tls: bool,
}

/// An address that means "every interface" is reached on this computer by its loopback.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Takes plain connections.
pub(crate) struct Plain(pub(crate) TcpListener);

impl Listener for Plain {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        at_once(&stream);
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Plain>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Plain>) -> Self {
        Self {
            address: *stream.remote_addr(),
            is_tls: false,
        }
    }
}

/// Takes connections that speak TLS. Dropping it ends the handshakes that are under way.
pub(crate) struct Tls {
    address: SocketAddr,
    shaken: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    _accepting: AbortOnDropHandle<()>,
}

impl Tls {
    pub(crate) fn new(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (hand_over, shaken) = mpsc::channel(1);
        let accepting = tokio::spawn(accept(listener, acceptor, hand_over));
        Ok(Self {
            address,
            shaken,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.shaken.recv().await {
            Some(connection) => connection,
            // The loop behind it never ends by itself.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Tls>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Tls>) -> Self {
        Self {
            address: *stream.remote_addr(),
            is_tls: true,
        }
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    hand_over: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let (stream, address) = Listener::accept(&mut listener).await;
        at_once(&stream);
        let (acceptor, hand_over) = (acceptor.clone(), hand_over.clone());
        tokio::spawn(async move {
            let _place = place;
            let shaken = tokio::select! {
                shaken = timeout(HANDSHAKE_WITHIN, shake_hands(&acceptor, stream)) => shaken,
                () = hand_over.closed() => return,
            };
            match shaken {
                Ok(Ok(Some(stream))) => {
                    // Nobody takes it when the relay ends.
                    let _ = hand_over.send((stream, address)).await;
                }
                Ok(Ok(None)) => tracing::debug!(%address, "answered plain HTTP on a TLS port"),
                Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
            }
        });
    }
}

/// Returns the connection once it speaks TLS; nothing when it speaks plain HTTP and was told so.
async fn shake_hands(
    acceptor: &TlsAcceptor,
    mut stream: TcpStream,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    // A method begins with a capital letter, a TLS record with 22 (RFC 8446 §5.1).
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        refuse_plain(&mut stream).await?;
        return Ok(None);
    }
    acceptor.accept(stream).await.map(Some)
}

/// Tells who speaks plain HTTP here what to do. It is not redirected: its key has been sent in the
/// clear, and would be sent so again.
async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    let error = "this port speaks TLS only";
    let body = serde_json::json!({
        "type": "about:blank", "title": "Bad Request", "status": 400, "detail": error,
        "code": ErrorCode::InsecureTransport, "error": error,
        "hint": "begin the address with https://, and replace a key that was sent in the clear",
    })
    .to_string();
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await?;
    // What it still sends is read, up to a bound, so that the answer is not lost with a reset.
    let mut rest = [0; 16 * 1024];
    let _ = tokio::io::AsyncReadExt::read(stream, &mut rest).await;
    Ok(())
}

/// Answers are small and must not wait for more.
fn at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off Nagle's algorithm");
    }
}
