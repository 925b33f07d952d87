//! The supervisor: the helper's own process while a program runs.
//!
//! Owns the control socket and the tree. Waits on the socket, on signals and on its clock. It ends when nothing of the
//! tree is left, and it leaves nothing behind: it is the subreaper of everything the program starts.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::process::DumpableBehavior;

use super::{Failure, Received, Step, program, sys};
use crate::plan::Record;
use crate::support::{Missing, Tier};
use crate::tree;

/// What processes that outlive the program get before they are killed: time for a pipe's last reader to finish.
const AFTER_PROGRAM: Duration = Duration::from_millis(500);

/// A clock that says "not yet" for ever.
const NEVER: Duration = Duration::from_secs(3600);

/// Starts the program and stays until its tree is gone. Returns the helper's exit code.
pub(super) fn run(received: Received) -> i32 {
    match start(received) {
        Ok(supervisor) => {
            supervisor.supervise();
            0
        }
        Err((control, record)) => {
            tell(&control, &record);
            1
        }
    }
}

struct Supervisor {
    control: OwnedFd,
    signals: OwnedFd,
    /// What came through the control socket and is not a whole line yet.
    line: Vec<u8>,
    program: i32,
    started_at: Instant,
    /// How the program ended, and when.
    ended: Option<(i32, Instant)>,
    kill_at: Option<Instant>,
}

fn start(received: Received) -> Result<Supervisor, (OwnedFd, Record)> {
    let Received {
        plan,
        control,
        workspace,
        cwd,
        stdin,
    } = received;
    drop(workspace);
    if plan.profile.require > Tier::None {
        let missing = vec![Missing {
            layer: "namespaces".into(),
            step: "not built yet".into(),
            errno: 0,
        }];
        return Err((
            control,
            Record::Unavailable {
                tier: Tier::None,
                missing,
            },
        ));
    }
    let prepared = prepare(stdin).and_then(|signals| {
        let program = program::start(&plan, cwd, || Ok(()))?;
        let_go_of_output().map(|()| (signals, program))
    });
    match prepared {
        Ok((signals, program)) => {
            let layers = vec![
                "process_tree".into(),
                "rlimits".into(),
                "no_new_privs".into(),
            ];
            tell(
                &control,
                &Record::Started {
                    tier: Tier::None,
                    layers,
                },
            );
            let started_at = Instant::now();
            Ok(Supervisor {
                control,
                signals,
                line: Vec::new(),
                program,
                started_at,
                ended: None,
                kill_at: None,
            })
        }
        Err(Failure {
            step: program::EXECUTE,
            errno,
        }) => Err((control, Record::NotExecuted { errno })),
        Err(Failure { step, errno }) => Err((
            control,
            Record::Failed {
                step: step.into(),
                errno,
            },
        )),
    }
}

/// Makes this process fit to supervise, and its standard input what the program shall read.
fn prepare(stdin: Option<OwnedFd>) -> Result<OwnedFd, Failure> {
    rustix::process::setsid().step("setsid")?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).step("subreaper")?;
    // Whoever runs as the same user could else read our memory or take our descriptors.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).step("dumpable")?;
    let stdin = match stdin {
        Some(stdin) => stdin,
        None => open_null(OFlags::RDONLY).step("stdin")?,
    };
    sys::replace_standard(stdin.as_fd(), 0).step("stdin")?;
    sys::signal_descriptor(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP])
        .step("signals")
}

/// Closes our copies of the output pipes, so that they end when the tree does, and of the program's input.
fn let_go_of_output() -> Result<(), Failure> {
    let null = open_null(OFlags::RDWR).step("output")?;
    (0..=2)
        .try_for_each(|standard| sys::replace_standard(null.as_fd(), standard))
        .step("output")
}

fn open_null(flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open("/dev/null", flags | OFlags::CLOEXEC, Mode::empty())
}

impl Supervisor {
    fn supervise(mut self) {
        loop {
            let nothing_left = self.reap();
            let now = Instant::now();
            if nothing_left || self.kill_at.is_some_and(|at| at <= now) {
                break;
            }
            self.wait_until(self.kill_at.map_or(now + NEVER, |at| at.min(now + NEVER)));
            while let Some(signal) = sys::next_signal(&self.signals) {
                if signal != libc::SIGCHLD {
                    self.stop(Duration::ZERO);
                }
            }
            self.obey();
        }
        let mut ended = self.ended;
        let program = self.program;
        tree::sweep(|| reap_all(program, &mut ended));
        // A program that is not reaped by now hangs in the kernel with a kill pending.
        let (status, ended_at) = ended.unwrap_or((libc::SIGKILL, Instant::now()));
        let duration_ms = ended_at
            .duration_since(self.started_at)
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX);
        let record = Record::Exited {
            returncode: returncode(status),
            duration_ms,
            limits_hit: Vec::new(),
            created_executable_config: Vec::new(),
        };
        tell(&self.control, &record);
    }

    fn wait_until(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut waiting = [
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        // An interrupted wait is a short wait.
        let _ = rustix::event::poll(&mut waiting, Some(&timeout));
    }

    /// Takes note of everything that ended; says whether nothing is left.
    fn reap(&mut self) -> bool {
        let program = self.program;
        let nothing_left = reap_all(program, &mut self.ended);
        if let Some((_, at)) = self.ended {
            self.kill_by(at + AFTER_PROGRAM);
        }
        nothing_left
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
            tree::terminate(rustix::process::getpid().as_raw_nonzero().get(), None);
        }
        self.kill_by(Instant::now() + grace.min(NEVER));
    }

    fn kill_by(&mut self, at: Instant) {
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Reaps what has ended, remembers how the program did, and says whether there is no child any more.
fn reap_all(program: i32, ended: &mut Option<(i32, Instant)>) -> bool {
    loop {
        match sys::reap(false) {
            sys::Reaped::Ended { pid, status } if pid == program => {
                *ended = Some((status, Instant::now()))
            }
            sys::Reaped::Ended { .. } => {}
            sys::Reaped::AllRunning => return false,
            sys::Reaped::NoChildren => return true,
        }
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

/// Sends a record. When nobody hears it any more, the closed socket has ended or will end everything.
fn tell(control: &OwnedFd, record: &Record) {
    let Ok(mut line) = serde_json::to_vec(record) else {
        return;
    };
    line.push(b'\n');
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        match rustix::net::send(control, rest, rustix::net::SendFlags::NOSIGNAL) {
            Ok(n) => rest = &rest[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
