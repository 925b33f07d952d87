//! One watcher of a device's timeline: a WebSocket, at `/ws/devices/{device}/timeline`.
//!
//! An actor per watcher. It waits on its socket, on the timeline it follows and on its own clock, and
//! keeps nothing: what its watcher missed is in the log. Nobody waits for it.

use std::{sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use deskhand_protocol::{
    Cursor,
    limits::{SUBSCRIBED_BYTES, WATCHER_PING, WATCHER_SILENCE},
    relay_request::Scope,
    timeline::{TimelineFilters, TimelineMessage, WatcherToRelay},
};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use crate::{
    State,
    devices::Device,
    error::Fault,
    feed::WatcherPlace,
    follow::{Beginning, Follow, Next},
    keys::Key,
    timeline::Filter,
};

/// Close code: going away (RFC 6455 §7.4.1); the watcher was silent for too long.
const CLOSE_SILENT: u16 = 1001;

/// Close code: policy violation (RFC 6455 §7.4.1); the key ended.
pub(crate) const CLOSE_POLICY: u16 = 1008;

/// Close code: internal error (RFC 6455 §7.4.1).
const CLOSE_FAILED: u16 = 1011;

/// Close code: service restart (IANA WebSocket close code registry).
pub(crate) const CLOSE_RESTARTING: u16 = 1012;

/// Why a watcher is not served any longer.
pub(crate) enum End {
    /// It went, or does not read.
    Gone,
    /// We close, for this reason.
    Close(u16, &'static str),
}

impl From<Fault> for End {
    fn from(error: Fault) -> Self {
        tracing::error!(%error, "a watcher cannot be served");
        End::Close(CLOSE_FAILED, "the relay failed")
    }
}

/// One watcher.
pub(crate) struct Subscriber {
    pub(crate) state: State,
    pub(crate) socket: WebSocket,
    pub(crate) device: Arc<Device>,
    pub(crate) key: Arc<Key>,
    pub(crate) place: WatcherPlace,
}

impl Subscriber {
    /// Serves it until it goes, is silent for too long, loses its key, or the relay stops.
    pub(crate) async fn run(self) {
        let Subscriber {
            state,
            mut socket,
            device,
            key,
            place: _place,
        } = self;
        let may_approve = key.may(Scope::Approve);
        let _attends = may_approve.then(|| state.registry.attend(&device.device_id));
        let watch = Watch {
            state,
            socket: &mut socket,
            device,
            key,
            heard_at: Instant::now(),
            timeline: None,
        };
        if let End::Close(code, reason) = watch.run().await {
            close(&mut socket, code, reason).await;
        }
    }
}

struct Watch<'a> {
    state: State,
    socket: &'a mut WebSocket,
    device: Arc<Device>,
    key: Arc<Key>,
    heard_at: Instant,
    timeline: Option<Follow>,
}

impl Watch<'_> {
    async fn run(mut self) -> End {
        let stopping = self.state.stopping.clone();
        let mut ping = interval_at(Instant::now() + WATCHER_PING, WATCHER_PING);
        loop {
            let step = tokio::select! {
                // A sign of life is heard before silence is judged.
                biased;
                frame = self.socket.next() => self.on_frame(frame).await,
                () = stopping.cancelled() => {
                    Err(End::Close(CLOSE_RESTARTING, "the relay is restarting"))
                }
                next = next(&mut self.timeline) => self.on_next(next).await,
                _ = ping.tick() => self.on_ping().await,
                () = sleep_until(self.heard_at + WATCHER_SILENCE) => {
                    Err(End::Close(CLOSE_SILENT, "silent for 60 s"))
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn on_frame(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let Some(Ok(frame)) = frame else {
            return Err(End::Gone);
        };
        self.heard_at = Instant::now();
        match frame {
            Message::Text(text) => self.on_text(&text).await,
            Message::Binary(_) => self.refuse("Invalid message: it must be text").await,
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Gone),
        }
    }

    async fn on_text(&mut self, text: &str) -> Result<(), End> {
        match serde_json::from_str(text) {
            Ok(
                WatcherToRelay::Subscribe { bot_id, .. } | WatcherToRelay::Unsubscribe { bot_id },
            ) if !self.is_ours(bot_id.as_deref()) => self.refuse("Invalid bot_id").await,
            Ok(WatcherToRelay::Subscribe {
                filters, cursor, ..
            }) => self.subscribe(filters.unwrap_or_default(), cursor).await,
            Ok(WatcherToRelay::Unsubscribe { .. }) => {
                self.timeline = None;
                let bot_id = self.device.device_id.clone();
                self.say(&TimelineMessage::Unsubscribed { bot_id }).await
            }
            Ok(WatcherToRelay::Ping) => {
                let cursor = self.timeline.as_ref().map(Follow::cursor);
                self.say(&TimelineMessage::Pong { cursor }).await
            }
            Err(error) => self.refuse(&format!("Invalid message: {error}")).await,
        }
    }

    fn is_ours(&self, bot_id: Option<&str>) -> bool {
        bot_id.is_none_or(|id| id == self.device.device_id.as_str() || id == self.device.name)
    }

    async fn subscribe(
        &mut self,
        filters: TimelineFilters,
        cursor: Option<Cursor>,
    ) -> Result<(), End> {
        let filter = Filter::new(filters);
        let begun = Follow::begin(&self.state, &self.device.device_id, filter, cursor).await?;
        let Some((beginning, mut timeline)) = begun else {
            return Err(End::Gone);
        };
        let Beginning { gap, entries } = beginning;
        if let Some((from, to)) = gap {
            self.tell_gap(from, to, true).await?;
        }
        let n_fitting = fitting(&entries);
        if n_fitting < entries.len() {
            timeline.go_back(entries[n_fitting].0 - 1);
        }
        let entries: Vec<&str> = entries[..n_fitting].iter().map(|(_, e)| &**e).collect();
        let text = format!(
            r#"{{"type":"subscribed","bot_id":{},"message":{},"initial_entries":[{}],"cursor":{}}}"#,
            json!(self.device.device_id),
            json!(format!("Connected to timeline for {}", self.device.name)),
            entries.join(","),
            json!(timeline.cursor()),
        );
        self.timeline = Some(timeline);
        self.write([text.into()]).await
    }

    async fn on_next(&mut self, next: Result<Option<Next>, Fault>) -> Result<(), End> {
        match next? {
            Some(Next::Messages(messages)) => self.write(messages).await,
            Some(Next::FellOut(from, to)) => self.tell_gap(from, to, false).await,
            None => Err(End::Gone),
        }
    }

    async fn on_ping(&mut self) -> Result<(), End> {
        if !self.state.keys.still_holds(&self.key) {
            return Err(End::Close(CLOSE_POLICY, "the key ended"));
        }
        send(self.socket, [Message::Ping(Default::default())]).await
    }

    async fn tell_gap(&mut self, from: Cursor, to: Cursor, lost: bool) -> Result<(), End> {
        self.state.metrics.gaps.inc();
        let cursor = match lost {
            true => to.clone(),
            false => from.clone(),
        };
        self.say(&TimelineMessage::Gap {
            from,
            to,
            lost,
            cursor,
        })
        .await
    }

    async fn refuse(&mut self, why: &str) -> Result<(), End> {
        // Any sentence of ours; what it quotes may be longer.
        let message = why.chars().take(200).collect();
        self.say(&TimelineMessage::Error {
            message,
            error_code: 400,
        })
        .await
    }

    async fn say(&mut self, message: &TimelineMessage) -> Result<(), End> {
        let text = serde_json::to_string(message).expect("a message has only string keys");
        self.write([text.into()]).await
    }

    async fn write(&mut self, texts: impl IntoIterator<Item = Utf8Bytes>) -> Result<(), End> {
        send(self.socket, texts.into_iter().map(Message::Text)).await
    }
}

/// Waits for what comes next; for ever while nothing is watched.
async fn next(timeline: &mut Option<Follow>) -> Result<Option<Next>, Fault> {
    match timeline {
        Some(timeline) => timeline.next().await,
        None => std::future::pending().await,
    }
}

/// Returns how many entries fit into `subscribed`.
fn fitting(entries: &[(i64, Utf8Bytes)]) -> usize {
    // Room for what is around them.
    let mut room = SUBSCRIBED_BYTES - 1_024;
    let fits = |entry: &&(i64, Utf8Bytes)| match room.checked_sub(entry.1.len() + 1) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    entries.iter().take_while(fits).count()
}

/// Writes with one flush. Who does not read for as long as one may be silent is gone.
pub(crate) async fn send(
    socket: &mut WebSocket,
    frames: impl IntoIterator<Item = Message>,
) -> Result<(), End> {
    let all = async {
        for frame in frames {
            socket.feed(frame).await?;
        }
        socket.flush().await
    };
    match timeout(WATCHER_SILENCE, all).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

/// Says why a socket is closed, to who still listens.
pub(crate) async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let within = Duration::from_secs(1);
    // It may be gone already.
    let _ = timeout(within, socket.send(Message::Close(Some(frame)))).await;
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::relay_request::{RelayRequest, RelayResponse};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{Options, Relay};

    /// A WebSocket that does what it is told and nothing else: it answers no ping by itself.
    struct Bare(TcpStream);

    const PING: u8 = 9;
    const CLOSE: u8 = 8;

    impl Bare {
        async fn open(address: &str, key: &str) -> Self {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!(
                "GET /ws/devices/desk/timeline HTTP/1.1\r\nHost: {address}\r\n\
                 Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-API-Key: {key}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            assert!(
                head.starts_with(b"HTTP/1.1 101"),
                "{}",
                String::from_utf8_lossy(&head)
            );
            Self(stream)
        }

        /// Reads a short frame: what it is, and what is in it.
        async fn frame(&mut self) -> (u8, Vec<u8>) {
            let kind = self.0.read_u8().await.unwrap() & 0x0f;
            let mut content = vec![0; usize::from(self.0.read_u8().await.unwrap())];
            self.0.read_exact(&mut content).await.unwrap();
            (kind, content)
        }

        async fn pong(&mut self) {
            // Masked with nothing.
            self.0.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_is_silent_for_a_minute_is_closed_and_who_answers_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let relay = Relay::open(Options {
            store: dir.path().join("relay.db"),
            proxies: crate::Proxies::default(),
            allow_plain_http: false,
            public_url: None,
            github: None,
            oauth: crate::OauthOptions::default(),
            viewer: &[],
        })
        .await
        .unwrap();
        relay.enrol("desk", "linux").await.unwrap();
        let create =
            serde_json::json!({"type": "create_key", "name": "w", "scopes": ["devices:read"]});
        let create: RelayRequest = serde_json::from_value(create).unwrap();
        let RelayResponse::KeyCreated { secret, .. } = relay.request(create).await else {
            panic!("no key");
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn({
            let relay = relay.clone();
            async move { relay.listen(listener).await }
        });
        let mut silent = Bare::open(&address, &secret).await;
        let mut answering = Bare::open(&address, &secret).await;

        tokio::time::pause();
        let began = Instant::now();
        let closed = async {
            loop {
                match silent.frame().await {
                    (CLOSE, content) => return (content, began.elapsed().as_secs()),
                    (kind, _) => assert_eq!(kind, PING),
                }
            }
        };
        let answers = async {
            // Two minutes and a half.
            for _ in 0..5 {
                assert_eq!(answering.frame().await.0, PING);
                answering.pong().await;
            }
        };
        let ((content, after), ()) = tokio::join!(closed, answers);
        let (code, reason) = content.split_at(2);
        assert_eq!(u16::from_be_bytes([code[0], code[1]]), CLOSE_SILENT);
        assert_eq!(reason, b"silent for 60 s");
        assert!(
            (59..=61).contains(&after),
            "{after} s of a clock that only moves when all wait"
        );
        serving.abort();
    }
}
