//! A connection as a state machine without I/O: bytes and completions go in, wishes come out.
//!
//! The reactor feeds it ([`Connection::received`], [`Connection::filled`], [`Connection::ended`],
//! [`Connection::reply`], [`Connection::sent`], [`Connection::set_apart`]) and afterwards asks what it wants: what to
//! receive next ([`Connection::wants`]), what to send ([`Connection::next_batch`]), whether it is over
//! ([`Connection::is_finished`]) and until when something must have happened ([`Connection::deadline`]). Sockets and
//! rings never appear here, nor does the clock: `now` is an argument, which is how a simulated network can drive it
//! through every order of events.
//!
//! What arrives but cannot be used yet (half a small frame, requests beyond the in-flight bound) waits in `carry`; what
//! belongs to a message that is being received goes to its `Intake`.

mod base;
mod carry;
mod encode;
mod http;
mod intake;
mod life;
mod message;
mod native;
mod outbox;
#[cfg(test)]
mod simulation;

pub use outbox::Spare;

use crate::counters::Counters;
use crate::http::{Sniff, looks_like_http};
use crate::limits::{DRAINS_MAX, Limits, RECEIVE_RING_BYTES, SMALL_BYTES_MAX};
use crate::ring::Batch;
use crate::service::{Reply, Service, Ticket};
use base::{Base, Phase};
use carry::Carry;
use graphpiped_memory::Destination;
use std::ops::Range;
use std::time::Instant;

/// What a receive into shared buffers asks for where nothing is known yet: a small frame, or an HTTP head with a small
/// body. More would only be more to copy if it turns out to be a large payload.
const FIRST_BYTES: usize = SMALL_BYTES_MAX + 1024;
/// More than can arrive after a multishot receive is no longer wanted and before it has ended. In one go the kernel
/// delivers all shared buffers at most, if nobody else takes any. A turn takes what one wait has brought and what each
/// look for more does before it can cancel the receive, which then may bring as much again until it ends.
const CARRY_BYTES_MAX: usize = (2 + DRAINS_MAX) * RECEIVE_RING_BYTES;

/// What a connection works with, lent by its reactor for the length of one call.
#[derive(Debug)]
pub struct Cx<'a, S> {
    /// The other side of the seam.
    pub service: &'a mut S,
    /// The bounds.
    pub limits: &'a Limits,
    /// What is counted.
    pub counters: &'a Counters,
    /// Empty buffers.
    pub spare: &'a mut Spare,
    /// Bytes that all connections of the reactor hold outside of run buffers, each beyond
    /// [`HELD_BYTES_FREE`](crate::limits::HELD_BYTES_FREE).
    pub backlog: &'a mut usize,
    /// The time of this call.
    pub now: Instant,
    /// Whether the daemon is shutting down: what has begun is finished, nothing else begins.
    pub is_draining: bool,
}

/// What a connection wants to receive next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing: it waits for replies, or for its peer to read.
    Nothing,
    /// Bytes into shared buffers, again and again: small frames follow each other.
    Stream,
    /// At most so many bytes into one shared buffer.
    Bytes(usize),
    /// Payload into the claim's destination: see [`Connection::take_fill`].
    Fill,
}

#[derive(Debug)]
enum Protocol<C> {
    Unknown,
    Native(native::Native<C>),
    Http(Box<http::Http<C>>),
}

/// One connection.
#[derive(Debug)]
pub struct Connection<S: Service> {
    base: Base,
    carry: Carry,
    protocol: Protocol<S::Context>,
}

impl<S: Service> Connection<S> {
    /// A connection that has just been accepted; its tickets carry `connection` and `generation`.
    pub fn new(connection: u32, generation: u32, now: Instant) -> Connection<S> {
        let base = Base::new(connection, generation, now);
        Connection { base, carry: Carry::default(), protocol: Protocol::Unknown }
    }

    /// Which connection of its slot this is.
    pub fn generation(&self) -> u32 {
        self.base.generation
    }

    /// Bytes have arrived in a shared buffer.
    pub fn received(&mut self, bytes: &[u8], cx: &mut Cx<'_, S>) {
        cx.counters.received_bytes.add(bytes.len() as u64);
        match &mut self.base.phase {
            Phase::Open => {}
            Phase::Closing { discard_left, .. } => {
                *discard_left = discard_left.saturating_sub(bytes.len() as u64);
                return self.end_if_discarded();
            }
            Phase::Ending | Phase::Dead => return,
        }
        let was_arriving = self.is_arriving();
        if self.carry.is_empty() {
            let consumed = self.consume(bytes, cx);
            self.carry.add(&bytes[consumed..], cx.spare);
            self.check_carry(cx);
        } else {
            self.carry.add(bytes, cx.spare);
            self.consume_carry(cx);
        }
        self.base.progressed(bytes.len(), was_arriving && self.is_arriving(), cx.now);
    }

    /// A receive into the claim's destination has ended, after `bytes` bytes.
    pub fn filled(&mut self, destination: Destination, bytes: usize, cx: &mut Cx<'_, S>) {
        cx.counters.received_bytes.add(bytes as u64);
        match &mut self.protocol {
            _ if self.base.phase != Phase::Open => {}
            Protocol::Native(native) => native.filled(&mut self.base, destination, bytes, cx),
            Protocol::Http(http) => http.filled(&mut self.base, destination, bytes, cx),
            Protocol::Unknown => {}
        }
        self.base.progressed(bytes, self.is_arriving(), cx.now);
        self.settle(cx);
    }

    /// Whether a message is received into rows that others could use.
    pub fn is_in_rows(&self) -> bool {
        match &self.protocol {
            Protocol::Unknown => false,
            Protocol::Native(native) => native.is_in_rows(),
            Protocol::Http(http) => http.is_in_rows(),
        }
    }

    /// Bytes of the message that is arriving, all of it; 0 if none is.
    pub fn arriving_bytes(&self) -> u32 {
        match &self.protocol {
            Protocol::Unknown => 0,
            Protocol::Native(native) => native.arriving_bytes(),
            Protocol::Http(http) => http.arriving_bytes(),
        }
    }

    /// What is received into shared rows makes no progress while others wait for some: it goes on in memory of its own.
    /// Does nothing while a receive operation has the rows.
    pub fn set_apart(&mut self, cx: &mut Cx<'_, S>) {
        match &mut self.protocol {
            _ if self.base.phase != Phase::Open => {}
            Protocol::Native(native) => native.set_apart(&mut self.base, cx),
            Protocol::Http(http) => http.set_apart(&mut self.base, cx),
            Protocol::Unknown => {}
        }
        self.settle(cx);
    }

    /// The reply to a request that was committed earlier.
    pub fn reply(&mut self, ticket: Ticket, reply: &Reply, cx: &mut Cx<'_, S>) {
        self.excuse(cx);
        self.base.answered(ticket);
        if self.base.phase == Phase::Dead {
            return;
        }
        match &mut self.protocol {
            Protocol::Native(_) => self.base.encoder(cx).native(ticket.id, reply),
            Protocol::Http(http) => http.reply(&mut self.base, reply, cx),
            Protocol::Unknown => unreachable!("no request was read yet"),
        }
        self.resume(cx);
    }

    /// A send has ended, after `bytes` bytes of the batch.
    pub fn sent(&mut self, batch: Batch, bytes: usize, cx: &mut Cx<'_, S>) {
        cx.counters.sent_bytes.add(bytes as u64);
        self.excuse(cx);
        self.base.outbox.sent(cx.spare, batch, bytes);
        if self.base.phase == Phase::Dead {
            return self.base.outbox.clear();
        }
        self.base.sending = Some(cx.now);
        self.resume(cx);
    }

    /// A reply was made or taken: the peer may wait as long as ever with what it sends next. That is no excuse for a message
    /// of which it owes bytes, unless they are not received because too much is in flight.
    fn excuse(&mut self, cx: &Cx<'_, S>) {
        if !self.is_arriving() || self.base.is_full(cx.limits) {
            self.base.moved = cx.now;
        }
    }

    /// What to receive next.
    pub fn wants(&self, limits: &Limits) -> Want {
        match self.base.phase {
            Phase::Dead | Phase::Ending | Phase::Closing { discard_left: 0, .. } => Want::Nothing,
            Phase::Closing { .. } => Want::Bytes(usize::MAX),
            Phase::Open if self.base.is_last_carry || self.base.is_held => Want::Nothing,
            Phase::Open if !self.base.is_full(limits) => self.wants_of_protocol(),
            // Only what receives learns that the peer has gone away, and that nobody needs the replies any more. What
            // comes instead waits in the carry, and then nothing more is received.
            Phase::Open if self.awaits_reply() && !self.is_mid_message() => match self.wants_of_protocol() {
                Want::Stream => Want::Bytes(FIRST_BYTES),
                want => want,
            },
            Phase::Open => Want::Nothing,
        }
    }

    fn wants_of_protocol(&self) -> Want {
        match &self.protocol {
            Protocol::Unknown => Want::Bytes(FIRST_BYTES),
            Protocol::Native(native) => native.wants(self.carry.len()),
            Protocol::Http(http) => http.wants(self.carry.len()),
        }
    }

    /// Whether a request is in flight.
    pub fn awaits_reply(&self) -> bool {
        self.base.in_flight > 0
    }

    /// Whether bytes wait until there is more of them, or a reply.
    pub fn has_carried(&self) -> bool {
        !self.carry.is_empty()
    }

    /// The destination and range to receive into, after [`Want::Fill`].
    pub fn take_fill(&mut self) -> Option<(Destination, Range<usize>)> {
        match &mut self.protocol {
            Protocol::Unknown => None,
            Protocol::Native(native) => native.take_fill(),
            Protocol::Http(http) => http.take_fill(),
        }
    }

    /// What to send next, if no send is under way.
    pub fn next_batch(&mut self, spare: &mut Spare) -> Option<Batch> {
        self.base.outbox.next_batch(spare)
    }

    /// Whether a message is arriving, beyond what the carry holds.
    fn is_arriving(&self) -> bool {
        match &self.protocol {
            Protocol::Unknown => false,
            Protocol::Native(native) => native.is_mid_message(),
            Protocol::Http(http) => http.is_mid_message(),
        }
    }

    fn is_mid_message(&self) -> bool {
        self.is_arriving() || !self.carry.is_empty()
    }

    fn consume(&mut self, input: &[u8], cx: &mut Cx<'_, S>) -> usize {
        self.base.is_held = false;
        let mut consumed = 0;
        while consumed < input.len() && self.base.phase == Phase::Open {
            let rest = &input[consumed..];
            let bytes = match &mut self.protocol {
                Protocol::Unknown => {
                    if !self.sniff(rest, cx) {
                        break;
                    }
                    continue;
                }
                Protocol::Native(native) => native.consume(&mut self.base, rest, cx),
                Protocol::Http(http) => http.consume(&mut self.base, rest, cx),
            };
            if bytes == 0 {
                break;
            }
            consumed += bytes;
        }
        if self.base.phase == Phase::Open { consumed } else { input.len() }
    }

    /// Chooses the protocol; `false` if more bytes are needed for that.
    fn sniff(&mut self, first: &[u8], cx: &mut Cx<'_, S>) -> bool {
        match looks_like_http(first) {
            Sniff::NeedMore => return false,
            Sniff::Http => self.protocol = Protocol::Http(Box::default()),
            Sniff::NotHttp => self.protocol = Protocol::Native(native::Native::default()),
            Sniff::Tls => {
                self.protocol = Protocol::Http(Box::default());
                http::reject(&mut self.base, &crate::http::Reject::tls(), cx);
            }
        }
        true
    }

    fn consume_carry(&mut self, cx: &mut Cx<'_, S>) {
        let mut carry = std::mem::take(&mut self.carry);
        let consumed = self.consume(carry.as_slice(), cx);
        carry.take(consumed, cx.spare);
        self.carry = carry;
        self.check_carry(cx);
    }

    fn check_carry(&mut self, cx: &mut Cx<'_, S>) {
        if self.carry.len() > CARRY_BYTES_MAX {
            self.broken(cx);
        }
        self.settle(cx);
    }

    /// Goes on with what had to wait for a reply or a send.
    fn resume(&mut self, cx: &mut Cx<'_, S>) {
        if self.base.phase == Phase::Open && !self.carry.is_empty() && !self.base.is_full(cx.limits) {
            self.consume_carry(cx);
        } else {
            self.settle(cx);
        }
    }
}
