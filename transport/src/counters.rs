//! What the data path counts: one set per reactor, `Relaxed`, summed by whoever reads them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that only grows, written by one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one; whether it is the first.
    pub fn begin(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) == 0
    }
    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one reactor.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub connections: Counter,
    /// Connections closed.
    pub connections_closed: Counter,
    /// Connections refused because `--connections-max` was reached.
    pub connections_refused: Counter,
    /// Connections closed because all of them together held too much.
    pub connections_overloaded: Counter,
    /// Sockets that could not be accepted (out of descriptors, mostly).
    pub accept_errors: Counter,
    /// Connections that ended in the middle of a request or of a reply.
    pub connections_broken: Counter,
    /// Connections closed by a timeout.
    pub connections_timed_out: Counter,
    /// Connections that ended, whoever ended them, while requests of theirs were in flight.
    pub connections_gone: Counter,
    /// Requests that went on in memory of their own, to leave their rows to others, because their sender was slow.
    pub rows_set_apart: Counter,
    /// Requests that came in native frames.
    pub requests_native: Counter,
    /// Requests that came over HTTP.
    pub requests_http: Counter,
    /// Bytes that were not an HTTP request.
    pub http_rejects: Counter,
    /// Replies that carry outputs or metadata.
    pub replies_ok: Counter,
    /// Replies that carry an error, by code (index = code, 0 unused).
    pub replies_error: [Counter; 11],
    /// Tensor bytes copied because a small payload arrived in a shared receive buffer.
    pub copied_small_in: Counter,
    /// Tensor bytes copied because a small reply was coalesced with others.
    pub copied_small_out: Counter,
    /// Tensor bytes copied because payload arrived before its connection was known to send large ones.
    pub copied_surprise: Counter,
    /// Tensor bytes copied out of a body whose length was not declared (HTTP chunks).
    pub copied_chunked: Counter,
    /// Bytes received.
    pub received_bytes: Counter,
    /// Bytes sent.
    pub sent_bytes: Counter,
    /// Times that a reactor lost its core to somebody else while it spun, and backed off.
    pub spins_interrupted: Counter,
    /// Sends of a payload that was lent to the kernel instead of copied, and has come back.
    pub zero_copy_sends: Counter,
    /// Of these, those of which the kernel has made a copy nevertheless.
    pub zero_copy_copied: Counter,
}
