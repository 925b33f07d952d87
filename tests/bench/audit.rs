//! How long an audit trail takes to be verified. Its rows are written here, by the documented formula,
//! so that the agent has to agree with it.

use std::time::Instant;

use deskhand_tests::{TestDevice, TestRelay};
use sha2::{Digest, Sha256};

pub(crate) async fn measure(n_rows: u32) {
    let relay = TestRelay::start().await;
    let mut device = TestDevice::enrol(&relay, "desk").await.started().await;
    device.terminate().await;
    fill(&device, n_rows);
    device.start().await;
    for _ in 0..3 {
        let begun = Instant::now();
        let verified = device.cli_json(&["audit", "verify"]);
        let took = begun.elapsed();
        assert_eq!(verified["ok"], true, "{verified}");
        let n = &verified["n_rows"];
        println!("{n} rows verified in {took:.0?}, the start of the command included");
    }
}

fn fill(device: &TestDevice, n_rows: u32) {
    let mut store = rusqlite::Connection::open(device.home().join("agent.db")).unwrap();
    let change = store.transaction().unwrap();
    let (mut seq, mut before): (i64, Vec<u8>) = change
        .query_row("SELECT seq, hash FROM audit_head", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    for n in 0..n_rows {
        seq += 1;
        let at = i64::from(n);
        let entry = serde_json::json!({
            "type": "judged", "task_id": "01a1f9a9-e8b0-76be-9486-17071598738b", "caller": "owner",
            "key_id": "pnfrdxj3sn", "source": "relay", "action": "shell",
            "command": format!("cargo test --package package-{n}"), "working_dir": "/home/o/code",
            "verdict": "allow", "by": "level work", "reason": "it runs within the default profile",
        })
        .to_string();
        let mut hash = Sha256::new();
        hash.update(&before);
        hash.update(seq.to_be_bytes());
        hash.update(at.to_be_bytes());
        hash.update(entry.as_bytes());
        before = hash.finalize().to_vec();
        change
            .prepare_cached("INSERT INTO audit (seq, at, entry, hash) VALUES (?1, ?2, ?3, ?4)")
            .unwrap()
            .execute(rusqlite::params![seq, at, entry, before])
            .unwrap();
    }
    change
        .execute(
            "UPDATE audit_head SET seq = ?1, hash = ?2",
            rusqlite::params![seq, before],
        )
        .unwrap();
    change.commit().unwrap();
}
