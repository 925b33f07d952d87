//! A device's timeline as a stream that comes back by itself.
//!
//! It dials for ever: full jitter, 250 ms doubling to 4 s, and to 30 s when the relay has been away for five
//! minutes, quickly after a polite close. It goes on from the cursor of the last entry it gave out. It
//! waits on the relay and on its own clock; it gives up only when the relay says that it never will be
//! let in.

use std::{collections::VecDeque, time::Duration};

use deskhand_protocol::{
    Cursor,
    limits::{SOCKET_BUFFER_BYTES, SUBSCRIBED_BYTES, WATCHER_PING, WATCHER_SILENCE},
    timeline::{TimelineEntry, TimelineFilters, TimelineMessage, WatcherToRelay},
};
use futures_util::{SinkExt, StreamExt};
use rand::RngExt;
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        self, Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig,
    },
};

use crate::{Client, Error, http};

/// The upper bound of the first wait between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait between two tries while the relay was there a moment ago: who watches is back within
/// 5 s of its return.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// A relay that has been away for this long is asked less often.
const AWAY_AFTER: Duration = Duration::from_secs(5 * 60);

/// The longest wait between two tries then.
const LONGEST_WAIT_AWAY: Duration = Duration::from_secs(30);

/// A connection that held this long was a good one: the next wait is short again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// How long dialling may take.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a timeline says.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The relay is there, and what was missed follows.
    Connected,
    /// Something happened on the device.
    Entry(Box<TimelineEntry>),
    /// Something happened that this version does not know; the cursor counts it.
    Unknown {
        /// Its kind.
        kind: String,
    },
    /// The stream is not whole: entries are lost, or follow late.
    Gap {
        /// Where the stream was.
        from: Cursor,
        /// Where it goes on.
        to: Cursor,
        /// Whether what lies between is gone for good.
        lost: bool,
    },
    /// The connection ended; it is made again by itself.
    Disconnected {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// A device's timeline. Dropping it closes the connection.
#[derive(Debug)]
pub struct Timeline {
    client: Client,
    device: String,
    filters: TimelineFilters,
    cursor: Option<Cursor>,
    socket: Option<Socket>,
    connected_at: Instant,
    heard_at: Instant,
    ping_at: Instant,
    pinged_at: Option<Instant>,
    latency: Option<Duration>,
    /// Tries since the last good connection.
    n_tries: u32,
    /// When the last connection was lost.
    lost_at: Instant,
    retry_at: Instant,
    /// What was heard and not given out, and where the stream is once it was.
    heard: VecDeque<(Option<Cursor>, Heard)>,
}

impl Timeline {
    pub(crate) fn new(
        client: Client,
        device: &str,
        filters: TimelineFilters,
        cursor: Option<Cursor>,
    ) -> Self {
        let now = Instant::now();
        Self {
            client,
            device: device.to_owned(),
            filters,
            cursor,
            socket: None,
            connected_at: now,
            heard_at: now,
            ping_at: now,
            pinged_at: None,
            latency: None,
            n_tries: 0,
            lost_at: now,
            retry_at: now,
            heard: VecDeque::new(),
        }
    }

    /// Returns the place of the last entry that was given out, for going on after it later.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Returns the round trip of the last beat.
    pub fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// Waits for what comes next, for as long as it takes. May be dropped and called again: nothing is
    /// lost and nothing comes twice.
    ///
    /// # Errors
    ///
    /// The relay does not let this key watch this device. Calling again tries again.
    pub async fn next(&mut self) -> Result<Heard, Error> {
        loop {
            if let Some((cursor, heard)) = self.heard.pop_front() {
                let is_entry = matches!(heard, Heard::Entry(_) | Heard::Unknown { .. });
                if is_entry && self.has(cursor.as_ref()) {
                    continue;
                }
                self.cursor = cursor.or(self.cursor.take());
                return Ok(heard);
            }
            if self.socket.is_none() {
                sleep_until(self.retry_at).await;
                match self.connect().await? {
                    Ok(()) => {}
                    Err(reason) => return Ok(self.lost(reason, false)),
                }
                continue;
            }
            if let Some(disconnected) = self.read().await {
                return Ok(disconnected);
            }
        }
    }

    /// Dials and subscribes; the outer error is final, the inner one is not.
    async fn connect(&mut self) -> Result<Result<(), String>, Error> {
        let url = self
            .client
            .socket_url(&["ws", "devices", &self.device, "timeline"]);
        let mut request = match url.as_str().into_client_request() {
            Ok(request) => request,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Some(key) = self.client.key()
            && let Ok(key) = HeaderValue::from_str(key.expose())
        {
            request.headers_mut().insert("x-api-key", key);
        }
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = SOCKET_BUFFER_BYTES;
        config.write_buffer_size = SOCKET_BUFFER_BYTES;
        config.max_message_size = Some(4 * SUBSCRIBED_BYTES);
        let dialled = connect_async_tls_with_config(
            request,
            Some(config),
            true,
            Some(self.client.connector()),
        );
        let mut socket = match timeout(DIAL_WITHIN, dialled).await {
            Err(_) => return Ok(Err("it did not answer in time".to_owned())),
            Ok(Ok((socket, _))) => socket,
            Ok(Err(tungstenite::Error::Http(response))) => return refused(&url, &response),
            Ok(Err(error)) => return Ok(Err(error.to_string())),
        };
        let subscribe = WatcherToRelay::Subscribe {
            bot_id: None,
            filters: Some(self.filters.clone()),
            cursor: self.cursor.clone(),
        };
        let text = serde_json::to_string(&subscribe).expect("a message has only string keys");
        if let Err(error) = socket.send(Message::text(text)).await {
            return Ok(Err(error.to_string()));
        }
        let now = Instant::now();
        self.socket = Some(socket);
        (self.connected_at, self.heard_at) = (now, now);
        (self.ping_at, self.pinged_at) = (now + WATCHER_PING, None);
        Ok(Ok(()))
    }

    /// Reads one message into the queue; returns the end of the connection.
    async fn read(&mut self) -> Option<Heard> {
        let socket = self.socket.as_mut()?;
        let frame = tokio::select! {
            frame = socket.next() => frame,
            () = sleep_until(self.heard_at + WATCHER_SILENCE) => {
                return Some(self.lost("the relay was silent for 60 s".to_owned(), false));
            }
            () = sleep_until(self.ping_at) => {
                let now = Instant::now();
                self.ping_at = now + WATCHER_PING;
                self.pinged_at = Some(now);
                let sent = socket.send(Message::text(r#"{"type":"ping"}"#)).await;
                return sent.err().map(|error| self.lost(error.to_string(), false));
            }
        };
        self.heard_at = Instant::now();
        match frame {
            Some(Ok(Message::Text(text))) => match self.take(&text) {
                Ok(()) => None,
                Err(reason) => Some(self.lost(reason, false)),
            },
            // Answered by the library.
            Some(Ok(
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
            )) => None,
            Some(Ok(Message::Close(frame))) => {
                let code = frame.as_ref().map_or(1005, |frame| u16::from(frame.code));
                let reason = frame.map_or_else(String::new, |frame| frame.reason.to_string());
                Some(self.lost(reason, matches!(code, 1000 | 1001 | 1012)))
            }
            Some(Err(error)) => Some(self.lost(error.to_string(), false)),
            None => Some(self.lost("the connection broke".to_owned(), false)),
        }
    }

    fn take(&mut self, text: &str) -> Result<(), String> {
        let message: serde_json::Value =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        match message["type"].as_str() {
            Some("subscribed") => {
                self.heard.push_back((None, Heard::Connected));
                // Read one by one: they may be of kinds that this version does not know.
                let entries = message["initial_entries"].as_array();
                for message in entries.into_iter().flatten() {
                    self.heard.push_back(entry(message)?);
                }
                // Entries that did not pass the filter lie before the place it names.
                if let Some(last) = self.heard.back_mut() {
                    last.0 = Some(cursor(&message)?);
                }
            }
            Some("unsubscribed" | "pong" | "error" | "gap") => self.take_note(message)?,
            _ => self.heard.push_back(entry(&message)?),
        }
        Ok(())
    }

    fn take_note(&mut self, message: serde_json::Value) -> Result<(), String> {
        match serde_json::from_value(message).map_err(|error| error.to_string())? {
            TimelineMessage::Gap {
                from,
                to,
                lost,
                cursor,
            } => self
                .heard
                .push_back((Some(cursor), Heard::Gap { from, to, lost })),
            TimelineMessage::Pong { .. } => {
                let round_trip = self.pinged_at.take().map(|at| at.elapsed());
                self.latency = round_trip.or(self.latency);
            }
            TimelineMessage::Error { message, .. } => return Err(message),
            TimelineMessage::Subscribed { .. } | TimelineMessage::Unsubscribed { .. } => {}
        }
        Ok(())
    }

    /// Tells whether an entry was given out before.
    fn has(&self, cursor: Option<&Cursor>) -> bool {
        let places = self.cursor.as_ref().zip(cursor);
        places.is_some_and(|(own, its)| own.log_id == its.log_id && own.seq >= its.seq)
    }

    /// Notes the end of a connection, or of a try, and says when the next one is.
    fn lost(&mut self, reason: String, polite: bool) -> Heard {
        let was_connected = self.socket.take().is_some();
        let was_good = was_connected && self.connected_at.elapsed() >= GOOD_AFTER;
        if was_connected {
            self.lost_at = Instant::now();
        }
        if was_good || polite {
            self.n_tries = 0;
        }
        let longest = match self.lost_at.elapsed() < AWAY_AFTER {
            true => LONGEST_WAIT,
            false => LONGEST_WAIT_AWAY,
        };
        let longest = FIRST_WAIT
            .saturating_mul(1 << self.n_tries.min(16))
            .min(longest);
        self.n_tries += 1;
        // Full jitter: watchers that lost one relay do not come back in one moment.
        let retry_in = longest.mul_f64(rand::rng().random());
        self.retry_at = Instant::now() + retry_in;
        Heard::Disconnected { reason, retry_in }
    }
}

fn entry(message: &serde_json::Value) -> Result<(Option<Cursor>, Heard), String> {
    let cursor = cursor(message)?;
    let heard = match TimelineEntry::deserialize(message) {
        Ok(entry) => Heard::Entry(Box::new(entry)),
        Err(_) => Heard::Unknown {
            kind: message["type"].as_str().unwrap_or_default().to_owned(),
        },
    };
    Ok((Some(cursor), heard))
}

fn cursor(message: &serde_json::Value) -> Result<Cursor, String> {
    Cursor::deserialize(&message["cursor"]).map_err(|error| error.to_string())
}

/// Tells a refusal that stays from one that passes.
fn refused(
    url: &reqwest::Url,
    response: &tungstenite::http::Response<Option<Vec<u8>>>,
) -> Result<Result<(), String>, Error> {
    let status = response.status().as_u16();
    let body = response.body().as_deref().unwrap_or_default();
    let refusal = http::refusal(url, response.status(), body);
    match (status, refusal) {
        (400..=499, Ok(refusal)) if status != 429 => Err(Error::Refused(Box::new(refusal))),
        (_, Ok(refusal)) => Ok(Err(refusal.problem.error)),
        (_, Err(error)) => Ok(Err(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::Secret;

    use super::*;

    fn timeline() -> Timeline {
        let client = Client::new(
            "http://127.0.0.1:1",
            Some(Secret::new("k".to_owned())),
            None,
        )
        .unwrap();
        client.timeline("desk", TimelineFilters::default(), None)
    }

    #[tokio::test]
    async fn what_came_before_does_not_come_twice() {
        let mut timeline = timeline();
        let online = |seq: u32| {
            format!(
                r#"{{"type":"device_online","bot_id":"desk","timestamp":"2026-01-01T00:00:00Z","cursor":"a:{seq}"}}"#
            )
        };
        timeline.take(&online(1)).unwrap();
        timeline.take(&online(1)).unwrap();
        timeline.take(r#"{"type":"news","cursor":"a:2"}"#).unwrap();
        timeline
            .take(&format!(
                r#"{{"type":"subscribed","initial_entries":[{}],"cursor":"a:9"}}"#,
                online(2)
            ))
            .unwrap();
        assert!(matches!(timeline.next().await.unwrap(), Heard::Entry(_)));
        assert_eq!(
            timeline.next().await.unwrap(),
            Heard::Unknown {
                kind: "news".to_owned()
            }
        );
        assert_eq!(timeline.next().await.unwrap(), Heard::Connected);
        assert_eq!(timeline.cursor().unwrap().to_string(), "a:2");
    }

    #[tokio::test(start_paused = true)]
    async fn who_watches_is_back_within_five_seconds_of_the_relay() {
        let mut timeline = timeline();
        let (mut longest, mut longest_away) = (Duration::ZERO, Duration::ZERO);
        // Nobody is at that address: each try ends at once, so that the waits are all there is.
        while timeline.lost_at.elapsed() < 3 * AWAY_AFTER {
            let is_away = timeline.lost_at.elapsed() >= AWAY_AFTER;
            let Heard::Disconnected { retry_in, .. } = timeline.lost("away".to_owned(), false)
            else {
                panic!("it does not go on");
            };
            match is_away {
                true => longest_away = longest_away.max(retry_in),
                false => longest = longest.max(retry_in),
            }
            tokio::time::advance(retry_in.max(Duration::from_millis(1))).await;
        }
        // What is left of the 5 s is for dialling and catching up.
        assert!(longest <= Duration::from_secs(4), "{longest:?}");
        assert!(longest_away <= Duration::from_secs(30), "{longest_away:?}");
        assert!(
            longest_away > longest,
            "a relay that stays away is asked less often"
        );
    }

    #[tokio::test]
    async fn it_dials_for_ever_and_says_so() {
        let mut timeline = timeline();
        for longest in [FIRST_WAIT, 2 * FIRST_WAIT] {
            match timeline.next().await.unwrap() {
                Heard::Disconnected { retry_in, .. } => assert!(retry_in <= longest),
                other => panic!("{other:?}"),
            }
        }
    }
}
