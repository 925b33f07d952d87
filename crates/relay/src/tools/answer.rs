//! Puts what became of a call into words and sizes: one JSON object, its size within what the caller
//! asked for, head and tail of what was printed with an exact count of what lies between, and the next
//! call to make.

use std::{fmt::Write as _, time::Duration};

use deskhand_protocol::{
    ErrorCode, Problem, TaskStatus,
    event::Stream,
    outcome::{Excerpt, TaskResult},
    relay_request::DeviceView,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    DEFAULT_CHARS,
    texts::{IS_DATA, next_step},
};
use crate::{broker::Record, known_tasks::Range};

/// Characters of a command that an answer repeats.
const COMMAND_CHARS: usize = 300;

/// Characters of an error that an answer repeats.
const ERROR_CHARS: usize = 1_000;

/// Characters a line about what was left out may take.
const MARK_CHARS: usize = 80;

/// Most workspaces of one computer that are listed.
const MAX_WORKSPACES: usize = 32;

/// What a call is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The answer as JSON.
    pub(crate) value: Value,
    /// The same as text, what matters most first.
    pub(crate) text: String,
    /// Why the call did not do what it was asked to; none when it did.
    pub(crate) failed: Option<ErrorCode>,
    /// Whether it has the shape that is promised for the tool.
    pub(crate) is_result: bool,
}

impl Answer {
    fn new(body: &impl Serialize) -> Self {
        Self {
            value: serde_json::to_value(body).expect("an answer has only string keys"),
            text: serde_json::to_string(body).expect("an answer has only string keys"),
            failed: None,
            is_result: true,
        }
    }
}

#[derive(Debug, Serialize)]
struct TaskAnswer<'a> {
    status: &'static str,
    task_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    device: &'a str,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    returncode: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<ErrorCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<Omitted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
}

#[derive(Debug, Serialize)]
struct Omitted {
    stdout_bytes: u64,
    stderr_bytes: u64,
}

/// A task, with as much of what it printed as there is room for.
pub(super) fn task(
    device: &str,
    record: &Record,
    output: Option<&Excerpt>,
    max_chars: usize,
) -> Answer {
    let outcome = record
        .result
        .as_ref()
        .map(|TaskResult { outcome, .. }| outcome);
    let code = outcome.and_then(|outcome| outcome.code);
    let task_id = record.task.task_id.to_string();
    let mut answer = TaskAnswer {
        status: status(record.status),
        next: next(record.status, code, &task_id),
        task_id,
        device,
        command: clipped(&record.task.action.to_string(), COMMAND_CHARS),
        returncode: outcome.and_then(|outcome| outcome.returncode),
        code,
        error: outcome
            .and_then(|outcome| outcome.error.as_deref())
            .map(|error| clipped(error, ERROR_CHARS)),
        note: None,
        omitted: None,
        stdout: None,
        stderr: None,
    };
    if let Some(output) = output {
        fill(&mut answer, output, max_chars);
    }
    Answer {
        failed: match record.status {
            TaskStatus::Failed | TaskStatus::Expired => Some(code.unwrap_or(ErrorCode::Internal)),
            _ => None,
        },
        ..Answer::new(&answer)
    }
}

fn fill(answer: &mut TaskAnswer<'_>, output: &Excerpt, max_chars: usize) {
    answer.note = Some(IS_DATA);
    let left_out = output.truncated.unwrap_or_default();
    answer.omitted = Some(Omitted {
        stdout_bytes: u64::MAX,
        stderr_bytes: u64::MAX,
    });
    let frame = serde_json::to_string(&answer).expect("an answer has only string keys");
    // Both streams with their names, and a line about how to read on.
    let taken = frame.chars().count() + 2 * "\"stdout\":\"\",".len() + 3 * MARK_CHARS;
    let room = max_chars.saturating_sub(taken);
    let (out, err) = (cost(&output.stdout), cost(&output.stderr));
    let for_err = err.min((room / 3).max(room.saturating_sub(out)));
    let stderr = cut(&output.stderr, left_out.stderr_bytes, for_err);
    let stdout = cut(&output.stdout, left_out.stdout_bytes, room - for_err);
    let first = [("stdout", &stdout), ("stderr", &stderr)]
        .into_iter()
        .find_map(|(stream, cut)| Some((stream, cut.begins_at?)));
    if let (Some((stream, offset)), None) = (first, &answer.next) {
        answer.next = Some(format!(
            "Only if you need what was left out: read_output with this task_id, stream {stream}, \
             offset {offset}."
        ));
    }
    answer.omitted = first.map(|_| Omitted {
        stdout_bytes: stdout.omitted,
        stderr_bytes: stderr.omitted,
    });
    (answer.stdout, answer.stderr) = (Some(stdout.text), Some(stderr.text));
}

/// A text within its room.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    text: String,
    omitted: u64,
    /// Where what was left out begins.
    begins_at: Option<u64>,
}

/// Cuts the middle out of a text that has no room. `left_out` bytes are missing from it already, where
/// a line says so.
fn cut(text: &str, left_out: u64, room: usize) -> Cut {
    let line = format!("\n[… {left_out} bytes left out …]\n");
    let (head, tail) = match left_out {
        0 => (text, ""),
        _ => text.split_once(&line).unwrap_or((text, "")),
    };
    if cost(text) <= room {
        return Cut {
            text: text.to_owned(),
            omitted: left_out,
            begins_at: (left_out > 0).then(|| n_bytes(head)),
        };
    }
    let room = room.saturating_sub(MARK_CHARS);
    let kept_head = prefix(head, room / 3);
    let behind = match left_out {
        0 => &head[kept_head.len()..],
        _ => tail,
    };
    let kept_tail = suffix(behind, room - cost(kept_head));
    let all = n_bytes(head) + n_bytes(tail);
    let omitted = left_out + all - n_bytes(kept_head) - n_bytes(kept_tail);
    Cut {
        text: format!("{kept_head}\n[… {omitted} bytes left out …]\n{kept_tail}"),
        omitted,
        begins_at: Some(n_bytes(kept_head)),
    }
}

/// Bytes a text stands for. One that could not be shown stands for one at least, so that whoever reads
/// on from an offset skips nothing.
fn n_bytes(text: &str) -> u64 {
    let n_lost = text.matches('\u{fffd}').count() * 2;
    (text.len() - n_lost) as u64
}

/// Characters a text takes in JSON.
fn cost(text: &str) -> usize {
    text.chars().map(cost_of).sum()
}

fn cost_of(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => 1,
    }
}

fn prefix(text: &str, room: usize) -> &str {
    let mut left = room;
    for (at, c) in text.char_indices() {
        match left.checked_sub(cost_of(c)) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

fn suffix(text: &str, room: usize) -> &str {
    let mut left = room;
    for (at, c) in text.char_indices().rev() {
        match left.checked_sub(cost_of(c)) {
            Some(rest) => left = rest,
            None => return &text[at + c.len_utf8()..],
        }
    }
    text
}

/// A range of what a task printed.
pub(super) fn range(record: &Record, stream: Stream, range: Range, max_chars: usize) -> Answer {
    #[derive(Serialize)]
    struct RangeAnswer {
        task_id: String,
        stream: Stream,
        offset: u64,
        n_bytes: u64,
        total_bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_offset: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<&'static str>,
        note: &'static str,
        text: String,
    }
    /// What surrounds the text.
    const FRAME_CHARS: usize = 500;
    let is_last = range.offset + range.bytes.len() as u64 >= range.total;
    let (text, n_read) = readable(
        &range.bytes,
        max_chars.saturating_sub(FRAME_CHARS),
        is_last && range.complete,
    );
    let end = range.offset + n_read as u64;
    let is_more = end < range.total || !range.complete;
    Answer::new(&RangeAnswer {
        task_id: record.task.task_id.to_string(),
        stream,
        offset: range.offset,
        n_bytes: n_read as u64,
        total_bytes: range.total,
        next_offset: is_more.then_some(end),
        next: match (end < range.total, range.complete) {
            (false, false) => Some("The task still runs: call wait_task before you read on."),
            _ => None,
        },
        note: IS_DATA,
        text,
    })
}

/// Returns as many bytes as there is room for as text, and how many they were. A character that is not
/// whole at the end is left for the next call, unless nothing comes after it.
fn readable(bytes: &[u8], room: usize, is_end: bool) -> (String, usize) {
    let (mut text, mut n_read, mut left) = (String::new(), 0, room);
    let mut take = |text: &mut String, c: char, n: usize| {
        let rest = left.checked_sub(cost_of(c))?;
        (left, n_read) = (rest, n_read + n);
        text.push(c);
        Some(())
    };
    let mut chunks = bytes.utf8_chunks().peekable();
    'all: while let Some(chunk) = chunks.next() {
        for c in chunk.valid().chars() {
            if take(&mut text, c, c.len_utf8()).is_none() {
                break 'all;
            }
        }
        let invalid = chunk.invalid();
        let is_cut = chunks.peek().is_none() && !is_end;
        if invalid.is_empty() || is_cut && may_begin_a_character(invalid) {
            continue;
        }
        if take(&mut text, '\u{fffd}', invalid.len()).is_none() {
            break;
        }
    }
    (text, n_read)
}

fn may_begin_a_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// A computer, as it is listed.
pub(super) fn device(view: &DeviceView, mut workspaces: Vec<Value>) -> Value {
    workspaces.truncate(MAX_WORKSPACES);
    json!({
        "name": view.device_name,
        "device_id": view.device_id,
        "status": view.status,
        "os": view.os,
        "workspaces": workspaces,
    })
}

/// The computers a caller reaches.
pub(super) fn devices(mut devices: Vec<Value>, mut n_more: usize) -> Answer {
    loop {
        let mut body = json!({"devices": devices});
        if n_more > 0 {
            body["n_more"] = n_more.into();
        }
        let answer = Answer::new(&body);
        if answer.text.chars().count() <= DEFAULT_CHARS || devices.pop().is_none() {
            return answer;
        }
        n_more += 1;
    }
}

/// A task, as it is listed.
pub(super) fn listed(device: &str, record: &Record) -> Value {
    let mut row = json!({
        "task_id": record.task.task_id,
        "status": status(record.status),
        "device": device,
        "command": clipped(&record.task.action.to_string(), 150),
        "created_at": record.task.created_at,
    });
    let outcome = record.result.as_ref().map(|result| &result.outcome);
    if let Some(returncode) = outcome.and_then(|outcome| outcome.returncode) {
        row["returncode"] = returncode.into();
    }
    if let Some(code) = outcome.and_then(|outcome| outcome.code) {
        row["code"] = code.as_str().into();
    }
    row
}

/// A page of tasks.
pub(super) fn tasks(tasks: Vec<Value>, next_cursor: Option<String>) -> Answer {
    let mut body = json!({"tasks": tasks});
    if let Some(cursor) = next_cursor {
        body["next_cursor"] = cursor.into();
    }
    Answer::new(&body)
}

/// Why a call was not made.
pub(super) fn problem(problem: &Problem) -> Answer {
    #[derive(Serialize)]
    struct ProblemAnswer<'a> {
        code: ErrorCode,
        error: String,
        next: &'a str,
    }
    Answer {
        failed: Some(problem.code),
        is_result: false,
        ..Answer::new(&ProblemAnswer {
            code: problem.code,
            error: clipped(&problem.error, ERROR_CHARS),
            next: next_step(problem.code),
        })
    }
}

/// How a task stands while its caller waits.
pub(super) fn standing(record: Option<&Record>, waited: Duration) -> String {
    let seconds = waited.as_secs();
    match record.map(|record| record.status) {
        Some(TaskStatus::AwaitingApproval) => {
            format!("waiting for the owner's answer on the computer ({seconds} s)")
        }
        Some(TaskStatus::Pending) => format!("waiting for its turn ({seconds} s)"),
        _ => format!("running ({seconds} s)"),
    }
}

fn status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::InProgress => "running",
        TaskStatus::Pending
        | TaskStatus::AwaitingApproval
        | TaskStatus::Completed
        | TaskStatus::Failed
        | TaskStatus::Cancelled
        | TaskStatus::Expired => status.as_str(),
    }
}

fn next(status: TaskStatus, code: Option<ErrorCode>, task_id: &str) -> Option<String> {
    match status {
        TaskStatus::Pending | TaskStatus::InProgress => Some(format!(
            "It is not finished. Call wait_task with task_id {task_id}. Do not send the command again."
        )),
        TaskStatus::AwaitingApproval => Some(format!(
            "The owner is being asked on their computer. Tell the user to answer there, then call \
             wait_task with task_id {task_id}. Do not send the command again."
        )),
        TaskStatus::Completed => None,
        TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::Expired => {
            Some(next_step(code?).to_owned())
        }
    }
}

fn clipped(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => {
            let mut clipped = text[..at].to_owned();
            let _ = write!(clipped, "… ({} characters)", text.chars().count());
            clipped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_fits_stays_as_it_is() {
        let cut = cut("one\ntwo\n", 0, 10);
        assert_eq!((cut.text.as_str(), cut.omitted), ("one\ntwo\n", 0));
        assert_eq!(cut.begins_at, None);
    }

    #[test]
    fn head_and_tail_and_an_exact_count() {
        let text: String = (0..1_000).map(|n| format!("{n:04}\n")).collect();
        let shown = cut(&text, 0, 1_000);
        assert!(cost(&shown.text) <= 1_000, "{}", cost(&shown.text));
        let line = format!("\n[… {} bytes left out …]\n", shown.omitted);
        let (head, tail) = shown.text.split_once(&line).unwrap();
        assert!(text.starts_with(head) && text.ends_with(tail));
        assert_eq!(head.len() + tail.len() + shown.omitted as usize, text.len());
        assert_eq!(shown.begins_at, Some(head.len() as u64));
        assert!(head.len() * 3 > tail.len() && tail.len() > head.len());
    }

    #[test]
    fn what_the_device_left_out_counts_too() {
        let device = format!(
            "{}\n[… 5000 bytes left out …]\n{}",
            "a".repeat(600),
            "b".repeat(600)
        );
        let whole = cut(&device, 5_000, 2_000);
        assert_eq!((whole.omitted, whole.begins_at), (5_000, Some(600)));
        assert_eq!(whole.text, device);
        let shown = cut(&device, 5_000, 380);
        let a = shown.text.matches('a').count();
        let b = shown.text.matches('b').count();
        assert_eq!((a, b), (100, 201));
        assert_eq!(shown.omitted, 5_000 + 500 + 400);
    }

    #[test]
    fn characters_are_never_cut_and_escapes_are_counted() {
        let shown = cut(&"ü\u{1}\"".repeat(1_000), 0, 500);
        let json = serde_json::to_string(&shown.text).unwrap();
        assert!(json.chars().count() <= 502, "{}", json.chars().count());
    }

    #[test]
    fn bytes_become_text_and_none_is_lost() {
        let bytes = b"ab\xff\xc3\xbcz\xe2\x82";
        assert_eq!(readable(bytes, 100, false), ("ab\u{fffd}üz".to_owned(), 6));
        assert_eq!(
            readable(bytes, 100, true),
            ("ab\u{fffd}üz\u{fffd}".to_owned(), 8)
        );
        assert_eq!(readable(bytes, 4, false), ("ab\u{fffd}ü".to_owned(), 5));
        assert_eq!(readable(&bytes[6..], 100, true), ("\u{fffd}".to_owned(), 2));
    }

    #[test]
    fn a_step_that_follows_is_named_for_every_code() {
        for code in ErrorCode::ALL {
            let text = next_step(*code);
            assert!((10..200).contains(&text.len()), "{code}: {text}");
        }
    }
}
