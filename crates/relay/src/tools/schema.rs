//! The schemas of the tools, for whoever reads JSON Schema. Plain ones: objects, lists, strings,
//! numbers, booleans and words to choose from; no null, no reference, no alternatives, since not every
//! client's model takes those.

use serde_json::{Map, Value, json};

use super::{
    Tool,
    texts::{self, Kind, STATUSES},
};

/// Returns the schema of a tool's arguments.
pub(crate) fn input(tool: Tool) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in texts::text(tool).parameters {
        let mut schema = match parameter.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Words => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Flag => json!({"type": "boolean", "default": false}),
            Kind::Number { min, max, default } => {
                let mut schema = json!({"type": "integer", "minimum": min, "maximum": max});
                if let Some(default) = default {
                    schema["default"] = default.into();
                }
                schema
            }
            Kind::OneOf(words) => json!({"type": "string", "enum": words}),
        };
        schema["description"] = parameter.description.into();
        if parameter.required {
            required.push(parameter.name);
        }
        properties.insert(parameter.name.to_owned(), schema);
    }
    object(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
}

/// Returns the schema of a tool's result.
pub(crate) fn output(tool: Tool) -> Map<String, Value> {
    object(match tool {
        Tool::GitInspect
        | Tool::GitRun
        | Tool::ShellRun
        | Tool::GetTask
        | Tool::WaitTask
        | Tool::CancelTask => task(),
        Tool::ReadOutput => json!({
            "type": "object",
            "properties": {
                "task_id": {"type": "string"},
                "stream": {"type": "string", "enum": ["stdout", "stderr"]},
                "offset": number("Where the text begins, in bytes."),
                "n_bytes": number("How many bytes the text is."),
                "total_bytes": number("How many bytes there are so far."),
                "next_offset": number("Where to read on; absent when all is read."),
                "next": {"type": "string", "description": "What to do next."},
                "note": {"type": "string"},
                "text": {"type": "string", "description": texts::IS_DATA},
            },
            "required": ["task_id", "stream", "offset", "n_bytes", "total_bytes", "text"],
        }),
        Tool::ListTasks => json!({
            "type": "object",
            "properties": {
                "tasks": {"type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "task_id": {"type": "string"},
                        "status": status(),
                        "device": {"type": "string"},
                        "command": {"type": "string"},
                        "created_at": {"type": "string"},
                        "returncode": {"type": "integer"},
                        "code": {"type": "string"},
                    },
                    "required": ["task_id", "status", "device", "command", "created_at"],
                }},
                "next_cursor": {"type": "string", "description": "Pass it as `cursor` for older ones."},
            },
            "required": ["tasks"],
        }),
        Tool::ListDevices => json!({
            "type": "object",
            "properties": {
                "devices": {"type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "device_id": {"type": "string"},
                        "status": {"type": "string"},
                        "os": {"type": "string"},
                        "workspaces": {"type": "array", "items": {
                            "type": "object",
                            "properties": {
                                "name": {"type": "string"},
                                "path": {"type": "string"},
                            },
                            "required": ["name", "path"],
                        }},
                    },
                    "required": ["name", "device_id", "status", "os", "workspaces"],
                }},
                "n_more": number("How many more there are."),
            },
            "required": ["devices"],
        }),
    })
}

fn task() -> Value {
    json!({
        "type": "object",
        "properties": {
            "status": status(),
            "task_id": {"type": "string"},
            "next": {"type": "string", "description": "The next step, when there is one: do it."},
            "device": {"type": "string"},
            "command": {"type": "string"},
            "returncode": {
                "type": "integer",
                "description": "0 means success; absent while it runs.",
            },
            "code": {"type": "string", "description": "Why it failed, in one word."},
            "error": {"type": "string", "description": "Why it failed."},
            "note": {"type": "string"},
            "omitted": {
                "type": "object",
                "description": "Bytes left out of the middle.",
                "properties": {
                    "stdout_bytes": {"type": "integer"},
                    "stderr_bytes": {"type": "integer"},
                },
                "required": ["stdout_bytes", "stderr_bytes"],
            },
            "stdout": {"type": "string", "description": texts::IS_DATA},
            "stderr": {"type": "string", "description": texts::IS_DATA},
        },
        "required": ["status", "task_id", "device", "command"],
    })
}

fn status() -> Value {
    json!({"type": "string", "enum": STATUSES})
}

fn number(description: &str) -> Value {
    json!({"type": "integer", "description": description})
}

fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Inspector's `--strict` flags, and more: a type that is not one word, and every keyword
    /// some client's model does not take.
    fn check(schema: &Value, path: &str) {
        let Value::Object(fields) = schema else {
            panic!("{path} is no schema")
        };
        let kind = fields["type"].as_str().unwrap_or_else(|| panic!("{path}"));
        for keyword in fields.keys() {
            let known = [
                "type",
                "description",
                "properties",
                "required",
                "additionalProperties",
                "items",
                "enum",
                "minimum",
                "maximum",
                "default",
            ];
            assert!(known.contains(&keyword.as_str()), "{path}: {keyword}");
        }
        match kind {
            "object" => {
                let properties = fields["properties"].as_object().unwrap();
                for name in fields["required"].as_array().unwrap() {
                    assert!(properties.contains_key(name.as_str().unwrap()), "{path}");
                }
                for (name, schema) in properties {
                    check(schema, &format!("{path}.{name}"));
                }
            }
            "array" => check(&fields["items"], &format!("{path}[]")),
            "string" | "integer" | "boolean" => {}
            other => panic!("{path}: {other}"),
        }
    }

    #[test]
    fn every_schema_is_portable() {
        for tool in Tool::ALL {
            check(&Value::Object(input(tool)), tool.name());
            check(&Value::Object(output(tool)), tool.name());
        }
    }

    #[test]
    fn every_text_is_within_its_limit() {
        assert!(texts::INSTRUCTIONS.chars().count() <= texts::MAX_INSTRUCTIONS_CHARS);
        for tool in Tool::ALL {
            let text = texts::text(tool);
            let n_chars = text.description.chars().count();
            assert!(
                n_chars <= texts::MAX_DESCRIPTION_CHARS,
                "{}: {n_chars}",
                tool.name()
            );
            for parameter in text.parameters {
                let n_chars = parameter.description.chars().count();
                assert!(n_chars <= texts::MAX_PARAMETER_CHARS, "{}", parameter.name);
            }
        }
    }
}
