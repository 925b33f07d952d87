//! Many tasks at once.

use deskhand_tests::relay_and_device;
use futures_util::{StreamExt, stream};

#[tokio::test]
async fn a_thousand_tasks_from_a_caller_that_obeys_run_once_each() {
    let (_relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let names: Vec<String> = (0..1_000).map(|n| format!("burst-{n}")).collect();
    let submitted = stream::iter(&names)
        .map(|name| caller.shell_obedient(name, effects.append(name)))
        .buffer_unordered(64);
    let statuses: Vec<u16> = submitted.map(|answer| answer.status).collect().await;
    assert!(statuses.iter().all(|status| *status == 200));
    for name in &names {
        assert_eq!(caller.ended(name).await["status"], "completed");
    }
    let counts = effects.counts();
    assert_eq!(counts.len(), 1_000);
    effects.assert_none_twice();
}
