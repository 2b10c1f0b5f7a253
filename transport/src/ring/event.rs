//! What the ring tells whoever has submitted operations.

use super::{Batch, BufferId, Key};
use graphpiped_memory::{Destination, Payload};
use std::io;
use std::os::fd::OwnedFd;

/// What a completion says.
#[derive(Debug)]
pub enum Event {
    /// A listener has a new socket, or an error. `armed`: it goes on listening by itself.
    Accepted {
        /// The listener.
        key: Key,
        /// The socket.
        socket: io::Result<OwnedFd>,
        /// Whether more may come from this operation.
        armed: bool,
    },
    /// Bytes arrived in a shared buffer; `None` at the end of the stream.
    Received {
        /// The connection.
        key: Key,
        /// The buffer, to be recycled.
        bytes: io::Result<Option<BufferId>>,
        /// Whether more may come from this operation.
        armed: bool,
    },
    /// A receive into a destination has ended; no bytes mean that the stream did, fewer than were asked for that it did
    /// or that the receive was cancelled.
    Filled {
        /// The connection.
        key: Key,
        /// The destination, back again.
        destination: Destination,
        /// Bytes received.
        bytes: io::Result<usize>,
    },
    /// A send has ended.
    Sent {
        /// The connection.
        key: Key,
        /// What was to be sent, back again; not yet advanced.
        batch: Batch,
        /// Bytes sent.
        bytes: io::Result<usize>,
    },
    /// The kernel no longer needs a payload that it was lent by a send. That one has ended before.
    Returned {
        /// The payload; others may own it too.
        payload: Payload,
        /// What was done with it.
        usage: Usage,
    },
    /// The descriptor given to [`Ring::watch`](super::Ring::watch) is readable.
    Readable {
        /// Whether the ring goes on watching by itself.
        armed: bool,
    },
}

/// What the kernel has done with a payload that it was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nothing: the send has failed.
    Nothing,
    /// It was sent from where it lies.
    Sent,
    /// It was copied after all: the peer is on the same machine, or the network card cannot gather what it sends.
    Copied,
}
