//! The way back of a request that has left its reactor: its reply is delivered exactly once, and there is always room.
//!
//! Invariant: away + waiting ≤ capacity, where *away* are the requests that executors have or will have, and *waiting* the
//! replies that the reactor has not taken yet. Only the reactor's thread adds to *away*, only after a look at both.

use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::service::{Reply, Ticket};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where replies wait for a reactor. The transport's mailbox is one; tests have others.
pub trait Letterbox: Send + Sync + Debug {
    /// Delivers a reply. Never blocks.
    fn deliver(&self, ticket: Ticket, reply: Reply);
    /// Replies that have not been taken.
    fn waiting(&self) -> usize;
    /// Replies that it has room for.
    fn capacity(&self) -> usize;
}

impl Letterbox for Mailbox {
    fn deliver(&self, ticket: Ticket, reply: Reply) {
        Mailbox::deliver(self, ticket, reply);
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
}

impl Returns {
    /// The way back through this letterbox.
    pub fn new(letterbox: Arc<dyn Letterbox>) -> Returns {
        Returns { letterbox, away: AtomicUsize::new(0) }
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

    /// Takes back a departure: the request stayed here after all.
    pub fn stay(&self) {
        self.away.fetch_sub(1, Ordering::Relaxed);
    }

    /// Delivers the reply of a request that had departed.
    pub fn deliver(&self, ticket: Ticket, reply: Reply) {
        self.letterbox.deliver(ticket, reply);
        // Pairs with the Acquire in `depart`.
        self.away.fetch_sub(1, Ordering::Release);
    }

    /// How many requests may be on their way.
    pub fn capacity(&self) -> usize {
        self.letterbox.capacity()
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
        fn deliver(&self, ticket: Ticket, reply: Reply) {
            self.replies.lock().unwrap().push((ticket, reply));
            self.arrived.notify_all();
        }

        fn waiting(&self) -> usize {
            self.replies.lock().unwrap().len()
        }

        fn capacity(&self) -> usize {
            self.capacity
        }
    }

    #[test]
    fn requests_that_are_away_and_replies_that_wait_share_the_room() {
        let letterbox = Opened::new(2);
        let returns = Returns::new(letterbox.clone());
        let ticket = Ticket { connection: 1, generation: 1, id: 1 };
        assert!(returns.depart() && returns.depart());
        assert!(!returns.depart(), "two are away");
        returns.deliver(ticket, Reply::Message(Arc::from(*b"m")));
        assert!(!returns.depart(), "one is away, one waits");
        letterbox.take();
        assert!(returns.depart());
        returns.stay();
        assert!(returns.depart());
    }
}
