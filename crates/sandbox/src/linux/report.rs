//! What the inner processes of the helper tell the supervisor, over a socket pair that keeps messages apart.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use super::{Failure, Step};

/// Longest message; step names are short constants.
const MESSAGE_BYTES: usize = 256;

/// One message.
#[derive(Debug)]
pub(super) enum Report {
    /// A step failed; nothing was executed.
    Failed(Failure),
    /// The program runs.
    Started,
    /// The program ended with this wait status; when `last`, it was the last of the tree. What has ended inside has sent so
    /// many bytes to disks: of its first process, which is not to be looked into, only itself can tell.
    Ended {
        status: i32,
        last: bool,
        written_bytes: u64,
    },
    /// The filter's descriptor, on which the kernel asks about what is large.
    Asks(OwnedFd),
    /// A socket that listens inside, for the proxy to answer.
    Proxy(OwnedFd),
}

/// Makes the two ends: ours, and the one for the inner processes.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), Failure> {
    rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .step("report")
}

/// Sends a message; should the supervisor be gone, so is the sender soon.
pub(super) fn send(to: &OwnedFd, report: &Report) {
    let (text, descriptor) = match report {
        Report::Failed(Failure { step, errno }) => (format!("failed {errno} {step}"), None),
        Report::Started => ("started".into(), None),
        Report::Ended {
            status,
            last,
            written_bytes,
        } => (format!("ended {status} {last} {written_bytes}"), None),
        Report::Asks(descriptor) => ("asks".into(), Some(descriptor)),
        Report::Proxy(descriptor) => ("proxy".into(), Some(descriptor)),
    };
    let descriptors: Vec<BorrowedFd<'_>> = descriptor
        .iter()
        .map(|descriptor| descriptor.as_fd())
        .collect();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let _ = rustix::net::sendmsg(
        to,
        &[IoSlice::new(text.as_bytes())],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    );
}

/// Returns the next message; nothing when there is none now, or when the other end is closed and `wait` was set.
pub(super) fn receive(from: &OwnedFd, wait: bool) -> Option<Report> {
    let mut text = [0; MESSAGE_BYTES];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC
        | if wait {
            RecvFlags::empty()
        } else {
            RecvFlags::DONTWAIT
        };
    let received = loop {
        match rustix::net::recvmsg(
            from,
            &mut [IoSliceMut::new(&mut text)],
            &mut ancillary,
            flags,
        ) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received.ok()?,
        }
    };
    let mut descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    let text = std::str::from_utf8(text.get(..received.bytes)?).ok()?;
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "failed" => {
            let (errno, step) = rest.split_once(' ')?;
            Some(Report::Failed(Failure::from_words(errno, step)))
        }
        "started" => Some(Report::Started),
        "ended" => {
            let mut words = rest.split(' ');
            Some(Report::Ended {
                status: words.next()?.parse().ok()?,
                last: words.next()? == "true",
                written_bytes: words.next()?.parse().ok()?,
            })
        }
        "asks" => Some(Report::Asks(descriptor.take()?)),
        "proxy" => Some(Report::Proxy(descriptor.take()?)),
        _ => None,
    }
}
