//! The files of the inbox that became tasks. A file is a task for as long as it lies there.

use deskhand_protocol::TaskId;
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, params};

use super::{id_bytes, id_from};

pub(super) const MIGRATION: Migration = Migration {
    name: "inbox",
    sql: "
CREATE TABLE inbox (
    name     TEXT NOT NULL,          -- of the file, without `.json`
    digest   BLOB NOT NULL,          -- SHA-256 of the request in it
    task_id  BLOB NOT NULL,
    answered INTEGER NOT NULL DEFAULT 0,   -- the result lies beside it
    PRIMARY KEY (name, digest)
) WITHOUT ROWID;
",
};

/// Enters a file with what it asks for. Returns false when it has been entered before.
pub(crate) fn enter(
    conn: &Connection,
    name: &str,
    digest: [u8; 32],
    task_id: TaskId,
) -> rusqlite::Result<bool> {
    // What lay there under this name before has become another task.
    conn.prepare_cached("DELETE FROM inbox WHERE name = ?1 AND digest <> ?2 AND answered")?
        .execute(params![name, digest])?;
    let n = conn
        .prepare_cached(
            "INSERT INTO inbox (name, digest, task_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![name, digest, id_bytes(task_id)])?;
    Ok(n == 1)
}

/// Tells whether a file with this request has been entered.
pub(crate) fn is_known(conn: &Connection, name: &str, digest: [u8; 32]) -> rusqlite::Result<bool> {
    let found: Option<i64> = conn
        .prepare_cached("SELECT 1 FROM inbox WHERE name = ?1 AND digest = ?2")?
        .query_row(params![name, digest], |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}

/// Returns the names of all files that were entered and have been answered.
pub(crate) fn answered(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached("SELECT DISTINCT name FROM inbox WHERE answered")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Returns the files whose tasks have ended and that have no result beside them.
pub(crate) fn to_answer(conn: &Connection) -> rusqlite::Result<Vec<(String, TaskId)>> {
    conn.prepare_cached(
        "SELECT name, task_id FROM inbox JOIN tasks USING (task_id)
         WHERE NOT answered AND finished_at IS NOT NULL ORDER BY finished_at",
    )?
    .query_map([], |row| Ok((row.get(0)?, id_from(row.get(1)?))))?
    .collect()
}

/// Counts the files whose tasks have not been answered.
pub(crate) fn n_open(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT count(*) FROM inbox WHERE NOT answered")?
        .query_row([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

/// Notes that the result lies beside the file.
pub(crate) fn set_answered(conn: &Connection, task_id: TaskId) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE inbox SET answered = 1 WHERE task_id = ?1")?
        .execute([id_bytes(task_id)])?;
    Ok(())
}

/// Forgets a file that was answered and taken away: put back, it is another task.
pub(crate) fn forget(conn: &Connection, name: &str) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM inbox WHERE name = ?1 AND answered")?
        .execute([name])?;
    Ok(())
}
