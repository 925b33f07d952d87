//! Follows one task to its end: its output as it is printed, its progress, its exit code.
//!
//! Output is exact: every byte comes from the store on the device, by stream and offset, and what an
//! event already shows whole is not asked for again. A relay that goes away is waited for; the task
//! does not depend on it.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use deskhand_client::{Client, Error};
use deskhand_protocol::{
    Event, EventKind, TaskId, TaskStatus, event::Stream, outcome::Excerpt, task::TaskView,
};

use crate::{
    commands::output::{Copy, CopyError},
    exit,
    out::Out,
};

/// How long a relay may be away before following ends. It restarts in seconds.
const AWAY: Duration = Duration::from_secs(60);

/// Between two attempts to reach it.
const RETRY: Duration = Duration::from_millis(500);

/// How following ended.
pub(crate) enum Followed {
    /// The task has ended.
    Ended(Box<TaskView>),
    /// The task has ended because Ctrl-C asked for it.
    Interrupted(Box<TaskView>),
    /// The wait is over, or whoever waited left; the task runs on.
    Left(u8),
}

/// What of a task is shown while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Its output, and how far it is.
    Output,
    /// Only how far it is.
    Nothing,
}

/// Follows a task until it ends, until `wait` is over, or until the second Ctrl-C; the first one
/// asks to cancel the task.
pub(crate) async fn follow(
    client: &Client,
    out: Out,
    task_id: TaskId,
    show: Show,
    wait: Option<Duration>,
) -> anyhow::Result<Followed> {
    let id = task_id.to_string();
    let copy = |stream| Copy::new(client, out, &id, stream, stream, 0);
    let mut follower = Follower {
        client,
        out,
        show,
        id: &id,
        place: None,
        stdout: copy(Stream::Stdout),
        stderr: copy(Stream::Stderr),
    };
    let deadline = async {
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    };
    let interrupted = Cell::new(false);
    let followed = tokio::select! {
        ended = follower.until_end() => ended.map(Box::new).map(|view| {
            if interrupted.get() && view.status == TaskStatus::Cancelled {
                Followed::Interrupted(view)
            } else {
                Followed::Ended(view)
            }
        }),
        () = deadline => {
            out.progress("");
            out.talk(format!("The wait is over; the task runs on: deskhand tasks watch {task_id}"));
            Ok(Followed::Left(exit::WAIT_OVER))
        }
        left = second_interrupt(client, out, &id, &interrupted) => left.map(|()| Followed::Left(exit::INTERRUPTED)),
    };
    out.progress("");
    followed
}

impl Followed {
    /// Returns the exit code it stands for.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Followed::Ended(view) => exit::of_task(view),
            Followed::Interrupted(_) => exit::INTERRUPTED,
            Followed::Left(code) => *code,
        }
    }
}

/// Says how following ended, where the output does not, and returns the exit code.
pub(crate) fn conclude(out: Out, followed: &Followed) -> u8 {
    match followed {
        Followed::Ended(view) => explain(out, view),
        Followed::Interrupted(_) => out.talk("Cancelled."),
        Followed::Left(_) => {}
    }
    followed.code()
}

/// Says why a task did not complete, and what to do about it.
fn explain(out: Out, view: &TaskView) {
    if let Some(error) = &view.error {
        match view.code {
            Some(code) => out.talk(format!("deskhand: {error} ({code})")),
            None => out.talk(format!("deskhand: {error}")),
        }
    }
    let hint = view
        .result
        .as_ref()
        .and_then(|result| result.outcome.hint.as_ref());
    if let Some(hint) = hint {
        out.talk(format!("  {hint}"));
    }
}

/// The first Ctrl-C asks to cancel, the second one leaves: then this returns.
async fn second_interrupt(
    client: &Client,
    out: Out,
    id: &str,
    interrupted: &Cell<bool>,
) -> anyhow::Result<()> {
    tokio::signal::ctrl_c().await?;
    interrupted.set(true);
    out.progress("");
    out.talk("Cancelling; Ctrl-C again leaves the task to itself.");
    tokio::select! {
        again = tokio::signal::ctrl_c() => return Ok(again?),
        cancelled = client.cancel(id) => {
            if let Err(error) = cancelled {
                out.talk(format!("deskhand: failed to cancel the task: {error}"));
            }
        }
    }
    Ok(tokio::signal::ctrl_c().await?)
}

struct Follower<'a> {
    client: &'a Client,
    out: Out,
    show: Show,
    id: &'a str,
    /// Where the relay's stream of events is read on.
    place: Option<String>,
    stdout: Copy<'a>,
    stderr: Copy<'a>,
}

impl<'a> Follower<'a> {
    /// Goes on over broken connections; gives up when the relay is away too long.
    async fn until_end(&mut self) -> anyhow::Result<TaskView> {
        let mut reached = Instant::now();
        loop {
            match self.try_until_end(&mut reached).await {
                Ok(view) => return Ok(view),
                Err(CopyError::Relay(error))
                    if error.is_unreachable() && reached.elapsed() < AWAY =>
                {
                    tracing::debug!(%error, "following again");
                    self.out.progress("waiting for the relay");
                    tokio::time::sleep(RETRY).await;
                }
                // What it is decides the exit code, so it is not wrapped.
                Err(CopyError::Relay(error)) => return Err(error.into()),
                Err(CopyError::Output(error)) => return Err(error.into()),
            }
        }
    }

    async fn try_until_end(&mut self, reached: &mut Instant) -> Result<TaskView, CopyError> {
        let mut events = self.client.events(self.id, self.place.as_deref()).await?;
        while let Some(event) = events.next().await? {
            *reached = Instant::now();
            self.show_event(&event).await?;
            self.place = events.place().map(str::to_owned);
            if event.kind.outcome().is_some() {
                break;
            }
        }
        let view = self.client.task(self.id).await?;
        *reached = Instant::now();
        if !view.status.is_terminal() {
            // The relay ended the stream before the task did: it is restarting.
            return Err(CopyError::Relay(Error::Unreachable {
                url: self.client.relay_url().to_owned(),
                reason: "it ended the stream of events early".to_owned(),
            }));
        }
        if self.show == Show::Output {
            self.show_rest(&view).await?;
        }
        Ok(view)
    }

    async fn show_event(&mut self, event: &Event) -> Result<(), CopyError> {
        match &event.kind {
            EventKind::OutputAppended { .. } if self.show == Show::Nothing => {}
            EventKind::OutputAppended {
                stream,
                offset,
                n_bytes,
                preview,
            } => {
                let is_whole = preview.len() as u64 == *n_bytes && !preview.contains('\u{fffd}');
                let copy = self.copy(*stream);
                if is_whole && copy.at() == *offset {
                    copy.write(preview.as_bytes())?;
                } else {
                    copy.copy_to(offset + n_bytes, false).await?;
                }
            }
            EventKind::ProgressMade { percent, message } => {
                let percent = percent.map(|percent| format!("{percent} %"));
                let parts: Vec<&str> = percent.iter().chain(message).map(String::as_str).collect();
                self.out.progress(&parts.join("  "));
            }
            EventKind::AttemptLost { attempt } => {
                self.out.progress("");
                self.out.talk(format!(
                    "Attempt {attempt} was lost with its agent; another one follows."
                ));
            }
            EventKind::ApprovalRequested {
                command, reason, ..
            } => {
                self.out.progress("");
                self.out
                    .talk(format!("The owner is asked: {command} ({reason})"));
            }
            EventKind::ApprovalAnswered { answer, by, .. } => {
                let (answer, door) = (answer.as_str(), by.door.as_str());
                self.out.progress("");
                self.out
                    .talk(format!("{} answered by {door}: {answer}", by.name));
            }
            EventKind::TaskAccepted { .. }
            | EventKind::AttemptStarted { .. }
            | EventKind::AttemptFinished { .. }
            | EventKind::TaskCancelled { .. }
            | EventKind::TaskExpired { .. }
            | EventKind::RunsLeftOut(_) => {}
        }
        Ok(())
    }

    /// Shows what no event has shown: a task that is answered at once has no events of its own for
    /// its output.
    async fn show_rest(&mut self, view: &TaskView) -> Result<(), CopyError> {
        let Some(result) = &view.result else {
            return Ok(());
        };
        for (stream, total) in [
            (Stream::Stdout, result.outcome.n_stdout_bytes),
            (Stream::Stderr, result.outcome.n_stderr_bytes),
        ] {
            let copy = self.copy(stream);
            match exact(&result.output, stream, total) {
                Some(text) if copy.at() == 0 => copy.write(text.as_bytes())?,
                _ => copy.copy_to(total, true).await?,
            }
        }
        Ok(())
    }

    fn copy(&mut self, stream: Stream) -> &mut Copy<'a> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// Returns a stream's text if it is all of it, byte for byte.
fn exact(output: &Excerpt, stream: Stream, total: u64) -> Option<&str> {
    let text = match stream {
        Stream::Stdout => &output.stdout,
        Stream::Stderr => &output.stderr,
    };
    (text.len() as u64 == total && !text.contains('\u{fffd}')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_counts_only_when_it_is_every_byte() {
        let output = |stdout: &str| Excerpt {
            stdout: stdout.to_owned(),
            ..Excerpt::default()
        };
        assert_eq!(exact(&output("abc"), Stream::Stdout, 3), Some("abc"));
        assert_eq!(exact(&output("abc"), Stream::Stdout, 4), None);
        // Three bytes that were not UTF-8 are shown as one U+FFFD of three bytes.
        assert_eq!(exact(&output("\u{fffd}"), Stream::Stdout, 3), None);
        assert_eq!(exact(&output(""), Stream::Stderr, 0), Some(""));
    }
}
