//! Slow senders: connections that hold rows of an arena, into which nothing comes, while others wait for such rows.
//!
//! Those that receive into rows are on a list, so that nobody looks at all connections. While the service has patience
//! for so long only, each of them that has had no progress for as long is asked: a receive is cancelled, and says with
//! its completion what has come. If that is nothing, the request goes on in memory of its own. Where no receive
//! operation has the rows (what is awaited is metadata between two payloads, or that the peer takes replies), there is
//! nothing to be asked.

use super::Reactor;
use super::slots::{Armed, Slots};
use crate::ring::Key;
use crate::service::Service;
use std::time::Instant;

/// The place of a connection that is not on the list.
pub(super) const NOWHERE: u32 = u32::MAX;

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
    /// When what is awaited now began to be.
    since: Instant,
    /// Whether the receive under way has been cancelled to see what it has.
    is_asked: bool,
}

impl Receivers {
    /// Puts a connection on the list, or takes it off, as it is.
    pub(super) fn note<S: Service>(&mut self, slots: &mut Slots<S>, key: Key, now: Instant) {
        let Some(slot) = slots.get(key) else { return };
        let is_listed = slot.receiver != NOWHERE;
        match (is_listed, slot.connection.is_in_rows()) {
            (false, true) => {
                slot.receiver = self.list.len() as u32;
                self.list.push(Receiver { key, since: now, is_asked: false });
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

    /// The receive of the connection that has this place, if any, has ended: whether it had been asked to.
    pub(super) fn take_asked(&mut self, place: u32) -> bool {
        let receiver = self.list.get_mut(place as usize);
        receiver.is_some_and(|receiver| std::mem::take(&mut receiver.is_asked))
    }

    /// When to look at them, if nothing happens.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }
}

impl<S: Service> Reactor<S> {
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
        let now = self.world.now;
        if self.receivers.next_look.is_some_and(|look| look > now) {
            return;
        }
        let mut next_look = now + patience;
        for receiver in &mut self.receivers.list {
            let due = receiver.since + patience;
            if due > now {
                next_look = next_look.min(due);
                continue;
            }
            let Some(slot) = self.slots.get(receiver.key) else { continue };
            if let Armed::Fill(handle) = slot.armed {
                if !receiver.is_asked {
                    self.ring.cancel(handle);
                    receiver.is_asked = true;
                }
            } else {
                let world = &mut self.world;
                self.slots.with(receiver.key, |connection| connection.set_apart(&mut world.cx()));
            }
        }
        self.receivers.next_look = Some(next_look);
    }
}
