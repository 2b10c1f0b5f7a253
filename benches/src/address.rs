//! Where a server listens, daemon or floor.

use std::fmt::{Display, Formatter};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The kinds of sockets that everything is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Unix stream sockets.
    Unix,
    /// TCP over the loopback interface.
    Tcp,
}

impl Family {
    /// Both.
    pub const ALL: [Family; 2] = [Family::Unix, Family::Tcp];
}

impl Display for Family {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Family::Unix => "UDS",
            Family::Tcp => "TCP",
        })
    }
}

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix stream socket.
    Unix(PathBuf),
    /// A TCP socket.
    Tcp(SocketAddr),
}

/// As the client library takes it.
impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}
