//! Answers to questions, and who is there to give them.
//!
//! The store decides which answer is the first: answers are written one after the other, and only one
//! finds the question open. An answer runs nothing by itself: the task is judged again, and an answer
//! that is stored answers that question only if it is the same to the last byte.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use deskhand_protocol::{
    ErrorCode, Outcome, Problem, TaskId, Timestamp,
    approval::{Answer, ApprovalDoor, Approver, QuestionView},
    audit::AuditEntry,
    device_request::DeviceResponse,
    limits::MAX_ATTENDANCE,
};
use deskhand_sqlite::Sync;
use tokio::time::Instant;

use crate::{
    device::Device,
    dispatcher::Dispatcher,
    requests::Door,
    store::approvals::{self, Taken},
};

/// How long a look at the open questions counts as somebody being there.
const A_LOOK: Duration = Duration::from_secs(60);

/// Longest name of who answers, in bytes.
const NAME_BYTES: usize = 128;

/// Who could answer a question.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    /// Somebody on this computer is there at least until then.
    until: Mutex<Option<Instant>>,
    /// How many may answer from afar, as the relay says; none without a link.
    n_approvers: AtomicU32,
}

impl Attendance {
    /// Tells whether anybody is there to answer.
    pub(crate) fn is_anybody_there(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        self.n_approvers() > 0 || until.is_some_and(|until| Instant::now() < until)
    }

    /// Notes that somebody on this computer is there for a while; none at all ends that.
    pub(crate) fn extend(&self, by: Duration) {
        let end = Instant::now() + by.min(MAX_ATTENDANCE);
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = match by.is_zero() {
            true => None,
            false => Some(until.map_or(end, |until| until.max(end))),
        };
    }

    pub(crate) fn n_approvers(&self) -> u32 {
        self.n_approvers.load(Ordering::Relaxed)
    }

    pub(crate) fn set_approvers(&self, n: u32) {
        self.n_approvers.store(n, Ordering::Relaxed);
    }
}

/// Lists the open questions. A look from this computer counts as somebody being there.
pub(crate) async fn list(device: &Device, door: Door) -> Result<Vec<QuestionView>, Problem> {
    if door == Door::Local {
        device.attendance.extend(A_LOOK);
    }
    let now = Timestamp::now();
    let open = device.db.read(move |conn| approvals::open(conn, now));
    open.await.map_err(crate::requests::unreadable)
}

/// Takes an answer; the first one counts.
pub(crate) async fn answer(
    device: &Arc<Device>,
    dispatcher: &Dispatcher,
    door: Door,
    task_id: TaskId,
    digest: Option<String>,
    answer: Answer,
    by: Approver,
) -> Result<DeviceResponse, Problem> {
    let by = from_door(by, door)?;
    let (own, now) = (by.clone(), Timestamp::now());
    let taken = device.recorder.record(Sync::Full, move |draft| {
        draft.answer(task_id, digest.as_deref(), answer, &own, now)
    });
    let refused = |code, error: String| Err(Problem::new(code, error));
    let rules = match taken.await.map_err(crate::requests::unreadable)? {
        Taken::First { rules, .. } => rules,
        Taken::Late(earlier, by) => {
            let (name, door) = (by.name, by.door.as_str());
            let error = format!(
                "{name} answered `{}` first, through {door}",
                earlier.as_str()
            );
            return refused(ErrorCode::AlreadyAnswered, error);
        }
        Taken::Unsayable => {
            return refused(
                ErrorCode::InvalidRequest,
                "no rule can say this narrowly enough; answer `once`".to_owned(),
            );
        }
        Taken::Own => {
            return refused(
                ErrorCode::Forbidden,
                "this key asked, and may not answer".to_owned(),
            );
        }
        Taken::None => {
            return refused(
                ErrorCode::NoSuchQuestion,
                "there is no such open question".to_owned(),
            );
        }
    };
    let rule = match (answer, rules) {
        (Answer::AlwaysHere, Some(rules)) => match device.add_rules(rules).await {
            Ok(ids) => Some(ids.join(", ")),
            Err(problem) => {
                // The yes counts all the same, once.
                tracing::warn!(%problem, "cannot write the rule of an answer");
                None
            }
        },
        _ => None,
    };
    let refusal = (answer == Answer::No).then(|| said_no(&by));
    dispatcher.answered(task_id, refusal).await;
    Ok(DeviceResponse::ApprovalTaken {
        task_id,
        answer,
        rule,
    })
}

/// Returns who answered, as the door makes them out.
fn from_door(mut by: Approver, door: Door) -> Result<Approver, Problem> {
    if by.name.is_empty() || by.name.len() > NAME_BYTES {
        return Err(Problem::new(
            ErrorCode::InvalidRequest,
            "whoever answers has a name of 1 to 128 bytes",
        ));
    }
    match door {
        Door::Link => by.door = ApprovalDoor::Relay,
        Door::Local => by.key_id = None,
    }
    Ok(by)
}

/// How a task ends that the owner refused.
pub(crate) fn said_no(by: &Approver) -> Outcome {
    let error = format!("{} said no, through {}", by.name, by.door.as_str());
    Outcome::failed(ErrorCode::Denied, error)
}

/// How a task ends whose question nobody answered.
pub(crate) fn missed() -> Outcome {
    Outcome::failed(
        ErrorCode::Denied,
        "the owner was asked, and nobody answered within five minutes",
    )
}

/// How a task ends that needs an answer when nobody is there to give one.
pub(crate) fn unattended(reason: &str) -> Outcome {
    let mut outcome = Outcome::failed(
        ErrorCode::Denied,
        format!("this needs the owner's answer ({reason}), and nobody is there to give it"),
    );
    outcome.hint = Some(
        "open the viewer, or run `deskhand approvals list --watch`, and send it again".to_owned(),
    );
    outcome
}

/// What the audit trail says of an answer.
pub(crate) fn entry(task_id: TaskId, digest: &str, answer: Answer, by: &Approver) -> AuditEntry {
    AuditEntry::Answered {
        task_id: task_id.to_string(),
        answer: answer.as_str().to_owned(),
        by: by.name.clone(),
        door: by.door.as_str().to_owned(),
        digest: digest.to_owned(),
    }
}
