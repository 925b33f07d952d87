//! A program starts, is heard, is stopped, and leaves nothing behind, whatever the tier.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Place, WAYS, alive, eventually, marker};
use deskhand_sandbox::{Limit, SpawnError, Stream, Tier, spawn};

/// Starts three levels of processes that leave their session and their parent behind, each sleeping for `marker` seconds.
fn daemonising(marker: &str) -> String {
    format!(
        "(setsid sh -c '(setsid sh -c \"(setsid sleep {marker} &) ; sleep {marker}\" &) ; sleep {marker}' &) ;"
    )
}

async fn daemons_run(marker: &str) {
    // Three of them, and the program itself.
    eventually(Duration::from_secs(10), "the start of all daemons", || {
        alive(marker)
            .iter()
            .filter(|line| line.contains(": sleep "))
            .count()
            == 4
    })
    .await;
}

async fn nothing_left(marker: &str) {
    eventually(Duration::from_secs(1), "the end of the tree", || {
        alive(marker).is_empty()
    })
    .await;
}

#[tokio::test]
async fn output_and_exit_code_come_back() {
    for way in WAYS {
        let place = Place::held(way);
        let ran = place
            .sh(&place.profile(), "echo out; echo err >&2; exit 7")
            .await;
        assert_eq!(
            (
                ran.stdout.as_str(),
                ran.stderr.as_str(),
                ran.exit.returncode
            ),
            ("out\n", "err\n", 7)
        );
        assert!(!ran.exit.helper_lost);
        assert_eq!(ran.exit.limits_hit, []);
    }
}

#[tokio::test]
async fn a_signal_is_a_negative_code() {
    for way in WAYS {
        let place = Place::held(way);
        let ran = place.sh(&place.profile(), "kill -9 $$").await;
        assert_eq!(ran.exit.returncode, -9);
    }
}

#[tokio::test]
async fn standard_input_and_environment_are_exactly_what_was_given() {
    for way in WAYS {
        let place = Place::held(way);
        let mut command = place.command(&["sh", "-c", "cat; env | sort; pwd"]);
        command.stdin = b"from stdin\n".to_vec();
        command.env = vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("ODD".into(), OsString::from_vec(vec![b'x', 0xff])),
        ];
        let ran = place.run(&place.profile(), command).await.unwrap();
        let workspace = place.workspace();
        let expected = format!(
            "from stdin\nODD=x\u{fffd}\nPATH=/usr/bin:/bin\nPWD={0}\n{0}\n",
            workspace.display()
        );
        assert_eq!(ran.stdout, expected);
        let empty = place
            .run(&place.profile(), place.command(&["wc", "-c"]))
            .await
            .unwrap();
        assert_eq!(empty.stdout.trim(), "0");
    }
}

#[tokio::test]
async fn nothing_open_here_is_open_there() {
    for way in WAYS {
        let place = Place::held(way);
        let leaked = std::fs::File::open("/etc/passwd").unwrap();
        rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
        assert!(leaked.as_raw_fd() > 2);
        let ran = place.sh(&place.profile(), "ls /proc/self/fd | sort -n | tr '\\n' ' '; ps -o sid=,pid= -p $$ | awk '{print $1==$2}'").await;
        // 3 is the directory that ls itself reads.
        assert_eq!(ran.stdout, "0 1 2 3 1\n");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_says_so() {
    for way in WAYS {
        let place = Place::held(way);
        for (argv, kind) in [
            ("no-such-program", std::io::ErrorKind::NotFound),
            ("/etc/passwd", std::io::ErrorKind::PermissionDenied),
        ] {
            match place.run(&place.profile(), place.command(&[argv])).await {
                Err(SpawnError::Program { program, source }) => {
                    assert_eq!((program.to_str(), source.kind()), (Some(argv), kind))
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_working_directory_must_be_beneath_the_workspace() {
    let place = Place::new(Tier::None);
    let profile = place.profile();
    std::fs::create_dir(place.path("workspace/sub")).unwrap();
    std::os::unix::fs::symlink(place.path("outside"), place.path("workspace/way-out")).unwrap();
    std::os::unix::fs::symlink(place.path("workspace/sub"), place.path("workspace/inside"))
        .unwrap();
    let pwd = async |cwd: &Path| {
        let mut command = place.command(&["/bin/pwd"]);
        command.cwd = cwd.to_owned();
        place
            .run(&profile, command)
            .await
            .map(|ran| ran.stdout.trim().to_owned())
    };
    let sub = place.path("workspace/sub").to_str().unwrap().to_owned();
    assert_eq!(pwd(Path::new("sub")).await.unwrap(), sub);
    assert_eq!(pwd(Path::new("inside")).await.unwrap(), sub);
    assert_eq!(pwd(&place.path("workspace/sub")).await.unwrap(), sub);
    for outside in [
        Path::new("way-out"),
        Path::new(".."),
        Path::new("/etc"),
        &place.path("outside"),
    ] {
        assert!(
            matches!(pwd(outside).await, Err(SpawnError::OutsideWorkspace { .. })),
            "{}",
            outside.display()
        );
    }
    assert!(matches!(
        pwd(Path::new("missing")).await,
        Err(SpawnError::WorkingDir { .. })
    ));
}

#[tokio::test]
async fn a_helper_that_others_could_change_is_refused() {
    let place = Place::new(Tier::None);
    let copy = place.path("outside/deskhand-sandbox");
    std::fs::copy(env!("CARGO_BIN_EXE_deskhand-sandbox"), &copy).unwrap();
    let dir = copy.parent().unwrap();
    let attempt = async || {
        spawn(&copy, &place.profile(), place.command(&["true"]))
            .await
            .map(|_| ())
            .map_err(|error| match error {
                SpawnError::Helper { reason, .. } => reason,
                other => panic!("{other:?}"),
            })
    };
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(attempt().await, Ok(()));
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o757)).unwrap();
    assert_eq!(attempt().await, Err("it is writable by others".into()));
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).unwrap();
    assert_eq!(
        attempt().await,
        Err("its directory is writable by others".into())
    );
    std::fs::remove_file(&copy).unwrap();
    assert!(attempt().await.unwrap_err().contains("No such file"));
}

#[tokio::test]
async fn a_helper_that_says_nothing_is_not_believed() {
    let place = Place::new(Tier::None);
    let mute = place.path("outside/mute");
    std::fs::write(&mute, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::set_permissions(&mute, PermissionsExt::from_mode(0o755)).unwrap();
    let error = spawn(&mute, &place.profile(), place.command(&["true"]))
        .await
        .unwrap_err();
    assert!(matches!(error, SpawnError::Io(_)), "{error:?}");
}

#[tokio::test]
async fn stop_ends_gently_first() {
    for way in WAYS {
        let place = Place::held(way);
        let script = "exec 2>/dev/null; trap 'echo gently; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let mut child = place
            .spawn(&place.profile(), place.command(&["sh", "-c", script]))
            .await
            .unwrap();
        assert_eq!(child.next_output().await.unwrap().bytes, b"ready\n");
        child.stopper().stop(Duration::from_secs(20));
        assert_eq!(child.next_output().await.unwrap().bytes, b"gently\n");
        assert_eq!(child.wait().await.returncode, 3);
    }
}

#[tokio::test]
async fn stop_kills_what_does_not_listen_and_what_daemonised() {
    for way in WAYS {
        let place = Place::held(way);
        let marker = marker();
        let script = format!(
            "trap '' TERM; {} echo ready; sleep {marker}; sleep {marker}",
            daemonising(&marker)
        );
        let mut child = place
            .spawn(&place.profile(), place.command(&["sh", "-c", &script]))
            .await
            .unwrap();
        assert_eq!(child.next_output().await.unwrap().bytes, b"ready\n");
        let stopped_at = Instant::now();
        child.stopper().stop(Duration::from_millis(200));
        assert_eq!(child.wait().await.returncode, -9);
        assert!(stopped_at.elapsed() >= Duration::from_millis(200));
        assert!(alive(&marker).is_empty(), "{:?}", alive(&marker));
    }
}

#[tokio::test]
async fn daemons_go_when_the_program_ends() {
    for way in WAYS {
        let place = Place::held(way);
        let marker = marker();
        let ran = place
            .sh(
                &place.profile(),
                &format!("{} sleep 0.2; exit 5", daemonising(&marker)),
            )
            .await;
        assert_eq!(ran.exit.returncode, 5);
        assert!(alive(&marker).is_empty(), "{:?}", alive(&marker));
    }
}

#[tokio::test]
async fn a_background_reader_may_finish() {
    for way in WAYS {
        let place = Place::held(way);
        let ran = place
            .sh(&place.profile(), "(sleep 0.1; echo late) & echo early")
            .await;
        assert_eq!(ran.stdout, "early\nlate\n");
    }
}

#[tokio::test]
async fn dropping_the_child_ends_the_tree() {
    for way in WAYS {
        let place = Place::held(way);
        let marker = marker();
        let script = format!("{} sleep {marker}", daemonising(&marker));
        let child = place
            .spawn(&place.profile(), place.command(&["sh", "-c", &script]))
            .await
            .unwrap();
        daemons_run(&marker).await;
        let stopper = child.stopper();
        drop(child);
        nothing_left(&marker).await;
        stopper.stop(Duration::ZERO);
    }
}

/// Not a test of its own: the process that [`the_tree_dies_with_the_process_that_started_it`] kills.
#[tokio::test]
async fn stand_in_for_an_agent() {
    let Some(marker) = std::env::var("DESKHAND_TEST_STAND_IN").ok() else {
        return;
    };
    let place = Place::held(&std::env::var("DESKHAND_TEST_WAY").unwrap());
    let script = format!("{} sleep {marker}", daemonising(&marker));
    let child = place
        .spawn(&place.profile(), place.command(&["sh", "-c", &script]))
        .await
        .unwrap();
    std::future::pending::<()>().await;
    drop(child);
}

#[tokio::test]
async fn the_tree_dies_with_the_process_that_started_it() {
    for way in WAYS {
        let marker = marker();
        let mut agent = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stand_in_for_an_agent", "--nocapture"])
            .env("DESKHAND_TEST_STAND_IN", &marker)
            .env("DESKHAND_TEST_WAY", way)
            .spawn()
            .unwrap();
        daemons_run(&marker).await;
        agent.kill().unwrap();
        agent.wait().unwrap();
        nothing_left(&marker).await;
    }
}

#[tokio::test]
async fn a_stream_over_its_limit_ends_the_task() {
    for way in WAYS {
        let place = Place::held(way);
        let mut profile = place.profile();
        profile.limits.output_bytes_per_stream = 1_000_000;
        let mut child = place
            .spawn(&profile, place.command(&["yes"]))
            .await
            .unwrap();
        let mut n_bytes = 0;
        while let Some(chunk) = child.next_output().await {
            assert!(chunk.stream == Stream::Stdout && chunk.bytes.len() <= 64 * 1024);
            n_bytes += chunk.bytes.len();
        }
        let exit = child.wait().await;
        assert_eq!(
            (n_bytes, exit.returncode < 0, exit.limits_hit),
            (1_000_000, true, vec![Limit::OutputLimit])
        );
    }
}

#[tokio::test]
async fn a_pipe_held_outside_of_the_tree_is_not_waited_for() {
    for way in WAYS {
        let place = Place::held(way);
        let marker = marker();
        let script = format!("echo {marker} >/dev/null; echo ready; sleep 0.3");
        let mut child = place
            .spawn(&place.profile(), place.command(&["sh", "-c", &script]))
            .await
            .unwrap();
        assert_eq!(child.next_output().await.unwrap().bytes, b"ready\n");
        let shell = alive(&marker)
            .into_iter()
            .find(|line| line.contains(": sh -c"))
            .unwrap();
        let pid = shell.split(':').next().unwrap();
        // Somebody outside holds the write end of the program's output from here on.
        let held = std::fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/{pid}/fd/1"))
            .unwrap();
        let started_at = Instant::now();
        assert_eq!(child.wait().await.returncode, 0);
        assert!(started_at.elapsed() < Duration::from_secs(5));
        drop(held);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_starts() {
    let place = Place::new(Tier::None);
    let mut profile = place.profile();
    let refused = async |profile: &_, command| {
        matches!(
            place.run(profile, command).await,
            Err(SpawnError::Invalid(_))
        )
    };
    assert!(refused(&profile, place.command(&[])).await);
    assert!(refused(&profile, place.command(&["echo", "a\0b"])).await);
    profile.workspace = "/".into();
    assert!(refused(&profile, place.command(&["true"])).await);
    profile.workspace = place.path("workspace/../workspace");
    assert!(refused(&profile, place.command(&["true"])).await);
}
