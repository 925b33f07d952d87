//! Output of any size: the caller gets head and tail, the store holds its cap, memory stays flat.

use deskhand_tests::{relay_and_device, task};
use serde_json::json;

const MIB: u64 = 1024 * 1024;

/// Ten digits and a newline per line, numbered, so that every place in the stream is known.
fn lines(n_bytes: u64) -> serde_json::Value {
    json!(format!("seq -f %010.0f 0 {}", n_bytes / 11 - 1))
}

#[tokio::test]
async fn a_large_output_is_shown_by_head_and_tail_in_flat_memory() {
    for (name, n_bytes) in [("ten", 10 * MIB), ("fifty", 50 * MIB)] {
        let (relay, device, caller) = relay_and_device().await;
        let n_bytes = n_bytes / 11 * 11;
        // The first answer brings in what every answer needs.
        caller.shell("warm-up", json!("seq 100000")).await;
        let (agent, hub) = (device.program().reset_peak(), relay.program().reset_peak());

        let answer = caller
            .webhook(&task(
                true,
                name,
                "shell",
                json!({"command": lines(n_bytes)}),
            ))
            .await;

        assert_eq!(answer.status, 200, "{}", answer.body["error"]);
        let stdout = answer.body["output"]["stdout"].as_str().unwrap();
        assert!(stdout.len() < 66 * 1024, "{}", stdout.len());
        assert!(stdout.starts_with("0000000000\n0000000001\n"));
        assert!(stdout.ends_with(&format!("{:010}\n", n_bytes / 11 - 1)));
        let left_out = answer.body["output"]["truncated"]["stdout_bytes"]
            .as_u64()
            .unwrap();
        assert_eq!(left_out, n_bytes - 64 * 1024);
        assert!(
            stdout.contains(&left_out.to_string()),
            "the text says how much is missing"
        );
        let rose = [
            ("agent", device.program().peak_bytes() - agent),
            ("relay", relay.program().peak_bytes() - hub),
        ];
        for (who, rose) in rose {
            assert!(rose < 32 * MIB, "{who} rose by {rose} bytes");
        }
    }
}

#[tokio::test]
async fn the_store_keeps_both_ends_and_says_what_is_gone() {
    let (_relay, _device, caller) = relay_and_device().await;
    let n_bytes = 10 * MIB / 11 * 11;
    caller
        .webhook(&task(
            true,
            "big",
            "shell",
            json!({"command": lines(n_bytes)}),
        ))
        .await;
    let read = async |offset: u64, limit: u64| {
        caller
            .get(&format!(
                "/api/tasks/big/output?stream=stdout&offset={offset}&limit={limit}"
            ))
            .await
    };
    let at = |offset: u64| format!("{:010}\n", offset / 11);
    for offset in [
        0,
        11 * 1_000,
        11 * 380_000,
        n_bytes - 11 * 380_000,
        n_bytes - 11,
    ] {
        let answer = read(offset, 11).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, Some(&*at(offset))),
            "at {offset}"
        );
    }
    let hole = read(5 * MIB, 100).await;
    assert_eq!(
        (hole.status, &hole.body["code"]),
        (416, &json!("range_not_satisfiable"))
    );
    assert!(
        hole.body["error"].as_str().unwrap().contains("4194304"),
        "{}",
        hole.body
    );
    assert_eq!(read(n_bytes + 1, 10).await.status, 416);
    // Larger than one call returns.
    let answer = read(0, 10 * MIB).await;
    assert_eq!(answer.body.as_str().unwrap().len(), 512 * 1024);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_given_exactly() {
    let (_relay, _device, caller) = relay_and_device().await;
    let answer = caller.shell("bytes", json!(["printf", r"a\377b\0c"])).await;
    assert_eq!(answer.body["output"]["stdout"], "a\u{fffd}b\u{0}c");
    let exact = caller.get("/api/tasks/bytes/output?stream=stdout").await;
    // The harness shows what is no JSON lossily; the length tells.
    assert_eq!(exact.body.as_str().unwrap(), "a\u{fffd}b\u{0}c");
}

#[tokio::test]
async fn output_is_read_while_the_task_runs() {
    let (_relay, device, caller) = relay_and_device().await;
    let command = json!("echo begun; while ! test -e go; do sleep 0.05; done");
    caller.shell_async("live", command).await;
    deskhand_tests::eventually("the output is there", || async {
        let answer = caller.get("/api/tasks/live/output?stream=stdout").await;
        (answer.body == "begun\n").then_some(())
    })
    .await;
    std::fs::write(device.workspace().join("go"), "").unwrap();
    assert_eq!(caller.ended("live").await["status"], "completed");
}
