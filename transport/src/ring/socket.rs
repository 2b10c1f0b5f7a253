//! What the kernel knows of a socket: what it still holds of its stream, and where that leads. The former is the one
//! system call of this crate that is made by hand and is no operation of the ring.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes that were sent and that the peer's side has not taken: unacknowledged (TCP) or unread (Unix sockets).
pub fn unsent_bytes(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (which sockets call SIOCOUTQ) writes one int, to which the pointer is good for the call; the
    // descriptor is open for as long as it is borrowed.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u32::try_from(bytes).ok() } else { None }
}

/// Whether a socket is one of TCP whose peer is on another machine. Who connects to an address of the same machine
/// comes from that address, unless he chooses another one. Containers and virtual machines are other machines here.
pub fn is_to_another_machine(socket: BorrowedFd<'_>) -> bool {
    let ours = rustix::net::getsockname(socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
    let theirs = rustix::net::getpeername(socket).ok().flatten().and_then(|address| SocketAddr::try_from(address).ok());
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => machine(ours) != machine(theirs),
        _ => false,
    }
}

fn machine(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketType};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
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

    /// Two ends of a connection from one address of the loopback interface to another.
    fn ends(from: &str, to: &str) -> [TcpStream; 2] {
        let listener = TcpListener::bind((to, 0)).unwrap();
        let from: SocketAddr = format!("{from}:0").parse().unwrap();
        let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let client = rustix::net::socket(family, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&client, &from).unwrap();
        rustix::net::connect(&client, &listener.local_addr().unwrap()).unwrap();
        [listener.accept().unwrap().0, client.into()]
    }

    #[test]
    fn two_ends_with_one_address_are_on_one_machine() {
        for address in ["127.0.0.1", "127.0.0.3"] {
            assert!(ends(address, address).iter().all(|end| !is_to_another_machine(end.as_fd())));
        }
        assert!(ends("127.0.0.2", "127.0.0.1").iter().all(|end| is_to_another_machine(end.as_fd())));
    }

    #[test]
    fn a_unix_socket_never_leaves_the_machine() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(!is_to_another_machine(ours.as_fd()) && !is_to_another_machine(theirs.as_fd()));
    }

    #[test]
    fn both_ways_of_writing_an_address_mean_the_same_machine() {
        let machine = |text: &str| machine(text.parse().unwrap());
        assert_eq!(machine("[::ffff:10.0.0.1]:80"), machine("10.0.0.1:90"));
        assert_ne!(machine("[::1]:80"), machine("127.0.0.1:80"));
    }

    #[test]
    fn a_descriptor_that_is_no_socket_has_no_answer() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(unsent_bytes(file.as_fd()), None);
        assert!(!is_to_another_machine(file.as_fd()));
    }
}
