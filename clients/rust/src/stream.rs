//! A connected socket, TCP or Unix: vectored sends that never wait, receives that wait or do not. Knows no frame.
//!
//! The socket itself stays blocking, so that a receive with nothing else to do is one system call; what must not wait says
//! so call by call.

use crate::address::Address;
use crate::options::Options;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The send buffer that is asked of the system on Unix sockets: with the default, large requests are 1.3 times slower.
/// The system grants what `net.core.wmem_max` allows.
const UNIX_SEND_BUFFER_BYTES: usize = 1 << 20;

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: OwnedFd,
    write_timeout: Option<Duration>,
}

impl Stream {
    pub(crate) fn connect(address: &Address, options: &Options) -> io::Result<Stream> {
        let timeout = at_least_a_millisecond(options.connect_timeout);
        let socket = match address {
            Address::Tcp(host) => connect_tcp(host, timeout, options.congestion.as_deref())?,
            Address::Unix(path) => connect_unix(path, timeout)?,
        };
        let read_timeout = options.read_timeout.map(at_least_a_millisecond);
        sockopt::set_socket_timeout(&socket, Timeout::Recv, read_timeout)?;
        Ok(Stream { socket, write_timeout: options.write_timeout.map(at_least_a_millisecond) })
    }

    /// Sends what the socket takes at once; `WouldBlock` if that is nothing.
    pub(crate) fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = retry(|| net::sendmsg(&self.socket, parts, &mut SendAncillaryBuffer::default(), flags))?;
        Ok(sent)
    }

    /// Receives what is there. If nothing is, waits for as long as the read timeout says, or not at all; `WouldBlock` if
    /// there is still nothing. 0 means that the server will send no more.
    pub(crate) fn receive(&self, parts: &mut [IoSliceMut<'_>], wait: bool) -> io::Result<usize> {
        let flags = if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        let received = retry(|| net::recvmsg(&self.socket, parts, &mut RecvAncillaryBuffer::default(), flags))?;
        Ok(received.bytes)
    }

    /// Waits until the socket takes or has bytes, or for as long as the write timeout says. Returns whether it has some
    /// (or an end, or an error, which a receive will tell); `None` if the time is over.
    pub(crate) fn wait_to_send(&self) -> io::Result<Option<bool>> {
        let timeout = self.write_timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::OUT)];
        if retry(|| poll(&mut sockets, timeout.as_ref()))? == 0 {
            return Ok(None);
        }
        Ok(Some(sockets[0].revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Tries all addresses of a host in turn; the last one's error is the one to tell.
fn connect_tcp(host: &str, timeout: Duration, congestion: Option<&str>) -> io::Result<OwnedFd> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    for address in host.to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, timeout);
        if outcome.is_ok() {
            break;
        }
    }
    let socket = OwnedFd::from(outcome?);
    // A request is written as one piece; waiting for more of it to come would only delay its end.
    sockopt::set_tcp_nodelay(&socket, true)?;
    if let Some(name) = congestion {
        sockopt::set_tcp_congestion(&socket, name)?;
    }
    Ok(socket)
}

fn connect_unix(path: &Path, timeout: Duration) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let flags = net::SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, net::SocketType::STREAM, flags, None)?;
    // Connecting waits only where the server's queue is full, and there the timeout of sends applies.
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(timeout))?;
    sockopt::set_socket_send_buffer_size(&socket, UNIX_SEND_BUFFER_BYTES)?;
    match retry(|| net::connect(&socket, &address)) {
        Err(Errno::AGAIN) => Err(io::ErrorKind::TimedOut.into()),
        outcome => Ok(outcome.map(|()| socket)?),
    }
}

/// A signal handler of the program may interrupt any call; it is no business of the caller's.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

/// To the system, a timeout of zero means none.
fn at_least_a_millisecond(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}
