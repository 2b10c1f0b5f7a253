//! What both protocols of a connection share: its phase, its outbox, what is in flight, what it waits for and since
//! when. How bytes are understood is not here: see [`super::native`] and [`super::http`].

use super::Cx;
use super::encode::Encoder;
use super::outbox::Outbox;
use crate::limits::{DISCARD_BYTES_MAX, Limits, PROGRESS_BYTES_MIN};
use crate::service::{Claim, Reply, Route, Service, Ticket};
use graphpipe_schema::reader::Window;
use std::time::Instant;

/// A connection with this much to be sent, beyond what a send has been given, is not read from.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// Where a connection is between its accept and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Requests come and replies go.
    Open,
    /// The peer sends nothing more; what is in flight is still answered.
    Ending,
    /// Everything has been said once the outbox is empty. Then the sending side is shut down, and so many bytes are
    /// still read and thrown away: closing on unread data would destroy the reply before the peer has read it.
    Closing { discard_left: u64, is_shut_down: bool },
    /// To be closed as soon as its operations have ended.
    Dead,
}

/// What both protocols share.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) connection: u32,
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// Whether requests wait in the carry because the connection was full when they came. It may have room again since:
    /// they are taken with the next reply or send, and nothing is received before that.
    pub(super) is_held: bool,
    /// Whether the peer has ended its side while requests of it are held.
    pub(super) is_last_carry: bool,
    pub(super) outbox: Outbox,
    /// Requests that wait for a reply from elsewhere.
    pub(super) in_flight: u32,
    /// The sum of their weights.
    weight: u32,
    /// Its part of the reactor's backlog.
    pub(super) charged: u32,
    /// The last time that anything came in or was answered; while a message is arriving, that enough of it came in.
    pub(super) moved: Instant,
    /// Bytes that have come in since then.
    gained: u16,
    /// The last time that the peer took something, or since when there is something for it to take.
    pub(super) sending: Option<Instant>,
    /// When what is arriving (a frame, a head) began to.
    pub(super) began: Option<Instant>,
}

impl Base {
    pub(super) fn new(connection: u32, generation: u32, now: Instant) -> Base {
        Base {
            connection,
            generation,
            phase: Phase::Open,
            is_held: false,
            is_last_carry: false,
            outbox: Outbox::default(),
            in_flight: 0,
            weight: 0,
            charged: 0,
            moved: now,
            gained: 0,
            sending: None,
            began: None,
        }
    }

    /// So many bytes have come in. Of a message that was arriving before, and still is, it has to be some to count.
    pub(super) fn progressed(&mut self, bytes: usize, is_same_message: bool, now: Instant) {
        let gained = usize::from(self.gained) + bytes;
        if is_same_message && gained < PROGRESS_BYTES_MIN {
            self.gained = gained as u16;
        } else {
            (self.moved, self.gained) = (now, 0);
        }
    }

    /// Hands a request to the service. Without a reply it is in flight from now on.
    pub(super) fn commit<S: Service>(
        &mut self,
        id: u64,
        route: Route<'_>,
        window: Window<'_>,
        claim: Claim<S::Context>,
        cx: &mut Cx<'_, S>,
    ) -> Option<Reply> {
        // No weights add up to more than is counted: what is added is what the reply takes off.
        let weight = claim.weight.min(u32::MAX - self.weight);
        let ticket = Ticket { connection: self.connection, generation: self.generation, id, weight };
        let reply = cx.service.commit(ticket, route, window, claim);
        if reply.is_none() {
            self.in_flight += 1;
            self.weight += weight;
        }
        reply
    }

    /// A request that was in flight has its reply.
    pub(super) fn answered(&mut self, ticket: Ticket) {
        self.in_flight -= 1;
        self.weight -= ticket.weight;
    }

    pub(super) fn encoder<'a, S>(&'a mut self, cx: &'a mut Cx<'_, S>) -> Encoder<'a> {
        Encoder { outbox: &mut self.outbox, spare: cx.spare, counters: cx.counters }
    }

    /// Whether nothing more is to be taken from the peer for now.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        // A request that alone weighs more than the bound is run all the same, alone.
        let is_heavy = self.weight > 0 && self.weight >= limits.weight_max;
        is_heavy || self.in_flight as usize >= limits.in_flight_max || self.outbox.waiting_bytes() >= WAITING_BYTES_MAX
    }

    /// The same, of a request that is there and then has to wait.
    pub(super) fn holds(&mut self, limits: &Limits) -> bool {
        self.is_held = self.is_full(limits);
        self.is_held
    }

    /// Nothing more is taken from the peer; the connection closes once it has read what there is to say.
    pub(super) fn close_politely(&mut self, now: Instant) {
        self.close_discarding(DISCARD_BYTES_MAX, now);
    }

    pub(super) fn close_discarding(&mut self, discard_left: u64, now: Instant) {
        self.phase = Phase::Closing { discard_left, is_shut_down: false };
        self.moved = now;
    }
}
