//! Settles what an agent that died left unfinished, before anything new is taken.
//!
//! A task that was accepted and not started waits on. One that was started is asked again when it
//! only reads; otherwise nobody knows what it did, it is not run a second time, and its caller is told
//! that it was interrupted.

use std::sync::Arc;

use deskhand_protocol::{ErrorCode, Outcome, TaskResult, TaskStatus};
use deskhand_sqlite::{Database, Error, Sync};
use rusqlite::Connection;

use crate::{
    mask::Mask,
    recorder::Draft,
    requests,
    store::ledger::{self, Entry},
};

/// Settles every unfinished task in one commit. The events are sent after the next welcome.
pub(crate) async fn settle(db: &Database, mask: Arc<Mask>) -> Result<(), Error> {
    db.write(Sync::Full, move |conn| {
        for task_id in ledger::unfinished(conn)? {
            if let Some(entry) = ledger::get(conn, task_id)?
                && entry.status == TaskStatus::InProgress
            {
                settle_one(conn, &mask, &entry)?;
            }
        }
        Ok(())
    })
    .await
}

fn settle_one(conn: &Connection, mask: &Mask, entry: &Entry) -> rusqlite::Result<()> {
    let (task_id, attempt) = (entry.task.task_id, entry.attempt);
    let mut draft = Draft::new(conn, mask);
    if entry.task.action.is_repeatable() {
        return draft.lost(task_id, attempt);
    }
    let mut outcome = Outcome::failed(
        ErrorCode::Interrupted,
        "the agent ended while the task ran; how far it came is not known",
    );
    let output = requests::excerpt(conn, task_id)?.unwrap_or_default();
    let total = |stream| crate::store::output::total(conn, task_id, stream);
    outcome.n_stdout_bytes = total(deskhand_protocol::event::Stream::Stdout)?;
    outcome.n_stderr_bytes = total(deskhand_protocol::event::Stream::Stderr)?;
    draft.finished(task_id, attempt, &Arc::new(TaskResult { outcome, output }))
}

#[cfg(test)]
mod tests {
    use deskhand_protocol::{Action, EventKind, Seq, Task, TaskId, Timestamp, event::Stream};
    use uuid::Uuid;

    use super::*;
    use crate::store::{self, events, output};

    fn task(action: &str) -> Task {
        let action: Action = serde_json::from_str(action).unwrap();
        let task_id = TaskId::from_uuid(Uuid::now_v7());
        let now = Timestamp::now();
        serde_json::from_value(serde_json::json!({
            "task_id": task_id, "name": task_id, "action": action, "source": "relay",
            "caller": {"name": "tester"}, "priority": "normal", "durability": "full",
            "created_at": now, "expires_at": now,
        }))
        .unwrap()
    }

    /// Opens a store whose agent died within the first attempt of a task that had printed `x`.
    async fn left_by_a_dead_agent(dir: &tempfile::TempDir, task: &Task) -> Database {
        let db = store::open(&dir.path().join("agent.db")).unwrap();
        let task = task.clone();
        db.write(Sync::Full, move |conn| {
            let mask = Mask::default();
            let mut draft = Draft::new(conn, &mask);
            assert!(draft.accepted(&task, &Default::default())?);
            draft.started(task.task_id, 1, None)?;
            draft.output(task.task_id, Stream::Stdout, 0, b"x")
        })
        .await
        .unwrap();
        db
    }

    async fn settled(db: &Database, task_id: TaskId) -> (Entry, EventKind, u64) {
        settle(db, Arc::default()).await.unwrap();
        db.read(move |conn| {
            let entry = ledger::get(conn, task_id)?.unwrap();
            let last = events::after(conn, Seq(0), 100)?.pop().unwrap();
            Ok((
                entry,
                last.kind,
                output::total(conn, task_id, Stream::Stdout)?,
            ))
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_read_that_was_lost_waits_for_another_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let task = task(r#"{"type":"git","command":"git status"}"#);
        let db = left_by_a_dead_agent(&dir, &task).await;
        let (entry, last, n_bytes) = settled(&db, task.task_id).await;
        assert_eq!((entry.status, entry.attempt), (TaskStatus::Pending, 1));
        assert_eq!(last, EventKind::AttemptLost { attempt: 1 });
        assert_eq!(n_bytes, 0);
        let (_, last, _) = settled(&db, task.task_id).await;
        assert_eq!(last, EventKind::AttemptLost { attempt: 1 }, "settled twice");
    }

    #[tokio::test]
    async fn anything_else_was_interrupted_and_keeps_what_it_printed() {
        let dir = tempfile::tempdir().unwrap();
        let task = task(r#"{"type":"shell","command":"make"}"#);
        let db = left_by_a_dead_agent(&dir, &task).await;
        let (entry, last, n_bytes) = settled(&db, task.task_id).await;
        let result = entry.result.unwrap();
        assert_eq!(entry.status, TaskStatus::Failed);
        assert_eq!(result.outcome.code, Some(ErrorCode::Interrupted));
        assert_eq!(
            (result.output.stdout.as_str(), result.outcome.n_stdout_bytes),
            ("x", 1)
        );
        assert_eq!(last.outcome(), Some(&result.outcome));
        assert_eq!(n_bytes, 1);
    }
}
