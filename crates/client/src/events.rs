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
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
            parser: Parser::default(),
        }
    }

    /// Returns the next event; none when the relay ended the stream, as it does after the event
    /// that ends the task. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    ///
    /// The connection broke, or nothing came for two and a half beats: read on from the last event's
    /// number.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(data) = self.parser.take() {
                return serde_json::from_str(&data)
                    .map(Some)
                    .map_err(|error| self.bad(&error.to_string()));
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

/// Splits a byte stream into the `data` of its events. Comments (the beat) and other fields are
/// skipped.
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

    /// Takes the data of the next whole event that has any.
    fn take(&mut self) -> Option<String> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
            let block = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            self.buffer.drain(..end + 2);
            let data: Vec<&str> = block
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect();
            if !data.is_empty() {
                return Some(data.join("\n"));
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
                while let Some(data) = parser.take() {
                    found.push(data);
                }
            }
            assert_eq!(found, ["{\"a\":1}", "two\nlines"], "cut every {size} bytes");
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
