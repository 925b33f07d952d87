//! The events of one task, as server-sent events.

use std::time::Duration;

use deskhand_protocol::{Event, limits::MAX_FRAME_BYTES};

use crate::{Error, http};

/// The relay beats every 15 s; two and a half missed beats are a dead connection.
const SILENCE: Duration = Duration::from_secs(38);

/// Events while they happen. Dropping it closes the connection and changes nothing for the task.
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    parser: Parser,
    place: Option<String>,
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
            parser: Parser::default(),
            place: None,
        }
    }

    /// Returns the place of the last event that was read, for reading on after it.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Returns the next event; none when the relay ended the stream, as it does after the event
    /// that ends the task. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    ///
    /// The connection broke, or nothing came for two and a half beats: read on from [`Self::place`].
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(message) = self.parser.take() {
                let event = serde_json::from_str(&message.data)
                    .map_err(|error| self.bad(&error.to_string()))?;
                self.place = message.id.or(self.place.take());
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            match chunk {
                Err(_) => {
                    return Err(Error::TimedOut {
                        url: http::origin(self.response.url()),
                    });
                }
                Ok(Err(error)) => return Err(http::unreachable(self.response.url(), &error)),
                Ok(Ok(None)) => return Ok(None),
                Ok(Ok(Some(bytes))) => self
                    .parser
                    .push(&bytes)
                    .map_err(|reason| self.bad(reason))?,
            }
        }
    }

    fn bad(&self, reason: &str) -> Error {
        Error::BadAnswer {
            url: http::origin(self.response.url()),
            reason: reason.to_owned(),
        }
    }
}

/// One message with data.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    id: Option<String>,
    data: String,
}

/// Splits a byte stream into its messages. Comments (the beat) and other fields are skipped.
#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        // An event is no larger than the frame it came in, and a chunk of the body may begin the next.
        if self.buffer.len() + bytes.len() > 2 * MAX_FRAME_BYTES {
            return Err("an event larger than a frame");
        }
        self.buffer
            .extend(bytes.iter().copied().filter(|b| *b != b'\r'));
        Ok(())
    }

    /// Takes the next whole message that has data.
    fn take(&mut self) -> Option<Message> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
            let block = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            self.buffer.drain(..end + 2);
            let fields = |name: &'static str| {
                block.lines().filter_map(move |line| {
                    let value = line.strip_prefix(name)?.strip_prefix(':')?;
                    Some(value.strip_prefix(' ').unwrap_or(value))
                })
            };
            let data: Vec<&str> = fields("data").collect();
            if !data.is_empty() {
                return Some(Message {
                    id: fields("id").next_back().map(str::to_owned),
                    data: data.join("\n"),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let wire = b": beat\n\nid: 1\ndata: {\"a\":1}\n\ndata:two\r\ndata: lines\r\n\r\n: beat\n\n";
        for size in 1..wire.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for chunk in wire.chunks(size) {
                parser.push(chunk).unwrap();
                while let Some(message) = parser.take() {
                    found.push((message.id, message.data));
                }
            }
            let expected = [
                (Some("1".to_owned()), "{\"a\":1}".to_owned()),
                (None, "two\nlines".to_owned()),
            ];
            assert_eq!(found, expected, "cut every {size} bytes");
        }
    }

    #[test]
    fn a_stream_without_an_end_is_refused() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; MAX_FRAME_BYTES];
        parser.push(&chunk).unwrap();
        parser.push(&chunk).unwrap();
        assert!(parser.push(b"x").is_err());
    }
}
