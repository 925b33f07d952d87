//! The helper on Linux: takes the plan, confines, starts the program, and stays until nothing of it is left.

mod asked;
mod bubblewrap;
mod capabilities;
mod cgroup;
mod landlock;
mod mounts;
mod namespaces;
mod probe;
mod program;
mod reduced;
mod report;
mod seccomp;
mod supervisor;
mod sys;
mod tell;
mod watch;

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::plan::{DISABLE_VARIABLE, GREETING, Plan};
use crate::support::Missing;

/// The whole program of the helper executable.
pub(crate) fn helper_main() -> ! {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    // Nothing the starting process had open may reach the program; what the plan needs comes through the socket. Only the
    // inner stage gets descriptors, and sorts them out itself.
    let closed = if arguments.is_empty() {
        sys::close_from(3)
    } else {
        Ok(())
    };
    let code = match arguments.first().and_then(|argument| argument.to_str()) {
        Some("--probe") => answer_probe(),
        Some(probe::DO_NOTHING) => 0,
        Some(bubblewrap::INNER) => bubblewrap::inner(&arguments[1..]),
        Some(_) => explain(),
        None => match (closed, receive_plan()) {
            (Ok(()), Some((control, received))) => supervisor::run(control, received),
            _ => explain(),
        },
    };
    sys::exit_now(code)
}

/// Exit codes of a helper that was not started by the agent, as in sysexits.h.
const EX_USAGE: i32 = 64;
const EX_SOFTWARE: i32 = 70;

#[expect(clippy::print_stderr, reason = "someone started the helper by hand")]
fn explain() -> i32 {
    eprintln!(
        "deskhand-sandbox {}: confines one task; started by deskhand, not by hand",
        env!("CARGO_PKG_VERSION")
    );
    EX_USAGE
}

#[expect(
    clippy::print_stdout,
    reason = "the answer is what the standard output of a probe is for"
)]
fn answer_probe() -> i32 {
    match serde_json::to_string(&probe::probe()) {
        Ok(text) => println!("{text}"),
        Err(_) => return EX_SOFTWARE,
    }
    0
}

/// The plan and what came beside it.
struct Received {
    plan: Plan,
    /// The memory file the plan came in.
    plan_file: OwnedFd,
    /// The workspace and the working directory, opened before anything could be swapped.
    workspace: OwnedFd,
    cwd: OwnedFd,
    stdin: Option<OwnedFd>,
    /// The control group that the tree is started in, where there is one.
    group: Option<OwnedFd>,
}

/// Takes the plan from the socket that is our standard input. Nothing there, or nothing of ours: nothing.
///
/// The socket comes back too: whoever started us holds the other end, and when it closes everything ends.
fn receive_plan() -> Option<(OwnedFd, Received)> {
    let stdin = std::io::stdin();
    let mut greeting = [0; GREETING.len()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(&mut greeting)];
    rustix::net::recvmsg(
        stdin.as_fd(),
        &mut buffers,
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .ok()?;
    let mut descriptors = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => rights.collect(),
        _ => Vec::new(),
    });
    let (plan, workspace, cwd) = (
        descriptors.next()?,
        descriptors.next()?,
        descriptors.next()?,
    );
    let stdin_file = descriptors.next();
    drop(descriptors);
    let control = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), 3).ok()?;
    let plan_file = plan;
    let plan = (greeting == GREETING).then(|| read_plan(&plan_file).ok())??;
    let received = Received {
        plan,
        plan_file,
        workspace,
        cwd,
        stdin: stdin_file,
        group: None,
    };
    Some((control, received))
}

/// Reads a plan, from the start of its file.
fn read_plan(file: &OwnedFd) -> std::io::Result<Plan> {
    let file = std::fs::File::from(file.try_clone()?);
    let mut bytes = vec![
        0;
        file.metadata()?
            .len()
            .try_into()
            .map_err(std::io::Error::other)?
    ];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0)?;
    serde_json::from_slice(&bytes).map_err(std::io::Error::other)
}

/// A step that failed. One that belongs to a layer is named `layer/step`: then a lower tier may still do.
#[derive(Debug, Clone, Copy)]
struct Failure {
    step: &'static str,
    errno: i32,
}

impl Failure {
    /// Reads a failure that came from another of our processes.
    fn from_words(errno: &str, step: &str) -> Self {
        // A handful of short constants per helper, which then ends; leaking a copy spares everyone a lifetime.
        Self {
            step: String::from(step).leak(),
            errno: errno.parse().unwrap_or(libc::EINVAL),
        }
    }

    /// The layer that is missing because of this, if it is a layer's step.
    fn missing(&self) -> Option<Missing> {
        let (layer, step) = self.step.split_once('/')?;
        Some(Missing {
            layer: layer.into(),
            step: step.into(),
            errno: self.errno,
        })
    }
}

/// The layers that a test takes away: `landlock` as if this machine had none, `skip:landlock` as if it were applied.
struct Without {
    words: Vec<String>,
}

impl Without {
    /// Reads the variable that tests set. Other builds never look.
    fn from_environment() -> Self {
        let words = match cfg!(any(debug_assertions, feature = "testing")) {
            true => std::env::var(DISABLE_VARIABLE).unwrap_or_default(),
            false => String::new(),
        };
        Self {
            words: words
                .split(',')
                .map(|word| word.trim().to_owned())
                .collect(),
        }
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|present| present == word)
    }

    /// Fails when the layer is taken away.
    fn check(&self, layer: &str) -> Result<(), Failure> {
        match self.has(layer) {
            true => Err(Failure::from_words(
                "0",
                &format!("{layer}/taken away by a test"),
            )),
            false => Ok(()),
        }
    }

    /// Says whether to apply the layer, or fails when it is taken away.
    fn applies(&self, layer: &str) -> Result<bool, Failure> {
        self.check(layer).map(|()| !self.skips(layer))
    }

    /// Whether the layer is left out in silence.
    fn skips(&self, layer: &str) -> bool {
        self.has(&format!("skip:{layer}"))
    }
}

/// Names the step an error happened in.
trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, Failure>;
}

impl<T> Step<T> for Result<T, std::io::Error> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            errno: error.raw_os_error().unwrap_or(libc::EINVAL),
        })
    }
}

impl<T> Step<T> for Result<T, rustix::io::Errno> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|errno| Failure {
            step,
            errno: errno.raw_os_error(),
        })
    }
}
