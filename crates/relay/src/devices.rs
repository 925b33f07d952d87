//! Enrolled computers and the pairing codes that make them known: the tables, and the copy in memory.
//! Who is connected is the business of `device::registry`.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use deskhand_protocol::{
    DeviceId, Epoch, ErrorCode, Problem, Timestamp,
    relay_request::{EnrolResponse, PairingCode},
};
use deskhand_sqlite::{Database, Migration, Sync};
use rusqlite::{OptionalExtension, params};

use crate::{
    clock::{from_ms, now},
    error::Fault,
    token::{self, Hash, Kind},
};

pub(crate) const MIGRATION: Migration = Migration {
    name: "devices",
    sql: "CREATE TABLE devices (
        device_id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        os TEXT NOT NULL,
        hash BLOB NOT NULL,
        enrolled_at INTEGER NOT NULL,
        last_seen_at INTEGER,
        connected INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE pairing_codes (
        hash BLOB PRIMARY KEY,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID",
};

/// A flag of the relay's own, before a pause was the computer's alone.
pub(crate) const PAUSE: Migration = Migration {
    name: "device pause",
    sql: "ALTER TABLE devices ADD COLUMN paused INTEGER NOT NULL DEFAULT 0",
};

/// Whether a computer is paused it says itself. What somebody wished of one that was away is kept here
/// until it comes.
pub(crate) const PAUSE_WISH: Migration = Migration {
    name: "device pause, wished for",
    sql: "ALTER TABLE devices ADD COLUMN pause_wish INTEGER;
    UPDATE devices SET pause_wish = 1 WHERE paused;
    ALTER TABLE devices DROP COLUMN paused",
};

/// How long a pairing code is good for.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// Codes that may be open at once.
const MAX_OPEN_CODES: i64 = 100;

/// Wrong codes an address may try per minute.
const WRONG_TRIES: usize = 5;

/// Addresses whose tries are remembered; the oldest are forgotten.
const REMEMBERED_ADDRESSES: usize = 1_024;

/// An enrolled computer.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) device_id: DeviceId,
    pub(crate) name: String,
    pub(crate) os: String,
    pub(crate) enrolled_at: Timestamp,
    pub(crate) last_seen_at: Option<Timestamp>,
    /// Whether its link was up when the relay last wrote it down.
    pub(crate) was_connected: bool,
    /// Whether it is to pause, or to take tasks again, as soon as it is there.
    pub(crate) pause_wish: Option<bool>,
    hash: Hash,
}

impl Device {
    /// Tells whether it is to be paused, and so gets nothing before it is.
    pub(crate) fn is_to_pause(&self) -> bool {
        self.pause_wish == Some(true)
    }
}

/// All computers of a relay.
#[derive(Debug, Clone)]
pub(crate) struct Devices {
    db: Database,
    by_id: Arc<RwLock<HashMap<DeviceId, Arc<Device>>>>,
    tries: Arc<Mutex<VecDeque<(IpAddr, Instant)>>>,
}

impl Devices {
    /// Reads the computers into memory.
    pub(crate) async fn load(db: Database) -> Result<Self, Fault> {
        let devices = db.read(select).await?;
        let by_id = devices
            .into_iter()
            .map(|d| (d.device_id.clone(), Arc::new(d)))
            .collect();
        Ok(Self {
            db,
            by_id: Arc::new(RwLock::new(by_id)),
            tries: Arc::default(),
        })
    }

    /// Returns the computer whose token was presented.
    pub(crate) fn check(&self, presented: &str) -> Option<Arc<Device>> {
        let (id, hash) = token::parse(Kind::Device, presented)?;
        let device = self.get(&id.parse().ok()?)?;
        token::same(&device.hash, &hash).then_some(device)
    }

    /// Returns a computer.
    pub(crate) fn get(&self, device: &DeviceId) -> Option<Arc<Device>> {
        self.read().get(device).cloned()
    }

    /// Returns a computer by its id or its name.
    pub(crate) fn find(&self, id_or_name: &str) -> Option<Arc<Device>> {
        let devices = self.read();
        devices
            .values()
            .find(|d| d.device_id.as_str() == id_or_name || d.name == id_or_name)
            .cloned()
    }

    /// Lists the computers, oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<Device>> {
        let mut devices: Vec<_> = self.read().values().cloned().collect();
        devices.sort_by(|a, b| (a.enrolled_at, &a.device_id).cmp(&(b.enrolled_at, &b.device_id)));
        devices
    }

    /// Makes a computer known without a code: the relay's own machine does that.
    pub(crate) async fn enrol(&self, name: &str, os: &str) -> Result<EnrolResponse, Problem> {
        let name = self.free_name(checked_name(name)?);
        if os.len() > 64 || os.chars().any(char::is_control) {
            return Err(Problem::new(
                ErrorCode::InvalidRequest,
                "os must be at most 64 characters",
            ));
        }
        let device_id: DeviceId = token::mint_id()
            .map_err(Fault::from)?
            .parse()
            .expect("a minted id has the characters of an id");
        let (device_token, hash) =
            token::mint(Kind::Device, device_id.as_str()).map_err(Fault::from)?;
        let device = Device {
            device_id: device_id.clone(),
            name,
            os: os.to_owned(),
            enrolled_at: now(),
            last_seen_at: None,
            was_connected: false,
            pause_wish: None,
            hash,
        };
        let row = device.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute(
                    "INSERT INTO devices (device_id, name, os, hash, enrolled_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        row.device_id.as_str(),
                        row.name,
                        row.os,
                        row.hash.as_slice(),
                        row.enrolled_at.as_millisecond()
                    ],
                )
            })
            .await
            .map_err(Fault::from)?;
        self.write().insert(device_id.clone(), Arc::new(device));
        Ok(EnrolResponse {
            device_id,
            device_token: device_token.expose().to_owned(),
        })
    }

    /// Makes a pairing code.
    pub(crate) async fn create_code(&self) -> Result<PairingCode, Problem> {
        let code = token::mint_code().map_err(Fault::from)?;
        let hash = token::hash(&code);
        let expires_at = now() + CODE_LIFETIME;
        let open = self
            .db
            .write(Sync::Full, move |c| {
                c.execute(
                    "DELETE FROM pairing_codes WHERE expires_at <= ?1",
                    [now().as_millisecond()],
                )?;
                let open: i64 =
                    c.query_row("SELECT count(*) FROM pairing_codes", [], |row| row.get(0))?;
                if open < MAX_OPEN_CODES {
                    c.execute(
                        "INSERT INTO pairing_codes (hash, expires_at) VALUES (?1, ?2)",
                        params![hash.as_slice(), expires_at.as_millisecond()],
                    )?;
                }
                Ok(open)
            })
            .await
            .map_err(Fault::from)?;
        if open >= MAX_OPEN_CODES {
            return Err(
                Problem::new(ErrorCode::RateLimited, "100 pairing codes are open already")
                    .with_hint("wait ten minutes until they end"),
            );
        }
        Ok(PairingCode { code, expires_at })
    }

    /// Makes a computer known that shows a code. A code works once; an address that was wrong five
    /// times within a minute is not listened to.
    pub(crate) async fn pair(
        &self,
        from: IpAddr,
        code: &str,
        name: &str,
        os: &str,
    ) -> Result<EnrolResponse, Problem> {
        if self.wrong_tries(from) >= WRONG_TRIES {
            return Err(
                Problem::new(ErrorCode::RateLimited, "too many wrong pairing codes")
                    .with_hint("wait a minute"),
            );
        }
        checked_name(name)?;
        // People type codes with blanks, dashes and small letters.
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
        let hash = token::hash(&code.to_ascii_uppercase());
        let expires_at: Option<i64> = self
            .db
            .write(Sync::Full, move |c| {
                c.query_row(
                    "DELETE FROM pairing_codes WHERE hash = ?1 RETURNING expires_at",
                    [hash.as_slice()],
                    |row| row.get(0),
                )
                .optional()
            })
            .await
            .map_err(Fault::from)?;
        if expires_at.is_none_or(|at| at <= now().as_millisecond()) {
            self.note_wrong_try(from);
            return Err(Problem::new(
                ErrorCode::InvalidPairingCode,
                "the pairing code is wrong, used or expired",
            )
            .with_hint("make a new one: deskhand devices pair"));
        }
        self.enrol(name, os).await
    }

    /// Gives a computer another name.
    pub(crate) async fn rename(&self, device: &DeviceId, name: &str) -> Result<(), Problem> {
        let name = checked_name(name)?.to_owned();
        if self
            .find(&name)
            .is_some_and(|other| other.device_id != *device)
        {
            let error = format!("there is a device called `{name}` already");
            return Err(Problem::new(ErrorCode::InvalidRequest, error));
        }
        self.update(device, {
            let name = name.clone();
            move |device| device.name = name
        });
        let device = device.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute(
                    "UPDATE devices SET name = ?2 WHERE device_id = ?1",
                    [device.as_str(), &name],
                )
            })
            .await
            .map_err(Fault::from)?;
        Ok(())
    }

    /// Keeps that a computer is to pause, or to take tasks again.
    pub(crate) async fn wish_pause(&self, device: &DeviceId, paused: bool) -> Result<(), Fault> {
        self.update(device, |device| device.pause_wish = Some(paused));
        let device = device.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute(
                    "UPDATE devices SET pause_wish = ?2 WHERE device_id = ?1",
                    params![device.as_str(), paused],
                )
            })
            .await?;
        Ok(())
    }

    /// Forgets a wish that was heard, unless there is another one by now.
    pub(crate) async fn strike_wish(&self, device: &DeviceId, heard: bool) -> Result<(), Fault> {
        self.update(device, |device| {
            device.pause_wish = device.pause_wish.filter(|wish| *wish != heard);
        });
        let device = device.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute(
                    "UPDATE devices SET pause_wish = NULL WHERE device_id = ?1 AND pause_wish = ?2",
                    params![device.as_str(), heard],
                )
            })
            .await?;
        Ok(())
    }

    /// Forgets a computer and its token. Its tasks stay readable to who asked for them.
    pub(crate) async fn remove(&self, device: &DeviceId) -> Result<(), Fault> {
        self.write().remove(device);
        let device = device.clone();
        self.db
            .write(Sync::Full, move |c| {
                c.execute(
                    "DELETE FROM devices WHERE device_id = ?1",
                    [device.as_str()],
                )
            })
            .await?;
        Ok(())
    }

    /// Begins a session: counts the epoch up and returns it. Whoever speaks in an earlier epoch is
    /// not listened to from this commit on.
    pub(crate) async fn begin_session(&self, device: &DeviceId) -> Result<Epoch, Fault> {
        self.note_seen(device);
        let device = device.clone();
        let epoch: i64 = self
            .db
            .write(Sync::Normal, move |c| {
                c.query_row(
                    "UPDATE devices SET epoch = epoch + 1, connected = 1, last_seen_at = ?2
                     WHERE device_id = ?1 RETURNING epoch",
                    params![device.as_str(), now().as_millisecond()],
                    |row| row.get(0),
                )
            })
            .await?;
        Ok(Epoch(epoch.cast_unsigned()))
    }

    /// Notes that a session ended, unless a later one began.
    pub(crate) fn end_session(&self, device: &DeviceId, epoch: Epoch) {
        self.note_seen(device);
        let device = device.clone();
        // Nobody waits for it: it is queued by the call, and a relay that dies first finds
        // `connected`, which errs to the side of waiting for the device.
        drop(self.db.write(Sync::Normal, move |c| {
            c.execute(
                "UPDATE devices SET connected = 0, last_seen_at = ?3 WHERE device_id = ?1 AND epoch = ?2",
                params![device.as_str(), epoch.0.cast_signed(), now().as_millisecond()],
            )
        }));
    }

    fn note_seen(&self, device: &DeviceId) {
        self.update(device, |device| device.last_seen_at = Some(now()));
    }

    fn update(&self, device: &DeviceId, change: impl FnOnce(&mut Device)) {
        if let Some(entry) = self.write().get_mut(device) {
            change(Arc::make_mut(entry));
        }
    }

    fn free_name(&self, name: &str) -> String {
        let taken = |name: &str| {
            self.read()
                .values()
                .any(|d| d.name == name || d.device_id.as_str() == name)
        };
        if !taken(name) {
            return name.to_owned();
        }
        let mut n = 2_u32;
        while taken(&format!("{name}-{n}")) {
            n += 1;
        }
        format!("{name}-{n}")
    }

    fn wrong_tries(&self, from: IpAddr) -> usize {
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| at.elapsed() < Duration::from_secs(60);
        tries
            .iter()
            .filter(|(address, at)| *address == from && recent(at))
            .count()
    }

    fn note_wrong_try(&self, from: IpAddr) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() == REMEMBERED_ADDRESSES {
            tries.pop_front();
        }
        tries.push_back((from, Instant::now()));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<DeviceId, Arc<Device>>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<DeviceId, Arc<Device>>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checked_name(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 128 || name.chars().any(char::is_control) {
        return Err(Problem::new(
            ErrorCode::InvalidRequest,
            "device_name must be 1 to 128 characters without control characters",
        ));
    }
    Ok(name)
}

fn select(c: &rusqlite::Connection) -> rusqlite::Result<Vec<Device>> {
    c.prepare(
        "SELECT device_id, name, os, hash, enrolled_at, last_seen_at, connected, pause_wish
         FROM devices",
    )?
    .query_map([], |row| {
        Ok(Device {
            device_id: crate::broker::text_id(row, 0)?,
            name: row.get(1)?,
            os: row.get(2)?,
            hash: row.get(3)?,
            enrolled_at: from_ms(row.get(4)?),
            last_seen_at: row.get::<_, Option<i64>>(5)?.map(from_ms),
            was_connected: row.get(6)?,
            pause_wish: row.get(7)?,
        })
    })?
    .collect()
}
