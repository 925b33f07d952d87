//! The notifications on the screen, read from what the application and the notification server say to each
//! other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use deskhand_tests::eventually;
use futures_util::StreamExt;
use zbus::{Message, MessageStream, fdo::MonitoringProxy, message::Type, zvariant::OwnedValue};

use crate::session::Session;

/// A notification that is shown.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) id: u32,
    pub(crate) summary: String,
    pub(crate) body: String,
    /// When the server had taken it.
    pub(crate) at: Instant,
}

/// What is on the screen, and how it is pressed.
pub(crate) struct Screen {
    shown: Arc<Mutex<Vec<Shown>>>,
}

impl Screen {
    /// Begins to look. What was shown before is not seen.
    pub(crate) async fn of(session: &Session) -> Self {
        let bus = session.bus().await;
        let monitor = MonitoringProxy::new(&bus).await.unwrap();
        monitor.become_monitor(&[], 0).await.unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = shown.clone();
        let mut messages = MessageStream::from(&bus);
        tokio::spawn(async move {
            let mut called = HashMap::new();
            while let Some(Ok(message)) = messages.next().await {
                take(&message, &mut called, &mut seen.lock().unwrap());
            }
            drop(bus);
        });
        Self { shown }
    }

    /// Returns what is shown, oldest first.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until one is shown whose summary and body hold these texts.
    pub(crate) async fn until_shown(&self, summary: &str, body: &str) -> Shown {
        eventually("a notification is shown", || async {
            let is_it = |one: &Shown| one.summary.contains(summary) && one.body.contains(body);
            self.shown().into_iter().find(is_it)
        })
        .await
    }

    /// Waits until none is shown whose body holds a text.
    pub(crate) async fn until_gone(&self, body: &str) {
        eventually("the notification is gone", || async {
            let is_shown = self.shown().iter().any(|one| one.body.contains(body));
            (!is_shown).then_some(())
        })
        .await;
    }
}

type Call = (
    String,
    u32,
    String,
    String,
    String,
    Vec<String>,
    HashMap<String, OwnedValue>,
    i32,
);

/// Takes one message between the two; `called` holds what was not answered yet.
fn take(message: &Message, called: &mut HashMap<(String, u32), Call>, shown: &mut Vec<Shown>) {
    let header = message.header();
    let member = header.member().map(|member| member.as_str());
    match (message.message_type(), member) {
        (Type::MethodCall, Some("Notify")) => {
            let by = header.sender().unwrap().to_string();
            let serial = header.primary().serial_num().get();
            called.insert((by, serial), message.body().deserialize().unwrap());
        }
        (Type::MethodReturn, _) => {
            let (Some(to), Some(serial)) = (header.destination(), header.reply_serial()) else {
                return;
            };
            let Some(call) = called.remove(&(to.to_string(), serial.get())) else {
                return;
            };
            let id = message.body().deserialize().unwrap();
            shown.retain(|one| one.id != id);
            let (summary, body) = (call.3, call.4);
            let at = Instant::now();
            shown.push(Shown {
                id,
                summary,
                body,
                at,
            });
        }
        (Type::Signal, Some("NotificationClosed")) => {
            let (id, _): (u32, u32) = message.body().deserialize().unwrap();
            shown.retain(|one| one.id != id);
        }
        _ => {}
    }
}
