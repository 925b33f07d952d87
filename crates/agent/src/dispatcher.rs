//! The one owner of live state: which tasks wait, which run, and in what order.
//!
//! What it owns: every task that has not ended, and the places in which they run.
//! What it waits on: messages, and the ends of what it started.
//! What it never does: wait for a commit, an execution or a reader. Each task is taken to its end in a
//! task of its own, so none waits for another but for a place.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use deskhand_protocol::{
    Action, ErrorCode, Outcome, Task, TaskId, Timestamp, limits::MAX_UNFINISHED_TASKS,
    link::DeviceToRelay, task::Priority,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{Id, JoinError, JoinSet},
    time::{MissedTickBehavior, interval},
};

use crate::{
    attempt::{self, End, Origin, StopSignal},
    device::Device,
    executor::{self, Stop},
};

/// Messages that wait for the dispatcher, which never waits itself.
const QUEUE: usize = 256;

/// How often waiting tasks are looked at for those that expired, and for those the store refused.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The handle; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher {
    messages: mpsc::Sender<Message>,
}

/// How many tasks run and wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) n_running: u32,
    pub(crate) n_waiting: u32,
}

enum Message {
    Deliver(Box<Task>, mpsc::Sender<DeviceToRelay>),
    Enter(Vec<Ticket>),
    Cancel(TaskId, Duration),
    Count(oneshot::Sender<Counts>),
    Stop(oneshot::Sender<()>),
}

impl Dispatcher {
    /// Starts dispatching, with the tasks the ledger holds that have not ended.
    pub(crate) fn start(device: Arc<Device>, unfinished: Vec<Ticket>) -> Self {
        let (messages, queue) = mpsc::channel(QUEUE);
        let dispatcher = Loop::new(device, unfinished);
        tokio::spawn(dispatcher.run(queue));
        Self { messages }
    }

    /// Hands over a task the relay delivered. A task that is in the ledger already is acknowledged on
    /// `session`; a new one is acknowledged by its first event. Beyond 1,000 unfinished tasks nothing
    /// is done, and the relay delivers it again.
    pub(crate) async fn deliver(&self, task: Box<Task>, session: mpsc::Sender<DeviceToRelay>) {
        self.send(Message::Deliver(task, session)).await;
    }

    /// Takes tasks that were just put into the ledger, to run as places become free.
    pub(crate) async fn enter(&self, tickets: Vec<Ticket>) {
        self.send(Message::Enter(tickets)).await;
    }

    /// Ends a task: at once when it waits, gently and after `grace` by force when it runs. A task that
    /// has ended, or that is not known, is left alone.
    pub(crate) async fn cancel(&self, task_id: TaskId, grace: Duration) {
        self.send(Message::Cancel(task_id, grace)).await;
    }

    /// Counts the tasks.
    pub(crate) async fn counts(&self) -> Counts {
        let (answer, counts) = oneshot::channel();
        self.send(Message::Count(answer)).await;
        counts.await.unwrap_or_default()
    }

    /// Takes no more tasks, ends those that run and returns when they have ended.
    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        self.send(Message::Stop(done)).await;
        let _ = stopped.await;
    }

    async fn send(&self, message: Message) {
        // It is gone only when it was stopped, and then nothing is taken any more.
        let _ = self.messages.send(message).await;
    }
}

/// Tasks that share places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Takes no time: no bound but that of unfinished tasks.
    Echo,
    /// Reads a repository natively: as many as there are processors.
    GitRead,
    /// Everything else: as many as the owner said.
    Work,
}

impl Lane {
    const ALL: [Lane; 3] = [Lane::Echo, Lane::GitRead, Lane::Work];

    fn of(action: &Action) -> Self {
        match action {
            Action::Echo(_) => Lane::Echo,
            Action::Git(git) if action.is_repeatable() && executor::git::may_be_native(git) => {
                Lane::GitRead
            }
            Action::Git(_) | Action::Shell(_) => Lane::Work,
        }
    }
}

/// The order in which waiting tasks start: priority, then age.
type Rank = (Reverse<Priority>, Timestamp, TaskId);

/// What the dispatcher has to know of a task. The task itself stays in the ledger while it waits.
#[derive(Debug)]
pub(crate) struct Ticket {
    task_id: TaskId,
    lane: Lane,
    rank: Rank,
    expires_at: Timestamp,
}

impl From<&Task> for Ticket {
    fn from(task: &Task) -> Self {
        Self {
            task_id: task.task_id,
            lane: Lane::of(&task.action),
            rank: (Reverse(task.priority), task.created_at, task.task_id),
            expires_at: task.expires_at,
        }
    }
}

/// A task that has not ended.
struct Live {
    ticket: Ticket,
    in_ledger: Arc<AtomicBool>,
    state: State,
    stop: watch::Sender<Option<Stop>>,
    /// Who delivered it, to be told when the ledger turns out to know it.
    session: Option<mpsc::Sender<DeviceToRelay>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// On its way into the ledger, to wait there.
    Entering,
    /// Waits for a place.
    Waiting,
    /// Has a place.
    Running,
    /// Is being ended without having run.
    Ending,
}

/// The places of one lane.
struct Places {
    n_taken: usize,
    n_all: usize,
    waiting: BTreeMap<Rank, TaskId>,
}

struct Loop {
    device: Arc<Device>,
    live: HashMap<TaskId, Live>,
    lanes: [Places; 3],
    started: JoinSet<End>,
    /// Which task each of `started` is about.
    tasks: HashMap<Id, TaskId>,
    /// Told when everything has ended.
    stopping: Option<oneshot::Sender<()>>,
}

impl Loop {
    fn new(device: Arc<Device>, unfinished: Vec<Ticket>) -> Self {
        let n_processors = thread::available_parallelism()
            .map_or(2, NonZero::get)
            .max(2);
        let n_work = device.config.max_tasks.max(1);
        let lanes = Lane::ALL.map(|lane| Places {
            n_taken: 0,
            n_all: match lane {
                Lane::Echo => MAX_UNFINISHED_TASKS,
                Lane::GitRead => n_processors,
                Lane::Work => n_work,
            },
            waiting: BTreeMap::new(),
        });
        let mut this = Self {
            device,
            live: HashMap::new(),
            lanes,
            started: JoinSet::new(),
            tasks: HashMap::new(),
            stopping: None,
        };
        for ticket in unfinished {
            this.adopt(ticket);
        }
        this
    }

    async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut health = self.device.health.subscribe();
        self.fill();
        loop {
            // Ends first: they free places. Then whoever asks.
            tokio::select! {
                biased;
                Some(ended) = self.started.join_next_with_id() => self.ended(ended),
                message = queue.recv() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                // It may have been resumed.
                Ok(()) = health.changed() => self.fill(),
                _ = look.tick(), if self.n_waiting() > 0 => {
                    self.expire();
                    self.fill();
                }
            }
            if self.stopping.is_some() && self.started.is_empty() {
                break;
            }
        }
        if let Some(done) = self.stopping.take() {
            let _ = done.send(());
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Deliver(task, session) => self.deliver(task, session),
            Message::Enter(tickets) => self.enter(tickets),
            Message::Cancel(task_id, grace) => self.cancel(task_id, grace),
            Message::Count(answer) => {
                let counts = Counts {
                    n_running: self.lanes.iter().map(|lane| lane.n_taken as u32).sum(),
                    n_waiting: self.n_waiting() as u32,
                };
                let _ = answer.send(counts);
            }
            Message::Stop(done) => {
                self.stopping = Some(done);
                for live in self.live.values() {
                    if live.state == State::Running {
                        live.stop.send_replace(Some(Stop::Shutdown));
                    }
                }
            }
        }
    }

    fn deliver(&mut self, task: Box<Task>, session: mpsc::Sender<DeviceToRelay>) {
        let task_id = task.task_id;
        if let Some(live) = self.live.get(&task_id) {
            // Before it is in the ledger nothing is said: its first event will.
            if live.in_ledger.load(Ordering::Acquire) {
                acknowledge(&session, task_id);
            }
            return;
        }
        // What is not acknowledged is delivered again.
        if self.stopping.is_some() || self.is_paused() || self.live.len() >= MAX_UNFINISHED_TASKS {
            return;
        }
        let live = Live::new(Ticket::from(&*task), Some(session));
        let lane = live.ticket.lane;
        self.live.insert(task_id, live);
        if self.place(lane).is_free() {
            self.start(task_id, Origin::Delivered(task));
        } else {
            let device = self.device.clone();
            self.spawn(task_id, async move { attempt::accept(&device, task).await });
        }
    }

    fn enter(&mut self, tickets: Vec<Ticket>) {
        if self.stopping.is_some() {
            // The ledger has them: the next agent goes on.
            return;
        }
        for ticket in tickets {
            self.adopt(ticket);
        }
        self.fill();
    }

    /// Has a task wait that is in the ledger.
    fn adopt(&mut self, ticket: Ticket) {
        let task_id = ticket.task_id;
        let live = Live::new(ticket, None);
        live.in_ledger.store(true, Ordering::Release);
        self.live.insert(task_id, live);
        self.wait(task_id);
    }

    fn cancel(&mut self, task_id: TaskId, grace: Duration) {
        let Some(live) = self.live.get(&task_id) else {
            return;
        };
        // An attempt sees this; what enters or waits is looked at when it comes to wait.
        live.stop.send_replace(Some(Stop::Cancel(grace)));
        if live.state == State::Waiting {
            self.end_waiting(task_id, Stop::Cancel(grace).outcome());
        }
    }

    fn ended(&mut self, ended: Result<(Id, End), JoinError>) {
        let (id, end) = match ended {
            Ok((id, end)) => (id, end),
            Err(error) => return self.broke(&error),
        };
        let Some(task_id) = self.tasks.remove(&id) else {
            return;
        };
        self.leave_place(task_id);
        match end {
            End::Accepted => {
                if let Some(live) = self.live.get(&task_id) {
                    live.in_ledger.store(true, Ordering::Release);
                }
                self.wait(task_id);
            }
            End::Finished => {
                self.live.remove(&task_id);
            }
            End::Known => {
                let known = self.live.remove(&task_id);
                if let Some(session) = known.and_then(|live| live.session) {
                    acknowledge(&session, task_id);
                }
            }
            End::Unstored => self.unstored(task_id),
        }
        // After a refusal by the store the next look tries again, not this turn: it would spin.
        if end != End::Unstored {
            self.fill();
        }
    }

    /// An attempt panicked: its task has failed, and the caller is told so.
    fn broke(&mut self, error: &JoinError) {
        tracing::error!(%error, "an attempt broke");
        let Some(task_id) = self.tasks.remove(&error.id()) else {
            return;
        };
        self.leave_place(task_id);
        let again = self
            .live
            .get(&task_id)
            .is_none_or(|live| live.state == State::Ending);
        if again {
            self.live.remove(&task_id);
        } else {
            let outcome = Outcome::failed(ErrorCode::Internal, "the attempt broke off");
            self.end_waiting(task_id, outcome);
        }
    }

    fn leave_place(&mut self, task_id: TaskId) {
        if let Some(live) = self.live.get(&task_id)
            && live.state == State::Running
        {
            self.lanes[live.ticket.lane as usize].n_taken -= 1;
        }
    }

    /// A task the ledger has waits on; one it does not have is forgotten, and the relay delivers it
    /// again.
    fn unstored(&mut self, task_id: TaskId) {
        let Some(live) = self.live.get_mut(&task_id) else {
            return;
        };
        if live.in_ledger.load(Ordering::Acquire) && self.stopping.is_none() {
            live.state = State::Waiting;
            let (lane, rank) = (live.ticket.lane, live.ticket.rank);
            self.place(lane).waiting.insert(rank, task_id);
        } else {
            self.live.remove(&task_id);
        }
    }

    /// Puts a task that is in the ledger among the waiting, unless somebody cancelled it meanwhile.
    fn wait(&mut self, task_id: TaskId) {
        let Some(live) = self.live.get_mut(&task_id) else {
            return;
        };
        live.state = State::Waiting;
        live.session = None;
        let (lane, rank, asked) = (live.ticket.lane, live.ticket.rank, *live.stop.borrow());
        self.place(lane).waiting.insert(rank, task_id);
        if let Some(stop) = asked {
            self.end_waiting(task_id, stop.outcome());
        }
    }

    /// Gives free places to those that have waited.
    fn fill(&mut self) {
        if self.stopping.is_some() || self.is_paused() {
            return;
        }
        for lane in Lane::ALL {
            while self.place(lane).is_free()
                && let Some((_, task_id)) = self.place(lane).waiting.pop_first()
            {
                self.start(task_id, Origin::Ledger(task_id));
            }
        }
    }

    /// Ends what has waited too long.
    fn expire(&mut self) {
        let now = Timestamp::now();
        let late = |live: &Live| live.state == State::Waiting && now > live.ticket.expires_at;
        let expired: Vec<TaskId> = self
            .live
            .iter()
            .filter(|(_, live)| late(live))
            .map(|(id, _)| *id)
            .collect();
        for task_id in expired {
            self.end_waiting(task_id, attempt::expired());
        }
    }

    fn end_waiting(&mut self, task_id: TaskId, outcome: Outcome) {
        let Some(live) = self.live.get_mut(&task_id) else {
            return;
        };
        live.state = State::Ending;
        let (lane, rank) = (live.ticket.lane, live.ticket.rank);
        self.place(lane).waiting.remove(&rank);
        let device = self.device.clone();
        self.spawn(task_id, attempt::end_waiting(device, task_id, outcome));
    }

    fn start(&mut self, task_id: TaskId, origin: Origin) {
        let Some(live) = self.live.get_mut(&task_id) else {
            return;
        };
        live.state = State::Running;
        let lane = live.ticket.lane;
        let (in_ledger, stop) = (live.in_ledger.clone(), StopSignal(live.stop.subscribe()));
        self.place(lane).n_taken += 1;
        let device = self.device.clone();
        self.spawn(task_id, attempt::run(device, origin, in_ledger, stop));
    }

    fn spawn(&mut self, task_id: TaskId, work: impl Future<Output = End> + Send + 'static) {
        let handle = self.started.spawn(work);
        self.tasks.insert(handle.id(), task_id);
    }

    fn place(&mut self, lane: Lane) -> &mut Places {
        &mut self.lanes[lane as usize]
    }

    fn is_paused(&self) -> bool {
        self.device.health.borrow().paused
    }

    fn n_waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting.len()).sum()
    }
}

impl Places {
    fn is_free(&self) -> bool {
        self.n_taken < self.n_all
    }
}

impl Live {
    fn new(ticket: Ticket, session: Option<mpsc::Sender<DeviceToRelay>>) -> Self {
        Self {
            ticket,
            in_ledger: Arc::default(),
            state: State::Entering,
            stop: watch::Sender::new(None),
            session,
        }
    }
}

/// Says again that a task is in the ledger. When the session is too busy or gone, the relay asks again.
fn acknowledge(session: &mpsc::Sender<DeviceToRelay>, task_id: TaskId) {
    let _ = session.try_send(DeviceToRelay::Accepted { task_id });
}
