//! `GET /link`: a device shows its token, says hello and is welcomed.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        State as Extract, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use deskhand_protocol::{
    ErrorCode, Problem,
    limits::{HEARTBEAT, MAX_FRAME_BYTES, SOCKET_BUFFER_BYTES},
    link::{DeviceToRelay, Hello, PROTOCOL_VERSION, RelayToDevice, SUBPROTOCOL, Welcome},
};
use tokio::time::timeout;

use super::{registry::Health, session::Session};
use crate::{State, broker::SessionKey, devices::Device, error::Fault, http};

/// How long a device may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// WebSocket close code: the first message was not a hello this relay understands (RFC 6455 §7.4.1,
/// policy violation).
const CLOSE_BAD_HELLO: u16 = 1008;

/// Takes a device's link.
pub(crate) async fn link(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Some(device) = http::bearer(&headers).and_then(|token| state.devices.check(token)) else {
        let problem = Problem::new(ErrorCode::Unauthorized, "Invalid or missing device token")
            .with_hint("enrol this computer: deskhand enrol --relay URL --code CODE");
        return http::problem(problem).into_response();
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(SOCKET_BUFFER_BYTES)
        .write_buffer_size(SOCKET_BUFFER_BYTES)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .on_upgrade(move |socket| state.clone().track(serve(state, device, socket)))
}

async fn serve(state: State, device: Arc<Device>, mut socket: WebSocket) {
    let hello = match timeout(HELLO_WITHIN, hello(&mut socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(reason)) => return refuse(socket, reason).await,
        Err(_) => return refuse(socket, "no hello within 10 s").await,
    };
    match Box::pin(begin(&state, &device, &hello, &mut socket)).await {
        Ok(session) => session.run(socket).await,
        Err(error) => tracing::error!(device = %device.device_id, %error, "cannot begin a session"),
    }
}

async fn hello(socket: &mut WebSocket) -> Result<Hello, &'static str> {
    let Some(Ok(Message::Text(text))) = socket.recv().await else {
        return Err("the first message is a hello");
    };
    match serde_json::from_str(&text) {
        Ok(DeviceToRelay::Hello(hello)) if hello.protocol == PROTOCOL_VERSION => Ok(hello),
        Ok(DeviceToRelay::Hello(_)) => Err("this relay speaks another protocol version"),
        Ok(_) | Err(_) => Err("the first message is a hello"),
    }
}

async fn refuse(mut socket: WebSocket, reason: &'static str) {
    let frame = CloseFrame {
        code: CLOSE_BAD_HELLO,
        reason: reason.into(),
    };
    // It may be gone already.
    let _ = socket.send(Message::Close(Some(frame))).await;
}

async fn begin(
    state: &State,
    device: &Device,
    hello: &Hello,
    socket: &mut WebSocket,
) -> Result<Session, Fault> {
    let device_id = device.device_id.clone();
    let epoch = state.devices.begin_session(&device_id).await?;
    let stored_through = state.broker.stored_through(hello.store_id).await?;
    // Active before it is welcomed: what is asked from then on goes to this session.
    let health = Health {
        can_execute: hello.can_execute,
        reason: None,
        paused: hello.paused,
    };
    let (handle, queue) = state
        .registry
        .activate(&device_id, epoch, hello.store_id, health);
    let welcome = RelayToDevice::Welcome(Welcome {
        relay_version: env!("CARGO_PKG_VERSION").to_owned(),
        device_id: device_id.clone(),
        session_epoch: epoch,
        heartbeat_seconds: u32::try_from(HEARTBEAT.as_secs()).unwrap_or(u32::MAX),
        stored_through,
        n_approvers: state.registry.n_approvers(&device_id),
    });
    let text = serde_json::to_string(&welcome).expect("a welcome has only string keys");
    // A socket that is gone shows in the session's first read.
    let _ = socket.send(Message::Text(text.into())).await;
    tracing::info!(device = %device.name, %epoch, version = %hello.agent_version, "device connected");
    let key = SessionKey {
        device: device_id,
        epoch,
        store: hello.store_id,
    };
    Ok(Session::new(state.clone(), key, handle, queue))
}
