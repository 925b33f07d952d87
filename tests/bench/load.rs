//! What is compared, and how it is asked.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};

use crate::Up;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Something that answers.
pub(crate) struct Contender {
    name: &'static str,
    what: What,
}

enum What {
    /// An address and what to post.
    Http {
        http: Client,
        url: String,
        key: String,
        body: Arc<dyn Fn(u64) -> Value + Send + Sync>,
        ok: &'static str,
    },
    /// A process to its end.
    Process { argv: Vec<String>, dir: PathBuf },
    /// A small write and a flush.
    Fsync { path: PathBuf },
}

impl Contender {
    pub(crate) fn floor(url: &str) -> Self {
        let body = Arc::new(|n| json!(format!("floor {n}")));
        Self::http("floor", url.to_owned(), String::new(), body, "floor")
    }

    pub(crate) fn echo(up: &Up) -> Self {
        Self::task("echo", up, |_| ("echo", json!({"text": "hello"})))
    }

    pub(crate) fn git_status(up: &Up) -> Self {
        Self::task("git status", up, |_| {
            ("git", json!({"command": ["git", "status"]}))
        })
    }

    pub(crate) fn shell_echo(up: &Up) -> Self {
        Self::task("shell echo", up, |_| {
            ("shell", json!({"command": ["/bin/echo", "hello"]}))
        })
    }

    pub(crate) fn bare(name: &'static str, argv: &[&str], dir: &Path) -> Self {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        Self {
            name,
            what: What::Process {
                argv,
                dir: dir.to_owned(),
            },
        }
    }

    pub(crate) fn fsync(dir: &Path) -> Self {
        Self {
            name: "fsync",
            what: What::Fsync {
                path: dir.join("fsync"),
            },
        }
    }

    fn task(
        name: &'static str,
        up: &Up,
        action: impl Fn(u64) -> (&'static str, Value) + Send + Sync + 'static,
    ) -> Self {
        let body = Arc::new(move |n| {
            let (kind, params) = action(n);
            deskhand_tests::task(true, &format!("bench-{n}"), kind, params)
        });
        let url = format!("{}/webhook", up.url);
        Self::http(
            name,
            url,
            up.caller.key().to_owned(),
            body,
            "\"status\":\"completed\"",
        )
    }

    fn http(
        name: &'static str,
        url: String,
        key: String,
        body: Arc<dyn Fn(u64) -> Value + Send + Sync>,
        ok: &'static str,
    ) -> Self {
        let http = Client::builder().tcp_nodelay(true).build().unwrap();
        Self {
            name,
            what: What::Http {
                http,
                url,
                key,
                body,
                ok,
            },
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Tells whether asking it side by side says nothing.
    pub(crate) fn is_serial(&self) -> bool {
        matches!(self.what, What::Fsync { .. })
    }

    async fn ask(&self) {
        match &self.what {
            What::Http {
                http,
                url,
                key,
                body,
                ok,
            } => {
                let n = NEXT.fetch_add(1, Ordering::Relaxed);
                let request = http.post(url).header("x-api-key", key).json(&body(n));
                let text = request.send().await.unwrap().text().await.unwrap();
                assert!(text.contains(ok), "{text}");
            }
            What::Process { argv, dir } => {
                let (argv, dir) = (argv.clone(), dir.clone());
                tokio::task::spawn_blocking(move || process(&argv, &dir))
                    .await
                    .unwrap();
            }
            What::Fsync { path } => fsync(path),
        }
    }
}

fn process(argv: &[String], dir: &Path) {
    let output = Command::new(&argv[0])
        .args(&argv[1..])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
}

/// Appends a page and waits for the disk, as a commit to a write-ahead log does.
fn fsync(path: &Path) {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(&[0; 4_096]).unwrap();
    file.sync_data().unwrap();
}

/// Asks a contender for a while, so many at a time.
pub(crate) async fn run(
    contender: &Contender,
    concurrency: usize,
    slice: Duration,
) -> Vec<Duration> {
    // The first answer of a round is not counted: connections are made and caches filled.
    contender.ask().await;
    let until = Instant::now() + slice;
    let lanes = (0..concurrency).map(|_| async move {
        let mut taken = Vec::new();
        while Instant::now() < until {
            let began = Instant::now();
            contender.ask().await;
            taken.push(began.elapsed());
        }
        taken
    });
    futures_util::future::join_all(lanes)
        .await
        .into_iter()
        .flatten()
        .collect()
}
