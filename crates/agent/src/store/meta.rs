//! Single facts: the store's id, how far the relay and the search have its events, whether the owner
//! paused the device.

use deskhand_protocol::{Seq, StoreId};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

pub(super) const MIGRATION: Migration = Migration {
    name: "meta",
    sql: "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
};

/// Returns the id of this store; the first call mints it.
pub(crate) fn store_id(conn: &Connection) -> rusqlite::Result<StoreId> {
    conn.execute(
        "INSERT INTO meta (name, value) VALUES ('store_id', ?1) ON CONFLICT DO NOTHING",
        [Uuid::now_v7().into_bytes()],
    )?;
    let bytes: [u8; 16] = conn.query_row(
        "SELECT value FROM meta WHERE name = 'store_id'",
        [],
        |row| row.get(0),
    )?;
    Ok(StoreId::from_uuid(Uuid::from_bytes(bytes)))
}

/// Returns the last event the relay said it has.
pub(crate) fn stored_through(conn: &Connection) -> rusqlite::Result<Seq> {
    seq(conn, "stored_through")
}

/// Remembers the last event the relay said it has.
pub(crate) fn set_stored_through(conn: &Connection, through: Seq) -> rusqlite::Result<()> {
    set_seq(conn, "stored_through", through)
}

/// Returns the last event whose task the search has heard of.
pub(crate) fn searched_through(conn: &Connection) -> rusqlite::Result<Seq> {
    seq(conn, "searched_through")
}

/// Remembers the last event whose task the search has heard of.
pub(crate) fn set_searched_through(conn: &Connection, through: Seq) -> rusqlite::Result<()> {
    set_seq(conn, "searched_through", through)
}

fn seq(conn: &Connection, name: &str) -> rusqlite::Result<Seq> {
    let value: Option<i64> = conn
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(Seq(value.unwrap_or(0).cast_unsigned()))
}

fn set_seq(conn: &Connection, name: &str, seq: Seq) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute(params![name, seq.0.cast_signed()])?;
    Ok(())
}

/// Tells whether the owner paused the device.
pub(crate) fn is_paused(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row(
        "SELECT count(*) FROM meta WHERE name = 'paused'",
        [],
        |row| row.get::<_, i64>(0).map(|n| n > 0),
    )
}

/// Remembers whether the owner paused the device.
pub(crate) fn set_paused(conn: &Connection, paused: bool) -> rusqlite::Result<()> {
    let sql = match paused {
        true => "INSERT INTO meta (name, value) VALUES ('paused', 1) ON CONFLICT DO NOTHING",
        false => "DELETE FROM meta WHERE name = 'paused'",
    };
    conn.execute(sql, []).map(drop)
}
