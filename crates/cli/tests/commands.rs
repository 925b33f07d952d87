//! The program as a person and a script meet it: exit codes, standard output, standard error.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// An installation of its own: a home, and a workspace beside it.
struct Home {
    root: TempDir,
}

impl Home {
    fn new() -> Self {
        // Without it no agent can execute, and `up` would wait for it.
        let helper = Path::new(env!("CARGO_BIN_EXE_deskhand")).with_file_name("deskhand-sandbox");
        assert!(
            helper.exists(),
            "deskhand-sandbox is not built: cargo build --bins"
        );
        let root = tempfile::tempdir().unwrap();
        for dir in ["home", "workspace"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root }
    }

    fn configured(config: &str) -> Self {
        let home = Self::new();
        fs::write(home.path("home/config.toml"), config).unwrap();
        home
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    /// Returns a command in an environment that holds nothing of this machine's owner.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskhand"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.root.path())
            .env("DESKHAND_HOME", self.path("home"))
            .current_dir(self.path("workspace"))
            .stdin(Stdio::null())
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::from(self.command(args).output().unwrap())
    }

    fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[&["--json"], args].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Starts agent and relay and waits until they are ready.
    fn up(&self) -> Up<'_> {
        self.up_with(&[])
    }

    fn up_with(&self, args: &[&str]) -> Up<'_> {
        let ready = self.path("ready.json");
        let fixed = ["up", "--listen", "127.0.0.1:0", "--ready-file"];
        let child = self
            .command(&fixed)
            .arg(&ready)
            .arg("--workspace")
            .arg(self.path("workspace"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = Up { home: self, child };
        until("the ready file is there", || {
            if let Some(status) = up.child.try_wait().unwrap() {
                panic!("up ended with {status}: {}", up.said().1);
            }
            ready.exists()
        });
        up
    }
}

#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A running `up`, killed when dropped.
struct Up<'a> {
    home: &'a Home,
    child: Child,
}

impl Up<'_> {
    /// Ends it in order and returns what it had said on standard output and standard error.
    fn down(mut self) -> (String, String) {
        let down = self.home.run(&["down"]);
        assert_eq!(down.code, 0, "{}", down.stderr);
        assert!(self.child.wait().unwrap().success());
        self.said()
    }

    fn said(&mut self) -> (String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (stdout, stderr)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited 20 s: {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "a file tells nobody that it is there"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_cannot_be_typed_exits_with_2() {
    let home = Home::new();
    for args in [
        &["no-such-command"][..],
        &["run"],
        &["run", "--timeout", "0", "true"],
        &["tasks", "list", "--status", "lost"],
        &["tasks", "clear"],
    ] {
        assert_eq!(home.run(args).code, 2, "{args:?}");
    }
}

#[test]
fn a_home_where_nothing_runs_is_not_reachable() {
    let home = Home::new();
    for (args, code) in [
        (&["status"][..], 3),
        (&["tasks", "list"], 3),
        (&["keys", "list"], 3),
        (&["workspaces", "list"], 3),
        (&["run", "true"], 122),
        (&["tasks", "watch", "x"], 122),
        (&["doctor"], 1),
        (&["down"], 0),
    ] {
        let ended = home.run(args);
        assert_eq!(ended.code, code, "{args:?}: {}", ended.stderr);
    }
    let said = home.run(&["status"]).stderr;
    assert!(said.contains("`deskhand up`"), "{said}");
    let problem: Value = serde_json::from_str(&home.run(&["--json", "status"]).stderr).unwrap();
    assert_eq!(problem["hint"], "start it: `deskhand up`");
}

#[test]
fn a_relay_elsewhere_needs_a_key_and_is_told_when_it_is_away() {
    let home = Home::new();
    let url = "http://127.0.0.1:1";
    assert_eq!(home.run(&["tasks", "--relay", url, "list"]).code, 4);
    assert_eq!(home.run(&["run", "--relay", url, "true"]).code, 123);
    let with_key = |args: &[&str]| {
        let mut command = home.command(args);
        Ended::from(command.env("DESKHAND_API_KEY", "dh_a_b").output().unwrap())
    };
    assert_eq!(with_key(&["tasks", "--relay", url, "list"]).code, 3);
    let ended = with_key(&["run", "--relay", url, "true"]);
    assert_eq!(ended.code, 122);
    assert!(
        ended.stderr.contains("Connection refused"),
        "{}",
        ended.stderr
    );
}

#[test]
fn settings_say_where_they_come_from() {
    let home = Home::configured("[agent]\nmax_tasks = 2\n");
    let rows = home.json(&["config", "show"]);
    let row = |key: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap().clone()
    };
    assert_eq!(row("agent.max_tasks")["value"], "2");
    let from = row("agent.max_tasks")["origin"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(from.ends_with("config.toml:2"), "{from}");
    assert_eq!(row("relay.listen")["origin"], "default");
}

#[test]
fn a_mistyped_setting_stops_the_start() {
    let home = Home::configured("[sandbox]\nrequre = \"full\"\n");
    let ended = home.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, 1);
    let expected = "config.toml:2: unknown key `sandbox.requre`";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    let doctor = home.run(&["doctor"]);
    assert!(doctor.stdout.contains(expected), "{}", doctor.stdout);
}

#[test]
fn git_exec_becomes_git_where_it_is_not_native() {
    let home = Home::new();
    let workspace = home.path("workspace");
    let git_exec = |args: &[&str]| {
        let mut command = home.command(&[&["git-exec"], args].concat());
        Ended::from(command.current_dir(&workspace).output().unwrap())
    };
    assert_eq!(git_exec(&["init", "--quiet"]).code, 0);
    // What is missing in a partial clone is fetched when it is looked at.
    git_exec(&["config", "remote.origin.promisor", "true"]);
    assert_eq!(git_exec(&["--native-only", "--", "status"]).code, 120);
    let status = git_exec(&["git", "status", "--short", "--branch"]);
    assert_eq!(
        status.stdout, "## No commits yet on master\n",
        "{}",
        status.stderr
    );

    let planted = home.path("workspace/.git/hooks/pre-commit");
    fs::create_dir_all(planted.parent().unwrap()).unwrap();
    fs::write(&planted, "#!/bin/sh\ntouch hook-ran\n").unwrap();
    fs::set_permissions(
        &planted,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    git_exec(&["config", "core.fsmonitor", planted.to_str().unwrap()]);
    git_exec(&["status"]);
    assert!(!home.path("workspace/hook-ran").exists());
    let who = ["-c", "user.name=A", "-c", "user.email=a@b"];
    git_exec(&[&who as &[_], &["commit", "--quiet", "--allow-empty", "-mx"]].concat());
    assert!(home.path("workspace/hook-ran").exists());
}

#[test]
fn completions_and_version_need_no_home() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            home.run(&["completions", shell])
                .stdout
                .contains("git-exec")
        );
    }
    assert_eq!(
        home.json(&["version"])["version"],
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn the_first_start_makes_keys_and_the_next_one_finds_them() {
    let home = Home::new();
    let up = home.up();
    let ready_file = home.path("ready.json");
    assert_eq!(mode(&ready_file), 0o600);
    let ready: Value = serde_json::from_slice(&fs::read(&ready_file).unwrap()).unwrap();
    assert_eq!(ready["pid"], up.child.id());
    let key = ready["api_key"].as_str().unwrap().to_owned();
    assert_eq!(mode(&home.path("home/secrets.json")), 0o600);
    assert_eq!(mode(&home.path("home/control.sock")), 0o600);
    assert_eq!(mode(&home.path("home")), 0o700);

    let second = home.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("already runs"), "{}", second.stderr);

    let (stdout, stderr) = up.down();
    assert!(
        stdout.starts_with("curl ") && stdout.contains(&key),
        "{stdout}"
    );
    assert_eq!(stdout.lines().count(), 1);
    assert!(!stderr.contains(&key), "{stderr}");
    assert!(!ready_file.exists());

    let up = home.up();
    let again: Value = serde_json::from_slice(&fs::read(&ready_file).unwrap()).unwrap();
    assert_eq!(again["api_key"], ready["api_key"]);
    assert_eq!(again["device_id"], ready["device_id"]);
    let (stdout, _) = up.down();
    assert!(
        stdout.contains("$DESKHAND_API_KEY") && !stdout.contains(&key),
        "{stdout}"
    );
    let log = fs::read_to_string(home.path("home/logs/deskhand.log")).unwrap();
    let token = fs::read_to_string(home.path("home/secrets.json")).unwrap();
    let token: Value = serde_json::from_str(&token).unwrap();
    let token = token["devices"]["embedded"]["device_token"]
        .as_str()
        .unwrap();
    assert!(!log.contains(&key) && !log.contains(token), "{log}");
}

#[test]
fn lost_secrets_are_replaced_only_when_the_owner_says_so() {
    let home = Home::new();
    home.up().down();
    fs::remove_file(home.path("home/secrets.json")).unwrap();
    let ended = home.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("--new-identity"), "{}", ended.stderr);
    let up = home.up_with(&["--new-identity"]);
    let keys = home.json(&["keys", "list"]);
    let owners = keys["keys"].as_array().unwrap();
    assert_eq!(owners.len(), 1, "{keys}");
    up.down();
}

#[test]
fn keys_devices_and_workspaces_are_kept() {
    let home = Home::new();
    let up = home.up();
    let created = home.run(&[
        "keys",
        "create",
        "bot",
        "--scope",
        "tasks:run",
        "--expires",
        "3",
    ]);
    assert!(created.stdout.starts_with("dh_"), "{}", created.stdout);
    assert_eq!(home.run(&["keys", "revoke", "bot"]).code, 0);
    assert_eq!(home.run(&["keys", "revoke", "bot"]).code, 1);

    let devices = home.json(&["devices", "list"]);
    assert_eq!(devices[0]["status"], "online", "{devices}");
    let id = devices[0]["device_id"].as_str().unwrap();
    assert_eq!(home.run(&["devices", "rename", id, "laptop"]).code, 0);
    assert_eq!(home.json(&["devices", "list"])[0]["device_name"], "laptop");
    assert_eq!(home.run(&["devices", "remove", "no-such"]).code, 2);
    assert_eq!(home.run(&["devices", "pair"]).stdout.trim().len(), 8);

    fs::create_dir(home.path("other")).unwrap();
    let other = home.path("other");
    let other = other.to_str().unwrap();
    assert_eq!(home.json(&["workspaces", "add", other])[1]["name"], "other");
    assert_eq!(home.run(&["workspaces", "add", "/"]).code, 1);
    assert_eq!(
        home.json(&["workspaces", "remove", "other"])
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let status = home.json(&["status"]);
    assert_eq!(status["device"]["can_execute"], true, "{status}");
    assert_eq!(status["relay"]["n_devices_connected"], 1, "{status}");
    up.down();
}

#[test]
fn the_owners_key_goes_to_no_other_relay() {
    let home = Home::new();
    let up = home.up();
    // Somebody else's relay: whoever asks it without naming a key has none.
    let ended = home.run(&["tasks", "--relay", "http://127.0.0.1:1", "list"]);
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    let own = fs::read(home.path("ready.json")).unwrap();
    let own: Value = serde_json::from_slice(&own).unwrap();
    let own = own["relay_url"].as_str().unwrap();
    assert_eq!(home.run(&["tasks", "--relay", own, "list"]).code, 0);
    up.down();
}

#[test]
fn detached_it_stays_until_it_is_told_to_end() {
    let home = Home::new();
    let workspace = home.path("workspace");
    let workspace = workspace.to_str().unwrap();
    let args = [
        "up",
        "--detach",
        "--listen",
        "127.0.0.1:0",
        "--workspace",
        workspace,
    ];
    let ended = home.run(&args);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("curl "), "{}", ended.stdout);
    assert_eq!(home.run(&["status"]).code, 0);
    assert_eq!(home.run(&args).code, 1);
    assert_eq!(home.run(&["down"]).code, 0);
    assert_eq!(home.run(&["status"]).code, 3);
}

#[test]
fn a_task_outside_the_workspaces_is_denied() {
    let home = Home::new();
    let up = home.up();
    let ended = home.run(&["run", "--cwd", "/", "true"]);
    assert_eq!(ended.code, 121, "{}", ended.stderr);
    let ended = home.run(&["run", "--device", "no-such", "true"]);
    assert_eq!(ended.code, 125, "{}", ended.stderr);
    let tasks = home.json(&["tasks", "list"]);
    assert_eq!(tasks[0]["code"], "working_dir_not_allowed", "{tasks}");
    assert_eq!(tasks[0]["source"], "cli");
    up.down();
}
