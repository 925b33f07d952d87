//! Calls that wait: which request waits for which task, so that a client can cancel it; how the task
//! stands, for a client that wants to know; and the owner's question, for a client that can show it.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deskhand_protocol::{TaskId, relay_request::Scope};
use rmcp::{
    RoleServer,
    model::{
        ElicitRequestParams, JsonObject, ProgressNotificationParam, ProgressToken, ProtocolVersion,
        RequestId,
    },
    service::RequestContext,
};
use tokio::{
    sync::oneshot,
    time::{Instant, interval_at, timeout},
};

use super::{
    approval::{self, Pending},
    tasks,
};
use crate::{
    State,
    http::Caller,
    known_tasks,
    questions::{self, Asked},
    tools::{self, Answer, Tool},
};

/// How often a client that wants to hears how its call stands.
const PROGRESS_EVERY: Duration = Duration::from_secs(4);

/// How long storing a task may take before a client that cancelled the call is forgotten.
const STORED_WITHIN: Duration = Duration::from_secs(5);

/// The calls of a session, or the one of a request.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    state: State,
    /// What each request waits for. What a cancelled one leaves here is taken by the notification that
    /// cancelled it.
    waiting: Arc<Mutex<HashMap<RequestId, Waiting>>>,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    /// Its task is being stored, or it needs none.
    Submitting,
    /// The same, and it was cancelled meanwhile.
    Cancelled,
    /// For the end of a task.
    For(TaskId),
}

/// What a client can do with a call, beyond waiting for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// It shows its user a question of the owner's, and its key may answer one.
    pub(super) takes_forms: bool,
    /// It takes handles of the Tasks extension.
    pub(super) takes_handles: bool,
    /// It is asked by a result, and calls again with what its user said; else by a request.
    is_asked_by_result: bool,
}

impl How {
    pub(super) fn of(caller: &Caller, context: &RequestContext<RoleServer>) -> Self {
        let client = context.client_capabilities();
        let client = client.as_ref();
        let version = context.protocol_version();
        Self {
            takes_forms: caller.key.may(Scope::Approve) && approval::is_shown_by(client),
            takes_handles: client.is_some_and(|client| client.supports_tasks()),
            is_asked_by_result: version.is_some_and(|it| it >= ProtocolVersion::V_2026_07_28),
        }
    }
}

/// How a call went.
pub(super) enum Went {
    Answered(Answer),
    /// The owner is asked, and the client is to show the question.
    Asks(Pending, Box<ElicitRequestParams>),
    /// The client went away.
    Gone,
}

impl Calls {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            waiting: Arc::default(),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<RequestId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a tool and tells the client how it stands while it waits. A client that goes away ends
    /// the wait; none of this ends a task.
    pub(super) async fn call(
        &self,
        caller: &Caller,
        (tool, arguments): (Tool, JsonObject),
        how: &How,
        context: &RequestContext<RoleServer>,
    ) -> Went {
        let runs = tasks::may_become_one(tool);
        // Whoever may answer and is shown the question is there, as far as the device is concerned.
        let _attends = (runs && how.takes_forms)
            .then(|| tools::device_of(&self.state, caller, &arguments))
            .flatten()
            .map(|device| self.state.registry.attend(&device));
        // Who takes handles finds the question there.
        let is_shown = runs && how.takes_forms && !how.takes_handles;
        let (begun, mut begins) = oneshot::channel();
        let call = tools::call(&self.state, caller, tool, arguments, begun);
        tokio::pin!(call);
        let mut asked: Pin<Box<dyn Future<Output = Asked> + Send>> =
            Box::pin(std::future::pending());
        let mut _form = None;
        let token = context.meta.get_progress_token();
        let began = Instant::now();
        let mut beat = interval_at(began + PROGRESS_EVERY, PROGRESS_EVERY);
        let (mut has_begun, mut has_asked, mut task) = (false, false, None);
        self.waiting()
            .insert(context.id.clone(), Waiting::Submitting);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => {
                    self.waiting().remove(&context.id);
                    return Went::Answered(answer);
                }
                begun = &mut begins, if !has_begun => {
                    (has_begun, task) = (true, begun.ok());
                    if let Some(task) = task {
                        self.waits_for(caller, &context.id, task).await;
                        if is_shown {
                            asked = Box::pin(questions::asked(&self.state, task));
                        }
                    }
                }
                () = context.ct.cancelled() => break,
                asked = &mut asked, if !has_asked => {
                    has_asked = true;
                    let form = approval::form(&asked.question);
                    match form {
                        Some(form) if how.is_asked_by_result => {
                            self.waiting().remove(&context.id);
                            return Went::Asks(Pending::new(&asked.question), Box::new(form));
                        }
                        Some(form) => {
                            _form = approval::show(&self.state, caller, &context.peer, asked, form).await;
                        }
                        None => {}
                    }
                }
                _ = beat.tick(), if token.is_some() => {
                    if let (Some(token), Some(task)) = (&token, task) {
                        self.tell(context, token, task, began.elapsed()).await;
                    }
                }
            }
        }
        // Whoever cancelled it while its task was being stored means that task.
        if !has_begun && let Ok(Ok(task)) = timeout(STORED_WITHIN, begins).await {
            self.waits_for(caller, &context.id, task).await;
        }
        Went::Gone
    }

    /// Ends the task a request waits for, at the word of a caller of its own: the one it belongs to.
    pub(super) async fn cancelled(&self, caller: &Caller, request: RequestId) {
        let task = {
            let mut waiting = self.waiting();
            match waiting.remove(&request) {
                Some(Waiting::For(task)) => task,
                Some(Waiting::Submitting | Waiting::Cancelled) => {
                    waiting.insert(request, Waiting::Cancelled);
                    return;
                }
                None => return,
            }
        };
        self.end(caller, task).await;
    }

    /// Notes which task a request waits for, and ends it if the request was cancelled before.
    async fn waits_for(&self, caller: &Caller, request: &RequestId, task: TaskId) {
        let before = self.waiting().insert(request.clone(), Waiting::For(task));
        if let Some(Waiting::Cancelled) = before {
            self.waiting().remove(request);
            self.end(caller, task).await;
        }
    }

    /// Ends a task of the caller's own.
    async fn end(&self, caller: &Caller, task: TaskId) {
        let ended = async {
            let record = known_tasks::visible(&self.state, caller, &task.to_string()).await?;
            caller.needs(Scope::TasksRun)?;
            known_tasks::cancel(&self.state, record).await
        };
        if let Err(problem) = ended.await {
            tracing::warn!(error = %problem, %task, "cannot cancel a task for an MCP client");
        }
    }

    async fn tell(
        &self,
        context: &RequestContext<RoleServer>,
        token: &ProgressToken,
        task: TaskId,
        waited: Duration,
    ) {
        let message = tools::standing(&self.state, task, waited).await;
        let progress = ProgressNotificationParam::new(token.clone(), waited.as_secs_f64());
        // A client that does not hear it is noticed when its stream is closed.
        let _ = context
            .peer
            .notify_progress(progress.with_message(message))
            .await;
    }
}
