//! Dials the relay: TCP, the WebSocket handshake with the device's token, `hello` and `welcome`.

use std::time::Duration;

use deskhand_protocol::{
    limits::{MAX_FRAME_BYTES, SOCKET_BUFFER_BYTES},
    link::{DeviceToRelay, Hello, PROTOCOL_VERSION, RelayToDevice, SUBPROTOCOL, Welcome},
};
use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderValue, Request, header},
        protocol::WebSocketConfig,
    },
};

use crate::{device::Device, health::Health};

/// A WebSocket to a relay.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long dialling may take, and how long the relay may take to say welcome.
const WITHIN: Duration = Duration::from_secs(10);

/// Why there is no session.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectError {
    /// The relay does not accept our token.
    #[error("the relay refuses this device: {0}")]
    Refused(String),
    /// It could not be reached, or does not speak our language.
    #[error("{0}")]
    Failed(String),
}

/// A relay that was greeted.
pub(super) struct Connected {
    pub(super) socket: Socket,
    pub(super) welcome: Welcome,
    /// What our hello said of us; it gives no reason.
    pub(super) said: Health,
}

/// Dials the relay and greets it.
pub(super) async fn connect(device: &Device) -> Result<Connected, ConnectError> {
    let request = request(
        &device.config.relay_url,
        device.config.device_token.expose(),
    )?;
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = SOCKET_BUFFER_BYTES;
    config.write_buffer_size = SOCKET_BUFFER_BYTES;
    config.max_message_size = Some(MAX_FRAME_BYTES);
    config.max_frame_size = Some(MAX_FRAME_BYTES);
    let connector = match &device.config.tls {
        Some(trust) => Connector::Rustls(trust.clone()),
        None => Connector::Plain,
    };
    // No Nagle: frames are put together by us, and an answer must not wait for an acknowledgement.
    let dialled = timeout(
        WITHIN,
        connect_async_tls_with_config(request, Some(config), true, Some(connector)),
    )
    .await;
    let (mut socket, _) = dialled
        .map_err(|_| failed("dial the relay: it does not answer"))?
        .map_err(not_connected)?;

    let said = Health {
        reason: None,
        ..device.health.borrow().clone()
    };
    let hello = hello(device, &said);
    let greeted = timeout(WITHIN, greet(&mut socket, hello)).await;
    let welcome = greeted.map_err(|_| failed("greet the relay: it says nothing"))??;
    Ok(Connected {
        socket,
        welcome,
        said,
    })
}

fn request(relay_url: &str, token: &str) -> Result<Request<()>, ConnectError> {
    let base = relay_url.trim_end_matches('/');
    let url = match base.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}/link"),
        Some(("https", rest)) => format!("wss://{rest}/link"),
        _ => return Err(failed(format!("`{relay_url}` is no http or https address"))),
    };
    let mut request = url
        .into_client_request()
        .map_err(|error| failed(format!("read the relay's address: {error}")))?;
    // The token never reaches an error: what is wrong with it is that it is no header value.
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| ConnectError::Refused("the device token is malformed".to_owned()))?;
    bearer.set_sensitive(true);
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, bearer);
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    Ok(request)
}

fn hello(device: &Device, health: &Health) -> DeviceToRelay {
    DeviceToRelay::Hello(Hello {
        protocol: PROTOCOL_VERSION,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        device_name: device.config.device_name.clone(),
        os: device.config.os.clone(),
        store_id: device.store_id,
        next_event: device.recorder.last_seq().next(),
        support: device.support(),
        can_execute: health.can_execute,
        paused: health.paused,
    })
}

async fn greet(socket: &mut Socket, hello: DeviceToRelay) -> Result<Welcome, ConnectError> {
    let hello = serde_json::to_string(&hello).map_err(|error| failed(error.to_string()))?;
    socket
        .send(Message::text(hello))
        .await
        .map_err(not_connected)?;
    while let Some(message) = socket.next().await {
        match message.map_err(not_connected)? {
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(RelayToDevice::Welcome(welcome)) => return Ok(welcome),
                Ok(_) | Err(_) => return Err(failed("greet the relay: it does not say welcome")),
            },
            Message::Close(frame) => {
                let why = frame.map_or_else(String::new, |frame| frame.reason.to_string());
                return Err(failed(format!("greet the relay: it closed the link {why}")));
            }
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
        }
    }
    Err(failed("greet the relay: it closed the link"))
}

fn not_connected(error: Error) -> ConnectError {
    match error {
        Error::Http(response) if matches!(response.status().as_u16(), 401 | 403) => {
            let body = response.body().as_deref().unwrap_or_default();
            let said = String::from_utf8_lossy(&body[..body.len().min(200)]);
            ConnectError::Refused(
                format!("{} {said}", response.status())
                    .trim_end()
                    .to_owned(),
            )
        }
        other => failed(format!("dial the relay: {other}")),
    }
}

fn failed(error: impl Into<String>) -> ConnectError {
    ConnectError::Failed(error.into())
}
