//! `GET /openapi.json` and `GET /docs`: what this relay answers, described in OpenAPI 3.1 from the
//! types it answers with.
//!
//! One table of operations. The schemas come out of the protocol's own types; what the page shows
//! comes out of the description, needs no script and loads nothing from anywhere.

use std::{borrow::Cow, collections::BTreeMap, sync::OnceLock};

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use deskhand_protocol::{
    Event, TaskRequest,
    approval::ApprovalRequest,
    assistant::{Assistant, PromptView},
    device_request::{DeviceRequest, DeviceResponse},
    limits::TIMELINE_ENTRIES,
    relay_request::{
        DeviceView, EnrolRequest, EnrolResponse, PairingCode, RenameDeviceRequest, SessionRequest,
        SessionView,
    },
    task::TaskView,
    timeline::{StreamTicket, TimelineEntry, TimelinePage},
    webhook::{BatchAnswer, DeviceOffline, Finished, Health, Received, WaitOver},
};
use serde_json::{Map, Value, json};
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{
    bots::{BotStatus, BotTask, Paused, Queued},
    callers::Callers,
    devices::Devices,
    error::Details,
    tasks::Page,
};
use crate::tools::Tool;

/// `GET /openapi.json`.
pub(super) async fn document() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        serde_json::to_string_pretty(&describe()).expect("a description has only string keys")
    });
    ([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}

/// `GET /docs`: the same for a person.
pub(super) async fn page() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| page_of(&describe()));
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(text.as_str()),
    )
        .into_response()
}

/// The schemas that were referred to, by name.
#[derive(Default)]
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Refers to a type.
    fn of<T: ToSchema>(&mut self) -> Value {
        let mut found: Vec<(String, RefOr<Schema>)> = Vec::new();
        T::schemas(&mut found);
        found.push((T::name().into_owned(), T::schema()));
        for (name, schema) in found {
            let mut schema = serde_json::to_value(schema).expect("a schema has only string keys");
            name_formats(&mut schema);
            self.0.insert(name, schema);
        }
        json!({"$ref": format!("#/components/schemas/{}", T::name())})
    }

    fn merged(&self) -> BTreeMap<String, Value> {
        let mut all = self.0.clone();
        all.values_mut()
            .for_each(|schema| merge_within(schema, &self.0));
        all
    }
}

/// Writes `uint32` as the OpenAPI format registry does, where utoipa writes `u-int32`.
fn name_formats(value: &mut Value) {
    if let Some(bits) = value["format"].as_str().and_then(|f| f.strip_prefix("u-")) {
        value["format"] = format!("u{bits}").into();
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(name_formats),
        Value::Array(items) => items.iter_mut().for_each(name_formats),
        _ => {}
    }
}

/// Returns the one object that a list of objects, or references to some, amounts to.
fn merged(parts: &[Value], schemas: &BTreeMap<String, Value>) -> Option<Value> {
    let mut whole = json!({"type": "object", "properties": {}, "required": []});
    for part in parts {
        let part = match part["$ref"].as_str() {
            Some(path) => schemas.get(path.rsplit('/').next()?)?,
            None => part,
        };
        let properties = part["properties"].as_object()?;
        whole["properties"]
            .as_object_mut()?
            .extend(properties.clone());
        let required = part["required"].as_array().cloned().unwrap_or_default();
        whole["required"].as_array_mut()?.extend(required);
        for name in ["additionalProperties", "description"] {
            if let Some(value) = part.get(name) {
                whole[name] = value.clone();
            }
        }
    }
    Some(whole)
}

/// Merges every `allOf` of objects into one: each of them may allow no other fields than its own.
fn merge_within(value: &mut Value, schemas: &BTreeMap<String, Value>) {
    let whole = value["allOf"]
        .as_array()
        .and_then(|parts| merged(parts, schemas));
    if let Some(whole) = whole {
        *value = whole;
    }
    match value {
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|value| merge_within(value, schemas));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| merge_within(value, schemas)),
        _ => {}
    }
}

/// One operation, as it is put together.
struct Operation {
    method: &'static str,
    path: &'static str,
    fields: Map<String, Value>,
    parameters: Vec<Value>,
    responses: Map<String, Value>,
}

fn operation(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    let mut operation = Operation {
        method,
        path,
        fields: Map::new(),
        parameters: Vec::new(),
        responses: Map::new(),
    };
    operation.fields.insert("operationId".into(), id.into());
    operation.fields.insert("summary".into(), summary.into());
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')) {
        let name = name.trim_end_matches('}');
        let what = match name {
            "task" => "By uid, or by the caller's own name for it.",
            "tool" => "Which tool.",
            "assistant" => "Which assistant.",
            _ => "By id or name.",
        };
        operation.parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": what,
            "schema": {"type": "string", "minLength": 1},
        }));
    }
    operation
}

impl Operation {
    fn query(mut self, name: &str, schema: Value, what: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "required": false, "description": what, "schema": schema,
        }));
        self
    }

    fn header(mut self, name: &str, schema: Value, what: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": what, "schema": schema,
        }));
        self
    }

    fn body(mut self, schema: Value) -> Self {
        let content = json!({"application/json": {"schema": schema}});
        let body = json!({"required": true, "content": content});
        self.fields.insert("requestBody".into(), body);
        self
    }

    fn answers(self, status: u16, what: &str, schema: Value) -> Self {
        self.answers_as(status, what, "application/json", schema)
    }

    fn answers_as(mut self, status: u16, what: &str, kind: &str, schema: Value) -> Self {
        let answer = json!({"description": what, "content": {kind: {"schema": schema}}});
        self.responses.insert(status.to_string(), answer);
        self
    }

    fn answers_nothing(mut self, status: u16, what: &str) -> Self {
        let answer = json!({"description": what});
        self.responses.insert(status.to_string(), answer);
        self
    }

    /// Says that these statuses come with problem details.
    fn problems(mut self, statuses: &[u16], problem: &Value) -> Self {
        for status in statuses {
            let known = axum::http::StatusCode::from_u16(*status).ok();
            let what = known.and_then(|status| status.canonical_reason());
            let answer = json!({
                "description": what.unwrap_or("A problem"),
                "content": {"application/problem+json": {"schema": problem}},
            });
            self.responses.insert(status.to_string(), answer);
        }
        self
    }

    /// Needs no key.
    fn open(mut self) -> Self {
        self.fields.insert("security".into(), json!([]));
        self
    }
}

/// What every operation with a key may be answered.
const KEYED: [u16; 5] = [400, 401, 403, 404, 429];

fn describe() -> Value {
    let mut schemas = Schemas::default();
    let problem = schemas.of::<Details<'static>>();
    let operations = task_operations(&mut schemas, &problem)
        .into_iter()
        .chain(assistant_operations(&mut schemas, &problem))
        .chain(device_operations(&mut schemas, &problem))
        .chain(promised_operations(&mut schemas, &problem))
        .chain(open_operations(&mut schemas, &problem));
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for mut operation in operations {
        operation
            .fields
            .insert("parameters".into(), operation.parameters.into());
        operation
            .fields
            .insert("responses".into(), operation.responses.into());
        let path = paths.entry(operation.path).or_default();
        path.insert(operation.method.into(), operation.fields.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Deskhand relay",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Hands tasks to enrolled computers and shows what becomes of them. \
                WebSockets are described in docs/protocol.md.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "security": [{"key": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.merged(),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

fn text() -> Value {
    json!({"type": "string"})
}

fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn number(least: u64, most: impl Into<Value>) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most.into()})
}

fn at_least(least: u64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": u32::MAX})
}

fn statuses() -> Value {
    let words: Vec<&str> = deskhand_protocol::TaskStatus::ALL
        .iter()
        .map(|s| s.as_str())
        .collect();
    one_of(&words)
}

fn task_operations(schemas: &mut Schemas, problem: &Value) -> Vec<Operation> {
    let view = schemas.of::<TaskView>();
    let sources = ["relay", "cli", "viewer", "schedule", "file", "websocket"];
    vec![
        operation(
            "get",
            "/api/tasks",
            "listTasks",
            "Lists tasks, newest first.",
        )
        .query("status", statuses(), "Only these.")
        .query("source", one_of(&sources), "Only from this door.")
        .query("action", text(), "Only of this kind.")
        .query("device", text(), "Only of this device, by id or name.")
        .query(
            "q",
            text(),
            "Only with this in the name, the title or the command.",
        )
        .query("limit", at_least(0), "How many on a page; at most 100 are.")
        .query(
            "cursor",
            json!({"type": "string", "format": "uuid"}),
            "Where the page before ended.",
        )
        .answers(200, "A page.", schemas.of::<Page>())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/tasks",
            "submitTask",
            "Hands a task over, and waits for it if asked to.",
        )
        .header(
            "Prefer",
            // RFC 7240: what is not understood is left aside, so anything may stand here.
            json!({"type": "string"}),
            "`wait=N`: waits up to N seconds, 1 to 40.",
        )
        .header(
            "Idempotency-Key",
            json!({"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"}),
            "Stands for `task_id`.",
        )
        .body(schemas.of::<TaskRequest>())
        .answers(200, "It ended in time.", view.clone())
        .answers(
            202,
            "It is stored; `Location` says where to look.",
            view.clone(),
        )
        .problems(&KEYED, problem)
        .problems(&[409, 413, 422, 503], problem),
        operation(
            "get",
            "/api/tasks/{task}",
            "getTask",
            "Shows a task, with its result once it has one.",
        )
        .answers(200, "The task.", view.clone())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/tasks/{task}/cancel",
            "cancelTask",
            "Asks for the end: gently, then by force.",
        )
        .answers(200, "The task as it is now.", view.clone())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/tasks/{task}/stop",
            "stopTask",
            "The same as cancel.",
        )
        .answers(200, "The task as it is now.", view.clone())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/tasks/{task}/run",
            "runTask",
            "Starts a task that waits for its first watcher.",
        )
        .answers(200, "The task as it is now.", view.clone())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/tasks/{task}/approval",
            "answerApproval",
            "Answers the question whether it may run.",
        )
        .body(schemas.of::<ApprovalRequest>())
        .answers(200, "The task as it is now.", view)
        .problems(&KEYED, problem)
        .problems(&[409, 413, 422, 503], problem),
        operation(
            "get",
            "/api/tasks/{task}/output",
            "getOutput",
            "Reads exact bytes of what it printed.",
        )
        .query(
            "stream",
            one_of(&["stdout", "stderr"]),
            "Which stream; stdout when absent.",
        )
        .query(
            "offset",
            json!({"type": "integer", "minimum": 0}),
            "Where to begin.",
        )
        .query(
            "limit",
            json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
            "How many bytes at most; 512 KiB are.",
        )
        .answers_as(
            200,
            "The bytes; `Content-Range` says which.",
            "application/octet-stream",
            json!({"type": "string", "format": "binary"}),
        )
        .problems(&KEYED, problem)
        .problems(&[416, 503], problem),
        operation(
            "get",
            "/api/tasks/{task}/events",
            "streamEvents",
            "Streams its events to its end.",
        )
        .header("Last-Event-ID", text(), "Goes on after this one.")
        .answers_as(
            200,
            "Server-sent events, each with an event as data.",
            "text/event-stream",
            text(),
        )
        .problems(&KEYED, problem)
        .problems(&[503], problem),
    ]
}

fn device_operations(schemas: &mut Schemas, problem: &Value) -> Vec<Operation> {
    let view = schemas.of::<DeviceView>();
    // What streams carry is described although no answer is one of it.
    schemas.of::<Event>();
    schemas.of::<TimelineEntry>();
    let page = schemas.of::<TimelinePage>();
    vec![
        operation(
            "get",
            "/api/devices",
            "listDevices",
            "Lists the computers the key reaches.",
        )
        .answers(200, "The computers.", schemas.of::<Devices>())
        .problems(&KEYED, problem),
        operation(
            "get",
            "/api/devices/{device}",
            "getDevice",
            "Shows a computer.",
        )
        .answers(200, "The computer.", view.clone())
        .problems(&KEYED, problem),
        operation(
            "patch",
            "/api/devices/{device}",
            "renameDevice",
            "Gives it another name.",
        )
        .body(schemas.of::<RenameDeviceRequest>())
        .answers(200, "The computer.", view.clone())
        .problems(&KEYED, problem)
        .problems(&[413], problem),
        operation(
            "delete",
            "/api/devices/{device}",
            "removeDevice",
            "Forgets it and its token.",
        )
        .answers_nothing(204, "It is forgotten.")
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/devices/{device}/pause",
            "pauseDevice",
            "Asks it to take no more tasks; what runs goes on. One that is away is asked when it comes.",
        )
        .answers(200, "The computer.", view.clone())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/devices/{device}/resume",
            "resumeDevice",
            "Asks it to take tasks again, and hands it those that wait.",
        )
        .answers(200, "The computer.", view)
        .problems(&KEYED, problem),
        timeline_page(
            "/api/devices/{device}/timeline",
            "getTimeline",
            &page,
            problem,
        ),
        timeline_page(
            "/api/bot/{device}/timeline",
            "getBotTimeline",
            &page,
            problem,
        ),
        timeline_filters(operation(
            "get",
            "/api/devices/{device}/timeline/events",
            "streamTimeline",
            "Streams what happens on it, for who cannot open a WebSocket.",
        ))
        .query(
            "after",
            json!({"type": "string", "pattern": CURSOR}),
            "Begins after this place.",
        )
        .header(
            "Last-Event-ID",
            json!({"type": "string", "pattern": CURSOR}),
            "Goes on after this place.",
        )
        .answers_as(
            200,
            "Server-sent events, each with an entry as data and its cursor as id.",
            "text/event-stream",
            text(),
        )
        .problems(&KEYED, problem)
        .problems(&[503], problem),
        operation(
            "post",
            "/api/device-requests/{device}",
            "askDevice",
            "Asks it over its link.",
        )
        .body(schemas.of::<DeviceRequest>())
        .answers(200, "What it says.", schemas.of::<DeviceResponse>())
        .problems(&KEYED, problem)
        .problems(&[409, 413, 416, 422, 503], problem),
        operation(
            "post",
            "/api/stream-tickets",
            "createStreamTicket",
            "Makes a ticket that opens one WebSocket.",
        )
        .answers(201, "The ticket.", schemas.of::<StreamTicket>())
        .problems(&KEYED, problem),
        operation(
            "get",
            "/api/callers",
            "listCallers",
            "Lists the programs that were let in by OAuth.",
        )
        .answers(200, "The programs.", schemas.of::<Callers>())
        .problems(&KEYED, problem),
        operation(
            "delete",
            "/api/callers/{caller}",
            "revokeCaller",
            "Ends a program's access, by id or name: its tokens are worth nothing from then on.",
        )
        .answers_nothing(204, "It is let in no more.")
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/pairing-codes",
            "createPairingCode",
            "Makes a code that enrols one computer.",
        )
        .answers(201, "The code.", schemas.of::<PairingCode>())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/enrol",
            "enrol",
            "Makes a computer known that shows a code.",
        )
        .open()
        .body(schemas.of::<EnrolRequest>())
        .answers(201, "Its credentials.", schemas.of::<EnrolResponse>())
        .problems(&[400, 413, 429], problem),
    ]
}

/// The form of a cursor.
const CURSOR: &str = "^[A-Za-z0-9]{1,32}:[0-9]{1,18}$";

fn timeline_filters(operation: Operation) -> Operation {
    operation
        .query("source", text(), "Of tasks that came through this door.")
        .query(
            "status",
            statuses(),
            "Of tasks in this state when the entry was made.",
        )
        .query(
            "success",
            json!({"type": "boolean"}),
            "Ends that were a success, or were not.",
        )
        .query("action", text(), "Of tasks of this kind.")
        .query("task_id", text(), "Of this task.")
}

fn timeline_page(path: &'static str, id: &'static str, page: &Value, problem: &Value) -> Operation {
    let time = || json!({"type": "string", "format": "date-time"});
    timeline_filters(operation(
        "get",
        path,
        id,
        "Shows what happened on it, newest first.",
    ))
    .query("start_time", time(), "Only since.")
    .query("end_time", time(), "Only until.")
    .query("limit", number(1, 100), "How many on a page.")
    .query(
        "offset",
        number(0, TIMELINE_ENTRIES),
        "How many to leave out.",
    )
    .query(
        "cursor",
        json!({"type": "string", "pattern": CURSOR}),
        "Newest first, before this place.",
    )
    .query(
        "after",
        json!({"type": "string", "pattern": CURSOR}),
        "Oldest first, after this place.",
    )
    .answers(200, "A page.", page.clone())
    .problems(&KEYED, problem)
}

fn promised_operations(schemas: &mut Schemas, problem: &Value) -> Vec<Operation> {
    let refusal = json!({
        "type": "object",
        "required": ["error", "code"],
        "properties": {"error": text(), "code": text(), "hint": text()},
    });
    let webhook = json!({
        "type": "object",
        "description": "A task command, a batch, or any other object, which becomes an event.",
        "properties": {
            "type": text(),
            "sync": {"type": "boolean"},
            "wait_seconds": number(1, 40),
            "data": {"type": "object"},
        },
    });
    let done = json!({"anyOf": [
        schemas.of::<Received>(), schemas.of::<Finished>(), schemas.of::<BatchAnswer>(),
    ]});
    let waiting = schemas.of::<WaitOver>();
    let away = json!({"anyOf": [schemas.of::<DeviceOffline>(), refusal]});
    let mut posted = operation(
        "post",
        "/webhook",
        "webhook",
        "Takes a task, a batch, or an event (promised).",
    )
    .body(webhook)
    .answers(200, "Taken, or done.", done)
    .answers(
        202,
        "The wait is over while the owner is being asked.",
        waiting.clone(),
    )
    .answers(504, "The wait is over; the task runs on.", waiting)
    .answers(503, "The device is away, or the relay restarts.", away);
    for status in [400, 401, 403, 404, 409, 413, 422, 429] {
        posted = posted.answers(status, "It cannot be done.", refusal.clone());
    }
    let paused = schemas.of::<Paused>();
    vec![
        posted
            .problems(&[401, 429], problem)
            .also_as_json(&[401, 429], &refusal),
        operation(
            "post",
            "/api/task",
            "queueCommand",
            "Queues a shell command (promised).",
        )
        .body(schemas.of::<BotTask>())
        .answers(202, "Queued.", schemas.of::<Queued>())
        .problems(&KEYED, problem)
        .problems(&[409, 413, 422, 503], problem),
        operation(
            "get",
            "/status",
            "getStatus",
            "Says how a device is (promised).",
        )
        .query("device", text(), "Which, where the key reaches several.")
        .answers(200, "How it is.", schemas.of::<BotStatus>())
        .problems(&KEYED, problem)
        .problems(&[422, 503], problem),
        operation(
            "post",
            "/api/bot/{device}/pause",
            "pauseBot",
            "Pauses a device (promised).",
        )
        .answers(200, "Paused.", paused.clone())
        .problems(&KEYED, problem),
        operation(
            "post",
            "/api/bot/{device}/resume",
            "resumeBot",
            "Resumes a device (promised).",
        )
        .answers(200, "Resumed.", paused)
        .problems(&KEYED, problem),
    ]
}

impl Operation {
    /// Says that a problem may come in the door's own shape as well.
    fn also_as_json(mut self, statuses: &[u16], schema: &Value) -> Self {
        for status in statuses {
            if let Some(answer) = self.responses.get_mut(&status.to_string()) {
                answer["content"]["application/json"] = json!({"schema": schema});
            }
        }
        self
    }
}

fn assistant_operations(schemas: &mut Schemas, problem: &Value) -> Vec<Operation> {
    let tools = Tool::ALL.map(Tool::name);
    let assistants = Assistant::ALL.map(Assistant::as_str);
    let object = || json!({"type": "object"});
    let refused = json!({
        "type": "object",
        "properties": {"code": text(), "error": text(), "next": text()},
        "required": ["code", "error"],
    });
    let mut call = operation(
        "post",
        "/api/tools/{tool}",
        "callTool",
        "Calls a tool as an assistant does; /openapi-actions.json describes each.",
    )
    .body(object())
    .answers(200, "What came of it.", object())
    .problems(&KEYED, problem);
    for status in [400, 403, 404, 409, 413, 416, 422, 429, 500, 503] {
        // In the words of the tools, or in those of a door that was not passed.
        let content = json!({
            "application/json": {"schema": refused},
            "application/problem+json": {"schema": problem},
        });
        let answer = json!({"description": "The call was not made.", "content": content});
        call.responses.insert(status.to_string(), answer);
    }
    // A tool that takes nothing needs no body.
    call.fields["requestBody"]["required"] = false.into();
    call.parameters[0]["schema"] = one_of(&tools);
    let mut prompt = operation(
        "get",
        "/api/prompts/{assistant}",
        "getPrompt",
        "Writes instructions for an assistant, with the names of your computers and no secret.",
    )
    .answers(200, "The text.", schemas.of::<PromptView>())
    .problems(&KEYED, problem);
    prompt.parameters[0]["schema"] = one_of(&assistants);
    let actions = operation(
        "get",
        "/openapi-actions.json",
        "describeActions",
        "Describes the tools as GPT Actions reads it.",
    )
    .open()
    .answers(200, "OpenAPI 3.1.", object())
    .problems(&[429], problem);
    vec![call, prompt, actions]
}

fn open_operations(schemas: &mut Schemas, problem: &Value) -> Vec<Operation> {
    let health = schemas.of::<Health>();
    let session = schemas.of::<SessionView>();
    let signing_in = schemas.of::<SessionRequest>();
    let plain = |path, id, what| {
        operation("get", path, id, what)
            .open()
            .answers_as(200, "Yes.", "text/plain", text())
            .problems(&[429], problem)
    };
    vec![
        operation(
            "get",
            "/health",
            "getHealth",
            "Says that the relay runs (promised).",
        )
        .open()
        .answers(200, "It runs.", health)
        .problems(&[429], problem),
        operation(
            "post",
            "/api/session",
            "signIn",
            "Signs a browser in: the answer sets a cookie.",
        )
        .open()
        .body(signing_in)
        .answers(201, "Who is signed in.", session.clone())
        .problems(&[400, 401, 403, 413, 429], problem),
        operation(
            "get",
            "/api/session",
            "getSession",
            "Says who is signed in.",
        )
        .answers(200, "Who is.", session)
        .problems(&KEYED, problem),
        operation(
            "delete",
            "/api/session",
            "signOut",
            "Signs the browser out.",
        )
        .open()
        .answers_nothing(204, "Nobody is signed in.")
        .problems(&[403, 429], problem),
        plain("/healthz", "isAlive", "Whether the process answers."),
        plain("/readyz", "isReady", "Whether the store answers.").answers_as(
            503,
            "No.",
            "text/plain",
            text(),
        ),
        operation(
            "get",
            "/llm-instructions",
            "getInstructions",
            "Says to an assistant how to use this.",
        )
        .open()
        .answers_as(200, "How.", "text/markdown", text())
        .problems(&[429], problem),
    ]
}

/// Writes the description as a page.
fn page_of(description: &Value) -> String {
    let mut page = String::from(PAGE_HEAD);
    for (path, operations) in description["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            page.push_str(&operation_text(path, method, operation));
        }
    }
    page.push_str("<h2>Schemas</h2>");
    let schemas = description["components"]["schemas"].as_object();
    for (name, schema) in schemas.into_iter().flatten() {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        page.push_str(&format!(
            "<details id=\"{0}\"><summary>{0}</summary><pre>{1}</pre></details>",
            escaped(name),
            escaped(&text)
        ));
    }
    page
}

const PAGE_HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Deskhand relay</title><style>\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
code,pre{font-family:ui-monospace,monospace}pre{overflow:auto}details{margin:.25rem 0;border-bottom:1px solid #8884}\
summary{cursor:pointer;padding:.4rem 0}b{display:inline-block;width:4.5rem}</style>\
<h1>Deskhand relay</h1><p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>";

fn operation_text(path: &str, method: &str, operation: &Value) -> String {
    let word = |value: &Value| escaped(value.as_str().unwrap_or_default()).into_owned();
    let mut text = format!(
        "<details><summary><b>{}</b> <code>{}</code> {}</summary><ul>",
        escaped(&method.to_uppercase()),
        escaped(path),
        word(&operation["summary"])
    );
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "<li>{} <code>{}</code>: {}</li>",
            word(&parameter["in"]),
            word(&parameter["name"]),
            word(&parameter["description"])
        ));
    }
    if let Some(body) = operation.get("requestBody") {
        let name = schema_name(body["content"].as_object());
        text.push_str(&format!("<li>body: {name}</li>"));
    }
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        text.push_str(&format!(
            "<li>{}: {} {}</li>",
            escaped(status),
            word(&answer["description"]),
            schema_name(answer["content"].as_object())
        ));
    }
    text.push_str("</ul></details>");
    text
}

/// Names the schema of a content, with a link to it.
fn schema_name(content: Option<&Map<String, Value>>) -> String {
    let Some((kind, content)) = content.and_then(|content| content.iter().next()) else {
        return String::new();
    };
    match content["schema"]["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        Some(name) => format!("<a href=\"#{0}\">{0}</a>", escaped(name)),
        None => format!("<code>{}</code>", escaped(kind)),
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    match text.contains(['<', '>', '&', '"']) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;"),
        ),
    }
}
