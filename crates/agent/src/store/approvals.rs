//! Questions to the owner, and what was answered. A row is one question about one task, named by its
//! digest; it is answered once and used once.

use deskhand_protocol::{
    TaskId, Timestamp,
    approval::{Answer, ApprovalDoor, Approver, QuestionView},
    policy::NewRule,
};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_json, id_bytes, time, to_json};

pub(super) const MIGRATION: Migration = Migration {
    name: "approvals",
    sql: "
CREATE TABLE approvals (
    task_id     BLOB NOT NULL,
    digest      TEXT NOT NULL,
    question    TEXT NOT NULL,      -- JSON, as it is shown
    rules       TEXT,               -- JSON, what `always_here` writes; null when it cannot be said
    key_id      TEXT,               -- of the caller; null for a task born here
    may_approve INTEGER NOT NULL,   -- whether that key may answer questions
    asked_at    INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    answer      TEXT,
    answered_by TEXT,
    door        TEXT,
    answered_at INTEGER,
    closed_at   INTEGER,            -- used, or overtaken by the end of its task
    PRIMARY KEY (task_id, digest)
) WITHOUT ROWID;
CREATE INDEX approvals_open ON approvals (asked_at) WHERE answer IS NULL AND closed_at IS NULL;
",
};

/// Most questions in one list.
const LISTED: u32 = 100;

/// A question to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) view: QuestionView,
    pub(crate) rules: Option<Vec<NewRule>>,
    pub(crate) key_id: Option<String>,
    pub(crate) may_approve: bool,
}

/// Where a question is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was never asked, or was used up.
    Unasked,
    /// It waits for an answer until then.
    Open(Timestamp),
    /// Nobody answered in time.
    Missed,
    /// It was answered and the answer was not used yet.
    Answered(Answer, Approver),
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Taken {
    /// It was the first.
    First {
        digest: String,
        rules: Option<Vec<NewRule>>,
    },
    /// Somebody else was first.
    Late(Answer, Approver),
    /// `always_here` was answered, and no rule can say it.
    Unsayable,
    /// The caller's own key answered, and may not.
    Own,
    /// There is no such open question.
    None,
}

/// Asks. Any other question of the task is closed.
pub(crate) fn ask(conn: &Connection, asked: &Asked, now: Timestamp) -> rusqlite::Result<()> {
    let view = &asked.view;
    close(conn, view.task_id, now)?;
    conn.execute(
        "INSERT OR REPLACE INTO approvals
             (task_id, digest, question, rules, key_id, may_approve, asked_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id_bytes(view.task_id),
            view.digest,
            to_json(view)?,
            asked.rules.as_ref().map(to_json).transpose()?,
            asked.key_id,
            asked.may_approve,
            view.asked_at.as_microsecond(),
            view.expires_at.as_microsecond(),
        ],
    )?;
    Ok(())
}

/// Returns where a question is.
pub(crate) fn standing(
    conn: &Connection,
    task_id: TaskId,
    digest: &str,
    now: Timestamp,
) -> rusqlite::Result<Standing> {
    let found = conn
        .query_row(
            "SELECT answer, answered_by, door, expires_at FROM approvals
             WHERE task_id = ?1 AND digest = ?2 AND closed_at IS NULL",
            params![id_bytes(task_id), digest],
            |row| Ok((answered(row)?, time(row.get(3)?))),
        )
        .optional()?;
    Ok(match found {
        None => Standing::Unasked,
        Some((Some((answer, by)), _)) => Standing::Answered(answer, by),
        Some((None, expires_at)) if now < expires_at => Standing::Open(expires_at),
        Some((None, _)) => Standing::Missed,
    })
}

/// Answers the open question of a task; the first answer counts.
pub(crate) fn answer(
    conn: &Connection,
    task_id: TaskId,
    digest: Option<&str>,
    answer: Answer,
    by: &Approver,
    now: Timestamp,
) -> rusqlite::Result<Taken> {
    // The open one, else the one that was answered last.
    let found = conn
        .query_row(
            "SELECT answer, answered_by, door, expires_at, digest, rules, key_id, may_approve
             FROM approvals
             WHERE task_id = ?1 AND (?2 IS NULL OR digest = ?2)
               AND (answer IS NOT NULL OR closed_at IS NULL)
             ORDER BY answer IS NOT NULL, answered_at DESC LIMIT 1",
            params![id_bytes(task_id), digest],
            |row| {
                let rules: Option<String> = row.get(5)?;
                let rules: Option<Vec<NewRule>> = rules.map(|json| from_json(&json)).transpose()?;
                let key: Option<String> = row.get(6)?;
                let may_approve: bool = row.get(7)?;
                let digest: String = row.get(4)?;
                Ok((
                    answered(row)?,
                    time(row.get(3)?),
                    digest,
                    rules,
                    key,
                    may_approve,
                ))
            },
        )
        .optional()?;
    let (expires_at, digest, rules, key, may_approve) = match found {
        None => return Ok(Taken::None),
        Some((Some((earlier, by)), ..)) => return Ok(Taken::Late(earlier, by)),
        Some((None, expires_at, ..)) if now >= expires_at => return Ok(Taken::None),
        Some((None, expires_at, digest, rules, key, may)) => (expires_at, digest, rules, key, may),
    };
    debug_assert!(now < expires_at);
    if answer == Answer::AlwaysHere && rules.is_none() {
        return Ok(Taken::Unsayable);
    }
    let own = by
        .key_id
        .as_ref()
        .is_some_and(|id| key.as_deref() == Some(id.as_str()));
    if own && !may_approve {
        return Ok(Taken::Own);
    }
    conn.execute(
        "UPDATE approvals SET answer = ?3, answered_by = ?4, door = ?5, answered_at = ?6
         WHERE task_id = ?1 AND digest = ?2",
        params![
            id_bytes(task_id),
            digest,
            answer.as_str(),
            by.name,
            by.door.as_str(),
            now.as_microsecond()
        ],
    )?;
    Ok(Taken::First { digest, rules })
}

/// Notes that an answer was used.
pub(crate) fn used(
    conn: &Connection,
    task_id: TaskId,
    digest: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE approvals SET closed_at = ?3 WHERE task_id = ?1 AND digest = ?2",
        params![id_bytes(task_id), digest, now.as_microsecond()],
    )?;
    Ok(())
}

/// Closes what is still asked about a task.
pub(crate) fn close(conn: &Connection, task_id: TaskId, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE approvals SET closed_at = ?2 WHERE task_id = ?1 AND closed_at IS NULL",
    )?
    .execute(params![id_bytes(task_id), now.as_microsecond()])?;
    Ok(())
}

/// Forgets what was asked about a task.
pub(super) fn delete(conn: &Connection, task_id: TaskId) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM approvals WHERE task_id = ?1")?
        .execute([id_bytes(task_id)])?;
    Ok(())
}

/// Returns the open questions, oldest first.
pub(crate) fn open(conn: &Connection, now: Timestamp) -> rusqlite::Result<Vec<QuestionView>> {
    conn.prepare(
        "SELECT question FROM approvals
         WHERE answer IS NULL AND closed_at IS NULL AND expires_at > ?1
         ORDER BY asked_at LIMIT ?2",
    )?
    .query_map(params![now.as_microsecond(), LISTED], |row| {
        from_json(row.get_ref(0)?.as_str()?)
    })?
    .collect()
}

fn answered(row: &Row<'_>) -> rusqlite::Result<Option<(Answer, Approver)>> {
    let answer: Option<String> = row.get(0)?;
    let Some(answer) = answer.as_deref().and_then(Answer::parse) else {
        return Ok(None);
    };
    let door: Option<String> = row.get(2)?;
    let by = Approver {
        name: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        door: door
            .as_deref()
            .and_then(ApprovalDoor::parse)
            .unwrap_or_default(),
        key_id: None,
    };
    Ok(Some((answer, by)))
}
