//! The directories the owner opened to tasks, in the order they were added; the first is the default.

use deskhand_protocol::{Timestamp, workspace::Workspace};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, params};

use super::time;

pub(super) const MIGRATION: Migration = Migration {
    name: "workspaces",
    sql: "
CREATE TABLE workspaces (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    path     TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL
);
",
};

/// Returns all of them.
pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<Workspace>> {
    conn.prepare("SELECT name, path, added_at FROM workspaces ORDER BY id")?
        .query_map([], |row| {
            Ok(Workspace {
                name: row.get(0)?,
                path: row.get(1)?,
                level: Default::default(),
                added_at: time(row.get(2)?),
            })
        })?
        .collect()
}

/// Adds one under a name that is free: the wanted one, or it with a number behind it. A path that is
/// there already stays as it is.
pub(crate) fn add(
    conn: &Connection,
    name: &str,
    path: &str,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let existing = all(conn)?;
    if existing.iter().any(|workspace| workspace.path == path) {
        return Ok(());
    }
    let taken = |name: &str| existing.iter().any(|workspace| workspace.name == name);
    let name = (1_u32..)
        .map(|n| match n {
            1 => name.to_owned(),
            n => format!("{name}-{n}"),
        })
        .find(|name| !taken(name))
        .unwrap_or_else(|| path.to_owned());
    conn.execute(
        "INSERT INTO workspaces (name, path, added_at) VALUES (?1, ?2, ?3)",
        params![name, path, at.as_microsecond()],
    )?;
    Ok(())
}

/// Removes one by its name or path and returns whether it was there.
pub(crate) fn remove(conn: &Connection, name_or_path: &str) -> rusqlite::Result<bool> {
    let n = conn.execute(
        "DELETE FROM workspaces WHERE name = ?1 OR path = ?1",
        [name_or_path],
    )?;
    Ok(n > 0)
}
