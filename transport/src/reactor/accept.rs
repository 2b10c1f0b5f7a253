//! Listeners: what they accept, and what becomes of it. What connections do afterwards is not here.

use super::Reactor;
use super::slots::Sending;
use crate::connection::Connection;
use crate::ring::{Handle, Key, is_to_another_machine};
use crate::service::Service;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// What kind of socket a listener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// TCP: the listener's TCP_NODELAY is inherited.
    Tcp,
    /// A Unix socket: its send buffer is enlarged for each connection.
    Unix,
}

/// A socket that is bound and listens.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub fd: OwnedFd,
    /// Its kind.
    pub kind: ListenerKind,
}

/// Connections and listeners share the keys of the ring: listeners have the highest.
const FIRST_LISTENER: Key = Key::MAX - 1024;
/// What a Unix socket's send buffer is enlarged to: large replies were 1.3 times as fast.
const UNIX_SEND_BUFFER_BYTES: usize = 1 << 20;

/// Whether an operation accepts from a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arming {
    Armed(Handle),
    Due,
    AfterSweep,
}

impl<S: Service> Reactor<S> {
    /// Has every listener accept that does not, and the bell watched.
    pub(super) fn arm_listeners(&mut self) {
        if !self.is_bell_watched {
            self.ring.watch(self.mailbox.bell().event());
            self.is_bell_watched = true;
        }
        for (index, (listener, arming)) in self.listeners.iter_mut().enumerate() {
            if *arming == Arming::Due {
                *arming = Arming::Armed(self.ring.accept(FIRST_LISTENER + index as Key, listener.fd.as_fd()));
            }
        }
    }

    /// A listener has accepted a socket, or failed to; `armed`: it goes on.
    pub(super) fn accepted(&mut self, key: Key, socket: io::Result<OwnedFd>, armed: bool) {
        let Some((listener, arming)) = self.listeners.get_mut((key - FIRST_LISTENER) as usize) else {
            // The listeners are closed: a drain has begun, and this socket came a moment too late.
            return;
        };
        if !armed {
            // Out of descriptors or memory: trying again at once would only fail again.
            *arming = if socket.is_ok() { Arming::Due } else { Arming::AfterSweep };
        }
        let Ok(socket) = socket else {
            self.world.counters.accept_errors.add(1);
            return;
        };
        if !self.control.try_open(self.world.limits.connections_max) {
            self.world.counters.connections_refused.add(1);
            return;
        }
        if listener.kind == ListenerKind::Unix {
            // A smaller buffer is slower and nothing worse.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, UNIX_SEND_BUFFER_BYTES);
        }
        self.world.counters.connections.add(1);
        let (now, sending) = (self.world.now, self.sending_to(&socket));
        self.slots.insert(socket, sending, |key, generation| Connection::new(key, generation, now));
    }

    /// Whether payloads are lent to the kernel for this peer.
    fn sending_to(&self, socket: &OwnedFd) -> Sending {
        let limits = &self.world.limits;
        if limits.zero_copy_send_bytes_min == usize::MAX || !is_to_another_machine(socket.as_fd()) {
            return Sending::Copied;
        }
        // What is lent is held until the peer has acknowledged it, even when the connection has ended for us; so the
        // kernel itself gives up a peer that acknowledges nothing.
        let patience = limits.progress_timeout.as_millis().clamp(1, i32::MAX as u128);
        match rustix::net::sockopt::set_tcp_user_timeout(socket, patience as u32) {
            Ok(()) => Sending::Lent,
            Err(_) => Sending::Copied,
        }
    }
}
