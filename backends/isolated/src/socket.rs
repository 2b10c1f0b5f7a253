//! Packets with descriptors, over a pair of sockets. The kernel copies each packet whole, wakes who waits for it, and tells
//! when the other process is gone: a packet of no bytes, which nobody sends.

use crate::wire::MESSAGE_BYTES_MAX;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
};
use smallvec::SmallVec;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The most descriptors that come with a packet: an area for inputs and one for outputs.
pub(crate) const DESCRIPTORS_MAX: usize = 2;

/// For how long a process may not take what it is sent. What it has not taken by then are hundreds of packets.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// One end of a pair.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// The descriptors that came with a packet, in their order.
pub(crate) type Descriptors = SmallVec<[OwnedFd; DESCRIPTORS_MAX]>;

/// Where packets are received.
pub(crate) struct Mailbag(Box<[u8]>);

impl Mailbag {
    pub fn new() -> Mailbag {
        Mailbag(vec![0; MESSAGE_BYTES_MAX].into())
    }
}

impl Socket {
    /// Both ends.
    pub fn pair() -> io::Result<(Socket, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&ours, Timeout::Send, Some(SEND_TIMEOUT))?;
        Ok((Socket(ours), theirs))
    }

    /// The end that came from somewhere else.
    pub fn of(descriptor: OwnedFd) -> Socket {
        Socket(descriptor)
    }

    /// Sends a packet.
    pub fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if message.len() > MESSAGE_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a packet. Nothing has come if the other end is gone.
    pub fn receive<'b>(&self, mailbag: &'b mut Mailbag) -> io::Result<(&'b [u8], Descriptors)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut into = [IoSliceMut::new(&mut mailbag.0)];
            match recvmsg(&self.0, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let descriptors: Descriptors = descriptors.flatten().collect();
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let bytes = mailbag.0.get(..received.bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok((bytes, descriptors))
    }

    /// Waits for a packet, or until something can be read from `end` as well: nothing has come then, as if the other end were
    /// gone.
    pub fn receive_until<'b>(
        &self,
        end: Option<BorrowedFd<'_>>,
        mailbag: &'b mut Mailbag,
    ) -> io::Result<(&'b [u8], Descriptors)> {
        if let Some(end) = end {
            let mut both = [PollFd::new(&self.0, PollFlags::IN), PollFd::new(&end, PollFlags::IN)];
            while let Err(error) = poll(&mut both, None) {
                if error != Errno::INTR {
                    return Err(error.into());
                }
            }
            // What was said before the end is heard.
            if both[0].revents().is_empty() {
                return Ok((&[], Descriptors::new()));
            }
        }
        self.receive(mailbag)
    }

    /// Ends it for both sides, also for those who wait.
    pub fn end(&self) {
        // It fails only if the other end is gone already, which is as well.
        let _ = shutdown(&self.0, Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn packets_arrive_whole_with_their_descriptors_and_then_the_end() {
        let (ours, theirs) = Socket::pair().expect("a pair");
        let theirs = Socket::of(theirs);
        let file = std::fs::File::open("/proc/self/stat").expect("Linux");
        let long = vec![7; MESSAGE_BYTES_MAX];
        ours.send(&long, &[file.as_fd(), file.as_fd()]).expect("it fits");
        ours.send(b"short", &[]).expect("it fits");
        drop(ours);
        let mut mailbag = Mailbag::new();
        let (bytes, descriptors) = theirs.receive(&mut mailbag).expect("a packet");
        assert!(bytes == long && descriptors.len() == 2);
        let (bytes, descriptors) = theirs.receive(&mut mailbag).expect("a packet");
        assert!(bytes == b"short" && descriptors.is_empty());
        assert!(theirs.receive(&mut mailbag).expect("the end").0.is_empty());
        assert!(theirs.send(b"to nobody", &[]).is_err());
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        let (ours, _theirs) = Socket::pair().expect("a pair");
        assert!(ours.send(&vec![0; MESSAGE_BYTES_MAX + 1], &[]).is_err());
    }

    #[test]
    fn what_was_said_before_the_end_is_heard() {
        let ((ours, theirs), (end, told)) = (Socket::pair().expect("a pair"), Socket::pair().expect("a pair"));
        let (theirs, mut mailbag) = (Socket::of(theirs), Mailbag::new());
        theirs.send(b"last", &[]).expect("it fits");
        end.end();
        let mut receive = || ours.receive_until(Some(told.as_fd()), &mut mailbag).map(|(bytes, _)| bytes.to_vec()).ok();
        assert_eq!(receive(), Some(b"last".to_vec()));
        assert_eq!(receive(), Some(Vec::new()), "though the other end is there");
        drop(theirs);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_end() {
        let (ours, theirs) = Socket::pair().expect("a pair");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ours.receive(&mut Mailbag::new()).map(|(bytes, _)| bytes.len()).ok());
            Socket::of(theirs).end();
            assert_eq!(waiting.join().expect("no panic"), Some(0));
        });
    }
}
