//! What every part of the agent shares: its configuration, its store, and what this computer can do.

use std::sync::Arc;

use deskhand_protocol::{
    DeviceId, StoreId, Timestamp, device_request::LayerStatus, device_request::LinkStatus,
    link::Support, workspace::Workspace,
};
use deskhand_sandbox::Tier;
use deskhand_sqlite::Database;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use deskhand_protocol::{Problem, audit::AuditEntry, policy::NewRule};
use deskhand_sqlite::Sync;

use crate::{
    approvals::Attendance,
    callers::CallerRequests,
    config::Config,
    health::Health,
    recorder::Recorder,
    repositories::Repositories,
    rules::{RuleBook, Standing},
};

/// Shared by every part of one agent. Nothing in it is a part's own state.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) config: Config,
    pub(crate) db: Database,
    pub(crate) recorder: Recorder,
    pub(crate) store_id: StoreId,
    pub(crate) git_environment: deskhand_git::Environment,
    pub(crate) repositories: Arc<Repositories>,
    /// As it was tried last.
    pub(crate) sandbox: watch::Sender<SandboxSupport>,
    pub(crate) health: watch::Sender<Health>,
    /// As in the store, where they are changed first.
    pub(crate) workspaces: watch::Sender<Arc<[Workspace]>>,
    pub(crate) rules: RuleBook,
    pub(crate) attendance: Attendance,
    pub(crate) caller_requests: CallerRequests,
    pub(crate) link: watch::Sender<LinkStatus>,
    /// The id by which the relay knows this device, once it has said so.
    pub(crate) device_id: watch::Sender<Option<DeviceId>>,
    /// Told when a schedule was added, changed or removed.
    pub(crate) schedules_changed: Notify,
    pub(crate) started_at: Timestamp,
    /// Cancelled when the agent is to end.
    pub(crate) stopping: CancellationToken,
}

/// What the sandbox can enforce on this computer.
#[derive(Debug, Clone)]
pub struct SandboxSupport {
    /// The best tier a task can have.
    pub tier: Tier,
    /// Each layer, and what is missing of it.
    pub layers: Vec<LayerStatus>,
}

/// Tries what the sandbox can enforce on this computer. Blocks for some milliseconds.
pub fn support(sandbox_path: &std::path::Path) -> SandboxSupport {
    let found = deskhand_sandbox::probe(sandbox_path);
    SandboxSupport {
        tier: found.tier,
        layers: found
            .layers
            .into_iter()
            .map(|layer| LayerStatus {
                name: layer.name,
                available: layer.available,
                why_not: layer.why_not,
                mend: layer.mend,
            })
            .collect(),
    }
}

impl Device {
    /// Returns the rules as they are now. Blocks on the file system.
    pub(crate) fn rules(&self) -> Standing {
        let workspaces = self.workspaces.borrow().clone();
        let (standing, is_new) = self.rules.standing(&workspaces);
        if is_new {
            let how = match &standing.problem {
                None => format!("read, {} rules", standing.rules.views().len()),
                Some(problem) => format!("refused: {problem}"),
            };
            self.note_change("rules", how);
        }
        standing
    }

    /// Adds rules to the owner's file and returns their names.
    pub(crate) async fn add_rules(
        self: &Arc<Self>,
        rules: Vec<NewRule>,
    ) -> Result<Vec<String>, Problem> {
        let device = self.clone();
        let added = tokio::task::spawn_blocking(move || {
            let workspaces = device.workspaces.borrow().clone();
            let ids = device.rules.add(&rules, &workspaces)?;
            device.note_change("rules", format!("added {}", ids.join(", ")));
            Ok(ids)
        });
        added.await.unwrap_or_else(|_| Err(broken()))
    }

    /// Puts into the audit trail that the owner changed what may run.
    pub(crate) fn note_change(&self, what: &str, how: String) {
        let entry = AuditEntry::Changed {
            what: what.to_owned(),
            how: self.recorder.mask().beginning(&how, 1_024),
        };
        let at = Timestamp::now();
        // Queued by the call; what the change itself needs does not wait for it.
        drop(self.db.write(Sync::Full, move |conn| {
            crate::store::audit::append(conn, at, &entry)
        }));
    }

    /// Returns what the device says in its hello.
    pub(crate) fn support(&self) -> Support {
        Support {
            git: true,
            shell: self.can_confine().is_ok() && self.helper_fault().is_none(),
            sandbox: self.sandbox.borrow().tier.to_string(),
        }
    }

    /// Tells whether tasks can be confined as the configuration requires, by what was tried last.
    pub(crate) fn can_confine(&self) -> Result<(), String> {
        let (tier, require) = (self.sandbox.borrow().tier, self.config.sandbox_require);
        // Elsewhere there is no helper yet, and git needs none.
        if cfg!(target_os = "linux")
            && let Some(why_not) = self.helper_fault()
        {
            return Err(format!("the sandbox helper cannot be used: {why_not}"));
        }
        match tier >= require {
            true => Ok(()),
            false => Err(format!(
                "the configuration requires sandbox tier {require}, this computer gives {tier}"
            )),
        }
    }

    fn helper_fault(&self) -> Option<String> {
        let sandbox = self.sandbox.borrow();
        let layer = sandbox
            .layers
            .iter()
            .find(|layer| layer.name == "helper" && !layer.available)?;
        Some(
            layer
                .why_not
                .clone()
                .unwrap_or_else(|| "it is not there".to_owned()),
        )
    }
}

fn broken() -> Problem {
    Problem::new(
        deskhand_protocol::ErrorCode::Internal,
        "a part of the agent broke",
    )
}
