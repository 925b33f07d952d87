//! Typed HTTP client of a relay: one method per API call.
//!
//! What it owns: a connection pool, a relay's address and a caller key. What it waits on: the relay,
//! and never for ever: every call has a time limit, every answer a size limit. What it never does:
//! read the environment, retry behind the caller's back, or write a key anywhere but into a header.
//!
//! [`Client`] has the calls, [`Error`] says why one did not succeed, [`EventStream`] reads the
//! events of one task while they happen, [`Timeline`] everything that happens on a device; it is the
//! one thing here that tries again by itself.

mod error;
mod events;
mod http;
mod timeline;

use std::{sync::Arc, time::Duration};

use deskhand_protocol::{
    Cursor, Problem, Secret, Source, TaskRequest, TaskStatus, Timestamp,
    assistant::{Assistant, PromptView},
    device_request::{DeviceRequest, DeviceResponse},
    event::Stream,
    relay_request::{DeviceView, EnrolRequest, EnrolResponse, PairingCode, RenameDeviceRequest},
    task::TaskView,
    timeline::{StreamTicket, TimelineFilters, TimelinePage},
    webhook::Health,
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::Connector;

pub use error::Error;
pub use events::EventStream;
pub use timeline::{Heard, Timeline};

/// A caller's side of one relay. Cloning is cheap; the clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    relay_url: reqwest::Url,
    trust: Option<Arc<rustls::ClientConfig>>,
    key: Option<Secret>,
    source: Option<Source>,
}

impl Client {
    /// Takes the relay's address (`https://host:port`, a path in front of the API is kept) and the
    /// caller key; for `https://` also whom to trust. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// The address is not one this client can use.
    pub fn new(
        relay_url: &str,
        key: Option<Secret>,
        trust: Option<Arc<rustls::ClientConfig>>,
    ) -> Result<Self, Error> {
        Ok(Self {
            http: http::pool(trust.as_deref())?,
            relay_url: http::relay_url(relay_url, trust.is_some())?,
            trust,
            key,
            source: None,
        })
    }

    /// Names the door the tasks come through: the command line or the viewer.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Returns the relay's address, without a slash at its end.
    pub fn relay_url(&self) -> &str {
        self.relay_url.as_str().trim_end_matches('/')
    }

    /// Hands a task over and returns as soon as the relay has it on disk.
    pub async fn submit(&self, task: &TaskRequest) -> Result<TaskView, Error> {
        self.call(Method::POST, &["api", "tasks"])
            .json(task)
            .answer()
            .await
    }

    /// Hands a task over and waits for its end; the view has a result if it came in time. The relay
    /// waits between 1 and 40 seconds. Dropping the future does not cancel the task.
    pub async fn submit_and_wait(
        &self,
        task: &TaskRequest,
        wait: Duration,
    ) -> Result<TaskView, Error> {
        self.call(Method::POST, &["api", "tasks"])
            .header("prefer", format!("wait={}", wait.as_secs().max(1)))
            .patience(wait)
            .json(task)
            .answer()
            .await
    }

    /// Lists tasks, newest first, a page at a time.
    pub async fn tasks(&self, query: &TaskQuery) -> Result<TaskPage, Error> {
        self.call(Method::GET, &["api", "tasks"])
            .query("status", query.status.map(TaskStatus::as_str))
            .query("source", query.source.map(Source::as_str))
            .query("action", query.action.as_deref())
            .query("device", query.device.as_deref())
            .query("q", query.text.as_deref())
            .query("limit", query.limit.map(|limit| limit.to_string()))
            .query("cursor", query.cursor.as_deref())
            .answer()
            .await
    }

    /// Returns one task, by uid or by the caller's own name for it.
    pub async fn task(&self, id: &str) -> Result<TaskView, Error> {
        self.call(Method::GET, &["api", "tasks", id]).answer().await
    }

    /// Asks to end a task; the view says where it is now, which need not be its end.
    pub async fn cancel(&self, id: &str) -> Result<TaskView, Error> {
        self.call(Method::POST, &["api", "tasks", id, "cancel"])
            .answer()
            .await
    }

    /// Returns exact bytes of a task's output, from `offset` on, at most `limit` and at most 512 KiB.
    ///
    /// # Errors
    ///
    /// [`Error::RangeNotKept`] when the bytes are not kept, or there are none yet.
    pub async fn output(
        &self,
        id: &str,
        stream: Stream,
        offset: u64,
        limit: u64,
    ) -> Result<OutputPart, Error> {
        self.call(Method::GET, &["api", "tasks", id, "output"])
            .query("stream", Some(stream.as_str()))
            .query("offset", Some(offset.to_string()))
            .query("limit", Some(limit.to_string()))
            .output_part()
            .await
    }

    /// Reads a task's events, those that were and those to come, up to its end: all of them, or those
    /// after the place where an earlier stream broke ([`EventStream::place`]).
    pub async fn events(&self, id: &str, after: Option<&str>) -> Result<EventStream, Error> {
        let mut call = self.call(Method::GET, &["api", "tasks", id, "events"]);
        if let Some(place) = after {
            call = call.header("last-event-id", place.to_owned());
        }
        Ok(EventStream::new(
            call.without_time_limit().response().await?,
        ))
    }

    /// Starts a task that waits for somebody to look at it.
    pub async fn start(&self, id: &str) -> Result<TaskView, Error> {
        self.call(Method::POST, &["api", "tasks", id, "run"])
            .answer()
            .await
    }

    /// Watches a device: what happened after the cursor, or the last 50 entries, then what happens.
    /// Nothing is sent until it is read.
    pub fn timeline(
        &self,
        device: &str,
        filters: TimelineFilters,
        cursor: Option<Cursor>,
    ) -> Timeline {
        Timeline::new(self.clone(), device, filters, cursor)
    }

    /// Returns a page of a device's timeline, newest first, or oldest first after a place.
    pub async fn timeline_page(
        &self,
        device: &str,
        query: &TimelineQuery,
    ) -> Result<TimelinePage, Error> {
        let filters = &query.filters;
        self.call(Method::GET, &["api", "devices", device, "timeline"])
            .query("source", filters.source.as_deref())
            .query("status", filters.status.map(TaskStatus::as_str))
            .query(
                "success",
                filters.success.map(|success| success.to_string()),
            )
            .query("action", filters.action.as_deref())
            .query("task_id", filters.task_id.as_deref())
            .query("start_time", query.start_time.map(|time| time.to_string()))
            .query("end_time", query.end_time.map(|time| time.to_string()))
            .query("limit", query.limit.map(|limit| limit.to_string()))
            .query("offset", query.offset.map(|offset| offset.to_string()))
            .query("cursor", query.cursor.as_ref().map(Cursor::to_string))
            .query("after", query.after.as_ref().map(Cursor::to_string))
            .answer()
            .await
    }

    /// Asks a device what a window of it could ask; the device answers over its link.
    pub async fn ask_device(
        &self,
        device: &str,
        request: &DeviceRequest,
    ) -> Result<DeviceResponse, Error> {
        self.call(Method::POST, &["api", "device-requests", device])
            .json(request)
            .answer()
            .await
    }

    /// Makes a ticket that opens one WebSocket within 30 s.
    pub async fn stream_ticket(&self) -> Result<StreamTicket, Error> {
        self.call(Method::POST, &["api", "stream-tickets"])
            .answer()
            .await
    }

    /// Asks how the relay is; needs no key.
    pub async fn health(&self) -> Result<Health, Error> {
        self.call(Method::GET, &["health"]).answer().await
    }

    /// Returns instructions for an assistant, with the names of the key's devices.
    pub async fn prompt(&self, assistant: Assistant) -> Result<PromptView, Error> {
        self.call(Method::GET, &["api", "prompts", assistant.as_str()])
            .answer()
            .await
    }

    /// Lists the devices the key reaches.
    pub async fn devices(&self) -> Result<Vec<DeviceView>, Error> {
        let list: DeviceList = self.call(Method::GET, &["api", "devices"]).answer().await?;
        Ok(list.devices)
    }

    /// Returns one device, by id or name.
    pub async fn device(&self, id: &str) -> Result<DeviceView, Error> {
        self.call(Method::GET, &["api", "devices", id])
            .answer()
            .await
    }

    /// Lets a device have no more tasks until it is resumed; what runs goes on.
    pub async fn pause_device(&self, id: &str) -> Result<DeviceView, Error> {
        self.call(Method::POST, &["api", "devices", id, "pause"])
            .answer()
            .await
    }

    /// Lets a device have tasks again, and what waits.
    pub async fn resume_device(&self, id: &str) -> Result<DeviceView, Error> {
        self.call(Method::POST, &["api", "devices", id, "resume"])
            .answer()
            .await
    }

    /// Gives a device another name.
    pub async fn rename_device(&self, id: &str, device_name: &str) -> Result<DeviceView, Error> {
        self.call(Method::PATCH, &["api", "devices", id])
            .json(&RenameDeviceRequest {
                device_name: device_name.to_owned(),
            })
            .answer()
            .await
    }

    /// Makes the relay forget a device; its token ends with it.
    pub async fn remove_device(&self, id: &str) -> Result<(), Error> {
        self.call(Method::DELETE, &["api", "devices", id])
            .response()
            .await?;
        Ok(())
    }

    /// Makes a code that enrols one computer.
    pub async fn create_pairing_code(&self) -> Result<PairingCode, Error> {
        self.call(Method::POST, &["api", "pairing-codes"])
            .answer()
            .await
    }

    /// Shows a pairing code and gets a device's credentials for it; needs no key.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolResponse, Error> {
        self.call(Method::POST, &["api", "enrol"])
            .json(request)
            .answer()
            .await
    }

    /// Posts a body to the webhook and returns whatever it answers, errors too: the promised shapes
    /// are in `deskhand_protocol::webhook`.
    pub async fn webhook(&self, body: &serde_json::Value) -> Result<WebhookAnswer, Error> {
        self.call(Method::POST, &["webhook"])
            .patience(deskhand_protocol::limits::MAX_WAIT)
            .json(body)
            .whatever()
            .await
    }

    /// Returns an address of the relay as a WebSocket's.
    pub(crate) fn socket_url(&self, path: &[&str]) -> reqwest::Url {
        let mut url = self.relay_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        // Between schemes of the same kind this does not fail.
        let _ = match url.scheme() {
            "https" => url.set_scheme("wss"),
            _ => url.set_scheme("ws"),
        };
        url
    }

    /// How a socket to the relay begins.
    pub(crate) fn connector(&self) -> Connector {
        match &self.trust {
            Some(trust) => Connector::Rustls(trust.clone()),
            None => Connector::Plain,
        }
    }

    pub(crate) fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    fn call(&self, method: Method, path: &[&str]) -> http::Call {
        http::Call::new(self, method, path)
    }
}

/// Which tasks to list; all conditions hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// Only these.
    pub status: Option<TaskStatus>,
    /// Only from this door.
    pub source: Option<Source>,
    /// Only of this kind: `git`, `shell`, `echo`.
    pub action: Option<String>,
    /// Only of this device, by id or name.
    pub device: Option<String>,
    /// Only with this in the name, the title or the command.
    pub text: Option<String>,
    /// How many on a page; 100 is the ceiling.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Which page of a timeline; all conditions hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TimelineQuery {
    /// Only these entries.
    pub filters: TimelineFilters,
    /// Only since.
    pub start_time: Option<Timestamp>,
    /// Only until.
    pub end_time: Option<Timestamp>,
    /// How many on a page; 100 is the ceiling.
    pub limit: Option<u32>,
    /// How many to leave out.
    pub offset: Option<u32>,
    /// Newest first, before this place: where the page before ended.
    pub cursor: Option<Cursor>,
    /// Oldest first, after this place.
    pub after: Option<Cursor>,
}

/// One page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskPage {
    /// The tasks, newest first.
    pub tasks: Vec<TaskView>,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct DeviceList {
    devices: Vec<DeviceView>,
}

/// Exact bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPart {
    /// The bytes from the offset on that was asked for; none when there are none there yet.
    pub bytes: Vec<u8>,
    /// How long the stream is so far; none when the relay does not say.
    pub total: Option<u64>,
}

/// What the webhook said.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// What `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: serde_json::Value,
}

/// A problem as the relay sends it (RFC 9457), reduced to what a reader acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Code, sentence and hint.
    pub problem: Problem,
    /// The task it is about.
    pub task_id: Option<String>,
}
