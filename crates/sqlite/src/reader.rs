//! Threads with read-only connections.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, OpenError};

/// Two: a long search and the short reads beside it.
const THREADS: usize = 2;

/// Reads that wait for a thread; more wait to be queued.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Debug, Clone)]
pub(crate) struct Readers {
    jobs: mpsc::Sender<Job>,
}

impl Readers {
    pub(crate) fn start(
        connect: impl Fn() -> Result<Connection, OpenError>,
    ) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let (connection, queue) = (connect()?, queue.clone());
            thread::Builder::new()
                .name("sqlite-read".into())
                .spawn(move || run(&connection, &queue))
                .map_err(OpenError::Thread)?;
        }
        Ok(Self { jobs })
    }

    pub(crate) fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let jobs = self.jobs.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            let job: Job = Box::new(move |connection| {
                // A caller that went away does not want the answer.
                let _ = answer.send(f(connection));
            });
            jobs.send(job).await.map_err(|_| Error::Closed)?;
            Ok(answered.await.map_err(|_| Error::Closed)??)
        }
    }
}

fn run(connection: &Connection, queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // One thread waits for the next read while the other works.
        let next = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(job) = next else { return };
        // A read that panics is dropped with its answer: its caller hears `Closed`.
        let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
    }
}
