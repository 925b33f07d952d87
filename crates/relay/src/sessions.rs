//! Browsers that are signed in: the table, the copy in memory, and the codes of sign-in links.
//!
//! A session stands for the key it was made with: it may do what that key may, and ends with it. Only
//! the hash of a session's secret is stored. Codes live in memory alone: they are good for minutes.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use deskhand_protocol::{ErrorCode, KeyId, Problem, Secret, Timestamp};
use deskhand_sqlite::{Database, Migration, Sync};
use rusqlite::{Connection, params};

use crate::{
    clock::{from_ms, now},
    error::Fault,
    token::{self, Hash},
};

pub(crate) const MIGRATION: Migration = Migration {
    name: "sessions",
    sql: "CREATE TABLE sessions (
        hash BLOB PRIMARY KEY,
        key_id TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID",
};

/// How long a browser stays signed in.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Browsers signed in at once; the one that would end first gives way.
const MAX_SESSIONS: usize = 1_000;

/// How long the code of a link is good for.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// Codes that are good at once; the oldest gives way.
const MAX_CODES: usize = 100;

#[derive(Debug, Clone)]
struct Session {
    key: KeyId,
    expires_at: Timestamp,
}

#[derive(Debug)]
struct Code {
    hash: Hash,
    key: KeyId,
    ends: Instant,
}

/// All browsers that are signed in.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    db: Database,
    by_hash: Arc<RwLock<HashMap<Hash, Session>>>,
    codes: Arc<Mutex<VecDeque<Code>>>,
}

impl Sessions {
    /// Reads the sessions into memory.
    pub(crate) async fn load(db: Database) -> Result<Self, Fault> {
        let by_hash = db.read(select).await?.into_iter().collect();
        Ok(Self {
            db,
            by_hash: Arc::new(RwLock::new(by_hash)),
            codes: Arc::default(),
        })
    }

    /// Signs a browser in with a key; the answer is the secret that its cookie holds.
    pub(crate) async fn create(&self, key: KeyId) -> Result<Secret, Problem> {
        let (secret, hash) = token::mint_secret().map_err(Fault::from)?;
        let session = Session {
            key,
            expires_at: now() + SESSION_LIFETIME,
        };
        let gone = self.make_room();
        let stored = session.clone();
        self.db
            .write(Sync::Normal, move |c| {
                for hash in gone {
                    delete(c, &hash)?;
                }
                insert(c, &hash, &stored)
            })
            .await
            .map_err(Fault::from)?;
        self.write().insert(hash, session);
        Ok(secret)
    }

    /// Takes ended sessions out, and one more when there are too many.
    fn make_room(&self) -> Vec<Hash> {
        let mut sessions = self.write();
        let now = now();
        let mut gone: Vec<Hash> = sessions
            .iter()
            .filter(|(_, session)| session.expires_at <= now)
            .map(|(hash, _)| *hash)
            .collect();
        if sessions.len() - gone.len() >= MAX_SESSIONS {
            let first = sessions.iter().filter(|(hash, _)| !gone.contains(*hash));
            let first = first.min_by_key(|(_, session)| session.expires_at);
            gone.extend(first.map(|(hash, _)| *hash));
        }
        for hash in &gone {
            sessions.remove(hash);
        }
        gone
    }

    /// Returns the key of the session whose secret was presented.
    pub(crate) fn check(&self, secret: &str) -> Option<KeyId> {
        let sessions = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&token::hash(secret))?;
        (session.expires_at > now()).then(|| session.key.clone())
    }

    /// Signs a browser out.
    pub(crate) async fn end(&self, secret: &str) -> Result<(), Problem> {
        let hash = token::hash(secret);
        if self.write().remove(&hash).is_some() {
            let gone = self.db.write(Sync::Normal, move |c| delete(c, &hash));
            gone.await.map_err(Fault::from)?;
        }
        Ok(())
    }

    /// Makes a code that signs one browser in.
    pub(crate) fn create_code(&self, key: KeyId) -> Result<(Secret, Timestamp), Problem> {
        let (secret, hash) = token::mint_secret().map_err(Fault::from)?;
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        while codes.len() >= MAX_CODES || codes.front().is_some_and(Code::has_ended) {
            codes.pop_front();
        }
        codes.push_back(Code {
            hash,
            key,
            ends: Instant::now() + CODE_LIFETIME,
        });
        Ok((secret, now() + CODE_LIFETIME))
    }

    /// Takes a code and returns whose it is. It is good for one time.
    pub(crate) fn redeem(&self, code: &str) -> Result<KeyId, Problem> {
        let hash = token::hash(code);
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = codes.iter().position(|code| token::same(&code.hash, &hash));
        match place.and_then(|place| codes.remove(place)) {
            Some(code) if !code.has_ended() => Ok(code.key),
            _ => Err(Problem::new(
                ErrorCode::Unauthorized,
                "This link was used before, or is older than ten minutes",
            )
            .with_hint("make a new one with `deskhand viewer`, or sign in with a key")),
        }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Hash, Session>> {
        self.by_hash.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Code {
    fn has_ended(&self) -> bool {
        self.ends <= Instant::now()
    }
}

fn select(c: &Connection) -> rusqlite::Result<Vec<(Hash, Session)>> {
    c.prepare("SELECT hash, key_id, expires_at FROM sessions")?
        .query_map([], |row| {
            let session = Session {
                key: crate::broker::text_id(row, 1)?,
                expires_at: from_ms(row.get(2)?),
            };
            Ok((row.get(0)?, session))
        })?
        .collect()
}

fn insert(c: &Connection, hash: &Hash, session: &Session) -> rusqlite::Result<usize> {
    c.execute(
        "INSERT INTO sessions (hash, key_id, expires_at) VALUES (?1, ?2, ?3)",
        params![
            hash.as_slice(),
            session.key.as_str(),
            session.expires_at.as_millisecond()
        ],
    )
}

fn delete(c: &Connection, hash: &Hash) -> rusqlite::Result<usize> {
    c.execute("DELETE FROM sessions WHERE hash = ?1", [hash.as_slice()])
}
