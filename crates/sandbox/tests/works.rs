//! What must go on working in tier full: the things people run in a project. Each is judged by what it produced.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Place, everyone};
use deskhand_sandbox::Tier;

/// Runs `script` for everyone and wants its last line to be `works`.
async fn works(script: &str) {
    let places = everyone().into_iter().map(|who| Place::of(who, Tier::Full));
    for place in places.chain([Place::held("bubblewrap")]) {
        let ran = works_in(&place, script).await;
        assert_eq!(ran.stdout.lines().last(), Some("works"), "{ran:?}");
    }
}

async fn works_in(place: &Place, script: &str) -> common::Ran {
    place.write("workspace/.keep", "");
    let mut command = place.command(&["bash", "-euc", script]);
    let home = std::env::var_os("HOME").unwrap();
    let tmp = place.path("tmp");
    for (name, value) in [
        ("HOME", home.clone()),
        ("LANG", "C.UTF-8".into()),
        ("XDG_CACHE_HOME", tmp.join("cache").into()),
        ("npm_config_cache", tmp.join("npm").into()),
        ("CARGO_NET_OFFLINE", "true".into()),
        ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
    ] {
        command.env.push((name.into(), value));
    }
    for (name, default) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        command.env.push((
            name.into(),
            std::env::var_os(name).unwrap_or_else(|| Path::new(&home).join(default).into()),
        ));
    }
    let mut profile = place.profile();
    profile.hidden = deskhand_sandbox::default_hidden(Path::new(&home));
    place.run(&profile, command).await.unwrap()
}

#[tokio::test]
async fn git_in_a_new_repository() {
    works(
        "git init -q r; cd r; git config user.name n; git config user.email e@x; echo a > a; git add a; git commit -qm m
         git checkout -qb b; git gc -q; git clone -q . ../c; cd ../c; [ \"$(git log --format=%s)\" = m ]; echo works",
    )
    .await;
}

#[tokio::test]
async fn git_writes_where_they_are_opted_into() {
    for who in everyone() {
        let place = Place::of(who, Tier::Full);
        let mut git = place.as_task_user("git");
        assert!(
            git.args(["-C", place.workspace().to_str().unwrap(), "init", "-q"])
                .status()
                .unwrap()
                .success()
        );
        let commit = "echo a > a; git add a; git -c user.name=n -c user.email=e@x commit -qm m";
        let refused = place.sh(&place.profile(), commit).await;
        assert!(
            refused.exit.returncode != 0 && refused.stderr.contains("Read-only file system"),
            "{refused:?}"
        );
        let mut profile = place.profile();
        profile.git_writes = true;
        let ran = place
            .sh(&profile, &format!("{commit} && git log --format=%s"))
            .await;
        assert_eq!(ran.stdout, "m\n", "{ran:?}");
        assert_eq!(
            ran.exit.created_executable_config,
            Vec::<std::path::PathBuf>::new()
        );
        let tricks = "echo x > .git/hooks/pre-commit; git config core.fsmonitor x; mv .git g; mv .git/hooks .git/h; true";
        place.sh(&profile, tricks).await;
        assert!(!place.path("workspace/.git/hooks/pre-commit").exists());
        assert!(
            !std::fs::read_to_string(place.path("workspace/.git/config"))
                .unwrap()
                .contains("fsmonitor")
        );
    }
}

#[tokio::test]
async fn cargo_build_and_test_offline() {
    // The toolchain is in the home of whoever runs the tests, where another user cannot go.
    let place = Place::new(Tier::Full);
    place.write(
        "workspace/c/Cargo.toml",
        "[package]\nname = \"c\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
    );
    place.write(
        "workspace/c/src/lib.rs",
        "#[test]\nfn t() { std::thread::spawn(|| assert_eq!(1 + 1, 2)).join().unwrap(); }\n",
    );
    let ran = works_in(
        &place,
        "cd c; cargo build -q --offline; cargo test -q --offline; echo works",
    )
    .await;
    assert_eq!(ran.stdout.lines().last(), Some("works"), "{ran:?}");
    assert!(ran.stdout.contains("1 passed"), "{ran:?}");
}

#[tokio::test]
async fn npm_with_a_private_cache() {
    works(
        "mkdir p app; echo '{\"name\":\"p\",\"version\":\"1.0.0\"}' > p/package.json; echo 'module.exports=\"works\"' > p/index.js
         cd app; npm init -y >/dev/null; npm install --offline --no-audit --no-fund ../p >/dev/null; node -p 'require(\"p\")'",
    )
    .await;
}

#[tokio::test]
async fn python_venv_and_pool() {
    works(
        "python3 -m venv --without-pip v
         v/bin/python -c 'import sys; assert sys.prefix.endswith(\"/v\")'
         cat > pool.py <<'END'
from multiprocessing import Pool
if __name__ == '__main__':
    with Pool(4) as p:
        assert p.map(abs, range(-50, 0)) == list(range(50, 0, -1))
    print('works')
END
         v/bin/python pool.py",
    )
    .await;
}

#[tokio::test]
async fn make_in_parallel() {
    works(
        "printf 'all: a b c d\\n%%: %%.c\\n\\t$(CC) -o $@ $<\\n' > Makefile
         for f in a b c d; do echo 'int main(void){return 0;}' > $f.c; done
         make -s -j4; ./a && ./d && echo works",
    )
    .await;
}

#[tokio::test]
async fn sqlite_in_wal_mode() {
    works(
        "python3 - <<'END'
import sqlite3
a, b = sqlite3.connect('d'), sqlite3.connect('d')
assert a.execute('pragma journal_mode=wal').fetchone() == ('wal',)
a.execute('create table t(x)'); a.execute('insert into t values (1)'); a.commit()
assert b.execute('select x from t').fetchone() == (1,)
END
         echo works",
    )
    .await;
}

#[tokio::test]
async fn a_program_on_a_terminal() {
    works("script -qec 'tty >/dev/null && echo works' /dev/null | tr -d '\\r'").await;
}

#[tokio::test]
async fn a_server_on_loopback() {
    works(
        "echo works > page; python3 -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1 &
         for i in $(seq 200); do curl -sf http://127.0.0.1:8123/page && exit; sleep 0.05; done",
    )
    .await;
}

#[tokio::test]
async fn devices_and_temporary_directories() {
    works(
        "head -c 4 /dev/urandom >/dev/zero; echo x > /dev/null; echo x > $TMPDIR/f; mktemp >/dev/null
         echo x > /dev/shm/f; echo x > /var/tmp/f; python3 -c 'from multiprocessing import Lock; Lock()'
         cat <(echo works)",
    )
    .await;
}

#[tokio::test]
async fn output_by_name() {
    let place = Place::new(Tier::Full);
    let ran = place
        .sh(
            &place.profile(),
            "echo a > /dev/stdout; echo b > /dev/stderr; echo c > /proc/self/fd/1",
        )
        .await;
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("a\nc\n", "b\n")
    );
}

#[tokio::test]
async fn a_workspace_and_a_temporary_directory_beneath_hidden_ones() {
    for (way, parent) in [
        ("full", "/tmp"),
        ("full", "/srv"),
        ("bubblewrap", "/tmp"),
        ("bubblewrap", "/srv"),
    ] {
        let root = tempfile::tempdir_in(if common::is_root() { parent } else { "/tmp" }).unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("cloud/project")).unwrap();
        std::fs::create_dir_all(root.join("data/scratch/1")).unwrap();
        std::fs::write(root.join("cloud/letter"), "secret").unwrap();
        std::fs::write(root.join("data/store"), "secret").unwrap();
        let place = Place::held(way);
        let mut profile = place.profile();
        profile.workspace = root.join("cloud/project");
        profile.private_tmp = root.join("data/scratch/1");
        profile.hidden = vec![root.join("cloud"), root.join("data")];
        let script = "cat ../letter ../../data/store; echo in > ../out; echo kept > file; cd ../../data/scratch/1; echo x > f; cat f; pwd";
        let mut command = place.command(&["sh", "-c", script]);
        command.cwd = ".".into();
        let ran = place.run(&profile, command).await.unwrap();
        assert_eq!(
            ran.stdout,
            format!("x\n{}\n", profile.private_tmp.display()),
            "{ran:?}"
        );
        assert_eq!(
            std::fs::read_to_string(root.join("cloud/project/file")).unwrap(),
            "kept\n"
        );
        assert!(!root.join("cloud/out").exists() && !root.join("data/scratch/1/f").exists());
    }
}

#[tokio::test]
async fn a_read_only_workspace_is_read_only() {
    for tier in [Tier::Full, Tier::Reduced] {
        let place = Place::new(tier);
        place.write("workspace/file", "content\n");
        let mut profile = place.profile();
        profile.writable = false;
        let ran = place
            .sh(
                &profile,
                "cat file; echo x > file; echo x > new; echo $?; echo x > $TMPDIR/ok && echo ok",
            )
            .await;
        assert_eq!(ran.stdout, "content\n2\nok\n", "{tier}");
        assert_eq!(
            std::fs::read_to_string(place.path("workspace/file")).unwrap(),
            "content\n"
        );
    }
}

#[tokio::test]
async fn what_a_task_made_that_others_would_run_is_told() {
    for tier in [Tier::Full, Tier::None] {
        let place = Place::new(tier);
        place.write("workspace/.npmrc", "a=b\n");
        let script = "git init -q nested; git init -q --bare bare; echo x > bare/hooks/post-receive; touch \"$(printf 'nested/.git/hooks/\\377')\"; echo '#!/bin/sh' > nested/.git/hooks/pre-commit; echo c=d >> .npmrc; mkdir .vscode
                      echo {} > .vscode/tasks.json; ln -s /root/.bashrc out; ln -s .npmrc in; ln -s /usr/bin/env system; echo x > plain";
        let ran = place.sh(&place.profile(), script).await;
        let told: Vec<_> = ran
            .exit
            .created_executable_config
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect();
        for name in [
            ".npmrc",
            ".vscode",
            ".vscode/tasks.json",
            "nested/.git",
            "nested/.git/hooks/pre-commit",
            "bare/hooks/post-receive",
            "out",
        ] {
            assert!(told.contains(&name), "{name} {told:?}");
        }
        for name in ["in", "system", "plain"] {
            assert!(!told.contains(&name), "{name} {told:?}");
        }
        let again = place.sh(&place.profile(), "echo x > plain").await;
        assert_eq!(
            again.exit.created_executable_config,
            Vec::<std::path::PathBuf>::new()
        );
    }
}
