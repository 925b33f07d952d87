//! Records to whoever started the helper.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::plan::Record;

/// Sends a record, and a descriptor with it. When nobody hears it any more, the closed socket has ended or will end
/// everything.
pub(super) fn record(control: &OwnedFd, record: &Record, descriptor: Option<OwnedFd>) {
    let Ok(mut line) = serde_json::to_vec(record) else {
        return;
    };
    line.push(b'\n');
    let mut rest = line.as_slice();
    let mut descriptor = descriptor;
    while !rest.is_empty() {
        let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        match rustix::net::sendmsg(
            control,
            &[IoSlice::new(rest)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        ) {
            Ok(n) => {
                rest = &rest[n..];
                descriptor = None;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
