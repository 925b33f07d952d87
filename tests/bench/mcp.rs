//! What the door for MCP clients adds to a native git status: the same one through the webhook and
//! through a tool in both eras, call by call in turns.

use std::time::{Duration, Instant};

use deskhand_tests::{TestMcp, task};
use serde_json::json;

/// Calls of each in a round.
const CALLS: u32 = 20;

/// Prints the p50 of each door, and what MCP adds to the webhook's.
pub(crate) async fn measure(rounds: u32) {
    let up = crate::up().await;
    let legacy = TestMcp::legacy(&up.caller).await;
    let modern = TestMcp::modern(&up.caller).await;
    let arguments = json!({"args": ["status"]});
    let mut taken: [Vec<Duration>; 3] = Default::default();
    for n in 0..rounds * CALLS {
        let began = Instant::now();
        let params = json!({"command": ["git", "status"], "read_only": true});
        let body = task(true, &format!("bench-{n}"), "git", params);
        let answer = up.caller.webhook(&body).await;
        assert_eq!(answer.body["status"], "completed", "{}", answer.body);
        taken[0].push(began.elapsed());
        for (client, taken) in [&legacy, &modern].into_iter().zip(&mut taken[1..]) {
            let began = Instant::now();
            let status = client.found("git_inspect", arguments.clone()).await;
            assert_eq!(status["returncode"], 0, "{status}");
            taken.push(began.elapsed());
        }
    }
    let p50 = taken.map(|mut taken| {
        taken.sort_unstable();
        taken[taken.len() / 2].as_secs_f64() * 1_000.0
    });
    println!("git status, p50 of {} calls each, in turns", rounds * CALLS);
    println!("webhook      {:>7.2} ms", p50[0]);
    for (name, p50_here) in [("MCP legacy", p50[1]), ("MCP modern", p50[2])] {
        println!(
            "{name:<12} {p50_here:>7.2} ms   {:+.2} ms",
            p50_here - p50[0]
        );
    }
}
