//! Caller keys: the table, and the copy in memory that every request is checked against.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use deskhand_protocol::{
    DeviceId, ErrorCode, KeyId, Problem, Secret, Timestamp,
    limits::MAX_TEXT_BYTES,
    policy::CallerLimits,
    relay_request::{KeyView, Scope},
};
use deskhand_sqlite::{Database, Migration, Sync};
use rusqlite::{Connection, Row, params};

use crate::{
    clock::{from_ms, now},
    error::Fault,
    token::{self, Hash, Kind},
};

pub(crate) const MIGRATION: Migration = Migration {
    name: "keys",
    sql: "CREATE TABLE keys (
        key_id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        hash BLOB NOT NULL,
        scopes TEXT NOT NULL,
        devices TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        last_used_at INTEGER
    ) WITHOUT ROWID",
};

/// How exact the last-used time of a key is, in milliseconds.
const LAST_USED_STEP_MS: i64 = 60_000;

/// Added once keys could be held to less than their devices.
pub(crate) const LIMITS_MIGRATION: Migration = Migration {
    name: "key limits",
    sql: "ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
          ALTER TABLE keys ADD COLUMN requests_per_minute INTEGER;",
};

/// What a new key is to be.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) devices: Option<Vec<DeviceId>>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) limits: CallerLimits,
    pub(crate) requests_per_minute: Option<u32>,
}

/// A caller key, as it is checked.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) view: KeyView,
    hash: Hash,
}

impl Key {
    /// Tells whether the key may do what needs the scope.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.view
            .scopes
            .iter()
            .any(|has| *has == scope || *has == Scope::Admin)
    }

    /// Tells whether the key reaches a device.
    pub(crate) fn reaches(&self, device: &DeviceId) -> bool {
        self.view
            .devices
            .as_ref()
            .is_none_or(|devices| devices.contains(device))
    }
}

/// All keys of a relay.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    db: Database,
    by_id: Arc<RwLock<HashMap<KeyId, Arc<Key>>>>,
}

impl Keys {
    /// Reads the keys into memory.
    pub(crate) async fn load(db: Database) -> Result<Self, Fault> {
        let keys = db.read(select).await?;
        let by_id = keys
            .into_iter()
            .map(|key| (key.view.key_id.clone(), Arc::new(key)))
            .collect();
        Ok(Self {
            db,
            by_id: Arc::new(RwLock::new(by_id)),
        })
    }

    /// Returns the key that was presented, if it is one and has not ended.
    pub(crate) fn check(&self, presented: &str) -> Option<Arc<Key>> {
        let (id, hash) = token::parse(Kind::Key, presented)?;
        let id: KeyId = id.parse().ok()?;
        let key = self.read().get(&id)?.clone();
        let ended = key.view.expires_at.is_some_and(|end| end <= now());
        if !token::same(&key.hash, &hash) || ended {
            return None;
        }
        self.touch(&key);
        Some(key)
    }

    /// Returns a key by its id, if it has not ended: for what was made in its name.
    pub(crate) fn get(&self, key: &KeyId) -> Option<Arc<Key>> {
        let key = self.read().get(key)?.clone();
        let ended = key.view.expires_at.is_some_and(|end| end <= now());
        if ended {
            return None;
        }
        self.touch(&key);
        Some(key)
    }

    /// Returns a key by its id or its name.
    pub(crate) fn find(&self, id_or_name: &str) -> Option<Arc<Key>> {
        let keys = self.read();
        let is_it =
            |key: &&Arc<Key>| key.view.key_id.as_str() == id_or_name || key.view.name == id_or_name;
        keys.values().find(is_it).cloned()
    }

    /// Tells whether a key that was checked before has not ended since.
    pub(crate) fn still_holds(&self, key: &Key) -> bool {
        let known = self.read().get(&key.view.key_id).cloned();
        known.is_some_and(|key| key.view.expires_at.is_none_or(|end| end > now()))
    }

    /// Returns what a key is held to. One that is no more may do nothing: what it asked for before is
    /// not done after it was revoked.
    pub(crate) fn limits_of(&self, key: &KeyId) -> CallerLimits {
        match self.read().get(key) {
            Some(key) => CallerLimits {
                can_approve: key.may(Scope::Approve),
                ..key.view.limits.clone()
            },
            None => CallerLimits {
                actions: Some(Vec::new()),
                read_only: true,
                ..CallerLimits::default()
            },
        }
    }

    /// Makes a key; the answer is the only place its secret is ever in the clear.
    pub(crate) async fn create(&self, new: NewKey) -> Result<(KeyView, Secret), Problem> {
        let NewKey {
            name,
            scopes,
            devices,
            expires_at,
            limits,
            requests_per_minute,
        } = new;
        if name.trim().is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return Err(Problem::new(
                ErrorCode::InvalidRequest,
                "name must be 1 to 128 characters",
            ));
        }
        if scopes.is_empty() {
            return Err(Problem::new(
                ErrorCode::InvalidRequest,
                "a key needs at least one scope",
            ));
        }
        check(&limits, requests_per_minute)?;
        if self.read().values().any(|key| key.view.name == name) {
            let error = format!("there is a key called `{name}` already");
            return Err(Problem::new(ErrorCode::InvalidRequest, error));
        }
        let key_id: KeyId = token::mint_id()
            .map_err(Fault::from)?
            .parse()
            .expect("a minted id has the characters of an id");
        let (secret, hash) = token::mint(Kind::Key, key_id.as_str()).map_err(Fault::from)?;
        let view = KeyView {
            key_id,
            name,
            scopes,
            devices,
            limits,
            requests_per_minute,
            created_at: now(),
            expires_at,
            last_used_at: None,
        };
        let key = Key {
            view: view.clone(),
            hash,
        };
        let stored = key.clone();
        self.db
            .write(Sync::Full, move |c| insert(c, &stored))
            .await
            .map_err(Fault::from)?;
        self.write().insert(view.key_id.clone(), Arc::new(key));
        Ok((view, secret))
    }

    /// Ends a key, named by its id or its name.
    pub(crate) async fn revoke(&self, key: &str) -> Result<KeyId, Problem> {
        let found = self
            .read()
            .values()
            .find(|k| k.view.key_id.as_str() == key || k.view.name == key)
            .map(|k| k.view.key_id.clone());
        let Some(key_id) = found else {
            return Err(Problem::new(
                ErrorCode::NotFound,
                format!("there is no key `{key}`"),
            ));
        };
        self.write().remove(&key_id);
        let gone = key_id.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute("DELETE FROM keys WHERE key_id = ?1", [gone.as_str()])
            })
            .await
            .map_err(Fault::from)?;
        Ok(key_id)
    }

    /// Lists the keys, oldest first.
    pub(crate) fn list(&self) -> Vec<KeyView> {
        let mut views: Vec<KeyView> = self.read().values().map(|key| key.view.clone()).collect();
        views.sort_by(|a, b| (a.created_at, &a.key_id).cmp(&(b.created_at, &b.key_id)));
        views
    }

    /// Notes that a key was used, at most once a minute.
    fn touch(&self, key: &Arc<Key>) {
        let at = now();
        let last = key.view.last_used_at.map_or(0, Timestamp::as_millisecond);
        if at.as_millisecond() - last < LAST_USED_STEP_MS {
            return;
        }
        let mut used = Key::clone(key);
        used.view.last_used_at = Some(at);
        let key_id = used.view.key_id.clone();
        if let Some(entry) = self.write().get_mut(&key_id) {
            *entry = Arc::new(used);
        }
        // Nobody waits for it: it is queued by the call, and only informs.
        drop(self.db.write(Sync::Normal, move |c| {
            c.execute(
                "UPDATE keys SET last_used_at = ?2 WHERE key_id = ?1",
                params![key_id.as_str(), at.as_millisecond()],
            )
        }));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<KeyId, Arc<Key>>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<KeyId, Arc<Key>>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most workspaces a key is held to by name.
const MAX_WORKSPACES: usize = 64;

fn check(limits: &CallerLimits, requests_per_minute: Option<u32>) -> Result<(), Problem> {
    let invalid = |error: &str| Err(Problem::new(ErrorCode::InvalidRequest, error));
    let workspaces = limits.workspaces.as_deref().unwrap_or_default();
    if workspaces.len() > MAX_WORKSPACES || workspaces.iter().any(|w| w.len() > MAX_TEXT_BYTES) {
        return invalid("a key is held to at most 64 workspaces, named in at most 4096 bytes");
    }
    let known = ["git", "shell", "echo", "agent"];
    let actions = limits.actions.as_deref().unwrap_or_default();
    if actions.len() > known.len() || actions.iter().any(|kind| !known.contains(&kind.as_str())) {
        return invalid("actions are git, shell, echo and agent");
    }
    if requests_per_minute == Some(0) {
        return invalid("requests_per_minute is at least 1");
    }
    Ok(())
}

fn insert(c: &Connection, key: &Key) -> rusqlite::Result<usize> {
    let scopes: Vec<&str> = key.view.scopes.iter().map(|scope| scope.as_str()).collect();
    let devices = key.view.devices.as_ref().map(|devices| {
        devices
            .iter()
            .map(DeviceId::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    });
    c.execute(
        "INSERT INTO keys (key_id, name, hash, scopes, devices, created_at, expires_at,
                           limits, requests_per_minute)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            key.view.key_id.as_str(),
            key.view.name,
            key.hash.as_slice(),
            scopes.join(" "),
            devices,
            key.view.created_at.as_millisecond(),
            key.view.expires_at.map(Timestamp::as_millisecond),
            crate::broker::to_json(&key.view.limits)?,
            key.view.requests_per_minute,
        ],
    )
}

fn select(c: &Connection) -> rusqlite::Result<Vec<Key>> {
    c.prepare(
        "SELECT key_id, name, hash, scopes, devices, created_at, expires_at, last_used_at, limits,
                    requests_per_minute FROM keys",
    )?
    .query_map([], row_to_key)?
    .collect()
}

fn row_to_key(row: &Row<'_>) -> rusqlite::Result<Key> {
    let scopes: String = row.get(3)?;
    let devices: Option<String> = row.get(4)?;
    Ok(Key {
        view: KeyView {
            key_id: crate::broker::text_id(row, 0)?,
            name: row.get(1)?,
            scopes: scopes.split(' ').filter_map(Scope::parse).collect(),
            devices: devices.map(|ids| ids.split(' ').filter_map(|id| id.parse().ok()).collect()),
            limits: crate::broker::json(row, 8)?,
            requests_per_minute: row.get(9)?,
            created_at: from_ms(row.get(5)?),
            expires_at: row.get::<_, Option<i64>>(6)?.map(from_ms),
            last_used_at: row.get::<_, Option<i64>>(7)?.map(from_ms),
        },
        hash: row.get(2)?,
    })
}
