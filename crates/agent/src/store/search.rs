//! Full-text search over what tasks asked for and printed.
//!
//! A task becomes searchable shortly after it ended: the [indexer](crate::indexer) puts it here, so
//! that the commit that ends a task stays small. What is searched of the output is what an answer
//! shows of it, its excerpt. The index holds words and no text; the text is in ledger and output.

use std::fmt::Write as _;

use deskhand_protocol::{
    Event, Seq, TaskId, device_request::TaskFilter, event::Stream, history::FoundIn,
    outcome::Excerpt,
};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    events, from_json,
    history::{self, CONDITIONS, Listed},
    id_bytes, id_from, ledger,
};

pub(super) const MIGRATION: Migration = Migration {
    name: "search",
    // A number of its own for each task: those of `tasks` are not promised to stay. They grow as tasks
    // end, which is the order of hits.
    sql: "
CREATE TABLE searchable (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id BLOB NOT NULL UNIQUE
);
CREATE VIRTUAL TABLE task_text USING fts5 (
    command, output, content = '', contentless_delete = 1, prefix = '2 3',
    tokenize = 'unicode61 remove_diacritics 2'
);
",
};

/// Longest text to search for, in bytes.
pub(crate) const TEXT_BYTES: usize = 256;

/// Most words of a text that are heard.
const WORDS: usize = 16;

/// Most characters of a line that is shown.
const LINE_CHARS: usize = 160;

/// Characters shown before what was found.
const LEAD_CHARS: usize = 40;

/// The words of a text, as they are looked for.
#[derive(Debug)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// Splits a text at spaces. What holds neither letter nor digit is not in the index and is left out.
    pub(crate) fn of(text: &str) -> Self {
        let words = text
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphanumeric));
        Self(words.take(WORDS).map(str::to_lowercase).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every word is there, or one that begins so. Quoted, so that nothing in it is an operator.
    fn expression(&self) -> String {
        let mut expression = String::new();
        for word in &self.0 {
            let _ = write!(expression, "\"{}\" * ", word.replace('"', "\"\""));
        }
        expression
    }

    /// Tells whether a text holds every word.
    fn are_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.0.iter().all(|word| text.contains(word.as_str()))
    }

    /// Returns the line of an excerpt that holds one of the words.
    pub(crate) fn found_in(&self, output: &Excerpt) -> Option<FoundIn> {
        let streams = [
            (Stream::Stdout, &output.stdout),
            (Stream::Stderr, &output.stderr),
        ];
        streams.into_iter().find_map(|(stream, text)| {
            text.lines().find_map(|line| {
                let lower = line.to_lowercase();
                let at = self.0.iter().find_map(|word| lower.find(word.as_str()))?;
                let before = lower[..at].chars().count();
                let skip = before.saturating_sub(LEAD_CHARS);
                let line = line.chars().skip(skip).take(LINE_CHARS).collect();
                Some(FoundIn { stream, line })
            })
        })
    }
}

/// Returns open tasks whose command holds every word, newest first. There are at most as many as a
/// device takes.
pub(crate) fn open(
    conn: &Connection,
    words: &Words,
    filter: &TaskFilter,
) -> rusqlite::Result<Vec<Listed>> {
    let sql = format!(
        "SELECT {} FROM tasks WHERE {CONDITIONS}
         AND status IN ('pending', 'awaiting_approval', 'in_progress') ORDER BY task_id DESC",
        history::COLUMNS
    );
    let mut statement = conn.prepare_cached(&sql)?;
    history::bind(&mut statement, filter)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let task = history::listed(row)?;
        if words.are_in(&command_text(&task.task)) {
            found.push(task);
            if found.len() == history::PAGE as usize {
                break;
            }
        }
    }
    Ok(found)
}

/// Returns ended tasks that hold every word, those that ended last first, after the one the filter
/// names; one more than a page, which tells whether there are more.
pub(crate) fn ended(
    conn: &Connection,
    words: &Words,
    filter: &TaskFilter,
) -> rusqlite::Result<Vec<TaskId>> {
    let last: Option<i64> = match filter.before {
        Some(before) => conn
            .query_row(
                "SELECT id FROM searchable WHERE task_id = ?1",
                [id_bytes(before)],
                |row| row.get(0),
            )
            .optional()?,
        None => None,
    };
    let sql = format!(
        "SELECT searchable.task_id FROM task_text
         CROSS JOIN searchable ON searchable.id = task_text.rowid
         CROSS JOIN tasks ON tasks.task_id = searchable.task_id
         WHERE task_text MATCH :text AND task_text.rowid < :last AND {CONDITIONS}
         ORDER BY task_text.rowid DESC LIMIT :limit"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    history::bind(&mut statement, filter)?;
    history::bind_one(&mut statement, ":text", words.expression())?;
    history::bind_one(&mut statement, ":last", last.unwrap_or(i64::MAX))?;
    history::bind_one(&mut statement, ":limit", history::page(filter.limit) + 1)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(id_from(row.get(0)?));
    }
    Ok(found)
}

/// Returns one task as a list shows it, with the line of its output that holds a word; nothing when it
/// is forgotten.
pub(crate) fn hit(
    conn: &Connection,
    words: &Words,
    task_id: TaskId,
) -> rusqlite::Result<Option<(Listed, Option<FoundIn>)>> {
    let sql = format!(
        "SELECT {}, result -> '$.output' FROM tasks WHERE task_id = ?1 AND task IS NOT NULL",
        history::COLUMNS
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id_bytes(task_id)])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let task = history::listed(row)?;
    if words.are_in(&command_text(&task.task)) {
        return Ok(Some((task, None)));
    }
    let output: Option<String> = row.get(7)?;
    let output: Option<Excerpt> = output.map(|json| from_json(&json)).transpose()?;
    let found_in = output.as_ref().and_then(|output| words.found_in(output));
    Ok(Some((task, found_in)))
}

/// A task on its way into the index.
#[derive(Debug)]
pub(crate) struct Document {
    task_id: TaskId,
    command: String,
    output: String,
}

/// What the indexer has read: documents, and the event up to which there are no more.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) documents: Vec<Document>,
    pub(crate) through: Seq,
}

/// Most bytes of documents that are read, and put into one commit.
const BATCH_BYTES: usize = 512 * 1024;

/// Most events that are looked at for one batch.
const BATCH_EVENTS: u32 = 1_000;

/// Reads the tasks that ended after an event; nothing when there is no later event.
pub(crate) fn unread(conn: &Connection, after: Seq) -> rusqlite::Result<Option<Unread>> {
    let mut through = after;
    let (mut documents, mut n_bytes) = (Vec::new(), 0);
    for Event {
        seq, task_id, kind, ..
    } in events::after(conn, after, BATCH_EVENTS)?
    {
        if kind.outcome().is_some()
            && let Some(entry) = ledger::get(conn, task_id)?
        {
            let output = entry.result.map(|result| result.output).unwrap_or_default();
            let document = Document {
                task_id,
                command: command_text(&entry.task),
                output: [output.stdout, output.stderr].join("\n"),
            };
            n_bytes += document.command.len() + document.output.len();
            documents.push(document);
        }
        through = seq;
        if n_bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok((through > after).then_some(Unread { documents, through }))
}

/// Returns what is searched of a task besides its output.
fn command_text(task: &deskhand_protocol::Task) -> String {
    let parts = [
        Some(task.action.to_string()),
        task.title.clone(),
        task.action.working_dir().map(str::to_owned),
        Some(task.name.to_string()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Puts tasks into the index. One that is there already, or was forgotten meanwhile, is left out.
pub(crate) fn insert(conn: &Connection, documents: &[Document]) -> rusqlite::Result<()> {
    for document in documents {
        let n = conn
            .prepare_cached(
                "INSERT INTO searchable (task_id) SELECT task_id FROM tasks
                 WHERE task_id = ?1 AND task IS NOT NULL ON CONFLICT DO NOTHING",
            )?
            .execute([id_bytes(document.task_id)])?;
        if n == 1 {
            let id = conn.last_insert_rowid();
            conn.prepare_cached(
                "INSERT INTO task_text (rowid, command, output) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![id, document.command, document.output])?;
        }
    }
    Ok(())
}

/// Takes a task out of the index.
pub(super) fn delete(conn: &Connection, task_id: TaskId) -> rusqlite::Result<()> {
    let id: Option<i64> = conn
        .prepare_cached("DELETE FROM searchable WHERE task_id = ?1 RETURNING id")?
        .query_row([id_bytes(task_id)], |row| row.get(0))
        .optional()?;
    if let Some(id) = id {
        conn.prepare_cached("DELETE FROM task_text WHERE rowid = ?1")?
            .execute([id])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_looked_for_as_they_are() {
        let words = Words::of(r#"Cargo -- "NEAR src/main.rs"#);
        assert_eq!(
            words.expression(),
            r#""cargo" * """near" * "src/main.rs" * "#
        );
        assert!(Words::of("-- * \" ()").is_empty());
    }

    #[test]
    fn a_line_is_clipped_around_what_was_found() {
        let output = Excerpt {
            stdout: "first\n".into(),
            stderr: format!("{}Ärger here{}", "x".repeat(500), "y".repeat(500)),
            truncated: None,
        };
        let found = Words::of("ärger").found_in(&output).unwrap();
        assert_eq!(found.stream, Stream::Stderr);
        assert!(found.line.starts_with(&format!("{}Ärger", "x".repeat(40))));
        assert_eq!(found.line.chars().count(), 160);
        assert_eq!(Words::of("nothing").found_in(&output), None);
    }
}
