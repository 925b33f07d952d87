//! How long watchers wait: from the end of a task to the last of many, with one of them stalled, and
//! for a page of a long timeline beside load.

use std::time::{Duration, Instant};

use deskhand_tests::TestWatcher;
use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Up, figures::print_percentiles, up};

/// One delivery: which task, and how long after its end.
type Delivery = (u32, Duration);

pub(crate) async fn measure(n_tasks: u32, n_entries: u32) {
    let up = up().await;
    let device = up.caller.get("/api/devices").await.body["devices"][0]["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    for n_watchers in [100, 1_000] {
        let (_, last) = deliveries(&up, &device, n_watchers, n_tasks).await;
        print_percentiles(&format!("end of task to last of {n_watchers}"), last);
    }
    // In turns, so that both see the same machine.
    let (mut reading, mut stalled) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        reading.extend(deliveries(&up, &device, 99, n_tasks).await.0);
        let path = format!("/ws/devices/{device}/timeline");
        let mut asleep = TestWatcher::open_narrow(&up.caller, &path).await;
        asleep.subscribe(json!({})).await;
        fill(&up, 12_000).await;
        stalled.extend(deliveries(&up, &device, 99, n_tasks).await.0);
        drop(asleep);
    }
    let without = print_percentiles("each of 99, all read", reading);
    let with = print_percentiles("each of 99, one more stalled", stalled);
    println!("one stalled: p99 {:.2} times", with / without);
    pages(&up, &device, n_entries).await;
}

/// Runs tasks one after the other; returns when each watcher heard of each end, and the last of each.
async fn deliveries(
    up: &Up,
    device: &str,
    n_watchers: usize,
    n_tasks: u32,
) -> (Vec<Duration>, Vec<Duration>) {
    let (heard, mut deliveries) = mpsc::channel(4096);
    let mut watchers = Vec::new();
    for _ in 0..n_watchers {
        let filters = json!({"status": "completed"});
        let mut watcher = TestWatcher::subscribed(&up.caller, device, filters).await;
        let heard = heard.clone();
        watchers.push(tokio::spawn(async move {
            for n in 0..n_tasks {
                let message = watcher.hear().await;
                let ended: Timestamp = message["timestamp"].as_str().unwrap().parse().unwrap();
                let late = Timestamp::now().duration_since(ended).unsigned_abs();
                let delivery: Delivery = (n, late);
                heard.send(delivery).await.unwrap();
            }
        }));
    }
    let (mut all, mut last) = (Vec::new(), Vec::new());
    for n in 0..n_tasks {
        let name = format!("bench-{}-{n}", Timestamp::now().as_nanosecond());
        assert_eq!(up.caller.echo(&name, "x").await.body["status"], "completed");
        let mut latest = Duration::ZERO;
        for _ in 0..n_watchers {
            let (of, late) = deliveries.recv().await.unwrap();
            assert_eq!(of, n);
            latest = latest.max(late);
            all.push(late);
        }
        last.push(latest);
    }
    join_all(watchers).await;
    (all, last)
}

async fn fill(up: &Up, n_entries: u32) {
    let lanes = (0..64).map(|lane| async move {
        for n in (lane..n_entries).step_by(64) {
            up.caller
                .webhook(&json!({"n": n, "filling": "x".repeat(700)}))
                .await;
        }
    });
    join_all(lanes).await;
}

async fn pages(up: &Up, device: &str, n_entries: u32) {
    let path = format!("/api/devices/{device}/timeline");
    let count = async || {
        up.caller.get(&path).await.body["total_count"]
            .as_u64()
            .unwrap()
    };
    let missing = u64::from(n_entries).saturating_sub(count().await);
    fill(up, u32::try_from(missing).unwrap()).await;
    println!("{} entries", count().await);
    let until = Instant::now() + Duration::from_secs(15);
    let load = (0..8).map(|lane| async move {
        let mut n = 0;
        while Instant::now() < until {
            let name = format!("beside-{lane}-{n}-{}", Timestamp::now().as_nanosecond());
            up.caller.echo(&name, "x").await;
            n += 1;
        }
        n
    });
    let asking = async {
        let mut taken: Vec<(&str, Vec<Duration>)> = Vec::new();
        for query in [
            "",
            "&status=completed",
            "&success=false",
            "&source=schedule",
            "&offset=50000",
        ] {
            taken.push((query, Vec::new()));
        }
        while Instant::now() < until {
            for (query, taken) in &mut taken {
                let began = Instant::now();
                let answer = up
                    .caller
                    .call(Method::GET, &format!("{path}?limit=100{query}"), None, &[])
                    .await;
                taken.push(began.elapsed());
                assert_eq!(answer.status, 200, "{}", answer.body);
                assert!(matches!(answer.body["entries"], Value::Array(_)));
            }
        }
        taken
    };
    let (n_beside, taken) = tokio::join!(join_all(load), asking);
    let n_beside: u32 = n_beside.into_iter().sum();
    println!("beside {} echoes per second:", n_beside / 15);
    for (query, taken) in taken {
        print_percentiles(&format!("page of 100{query}"), taken);
    }
}
