//! The helper on Linux: takes the plan, confines, starts the program, and stays until nothing of it is left.

mod program;
mod supervisor;
mod sys;

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::plan::{GREETING, Plan};

/// The whole program of the helper executable.
pub(crate) fn helper_main() -> ! {
    // Nothing the starting process had open may reach the program; what the plan needs comes through the socket.
    let closed = sys::close_from(3);
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let code = match arguments.first().and_then(|argument| argument.to_str()) {
        Some("--probe") => probe(),
        Some(_) => explain(),
        None => match (closed, receive_plan()) {
            (Ok(()), Some(received)) => supervisor::run(received),
            _ => explain(),
        },
    };
    sys::exit_now(code)
}

/// Exit code of a helper that was not started by the agent, as in sysexits.h.
const EX_USAGE: i32 = 64;

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
fn probe() -> i32 {
    let support = crate::Support {
        tier: crate::Tier::None,
        layers: Vec::new(),
    };
    match serde_json::to_string(&support) {
        Ok(text) => println!("{text}"),
        Err(_) => return 70,
    }
    0
}

/// The plan and what came beside it.
struct Received {
    plan: Plan,
    /// The socket to whoever started us; when it closes, everything ends.
    control: OwnedFd,
    /// The workspace and the working directory, opened before anything could be swapped.
    workspace: OwnedFd,
    cwd: OwnedFd,
    stdin: Option<OwnedFd>,
}

/// Takes the plan from the socket that is our standard input. Nothing there, or nothing of ours: nothing.
fn receive_plan() -> Option<Received> {
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
    let plan = (greeting == GREETING)
        .then(|| serde_json::from_reader(std::fs::File::from(plan)).ok())??;
    Some(Received {
        plan,
        control,
        workspace,
        cwd,
        stdin: stdin_file,
    })
}

/// A step that failed.
#[derive(Debug)]
struct Failure {
    step: &'static str,
    errno: i32,
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
