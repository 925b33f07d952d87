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
    recorder::Draft,
    requests,
    store::ledger::{self, Entry},
};

/// Settles every unfinished task in one commit. The events are sent after the next welcome.
pub(crate) async fn settle(db: &Database) -> Result<(), Error> {
    db.write(Sync::Full, |conn| {
        for entry in ledger::unfinished(conn)? {
            if entry.status == TaskStatus::InProgress {
                settle_one(conn, &entry)?;
            }
        }
        Ok(())
    })
    .await
}

fn settle_one(conn: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let (task_id, attempt) = (entry.task.task_id, entry.attempt);
    let mut draft = Draft::new(conn);
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
