//! The arguments of a call, as they are read. What a tool does not take is refused by name, so that a
//! model learns of a wrong guess instead of being ignored.

use std::time::Duration;

use deskhand_protocol::{ErrorCode, Problem, event::Stream};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    DEFAULT_CHARS, DEFAULT_WAIT, Tool,
    texts::{self, Kind},
};

/// The arguments of every tool; which of them a tool takes is in the table.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Arguments {
    pub(super) args: Vec<String>,
    pub(super) command: String,
    pub(super) working_dir: Option<String>,
    pub(super) device: Option<String>,
    pub(super) network: Vec<String>,
    pub(super) read_only: bool,
    pub(super) timeout_seconds: Option<u32>,
    wait_seconds: Option<u64>,
    max_chars: Option<usize>,
    pub(super) task_id: String,
    pub(super) stream: Option<Stream>,
    pub(super) offset: Option<u64>,
    pub(super) status: Option<String>,
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

impl Arguments {
    /// Reads the arguments of a tool. A null is what a client says for nothing.
    pub(crate) fn read(tool: Tool, mut given: Map<String, Value>) -> Result<Self, Problem> {
        let invalid = |error: String| Problem::new(ErrorCode::InvalidRequest, error);
        given.retain(|_, value| !value.is_null());
        let parameters = texts::text(tool).parameters;
        if let Some(unknown) = given
            .keys()
            .find(|name| parameters.iter().all(|parameter| parameter.name != *name))
        {
            let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
            let error = format!(
                "{} takes no `{}`; it takes: {}",
                tool.name(),
                unknown.escape_debug().take(64).collect::<String>(),
                names.join(", ")
            );
            return Err(invalid(error));
        }
        for parameter in parameters {
            let value = given.get(parameter.name);
            let is_empty = match value {
                None => true,
                Some(Value::String(text)) => text.is_empty(),
                Some(Value::Array(items)) => items.is_empty(),
                Some(_) => false,
            };
            if parameter.required && is_empty {
                return Err(invalid(format!("`{}` is needed", parameter.name)));
            }
            if let (Kind::Number { min, max, .. }, Some(value)) = (parameter.kind, value)
                && !value.as_u64().is_some_and(|n| (min..=max).contains(&n))
            {
                let error = format!("`{}` must be {min} to {max}", parameter.name);
                return Err(invalid(error));
            }
            if let (Kind::OneOf(words), Some(value)) = (parameter.kind, value)
                && !value.as_str().is_some_and(|word| words.contains(&word))
            {
                let error = format!("`{}` must be one of: {}", parameter.name, words.join(", "));
                return Err(invalid(error));
            }
        }
        serde_path_to_error::deserialize(Value::Object(given))
            .map_err(|error| invalid(format!("`{}`: {}", error.path(), error.inner())))
    }

    /// How long to wait.
    pub(super) fn wait(&self) -> Duration {
        self.wait_seconds.map_or(DEFAULT_WAIT, Duration::from_secs)
    }

    /// How long the answer may be.
    pub(super) fn max_chars(&self) -> usize {
        self.max_chars.unwrap_or(DEFAULT_CHARS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(tool: Tool, given: Value) -> Result<Arguments, String> {
        let Value::Object(given) = given else {
            panic!("arguments are an object")
        };
        Arguments::read(tool, given).map_err(|problem| problem.error)
    }

    #[test]
    fn every_parameter_of_the_table_is_read() {
        for tool in Tool::ALL {
            let mut given = Map::new();
            for parameter in texts::text(tool).parameters {
                let value = match parameter.kind {
                    Kind::Text => json!("x"),
                    Kind::Words => json!(["x"]),
                    Kind::Flag => json!(true),
                    Kind::Number { max, .. } => json!(max),
                    Kind::OneOf(words) => json!(words[0]),
                };
                given.insert(parameter.name.to_owned(), value);
            }
            read(tool, Value::Object(given)).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (Tool::GetTask, json!({}), "`task_id` is needed"),
            (Tool::GitInspect, json!({"args": []}), "`args` is needed"),
            (
                Tool::GetTask,
                json!({"task_id": "x", "id": 1}),
                "get_task takes no `id`; it takes: task_id, max_chars",
            ),
            (
                Tool::WaitTask,
                json!({"task_id": "x", "wait_seconds": 41}),
                "`wait_seconds` must be 0 to 40",
            ),
            (
                Tool::WaitTask,
                json!({"task_id": "x", "wait_seconds": "25"}),
                "`wait_seconds` must be 0 to 40",
            ),
            (
                Tool::ReadOutput,
                json!({"task_id": "x", "stream": "both"}),
                "`stream` must be one of: stdout, stderr",
            ),
            (
                Tool::GitInspect,
                json!({"args": "status"}),
                "`args`: invalid type: string \"status\", expected a sequence",
            ),
        ];
        for (tool, given, error) in cases {
            assert_eq!(read(tool, given).unwrap_err(), error);
        }
    }

    #[test]
    fn a_null_is_nothing() {
        let read = read(
            Tool::WaitTask,
            json!({"task_id": "x", "wait_seconds": null}),
        )
        .unwrap();
        assert_eq!(read.wait(), DEFAULT_WAIT);
    }
}
