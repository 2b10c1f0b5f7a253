//! Sockets to listen on, made with plain system calls.
//!
//! tokio-uring cannot make them: its `UnixListener::bind` fails on every kernel since 6.12.9 (it sets `SO_REUSEPORT`,
//! which is forbidden for Unix sockets), and its `TcpListener::bind` sets `SO_REUSEPORT` silently, so that two daemons
//! would share a port without knowing. Accepting is the reactors' business, not this module's.

use crate::address::Address;
use graphpiped_transport::reactor::{Listener, ListenerKind};
use rustix::fs::{FlockOperation, Mode, chmod, flock};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with, sockopt,
};
use std::fs::File;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A socket that listens. Dropping it removes the file of a Unix socket.
#[derive(Debug)]
pub struct Listening {
    /// Where, with the port that the system chose.
    pub address: Address,
    fd: OwnedFd,
    kind: ListenerKind,
    /// The file of a Unix socket: its path, device and inode.
    file: Option<(PathBuf, u64, u64)>,
}

impl Listening {
    /// Listens at an address. May wait for a moment: a killed process that used io_uring gives its listeners back late.
    pub fn new(address: &Address) -> Result<Listening, String> {
        match address {
            Address::Tcp { host, port } => tcp(host, *port),
            Address::Unix { path, mode } => unix(path, *mode),
        }
        .map_err(|why| format!("cannot listen on {address}: {why}"))
    }

    /// The same socket for one more reactor.
    pub fn listener(&self) -> std::io::Result<Listener> {
        Ok(Listener { fd: self.fd.try_clone()?, kind: self.kind })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some((path, device, inode)) = &self.file {
            // Somebody may have put another socket there; that one is not ours to remove.
            let is_ours = |found: std::fs::Metadata| (found.dev(), found.ino()) == (*device, *inode);
            if path.symlink_metadata().is_ok_and(is_ours) {
                // At the end of the process there is nobody to tell that a file stays behind; the next start replaces it.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Connections that wait to be accepted. The system lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How long an address may be in use before it counts as somebody else's, and how often it is tried.
const IN_USE_PATIENCE: Duration = Duration::from_secs(1);
const IN_USE_PAUSE: Duration = Duration::from_millis(20);

fn tcp(host: &str, port: u16) -> Result<Listening, String> {
    let resolved = (host, port).to_socket_addrs().map_err(|error| format!("the host has no address: {error}"))?;
    let address = resolved.into_iter().next().ok_or("the host has no address")?;
    let fd = patiently(|| tcp_socket(address)).map_err(|errno| match errno {
        Errno::ADDRINUSE => "the port is in use; stop the other program, or choose another port".to_string(),
        Errno::ACCESS => "the port is below 1024; choose another one, or allow CAP_NET_BIND_SERVICE".to_string(),
        Errno::ADDRNOTAVAIL => format!("this machine has no address {}", address.ip()),
        errno => errno.to_string(),
    })?;
    let bound = getsockname(&fd).ok().and_then(|name| SocketAddr::try_from(name).ok()).unwrap_or(address);
    let address = Address::Tcp { host: bound.ip().to_string(), port: bound.port() };
    Ok(Listening { address, fd, kind: ListenerKind::Tcp, file: None })
}

fn tcp_socket(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Connections of a daemon that has just ended linger in TIME_WAIT; they are no reason not to start.
    sockopt::set_socket_reuseaddr(&fd, true)?;
    // Accepted sockets inherit it: a reply is sent in one piece and has nothing to wait for.
    sockopt::set_tcp_nodelay(&fd, true)?;
    bind(&fd, &address)?;
    listen(&fd, BACKLOG)?;
    Ok(fd)
}

fn unix(path: &Path, mode: u32) -> Result<Listening, String> {
    let name =
        SocketAddrUnix::new(path).map_err(|_| "the path is too long for a Unix socket (107 bytes)".to_string())?;
    // Two daemons that find the same stale socket must not both replace it, so they go one after the other.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _turn = Turn::take(folder)?;
    remove_stale(path, &name)?;
    let fd = unix_socket(path, &name, mode).map_err(|errno| match errno {
        Errno::ADDRINUSE => "a file appeared there a moment ago; try again".to_string(),
        Errno::ACCESS => format!("{} may not be written to", folder.display()),
        errno => errno.to_string(),
    })?;
    let file = path.symlink_metadata().map_err(|error| format!("the socket's file has gone: {error}"))?;
    let file = Some((path.to_path_buf(), file.dev(), file.ino()));
    let address = Address::Unix { path: path.to_path_buf(), mode };
    Ok(Listening { address, fd, kind: ListenerKind::Unix, file })
}

/// Permissions are set between `bind` and `listen`: until it listens nobody can connect, so there is no moment in which
/// the wrong ones could.
fn unix_socket(path: &Path, name: &SocketAddrUnix, mode: u32) -> Result<OwnedFd, Errno> {
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&fd, name)?;
    chmod(path, Mode::from_raw_mode(mode))?;
    listen(&fd, BACKLOG)?;
    Ok(fd)
}

/// Removes the socket of a daemon that is gone. One that somebody listens on, or a file of another kind, stays.
fn remove_stale(path: &Path, name: &SocketAddrUnix) -> Result<(), String> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err("there is a file that is not a socket; remove it, or choose another path".into());
    }
    let nonblocking = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let try_connect = || {
        let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, nonblocking, None)?;
        connect(&probe, name).map_or_else(
            |errno| if errno == Errno::CONNREFUSED { Ok(()) } else { Err(errno) },
            |()| Err(Errno::ADDRINUSE),
        )
    };
    match patiently(try_connect) {
        Ok(()) => std::fs::remove_file(path).map_err(|error| format!("the stale socket cannot be removed: {error}")),
        Err(Errno::ADDRINUSE | Errno::AGAIN) => {
            Err("the path is in use: somebody listens there; stop the other program, or choose another path".into())
        }
        Err(Errno::ACCESS) => Err("there is a socket of somebody else; remove it, or choose another path".into()),
        Err(errno) => Err(format!("there is a socket that cannot be tried: {errno}")),
    }
}

/// Tries again while the address is in use. To be called before anything is served: it sleeps.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let end = Instant::now() + IN_USE_PATIENCE;
    loop {
        match attempt() {
            Err(Errno::ADDRINUSE) if Instant::now() < end => std::thread::sleep(IN_USE_PAUSE),
            result => return result,
        }
    }
}

/// A lock on a folder, which leaves nothing behind. Held while a socket in it is replaced.
#[derive(Debug)]
struct Turn {
    /// Unlocked when it closes.
    _folder: File,
}

impl Turn {
    fn take(folder: &Path) -> Result<Turn, String> {
        let file = File::open(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let try_lock = || {
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
            locked.map_err(|errno| if errno == Errno::WOULDBLOCK { Errno::ADDRINUSE } else { errno })
        };
        match patiently(try_lock) {
            Ok(()) => Ok(Turn { _folder: file }),
            Err(Errno::ADDRINUSE) => Err(format!("another program holds a lock on {}; try again", folder.display())),
            Err(errno) => Err(format!("{} cannot be locked: {errno}", folder.display())),
        }
    }
}

#[cfg(test)]
mod tests;
