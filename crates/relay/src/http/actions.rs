//! The tools over plain HTTP, and the description of them that GPT Actions reads.
//!
//! `POST /api/tools/{tool}` takes a tool's arguments and answers as the tool does. A task that failed is
//! an answer; a call that was not made has the status of its code. `GET /openapi-actions.json` says so in
//! OpenAPI 3.1, in texts as short as a GPT takes them, with the address callers use.

use axum::{
    Json,
    extract::{Path, Request, State as Extract},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use deskhand_protocol::{ErrorCode, Problem};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{
    auth::Caller,
    error::{status_of, with_retry_after},
    problem, read_body,
};
use crate::{
    State,
    tools::{self, Tool, texts},
};

/// Calls a tool.
pub(super) async fn call(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(tool): Path<String>,
    request: Request,
) -> Response {
    let read = async {
        let tool = Tool::named(&tool).ok_or_else(|| {
            let names = Tool::ALL.map(Tool::name).join(", ");
            Problem::new(ErrorCode::NotFound, format!("the tools are: {names}"))
        })?;
        let body = read_body(request).await?;
        Ok((tool, arguments(&body)?))
    };
    let (tool, arguments) = match read.await {
        Ok(read) => read,
        Err(refused) => return problem(refused),
    };
    // Nobody here has to know which task it became: a caller that hangs up cancels nothing.
    let (begun, _) = oneshot::channel();
    let answer = tools::call(&state, &caller, tool, arguments, begun).await;
    let status = match answer.failed {
        Some(code) if !answer.is_result => status_of(code),
        _ => StatusCode::OK,
    };
    let json = HeaderValue::from_static("application/json");
    let response = (status, [(header::CONTENT_TYPE, json)], answer.text).into_response();
    match answer.failed {
        Some(code) => with_retry_after(code, response),
        None => response,
    }
}

fn arguments(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => {
            let error = "the arguments of a tool are an object";
            Err(Problem::new(ErrorCode::InvalidRequest, error))
        }
        Err(_) => Err(Problem::new(ErrorCode::InvalidJson, "Invalid JSON payload")),
    }
}

/// `GET /openapi-actions.json`.
pub(super) async fn document(Extract(state): Extract<State>) -> Response {
    Json(describe(&state.url())).into_response()
}

fn describe(url: &str) -> Value {
    let paths: Map<String, Value> = Tool::ALL
        .into_iter()
        .map(|tool| {
            (
                format!("/api/tools/{}", tool.name()),
                json!({"post": operation(tool)}),
            )
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Deskhand",
            "version": env!("CARGO_PKG_VERSION"),
            "description": texts::INSTRUCTIONS,
        },
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            // The editor of a GPT refuses a description without it.
            "schemas": {},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{"key": []}],
    })
}

fn operation(tool: Tool) -> Value {
    let text = texts::text(tool);
    let body = json!({"application/json": {"schema": tools::input(tool)}});
    let answer = json!({"application/json": {"schema": tools::output(tool)}});
    let problem = json!({"application/json": {"schema": {
        "type": "object",
        "properties": {
            "code": {"type": "string"},
            "error": {"type": "string"},
            "next": {"type": "string", "description": "What to do next."},
        },
        "required": ["code", "error"],
    }}});
    json!({
        "operationId": tool.name(),
        "summary": text.title,
        "description": text.description,
        // Whether ChatGPT asks its user each time: what only reads needs no asking.
        "x-openai-isConsequential": !text.hints.read_only,
        "requestBody": {"required": true, "content": body},
        "responses": {
            "200": {"description": "What came of it.", "content": answer},
            "default": {"description": "The call was not made.", "content": problem},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_within_the_limits_of_a_gpt() {
        let description = describe("https://relay.example.com");
        assert_eq!(
            description["servers"][0]["url"],
            "https://relay.example.com"
        );
        let paths = description["paths"].as_object().unwrap();
        assert!(paths.len() <= 10, "a GPT takes ten operations here");
        assert!(description.to_string().chars().count() < 100_000);
        for (path, item) in paths {
            let operation = &item["post"];
            let n_chars = |field: &str| operation[field].as_str().unwrap().chars().count();
            assert!(
                n_chars("summary") <= 300 && n_chars("description") <= 300,
                "{path}"
            );
            assert!(operation["x-openai-isConsequential"].is_boolean(), "{path}");
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            for (name, parameter) in schema["properties"].as_object().unwrap() {
                let text = parameter["description"].as_str().unwrap();
                assert!(text.chars().count() <= 700, "{path} {name}");
            }
        }
        let asks = |tool: &str| {
            paths[&format!("/api/tools/{tool}")]["post"]["x-openai-isConsequential"].clone()
        };
        assert_eq!(
            (asks("git_inspect"), asks("git_run")),
            (json!(false), json!(true))
        );
    }
}
