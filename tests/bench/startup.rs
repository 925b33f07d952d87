//! How long until it works, and what it holds while it has nothing to do.

use std::time::{Duration, Instant};

use deskhand_tests::{Program, TestDevice, TestRelay, program::resident_bytes};

/// Prints medians over some rounds.
pub(crate) async fn measure(rounds: u32) {
    let mut ready = Vec::new();
    let mut again = Vec::new();
    let mut back = Vec::new();
    let mut memory = 0;
    for _ in 0..rounds {
        let home = tempfile::tempdir().unwrap();
        let args = ["up", "--listen", "127.0.0.1:0"];
        let began = Instant::now();
        let (program, _) = Program::start(home.path(), args).await;
        ready.push(began.elapsed());
        program.terminate().await;
        let began = Instant::now();
        let (program, _) = Program::start(home.path(), args).await;
        again.push(began.elapsed());
        tokio::time::sleep(Duration::from_secs(2)).await;
        memory = memory.max(resident_bytes(program.pid()));
        back.push(relay_back().await);
    }
    println!(
        "up, first start, to ready            {:>8.0} ms (median)",
        median(ready)
    );
    println!(
        "up, later start, to ready            {:>8.0} ms (median)",
        median(again)
    );
    println!(
        "relay killed, to first answered call {:>8.0} ms (median)",
        median(back)
    );
    println!(
        "up, idle, resident                   {:>8.1} MiB (largest)",
        memory as f64 / 1048576.0
    );
}

/// Kills a relay, starts it again and asks until it answers with a device's result.
async fn relay_back() -> Duration {
    let mut relay = TestRelay::start().await;
    let _device = TestDevice::enrol(&relay, "desk").await.started().await;
    let caller = relay.owner();
    assert_eq!(caller.echo("before", "x").await.status, 200);
    relay.kill();
    let began = Instant::now();
    relay.start_again().await;
    assert_eq!(caller.echo("after", "x").await.body["status"], "completed");
    began.elapsed()
}

fn median(mut taken: Vec<Duration>) -> f64 {
    taken.sort_unstable();
    taken[taken.len() / 2].as_secs_f64() * 1e3
}
