//! Nothing is lost and nothing runs twice, whoever dies when.

use deskhand_tests::{TestDevice, TestRelay, eventually, relay_and_device, task};
use serde_json::json;

#[tokio::test]
async fn an_agent_that_is_killed_with_three_hundred_tasks_loses_none() {
    let (_relay, mut device, caller) = relay_and_device().await;
    let effects = device.effects();
    let names: Vec<String> = (0..300).map(|n| format!("t-{n}")).collect();
    for name in &names {
        let answer = caller
            .shell_obedient(name, effects.append_after(name, "0.05"))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    // Queued, running and done.
    eventually("some are done", || async {
        (effects.counts().len() > 20).then_some(())
    })
    .await;
    device.kill();
    assert!(effects.counts().len() < 300);
    device.start().await;

    let mut n_interrupted = 0;
    for name in &names {
        let task = caller.ended(name).await;
        match task["status"].as_str().unwrap() {
            "completed" => assert_eq!(effects.count(name), 1, "{name} is said to have run"),
            _ => {
                assert_eq!(task["code"], "interrupted", "{task}");
                n_interrupted += 1;
            }
        }
    }
    effects.assert_none_twice();
    assert!(
        n_interrupted <= 4,
        "only what ran when it died: {n_interrupted}"
    );
}

#[tokio::test]
async fn a_relay_that_is_killed_while_a_task_runs_gets_the_result() {
    let (mut relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    for n in 0..20 {
        caller
            .shell_async(
                &format!("r-{n}"),
                effects.append_after(&format!("r-{n}"), "0.2"),
            )
            .await;
    }
    caller.running("r-3").await;
    relay.kill();
    relay.start_again().await;
    for n in 0..20 {
        let name = format!("r-{n}");
        assert_eq!(caller.ended(&name).await["status"], "completed");
        assert_eq!(effects.count(&name), 1, "{name}");
    }
}

#[tokio::test]
async fn a_call_that_waited_on_a_killed_relay_can_be_repeated() {
    let (mut relay, device, caller) = relay_and_device().await;
    let effects = device.effects();
    let command = effects.append_after("repeated", "1");
    let waiting = {
        let (caller, body) = (
            caller.clone(),
            task(true, "repeated", "shell", json!({"command": command})),
        );
        tokio::spawn(async move {
            caller
                .try_call(reqwest::Method::POST, "/webhook", Some(&body), &[])
                .await
        })
    };
    caller.running("repeated").await;
    relay.kill();
    assert!(waiting.await.unwrap().is_err(), "the connection broke");
    relay.start_again().await;
    let answer = caller.shell("repeated", command).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("completed")),
        "{}",
        answer.body
    );
    assert_eq!(effects.count("repeated"), 1);
}

#[tokio::test]
async fn an_agent_that_is_killed_while_a_task_runs_says_interrupted() {
    let (_relay, mut device, caller) = relay_and_device().await;
    let effects = device.effects();
    caller
        .shell_async("lost", effects.append_after("lost", "600"))
        .await;
    caller.running("lost").await;
    device.kill();
    device.start().await;
    let task = caller.ended("lost").await;
    assert_eq!(
        (&task["status"], &task["code"]),
        (&json!("failed"), &json!("interrupted")),
        "{task}"
    );
    assert_eq!(effects.counts().len(), 0);
}

#[tokio::test]
async fn a_relay_that_restarts_politely_is_back_for_its_devices() {
    let (mut relay, device, caller) = relay_and_device().await;
    for round in 0..3 {
        relay.terminate().await;
        relay.start_again().await;
        let name = format!("round-{round}");
        let answer = caller.shell(&name, device.effects().append(&name)).await;
        assert_eq!(answer.body["status"], "completed", "{}", answer.body);
    }
    device.effects().assert_none_twice();
}

#[tokio::test]
async fn a_later_agent_with_the_same_token_fences_the_earlier_one() {
    let relay = TestRelay::start().await;
    let first = TestDevice::enrol(&relay, "desk").await;
    let second = first.copied();
    let first = first.started().await;
    let caller = relay.owner();
    // The first agent has some, accepted and running, when the second one comes.
    for n in 0..8 {
        let name = format!("first-{n}");
        caller
            .shell_async(&name, first.effects().append_after(&name, "0.5"))
            .await;
    }
    caller.running("first-0").await;
    let second = second.started().await;
    let answer = caller.shell("second", json!(["pwd"])).await;
    assert_eq!(
        answer.body["output"]["stdout"],
        format!("{}\n", second.workspace().display())
    );
    for n in 0..8 {
        // The first agent dials again after a while and says how they ended.
        let name = format!("first-{n}");
        assert_eq!(caller.ended(&name).await["status"], "completed");
        assert_eq!(first.effects().count(&name), 1, "{name}");
    }
    assert!(
        first.program().log().contains("took over"),
        "the first agent was told"
    );
}
