//! The inbox: a directory whose files become tasks.
//!
//! A file `name.json` with a task request in it runs, and its result is written beside it as
//! `name.result.json`. What cannot be a task is moved to `rejected/`, with `name.reason.txt` beside it.
//! A file is one task for as long as it lies there: taken away and put back it is another one, and so is
//! another request under the same name. Names that begin with a dot are nobody's yet.
//!
//! What it owns: the directory, and the table of the files that became tasks. The file and its task
//! enter the store in one commit, so that a file is run once, whenever the agent ends.
//! What it waits on: changes in the directory, ends of tasks, and the owner who resumes the device. A
//! file that is not a request yet is looked at again until nothing has changed for a second.
//! What it never does: run a task, follow a symbolic link, read another user's file, or decide what may
//! run: a file has no more rights than any other caller.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use deskhand_protocol::{Source, TaskId, TaskName, TaskRequest, Timestamp, limits::MAX_BODY_BYTES};
use deskhand_sqlite::Sync;
use notify::{RecursiveMode, Watcher};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Notify, broadcast},
    time::sleep,
};

use crate::{
    born,
    device::Device,
    dispatcher::Dispatcher,
    recorder::Batch,
    requests,
    store::{inbox, ledger},
};

/// Where what cannot be a task is moved.
const REJECTED: &str = "rejected";

/// A file that nothing has been written to for this long is all there.
const QUIET: Duration = Duration::from_secs(1);

/// Files whose tasks have not ended; more lie there until some have.
const MAX_OPEN: u64 = 100;

/// Names that are looked at in the directory.
const MAX_NAMES: usize = 10_000;

/// Longest name of a file, without `.json`: the names beside it fit the 255 bytes of a file name.
const MAX_NAME_BYTES: usize = 200;

/// When the directory could not be watched it is tried again after this.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Makes tasks of files, until the agent stops.
pub(crate) async fn keep(device: Arc<Device>, dispatcher: Dispatcher) {
    let keep = async {
        loop {
            let Err(error) = watch(&device, &dispatcher).await;
            tracing::warn!(error = format!("{error:#}"), "the inbox is not looked at");
            sleep(TRY_AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        () = device.stopping.cancelled() => {}
        () = keep => {}
    }
}

/// Why the inbox is not looked at.
#[derive(Debug, thiserror::Error)]
enum InboxError {
    #[error("make the inbox: {0}")]
    Make(#[source] io::Error),
    #[error("watch the inbox: {0}")]
    Watch(#[from] notify::Error),
    #[error("read the inbox: {0}")]
    Read(#[source] io::Error),
    #[error("the inbox was removed")]
    Gone,
    #[error("store a file of the inbox: {0}")]
    Store(#[from] deskhand_sqlite::Error),
}

type Never = std::convert::Infallible;

async fn watch(device: &Arc<Device>, dispatcher: &Dispatcher) -> Result<Never, InboxError> {
    let dir = device.config.inbox.clone();
    make(&dir).map_err(InboxError::Make)?;
    let changed = Arc::new(Notify::new());
    let tell = changed.clone();
    // Which file it was is of no interest: the directory is read, so that no event can be lost.
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| event.kind.is_access() && !is_closed_after_writing(event.kind))
        {
            tell.notify_one();
        }
    })?;
    watcher.watch(&dir, RecursiveMode::NonRecursive)?;
    let mut bus = device.recorder.subscribe();
    let mut health = device.health.subscribe();
    let mut inbox = Inbox {
        device: device.clone(),
        dispatcher: dispatcher.clone(),
        dir,
        settled: HashMap::new(),
    };
    loop {
        inbox.answer().await?;
        let paused = health.borrow_and_update().paused;
        let look_again = match paused {
            true => None,
            false => inbox.scan().await?,
        };
        tokio::select! {
            () = changed.notified() => {}
            () = file_task_ended(&mut bus) => {}
            Ok(()) = health.changed() => {}
            () = sleep(look_again.unwrap_or_default()), if look_again.is_some() => {}
        }
    }
}

fn is_closed_after_writing(kind: notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode};
    kind == notify::EventKind::Access(AccessKind::Close(AccessMode::Write))
}

/// Waits until some task has ended, or until that could have been missed.
async fn file_task_ended(bus: &mut broadcast::Receiver<Batch>) {
    loop {
        match bus.recv().await {
            Ok(batch) if batch.iter().any(|p| p.event.kind.outcome().is_some()) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn make(dir: &Path) -> io::Result<()> {
    for dir in [dir, &dir.join(REJECTED)] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        let found = fs::symlink_metadata(dir)?;
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!(
                "`{}` is not a directory of ours",
                dir.display()
            )));
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

struct Inbox {
    device: Arc<Device>,
    dispatcher: Dispatcher,
    dir: PathBuf,
    /// Files that are tasks, as they were: they are read again only when they changed.
    settled: HashMap<String, Look>,
}

/// Tells a file from another one, or from itself after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    inode: u64,
    n_bytes: u64,
    written_at: Option<SystemTime>,
}

/// What a file turned out to be.
enum Found {
    Request(Box<TaskRequest>),
    /// Not all of it is there, perhaps; how long to wait for more.
    Unfinished(Duration),
    Gone,
    /// It never will be a task.
    Wrong(String),
}

impl Inbox {
    /// Makes tasks of new files. Returns when to look again at one that may not be finished.
    async fn scan(&mut self) -> Result<Option<Duration>, InboxError> {
        let dir = self.dir.clone();
        let names = blocking(move || names(&dir)).await;
        let Names { names, are_all } = names.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => InboxError::Gone,
            _ => InboxError::Read(error),
        })?;
        if are_all {
            self.forget_taken_away(&names).await?;
        }
        let mut look_again: Option<Duration> = None;
        for name in names {
            match self.look_at(name).await? {
                Looked::Done => {}
                Looked::Again(after) => {
                    look_again = Some(look_again.map_or(after, |other| other.min(after)));
                }
                Looked::Full => break,
            }
        }
        Ok(look_again)
    }

    /// A file that was answered and is not there any more may come again as another task.
    async fn forget_taken_away(&mut self, names: &BTreeSet<String>) -> Result<(), InboxError> {
        self.settled.retain(|name, _| names.contains(name));
        let answered = self.device.db.read(inbox::answered).await?;
        let gone: Vec<String> = answered
            .into_iter()
            .filter(|name| !names.contains(name))
            .collect();
        if !gone.is_empty() {
            let forget = move |conn: &rusqlite::Connection| {
                gone.iter().try_for_each(|name| inbox::forget(conn, name))
            };
            self.device.db.write(Sync::Full, forget).await?;
        }
        Ok(())
    }

    async fn look_at(&mut self, name: String) -> Result<Looked, InboxError> {
        if name.len() > MAX_NAME_BYTES {
            let reason = format!("its name is longer than {MAX_NAME_BYTES} bytes");
            self.reject(name, reason).await;
            return Ok(Looked::Done);
        }
        let path = self.dir.join(format!("{name}.json"));
        let look = look(&path);
        if look.is_some() && self.settled.get(&name).copied() == look {
            return Ok(Looked::Done);
        }
        let found = blocking(move || Ok(read(&path))).await;
        let request = match found.map_err(InboxError::Read)? {
            Found::Request(request) => request,
            Found::Unfinished(wait) => return Ok(Looked::Again(wait)),
            Found::Gone => return Ok(Looked::Done),
            Found::Wrong(reason) => {
                self.reject(name, reason).await;
                return Ok(Looked::Done);
            }
        };
        if let Err(problem) = born::check(&self.device, &request) {
            self.reject(name, problem.error).await;
            return Ok(Looked::Done);
        }
        let digest = digest(&request);
        let known = {
            let name = name.clone();
            let look_up = move |conn: &rusqlite::Connection| {
                Ok((inbox::is_known(conn, &name, digest)?, inbox::n_open(conn)?))
            };
            self.device.db.read(look_up).await?
        };
        match known {
            (true, _) => {}
            (false, n_open) if n_open >= MAX_OPEN => return Ok(Looked::Full),
            (false, _) => {
                if !born::has_room(&self.dispatcher).await {
                    return Ok(Looked::Full);
                }
                self.enter(&name, digest, *request).await?;
            }
        }
        if let Some(look) = look {
            self.settled.insert(name, look);
        }
        Ok(Looked::Done)
    }

    async fn enter(
        &self,
        name: &str,
        digest: [u8; 32],
        request: TaskRequest,
    ) -> Result<(), InboxError> {
        let named: Option<TaskName> = name.parse().ok();
        let task = born::task(request, Source::File, "inbox", named, Timestamp::now());
        let (task_id, owned) = (task.task_id, name.to_owned());
        let entered = born::open(&self.device, &self.dispatcher, task, move |conn| {
            inbox::enter(conn, &owned, digest, task_id)
        });
        if entered.await? {
            tracing::info!(name, %task_id, "a file became a task");
        }
        Ok(())
    }

    /// Writes the results of tasks that have ended.
    async fn answer(&self) -> Result<(), InboxError> {
        for (name, task_id) in self.device.db.read(inbox::to_answer).await? {
            let text = self.result(task_id).await?;
            let path = self.dir.join(format!("{name}.result.json"));
            let written = blocking(move || write_atomically(&path, text.as_bytes())).await;
            if let Err(error) = written {
                // It is tried again when something changes.
                tracing::warn!(name, %error, "cannot write the result of a file");
                continue;
            }
            let set = move |conn: &rusqlite::Connection| inbox::set_answered(conn, task_id);
            self.device.db.write(Sync::Full, set).await?;
        }
        Ok(())
    }

    /// Returns the task with its result as JSON, or that it was forgotten meanwhile.
    async fn result(&self, task_id: TaskId) -> Result<String, InboxError> {
        let entry = self
            .device
            .db
            .read(move |conn| ledger::get(conn, task_id))
            .await?;
        let text = match entry {
            Some(entry) => serde_json::to_string_pretty(&requests::view(entry, &self.device)),
            None => serde_json::to_string_pretty(
                &serde_json::json!({"uid": task_id, "error": "the task was forgotten"}),
            ),
        };
        Ok(text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")))
    }

    /// Moves away what cannot be a task, and says why.
    async fn reject(&mut self, name: String, reason: String) {
        tracing::warn!(name, reason, "a file is no task");
        self.settled.remove(&name);
        let dir = self.dir.clone();
        let moved = blocking(move || {
            let rejected = dir.join(REJECTED);
            let short = &name[..name.floor_char_boundary(MAX_NAME_BYTES)];
            let free = (1_u32..)
                .map(|n| match n {
                    1 => short.to_owned(),
                    n => format!("{short}-{n}"),
                })
                .find(|free| fs::symlink_metadata(rejected.join(format!("{free}.json"))).is_err())
                .unwrap_or_else(|| short.to_owned());
            write_atomically(
                &rejected.join(format!("{free}.reason.txt")),
                reason.as_bytes(),
            )?;
            // A symbolic link is moved itself.
            fs::rename(
                dir.join(format!("{name}.json")),
                rejected.join(format!("{free}.json")),
            )
        });
        match moved.await {
            Ok(()) => {}
            // Somebody took it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "cannot move a file to the rejected ones"),
        }
    }
}

/// What looking at a file gave.
enum Looked {
    Done,
    Again(Duration),
    /// No more tasks are taken now.
    Full,
}

/// Files of the inbox, without `.json`.
struct Names {
    names: BTreeSet<String>,
    /// Whether there is none that was not looked at.
    are_all: bool,
}

/// Returns the names of the files that are, or are to become, tasks.
fn names(dir: &Path) -> io::Result<Names> {
    let mut names = BTreeSet::new();
    let mut entries = fs::read_dir(dir)?;
    for entry in entries.by_ref().take(MAX_NAMES) {
        let file = entry?.file_name();
        // One that is not UTF-8 cannot be named in an answer, and is left alone.
        let Some(file) = file.to_str() else { continue };
        let Some(name) = file.strip_suffix(".json") else {
            continue;
        };
        if !file.starts_with('.') && !name.ends_with(".result") && !name.is_empty() {
            names.insert(name.to_owned());
        }
    }
    Ok(Names {
        names,
        are_all: entries.next().is_none(),
    })
}

fn look(path: &Path) -> Option<Look> {
    let found = fs::symlink_metadata(path).ok()?;
    Some(Look {
        inode: found.ino(),
        n_bytes: found.len(),
        written_at: found.modified().ok(),
    })
}

/// Reads a file, if it is a file of ours.
fn read(path: &Path) -> Found {
    // Neither a link is followed nor a pipe waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Gone,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Found::Wrong("it is a symbolic link".to_owned());
        }
        Err(error) => return Found::Wrong(format!("it cannot be opened: {error}")),
    };
    let found = match file.metadata() {
        Ok(found) if !found.is_file() => return Found::Wrong("it is no file".to_owned()),
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
            return Found::Wrong("it belongs to another user".to_owned());
        }
        Ok(found) => found,
        Err(error) => return Found::Wrong(format!("it cannot be looked at: {error}")),
    };
    let too_large = || Found::Wrong(format!("it is larger than {MAX_BODY_BYTES} bytes"));
    if found.len() > MAX_BODY_BYTES as u64 {
        return too_large();
    }
    let mut text = Vec::new();
    let limit = MAX_BODY_BYTES as u64 + 1;
    if let Err(error) = Read::by_ref(&mut file).take(limit).read_to_end(&mut text) {
        return Found::Wrong(format!("it cannot be read: {error}"));
    }
    if text.len() > MAX_BODY_BYTES {
        return too_large();
    }
    match serde_json::from_slice(&text) {
        Ok(request) => Found::Request(Box::new(request)),
        Err(error) => {
            // Written in the future means that a clock was set: no wait is longer than the whole.
            let quiet_for = found.modified().ok().and_then(|at| at.elapsed().ok());
            match QUIET.checked_sub(quiet_for.unwrap_or_default()) {
                Some(wait) if !wait.is_zero() => Found::Unfinished(wait),
                _ => Found::Wrong(format!("it is no task request: {error}")),
            }
        }
    }
}

/// Says what is asked for, however it is written.
fn digest(request: &TaskRequest) -> [u8; 32] {
    let text = serde_json::to_vec(request).expect("a request has only string keys");
    Sha256::digest(&text).into()
}

/// Writes a file so that whoever reads it finds all of it or nothing.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    // What an agent that was killed left behind.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
