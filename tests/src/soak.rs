//! Long or hostile runs over the real programs: how long is the caller's choice. The ordinary tests do
//! a small one, `cargo xtask soak` a large one.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use deskhand_client::Heard;
use deskhand_protocol::{
    Cursor,
    timeline::{TimelineEntry, TimelineEvent, TimelineFilters},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{PATIENCE, TestCaller, TestWatcher, eventually, relay_and_device, task};

/// What a run of restarts saw.
#[derive(Debug)]
pub struct Restarts {
    /// Tasks that were handed over.
    pub n_tasks: usize,
    /// Entries of the timeline.
    pub n_entries: usize,
    /// How often each watcher had to come back.
    pub n_reconnects: usize,
}

/// Restarts a relay at random moments under load, every other time as a power cut would, and checks
/// that every watcher heard every entry once and in order.
pub async fn restarts(n_restarts: u32, n_watchers: usize) -> Restarts {
    let (mut relay, _device, caller) = relay_and_device().await;
    let watchers: Vec<_> = (0..n_watchers)
        .map(|_| tokio::spawn(listen(caller.clone())))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let lanes: Vec<_> = (0..4)
        .map(|lane| tokio::spawn(load(caller.clone(), lane, stop.clone())))
        .collect();
    let mut random = Random::new(7);
    for n in 0..n_restarts {
        tokio::time::sleep(Duration::from_millis(u64::from(random.below(700)))).await;
        match n % 2 {
            0 => relay.kill(),
            _ => relay.terminate().await,
        }
        relay.start_again().await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut names = Vec::new();
    for lane in lanes {
        names.extend(lane.await.unwrap());
    }
    for name in &names {
        caller.ended(name).await;
    }
    submit(&caller, "last").await;
    caller.ended("last").await;
    names.push("last".to_owned());

    let kept = whole_timeline(&caller).await;
    let mut n_reconnects = 0;
    for watcher in watchers {
        let (heard, n) = tokio::time::timeout(PATIENCE, watcher)
            .await
            .unwrap()
            .unwrap();
        n_reconnects += n;
        // It began when it began; from there on it has what the relay kept.
        let first = &heard.first().expect("it heard something").cursor;
        let expected: Vec<&TimelineEntry> =
            kept.iter().skip_while(|e| e.cursor != *first).collect();
        let upto = expected.iter().position(|e| is_end(e, "last")).unwrap() + 1;
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected[..upto]);
    }
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &kept {
        if let TimelineEvent::TaskCompleted { task_id, .. } = &entry.event {
            *ends.entry(task_id.to_string()).or_default() += 1;
        }
    }
    let missing: Vec<_> = names
        .iter()
        .filter(|name| ends.get(*name) != Some(&1))
        .collect();
    assert!(missing.is_empty(), "without one end: {missing:?}");
    Restarts {
        n_tasks: names.len(),
        n_entries: kept.len(),
        n_reconnects,
    }
}

/// Watches until the last task has ended; returns what it heard and how often it came back.
async fn listen(caller: TestCaller) -> (Vec<TimelineEntry>, usize) {
    let mut timeline = caller
        .client()
        .timeline("desk", TimelineFilters::default(), None);
    let (mut heard, mut n_reconnects) = (Vec::new(), 0);
    loop {
        match timeline.next().await.unwrap() {
            Heard::Entry(entry) => {
                let last = is_end(&entry, "last");
                heard.push(*entry);
                if last {
                    return (heard, n_reconnects);
                }
            }
            Heard::Disconnected { .. } => n_reconnects += 1,
            Heard::Connected | Heard::Gap { lost: false, .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn is_end(entry: &TimelineEntry, name: &str) -> bool {
    matches!(&entry.event, TimelineEvent::TaskCompleted { task_id, .. } if task_id.as_str() == name)
}

/// Hands tasks over until it is told to stop; returns their names.
async fn load(caller: TestCaller, lane: u32, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut names = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let name = format!("lane-{lane}-{}", names.len());
        submit(&caller, &name).await;
        names.push(name);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    names
}

/// Hands a task over, again and again until the relay has it: its name makes it one task.
async fn submit(caller: &TestCaller, name: &str) {
    let mut body = task(false, name, "echo", json!({"text": name}));
    body["data"]["on_offline"] = json!("queue");
    eventually("the relay takes the task", || async {
        let answer = caller
            .try_call(Method::POST, "/webhook", Some(&body), &[])
            .await;
        answer.ok().filter(|answer| answer.status == 200)
    })
    .await;
}

/// Returns a timeline from its beginning, in order.
async fn whole_timeline(caller: &TestCaller) -> Vec<TimelineEntry> {
    let client = caller.client();
    let first = client
        .timeline_page("desk", &Default::default())
        .await
        .unwrap();
    let log_id = first.entries[0].cursor.log_id.clone();
    let mut query = deskhand_client::TimelineQuery {
        after: Some(Cursor { log_id, seq: 0 }),
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = client.timeline_page("desk", &query).await.unwrap();
        all.extend(page.entries);
        match page.next_cursor {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

/// Sends malformed frames and bodies through every door, and checks that the relay answers each
/// without a failure of its own and is no larger afterwards. Returns by how many bytes it grew.
pub async fn malformed(n_messages: u32) -> i64 {
    let (relay, _device, caller) = relay_and_device().await;
    // What any relay needs once it has served: buffers, caches, the store's pages.
    hostile(&caller, n_messages / 4).await;
    let before = relay.program().resident_bytes();
    hostile(&caller, n_messages).await;
    caller.echo("alive", "x").await;
    let after = relay.program().resident_bytes();
    after.cast_signed() - before.cast_signed()
}

async fn hostile(caller: &TestCaller, n_messages: u32) {
    let left = Arc::new(AtomicU32::new(n_messages));
    let lanes = (0..8).map(|lane| {
        let (caller, left) = (caller.clone(), left.clone());
        async move {
            let mut random = Random::new(lane + 1);
            let mut watcher = None;
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
            {
                match random.below(2) {
                    0 => post(&caller, &mut random).await,
                    _ => frame(&caller, &mut watcher, &mut random).await,
                }
            }
        }
    });
    futures_util::future::join_all(lanes).await;
}

/// Doors that take a body; none of them touches this machine, whatever a mutation makes of it.
const DOORS: [(&str, &str); 8] = [
    ("POST", "/webhook"),
    ("POST", "/api/tasks"),
    ("POST", "/api/task"),
    ("POST", "/api/device-requests/desk"),
    ("POST", "/api/tasks/none/approval"),
    ("POST", "/api/enrol"),
    ("PATCH", "/api/devices/none"),
    ("POST", "/api/stream-tickets"),
];

const BODIES: [&str; 6] = [
    r#"{"type":"task_command","sync":false,"data":{"task_id":"m","action_type":"echo","params":{"text":"x"},"on_offline":"fail","priority":"batch"}}"#,
    r#"{"type":"batch","data":{"tasks":[{"action_type":"echo","params":{"text":"x"}},{"action_type":"git","params":{"command":["git","status"]}}]}}"#,
    r#"{"action":{"type":"echo","text":"x"},"task_id":"m","expires_in":3,"title":"t","start":"on_connect"}"#,
    r#"{"type":"list_tasks","limit":3,"status":"failed"}"#,
    r#"{"answer":"once","digest":"00"}"#,
    r#"{"code":"ABCDEFGH","device_name":"m","os":"linux"}"#,
];

const FRAMES: [&str; 5] = [
    r#"{"type":"subscribe","bot_id":"desk","filters":{"status":"failed","success":false},"cursor":"bcdfghjkmn:5"}"#,
    r#"{"type":"subscribe"}"#,
    r#"{"type":"unsubscribe","bot_id":"desk"}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"subscribe","filters":{"task_id":"01900000-0000-7000-8000-000000000000","source":"websocket"}}"#,
];

async fn post(caller: &TestCaller, random: &mut Random) {
    let (method, path) = DOORS[random.below(8) as usize];
    let body = BODIES[random.below(6) as usize];
    let body = random.mutated(body);
    let shown = String::from_utf8_lossy(&body).into_owned();
    let status = caller.raw(method, path, body).await;
    assert!(
        status < 500 || status == 503,
        "{method} {path}: {status} for {shown}"
    );
}

async fn frame(caller: &TestCaller, watcher: &mut Option<TestWatcher>, random: &mut Random) {
    let open = match watcher {
        Some(open) => open,
        None => watcher.insert(TestWatcher::open(caller, "/ws/devices/desk/timeline").await),
    };
    let frame = FRAMES[random.below(5) as usize];
    let bytes = random.mutated(frame);
    let frame = match String::from_utf8(bytes) {
        Ok(text) if random.below(16) > 0 => Message::text(text),
        Ok(text) => Message::binary(text.into_bytes()),
        Err(error) => Message::binary(error.into_bytes()),
    };
    open.say_raw(frame).await;
    // Every mistake is answered; a mutation that is none may be answered by a page of entries.
    open.say(&json!({"type": "ping"})).await;
    let heard = open.all_until(|message| message["type"] == "pong").await;
    let kinds: HashSet<&str> = heard
        .iter()
        .filter_map(|m: &Value| m["type"].as_str())
        .collect();
    assert!(!kinds.contains(""), "{kinds:?}");
}

/// Numbers that come out the same in every run (xorshift64*, Vigna 2016).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed other than 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Returns a number below another.
    pub fn below(&mut self, most: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        u32::try_from(high).unwrap() % most
    }

    /// Returns a text with a few bytes changed, left out or doubled.
    pub fn mutated(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() as u32 + 1) as usize;
            match self.below(6) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => bytes.insert(at, b"{}[]\",:\\0\n"[self.below(10) as usize]),
                4 => {
                    let rest = bytes[at..].to_vec();
                    bytes.extend(rest);
                }
                _ => {
                    let word: &[u8] = [&b"null"[..], b"-1", b"1e999", b"\"\\u0000\"", b"[[[["]
                        [self.below(5) as usize];
                    bytes.splice(at..at, word.iter().copied());
                }
            }
        }
        bytes
    }
}
