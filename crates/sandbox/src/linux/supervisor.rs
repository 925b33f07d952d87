//! The supervisor: the helper's own process while a program runs.
//!
//! Owns the control socket and the tree. Waits on the socket, on signals, on what the inner processes report and on its
//! clock. It ends when nothing of the tree is left, and it leaves nothing behind: it is the subreaper of everything the
//! program starts.

use std::cell::OnceCell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::process::DumpableBehavior;

use super::cgroup::Cgroup;
use super::report::{self, Report};
use super::watch::Watch;
use super::{
    Failure, Received, Step, Without, asked, bubblewrap, namespaces, program, reduced, sys, tell,
};
use crate::plan::Record;
use crate::profile::Network;
use crate::protected::Inventory;
use crate::spawn::Limit;
use crate::support::Tier;
use crate::tree;

/// What processes that outlive the program get before they are killed: time for a pipe's last reader to finish.
const AFTER_PROGRAM: Duration = Duration::from_millis(500);

/// As nice as can be to itself, see setpriority(2).
const HIGHEST_PRIORITY: i32 = -20;

/// A clock that says "not yet" for ever.
const NEVER: Duration = Duration::from_secs(3600);

/// Starts the program and stays until its tree is gone. Returns the helper's exit code.
pub(super) fn run(control: OwnedFd, mut received: Received) -> i32 {
    let before = SystemTime::now();
    let stdin = received.stdin.take();
    let found = OnceCell::new();
    let group = Cgroup::new(&received.plan.profile.limits);
    received.group = group.as_ref().and_then(Cgroup::open);
    let started = prepare(stdin)
        .map_err(failed)
        .and_then(|signals| Ok((signals, start(&received, &found)?)));
    match started {
        Ok((signals, running)) => {
            let inventory = found.into_inner().unwrap_or_default();
            let watch = Watch::new(&received.plan.profile, before);
            let supervisor =
                Supervisor::new(control, received, inventory, signals, running, group, watch);
            supervisor.supervise();
            0
        }
        Err(record) => {
            tell::record(&control, &record, None);
            1
        }
    }
}

/// Makes this process fit to supervise, and its standard input what the program shall read.
fn prepare(stdin: Option<OwnedFd>) -> Result<OwnedFd, Failure> {
    // Out of reach of the terminal's keys. What becomes the program gets a session of its own.
    rustix::process::setpgid(None, None).step("process group")?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).step("subreaper")?;
    let stdin = match stdin {
        Some(stdin) => stdin,
        None => open_null(OFlags::RDONLY).step("stdin")?,
    };
    sys::replace_standard(stdin.as_fd(), 0).step("stdin")?;
    sys::signal_descriptor(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP])
        .step("signals")
}

/// Lets go of the output pipes, so that they end when the tree does, and of the program's input.
pub(super) fn let_go_of_output() -> Result<(), Failure> {
    let null = open_null(OFlags::RDWR).step("output")?;
    (0..=2)
        .try_for_each(|standard| sys::replace_standard(null.as_fd(), standard))
        .step("output")
}

fn open_null(flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open("/dev/null", flags | OFlags::CLOEXEC, Mode::empty())
}

/// A way to confine a program, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Namespaces and a view that we make ourselves.
    Namespaces,
    /// The same, made by bubblewrap.
    Bubblewrap,
    /// Landlock and the filter alone.
    Landlock,
    /// No confinement.
    Nothing,
}

impl Way {
    const ALL: [Way; 4] = [
        Way::Namespaces,
        Way::Bubblewrap,
        Way::Landlock,
        Way::Nothing,
    ];

    pub(super) fn tier(self) -> Tier {
        match self {
            Way::Namespaces | Way::Bubblewrap => Tier::Full,
            Way::Landlock => Tier::Reduced,
            Way::Nothing => Tier::None,
        }
    }

    /// The names of what holds the program, in the order it is applied.
    fn layers(self, network: &Network) -> Vec<&'static str> {
        let mut layers = vec!["process_tree", "rlimits", "no_new_privs"];
        if self.tier() == Tier::Full {
            layers.extend((self == Way::Bubblewrap).then_some("bubblewrap"));
            layers.extend(["userns", "pidns", "ipcns", "utsns", "cgroupns"]);
            layers.extend((*network != Network::On).then_some("netns"));
            layers.extend(["mounts", "masks", "protected"]);
        }
        if self.tier() != Tier::None {
            layers.extend(["capabilities", "landlock", "seccomp"]);
        }
        layers
    }
}

/// What runs, and what we hold of it.
pub(super) struct Running {
    tier: Tier,
    layers: Vec<&'static str>,
    /// Our child: the program itself, or the process with whose end all in its namespace end.
    child: i32,
    report: OwnedFd,
    /// The kernel asks here before a call that wants a lot at once.
    asks: Option<OwnedFd>,
    /// Listens inside, for the proxy.
    proxy: Option<OwnedFd>,
}

/// Starts the program in the best way that is to be had, or says why none that would do is.
fn start(received: &Received, found: &OnceCell<Inventory>) -> Result<Running, Record> {
    let without = Without::from_environment();
    let profile = &received.plan.profile;
    let mut missing = Vec::new();
    for way in Way::ALL
        .into_iter()
        .filter(|way| way.tier() >= profile.require)
    {
        match attempt(way, received, found, &without) {
            Ok(running) => return Ok(running),
            Err(failure) => match failure.missing() {
                Some(layer) => missing.push(layer),
                None => return Err(failed(failure)),
            },
        }
    }
    // Not good enough for this task, but what could be had is part of the answer.
    let reduced = profile.require == Tier::Full && reduced::possible(profile, &without);
    let tier = if reduced { Tier::Reduced } else { Tier::None };
    Err(Record::Unavailable { tier, missing })
}

fn failed(failure: Failure) -> Record {
    match failure.step {
        program::EXECUTE => Record::NotExecuted {
            errno: failure.errno,
        },
        step => Record::Failed {
            step: step.into(),
            errno: failure.errno,
        },
    }
}

/// Starts the program in this way, or says which step failed; nothing is left of a failed attempt.
///
/// `found` is what stood in the workspace before, and is filled before the program runs.
pub(super) fn attempt(
    way: Way,
    received: &Received,
    found: &OnceCell<Inventory>,
    without: &Without,
) -> Result<Running, Failure> {
    let profile = &received.plan.profile;
    let look = || match profile.writable {
        true => Inventory::before(&profile.workspace),
        // What cannot be written cannot be changed.
        false => Inventory::default(),
    };
    let protected = || found.get_or_init(look).protected(profile.git_writes);
    // Our own view is built meanwhile; the other ways begin with the program.
    if way != Way::Namespaces {
        found.get_or_init(look);
    }
    let (report, theirs) = report::pair()?;
    let child = match way {
        Way::Namespaces => namespaces::start(received, protected, &theirs, without)?,
        Way::Bubblewrap => bubblewrap::start(received, &protected(), &theirs, without)?,
        Way::Landlock => reduced::start(received, &theirs, without)?,
        Way::Nothing => {
            let cwd = || received.cwd.try_clone().step("working directory");
            program::start(&received.plan, received.group.as_ref(), cwd)?.executed()?
        }
    };
    drop(theirs);
    let layers = way.layers(&profile.network);
    let mut running = Running {
        tier: way.tier(),
        layers,
        child,
        report,
        asks: None,
        proxy: None,
    };
    match way.tier() {
        Tier::Full => wait_for_start(&mut running)?,
        // Sent before the program was executed, if at all.
        Tier::Reduced => {
            if let Some(Report::Asks(descriptor)) = report::receive(&running.report, false) {
                running.asks = Some(descriptor);
            }
        }
        Tier::None => {}
    }
    Ok(running)
}

/// Waits until the inside says that the program runs; keeps what it sends before.
fn wait_for_start(running: &mut Running) -> Result<(), Failure> {
    let failure = loop {
        match report::receive(&running.report, true) {
            Some(Report::Started) => return Ok(()),
            Some(Report::Asks(descriptor)) => running.asks = Some(descriptor),
            Some(Report::Proxy(descriptor)) => running.proxy = Some(descriptor),
            Some(Report::Failed(failure)) => break failure,
            Some(Report::Ended { .. }) | None if running.layers.contains(&"bubblewrap") => {
                break Failure {
                    step: "bubblewrap/it could not build the view",
                    errno: 0,
                };
            }
            Some(Report::Ended { .. }) | None => {
                break Failure {
                    step: "userns/its first process died",
                    errno: 0,
                };
            }
        }
    };
    // It ends by itself; nothing of it may be there when the next way is tried.
    while !matches!(sys::reap(true), sys::Reaped::NoChildren) {}
    Err(failure)
}

struct Supervisor {
    control: OwnedFd,
    received: Received,
    signals: OwnedFd,
    inventory: Inventory,
    running: Running,
    /// The control group of the tree, where one is to be had.
    group: Option<Cgroup>,
    child_reaped: bool,
    /// What came through the control socket and is not a whole line yet.
    line: Vec<u8>,
    started_at: Instant,
    /// How the program ended, and when.
    ended: Option<(i32, Instant)>,
    /// Bytes sent to disks by what has ended in a namespace whose first process may not be reaped yet.
    written_inside: u64,
    kill_at: Option<Instant>,
    limits_hit: Vec<Limit>,
    watch: Watch,
}

impl Supervisor {
    fn new(
        control: OwnedFd,
        received: Received,
        inventory: Inventory,
        signals: OwnedFd,
        mut running: Running,
        group: Option<Cgroup>,
        watch: Watch,
    ) -> Self {
        let started_at = Instant::now();
        let layers = running
            .layers
            .iter()
            .copied()
            .chain(group.is_some().then_some("cgroup"))
            .map(String::from)
            .collect();
        // Whoever runs as the same user could else read our memory or take our descriptors. Only now, because a process
        // that is like this cannot write the map of a user namespace.
        let protected =
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).step("dumpable");
        // So that it gets its turn among hundreds that never rest; only root may, and only root is exempt from the kernel's
        // own limit on their number.
        let _ = rustix::process::setpriority_process(None, HIGHEST_PRIORITY);
        match protected.and_then(|()| let_go_of_output()) {
            Ok(()) => {
                let record = Record::Started {
                    tier: running.tier,
                    layers,
                };
                tell::record(&control, &record, running.proxy.take());
            }
            Err(failure) => tell::record(&control, &failed(failure), None),
        }
        Self {
            control,
            received,
            signals,
            inventory,
            running,
            group,
            child_reaped: false,
            line: Vec::new(),
            started_at,
            ended: None,
            written_inside: 0,
            kill_at: None,
            limits_hit: Vec::new(),
            watch,
        }
    }

    fn supervise(mut self) {
        let nothing_left = loop {
            let nothing_left = self.reap();
            let now = Instant::now();
            if nothing_left || self.kill_at.is_some_and(|at| at <= now) {
                break nothing_left;
            }
            let next_look = self.watch.next_at();
            self.wait_until(self.kill_at.map_or(next_look, |at| at.min(next_look)));
            while let Some(signal) = sys::next_signal(&self.signals) {
                if signal != libc::SIGCHLD {
                    self.stop(Duration::ZERO);
                }
            }
            self.answer();
            self.obey();
            if self.watch.is_due(&self.received.plan.profile) {
                self.look();
            }
        };
        if !nothing_left {
            self.end_tree();
        }
        // A program that is not reaped by now hangs in the kernel with a kill pending.
        let (status, ended_at) = self.ended.unwrap_or((libc::SIGKILL, Instant::now()));
        let duration_ms = ended_at
            .duration_since(self.started_at)
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX);
        let created_executable_config = self
            .inventory
            .changed_since(&self.received.plan.profile.workspace);
        self.look_back(status);
        let limits_hit = self.limits_hit;
        let record = Record::Exited {
            returncode: returncode(status),
            duration_ms,
            limits_hit,
            created_executable_config,
        };
        tell::record(&self.control, &record, None);
        // What is still to be reaped is ours and ending; taking a namespace down takes longer than the answer should.
        while nothing_left && !matches!(sys::reap(true), sys::Reaped::NoChildren) {}
    }

    /// Kills whatever is left. For a namespace the death of its first process is the death of all, before it is reaped.
    fn end_tree(&mut self) {
        if let Some(group) = &self.group {
            group.kill();
        }
        if !self.child_reaped {
            match self.running.tier {
                Tier::Full => tree::kill_child(self.running.child),
                // It leads a session. A tree that grows is not looked at before what is easily found is gone.
                Tier::Reduced | Tier::None => tree::kill_group(self.running.child),
            }
        }
        tree::sweep(|| self.reap());
    }

    fn wait_until(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let (control, report) = (&self.control, &self.running.report);
        let heard = [control, &self.signals]
            .into_iter()
            .chain(self.running.asks.as_ref());
        let mut waiting: Vec<PollFd<'_>> = heard
            .map(|descriptor| PollFd::new(descriptor, PollFlags::IN))
            .collect();
        // Once everyone inside is gone it would be ready for ever; the end of the child is a signal anyway.
        if self.running.tier == Tier::Full && self.ended.is_none() {
            waiting.push(PollFd::new(report, PollFlags::IN));
        }
        // An interrupted wait is a short wait.
        let _ = rustix::event::poll(&mut waiting, Some(&timeout));
    }

    /// Takes note of everything that ended; says whether nothing is left.
    fn reap(&mut self) -> bool {
        let mut nothing_left = loop {
            match sys::reap(false) {
                sys::Reaped::Ended { pid, status } if pid == self.running.child => {
                    self.child_reaped = true;
                    if self.running.tier != Tier::Full {
                        self.ended.get_or_insert((status, Instant::now()));
                    }
                }
                sys::Reaped::Ended { .. } => {}
                sys::Reaped::AllRunning => break false,
                sys::Reaped::NoChildren => break true,
            }
        };
        // After the reaping: the first process of a namespace says how the program ended before it ends itself.
        while let Some(report) = report::receive(&self.running.report, false) {
            if let Report::Ended {
                status,
                last,
                written_bytes,
            } = report
            {
                self.ended.get_or_insert((status, Instant::now()));
                self.written_inside = written_bytes;
                // Only our own process is left inside, on its way out.
                nothing_left |= last;
            }
        }
        if let Some((_, at)) = self.ended
            && self
                .kill_at
                .is_none_or(|kill_at| kill_at > at + AFTER_PROGRAM)
        {
            self.kill_by(at + AFTER_PROGRAM);
            // What is left now tells why a program gave up.
            if self.watch.is_crowded(&self.received.plan.profile) {
                self.look();
            }
        }
        nothing_left
    }

    /// Lets a call that wants a lot go on, to be refused by the kernel's own limit; that it was made is what we want to know.
    fn answer(&mut self) {
        let Some(listener) = &self.running.asks else {
            return;
        };
        let mut waiting = [PollFd::new(listener, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if !rustix::event::poll(&mut waiting, Some(&now)).is_ok_and(|n| n > 0) {
            return;
        }
        let heard = waiting[0].revents();
        let question = heard
            .contains(PollFlags::IN)
            .then(|| sys::next_question(listener));
        let question = question.flatten();
        let limit = question.as_ref().and_then(asked::limit_of);
        if let Some(question) = question {
            sys::let_call_go_on(listener, &question);
        }
        if heard.contains(PollFlags::HUP) {
            self.running.asks = None;
        }
        if let Some(limit) = limit {
            self.hit(limit);
        }
    }

    /// Looks at what the tree uses, and ends it when that is too much.
    fn look(&mut self) {
        let spared = (self.running.tier == Tier::Full).then_some(self.running.child);
        for limit in self.watch.look(&self.received.plan.profile, spared) {
            self.hit(limit);
            // The kernel has dealt with whoever wrote that file; the rest may go on.
            if limit != Limit::FileSizeLimit {
                self.kill_by(Instant::now());
            }
        }
    }

    /// Reads off the end what no look in between has seen: the signals of limits that the kernel enforces, and the files.
    fn look_back(&mut self, status: i32) {
        // A shell passes on the signal that ended its last command as 128 + n.
        let ended_by = |signal: i32| [-signal, 128 + signal].contains(&returncode(status));
        if ended_by(libc::SIGXFSZ) {
            self.hit(Limit::FileSizeLimit);
        }
        if ended_by(libc::SIGXCPU) {
            self.hit(Limit::CpuLimit);
        }
        for limit in self
            .group
            .iter()
            .flat_map(Cgroup::limits_hit)
            .collect::<Vec<_>>()
        {
            self.hit(limit);
        }
        for limit in self
            .watch
            .look_back_at_disk(&self.received.plan.profile, self.written_inside)
        {
            self.hit(limit);
        }
    }

    fn hit(&mut self, limit: Limit) {
        if !self.limits_hit.contains(&limit) {
            self.limits_hit.push(limit);
        }
    }

    /// Reads what the control socket says. A closed one means that nobody is interested any more.
    fn obey(&mut self) {
        let mut bytes = [0; 256];
        loop {
            match rustix::net::recv(&self.control, &mut bytes, rustix::net::RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return self.kill_by(Instant::now()),
                Ok((_, n)) => self.line.extend_from_slice(&bytes[..n]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => return self.kill_by(Instant::now()),
            }
            while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.line.drain(..=end).collect();
                let millis = std::str::from_utf8(&line)
                    .ok()
                    .and_then(|line| line.trim().strip_prefix("stop ")?.parse().ok());
                self.stop(Duration::from_millis(millis.unwrap_or_default()));
            }
        }
    }

    fn stop(&mut self, grace: Duration) {
        if !grace.is_zero() {
            // The first process of a namespace has no handler and would not hear it.
            let spared = (self.running.tier == Tier::Full).then_some(self.running.child);
            tree::terminate(rustix::process::getpid().as_raw_nonzero().get(), spared);
        }
        self.kill_by(Instant::now() + grace.min(NEVER));
    }

    fn kill_by(&mut self, at: Instant) {
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// The exit code of a wait status, or −n for signal n.
fn returncode(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) {
        -libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    }
}
