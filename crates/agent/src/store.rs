//! The device's SQLite database: which tasks it ever accepted, what happened, what they printed, which
//! directories are open to them, what the device does by itself, what was asked and answered, and the
//! audit trail.
//!
//! One file per table: migration, rows and queries together. Everything here runs on a connection
//! the database hands out and blocks its thread; nothing here decides anything.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod ledger;
pub(crate) mod meta;
pub(crate) mod output;
pub(crate) mod schedules;
pub(crate) mod search;
pub(crate) mod workspaces;

use std::path::Path;

use deskhand_protocol::{TaskId, Timestamp};
use deskhand_sqlite::{Database, Migration, OpenError};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

const MIGRATIONS: &[Migration] = &[
    meta::MIGRATION,
    ledger::MIGRATION,
    events::MIGRATION,
    output::MIGRATION,
    workspaces::MIGRATION,
    workspaces::LEVELS_MIGRATION,
    ledger::LIMITS_MIGRATION,
    approvals::MIGRATION,
    audit::MIGRATION,
    ledger::LISTING,
    search::MIGRATION,
    schedules::MIGRATION,
    inbox::MIGRATION,
    schedules::DECIDED,
];

/// Opens the store, or makes it. Blocks.
pub(crate) fn open(path: &Path) -> Result<Database, OpenError> {
    Database::open(path, MIGRATIONS)
}

/// A task id as it is stored: sixteen bytes, in order of age, as its UUIDv7 is.
fn id_bytes(task_id: TaskId) -> [u8; 16] {
    task_id.uuid().into_bytes()
}

fn id_from(bytes: [u8; 16]) -> TaskId {
    TaskId::from_uuid(Uuid::from_bytes(bytes))
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MIN)
}

fn to_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn from_json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}
