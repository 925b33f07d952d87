//! The owner's question, put to a client's user as well. It is the same question, on the device, that
//! the desktop shows: the first answer counts, whatever the door, and a rule is never made from here.
//!
//! A client of the `initialize` era is sent a request and has 20 seconds; one of 2026-07-28 is given a
//! result that asks and calls again. Neither is the only way: a client that says it shows forms and does
//! not gets the ordinary answer when the wait is over.

use std::time::Duration;

use deskhand_protocol::{
    ErrorCode, TaskId, Timestamp,
    approval::{Answer, QuestionView},
};
use rmcp::{
    ErrorData, Peer, RoleServer,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientResult, ElicitRequest,
        ElicitRequestParams, ElicitResult, ElicitationAction, InputRequest, InputRequests,
        InputRequiredResult, RequestStateCodec, SealOptions, ServerRequest,
    },
    service::{PeerRequestOptions, RequestHandle},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    State,
    broker::Record,
    clock::now,
    http::Caller,
    known_tasks::visible,
    questions::{self, Asked},
    token::{NoRandomness, random},
};

/// How long a form waits for an answer. Several clients declare that they show forms and never do;
/// hosts end a call after 60 s.
const SHOWN_FOR: Duration = Duration::from_secs(20);

/// How long a call may be gone on with: as long as its question is open, and then some.
const KEPT_FOR: Duration = Duration::from_secs(3_600);

/// Most characters of a command that a form shows. A longer one is answered on the computer.
const COMMAND_CHARS: usize = 2_000;

/// The name of the question among what a client is asked for.
pub(super) const KEY: &str = "approval";

/// Tells whether a client says that it shows its user forms.
pub(super) fn is_shown_by(client: Option<&ClientCapabilities>) -> bool {
    // One that names no mode shows forms: there was no other.
    client
        .and_then(|client| client.elicitation.as_ref())
        .is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

/// A question as a form; none when what would run is too long to be shown whole.
pub(super) fn form(question: &QuestionView) -> Option<ElicitRequestParams> {
    if question.command.chars().count() > COMMAND_CHARS {
        return None;
    }
    let profile = &question.profile;
    let writes = match (profile.writable, profile.git_writes) {
        (false, _) => "change nothing",
        (true, false) => "change files there, but not `.git`",
        (true, true) => "change files there and `.git`",
    };
    let reaches = match profile.network.as_slice() {
        [] => "no network".to_owned(),
        hosts => hosts.join(", "),
    };
    let stdin = match &question.stdin {
        Some(stdin) => format!("\n\nIt reads:\n\n{stdin}"),
        None => String::new(),
    };
    let message = format!(
        "May this run on your computer?\n\n{}{stdin}\n\nWhere: {}\nIt could: {writes}; {reaches}\n\
         Asked by: {}\nWhy you are asked: {}",
        question.command, question.working_dir, question.caller, question.reason
    );
    let schema = json!({
        "type": "object",
        "properties": {
            "answer": {
                "type": "string",
                "title": "Answer",
                "description": "Yes, this time; or no.",
                "oneOf": [
                    {"const": "once", "title": "Yes, this time"},
                    {"const": "no", "title": "No"},
                ],
            },
        },
        "required": ["answer"],
    });
    Some(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: serde_json::from_value(schema).expect("the schema is one of a form"),
    })
}

/// What a client's user made of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Answer(Answer),
    /// They do not want to answer here.
    Dismissed,
    /// Nothing that could be read as an answer.
    Nothing,
}

impl Said {
    /// Only the word itself is a yes: some clients accept every form, empty.
    fn of(result: &ElicitResult) -> Self {
        match result.action {
            ElicitationAction::Decline => Self::Answer(Answer::No),
            ElicitationAction::Accept => {
                let content = result.content.as_ref();
                match content.and_then(|content| content["answer"].as_str()) {
                    Some("once") => Self::Answer(Answer::Once),
                    Some("no") => Self::Answer(Answer::No),
                    _ => Self::Nothing,
                }
            }
            // `cancel`, and whatever a later revision may add.
            _ => Self::Dismissed,
        }
    }
}

/// Returns what a client brought along of the answer it was asked for.
pub(super) fn said(response: Option<&Value>) -> Said {
    match response.map(|response| serde_json::from_value(response.clone())) {
        Some(Ok(result)) => Said::of(&result),
        Some(Err(_)) | None => Said::Nothing,
    }
}

/// Gives an answer. One that comes second, or too late, changes nothing: the task says what came of it.
pub(super) async fn give(
    state: &State,
    caller: &Caller,
    record: &Record,
    answer: Answer,
    digest: &str,
) {
    let given = questions::answer(state, caller, record, answer, Some(digest.to_owned())).await;
    match given.map_err(|problem| problem.code) {
        Ok(()) | Err(ErrorCode::AlreadyAnswered | ErrorCode::NoSuchQuestion) => {}
        Err(code) => {
            let task = record.task.task_id;
            tracing::warn!(%task, code = code.as_str(), "an MCP client's answer was not taken");
        }
    }
}

/// Sends a client of the `initialize` era the question. What its user says within 20 seconds is given
/// to the device; the form is taken back then, when another door was first, and when what this returns
/// is dropped.
pub(super) async fn show(
    state: &State,
    caller: &Caller,
    peer: &Peer<RoleServer>,
    asked: Asked,
    form: ElicitRequestParams,
) -> Option<DropGuard> {
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
    let sent = peer.send_request_with_option(request, PeerRequestOptions::no_options());
    let sent = sent.await.inspect_err(|error| {
        tracing::warn!(%error, "cannot show a question to an MCP client");
    });
    let call = CancellationToken::new();
    let hears = hear(
        state.clone(),
        caller.clone(),
        asked,
        sent.ok()?,
        call.clone(),
    );
    tokio::spawn(hears);
    Some(call.drop_guard())
}

async fn hear(
    state: State,
    caller: Caller,
    mut asked: Asked,
    mut form: RequestHandle<RoleServer>,
    call: CancellationToken,
) {
    let why = tokio::select! {
        response = &mut form.rx => {
            let Ok(Ok(ClientResult::ElicitResult(result))) = response else { return };
            let task = asked.question.task_id.to_string();
            if let Said::Answer(answer) = Said::of(&result)
                && let Ok(record) = visible(&state, &caller, &task).await
            {
                give(&state, &caller, &record, answer, &asked.question.digest).await;
            }
            return;
        }
        () = tokio::time::sleep(SHOWN_FOR) => "nobody answered within 20 seconds",
        () = asked.closed() => "it was answered elsewhere",
        () = call.cancelled() => "the call is over",
    };
    // A client that went away needs not be told.
    let _ = form.cancel(Some(why.to_owned())).await;
}

/// A call that is gone on with once its user has answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) task_id: TaskId,
    pub(super) digest: String,
    asked_at: Timestamp,
}

impl Pending {
    pub(super) fn new(question: &QuestionView) -> Self {
        Self {
            task_id: question.task_id,
            digest: question.digest.clone(),
            asked_at: now(),
        }
    }

    /// Tells whether a client that brought no answer may be asked once more.
    pub(super) fn may_ask_again(&self) -> bool {
        let since = Duration::try_from(now().duration_since(self.asked_at));
        since.is_ok_and(|since| since < SHOWN_FOR)
    }
}

/// Seals what a client carries from one call to the next, so that it comes back from the same caller,
/// for the same call, as it was. The key is new with every start: a task is known by its id anyway.
#[derive(Debug, Clone)]
pub(crate) struct Seal(RequestStateCodec);

impl Seal {
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        Ok(Self(RequestStateCodec::new_unchecked(random::<32>()?)))
    }

    /// Asks a client of 2026-07-28 for its user's answer.
    pub(super) fn required(
        &self,
        caller: &Caller,
        request: &CallToolRequestParams,
        pending: &Pending,
        form: ElicitRequestParams,
    ) -> InputRequiredResult {
        let bound = bound_to(caller, request);
        let options = SealOptions::new().associated_data(&bound).ttl(KEPT_FOR);
        let state = self.0.seal_json_with(pending, &options);
        let state = state.expect("what is pending has only string keys");
        let form = InputRequest::Elicitation(ElicitRequest::new(form));
        let requests = InputRequests::from([(KEY.to_owned(), form)]);
        InputRequiredResult::new(Some(requests), Some(state))
    }

    /// Opens what a client brought back.
    pub(super) fn open(
        &self,
        caller: &Caller,
        request: &CallToolRequestParams,
    ) -> Result<Pending, ErrorData> {
        let sealed = request.request_state.as_deref().unwrap_or_default();
        let opened = self.0.open_json_with(sealed, &bound_to(caller, request));
        opened.map_err(|error| {
            let why = format!("{error}; the task goes on: list_tasks shows it");
            ErrorData::invalid_params(why, None)
        })
    }
}

/// What a sealed state is good for: one caller, one tool, the same arguments.
fn bound_to(caller: &Caller, request: &CallToolRequestParams) -> Vec<u8> {
    let mut arguments = request.arguments.clone().unwrap_or_default();
    // How long it waits may differ.
    arguments.remove("wait_seconds");
    let arguments = Sha256::digest(Value::Object(arguments).to_string());
    let key = caller.key.view.key_id.to_string();
    [
        key.as_bytes(),
        b"|",
        request.name.as_bytes(),
        b"|",
        &arguments,
    ]
    .concat()
}
