//! How long a connection lives, and how it ends: its deadlines, its last words, what it holds meanwhile and what it
//! gives back. What it does with bytes is not here.

use super::{Connection, Cx, Phase, Protocol};
use crate::limits::{HELD_BYTES_FREE, Limits};
use crate::service::Service;
use std::time::Instant;

impl<S: Service> Connection<S> {
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
                // What is not received because too much is in flight is not late.
                None if self.is_arriving() && base.is_full(limits) && is_waiting => None,
                None if self.is_arriving() => Some(base.moved + limits.progress_timeout),
                None if is_waiting => None,
                None => Some(base.moved + limits.idle_timeout),
            },
        };
        receiving.into_iter().chain(self.sending_deadline(limits)).min()
    }

    /// When the connection is given up if the peer takes nothing of what is being sent.
    fn sending_deadline(&self, limits: &Limits) -> Option<Instant> {
        self.base.sending.map(|sending| sending + limits.progress_timeout)
    }

    /// Whether the socket is to be closed.
    pub fn is_finished(&self) -> bool {
        match self.base.phase {
            Phase::Dead => true,
            Phase::Ending => self.base.outbox.is_empty() && self.base.in_flight == 0,
            Phase::Open | Phase::Closing { .. } => false,
        }
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

    /// Whether everything has been sent and the sending side is shut down: what is waited for is the peer's end.
    pub fn has_said_everything(&self) -> bool {
        matches!(self.base.phase, Phase::Closing { is_shut_down: true, .. })
    }

    /// Whether the peer has taken nothing for too long of what is being sent, as far as completed sends tell.
    pub fn seems_not_to_read(&self, limits: &Limits, now: Instant) -> bool {
        self.sending_deadline(limits).is_some_and(|deadline| deadline <= now)
    }

    /// The peer has taken bytes of a send that is still under way.
    pub fn moved(&mut self, now: Instant) {
        self.base.sending = Some(now);
    }

    /// The daemon is shutting down: a connection without a request ends now, another one after its last reply.
    pub fn drain(&mut self, cx: &mut Cx<'_, S>) {
        self.settle(cx);
    }

    /// The peer has ended its side of the stream. `is_gone`: it takes nothing any more either.
    pub fn ended(&mut self, is_gone: bool, cx: &mut Cx<'_, S>) {
        if is_gone {
            return self.broken(cx);
        }
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

    /// The peer has everything that was said, and nobody waits for its end.
    pub fn finish(&mut self, cx: &mut Cx<'_, S>) {
        self.die(cx);
    }

    /// The deadline has passed.
    pub fn expire(&mut self, cx: &mut Cx<'_, S>) {
        cx.counters.connections_timed_out.add(1);
        self.die(cx);
    }

    fn die(&mut self, cx: &mut Cx<'_, S>) {
        if self.base.phase != Phase::Dead && self.awaits_reply() {
            cx.counters.connections_gone.add(1);
            cx.service.gone(self.base.connection, self.base.generation);
        }
        self.base.phase = Phase::Dead;
        self.base.outbox.clear();
        self.let_go(cx);
        self.account(cx);
    }

    /// Gives back what the connection holds of messages that will not be completed. A destination that a receive
    /// operation has comes back with its completion and is dropped then.
    fn let_go(&mut self, cx: &mut Cx<'_, S>) {
        self.carry.clear(cx.spare);
        self.base.began = None;
        match &mut self.protocol {
            Protocol::Unknown => {}
            Protocol::Native(native) => native.let_go(),
            Protocol::Http(http) => http.let_go(),
        }
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
        let before = std::mem::replace(&mut self.base.charged, charged);
        *cx.backlog = *cx.backlog - before as usize + charged as usize;
        if charged > before && *cx.backlog > cx.limits.backlog_bytes_max {
            cx.counters.connections_overloaded.add(1);
            self.die(cx);
        }
    }

    /// Notes since when something unfinished is arriving, and ends a draining connection that has nothing left to do.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_, S>) {
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
            return self.ended(false, cx);
        }
        if cx.is_draining && self.base.phase == Phase::Open && self.base.in_flight == 0 && !self.is_mid_message() {
            match self.protocol {
                Protocol::Unknown => self.base.phase = Phase::Ending,
                // Its last replies may still be on their way, and its next requests too. Nothing is wrong with those:
                // however many there are, they must not destroy the replies. The drain's own deadline bounds this.
                Protocol::Native(_) | Protocol::Http(_) => self.base.close_discarding(u64::MAX, cx.now),
            }
        }
        self.account(cx);
    }

    /// Ends a refused connection that has said everything and whose peer has sent too much.
    pub(super) fn end_if_discarded(&mut self) {
        if matches!(self.base.phase, Phase::Closing { discard_left: 0, is_shut_down: true }) {
            self.base.phase = Phase::Dead;
        }
    }
}
