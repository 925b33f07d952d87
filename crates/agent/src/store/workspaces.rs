//! The directories the owner opened to tasks, in the order they were added; the first is the default.

use deskhand_protocol::{Timestamp, policy::Level, workspace::Workspace};
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

/// Added once workspaces could differ in how much happens there.
pub(super) const LEVELS_MIGRATION: Migration = Migration {
    name: "workspace levels",
    sql: "ALTER TABLE workspaces ADD COLUMN level TEXT NOT NULL DEFAULT 'work';",
};

/// Returns all of them.
pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<Workspace>> {
    conn.prepare("SELECT name, path, added_at, level FROM workspaces ORDER BY id")?
        .query_map([], |row| {
            Ok(Workspace {
                name: row.get(0)?,
                path: row.get(1)?,
                level: level_of(&row.get::<_, String>(3)?),
                added_at: time(row.get(2)?),
            })
        })?
        .collect()
}

/// Adds one under a name that is free: the wanted one, or it with a number behind it. A path that is
/// there already keeps its name, and gets the level if one is named.
pub(crate) fn add(
    conn: &Connection,
    name: &str,
    path: &str,
    level: Option<Level>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let existing = all(conn)?;
    if existing.iter().any(|workspace| workspace.path == path) {
        if let Some(level) = level {
            conn.execute(
                "UPDATE workspaces SET level = ?2 WHERE path = ?1",
                [path, level.as_str()],
            )?;
        }
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
        "INSERT INTO workspaces (name, path, added_at, level) VALUES (?1, ?2, ?3, ?4)",
        params![
            name,
            path,
            at.as_microsecond(),
            level.unwrap_or_default().as_str()
        ],
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

/// A word that is none of ours, by whatever hand, is the strictest.
fn level_of(word: &str) -> Level {
    Level::parse(word).unwrap_or(Level::Observe)
}
