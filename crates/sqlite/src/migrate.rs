//! Brings a database to the shape this version expects.

use std::collections::HashSet;

use rusqlite::Connection;

/// One step; steps that were released never change.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// A name, unique in its database.
    pub name: &'static str,
    /// What to execute, once.
    pub sql: &'static str,
}

pub(crate) enum MigrateError {
    Sqlite(rusqlite::Error),
    Newer(String),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        MigrateError::Sqlite(error)
    }
}

pub(crate) fn apply(
    connection: &mut Connection,
    migrations: &[Migration],
) -> Result<(), MigrateError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute(
        "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY) WITHOUT ROWID",
        [],
    )?;
    let applied: HashSet<String> = transaction
        .prepare("SELECT name FROM migrations")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if let Some(unknown) = applied
        .iter()
        .find(|name| !migrations.iter().any(|m| m.name == **name))
    {
        return Err(MigrateError::Newer(unknown.clone()));
    }
    for migration in migrations.iter().filter(|m| !applied.contains(m.name)) {
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO migrations (name) VALUES (?1)",
            [migration.name],
        )?;
    }
    transaction.commit()?;
    Ok(())
}
