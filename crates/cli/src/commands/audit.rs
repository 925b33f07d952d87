//! `deskhand audit`.

use anyhow::bail;
use deskhand_protocol::{
    audit::AuditRow,
    device_request::{DeviceRequest, DeviceResponse},
};
use serde_json::Value;

use crate::{
    args::{AuditCommand, Format},
    context::Context,
    exit,
};

/// The columns of the comma-separated form: every field of every kind of row.
const COLUMNS: &[&str] = &[
    "type",
    "task_id",
    "caller",
    "key_id",
    "source",
    "action",
    "command",
    "working_dir",
    "verdict",
    "by",
    "reason",
    "answer",
    "door",
    "digest",
    "status",
    "returncode",
    "code",
    "ran_on",
    "layers",
    "duration_ms",
    "stdout",
    "stderr",
    "what",
    "how",
];

pub(crate) async fn run(context: &Context, command: AuditCommand) -> anyhow::Result<u8> {
    match command {
        AuditCommand::Verify => verify(context).await,
        AuditCommand::Export { format } => export(context, format).await,
    }
}

async fn verify(context: &Context) -> anyhow::Result<u8> {
    let out = context.out;
    let response = context.control().device(DeviceRequest::VerifyAudit).await?;
    let DeviceResponse::AuditVerified { n_rows, fault } = response else {
        bail!("understand the agent's answer: it is to another request");
    };
    if out.is_json() {
        let ok = fault.is_none();
        out.json(&serde_json::json!({"ok": ok, "n_rows": n_rows, "fault": fault}))?;
    } else {
        out.line(match &fault {
            None => format!("{n_rows} rows, all as they were written"),
            Some(fault) => format!("{n_rows} rows: {fault}"),
        })?;
    }
    Ok(if fault.is_some() {
        exit::FAILED
    } else {
        exit::OK
    })
}

async fn export(context: &Context, format: Format) -> anyhow::Result<u8> {
    let out = context.out;
    if format == Format::Csv {
        out.line(format!("seq,at,{},hash", COLUMNS.join(",")))?;
    }
    let mut last = 0;
    loop {
        let request = DeviceRequest::ListAudit {
            after: last,
            limit: 0,
        };
        let DeviceResponse::Audit { rows, has_more } = context.control().device(request).await?
        else {
            bail!("understand the agent's answer: it is to another request");
        };
        for row in &rows {
            last = row.seq;
            out.line(match format {
                Format::Jsonl => serde_json::to_string(row)?,
                Format::Csv => csv(row)?,
            })?;
        }
        if !has_more {
            return Ok(exit::OK);
        }
    }
}

fn csv(row: &AuditRow) -> anyhow::Result<String> {
    let entry = serde_json::to_value(&row.entry)?;
    let mut fields = vec![row.seq.to_string(), row.at.to_string()];
    fields.extend(COLUMNS.iter().map(|column| match entry.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(Value::Array(words)) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            quoted(&words.join(" "))
        }
        Some(other) => other.to_string(),
    }));
    fields.push(row.hash.clone());
    Ok(fields.join(","))
}

/// Quotes a field as RFC 4180 says. One that a spreadsheet would compute gets an apostrophe.
fn quoted(text: &str) -> String {
    let computes = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = format!("{}{text}", if computes { "'" } else { "" });
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_of_fields() {
        let row: AuditRow = serde_json::from_str(
            r#"{"seq":1,"at":"2026-01-01T00:00:00Z","hash":"ab",
                "entry":{"type":"changed","what":"rules","how":"say \"x\", =1\ny"}}"#,
        )
        .unwrap();
        let line = csv(&row).unwrap();
        assert!(
            line.starts_with("1,2026-01-01T00:00:00Z,changed,"),
            "{line}"
        );
        assert!(
            line.ends_with(",rules,\"say \"\"x\"\", =1\ny\",ab"),
            "{line}"
        );
        assert_eq!(quoted("=1+2"), "'=1+2");
    }
}
