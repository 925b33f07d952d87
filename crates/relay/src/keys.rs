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
use rusqlite::{Connection, Row, params, types::ValueRef};
use serde::{Deserialize, Serialize};

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

/// Added with OAuth: a program that was let in is a key without a secret, for which its tokens stand.
pub(crate) const CLIENT_MIGRATION: Migration = Migration {
    name: "key client",
    sql: "ALTER TABLE keys ADD COLUMN client TEXT",
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
    /// The program that was let in, where this is one and no key that somebody holds.
    pub(crate) client: Option<Client>,
}

/// A program that was let in by OAuth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    /// Its `client_id`.
    pub(crate) client_id: String,
    /// What it calls itself.
    pub(crate) name: String,
    /// The host that vouches for it, or received the answer.
    pub(crate) host: String,
    /// What its tokens are good for, byte for byte.
    pub(crate) resource: String,
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

    /// Returns a key that somebody holds, by its id or its name.
    pub(crate) fn find(&self, id_or_name: &str) -> Option<Arc<Key>> {
        self.find_any(id_or_name).filter(|key| key.client.is_none())
    }

    /// Returns a key or a program that was let in, by its id or its name.
    fn find_any(&self, id_or_name: &str) -> Option<Arc<Key>> {
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
        let view = KeyView {
            key_id: mint_key_id()?,
            name,
            scopes,
            devices,
            limits,
            requests_per_minute,
            created_at: now(),
            expires_at,
            last_used_at: None,
        };
        let (secret, key) = self.insert(view, None).await?;
        Ok((key.view.clone(), secret))
    }

    /// Lets a program in: makes a key for which its tokens stand. Nobody ever sees the key's secret.
    pub(crate) async fn let_in(
        &self,
        client: Client,
        scopes: Vec<Scope>,
        devices: Vec<DeviceId>,
    ) -> Result<Arc<Key>, Problem> {
        let view = KeyView {
            key_id: mint_key_id()?,
            name: self.free_name(&format!("{} ({})", client.name, client.host)),
            scopes,
            devices: Some(devices),
            limits: CallerLimits::default(),
            requests_per_minute: Some(CLIENT_REQUESTS_PER_MINUTE),
            created_at: now(),
            expires_at: None,
            last_used_at: None,
        };
        Ok(self.insert(view, Some(client)).await?.1)
    }

    async fn insert(
        &self,
        view: KeyView,
        client: Option<Client>,
    ) -> Result<(Secret, Arc<Key>), Problem> {
        let (secret, hash) = token::mint(Kind::Key, view.key_id.as_str()).map_err(Fault::from)?;
        let key = Arc::new(Key { view, hash, client });
        let stored = key.clone();
        self.db
            .write(Sync::Full, move |c| insert(c, &stored))
            .await
            .map_err(Fault::from)?;
        self.write().insert(key.view.key_id.clone(), key.clone());
        Ok((secret, key))
    }

    /// Ends a key, named by its id or its name.
    pub(crate) async fn revoke(&self, key: &str) -> Result<KeyId, Problem> {
        let found = self.find(key);
        let unknown = || Problem::new(ErrorCode::NotFound, format!("there is no key `{key}`"));
        let key_id = found.ok_or_else(unknown)?.view.key_id.clone();
        self.remove(&key_id).await?;
        Ok(key_id)
    }

    /// Forgets a key, or a program that was let in.
    pub(crate) async fn remove(&self, key_id: &KeyId) -> Result<(), Fault> {
        self.write().remove(key_id);
        let gone = key_id.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute("DELETE FROM keys WHERE key_id = ?1", [gone.as_str()])
            })
            .await?;
        Ok(())
    }

    /// Lists the keys that somebody holds, oldest first.
    pub(crate) fn list(&self) -> Vec<KeyView> {
        let keys = self.sorted(|key| key.client.is_none());
        keys.iter().map(|key| key.view.clone()).collect()
    }

    /// Lists the programs that were let in, oldest first.
    pub(crate) fn clients(&self) -> Vec<Arc<Key>> {
        self.sorted(|key| key.client.is_some())
    }

    /// Returns a program that was let in, by its id or its name.
    pub(crate) fn client(&self, id_or_name: &str) -> Option<Arc<Key>> {
        self.find_any(id_or_name).filter(|key| key.client.is_some())
    }

    fn sorted(&self, which: impl Fn(&Key) -> bool) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self
            .read()
            .values()
            .filter(|key| which(key))
            .cloned()
            .collect();
        let place = |key: &Arc<Key>| (key.view.created_at, key.view.key_id.to_string());
        keys.sort_by_key(place);
        keys
    }

    fn free_name(&self, name: &str) -> String {
        let numbered = (2_u32..).map(|n| format!("{name} {n}"));
        std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|name| self.find_any(name).is_none())
            .expect("there are more numbers than keys")
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

/// What a program may call a minute: as much as a key has unless its owner says otherwise.
const CLIENT_REQUESTS_PER_MINUTE: u32 = 6_000;

fn mint_key_id() -> Result<KeyId, Problem> {
    let id = token::mint_id().map_err(Fault::from)?;
    Ok(id.parse().expect("a minted id has the characters of an id"))
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
                           limits, requests_per_minute, client)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
            key.client
                .as_ref()
                .map(crate::broker::to_json)
                .transpose()?,
        ],
    )
}

fn select(c: &Connection) -> rusqlite::Result<Vec<Key>> {
    c.prepare(
        "SELECT key_id, name, hash, scopes, devices, created_at, expires_at, last_used_at, limits,
                    requests_per_minute, client FROM keys",
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
        client: match row.get_ref(10)? {
            ValueRef::Null => None,
            _ => Some(crate::broker::json(row, 10)?),
        },
    })
}
