//! The timeline as pages and as server-sent events.

use deskhand_tests::{relay_and_device, watcher::place};
use futures_util::StreamExt;
use serde_json::{Value, json};

const PAGE: &str = "/api/devices/desk/timeline";

#[tokio::test]
async fn a_page_has_the_promised_shape() {
    let (_relay, _device, caller) = relay_and_device().await;
    caller.echo("one", "x").await;
    let answer = caller.get("/api/bot/desk/timeline?limit=2").await;
    assert_eq!(answer.status, 200);
    let mut fields: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "bot_id",
            "entries",
            "entries_count",
            "has_more",
            "next_cursor",
            "timestamp",
            "total_count"
        ]
    );
    assert_eq!(answer.body["entries_count"], 2);
    assert_eq!(answer.body["has_more"], true);
    assert_eq!(answer.body["entries"][0]["type"], "task_completed");
    assert_eq!(
        answer.body["next_cursor"],
        answer.body["entries"][1]["cursor"]
    );
    let page = caller
        .client()
        .timeline_page("desk", &Default::default())
        .await
        .unwrap();
    assert_eq!(
        page.total_count,
        answer.body["total_count"].as_u64().unwrap()
    );
    assert_eq!(page.entries_count, page.total_count);
}

#[tokio::test]
async fn pages_cover_a_timeline_once_in_both_directions() {
    let (_relay, _device, caller) = relay_and_device().await;
    for n in 0..25 {
        caller.webhook(&json!({"n": n})).await;
    }
    let whole = caller.get(PAGE).await.body["entries"]
        .as_array()
        .unwrap()
        .clone();
    let walk = async |start: String, turn: &str| {
        let mut seen: Vec<Value> = Vec::new();
        let mut path = start;
        loop {
            let page = caller.get(&path).await.body;
            seen.extend(page["entries"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("{PAGE}?limit=4&{turn}={cursor}"),
                None => return seen,
            }
        }
    };
    assert_eq!(walk(format!("{PAGE}?limit=4"), "cursor").await, whole);
    let first = whole.last().unwrap();
    let (log_id, _) = first["cursor"].as_str().unwrap().split_once(':').unwrap();
    let mut forward = walk(format!("{PAGE}?limit=4&after={log_id}:0"), "after").await;
    forward.reverse();
    assert_eq!(forward, whole);
    let skipped = caller.get(&format!("{PAGE}?limit=4&offset=8")).await.body;
    assert_eq!(skipped["entries"], json!(whole[8..12]));
}

#[tokio::test]
async fn a_page_can_be_filtered() {
    let (_relay, _device, caller) = relay_and_device().await;
    caller.shell("good", json!("true")).await;
    caller.shell("bad", json!("exit 1")).await;
    caller.echo("echo", "x").await;
    let names = async |query: &str| -> Vec<String> {
        let page = caller.get(&format!("{PAGE}?{query}")).await.body;
        assert_eq!(page["total_count"], page["entries_count"], "{page}");
        let entries = page["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|e| e["task_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("status=completed").await, ["echo", "bad", "good"]);
    assert_eq!(names("success=false").await, ["bad"]);
    assert_eq!(names("success=true&source=relay").await, ["echo", "good"]);
    assert_eq!(names("source=schedule").await, [""; 0]);
    let all = caller.get(PAGE).await.body["entries"]
        .as_array()
        .unwrap()
        .clone();
    let of_bad: Vec<&Value> = all.iter().filter(|e| e["task_id"] == "bad").collect();
    let (last, first) = (
        &of_bad[0]["timestamp"],
        &of_bad[of_bad.len() - 1]["timestamp"],
    );
    let query = format!(
        "action=shell&start_time={}&end_time={}",
        first.as_str().unwrap(),
        last.as_str().unwrap()
    );
    assert!(names(&query).await.iter().all(|name| name == "bad"));
}

#[tokio::test]
async fn a_bad_query_says_what_is_wrong() {
    let (_relay, _device, caller) = relay_and_device().await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "offset=300000",
        "status=sleeping",
        "success=perhaps",
        "cursor=yesterday",
        "cursor=other:1",
        "start_time=noon",
        "colour=red",
        "cursor=a:1&after=a:2",
    ] {
        let answer = caller.get(&format!("{PAGE}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert_eq!(answer.body["code"], "invalid_request");
        assert_eq!(answer.body["error"], answer.body["detail"]);
    }
    assert_eq!(caller.get("/api/devices/nobody/timeline").await.status, 404);
}

/// Reads server-sent events up to the one for which `last` holds: id and data of each.
async fn read_until(
    response: reqwest::Response,
    last: impl Fn(&Value) -> bool,
) -> Vec<(String, Value)> {
    let mut stream = response.bytes_stream();
    let (mut text, mut events) = (String::new(), Vec::new());
    loop {
        let chunk = stream.next().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((block, rest)) = text.split_once("\n\n") {
            let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(id), Some(data)) = (line("id: "), line("data: ")) {
                let data: Value = serde_json::from_str(data).unwrap();
                let is_last = last(&data);
                events.push((id.to_owned(), data));
                if is_last {
                    return events;
                }
            }
            text = rest.to_owned();
        }
    }
}

#[tokio::test]
async fn the_timeline_is_there_without_a_web_socket() {
    let (_relay, _device, caller) = relay_and_device().await;
    let http = reqwest::Client::new();
    let open = async |last: Option<&str>| {
        let url = format!("{}{PAGE}/events", caller.url());
        let mut request = http.get(url).header("x-api-key", caller.key());
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        request.send().await.unwrap()
    };
    let live = open(None).await;
    caller.echo("one", "x").await;
    let is_end =
        |name: &'static str| move |m: &Value| m["type"] == "task_completed" && m["task_id"] == name;
    let seen = read_until(live, is_end("one")).await;
    for (id, data) in &seen {
        assert_eq!(data["cursor"], **id);
    }
    assert!(seen.is_sorted_by(|a, b| place(&a.1) < place(&b.1)));
    caller.echo("two", "x").await;
    let (last, _) = seen.last().unwrap();
    let missed = read_until(open(Some(last)).await, is_end("two")).await;
    assert!(
        missed.iter().all(|(_, data)| data["task_id"] == "two"),
        "{missed:?}"
    );
    let gap = read_until(open(Some("elsewhere:7")).await, is_end("two")).await;
    assert_eq!(
        (&gap[0].1["type"], &gap[0].1["lost"]),
        (&json!("gap"), &json!(true))
    );
    assert_eq!(open(Some("nonsense")).await.status(), 400);
}
