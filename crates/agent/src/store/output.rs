//! What tasks printed: bytes by stream and offset, the first and the last 4 MiB of each stream.
//!
//! Chunks of the head are kept for good. Chunks behind it form a ring: as new ones come, those that
//! lie wholly before the last 4 MiB are deleted. What is between head and ring is the hole.

use std::ops::Range;

use deskhand_protocol::{
    TaskId,
    event::Stream,
    limits::{STORE_HEAD_BYTES, STORE_TAIL_BYTES},
};
use deskhand_sqlite::Migration;
use rusqlite::{Connection, OptionalExtension, params};

use super::id_bytes;

pub(super) const MIGRATION: Migration = Migration {
    name: "output",
    sql: "
CREATE TABLE output (
    task_id BLOB NOT NULL,
    stream  TEXT NOT NULL,
    offset  INTEGER NOT NULL,
    bytes   BLOB NOT NULL,
    UNIQUE (task_id, stream, offset)
);
",
};

/// Stores a chunk that begins at `offset`, and drops what fell out of the ring. Chunks come in order.
pub(crate) fn append(
    conn: &Connection,
    task_id: TaskId,
    stream: Stream,
    offset: u64,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    let of_head = STORE_HEAD_BYTES
        .saturating_sub(offset)
        .min(bytes.len() as u64);
    let (head, tail) = bytes.split_at(usize::try_from(of_head).unwrap_or(bytes.len()));
    insert(conn, task_id, stream, offset, head)?;
    insert(conn, task_id, stream, offset + of_head, tail)?;

    let total = offset + bytes.len() as u64;
    if total > STORE_HEAD_BYTES + STORE_TAIL_BYTES {
        conn.prepare_cached(
            "DELETE FROM output WHERE task_id = ?1 AND stream = ?2
             AND offset >= ?3 AND offset + length(bytes) <= ?4",
        )?
        .execute(params![
            id_bytes(task_id),
            stream.as_str(),
            STORE_HEAD_BYTES.cast_signed(),
            (total - STORE_TAIL_BYTES).cast_signed(),
        ])?;
    }
    Ok(())
}

fn insert(
    conn: &Connection,
    task_id: TaskId,
    stream: Stream,
    offset: u64,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    if !bytes.is_empty() {
        conn.prepare_cached(
            "INSERT INTO output (task_id, stream, offset, bytes) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            id_bytes(task_id),
            stream.as_str(),
            offset.cast_signed(),
            bytes
        ])?;
    }
    Ok(())
}

/// What a read of a range found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Bytes from the offset that was asked for, up to the hole or the end.
    Bytes(Vec<u8>),
    /// The offset lies where bytes are not kept any more.
    Hole(Range<u64>),
    /// The offset lies behind the end.
    BehindTheEnd,
}

/// Returns how long a stream is so far.
pub(crate) fn total(conn: &Connection, task_id: TaskId, stream: Stream) -> rusqlite::Result<u64> {
    let total: Option<i64> = conn
        .prepare_cached(
            "SELECT offset + length(bytes) FROM output
             WHERE task_id = ?1 AND stream = ?2 ORDER BY offset DESC LIMIT 1",
        )?
        .query_row(params![id_bytes(task_id), stream.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(total.unwrap_or(0).cast_unsigned())
}

/// Reads at most `limit` bytes from `offset` on.
pub(crate) fn read(
    conn: &Connection,
    task_id: TaskId,
    stream: Stream,
    offset: u64,
    limit: usize,
) -> rusqlite::Result<Read> {
    let total = total(conn, task_id, stream)?;
    if offset >= total {
        return Ok(match offset == total {
            true => Read::Bytes(Vec::new()),
            false => Read::BehindTheEnd,
        });
    }
    let mut statement = conn.prepare_cached(
        "SELECT offset, bytes FROM output WHERE task_id = ?1 AND stream = ?2
         AND offset >= (SELECT coalesce(max(offset), 0) FROM output
                        WHERE task_id = ?1 AND stream = ?2 AND offset <= ?3)
         ORDER BY offset",
    )?;
    let mut rows = statement.query(params![
        id_bytes(task_id),
        stream.as_str(),
        offset.cast_signed()
    ])?;
    let mut found = Vec::new();
    let mut at = offset;
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let begin = row.get::<_, i64>(0)?.cast_unsigned();
        let bytes = row.get_ref(1)?.as_blob()?;
        let end = begin + bytes.len() as u64;
        if end <= at {
            continue; // the last chunk before a hole that begins at or before `at`
        }
        if begin > at {
            if found.is_empty() {
                return Ok(Read::Hole(STORE_HEAD_BYTES.min(at)..begin));
            }
            break;
        }
        // `at - begin` is less than the chunk's length, which is a usize.
        let skip = (at - begin) as usize;
        let take = (bytes.len() - skip).min(limit - found.len());
        found.extend_from_slice(&bytes[skip..skip + take]);
        at += take as u64;
    }
    Ok(Read::Bytes(found))
}

/// Deletes what a task printed.
pub(crate) fn delete(conn: &Connection, task_id: TaskId) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM output WHERE task_id = ?1")?
        .execute([id_bytes(task_id)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HEAD: u64 = STORE_HEAD_BYTES;
    const TAIL: u64 = STORE_TAIL_BYTES;

    fn filled(total: u64, step: usize) -> (Connection, TaskId) {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(MIGRATION.sql).unwrap();
        let task_id = TaskId::from_uuid(Uuid::now_v7());
        let mut offset = 0;
        while offset < total {
            let n = (step as u64).min(total - offset);
            let bytes: Vec<u8> = (offset..offset + n).map(byte_at).collect();
            append(&conn, task_id, Stream::Stdout, offset, &bytes).unwrap();
            offset += n;
        }
        (conn, task_id)
    }

    fn byte_at(offset: u64) -> u8 {
        (offset % 251) as u8
    }

    fn read_at(filled: &(Connection, TaskId), offset: u64, limit: usize) -> Read {
        read(&filled.0, filled.1, Stream::Stdout, offset, limit).unwrap()
    }

    fn bytes(range: Range<u64>) -> Read {
        Read::Bytes(range.map(byte_at).collect())
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let short = filled(10, 3);
        assert_eq!(read_at(&short, 0, 100), bytes(0..10));
        assert_eq!(read_at(&short, 4, 3), bytes(4..7));
        assert_eq!(read_at(&short, 10, 3), bytes(0..0));
        assert_eq!(read_at(&short, 11, 3), Read::BehindTheEnd);
        let nothing = read(&short.0, short.1, Stream::Stderr, 0, 1).unwrap();
        assert_eq!(nothing, bytes(0..0));
    }

    #[test]
    fn a_long_stream_keeps_head_and_tail_and_names_its_hole() {
        let step = 60_000;
        let total = HEAD + 3 * TAIL + 12_345;
        let long = filled(total, step);
        assert_eq!(read_at(&long, HEAD - 5, 100), bytes(HEAD - 5..HEAD));
        assert_eq!(
            read_at(&long, total - TAIL, 100),
            bytes(total - TAIL..total - TAIL + 100)
        );
        assert_eq!(read_at(&long, total - 5, 100), bytes(total - 5..total));
        let Read::Hole(hole) = read_at(&long, HEAD, 1) else {
            panic!("the middle is kept");
        };
        assert_eq!(hole.start, HEAD);
        assert!(hole.end <= total - TAIL && hole.end > total - TAIL - step as u64);
        assert_eq!(read_at(&long, hole.end - 1, 1), Read::Hole(hole.clone()));
        assert_eq!(read_at(&long, hole.end, 10), bytes(hole.end..hole.end + 10));

        let kept: i64 = long
            .0
            .query_row("SELECT sum(length(bytes)) FROM output", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(kept.cast_unsigned(), HEAD + total - hole.end);
    }
}
