//! A desktop of its own for each test: a display, a session bus, a window manager, and what the test
//! asks for besides: a panel with a tray, a notification server.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use deskhand_tests::eventually;
use serde_json::Value;
use tempfile::TempDir;

/// The panel's settings: a tray and nothing else.
const PANEL: &str = include_str!("xfce4-panel.xml");

/// A bus that is open to everybody who finds it, and starts what is in a folder.
const BUS: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <servicedir>SERVICES</servicedir>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>"#;

/// A desktop. Everything in it ends with it.
pub(crate) struct Session {
    root: TempDir,
    display: String,
    bus: Option<String>,
    system_bus: Option<String>,
    children: Vec<Child>,
}

impl Session {
    /// Starts a display, a bus and a window manager.
    pub(crate) fn bare() -> Self {
        let mut session = Self::without_bus();
        session.add_bus();
        session
    }

    /// Starts a display and a window manager.
    pub(crate) fn without_bus() -> Self {
        let root = tempfile::tempdir().unwrap();
        let panel = root.path().join(".config/xfce4/xfconf/xfce-perchannel-xml");
        for dir in [
            &panel,
            &root.path().join("run"),
            &root.path().join("workspace"),
        ] {
            std::fs::create_dir_all(dir).unwrap();
        }
        std::fs::write(panel.join("xfce4-panel.xml"), PANEL).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(root.path().join("run"), private).unwrap();

        // Each says on its standard output where it is.
        let mut screen = Command::new("Xvfb");
        screen.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "1280x800x24",
            "-nolisten",
            "tcp",
        ]);
        let (screen, number) = started(&mut screen);
        let mut session = Self {
            root,
            display: format!(":{number}"),
            bus: None,
            system_bus: None,
            children: vec![screen],
        };
        session.add("openbox", &[]);
        session
    }

    /// Starts the session's bus. Of what this machine would start on it unasked it starts nothing but what
    /// keeps the panel's settings.
    fn add_bus(&mut self) {
        let services = self.path("services");
        std::fs::create_dir(&services).unwrap();
        let settings = "org.xfce.Xfconf.service";
        let installed = Path::new("/usr/share/dbus-1/services").join(settings);
        std::os::unix::fs::symlink(installed, services.join(settings)).unwrap();
        self.bus = Some(self.start_bus("session", &services));
    }

    /// Starts a bus like the one of the system, on which nobody is.
    pub(crate) async fn add_system_bus(&mut self) -> zbus::Connection {
        let services = self.path("no-services");
        std::fs::create_dir(&services).unwrap();
        self.system_bus = Some(self.start_bus("system", &services));
        connect(self.system_bus.as_ref().unwrap()).await
    }

    fn start_bus(&mut self, name: &str, services: &Path) -> String {
        let config = self.path(&format!("{name}-bus.xml"));
        let text = BUS.replace("SERVICES", services.to_str().unwrap());
        std::fs::write(&config, text).unwrap();
        let mut bus = self.command("dbus-daemon");
        bus.arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address"]);
        let (bus, address) = started(&mut bus);
        self.children.push(bus);
        address
    }

    /// Starts a desktop with a tray and a notification server.
    pub(crate) async fn full() -> Self {
        let mut session = Self::bare();
        session.add_panel().await;
        session.add_notifications().await;
        session
    }

    /// Starts a panel with a tray, and waits until it hosts icons.
    pub(crate) async fn add_panel(&mut self) {
        self.add("xfce4-panel", &["--disable-wm-check"]);
        self.until_owned("org.kde.StatusNotifierWatcher").await;
    }

    async fn add_notifications(&mut self) {
        // Its menu is shown by another program, which answers what was chosen.
        let menu = self.path("choose-deny");
        std::fs::write(&menu, "#!/bin/sh\nexec grep -m 1 Deny\n").unwrap();
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&menu, runs).unwrap();
        let settings = self.path(".config/dunst");
        std::fs::create_dir_all(&settings).unwrap();
        let text = format!(
            "[global]\ndmenu = {}\nfont = DejaVu Sans 10\nmarkup = full\n",
            menu.display()
        );
        std::fs::write(settings.join("dunstrc"), text).unwrap();
        self.add("dunst", &[]);
        self.until_owned("org.freedesktop.Notifications").await;
    }

    pub(crate) async fn until_owned(&self, name: &'static str) {
        let bus = self.bus().await;
        let proxy = zbus::fdo::DBusProxy::new(&bus).await.unwrap();
        eventually(name, || async {
            let owned = proxy.name_has_owner(name.try_into().unwrap()).await;
            owned.unwrap().then_some(())
        })
        .await;
    }

    /// Connects to the session's bus.
    pub(crate) async fn bus(&self) -> zbus::Connection {
        connect(self.bus.as_ref().unwrap()).await
    }

    /// Starts a keyring; with a password it is unlocked, and made if there is none.
    pub(crate) async fn add_keyring(&mut self, password: Option<&str>) {
        let mut keyring = self.command("gnome-keyring-daemon");
        keyring.args(["--foreground", "--components=secrets"]);
        if password.is_some() {
            keyring.arg("--unlock").stdin(Stdio::piped());
        }
        let mut keyring = keyring.spawn().unwrap();
        if let Some(password) = password {
            let mut typed = keyring.stdin.take().unwrap();
            typed.write_all(password.as_bytes()).unwrap();
        }
        self.children.push(keyring);
        self.until_owned("org.freedesktop.secrets").await;
    }

    /// Ends what was started last.
    pub(crate) fn end_last(&mut self) {
        let mut last = self.children.pop().unwrap();
        last.kill().unwrap();
        last.wait().unwrap();
    }

    /// Types a key into the window that has the focus.
    pub(crate) async fn press(&self, key: &str) {
        eventually("a window has the focus", || async {
            let focused = self.command("xdotool").arg("getactivewindow").status();
            focused.unwrap().success().then_some(())
        })
        .await;
        let pressed = self.command("xdotool").args(["key", key]).status();
        assert!(pressed.unwrap().success());
    }

    /// Returns where pictures of the screen are kept.
    pub(crate) fn pictures(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots")
    }

    /// Gives the window with a title another size.
    pub(crate) async fn resize(&self, title: &str, size: [u32; 2]) {
        let window = self.windows(title).pop().unwrap();
        let geometry = format!("0,60,50,{},{}", size[0], size[1]);
        let args = ["-i", "-r", &window, "-e", &geometry];
        let resized = self.command("wmctrl").args(args).status();
        assert!(resized.unwrap().success());
        self.until_size(title, size).await;
    }

    /// Waits until the window with a title has a size.
    pub(crate) async fn until_size(&self, title: &str, size: [u32; 2]) {
        eventually("the window has its size", || async {
            let window = self.windows(title).pop()?;
            let args = ["getwindowgeometry", "--shell", &window];
            let mut xdotool = self.command("xdotool");
            let said = xdotool.args(args).stdout(Stdio::piped()).output().unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            let is = |name: &str, n: u32| said.contains(&format!("{name}={n}\n"));
            (is("WIDTH", size[0]) && is("HEIGHT", size[1])).then_some(())
        })
        .await;
    }

    fn add(&mut self, program: &str, args: &[&str]) {
        let mut command = self.command(program);
        let child = command.args(args).spawn();
        self.children
            .push(child.unwrap_or_else(|error| panic!("{program}: {error}")));
    }

    /// Returns a command in this session.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path())
            .env("XDG_RUNTIME_DIR", self.root.path().join("run"))
            .env("DISPLAY", &self.display)
            // What services and CI have.
            .env("LANG", "C.UTF-8")
            // Some versions of the web view paint nothing on a display without a graphics card.
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for (name, address) in [
            ("DBUS_SESSION_BUS_ADDRESS", &self.bus),
            ("DBUS_SYSTEM_BUS_ADDRESS", &self.system_bus),
        ] {
            // One that is nowhere, rather than the machine's own.
            let address = address.as_deref().unwrap_or("unix:path=/nowhere");
            command.env(name, address);
        }
        command
    }

    /// Returns a place in the session's home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Tells how many windows with a title are shown.
    pub(crate) fn n_windows(&self, title: &str) -> usize {
        self.windows(title).len()
    }

    /// Returns the numbers of the windows with a title, a regular expression, that are shown.
    fn windows(&self, title: &str) -> Vec<String> {
        let found = self
            .command("xdotool")
            .args(["search", "--onlyvisible", "--name", title])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        found.lines().map(str::to_owned).collect()
    }

    /// Waits until so many windows with a title are shown.
    pub(crate) async fn until_windows(&self, title: &str, n: usize) {
        eventually("the windows are as they should be", || async {
            (self.n_windows(title) == n).then_some(())
        })
        .await;
    }

    /// Closes the window with a title, as its own button does, once the window manager has it.
    pub(crate) async fn close(&self, title: &str) {
        eventually("the window can be closed", || async {
            let window = self.windows(title).pop()?;
            let closed = self.command("wmctrl").args(["-i", "-c", &window]).status();
            closed.unwrap().success().then_some(())
        })
        .await;
    }

    /// Returns the notifications that were shown, newest first: those on the screen are taken off it.
    pub(crate) fn notifications(&self) -> Vec<(String, String)> {
        self.command("dunstctl").arg("close-all").status().unwrap();
        let history = self
            .command("dunstctl")
            .arg("history")
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let history: Value = serde_json::from_slice(&history.stdout).unwrap();
        let text = |entry: &Value, name: &str| entry[name]["data"].as_str().unwrap().to_owned();
        let entries = history["data"][0].as_array().unwrap();
        entries
            .iter()
            .map(|entry| (text(entry, "summary"), text(entry, "body")))
            .collect()
    }

    /// Presses on the notification that is shown, as a click of the mouse does.
    pub(crate) fn press_on_notification(&self) {
        self.dunstctl(&["action", "0"]);
    }

    /// Chooses *Deny* from the menu of the notification that is shown.
    pub(crate) fn deny_in_notification(&self) {
        self.dunstctl(&["context"]);
    }

    fn dunstctl(&self, args: &[&str]) {
        let done = self.command("dunstctl").args(args).status();
        assert!(done.unwrap().success());
    }

    /// Waits until the window's page is painted: letters have hundreds of shades, an empty page has few.
    pub(crate) async fn until_painted(&self) {
        eventually("the page is painted", || async {
            let mut import = self.command("import");
            import.args(["-window", "root", "-format", "%k", "info:"]);
            let counted = import.stdout(Stdio::piped()).output().unwrap();
            let shades: u32 = String::from_utf8(counted.stdout)
                .ok()?
                .trim()
                .parse()
                .ok()?;
            (shades > 1_000).then_some(())
        })
        .await;
    }

    /// Writes a picture of the screen to a file.
    pub(crate) fn screenshot(&self, file: &Path) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut import = self.command("import");
        let taken = import.args(["-window", "root"]).arg(file).status();
        assert!(taken.unwrap().success());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn connect(address: &str) -> zbus::Connection {
    let builder = zbus::connection::Builder::address(address).unwrap();
    builder.build().await.unwrap()
}

/// Starts a program and returns the first line it says.
fn started(command: &mut Command) -> (Child, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut line = String::new();
    let said = child.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut line).unwrap();
    assert!(!line.trim().is_empty(), "{command:?} did not start");
    (child, line.trim().to_owned())
}
