//! Opens a SQLite database, applies migrations and commits in groups; knows no table.
//!
//! One thread owns the only writing connection. Writes that are queued while it works are put
//! together into its next commit, each within a savepoint of its own: sixty-four callers that need a
//! flush to disk share one. A few threads with read-only connections answer reads, which in WAL mode
//! never wait for the writer. Nothing here blocks the caller's thread but [`Database::open`].

mod checkpoint;
mod migrate;
mod reader;
mod writer;

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

pub use migrate::Migration;

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sync {
    /// Nothing: it survives the death of the process, not a power cut (`synchronous=NORMAL`).
    Normal,
    /// The disk: it survives a power cut as well (`synchronous=FULL`).
    Full,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite says no.
    #[error("open database `{path}`")]
    Sqlite {
        /// Which file.
        path: String,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// It was written by a newer version.
    #[error("open database `{path}`: it knows `{migration}`, so a newer version wrote it")]
    Newer {
        /// Which file.
        path: String,
        /// The first migration this version does not have.
        migration: String,
    },
    /// A thread could not be started.
    #[error("start a database thread")]
    Thread(#[source] std::io::Error),
}

/// Why a read or a write failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The statement failed; nothing of this write is kept.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The statement succeeded and the commit did not; nothing of this write is kept.
    #[error("commit: {0}")]
    Commit(String),
    /// The database thread is gone.
    #[error("the database is closed")]
    Closed,
}

/// A handle to an open database; clones share it. When the last one is dropped the threads end,
/// after what was queued is committed.
#[derive(Debug, Clone)]
pub struct Database {
    writer: writer::Writer,
    readers: reader::Readers,
}

impl Database {
    /// Opens or makes the database and applies the migrations it has not seen, in order. Blocks.
    pub fn open(path: &Path, migrations: &[Migration]) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sqlite {
            path: path.display().to_string(),
            source,
        };
        let mut connection = connect(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
        .map_err(failed)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed)?;
        // A write-ahead log that once grew is cut back to this when it is checkpointed.
        connection
            .pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)
            .map_err(failed)?;
        migrate::apply(&mut connection, migrations).map_err(|error| match error {
            migrate::MigrateError::Sqlite(source) => failed(source),
            migrate::MigrateError::Newer(migration) => OpenError::Newer {
                path: path.display().to_string(),
                migration,
            },
        })?;
        let readers = reader::Readers::start(|| {
            connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)
        })?;
        // Copying the log is the checkpointer's, so that no commit waits for it.
        connection
            .pragma_update(None, "wal_autocheckpoint", 0)
            .map_err(failed)?;
        let checkpointer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        let checkpointer =
            checkpoint::Checkpointer::start(checkpointer).map_err(OpenError::Thread)?;
        let writer = writer::Writer::start(connection, checkpointer).map_err(OpenError::Thread)?;
        Ok(Self { writer, readers })
    }

    /// Runs `f` in a savepoint and resolves once it is committed, which waits for what `sync` says.
    /// When `f` fails, what it wrote is undone and the others of its group are not touched.
    ///
    /// The write is queued by the call itself, so that writes of one caller commit in order, unless
    /// 1,024 are queued: then it is queued when there is room. Dropping the future undoes nothing.
    pub fn write<T: Send + 'static>(
        &self,
        sync: Sync,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        self.writer.write(sync, f)
    }

    /// Runs `f` on a read-only connection. It sees every write that resolved before the call.
    pub fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        self.readers.read(f)
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: Migration = Migration {
        name: "notes",
        sql: "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    };

    fn open(dir: &tempfile::TempDir) -> Database {
        Database::open(&dir.path().join("test.db"), &[NOTES]).unwrap()
    }

    async fn count(db: &Database) -> i64 {
        db.read(|c| c.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)))
            .await
            .unwrap()
    }

    fn insert(text: &'static str) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send {
        move |c| c.execute("INSERT INTO notes (text) VALUES (?1)", [text])
    }

    #[tokio::test]
    async fn a_write_is_there_once_it_resolved() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir);
        db.write(Sync::Full, insert("a")).await.unwrap();
        assert_eq!(count(&db).await, 1);
        drop(db);
        assert_eq!(count(&open(&dir)).await, 1);
    }

    #[tokio::test]
    async fn a_failed_write_leaves_the_others_of_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir);
        let writes = ["a", "a", "b"].map(|text| db.write(Sync::Normal, insert(text)));
        let [first, second, third] = writes;
        assert!(first.await.is_ok());
        assert!(matches!(second.await, Err(Error::Sqlite(_))));
        assert!(third.await.is_ok());
        assert_eq!(count(&db).await, 2);
    }

    #[tokio::test]
    async fn a_failed_write_that_is_alone_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir);
        for sync in [Sync::Normal, Sync::Full] {
            let half = db.write(sync, |c| {
                insert("half")(c)?;
                insert("half")(c)
            });
            assert!(matches!(half.await, Err(Error::Sqlite(_))));
            assert_eq!(count(&db).await, 0);
        }
        db.write(Sync::Normal, insert("a")).await.unwrap();
        assert_eq!(count(&db).await, 1);
    }

    #[tokio::test]
    async fn a_dropped_write_is_still_written() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir);
        drop(db.write(Sync::Normal, insert("a")));
        db.write(Sync::Normal, insert("b")).await.unwrap();
        assert_eq!(count(&db).await, 2);
    }

    #[tokio::test]
    async fn a_panicking_write_harms_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir);
        let bad = db.write(Sync::Normal, |_| -> rusqlite::Result<()> {
            panic!("bad write")
        });
        assert!(matches!(bad.await, Err(Error::Closed)));
        db.write(Sync::Normal, insert("a")).await.unwrap();
        assert_eq!(count(&db).await, 1);
    }

    #[test]
    fn a_newer_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        let later = Migration {
            name: "later",
            sql: "CREATE TABLE later (id INTEGER)",
        };
        drop(Database::open(&path, &[NOTES, later]).unwrap());
        let error = Database::open(&path, &[NOTES]).unwrap_err();
        assert!(matches!(error, OpenError::Newer { migration, .. } if migration == "later"));
    }
}
