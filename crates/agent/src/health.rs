//! Whether this device can execute, found out by trying, and whether its owner paused it.
//!
//! What it owns: the verdict in [`Device::health`], which the link repeats to the relay.
//! What it waits on: its clock, and the recorder, whose failed writes are looked into at once.
//! What it never does: run a task. It performs an echo by the way tasks go, starts a program that does
//! nothing in the sandbox, and writes what the store holds already.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

use deskhand_policy::Decision;
use deskhand_protocol::{
    Action, Command, Problem,
    outcome::EndStatus,
    task::{EchoAction, GitAction, TimeoutSeconds},
};
use deskhand_sqlite::Sync;
use tokio::time::{sleep, timeout};

use crate::{
    device::{Device, support},
    executor::{
        self, Executor,
        git::{self, Native},
        shell::{self, Place},
    },
    judge, requests,
    store::meta,
};

/// How often the device is looked at. With [`WITHIN`] it bounds how long a device that cannot execute
/// still says that it can: 4.5 s.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the store, and an echo, may take. Both take well under a millisecond on an idle machine.
const WITHIN: Duration = Duration::from_millis(3_500);

/// How often a sandbox that failed is tried again when nothing about it changed.
const TRY_AGAIN_AFTER: u32 = 5;

/// How a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) can_execute: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// The owner paused it: it takes no tasks, and what waits goes on waiting.
    pub(crate) paused: bool,
}

impl Health {
    pub(crate) fn of(fault: Option<String>, paused: bool) -> Self {
        Self {
            can_execute: fault.is_none(),
            reason: fault,
            paused,
        }
    }
}

/// Looks at the device until the agent stops.
pub(crate) async fn keep(device: std::sync::Arc<Device>, mut executors: Executors) {
    let mut store_fault = device.recorder.fault();
    loop {
        tokio::select! {
            () = device.stopping.cancelled() => return,
            Ok(()) = store_fault.changed() => {}
            () = sleep(LOOK_EVERY) => {}
        }
        // One that the recorder just told needs no second try to be said.
        let told = store_fault.borrow_and_update().clone().map(unwritable);
        if told.is_some() {
            set(&device, told);
        }
        let fault = match try_store(&device).await {
            Ok(()) => executors.look(&device).await.err(),
            Err(fault) => Some(unwritable(fault)),
        };
        set(&device, fault);
    }
}

fn set(device: &Device, fault: Option<String>) {
    device.health.send_if_modified(|health| {
        let now = Health::of(fault, health.paused);
        let changed = *health != now;
        if changed {
            tracing::info!(
                can_execute = now.can_execute,
                reason = now.reason,
                "health changed"
            );
            *health = now;
        }
        changed
    });
}

fn unwritable(fault: String) -> String {
    format!("the store cannot be written: {fault}")
}

/// Pauses the device, or has it take tasks again. Stored first, so that a restart changes nothing.
pub(crate) async fn set_paused(device: &Device, paused: bool) -> Result<(), Problem> {
    let stored = device
        .db
        .write(Sync::Full, move |conn| meta::set_paused(conn, paused));
    stored.await.map_err(requests::unreadable)?;
    device.health.send_if_modified(|health| {
        let changed = health.paused != paused;
        health.paused = paused;
        changed
    });
    Ok(())
}

/// Tries the store: whether a write can begin, and, where the disk looks full or read-only or the last
/// write failed, a real one. An idle device must not keep its disk awake.
async fn try_store(device: &Device) -> Result<(), String> {
    let suspicious =
        device.recorder.fault().borrow().is_some() || cannot_grow(&device.config.store);
    let tried = async {
        if suspicious {
            device.recorder.probe().await
        } else {
            device.db.write(Sync::Normal, |_| Ok(())).await
        }
    };
    match timeout(WITHIN, tried).await {
        Ok(tried) => tried.map_err(|error| error.to_string()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

fn cannot_grow(store: &Path) -> bool {
    match rustix::fs::statvfs(store) {
        Ok(at) => at.f_bavail == 0 || at.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        // It is not there any more, or the disk does not answer.
        Err(_) => true,
    }
}

/// What is known of the executors since they were tried last.
#[derive(Debug)]
pub(crate) struct Executors {
    helper: Option<Signature>,
    fault: Option<String>,
    n_looks_since: u32,
}

/// Tells the helper from another one, or from itself after a change: the file, and who may write its
/// directory.
type Signature = ([u64; 3], [u32; 4], Option<SystemTime>);

impl Executors {
    /// Tries every executor for the first time.
    pub(crate) async fn try_out(device: &Device) -> Self {
        Self {
            helper: signature(&device.config.sandbox_path),
            fault: try_executors(device).await.err(),
            n_looks_since: 0,
        }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.clone()
    }

    /// Performs an echo, and tries the others again when something changed or when they failed a while
    /// ago.
    async fn look(&mut self, device: &Device) -> Result<(), String> {
        try_echo()?;
        self.n_looks_since += 1;
        let helper = signature(&device.config.sandbox_path);
        let due = self.fault.is_some() && self.n_looks_since >= TRY_AGAIN_AFTER;
        if helper != self.helper || due {
            let path = device.config.sandbox_path.clone();
            if let Ok(found) = tokio::task::spawn_blocking(move || support(&path)).await {
                device.sandbox.send_replace(found);
            }
            *self = Self::try_out(device).await;
        }
        self.fault.clone().map_or(Ok(()), Err)
    }
}

fn signature(path: &Path) -> Option<Signature> {
    let file = std::fs::metadata(path).ok()?;
    let dir = std::fs::metadata(path.parent()?).ok()?;
    Some((
        [file.dev(), file.ino(), file.len()],
        [file.mode(), file.uid(), dir.mode(), dir.uid()],
        file.modified().ok(),
    ))
}

async fn try_executors(device: &Device) -> Result<(), String> {
    device.can_confine()?;
    try_echo()?;
    let place = executor::shell::Scratch::make_probe(&device.config.scratch)
        .await
        .map_err(|error| format!("a temporary directory cannot be made: {error}"))?;
    let tried = async {
        try_git(device, place.path()).await?;
        // Elsewhere nothing can be confined yet, and shell tasks say so themselves.
        match device.support().shell {
            true => shell::try_out(&device.config, place.path()).await,
            false => Ok(()),
        }
    };
    let tried = tried.await;
    place.remove().await;
    tried
}

/// Performs an echo by the way a task goes: judged, permitted, executed.
fn try_echo() -> Result<(), String> {
    const TEXT: &str = "ready";
    let echo = Action::Echo(EchoAction { text: TEXT.into() });
    let ran = match judge::judge_echo(echo, Default::default()).decision {
        Decision::Allow(permit) => match Executor::from(permit) {
            Executor::Echo(echo) => executor::echo(echo),
            _ => return Err("an echo was permitted as something else".to_owned()),
        },
        Decision::Ask(_) | Decision::Deny(_) => {
            return Err("an echo is not permitted".to_owned());
        }
    };
    match ran.output.stdout == TEXT {
        true => Ok(()),
        false => Err("an echo says something else".to_owned()),
    }
}

/// Asks the native engine for its version.
async fn try_git(device: &Device, dir: &Path) -> Result<(), String> {
    let git = GitAction {
        command: Command::Argv(vec!["git".into(), "version".into()]),
        working_dir: None,
        timeout: TimeoutSeconds::default(),
        read_only: true,
    };
    let place = Place::of_our_own(dir);
    let environment = device.git_environment.clone();
    let mut running = git::start(&git, place, environment, device.repositories.clone());
    match timeout(WITHIN, running.wait()).await {
        Ok(Native::Ran(ran)) if ran.outcome.status == EndStatus::Completed => Ok(()),
        Ok(Native::Ran(ran)) => Err(format!(
            "the git engine fails: {}",
            ran.outcome.error.unwrap_or_default()
        )),
        Ok(Native::HandedOver { reason }) => Err(format!("the git engine hands over: {reason}")),
        Err(_) => Err("the git engine does not answer".to_owned()),
    }
}
