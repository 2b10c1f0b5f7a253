//! Sockets: connecting without waiting, sending several pieces at once, receiving.

use crate::target::Endpoint;
use rustix::io::{Errno, ioctl_fionbio, retry_on_intr};
use rustix::net::sockopt::Timeout;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    sendmsg, socket_with, sockopt,
};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The send buffer that is asked for on Unix sockets: with the default, large requests wait for the server too often.
/// The system grants what `net.core.wmem_max` allows.
const UNIX_SEND_BUFFER_BYTES: usize = 1 << 20;

/// Begins to connect. Returns whether that is done already; if not, the socket becomes writable when it is, and
/// [`outcome`] says how it went.
pub fn begin(endpoint: &Endpoint, congestion: Option<&str>) -> io::Result<(OwnedFd, bool)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, outcome) = match endpoint {
        Endpoint::Tcp(address) => {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = socket_with(family, SocketType::STREAM, flags, None)?;
            sockopt::set_tcp_nodelay(&socket, true)?;
            if let Some(name) = congestion {
                sockopt::set_tcp_congestion(&socket, name)?;
            }
            let outcome = retry_on_intr(|| connect(&socket, address));
            (socket, outcome)
        }
        Endpoint::Unix(path) => {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            sockopt::set_socket_send_buffer_size(&socket, UNIX_SEND_BUFFER_BYTES)?;
            let address = SocketAddrUnix::new(path.as_path())?;
            let outcome = retry_on_intr(|| connect(&socket, &address));
            (socket, outcome)
        }
    };
    match outcome {
        Ok(()) => Ok((socket, true)),
        Err(Errno::INPROGRESS) => Ok((socket, false)),
        Err(error) => Err(error.into()),
    }
}

/// How connecting went, once the socket is writable. If it went well, receives that are told to wait do so from now on,
/// for `patience` at most.
pub fn outcome(socket: &OwnedFd, patience: Duration) -> io::Result<()> {
    sockopt::socket_error(socket)??;
    ioctl_fionbio(socket, false)?;
    Ok(sockopt::set_socket_timeout(socket, Timeout::Recv, Some(patience))?)
}

/// Sends what the socket takes at once; `WouldBlock` if that is nothing.
pub fn send(socket: &OwnedFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(retry_on_intr(|| sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), flags))?)
}

/// Receives what is there, or waits until something is; 0 = the peer will send no more, `WouldBlock` = nothing is there.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
    let flags = if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let (_, bytes) = retry_on_intr(|| recv(socket, &mut *buffer, flags))?;
    Ok(bytes)
}
