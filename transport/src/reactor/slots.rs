//! The connections of a reactor, by key, and which of them anything happened to since they were last asked what they
//! want.
//!
//! A slot holds its socket open until the connection is finished and none of its operations is left.

use super::patience::NOWHERE;
use crate::connection::Connection;
use crate::ring::{Handle, Key};
use crate::service::Service;
use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::OwnedFd;

/// What receives for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// Nothing.
    Nothing,
    /// An operation that will end by itself, or has been told to.
    Once,
    /// A multishot receive.
    Stream(Handle),
    /// A receive into a destination, which completes when all of it is there.
    Fill(Handle),
}

/// How large payloads are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// The kernel copies them.
    Copied,
    /// The kernel is lent them.
    Lent,
}

/// A connection and its socket.
#[derive(Debug)]
pub struct Slot<S: Service> {
    /// The connection.
    pub connection: Connection<S>,
    /// Its socket.
    pub socket: OwnedFd,
    /// What receives for it.
    pub armed: Armed,
    /// Operations that have not ended.
    pub operations: u32,
    /// What the peer had not taken when a deadline passed.
    pub unsent: Option<u32>,
    /// Whether a receive into a destination was cancelled to see what it has, and neither has enough come since nor has the
    /// deadline moved.
    pub is_probed: bool,
    /// Whether the socket has been shut down to make them end.
    pub is_closing: bool,
    /// How its large payloads are sent.
    pub sending: Sending,
    /// Its place among those that receive into rows.
    pub receiver: u32,
    is_touched: bool,
}

#[derive(Debug)]
enum Place<S: Service> {
    Free { generation: u32 },
    Taken(Box<Slot<S>>),
}

/// All connections of a reactor.
#[derive(Debug)]
pub struct Slots<S: Service> {
    places: Vec<Place<S>>,
    free: Vec<Key>,
    // First come, first served: the last ones must not find the shared buffers taken each time.
    touched: VecDeque<Key>,
}

impl<S: Service> Default for Slots<S> {
    fn default() -> Slots<S> {
        Slots { places: Vec::new(), free: Vec::new(), touched: VecDeque::new() }
    }
}

impl<S: Service> Slots<S> {
    /// Makes room for so many connections, so that the list of them need not be moved while it is in use.
    pub fn reserve(&mut self, connections: usize) {
        self.places.reserve(connections);
        self.free.reserve(connections);
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.places.len() == self.free.len()
    }

    /// Adds a connection, which `make` makes for its key and generation.
    pub fn insert(&mut self, socket: OwnedFd, sending: Sending, make: impl FnOnce(Key, u32) -> Connection<S>) {
        let key = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::Free { generation: 0 });
            self.places.len() as Key - 1
        });
        let Place::Free { generation } = self.places[key as usize] else {
            unreachable!("a key on the free list names a free place")
        };
        let connection = make(key, generation);
        self.places[key as usize] = Place::Taken(Box::new(Slot {
            connection,
            socket,
            armed: Armed::Nothing,
            operations: 0,
            unsent: None,
            is_probed: false,
            is_closing: false,
            sending,
            receiver: NOWHERE,
            is_touched: false,
        }));
        self.touch(key);
    }

    /// Removes a connection and closes its socket.
    pub fn remove(&mut self, key: Key) {
        if let Some(slot) = self.get(key) {
            debug_assert_eq!(slot.operations, 0, "the socket of an operation in flight is kept open");
            debug_assert_eq!(slot.receiver, NOWHERE, "a finished connection has no rows");
            let generation = slot.connection.generation().wrapping_add(1);
            self.places[key as usize] = Place::Free { generation };
            self.free.push(key);
        }
    }

    /// The slot of a key.
    pub fn get(&mut self, key: Key) -> Option<&mut Slot<S>> {
        match self.places.get_mut(key as usize)? {
            Place::Taken(slot) => Some(slot),
            Place::Free { .. } => None,
        }
    }

    /// Does something with a connection, and notes that it is to be asked what it wants.
    pub fn with(&mut self, key: Key, act: impl FnOnce(&mut Connection<S>)) {
        if let Some(slot) = self.get(key) {
            act(&mut slot.connection);
            self.touch(key);
        }
    }

    /// Notes that a connection is to be asked what it wants.
    pub fn touch(&mut self, key: Key) {
        if let Some(slot) = self.get(key)
            && !slot.is_touched
        {
            slot.is_touched = true;
            self.touched.push_back(key);
        }
    }

    /// The next connection that is to be asked what it wants.
    pub fn next_touched(&mut self) -> Option<Key> {
        let key = self.touched.pop_front()?;
        if let Some(slot) = self.get(key) {
            slot.is_touched = false;
        }
        Some(key)
    }

    /// The keys of all connections, and of places that are free: whoever goes through them may close what it finds.
    pub fn keys(&self) -> Range<Key> {
        0..self.places.len() as Key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn ten_thousand_idle_connections_take_a_quarter_of_a_kibibyte_each() {
        assert!(size_of::<Slot<Fake>>() <= 256, "{} bytes", size_of::<Slot<Fake>>());
    }
}
