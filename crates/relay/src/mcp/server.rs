//! One MCP server: of a session, or of a single request where there are none. What it knows beyond the
//! relay is which of its own requests waits for which task, so that a client can cancel it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::request::Parts;
use deskhand_protocol::{TaskId, relay_request::Scope};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
        CancelledNotificationParam, ContentBlock, CreateTaskResult, Extensions,
        GetPromptRequestMethod, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
        GetTaskResult, Implementation, ListPromptsRequestMethod, ListPromptsResult,
        ListResourceTemplatesRequestMethod, ListResourceTemplatesResult,
        ListResourcesRequestMethod, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, ProgressToken, RequestId, ServerCapabilities, ServerConfig,
        Tool, ToolAnnotations, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext},
};
use serde_json::Map;
use tokio::{
    sync::oneshot,
    time::{Instant, interval_at, timeout},
};

use super::tasks;
use crate::{
    State,
    http::Caller,
    known_tasks,
    tools::{self, Answer, texts},
};

/// How often a client that wants to hears how its call stands.
const PROGRESS_EVERY: Duration = Duration::from_secs(4);

/// How long storing a task may take before a client that cancelled the call is forgotten.
const STORED_WITHIN: Duration = Duration::from_secs(5);

/// How long a client may take the list of tools for fresh: a key's scopes do not change.
const LIST_TTL_MS: u64 = 300_000;

/// A server of one session or one request.
#[derive(Debug, Clone)]
pub(super) struct Server {
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

impl Server {
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
    async fn call(
        &self,
        caller: &Caller,
        tool: tools::Tool,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Option<Answer> {
        let (begun, mut begins) = oneshot::channel();
        let arguments = request.arguments.unwrap_or_default();
        let call = tools::call(&self.state, caller, tool, arguments, begun);
        tokio::pin!(call);
        let token = context.meta.get_progress_token();
        let began = Instant::now();
        let mut beat = interval_at(began + PROGRESS_EVERY, PROGRESS_EVERY);
        let (mut has_begun, mut task) = (false, None);
        self.waiting()
            .insert(context.id.clone(), Waiting::Submitting);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => {
                    self.waiting().remove(&context.id);
                    return Some(answer);
                }
                begun = &mut begins, if !has_begun => {
                    (has_begun, task) = (true, begun.ok());
                    if let Some(task) = task {
                        self.waits_for(caller, &context.id, task).await;
                    }
                }
                () = context.ct.cancelled() => break,
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
        None
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

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let server =
            Implementation::new("deskhand", env!("CARGO_PKG_VERSION")).with_title("Deskhand");
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_tasks()
                .build(),
        )
        .with_server_info(server)
        .with_instructions(texts::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = caller(&context.extensions)?;
        let open = tools::Tool::ALL
            .into_iter()
            .filter(|tool| tool.is_open_to(caller));
        Ok(
            ListToolsResult::with_all_items(open.map(described).collect())
                .with_ttl_ms(LIST_TTL_MS)
                .with_cache_scope(CacheScope::Private),
        )
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::Tool::named(name).map(described)
    }

    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = caller(&context.extensions)?;
        let Some(tool) = tools::Tool::named(&request.name) else {
            let error = format!("there is no tool `{}`", request.name);
            return Err(ErrorData::invalid_params(error, None));
        };
        let takes_handles = context
            .client_capabilities()
            .is_some_and(|client| client.supports_tasks());
        let may_be_handle = takes_handles && tasks::may_become_one(tool);
        if may_be_handle {
            tasks::wait_less(request.arguments.get_or_insert_default());
        }
        let answer = self.call(caller, tool, request, &context).await;
        if let (Some(answer), true) = (&answer, may_be_handle)
            && let Some(task) = tasks::handle(&self.state, caller, answer).await
        {
            return Ok(CallToolResponse::Task(CreateTaskResult::new(task)));
        }
        match answer {
            Some(answer) => Ok(result(answer).into()),
            // Nobody reads it.
            None => Err(ErrorData::internal_error("the call was cancelled", None)),
        }
    }

    /// Only this notification ends a task; a stream that closes ends the wait. It comes with a caller
    /// of its own, who has to be the one that the task belongs to.
    async fn on_cancelled(
        &self,
        notification: CancelledNotificationParam,
        context: NotificationContext<RoleServer>,
    ) {
        let (Some(request), Ok(caller)) = (notification.request_id, caller(&context.extensions))
        else {
            return;
        };
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

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let caller = caller(&context.extensions)?;
        let task = tasks::get(&self.state, caller, &request.task_id).await?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = caller(&context.extensions)?;
        tasks::update(&self.state, caller, &request.task_id).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = caller(&context.extensions)?;
        tasks::cancel(&self.state, caller, &request.task_id).await
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn get_prompt(
        &self,
        _request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Err(ErrorData::method_not_found::<GetPromptRequestMethod>())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<
            ListResourceTemplatesRequestMethod,
        >())
    }
}

/// The caller behind a message, as the gate let it in.
fn caller(extensions: &Extensions) -> Result<&Caller, ErrorData> {
    let parts = extensions.get::<Parts>();
    parts
        .and_then(|parts| parts.extensions.get::<Caller>())
        .ok_or_else(|| ErrorData::internal_error("the request came without a caller", None))
}

fn described(tool: tools::Tool) -> Tool {
    let text = texts::text(tool);
    let hints = text.hints;
    let annotations = ToolAnnotations::with_title(text.title)
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(hints.open_world);
    Tool::new(
        tool.name(),
        text.description,
        Arc::new(Map::from_iter(tools::input(tool))),
    )
    .with_title(text.title)
    .with_raw_output_schema(Arc::new(tools::output(tool)))
    .with_annotations(annotations)
}

/// The JSON, and the same as text for clients that know no other.
pub(super) fn result(answer: Answer) -> CallToolResult {
    let content = vec![ContentBlock::text(answer.text)];
    let mut result = match answer.failed {
        None => CallToolResult::success(content),
        Some(_) => CallToolResult::error(content),
    };
    result.structured_content = answer.is_result.then_some(answer.value);
    result
}
