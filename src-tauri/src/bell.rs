//! The desktop's notification server: shows notifications and hears what is pressed on them.
//!
//! What it owns: one connection to the session's bus, and what each notification is about that may still
//! be pressed. What it waits on: orders, and the server's signals.
//! What it never does: fail anything, for no server is a normal state; or believe a signal of anybody but
//! the server that showed the notification: every program of the session can send one.

use tokio::sync::mpsc;

use crate::notices::{About, Notice};

/// Orders that wait for a server which takes its time; one more is dropped.
const MAX_ORDERS: usize = 64;

/// What was pressed on a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Press {
    /// The notification itself, or *Review*.
    Open,
    /// *Deny*.
    Deny,
    /// *Allow once*.
    AllowOnce,
}

enum Order {
    Show(Notice),
    Withdraw(About),
}

/// Shows notifications. Dropping the last one ends the connection; what is on the screen stays.
#[derive(Clone)]
pub(crate) struct Bell {
    orders: mpsc::Sender<Order>,
}

impl Bell {
    /// Starts without touching the bus. `pressed` hears what is pressed on what; it must not wait.
    pub(crate) fn start(
        allow_once: bool,
        pressed: impl Fn(&About, Press) + Send + Sync + 'static,
    ) -> Self {
        let (orders, taken) = mpsc::channel(MAX_ORDERS);
        tokio::spawn(server::keep(taken, allow_once, pressed));
        Self { orders }
    }

    /// Shows a notification; one of questions or of the device takes the place of the one before.
    pub(crate) fn show(&self, notice: Notice) {
        self.order(Order::Show(notice));
    }

    /// Takes back what is said of something, if it is still shown.
    pub(crate) fn withdraw(&self, about: About) {
        self.order(Order::Withdraw(about));
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!("the notification server does not keep up; a notification is left out");
        }
    }
}

#[cfg(target_os = "linux")]
mod server {
    use std::{collections::HashMap, time::Duration};

    use futures_util::StreamExt;
    use tokio::{sync::mpsc, time::timeout};
    use zbus::{
        Connection, MatchRule, Message, MessageStream, message::Type, names::OwnedUniqueName,
        zvariant::Value,
    };

    use super::{Order, Press};
    use crate::notices::{self, About, Notice};

    const NAME: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";

    /// How long the server may take to answer.
    const WITHIN: Duration = Duration::from_secs(5);

    /// Signals that are kept while an order is carried out.
    const MAX_SIGNALS: usize = 256;

    /// Notifications of which a press is still heard. With one more the oldest is forgotten, and of these
    /// the oldest that asks nothing.
    const MAX_WAITING: usize = 64;

    /// Leaves it to the server how long something is shown.
    const AS_LONG_AS_USUAL: i32 = -1;
    /// Shown until it is answered.
    const FOR_EVER: i32 = 0;

    const OPEN: &str = "default";
    const REVIEW: &str = "review";
    const DENY: &str = "deny";
    const ALLOW: &str = "allow";

    /// Carries out orders for as long as there may be some.
    pub(super) async fn keep(
        mut orders: mpsc::Receiver<Order>,
        allow_once: bool,
        pressed: impl Fn(&About, Press),
    ) {
        let mut server = None;
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                signal = next_signal(&mut server) => {
                    match (signal, &mut server) {
                        (Some(signal), Some(server)) => server.hear(&signal, &pressed),
                        // The session's bus is gone.
                        _ => server = None,
                    }
                    continue;
                }
            };
            let done = match order {
                Some(Order::Show(notice)) => {
                    let shown = try_show(&mut server, notice, allow_once);
                    timeout(WITHIN, shown).await
                }
                Some(Order::Withdraw(about)) => {
                    timeout(WITHIN, try_withdraw(&mut server, &about)).await
                }
                None => return,
            };
            match done {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(%error, "no notification server shows this"),
                Err(_) => tracing::warn!("the notification server does not answer"),
            }
        }
    }

    async fn next_signal(server: &mut Option<Server>) -> Option<Message> {
        match server {
            Some(server) => server.signals.next().await?.ok(),
            None => std::future::pending().await,
        }
    }

    async fn try_show(
        server: &mut Option<Server>,
        notice: Notice,
        allow_once: bool,
    ) -> zbus::Result<()> {
        let server = match server {
            Some(server) => server,
            none => none.insert(Server::connect().await?),
        };
        server.show(notice, allow_once).await
    }

    async fn try_withdraw(server: &mut Option<Server>, about: &About) -> zbus::Result<()> {
        match server {
            Some(server) => server.withdraw(about).await,
            None => Ok(()),
        }
    }

    struct Server {
        bus: Connection,
        signals: MessageStream,
        /// Oldest first.
        waiting: Vec<Waiting>,
    }

    struct Waiting {
        id: u32,
        /// The program that showed it.
        shown_by: OwnedUniqueName,
        about: About,
    }

    impl Server {
        async fn connect() -> zbus::Result<Self> {
            let bus = Connection::session().await?;
            let rule = MatchRule::builder()
                .msg_type(Type::Signal)
                .interface(NAME)?
                .path(PATH)?
                .build();
            let signals = MessageStream::for_match_rule(rule, &bus, Some(MAX_SIGNALS)).await?;
            let waiting = Vec::new();
            Ok(Self {
                bus,
                signals,
                waiting,
            })
        }

        async fn show(&mut self, notice: Notice, allow_once: bool) -> zbus::Result<()> {
            // Asked each time: another server may have taken its place.
            let can: Vec<String> = self
                .call("GetCapabilities", &())
                .await?
                .body()
                .deserialize()?;
            let body = match can.iter().any(|can| can == "body-markup") {
                true => notices::escaped(&notice.body),
                false => notice.body.clone(),
            };
            let mut actions = vec![OPEN, "Open"];
            let mut hints = HashMap::from([("desktop-entry", Value::from("Deskhand"))]);
            let mut shown_for = AS_LONG_AS_USUAL;
            if let About::Question { .. } = notice.about {
                actions.extend([REVIEW, "Review", DENY, "Deny"]);
                if allow_once {
                    actions.extend([ALLOW, "Allow once"]);
                }
            }
            if notice.about.asks() {
                // Critical: it waits for an answer.
                hints.insert("urgency", Value::from(2u8));
                shown_for = FOR_EVER;
            }
            let replaced = match notice.about {
                About::Questions | About::Device => self.place(&notice.about),
                About::Task(_) | About::Question { .. } | About::Tasks | About::Schedules => None,
            };
            let replaced = replaced.map(|place| self.waiting.remove(place).id);
            let what = (
                "Deskhand",
                replaced.unwrap_or(0),
                "deskhand-app",
                &notice.summary,
                body,
                actions,
                hints,
                shown_for,
            );
            let answer = self.call("Notify", &what).await?;
            let id = answer.body().deserialize()?;
            if let Some(sender) = answer.header().sender() {
                self.keep(Waiting {
                    id,
                    shown_by: sender.to_owned().into(),
                    about: notice.about,
                });
            }
            Ok(())
        }

        fn keep(&mut self, waiting: Waiting) {
            if self.waiting.len() == MAX_WAITING {
                let unasked = |waiting: &Waiting| !waiting.about.asks();
                let place = self.waiting.iter().position(unasked).unwrap_or(0);
                self.waiting.remove(place);
            }
            self.waiting.push(waiting);
        }

        async fn withdraw(&mut self, about: &About) -> zbus::Result<()> {
            let Some(place) = self.place(about) else {
                return Ok(());
            };
            let id = self.waiting.remove(place).id;
            self.call("CloseNotification", &(id)).await.map(drop)
        }

        fn place(&self, about: &About) -> Option<usize> {
            self.waiting
                .iter()
                .position(|waiting| waiting.about == *about)
        }

        async fn call(
            &self,
            method: &str,
            body: &(impl serde::Serialize + zbus::zvariant::DynamicType),
        ) -> zbus::Result<Message> {
            self.bus
                .call_method(Some(NAME), PATH, Some(NAME), method, body)
                .await
        }

        /// Takes a signal: each notification is pressed or closed once.
        fn hear(&mut self, signal: &Message, pressed: impl Fn(&About, Press)) {
            let header = signal.header();
            let (id, press) = match header.member().map(|member| member.as_str()) {
                Some("ActionInvoked") => match signal.body().deserialize::<(u32, &str)>() {
                    Ok((id, action)) => (id, press(action)),
                    Err(_) => return,
                },
                Some("NotificationClosed") => match signal.body().deserialize::<(u32, u32)>() {
                    Ok((id, _)) => (id, None),
                    Err(_) => return,
                },
                _ => return,
            };
            let is_it = |waiting: &Waiting| {
                waiting.id == id && header.sender().is_some_and(|by| *by == waiting.shown_by)
            };
            if let Some(place) = self.waiting.iter().position(is_it) {
                let about = self.waiting.remove(place).about;
                if let Some(press) = press {
                    pressed(&about, press);
                }
            }
        }
    }

    fn press(action: &str) -> Option<Press> {
        match action {
            OPEN | REVIEW => Some(Press::Open),
            DENY => Some(Press::Deny),
            ALLOW => Some(Press::AllowOnce),
            _ => None,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod server {
    use notify_rust::Notification;
    use tokio::sync::mpsc;

    use super::{Order, Press};
    use crate::notices::About;

    /// Shows what is ordered. Presses are not heard here.
    pub(super) async fn keep(
        mut orders: mpsc::Receiver<Order>,
        _allow_once: bool,
        _pressed: impl Fn(&About, Press),
    ) {
        while let Some(order) = orders.recv().await {
            let Order::Show(notice) = order else {
                continue;
            };
            let mut notification = Notification::new();
            notification
                .appname("Deskhand")
                .summary(&notice.summary)
                .body(&notice.body);
            let shown = tokio::task::spawn_blocking(move || notification.show().map(drop)).await;
            if !matches!(shown, Ok(Ok(()))) {
                tracing::info!("this notification could not be shown");
            }
        }
    }
}
