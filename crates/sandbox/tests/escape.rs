//! What a task tries and does not get. One table of attacks, judged by what became of the host; run on every tier, for
//! root and for an ordinary user, and with each layer taken away in turn, when some attack must succeed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use common::{Place, everyone, is_root};
use deskhand_sandbox::{SpawnError, Tier};

const SECRET: &str = "the-secret-of-this-test";

/// Attacks that are a line of shell. `$OUT` is a directory of the owner's outside of the workspace, `$NAME` a fresh name.
const SHELL: &[(&str, &str)] = &[
    ("create", "echo x > $OUT/new"),
    ("truncate", ": > $OUT/file"),
    ("append", "echo x >> $OUT/file"),
    ("unlink", "rm -f $OUT/file"),
    ("rmdir", "rmdir $OUT/empty"),
    ("mkdir", "mkdir $OUT/dir"),
    ("rename_in", "mv $OUT/file taken-file"),
    ("rename_out", "echo x > here && mv here $OUT/moved"),
    ("hard_link", "ln $OUT/file linked && echo x >> linked"),
    ("symlink", "ln -s $OUT way && echo x > way/through"),
    ("relative", "echo x > ../outside/relative"),
    ("self_root", "echo x > /proc/self/root$OUT/by-root"),
    ("self_cwd", "echo x > /proc/self/cwd/../outside/by-cwd"),
    ("chmod", "chmod 777 $OUT/file"),
    ("touch", "touch -d 2001-01-01 $OUT/file"),
    ("shm", "echo x > /dev/shm/$NAME"),
    ("tmp", "echo x > /tmp/$NAME"),
    ("var_tmp", "echo x > /var/tmp/$NAME"),
    ("fifo", "mkfifo $OUT/fifo"),
    ("secret", "cat $SECRET"),
    ("secret_listed", "ls $(dirname $SECRET)"),
    ("secret_file", "cat $HOME/token"),
    ("secret_by_old_symlink", "cat $HOME/pointer"),
    ("workspace_secret", "cat private/key"),
    ("git_hook", "echo x > .git/hooks/pre-commit"),
    ("git_config", "echo x >> .git/config"),
    (
        "git_swap",
        "mv .git g && cp -r g .git && echo x > .git/hooks/pre-commit",
    ),
    ("nested_git_hook", "echo x > sub/.git/hooks/pre-commit"),
    ("editor", "echo x > .vscode/tasks.json"),
    (
        "editor_swap",
        "mv .vscode v && mkdir .vscode && echo x > .vscode/tasks.json",
    ),
    ("envrc", "echo x > .envrc"),
    ("cargo_config", "echo x > .cargo/config.toml"),
];

/// Attacks of `attacks.py`.
const PYTHON: &[&str] = &[
    "tcp",
    "mptcp",
    "fastopen",
    "udp",
    "udp6",
    "unix_abstract",
    "unix_path",
    "unix_datagram",
    "set_user_id",
    "packet",
    "netlink_audit",
    "vsock",
    "xattr",
    "environ",
    "cmdlines",
    "victim_root",
    "secret_by_self_root",
    "secret_by_link",
    "secret_by_symlink",
    "secret_by_rename",
    "disk",
    "ptrace",
    "process_vm",
    "io_uring",
    "new_user_namespace",
    "clone_user_namespace",
    "keyring",
    "add_key",
    "userfaultfd",
    "perf",
    "bpf",
    "mount",
    "chroot",
    "x32",
    "personality",
    "sysctl",
    "sysfs",
    "capabilities",
    "kill_victim",
];

/// Runs every attack on a fresh host of its own and returns the names of those that got something.
async fn breaches(
    make: impl Fn() -> Place,
    names: impl Fn(&str) -> bool,
) -> BTreeSet<&'static str> {
    let mut succeeded = BTreeSet::new();
    let shell = SHELL
        .iter()
        .map(|(name, script)| (*name, (*script).to_owned()));
    let python = PYTHON
        .iter()
        .map(|name| (*name, format!("python3 attacks.py {name}")));
    for (name, script) in shell.chain(python).filter(|(name, _)| names(name)) {
        let place = make();
        if attack(&place, &script).await {
            succeeded.insert(name);
        }
    }
    succeeded
}

/// Everything an attack could change, as the owner sees it.
fn look(place: &Place, name: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut open = vec![place.path("outside"), place.path("home")];
    let watched = [".git", "sub/.git", ".vscode", ".envrc", ".cargo"]
        .map(|name| place.path("workspace").join(name));
    open.extend(watched);
    while let Some(path) = open.pop() {
        let Ok(there) = path.symlink_metadata() else {
            seen.push(format!("{} is gone", path.display()));
            continue;
        };
        let xattr = rustix::fs::lgetxattr(&path, "user.deskhand", &mut [0; 8][..]).is_ok();
        let content = if there.is_file() {
            std::fs::read_to_string(&path).unwrap()
        } else {
            String::new()
        };
        let time = if there.is_dir() { 0 } else { there.mtime() };
        seen.push(format!(
            "{} {:o} {} {time} {xattr} {content}",
            path.display(),
            there.mode(),
            there.nlink()
        ));
        if there.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    let shared = ["/dev/shm", "/tmp", "/var/tmp"].map(|dir| Path::new(dir).join(name));
    seen.extend(
        shared
            .iter()
            .filter(|path| path.exists())
            .map(|path| path.display().to_string()),
    );
    shared
        .iter()
        .for_each(|path| drop(std::fs::remove_file(path)));
    seen.sort();
    seen
}

async fn attack(place: &Place, script: &str) -> bool {
    let name = common::marker();
    furnish(place);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = [("127.0.0.1", port), ("::1", port)].map(|address| UdpSocket::bind(address).unwrap());
    udp.iter()
        .for_each(|socket| socket.set_nonblocking(true).unwrap());
    let on_path = UnixListener::bind(place.path("outside/socket")).unwrap();
    std::fs::set_permissions(
        place.path("outside/socket"),
        PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let datagrams = UnixDatagram::bind(place.path("outside/datagrams")).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    std::fs::set_permissions(
        place.path("outside/datagrams"),
        PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let in_the_air = SocketAddr::from_abstract_name(format!("deskhand-{port}")).unwrap();
    let unix = [on_path, UnixListener::bind_addr(&in_the_air).unwrap()];
    unix.iter()
        .for_each(|listener| listener.set_nonblocking(true).unwrap());
    // The victim belongs to whoever the task runs as, or the user would be the wall.
    let mut victim = place
        .as_task_user("sleep")
        .arg("1000")
        .env("VICTIM_SECRET", SECRET)
        .spawn()
        .unwrap();

    let mut profile = place.profile();
    profile.hidden = vec![
        place.path("home/.keys"),
        place.path("home/token"),
        place.path("workspace/private"),
    ];
    let mut command = place.command(&["sh", "-c", script]);
    for (variable, value) in [
        ("OUT", place.path("outside")),
        ("HOME", place.path("home")),
        ("SECRET", place.path("home/.keys/key")),
        ("PORT", PathBuf::from(port.to_string())),
        ("VICTIM", PathBuf::from(victim.id().to_string())),
        ("NAME", PathBuf::from(&name)),
    ] {
        command.env.push((variable.into(), value.into()));
    }
    let before = look(place, &name);
    let ran = place.run(&profile, command).await.unwrap();
    let after = look(place, &name);

    let connected = tcp.accept().is_ok() || unix.iter().any(|listener| listener.accept().is_ok());
    let sent = udp.iter().any(|socket| socket.recv(&mut [0; 8]).is_ok())
        || datagrams.recv(&mut [0; 8]).is_ok();
    let killed = victim.try_wait().unwrap().is_some();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let told = ran.stdout.contains(SECRET)
        || ran.stdout.contains("GOT")
        || ran.stdout.lines().any(|line| line == "key");
    connected || sent || killed || told || before != after
}

/// Puts there what the attacks are after.
fn furnish(place: &Place) {
    place.write("outside/file", "content\n");
    std::fs::create_dir(place.path("outside/empty")).unwrap();
    place.give("outside/empty");
    place.write("home/.keys/key", SECRET);
    place.write("home/token", SECRET);
    std::os::unix::fs::symlink(place.path("home/.keys/key"), place.path("home/pointer")).unwrap();
    place.write("workspace/private/key", SECRET);
    for repository in ["workspace/.git", "workspace/sub/.git"] {
        place.write(&format!("{repository}/config"), "[core]\n");
        place.write(&format!("{repository}/hooks/sample"), "#!/bin/sh\n");
    }
    place.write("workspace/.vscode/tasks.json", "{}");
    place.write("workspace/.envrc", "# nothing\n");
    place.write("workspace/.cargo/config.toml", "# nothing\n");
    place.write("workspace/attacks.py", include_str!("common/attacks.py"));
    std::fs::set_permissions(place.path("outside/file"), PermissionsExt::from_mode(0o644)).unwrap();
}

fn set(names: &[&'static str]) -> BTreeSet<&'static str> {
    names.iter().copied().collect()
}

#[tokio::test]
async fn nothing_gets_through_tier_full() {
    for who in everyone() {
        assert_eq!(
            breaches(|| Place::of(who, Tier::Full), |_| true).await,
            set(&[]),
            "{who:?}"
        );
    }
}

/// The same by bubblewrap, where our own namespaces are refused. It must be installed to try this.
#[tokio::test]
async fn nothing_gets_through_bubblewrap() {
    for who in everyone() {
        let make = || Place::bubblewrapped(who);
        let place = make();
        let ran = place.sh(&place.profile(), "true").await;
        assert!(ran.applied.contains(&"bubblewrap".to_owned()), "{ran:?}");
        assert_eq!(breaches(make, |_| true).await, set(&[]), "{who:?}");
    }
}

/// Without this, the tests above could pass because the attacks are wrong.
#[tokio::test]
async fn every_kind_of_attack_succeeds_without_a_sandbox() {
    let kinds = [
        "create",
        "truncate",
        "rename_in",
        "rename_out",
        "hard_link",
        "symlink",
        "relative",
        "self_root",
        "self_cwd",
        "chmod",
        "touch",
        "shm",
        "tmp",
        "var_tmp",
        "secret",
        "secret_listed",
        "secret_file",
        "secret_by_old_symlink",
        "secret_by_self_root",
        "secret_by_link",
        "secret_by_symlink",
        "secret_by_rename",
        "workspace_secret",
        "git_hook",
        "git_config",
        "git_swap",
        "nested_git_hook",
        "editor",
        "editor_swap",
        "envrc",
        "cargo_config",
        "tcp",
        "mptcp",
        "udp",
        "unix_abstract",
        "unix_path",
        "unix_datagram",
        "set_user_id",
        "xattr",
        "environ",
        "cmdlines",
        "victim_root",
        "ptrace",
        "personality",
        "kill_victim",
    ];
    assert_eq!(
        breaches(|| Place::new(Tier::None), |name| kinds.contains(&name)).await,
        set(&kinds)
    );
}

/// What tier reduced cannot hold is known and written down: metadata, names of processes, and files in the workspace.
#[tokio::test]
async fn tier_reduced_holds_all_but_these() {
    let known = [
        "cargo_config",
        "chmod",
        "cmdlines",
        "editor",
        "envrc",
        "git_config",
        "git_hook",
        "nested_git_hook",
        "touch",
        "xattr",
    ];
    for who in everyone() {
        assert_eq!(
            breaches(|| Place::of(who, Tier::Reduced), |_| true).await,
            set(&known),
            "{who:?}"
        );
    }
}

/// Each layer holds something that nothing else does, or holds it together with one other.
#[tokio::test]
async fn without_a_layer_something_gets_through() {
    for (layers, through) in [
        ("skip:read_only", &["chmod", "touch", "xattr"][..]),
        (
            "skip:read_only,skip:landlock",
            &["create", "truncate", "unlink", "rename_in", "fifo"],
        ),
        (
            "skip:masks",
            &[
                "secret",
                "secret_listed",
                "secret_file",
                "secret_by_old_symlink",
                "workspace_secret",
            ],
        ),
        ("skip:netns", &["tcp", "mptcp", "fastopen", "udp", "udp6"]),
        (
            "skip:seccomp",
            &[
                "unix_path",
                "unix_datagram",
                "set_user_id",
                "ptrace",
                "personality",
                "netlink_audit",
            ],
        ),
        (
            "skip:capabilities",
            if is_root() { &["capabilities"] } else { &[] },
        ),
        (
            "skip:protected",
            &[
                "git_hook",
                "git_swap",
                "nested_git_hook",
                "editor",
                "envrc",
                "cargo_config",
            ],
        ),
    ] {
        let got = breaches(|| Place::without(layers), |name| through.contains(&name)).await;
        assert_eq!(got, set(through), "{layers}");
    }
}

#[tokio::test]
async fn a_missing_layer_is_named_and_nothing_runs() {
    for layer in ["userns", "mounts", "capabilities", "landlock", "seccomp"] {
        let place = Place::without(&format!("{layer},bubblewrap"));
        let error = place
            .run(&place.profile(), place.command(&["touch", "ran"]))
            .await
            .unwrap_err();
        let SpawnError::Unavailable {
            tier,
            require,
            missing,
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(require, Tier::Full);
        assert_eq!(
            tier,
            if ["userns", "mounts"].contains(&layer) {
                Tier::Reduced
            } else {
                Tier::None
            },
            "{layer}"
        );
        assert!(
            missing.iter().any(|missing| missing.layer == layer),
            "{layer}: {missing:?}"
        );
        assert!(!place.path("workspace/ran").exists());
    }
}

#[tokio::test]
async fn a_weaker_tier_is_taken_only_when_it_will_do() {
    let place = Place::without("userns,bubblewrap");
    let mut profile = place.profile();
    profile.require = Tier::None;
    assert_eq!(place.sh(&profile, "true").await.tier, Tier::Reduced);
    let place = Place::without("userns,bubblewrap,landlock");
    let mut profile = place.profile();
    profile.require = Tier::None;
    assert_eq!(place.sh(&profile, "true").await.tier, Tier::None);
}
