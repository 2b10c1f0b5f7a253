//! What the kernel still holds of a socket's stream. The one system call of this crate that is not an operation of the
//! ring.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes that were sent and that the peer's side has not taken: unacknowledged (TCP) or unread (Unix sockets).
pub fn unsent_bytes(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (which sockets call SIOCOUTQ) writes one int, to which the pointer is good for the call; the
    // descriptor is open for as long as it is borrowed.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u32::try_from(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_the_peer_has_not_read_is_counted() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(unsent_bytes(ours.as_fd()), Some(0));
        ours.write_all(&[7; 1000]).unwrap();
        assert!(unsent_bytes(ours.as_fd()).unwrap() >= 1000);
        theirs.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(unsent_bytes(ours.as_fd()), Some(0));
    }

    #[test]
    fn a_descriptor_that_is_no_socket_has_no_answer() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(unsent_bytes(file.as_fd()), None);
    }
}
