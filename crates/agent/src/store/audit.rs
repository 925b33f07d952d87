//! The audit trail: an append-only table in which each row carries the hash of the one before it.
//!
//! The head is a row of its own, so that rows that were cut off at the end are missed as well. None of
//! this stops whoever can write the file and recompute every hash; it finds what was altered or lost.

use deskhand_protocol::{
    Timestamp,
    audit::{AuditEntry, AuditRow},
};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{from_json, time, to_json};

pub(super) const MIGRATION: Migration = Migration {
    name: "audit",
    sql: "
CREATE TABLE audit (
    seq   INTEGER PRIMARY KEY,      -- from 1, without gaps
    at    INTEGER NOT NULL,
    entry TEXT NOT NULL,            -- JSON
    hash  BLOB NOT NULL             -- SHA-256 of the hash before, seq, at and entry
);
CREATE TABLE audit_head (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    seq   INTEGER NOT NULL,
    hash  BLOB NOT NULL
);
",
};

/// Bytes of rows one page holds, so that an answer stays small.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

type Hash = [u8; 32];

/// What the first row's hash is made from.
const BEGINNING: Hash = [0; 32];

fn hash(before: &Hash, seq: i64, at: i64, entry: &str) -> Hash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(seq.to_be_bytes());
    hash.update(at.to_be_bytes());
    hash.update(entry.as_bytes());
    hash.finalize().into()
}

/// Appends a row.
pub(crate) fn append(conn: &Connection, at: Timestamp, entry: &AuditEntry) -> rusqlite::Result<()> {
    let (seq, before) = head(conn)?.unwrap_or((0, BEGINNING));
    let (seq, at, entry) = (seq + 1, at.as_microsecond(), to_json(entry)?);
    let hash = hash(&before, seq, at, &entry);
    conn.prepare_cached("INSERT INTO audit (seq, at, entry, hash) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![seq, at, entry, hash])?;
    conn.prepare_cached(
        "INSERT INTO audit_head (one, seq, hash) VALUES (1, ?1, ?2)
         ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
    )?
    .execute(params![seq, hash])?;
    Ok(())
}

fn head(conn: &Connection) -> rusqlite::Result<Option<(i64, Hash)>> {
    conn.prepare_cached("SELECT seq, hash FROM audit_head")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Checks every row and returns how many there are, and the first thing that is wrong.
pub(crate) fn verify(conn: &Connection) -> rusqlite::Result<(u64, Option<String>)> {
    let head = head(conn).map_err(|_| rusqlite::Error::InvalidQuery);
    let mut statement = conn.prepare("SELECT seq, at, entry, hash FROM audit ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut last, mut before, mut n_rows) = (0_i64, BEGINNING, 0_u64);
    let mut fault = None;
    while let Some(row) = rows.next()? {
        n_rows += 1;
        if fault.is_some() {
            continue;
        }
        let seq: i64 = row.get(0)?;
        if seq != last + 1 {
            fault = Some(format!("row {} is missing", last + 1));
            continue;
        }
        // Whatever lies in a column now, it is no longer what was written.
        let written = (|| {
            let (at, entry) = (row.get_ref(1)?.as_i64()?, row.get_ref(2)?.as_str()?);
            let own: Hash = row.get(3)?;
            Ok::<_, rusqlite::Error>((hash(&before, seq, at, entry), own))
        })();
        match written {
            Ok((made, own)) if made == own => (last, before) = (seq, own),
            _ => fault = Some(format!("row {seq} was altered")),
        }
    }
    let fault = fault.or_else(|| match head {
        Ok(Some((seq, hash))) if (seq, hash) == (last, before) => None,
        Ok(None) if n_rows == 0 => None,
        Ok(Some((seq, _))) if seq > last => Some(format!("row {seq} is missing, at the end")),
        _ => Some("the record of the last row was altered".to_owned()),
    });
    Ok((n_rows, fault))
}

/// Returns rows after one, in order: at most `limit`, and fewer when they are large; and whether there
/// are more.
pub(crate) fn after(
    conn: &Connection,
    seq: u64,
    limit: u32,
) -> rusqlite::Result<(Vec<AuditRow>, bool)> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(
        "SELECT seq, at, entry, hash FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![seq, i64::from(limit) + 1])?;
    let (mut page, mut n_bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let entry = row.get_ref(2)?.as_str()?;
        n_bytes += entry.len();
        if page.len() >= limit as usize || (n_bytes > PAGE_BYTES && !page.is_empty()) {
            return Ok((page, true));
        }
        let hash: Hash = row.get(3)?;
        page.push(AuditRow {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            at: time(row.get(1)?),
            entry: from_json(entry)?,
            hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        });
    }
    Ok((page, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: usize) -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(MIGRATION.sql).unwrap();
        for i in 0..n {
            let entry = AuditEntry::Changed {
                what: "rules".into(),
                how: format!("change {i}"),
            };
            append(&conn, Timestamp::UNIX_EPOCH, &entry).unwrap();
        }
        conn
    }

    #[test]
    fn whatever_is_altered_or_taken_away_is_found() {
        assert_eq!(verify(&filled(0)).unwrap(), (0, None));
        assert_eq!(verify(&filled(5)).unwrap(), (5, None));
        for change in [
            "UPDATE audit SET entry = replace(entry, 'change 2', 'change 9')",
            "UPDATE audit SET at = at + 1 WHERE seq = 5",
            "UPDATE audit SET hash = zeroblob(32) WHERE seq = 1",
            "UPDATE audit SET hash = 'x' WHERE seq = 1",
            "UPDATE audit SET entry = x'00' WHERE seq = 1",
            "UPDATE audit SET entry = NULL WHERE seq = 1",
            "DELETE FROM audit WHERE seq = 1",
            "DELETE FROM audit WHERE seq = 3",
            "DELETE FROM audit WHERE seq = 5",
            "DELETE FROM audit WHERE seq > 2",
            "DELETE FROM audit",
            "DELETE FROM audit_head",
            "UPDATE audit_head SET seq = 4",
            "UPDATE audit SET seq = 9 WHERE seq = 5",
            "UPDATE audit SET seq = -seq",
            "INSERT INTO audit SELECT 6, at, entry, hash FROM audit WHERE seq = 5",
        ] {
            let conn = filled(5);
            let changed = conn.execute(change, []);
            if changed.is_ok() {
                let (_, fault) = verify(&conn).unwrap();
                assert!(fault.is_some(), "{change}");
            }
        }
    }

    #[test]
    fn rows_are_read_by_pages() {
        let conn = filled(5);
        let (first, more) = after(&conn, 0, 3).unwrap();
        assert_eq!((first.len(), first[2].seq, more), (3, 3, true));
        let (rest, more) = after(&conn, 3, 3).unwrap();
        assert_eq!((rest.len(), more), (2, false));
    }
}
