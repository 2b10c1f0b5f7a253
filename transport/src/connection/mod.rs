//! A connection as a state machine without I/O: bytes and completions go in, wishes come out.
//!
//! The reactor feeds it ([`Connection::received`], [`Connection::filled`], [`Connection::ended`],
//! [`Connection::reply`], [`Connection::sent`]) and afterwards asks what it wants: what to receive next
//! ([`Connection::wants`]), what to send ([`Connection::next_batch`]), whether it is over ([`Connection::is_finished`])
//! and until when something must have happened ([`Connection::deadline`]). Sockets and rings never appear here, nor
//! does the clock: `now` is an argument, which is how a simulated network can drive it through every order of events.
//!
//! What arrives but cannot be used yet (half a small frame, requests beyond the in-flight bound) waits in `carry`; what
//! belongs to a message that is being received goes to its `Intake`.

mod base;
mod carry;
mod encode;
mod http;
mod intake;
mod message;
mod native;
mod outbox;
#[cfg(test)]
mod simulation;

pub use outbox::Spare;

use crate::counters::Counters;
use crate::http::{Sniff, looks_like_http};
use crate::limits::{HELD_BYTES_FREE, Limits, RECEIVE_RING_BYTES, SMALL_BYTES_MAX};
use crate::ring::Batch;
use crate::service::{Reply, Service, Ticket};
use base::{Base, Phase};
use carry::Carry;
use graphpiped_memory::Buffer;
use std::ops::Range;
use std::time::Instant;

/// What a receive into shared buffers asks for where nothing is known yet: a small frame, or an HTTP head with a small
/// body. More would only be more to copy if it turns out to be a large payload.
const FIRST_BYTES: usize = SMALL_BYTES_MAX + 1024;
/// More than can arrive after a multishot receive is no longer wanted and before it has ended: what the kernel delivers
/// in one go (all shared buffers, if nobody else takes any), twice.
const CARRY_BYTES_MAX: usize = 2 * RECEIVE_RING_BYTES;

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
    /// Bytes that all connections of the reactor hold outside of run buffers, each beyond [`HELD_BYTES_FREE`].
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
    /// Payload into the claim's buffer: see [`Connection::take_fill`].
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
    /// Its part of the reactor's backlog.
    charged: u32,
}

impl<S: Service> Connection<S> {
    /// A connection that has just been accepted; its tickets carry `connection` and `generation`.
    pub fn new(connection: u32, generation: u32, now: Instant) -> Connection<S> {
        let base = Base::new(connection, generation, now);
        Connection { base, carry: Carry::default(), protocol: Protocol::Unknown, charged: 0 }
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
        self.base.moved = cx.now;
        if self.carry.is_empty() {
            let consumed = self.consume(bytes, cx);
            self.carry.add(&bytes[consumed..], cx.spare);
            self.check_carry(cx);
        } else {
            self.carry.add(bytes, cx.spare);
            self.consume_carry(cx);
        }
    }

    /// A receive into the claim's buffer has ended, after `bytes` bytes.
    pub fn filled(&mut self, buffer: Buffer, bytes: usize, cx: &mut Cx<'_, S>) {
        cx.counters.received_bytes.add(bytes as u64);
        if bytes > 0 {
            self.base.moved = cx.now;
        }
        match &mut self.protocol {
            _ if self.base.phase != Phase::Open => {}
            Protocol::Native(native) => native.filled(&mut self.base, buffer, bytes, cx),
            Protocol::Http(http) => http.filled(&mut self.base, buffer, bytes, cx),
            Protocol::Unknown => {}
        }
        self.settle(cx);
    }

    /// The peer has ended its side of the stream.
    pub fn ended(&mut self, cx: &mut Cx<'_, S>) {
        if self.base.phase == Phase::Open && self.base.is_held {
            // What the carry holds is not incomplete, it only had to wait.
            self.base.is_last_carry = true;
            return;
        }
        let is_broken = match self.base.phase {
            Phase::Open => self.is_mid_message(),
            Phase::Closing { .. } | Phase::Ending | Phase::Dead => false,
        };
        if is_broken {
            cx.counters.connections_broken.add(1);
        }
        self.let_go(cx);
        self.base.phase = match self.base.phase {
            Phase::Closing { is_shut_down: true, .. } | Phase::Dead => Phase::Dead,
            _ => Phase::Ending,
        };
        self.base.moved = cx.now;
        self.account(cx);
    }

    /// The connection is gone: nothing can be received or sent any more.
    pub fn broken(&mut self, cx: &mut Cx<'_, S>) {
        let has_more = self.is_mid_message() || self.base.in_flight > 0 || !self.base.outbox.is_empty();
        if self.base.phase != Phase::Dead && has_more && !self.has_said_everything() {
            cx.counters.connections_broken.add(1);
        }
        self.die(cx);
    }

    /// The reply to a request that was committed earlier.
    pub fn reply(&mut self, ticket: Ticket, reply: &Reply, cx: &mut Cx<'_, S>) {
        self.base.in_flight -= 1;
        self.base.moved = cx.now;
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
        self.base.outbox.sent(cx.spare, batch, bytes);
        if self.base.phase == Phase::Dead {
            return self.base.outbox.clear();
        }
        self.base.moved = cx.now;
        self.base.sending = Some(cx.now);
        self.resume(cx);
    }

    /// The daemon is shutting down: a connection without a request ends now, another one after its last reply.
    pub fn drain(&mut self, cx: &mut Cx<'_, S>) {
        self.settle(cx);
    }

    /// What to receive next.
    pub fn wants(&self, limits: &Limits) -> Want {
        match self.base.phase {
            Phase::Dead | Phase::Ending | Phase::Closing { discard_left: 0, .. } => Want::Nothing,
            Phase::Closing { .. } => Want::Bytes(usize::MAX),
            Phase::Open if self.base.is_last_carry || self.base.is_held || self.base.is_full(limits) => Want::Nothing,
            Phase::Open => match &self.protocol {
                Protocol::Unknown => Want::Bytes(FIRST_BYTES),
                Protocol::Native(native) => native.wants(self.carry.len()),
                Protocol::Http(http) => http.wants(),
            },
        }
    }

    /// The buffer and range to receive into, after [`Want::Fill`].
    pub fn take_fill(&mut self) -> Option<(Buffer, Range<usize>)> {
        match &mut self.protocol {
            Protocol::Unknown => None,
            Protocol::Native(native) => native.take_fill(),
            Protocol::Http(http) => http.take_fill(),
        }
    }

    /// What to send next, if no send is under way.
    pub fn next_batch(&mut self) -> Option<Batch> {
        self.base.outbox.next_batch()
    }

    /// Whether the sending side is to be shut down now; says so once.
    pub fn take_shutdown(&mut self) -> bool {
        let is_said = self.base.outbox.is_empty() && self.base.in_flight == 0;
        match &mut self.base.phase {
            Phase::Closing { is_shut_down, .. } if is_said && !*is_shut_down => {
                *is_shut_down = true;
                self.end_if_discarded();
                true
            }
            _ => false,
        }
    }

    /// Ends a refused connection that has said everything and whose peer has sent too much.
    fn end_if_discarded(&mut self) {
        if matches!(self.base.phase, Phase::Closing { discard_left: 0, is_shut_down: true }) {
            self.base.phase = Phase::Dead;
        }
    }

    /// Whether the socket is to be closed.
    pub fn is_finished(&self) -> bool {
        match self.base.phase {
            Phase::Dead => true,
            Phase::Ending => self.base.outbox.is_empty() && self.base.in_flight == 0,
            Phase::Open | Phase::Closing { .. } => false,
        }
    }

    /// When the connection is given up if nothing happens; `None` while it waits for the service.
    pub fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let base = &self.base;
        let is_waiting = base.in_flight > 0 || base.sending.is_some();
        // The two directions have a deadline each: bytes that come in are no excuse for not reading.
        let receiving = match base.phase {
            Phase::Dead => return None,
            Phase::Closing { .. } | Phase::Ending if is_waiting => None,
            Phase::Closing { .. } | Phase::Ending => Some(base.moved + limits.drain_timeout),
            Phase::Open => match base.began {
                Some(began) => Some(began + limits.head_timeout),
                None if self.is_arriving() => Some(base.moved + limits.progress_timeout),
                None if is_waiting => None,
                None => Some(base.moved + limits.idle_timeout),
            },
        };
        let sending = base.sending.map(|sending| sending + limits.progress_timeout);
        receiving.into_iter().chain(sending).min()
    }

    /// Whether everything has been sent and the sending side is shut down: what is waited for is the peer's end.
    pub fn has_said_everything(&self) -> bool {
        matches!(self.base.phase, Phase::Closing { is_shut_down: true, .. })
    }

    /// The peer has everything that was said, and nobody waits for its end.
    pub fn finish(&mut self, cx: &mut Cx<'_, S>) {
        self.die(cx);
    }

    /// Whether there is something to be sent.
    pub fn is_sending(&self) -> bool {
        !self.base.outbox.is_empty()
    }

    /// The peer has taken bytes of a send that is still under way.
    pub fn moved(&mut self, now: Instant) {
        self.base.sending = Some(now);
    }

    /// The deadline has passed.
    pub fn expire(&mut self, cx: &mut Cx<'_, S>) {
        cx.counters.connections_timed_out.add(1);
        self.die(cx);
    }

    fn die(&mut self, cx: &mut Cx<'_, S>) {
        self.base.phase = Phase::Dead;
        self.base.outbox.clear();
        self.let_go(cx);
        self.account(cx);
    }

    /// Counts what it holds outside of run buffers. A connection that takes more when all of them together have too
    /// much is given up: most likely it is one of many that send requests and read no replies.
    fn account(&mut self, cx: &mut Cx<'_, S>) {
        let aside = match &self.protocol {
            Protocol::Unknown => 0,
            Protocol::Native(native) => native.aside_bytes(),
            Protocol::Http(http) => http.aside_bytes(),
        };
        let held = self.carry.len() + aside + self.base.outbox.held_bytes();
        // More than 4 GiB is as much too much as 4 GiB.
        let charged = u32::try_from(held.saturating_sub(HELD_BYTES_FREE)).unwrap_or(u32::MAX);
        let before = std::mem::replace(&mut self.charged, charged);
        *cx.backlog = *cx.backlog - before as usize + charged as usize;
        if charged > before && *cx.backlog > cx.limits.backlog_bytes_max {
            cx.counters.connections_overloaded.add(1);
            self.die(cx);
        }
    }

    /// Gives back what the connection holds of messages that will not be completed. A buffer that a receive operation
    /// has comes back with its completion and is dropped then.
    fn let_go(&mut self, cx: &mut Cx<'_, S>) {
        self.carry.clear(cx.spare);
        self.base.began = None;
        match &mut self.protocol {
            Protocol::Unknown => {}
            Protocol::Native(native) => native.let_go(),
            Protocol::Http(http) => http.let_go(),
        }
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

    /// Notes since when something unfinished is arriving, and ends a draining connection that has nothing left to do.
    fn settle(&mut self, cx: &mut Cx<'_, S>) {
        let is_head = match &self.protocol {
            Protocol::Native(native) => native.is_head(),
            Protocol::Http(http) => http.is_head(),
            Protocol::Unknown => true,
        };
        let is_waiting = self.base.in_flight > 0 || self.base.is_held;
        let has_begun = !self.carry.is_empty() || (is_head && self.is_mid_message());
        self.base.began = (has_begun && is_head && !is_waiting).then(|| self.base.began.unwrap_or(cx.now));
        let is_sending = !self.base.outbox.is_empty();
        self.base.sending = is_sending.then(|| self.base.sending.unwrap_or(cx.now));
        if self.base.phase != Phase::Open && !self.carry.is_empty() {
            self.carry.clear(cx.spare);
        }
        if self.base.is_last_carry && self.base.phase == Phase::Open && !self.base.is_held {
            self.base.is_last_carry = false;
            return self.ended(cx);
        }
        if cx.is_draining && self.base.phase == Phase::Open && self.base.in_flight == 0 && !self.is_mid_message() {
            match self.protocol {
                Protocol::Unknown => self.base.phase = Phase::Ending,
                // Its last replies may still be on their way, and its next requests too. Nothing is wrong with those: however
                // many there are, they must not destroy the replies. The drain's own deadline bounds this.
                Protocol::Native(_) | Protocol::Http(_) => self.base.close_discarding(u64::MAX, cx.now),
            }
        }
        self.account(cx);
    }
}
