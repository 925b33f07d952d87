//! Copies what a task has printed to the terminal, or wherever it goes: exact bytes, by stream and
//! offset. What the device has not kept of a long stream is left out, and that is said.

use std::io;

use deskhand_client::{Client, Error};
use deskhand_protocol::{
    event::Stream,
    limits::{MAX_RANGE_BYTES, STORE_TAIL_BYTES},
};

use crate::out::Out;

/// One stream of one task on its way.
pub(crate) struct Copy<'a> {
    client: &'a Client,
    out: Out,
    task: &'a str,
    from: Stream,
    to: Stream,
    at: u64,
    n_left_out: u64,
}

/// Why copying stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error(transparent)]
    Relay(#[from] Error),
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl<'a> Copy<'a> {
    pub(crate) fn new(
        client: &'a Client,
        out: Out,
        task: &'a str,
        from: Stream,
        to: Stream,
        at: u64,
    ) -> Self {
        Self {
            client,
            out,
            task,
            from,
            to,
            at,
            n_left_out: 0,
        }
    }

    /// Returns where in the stream it is.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Writes bytes that are at hand.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.say_left_out();
        self.out.progress("");
        self.out.bytes(self.to, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Copies at least up to `end`: what an answer holds beyond it has been printed as well. While
    /// the task runs, `is_final` is false and what is not kept is simply behind us; when it has
    /// ended, its tail is there.
    pub(crate) async fn copy_to(&mut self, end: u64, is_final: bool) -> Result<(), CopyError> {
        self.copy(end, MAX_RANGE_BYTES, is_final).await
    }

    /// Copies up to `end` and not a byte further.
    pub(crate) async fn copy_exactly_to(
        &mut self,
        end: u64,
        is_final: bool,
    ) -> Result<(), CopyError> {
        self.copy(end, 0, is_final).await
    }

    async fn copy(&mut self, end: u64, beyond: u64, is_final: bool) -> Result<(), CopyError> {
        while self.at < end {
            let limit = (end - self.at + beyond).min(MAX_RANGE_BYTES);
            let read = self.client.output(self.task, self.from, self.at, limit);
            match read.await {
                Ok(part) if part.bytes.is_empty() => break,
                Ok(part) => self.write(&part.bytes)?,
                Err(Error::RangeNotKept { .. }) => {
                    let tail = end.saturating_sub(STORE_TAIL_BYTES);
                    let next = if is_final && self.at < tail {
                        tail
                    } else {
                        end
                    };
                    self.n_left_out += next - self.at;
                    self.at = next;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if is_final {
            self.say_left_out();
        }
        Ok(())
    }

    fn say_left_out(&mut self) {
        if self.n_left_out > 0 {
            self.out.progress("");
            self.out.talk(format!(
                "(deskhand: {} bytes of {} were not kept)",
                self.n_left_out,
                self.from.as_str()
            ));
            self.n_left_out = 0;
        }
    }
}
