//! Access and refresh tokens: the table, and the copy in memory that every request is checked against.
//!
//! All tokens of one program are a family: a refresh token gets the next generation of both kinds, and
//! is good no more. Clients lose answers, so the generation before may be shown again for a minute; one
//! that is older, or shown later, was stolen from somebody, and the whole family ends.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use deskhand_protocol::{KeyId, Secret, Timestamp};
use deskhand_sqlite::{Database, Migration, Sync};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    broker::text_id,
    clock::{from_ms, now},
    error::Fault,
    token::{self, Hash},
};

pub(crate) const MIGRATION: Migration = Migration {
    name: "oauth tokens",
    sql: "CREATE TABLE oauth_tokens (
        hash BLOB PRIMARY KEY,
        key_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        generation INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        replaced_at INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX oauth_tokens_by_key ON oauth_tokens (key_id);
    CREATE TABLE oauth_signing_key (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        secret BLOB NOT NULL
    )",
};

/// What an access token begins with.
pub(crate) const ACCESS: &str = "do_";

/// What a refresh token begins with.
const REFRESH: &str = "dr_";

/// How long an access token is good for.
pub(super) const ACCESS_LIFETIME: Duration = Duration::from_secs(3_600);

/// How long a refresh token is good for; each is as good as a new one.
const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How long a replaced refresh token may be shown once more.
const GRACE: Duration = Duration::from_secs(60);

/// Access tokens one program may have at once; the one that would end first gives way.
const MAX_ACCESS: usize = 16;

/// The tokens of all programs.
#[derive(Debug)]
pub(super) struct Tokens {
    db: Database,
    access: Arc<RwLock<HashMap<Hash, Access>>>,
}

#[derive(Debug, Clone)]
struct Access {
    key: KeyId,
    expires_at: Timestamp,
}

/// What a program is given.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) access: Secret,
    pub(super) refresh: Secret,
}

/// What became of a refresh token that was shown.
#[derive(Debug)]
pub(super) enum Rotated {
    /// It was good, and is replaced by these.
    Fresh(Pair),
    /// It is none, or has ended.
    Unknown,
    /// It was replaced before: somebody has a copy.
    Reused,
}

impl Tokens {
    pub(super) async fn load(db: Database) -> Result<Self, Fault> {
        let access = db.read(select_access).await?.into_iter().collect();
        Ok(Self {
            db,
            access: Arc::new(RwLock::new(access)),
        })
    }

    /// Returns whose an access token is.
    pub(super) fn check(&self, token: &str) -> Option<KeyId> {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        let found = access.get(&token::hash(token))?;
        (found.expires_at > now()).then(|| found.key.clone())
    }

    /// Returns whose a refresh token is, whatever it is worth.
    pub(super) async fn family(&self, refresh: &str) -> Result<Option<KeyId>, Fault> {
        let hash = token::hash(refresh);
        let read = self.db.read(move |c| {
            c.query_row(
                "SELECT key_id FROM oauth_tokens WHERE hash = ?1 AND kind = 'refresh'",
                [hash.as_slice()],
                |row| text_id(row, 0),
            )
            .optional()
        });
        Ok(read.await?)
    }

    /// Makes the first tokens of a program.
    pub(super) async fn issue(&self, key: &KeyId) -> Result<Pair, Fault> {
        let (pair, hashes) = mint()?;
        let owner = key.clone();
        self.db
            .write(Sync::Full, move |c| insert(c, &owner, &hashes, 1))
            .await?;
        self.keep(key, hashes.0);
        Ok(pair)
    }

    /// Replaces the refresh token of a program, and gives it another access token.
    pub(super) async fn rotate(&self, key: &KeyId, refresh: &str) -> Result<Rotated, Fault> {
        let (pair, hashes) = mint()?;
        let (owner, shown) = (key.clone(), token::hash(refresh));
        let rotated = self
            .db
            .write(Sync::Full, move |c| rotate(c, &owner, &shown, &hashes))
            .await?;
        Ok(match rotated {
            Standing::Good => {
                self.keep(key, hashes.0);
                Rotated::Fresh(pair)
            }
            Standing::Unknown => Rotated::Unknown,
            Standing::Reused => Rotated::Reused,
        })
    }

    /// Ends one access token.
    pub(super) async fn end_access(&self, token: &str) -> Result<(), Fault> {
        let hash = token::hash(token);
        self.write().remove(&hash);
        self.db
            .write(Sync::Full, move |c| {
                c.execute(
                    "DELETE FROM oauth_tokens WHERE hash = ?1",
                    [hash.as_slice()],
                )
            })
            .await?;
        Ok(())
    }

    /// Ends every token of a program.
    pub(super) async fn forget(&self, key: &KeyId) -> Result<(), Fault> {
        self.write().retain(|_, access| access.key != *key);
        let key = key.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute("DELETE FROM oauth_tokens WHERE key_id = ?1", [key.as_str()])
            })
            .await?;
        Ok(())
    }

    /// Returns the programs that have no token any more, and had time to get one.
    pub(super) async fn idle(&self) -> Result<Vec<KeyId>, Fault> {
        let now = now();
        let earlier = now - ACCESS_LIFETIME;
        let read = self.db.read(move |c| {
            c.prepare(
                "SELECT key_id FROM keys WHERE client IS NOT NULL AND created_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM oauth_tokens AS token
                                 WHERE token.key_id = keys.key_id AND token.expires_at > ?2)",
            )?
            .query_map([earlier, now].map(Timestamp::as_millisecond), |row| {
                text_id(row, 0)
            })?
            .collect()
        });
        Ok(read.await?)
    }

    fn keep(&self, key: &KeyId, hash: Hash) {
        let mut access = self.write();
        let now = now();
        access.retain(|_, access| access.expires_at > now);
        let own = access.iter().filter(|(_, access)| access.key == *key);
        if own.clone().count() >= MAX_ACCESS {
            let first = own.min_by_key(|(_, access)| access.expires_at);
            let first = first.map(|(hash, _)| *hash);
            first.and_then(|hash| access.remove(&hash));
        }
        let expires_at = now + ACCESS_LIFETIME;
        let key = key.clone();
        access.insert(hash, Access { key, expires_at });
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Hash, Access>> {
        self.access.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mint() -> Result<(Pair, (Hash, Hash)), Fault> {
    let (access, access_hash) = token::mint_oauth(ACCESS)?;
    let (refresh, refresh_hash) = token::mint_oauth(REFRESH)?;
    Ok((Pair { access, refresh }, (access_hash, refresh_hash)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    Unknown,
    Reused,
}

fn rotate(
    c: &Connection,
    key: &KeyId,
    shown: &Hash,
    hashes: &(Hash, Hash),
) -> rusqlite::Result<Standing> {
    let now = now().as_millisecond();
    let found = c
        .query_row(
            "SELECT generation, expires_at, replaced_at,
                    (SELECT max(generation) FROM oauth_tokens
                     WHERE key_id = ?2 AND kind = 'refresh')
             FROM oauth_tokens WHERE hash = ?1 AND key_id = ?2 AND kind = 'refresh'",
            params![shown.as_slice(), key.as_str()],
            |row| {
                let replaced_at: Option<i64> = row.get(2)?;
                Ok((row.get(0)?, row.get(1)?, replaced_at, row.get(3)?))
            },
        )
        .optional()?;
    let Some((generation, expires_at, replaced_at, newest)): Option<(i64, i64, _, i64)> = found
    else {
        return Ok(Standing::Unknown);
    };
    if expires_at <= now {
        return Ok(Standing::Unknown);
    }
    let next = match replaced_at {
        None => generation + 1,
        // Beside the tokens whose answer was lost.
        Some(at) if generation + 1 == newest && now - at < GRACE.as_millis() as i64 => newest,
        Some(_) => return Ok(Standing::Reused),
    };
    c.execute(
        "DELETE FROM oauth_tokens WHERE key_id = ?1 AND expires_at <= ?2",
        params![key.as_str(), now],
    )?;
    c.execute(
        "UPDATE oauth_tokens SET replaced_at = ?3
         WHERE key_id = ?1 AND kind = 'refresh' AND generation < ?2 AND replaced_at IS NULL",
        params![key.as_str(), next, now],
    )?;
    insert(c, key, hashes, next)?;
    Ok(Standing::Good)
}

fn insert(
    c: &Connection,
    key: &KeyId,
    (access, refresh): &(Hash, Hash),
    generation: i64,
) -> rusqlite::Result<()> {
    let (access_ends, refresh_ends) = (now() + ACCESS_LIFETIME, now() + REFRESH_LIFETIME);
    for (hash, kind, ends) in [
        (access, "access", access_ends),
        (refresh, "refresh", refresh_ends),
    ] {
        c.execute(
            "INSERT INTO oauth_tokens (hash, key_id, kind, generation, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                hash.as_slice(),
                key.as_str(),
                kind,
                generation,
                ends.as_millisecond()
            ],
        )?;
    }
    Ok(())
}

fn select_access(c: &Connection) -> rusqlite::Result<Vec<(Hash, Access)>> {
    c.prepare("SELECT hash, key_id, expires_at FROM oauth_tokens WHERE kind = 'access'")?
        .query_map([], |row| {
            let access = Access {
                key: text_id(row, 1)?,
                expires_at: from_ms(row.get(2)?),
            };
            Ok((row.get(0)?, access))
        })?
        .collect()
}
