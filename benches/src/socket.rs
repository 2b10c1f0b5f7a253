//! Bare sockets, used alike by the client of every measurement and by the floors: whole messages in, whole messages out,
//! either asleep in the kernel or polling.

use crate::address::Address;
use anyhow::{Context, Result, bail};
use memmap2::{Advice, MmapMut};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, sockopt};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// How a side waits for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Asleep, until the kernel wakes it.
    Block,
    /// Awake: it asks again and again.
    Spin,
}

/// The congestion control of every sender over TCP. BBR's pacing halves large messages on the loopback interface.
pub const CONGESTION: &str = "cubic";

/// Bytes of one receive or send, the same for all.
const CHUNK_BYTES: usize = 256 << 10;

/// Room for what is sent and not yet taken; less slows large messages on Unix sockets. The kernel takes as much of it as
/// `net.core.wmem_max` allows.
const SEND_BUFFER_BYTES: usize = 1 << 20;

/// Connects to a server.
pub fn connect(address: &Address) -> Result<OwnedFd> {
    let socket = match address {
        Address::Unix(path) => UnixStream::connect(path).map(OwnedFd::from),
        Address::Tcp(address) => TcpStream::connect(address).map(OwnedFd::from),
    };
    let socket = socket.with_context(|| format!("connecting to {address}"))?;
    prepare(&socket, matches!(address, Address::Tcp(_)))?;
    Ok(socket)
}

/// Connects over TCP from an address of one's own.
pub fn connect_from(from: Ipv4Addr, address: &Address) -> Result<OwnedFd> {
    let Address::Tcp(to) = address else { bail!("{address} is not reached over TCP") };
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    net::bind(&socket, &SocketAddrV4::new(from, 0)).with_context(|| format!("binding to {from}"))?;
    net::connect(&socket, to).with_context(|| format!("connecting to {address} from {from}"))?;
    prepare(&socket, true)?;
    Ok(socket)
}

/// Sets the options that both sides of a connection have.
pub fn prepare(socket: &OwnedFd, is_tcp: bool) -> Result<()> {
    sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER_BYTES).context("SO_SNDBUF")?;
    if is_tcp {
        sockopt::set_tcp_nodelay(socket, true).context("TCP_NODELAY")?;
        set_congestion(socket)?;
    }
    Ok(())
}

/// Sets the congestion control of a socket, and of those that a listening one accepts from now on.
pub fn set_congestion(socket: impl AsFd) -> Result<()> {
    sockopt::set_tcp_congestion(socket, CONGESTION).with_context(|| format!("TCP_CONGESTION {CONGESTION}"))
}

/// Receives until `bytes` is full. False: the other side has closed, and nothing of it had come.
pub fn receive(socket: impl AsFd, bytes: &mut [u8], wait: Wait) -> Result<bool> {
    let flags = match wait {
        Wait::Block => RecvFlags::WAITALL,
        Wait::Spin => RecvFlags::DONTWAIT,
    };
    let mut filled = 0;
    while filled < bytes.len() {
        let end = bytes.len().min(filled + CHUNK_BYTES);
        match recv(&socket, &mut bytes[filled..end], flags) {
            Ok((0, _)) if filled == 0 => return Ok(false),
            Ok((0, _)) => anyhow::bail!("closed after {filled} of {} bytes", bytes.len()),
            Ok((received, _)) => filled += received,
            Err(Errno::AGAIN) => std::hint::spin_loop(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("receiving"),
        }
    }
    Ok(true)
}

/// Sends all of `bytes`.
pub fn transmit(socket: impl AsFd, bytes: &[u8], wait: Wait) -> Result<()> {
    let flags = match wait {
        Wait::Block => SendFlags::NOSIGNAL,
        Wait::Spin => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    };
    let mut sent = 0;
    while sent < bytes.len() {
        let end = bytes.len().min(sent + CHUNK_BYTES);
        match send(&socket, &bytes[sent..end], flags) {
            Ok(taken) => sent += taken,
            Err(Errno::AGAIN) => std::hint::spin_loop(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("sending"),
        }
    }
    Ok(())
}

/// Memory that has been touched, in huge pages where there are any: what the daemon's own buffers are made of.
pub fn warm_memory(bytes: usize) -> Result<MmapMut> {
    let mut memory = MmapMut::map_anon(bytes).with_context(|| format!("{bytes} bytes of memory"))?;
    // A kernel that has no huge pages refuses; then there are none for the daemon either.
    let _ = memory.advise(Advice::HugePage);
    memory.fill(1);
    Ok(memory)
}
