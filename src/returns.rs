//! The way back of a request that has left its reactor: its reply is delivered exactly once, and there is always room.
//!
//! Invariant: away + waiting ≤ capacity, where *away* are the requests that have been committed and not answered, and
//! *waiting* the replies that the reactor has not taken yet. Only the reactor's thread adds to *away*, only after a look at
//! both.
//!
//! It also knows which connections are gone, so that nobody runs what nobody waits for.

use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::service::{Reply, Ticket};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Where replies wait for a reactor. The transport's mailbox is one; tests have others.
pub trait Letterbox: Send + Sync + Debug {
    /// Puts a reply in. Never blocks, and does not wake the reactor.
    fn put(&self, ticket: Ticket, reply: Reply);
    /// Wakes the reactor if it sleeps.
    fn ring(&self);
    /// Replies that have not been taken.
    fn waiting(&self) -> usize;
    /// Replies that it has room for.
    fn capacity(&self) -> usize;
}

impl Letterbox for Mailbox {
    fn put(&self, ticket: Ticket, reply: Reply) {
        Mailbox::put(self, ticket, reply);
    }

    fn ring(&self) {
        Mailbox::ring(self);
    }

    fn waiting(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        Mailbox::capacity(self)
    }
}

/// The way back to one reactor.
#[derive(Debug)]
pub struct Returns {
    letterbox: Arc<dyn Letterbox>,
    away: AtomicUsize,
    /// By slot of a connection: the generation that has gone last, plus one; 0 = none has.
    gone: Box<[AtomicU64]>,
}

impl Returns {
    /// The way back through this letterbox, of a reactor whose connections have slots below `slots`.
    pub fn new(letterbox: Arc<dyn Letterbox>, slots: usize) -> Returns {
        let gone = (0..slots).map(|_| AtomicU64::new(0)).collect();
        Returns { letterbox, away: AtomicUsize::new(0), gone }
    }

    /// Counts a request that is about to leave; `false` if there might be no room for its reply. To be called by the
    /// reactor's thread only.
    #[must_use]
    pub fn depart(&self) -> bool {
        // In this order: a reply that goes from one to the other in between is counted twice, never not at all. Pairs with
        // the Release in `deliver`, so that whoever sees the lower count sees the reply in the letterbox too.
        let away = self.away.load(Ordering::Acquire);
        if away + self.letterbox.waiting() >= self.letterbox.capacity() {
            return false;
        }
        self.away.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes back a departure: the request needs no reply by this way after all.
    pub fn stay(&self) {
        self.away.fetch_sub(1, Ordering::Relaxed);
    }

    /// Delivers the reply of a request that had departed. The reactor learns of it with the next [`Returns::ring`].
    pub fn deliver(&self, ticket: Ticket, reply: Reply) {
        self.letterbox.put(ticket, reply);
        // Pairs with the Acquire in `depart`.
        self.away.fetch_sub(1, Ordering::Release);
    }

    /// Wakes the reactor, if it sleeps, for what was delivered.
    pub fn ring(&self) {
        self.letterbox.ring();
    }

    /// Whether a reply is still to be delivered.
    pub fn is_awaited(&self) -> bool {
        self.away.load(Ordering::Relaxed) > 0
    }

    /// How many requests may be on their way.
    pub fn capacity(&self) -> usize {
        self.letterbox.capacity()
    }

    /// Notes that nobody waits for the replies to a connection's requests. To be called by the reactor's thread only.
    pub fn gone(&self, connection: u32, generation: u32) {
        // A slot beyond the table was never promised anything: its requests are run for nobody.
        if let Some(gone) = self.gone.get(connection as usize) {
            gone.store(u64::from(generation) + 1, Ordering::Relaxed);
        }
    }

    /// Whether nobody waits for this reply any more. A hint: who has just gone may not be known yet, nor who had the slot
    /// before the one that has gone last.
    pub fn is_gone(&self, ticket: Ticket) -> bool {
        let gone = self.gone.get(ticket.connection as usize).map(|gone| gone.load(Ordering::Relaxed));
        gone == Some(u64::from(ticket.generation) + 1)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// A letterbox that a test can look into.
    #[derive(Debug)]
    pub(crate) struct Opened {
        replies: Mutex<Vec<(Ticket, Reply)>>,
        arrived: Condvar,
        capacity: usize,
    }

    impl Opened {
        pub(crate) fn new(capacity: usize) -> Arc<Opened> {
            Arc::new(Opened { replies: Mutex::new(Vec::new()), arrived: Condvar::new(), capacity })
        }

        /// Waits for the oldest reply and takes it.
        pub(crate) fn take(&self) -> (Ticket, Reply) {
            let mut replies = self.replies.lock().unwrap();
            while replies.is_empty() {
                replies = self.arrived.wait(replies).unwrap();
            }
            replies.remove(0)
        }
    }

    impl Letterbox for Opened {
        fn put(&self, ticket: Ticket, reply: Reply) {
            self.replies.lock().unwrap().push((ticket, reply));
            self.arrived.notify_all();
        }

        fn ring(&self) {}

        fn waiting(&self) -> usize {
            self.replies.lock().unwrap().len()
        }

        fn capacity(&self) -> usize {
            self.capacity
        }
    }

    const TICKET: Ticket = Ticket { connection: 1, generation: 1, id: 1, weight: 1 };

    #[test]
    fn requests_that_are_away_and_replies_that_wait_share_the_room() {
        let letterbox = Opened::new(2);
        let returns = Returns::new(letterbox.clone(), 2);
        assert!(returns.depart() && returns.depart());
        assert!(!returns.depart(), "two are away");
        returns.deliver(TICKET, Reply::Message(Arc::from(*b"m")));
        assert!(!returns.depart(), "one is away, one waits");
        letterbox.take();
        assert!(returns.depart());
        returns.stay();
        assert!(returns.depart());
    }

    #[test]
    fn a_connection_that_is_gone_is_not_taken_for_another() {
        let returns = Returns::new(Opened::new(2), 2);
        let of = |connection, generation| Ticket { connection, generation, ..TICKET };
        assert!(!returns.is_gone(of(1, 0)) && !returns.is_gone(of(1, u32::MAX)), "nobody has gone");
        returns.gone(1, 5);
        assert!(returns.is_gone(of(1, 5)));
        assert!(!returns.is_gone(of(1, 6)), "the next connection in its slot");
        assert!(!returns.is_gone(of(0, 5)), "another slot");
        returns.gone(7, 1);
        assert!(!returns.is_gone(of(7, 1)), "beyond the table nothing is known");
        returns.gone(1, u32::MAX);
        assert!(returns.is_gone(of(1, u32::MAX)) && !returns.is_gone(of(1, 0)), "generations wrap around");
    }
}
