//! One MCP server: of a session, or of a single request where there are none. It says what there is, and
//! turns answers into results of the protocol.

use std::sync::Arc;

use axum::http::request::Parts;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
        CancelledNotificationParam, ContentBlock, CreateTaskResult, Extensions,
        GetPromptRequestMethod, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
        GetTaskResult, Implementation, ListPromptsRequestMethod, ListPromptsResult,
        ListResourceTemplatesRequestMethod, ListResourceTemplatesResult,
        ListResourcesRequestMethod, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool, ToolAnnotations, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext},
};
use serde_json::Map;

use super::{
    approval::{self, Said},
    calls::{Calls, How, Went},
    tasks,
};
use crate::{
    State,
    http::Caller,
    known_tasks::visible,
    questions,
    tools::{self, Answer, texts},
};

/// How long a client may take the list of tools for fresh: a key's scopes do not change.
const LIST_TTL_MS: u64 = 300_000;

/// A server of one session or one request.
#[derive(Debug, Clone)]
pub(super) struct Server {
    state: State,
    calls: Calls,
}

impl Server {
    pub(super) fn new(state: State) -> Self {
        Self {
            calls: Calls::new(state.clone()),
            state,
        }
    }

    /// Goes on with a call whose user was asked, as far as they answered: the question is the same
    /// whatever the door, and the first answer counted.
    async fn go_on(
        &self,
        caller: &Caller,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let pending = self.state.seal.open(caller, &request)?;
        let record = visible(&self.state, caller, &pending.task_id.to_string())
            .await
            .map_err(|problem| ErrorData::invalid_params(problem.error, None))?;
        let response = request.input_responses.as_ref();
        match approval::said(response.and_then(|said| said.get(approval::KEY))) {
            Said::Answer(answer) => {
                approval::give(&self.state, caller, &record, answer, &pending.digest).await;
            }
            Said::Nothing if pending.may_ask_again() => {
                let question = questions::open(&self.state, &record).await;
                if let Some(question) = question.filter(|open| open.digest == pending.digest)
                    && let Some(form) = approval::form(&question)
                {
                    let asks = self.state.seal.required(caller, &request, &pending, form);
                    return Ok(asks.into());
                }
            }
            Said::Nothing | Said::Dismissed => {}
        }
        let mut how = How::of(caller, context);
        how.takes_forms = false;
        let request = tools::waits_on(pending.task_id, request.arguments);
        let went = self.calls.call(caller, request, &how, context).await;
        match went {
            Went::Answered(answer) => Ok(result(answer).into()),
            // No form was to be shown; whose stream closed reads nothing.
            Went::Asks(..) | Went::Gone => Err(gone()),
        }
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
        if request.request_state.is_some() {
            return self.go_on(caller, request, &context).await;
        }
        let how = How::of(caller, &context);
        let may_be_handle = how.takes_handles && tasks::may_become_one(tool);
        let arguments = request.arguments.get_or_insert_default();
        if may_be_handle {
            tasks::wait_less(arguments);
        }
        let call = (tool, arguments.clone());
        match self.calls.call(caller, call, &how, &context).await {
            Went::Answered(answer) => {
                if may_be_handle
                    && let Some(task) = tasks::handle(&self.state, caller, &answer).await
                {
                    return Ok(CallToolResponse::Task(CreateTaskResult::new(task)));
                }
                Ok(result(answer).into())
            }
            Went::Asks(pending, form) => {
                let asks = self.state.seal.required(caller, &request, &pending, *form);
                Ok(asks.into())
            }
            // Nobody reads it.
            Went::Gone => Err(gone()),
        }
    }

    /// Only this notification ends a task; a stream that closes ends the wait. It comes with a caller
    /// of its own, who has to be the one that the task belongs to.
    async fn on_cancelled(
        &self,
        notification: CancelledNotificationParam,
        context: NotificationContext<RoleServer>,
    ) {
        if let (Some(request), Ok(caller)) = (notification.request_id, caller(&context.extensions))
        {
            self.calls.cancelled(caller, request).await;
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let caller = caller(&context.extensions)?;
        let takes_forms = How::of(caller, &context).takes_forms;
        let task = tasks::get(&self.state, caller, &request.task_id, takes_forms).await?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = caller(&context.extensions)?;
        tasks::update(&self.state, caller, request).await
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

fn gone() -> ErrorData {
    ErrorData::internal_error("the call was cancelled", None)
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
