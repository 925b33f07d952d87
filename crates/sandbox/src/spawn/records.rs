//! Records of the helper as they come through its control socket.

use std::io;

/// Longest record the helper may send; more is a broken helper.
const RECORD_BYTES: usize = 1 << 20;

/// What comes through the control socket.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// What is not a whole record yet.
    bytes: Vec<u8>,
    /// The proxy's socket, which comes with the first record.
    pub(super) descriptors: Vec<std::os::fd::OwnedFd>,
}

impl Records {
    /// Returns the next record, or nothing when the helper closed its end. Cancel safe.
    pub(super) async fn next(
        &mut self,
        control: &tokio::net::UnixStream,
    ) -> io::Result<Option<crate::plan::Record>> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(io::Error::other);
            }
            if self.bytes.len() > RECORD_BYTES {
                return Err(io::Error::other("the helper's record is too long"));
            }
            control.readable().await?;
            match control.try_io(tokio::io::Interest::READABLE, || self.receive(control)) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn receive(&mut self, control: &tokio::net::UnixStream) -> io::Result<usize> {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
        let mut bytes = [0; 4096];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffers = [io::IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let n = rustix::net::recvmsg(control, &mut buffers, &mut ancillary, flags)?.bytes;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        self.bytes.extend_from_slice(&bytes[..n]);
        Ok(n)
    }
}
