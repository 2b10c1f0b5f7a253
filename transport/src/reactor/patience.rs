//! Slow senders: connections that hold rows of an arena, into which nothing comes, while others wait for such rows.
//!
//! Those that receive into rows are on a list, so that nobody looks at all connections. While the service has patience
//! for so long only, each of them that has had no progress for as long is asked: a receive is cancelled, and says with
//! its completion what has come. If that is nothing, the request goes on in memory of its own. Where no receive
//! operation has the rows (what is awaited is metadata between two payloads, or that the peer takes replies), there is
//! nothing to be asked.
//!
//! A sender that trickles always has progress to show. So nobody keeps rows, while others wait for some, for longer
//! than [`PATIENCES_MAX`] times the patience or [`ROWS_TIME_MIN`], whichever is longer, since it got them: whatever has
//! come by then, its request goes on in memory of its own. A request of which more than
//! [`SET_APART_BYTES_MAX`](crate::limits::SET_APART_BYTES_MAX) has come is not copied, which would hold up everybody
//! else: it is refused as busy, and may be sent again.

use super::Reactor;
use super::slots::{Armed, Slots};
use crate::ring::Key;
use crate::service::Service;
use std::time::{Duration, Instant};

/// The place of a connection that is not on the list.
pub(super) const NOWHERE: u32 = u32::MAX;

/// So many times the patience with one that makes no progress is the patience with one that does.
const PATIENCES_MAX: u32 = 100;
/// The least of that: a megabyte through a slow network takes as long.
const ROWS_TIME_MIN: Duration = Duration::from_millis(100);
/// On top of that, each microsecond should bring so many bytes: 10 MB/s, a tenth of what the slowest network between machines
/// of a rack does.
const BYTES_PER_MICROSECOND: u64 = 10;
/// A part of the patience that passes between two looks: each look is one at all of them.
const LOOKS_PER_PATIENCE: u32 = 4;

/// The connections that receive into rows.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    /// Each slot knows its place.
    list: Vec<Receiver>,
    /// When the first of them may have tried the service's patience; `None` while it has all the time.
    next_look: Option<Instant>,
}

#[derive(Debug)]
struct Receiver {
    key: Key,
    /// When it got its rows.
    got: Instant,
    /// Bytes of its message.
    bytes: u32,
    /// When what is awaited now began to be: the last receive, whatever had ended the one before.
    since: Instant,
    /// What the receive under way has been cancelled for, if it has.
    asked: Option<Question>,
}

/// A receive has been cancelled to see what it has.
#[derive(Clone, Copy, Debug)]
struct Question {
    at: Instant,
    is_last: bool,
}

impl Receiver {
    /// Until when it has its rows, whatever comes.
    fn end(&self, patience: Duration) -> Instant {
        let of_bytes = Duration::from_micros(u64::from(self.bytes) / BYTES_PER_MICROSECOND);
        self.got + patience.saturating_mul(PATIENCES_MAX).max(ROWS_TIME_MIN) + of_bytes
    }

    /// When it is to be asked. One that was asked and did not answer is asked again: the first cancellation may have
    /// come at a moment when there was nothing to cancel.
    fn due(&self, patience: Duration) -> Instant {
        match self.asked {
            Some(question) => question.at + patience,
            None => self.end(patience).min(self.since + patience),
        }
    }
}

impl Receivers {
    /// Puts a connection on the list, or takes it off, as it is.
    pub(super) fn note<S: Service>(&mut self, slots: &mut Slots<S>, key: Key, now: Instant) {
        let Some(slot) = slots.get(key) else { return };
        let (is_listed, bytes) = (slot.receiver != NOWHERE, slot.connection.arriving_bytes());
        match (is_listed, slot.connection.is_in_rows()) {
            (false, true) => {
                slot.receiver = self.list.len() as u32;
                self.list.push(Receiver { key, got: now, bytes, since: now, asked: None });
            }
            (true, false) => {
                let place = std::mem::replace(&mut slot.receiver, NOWHERE);
                self.list.swap_remove(place as usize);
                let moved = self.list.get(place as usize).and_then(|moved| slots.get(moved.key));
                if let Some(moved) = moved {
                    moved.receiver = place;
                }
            }
            (false, false) | (true, true) => {}
        }
    }

    /// A receive begins for the connection that has this place, if any.
    pub(super) fn armed(&mut self, place: u32, now: Instant) {
        if let Some(receiver) = self.list.get_mut(place as usize) {
            receiver.since = now;
        }
    }

    /// The receive of the connection that has this place, if any, has ended: what it had been asked.
    pub(super) fn take_asked(&mut self, place: u32) -> Asked {
        match self.list.get_mut(place as usize).and_then(|receiver| receiver.asked.take()) {
            None => Asked::Nothing,
            Some(Question { is_last: false, .. }) => Asked::WhatHasCome,
            Some(Question { is_last: true, .. }) => Asked::ToEnd,
        }
    }

    /// Whether there are some, and nobody else is known to want their rows.
    fn are_at_ease(&self) -> bool {
        !self.list.is_empty() && self.next_look.is_none()
    }

    /// When to look at them, if nothing happens.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }
}

/// What a connection that receives into rows has been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// What has come: if that is nothing, its time is over.
    WhatHasCome,
    /// To end: its time is over.
    ToEnd,
}

impl<S: Service> Reactor<S> {
    /// Looks at those that receive into rows, if others have begun to wait for some since the last look; returns
    /// whether they have.
    pub(super) fn notices_shortage(&mut self) -> bool {
        if self.receivers.are_at_ease() {
            self.heed_patience();
            return !self.receivers.are_at_ease();
        }
        false
    }

    /// Looks at those that receive into rows, if others wait for some.
    pub(super) fn heed_patience(&mut self) {
        if self.receivers.list.is_empty() {
            self.receivers.next_look = None;
            return;
        }
        let Some(patience) = self.world.service.patience() else {
            self.receivers.next_look = None;
            return;
        };
        // Who makes no progress for longer than that is given up anyway.
        let patience = patience.min(self.world.limits.progress_timeout);
        let now = self.world.now;
        if self.receivers.next_look.is_some_and(|look| look > now) {
            return;
        }
        let mut next_due = now + patience;
        for receiver in &mut self.receivers.list {
            let due = receiver.due(patience);
            if due > now {
                next_due = next_due.min(due);
                continue;
            }
            let Some(slot) = self.slots.get(receiver.key) else { continue };
            if let Armed::Fill(handle) = slot.armed {
                self.ring.cancel(handle);
                receiver.asked = Some(Question { at: now, is_last: receiver.end(patience) <= now });
            } else {
                let world = &mut self.world;
                self.slots.with(receiver.key, |connection| connection.set_apart(&mut world.cx()));
            }
        }
        self.receivers.next_look = Some(next_due.max(now + patience / LOOKS_PER_PATIENCE));
    }
}
