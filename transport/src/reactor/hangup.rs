//! Whether the peer of a socket is there at all: what the end of its stream alone does not tell.
//!
//! A TCP peer that has closed its socket looks like one that only sends no more, until something is sent to it: it gets
//! its replies, or the answer to them is a reset. A peer that has reset the connection, and one of a Unix socket that
//! has closed it, have hung up.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;

/// Whether nothing that is sent to the peer can reach it any more.
pub(super) fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    // Both are told without being asked for.
    const GONE: PollFlags = PollFlags::HUP.union(PollFlags::ERR);
    let mut sockets = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    let answered = poll(&mut sockets, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    answered.is_ok() && sockets[0].revents().intersects(GONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn tcp_pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, client)
    }

    /// Reads up to the end or to the error that says that there is none.
    fn read_to_end(mut stream: impl Read) {
        let _ = stream.read_to_end(&mut Vec::new());
    }

    #[test]
    fn a_unix_peer_that_ends_its_side_has_not_hung_up_and_one_that_closes_has() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert!(!has_hung_up(ours.as_fd()));
        theirs.write_all(b"x").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        read_to_end(&ours);
        assert!(!has_hung_up(ours.as_fd()));
        drop(theirs);
        assert!(has_hung_up(ours.as_fd()));
    }

    #[test]
    fn a_tcp_peer_that_ends_its_side_has_not_hung_up_and_one_that_resets_has() {
        let (ours, theirs) = tcp_pair();
        assert!(!has_hung_up(ours.as_fd()));
        theirs.shutdown(Shutdown::Write).unwrap();
        read_to_end(&ours);
        assert!(!has_hung_up(ours.as_fd()));
        let (ours, theirs) = tcp_pair();
        rustix::net::sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).unwrap();
        drop(theirs);
        read_to_end(&ours);
        assert!(has_hung_up(ours.as_fd()));
    }
}
