//! Watchers in trouble: one that does not read, and the typed client over restarts of the relay.

use std::time::Duration;

use deskhand_client::Heard;
use deskhand_protocol::{
    Cursor,
    timeline::{TimelineEvent, TimelineFilters},
};
use deskhand_tests::{TestCaller, TestWatcher, relay_and_device, watcher::place};
use serde_json::json;

async fn post(caller: &TestCaller, from: u32, to: u32) {
    let lanes = (0..32).map(|lane| async move {
        let mut n = from + lane;
        while n < to {
            caller
                .webhook(&json!({"n": n, "filling": "x".repeat(700)}))
                .await;
            n += 32;
        }
    });
    futures_util::future::join_all(lanes).await;
}

#[tokio::test]
async fn who_does_not_read_is_told_a_gap_and_gets_everything_all_the_same() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut stalled = TestWatcher::open_narrow(&caller, "/ws/devices/desk/timeline").await;
    stalled.subscribe(json!({})).await;
    let mut other = TestWatcher::subscribed(&caller, "desk", json!({})).await;
    // What the kernel holds for a socket that is not read, and a thousand more.
    let most = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap();
    let most: u32 = most.split_whitespace().last().unwrap().parse().unwrap();
    let n_entries = 2 * most / 900 + 2_000;
    let listening = tokio::spawn(async move {
        let all = other.all_until(|m| m["data"]["n"] == "last").await;
        all.iter().map(place).collect::<Vec<u64>>()
    });
    post(&caller, 0, n_entries).await;
    caller.webhook(&json!({"n": "last"})).await;
    let others = listening.await.unwrap();
    assert_eq!(others.len() as u32, n_entries + 1);

    let all = stalled.all_until(|m| m["data"]["n"] == "last").await;
    let gaps: Vec<_> = all.iter().filter(|m| m["type"] == "gap").collect();
    assert!(!gaps.is_empty(), "it fell behind by {} entries", all.len());
    for gap in gaps {
        assert_eq!(gap["lost"], false);
        assert_eq!(gap["cursor"], gap["from"]);
    }
    let entries = all.iter().filter(|m| m["type"] != "gap");
    assert_eq!(entries.map(place).collect::<Vec<u64>>(), others);
}

#[tokio::test]
async fn the_client_comes_back_by_itself_and_misses_nothing() {
    let (mut relay, _device, caller) = relay_and_device().await;
    let filters = TimelineFilters {
        status: Some(deskhand_protocol::TaskStatus::Completed),
        ..TimelineFilters::default()
    };
    let mut timeline = caller.client().timeline("desk", filters, None);
    assert_eq!(timeline.next().await.unwrap(), Heard::Connected);
    let mut names = Vec::new();
    let mut places: Vec<Cursor> = Vec::new();
    for n in 0..6 {
        let name = format!("task-{n}");
        match n {
            2 => {
                relay.kill();
                relay.start_again().await;
            }
            4 => {
                relay.terminate().await;
                relay.start_again().await;
            }
            _ => {}
        }
        caller
            .webhook(&deskhand_tests::task(
                false,
                &name,
                "echo",
                json!({"text": "x"}),
            ))
            .await;
        caller.ended(&name).await;
    }
    let listen = async {
        while names.len() < 6 {
            match timeline.next().await.unwrap() {
                Heard::Entry(entry) => {
                    places.push(entry.cursor.clone());
                    let TimelineEvent::TaskCompleted { task_id, .. } = entry.event else {
                        panic!("{entry:?}");
                    };
                    names.push(task_id.to_string());
                }
                Heard::Connected | Heard::Disconnected { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(deskhand_tests::PATIENCE, listen)
        .await
        .unwrap();
    assert_eq!(
        names,
        (0..6).map(|n| format!("task-{n}")).collect::<Vec<_>>()
    );
    assert_eq!(timeline.cursor(), places.last());
}

#[tokio::test]
async fn a_client_that_may_not_watch_is_told_so() {
    let (_relay, _device, caller) = relay_and_device().await;
    let mut timeline = caller
        .client()
        .timeline("nobody", TimelineFilters::default(), None);
    let error = timeline.next().await.unwrap_err();
    assert_eq!(
        error.code(),
        Some(deskhand_protocol::ErrorCode::UnknownDevice)
    );
    let stranger = TestCaller::new(caller.url(), "dh_a_b").client();
    let mut timeline = stranger.timeline("desk", TimelineFilters::default(), None);
    let error = timeline.next().await.unwrap_err();
    assert_eq!(
        error.code(),
        Some(deskhand_protocol::ErrorCode::Unauthorized)
    );
}

#[tokio::test]
async fn a_key_that_ends_loses_its_watchers() {
    let (relay, _device, _caller) = relay_and_device().await;
    let sees = relay.caller("sees", &["--scope", "devices:read"]);
    let mut watcher = TestWatcher::subscribed(&sees, "desk", json!({})).await;
    relay.cli_json(&["keys", "revoke", "sees"]);
    // Looked at on the beat, every 30 s.
    assert_eq!(watcher.closed().await, 1008);
    assert!(watcher.within(Duration::ZERO).await.is_none());
}
