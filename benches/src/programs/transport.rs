//! The three ways to a daemon, as the load generator takes them.

use crate::address::{Address, Family};
use crate::daemon::Daemon;
use crate::generator::Question;
use crate::socket::CONGESTION;
use std::fmt::{Display, Formatter};

/// What both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// GraphPipe as HTTP bodies, over TCP.
    Http,
    /// Native frames over TCP.
    Tcp,
    /// Native frames over a Unix socket.
    Unix,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Transport::Http, Transport::Tcp, Transport::Unix];

    /// What it goes over.
    pub fn family(self) -> Family {
        if self == Transport::Unix { Family::Unix } else { Family::Tcp }
    }

    /// What asks a daemon in this way; `request` says what, as the generator takes it. The daemon's processor time counts.
    pub fn question(self, daemon: &Daemon, request: Vec<String>) -> Question {
        let target = match (self, daemon.address(self.family())) {
            (Transport::Http, Address::Tcp(address)) => format!("http://{address}/"),
            (_, address) => address.to_string(),
        };
        let protocol = if self == Transport::Http { "graphpipe-http" } else { "native" };
        let congestion = (self.family() == Family::Tcp).then_some(CONGESTION);
        Question { target, protocol, request, congestion, server: Some(daemon.pid()) }
    }
}

impl Display for Transport {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Transport::Http => "HTTP",
            Transport::Tcp => "TCP",
            Transport::Unix => "UDS",
        })
    }
}
