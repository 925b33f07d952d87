//! One life of the link, from `welcome` to the close.
//!
//! Two loops in one task. The *listener* reads frames and hands them on; it never waits for the
//! speaker, so a relay that writes while we write cannot lock both up. The *speaker* writes: answers
//! first, then events in order, as many as are ready in one flush.
//!
//! The speaker knows three numbers. `sent` is the last event written to the socket, `stored` the last
//! one the relay has, and the recorder knows the last one there is. Events come from the bus while it
//! keeps up and from the store when it does not: after the welcome, after falling behind, and when the
//! relay did not acknowledge within 5 s, which just sets `sent` back to `stored`.

use std::{sync::Arc, time::Duration};

use deskhand_protocol::{
    ErrorCode, Event, EventKind, Problem, Seq, Source, Task, TaskResult, Timestamp,
    device_request::{DeviceResponse, LinkStatus},
    limits::{CLOSE_FENCED, MAX_FRAME_BYTES, RESEND_AFTER},
    link::{DeviceToRelay, RelayToDevice},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::{Semaphore, broadcast, mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{
    Message, protocol::CloseFrame, protocol::frame::coding::CloseCode,
};

use super::{
    backoff::Restarting,
    connect::{Connected, Socket},
};
use crate::{
    device::Device,
    dispatcher::{Delivery, Dispatcher},
    health::Health,
    recorder::{Batch, Published},
    requests::{self, Door},
    store::{events, ledger},
};

/// Answers that wait for the speaker.
const ANSWERS: usize = 256;

/// Requests that are answered at the same time; the relay waits a second for an answer.
const REQUESTS: usize = 32;

/// Events that may be on their way to the relay unacknowledged.
const WINDOW: u64 = 1_024;

/// Events read from the store at once.
const PAGE: u32 = 256;

/// Bytes of results after which a page ends.
const PAGE_BYTES: usize = 1024 * 1024;

/// Frames written before they are flushed.
const BATCH: usize = 64;

/// How long a goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// We were told to end it.
    Stopped,
    /// The relay said goodbye, and perhaps when it will be back.
    Polite(Option<Restarting>),
    /// A later session of this device took over.
    Fenced,
    /// It broke.
    Broken(String),
}

/// Talks with the relay until the session ends.
pub(super) async fn run(
    connected: Connected,
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    stop: watch::Receiver<bool>,
) -> End {
    let Connected {
        socket,
        welcome,
        said,
    } = connected;
    // Subscribed before the last number is looked at: what comes in between is seen twice, not never.
    let bus = device.recorder.subscribe();
    let stored = welcome.stored_through.min(device.recorder.last_seq());
    device.recorder.note_stored(stored);
    device.device_id.send_replace(Some(welcome.device_id));
    device.attendance.set_approvers(welcome.n_approvers);
    device.link.send_replace(LinkStatus::Connected {
        since: Timestamp::now(),
        latency_ms: None,
    });

    let (sink, stream) = socket.split();
    let (answers, waiting_answers) = mpsc::channel(ANSWERS);
    let beat = watch::Sender::new(None);
    let told_stored = watch::Sender::new(stored);
    let mut speaker = Speaker {
        device,
        sink,
        answers: waiting_answers,
        bus,
        stored: told_stored.subscribe(),
        beat: beat.subscribe(),
        sent: stored,
        said,
        unacknowledged_since: None,
        stop,
    };
    let mut listener = Listener {
        device,
        dispatcher,
        stream,
        answers,
        stored: told_stored,
        beat,
        // A beat that is missed twice is a dead link.
        silence: Duration::from_secs(welcome.heartbeat_seconds.clamp(1, 3_600).into()).mul_f64(2.5),
        requests: Arc::new(Semaphore::new(REQUESTS)),
        restarting: None,
    };
    let end = tokio::select! {
        end = listener.listen() => end,
        end = speaker.speak() => end,
    };
    // Nobody answers over a link that is down.
    device.attendance.set_approvers(0);
    if let Err(error) = device.recorder.keep_stored().await {
        tracing::warn!(%error, "cannot note what the relay has");
    }
    end
}

struct Listener<'a> {
    device: &'a Arc<Device>,
    dispatcher: &'a Dispatcher,
    stream: SplitStream<Socket>,
    answers: mpsc::Sender<DeviceToRelay>,
    stored: watch::Sender<Seq>,
    /// When the relay's last beat came.
    beat: watch::Sender<Option<Instant>>,
    silence: Duration,
    requests: Arc<Semaphore>,
    restarting: Option<Restarting>,
}

impl Listener<'_> {
    async fn listen(&mut self) -> End {
        loop {
            let message = match timeout(self.silence, self.stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(_)) | None) if self.restarting.is_some() => {
                    return End::Polite(self.restarting);
                }
                Ok(Some(Err(error))) => {
                    return End::Broken(format!("read from the relay: {error}"));
                }
                Ok(None) => return End::Broken("the relay hung up".to_owned()),
                Err(_) => return End::Broken("the relay is silent".to_owned()),
            };
            match message {
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(frame) => self.take(frame).await,
                    // A newer relay may say what we do not know; it must not cost the link.
                    Err(error) => tracing::warn!(%error, "the relay said something unknown"),
                },
                Message::Pong(_) => self.measure(),
                Message::Close(frame) => return self.closed(frame.as_ref()),
                Message::Ping(_) | Message::Binary(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn take(&mut self, frame: RelayToDevice) {
        match frame {
            RelayToDevice::Attendance { n_approvers } => {
                self.device.attendance.set_approvers(n_approvers);
            }
            RelayToDevice::Task { task, limits } => {
                let request = task.request_id.as_deref();
                tracing::info!(task = %task.task_id, request, "task received");
                let session = self.answers.clone();
                let delivery = Delivery { task, limits };
                self.dispatcher.deliver(Box::new(delivery), session).await;
            }
            RelayToDevice::Cancel {
                task_id,
                grace_seconds,
            } => {
                let grace = requests::grace(grace_seconds);
                self.dispatcher.cancel(task_id, grace).await;
            }
            RelayToDevice::Stored { through } => {
                // Never backwards, and never beyond what there is.
                let through = through.min(self.device.recorder.last_seq());
                self.stored.send_if_modified(|stored| {
                    let later = through > *stored;
                    *stored = through.max(*stored);
                    later
                });
            }
            RelayToDevice::Request {
                request_id,
                request,
            } => {
                // Beyond the bound this waits, and with it the relay.
                let Ok(turn) = self.requests.clone().acquire_owned().await else {
                    return;
                };
                let (device, dispatcher) = (self.device.clone(), self.dispatcher.clone());
                let answers = self.answers.clone();
                tokio::spawn(async move {
                    let response =
                        requests::answer(&device, &dispatcher, request, Door::Link).await;
                    let answer = DeviceToRelay::Response {
                        request_id,
                        response,
                    };
                    // The session may be over; then nobody waits for the answer.
                    let _ = answers.send(answer).await;
                    drop(turn);
                });
            }
            RelayToDevice::Restarting {
                reconnect_in_ms,
                try_for_ms,
            } => {
                self.restarting = Some(Restarting {
                    reconnect_in: Duration::from_millis(reconnect_in_ms),
                    try_for: Duration::from_millis(try_for_ms),
                });
            }
            RelayToDevice::Ping => {
                self.beat.send_replace(Some(Instant::now()));
            }
            RelayToDevice::Welcome(_) => tracing::warn!("the relay said welcome twice"),
        }
    }

    /// The relay's WebSocket answered the ping that went with our last `pong`.
    fn measure(&self) {
        let Some(beat) = *self.beat.borrow() else {
            return;
        };
        let latency = beat.elapsed().as_millis() as u64;
        self.device.link.send_modify(|status| {
            if let LinkStatus::Connected { latency_ms, .. } = status {
                *latency_ms = Some(latency);
            }
        });
    }

    fn closed(&self, frame: Option<&CloseFrame>) -> End {
        match frame.map(|frame| u16::from(frame.code)) {
            Some(CLOSE_FENCED) => End::Fenced,
            Some(1000 | 1001 | 1012) => End::Polite(self.restarting),
            _ if self.restarting.is_some() => End::Polite(self.restarting),
            Some(code) => End::Broken(format!("the relay closed the link with code {code}")),
            None => End::Broken("the relay closed the link".to_owned()),
        }
    }
}

struct Speaker<'a> {
    device: &'a Arc<Device>,
    sink: SplitSink<Socket, Message>,
    answers: mpsc::Receiver<DeviceToRelay>,
    bus: broadcast::Receiver<Batch>,
    stored: watch::Receiver<Seq>,
    beat: watch::Receiver<Option<Instant>>,
    /// The last event written to the socket.
    sent: Seq,
    /// How we last said that we are.
    said: Health,
    /// Since when the oldest event that was sent has not been acknowledged.
    unacknowledged_since: Option<Instant>,
    stop: watch::Receiver<bool>,
}

impl Speaker<'_> {
    async fn speak(&mut self) -> End {
        match self.try_speak().await {
            Ok(()) => End::Stopped,
            Err(error) => End::Broken(error),
        }
    }

    async fn try_speak(&mut self) -> Result<(), String> {
        let mut health = self.device.health.subscribe();
        self.say_health().await?;
        self.flush().await?;
        loop {
            if self.is_behind() && self.has_room() {
                self.catch_up().await?;
                self.flush().await?;
                // What is urgent goes between two pages.
            }
            let behind = self.is_behind() && self.has_room();
            let resend_at = self.unacknowledged_since.map(|since| since + RESEND_AFTER);
            // In order of urgency; what is behind goes on at once when nothing is.
            tokio::select! {
                biased;
                Ok(()) = self.beat.changed() => {
                    self.feed(DeviceToRelay::Pong).await?;
                    // Its answer tells how long the way is.
                    self.feed_message(Message::Ping(Default::default())).await?;
                }
                Some(answer) = self.answers.recv() => self.answer(answer).await?,
                Ok(()) = health.changed() => self.say_health().await?,
                Ok(()) = self.stored.changed() => self.acknowledged(),
                batch = self.bus.recv() => self.heard(batch).await?,
                () = until(resend_at), if resend_at.is_some() => {
                    self.sent = *self.stored.borrow();
                    self.unacknowledged_since = None;
                }
                Ok(()) = self.stop.changed() => {
                    self.say_goodbye().await;
                    return Ok(());
                }
                () = std::future::ready(()), if behind => continue,
            }
            self.feed_what_is_ready().await?;
            self.flush().await?;
        }
    }

    /// Says how we are, unless that was said.
    async fn say_health(&mut self) -> Result<(), String> {
        let now = {
            let now = self.device.health.borrow();
            if *now == self.said {
                return Ok(());
            }
            now.clone()
        };
        self.said = now.clone();
        self.feed(DeviceToRelay::Health {
            can_execute: now.can_execute,
            reason: now.reason,
            paused: now.paused,
        })
        .await
    }

    /// Answers, after how we are: who paused us and is answered that we are finds it so.
    async fn answer(&mut self, answer: DeviceToRelay) -> Result<(), String> {
        self.say_health().await?;
        self.feed(answer).await
    }

    /// Writes what is ready without waiting for more, up to a batch, so that it shares a flush.
    async fn feed_what_is_ready(&mut self) -> Result<(), String> {
        for _ in 0..BATCH {
            if let Ok(answer) = self.answers.try_recv() {
                self.answer(answer).await?;
                continue;
            }
            match self.bus.try_recv() {
                Ok(batch) => self.heard(Ok(batch)).await?,
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(
                    broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed,
                ) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Sends events from the bus while each is the next one; else the store has what is missing.
    async fn heard(
        &mut self,
        batch: Result<Batch, broadcast::error::RecvError>,
    ) -> Result<(), String> {
        match batch {
            Ok(batch) => {
                for published in &*batch {
                    let Published {
                        event,
                        result,
                        attempt,
                    } = published;
                    // A large result is in the store only, and so is a task that was born here: from
                    // here on, that is where to read.
                    let is_whole = (result.is_some() || event.kind.outcome().is_none())
                        && !may_be_born_here(event);
                    if event.seq == self.sent.next() && self.has_room() && is_whole {
                        self.event(event, None, *attempt, result.as_deref()).await?;
                    }
                }
                Ok(())
            }
            // The recorder's last number tells what is missing.
            Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
            Err(broadcast::error::RecvError::Closed) => Err("the agent ended".to_owned()),
        }
    }

    /// Sends one page of events from the store.
    async fn catch_up(&mut self) -> Result<(), String> {
        let (sent, last) = (self.sent, self.device.recorder.last_seq());
        let page = self.device.db.read(move |conn| {
            let (mut page, mut n_bytes) = (Vec::new(), 0);
            for event in events::after(conn, sent, PAGE)? {
                let result = match event.kind.outcome() {
                    Some(_) => ledger::result(conn, event.task_id)?,
                    None => None,
                };
                if let Some((_, result)) = &result {
                    n_bytes += result.output.stdout.len() + result.output.stderr.len();
                }
                let born = match may_be_born_here(&event) {
                    true => ledger::get(conn, event.task_id)?.map(|entry| entry.task),
                    false => None,
                };
                let born = born.filter(Task::is_born_on_device);
                page.push((event, born, result));
                if n_bytes > PAGE_BYTES {
                    break;
                }
            }
            Ok(page)
        });
        let page = page
            .await
            .map_err(|error| format!("read the store: {error}"))?;
        if page.is_empty() {
            // The rest was forgotten by the owner, which happens only to what the relay has.
            self.sent = last;
        }
        for (event, born, result) in page {
            if !self.has_room() {
                break;
            }
            let (attempt, result) = match &result {
                Some((attempt, result)) => (*attempt, Some(result)),
                None => (0, None),
            };
            self.event(&event, born, attempt, result).await?;
        }
        Ok(())
    }

    /// Sends an event, and before it what it stands for: that a task is in the ledger, or was born here,
    /// or how it ended.
    async fn event(
        &mut self,
        event: &Event,
        born: Option<Task>,
        attempt: u32,
        result: Option<&TaskResult>,
    ) -> Result<(), String> {
        let task_id = event.task_id;
        if let EventKind::TaskAccepted { .. } = event.kind {
            let frame = match born {
                Some(task) => DeviceToRelay::Opened { task },
                None => DeviceToRelay::Accepted { task_id },
            };
            self.feed(frame).await?;
        }
        if let Some(result) = result {
            let result = result.clone();
            self.feed(DeviceToRelay::Result {
                task_id,
                attempt,
                result,
            })
            .await?;
        }
        let event = event.clone();
        self.sent = event.seq;
        self.feed(DeviceToRelay::Event { event }).await?;
        self.unacknowledged_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn acknowledged(&mut self) {
        let stored = *self.stored.borrow_and_update();
        self.device.recorder.note_stored(stored);
        self.sent = self.sent.max(stored);
        self.unacknowledged_since = (stored < self.sent).then(Instant::now);
    }

    fn is_behind(&self) -> bool {
        self.sent < self.device.recorder.last_seq()
    }

    fn has_room(&self) -> bool {
        self.sent.0 - self.stored.borrow().0.min(self.sent.0) < WINDOW
    }

    /// Sends what there is to say and closes; the rest is said by the next session.
    async fn say_goodbye(&mut self) {
        let goodbye = async {
            while self.is_behind() && self.has_room() {
                self.catch_up().await?;
            }
            let frame = CloseFrame {
                code: CloseCode::Away,
                reason: "the agent shuts down".into(),
            };
            let close = Message::Close(Some(frame));
            self.sink.send(close).await.map_err(not_written)
        };
        // The link goes in any case.
        let _ = timeout(CLOSE_WITHIN, goodbye).await;
    }

    async fn feed(&mut self, frame: DeviceToRelay) -> Result<(), String> {
        self.feed_message(Message::text(to_json(frame)?)).await
    }

    async fn feed_message(&mut self, message: Message) -> Result<(), String> {
        self.sink.feed(message).await.map_err(not_written)
    }

    async fn flush(&mut self) -> Result<(), String> {
        self.sink.flush().await.map_err(not_written)
    }
}

/// Tells whether an event may be the first one of a task that was born here; the ledger knows.
fn may_be_born_here(event: &Event) -> bool {
    matches!(&event.kind, EventKind::TaskAccepted { source, .. } if *source != Source::Relay)
}

/// Writes a frame. What would not fit one is said shorter: a result without its report, which is the
/// only part of it without a small bound, and any other answer as the news that it is too large.
fn to_json(mut frame: DeviceToRelay) -> Result<String, String> {
    let write = |frame: &DeviceToRelay| {
        serde_json::to_string(frame).map_err(|error| format!("write a frame: {error}"))
    };
    let json = write(&frame)?;
    if json.len() <= MAX_FRAME_BYTES {
        return Ok(json);
    }
    match &mut frame {
        DeviceToRelay::Result { result, .. } => result.outcome.data = None,
        DeviceToRelay::Response { response, .. } => {
            let problem = Problem::new(ErrorCode::TooLarge, "the answer is larger than a frame");
            *response = DeviceResponse::Problem { problem };
        }
        DeviceToRelay::Hello(_)
        | DeviceToRelay::Accepted { .. }
        | DeviceToRelay::Event { .. }
        | DeviceToRelay::Opened { .. }
        | DeviceToRelay::Health { .. }
        | DeviceToRelay::Pong => {}
    }
    write(&frame)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_written(error: tokio_tungstenite::tungstenite::Error) -> String {
    format!("write to the relay: {error}")
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
