//! The desktop application in a session, and its icon as the tray's host sees it.

use std::{
    collections::HashMap,
    process::{Child, Stdio},
};

use deskhand_tests::{TestCaller, eventually};
use serde_json::Value;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Structure};

use crate::session::Session;

/// A running `deskhand-app`, killed when dropped.
pub(crate) struct App {
    child: Child,
    pub(crate) caller: TestCaller,
}

impl App {
    /// Starts it and waits until tasks can run.
    pub(crate) async fn start(session: &Session, args: &[&str]) -> Self {
        let ready = session.path("ready.json");
        let _ = std::fs::remove_file(&ready);
        let home = session.path("deskhand");
        std::fs::create_dir_all(&home).unwrap();
        let config = home.join("config.toml");
        if !config.exists() {
            configure(session, "notify_success = \"all\"");
        }
        let log = std::fs::File::create(session.path("app.log")).unwrap();
        let child = command(session)
            .args(["--workspace", session.path("workspace").to_str().unwrap()])
            .args(["--ready-file", ready.to_str().unwrap()])
            .args(args)
            .stderr(log)
            .spawn()
            .unwrap();
        let mut child = Some(child);
        let said: Value = eventually("the application is ready", || {
            if let Some(status) = child.as_mut().unwrap().try_wait().unwrap() {
                let log = std::fs::read_to_string(session.path("app.log")).unwrap();
                panic!("the application ended with {status}: {log}");
            }
            let said = std::fs::read(&ready).ok();
            async move { said.and_then(|said| serde_json::from_slice(&said).ok()) }
        })
        .await;
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        Self {
            child: child.unwrap(),
            caller: TestCaller::new(&text("relay_url"), &text("api_key")),
        }
    }

    /// Returns the number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended, and tells whether it did so in order.
    pub(crate) async fn ended(&mut self) -> bool {
        let status = eventually("the application has ended", || {
            let ended = self.child.try_wait().unwrap();
            async move { ended }
        });
        status.await.success()
    }

    /// Waits until its log says something.
    pub(crate) async fn until_logged(&self, session: &Session, text: &str) {
        let log = session.path("deskhand/logs/deskhand.log");
        eventually("the log says so", || async {
            let log = std::fs::read_to_string(&log).ok()?;
            log.contains(text).then_some(())
        })
        .await;
    }

    /// Asks it to end, as the session does at logout.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").arg(pid).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the settings: a relay on a free port, and these of the desktop.
pub(crate) fn configure(session: &Session, desktop: &str) {
    let home = session.path("deskhand");
    std::fs::create_dir_all(&home).unwrap();
    let text = format!("[relay]\nlisten = \"127.0.0.1:0\"\n[desktop]\n{desktop}\n");
    std::fs::write(home.join("config.toml"), text).unwrap();
}

/// Runs the command line in the application's home; returns what it said and whether it was content.
pub(crate) fn deskhand(session: &Session, args: &[&str]) -> (String, bool) {
    let mut command = session.command(deskhand_tests::program("deskhand"));
    command.env("DESKHAND_HOME", session.path("deskhand"));
    let output = command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.success())
}

/// Returns a launch of the application.
pub(crate) fn command(session: &Session) -> std::process::Command {
    let mut command = session.command(deskhand_tests::program("deskhand-app"));
    command
        .env("DESKHAND_HOME", session.path("deskhand"))
        .stdout(Stdio::null());
    command
}

/// The icon in the tray, by D-Bus as a panel talks to it.
pub(crate) struct Icon {
    bus: zbus::Connection,
    service: String,
    path: String,
}

impl Icon {
    /// Waits until the tray has an icon.
    pub(crate) async fn find(session: &Session) -> Self {
        let bus = session.bus().await;
        let item = eventually("the tray has an icon", || async {
            let items: Vec<String> = property(
                &bus,
                "org.kde.StatusNotifierWatcher",
                "/StatusNotifierWatcher",
                "org.kde.StatusNotifierWatcher",
                "RegisteredStatusNotifierItems",
            )
            .await?
            .try_into()
            .ok()?;
            items.into_iter().next()
        })
        .await;
        let (service, path) = item.split_once('/').unwrap();
        Self {
            bus,
            service: service.to_owned(),
            path: format!("/{path}"),
        }
    }

    async fn property(&self, name: &str) -> OwnedValue {
        let interface = "org.kde.StatusNotifierItem";
        let value = property(&self.bus, &self.service, &self.path, interface, name);
        value.await.unwrap()
    }

    /// Returns the tooltip: what stands beneath its title, which is the application's name.
    pub(crate) async fn tooltip(&self) -> String {
        let tooltip = Structure::try_from(self.property("ToolTip").await).unwrap();
        tooltip.fields()[3].clone().try_into().unwrap()
    }

    /// Waits until the tooltip holds a text.
    pub(crate) async fn until_tooltip(&self, text: &str) {
        eventually("the tooltip says so", || async {
            self.tooltip().await.contains(text).then_some(())
        })
        .await;
    }

    /// Clicks on the icon.
    pub(crate) async fn click(&self) {
        self.call("org.kde.StatusNotifierItem", "Activate", &(0i32, 0i32))
            .await;
    }

    /// Returns the lines of the menu, each with its number.
    pub(crate) async fn menu(&self) -> Vec<(i32, String)> {
        let path = OwnedObjectPath::try_from(self.property("Menu").await).unwrap();
        let none: &[&str] = &[];
        let answer = self
            .bus
            .call_method(
                Some(self.service.as_str()),
                path,
                Some("com.canonical.dbusmenu"),
                "GetLayout",
                &(0i32, -1i32, none),
            )
            .await
            .unwrap();
        type Line = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);
        let (_, (_, _, lines)): (u32, Line) = answer.body().deserialize().unwrap();
        let line = |value: OwnedValue| {
            let line = Structure::try_from(value).unwrap();
            let properties: HashMap<String, OwnedValue> =
                line.fields()[1].try_clone().unwrap().try_into().unwrap();
            let label = properties.get("label")?.try_clone().unwrap();
            Some((
                line.fields()[0].try_clone().unwrap().try_into().unwrap(),
                label.try_into().unwrap(),
            ))
        };
        lines.into_iter().filter_map(line).collect()
    }

    /// Waits until the menu has a line with a text, and chooses it.
    pub(crate) async fn choose(&self, text: &str) {
        let id = eventually("the menu has the line", || async {
            let menu = self.menu().await;
            menu.into_iter()
                .find(|(_, label)| label.contains(text))
                .map(|(id, _)| id)
        })
        .await;
        let path = OwnedObjectPath::try_from(self.property("Menu").await).unwrap();
        let data = zbus::zvariant::Value::from(0i32);
        self.bus
            .call_method(
                Some(self.service.as_str()),
                path,
                Some("com.canonical.dbusmenu"),
                "Event",
                &(id, "clicked", data, 0u32),
            )
            .await
            .unwrap();
    }

    async fn call(
        &self,
        interface: &str,
        method: &str,
        body: &(impl serde::Serialize + zbus::zvariant::DynamicType),
    ) {
        let (service, path) = (Some(self.service.as_str()), self.path.as_str());
        let called = self
            .bus
            .call_method(service, path, Some(interface), method, body);
        called.await.unwrap();
    }
}

async fn property(
    bus: &zbus::Connection,
    service: &str,
    path: &str,
    interface: &str,
    name: &str,
) -> Option<OwnedValue> {
    let answer = bus
        .call_method(
            Some(service),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &(interface, name),
        )
        .await
        .ok()?;
    answer.body().deserialize().ok()
}
